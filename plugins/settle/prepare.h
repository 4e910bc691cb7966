/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What must be true before an operation is signed. */
#ifndef LNX_SETTLE_PREPARE_H
#define LNX_SETTLE_PREPARE_H

#include "op.h"

#define PREPARE_ALLOWANCE_FIRST "an allowance of exactly what is needed would be given first"

/* Ask what <op> depends on, then what its data cost besides gas where the chain takes that, and last its gas. Returns how many of
 * the first calls two endpoints must answer alike. */
unsigned prepare_ask(struct settle *s, struct op *op);
/* Does it give away money that nothing else holds back? Two endpoints must agree on all that it depends on; what only protects,
 * the contract itself refuses where it is wrong. */
int prepare_pays(const struct settle *s, const struct op *op);
/* Read the answers. 0: it may be signed; -EAGAIN: not yet; -ENODATA: a dry run cannot look further; another: never; why[] tells. */
int prepare_judge(struct settle *s, struct op *op, char why[OP_TEXT]);
/* The contract would refuse it now, and why[] says why. -EAGAIN or -EPERM. */
int prepare_reverted(struct settle *s, struct op *op, const char *why);

#endif
