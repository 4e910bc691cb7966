/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's identity: one seed in a file, from it an Ed25519 key, which the DID is, and a key of secp256k1. Secrets lie in locked
 * memory, and the process leaves no core from then on. */
#ifndef LNX_SETTLE_IDENTITY_H
#define LNX_SETTLE_IDENTITY_H

#include <stdbool.h>

#include "did.h"
#include "dsse.h"
#include "secp.h"

#define IDENTITY_PATH "/var/lib/linnix/identity.json"
#define IDENTITY_WHY  512

struct identity_secret {
	uint8_t seed[32], ed25519_seed[32];
	uint8_t ed25519[DSSE_SECRET];
	uint8_t secp256k1[SECP_KEY];
};

struct identity {
	struct identity_secret *secret; /* of sodium_malloc */
	uint8_t ed25519[DSSE_PUBLIC];
	uint8_t address[SECP_ADDRESS];
	char did[DID_TEXT], rotated_from[DID_TEXT]; /* "": the first */
	uint64_t created_ns;			    /* Unix time */
	bool is_by_user;			    /* made by `linnix identity new` or rotate */
	bool is_fresh;				    /* made just now by identity_open */
	bool is_lasting;			    /* its file system survives a restart */
};

/* Read <path>; make it if it is not there and <does_make>. -ENOENT: not there; -EPERM: others may read or own it, or it is a link;
 * -EBADMSG: not an identity; other errors. All with <why>, which never holds a secret. */
int identity_open(const char *path, bool does_make, uint64_t now_ns, const struct secp *s,
		  struct identity **ret, char why[IDENTITY_WHY]);
/* Make one by the user's wish. -EEXIST: there is one. <is_dry>: everything is checked, nothing is made, *ret is NULL. */
int identity_new(const char *path, bool is_dry, uint64_t now_ns, const struct secp *s,
		 struct identity **ret, char why[IDENTITY_WHY]);
/* Make a new one that names the old one; the old file stays beside it as PATH.DID, because money may lie at its address. */
int identity_rotate(const char *path, bool is_dry, uint64_t now_ns, const struct secp *s,
		    struct identity **ret, char why[IDENTITY_WHY]);
void identity_free(struct identity *id);

/* May money go to the address that is derived from it? Not if a restart could forget it: -EPERM with <why>. */
int identity_may_hold_money(const struct identity *id, char why[IDENTITY_WHY]);

/* From now on: no core, nothing of this process for a debugger without privileges. */
void identity_shut_process(void);

#endif
