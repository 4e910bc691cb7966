/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probe "proc": processes that start, run a program and end, as events; and the iterator "usage",
 * which tells what each process used, as records (linnix/rec_proc.h).
 *
 * A process is a thread group: threads make no proc.fork, and proc.exit comes with the last one. */
#define LNX_BPF
#include "lnx_emit.h"

#include <linnix/ev_proc.h>
#include <linnix/rec_proc.h>

#include "lnx_proc_sum.h"

#define PROC_ARGS_OFF	 0
#define PROC_ARGS_SCRIPT 1
#define PROC_ARGS_FULL	 2
#define PROC_ARGS_STEP	 64 /* bytes */

/* Groups whose last threads may be ending at the same moment. */
#define PROC_ENDING_MAX 1024

#define PROC_TICK_MAX_NS 10000000ULL /* longest tick: HZ=100 */

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Set before the load. */
const volatile __u32 args_mode = PROC_ARGS_OFF;
const volatile __u32 page_bytes = 4096;
/* Read by the loader: bytes of one record of `usage`. */
const volatile __u32 usage_bytes = sizeof(struct lnx_rec_proc);

/* A proc.exec in the making: too large for the stack. */
struct proc_exec {
	struct lnx_ev_proc_exec ev;
	char tail[2 * LNX_STR_MAX + PROC_ARGS_STEP];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proc_exec);
} execs SEC(".maps");

struct proc_key {
	__u64 start_ns;
	__u64 pid;
};

/* Two threads that end together both find none alive: the first of them sends the event. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROC_ENDING_MAX);
	__type(key, struct proc_key);
	__type(value, __u32);
} ending SEC(".maps");

/* Set on each CPU by proc_exit alone; see proc_running_ns(). */
struct proc_clock {
	__u64 at_ns;
	__s64 offset_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proc_clock);
} clocks SEC(".maps");

static __always_inline __u64 proc_cgroup(struct task_struct *t)
{
	return t->cgroups->dfl_cgrp->kn->id;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(proc_fork, struct task_struct *parent, struct task_struct *child)
{
	struct lnx_ev_proc_fork *ev;
	struct lnx_run run;

	if (lnx_run_begin(&run))
		return 0;
	if (child->pid != child->tgid)
		goto out;
	ev = lnx_emit_reserve(&run, sizeof(*ev));
	if (!ev)
		goto out;
	lnx_emit_head(&ev->h, LNX_EV_PROC_FORK, sizeof(*ev), parent->tgid);
	ev->start_ns = child->start_boottime;
	ev->parent_start_ns = parent->group_leader->start_boottime;
	ev->cgroup_id = proc_cgroup(child);
	ev->parent_cgroup_id = proc_cgroup(parent);
	ev->child_pid = child->tgid;
	ev->ppid = child->real_parent->tgid;
	ev->uid = child->real_cred->uid.val;
	ev->is_kthread = !!(child->flags & LNX_PF_KTHREAD);
	__builtin_memcpy(ev->comm, child->comm, sizeof(ev->comm));
	lnx_emit_submit(&run, ev, ev->h.ts_ns);
out:
	lnx_run_end(&run);
	return 0;
}

/* NULs between arguments become spaces: PROC_ARGS_STEP bytes of the tail from <from> on. A function of
 * its own, so that the verifier walks it once. */
__noinline int proc_join_args(__u32 from)
{
	__u32 zero = 0, i;
	struct proc_exec *x = bpf_map_lookup_elem(&execs, &zero);

	if (!x || from > sizeof(x->tail) - PROC_ARGS_STEP)
		return 0;
	for (i = 0; i < PROC_ARGS_STEP; i++)
		if (!x->tail[from + i])
			x->tail[from + i] = ' ';
	return 0;
}

/* Arguments of the new program, joined by spaces, to <at> of the tail. Returns their bytes. */
static __always_inline __u32 proc_args(struct task_struct *t, struct proc_exec *x, __u32 at,
				       __u32 *ret_truncated)
{
	__u64 from = t->mm->arg_start, bytes = t->mm->arg_end - from;
	__u32 n, i;

	*ret_truncated = bytes > LNX_STR_MAX;
	n = bytes > LNX_STR_MAX ? LNX_STR_MAX : bytes;
	asm volatile("" : "+r"(n));
	if (n == 0 || n > LNX_STR_MAX)
		return 0;
	if (bpf_probe_read_user(x->tail + at, n, (const void *)from)) {
		*ret_truncated = 1; /* paged out already */
		return 0;
	}
	if (!*ret_truncated)
		n--; /* the last NUL */
	/* past the end there is room, and nothing that is sent */
	for (i = 0; i < LNX_STR_MAX / PROC_ARGS_STEP; i++) {
		if (i * PROC_ARGS_STEP >= n)
			break;
		proc_join_args(at + i * PROC_ARGS_STEP);
	}
	return n;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(proc_exec, struct task_struct *t, __s32 old_pid, struct linux_binprm *bprm)
{
	__u32 zero = 0, bytes, name_bytes = 0, truncated = 0;
	struct proc_exec *x;
	struct lnx_run run;
	long n;

	if (lnx_run_begin(&run))
		return 0;
	x = bpf_map_lookup_elem(&execs, &zero);
	if (!x)
		goto out;
	__builtin_memset(&x->ev, 0, sizeof(x->ev));
	lnx_emit_head(&x->ev.h, LNX_EV_PROC_EXEC, sizeof(x->ev), t->tgid);
	x->ev.start_ns = t->group_leader->start_boottime;
	x->ev.cgroup_id = proc_cgroup(t);
	x->ev.ppid = t->real_parent->tgid;
	x->ev.uid = t->real_cred->uid.val;
	__builtin_memcpy(x->ev.comm, t->comm, sizeof(x->ev.comm));
	n = bpf_probe_read_kernel_str(x->tail, LNX_STR_MAX, bprm->filename);
	if (n > 1 && n <= LNX_STR_MAX)
		name_bytes = n - 1;
	asm volatile("" : "+r"(name_bytes));
	name_bytes &= LNX_STR_MAX - 1;
	x->ev.filename.off = sizeof(x->ev);
	x->ev.filename.len = name_bytes;
	bytes = sizeof(x->ev) + name_bytes;
	if (args_mode == PROC_ARGS_SCRIPT && bprm->interp != bprm->filename) {
		x->ev.args = x->ev.filename;
	} else if (args_mode == PROC_ARGS_FULL) {
		n = proc_args(t, x, name_bytes, &truncated);
		x->ev.args.off = bytes;
		x->ev.args.len = n;
		x->ev.args_truncated = truncated;
		bytes += n;
	}
	x->ev.h.size = bytes;
	asm volatile("" : "+r"(bytes));
	if (bytes <= sizeof(*x))
		lnx_emit_copy(&run, x, bytes, x->ev.h.ts_ns);
out:
	lnx_run_end(&run);
	return 0;
}

/* How long <t>, the current task, has run since the kernel last added to its sum_exec_runtime: up to
 * a tick, which is all there is of a short life. What the hypervisor took in that time is counted.
 *
 * The scheduler's clock cannot be read, and the run queue's copy of it is old. So copy minus our clock
 * is at most the offset between the two, and the largest seen comes closest. It may fall by 1/2048 of
 * the time, more than clocks are ever slewed. */
static __always_inline __u64 proc_running_ns(struct task_struct *t)
{
	__u64 now = bpf_ktime_get_ns();
	struct proc_clock *c;
	__s64 offset, ns;
	struct rq *rq;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&clocks, &zero);
	if (!c || !bpf_core_field_exists(t->se.cfs_rq))
		return 0;
	rq = t->se.cfs_rq->rq;
	offset = rq->clock - now;
	if (c->at_ns && c->offset_ns - (__s64)((now - c->at_ns) >> 11) > offset)
		offset = c->offset_ns - ((now - c->at_ns) >> 11);
	c->offset_ns = offset;
	c->at_ns = now;
	/* clock_task is clock without the time of interrupts and the hypervisor */
	ns = now + offset - rq->clock + rq->clock_task - t->se.exec_start;
	return ns > 0 && ns < PROC_TICK_MAX_NS ? ns : 0;
}

/* CPU time of the group of <t>, the current task. */
static __always_inline __u64 proc_group_cpu(struct task_struct *t)
{
	__u64 running = proc_running_ns(t);
	__u32 who = PROC_FOR_EXIT;
	struct proc_walk *w;

	if (t->signal->nr_threads > 1) {
		w = bpf_map_lookup_elem(&walks, &who);
		if (w) {
			(void)proc_sum_group(w, who, t->signal); /* more threads: a lower bound */
			return w->sum.cpu_ns + running;
		}
	}
	return t->signal->sum_sched_runtime + t->se.sum_exec_runtime + running;
}

static __always_inline void proc_fill_exit(struct lnx_ev_proc_exit *ev, struct task_struct *t)
{
	struct task_struct *leader = t->group_leader;
	struct signal_struct *sig = t->signal;
	struct mm_struct *mm = t->mm;
	__u64 peak = sig->maxrss;
	__u32 code;

	lnx_emit_head(&ev->h, LNX_EV_PROC_EXIT, sizeof(*ev), t->tgid);
	ev->start_ns = leader->start_boottime;
	ev->cgroup_id = proc_cgroup(leader);
	ev->lifetime_ns = ev->h.ts_ns - ev->start_ns;
	ev->cpu_ns = proc_group_cpu(t);
	if (mm && mm->hiwater_rss > peak)
		peak = mm->hiwater_rss;
	ev->peak_rss_bytes = peak * page_bytes;
	ev->ppid = leader->real_parent->tgid;
	ev->uid = leader->real_cred->uid.val;
	code = sig->flags & LNX_SIGNAL_GROUP_EXIT ? sig->group_exit_code : leader->exit_code;
	ev->exit_code = code >> 8 & 0xff;
	ev->signal = code & 0x7f;
	ev->core_dumped = !!(code & 0x80);
	ev->did_exec = !(leader->flags & LNX_PF_FORKNOEXEC);
	__builtin_memcpy(ev->comm, leader->comm, sizeof(ev->comm));
}

/* 1 for the first of the threads of <t>'s group that asks. */
static __always_inline int proc_is_first(struct task_struct *t)
{
	struct proc_key key = { .start_ns = t->group_leader->start_boottime, .pid = t->tgid };
	__u32 one = 1;

	return !bpf_map_update_elem(&ending, &key, &one, BPF_NOEXIST);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(proc_exit, struct task_struct *t)
{
	struct lnx_ev_proc_exit *ev;
	struct lnx_run run;

	if (lnx_run_begin(&run))
		return 0;
	if (t->signal->live.counter > 0)
		goto out;
	if (t->signal->nr_threads > 1 && !proc_is_first(t))
		goto out;
	ev = lnx_emit_reserve(&run, sizeof(*ev));
	if (!ev)
		goto out;
	proc_fill_exit(ev, t);
	lnx_emit_submit(&run, ev, ev->h.ts_ns);
out:
	lnx_run_end(&run);
	return 0;
}

static __always_inline void proc_fill_sums(struct lnx_rec_proc *rec, struct task_struct *t,
					   struct proc_walk *w)
{
	if (rec->n_threads > 1) {
		if (proc_sum_group(w, PROC_FOR_USAGE, t->signal))
			rec->flags |= LNX_REC_PROC_PARTIAL;
	} else {
		proc_sum_signal(t->signal, &w->sum);
		proc_sum_task(t, &w->sum);
	}
	rec->cpu_ns = w->sum.cpu_ns;
	rec->run_delay_ns = w->sum.run_delay_ns;
	rec->minflt = w->sum.minflt;
	rec->majflt = w->sum.majflt;
	rec->read_bytes = w->sum.read_bytes;
	rec->write_bytes = w->sum.write_bytes;
}

static __always_inline void proc_fill_memory(struct lnx_rec_proc *rec, struct task_struct *t,
					     struct proc_walk *w)
{
	struct mm_struct *mm = t->mm;
	__s64 *n = w->pages;

	if (!mm)
		return;
	proc_pages(w, PROC_FOR_USAGE, mm);
	if (t->mm != mm) /* let go meanwhile: what was read may be another's */
		return;
	rec->rss_bytes = (n[PROC_MM_FILE] + n[PROC_MM_ANON] + n[PROC_MM_SHMEM]) * page_bytes;
	rec->rss_anon_bytes = n[PROC_MM_ANON] * page_bytes;
	rec->rss_shmem_bytes = n[PROC_MM_SHMEM] * page_bytes;
	rec->swap_bytes = n[PROC_MM_SWAP] * page_bytes;
}

SEC("iter/task")
int usage(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task, *parent;
	struct lnx_rec_proc rec = {};
	__u32 who = PROC_FOR_USAGE;
	struct proc_walk *w;

	if (!t || t->pid != t->tgid)
		return 0;
	w = bpf_map_lookup_elem(&walks, &who);
	if (!w)
		return 0;
	rec.ts_ns = bpf_ktime_get_boot_ns();
	rec.start_ns = t->start_boottime;
	parent = t->real_parent;
	rec.ppid = parent->tgid;
	if (rec.ppid)
		rec.parent_start_ns = parent->group_leader->start_boottime;
	rec.cgroup_id = proc_cgroup(t);
	rec.pid = t->tgid;
	rec.uid = t->real_cred->uid.val;
	rec.n_threads = t->signal->nr_threads;
	rec.state = proc_state(t);
	if (t->flags & LNX_PF_KTHREAD)
		rec.flags |= LNX_REC_PROC_KTHREAD;
	else
		proc_fill_memory(&rec, t, w);
	proc_fill_sums(&rec, t, w);
	__builtin_memcpy(rec.comm, t->comm, sizeof(rec.comm));
	bpf_seq_write(ctx->meta->seq, &rec, sizeof(rec));
	return 0;
}
