/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Probes: BPF objects opened, loaded once, attached on demand, and known by their state. Loop thread only. */
#ifndef LNX_PROBE_H
#define LNX_PROBE_H

#include "bus.h"
#include "log.h"
#include "metrics.h"
#include <linnix/buf.h>

struct ev_loop;
struct lnx_probes;

/* enum lnx_probe_state */
#define LNX_PROBE_OFF	   0 /* disabled by configuration */
#define LNX_PROBE_LOADED   1 /* loaded, not attached: nobody wants it */
#define LNX_PROBE_ATTACHED 2
#define LNX_PROBE_FAILED   3 /* <why> says what and how to fix it */

struct lnx_probes_conf {
	const char *bpf_dir; /* holds *.bpf.o */
	size_t ring_bytes;   /* of the shared ring buffer, all resident; 0: by the number of CPUs */
	uint32_t args_mode;  /* probes.args: 0 off, 1 script, 2 full */
	const char *const *disabled; /* names of probes not to load; NULL at the end; may be NULL */
};

/* The name of probe <i> of the table; NULL past its end. */
const char *lnx_probe_name(unsigned i);
/* Open and load every probe of the table (bpf/ objects). A probe that fails is kept with its reason; the call itself fails
 * only with -ENOMEM. Needs the privileges; nothing after it does. */
int lnx_probes_new(const struct lnx_probes_conf *conf, struct lnx_bus *bus,
		   struct lnx_probes **ret_probes);
void lnx_probes_free(struct lnx_probes *p);
/* Drain the shared ring buffer on <loop>. */
int lnx_probes_start(struct lnx_probes *p, struct ev_loop *loop);
void lnx_probes_stop(struct lnx_probes *p);
/* Attach what the bus wants now and what lnx_probes_want asked for; detach the rest. */
void lnx_probes_sync(struct lnx_probes *p);
int lnx_probes_want(struct lnx_probes *p, const char *probe, int on);
/* Read what is queued right now (tests, shutdown). Returns events or -errno. */
int lnx_probes_drain(struct lnx_probes *p);

unsigned lnx_probes_count(const struct lnx_probes *p);
struct lnx_probe_info {
	const char *name, *why;	 /* why: "" unless failed */
	const char *events;	 /* "proc.fork proc.exec proc.exit" */
	uint32_t state;		 /* enum lnx_probe_state */
	uint64_t runs;		 /* of its programs */
	uint64_t run_ns;	 /* estimated from one timed run in 1,024 per CPU */
	uint64_t lost;		 /* events it could not queue */
	const char *cost_method; /* "self-timed 1/1024" or "none" */
};
int lnx_probes_info(struct lnx_probes *p, unsigned i, struct lnx_probe_info *ret_info);
/* As the host vtable's. */
int lnx_probes_map(struct lnx_probes *p, const char *probe, const char *map);
int lnx_probes_iter(struct lnx_probes *p, const char *probe, const char *program,
		    uint32_t record_size, void (*each)(void *arg, const void *record), void *arg);
int lnx_probes_object(const struct lnx_probes *p, uint32_t i, const char **ret_name);
/* Publish per-CPU losses and costs as metrics; called before a rendering. */
void lnx_probes_collect(struct lnx_probes *p, struct lnx_metrics *m);

#endif
