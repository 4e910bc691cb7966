/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin's own state, shared by its files. The loop owns it; the database belongs to the job while one runs. */
#ifndef LNX_SETTLE_H
#define LNX_SETTLE_H

#include <linnix/buf.h>
#include <linnix/plugin.h>
#include <linnix/svc_http.h>

#include "contract.h"
#include "db.h"
#include "record.h"
#include "rpc.h"
#include "secp.h"
#include "signer.h"

#define SETTLE_SEC	  1000000000ull
#define SETTLE_MS	  1000000ull
#define SETTLE_OPS	  512		    /* that are not over */
#define SETTLE_TASKS	  2000		    /* in memory */
#define SETTLE_KEEP_MS	  (31 * 86400000ll) /* tasks that count for the limit of a month */
#define SETTLE_WHY	  256
#define SETTLE_LOOK_TASKS 6 /* asked about in one turn, */
#define SETTLE_LOOK_OFFER 2 /* of them, while there are others, offers that anybody can make */
#define SETTLE_OFFERS \
	1000 /* in memory, as the logs tell of them: what is named is taken beyond that */
#define SETTLE_LOOK_TXS 24 /* likewise */

/* enum chain_state */
#define CHAIN_OPENING	 0 /* the state file is being read */
#define CHAIN_CONNECTING 1 /* no endpoint that passed the guards */
#define CHAIN_READY	 2
#define CHAIN_REFUSED	 3 /* a guard said no: nothing is signed */
#define CHAIN_FAILED	 4 /* state file, key or lock: nothing is signed until a restart */
extern const char *const chain_state_names[];

struct settle_conf {
	const char *const *rpc_url;
	uint64_t chain_id;
	const char *settlement_contract, *registry_contract, *bond_contract, *token_address;
	const char *confirmations;
	uint32_t token_decimals, auto_register, mode, pad2;
	const char *private_key, *private_key_file, *identity_path;
	const char *state_path, *lock_dir, *events_dir, *ca_file, *public_url;
	uint32_t allow_insecure_rpc, dry_run, auto_settle, auto_dispute;
	uint64_t poll_ns, rpc_timeout_ns, bump_ns, resend_ns;
	uint64_t max_fee_gwei, min_tip_gwei, max_tx_cost_gwei;
	uint64_t reorg_depth, deadline_margin, log_range, registry_block;
	uint64_t task_cents, hourly_cents, daily_cents, monthly_cents, counterparty_cents;
	uint32_t price_model, pad;
	const char *price_unit;
	uint64_t events_max; /* bytes of one task */
};

/* enum settle_mode */
#define MODE_ESCROW    0
#define MODE_ALLOWANCE 1
struct db_job;
struct collector;

/* Where rollups of the OP stack tell what the data of a transaction cost besides its gas. */
#define DATA_FEE_ORACLE                                                          \
	{                                                                        \
		0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f \
	}

/* What a transaction brought to the contract. */
struct brought {
	uint8_t *data; /* owned; NULL: none is looked at */
	size_t n;
	uint64_t block; /* 0: not known */
};

struct settle {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct settle_conf *conf;
	const struct lnx_svc_http *http;
	void *http_self;

	/* who we are; the key is in locked memory */
	struct secp *secp;
	struct signer signer;
	const uint8_t *key; /* the signer's */
	uint8_t address[20];
	char did[TASK_DID];
	uint8_t did32[32], ed25519[32];
	struct identity *identity;
	int lock_fd;

	/* the contracts */
	uint8_t settlement[20], registry[20], bond[20], token[20];
	uint8_t separator[32];
	struct u256 price_unit; /* of a CPU second */
	uint32_t confirmations; /* 0: the node tells by <deep_tag> what counts as final */
	const char *deep_tag;	/* literal; NULL */
	uint32_t has_bond;
	uint32_t is_compat;  /* only the known functions are there */
	uint32_t has_oracle; /* the chain takes a fee for data besides gas, and tells it */

	/* the chain as it was last seen */
	uint32_t state; /* enum chain_state */
	char why[SETTLE_WHY];
	struct rpc rpc;
	struct rpc_batch batch, second;
	int at, last;			  /* endpoint in use, -1 none; the one before */
	uint32_t busy;			  /* a turn runs */
	uint32_t is_registered, is_hasty; /* the next turn comes at once */
	void (*then)(struct settle *s), (*then_twin)(struct settle *s);
	void (*after_guard)(struct settle *s), (*after_look)(struct settle *s),
		(*after_watch)(struct settle *s), (*after_proof)(struct settle *s),
		(*after_plan)(struct settle *s), (*after_send)(struct settle *s);
	int rival;			/* that was asked last; of use only when two differed */
	int twin;			/* endpoint that was asked the same; -1 none */
	unsigned twin_n;		/* first calls of the batch that it is asked */
	const char *differs;		/* what two endpoints told differently in this turn */
	uint32_t is_compared, n_differ; /* turns in a row */
	uint64_t deep_block;		/* the newest that counts as final */
	uint64_t head, head_max;	/* of two that tell of it the earlier, and the later */
	uint64_t head_time, nonce_latest, nonce_deep, base_fee, tip; /* wei a unit of gas */
	struct u256 balance;

	/* the outbox */
	struct op *ops;
	struct task *tasks;
	uint32_t n_ops, n_tasks;
	uint64_t look_turn, task_turn;
	uint64_t nonce_floor; /* above every nonce of ours that was mined */
	uint64_t nonce_told;  /* of two endpoints the higher */
	uint64_t plan_turn;
	uint32_t has_renewed; /* the turn before gave something a better price */
	uint64_t log_block;   /* logs up to it were read */
	uint64_t log_head, log_to, log_span;
	uint64_t log_task_to;
	uint8_t log_task[32]; /* whose receipt is looked for besides */
	uint8_t proving[32];  /* the task whose receipt is being fetched */
	struct brought brought;
	struct payee_look payee;
	uint32_t log_is_dirty, n_missed; /* offers of these logs for which there was no room */
	struct op *plan;		 /* what the turn is about to sign */
	unsigned n_alike;      /* first calls of its checks that two endpoints must answer alike */
	unsigned ask_data_fee; /* place in the batch; 0 none */
	sqlite3 *db;	       /* the job's while one runs */
	struct db_job *job;
	char *state_path;

	struct lnx_timer *timer;
	struct collector *collectors;
	uint32_t n_collectors, is_stopping;
	struct lnx_metric *m_depth, *m_seconds, *m_reorgs, *m_fees, *m_block, *m_refused, *m_astray,
		*m_left, *m_back, *m_waiting, *m_missed, *m_forgotten;
};

static inline int64_t settle_now_ms(const struct settle *s)
{
	return (int64_t)(s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)) / SETTLE_MS);
}

/* A clock that is ahead of the chain by more is wrong. */
#define SETTLE_AHEAD_MS 3600000ll

/* When something is, to be written down: a clock that is behind the chain (a boot without a battery) does not make it old. */
static inline int64_t settle_stamp_ms(const struct settle *s)
{
	int64_t now = settle_now_ms(s), head = (int64_t)s->head_time * 1000;

	return now < head ? head : now;
}

/* As late as it certainly is, to forget what is old: a clock that is ahead forgets nothing. 0: the chain was not seen yet. */
static inline int64_t settle_sure_ms(const struct settle *s)
{
	int64_t now = settle_now_ms(s), most = (int64_t)s->head_time * 1000 + SETTLE_AHEAD_MS;

	return !s->head_time ? 0 : now < most ? now : most;
}

/* ---- engine.c: the turn */
void settle_turn(struct settle *s);
/* Ask the endpoint in use; <then> goes on when it has answered. */
void settle_ask(struct settle *s, void (*then)(struct settle *s));
/* As settle_ask, and the first <n> calls are asked of another endpoint as well, if there is one. */
void settle_ask_twin(struct settle *s, unsigned n, void (*then)(struct settle *s));
/* What the other endpoint answered to call <i> of the batch. NULL: there is none, or it is silent. */
const struct rpc_call *settle_second(const struct settle *s, unsigned i);
int settle_is_same(const struct rpc_call *a, const struct rpc_call *b);
/* The first of <n> calls that the other endpoint answered differently: its method, and the turn knows of it. NULL: none. */
const char *settle_compare(struct settle *s, unsigned n);
/* End the turn: nothing more to do now, or the endpoint is of no use. */
void settle_rest(struct settle *s);
void settle_lost(struct settle *s, const char *why);
/* A turn soon. */
void settle_wake(struct settle *s);
void settle_set_state(struct settle *s, uint32_t state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- flush.c: the state file */
int settle_open(struct settle *s);
/* Write what changed, then <then>. */
void settle_flush(struct settle *s, void (*then)(struct settle *s));
void settle_flush_now(struct settle *s); /* at the end: no job runs any more */

/* ---- the steps of a turn, each goes on with the next */
void guard_begin(struct settle *s, void (*then)(struct settle *s)); /* guard.c */
void look_begin(struct settle *s, void (*then)(struct settle *s));  /* look.c */
void watch_begin(struct settle *s, void (*then)(struct settle *s)); /* watch.c */
void proof_begin(struct settle *s, void (*then)(struct settle *s)); /* proof.c */
void plan_begin(struct settle *s, void (*then)(struct settle *s));  /* plan.c */
void send_begin(struct settle *s, void (*then)(struct settle *s));  /* send.c */

#endif
