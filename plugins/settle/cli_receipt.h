/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the parts of `linnix receipt` share. */
#ifndef LNX_SETTLE_CLI_RECEIPT_H
#define LNX_SETTLE_CLI_RECEIPT_H

#include "check.h"

/* The words of the command line; NULL: not given. */
struct receipt_asked {
	const char *word, *file, *events, *event, *rpc;
	uint8_t registry[20], settlement[20];
	uint64_t from_block; /* logs are not looked for before */
	bool has_registry, has_settlement, is_json, is_dry;
};

/* Ask the node at --rpc what the chain has of the task and its payee, and hold the receipt against it. What cannot be asked is
 * noted as not checked. With --dry-run nothing is asked: the questions are printed. */
void receipt_ask_chain(const struct receipt_asked *a, struct check *c,
		       const struct signed_receipt *r);

#endif
