/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What one client may take: connections, requests a second, time on the loop, memory of answers it does not read. */
#include "http.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>

#define HTTP_PROBES	16   /* slots of the table that are looked at for one client */
#define HTTP_CONN_SPARE 32   /* connections that clients on this machine leave to others */
#define HTTP_SMALL	8192 /* bytes of an answer that is always given */
#define HTTP_BURST_S	2.0  /* what a client did not use for so long it may use at once */

static void http_peer_key(const struct sockaddr *addr, uint32_t uid, uint8_t key[20])
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)addr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)addr;

	memset(key, 0, 20);
	if (addr && addr->sa_family == AF_INET) {
		key[0] = 4;
		memcpy(key + 1, &v4->sin_addr, 4);
	} else if (addr && addr->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		key[0] = 4;
		memcpy(key + 1, v6->sin6_addr.s6_addr + 12, 4);
	} else if (addr && addr->sa_family == AF_INET6) {
		key[0] = 6;
		/* one client commands a whole /64 */
		memcpy(key + 1, &v6->sin6_addr, IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? 16 : 8);
	} else {
		key[0] = 1;
		memcpy(key + 1, &uid, sizeof(uid));
	}
}

/* ns of CPU time a second. */
static double http_work_rate(const struct http *s)
{
	return s->conf->work_limit / 100.0 * 1e9;
}

static void http_peer_refill(const struct http *s, struct http_peer *p, uint64_t now)
{
	double rate = s->conf->rate_limit, work = http_work_rate(s), seconds;

	seconds = now > p->credit_ns ? (double)(now - p->credit_ns) / 1e9 : 0;
	p->credit_ns = now;
	p->credit = fmin(p->credit + seconds * rate, HTTP_BURST_S * rate);
	p->work_ns = fmin(p->work_ns + seconds * work, HTTP_BURST_S * work);
}

static bool http_peer_is_idle(const struct http *s, const struct http_peer *p, uint64_t now)
{
	double ns = now > p->credit_ns ? (double)(now - p->credit_ns) : 0;

	return !p->n_conns && !p->pending_bytes && ns >= HTTP_BURST_S * 1e9 &&
	       p->work_ns + ns / 1e9 * http_work_rate(s) >= 0;
}

struct http_peer *http_peer_of(struct http *s, const struct sockaddr *addr, uint32_t uid)
{
	uint64_t now = s->host->now_ns(s->ctx);
	struct http_peer *free_slot = NULL;
	uint32_t hash = 2166136261u;
	uint8_t key[20];
	unsigned i;

	http_peer_key(addr, uid, key);
	for (i = 0; i < sizeof(key); i++)
		hash = (hash ^ key[i]) * 16777619u;
	for (i = 0; i < HTTP_PROBES; i++) {
		struct http_peer *p = &s->peers[(hash + i) % HTTP_MAX_PEERS];

		if (p->is_used && !memcmp(p->key, key, sizeof(key)))
			return p;
		if (!free_slot && (!p->is_used || http_peer_is_idle(s, p, now)))
			free_slot = p;
	}
	if (!free_slot)
		return &s->peers[HTTP_MAX_PEERS]; /* those that do not fit share one allowance */
	memset(free_slot, 0, sizeof(*free_slot));
	memcpy(free_slot->key, key, sizeof(key));
	free_slot->is_used = true;
	free_slot->credit = HTTP_BURST_S * s->conf->rate_limit;
	free_slot->work_ns = HTTP_BURST_S * http_work_rate(s);
	free_slot->credit_ns = now;
	return free_slot;
}

static bool http_is_local(const struct sockaddr *addr)
{
	struct sockaddr_storage copy = { 0 };

	if (!addr)
		return true;
	memcpy(&copy, addr,
	       addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					   : sizeof(struct sockaddr_in));
	return http_addr_is_loopback(&copy);
}

int http_peer_admit(struct http *s, struct http_peer *p, const struct sockaddr *addr)
{
	/* All programs of this machine share one address: they get what the others leave. */
	uint32_t max = http_is_local(addr) ? s->max_conns - HTTP_CONN_SPARE
					   : s->conf->max_connections_per_client;

	return p->n_conns < max ? 0 : -EDQUOT;
}

int http_peer_spend(struct http *s, struct http_peer *p)
{
	http_peer_refill(s, p, s->host->now_ns(s->ctx));
	if (!s->conf->rate_limit)
		return 0;
	if (p->credit < 1)
		return -EAGAIN;
	p->credit -= 1;
	return 0;
}

uint32_t http_peer_wait_s(const struct http *s, const struct http_peer *p)
{
	if (!s->conf->work_limit || p->work_ns >= 0)
		return 0;
	return 1 + (uint32_t)(-p->work_ns / http_work_rate(s));
}

void http_peer_charge(const struct http *s, struct http_peer *p, uint64_t cpu_ns)
{
	if (s->conf->work_limit)
		p->work_ns -= (double)cpu_ns;
}

bool http_pending_fits(struct http *s, const struct http_peer *p, uint64_t bytes)
{
	/* One client may hold half of it, and a single answer is never too large for an idle agent. */
	return bytes <= HTTP_SMALL || (s->pending_bytes == 0) ||
	       (s->pending_bytes + bytes <= s->conf->max_pending &&
		(p->pending_bytes == 0 || p->pending_bytes + bytes <= s->conf->max_pending / 2));
}

void http_pending_add(struct http_conn *c, int64_t bytes)
{
	struct http *s = c->listener->http;

	s->pending_bytes += (uint64_t)bytes;
	c->peer->pending_bytes += (uint64_t)bytes;
	c->pending_bytes += (uint64_t)bytes;
}
