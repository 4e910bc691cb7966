/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One message: the incidents as they are now, the channel's words, the request, and what the answer means. */
#include <errno.h>
#include <linnix/secret.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "notify.h"

#define ANSWER_BYTES 65536u

/* ---- what the answer means */

/* Seconds, or a date. */
static uint64_t parse_after(const struct notify *n, const char *text)
{
	struct tm tm = { 0 };
	char *end;
	unsigned long long s = strtoull(text, &end, 10);
	uint64_t now = notify_wall(n), at;

	if (end != text && !*end && *text != '-')
		return s > 3600 ? NOTIFY_AFTER_MAX : s * NOTIFY_SEC;
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end || timegm(&tm) < 0)
		return 0;
	at = (uint64_t)timegm(&tm) * NOTIFY_SEC;
	at = at > now ? at - now : 0;
	return at > NOTIFY_AFTER_MAX ? NOTIFY_AFTER_MAX : at;
}

static int on_header(void *arg, const char *line, uint64_t n)
{
	static const char name[] = "Retry-After:";
	struct lnx_channel *ch = arg;
	char text[64];
	uint64_t k = 0;

	if (n < sizeof(name) - 1 || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	line += sizeof(name) - 1;
	n -= sizeof(name) - 1;
	while (n && *line == ' ') {
		line++;
		n--;
	}
	for (; k < n && k < sizeof(text) - 1; k++)
		text[k] = line[k];
	text[k] = 0;
	ch->after_ns = parse_after(ch->n, text);
	return 0;
}

static void on_done(void *arg, int rc, uint32_t status, const char *why)
{
	struct lnx_channel *ch = arg;
	char text[NOTIFY_WHY];

	ch->call = NULL;
	if (rc == 0 && status / 100 == 2) {
		channel_done(ch, 0, "");
		return;
	}
	if (rc == 0) {
		(void)snprintf(text, sizeof(text), "the receiver answers %u", status); /* fits */
		why = text;
		/* the request itself is bad: the same again would be, too */
		rc = status == 400 || status == 413 || status == 422 ? -EBADMSG : -EAGAIN;
		if (status != 429 && status != 503)
			ch->after_ns = 0;
	}
	channel_done(ch, rc, why);
}

/* ---- the message */

/* It is never told. */
static void drop(struct lnx_channel *ch, struct item *it, struct lnx_metric *m)
{
	struct notify *n = ch->n;

	/* what is told again and again is not news each time */
	if (it->is_kept || m != ch->m_silenced)
		n->host->metric_add(n->ctx, m, 1);
	if (ch->solo) /* one less of those that go one by one */
		ch->solo--;
	item_give_up(ch, it, m == ch->m_gone ? LNX_NOTICE_CLOSE : it->what);
}

/* 0, or why none could be made now. */
static int gather(struct lnx_channel *ch, struct message *m)
{
	uint32_t max = ch->solo ? 1 : ch->d.batch;
	struct item *it, *next;
	int rc = 0;

	for (it = ch->first; it && m->n < max; it = next) {
		next = it->next;
		if (!it->waits)
			continue;
		if (item_age_ns(ch, it) > ch->d.give_up_ns) {
			drop(ch, it, ch->m_expired);
			continue;
		}
		rc = message_add(ch, m, it);
		if (rc == -ENOENT || rc == -ECANCELED)
			drop(ch, it, rc == -ENOENT ? ch->m_gone : ch->m_silenced);
		else if (rc < 0)
			return m->n ? 0 : rc;
	}
	return 0;
}

static const char **header_list(struct lnx_buf *text)
{
	char *at = text->data, *end;
	const char **list;
	size_t n = 0;

	for (size_t i = 0; i < text->size; i++)
		n += text->data[i] == '\n';
	list = calloc(n + 1, sizeof(*list));
	for (size_t i = 0; list && i < n; i++) {
		end = strchr(at, '\n');
		*end = 0;
		list[i] = at;
		at = end + 1;
	}
	return list;
}

static int post(struct lnx_channel *ch, struct lnx_notify_post *p)
{
	struct notify *n = ch->n;
	const char **headers = header_list(&p->headers);
	struct lnx_http_ask ask = { .size = sizeof(ask),
				    .flags = p->flags,
				    .method = "POST",
				    .url = p->url.data,
				    .headers = headers,
				    .body = p->body.data,
				    .body_bytes = p->body.size,
				    .ca_file = p->ca_file,
				    .total_timeout_ns = ch->d.timeout_ns,
				    .max_body_bytes = ANSWER_BYTES,
				    .on_header = on_header,
				    .on_done = on_done,
				    .arg = ch };
	int rc = -ENOMEM;

	if (headers && p->url.data && p->body.data && !lnx_buf_error(&p->url) &&
	    !lnx_buf_error(&p->headers) && !lnx_buf_error(&p->body))
		rc = n->http->start(n->http_self, &ask, &ch->call);
	free(headers);
	return rc;
}

static int hand_over(struct lnx_channel *ch, struct message *m, char *why, size_t cap)
{
	struct lnx_notify_post p = { .size = sizeof(p) };
	int rc;

	if (ch->d.write)
		return ch->d.write(ch->d.arg, m->list, m->n);
	rc = ch->d.render(ch->d.arg, m->list, m->n, &p, why, cap);
	if (rc >= 0) {
		rc = post(ch, &p);
		if (rc < 0)
			(void)snprintf(why, cap, "no request can be made: %s", strerror(-rc));
	}
	lnx_secret_done(&p.url);
	lnx_secret_done(&p.headers);
	lnx_secret_done(&p.body);
	return rc < 0 ? rc : -EINPROGRESS;
}

void send_message(struct lnx_channel *ch)
{
	struct message *m = calloc(1, sizeof(*m));
	char why[NOTIFY_WHY] = "it cannot be written";
	int rc = m ? gather(ch, m) : -ENOMEM;

	if (rc < 0)
		(void)snprintf(why, sizeof(why), "the incident cannot be read: %s", strerror(-rc));
	ch->is_busy = m && m->n;
	ch->n_sent = m ? m->n : 0;
	for (uint32_t i = 0; m && i < m->n; i++)
		m->items[i]->is_sent = 1;
	if (!rc && m->n)
		rc = hand_over(ch, m, why, sizeof(why));
	if (rc != -EINPROGRESS && (rc < 0 || m->n))
		channel_done(ch, rc, why);
	message_free(m);
}
