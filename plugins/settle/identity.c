/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The identity's file, and the keys that follow from its seed. */
#include "identity.h"

#include <errno.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "hkdf.h"
#include "identity_file.h"
#include "jcs.h"
#include "stamp.h"

#define INFO_ED25519   "linnix-claw-ed25519"
#define INFO_SECP256K1 "linnix-claw-secp256k1"
#define BASE64	       sodium_base64_VARIANT_ORIGINAL
#define SEED_TEXT      44 /* 32 bytes in base64 */
#define FILE_VERSION   1

void identity_shut_process(void)
{
	const struct rlimit none = { 0, 0 };

	/* each is a second lock on the same door: neither can fail for a process on itself */
	(void)!prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	sodium_free(id->secret);
	free(id);
}

static struct identity *identity_alloc(void)
{
	struct identity *id = calloc(1, sizeof(*id));

	identity_shut_process();
	if (id && sodium_init() >= 0)
		id->secret = sodium_malloc(sizeof(*id->secret));
	if (id && id->secret)
		return id;
	identity_free(id);
	return NULL;
}

/* The first of HKDF's outputs that is a key: with the name alone, then with a number behind it. */
static void derive_secp256k1(struct identity_secret *secret, const struct secp *s)
{
	char info[sizeof(INFO_SECP256K1)] = INFO_SECP256K1;
	size_t n = sizeof(info) - 1;

	for (uint8_t count = 0;; count++) {
		info[sizeof(info) - 1] = (char)count;
		/* short enough, cannot fail */
		(void)hkdf_sha256(secret->seed, sizeof(secret->seed), "", 0, info, n,
				  secret->secp256k1, SECP_KEY);
		if (secp_is_key(s, secret->secp256k1))
			return;
		n = sizeof(info);
	}
}

static void derive(struct identity *id, const struct secp *s)
{
	struct identity_secret *secret = id->secret;

	(void)hkdf_sha256(secret->seed, sizeof(secret->seed), "", 0, INFO_ED25519,
			  strlen(INFO_ED25519), secret->ed25519_seed,
			  sizeof(secret->ed25519_seed)); /* short enough */
	(void)crypto_sign_seed_keypair(id->ed25519, secret->ed25519,
				       secret->ed25519_seed); /* cannot fail */
	derive_secp256k1(secret, s);
	(void)secp_address(s, secret->secp256k1, id->address); /* it is a key */
	did_format(id->ed25519, id->did);
}

/* ---- the text of the file: the seed goes from the one locked place to the other, never through jansson */

static char *find_seed(char *text)
{
	char *at = strstr(text, "\"seed\"");

	if (!at)
		return NULL;
	at += strlen("\"seed\"");
	at += strspn(at, " \t");
	if (*at++ != ':')
		return NULL;
	at += strspn(at, " \t");
	return *at == '"' && strlen(at) > SEED_TEXT + 1 && at[SEED_TEXT + 1] == '"' ? at + 1 : NULL;
}

static int take_seed(char *text, uint8_t seed[32])
{
	char *at = find_seed(text);
	size_t n = 0;

	if (!at || sodium_base642bin(seed, 32, at, SEED_TEXT, NULL, &n, NULL, BASE64) || n != 32)
		return -EBADMSG;
	memset(at, '-', SEED_TEXT);
	return 0;
}

static int copy_did(const json_t *v, char ret[DID_TEXT])
{
	const char *text = json_string_value(v);

	*ret = 0;
	if (json_is_null(v))
		return 0;
	if (!text || strlen(text) >= DID_TEXT)
		return -EBADMSG;
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

/* What is not secret, and whether it belongs to the seed. */
static int read_members(const json_t *o, struct identity *id)
{
	const char *did = json_string_value(json_object_get(o, "did"));
	const char *address = json_string_value(json_object_get(o, "secp256k1_address"));
	const char *created = json_string_value(json_object_get(o, "created_at"));
	const char *made_by = json_string_value(json_object_get(o, "made_by"));
	uint8_t bytes[SECP_ADDRESS];

	if (json_integer_value(json_object_get(o, "version")) != FILE_VERSION || !did ||
	    strcmp(did, id->did) != 0 || !address || address_parse(address, bytes) ||
	    memcmp(bytes, id->address, sizeof(bytes)) != 0)
		return -EBADMSG;
	id->is_by_user = made_by && !strcmp(made_by, "user");
	return created && !stamp_parse(created, &id->created_ns)
		       ? copy_did(json_object_get(o, "rotated_from"), id->rotated_from)
		       : -EBADMSG;
}

static int parse(char *text, size_t n, const char *path, const struct secp *s, struct identity *id,
		 char why[IDENTITY_WHY])
{
	char text_why[JCS_WHY];
	json_t *o;
	int rc;

	if (take_seed(text, id->secret->seed))
		return identity_say(why, -EBADMSG, "%s: no seed of 32 bytes in base64", path);
	if (jcs_read(text, n, IDENTITY_FILE_BYTES, &o, text_why))
		return identity_say(why, -EBADMSG, "%s: %s", path, text_why);
	derive(id, s);
	rc = read_members(o, id);
	json_decref(o);
	if (rc)
		return identity_say(
			why, rc,
			"%s: not an identity of version 1, or its DID or address is not that of its seed",
			path);
	return 0;
}

static int format(const struct identity *id, char *ret)
{
	char address[ADDRESS_TEXT], created[STAMP_TEXT], from[DID_TEXT + 2] = "null";
	char public[SEED_TEXT + 1];
	size_t n;
	int size;

	address_format(id->address, address);
	stamp_format(id->created_ns, created);
	if (*id->rotated_from)
		(void)snprintf(from, sizeof(from), "\"%s\"", id->rotated_from);	  /* fits */
	(void)sodium_bin2base64(public, sizeof(public), id->ed25519, 32, BASE64); /* fits */
	size = snprintf(
		ret, IDENTITY_FILE_BYTES,
		"{\"version\":1,\"did\":\"%s\",\"ed25519_pubkey\":\"%s\",\"secp256k1_address\":\"%s\","
		"\"created_at\":\"%s\",\"rotated_from\":%s,\"made_by\":\"%s\",\"seed\":\"",
		id->did, public, address, created, from, id->is_by_user ? "user" : "agent");
	n = (size_t)size;
	(void)sodium_bin2base64(ret + n, SEED_TEXT + 1, id->secret->seed, 32, BASE64); /* fits */
	memcpy(ret + n + SEED_TEXT, "\"}\n", 4);
	return (int)(n + SEED_TEXT + 3);
}

static bool lasts(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC &&
	       fs.f_type != OVERLAYFS_SUPER_MAGIC;
}

/* What was read or written, unless that failed. */
static int give(struct identity *id, const char *path, int rc, struct identity **ret)
{
	if (rc) {
		identity_free(id);
		return rc;
	}
	id->is_lasting = lasts(path);
	*ret = id;
	return 0;
}

static int load(const char *path, const struct secp *s, struct identity **ret,
		char why[IDENTITY_WHY])
{
	struct identity *id = identity_alloc();
	char *text = id ? sodium_malloc(IDENTITY_FILE_BYTES) : NULL;
	size_t n = 0;
	int rc;

	if (!text) {
		identity_free(id);
		return identity_say(why, -ENOMEM, "out of memory that can be locked");
	}
	rc = identity_file_read(path, text, &n, why);
	rc = rc ? rc : parse(text, n, path, s, id, why);
	sodium_free(text);
	return give(id, path, rc, ret);
}

/* A new seed, written to <path>; <old>: the identity whose place it takes, or NULL. */
static int make(const char *path, const struct identity *old, bool is_by_user, uint64_t now_ns,
		const struct secp *s, struct identity **ret, char why[IDENTITY_WHY])
{
	struct identity *id = identity_alloc();
	char *text = id ? sodium_malloc(IDENTITY_FILE_BYTES) : NULL;
	int rc;

	if (!id || !text) {
		identity_free(id);
		return identity_say(why, -ENOMEM, "out of memory that can be locked");
	}
	randombytes_buf(id->secret->seed, sizeof(id->secret->seed));
	derive(id, s);
	id->created_ns = now_ns;
	id->is_by_user = is_by_user;
	id->is_fresh = true;
	if (old)
		memcpy(id->rotated_from, old->did, sizeof(id->rotated_from));
	rc = identity_file_write(path, old ? old->did : NULL, text, (size_t)format(id, text), why);
	sodium_free(text);
	return give(id, path, rc, ret);
}

int identity_open(const char *path, bool does_make, uint64_t now_ns, const struct secp *s,
		  struct identity **ret, char why[IDENTITY_WHY])
{
	int rc = load(path, s, ret, why);

	if (rc != -ENOENT || !does_make)
		return rc;
	rc = make(path, NULL, false, now_ns, s, ret, why);
	/* another was faster: its identity it is */
	return rc == -EEXIST ? load(path, s, ret, why) : rc;
}

int identity_new(const char *path, bool is_dry, uint64_t now_ns, const struct secp *s,
		 struct identity **ret, char why[IDENTITY_WHY])
{
	struct identity *have = NULL;
	int rc = load(path, s, &have, why);

	identity_free(have);
	if (!rc)
		return identity_say(why, -EEXIST,
				    "%s: there is one already; linnix identity rotate replaces it",
				    path);
	if (rc != -ENOENT)
		return rc;
	if (!is_dry)
		return make(path, NULL, true, now_ns, s, ret, why);
	*ret = NULL;
	return identity_file_check_place(path, why);
}

int identity_rotate(const char *path, bool is_dry, uint64_t now_ns, const struct secp *s,
		    struct identity **ret, char why[IDENTITY_WHY])
{
	struct identity *old = NULL;
	int rc = load(path, s, &old, why);

	if (!rc && is_dry) {
		*ret = NULL;
		rc = identity_file_check_place(path, why);
	} else if (!rc) {
		rc = make(path, old, true, now_ns, s, ret, why);
	}
	identity_free(old);
	return rc;
}

int identity_may_hold_money(const struct identity *id, char why[IDENTITY_WHY])
{
	if (id->is_by_user)
		return 0;
	if (id->is_fresh)
		return identity_say(
			why, -EPERM,
			"the identity was made just now: money could go to a key that a restart forgets; run: linnix identity new, or configure chain.private_key_file");
	if (!id->is_lasting)
		return identity_say(
			why, -EPERM,
			"the identity lies on a file system that a restart empties; put chain.identity_path on a disk, run: linnix identity new, or configure chain.private_key_file");
	return 0;
}
