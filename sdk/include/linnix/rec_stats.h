/* SPDX-License-Identifier: MIT */
/* Counters of a BPF object about itself: value of its per-CPU array map `stats`, which has one entry. */
#ifndef LINNIX_REC_STATS_H
#define LINNIX_REC_STATS_H

#ifndef LNX_BPF
#include <linux/types.h>
#endif

/* About one run in 1,024 is timed. A prime: programs that run in turns are all timed. */
#define LNX_TIMED_EVERY 1021

/* Of one CPU. Append only. */
struct lnx_rec_stats {
	__u64 runs;	  /* of all programs of the object */
	__u64 timed_runs; /* of them, runs that were timed */
	__u64 timed_ns;	  /* their sum; each holds one clock read of its own */
	__u64 lost;	  /* events that did not fit into the ring buffer */
	__u64 events;	  /* that did */
	__u64 wakes;	  /* of user space */
	__u32 until;	  /* runs before the next timed one */
	__u32 pad;
};

/* Value of the array map `wake`, which all objects share and user space maps. CLOCK_BOOTTIME. */
struct lnx_rec_wake {
	__u64 last_ns;	  /* last wake of user space; written by programs */
	__u64 watched_ns; /* user space looks by itself until then; written by user space */
};

#endif
