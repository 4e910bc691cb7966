/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the settlement contract may take of the payer: exactly what its tasks need. It is given before a task is created, and what a
 * task that came to nothing, or asked for less, leaves of it is taken back. */
#ifndef LNX_SETTLE_ALLOW_H
#define LNX_SETTLE_ALLOW_H

#include "op.h"
#include "task.h"

#define ALLOW_BACK "back" /* the last word of the key of what takes back */

/* What is needed to create <t>: its own, and that of every open task without escrow. 0 or -ERANGE. */
int allow_needed(const struct settle *s, const struct task *t, struct u256 *ret);
/* Give <need> for <t>. -EAGAIN: it is on its way, -EPERM: it cannot be given; why[] tells. */
int allow_give(struct settle *s, const struct task *t, const struct u256 *need, char why[OP_TEXT]);

/* Was something given for <t> that it does not need any more, and which was not taken back? */
int allow_is_left(const struct settle *s, const struct task *t);
/* Note it for all tasks: one of which something is left is not over. */
void allow_find(struct settle *s);
/* Queue what takes it back, one operation at a time for all of them. */
void allow_due(struct settle *s);
/* From now on exactly <amount>, which is less. */
void allow_set_back(struct settle *s, const struct task *t, const struct u256 *amount);
/* May it be signed? <c>: what the token tells of the allowance. 0, -EAGAIN, -EPERM (what is needed has changed), -EALREADY (nothing is
 * left); why[] tells. */
int allow_judge(const struct settle *s, const struct op *op, const struct task *t,
		const struct rpc_call *c, char why[OP_TEXT]);
/* The chain tells that nothing is left of what tasks need no more. */
void allow_over(struct settle *s);
/* "none", "given", "left" */
const char *allow_name(const struct settle *s, const struct task *t);

#endif
