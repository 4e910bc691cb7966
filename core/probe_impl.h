/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by probe.c, probe_load.c and probe_attach.c; nobody else includes it. */
#ifndef LNX_PROBE_IMPL_H
#define LNX_PROBE_IMPL_H

#include <stdint.h>
#include <sys/stat.h>

#include "probe.h"

struct bpf_object;
struct lnx_source;

#define LNX_PROBE_PROGRAMS_MAX 16 /* of one object */
#define LNX_PROBE_MAPS_MAX     24
#define LNX_PROBE_NAME_MAX     32

/* What a probe cost, of one CPU or in all. */
struct lnx_probe_cost {
	uint64_t runs, timed_runs, timed_ns, lost;
};

struct lnx_probe;

/* A program that some kernels have no hook for. */
struct lnx_probe_choice {
	const char *program;
	const char *hook; /* tracepoint it is for */
	const char *
		instead; /* program that loads where <hook> is missing, and only there; may be NULL */
};

/* One row of the table of probes: bpf/<name>.bpf.c. */
struct lnx_probe_row {
	const char *name;
	const uint16_t *types; /* events it yields, 0 at the end */
	const char *const *
		cpu_maps; /* their entries are for one possible CPU; NULL at the end; may be NULL */
	const struct lnx_probe_choice *choices; /* .program NULL at the end; may be NULL */
	/* Fill <ret_cpus> (of lnx_probe_cpus() entries). Returns 0 or -errno. NULL: the map `stats`. */
	int (*cost)(const struct lnx_probe *p, struct lnx_probe_cost *ret_cpus);
	const char *cost_method; /* with <cost> */
};

/* An iterator program: its link is made at load. */
struct lnx_probe_iter {
	char name[LNX_PROBE_NAME_MAX];
	int link_fd;
	uint32_t record_bytes; /* as the object tells in <name>_bytes, 0 unknown */
};

/* What is kept of a loaded object, fds of ours: libbpf's own idea of it takes 100 KiB each. */
struct lnx_probe_program {
	char name[LNX_PROBE_NAME_MAX];
	int fd;
	int is_iter;
};

struct lnx_probe_map {
	char name[LNX_PROBE_NAME_MAX];
	int fd;
	uint32_t value_bytes, max_entries;
};

struct lnx_probe {
	const struct lnx_probe_row *row;
	struct bpf_object *obj; /* while it is being loaded */
	int file_fd;		/* of the object file that was loaded; -1 none */
	struct stat file;	/* as it was then */
	int is_loaded;
	uint32_t state; /* enum lnx_probe_state */
	unsigned wants; /* lnx_probes_want */
	struct lnx_probe_program programs[LNX_PROBE_PROGRAMS_MAX];
	unsigned n_programs;
	struct lnx_probe_map maps[LNX_PROBE_MAPS_MAX];
	unsigned n_maps;
	int links[LNX_PROBE_PROGRAMS_MAX]; /* fds */
	unsigned n_links;
	struct lnx_probe_iter iters[LNX_PROBE_PROGRAMS_MAX];
	unsigned n_iters;
	uint64_t lost_told; /* to the bus */
	char events[256];   /* names of row->types */
	char why[256];
};

/* What all objects share. */
struct lnx_probe_shared {
	int ring_fd, wake_fd;
	uint32_t args_mode, batch_bytes, page_bytes;
	unsigned n_cpus; /* possible */
};

struct lnx_probes {
	struct lnx_bus *bus;
	struct lnx_probe_shared shared;
	struct lnx_source *source; /* NULL: there is no ring buffer */
	struct lnx_probe *probes;
	unsigned n;
	char *iter_buf;
	struct lnx_probe_cost *costs; /* n_cpus */
	void *stats_buf;	      /* n_cpus values of a map `stats` */
	size_t stats_bytes;	      /* of one value in stats_buf */
};

/* Set p->why and p->state; returns <rc>. */
int lnx_probe_fail(struct lnx_probe *p, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What to do about <rc> of a bpf(2) call: text for "cannot load: %s". <buf> holds what needs room. */
const char *lnx_probe_remedy(int rc, char *buf, size_t cap);

/* probe_ledger.c: costs of probe "sched", which keeps them in its own map. */
int lnx_probe_cost_ledger(const struct lnx_probe *p, struct lnx_probe_cost *ret_cpus);

/* probe_load.c */
/* Open, size, set and load <dir>/<name>.bpf.o. On failure p->why tells. */
int lnx_probe_load(struct lnx_probe *p, const char *dir, const struct lnx_probe_shared *shared);
void lnx_probe_unload(struct lnx_probe *p);

/* probe_attach.c */
int lnx_probe_attach(struct lnx_probe *p);
void lnx_probe_detach(struct lnx_probe *p);
/* Runs that the kernel left out because the same program was at work on that CPU. */
uint64_t lnx_probe_missed(const struct lnx_probe *p);
/* Make the links of iterators, which stay for the life of the object. */
int lnx_probe_link_iters(struct lnx_probe *p);
const struct lnx_probe_iter *lnx_probe_find_iter(const struct lnx_probe *p, const char *program);
/* NULL: the object has none, or is not loaded. */
const struct lnx_probe_map *lnx_probe_find_map(const struct lnx_probe *p, const char *name);
/* Run an iterator over <buf> of LNX_PROBE_ITER_BYTES. Returns records or -errno. */
int lnx_probe_run_iter(const struct lnx_probe_iter *it, char *buf, uint32_t record_bytes,
		       void (*each)(void *arg, const void *record), void *arg);
#define LNX_PROBE_ITER_BYTES 65536

#endif
