/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tasks: what was agreed, where it stands on the chain, what the agent does next. */
#ifndef LNX_SETTLE_TASK_H
#define LNX_SETTLE_TASK_H

#include "abi.h"
#include "settle.h"

/* Phases: the texts are in the file and in the API. */
#define PHASE_CHECKING	 "checking"   /* payer: the payee's record is looked for */
#define PHASE_ACCEPTED	 "accepted"   /* payer: to be created on the chain */
#define PHASE_OPEN	 "open"	      /* payer: the payee may work */
#define PHASE_OFFERED	 "offered"    /* payee: to be run */
#define PHASE_RUNNING	 "running"    /* payee: being measured */
#define PHASE_PROVEN	 "proven"     /* payee: the receipt is signed and on its way */
#define PHASE_SUBMITTED	 "submitted"  /* the receipt is on the chain */
#define PHASE_VERIFIED	 "verified"   /* payer: the receipt is good */
#define PHASE_REJECTED	 "rejected"   /* payer: it is not */
#define PHASE_FAILED	 "failed"     /* nothing more is tried: the reason says why */
#define PHASE_CANCELLING "cancelling" /* payer: it is kept from the chain */
#define PHASE_CANCELLED	 "cancelled"  /* by its payee on the chain, or by its payer before */

#define CANCELLED_BY_PAYER "by its payer, before it was on the chain"

/* Why a receipt is disputed that nobody could judge: its hash is in the call. */
#define TASK_UNJUDGED "its receipt could not be judged before the window ends"

/* What a task to be created needs. */
struct task_ask {
	const char *name, *payee_did;
	uint8_t payee[20], arbiter[20];
	uint32_t is_escrow, is_dry, has_arbiter;
	struct u256 max;
	uint64_t deadline_blocks;
};

struct task *task_find(const struct settle *s, const uint8_t id[32]);
/* By its id as hex, its name, or the end of its id when only one ends so. NULL none. */
struct task *task_by_text(const struct settle *s, const char *text);
/* The id that a name gives: nobody else has a reason to take it. */
void task_make_id(const struct settle *s, const char *name, uint8_t ret[32]);
/* A new task in memory, at the end of the list. NULL: no memory or too many. */
struct task *task_new(struct settle *s, const uint8_t id[32], uint32_t role);
/* Accept a task to be created and paid. 0, -EDQUOT (a limit), -EEXIST (that name, other terms; *ret is it), -ENOBUFS, -EINVAL;
 * why[] tells. A second time the same is the same task. */
int task_accept(struct settle *s, const struct task_ask *ask, struct task **ret,
		char why[TASK_ERROR]);
/* Queue its create, once its payee was looked up. */
void task_queue_create(struct settle *s, struct task *t);
/* ---- wish.c: a wish of the user: "cancel", "expire", "settle", "dispute", "withdraw". 0, -EINVAL (no such), -EPERM (not this role),
 * -EBUSY (not in this state), -ENOBUFS; why[] tells. */
int task_wish(struct settle *s, struct task *t, const char *action, const char *reason, int is_dry,
	      char why[TASK_ERROR]);
/* ---- task.c again */
void task_set(struct settle *s, struct task *t, const char *phase, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Where the chain has it, from the values of getTask: enum task_status. */
uint32_t task_status_of(const struct settle *s, const struct abi_value v[9]);
/* Does the chain have another amount or receipt than we know? */
int task_has_other(const struct task *t, const struct u256 *actual, const uint8_t hash[32]);

/* Is it one that another made, and for which nothing was done yet? */
int task_is_offer(const struct task *t);
/* Nothing will change any more. */
int task_is_final(const struct task *t);
/* It is known, and final. */
int task_is_over(const struct settle *s, const uint8_t id[32]);
/* What was being measured when the agent ended is lost. */
void task_restarted(struct settle *s);
/* Forget what is over and old: it stays in the file. */
void task_sweep(struct settle *s);
/* Ask about some open tasks, and read the answers. */
void task_look(struct settle *s);
void task_looked(struct settle *s);
/* Queue what is due: settle, expire, claim, dispute. */
void task_due(struct settle *s);
const char *task_status_name(uint32_t status);
void task_json(struct settle *s, const struct task *t, struct lnx_buf *out);

/* ---- limits.c: 0, or -EDQUOT with <why>: more than the payer may spend */
int limit_check(const struct settle *s, const uint8_t payee_did32[32], const struct u256 *amount,
		char why[TASK_ERROR]);

#endif
