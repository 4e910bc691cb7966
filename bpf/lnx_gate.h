/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Gates: of each cgroup the time in which at least one of its tasks waits for a resource. A task opens
 * the gate of its cgroup when it begins to wait and closes it at the end; the entry in `waiting` makes
 * a second end harmless and shows a missed one. No memory is allocated here: the run queue's lock may
 * be held. Included by one object each. */
#ifndef LNX_GATE_H
#define LNX_GATE_H

#include "lnx_kernel.h"

#define LNX_BPF
#include <linnix/rec_res.h>

#define LNX_GATES   4096  /* cgroups */
#define LNX_WAITERS 16384 /* tasks waiting at a time */
#define LNX_ALIASES 8192

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNX_GATES);
	__type(key, __u64);
	__type(value, struct lnx_rec_gate);
} gates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNX_WAITERS);
	__type(key, __u32);
	__type(value, struct lnx_rec_waiting);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNX_ALIASES);
	__type(key, __u64);
	__type(value, __u64);
} alias SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lnx_rec_counts);
} counts SEC(".maps");

static __always_inline void lnx_gate_count(__u32 what)
{
	__u32 zero = 0;
	struct lnx_rec_counts *c = bpf_map_lookup_elem(&counts, &zero);

	if (c)
		__sync_fetch_and_add(&c->n[what & (LNX_RES_COUNTS - 1)], 1);
}

static __always_inline __u64 lnx_gate_alias(__u64 id)
{
	__u64 *to = bpf_map_lookup_elem(&alias, &id);

	return to ? *to : id;
}

/* The v2 cgroup that stands for the task's, 0 for kernel threads. */
static __always_inline __u64 lnx_gate_cgroup(struct task_struct *p)
{
	if (p->flags & LNX_PF_KTHREAD)
		return 0;
	return lnx_gate_alias(BPF_CORE_READ(p, cgroups, dfl_cgrp, kn, id));
}

/* <clock>: the end by the same clock as in lnx_gate_enter(). */
static __always_inline void lnx_gate_leave(__u32 pid, __u64 clock)
{
	struct lnx_rec_waiting *t = bpf_map_lookup_elem(&waiting, &pid);
	struct lnx_rec_gate *g;
	__u64 id, born;
	int is_late = 0;

	if (!t)
		return;
	id = t->cgroup_id;
	born = t->born;
	if (bpf_map_delete_elem(&waiting, &pid))
		return; /* another CPU was first */
	g = bpf_map_lookup_elem(&gates, &id);
	if (!g) {
		lnx_gate_count(LNX_RES_N_LATE);
		return;
	}
	bpf_spin_lock(&g->lock);
	if (g->born != born || !g->n) {
		is_late = 1;
	} else if (--g->n == 0) {
		if (clock > g->clock)
			g->stall_ns += clock - g->clock;
		g->waits++;
	}
	bpf_spin_unlock(&g->lock);
	if (is_late)
		lnx_gate_count(LNX_RES_N_LATE);
}

static __always_inline void lnx_gate_enter(struct task_struct *p, __u32 how, __u64 now, __u64 clock)
{
	struct lnx_rec_waiting t = { .cgroup_id = lnx_gate_cgroup(p), .since = now, .how = how };
	struct lnx_rec_gate *g;
	__u32 pid = p->pid;

	if (!t.cgroup_id)
		return;
	if (bpf_map_lookup_elem(&waiting, &pid)) {
		lnx_gate_count(LNX_RES_N_HEALED);
		lnx_gate_leave(pid, clock);
	}
	g = bpf_map_lookup_elem(&gates, &t.cgroup_id);
	if (!g) {
		struct lnx_rec_gate fresh = { .born = now };

		(void)bpf_map_update_elem(&gates, &t.cgroup_id, &fresh, BPF_NOEXIST);
		g = bpf_map_lookup_elem(&gates, &t.cgroup_id);
	}
	if (!g) {
		lnx_gate_count(LNX_RES_N_GATE_FULL);
		return;
	}
	t.born = g->born; /* set once */
	if (bpf_map_update_elem(&waiting, &pid, &t, BPF_NOEXIST)) {
		lnx_gate_count(LNX_RES_N_WAIT_FULL);
		return;
	}
	bpf_spin_lock(&g->lock);
	if (g->n++ == 0) {
		g->since = now;
		g->clock = clock;
	}
	bpf_spin_unlock(&g->lock);
}

/* ---- the clock of waits that begin at a switch and end at a wake-up
 *
 * PSI takes the time as the run queue's clock stands, a little before the tracepoints, where other programs
 * may come first: 3 to 15 us at the end of a wait, much of a read from a fast disk. Run queues have one clock
 * in common, up to what the CPUs' counters differ. */

static __always_inline __u64 lnx_gate_clock(struct task_struct *p)
{
	return BPF_CORE_READ(p, se.cfs_rq, rq, clock);
}

/* When <next>, which gets the CPU now, was woken: its wake-up itself may have been missed. */
static __always_inline __u64 lnx_gate_woken(struct task_struct *next)
{
	__u64 queued = 0;

	if (bpf_core_field_exists(next->sched_info.last_queued))
		queued = next->sched_info.last_queued;
	return queued ? queued : lnx_gate_clock(next);
}

/* Gives up the CPU for good at this switch: asleep, and not merely preempted on the way there. */
static __always_inline int lnx_gate_sleeps(struct task_struct *prev, bool preempt)
{
	if (preempt)
		return 0;
	if (prev->on_rq != LNX_TASK_ON_RQ_QUEUED)
		return 1;
	return bpf_core_field_exists(prev->se.sched_delayed) && prev->se.sched_delayed;
}

#endif
