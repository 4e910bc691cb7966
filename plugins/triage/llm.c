/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When the model is asked: one question at a time, so many an hour, the same one never twice. The deterministic explanation
 * stands before, and stays when the answer is late, wrong or none. */
#include "llm.h"

#include <errno.h>
#include <linnix/notifier.h>
#include <linnix/secret.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS	   3600000000000ULL
#define SETTLE_NS  1000000000ULL /* what comes within it belongs to the same question */
#define DEGRADED_N 3		 /* failures in a row */

static void count(struct llm *l, const char *result)
{
	static const char *const labels[] = { "result", NULL };
	static const struct lnx_metric_desc desc = {
		.name = "linnix_triage_llm_total",
		.help = "Questions to the language model and what became of them.",
		.kind = LNX_COUNTER,
		.labels = labels,
	};
	struct lnx_metric *m;

	if (l->host->metric(l->ctx, &desc, &result, &m) == 0)
		l->host->metric_add(l->ctx, m, 1);
}

static int add_fact(void *arg, const struct lnx_fact *f)
{
	return facts_add(arg, f);
}

/* Facts of <id> into l->facts. 0 or -errno. */
static int load_facts(struct llm *l, const char *id, struct lnx_incident *ret_inc)
{
	int rc;

	if (!l->facts.list)
		l->facts.list = calloc(TRIAGE_FACTS, sizeof(struct fact));
	l->facts.n = 0;
	if (!l->facts.list)
		return -ENOMEM;
	rc = l->incident->facts(l->incident_self, id, add_fact, &l->facts);
	ret_inc->size = sizeof(*ret_inc);
	if (rc >= 0)
		rc = l->incident->get(l->incident_self, id, ret_inc);
	return rc;
}

static void forget_question(struct llm *l)
{
	lnx_buf_done(&l->answer);
	free(l->facts.list);
	l->facts = (struct facts){ NULL, 0 };
	l->call = NULL;
	if (l->n_waiting)
		(void)l->host->timer_set(l->ctx, l->timer, SETTLE_NS, 0); /* it is there */
}

static void give(struct llm *l, const char *id, const char *doc)
{
	int rc = l->incident->explain(l->incident_self, id, doc);

	if (rc && rc != -ENOENT)
		l->host->log(l->ctx, LNX_WARN, "an explanation was refused: %s", strerror(-rc));
}

static void keep(struct llm *l, uint64_t key, const char *doc)
{
	struct llm_cached *c = &l->cache[l->next_cached++ % LLM_CACHE];

	free(c->doc);
	c->doc = strdup(doc);
	c->key = c->doc ? key : 0;
}

static void failed(struct llm *l, const char *result, const char *why)
{
	count(l, result);
	l->failures++;
	l->host->log(l->ctx, LNX_WARN, "llm: %s: %s; the deterministic explanation stays", result,
		     why);
	if (l->failures >= DEGRADED_N)
		l->host->health(l->ctx, "llm", LNX_HEALTH_DEGRADED, why);
}

/* What the deterministic explanation has besides sentences comes along; it is written anew, for this moment. */
static void accept(struct llm *l)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct lnx_buf ours = { 0 }, out = { 0 };
	const char *reason = "malformed";
	char why[LLM_WHY] = "out of memory";
	int rc = l->incident->get(l->incident_self, l->asked, &inc);

	if (rc == -ENOENT) { /* it is gone meanwhile */
		count(l, "late");
		return;
	}
	rc = triage_explain(&inc, &l->facts, &ours);
	if (!rc)
		rc = lnx_buf_error(&l->answer);
	if (!rc)
		rc = llm_answer(l->answer.data ? l->answer.data : "", &l->facts, ours.data,
				l->conf->model, &out, &reason, why);
	if (rc) {
		failed(l, reason, why);
	} else {
		count(l, "accepted");
		l->failures = 0;
		l->host->health(l->ctx, "llm", LNX_HEALTH_OK, "");
		keep(l, l->key, out.data);
		give(l, l->asked, out.data);
	}
	lnx_buf_done(&ours);
	lnx_buf_done(&out);
}

/* ---- the request */

static int on_body(void *arg, const void *bytes, uint64_t n)
{
	struct llm *l = arg;

	lnx_buf_add(&l->answer, bytes, n);
	return 0;
}

static void on_done(void *arg, int rc, uint32_t status, const char *why)
{
	struct llm *l = arg;
	char text[64];

	if (rc == 0 && status == 200) {
		accept(l);
	} else if (rc == 0) {
		(void)snprintf(text, sizeof(text), "the endpoint answers %u", status); /* fits */
		failed(l, "failed", text);
	} else {
		failed(l, rc == -ETIMEDOUT ? "timeout" : "failed", why);
	}
	forget_question(l);
}

static int put_key(struct llm *l, char *line, size_t cap, char *why)
{
	char secret[LNX_SECRET_MAX];
	int rc;

	*line = 0;
	if (!*l->conf->api_key_file)
		return 0;
	rc = lnx_secret_read(l->conf->api_key_file, secret, why, LLM_WHY);
	if (rc == 0)
		(void)snprintf(line, cap, "Authorization: Bearer %s", secret); /* fits */
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

static int send_question(struct llm *l, const struct lnx_buf *body, char *why)
{
	static const char path[] = "/chat/completions";
	char key[LNX_SECRET_MAX + 32], url[1024];
	const char *headers[] = { "Content-Type: application/json", key, NULL };
	size_t n = strlen(l->conf->endpoint);
	struct lnx_http_ask ask = { .size = sizeof(ask),
				    .flags = l->conf->allow_remote ? 0 : LNX_HTTPC_LOOPBACK,
				    .method = "POST",
				    .url = url,
				    .headers = headers,
				    .body = body->data,
				    .body_bytes = body->size,
				    .ca_file = l->conf->ca_file,
				    .total_timeout_ns = l->conf->timeout_ns,
				    .max_body_bytes = LLM_ANSWER,
				    .on_body = on_body,
				    .on_done = on_done,
				    .arg = l };
	int rc = put_key(l, key, sizeof(key), why);

	while (n && l->conf->endpoint[n - 1] == '/')
		n--;
	(void)snprintf(url, sizeof(url), "%.*s%s", (int)n, l->conf->endpoint, path); /* checked */
	if (!*key)
		headers[1] = NULL;
	if (rc == 0) {
		rc = l->http->start(l->http_self, &ask, &l->call);
		if (rc < 0)
			(void)snprintf(why, LLM_WHY, "no request can be made: %s", strerror(-rc));
	}
	explicit_bzero(key, sizeof(key));
	return rc;
}

/* ---- whose turn it is */

/* Of the question and whom it is about: the answer is kept with the commands for that incident. */
static uint64_t hash_of(const struct lnx_buf *b, const char *id)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 0x100000001b3ULL;
	for (size_t i = 0; i < b->size; i++)
		h = (h ^ (unsigned char)b->data[i]) * 0x100000001b3ULL;
	return h | 1;
}

static const char *cached(const struct llm *l, uint64_t key)
{
	for (unsigned i = 0; i < LLM_CACHE; i++)
		if (l->cache[i].key == key)
			return l->cache[i].doc;
	return NULL;
}

static int is_over_budget(struct llm *l)
{
	uint64_t now = l->host->now_ns(l->ctx);

	if (!l->window_ns || now - l->window_ns >= HOUR_NS) {
		l->window_ns = now;
		l->in_window = 0;
	}
	return l->in_window >= l->conf->budget;
}

static void ask_about(struct llm *l)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct lnx_buf body = { 0 };
	char why[LLM_WHY] = "out of memory";
	const char *doc;
	int rc = load_facts(l, l->asked, &inc);

	if (rc < 0 || !l->facts.n) { /* gone, or of an earlier run: its facts are text now */
		count(l, "no_facts");
		forget_question(l);
		return;
	}
	llm_question(l->conf, &inc, &l->facts, &body);
	rc = lnx_buf_error(&body);
	l->key = rc ? 0 : hash_of(&body, l->asked);
	doc = rc ? NULL : cached(l, l->key);
	if (doc) {
		count(l, "cached");
		give(l, l->asked, doc);
	} else if (!rc && is_over_budget(l)) {
		count(l, "over_budget");
	} else {
		if (!rc) {
			l->in_window++;
			l->answer.max = LLM_ANSWER + 1;
			rc = send_question(l, &body, why);
		}
		if (rc < 0)
			failed(l, "failed", why);
		else
			count(l, "asked");
	}
	lnx_buf_done(&body);
	if (!l->call)
		forget_question(l);
}

static void turn(void *arg)
{
	struct llm *l = arg;

	if (l->call || !l->n_waiting)
		return;
	memcpy(l->asked, l->waiting[0], sizeof(l->asked));
	l->n_waiting--;
	memmove(l->waiting[0], l->waiting[1], l->n_waiting * sizeof(l->waiting[0]));
	ask_about(l);
}

void llm_want(struct llm *l, const char *id)
{
	if (!l->http)
		return;
	for (uint32_t i = 0; i < l->n_waiting; i++)
		if (!strcmp(l->waiting[i], id))
			return;
	if (l->n_waiting == LLM_WAITING) {
		count(l, "queue_full");
		return;
	}
	memcpy(l->waiting[l->n_waiting++], id, LNX_ULID_MAX);
	if (!l->call)
		(void)l->host->timer_set(l->ctx, l->timer, SETTLE_NS, 0); /* it is there */
}

/* ---- life */

void llm_conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		    void *arg)
{
	const struct triage_conf *c = conf;
	const char *e = c->endpoint;
	char why[LLM_WHY];

	if (!*e)
		return;
	if (strlen(e) > 900 || strpbrk(e, "?#") || lnx_notifier_url_fault(e)) {
		(void)snprintf(why, sizeof(why), "'%.60s' must be http:// or https://, up to /v1",
			       e); /* fits */
		say(arg, "llm.endpoint", why);
	}
	if (!*c->model)
		say(arg, "llm.model", "is needed with llm.endpoint");
}

int llm_check_key(const struct lnx_host *host, struct lnx_ctx *ctx, const struct triage_conf *conf)
{
	char secret[LNX_SECRET_MAX], why[LLM_WHY] = "";
	int rc = 0;

	if (*conf->endpoint && *conf->api_key_file)
		rc = lnx_secret_read(conf->api_key_file, secret, why, sizeof(why));
	explicit_bzero(secret, sizeof(secret));
	if (rc < 0)
		host->log(ctx, LNX_ERROR, "%s", why);
	return rc < 0 ? -EINVAL : 0;
}

int llm_start(struct llm *l, const struct lnx_host *host, struct lnx_ctx *ctx,
	      const struct triage_conf *conf)
{
	const void *vtable;
	int rc;

	l->host = host;
	l->ctx = ctx;
	l->conf = conf;
	if (!*conf->endpoint)
		return 0;
	rc = host->service(ctx, "incident/1", &vtable, &l->incident_self);
	if (rc < 0)
		return rc;
	l->incident = vtable;
	if (host->service(ctx, "http_client/1", &vtable, &l->http_self) < 0) {
		host->log(ctx, LNX_ERROR, "llm.endpoint needs plugin http_client");
		return -ENOENT;
	}
	rc = host->timer_add(ctx, SETTLE_NS, 0, turn, l, &l->timer);
	if (rc == 0)
		l->http = vtable;
	return rc;
}

void llm_done(struct llm *l)
{
	if (l->call)
		l->http->cancel(l->http_self, l->call);
	lnx_buf_done(&l->answer);
	free(l->facts.list);
	for (unsigned i = 0; i < LLM_CACHE; i++)
		free(l->cache[i].doc);
	memset(l, 0, sizeof(*l));
}
