/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Refreshes of the table from the task iterator, or from /proc without it; and proc.usage of what moved. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_proc.h>

#include "proc.h"

static double proc_cpu_pct(const struct lnx_proc *p, const struct lnx_rec_proc *r)
{
	uint64_t since = p->has_usage ? p->usage_ns : p->start_ns;
	uint64_t before = p->has_usage ? p->cpu_ns : 0;

	if (r->ts_ns <= since || r->cpu_ns <= before)
		return 0;
	return 100.0 * (double)(r->cpu_ns - before) / (double)(r->ts_ns - since);
}

static void proc_keep_usage(struct proc_entry *e)
{
	e->told.cpu_ns = e->p.cpu_ns;
	e->told.rss_bytes = e->p.rss_bytes;
	e->told.read_bytes = e->p.read_bytes;
	e->told.write_bytes = e->p.write_bytes;
	e->told.minflt = e->p.minflt;
	e->told.majflt = e->p.majflt;
	e->told.run_delay_ns = e->p.run_delay_ns;
	e->told.n_threads = e->p.n_threads;
	e->told.is_set = 1;
}

static int proc_has_moved(const struct proc_entry *e)
{
	return e->told.cpu_ns != e->p.cpu_ns || e->told.rss_bytes != e->p.rss_bytes ||
	       e->told.read_bytes != e->p.read_bytes || e->told.write_bytes != e->p.write_bytes ||
	       e->told.minflt != e->p.minflt || e->told.majflt != e->p.majflt ||
	       e->told.run_delay_ns != e->p.run_delay_ns || e->told.n_threads != e->p.n_threads;
}

static void proc_take_record(void *arg, const void *record)
{
	const struct lnx_rec_proc *r = record;
	struct proc_state *s = arg;
	struct proc_entry *e;
	int is_new = 0;

	if (r->state == PROC_STATE_ZOMBIE && r->n_threads <= 1) {
		s->n_zombies++; /* ended: only its exit status is left */
		return;
	}
	e = proc_table_take(&s->table, r->pid, r->start_ns, r->ts_ns, &is_new);
	if (!e)
		return;
	if (is_new) {
		e->is_coarse = s->uses_scan;
		e->maker_pid = r->ppid;
		e->maker_start_ns = r->parent_start_ns;
		s->table.found += s->is_started;
	}
	e->pass = s->pass;
	e->is_missing = 0;
	e->is_hidden = s->uses_scan;
	e->p.cpu_pct = proc_cpu_pct(&e->p, r);
	e->p.parent_start_ns = r->parent_start_ns;
	e->p.cgroup_id = r->cgroup_id;
	e->p.ppid = r->ppid;
	e->p.uid = r->uid;
	e->p.n_threads = r->n_threads;
	e->p.state = r->state;
	e->p.is_kthread = r->flags & LNX_REC_PROC_KTHREAD ? 1 : 0;
	memcpy(e->p.comm, r->comm, sizeof(e->p.comm));
	e->p.cpu_ns = r->cpu_ns;
	e->p.rss_bytes = r->rss_bytes;
	e->p.rss_anon_bytes = r->rss_anon_bytes + r->rss_shmem_bytes;
	e->p.read_bytes = r->read_bytes;
	e->p.write_bytes = r->write_bytes;
	e->p.minflt = r->minflt;
	e->p.majflt = r->majflt;
	e->p.run_delay_ns = r->run_delay_ns;
	e->p.usage_ns = r->ts_ns;
	e->p.has_usage = 1;
	if (!s->is_started)
		proc_keep_usage(e); /* what ran before us is where we begin, not news */
}

static int proc_publish_one(struct proc_state *s, struct proc_entry *e)
{
	struct lnx_ev_proc_usage u;
	int r;

	memset(&u, 0, sizeof(u));
	u.h.size = u.h.fixed = sizeof(u);
	u.h.type = LNX_EV_PROC_USAGE;
	u.h.pid = e->p.pid;
	u.h.cpu = LNX_CPU_NONE;
	u.start_ns = e->p.start_ns;
	u.cgroup_id = e->p.cgroup_id;
	u.cpu_ns = e->p.cpu_ns;
	u.rss_bytes = e->p.rss_bytes;
	u.rss_anon_bytes = e->p.rss_anon_bytes;
	u.read_bytes = e->p.read_bytes;
	u.write_bytes = e->p.write_bytes;
	u.minflt = e->p.minflt;
	u.majflt = e->p.majflt;
	u.run_delay_ns = e->p.run_delay_ns;
	u.ppid = e->p.ppid;
	u.uid = e->p.uid;
	u.n_threads = e->p.n_threads;
	u.state = e->p.state;
	memcpy(u.comm, e->p.comm, sizeof(u.comm));
	u.cpu_pct = e->p.cpu_pct;
	r = s->host->publish(s->ctx, &u.h);
	if (!r)
		proc_keep_usage(e);
	return r;
}

static void proc_publish(struct proc_state *s)
{
	struct proc_entry *e, *next;

	if (s->host->wanted(s->ctx, "proc.usage") <= 0)
		return;
	for (e = s->table.live.first; e; e = next) {
		next = e->next; /* handlers may run now, but none of them ends processes */
		if (!e->p.has_usage || e->pass != s->pass || !proc_has_moved(e))
			continue;
		if (proc_publish_one(s, e) == -ENOBUFS)
			break; /* counted by the bus; these figures go out with the next refresh */
	}
}

/* ---- what the iterator does not show: some kernels keep processes from BPF */

static void proc_scan_setup(const struct proc_state *s, struct proc_scan *scan)
{
	memset(scan, 0, sizeof(*scan));
	/* copies: a reload may come while a worker reads; one that is cut cannot be opened and says so */
	snprintf(scan->proc_root, sizeof(scan->proc_root), "%s", s->conf->proc_root);
	snprintf(scan->cgroup_root, sizeof(scan->cgroup_root), "%s", s->conf->cgroup_root);
	scan->ts_ns = s->host->now_ns(s->ctx);
	scan->tick_ns = s->table.tick_ns;
	scan->max_records = s->conf->max_processes;
}

/* Read one from /proc. Returns whether it is there and was not known to have ended. */
static int proc_take_hidden(struct proc_state *s, struct proc_scan *scan, uint32_t pid)
{
	const struct proc_entry *e;
	uint32_t before = s->uses_scan;
	struct lnx_rec_proc r;

	if (proc_scan_one(scan, pid, &r))
		return 0;
	s->uses_scan = 1; /* its start is rounded */
	proc_take_record(s, &r);
	s->uses_scan = before;
	e = proc_table_live(&s->table, pid);
	return e && e->pass == s->pass;
}

struct proc_gaps {
	struct proc_state *s;
	struct proc_scan scan;
	uint32_t n;
};

static int proc_fill_gap(void *arg, uint32_t pid)
{
	struct proc_gaps *g = arg;

	if (proc_table_live(&g->s->table, pid))
		return 0;
	(void)proc_take_hidden(g->s, &g->scan,
			       pid); /* most are newer than the refresh, or zombies */
	return ++g->n >= PROC_GAPS_MAX;
}

/* Compare with the list of pids in /proc; not more often than the repair. */
static void proc_fill_gaps(struct proc_state *s)
{
	uint64_t now = s->host->now_ns(s->ctx);
	struct proc_gaps g = { .s = s };

	if (s->gaps_ns && now < s->gaps_ns + s->conf->repair_ns)
		return;
	s->gaps_ns = now;
	proc_scan_setup(s, &g.scan);
	(void)proc_scan_pids(s->conf->proc_root, proc_fill_gap, &g); /* without /proc: no news */
}

/* After a complete refresh: who was not seen twice in a row is gone, though no event said so. Once is not
 * enough: its fork may be newer than the refresh, or its exit on the way. */
static void proc_pass_end(struct proc_state *s, uint64_t ts_ns)
{
	struct proc_entry *e, *next;
	struct proc_scan scan;

	proc_table_judge(&s->table);
	proc_scan_setup(s, &scan);
	s->n_missing = s->n_hidden = 0;
	for (e = s->table.live.first; e; e = next) {
		next = e->next;
		if (e->pass != s->pass && e->is_hidden)
			(void)proc_take_hidden(s, &scan, e->p.pid);
		s->n_hidden += e->is_hidden;
		if (e->pass == s->pass)
			continue;
		if (e->is_missing) {
			s->host->log(s->ctx, LNX_DEBUG, "pid %u (%.16s) ended unseen", e->p.pid,
				     e->p.comm);
			proc_table_end_unseen(&s->table, e, ts_ns);
		} else {
			e->is_missing = 1;
			s->n_missing++;
		}
	}
}

static void proc_pass_begin(struct proc_state *s)
{
	s->pass++;
	s->n_zombies = 0;
	s->last_pass_ns = s->host->now_ns(s->ctx);
}

/* Refused by a refresh: the same ones each time, so only their growth counts. */
static void proc_count_refused(struct proc_state *s, uint64_t before, uint64_t beyond)
{
	uint64_t n = s->table.refused - before + beyond;

	s->table.refused = before + (n > s->n_untracked ? n - s->n_untracked : 0);
	s->n_untracked = (uint32_t)n;
}

static void proc_apply_scan(struct proc_state *s, const struct proc_scan *scan)
{
	uint64_t refused = s->table.refused;
	uint32_t i;

	for (i = 0; i < scan->n; i++)
		proc_take_record(s, &scan->records[i]);
	proc_count_refused(s, refused, scan->skipped);
	proc_pass_end(s, scan->ts_ns);
	s->host->metric_add(s->ctx, s->m_by_scan, 1);
}

void proc_scan_free(struct proc_scan *scan)
{
	if (!scan)
		return;
	free(scan->records);
	free(scan);
}

static struct proc_scan *proc_scan_new(const struct proc_state *s)
{
	struct proc_scan *scan = malloc(sizeof(*scan));

	if (scan)
		proc_scan_setup(s, scan);
	return scan;
}

static int proc_scan_job(void *arg)
{
	return proc_scan_run(((struct proc_state *)arg)->scan);
}

static void proc_scan_failed(struct proc_state *s, int r)
{
	s->host->health(s->ctx, "usage", LNX_HEALTH_LOST,
			"neither probe proc nor /proc can be read: mount /proc, or load the probe "
			"(see linnix doctor)");
	s->host->log(s->ctx, LNX_ERROR, "cannot read %s: %s", s->conf->proc_root, strerror(-r));
}

static void proc_scan_done(void *arg, int rc)
{
	struct proc_state *s = arg;
	struct proc_scan *scan = s->scan;

	s->scan = NULL;
	if (rc == 0 && !s->is_stopped) {
		proc_pass_begin(s);
		proc_apply_scan(s, scan);
		proc_publish(s);
	} else if (rc != -ECANCELED && !s->is_stopped) {
		proc_scan_failed(s, rc);
	}
	proc_scan_free(scan);
}

/* The iterator said no: read /proc, off the loop once it runs. */
static int proc_fall_back(struct proc_state *s, int why)
{
	int r;

	if (!s->uses_scan) {
		s->uses_scan = 1;
		s->host->health(
			s->ctx, "usage", LNX_HEALTH_DEGRADED,
			"probe proc gives no figures, so they come from /proc: slower, and "
			"blind for short-lived processes and for the I/O of others; give the agent CAP_BPF and "
			"CAP_PERFMON and a kernel with BTF (see linnix doctor)");
		s->host->log(s->ctx, LNX_WARN, "no task iterator (%s), reading %s instead",
			     strerror(-why), s->conf->proc_root);
	}
	if (s->scan)
		return 0; /* the one before is still being read */
	s->scan = proc_scan_new(s);
	if (!s->scan)
		return -ENOMEM;
	if (!s->is_started) {
		r = proc_scan_run(s->scan);
		proc_scan_done(s, r);
		return r;
	}
	r = s->host->submit(s->ctx, proc_scan_job, proc_scan_done, s);
	if (r) {
		proc_scan_free(s->scan);
		s->scan = NULL;
	}
	return r;
}

int proc_refresh(struct proc_state *s, int is_publishing)
{
	uint64_t refused = s->table.refused;
	uint32_t had_scan = s->uses_scan;
	int r;

	proc_pass_begin(s);
	s->uses_scan = 0; /* records of the iterator are exact */
	r = s->host->probe_iter(s->ctx, "proc", "usage", sizeof(struct lnx_rec_proc),
				proc_take_record, s);
	if (r <= 0) { /* no process at all is no answer either: we are one */
		s->uses_scan = had_scan;
		return proc_fall_back(s, r ? r : -ENODATA);
	}
	if (had_scan)
		s->host->health(s->ctx, "usage", LNX_HEALTH_OK, "");
	proc_fill_gaps(s);
	proc_count_refused(s, refused, 0);
	proc_pass_end(s, s->last_pass_ns);
	s->host->metric_add(s->ctx, s->m_by_probe, 1);
	if (is_publishing)
		proc_publish(s);
	return 0;
}
