/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stall.edge and stall.window of one window: the largest, at most stall.edges and stall.windows of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

#define WINDOW_FROM_NS 1000000ULL /* less stall makes no event */

/* Which row, and which cell of it. */
struct pick {
	uint64_t ns;
	uint32_t row, cell;
};

static int by_size(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

void stall_emit_str(union stall_event *e, struct lnx_str *str, const char *text)
{
	size_t n = strlen(text);

	if (n > 255)
		n = 255; /* of a path the end is cut */
	str->off = (uint16_t)e->h.size;
	str->len = (uint16_t)n;
	memcpy(e->bytes + e->h.size, text, n);
	e->h.size += (uint32_t)n;
}

void stall_emit_begin(union stall_event *e, uint16_t type, size_t fixed, const struct stall_win *w)
{
	memset(e->bytes, 0, fixed);
	e->h.size = (uint32_t)fixed;
	e->h.fixed = (uint16_t)fixed;
	e->h.type = type;
	e->h.ts_ns = w->to_ns;
	e->h.cpu = LNX_CPU_NONE;
}

double stall_confidence(double coverage, double lost_ratio)
{
	return isnan(coverage) ? 1 - lost_ratio : coverage;
}

/* Of the ledger; the other probes count what they missed, not of how much. */
static double lost_of(const struct stall_win *w, const struct stall_row *r)
{
	return r->resource == LNX_RES_CPU ? stall_lost_ratio(w->lost, w->events) : 0;
}

/* The process of <who> that ran most while others waited. */
static const struct stall_task *first_task(const struct stall_win *w, uint32_t who)
{
	const struct stall_task *best = NULL;

	for (uint32_t i = 0; who != STALL_WHO_NONE && i < w->n_tasks; i++)
		if (w->tasks[i].who == who && (!best || w->tasks[i].caused_ns > best->caused_ns))
			best = &w->tasks[i];
	return best;
}

static double cpu_pct(const struct stall *s, uint32_t who, uint64_t window_ns)
{
	double ns = 0;

	for (uint32_t i = LNX_LEDGER_FIRST; s->probe.slot && i < LNX_LEDGER_SLOTS; i++)
		if (s->look->run_ns[i] && s->probe.slot[i].handle && s->probe.slot[i].who == who)
			ns += (double)s->look->run_ns[i];
	return window_ns ? 100 * ns / (double)window_ns : 0;
}

/* A number for the pair, small enough for a double. */
static uint64_t pair_of(uint64_t victim_id, uint64_t culprit_id, uint32_t resource, uint32_t kind)
{
	uint64_t h = victim_id * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 29 ^ culprit_id) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 32 ^ (resource << 8 | kind)) * 0x94d049bb133111ebULL;
	return (h ^ h >> 31) >> 11;
}

/* It takes no more than it asked for, or the victim asked for nothing. */
static uint32_t is_entitled(const struct stall_who *victim, const struct stall_who *culprit,
			    double culprit_cpu_pct)
{
	return !strcmp(victim->qos, "besteffort") ||
	       (culprit->cpu_request_millicores &&
		culprit_cpu_pct <= culprit->cpu_request_millicores / 10.);
}

static void publish_edge(struct stall *s, const struct stall_win *w, const struct pick *p)
{
	const struct stall_row *r = &w->rows[p->row];
	const struct stall_cell *c = &w->cells[p->cell];
	const struct stall_who *victim = &s->whos.who[r->who], *culprit = NULL;
	const struct stall_task *task =
		r->resource == LNX_RES_CPU ? first_task(w, c->culprit) : NULL;
	double lost = lost_of(w, r), coverage = stall_coverage(r, lost);
	union stall_event e;
	char limit[512];

	stall_emit_begin(&e, LNX_EV_STALL_EDGE, sizeof(e.edge), w);
	if (c->culprit >= STALL_WHO_FIRST && c->culprit < STALL_WHO_MAX)
		culprit = &s->whos.who[c->culprit];
	e.edge.window_ns = w->to_ns - w->from_ns;
	e.edge.victim_cgroup_id = victim->cgroup_id;
	e.edge.culprit_cgroup_id = culprit ? culprit->cgroup_id : 0;
	e.edge.resource = r->resource;
	e.edge.kind = c->kind;
	e.edge.pair =
		pair_of(victim->cgroup_id, e.edge.culprit_cgroup_id, e.edge.resource, e.edge.kind);
	e.edge.method = r->method;
	e.edge.stall_ms = (double)c->stall_ns / 1e6;
	e.edge.raw_ms = (double)c->raw_ns / 1e6;
	e.edge.share_ratio = r->stalled_ns ? (double)c->stall_ns / (double)r->stalled_ns : 0;
	e.edge.coverage_ratio = coverage;
	e.edge.confidence = stall_confidence(coverage, lost);
	e.edge.culprit_cpu_pct = NAN;
	if (culprit) {
		e.edge.culprit_cpu_pct = cpu_pct(s, c->culprit, e.edge.window_ns);
		e.edge.same_workload = c->kind == LNX_STALL_NEIGHBOUR &&
				       stall_who_is_same_workload(victim, culprit);
		e.edge.entitled = c->kind == LNX_STALL_NEIGHBOUR &&
				  is_entitled(victim, culprit, e.edge.culprit_cpu_pct);
	}
	if (task) {
		e.h.pid = task->pid;
		e.edge.culprit_start_ns = task->start_ns;
	}
	stall_emit_str(&e, &e.edge.victim, victim->workload);
	stall_emit_str(&e, &e.edge.victim_namespace, victim->namespace_);
	stall_emit_str(&e, &e.edge.victim_pod_name, victim->pod_name);
	stall_emit_str(&e, &e.edge.culprit, culprit ? culprit->workload : "");
	stall_emit_str(&e, &e.edge.culprit_namespace, culprit ? culprit->namespace_ : "");
	stall_emit_str(&e, &e.edge.culprit_pod_name, culprit ? culprit->pod_name : "");
	stall_emit_str(&e, &e.edge.culprit_comm, task ? task->comm : "");
	limit[0] = 0;
	if (c->limit)
		(void)snprintf(limit, sizeof(limit), "%s of %s", s->whos.limits[c->limit].text,
			       s->whos.limits[c->limit].owner); /* cut when too long */
	stall_emit_str(&e, &e.edge.limit, limit);
	stall_emit_str(&e, &e.edge.victim_container_id, victim->container_id);
	stall_emit_str(&e, &e.edge.culprit_container_id, culprit ? culprit->container_id : "");
	stall_emit_str(&e, &e.edge.victim_pod_uid, victim->pod_uid);
	stall_emit_str(&e, &e.edge.culprit_pod_uid, culprit ? culprit->pod_uid : "");
	(void)s->host->publish(s->ctx, &e.h); /* a full queue is counted by the host */
}

static void publish_window(struct stall *s, const struct stall_win *w, uint32_t row)
{
	const struct stall_row *r = &w->rows[row];
	const struct stall_who *who = &s->whos.who[r->who];
	double lost = lost_of(w, r), ms[LNX_STALL_KINDS] = { 0 };
	struct lnx_ev_stall_window *v;
	union stall_event e;

	stall_emit_begin(&e, LNX_EV_STALL_WINDOW, sizeof(e.window), w);
	v = &e.window;
	for (uint32_t i = r->first; i < r->first + r->n; i++)
		ms[w->cells[i].kind] += (double)w->cells[i].stall_ns / 1e6;
	v->window_ns = w->to_ns - w->from_ns;
	v->cgroup_id = who->cgroup_id;
	v->resource = r->resource;
	v->method = r->method;
	v->stalled_ms = (double)r->stalled_ns / 1e6;
	v->psi_ms = r->psi_ns == STALL_UNKNOWN ? NAN : (double)r->psi_ns / 1e6;
	v->raw_ms = (double)r->raw_ns / 1e6;
	v->full_ms = r->full_ns == STALL_UNKNOWN ? NAN : (double)r->full_ns / 1e6;
	v->coverage_ratio = stall_coverage(r, lost);
	v->confidence = stall_confidence(v->coverage_ratio, lost);
	v->self_ms = ms[LNX_STALL_SELF];
	v->sibling_ms = ms[LNX_STALL_SIBLING];
	v->neighbour_ms = ms[LNX_STALL_NEIGHBOUR];
	v->throttled_ms = ms[LNX_STALL_THROTTLED];
	v->kernel_ms = ms[LNX_STALL_KERNEL];
	v->irq_ms = ms[LNX_STALL_IRQ];
	v->steal_ms = ms[LNX_STALL_STEAL];
	v->idle_ms = ms[LNX_STALL_IDLE];
	v->other_ms = ms[LNX_STALL_OTHER];
	stall_emit_str(&e, &v->workload, who->workload);
	stall_emit_str(&e, &v->namespace_, who->namespace_);
	stall_emit_str(&e, &v->pod_name, who->pod_name);
	stall_emit_str(&e, &v->path, who->path);
	(void)s->host->publish(s->ctx, &e.h); /* a full queue is counted by the host */
}

void stall_publish(struct stall *s, const struct stall_win *w)
{
	uint32_t wants_edges = s->host->wanted(s->ctx, "stall.edge") > 0,
		 wants_windows = s->host->wanted(s->ctx, "stall.window") > 0, n = 0;
	struct pick *picks;

	if (!wants_edges && !wants_windows)
		return;
	picks = calloc(w->n_cells + w->n_rows + 1, sizeof(*picks));
	if (!picks)
		return; /* the window itself is kept */
	for (uint32_t r = 0; wants_windows && r < w->n_rows; r++)
		if (w->rows[r].stalled_ns >= WINDOW_FROM_NS && !s->whos.who[w->rows[r].who].level)
			picks[n++] = (struct pick){ w->rows[r].stalled_ns, r, 0 };
	qsort(picks, n, sizeof(*picks), by_size);
	for (uint32_t i = 0; i < n && i < s->conf->windows; i++)
		publish_window(s, w, picks[i].row);
	n = 0;
	for (uint32_t r = 0; wants_edges && r < w->n_rows; r++)
		for (uint32_t c = w->rows[r].first; c < w->rows[r].first + w->rows[r].n; c++)
			if (w->cells[c].stall_ns >= s->conf->edge_min &&
			    !s->whos.who[w->rows[r].who].level)
				picks[n++] = (struct pick){ w->cells[c].stall_ns, r, c };
	qsort(picks, n, sizeof(*picks), by_size);
	for (uint32_t i = 0; i < n && i < s->conf->edges; i++)
		publish_edge(s, w, &picks[i]);
	free(picks);
}
