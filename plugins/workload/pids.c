/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cgroup.pids: where many processes are made, how near is the limit of their number? Forks are counted only while somebody
 * wants to know; the files are read once a second, of the cgroups that forked. */
#include <linnix/ev_proc.h>
#include <linnix/ev_workload.h>
#include <string.h>

#include "usage.h"
#include "workload.h"

#define PERIOD_NS  1000000000ULL
#define FORKS_FROM 10 /* in a second; fewer are no storm */

static const struct lnx_metric_desc missed_desc = {
	.name = "linnix_cgroup_pids_missed_total",
	.help = "Forks in cgroups beyond the 64 whose limit of processes is looked at in one second.",
	.kind = LNX_COUNTER,
};

void workload_on_fork(struct workload *w, const struct lnx_event *ev)
{
	const struct lnx_ev_proc_fork *f = (const void *)ev;
	struct workload_pids *p = &w->pids;
	uint32_t i;

	if (!LNX_EV_HAS(ev, struct lnx_ev_proc_fork, cgroup_id) || f->is_kthread)
		return;
	for (i = 0; i < p->n && p->hot[i].cgroup_id != f->cgroup_id; i++)
		;
	if (i == WORKLOAD_HOT) {
		w->host->metric_add(w->ctx, p->m_missed, 1);
		return;
	}
	if (i == p->n)
		p->hot[p->n++] = (struct workload_hot){ .cgroup_id = f->cgroup_id };
	p->hot[i].forks++;
	p->hot[i].pid = ev->pid;
}

static void pids_tell(struct workload *w, const struct workload_hot *hot)
{
	struct workload_entry *e = workload_table_get(&w->table, hot->cgroup_id);
	union {
		struct lnx_ev_cgroup_pids ev;
		char bytes[LNX_EVENT_MAX];
	} u;
	char owner[LNX_EVENT_MAX / 2];
	uint64_t pids, max;
	size_t n;

	if (!e || e->gone_ns || usage_pids(w->root, e->path, &pids, &max, owner, sizeof(owner)))
		return;
	memset(&u.ev, 0, sizeof(u.ev));
	n = strnlen(owner, LNX_STR_MAX);
	u.ev.h.type = LNX_EV_CGROUP_PIDS;
	u.ev.h.fixed = sizeof(u.ev);
	u.ev.h.size = (uint32_t)(sizeof(u.ev) + n);
	u.ev.h.pid = hot->pid;
	u.ev.h.cpu = LNX_CPU_NONE;
	u.ev.cgroup_id = hot->cgroup_id;
	u.ev.pids = pids;
	u.ev.pids_max = max;
	u.ev.pids_ratio = (double)pids / (double)max;
	u.ev.forks = hot->forks;
	u.ev.path.off = sizeof(u.ev);
	u.ev.path.len = (uint16_t)n;
	memcpy(u.bytes + sizeof(u.ev), owner, n);
	(void)w->host->publish(w->ctx, &u.ev.h); /* the bus counts what it refuses */
}

static void on_second(void *arg)
{
	struct workload *w = arg;
	struct workload_pids *p = &w->pids;
	uint32_t is_wanted = w->root[0] && w->host->wanted(w->ctx, "cgroup.pids") > 0;

	if (is_wanted != p->is_on) {
		if ((is_wanted ? w->host->subscribe(w->ctx, "proc.fork", LNX_STAGE_STATE, 0)
			       : w->host->unsubscribe(w->ctx, "proc.fork")) == 0)
			p->is_on = is_wanted;
	}
	for (uint32_t i = 0; i < p->n; i++)
		if (p->hot[i].forks >= FORKS_FROM)
			pids_tell(w, &p->hot[i]);
	p->n = 0;
}

int workload_pids_start(struct workload *w)
{
	int rc = w->host->metric(w->ctx, &missed_desc, NULL, &w->pids.m_missed);

	return rc ? rc
		  : w->host->timer_add(w->ctx, PERIOD_NS, PERIOD_NS, on_second, w, &w->pids.timer);
}
