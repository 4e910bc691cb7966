/* SPDX-License-Identifier: MIT */
/* The CPU stall ledger as it lies in memory: what the sched probe writes and a reader maps.
 *
 * Two array maps, both mmapable. "cpus" has one struct lnx_ledger_cpu per possible CPU, written only under the lock of
 * that CPU's run queue; LNX_LEDGER_TABLE has one struct lnx_ledger_table, shared. Times are ns of CLOCK_MONOTONIC. Sums only grow:
 * read them twice and subtract. A handle is generation << 12 | slot, so a reused slot never shares a key with its
 * former owner. */
#ifndef LINNIX_LEDGER_H
#define LINNIX_LEDGER_H

#include <linux/types.h>

#define LNX_LEDGER_ABI	  7
#define LNX_LEDGER_TABLE  ".bss.table"
#define LNX_LEDGER_SLOTS  2048 /* a power of two */
#define LNX_LEDGER_WAITS  64   /* slots waiting on one CPU at a time; the last is kept for OTHER */
#define LNX_LEDGER_PAIRS  4096 /* per CPU, a power of two */
#define LNX_LEDGER_PROBES 8    /* places tried for one pair */
#define LNX_LEDGER_PROCS  512  /* per CPU, a power of two */
#define LNX_LEDGER_MAIL \
	32 /* migrations on their way to one CPU: as many as the balancer moves at once */
#define LNX_LEDGER_WAITERS \
	256 /* waiting tasks remembered in place; more are in a map, as far as it goes. A power of two */
#define LNX_LEDGER_CACHE   1024 /* a power of two */
#define LNX_LEDGER_CPU_MAX 1024

/* Handles. The first 32 slots are pseudo slots of generation 0. */
#define LNX_LEDGER_SLOT_BITS 12
#define LNX_LEDGER_SLOT(h)   ((h) & ((1U << LNX_LEDGER_SLOT_BITS) - 1))
#define LNX_LEDGER_GEN(h)    ((h) >> LNX_LEDGER_SLOT_BITS)
#define LNX_LEDGER_IDLE	     0 /* culprit: the idle task, so wake-up latency */
#define LNX_LEDGER_KERNEL    1 /* kernel threads, as culprit and as victim */
#define LNX_LEDGER_OTHER     2 /* what overflowed a bounded structure */
#define LNX_LEDGER_NODE	     3 /* victim: all tasks of a CPU; only readers make it */
#define LNX_LEDGER_STEAL     4 /* culprit: the hypervisor; only readers make it */
#define LNX_LEDGER_IRQ	     5 /* culprit: interrupts; only readers make it */
#define LNX_LEDGER_THROTTLED \
	16 /* + depth of the owner of the quota below the root cgroup, at most 15 */
#define LNX_LEDGER_FIRST      32 /* first slot of a cgroup */
#define LNX_LEDGER_DEPTH_MAX  15
#define LNX_LEDGER_UPS	      2		  /* wait sets above a slot: its pod, its workload */
#define LNX_LEDGER_MAIL_SHIFT 6		  /* mail carries times in units of 64 ns */
#define LNX_LEDGER_MANY	      0xffffffffU /* no pid is as large */

/* enum lnx_ledger_count: counters per CPU. Append only. */
#define LNX_LEDGER_N_LOST	 0  /* a switch was missed and has been repaired */
#define LNX_LEDGER_N_DUP_WAKE	 1  /* a wake-up of a task that runs or waits already */
#define LNX_LEDGER_N_STALE_WAKE	 2  /* a wake-up showed that the end of a wait was missed */
#define LNX_LEDGER_N_UNTRACKED	 3  /* a task got the CPU and no beginning of its wait was seen */
#define LNX_LEDGER_N_NO_STORAGE	 4  /* a task for which that map had no place: as 17 */
#define LNX_LEDGER_N_STALE_LEAVE 5  /* the end of a wait that a repair had closed */
#define LNX_LEDGER_N_HEALED	 6  /* waiting entries dropped: nobody could wait there */
#define LNX_LEDGER_N_WAIT_FULL	 7  /* more waiting slots than places: the wait went to OTHER */
#define LNX_LEDGER_N_PAIR_FULL	 8  /* no place for a pair: the time went to other_ns */
#define LNX_LEDGER_N_PROC_FULL	 9  /* no place for a process: its detail was dropped */
#define LNX_LEDGER_N_MAIL_FULL	 10 /* a migrated wait was dropped */
#define LNX_LEDGER_N_SLOT_FULL	 11 /* no free slot: the task counted as OTHER */
#define LNX_LEDGER_N_RECLAIMED	 12 /* pairs of former owners reused */
#define LNX_LEDGER_N_MIGRATED	 13
#define LNX_LEDGER_N_WALKS	 14
#define LNX_LEDGER_N_BACKWARD	 15 /* a span of negative length was cut to 0 */
#define LNX_LEDGER_N_SLOT_BUSY \
	16 /* a former owner of the slot still waited: the wait went to OTHER */
#define LNX_LEDGER_N_EVICTED \
	17 /* a wait ended whose note others had pushed out: its slot counts one less, nothing is lost */
#define LNX_LEDGER_COUNTS 24

/* enum lnx_ledger_prog: programs that time themselves. */
#define LNX_LEDGER_PROG_SWITCH	0
#define LNX_LEDGER_PROG_WAKE	1
#define LNX_LEDGER_PROG_MIGRATE 2
#define LNX_LEDGER_PROGS	3
#define LNX_LEDGER_TIME_EVERY	1024 /* runs between two timed ones */

struct lnx_ledger_prog {
	__u64 timed;	/* runs that were timed */
	__u64 timed_ns; /* their sum, both clock reads included once */
};

/* One slot that has tasks waiting on this CPU. */
struct lnx_ledger_wait {
	__u64 since;	/* charged up to here */
	__u64 begin;	/* first waiter came */
	__u64 queue;	/* cfs_rq of the last that joined, 0 unknown */
	__u64 thr_base; /* while thr: throttled ns of that queue at <since> */
	__u32 handle;
	__u32 up; /* handle of the wait set above, 0 none */
	__u32 n;  /* waiting tasks; of a set above: waiting slots */
	/* Never 0; a task remembers it, so that a repair cannot be undone by a late leave. */
	__u32 epoch;
	__u32 thr;     /* LNX_LEDGER_THROTTLED + depth while the queue is throttled, else 0 */
	__u32 is_up;   /* a wait set above slots, such as a pod */
	__u32 n_spill; /* of n, those in that map */
	__u32 pad;
};

/* One waiting task. */
struct lnx_ledger_waiter {
	__u32 pid;    /* 0 is an empty place */
	__u32 runs;   /* times it had been run when it began to wait */
	__u32 handle; /* slot it waits in */
	__u32 epoch;  /* of the entry it joined */
};

/* Time that a victim waited for another. What it waited for itself is in self_ns. */
struct lnx_ledger_pair {
	__u32 victim; /* handle; 0 is an empty place */
	__u32 culprit;
	__u64 ns;
	__u32 count; /* charges */
	__u32 pad;
};

/* What one process did to others while it ran on this CPU. */
struct lnx_ledger_proc {
	__u32 tgid;	 /* 0 is an empty place */
	__u32 handle;	 /* slot it ran in */
	__u64 node_ns;	 /* ran while at least one task waited here */
	__u64 caused_ns; /* the same, times the other slots that waited */
	__u64 start_ns;	 /* CLOCK_BOOTTIME of its first thread, 0 unknown */
	__u64 last_ns;	 /* last change */
	char comm[16];
};

/* A migrated wait. <word> is handle << 32 | time / 64 ns; 0 empty, 1 being written. */
struct lnx_ledger_mail {
	__u64 word;
	__u64 queue;
};

/* What one slot had on one CPU. */
struct lnx_ledger_sum {
	__u64 run_ns;	/* it ran */
	__u64 wait_ns;	/* closed waits, summed apart from the parts: the check */
	__u64 other_ns; /* its charges that found no place in pairs[] */
	__u64 node_ns;	/* it ran while any task waited on this CPU */
	__u64 self_ns;	/* it waited while it ran itself */
	__u32 pos;	/* place in wait[] + 1 */
	__u32 pad;
};

struct lnx_ledger_cpu {
	/* What most events look at, within 128 bytes: beyond them each access takes three bytes of code more. */
	__u32 seq;  /* odd while the rest is inconsistent */
	__u32 cur;  /* handle that runs */
	__u64 task; /* identity of the task that runs; not to be dereferenced */
	__u64 tick; /* node_ns is charged up to here */
	__u32 cur_tgid;
	__u32 cur_up;	 /* handle of the wait set above <cur>, 0 none, as <cur> was looked up */
	__u32 cur_moves; /* the table's <moves> then, 0 nothing was looked up */
	__u32 cur_no_detail; /* and <no_detail> */
	__u64 cur_set;	     /* cgroups of the task that runs, an identity */
	__u64 own_ns; /* <cur> waited that long for itself, not yet in sum[]: nor in node_ns */
	__u64 proc_node_ns; /* of the process that runs, not yet in procs[] */
	__u64 clock_offset; /* CLOCK_MONOTONIC minus the run queue's clock */
	__u64 clock_next;   /* when to measure it again */
	/* pid of the one task that waits on this CPU, has since <tick>, and is noted nowhere else; LNX_LEDGER_MANY: who waits
	 * is in wait[]; 0: nobody waits. */
	__u32 lone;
	__u32 mail_new;
	__u32 lone_handle;
	__u32 lone_runs;  /* times it had been run when it began to wait */
	__u64 lone_queue; /* its cfs_rq, 0 unknown */
	__u64 lone_set;	  /* its cgroups, an identity */
	__u64 runs[LNX_LEDGER_PROGS];
	__u64 proc_caused_ns; /* as proc_node_ns */
	__u64 since;	      /* <cur> has run since, 0 before the first switch */
	__u32 n_wait;	      /* used places of wait[] */
	__u32 n_up;	      /* of them wait sets above */
	__u32 n_thr;	      /* of the others throttled */
	__u32 epoch;
	__u32 thr;     /* the throttle seen last, as in lnx_ledger_wait */
	__u32 n_spill; /* tasks waiting here that are in that map, or were */
	struct lnx_ledger_prog prog[LNX_LEDGER_PROGS];
	__u64 count[LNX_LEDGER_COUNTS];
	struct lnx_ledger_mail mail[LNX_LEDGER_MAIL];
	__u64 mail_ns;	   /* mail was last taken in */
	__u64 clock_low;   /* the smallest offset of those that grew faster than clock_offset may */
	__u32 clock_above; /* how many there were in a row */
	__u32 pad[3];
	struct lnx_ledger_wait wait[LNX_LEDGER_WAITS];
	__u64 pair_used[LNX_LEDGER_PAIRS / 64]; /* a bit per place of pairs[] that was ever used */
	__u64 slot_used[LNX_LEDGER_SLOTS / 64]; /* a bit per slot that ran or waited here */
	struct lnx_ledger_sum sum[LNX_LEDGER_SLOTS];
	struct lnx_ledger_waiter waiters[LNX_LEDGER_WAITERS]; /* by pid */
	struct lnx_ledger_proc procs[LNX_LEDGER_PROCS];
	struct lnx_ledger_pair pairs[LNX_LEDGER_PAIRS];
};

/* A slot. cgroup_id and owner are written by the probe, the rest by the reader. */
struct lnx_ledger_slot {
	__u64 cgroup_id; /* cgroup v2 id, 0 free */
	__u64 owner; /* cgroup id, in the cpu controller's hierarchy, of the quota that throttled it last */
	__u32 handle; /* present handle */
	__u32 up;     /* handle of the wait set above (a pod, then a workload), 0 none */
};

struct lnx_ledger_cache {
	__u64 cgroup_id;
	__u64 tagged; /* low half of cgroup_id << 32 | handle: a torn read cannot match */
};

struct lnx_ledger_table {
	/* By both, atomically: times that a cgroup got another slot, a slot another set above, or a task other cgroups. Not 0
	 * once there are slots. */
	__u32 moves;
	__u32 no_detail; /* written by the reader: keep no procs[] */
	__u64 moved_ns;	 /* when a task last got other cgroups, CLOCK_MONOTONIC */
	__u32 gone; /* written by the reader: a handle of which nobody waits any more, 0 none */
	__u32 pad;
	__u64 free_head; /* handles put in by the reader */
	__u64 free_tail; /* handles taken by the probe */
	__u32 free[LNX_LEDGER_SLOTS];
	struct lnx_ledger_slot slot[LNX_LEDGER_SLOTS];
	struct lnx_ledger_cache cache[LNX_LEDGER_CACHE];
};

_Static_assert(sizeof(struct lnx_ledger_wait) == 64, "layout");
_Static_assert(sizeof(struct lnx_ledger_pair) == 24, "layout");
_Static_assert(sizeof(struct lnx_ledger_proc) == 56, "layout");
_Static_assert(sizeof(struct lnx_ledger_slot) == 24, "layout");
_Static_assert(__builtin_offsetof(struct lnx_ledger_cpu, lone) % 8 == 0, "read with mail_new");
_Static_assert(__builtin_offsetof(struct lnx_ledger_cpu, cur_moves) % 8 == 0,
	       "read with cur_no_detail");
_Static_assert(__builtin_offsetof(struct lnx_ledger_cpu, wait) % 64 == 0, "layout");
_Static_assert(sizeof(struct lnx_ledger_cpu) % 64 == 0, "layout");

#endif
