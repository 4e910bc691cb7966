/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What must outlive the agent: operations with their signed bytes, tasks, receipts. One file, written whole or not at all, never
 * moved aside. Any thread, one at a time. */
#ifndef LNX_SETTLE_DB_H
#define LNX_SETTLE_DB_H

#include <sqlite3.h>
#include <stdint.h>

#include "u256.h"

#define DB_VERSION 1 /* of the schema, kept in user_version */
#define DB_ERROR   256

#define OP_KEY	    200
#define OP_ATTEMPTS 16
#define OP_TEXT	    200

/* enum op_state: the texts are in the file and in the API */
#define OP_QUEUED    0 /* nothing signed */
#define OP_SIGNED    1 /* bytes are on disk, and may be out */
#define OP_SENT	     2 /* a node took them */
#define OP_MINED     3 /* in a block, with the event that was expected */
#define OP_CONFIRMED 4 /* deep enough */
#define OP_FAILED    5 /* mined and reverted, or never possible */
#define OP_ABANDONED 6 /* not sent: too late, or already done by another */
#define OP_STATES    7
extern const char *const op_state_names[];

/* One signed transaction of an operation. Immutable but for the times. */
struct attempt {
	uint8_t hash[32];
	uint8_t *raw; /* owned by its operation */
	uint32_t n_raw;
	uint64_t nonce, tip_wei, fee_wei, gas;
	int64_t first_sent_ms, last_sent_ms; /* Unix time; 0: never */
	/* in memory only: no step of the clock makes it wait */
	uint64_t first_sent_ns, last_sent_ns; /* since boot; 0: never */
	uint32_t is_cancel;		      /* nothing to ourselves, in the place of the call */
};

/* What the chain has of an operation. */
struct op_found {
	int is_there, is_good, has_event;
	int is_cancel;	/* what took its place was mined */
	int is_unknown; /* the node gave no answer to it */
	uint64_t block;
	uint8_t block_hash[32], hash[32];
	struct u256 cost;
};

struct op {
	int64_t id; /* 0: not in the file yet */
	char key[OP_KEY];
	uint32_t kind;	/* enum op_kind */
	uint32_t state; /* enum op_state */
	uint8_t task[32];
	uint8_t to[20];
	uint8_t *data; /* owned; immutable */
	uint32_t n_data;
	uint32_t n_attempts;
	uint64_t not_after_block; /* 0: no end */
	uint64_t nonce;		  /* from OP_SIGNED on */
	uint64_t block;		  /* from OP_MINED on */
	uint8_t block_hash[32], tx_hash[32];
	struct u256 spent_wei;
	char error[OP_TEXT];
	int64_t created_ms, next_try_ms;
	struct attempt attempts[OP_ATTEMPTS];
	/* in memory only */
	uint32_t is_dirty, is_dry, tries, is_asked, n_missing;
	uint32_t is_told;      /* one of two endpoints tells that it is in the chain */
	uint64_t planned_turn; /* the last that looked whether it may be signed */
	uint64_t asked_turn;   /* the last that asked about it */
	uint64_t next_try_ns;  /* since boot; the wall time in the file is only a hint */
	const char *unwanted;  /* literal: why nothing is to take its place; NULL: it is wanted */
	struct u256 data_fee;  /* wei that the chain takes besides gas, as last told */
	struct op_found found; /* what this turn saw of it */
	struct op *next;
};

/* enum task_role */
#define TASK_PAYER 1
#define TASK_PAYEE 2

#define TASK_NAME  64
#define TASK_DID   160
#define TASK_ERROR 240
#define TASK_PHASE 24

struct task {
	uint8_t id[32];
	uint32_t role; /* enum task_role */
	uint32_t is_escrow;
	uint32_t status; /* of the chain: enum task_status */
	char name[TASK_NAME];
	char phase[TASK_PHASE]; /* what the agent does with it: see task.h */
	char payee_did[TASK_DID];
	uint8_t payee_did32[32];
	uint8_t payee[20], payer[20], token[20], arbiter[20];
	struct u256 max, actual;
	uint64_t deadline_blocks, deadline, dispute_deadline;
	uint8_t receipt_hash[32], submit_tx[32];
	uint32_t
		has_arbiter; /* the payer named one, be it nobody: a bit of is_escrow in the file */
	uint8_t other_tx[32];	 /* in memory only: likewise told to have brought the receipt */
	char reason[TASK_ERROR]; /* why it is where it is, for people */
	int64_t created_ms, changed_ms;
	/* in memory only */
	uint32_t is_dirty, is_durable, is_dry;
	uint32_t is_pending; /* payer: a reorganisation may yet bring its create to the chain */
	uint32_t
		withdrawal; /* enum op_state: how its withdrawal ended, which is forgotten; 0: none did */
	uint64_t withdrawal_block;
	uint32_t is_forgotten; /* payee: an offer that came to nothing; its row and its events go */
	uint32_t is_left;      /* payer: something of its allowance is left, and needed no more */
	uint32_t is_settled_deep; /* over, and no reorganisation will change that */
	uint32_t asked_at;	  /* place in the batch of this turn; 0 none */
	uint32_t is_covered;	  /* allowance mode: the payer's allowance and balance suffice */
	uint32_t is_astray;	  /* payer: an endpoint tells of it otherwise than it was made, */
	const char *astray;	  /* in this; literal, NULL: not looked at yet */
	uint8_t pays[20];	  /* whom it pays by that, where that is another */
	uint32_t is_compared;	  /* what the chain has of it was held against what was asked for */
	uint32_t is_drawn;	  /* by that nothing is held of it: an allowance is drawn */
	struct u256 told_max;	  /* payer: the most that an endpoint tells it may cost */
	uint32_t payee_tries;	  /* looks for the payee's record that told nothing */
	uint64_t asked_turn;	  /* the last that asked about it */
	uint64_t status_block, arbiter_deadline;
	uint64_t log_from;	 /* payer: logs before it were read for its receipt; 0: none yet */
	uint64_t log_head;	 /* the newest block when they were last */
	uint32_t log_rounds;	 /* how often, up to the head */
	uint32_t is_unsure;	 /* two endpoints tell of two receipts: none is judged */
	uint32_t n_unjudged;	 /* looks that found a receipt which was not judged */
	uint64_t unjudged_block; /* the newest block at the first of them */
	char *simulation;	 /* JSON; owned */
	char *receipt;		 /* JSON document; owned */
	uint32_t has_receipt, receipt_is_dirty;
	struct task *next;
};

/* What was read at the start, in lists that the caller owns. */
struct db_loaded {
	struct op *ops;
	struct task *tasks;
	uint64_t cursor_block; /* 0: none */
};

/* Where the watcher is. */
struct db_cursor {
	uint64_t block;
	int is_set;
};

/* Open or make the file, check it, read what is not over. 0, or -errno with <error>: nothing may be signed then. */
int db_open(const char *path, int64_t since_ms, sqlite3 **ret_db, struct db_loaded *ret,
	    char error[DB_ERROR]);
void db_close(sqlite3 **io_db);

/* Write copies in one transaction. New operations get their id. 0, -EEXIST (an operation of that key is there), -errno. */
int db_write(sqlite3 *db, struct op *ops, uint32_t n_ops, struct task *tasks, uint32_t n_tasks,
	     const struct db_cursor *cursor, char error[DB_ERROR]);
/* The receipt of a task, owned by the caller; NULL none. */
int db_receipt(sqlite3 *db, const uint8_t task[32], char **ret_json);

void op_free(struct op *op);
void task_free(struct task *t);

#endif
