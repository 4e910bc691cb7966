/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel members we read, and no others. Every access is relocated at load (CO-RE), so order
 * and size do not matter here; only names and kinds do. Append members a probe needs; a member that
 * some kernels lack is tested with bpf_core_field_exists() where it is read. */
#ifndef LNX_KERNEL_H
#define LNX_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef bool
#define bool _Bool
#endif

/* Values of the kernel that are not in its BTF as enums. */
#define LNX_PF_KTHREAD		 0x00200000u /* task_struct.flags: a kernel thread */
#define LNX_PF_FORKNOEXEC	 0x00000040u /* task_struct.flags: forked and has not run exec */
#define LNX_SIGNAL_GROUP_EXIT	 0x00000004u /* signal_struct.flags: group_exit_code holds */
#define LNX_TASK_ON_RQ_QUEUED	 1	     /* task_struct.on_rq */
#define LNX_TASK_ON_RQ_MIGRATING 2	     /* task_struct.on_rq: between two run queues */
#define LNX_MAX_RT_PRIO		 100	     /* task_struct.prio below it: not the fair class */
#define LNX_RQ_CLOCK_STALE	 0x02u /* rq.clock_update_flags: this schedule() skips the update */
#define LNX_REQ_OP_MASK		 0xffu /* request.cmd_flags: the operation */
#define LNX_REQ_OP_DRV_IN	 34u   /* and above: commands of drivers, no data of anybody */
#define LNX_COMM_BYTES		 16

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
	__u64 serial_nr;
};

struct psi_group_cpu {
	__u64 state_start;
};

struct psi_group {
	struct psi_group_cpu *pcpu; /* for each CPU one */
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct psi_group *psi;
};

struct bpf_array {
	void *pptrs[1]; /* of a per-CPU array: its values, for each CPU one */
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_group {
	struct cgroup_subsys_state css;
	struct task_group *parent;
	struct cfs_rq **cfs_rq;
};

struct rq {
	unsigned int nr_running;
	unsigned int clock_update_flags;
	__u64 clock;
	__u64 clock_task;
	int cpu;
};

struct cfs_rq {
	struct rq *rq;
	struct task_group *tg;
	__u64 throttled_clock_self;
	__u64 throttled_clock_self_time;
	bool throttled : 1;
	int throttle_count;
};

struct sched_entity {
	unsigned char sched_delayed;
	__u64 exec_start;
	__u64 sum_exec_runtime;
	int depth;
	struct sched_entity *parent;
	struct cfs_rq *cfs_rq;
};

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
	unsigned long long last_arrival;
	unsigned long long last_queued;
};

struct thread_info {
	__u32 cpu;
};

typedef struct {
	int counter;
} atomic_t;

struct list_head {
	struct list_head *next, *prev;
};

struct seqcount {
	unsigned int sequence;
};
typedef struct seqcount seqcount_t;

struct seqcount_spinlock {
	seqcount_t seqcount;
};
typedef struct seqcount_spinlock seqcount_spinlock_t;

typedef struct {
	seqcount_spinlock_t seqcount;
} seqlock_t;

struct task_io_accounting {
	__u64 read_bytes;
	__u64 write_bytes;
};

typedef struct {
	__u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct signal_struct {
	atomic_t live; /* threads that have not begun to exit */
	int nr_threads;
	struct list_head thread_head;
	int group_exit_code;
	unsigned int flags;
	seqlock_t stats_lock;
	unsigned long min_flt;
	unsigned long maj_flt;
	unsigned long maxrss; /* pages */
	struct task_io_accounting ioac;
	unsigned long long sum_sched_runtime;
};

struct mm_struct {
	unsigned long hiwater_rss; /* pages */
	unsigned long arg_start;
	unsigned long arg_end;
};

struct linux_binprm {
	const char *filename;
	const char *interp;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state; /* `long state` before */
	unsigned int flags;
	int on_cpu;
	int on_rq;
	int prio;
	struct sched_entity se;
	struct task_group *sched_task_group;
	struct sched_info sched_info;
	unsigned int in_iowait : 1;
	unsigned int in_memstall : 1; /* between psi_memstall_enter() and _leave() */
	int pid;
	int tgid;
	int exit_state;
	int exit_code;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct list_head thread_node; /* on signal->thread_head */
	__u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	const struct cred *real_cred;
	char comm[LNX_COMM_BYTES];
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct task_io_accounting ioac;
};

struct blkcg {
	struct cgroup_subsys_state css;
};

struct blkcg_gq {
	struct blkcg *blkcg;
};

struct bio {
	struct blkcg_gq *bi_blkg;
};

struct gendisk {
	int major;
	int first_minor;
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	struct bio *bio;
	atomic_t ref; /* 0: freed */
};

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
