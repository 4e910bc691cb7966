/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* JSON-RPC to nodes of the chain, over http_client/1. What a node says is never trusted to be well formed. Loop thread only. */
#ifndef LNX_SETTLE_RPC_H
#define LNX_SETTLE_RPC_H

#include <jansson.h>
#include <linnix/buf.h>
#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>

#define RPC_ENDPOINTS	8
#define RPC_CALLS	64	   /* of one request */
#define RPC_REPLY_BYTES (4u << 20) /* of one answer */
#define RPC_TEXT	160
#define RPC_BREAK_AFTER 5 /* failures in a row, then it is left alone */

/* One call of a batch and what became of it. */
struct rpc_call {
	const char *method; /* literal */
	char *params;	    /* JSON array; owned */
	json_t *result;	    /* owned; NULL: is_error, or not asked yet */
	int is_error;
	long code;
	char text[RPC_TEXT]; /* of the error, made printable */
	char *data;	     /* what a revert returned, "0x…"; owned, NULL none */
};

struct rpc_batch {
	struct rpc_call calls[RPC_CALLS];
	unsigned n;
	int error; /* -ENOMEM, -ENOSPC: sticks */
};

struct rpc_endpoint {
	char *url;	    /* secret: keys lie in paths */
	char shown[128];    /* scheme, host and port */
	uint32_t failures;  /* since all that was asked of it was good */
	uint64_t rest_ns;   /* not to be asked before */
	uint64_t head;	    /* newest block that it told of since its last failure, */
	uint64_t head_time; /* and its time */
	int is_guarded;	    /* it passed the guards since its last failure */
	char why[RPC_TEXT]; /* of the last failure */
};

struct rpc_ask {
	struct rpc *r;
	struct rpc_endpoint *e; /* NULL: free */
	struct lnx_http_call *call;
	struct rpc_batch *batch;
	uint64_t first_id, retry_after_s;
	struct lnx_buf reply;
	void (*done)(void *arg, int rc);
	void *arg;
};

#define RPC_ASKS 2

struct rpc {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct lnx_svc_http_client *http;
	void *http_self;
	struct rpc_endpoint endpoints[RPC_ENDPOINTS];
	unsigned n;
	struct rpc_ask asks[RPC_ASKS];
	uint64_t next_id, random, timeout_ns;
	const char *ca_file; /* borrowed */
	uint32_t allow_insecure;
};

/* ---- rpc_reply.c: no host, so that it can be fuzzed */

/* Append a call; <fmt> gives its parameters, a JSON array. NULL: full or no memory, and the batch says so. */
struct rpc_call *rpc_add(struct rpc_batch *b, const char *method, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void rpc_reset(struct rpc_batch *b);
/* The request of a batch. */
void rpc_write(const struct rpc_batch *b, uint64_t first_id, struct lnx_buf *out);
/* Read the answer to it: every call gets its result or its error, or all fails. 0 or -EPROTO with <why>. */
int rpc_read(struct rpc_batch *b, uint64_t first_id, const char *bytes, size_t n,
	     char why[RPC_TEXT]);
/* Hex quantity or bytes of a result. 0, -EPROTO (not there, or not that). */
int rpc_u64(const struct rpc_call *c, uint64_t *ret);
int rpc_word(const struct rpc_call *c, unsigned i, uint8_t ret[32]);
/* Bytes of a result that is "0x…", or -1. */
long rpc_bytes(const struct rpc_call *c);
/* Member of an object: a text, "" when it is not there or none; and a hex quantity, 0 or -EPROTO. */
const char *rpc_text_at(const json_t *object, const char *key);
int rpc_u64_at(const json_t *object, const char *key, uint64_t *ret);

/* ---- rpc.c */

/* Add an endpoint. 0, -EINVAL with <why> (no URL, or one that would send money's secrets in the clear), -ENOSPC. */
int rpc_endpoint(struct rpc *r, const char *url, char why[RPC_TEXT]);
/* Ask endpoint <i>. <done> runs later, once: rc 0, the batch is filled; or -errno, endpoints[i].why tells.
 * -EBUSY: too many asks run; -errno of http_client/1. */
int rpc_send(struct rpc *r, unsigned i, struct rpc_batch *b, void (*done)(void *arg, int rc),
	     void *arg);
/* The endpoint to use: the next behind <not> (-1: from the first) that does not rest, and is another. -EAGAIN: none now. */
int rpc_pick(const struct rpc *r, int not );
/* It answered, but not as it should: rest, grow the time-out. */
void rpc_failed(struct rpc *r, unsigned i, uint64_t least_s, const char *why);
/* All of a look was as it should be: its failures are forgotten. One good answer alone is no proof of that. */
void rpc_good(struct rpc *r, unsigned i);
void rpc_done(struct rpc *r);

#endif
