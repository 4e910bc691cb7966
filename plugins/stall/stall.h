/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inner structures of plugin stall. Everything hangs from struct stall; loop thread only. */
#ifndef LNX_STALL_H
#define LNX_STALL_H

#include "govern.h"
#include "ledger.h"
#include "store.h"
#include "who.h"
#include <linnix/buf.h>
#include <linnix/ev_agent.h>
#include <linnix/host.h>
#include <linnix/svc_http.h>
#include <linnix/svc_proc.h>
#include <linnix/svc_stall.h>
#include <linnix/svc_workload.h>

#define STALL_SEC	  1000000000ULL
#define STALL_KEEP_NS	  (3700 * STALL_SEC) /* names outlive the windows */
#define STALL_TASKS_MAX	  128		     /* processes of one window, the largest */
#define STALL_PSI_FROM_NS 200000ULL /* less stall does not ask for a read of the pressure file */
#define STALL_MODE_EXACT  0
#define STALL_MODE_PSI	  1
#define STALL_MODE_AUTO	  2

struct stall_conf {
	uint32_t mode; /* STALL_MODE_* */
	uint32_t edges, windows, psi_reads;
	uint64_t interval, edge_min, history_size, shed_for;
	uint64_t attach_above, attach_for;
};

/* Reader's side of one ledger slot. */
struct stall_slot {
	uint32_t handle; /* that the names below are for; 0 free */
	uint32_t who;
	uint32_t old_handle; /* the former generation, whose last figures may still come */
	uint32_t old_who;
	uint32_t retired; /* looks since its cgroups were taken out; 0: in use */
	uint32_t level;	  /* enum stall_by: a set above slots; 0 a slot */
	uint64_t key;	  /* of a set: what its members have in common */
	uint64_t ran_ns;  /* when it last ran */
};

/* State of the ledger: the maps of the probe. */
struct stall_probe {
	void *cpus; /* mapped, NULL: no ledger */
	struct lnx_ledger_table *tab;
	size_t cpus_bytes, tab_bytes;
	uint32_t n_cpus;
	int slots_fd;
	uint32_t is_wanted, is_live, quiet_looks, pad;
	struct stall_ledger *ledger;
	struct stall_slot *slot; /* LNX_LEDGER_SLOTS */
	uint32_t n_used;	 /* slots in use */
	char why[192];		 /* not live: the reason */
};

/* Counters of /proc/stat at the last look, by CPU. */
struct stall_stat {
	uint64_t *last;	     /* 8 columns a CPU */
	double *steal, *irq; /* shares of the last window */
	uint32_t n_cpus;
	uint32_t has_irq; /* the kernel accounts interrupt time */
};

/* The machine by host.sample: sums since the last window, and the last mean. */
struct stall_load {
	double cpu, psi; /* pct times ns */
	double cpu_ns, psi_ns;
	double cpu_pct, psi_pct; /* NaN unknown */
	double switches_per_s;	 /* of the last sample */
	uint64_t seen_ns;	 /* when a sample came last */
};

/* What the budget of the agent takes away. */
struct stall_shed {
	struct stall_govern govern;
	double ledger_ns; /* cost of the ledger at the last look */
	char why[192];	  /* "" when nothing is taken away */
};

struct stall_metrics;
struct stall_res;

/* A sum that the service answered from last. */
struct stall_share {
	struct stall_sum sum;
	uint64_t window_ns;
	uint32_t ticks, pad;
};

struct stall {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct stall_conf *conf;
	const struct lnx_svc_workload *workload; /* NULL: nobody knows cgroups */
	void *workload_self;
	const struct lnx_svc_proc *proc; /* NULL: nobody knows present names of processes */
	void *proc_self;
	struct lnx_timer *timer;
	struct stall_probe probe;
	struct stall_stat stat;
	struct stall_res *res; /* I/O and memory */
	struct stall_whos whos;
	struct stall_store store;
	struct stall_window *look; /* of the ledger; large */
	struct stall_metrics *metrics;
	uint64_t mono_ns, boot_ns; /* of the last look */
	uint32_t ticks;		   /* windows made */
	uint32_t has_psi;	   /* /proc/pressure/cpu can be read */
	uint32_t has_sample[3];	   /* figures of psi.sample came in */
	struct stall_load load;
	struct stall_shed shed;
	uint64_t unequal;      /* rows whose parts did not sum */
	uint64_t sets_refused; /* no slot for a set */
	/* the window in the making */
	struct stall_row *rows;
	struct stall_cell *cells;
	struct stall_task *tasks;
	uint32_t n_rows, n_cells, n_tasks, cap_rows, cap_cells, cap_tasks;
	struct stall_share share[2];	/* by container, by pod */
	uint16_t pod_of[STALL_WHO_MAX]; /* of the second: who stands for it there */
	struct stall_levels levels;	/* of the answer in the making */
};

/* probe.c */
uint32_t stall_possible_cpus(void);
/* Why the host gave no map of <probe>, <rc>. */
void stall_no_map(char *ret_why, size_t bytes, const char *probe, int rc);
int stall_probe_open(struct stall *s);
void stall_probe_close(struct stall *s);
/* Detach, because of <why>; attach again. */
void stall_probe_pause(struct stall *s, const char *why);
int stall_probe_resume(struct stall *s);
/* Attached and counting? Called before each look. */
void stall_probe_check(struct stall *s);
/* demand.c */
/* Stalls of <resource> are measured: the window in the making is whole. */
int stall_is_live(const struct stall *s, uint32_t resource);
/* The probe of <resource> is attached, maybe since less than a window. */
int stall_is_attached(const struct stall *s, uint32_t resource);
/* They are measured whenever there are any. */
int stall_can_measure(const struct stall *s, uint32_t resource);
/* Why <resource> is psi-only, "" if it is not. */
const char *stall_why(const struct stall *s, uint32_t resource);
/* slot.c: keep slots and cgroups together, before and after a look. */
void stall_slots_sync(struct stall *s, uint64_t now_ns);
void stall_slots_retire(struct stall *s, uint64_t now_ns);
uint32_t stall_slot_who(const struct stall *s, uint32_t handle);
/* The one who is named by a cgroup: its container, unit or itself. */
uint32_t stall_who_of(struct stall *s, uint64_t cgroup_id, uint64_t now_ns);
/* From now on pressure is compared with what is measured: of all, of one. */
void stall_psi_base(struct stall *s, uint32_t resource);
void stall_psi_base_of(struct stall *s, struct stall_who *who, uint32_t resource);
void stall_who_refresh(struct stall *s, uint64_t now_ns);
/* Count n_children anew if somebody has come. Call before they are asked for. */
void stall_who_count(struct stall *s);
/* stat.c: 0 or -errno. <text> of /proc/stat, NULL reads the file. */
int stall_stat_init(struct stall_stat *st, uint32_t n_cpus);
void stall_stat_read(struct stall_stat *st, const char *text);
void stall_stat_done(struct stall_stat *st);
/* shed.c: keep to the budget of the agent. */
void stall_shed_cost(struct stall *s, const struct lnx_ev_agent_cost *cost);
/* Flags of windows made now. */
uint32_t stall_shed_flags(const struct stall *s);
/* tick.c: look, keep and tell a window that ends now, by both clocks. */
void stall_tick(struct stall *s, uint64_t mono_ns, uint64_t boot_ns);
/* rows.c: a look becomes rows, cells and tasks. 0 or -ENOMEM. */
int stall_rows_make(struct stall *s, uint64_t window_ns, uint64_t now_ns);
int stall_rows_psi(struct stall *s, uint64_t window_ns, uint64_t now_ns);
struct stall_row *stall_row_add(struct stall *s, uint32_t who, uint32_t resource, uint32_t method);
/* Read its pressure, to be compared with <ns> that were measured. */
void stall_row_psi(struct stall *s, struct stall_row *row, uint64_t ns);
/* Kind and culprit of a part that <who> holds. */
void stall_cell_of(const struct stall *s, const struct stall_row *row, uint32_t who,
		   struct stall_cell *ret_cell);
void stall_row_sum(struct stall *s, struct stall_row *row);
int stall_cell_add(struct stall *s, struct stall_row *row, const struct stall_cell *cell);
/* One more, zeroed; NULL: no memory. */
struct stall_task *stall_task_add(struct stall *s);
double stall_lost_ratio(uint64_t lost, uint64_t events);
double stall_coverage(const struct stall_row *r, double lost_ratio);
uint64_t stall_events(const struct stall_window *w, uint64_t *ret_lost);
/* publish.c */
void stall_publish(struct stall *s, const struct stall_win *w);
/* trees.c: stall.tree and stall.node. */
void stall_trees_publish(struct stall *s, const struct stall_win *w);
/* serve.c */
extern const struct lnx_svc_stall stall_service;
uint32_t stall_method(void *self, uint32_t resource);
/* metrics.c */
int stall_metrics_new(struct stall *s);
void stall_metrics_free(struct stall *s);
void stall_metrics_add(struct stall *s, const struct stall_win *w);
/* blame.c */
int stall_blame_route(struct stall *s);
/* sets.c: keep the wait sets of pods and workloads, after stall_slots_sync(). */
void stall_sets_sync(struct stall *s, uint64_t now_ns);
/* Who stands for the pod of <member> as a whole; STALL_WHO_NONE if nobody does and <is_made> is 0, or there is no place. */
uint32_t stall_set_of_pod(struct stall *s, uint32_t member, uint32_t is_made, uint64_t now_ns);
/* The same by the pod's own cgroup, made if it has several containers. */
uint32_t stall_set_of_own(struct stall *s, uint32_t own, uint64_t now_ns);
/* True for a pod's own cgroup. */
int stall_is_pod(const struct stall_who *who);
/* True if the set stands above <who>. */
int stall_set_has(const struct stall_who *set, const struct stall_who *who);
/* level.c */
void stall_level_make(const struct stall_whos *w, uint32_t by, struct stall_levels *l);

#endif
