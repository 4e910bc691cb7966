/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the parts of `linnix receipt` share. */
#ifndef LNX_SETTLE_CLI_RECEIPT_H
#define LNX_SETTLE_CLI_RECEIPT_H

#include "challenge.h"

/* The words of the command line; NULL: not given. */
struct receipt_asked {
	const char *word, *file, *events, *event, *rpc;
	unsigned k; /* events that the chain is to choose; 0: none */
	uint8_t registry[20], settlement[20];
	uint64_t from_block; /* logs are not looked for before */
	bool has_registry, has_settlement, is_json, is_dry;
};

/* Ask the node at --rpc what the chain has of the task and its payee, and hold the receipt against it. What cannot be asked is
 * noted as not checked. With --dry-run nothing is asked: the questions are printed. <ret>: zeros, and with a->k events are chosen
 * into it; none: why is noted. */
void receipt_ask_chain(const struct receipt_asked *a, struct check *c,
		       const struct signed_receipt *r, struct challenge *ret);

/* ---- cli_receipt.c: files, and what is printed */
FILE *receipt_open_file(const char *path); /* NULL, said */
/* The whole of a small file. 0 or -errno, said. */
int receipt_read_file(const char *path, char *ret, size_t cap, size_t *ret_n);
int receipt_usage(const char *what, const char *which);

/* ---- cli_open.c: single events; they return 0 or an exit code, said */
int receipt_open(const struct receipt_asked *a, const struct signed_receipt *s);
/* With --event of verify; <asked> has what the chain chose. */
int receipt_verify_event(const struct receipt_asked *a, struct check *c,
			 const struct signed_receipt *s, const struct challenge *asked);
int receipt_challenge(const struct receipt_asked *a, const struct signed_receipt *s,
		      const struct secp *curve);

#endif
