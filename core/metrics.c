/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Families in order of first use, their series in a list each; rendered as Prometheus text or OpenMetrics.
 * Format: "Exposition formats" of the Prometheus documentation; OpenMetrics 1.0. */
#include "metrics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LNX_MAX_SERIES_DEFAULT 300
#define LNX_MAX_FAMILIES       256
#define LNX_MAX_LABELS	       8
#define LNX_MAX_OWNERS	       4
#define LNX_MAX_COLLECT	       32
#define LNX_MAX_LABEL_BYTES    256 /* of one value; the rest is cut */

struct lnx_family;

struct lnx_metric {
	struct lnx_metric *next;
	struct lnx_family *family;
	const void *owners[LNX_MAX_OWNERS]; /* it lives as long as one of them */
	unsigned n_owners;
	char *labels; /* rendered: a="b",c="d"; "" without */
	double value; /* of counters and gauges; the sum of a histogram */
	uint64_t count, *buckets;
};

struct lnx_family {
	char *name, *help;
	uint32_t kind, n_buckets, max_series, n_series;
	char *labels[LNX_MAX_LABELS + 1];
	double *bounds;
	struct lnx_metric *series, **series_end;
};

struct lnx_metrics {
	struct lnx_family *families[LNX_MAX_FAMILIES];
	unsigned n_families;
	uint64_t dropped_series;
	struct {
		void (*fn)(void *arg);
		void *arg;
	} collect[LNX_MAX_COLLECT];
	unsigned n_collect;
};

static void lnx_family_free(struct lnx_family *f)
{
	unsigned i;

	if (!f)
		return;
	for (i = 0; i < LNX_MAX_LABELS; i++)
		free(f->labels[i]);
	while (f->series) {
		struct lnx_metric *s = f->series;

		f->series = s->next;
		free(s->labels);
		free(s->buckets);
		free(s);
	}
	free(f->bounds);
	free(f->name);
	free(f->help);
	free(f);
}

struct lnx_metrics *lnx_metrics_new(void)
{
	return calloc(1, sizeof(struct lnx_metrics));
}

void lnx_metrics_free(struct lnx_metrics *m)
{
	unsigned i;

	if (!m)
		return;
	for (i = 0; i < m->n_families; i++)
		lnx_family_free(m->families[i]);
	free(m);
}

static bool lnx_metric_name_is_valid(const char *s, bool is_label)
{
	size_t n = s ? strlen(s) : 0;

	if (!n || n > 100 || (*s >= '0' && *s <= '9'))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n &&
	       !(is_label &&
		 (!strncmp(s, "__", 2) || !strcmp(s, "namespace") || !strcmp(s, "pod")));
}

static struct lnx_family *lnx_family_find(const struct lnx_metrics *m, const char *name)
{
	unsigned i;

	for (i = 0; i < m->n_families; i++)
		if (!strcmp(m->families[i]->name, name))
			return m->families[i];
	return NULL;
}

static bool lnx_family_matches(const struct lnx_family *f, const struct lnx_metric_desc *d)
{
	unsigned i;

	if (f->kind != d->kind || f->n_buckets != (d->kind == LNX_HISTOGRAM ? d->n_buckets : 0))
		return false;
	for (i = 0; i < LNX_MAX_LABELS && d->labels && d->labels[i]; i++)
		if (!f->labels[i] || strcmp(f->labels[i], d->labels[i]) != 0)
			return false;
	return f->labels[i] == NULL;
}

static int lnx_family_fill(struct lnx_family *f, const struct lnx_metric_desc *d)
{
	unsigned i;

	f->kind = d->kind;
	f->max_series = d->max_series ? d->max_series : LNX_MAX_SERIES_DEFAULT;
	f->series_end = &f->series;
	f->name = strdup(d->name);
	f->help = strdup(d->help);
	if (!f->name || !f->help)
		return -ENOMEM;
	for (i = 0; d->labels && d->labels[i]; i++) {
		if (i == LNX_MAX_LABELS || !lnx_metric_name_is_valid(d->labels[i], true))
			return -EINVAL;
		f->labels[i] = strdup(d->labels[i]);
		if (!f->labels[i])
			return -ENOMEM;
	}
	if (d->kind != LNX_HISTOGRAM)
		return 0;
	if (!d->n_buckets || d->n_buckets > 64)
		return -EINVAL;
	f->n_buckets = d->n_buckets;
	f->bounds = calloc(d->n_buckets, sizeof(double));
	if (!f->bounds)
		return -ENOMEM;
	memcpy(f->bounds, d->buckets, d->n_buckets * sizeof(double));
	return 0;
}

static int lnx_family_get(struct lnx_metrics *m, const struct lnx_metric_desc *d,
			  struct lnx_family **ret_family)
{
	struct lnx_family *f = lnx_family_find(m, d->name);
	int rc;

	if (f) {
		*ret_family = f;
		return lnx_family_matches(f, d) ? 0 : -EINVAL;
	}
	if (!lnx_metric_name_is_valid(d->name, false) || !d->help || d->kind < LNX_COUNTER ||
	    d->kind > LNX_HISTOGRAM)
		return -EINVAL;
	if (m->n_families == LNX_MAX_FAMILIES)
		return -ENOSPC;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	rc = lnx_family_fill(f, d);
	if (rc < 0) {
		lnx_family_free(f);
		return rc;
	}
	m->families[m->n_families++] = f;
	*ret_family = f;
	return 0;
}

/* a="b",c="d" with the escapes of the text format; bytes that are not UTF-8 become U+FFFD. */
static char *lnx_labels_render(const struct lnx_family *f, const char *const *values)
{
	struct lnx_buf b = { 0 };
	unsigned i;
	size_t k;

	lnx_buf_str(&b, "");
	for (i = 0; f->labels[i]; i++) {
		const char *v = values && values[i] ? values[i] : "";
		size_t n = strnlen(v, LNX_MAX_LABEL_BYTES), at;

		lnx_buf_printf(&b, "%s%s=\"", i ? "," : "", f->labels[i]);
		for (at = 0; at < n; at += k ? k : 1) {
			k = lnx_utf8_len((const unsigned char *)v + at, n - at);
			if (!k)
				lnx_buf_str(&b, "\xef\xbf\xbd");
			else if (v[at] == '\n')
				lnx_buf_str(&b, "\\n");
			else if (v[at] == '"' || v[at] == '\\')
				lnx_buf_printf(&b, "\\%c", v[at]);
			else
				lnx_buf_add(&b, v + at, k);
		}
		lnx_buf_char(&b, '"');
	}
	if (lnx_buf_error(&b)) {
		lnx_buf_done(&b);
		return NULL;
	}
	return b.data;
}

static int lnx_series_new(struct lnx_family *f, char *labels, const void *owner,
			  struct lnx_metric **ret_metric)
{
	struct lnx_metric *s = calloc(1, sizeof(*s));

	if (s && f->n_buckets)
		s->buckets = calloc(f->n_buckets, sizeof(uint64_t));
	if (!s || (f->n_buckets && !s->buckets)) {
		free(s);
		return -ENOMEM;
	}
	s->family = f;
	s->owners[s->n_owners++] = owner;
	s->labels = labels;
	*f->series_end = s;
	f->series_end = &s->next;
	f->n_series++;
	*ret_metric = s;
	return 0;
}

/* A second owner of the same series shares it: a new rule set asks before the old one goes. */
static int lnx_series_own(struct lnx_metric *s, const void *owner)
{
	unsigned i;

	for (i = 0; i < s->n_owners; i++)
		if (s->owners[i] == owner)
			return 0;
	if (s->n_owners == LNX_MAX_OWNERS)
		return -ENOSPC;
	s->owners[s->n_owners++] = owner;
	return 0;
}

/* True if <owner> was one and nobody else is left. */
static bool lnx_series_disown(struct lnx_metric *s, const void *owner)
{
	unsigned i;

	for (i = 0; i < s->n_owners; i++) {
		if (s->owners[i] != owner)
			continue;
		s->owners[i] = s->owners[--s->n_owners];
		return s->n_owners == 0;
	}
	return false;
}

int lnx_metrics_series(struct lnx_metrics *m, const struct lnx_metric_desc *desc,
		       const char *const *values, const void *owner, struct lnx_metric **ret_metric)
{
	struct lnx_family *f = NULL;
	struct lnx_metric *s;
	char *labels;
	int rc = lnx_family_get(m, desc, &f);

	if (rc < 0)
		return rc;
	labels = lnx_labels_render(f, values);
	if (!labels)
		return -ENOMEM;
	for (s = f->series; s; s = s->next) {
		if (strcmp(s->labels, labels) != 0)
			continue;
		free(labels);
		if (lnx_series_own(s, owner) < 0)
			return -ENOSPC;
		*ret_metric = s;
		return 0;
	}
	if (f->n_series >= f->max_series) {
		m->dropped_series++;
		free(labels);
		return -ENOSPC;
	}
	rc = lnx_series_new(f, labels, owner, ret_metric);
	if (rc < 0)
		free(labels);
	return rc;
}

void lnx_metric_add(struct lnx_metric *s, double v)
{
	if (s->family->kind == LNX_GAUGE || v >= 0)
		s->value += v;
}

void lnx_metric_set(struct lnx_metric *s, double v)
{
	if (s->family->kind == LNX_GAUGE || v > s->value)
		s->value = v;
}

void lnx_metric_observe(struct lnx_metric *s, double v)
{
	unsigned i;

	for (i = 0; i < s->family->n_buckets; i++)
		if (v <= s->family->bounds[i])
			s->buckets[i]++;
	s->count++;
	s->value += v;
}

double lnx_metric_value(const struct lnx_metric *s)
{
	return s->value;
}

static void lnx_family_del(struct lnx_family *f, const struct lnx_metric *which, const void *owner)
{
	struct lnx_metric **p = &f->series, *s;

	while ((s = *p)) {
		if ((which && s != which) || !lnx_series_disown(s, owner)) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		f->n_series--;
		free(s->labels);
		free(s->buckets);
		free(s);
	}
	f->series_end = p;
}

void lnx_metrics_del(struct lnx_metric *s, const void *owner)
{
	if (s)
		lnx_family_del(s->family, s, owner);
}

void lnx_metrics_del_owner(struct lnx_metrics *m, const void *owner)
{
	unsigned i;

	for (i = 0; owner && i < m->n_families; i++)
		lnx_family_del(m->families[i], NULL, owner);
}

int lnx_metrics_on_collect(struct lnx_metrics *m, void (*fn)(void *arg), void *arg)
{
	if (m->n_collect == LNX_MAX_COLLECT)
		return -ENOSPC;
	m->collect[m->n_collect].fn = fn;
	m->collect[m->n_collect++].arg = arg;
	return 0;
}

static void lnx_number(struct lnx_buf *out, double v)
{
	if (isnan(v))
		lnx_buf_str(out, "NaN");
	else if (isinf(v))
		lnx_buf_str(out, v > 0 ? "+Inf" : "-Inf");
	else
		lnx_buf_printf(out, "%.15g", v);
}

static void lnx_sample(struct lnx_buf *out, const char *name, const char *suffix,
		       const char *labels, const char *extra, double v)
{
	lnx_buf_str(out, name);
	lnx_buf_str(out, suffix);
	if (*labels || *extra)
		lnx_buf_printf(out, "{%s%s%s}", labels, *labels && *extra ? "," : "", extra);
	lnx_buf_char(out, ' ');
	lnx_number(out, v);
	lnx_buf_char(out, '\n');
}

static void lnx_histogram_text(struct lnx_buf *out, const struct lnx_metric *s)
{
	const struct lnx_family *f = s->family;
	char le[48];
	unsigned i;

	for (i = 0; i < f->n_buckets; i++) {
		(void)snprintf(le, sizeof(le), "le=\"%.9g\"",
			       f->bounds[i]); /* fits: 9 digits and an exponent */
		lnx_sample(out, f->name, "_bucket", s->labels, le, (double)s->buckets[i]);
	}
	lnx_sample(out, f->name, "_bucket", s->labels, "le=\"+Inf\"", (double)s->count);
	lnx_sample(out, f->name, "_sum", s->labels, "", s->value);
	lnx_sample(out, f->name, "_count", s->labels, "", (double)s->count);
}

static void lnx_family_text(const struct lnx_family *f, int openmetrics, struct lnx_buf *out)
{
	static const char *const kinds[] = { "", "counter", "gauge", "histogram" };
	const struct lnx_metric *s;
	size_t n = strlen(f->name);
	const char *p;

	if (!f->series)
		return;
	/* OpenMetrics names a counter's family without its _total */
	if (openmetrics && f->kind == LNX_COUNTER && n > 6 && !strcmp(f->name + n - 6, "_total"))
		n -= 6;
	lnx_buf_printf(out, "# HELP %.*s ", (int)n, f->name);
	for (p = f->help; *p; p++) {
		if (*p == '\n' || *p == '\\')
			lnx_buf_str(out, *p == '\n' ? "\\n" : "\\\\");
		else
			lnx_buf_char(out, *p);
	}
	lnx_buf_printf(out, "\n# TYPE %.*s %s\n", (int)n, f->name, kinds[f->kind]);
	for (s = f->series; s; s = s->next) {
		if (f->kind == LNX_HISTOGRAM)
			lnx_histogram_text(out, s);
		else
			lnx_sample(out, f->name, "", s->labels, "", s->value);
	}
}

void lnx_metrics_text(struct lnx_metrics *m, int openmetrics, struct lnx_buf *out)
{
	static const struct lnx_metric_desc dropped = {
		.name = "linnix_metric_series_dropped_total",
		.help = "Series that a family's limit kept out.",
		.kind = LNX_COUNTER,
	};
	struct lnx_metric *s;
	unsigned i;

	if (lnx_metrics_series(m, &dropped, NULL, m, &s) == 0)
		lnx_metric_set(s, (double)m->dropped_series);
	for (i = 0; i < m->n_collect; i++)
		m->collect[i].fn(m->collect[i].arg);
	for (i = 0; i < m->n_families; i++)
		lnx_family_text(m->families[i], openmetrics, out);
	if (openmetrics)
		lnx_buf_str(out, "# EOF\n");
}
