/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probe "sched": who waits for a CPU and who holds it meanwhile, as a ledger in memory. No event is
 * sent; a reader maps "cpus" and the table (linnix/ledger.h). "slots" maps a cgroup id to a handle. */
#include "lnx_kernel.h"

#define LNX_FN	    static __always_inline
#define LNX_SUB	    __noinline
#define LNX_COLD    static __noinline
#define LNX_RARE(x) __builtin_expect(!!(x), 0)
/* A mask alone is optimised away where the compiler knows the range and the verifier does not. */
#define LNX_MASK(i, n)                          \
	({                                      \
		__u64 lnx_i = (i);              \
		asm volatile("" : "+r"(lnx_i)); \
		lnx_i &((n)-1);                 \
	})
#define LNX_BOUND(i, n) LNX_MASK(i, n)

/* Between what a kernel has and what it lacks: a block of its own, which the verifier takes out with the jump to it. */
#define LNX_LACKS() asm volatile("")

/* Members far from the start of their struct cost two instructions more each, unless their address is kept. */
#define LNX_NEAR(p) asm volatile("" : "+r"(p))

#include "lnx_ledger_clock.h"
#include "lnx_ledger_events.h"

#define LNX_TASKS      256 /* for a CPU: tasks that wait and have no place in waiters[] */
#define LNX_NEST_MAX   16  /* cgroups looked at, from a task up, for the owner of a quota */
#define LNX_TAKE_TRIES 4   /* free slots tried against other CPUs */

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Entries: set to the possible CPUs before the load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lnx_ledger_cpu);
} cpus SEC(".maps");

/* A section is a map, and its address is known: no look-up. */
struct lnx_ledger_table lnx_table SEC(LNX_LEDGER_TABLE);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * LNX_LEDGER_SLOTS);
	__type(key, __u64);
	__type(value, __u32);
} slots SEC(".maps");

/* By pid, and not in task storage, which made a fork cost 1.5 us more. Who was noted first is pushed out when others need
 * the place, and is counted by its slot only. Entries: multiplied by the possible CPUs before the load. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LNX_TASKS);
	__type(key, __u32);
	__type(value, struct lnx_ledger_task);
} tasks SEC(".maps");

LNX_FN __u32 lnx_cache_index(__u64 id)
{
	return LNX_MASK(id ^ id >> 10, LNX_LEDGER_CACHE);
}

/* A free slot for cgroup <id>, OTHER if there is none. */
LNX_FN __u32 lnx_slot_take(struct lnx_ledger_table *tab, __u64 id)
{
	__u32 i;

	for (i = 0; i < LNX_TAKE_TRIES; i++) {
		__u64 tail = *(volatile __u64 *)&tab->free_tail;
		__u32 handle;

		if (tail >= *(volatile __u64 *)&tab->free_head)
			return LNX_LEDGER_OTHER;
		handle = tab->free[LNX_MASK(tail, LNX_LEDGER_SLOTS)];
		if (__sync_val_compare_and_swap(&tab->free_tail, tail, tail + 1) != tail)
			continue;
		tab->slot[lnx_ledger_slot(handle)].cgroup_id = id;
		return handle;
	}
	return LNX_LEDGER_OTHER;
}

LNX_SUB __u32 lnx_slot_miss(struct lnx_ledger_table *tab, __u64 id)
{
	__u32 *known = bpf_map_lookup_elem(&slots, &id), handle, at;

	if (!tab)
		return LNX_LEDGER_OTHER;
	if (!known) {
		handle = lnx_slot_take(tab, id);
		if (handle == LNX_LEDGER_OTHER)
			return handle; /* not cached: a slot may become free */
		/* Lost against another CPU: the reader finds the slot that no cgroup points to. */
		(void)bpf_map_update_elem(&slots, &id, &handle, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&slots, &id);
		if (!known)
			return LNX_LEDGER_OTHER;
	}
	handle = *known;
	at = lnx_cache_index(id);
	tab->cache[at].tagged = id << 32 | handle;
	tab->cache[at].cgroup_id = id;
	return handle;
}

static __always_inline __u32 lnx_prim_known(struct lnx_ledger_table *tab, struct task_struct *p)
{
	__u64 id, tagged;
	__u32 at;

	if (p->flags & LNX_PF_KTHREAD)
		return p->pid ? LNX_LEDGER_KERNEL : LNX_LEDGER_IDLE;
	id = p->cgroups->dfl_cgrp->kn->id;
	at = lnx_cache_index(id);
	tagged = *(volatile __u64 *)&tab->cache[at].tagged;
	if (LNX_RARE(tab->cache[at].cgroup_id != id || tagged >> 32 != (__u32)id))
		return LNX_LEDGER_OTHER;
	return tagged;
}

static __always_inline __u32 lnx_prim_handle(struct lnx_ledger_table *tab, struct task_struct *p)
{
	__u32 handle = lnx_prim_known(tab, p);

	/* OTHER is never in the cache. */
	return LNX_RARE(handle == LNX_LEDGER_OTHER)
		       ? lnx_slot_miss(tab, p->cgroups->dfl_cgrp->kn->id)
		       : handle;
}

static __always_inline struct lnx_ledger_task *lnx_prim_task(struct task_struct *p)
{
	__u32 pid = p->pid;
	struct lnx_ledger_task *t = bpf_map_lookup_elem(&tasks, &pid);

	return t && t->born_ns == p->start_boottime ? t : NULL;
}

static __always_inline struct lnx_ledger_task *lnx_prim_task_make(struct task_struct *p)
{
	struct lnx_ledger_task *t = lnx_prim_task(p), fresh = { .born_ns = p->start_boottime };
	__u32 pid = p->pid;

	if (t)
		return t;
	(void)bpf_map_update_elem(&tasks, &pid, &fresh, BPF_ANY); /* else there is none */
	return lnx_prim_task(p);
}

static __always_inline void lnx_prim_task_drop(struct task_struct *p)
{
	__u32 pid = p->pid;

	(void)bpf_map_delete_elem(&tasks, &pid); /* else it is gone already */
}

static __always_inline __u32 lnx_prim_tgid(struct task_struct *p)
{
	return p->tgid;
}

static __always_inline __u32 lnx_prim_pid(struct task_struct *p)
{
	return p->pid;
}

static __always_inline __u32 lnx_prim_cpu(struct task_struct *p)
{
	return p->thread_info.cpu;
}

static __always_inline __u32 lnx_prim_runs(struct task_struct *p)
{
	__u32 runs = 0;

	if (bpf_core_field_exists(p->sched_info.pcount))
		runs = p->sched_info.pcount;
	else
		LNX_LACKS();
	return runs;
}

/* Kept in the queue until its lag is gone. */
static __always_inline int lnx_prim_is_delayed(struct task_struct *p)
{
	return bpf_core_field_exists(p->se.sched_delayed) && p->se.sched_delayed;
}

static __always_inline int lnx_prim_runnable(struct task_struct *p)
{
	return p->on_rq == LNX_TASK_ON_RQ_QUEUED && !lnx_prim_is_delayed(p);
}

static __always_inline int lnx_prim_is_alone(struct task_struct *p)
{
	return p->se.cfs_rq->rq->nr_running <= 1;
}

static __always_inline __u64 lnx_prim_arrival(struct task_struct *p, __u64 now)
{
	__u64 clock;

	if (!bpf_core_field_exists(p->sched_info.last_arrival))
		return 0;
	clock = p->se.cfs_rq->rq->clock;
	if (!p->sched_info.last_arrival || p->sched_info.last_arrival > clock)
		return 0;
	return now - (clock - p->sched_info.last_arrival);
}

static __always_inline int lnx_prim_is_throttled(struct task_struct *p)
{
	return p->prio >= LNX_MAX_RT_PRIO && p->se.cfs_rq->throttle_count > 0;
}

static __always_inline __u64 lnx_prim_set(struct task_struct *p)
{
	return (__u64)p->cgroups;
}

static __always_inline int lnx_prim_is_kernel(struct task_struct *p)
{
	return p->flags & LNX_PF_KTHREAD;
}

static __always_inline int lnx_prim_free_queue(struct task_struct *p, __u64 *ret_queue)
{
	struct cfs_rq *queue = p->se.cfs_rq;

	*ret_queue = 0;
	if (p->prio < LNX_MAX_RT_PRIO)
		return 1;
	*ret_queue = (__u64)queue;
	return queue->throttle_count <= 0;
}

static __always_inline int lnx_prim_queue(__u64 queue, struct lnx_ledger_queue *ret_q)
{
	struct cfs_rq *q = (struct cfs_rq *)queue;

	ret_q->throttled = BPF_CORE_READ(q, throttle_count) > 0;
	ret_q->exact = bpf_core_field_exists(q->throttled_clock_self_time);
	if (ret_q->exact) {
		__u64 since = BPF_CORE_READ(q, throttled_clock_self);

		ret_q->total_ns = BPF_CORE_READ(q, throttled_clock_self_time);
		if (since)
			ret_q->total_ns += BPF_CORE_READ(q, rq, clock) - since;
	}
	return 0;
}

/* The nearest throttled queue from <p> up: its depth, and whose it is. */
static __noinline int lnx_join_throttled(struct lnx_ledger_table *tab, struct task_struct *p,
					 struct lnx_ledger_join *j)
{
	struct sched_entity *se = &p->se;
	struct lnx_ledger_queue q = { 0 };
	__u32 slot, depth, i;

	lnx_prim_queue(j->queue, &q);
	j->thr_base = q.total_ns;
	j->thr = LNX_LEDGER_THROTTLED;
	slot = LNX_LEDGER_SLOT(j->handle) & (LNX_LEDGER_SLOTS - 1);
	for (i = 0; i < LNX_NEST_MAX; i++) {
		struct cfs_rq *c = BPF_CORE_READ(se, cfs_rq);

		if (!c)
			break;
		if (BPF_CORE_READ_BITFIELD_PROBED(c, throttled)) {
			depth = BPF_CORE_READ(se, depth);
			j->thr += depth < LNX_LEDGER_DEPTH_MAX ? depth : LNX_LEDGER_DEPTH_MAX;
			slot = LNX_BOUND(slot, LNX_LEDGER_SLOTS);
			tab->slot[slot].owner = BPF_CORE_READ(c, tg, css.cgroup, kn, id);
			break;
		}
		se = BPF_CORE_READ(se, parent);
		if (!se)
			break;
	}
	return 0;
}

static __always_inline void lnx_prim_join(struct lnx_ledger_table *tab, struct task_struct *p,
					  struct lnx_ledger_join *j)
{
	if (p->prio < LNX_MAX_RT_PRIO)
		return; /* quotas bind the fair class only */
	j->queue = (__u64)p->se.cfs_rq;
	if (LNX_RARE(p->se.cfs_rq->throttle_count > 0))
		lnx_join_throttled(tab, p, j);
}

static __always_inline void lnx_prim_describe(struct task_struct *p, struct lnx_ledger_proc *d)
{
	d->start_ns = 0;
	if (p) {
		d->start_ns = p->group_leader->start_boottime;
		bpf_probe_read_kernel(d->comm, sizeof(d->comm), p->group_leader->comm);
	} else {
		__builtin_memset(d->comm, 0, sizeof(d->comm));
	}
}

LNX_FN struct lnx_ledger_cpu *lnx_cpu(__u32 cpu)
{
	return bpf_map_lookup_elem(&cpus, &cpu);
}

/* One run in LNX_LEDGER_TIME_EVERY is timed. Returns the start, 0 for the others. */
LNX_FN __u64 lnx_time_start(struct lnx_ledger_cpu *c, __u32 prog)
{
	__u64 runs = c->runs[prog] + 1;

	c->runs[prog] = runs;
	return LNX_RARE(!(runs % LNX_LEDGER_TIME_EVERY)) ? bpf_ktime_get_ns() : 0;
}

LNX_FN void lnx_time_stop(struct lnx_ledger_prog *g, __u64 start)
{
	if (!LNX_RARE(start))
		return;
	g->timed_ns += bpf_ktime_get_ns() - start;
	g->timed++;
}

/* CLOCK_MONOTONIC where the run queue's own clock does not tell it: that is to be measured again, or schedule() left it as
 * a preempting wake-up had set it. */
LNX_COLD __u64 lnx_now_asked(struct lnx_ledger_cpu *c, struct task_struct *p)
{
	struct rq *rq = p->se.cfs_rq->rq;
	__u64 now = bpf_ktime_get_ns(), clock = rq->clock;

	if (rq->clock_update_flags & LNX_RQ_CLOCK_STALE)
		return now;
	lnx_ledger_clock(c, clock, now);
	return clock + c->clock_offset;
}

/* CLOCK_MONOTONIC by way of the run queue's own clock, which costs a load instead of a helper call. */
LNX_FN __u64 lnx_now(struct lnx_ledger_cpu *c, struct task_struct *p)
{
	struct rq *rq = p->se.cfs_rq->rq;
	__u64 clock = rq->clock, now;

	if (LNX_RARE(rq->clock_update_flags & LNX_RQ_CLOCK_STALE || clock >= c->clock_next))
		now = lnx_now_asked(c, p);
	else
		now = clock + c->clock_offset;
	return now > c->tick ? now : c->tick;
}

/* The same at the wake-up of <p>: the scheduler noted the clock when it queued it, just now. */
LNX_FN __u64 lnx_now_woken(struct lnx_ledger_cpu *c, struct task_struct *p)
{
	__u64 clock = 0, now;

	if (bpf_core_field_exists(p->sched_info.last_queued))
		clock = p->sched_info.last_queued;
	else
		LNX_LACKS();
	if (LNX_RARE(!clock || clock >= c->clock_next))
		now = lnx_now_asked(c, p);
	else
		now = clock + c->clock_offset;
	return now > c->tick ? now : c->tick;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct lnx_ledger_cpu *c = lnx_cpu(prev->thread_info.cpu);
	__u64 start;

	if (!c)
		return 0;
	start = lnx_time_start(c, LNX_LEDGER_PROG_SWITCH);
	lnx_ledger_on_switch(c, &lnx_table, prev, next, lnx_now(c, prev));
	lnx_time_stop(&c->prog[LNX_LEDGER_PROG_SWITCH], start);
	return 0;
}

LNX_FN int lnx_wake(struct task_struct *p)
{
	struct lnx_ledger_cpu *c;
	__u64 start;

	/* It runs: nothing to wait for, and the lock of its queue may not be held. */
	if (p->on_cpu)
		return 0;
	c = lnx_cpu(p->thread_info.cpu);
	if (!c)
		return 0;
	start = lnx_time_start(c, LNX_LEDGER_PROG_WAKE);
	lnx_ledger_on_wake(c, &lnx_table, p, lnx_now_woken(c, p));
	lnx_time_stop(&c->prog[LNX_LEDGER_PROG_WAKE], start);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *p)
{
	return lnx_wake(p);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *p)
{
	return lnx_wake(p);
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(on_migrate, struct task_struct *p, int dst_cpu)
{
	__u32 to = dst_cpu;
	struct lnx_ledger_cpu *c, *dst;
	__u64 start, queue;

	if (p->on_rq != LNX_TASK_ON_RQ_MIGRATING)
		return 0;
	c = lnx_cpu(p->thread_info.cpu);
	dst = lnx_cpu(to);
	if (!c || !dst)
		return 0;
	start = lnx_time_start(c, LNX_LEDGER_PROG_MIGRATE);
	queue = 0;
	if (p->prio >= LNX_MAX_RT_PRIO) {
		struct cfs_rq **queues = BPF_CORE_READ(p, sched_task_group, cfs_rq);

		bpf_probe_read_kernel(&queue, sizeof(queue), &queues[to]);
	}
	lnx_ledger_on_migrate(c, dst, &lnx_table, to, p, queue, lnx_now(c, p));
	lnx_time_stop(&c->prog[LNX_LEDGER_PROG_MIGRATE], start);
	return 0;
}

/* Once a task has left a set of cgroups that goes, and another may come to its address: who knows one by that looks again.
 * Not seen: controllers switched in cgroup.subtree_control give the tasks below other sets without this tracepoint; their cgroups
 * stay. What is left of it: while such a task runs on, one of another cgroup wakes on its CPU, whose new set came to the very address
 * of the old one: it is taken for one of the same slot, for as long as that CPU alternates between tasks of that set alone.
 */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *dst)
{
	__u32 was = __sync_fetch_and_add(&lnx_table.moves, 1);

	/* Where the result is not used the compiler takes an instruction that orders nothing. */
	asm volatile("" : : "r"(was));
	lnx_table.moved_ns = bpf_ktime_get_ns();
	return 0;
}
