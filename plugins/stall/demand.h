/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The probes of I/O and memory: attached while the machine's pressure rises, since each switch, wake-up or allocation
 * costs more meanwhile. Without one its resource is psi-only. */
#ifndef LNX_STALL_DEMAND_H
#define LNX_STALL_DEMAND_H

#include "io.h"
#include "mem.h"
#include "scope.h"

#include <linnix/ev_psi.h>
#include <linnix/rec_stats.h>

struct stall;
struct lnx_metric;

/* What one process did, at the last look. */
struct stall_res_proc {
	struct lnx_rec_res_key key;
	struct lnx_rec_res_proc v;
	uint64_t delta; /* of this window */
	uint64_t used_ns;
	uint32_t looks, pad;
};

/* One of the two. */
struct stall_demand {
	struct stall *s;
	const char *probe;
	int fd[STALL_MAPS];
	struct lnx_rec_stats *stats; /* one look: n_cpus values; owned */
	uint32_t n_cpus;
	struct stall_res_proc *procs; /* by key; LNX_RES_PROCS, made with the first attach */
	uint32_t n_procs, looks;
	struct stall_res_maps maps;
	uint32_t resource; /* LNX_RES_* */
	uint32_t is_open;  /* its maps are there: it can be attached */
	uint32_t is_attached;
	uint32_t is_whole; /* has been attached since before this window began */
	uint64_t rose_ns;  /* pressure was last above stall.attach_above */
	uint64_t node_us;  /* the machine's total at the last look */
	uint32_t has_node;
	uint32_t attaches;			      /* how often */
	struct lnx_metric *count[LNX_RES_COUNTS + 2]; /* of the probe, of the reader */
	char why[192];				      /* not attached: the reason */
};

struct stall_res {
	struct stall_demand io, mem;
	struct stall_io io_reader;   /* made with the first attach */
	struct stall_mem mem_reader; /* likewise */
	struct stall_scope scope;
	uint32_t has_io_reader, has_mem_reader;
};

int stall_demand_open(struct stall *s); /* 0 or -ENOMEM; a probe that is not there is only noted */
void stall_demand_close(struct stall *s);
/* CPU time of the programs of both since their load, by the runs that they timed. */
double stall_demand_cost_ns(const struct stall *s);
/* What was seen since the last window becomes rows. 0 or -ENOMEM (the window is lost). */
int stall_demand_rows(struct stall *s, uint64_t window_ns, uint64_t mono_ns, uint64_t now_ns);
/* Attach where pressure rises, detach where it has not for long; before rows are made of psi. */
void stall_demand_sync(struct stall *s, uint64_t mono_ns, uint64_t now_ns);
/* The window is kept: from now on what is attached is live. */
void stall_demand_next(struct stall *s);
/* resprocs.c: before an attach; and tasks of one window. 0 or -ENOMEM. */
int stall_res_procs_reset(struct stall_demand *d);
int stall_res_procs_tasks(struct stall *s, struct stall_demand *d, uint64_t now_ns);
/* resrows.c: rows of one window, and of the machine. 0 or -ENOMEM. */
int stall_res_rows(struct stall *s, const struct stall_demand *d, const struct stall_res_window *w,
		   uint64_t window_ns, uint64_t now_ns);

#endif
