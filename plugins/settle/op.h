/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Operations: what the agent wants of the chain, one transaction each. */
#ifndef LNX_SETTLE_OP_H
#define LNX_SETTLE_OP_H

#include "abi.h"
#include "settle.h"

/* enum op_kind: the numbers are in the file */
#define OP_REGISTER 0
#define OP_APPROVE  1
#define OP_CREATE   2
#define OP_SUBMIT   3
#define OP_SETTLE   4
#define OP_DISPUTE  5
#define OP_CLAIM    6
#define OP_CANCEL   7
#define OP_EXPIRE   8
#define OP_WITHDRAW 9
#define OP_KINDS    10

#define OP_NO_NONCE   ((uint64_t)INT64_MAX) /* nothing is signed */
#define OP_CANCEL_GAS 21000u		    /* of a transaction that moves nothing */
#define OP_TAKEN_BACK "it is not needed any more"
#define OP_MADE_WAY   "its price may not rise, and it held up what protects money"

/* What a kind is, and what must be true of the task before and after it: masks of enum task_status. */
struct op_kind {
	const char *name;
	const char *event; /* that must be in its receipt */
	uint32_t from, to; /* 0: no task */
};
extern const struct op_kind op_kinds[];

/* The one of that key, none of a dry run. NULL none. */
struct op *op_by_key(const struct settle *s, const char *key);
struct op *op_find(const struct settle *s, uint32_t kind, const uint8_t task[32], const char *more);
/* Queue a call. The same key twice is one operation; one that failed or was given up begins anew. Returns it, or NULL: not now, no
 * memory or too many. */
struct op *op_queue(struct settle *s, uint32_t kind, const uint8_t task[32], const char *more,
		    const uint8_t to[20], const char *signature, const struct abi_value *args,
		    unsigned n_args);
/* A call whose only argument is the task. */
struct op *op_queue_task(struct settle *s, uint32_t kind, const struct task *t);
/* How a withdrawal ended stays with its task: that is over before, and the operation is forgotten. */
void op_note(struct settle *s, const struct op *op);
/* Its state, with why. */
void op_set(struct settle *s, struct op *op, uint32_t state, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Not now: again after a while that grows. */
void op_later(struct settle *s, struct op *op, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* It is not to be done any more. What was not signed is given up at once; in the place of what may be mined yet nothing is sent, at
 * the same nonce. What is in the chain stays. <why>: literal. */
void op_unwant(struct settle *s, struct op *op, const char *why);
/* It is to be done after all, if nothing was signed in its place. */
void op_want(struct op *op);
/* Try it in the next turn, however often it had to wait. */
void op_hurry(struct op *op);
/* What was read from the file, as it counts from now on. */
void op_restore(const struct settle *s, struct op *op);
/* Does it take an allowance back? */
int op_is_revoke(const struct op *op);
/* Does it set an allowance back to what open tasks need? */
int op_is_back(const struct op *op);
/* Signed, and not known to be in the chain. */
int op_is_out(const struct op *op);
/* Does it protect money? Then it waits for nothing that is out: whoever hides what became of that holds up no dispute. */
int op_protects(const struct op *op);
/* What was signed for it can never be mined. While no job runs. */
void op_drop_attempts(struct op *op);
/* Is its outcome still open, or could a reorganisation change it? */
int op_is_live(const struct settle *s, const struct op *op);
/* Mark those that the turn asks about: all that are open have their turn, and of the others the newest come where there is room. */
void op_choose(struct settle *s);
/* Forget what is over and needed no more. */
void op_sweep(struct settle *s);
/* Count how it ended. */
void op_count(struct settle *s, const struct op *op, const char *result);
/* Sign its call with the next nonce (or its own again) and these fees; nothing is sent. 0 or -errno. */
int op_sign(struct settle *s, struct op *op, uint64_t gas, uint64_t tip, uint64_t fee);
/* The call that asks what the chain takes for the data of <op> besides its gas, at these fees; nothing when it takes nothing. */
void op_ask_data_fee(struct settle *s, struct op *op, uint64_t gas, uint64_t tip, uint64_t fee);
/* The nonce to use next. */
uint64_t op_next_nonce(const struct settle *s);
void op_json(const struct op *op, struct lnx_buf *out);

#endif
