/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* List and watch: a list tells what is there, a watch from its version tells what changes, and whatever goes wrong leads back
 * to one of the two after a while. What was known stays known meanwhile. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "k8s.h"

#define MS	       1000000ull
#define BACKOFF_MIN_MS 1000u
#define BACKOFF_MAX_MS 60000u
#define WATCH_GOOD_NS  30000000000ull /* who was served so long begins anew with short waits */

static uint64_t sync_random(struct k8s *k)
{
	/* xorshift: only there so that a thousand nodes do not ask at once */
	k->random ^= k->random << 13;
	k->random ^= k->random >> 7;
	k->random ^= k->random << 17;
	return k->random;
}

/* Next try after <ms>, give or take half of it. */
static void sync_later(struct k8s *k, uint32_t ms)
{
	uint64_t ns = ms ? (ms / 2 + sync_random(k) % ms) * MS : 0;

	(void)k->host->timer_set(k->ctx, k->timer, ns, 0); /* an existing timer can be set */
}

static uint32_t sync_backoff(const struct k8s *k)
{
	uint32_t ms = BACKOFF_MIN_MS << (k->failures < 6 ? k->failures : 6);

	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

/* Names are lost only before the first list: later they are merely old. */
static void sync_failed(struct k8s *k, const char *why)
{
	char text[512];

	if (k->state != LNX_K8S_UNSYNCED)
		k->state = LNX_K8S_STALE;
	(void)snprintf(text, sizeof(text), "%s; %s", why,
		       k->state == LNX_K8S_STALE ? "what is known of pods may be old"
						 : "pods have no names yet"); /* for people */
	k->host->health(k->ctx, "pods",
			k->state == LNX_K8S_STALE ? LNX_HEALTH_DEGRADED : LNX_HEALTH_LOST, text);
	k->host->metric_add(k->ctx, k->m_failures, 1);
	sync_later(k, sync_backoff(k));
	k->failures++;
	k8s_measure(k);
}

static void sync_good(struct k8s *k)
{
	k->state = LNX_K8S_SYNCED;
	k->host->health(k->ctx, "pods", LNX_HEALTH_OK, "");
	k8s_measure(k);
}

/* ---- what comes */

static void sync_put(struct k8s *k)
{
	struct k8s_pod *p;
	int change;

	p = k8s_pods_put(&k->pods, k->scratch, &change);
	if (!p && k8s_pods_get(&k->pods, k->scratch->uid))
		k->is_partial = true; /* no memory: it stays as it was */
	if (p && change >= 0)
		k8s_tell(k, p, (uint32_t)change);
}

static void sync_gone(struct k8s *k, struct k8s_pod *p)
{
	if (!p || p->deleted_ns)
		return;
	k8s_pods_gone(&k->pods, p, k->host->now_ns(k->ctx));
	k8s_tell(k, p, LNX_K8S_POD_DELETED);
}

static int sync_item(struct k8s *k, const char *data, size_t n)
{
	if (k8s_pod_read(data, n, k->scratch) < 0) {
		k->host->metric_add(k->ctx, k->m_bad, 1);
		k->is_partial = true;
		return 0; /* the others are good */
	}
	sync_put(k);
	return 0;
}

static int sync_line(struct k8s *k, const char *data, size_t n)
{
	struct k8s_line line;

	if (k8s_line_read(data, n, &line, k->scratch) < 0) {
		k->host->metric_add(k->ctx, k->m_bad, 1);
		return -EBADMSG; /* what comes after a line that was not understood may be wrong */
	}
	k->host->metric_add(k->ctx, k->m_events, 1);
	switch (line.change) {
	case K8S_ADDED:
	case K8S_MODIFIED:
		sync_put(k);
		break;
	case K8S_DELETED:
		sync_put(k); /* its last state */
		sync_gone(k, k8s_pods_get(&k->pods, k->scratch->uid));
		break;
	case K8S_ERROR:
		(void)snprintf(k->message, sizeof(k->message), "%s", line.message); /* fits */
		return line.code == 410 ? -ESTALE : -EREMOTEIO;
	case K8S_BOOKMARK:
		k->has_bookmarks = true;
		break;
	default:
		break;
	}
	if (k->scratch->version[0])
		memcpy(k->version, k->scratch->version, sizeof(k->version));
	k->failures = 0;
	k8s_pods_expire(&k->pods, k->host->now_ns(k->ctx), k->conf->keep_gone_ns);
	k8s_measure(k);
	return 0;
}

static int sync_piece(void *arg, uint32_t piece, const char *data, size_t n)
{
	struct k8s *k = arg;

	switch (piece) {
	case K8S_PIECE_META:
		k8s_meta_read(data, n, k->version, sizeof(k->version));
		return 0;
	case K8S_PIECE_LARGE:
		k->host->metric_add(k->ctx, k->m_bad, 1);
		k->is_partial = true;
		return k->is_watch ? -EBADMSG : 0;
	default:
		return k->is_watch ? sync_line(k, data, n) : sync_item(k, data, n);
	}
}

static int sync_head(void *arg, uint32_t status)
{
	struct k8s *k = arg;

	k->status = status;
	/* the server takes the watch: what is known is up to date */
	if (status == 200 && k->is_watch && k->state == LNX_K8S_STALE)
		sync_good(k);
	return 0;
}

static int sync_body(void *arg, const void *bytes, uint64_t n)
{
	struct k8s *k = arg;
	size_t have = strlen(k->message), room = sizeof(k->message) - 1 - have;

	k->has_bytes = true;
	if (k->status == 200)
		return k8s_items_feed(&k->items, bytes, n, sync_piece, k);
	/* an error: only its beginning is of interest */
	if (n > room)
		n = room;
	memcpy(k->message + have, bytes, n);
	k->message[have + n] = 0;
	return 0;
}

/* ---- ends */

/* Pods that the list did not name are gone; but not when one of its items could not be read, for it may be any of them. */
static void sync_listed(struct k8s *k)
{
	uint32_t i;

	/* from the end: what gives way to another one is replaced by the last */
	for (i = k->is_partial ? 0 : k->pods.n; i-- > 0;)
		if (k->pods.list[i]->round != k->pods.round)
			sync_gone(k, k->pods.list[i]);
	k8s_pods_expire(&k->pods, k->host->now_ns(k->ctx), k->conf->keep_gone_ns);
	k8s_items_trim(&k->items);
	k->is_from_etcd = false;
	k->is_relist = false;
	sync_good(k);
	sync_later(k, 0);
}

/* An answer that is no 200, in words that tell what to do. */
static void sync_refused(struct k8s *k)
{
	char message[160], why[400];

	k8s_status_read(k->message, strlen(k->message), message, sizeof(message));
	if (k->status == 401)
		(void)snprintf(
			why, sizeof(why),
			"the API server refuses the token (401): is %.160s of this cluster, and not too old?",
			k->conf->token_file); /* for people, as below */
	else if (k->status == 403)
		(void)snprintf(
			why, sizeof(why),
			"the API server forbids it (403): the service account needs get, list and watch of pods. %s",
			message);
	else
		(void)snprintf(why, sizeof(why), "the API server answers %u. %s", k->status,
			       message);
	sync_failed(k, why);
}

static void sync_watch_done(struct k8s *k, int rc, const char *why)
{
	char text[400];

	if (rc == -ESTALE) { /* the version is too old: nothing is wrong, but a list is needed */
		k->is_relist = true;
		sync_later(k, sync_backoff(k));
		k->failures++;
		return;
	}
	if (k->host->now_ns(k->ctx) - k->began_ns > WATCH_GOOD_NS)
		k->failures = 0;
	k->has_watched = k->has_watched || rc == 0;
	if (rc == 0 && k->has_bytes) { /* its time was over: nothing is missed meanwhile */
		sync_later(k, BACKOFF_MIN_MS);
		return;
	}
	/* cut off, or nothing came: go on from the last version, and list when that does not help */
	k->is_relist = k->is_relist || rc == -EBADMSG || rc == -EREMOTEIO || k->failures > 0;
	if (rc == 0 && !k->failures) {
		sync_later(k, BACKOFF_MIN_MS);
		k->failures++;
		return;
	}
	(void)snprintf(text, sizeof(text), "the watch of pods at %.120s ended: %.200s", k->base_url,
		       rc == -EREMOTEIO ? k->message
		       : *why		? why
					: "nothing came"); /* for people */
	sync_failed(k, text);
}

static void sync_done(void *arg, int rc, uint32_t status, const char *why)
{
	struct k8s *k = arg;
	char text[400];

	k->call = NULL;
	k->status = status;
	if (rc == 0 && status == 410) { /* of a list or a watch: the newest state will do */
		k->is_relist = k->is_from_etcd = true;
		sync_later(k, sync_backoff(k));
		k->failures++;
	} else if (rc == 0 && status != 200) {
		sync_refused(k);
	} else if (k->is_watch) {
		sync_watch_done(k, rc, why);
	} else if (rc == 0 && k->items.is_over && k->version[0]) {
		sync_listed(k);
	} else {
		(void)snprintf(text, sizeof(text),
			       "the list of pods at %.120s did not come: %.200s", k->base_url,
			       rc == 0 ? "the answer is no list" : why); /* for people */
		sync_failed(k, text);
	}
}

/* ---- asking */

static void sync_ask(void *arg)
{
	static const struct lnx_http_ask callbacks = {
		.size = sizeof(callbacks),
		.on_head = sync_head,
		.on_body = sync_body,
		.on_done = sync_done,
	};
	struct k8s *k = arg;
	struct lnx_http_ask ask = callbacks;

	if (k->call)
		return;
	ask.arg = k;
	k->is_watch = !k->is_relist;
	k->has_bytes = false;
	k->is_partial = false;
	k->began_ns = k->host->now_ns(k->ctx);
	k->status = 0;
	k->message[0] = 0;
	(void)sync_random(k);
	k8s_items_begin(&k->items, !k->is_watch);
	if (!k->is_watch)
		k->pods.round++;
	k->host->metric_add(k->ctx, k->is_watch ? k->m_watches : k->m_lists, 1);
	if (k8s_ask(k, &ask) < 0)
		sync_failed(k, k->message);
}

int k8s_sync_start(struct k8s *k)
{
	k->is_relist = true;
	k->random =
		k->host->now_ns(k->ctx) * 0x9e3779b97f4a7c15ull ^ k->host->ident(k->ctx)->agent_pid;
	k->random |= 1;
	k->state = LNX_K8S_UNSYNCED;
	return k->host->timer_add(k->ctx, 0, 0, sync_ask, k, &k->timer);
}

void k8s_sync_stop(struct k8s *k)
{
	if (k->call)
		k->http->cancel(k->http_self, k->call);
	k->call = NULL;
	k->host->timer_del(k->ctx, k->timer);
	k->timer = NULL;
}
