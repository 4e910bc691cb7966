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
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNX_RES_PROCS);
	__type(key, struct lnx_rec_res_key);
	__type(value, struct lnx_rec_res_proc);
} procs SEC(".maps");

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

/* <p> did <amount> on the account of <id>. Not under the run queue's lock. */
static __always_inline void lnx_gate_did(struct task_struct *p, __u64 id, __u64 hint, __u64 amount)
{
	struct lnx_rec_res_key key = { .id = id };
	struct lnx_rec_res_proc fresh = { .amount = amount, .hint = hint }, *known;

	if (!(p->flags & LNX_PF_KTHREAD))
		key.tgid = p->tgid;
	known = bpf_map_lookup_elem(&procs, &key);
	if (known) {
		__sync_fetch_and_add(&known->amount, amount);
		return;
	}
	if (key.tgid) {
		fresh.start_ns = BPF_CORE_READ(p, group_leader, start_boottime);
		BPF_CORE_READ_INTO(&fresh.comm, p, group_leader, comm);
	}
	if (bpf_map_update_elem(&procs, &key, &fresh, BPF_NOEXIST))
		lnx_gate_count(LNX_RES_N_PROC_FULL);
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

/* The end of a wait that was missed: at the latest the task got the CPU then. */
static __always_inline __u64 lnx_gate_arrived(struct task_struct *p, __u64 clock)
{
	__u64 arrived = clock;

	if (bpf_core_field_exists(p->sched_info.last_arrival))
		arrived = p->sched_info.last_arrival;
	return arrived < clock ? arrived : clock;
}

/* <psi>: of lnx_gate_psi(), 0 if the end is not told by it. */
static __always_inline void lnx_gate_enter(struct task_struct *p, __u32 how, __u64 now, __u64 clock,
					   __u64 psi)
{
	struct lnx_rec_waiting t = { .since = now, .how = how, .psi = psi };
	struct lnx_rec_gate *g;
	__u32 pid = p->pid;

	t.cgroup_id = lnx_gate_cgroup(p);
	if (!t.cgroup_id)
		return;
	if (bpf_map_lookup_elem(&waiting, &pid)) {
		lnx_gate_count(LNX_RES_N_HEALED);
		lnx_gate_leave(pid, how == LNX_WAIT_IO ? lnx_gate_arrived(p, clock) : clock);
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
 * PSI reads the time between the update of the run queue's clock and the tracepoint. At a wake-up of a task of a busy CPU an
 * interrupt is sent to that CPU first, on a virtual machine 8 to 16 us, and before the tracepoint other programs may
 * come: both matter for a read of 30 us from a fast disk. So its own stamp is read where it can be: it is of this
 * very switch or wake-up, for the run queue is locked since. Else the run queue's clock stands for it; it is the same
 * clock, a little earlier. */

#define LNX_GATE_STAMP_NS 100000000LL /* later than the run queue's clock: not its stamp */

static __always_inline __u64 lnx_gate_rq_clock(struct task_struct *p)
{
	return BPF_CORE_READ(p, se.cfs_rq, rq, clock);
}

/* Where PSI keeps its stamp for the cgroup of <p> on this CPU; 0: not known. Of the kernel's values for each CPU a
 * program is told only how far they lie from the first: that of a map's value, <stats>, and its map. */
static __always_inline __u64 lnx_gate_psi(struct task_struct *p, const struct lnx_rec_stats *mine)
{
	struct cgroup *cg = BPF_CORE_READ(p, cgroups, dfl_cgrp);
	const void *const map = &stats;
	__u64 first = 0, at = 0, map_at = 0, psi;

	if (!bpf_core_field_exists(cg->psi) ||
	    !bpf_core_field_exists(((struct bpf_array *)0)->pptrs))
		return 0;
	/* As numbers: the verifier knows of no difference of such pointers. */
	if (bpf_probe_read_kernel(&at, sizeof(at), &mine) ||
	    bpf_probe_read_kernel(&map_at, sizeof(map_at), &map) ||
	    bpf_core_read(&first, sizeof(first), &((struct bpf_array *)map_at)->pptrs))
		return 0;
	psi = (__u64)BPF_CORE_READ(cg, psi, pcpu);
	return psi ? psi + at - first : 0;
}

/* <psi>: as lnx_gate_psi() said when the wait began. */
static __always_inline __u64 lnx_gate_clock(struct task_struct *p, __u64 psi)
{
	__u64 rq = lnx_gate_rq_clock(p), stamp = 0;

	if (psi)
		stamp = BPF_CORE_READ((struct psi_group_cpu *)psi, state_start);
	return (__s64)(stamp - rq) >= 0 && (__s64)(stamp - rq) < LNX_GATE_STAMP_NS ? stamp : rq;
}

/* <p> is woken. */
static __always_inline void lnx_gate_wake(struct task_struct *p)
{
	__u32 pid = p->pid;
	struct lnx_rec_waiting *t = bpf_map_lookup_elem(&waiting, &pid);

	if (t)
		lnx_gate_leave(pid, lnx_gate_clock(p, t->psi));
}

/* When <next>, which gets the CPU now, was woken: its wake-up itself may have been missed. */
static __always_inline __u64 lnx_gate_woken(struct task_struct *next)
{
	__u64 queued = 0;

	if (bpf_core_field_exists(next->sched_info.last_queued))
		queued = next->sched_info.last_queued;
	return queued ? queued : lnx_gate_rq_clock(next);
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
