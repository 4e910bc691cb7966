/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin's own state, shared by its files. */
#ifndef LNX_WORKLOAD_H
#define LNX_WORKLOAD_H

#include <linnix/plugin.h>
#include <linnix/svc_k8s.h>
#include <linnix/svc_proc.h>

#include "table.h"
#include "walk.h"

struct workload_conf {
	const char *cgroup_root, *mountinfo;
	uint32_t max_cgroups;
	uint32_t pad;
	uint64_t keep_gone_ns, repair_ns, usage_ns;
};

#define WORKLOAD_HOT 64 /* cgroups that fork whose limits are looked at */

struct workload_hot {
	uint64_t cgroup_id;
	uint32_t forks, pid; /* since the last look; who forked last */
};

struct workload_pids {
	struct lnx_timer *timer;
	struct lnx_metric *m_missed;
	uint32_t is_on, n; /* on: forks are subscribed */
	struct workload_hot hot[WORKLOAD_HOT];
};

/* workload.usage, while somebody wants it. */
struct workload_watch {
	struct lnx_timer *timer;
	struct lnx_metric *m_looks, *m_late;
	uint32_t is_on;	       /* ends of processes are subscribed */
	uint32_t n_looks;      /* left for this second */
	uint64_t since_ns;     /* it is on */
	uint64_t round_ns;     /* when the round began; 0: none */
	uint32_t is_over;      /* all were looked at in this round */
	uint32_t by_processes; /* one has no memory controller */
};

#define WORKLOAD_PODS 100 /* workloads whose pods are counted */

struct workload_pods_row {
	char *namespace_, *workload; /* owned */
	struct lnx_metric *metric;
	uint32_t n_pods, pad;
};

struct workload_pods {
	struct lnx_timer *timer;
	struct lnx_metric *m_left;
	uint32_t n, pad;
	struct workload_pods_row rows[WORKLOAD_PODS];
};

struct workload {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct workload_conf *conf;
	struct workload_table table;
	struct lnx_timer *repair;
	struct workload_walk walk;
	struct workload_pids pids;
	struct workload_pods pods;
	struct workload_watch watch;
	uint64_t walk_ns; /* when the running walk began; 0: none runs */
	char root[4096];  /* of the v2 hierarchy; "" without one */
	struct lnx_metric *m_known, *m_gone, *m_refused, *m_skipped, *m_forgotten;
	const struct lnx_svc_k8s *k8s; /* NULL: no cluster */
	void *k8s_self;
	int type_pod; /* of k8s.pod */
};

/* workload.c: publish who <e> is. */
void workload_tell(struct workload *w, struct workload_entry *e);
/* join.c */
/* Ask Kubernetes who <e> is. True: something new is known. */
bool workload_join(struct workload *w, struct workload_entry *e);
void workload_on_pod(struct workload *w, const struct lnx_event *ev);
void workload_join_rest(struct workload *w);
void workload_join_start(struct workload *w);

/* pids.c: cgroup.pids while somebody wants it. */
int workload_pids_start(struct workload *w);
void workload_on_fork(struct workload *w, const struct lnx_event *ev);
/* watch.c: workload.usage while somebody wants it. */
int workload_watch_start(struct workload *w);
void workload_on_exit(struct workload *w, const struct lnx_event *ev);
/* pods.c: linnix_workload_pods, where there is a cluster. */
int workload_pods_start(struct workload *w);
void workload_pods_done(struct workload *w);
/* routes.c: GET /workloads, when http/1 is there. */
int workload_routes(struct workload *w);
/* The figures of all processes, now, added to those of their workloads. */
void workload_sum_processes(struct workload *w, uint64_t want_ns);
/* command.c: linnix workloads parse. */
int workload_command(int argc, char **argv);

#endif
