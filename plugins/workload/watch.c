/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* workload.usage: what each workload uses and what its limits leave it. Files are only read while somebody wants to know, each
 * workload once in a round, rounds workload.usage apart, no more than WATCH_LOOKS workloads a second. */
#include <linnix/ev_proc.h>
#include <linnix/ev_workload.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "usage.h"
#include "workload.h"

#define PERIOD_NS 1000000000ull
#define WATCH_LOOKS \
	50 /* a second; each reads at most 12 files, and 3 more for each ancestor with a limit */
#define DEPTH_MAX 16 /* ancestors whose limits count */

static const struct lnx_metric_desc looks_desc = {
	.name = "linnix_workload_usage_looks_total",
	.help = "Workloads whose memory and limits were read for workload.usage.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc late_desc = {
	.name = "linnix_workload_usage_late_total",
	.help = "Seconds in which workloads waited for their turn, as 50 are looked at in one.",
	.kind = LNX_COUNTER,
};

/* The least that a limit leaves <e>: its own, in <own>, or an ancestor's. NaN: no limit. */
static double room_of(struct workload *w, const struct workload_entry *e, double own,
		      uint64_t now_ns, uint64_t *ret_owner)
{
	struct workload_entry *up = workload_table_get(&w->table, e->parent_id);
	double room = own;
	uint64_t limit;
	int depth = 0;

	*ret_owner = isnan(own) ? 0 : e->id;
	for (; up && depth++ < DEPTH_MAX; up = workload_table_get(&w->table, up->parent_id)) {
		if (up->room_ns != now_ns && usage_room(w->root, up->path, &up->room_bytes, &limit))
			up->room_bytes = NAN;
		up->room_ns = now_ns; /* the next of its children need not read it again */
		if (isnan(up->room_bytes) || room <= up->room_bytes)
			continue;
		room = up->room_bytes;
		*ret_owner = up->id;
	}
	return room;
}

static void watch_fill(struct workload *w, struct workload_entry *e, const struct usage_files *f,
		       uint64_t now_ns, struct lnx_ev_workload_usage *ev)
{
	uint64_t kills = usage_oom_kills(w->root, e->path), owner = 0;
	double own = NAN;

	ev->cgroup_id = e->id;
	ev->window_ns = e->look_ns ? now_ns - e->look_ns : 0;
	ev->age_ns = now_ns > e->first_ns ? now_ns - e->first_ns : 0;
	ev->anon_bytes = f->has_memory ? f->anon_bytes : e->anon_bytes;
	ev->working_set_bytes = f->working_set_bytes;
	ev->source = !f->has_memory ? LNX_USAGE_PROCESSES : f->is_v2 ? LNX_USAGE_V2 : LNX_USAGE_V1;
	ev->memory_limit_bytes = f->memory_limit_bytes;
	if (f->memory_limit_bytes && f->has_memory)
		own = f->pinned_bytes < (double)f->memory_limit_bytes
			      ? (double)f->memory_limit_bytes - f->pinned_bytes
			      : 0;
	ev->memory_room_bytes = room_of(w, e, own, now_ns, &owner);
	ev->limit_cgroup_id = owner;
	ev->oom_kills_total = kills;
	/* what happened before anyone looked is only news in a cgroup that was made since */
	if (e->look_ns || e->first_ns > w->watch.since_ns)
		ev->oom_kills = kills > e->oom_kills ? kills - e->oom_kills : 0;
	ev->throttled_total_ms = f->throttled_total_ms;
	ev->throttled_ms = e->look_ns && f->throttled_total_ms >= e->throttled_total_ms
				   ? f->throttled_total_ms - e->throttled_total_ms
				   : NAN;
	ev->cpu_limit_cores = f->cpu_limit_cores;
	e->oom_kills = kills;
	e->throttled_total_ms = f->throttled_total_ms;
	e->look_ns = now_ns;
	e->is_due = false;
}

/* The root is the machine, of which host.sample tells. */
static bool is_watched(const struct workload *w, struct workload_entry *e)
{
	return !e->gone_ns && e->kind != LNX_WL_ROOT && workload_is_slot(&w->table, e);
}

static void watch_look(struct workload *w, struct workload_entry *e)
{
	union {
		struct lnx_ev_workload_usage ev;
		char bytes[LNX_EVENT_MAX];
	} u;
	uint64_t now = w->host->now_ns(w->ctx);
	size_t n = strnlen(e->path, LNX_STR_MAX);
	struct usage_files f;

	if (e->look_ns == now)
		return; /* by the death of another of its processes */
	w->watch.n_looks--;
	w->host->metric_add(w->ctx, w->watch.m_looks, 1);
	usage_read(w->root, e->path, &f);
	if (!f.has_memory && !w->watch.by_processes) {
		w->watch.by_processes = 1;
		workload_sum_processes(w, 1); /* now, and not for longer */
	}
	memset(&u.ev, 0, sizeof(u.ev));
	watch_fill(w, e, &f, now, &u.ev);
	u.ev.h.type = LNX_EV_WORKLOAD_USAGE;
	u.ev.h.fixed = sizeof(u.ev);
	u.ev.h.size = (uint32_t)(sizeof(u.ev) + n);
	u.ev.h.cpu = LNX_CPU_NONE;
	u.ev.path.off = sizeof(u.ev);
	u.ev.path.len = (uint16_t)n;
	memcpy(u.bytes + sizeof(u.ev), e->path, n);
	(void)w->host->publish(w->ctx, &u.ev.h); /* the bus counts what it refuses */
}

void workload_on_exit(struct workload *w, const struct lnx_event *ev)
{
	const struct lnx_ev_proc_exit *x = (const void *)ev;
	struct workload_entry *e;

	if (!LNX_EV_HAS(ev, struct lnx_ev_proc_exit, signal) || x->signal != SIGKILL)
		return;
	e = workload_table_get(&w->table, x->cgroup_id);
	e = e ? workload_table_slot(&w->table, e) : NULL;
	if (!e || !is_watched(w, e))
		return;
	/* its cgroup may be removed in a moment, and with it what tells why */
	if (w->watch.n_looks)
		watch_look(w, e);
	else
		e->is_due = true;
}

/* Does anybody want it? Begins and ends with that. */
static bool watch_is_on(struct workload *w)
{
	struct workload_watch *t = &w->watch;
	uint32_t is_wanted = w->root[0] && w->host->wanted(w->ctx, "workload.usage") > 0;

	if (is_wanted != t->is_on &&
	    (is_wanted ? w->host->subscribe(w->ctx, "proc.exit", LNX_STAGE_STATE, 0)
		       : w->host->unsubscribe(w->ctx, "proc.exit")) == 0) {
		t->is_on = is_wanted;
		t->since_ns = w->host->now_ns(w->ctx);
		t->round_ns = 0;
	}
	return t->is_on;
}

static void on_second(void *arg)
{
	struct workload *w = arg;
	struct workload_watch *t = &w->watch;
	uint64_t now = w->host->now_ns(w->ctx);
	struct workload_entry *e;

	if (!watch_is_on(w))
		return;
	t->n_looks = WATCH_LOOKS;
	if (!t->round_ns ||
	    (t->is_over && now - t->round_ns + PERIOD_NS / 2 >= w->conf->usage_ns)) {
		t->round_ns = now;
		t->is_over = t->by_processes = 0;
	}
	for (e = w->table.oldest.next; e != &w->table.oldest; e = e->next) {
		if ((!e->is_due && (t->is_over || e->look_ns >= t->round_ns)) || !is_watched(w, e))
			continue;
		if (!t->n_looks) {
			w->host->metric_add(w->ctx, t->m_late, 1);
			return;
		}
		watch_look(w, e);
	}
	t->is_over = 1;
}

int workload_watch_start(struct workload *w)
{
	int rc = w->host->metric(w->ctx, &looks_desc, NULL, &w->watch.m_looks);

	if (rc == 0)
		rc = w->host->metric(w->ctx, &late_desc, NULL, &w->watch.m_late);
	return rc ? rc
		  : w->host->timer_add(w->ctx, PERIOD_NS, PERIOD_NS, on_second, w, &w->watch.timer);
}
