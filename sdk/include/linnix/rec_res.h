/* SPDX-License-Identifier: MIT */
/* What probes "blkio" and "mem" keep in their maps, and readers look up. Times are ns of CLOCK_MONOTONIC; sums only grow,
 * until a place gets another owner and begins at 0 (`born`, `gen`): read twice and subtract. The lock is zero in a copy. */
#ifndef LINNIX_REC_RES_H
#define LINNIX_REC_RES_H

#ifndef LNX_BPF
#include <linux/types.h>
#endif

#ifdef __bpf__
#define LNX_REC_LOCK struct bpf_spin_lock
#else
#define LNX_REC_LOCK __u32
#endif

/* Map "gates": of a cgroup (v2 id), the time in which at least one of its tasks waited. */
struct lnx_rec_gate {
	LNX_REC_LOCK lock;
	__u32 n;	/* waiting now */
	__u64 since;	/* begin of the wait that is open, valid while n > 0 */
	__u64 clock;	/* the same by the clock that stall_ns is measured with */
	__u64 stall_ns; /* closed waits */
	__u64 waits;	/* their number */
	__u64 born;	/* when the entry was made: another value is another entry */
};

/* Map "waiting": of a task (its id), the gate that it holds open. */
struct lnx_rec_waiting {
	__u64 cgroup_id;
	__u64 born; /* of that gate */
	__u64 since;
	__u32 how; /* LNX_WAIT_* */
	__u32 pad;
	__u64 psi; /* the probe's own: where the kernel keeps the time of the last change */
};

#define LNX_WAIT_IO	 1
#define LNX_WAIT_OFF	 2 /* off the CPU in a memory stall */
#define LNX_WAIT_RECLAIM 3

/* Map "alias": cgroup id -> id of the cgroup that stands for it (its container, its unit). Written by readers. */

/* Map "counts", one entry: what was bounded or repaired. Append only. */
#define LNX_RES_N_GATE_FULL    0 /* no place for a cgroup: its wait was dropped */
#define LNX_RES_N_WAIT_FULL    1 /* no place for a waiting task: its wait was dropped */
#define LNX_RES_N_HEALED       2 /* a task began to wait and the end of its last wait had been missed */
#define LNX_RES_N_LATE	       3  /* the end of a wait whose gate had been made anew */
#define LNX_RES_N_DEV_FULL     4  /* no place for a device: its requests are unknown */
#define LNX_RES_N_RQ_FULL      5  /* no place for a request */
#define LNX_RES_N_RQ_UNKNOWN   6  /* end of a request whose begin was not seen */
#define LNX_RES_N_RQ_REPLACED  7  /* a request whose end was not seen, when it began anew */
#define LNX_RES_N_CULPRIT_FULL 8  /* no place for a culprit: its request went to OTHER */
#define LNX_RES_N_VICTIM_FULL  9  /* no place for a victim: its wait has no parts */
#define LNX_RES_N_ALLOC_FULL   10 /* no place for who allocates: the pages went to OTHER */
#define LNX_RES_N_RQ_LOST      11 /* the same, found earlier */
#define LNX_RES_N_PROC_FULL    12 /* no place for a process: it is not named */
#define LNX_RES_COUNTS	       16

struct lnx_rec_counts {
	__u64 n[LNX_RES_COUNTS];
};

/* Map "procs": what each process did for a cgroup. Of blkio the device time that its requests would need alone, in ns;
 * of mem the pages that it allocated. */
#define LNX_RES_PROCS 1024

struct lnx_rec_res_key {
	__u64 id;   /* of a culprit, as in lnx_rec_io_culprit */
	__u32 tgid; /* 0: kernel threads, who do it for others */
	__u32 pad;
};

struct lnx_rec_res_proc {
	__u64 amount;
	__u64 hint;	/* v2 cgroup of the task that did it, 0 unknown */
	__u64 start_ns; /* CLOCK_BOOTTIME of its first thread */
	char comm[16];
};

/* ---- blkio: who had requests in flight while whose requests were in flight
 *
 * Virtual time of a device: d tau = dt / W, W the weight of all requests in flight. A culprit with weight w
 * in flight earned D = sum of w * d tau of the device's time. Both change in O(1) per request; only when a victim's
 * first request comes or its last one goes is the D of every culprit looked at. The weight of a request is
 * the device time that it would need alone, fixed_ns + KiB * kib_ns, measured by the reader of lone requests. */
#define LNX_IO_DEVS	 8
#define LNX_IO_CULPRITS	 64 /* of one device, a power of two; place 0 is OTHER's */
#define LNX_IO_VICTIMS	 64 /* of one device, a power of two; place 0 is not used */
#define LNX_IO_PROBES	 8  /* places tried for one of them */
#define LNX_IO_CLASSES	 14 /* of size: up to 1 KiB, 2, 4, ... 4 MiB, and above */
#define LNX_IO_TAU_SHIFT 24
#define LNX_IO_IDLE_NS	 10000000000ULL /* a place unused for that long may get another owner */

/* A culprit's id: 0 other, a v2 cgroup id, or with this bit an id of the v1 hierarchy of blkio. */
#define LNX_IO_V1 (1ULL << 63)

struct lnx_rec_io_culprit {
	__u64 id;   /* as above, 0 a free place (but for the first) */
	__u64 hint; /* v2 cgroup of the last task that sent a request, 0 unknown */
	__u64 w;    /* weight in flight */
	__u64 tau;  /* d_ns is up to here */
	__u64 d_ns;
	__u64 used_ns;
	__u32 n; /* requests in flight */
	__u32 gen;
};

struct lnx_rec_io_victim {
	__u64 id; /* v2 cgroup of the task that sent the requests */
	__u64 since;
	__u64 busy_ns; /* closed times with requests in flight */
	__u64 own_ns;  /* what its own finished requests would have taken alone */
	__u64 life_ns; /* what they took */
	__u64 used_ns;
	__u32 n; /* requests in flight */
	__u32 gen;
};

struct lnx_rec_io_dev {
	LNX_REC_LOCK lock;
	__u32 dev;     /* major << 20 | minor */
	__u32 n;       /* requests in flight */
	__u32 is_lone; /* the one in flight has been alone since it began */
	__u64 last_ns; /* tau is up to here */
	__u64 tau;
	__u64 rem; /* of the division that made it */
	__u64 w;
	__u64 busy_ns;
	__u64 done, done_bytes;
	__u64 lone_n[LNX_IO_CLASSES];  /* lone requests by size */
	__u64 lone_ns[LNX_IO_CLASSES]; /* their time */
	__u64 lone_kib[LNX_IO_CLASSES];
	struct lnx_rec_io_culprit culprit[LNX_IO_CULPRITS];
	struct lnx_rec_io_victim victim[LNX_IO_VICTIMS];
	__u64 m[LNX_IO_VICTIMS][LNX_IO_CULPRITS]; /* ns */
	__u64 snap[LNX_IO_VICTIMS]
		  [LNX_IO_CULPRITS]; /* D of the culprits when the victim's time began */
};

/* Map "costs", by device: written by the reader; 0: the built-in guess. */
struct lnx_rec_io_cost {
	__u64 fixed_ns;
	__u64 kib_ns;
};

#define LNX_IO_FIXED_NS 100000ULL /* the guess: a request costs as much as 64 KiB */
#define LNX_IO_KIB_NS	1600ULL

/* Map "requests": by address. */
struct lnx_rec_io_request {
	__u64 weight;
	__u64 start_ns;
	__u32 kib;
	__u32 dev;     /* place */
	__u16 culprit; /* places */
	__u16 victim;
	__u32 victim_gen;
};

/* ---- mem: map "allocs", by v2 cgroup id: pages allocated, one value a CPU. */

#endif
