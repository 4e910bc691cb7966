/* SPDX-License-Identifier: MIT */
/* Service "stall/1": what the ledger measured (plugin `stall`). Loop thread only. */
#ifndef LINNIX_SVC_STALL_H
#define LINNIX_SVC_STALL_H

#include <linnix/ev_stall.h>
#include <stdint.h>

/* A process or a workload in the last <window_ns>. NaN where there is no ledger. */
struct lnx_stall_share {
	uint32_t size;
	uint32_t pad;
	uint64_t window_ns;	 /* what the figures cover; 10 s when asked for 0 */
	double psi_contribution; /* 0..1: share of the node's `some` stall, its own waits included */
	double psi_contribution_ms; /* the same in ms */
	double caused_ms;	    /* what other workloads lost to it */
	double stalled_ms;	    /* of a workload: what it lost; NaN for a process */
	double throttled_ms; /* of a workload: part of stalled_ms under a quota; NaN for a process */
};

struct lnx_svc_stall {
	uint32_t size;
	uint32_t pad;
	/* Process (pid, start_ns). -ENOENT: it held nobody up in the window (figures are 0). */
	int (*process)(void *self, uint32_t resource, uint32_t pid, uint64_t start_ns,
		       uint64_t window_ns, struct lnx_stall_share *ret_share);
	/* The workload of a cgroup's slot. */
	int (*workload)(void *self, uint32_t resource, uint64_t cgroup_id, uint64_t window_ns,
			struct lnx_stall_share *ret_share);
	/* Processes that stalled a victim of <namespace_> in the window; NULL: of any. Stops when <each> returns non-zero. */
	int (*culprits)(void *self, uint32_t resource, const char *namespace_, uint64_t window_ns,
			int (*each)(void *arg, uint32_t pid, uint64_t start_ns, double caused_ms),
			void *arg);
	/* How stalls of <resource> are measured now: enum lnx_method. */
	uint32_t (*method)(void *self, uint32_t resource);
	/* Why figures of <resource> are missing, or only those of processes (of_process 1): for people, "" if they are
	 * there. Borrowed until the next turn of the loop. */
	const char *(*degraded)(void *self, uint32_t resource, uint32_t of_process);
	/* As culprits, by cgroup: of the ledger's slots. */
	int (*culprit_cgroups)(void *self, uint32_t resource, const char *namespace_,
			       uint64_t window_ns,
			       int (*each)(void *arg, uint64_t cgroup_id, double caused_ms),
			       void *arg);
};

#endif
