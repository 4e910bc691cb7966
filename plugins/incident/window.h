/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What crossed the bus in the time before an incident, read once from the ring. */
#ifndef LNX_INCIDENT_WINDOW_H
#define LNX_INCIDENT_WINDOW_H

#include "incident.h"

#define WIN_PARTS    64 /* pairs of victim and culprit */
#define WIN_SPAWNERS 32 /* parents that fork */
#define WIN_CACHE    64

struct win_series {
	double sum, max, last;
	uint32_t n;
};

/* One victim's stall of the incident's resource. */
struct win_victim {
	uint64_t cgroup_id;
	double stalled_ms, psi_ms, parts[LNX_STALL_KINDS];
	double sure_ms; /* stall times its confidence */
	uint32_t n, method;
};

struct win_part {
	uint64_t victim, culprit;
	uint32_t kind, pid;
	double ms;
	char name[128], namespace_[64], comm[20], limit[128];
};

struct win_spawner {
	uint32_t pid, n;
	char comm[20];
};

struct window {
	struct incidents *s;
	const struct inc *inc;
	uint64_t from_ns, to_ns, first_ns, first_seq, first_psi_seq;
	uint32_t resource; /* enum lnx_resource */
	struct win_series cpu, steal, iowait, mem, load, psi_cpu, psi_memory, psi_io;
	uint32_t n_cpus;
	struct win_victim victims[INC_VICTIMS + 1]; /* the last: the node */
	uint32_t n_victims;
	struct win_part parts[WIN_PARTS];
	uint32_t n_parts;
	struct win_spawner spawners[WIN_SPAWNERS];
	uint32_t n_spawners;
	uint32_t forks, exits, never_exec, failed, killed, short_lived;
	struct {
		uint64_t cgroup_id;
		uint32_t is_known, is_culprit;
	} cache[WIN_CACHE];
};

/* The last conf.before up to <to_ns>. */
void window_read(struct window *w, struct incidents *s, const struct inc *inc, uint64_t to_ns);
/* How far ledger and kernel agree, weighted by stall; NaN: nothing seen. */
double win_confidence(const struct win_victim *v);
/* NaN when nothing was seen. */
double win_mean(const struct win_series *v);
double win_max(const struct win_series *v);

#endif
