/* SPDX-License-Identifier: MIT */
/* What a plugin says: metrics, health, log lines. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testhost_priv.h"

#define TH_SERIES_DEFAULT 300

/* ---- metrics */

static void metric_free(void *p)
{
	struct lnx_metric *m = p;
	unsigned i;

	if (!m)
		return;
	for (i = 0; i < m->n_labels; i++) {
		free(m->labels[i]);
		free(m->values[i]);
	}
	free(m);
}

static int name_is_valid(const char *s)
{
	size_t i;

	if (!s || !s[0] || isdigit((unsigned char)s[0]))
		return 0;
	for (i = 0; s[i]; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return 0;
	return 1;
}

static unsigned labels_count(const struct lnx_metric_desc *d)
{
	unsigned n = 0;

	while (d->labels && d->labels[n])
		n++;
	return n;
}

static int desc_check(const struct lnx_metric_desc *d)
{
	unsigned i, n = labels_count(d);
	size_t len;

	if (!name_is_valid(d->name) || strlen(d->name) >= 128 || !d->help || !d->help[0] ||
	    d->kind < LNX_COUNTER || d->kind > LNX_HISTOGRAM || n > 8)
		return -EINVAL;
	len = strlen(d->name);
	if (d->kind == LNX_COUNTER && (len < 7 || strcmp(d->name + len - 6, "_total") != 0))
		return -EINVAL; /* promtool would say so later */
	if (d->kind == LNX_HISTOGRAM && (!d->n_buckets || !d->buckets))
		return -EINVAL;
	for (i = 0; i < n; i++)
		if (!name_is_valid(d->labels[i]))
			return -EINVAL;
	return 0;
}

static int same_values(const struct lnx_metric *m, const char *const *values)
{
	unsigned i;

	for (i = 0; i < m->n_labels; i++)
		if (strcmp(m->values[i], values[i]) != 0)
			return 0;
	return 1;
}

static struct lnx_metric *metric_new(const struct lnx_metric_desc *d, const char *const *values)
{
	struct lnx_metric *m = calloc(1, sizeof(*m));
	unsigned i, n = labels_count(d);

	if (!m)
		return NULL;
	m->desc = d;
	m->kind = d->kind;
	snprintf(m->name, sizeof(m->name), "%s", d->name);
	for (i = 0; i < n; i++) {
		m->labels[i] = strdup(d->labels[i]);
		m->values[i] = strdup(values[i]);
		m->n_labels = i + 1;
		if (!m->labels[i] || !m->values[i]) {
			metric_free(m);
			return NULL;
		}
	}
	return m;
}

static int host_metric(struct lnx_ctx *ctx, const struct lnx_metric_desc *desc,
		       const char *const *values, struct lnx_metric **ret_metric)
{
	struct testhost *t = ctx->t;
	uint32_t family = 0, max;
	struct lnx_metric *m;
	size_t i;
	int r = th_fault(t, "metric");

	if (!r)
		r = desc_check(desc);
	if (r)
		return r;
	if (labels_count(desc) && !values)
		return -EINVAL;
	for (i = 0; i < t->metrics.n; i++) {
		m = t->metrics.item[i];
		if (strcmp(m->name, desc->name) != 0)
			continue;
		if (m->kind != desc->kind || m->n_labels != labels_count(desc))
			return -EINVAL;
		if (same_values(m, values)) {
			m->refs++;
			*ret_metric = m;
			return 0;
		}
		family++;
	}
	max = desc->max_series ? desc->max_series : TH_SERIES_DEFAULT;
	if (family >= max)
		return -ENOSPC;
	m = metric_new(desc, values);
	if (!m || th_list_add(&t->metrics, m)) {
		metric_free(m);
		return -ENOMEM;
	}
	m->refs = 1;
	*ret_metric = m;
	return 0;
}

static void misuse(const char *what, const struct lnx_metric *m)
{
	fprintf(stderr, "testhost: %s: %s\n", m->name, what);
	abort();
}

static void host_metric_add(struct lnx_ctx *ctx, struct lnx_metric *m, double v)
{
	(void)ctx;
	if (!m)
		return;
	if (m->kind == LNX_HISTOGRAM || (m->kind == LNX_COUNTER && !(v >= 0)))
		misuse("metric_add of a histogram, or a counter that falls", m);
	m->value += v;
}

static void host_metric_set(struct lnx_ctx *ctx, struct lnx_metric *m, double v)
{
	(void)ctx;
	if (!m)
		return;
	if (m->kind == LNX_HISTOGRAM || (m->kind == LNX_COUNTER && !(v >= m->value)))
		misuse("metric_set of a histogram, or a counter that falls", m);
	m->value = v;
}

static void host_metric_observe(struct lnx_ctx *ctx, struct lnx_metric *m, double v)
{
	(void)ctx;
	if (!m)
		return;
	if (m->kind != LNX_HISTOGRAM)
		misuse("metric_observe of what is no histogram", m);
	m->value += v;
	m->count += 1;
}

static void host_metric_del(struct lnx_ctx *ctx, struct lnx_metric *m)
{
	struct th_list *l = &ctx->t->metrics;
	size_t i;

	for (i = 0; m && i < l->n; i++)
		if (l->item[i] == m) {
			th_list_del(l, i);
			metric_free(m);
			return;
		}
}

static int has_label(const struct lnx_metric *m, const char *pair, size_t n)
{
	size_t k;
	unsigned i;

	for (i = 0; i < m->n_labels; i++) {
		k = strlen(m->labels[i]);
		if (n == k + 1 + strlen(m->values[i]) && memcmp(pair, m->labels[i], k) == 0 &&
		    pair[k] == '=' && memcmp(pair + k + 1, m->values[i], n - k - 1) == 0)
			return 1;
	}
	return 0;
}

static const struct lnx_metric *metric_find(struct testhost *t, const char *name,
					    const char *labels)
{
	const struct lnx_metric *m;
	const char *p;
	size_t i, n;
	unsigned found;

	for (i = 0; i < t->metrics.n; i++) {
		m = t->metrics.item[i];
		if (strcmp(m->name, name) != 0)
			continue;
		found = 0;
		for (p = labels; p && *p; p += n + (p[n] == ',')) {
			n = strcspn(p, ",");
			if (!has_label(m, p, n))
				break;
			found++;
		}
		if ((!p || !*p) && found == m->n_labels)
			return m;
	}
	return NULL;
}

double testhost_metric(struct testhost *t, const char *name, const char *labels)
{
	const struct lnx_metric *m = metric_find(t, name, labels);

	return m ? m->value : (double)NAN;
}

int testhost_near(double got, double want, double within)
{
	double off = got > want ? got - want : want - got;

	if (got == want || off <= within)
		return 1;
	(void)fprintf(stderr, "%.17g is not %.17g within %g\n", got, want, within); /* for people */
	return 0;
}

double testhost_metric_count(struct testhost *t, const char *name, const char *labels)
{
	const struct lnx_metric *m = metric_find(t, name, labels);

	return m ? m->count : (double)NAN;
}

size_t testhost_metric_series(struct testhost *t, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < t->metrics.n; i++)
		n += strcmp(((const struct lnx_metric *)t->metrics.item[i])->name, name) == 0;
	return n;
}

/* ---- health */

static void health_free(void *p)
{
	struct th_health *h = p;

	free(h->why);
	free(h);
}

static struct th_health *health_find(struct testhost *t, const char *what)
{
	struct th_health *h;
	size_t i;

	for (i = 0; i < t->healths.n; i++) {
		h = t->healths.item[i];
		if (strcmp(h->what, what) == 0)
			return h;
	}
	return NULL;
}

static void host_health(struct lnx_ctx *ctx, const char *what, uint32_t state, const char *why)
{
	struct th_health *h = health_find(ctx->t, what);

	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h || th_name(h->what, what) || th_list_add(&ctx->t->healths, h))
			abort(); /* a test must not go on without it */
	}
	free(h->why);
	h->why = strdup(why ? why : "");
	h->state = state;
}

int testhost_health(struct testhost *t, const char *what)
{
	const struct th_health *h = health_find(t, what);

	return h ? (int)h->state : -ENOENT;
}

const char *testhost_health_why(struct testhost *t, const char *what)
{
	const struct th_health *h = health_find(t, what);

	return h && h->why ? h->why : "";
}

/* ---- log */

__attribute__((format(printf, 3, 4))) static void host_log(struct lnx_ctx *ctx, int level,
							   const char *fmt, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	struct testhost *t = ctx->t;
	char text[1024], *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut line will do */
	va_end(ap);
	if (asprintf(&line, "%s: %s", names[level < 0 || level > 3 ? 0 : level], text) < 0)
		return;
	if (getenv("TESTHOST_VERBOSE"))
		fprintf(stderr, "%s: %s\n", t->instance, line);
	pthread_mutex_lock(&t->log_lock);
	if (t->logs.n >= TH_MAX_LOGS || th_list_add(&t->logs, line))
		free(line);
	pthread_mutex_unlock(&t->log_lock);
}

size_t testhost_logs(struct testhost *t)
{
	return t->logs.n;
}

const char *testhost_log(struct testhost *t, size_t i)
{
	return i < t->logs.n ? t->logs.item[i] : NULL;
}

int testhost_log_has(struct testhost *t, const char *text)
{
	size_t i;

	for (i = 0; i < t->logs.n; i++)
		if (strstr(t->logs.item[i], text))
			return 1;
	return 0;
}

/* ---- names */

static const struct lnx_tag *tag_find(struct testhost *t, uint64_t cgroup_id)
{
	size_t i;

	for (i = 0; i < t->tags.n; i++) {
		const struct lnx_tag *tag = t->tags.item[i];

		if (tag->cgroup_id == cgroup_id)
			return tag;
	}
	return NULL;
}

static int host_tag(struct lnx_ctx *ctx, uint64_t cgroup_id, struct lnx_tag *ret_tag)
{
	static const struct lnx_tag none = { sizeof(none), 0,  0,  0,  "", "", "",
					     "",	   "", "", "", "", 0,  0 };
	const struct lnx_tag *tag = tag_find(ctx->t, cgroup_id);
	uint32_t size = ret_tag->size;

	memcpy(ret_tag, tag ? tag : &none, size && size < sizeof(none) ? size : sizeof(none));
	return tag ? 0 : -ENOENT;
}

int testhost_tag(struct testhost *t, uint64_t cgroup_id, const char *namespace_,
		 const char *pod_name, const char *container_id)
{
	/* found as const: it is ours */
	struct lnx_tag *tag = (void *)(uintptr_t)tag_find(t, cgroup_id);

	if (!tag) {
		tag = calloc(1, sizeof(*tag));
		if (!tag || th_list_add(&t->tags, tag)) {
			free(tag);
			return -ENOMEM;
		}
	}
	*tag = (struct lnx_tag){
		sizeof(*tag), 0,	cgroup_id, 0,  namespace_, pod_name, "", "",
		container_id, pod_name, "",	   "", 0,	   0
	};
	return 0;
}

void th_data_host(struct lnx_host *h)
{
	h->tag = host_tag;
	h->metric = host_metric;
	h->metric_add = host_metric_add;
	h->metric_set = host_metric_set;
	h->metric_observe = host_metric_observe;
	h->metric_del = host_metric_del;
	h->health = host_health;
	h->log = host_log;
}

void th_data_done(struct testhost *t)
{
	th_list_done(&t->metrics, metric_free);
	th_list_done(&t->healths, health_free);
	th_list_done(&t->logs, free);
	th_list_done(&t->tags, free);
}
