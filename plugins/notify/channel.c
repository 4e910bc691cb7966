/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When a message goes: one at a time, after what the receiver asked for, in groups, at a rate. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notify.h"

#define HOUR_NS (3600 * NOTIFY_SEC)

static int is_due_again(const struct lnx_channel *ch, const struct item *it)
{
	return ch->d.resend_ns && it->is_told && !it->waits && !it->is_sent;
}

/* When the next message may go; UINT64_MAX: nothing is to be told. */
static uint64_t next_ns(const struct lnx_channel *ch, uint64_t now)
{
	uint64_t at = UINT64_MAX;

	for (const struct item *it = ch->first; it; it = it->next) {
		if (it->waits)
			at = now;
		else if (is_due_again(ch, it) && it->told_ns + ch->d.resend_ns < at)
			at = it->told_ns + ch->d.resend_ns;
	}
	if (at == UINT64_MAX)
		return at;
	if (at < ch->retry_ns)
		at = ch->retry_ns;
	if (ch->sent_ns && at < ch->sent_ns + ch->d.group_ns && !ch->solo)
		at = ch->sent_ns + ch->d.group_ns;
	if (ch->d.rate && !ch->solo && ch->in_window >= ch->d.rate && at < ch->window_ns + HOUR_NS)
		at = ch->window_ns + HOUR_NS;
	return at;
}

void channel_arm(struct lnx_channel *ch)
{
	struct notify *n = ch->n;
	uint64_t now = n->host->now_ns(n->ctx), at;
	uint32_t waiting = 0;

	for (const struct item *it = ch->first; it; it = it->next)
		waiting += it->waits || it->is_sent;
	n->host->metric_set(n->ctx, ch->m_waiting, waiting);
	if (ch->is_busy || !ch->is_loaded)
		return;
	at = next_ns(ch, now);
	if (at == UINT64_MAX)
		n->host->timer_stop(n->ctx, ch->timer);
	else
		(void)n->host->timer_set(n->ctx, ch->timer, at > now ? at - now : 0,
					 0); /* an existing timer can be set */
}

static void channel_go(void *arg)
{
	struct lnx_channel *ch = arg;
	uint64_t now = ch->n->host->now_ns(ch->n->ctx);

	if (ch->is_busy || !ch->is_loaded)
		return;
	for (struct item *it = ch->first; it; it = it->next) {
		if (!is_due_again(ch, it) || it->told_ns + ch->d.resend_ns > now)
			continue;
		it->waits = 1; /* not kept: a restart looks itself */
		it->what = LNX_NOTICE_UPDATE;
		item_stamp(ch, it);
	}
	if (next_ns(ch, now) <= now)
		send_message(ch);
	channel_arm(ch);
}

/* ---- ends */

static void arrived(struct lnx_channel *ch, struct item *it, uint64_t now)
{
	struct notify *n = ch->n;

	int is_news = it->is_kept || !it->is_told;

	n->host->metric_add(n->ctx, ch->m_delivered, 1);
	it->is_told = 1;
	it->told_ns = now;
	if (it->keep.size && !lnx_buf_error(&it->keep) &&
	    (!it->kept || strcmp(it->kept, it->keep.data) != 0)) {
		free(it->kept);
		it->kept = strdup(it->keep.data); /* NULL: the next message says it again */
		is_news = 1;
	}
	if (it->rev == it->sent_rev)
		it->waits = 0;
	if (!it->waits && it->sent_what == LNX_NOTICE_CLOSE) {
		keep_del(ch, it);
		item_del(ch, it);
	} else if (is_news) {
		keep_save(ch, it);
	}
}

/* The receiver understood, and does not want it. */
static void refused(struct lnx_channel *ch, struct item *it)
{
	struct notify *n = ch->n;

	n->host->metric_add(n->ctx, ch->m_refused, 1);
	it->waits = it->rev != it->sent_rev;
	if (it->waits)
		keep_save(ch, it);
	else
		item_give_up(ch, it, it->sent_what);
}

static void count_message(struct lnx_channel *ch, uint64_t now)
{
	if (!ch->window_ns || now >= ch->window_ns + HOUR_NS) {
		ch->window_ns = now;
		ch->in_window = 0;
	}
	ch->in_window++;
	ch->sent_ns = now;
}

static void wait_longer(struct lnx_channel *ch, uint64_t now, const char *why)
{
	struct notify *n = ch->n;
	uint64_t wait = NOTIFY_RETRY_MAX;

	n->host->metric_add(n->ctx, ch->m_failures, 1);
	if (ch->failures < 9)
		wait = NOTIFY_SEC << ch->failures;
	if (wait > NOTIFY_RETRY_MAX)
		wait = NOTIFY_RETRY_MAX;
	ch->failures++;
	n->random = n->random * 6364136223846793005ULL + 1442695040888963407ULL;
	wait = wait / 2 + (n->random >> 16) % (wait / 2); /* so that a thousand nodes spread */
	if (ch->after_ns > wait)
		wait = ch->after_ns;
	ch->retry_ns = now + wait;
	if (ch->failures == 1)
		n->host->log(n->ctx, LNX_WARN, "%s: %s; it is tried again in %llu ms", ch->name,
			     why, (unsigned long long)(wait / 1000000));
	if (ch->failures >= 3)
		n->host->health(n->ctx, ch->name, LNX_HEALTH_DEGRADED, why);
}

static void works_again(struct lnx_channel *ch)
{
	struct notify *n = ch->n;

	if (ch->failures)
		n->host->log(n->ctx, LNX_INFO, "%s: messages arrive again", ch->name);
	ch->failures = 0;
	ch->retry_ns = 0;
	n->host->health(n->ctx, ch->name, LNX_HEALTH_OK, "");
}

void channel_done(struct lnx_channel *ch, int rc, const char *why)
{
	uint64_t now = ch->n->host->now_ns(ch->n->ctx);
	uint32_t n_sent = ch->n_sent, was_solo = ch->solo;
	struct item *it, *next;

	ch->is_busy = 0;
	ch->n_sent = 0;
	if (rc == -EBADMSG && n_sent > 1)
		ch->solo = n_sent; /* which of them is it? */
	else if (ch->solo && (!rc || rc == -EBADMSG))
		ch->solo--;
	for (it = ch->first; it; it = next) {
		next = it->next;
		if (!it->is_sent)
			continue;
		it->is_sent = 0;
		if (!rc)
			arrived(ch, it, now);
		else if (rc == -EBADMSG && n_sent == 1)
			refused(ch, it);
	}
	if (rc == -EBADMSG)
		ch->n->host->log(ch->n->ctx, LNX_WARN, "%s: %s", ch->name, why);
	if (!rc || rc == -EBADMSG) {
		works_again(ch);
		/* a group that is to go one by one is still one message of the rate */
		if (!was_solo && (!rc || n_sent > 1))
			count_message(ch, now);
	} else {
		wait_longer(ch, now, why);
	}
	ch->after_ns = 0;
	channel_arm(ch);
}

/* ---- life */

int channel_check(struct notify *n, const char *name, const struct lnx_channel_desc *d)
{
	if (d->size < sizeof(*d) || !*name || strlen(name) >= LNX_NOTIFY_NAME_MAX ||
	    (!d->render && !d->write) || !d->batch || d->batch > NOTIFY_BATCH) {
		n->host->log(n->ctx, LNX_ERROR, "%.40s: this is no channel", name);
		return -EINVAL;
	}
	if (d->render && !n->http) {
		n->host->log(n->ctx, LNX_ERROR, "%s: needs plugin http_client", name);
		return -ENOENT;
	}
	return 0;
}

static int channel_metrics(struct lnx_channel *ch)
{
	static const char *const by_channel[] = { "channel", NULL }, *const by_reason[] = {
		"channel", "reason", NULL
	};
	static const struct lnx_metric_desc waiting = { .name = "linnix_notify_waiting",
							.help = "Incidents still to be told.",
							.kind = LNX_GAUGE,
							.labels = by_channel },
					    delivered = { .name = "linnix_notify_delivered_total",
							  .help = "Incidents told.",
							  .kind = LNX_COUNTER,
							  .labels = by_channel },
					    failures = { .name = "linnix_notify_failures_total",
							 .help = "Tries that failed.",
							 .kind = LNX_COUNTER,
							 .labels = by_channel },
					    dropped = { .name = "linnix_notify_dropped_total",
							.help = "Incidents never told.",
							.kind = LNX_COUNTER,
							.labels = by_reason };
	static const char *const reasons[] = { "full", "refused", "expired", "gone", "silenced" };
	struct lnx_metric **of_reason[] = { &ch->m_full, &ch->m_refused, &ch->m_expired,
					    &ch->m_gone, &ch->m_silenced };
	const struct lnx_host *host = ch->n->host;
	const char *values[] = { ch->name, NULL };
	int rc = host->metric(ch->n->ctx, &waiting, values, &ch->m_waiting);

	if (!rc)
		rc = host->metric(ch->n->ctx, &delivered, values, &ch->m_delivered);
	if (!rc)
		rc = host->metric(ch->n->ctx, &failures, values, &ch->m_failures);
	for (unsigned i = 0; !rc && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		values[1] = reasons[i];
		rc = host->metric(ch->n->ctx, &dropped, values, of_reason[i]);
	}
	return rc;
}

int channel_new(struct notify *n, const char *name, const struct lnx_channel_desc *d,
		struct lnx_channel **ret_ch)
{
	struct lnx_channel *ch = calloc(1, sizeof(*ch));
	uint64_t h = 0xcbf29ce484222325ULL;
	int rc;

	if (!ch)
		return -ENOMEM;
	ch->n = n;
	ch->d = *d;
	(void)snprintf(ch->name, sizeof(ch->name), "%s", name); /* channel_check looked */
	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3ULL;
	(void)snprintf(ch->key, sizeof(ch->key), "%016llx", (unsigned long long)h); /* fits */
	rc = channel_metrics(ch);
	if (!rc)
		rc = n->host->timer_add(n->ctx, NOTIFY_SEC, 0, channel_go, ch, &ch->timer);
	if (rc) {
		free(ch);
		return rc;
	}
	*ret_ch = ch;
	return 0;
}

void channel_free(struct lnx_channel *ch)
{
	struct notify *n = ch->n;

	if (ch->call)
		n->http->cancel(n->http_self, ch->call);
	n->host->timer_del(n->ctx, ch->timer);
	while (ch->first)
		item_del(ch, ch->first);
	free(ch);
}
