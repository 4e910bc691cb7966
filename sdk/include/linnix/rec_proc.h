/* SPDX-License-Identifier: MIT */
/* The record of the task iterator `usage` of probe `proc`: one per process (thread group), read with
 * probe_iter("proc", "usage", sizeof(struct lnx_rec_proc), ...).
 *
 * Figures are cumulative sums over the group, threads that ended included, unless said otherwise.
 * One process is read at one moment; two processes of one pass are not. Append only. */
#ifndef LINNIX_REC_PROC_H
#define LINNIX_REC_PROC_H

#ifndef LNX_BPF
#include <linux/types.h>
#endif

/* Bits of flags. */
#define LNX_REC_PROC_KTHREAD 1 /* a kernel thread: no memory of its own */
#define LNX_REC_PROC_PARTIAL \
	2 /* more threads than were walked, or some ended meanwhile: sums are lower bounds */

struct lnx_rec_proc {
	__u64 ts_ns;	/* when it was read, CLOCK_BOOTTIME */
	__u64 start_ns; /* of the group leader, CLOCK_BOOTTIME: with pid, the process's identity */
	__u64 parent_start_ns; /* of the parent process, 0 without one */
	__u64 cgroup_id;       /* v2 cgroup of the group leader */
	__u64 cpu_ns;	       /* user and system time; what runs now may be up to a tick behind */
	__u64 run_delay_ns; /* runnable but not running; of live threads only, falls when one ends */
	__u64 rss_bytes;    /* file, anonymous and shared memory pages, as VmRSS */
	__u64 rss_anon_bytes;  /* anonymous only, as RssAnon */
	__u64 rss_shmem_bytes; /* as RssShmem */
	__u64 swap_bytes;      /* as VmSwap */
	__u64 read_bytes;      /* from storage */
	__u64 write_bytes;     /* to storage */
	__u64 minflt;
	__u64 majflt;
	__u32 pid;  /* tgid in the init pid namespace */
	__u32 ppid; /* tgid of the parent there, 0 without one */
	__u32 uid;  /* real uid in the init user namespace */
	__u32 n_threads;
	__u32 state;   /* of the group leader: index into lnx_proc_state_names of ev_proc.h */
	__u32 flags;   /* LNX_REC_PROC_* */
	char comm[16]; /* of the group leader; raw bytes, NUL padded */
};

#endif
