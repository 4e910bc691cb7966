/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* linnix_workload_pods: how many pods of each workload run on this node, by their own cgroups. A workload without pods has no
 * series. */
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define PODS_PERIOD_NS 10000000000ULL

static const char *const pods_labels[] = { "victim_namespace", "victim_workload", NULL };
static const struct lnx_metric_desc pods_desc = {
	.name = "linnix_workload_pods",
	.help = "Pods of a workload on this node.",
	.kind = LNX_GAUGE,
	.labels = pods_labels,
	.max_series = WORKLOAD_PODS,
};

static struct workload_pods_row *row_of(struct workload *w, const struct workload_pod *pod)
{
	const char *values[] = { pod->namespace_, pod->workload, NULL };
	struct workload_pods *p = &w->pods;
	struct workload_pods_row r = { 0 };

	for (uint32_t i = 0; i < p->n; i++)
		if (!strcmp(p->rows[i].namespace_, pod->namespace_) &&
		    !strcmp(p->rows[i].workload, pod->workload))
			return &p->rows[i];
	if (p->n == WORKLOAD_PODS)
		return NULL;
	r.namespace_ = strdup(pod->namespace_);
	r.workload = strdup(pod->workload);
	if (!r.namespace_ || !r.workload ||
	    w->host->metric(w->ctx, &pods_desc, values, &r.metric) < 0) {
		free(r.namespace_);
		free(r.workload);
		return NULL;
	}
	p->rows[p->n] = r;
	return &p->rows[p->n++];
}

static void pods_count(void *arg)
{
	struct workload *w = arg;
	struct workload_pods *p = &w->pods;
	struct workload_entry *e;
	uint64_t left = 0;

	for (uint32_t i = 0; i < p->n; i++)
		p->rows[i].n_pods = 0;
	for (e = w->table.oldest.next; e != &w->table.oldest; e = e->next) {
		struct workload_pods_row *r;

		if (e->gone_ns || e->ids.form != WORKLOAD_POD || !e->pod)
			continue;
		r = row_of(w, e->pod);
		if (r)
			r->n_pods++;
		else
			left++;
	}
	for (uint32_t i = 0; i < p->n;) {
		struct workload_pods_row *r = &p->rows[i];

		if (r->n_pods) {
			w->host->metric_set(w->ctx, r->metric, r->n_pods);
			i++;
			continue;
		}
		w->host->metric_del(w->ctx, r->metric);
		free(r->namespace_);
		free(r->workload);
		*r = p->rows[--p->n];
	}
	w->host->metric_set(w->ctx, p->m_left, (double)left);
}

int workload_pods_start(struct workload *w)
{
	static const struct lnx_metric_desc left = {
		.name = "linnix_workload_pods_left_out",
		.help = "Pods of more workloads than linnix_workload_pods has series for.",
		.kind = LNX_GAUGE,
	};
	int rc;

	if (!w->k8s)
		return 0;
	rc = w->host->metric(w->ctx, &left, NULL, &w->pods.m_left);
	return rc ? rc
		  : w->host->timer_add(w->ctx, PODS_PERIOD_NS, PODS_PERIOD_NS, pods_count, w,
				       &w->pods.timer);
}

void workload_pods_done(struct workload *w)
{
	for (uint32_t i = 0; i < w->pods.n; i++) {
		free(w->pods.rows[i].namespace_);
		free(w->pods.rows[i].workload);
	}
	w->pods.n = 0;
}
