/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a process holds and has used: sums over a thread group, exact page counts, its state. */
#ifndef LNX_PROC_SUM_H
#define LNX_PROC_SUM_H

#include "lnx_kernel.h"

/* Loops have two levels: the inner one is a function of its own, verified once, so that the outer one
 * may call it often without the verifier walking all of it. */
#define PROC_THREADS_STEP  64
#define PROC_THREADS_CALLS 256 /* more than 16,384 threads: sums are lower bounds, and said so */
#define PROC_CPUS_STEP	   32
#define PROC_CPUS_CALLS	   256 /* up to 8,192 CPUs */
#define PROC_SUM_TRIES	   4   /* at a group that does not change while it is read; else the same */

/* Programs that sum: each has a place of its own, one may interrupt the other. */
#define PROC_FOR_EXIT  0
#define PROC_FOR_USAGE 1
#define PROC_FOR_N     2

/* Indexes of mm_struct.rss_stat: the kernel's MM_*, which have no named type. */
#define PROC_MM_FILE  0
#define PROC_MM_ANON  1
#define PROC_MM_SWAP  2
#define PROC_MM_SHMEM 3
#define PROC_MM_N     4

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct percpu_counter {
	__s64 count;
	__s32 *counters;
};

/* Since page counts are per CPU. */
struct mm_struct___percpu {
	struct percpu_counter rss_stat[PROC_MM_N];
};

/* Before. */
typedef struct {
	__s64 counter;
} atomic64_t;

struct mm_rss_stat {
	atomic64_t count[PROC_MM_N];
};

struct mm_struct___atomic {
	struct mm_rss_stat rss_stat;
};

struct task_struct___old {
	long state;
};

#pragma clang attribute pop

struct proc_sum {
	__u64 cpu_ns, run_delay_ns, minflt, majflt, read_bytes, write_bytes;
};

/* Sums in the making. */
struct proc_walk {
	struct proc_sum sum;
	__u64 at, head;		/* of the list of threads */
	__s64 pages[PROC_MM_N]; /* by PROC_MM_* */
	__u64 part[PROC_MM_N];	/* per-CPU part of each, relative to `marks` */
	__u64 number;		/* see proc_number() */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROC_FOR_N);
	__type(key, __u32);
	__type(value, struct proc_walk);
} walks SEC(".maps");

/* Of use for its address per CPU, which tells where the data of a CPU lies. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} marks SEC(".maps");

static __always_inline void proc_sum_task(struct task_struct *t, struct proc_sum *sum)
{
	sum->cpu_ns += BPF_CORE_READ(t, se.sum_exec_runtime);
	sum->minflt += BPF_CORE_READ(t, min_flt);
	sum->majflt += BPF_CORE_READ(t, maj_flt);
	if (bpf_core_field_exists(t->sched_info.run_delay))
		sum->run_delay_ns += BPF_CORE_READ(t, sched_info.run_delay);
	if (bpf_core_field_exists(t->ioac.read_bytes)) {
		sum->read_bytes += BPF_CORE_READ(t, ioac.read_bytes);
		sum->write_bytes += BPF_CORE_READ(t, ioac.write_bytes);
	}
}

/* Threads that have ended and been reaped. */
static __always_inline void proc_sum_signal(struct signal_struct *sig, struct proc_sum *sum)
{
	sum->cpu_ns = sig->sum_sched_runtime;
	sum->run_delay_ns = 0;
	sum->minflt = sig->min_flt;
	sum->majflt = sig->maj_flt;
	sum->read_bytes = 0;
	sum->write_bytes = 0;
	if (bpf_core_field_exists(sig->ioac.read_bytes)) {
		sum->read_bytes = sig->ioac.read_bytes;
		sum->write_bytes = sig->ioac.write_bytes;
	}
}

/* Add the next threads. Returns 1 if there are more. */
__noinline int proc_walk_threads(__u32 who)
{
	struct proc_walk *w = bpf_map_lookup_elem(&walks, &who);
	__u32 i;

	if (!w)
		return 0;
	for (i = 0; i < PROC_THREADS_STEP; i++) {
		struct task_struct *t;

		if (w->at == w->head)
			return 0;
		t = (void *)(w->at - bpf_core_field_offset(struct task_struct, thread_node));
		proc_sum_task(t, &w->sum);
		w->at = (__u64)BPF_CORE_READ(t, thread_node.next);
	}
	return 1;
}

static __always_inline __u32 proc_sum_seq(struct signal_struct *sig)
{
	return *(volatile __u32 *)&sig->stats_lock.seqcount.seqcount.sequence;
}

/* Sum of a group with several threads. A thread that is reaped moves its figures to <sig> under
 * stats_lock: begin again if that happened meanwhile. Returns 1 if not all threads were counted, or one may have moved
 * behind the walk at each try. */
static __always_inline int proc_sum_group(struct proc_walk *w, __u32 who, struct signal_struct *sig)
{
	__u64 head = bpf_core_field_offset(struct signal_struct, thread_head);
	__u32 i, n, seq;
	int more = 0;

	for (i = 0; i < PROC_SUM_TRIES; i++) {
		seq = proc_sum_seq(sig);
		proc_sum_signal(sig, &w->sum);
		w->head = (__u64)sig + head;
		w->at = (__u64)BPF_CORE_READ(sig, thread_head.next);
		for (n = 0; n < PROC_THREADS_CALLS; n++) {
			more = proc_walk_threads(who);
			if (!more)
				break;
		}
		if (seq == proc_sum_seq(sig))
			return more;
	}
	return 1;
}

/* The address <p> as a number to reckon with, which the verifier allows only by way of memory. */
static __always_inline __u64 proc_number(struct proc_walk *w, void *p)
{
	*(volatile __u64 *)&w->number = (__u64)p;
	return *(volatile __u64 *)&w->number;
}

/* Add the parts of PROC_CPUS_STEP CPUs from <cpu> on. Returns 1 if there may be more. */
__noinline int proc_walk_pages(__u32 who, __u32 cpu)
{
	struct proc_walk *w = bpf_map_lookup_elem(&walks, &who);
	__u32 i, k, zero = 0;

	if (!w)
		return 0;
	for (i = 0; i < PROC_CPUS_STEP; i++) {
		void *here = bpf_map_lookup_percpu_elem(&marks, &zero, cpu + i);

		__u64 at;

		if (!here)
			return 0;
		at = proc_number(w, here);
#pragma unroll
		for (k = 0; k < PROC_MM_N; k++) {
			__s32 v = 0;

			bpf_probe_read_kernel(&v, sizeof(v), (const void *)(at + w->part[k]));
			w->pages[k] += v;
		}
	}
	return 1;
}

/* Counts are kept per CPU and added to `count` in batches of at least 32 pages: a small process is
 * often there alone, so add all. */
static __always_inline void proc_pages_percpu(struct proc_walk *w, __u32 who,
					      struct mm_struct___percpu *mm)
{
	struct bpf_array *map = (void *)proc_number(w, &marks);
	__u64 mark = (__u64)BPF_CORE_READ(map, pptrs[0]);
	__u32 n, k;

#pragma unroll
	for (k = 0; k < PROC_MM_N; k++) {
		/* indexed by hand: only a constant index is relocated */
		struct percpu_counter *c = (void *)mm + bpf_core_field_offset(mm->rss_stat) +
					   k * bpf_core_type_size(struct percpu_counter);

		w->pages[k] = BPF_CORE_READ(c, count);
		w->part[k] = (__u64)BPF_CORE_READ(c, counters) - mark;
	}
	for (n = 0; n < PROC_CPUS_CALLS; n++)
		if (!proc_walk_pages(who, n * PROC_CPUS_STEP))
			break;
}

/* Fill w->pages. */
static __always_inline void proc_pages(struct proc_walk *w, __u32 who, struct mm_struct *mm)
{
	struct mm_struct___atomic *old = (void *)mm;
	__u32 k;

	/* By the kind of the member: whether a type exists, only CAP_SYS_ADMIN can tell when it does not. */
	if (bpf_core_field_exists(old->rss_stat)) {
		bpf_probe_read_kernel(w->pages, sizeof(w->pages),
				      (void *)old + bpf_core_field_offset(old->rss_stat.count));
	} else {
		proc_pages_percpu(w, who, (void *)mm);
	}
#pragma unroll
	for (k = 0; k < PROC_MM_N; k++)
		if (w->pages[k] < 0)
			w->pages[k] = 0;
}

/* Index into lnx_proc_state_names of ev_proc.h. */
static __always_inline __u32 proc_state(struct task_struct *t)
{
	__u32 state, exit_state = t->exit_state;

	if (exit_state)
		return exit_state & 0x20 ? 5 : 6; /* EXIT_ZOMBIE or EXIT_DEAD */
	if (bpf_core_field_exists(t->__state))
		state = t->__state;
	else
		state = BPF_CORE_READ((struct task_struct___old *)t, state);
	if (state & 0x400) /* TASK_NOLOAD */
		return 7;
	if (state & 1) /* TASK_INTERRUPTIBLE */
		return 1;
	if (state & 2) /* TASK_UNINTERRUPTIBLE */
		return 2;
	if (state & 4) /* __TASK_STOPPED */
		return 3;
	if (state & 8) /* __TASK_TRACED */
		return 4;
	if (state & 0x40) /* TASK_PARKED */
		return 7;
	return state & 0x80 ? 6 : 0; /* TASK_DEAD */
}

#endif
