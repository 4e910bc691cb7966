/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Windows of stalls, kept in bounded memory: 1 s windows for 5 minutes and 10 s windows for an hour. */
#ifndef LNX_STALL_STORE_H
#define LNX_STALL_STORE_H

#include <linnix/ev_stall.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_FINE_MAX	 300 /* windows of a second */
#define STALL_COARSE_MAX 360
#define STALL_COARSE_OF	 10 /* fine windows in a coarse one */
#define STALL_UNKNOWN	 UINT64_MAX

/* Flags of a row and of a window. */
#define STALL_F_NO_PSI	  1 /* PSI cannot be read */
#define STALL_F_PSI_WIDER 2 /* its pressure file counts other cgroups, too */
#define STALL_F_UNEQUAL	  4 /* the parts and the wait itself differ */
#define STALL_F_STEAL	  8 /* has a modelled part */
#define STALL_F_IRQ	  16
#define STALL_F_SUM	  32	/* several cgroups added up: their set had no place */
#define STALL_F_NO_LIMIT  64	/* a quota's owner was not found */
#define STALL_F_FOLDED	  128	/* parts under 0.1 ms were put into other */
#define STALL_F_OVERFLOW  256	/* a bounded structure of the ledger was full */
#define STALL_F_PSI_PART  1024	/* pressure is not known of all windows */
#define STALL_F_HISTORY	  32768 /* from buckets of the largest pairs */
#define STALL_F_NO_FILE	  2048	/* a union that the kernel has no pressure file of */
#define STALL_F_ATTACHED  4096	/* the probe was attached in a part of the windows */
#define STALL_F_POD	  8192	/* of a pod: its containers' parts, brought to its own pressure */
#define STALL_F_TORN	  512	/* a CPU was never at rest while we looked */
/* Of a window only: */
#define STALL_F_NO_DETAIL 0x10000 /* over budget: no process was measured */
#define STALL_F_SHED	  0x20000 /* over budget: the ledger was off */
#define STALL_F_CUT	  0x40000 /* of history: not all of it had a place */

/* One victim and resource of one window. Times in ns. */
struct stall_row {
	uint32_t who;
	uint16_t flags;
	uint8_t resource, method;
	uint32_t first, n;   /* its parts in cells[] */
	uint64_t stalled_ns; /* the sum of its parts */
	uint64_t raw_ns;     /* summed over CPUs */
	uint64_t psi_ns;     /* STALL_UNKNOWN: not read, or not comparable */
	uint64_t full_ns;    /* likewise */
	uint64_t cover_ns;   /* ledger's figure over the span of psi_ns, before normalising */
};

struct stall_cell {
	uint32_t culprit; /* STALL_WHO_* */
	uint16_t limit;	  /* of limits[] */
	uint8_t kind;	  /* enum lnx_stall_kind */
	uint8_t pad;
	uint64_t stall_ns, raw_ns;
	uint64_t amount; /* of memory: pages that the culprit allocated */
};

/* What one process did to others while it ran. Summed over CPUs. */
struct stall_task {
	uint32_t pid, who;
	uint64_t start_ns;
	uint64_t node_ns;   /* ran while anyone waited on its CPU */
	uint64_t caused_ns; /* what other cgroups lost to it */
	/* Of memory the pages that it allocated, of I/O the device time that its requests asked for, ns. With pid 0
	 * that of those who are not named. */
	uint64_t amount[2];
	char comm[16];
};

struct stall_win {
	uint64_t from_ns, to_ns; /* CLOCK_BOOTTIME */
	uint64_t lost, events;	 /* of the ledger */
	uint32_t n_rows, n_cells, n_tasks;
	uint32_t flags;
	size_t bytes;
	const struct stall_row *rows;
	const struct stall_cell *cells;
	const struct stall_task *tasks;
};

struct stall_ring {
	struct stall_win *win[STALL_COARSE_MAX];
	uint32_t head, n, max;
};

struct stall_store {
	struct stall_ring fine, coarse;
	uint64_t bytes, max_bytes;
	uint64_t evicted; /* windows dropped before their time */
	uint32_t n_since; /* fine windows not yet in a coarse one */
};

/* Copies. 0 or -ENOMEM (the window is lost, counted as evicted). */
int stall_store_add(struct stall_store *s, const struct stall_win *w);
void stall_store_done(struct stall_store *s);
/* Windows that meet from..to by their middle, oldest first: coarse ones where fine ones are gone.
 * Stops when <each> returns non-zero and returns that. */
int stall_store_each(const struct stall_store *s, uint64_t from_ns, uint64_t to_ns,
		     int (*each)(void *arg, const struct stall_win *w), void *arg);
/* Begin of the oldest window, 0 none. */
uint64_t stall_store_oldest(const struct stall_store *s);

/* Sums over windows. */
struct stall_sum_row {
	struct stall_row r;
	uint32_t head;	      /* first cell + 1 */
	uint32_t who, window; /* whose row came last, and in which window */
};

struct stall_sum_cell {
	struct stall_cell c;
	uint32_t row;
	uint32_t next; /* + 1 */
};

struct stall_hash;
struct stall_levels;

struct stall_sum {
	const struct stall_levels *levels; /* NULL: every row for itself */
	uint64_t from_ns, to_ns, lost, events;
	uint32_t flags, n_windows;
	struct stall_sum_row *rows;
	struct stall_sum_cell *cells;
	struct stall_task *tasks;
	uint32_t n_rows, n_cells, n_tasks, cap_rows, cap_cells, cap_tasks;
	struct stall_hash *hash;
};

#define STALL_SUM_MAX 262144 /* cells, and tasks, of one sum */

/* 0, -ENOMEM, -E2BIG. */
int stall_sum_add(struct stall_sum *s, const struct stall_win *w);
void stall_sum_done(struct stall_sum *s);

#endif
