/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Endpoints: whom to ask, when not to, and what of them may be shown. */
#include "rpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define SEC	    1000000000ull
#define MS	    1000000ull
#define FIRST_MS    250
#define BACKOFF_MAX 7 /* doublings: 32 s */
#define BREAK_S	    30
#define RETRY_MAX_S 600 /* what a server may ask of us */

static uint64_t draw(struct rpc *r)
{
	if (!r->random && getrandom(&r->random, sizeof(r->random), GRND_NONBLOCK) < 0)
		r->random = r->host->now_ns(r->ctx);
	r->random |= 1;
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random;
}

/* Known to be this machine without asking anybody. http_client/1 looks again, at the address that was connected to; here a
 * mistake is told at the start. */
static int is_near(const char *host, size_t n)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr v4;

	if ((n == 9 && !strncasecmp(host, "localhost", 9)) ||
	    (n == 5 && !strncmp(host, "[::1]", 5)))
		return 1;
	if (n >= sizeof(text))
		return 0;
	memcpy(text, host, n);
	text[n] = 0;
	return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

int rpc_endpoint(struct rpc *r, const char *url, char why[RPC_TEXT])
{
	struct rpc_endpoint *e = &r->endpoints[r->n];
	int is_plain = !strncasecmp(url, "http://", 7);
	size_t scheme = is_plain ? 7 : 8, n, host_n;
	const char *host = url + scheme, *at;

	if (!is_plain && strncasecmp(url, "https://", 8) != 0) {
		(void)snprintf(why, RPC_TEXT, "not an http:// or https:// URL");
		return -EINVAL;
	}
	if (r->n == RPC_ENDPOINTS) {
		(void)snprintf(why, RPC_TEXT, "more than %d URLs", RPC_ENDPOINTS);
		return -ENOSPC;
	}
	n = strcspn(host, "/?#");
	at = memrchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	host_n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	if (host_n > n)
		host_n = n;
	if (!host_n || n >= 100) {
		(void)snprintf(why, RPC_TEXT, "a URL without a host");
		return -EINVAL;
	}
	(void)snprintf(e->shown, sizeof(e->shown), "%.*s%.*s", (int)scheme, url, (int)n,
		       host); /* fits */
	if (is_plain && !r->allow_insecure && !is_near(host, host_n)) {
		(void)snprintf(
			why, RPC_TEXT,
			"%s is not of this machine: use https://, or set chain.allow_insecure_rpc",
			e->shown);
		return -EINVAL;
	}
	e->url = strdup(url);
	if (!e->url)
		return -ENOMEM;
	r->n++;
	return 0;
}

int rpc_pick(const struct rpc *r, int not )
{
	uint64_t now = r->host->now_ns(r->ctx);

	for (unsigned k = 1; k <= r->n; k++) {
		int i = (int)(((unsigned)(not +1) + k - 1) % r->n);

		if (i != not &&r->endpoints[i].rest_ns <= now)
			return i;
	}
	return -EAGAIN;
}

static void count(struct rpc *r, const struct rpc_endpoint *e, const char *code)
{
	static const char *const labels[] = { "endpoint", "code", NULL };
	static const struct lnx_metric_desc desc = {
		.name = "linnix_chain_rpc_errors_total",
		.help = "Questions to nodes of the chain that failed.",
		.kind = LNX_COUNTER,
		.labels = labels,
		.max_series = 64
	};
	const char *values[] = { e->shown, code, NULL };
	struct lnx_metric *m;

	if (r->host->metric(r->ctx, &desc, values, &m) == 0)
		r->host->metric_add(r->ctx, m, 1);
}

void rpc_failed(struct rpc *r, unsigned i, uint64_t least_s, const char *why)
{
	struct rpc_endpoint *e = &r->endpoints[i];
	uint64_t ms;

	(void)snprintf(e->why, sizeof(e->why), "%s", why); /* cut is fine: for people */
	e->is_guarded = 0;
	e->head = 0;
	e->head_time = 0;
	if (e->failures < UINT32_MAX)
		e->failures++;
	ms = (uint64_t)FIRST_MS << (e->failures > BACKOFF_MAX ? BACKOFF_MAX : e->failures - 1);
	if (e->failures >= RPC_BREAK_AFTER && ms < BREAK_S * 1000)
		ms = BREAK_S * 1000;
	ms += draw(r) % (ms / 2 + 1);
	if (ms < least_s * 1000)
		ms = least_s * 1000;
	e->rest_ns = r->host->now_ns(r->ctx) + ms * MS;
}

void rpc_good(struct rpc *r, unsigned i)
{
	r->endpoints[i].failures = 0;
	r->endpoints[i].why[0] = 0;
}

static void ask_end(struct rpc_ask *a, int rc)
{
	void (*done)(void *arg, int rc) = a->done;
	void *arg = a->arg;

	a->e = NULL;
	a->call = NULL;
	lnx_buf_done(&a->reply);
	done(arg, rc);
}

static int on_header(void *arg, const char *line, uint64_t n)
{
	static const char name[] = "retry-after:";
	struct rpc_ask *a = arg;
	char text[16] = "";

	if (n <= sizeof(name) || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	n -= sizeof(name) - 1;
	memcpy(text, line + sizeof(name) - 1, n < sizeof(text) ? n : sizeof(text) - 1);
	a->retry_after_s = strtoull(text, NULL, 10); /* a date is 0: our own time-out counts */
	if (a->retry_after_s > RETRY_MAX_S)
		a->retry_after_s = RETRY_MAX_S;
	return 0;
}

static int on_body(void *arg, const void *bytes, uint64_t n)
{
	struct rpc_ask *a = arg;

	lnx_buf_add(&a->reply, bytes, (size_t)n);
	return lnx_buf_error(&a->reply);
}

static void on_done(void *arg, int rc, uint32_t status, const char *why)
{
	struct rpc_ask *a = arg;
	struct rpc_endpoint *e = a->e;
	struct rpc *r = a->r;
	char text[RPC_TEXT], code[16];

	if (rc == 0 && status == 200) {
		(void)snprintf(code, sizeof(code), "reply");
		rc = rpc_read(a->batch, a->first_id, a->reply.data ? a->reply.data : "",
			      a->reply.size, text);
	} else if (rc == 0) {
		(void)snprintf(code, sizeof(code), "%u", status);
		(void)snprintf(text, sizeof(text), "HTTP status %u%s", status,
			       status == 429 ? ": too many requests" : "");
		rc = -EPROTO;
	} else {
		(void)snprintf(code, sizeof(code), "connection");
		(void)snprintf(text, sizeof(text), "%s", why); /* cut is fine: for people */
	}
	if (rc < 0) {
		count(r, e, code);
		rpc_failed(r, (unsigned)(e - r->endpoints), a->retry_after_s, text);
	}
	ask_end(a, rc);
}

int rpc_send(struct rpc *r, unsigned i, struct rpc_batch *b, void (*done)(void *arg, int rc),
	     void *arg)
{
	static const char *const headers[] = { "Content-Type: application/json",
					       "Accept: application/json", NULL };
	struct lnx_http_ask ask = { .size = sizeof(ask),
				    .method = "POST",
				    .headers = headers,
				    .connect_timeout_ns = 5 * SEC,
				    .max_body_bytes = RPC_REPLY_BYTES,
				    .on_body = on_body,
				    .on_done = on_done,
				    .on_header = on_header };
	struct lnx_buf body = { .max = RPC_REPLY_BYTES };
	struct rpc_ask *a = r->asks;
	int rc;

	while (a < r->asks + RPC_ASKS && a->e)
		a++;
	if (a == r->asks + RPC_ASKS)
		return -EBUSY;
	if (b->error)
		return b->error;
	*a = (struct rpc_ask){ .r = r, .batch = b, .done = done, .arg = arg };
	a->reply.max = RPC_REPLY_BYTES + 1;
	a->first_id = r->next_id + 1;
	r->next_id += b->n;
	rpc_write(b, a->first_id, &body);
	ask.flags = r->allow_insecure ? LNX_HTTPC_PLAINTEXT : 0;
	ask.url = r->endpoints[i].url;
	ask.body = body.data;
	ask.body_bytes = body.size;
	ask.ca_file = r->ca_file;
	ask.total_timeout_ns = r->timeout_ns;
	ask.arg = a;
	rc = lnx_buf_error(&body);
	if (rc == 0)
		rc = r->http->start(r->http_self, &ask, &a->call);
	lnx_buf_done(&body);
	if (rc == 0)
		a->e = &r->endpoints[i];
	return rc;
}

void rpc_done(struct rpc *r)
{
	for (unsigned i = 0; i < RPC_ASKS; i++) {
		if (r->asks[i].e)
			r->http->cancel(r->http_self, r->asks[i].call);
		lnx_buf_done(&r->asks[i].reply);
	}
	for (unsigned i = 0; i < r->n; i++) {
		if (r->endpoints[i].url)
			explicit_bzero(r->endpoints[i].url, strlen(r->endpoints[i].url));
		free(r->endpoints[i].url);
	}
}
