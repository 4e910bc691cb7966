/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stall.window and stall.edge summed over 10 s. Bounded: what does not fit is counted, and shows as unnamed, as the totals of
 * a victim come first. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define WHO_TEXT 1024

void store_bucket_free(struct store_bucket *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->n_whos; i++)
		free(b->whos[i].text);
	free(b);
}

void store_bucket_flush(struct store *s)
{
	struct store_bucket *b = s->bucket;

	s->bucket = NULL;
	if (b && b->n_cells)
		(void)store_queue_bucket(s, b); /* refused is counted */
	else
		store_bucket_free(b);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

/* A number for names and cgroup, the same in every run; 53 bits, 0 is nobody. */
static uint64_t number_of(uint64_t cgroup_id, const char *text, size_t n)
{
	uint64_t h = mix(0xcbf29ce484222325ULL, cgroup_id);

	for (size_t i = 0; i < n; i++)
		h = mix(h, (unsigned char)text[i]);
	h = mix(h, n) >> 11;
	return h ? h : 1;
}

static size_t put_name(char *text, size_t at, const struct lnx_event *ev, struct lnx_str str)
{
	const char *from = (const char *)ev + str.off;
	size_t n = str.len;

	if (n > 250)
		n = 250;
	for (size_t i = 0; i < n; i++)
		text[at + i] = from[i] ? from[i] : '?';
	text[at + n] = 0;
	return at + n + 1;
}

/* Number of who is named, kept once a bucket. Edges do not carry a path: their number is that of the names alone. */
static uint64_t who_number(struct store *s, const struct lnx_event *ev, uint64_t cgroup_id,
			   const struct lnx_str *names, const struct lnx_str *path)
{
	struct store_bucket *b = s->bucket;
	char text[WHO_TEXT];
	uint64_t number;
	size_t n = 0, key;
	uint32_t i;

	for (i = 0; i < 3; i++)
		n = put_name(text, n, ev, names[i]);
	key = n;
	n = path ? put_name(text, n, ev, *path) : n + 1;
	if (!path)
		text[n - 1] = 0;
	number = number_of(cgroup_id, text, key);
	for (i = 0; i < b->n_whos && b->whos[i].number != number; i++)
		;
	if (i < b->n_whos && !path)
		return number;
	if (i == STORE_WHOS)
		return number; /* known from an earlier bucket, or shown by its number */
	if (i == b->n_whos || !b->whos[i].text[key]) {
		char *copy = malloc(n);

		if (!copy)
			return number;
		memcpy(copy, text, n);
		if (i < b->n_whos)
			free(b->whos[i].text);
		b->whos[i] = (struct store_who){ number, cgroup_id, copy };
		b->n_whos += i == b->n_whos;
	}
	return number;
}

static struct store_cell *cell(struct store *s, uint64_t victim, uint64_t culprit,
			       uint32_t resource, uint32_t kind)
{
	struct store_bucket *b = s->bucket;
	uint32_t mask = 2 * STORE_CELLS - 1,
		 at = (uint32_t)mix(mix(victim, culprit), resource << 8 | kind) & mask;
	struct store_cell *c;

	for (; b->hash[at]; at = (at + 1) & mask) {
		c = &b->cells[b->hash[at] - 1];
		if (c->victim == victim && c->culprit == culprit && c->resource == resource &&
		    c->kind == kind)
			return c;
	}
	if (b->n_cells == STORE_CELLS) {
		s->overflow++;
		s->host->metric_add(s->ctx, s->m_overflow, 1);
		return NULL;
	}
	c = &b->cells[b->n_cells++];
	b->hash[at] = b->n_cells;
	*c = (struct store_cell){ .victim = victim,
				  .culprit = culprit,
				  .resource = resource,
				  .kind = kind,
				  .confidence = 1000 };
	return c;
}

static uint32_t permille(double ratio)
{
	return isfinite(ratio) && ratio > 0 ? ratio < 1 ? (uint32_t)lround(ratio * 1000) : 1000 : 0;
}

static int add_window(struct store *s, const struct lnx_ev_stall_window *w)
{
	const struct lnx_str names[3] = { w->workload, w->namespace_, w->pod_name };
	const double parts[LNX_STALL_KINDS] = { w->self_ms,	 w->sibling_ms, w->neighbour_ms,
						w->throttled_ms, w->kernel_ms,	w->irq_ms,
						w->steal_ms,	 w->idle_ms,	w->other_ms };
	uint64_t victim = who_number(s, &w->h, w->cgroup_id, names, &w->path);
	struct store_cell *c = cell(s, victim, 0, w->resource, LNX_STORE_BLAME_TOTAL);
	uint32_t sure = permille(w->confidence);

	if (!c)
		return 0;
	c->stall_us += w->stalled_ms * 1e3;
	c->raw_us += w->raw_ms * 1e3;
	c->psi_us += w->psi_ms * 1e3;
	c->full_us += w->full_ms * 1e3;
	/* As the database sums it: of the CPU the least, of I/O and memory the most that any window was. */
	if (!c->method || (w->method < c->method) == (w->resource == LNX_RES_CPU))
		c->method = w->method;
	if (sure < c->confidence)
		c->confidence = sure;
	for (uint32_t k = 0; k < LNX_STALL_KINDS; k++) {
		if (!(parts[k] > 0))
			continue;
		c = cell(s, victim, 0, w->resource, k);
		if (c)
			c->stall_us += parts[k] * 1e3;
	}
	return 0;
}

static int add_edge(struct store *s, const struct lnx_ev_stall_edge *e)
{
	const struct lnx_str victims[3] = { e->victim, e->victim_namespace, e->victim_pod_name },
			     culprits[3] = { e->culprit, e->culprit_namespace,
					     e->culprit_pod_name };
	struct store_cell *c;
	uint64_t victim, culprit;

	if (!e->culprit_cgroup_id)
		return 0; /* the window has it, and there is nobody to name */
	victim = who_number(s, &e->h, e->victim_cgroup_id, victims, NULL);
	culprit = who_number(s, &e->h, e->culprit_cgroup_id, culprits, NULL);
	c = cell(s, victim, culprit, e->resource, e->kind);
	if (c) {
		c->stall_us += e->stall_ms * 1e3;
		c->raw_us += e->raw_ms * 1e3;
	}
	return 0;
}

int store_on_stall(struct store *s, const struct lnx_event *ev)
{
	/* the middle of the window says which bucket it is in */
	int is_edge = ev->type == LNX_EV_STALL_EDGE;
	uint64_t window, wall, start;

	if (is_edge ? !LNX_EV_HAS(ev, struct lnx_ev_stall_edge, limit)
		    : !LNX_EV_HAS(ev, struct lnx_ev_stall_window, path))
		return -EINVAL;
	window = is_edge ? ((const struct lnx_ev_stall_edge *)ev)->window_ns
			 : ((const struct lnx_ev_stall_window *)ev)->window_ns;
	wall = s->host->wall_ns(s->ctx, ev->ts_ns - (window < ev->ts_ns ? window / 2 : 0));
	start = wall - wall % STORE_BUCKET_NS;
	if (s->bucket && s->bucket->start_ns != start)
		store_bucket_flush(s);
	if (!s->bucket) {
		s->bucket = calloc(1, sizeof(*s->bucket));
		if (!s->bucket)
			return -ENOMEM;
		s->bucket->start_ns = start;
	}
	return is_edge ? add_edge(s, (const struct lnx_ev_stall_edge *)ev)
		       : add_window(s, (const struct lnx_ev_stall_window *)ev);
}
