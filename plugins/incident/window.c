/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See window.h. Bounded tables; what does not fit is the smallest of many. */
#include "window.h"

#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <math.h>
#include <string.h>

#define SHORT_NS INC_SEC

static void series_add(struct win_series *v, double x)
{
	if (!isfinite(x))
		return;
	v->sum += x;
	v->max = v->n && v->max > x ? v->max : x;
	v->last = x;
	v->n++;
}

double win_mean(const struct win_series *v)
{
	return v->n ? v->sum / v->n : NAN;
}

double win_max(const struct win_series *v)
{
	return v->n ? v->max : NAN;
}

double win_confidence(const struct win_victim *v)
{
	return v->stalled_ms > 0 ? v->sure_ms / v->stalled_ms : NAN;
}

static void copy(char *to, size_t cap, const struct lnx_event *ev, struct lnx_str str)
{
	size_t n = str.len < cap ? str.len : cap - 1;

	memcpy(to, (const char *)ev + str.off, n);
	to[n] = 0;
}

/* True if <cgroup_id> belongs to the culprit's slot. */
static uint32_t is_culprit(struct window *w, uint64_t cgroup_id)
{
	unsigned i = (unsigned)(cgroup_id % WIN_CACHE);
	struct inc_who who;

	if (!w->inc->culprit.cgroup_id)
		return 0;
	if (!w->cache[i].is_known || w->cache[i].cgroup_id != cgroup_id) {
		(void)inc_who(w->s, cgroup_id, &who); /* its own id, then */
		w->cache[i].cgroup_id = cgroup_id;
		w->cache[i].is_known = 1;
		w->cache[i].is_culprit = who.cgroup_id == w->inc->culprit.cgroup_id;
	}
	return w->cache[i].is_culprit;
}

static void on_fork(struct window *w, const struct lnx_ev_proc_fork *f)
{
	uint32_t i;

	if (f->is_kthread || !is_culprit(w, f->cgroup_id))
		return;
	w->forks++;
	for (i = 0; i < w->n_spawners && w->spawners[i].pid != f->ppid; i++)
		;
	if (i == WIN_SPAWNERS)
		return;
	if (i == w->n_spawners) {
		w->spawners[i].pid = f->ppid;
		(void)snprintf(w->spawners[i].comm, sizeof(w->spawners[i].comm), "%.16s",
			       f->comm); /* fits */
		w->n_spawners++;
	}
	w->spawners[i].n++;
}

static void on_end(struct window *w, const struct lnx_ev_proc_exit *e)
{
	if (!is_culprit(w, e->cgroup_id))
		return;
	w->exits++;
	w->never_exec += !e->did_exec;
	w->failed += e->exit_code != 0;
	w->killed += e->signal != 0;
	w->short_lived += e->lifetime_ns < SHORT_NS;
}

static void on_host(struct window *w, const struct lnx_ev_host_sample *h)
{
	series_add(&w->cpu, h->cpu_pct);
	series_add(&w->steal, h->steal_pct);
	series_add(&w->iowait, h->iowait_pct);
	series_add(&w->mem, h->mem_pct);
	series_add(&w->load, h->load1);
	w->n_cpus = h->n_cpus;
}

static void on_psi(struct window *w, const struct lnx_ev_psi_sample *p)
{
	series_add(&w->psi_cpu, p->cpu_some.pct);
	series_add(&w->psi_memory, p->memory_some.pct);
	series_add(&w->psi_io, p->io_some.pct);
}

static struct win_victim *victim(struct window *w, uint64_t cgroup_id)
{
	for (uint32_t i = 0; i < w->n_victims; i++)
		if (w->victims[i].cgroup_id == cgroup_id)
			return &w->victims[i];
	return NULL;
}

static void on_window(struct window *w, const struct lnx_ev_stall_window *v)
{
	const double parts[LNX_STALL_KINDS] = { v->self_ms,	 v->sibling_ms, v->neighbour_ms,
						v->throttled_ms, v->kernel_ms,	v->irq_ms,
						v->steal_ms,	 v->idle_ms,	v->other_ms };
	struct win_victim *to = v->resource == w->resource ? victim(w, v->cgroup_id) : NULL;

	if (!to)
		return;
	to->n++;
	to->method = v->method;
	to->stalled_ms += v->stalled_ms;
	to->psi_ms += v->psi_ms;
	if (isfinite(v->confidence))
		to->sure_ms += v->stalled_ms * v->confidence;
	for (unsigned k = 0; k < LNX_STALL_KINDS; k++)
		to->parts[k] += parts[k];
}

static void on_edge(struct window *w, const struct lnx_ev_stall_edge *e)
{
	struct win_part *p;
	uint32_t i;

	if (e->resource != w->resource || !victim(w, e->victim_cgroup_id))
		return;
	for (i = 0; i < w->n_parts; i++) {
		p = &w->parts[i];
		if (p->victim == e->victim_cgroup_id && p->culprit == e->culprit_cgroup_id &&
		    p->kind == e->kind)
			break;
	}
	if (i == WIN_PARTS)
		return;
	p = &w->parts[i];
	if (i == w->n_parts) {
		w->n_parts++;
		p->victim = e->victim_cgroup_id;
		p->culprit = e->culprit_cgroup_id;
		p->kind = e->kind;
		copy(p->name, sizeof(p->name), &e->h, e->culprit);
		copy(p->namespace_, sizeof(p->namespace_), &e->h, e->culprit_namespace);
	}
	p->ms += e->stall_ms;
	p->pid = e->h.pid ? e->h.pid : p->pid;
	if (e->culprit_comm.len)
		copy(p->comm, sizeof(p->comm), &e->h, e->culprit_comm);
	if (e->limit.len)
		copy(p->limit, sizeof(p->limit), &e->h, e->limit);
}

static int each(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct window *w = arg;

	if (ev->ts_ns > w->to_ns)
		return 0;
	if (!w->first_ns || ev->ts_ns < w->from_ns)
		w->first_ns = ev->ts_ns < w->from_ns ? w->from_ns : ev->ts_ns;
	if (ev->ts_ns < w->from_ns)
		return 0;
	if (!w->first_seq)
		w->first_seq = meta->seq;
	if (ev->type == LNX_EV_PROC_FORK && LNX_EV_HAS(ev, struct lnx_ev_proc_fork, comm)) {
		on_fork(w, (const struct lnx_ev_proc_fork *)ev);
	} else if (ev->type == LNX_EV_PROC_EXIT && LNX_EV_HAS(ev, struct lnx_ev_proc_exit, comm)) {
		on_end(w, (const struct lnx_ev_proc_exit *)ev);
	} else if (ev->type == LNX_EV_HOST_SAMPLE &&
		   LNX_EV_HAS(ev, struct lnx_ev_host_sample, n_running)) {
		on_host(w, (const struct lnx_ev_host_sample *)ev);
	} else if (ev->type == LNX_EV_PSI_SAMPLE &&
		   LNX_EV_HAS(ev, struct lnx_ev_psi_sample, io_full)) {
		if (!w->first_psi_seq)
			w->first_psi_seq = meta->seq;
		on_psi(w, (const struct lnx_ev_psi_sample *)ev);
	} else if (ev->type == LNX_EV_STALL_WINDOW &&
		   LNX_EV_HAS(ev, struct lnx_ev_stall_window, path)) {
		on_window(w, (const struct lnx_ev_stall_window *)ev);
	} else if (ev->type == LNX_EV_STALL_EDGE &&
		   LNX_EV_HAS(ev, struct lnx_ev_stall_edge, limit)) {
		on_edge(w, (const struct lnx_ev_stall_edge *)ev);
	}
	return 0;
}

void window_read(struct window *w, struct incidents *s, const struct inc *inc, uint64_t to_ns)
{
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->inc = inc;
	w->to_ns = to_ns;
	w->from_ns = to_ns > s->conf->before_ns ? to_ns - s->conf->before_ns : 1;
	w->resource = !strcmp(inc->resource, "memory") ? LNX_RES_MEMORY
		      : !strcmp(inc->resource, "io")   ? LNX_RES_IO
						       : LNX_RES_CPU;
	for (uint32_t i = 0; i < inc->n_named; i++)
		w->victims[w->n_victims++].cgroup_id = inc->victims[i].cgroup_id;
	if (!victim(w, 0))
		w->victims[w->n_victims++].cgroup_id = 0;
	(void)s->host->ring_each(s->ctx, 0, each, w, NULL); /* an empty ring has no evidence */
}
