/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The machine: pressure, CPU, memory, load, as psi.sample and host.sample. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linnix/ev_psi.h>

#include "psi.h"

static const char *const psi_names[PSI_N] = { "cpu", "memory", "io" };
static const char *const psi_kinds[2] = { "some", "full" };
static const char *const psi_labels[] = { "resource", "kind", NULL };
static const struct lnx_metric_desc psi_m_stall = {
	.name = "linnix_pressure_stall_seconds_total",
	.help = "Time in which some or all tasks of the machine waited for a resource.",
	.kind = LNX_COUNTER,
	.labels = psi_labels,
};

static int open_at(const struct psi_state *s, const char *name)
{
	char path[512];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", s->conf->proc_root, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const char *why_no_psi(int r)
{
	if (r == -EACCES || r == -EPERM)
		return "/proc/pressure may not be read: run the agent on the host, or let its "
		       "container see /proc/pressure";
	return "the kernel gives no pressure (PSI): boot it with psi=1, or use one with CONFIG_PSI=y";
}

/* One pressure file, now. 0 or -errno. */
static int read_pressure(struct psi_state *s, int i, struct psi_file *ret_file)
{
	int r = s->res[i].fd < 0 ? -ENOENT : psi_read(s->res[i].fd, &s->buf);

	return r ? r : psi_parse_pressure(s->buf.data, ret_file);
}

void psi_host_open(struct psi_state *s)
{
	char name[32];
	struct psi_file f;
	int i, r, lost = 0;

	for (i = 0; i < PSI_N; i++) {
		snprintf(name, sizeof(name), "pressure/%s", psi_names[i]);
		r = s->res[i].fd = open_at(s, name);
		if (r >= 0)
			r = read_pressure(
				s, i, &f); /* with psi=0 some kernels have the file, but no words */
		if (r < 0 && s->res[i].fd >= 0) {
			close(s->res[i].fd);
			s->res[i].fd = -1;
		}
		if (r < 0)
			lost = r;
	}
	if (lost)
		s->host->health(s->ctx, "psi", LNX_HEALTH_DEGRADED, why_no_psi(lost));
	s->stat_fd = open_at(s, "stat");
	s->mem_fd = open_at(s, "meminfo");
	s->load_fd = open_at(s, "loadavg");
	if (s->stat_fd < 0 || s->mem_fd < 0 || s->load_fd < 0)
		s->host->health(s->ctx, "host", LNX_HEALTH_DEGRADED,
				"stat, meminfo or loadavg of /proc cannot be read: mount /proc");
}

void psi_host_close(struct psi_state *s)
{
	int *const fds[] = { &s->res[0].fd, &s->res[1].fd, &s->res[2].fd,
			     &s->stat_fd,   &s->mem_fd,	   &s->load_fd };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* ---- psi.sample */

/* The kernel's total, then what is added to it: our counter does not fall when theirs does. */
static void count_stall(struct psi_state *s, int i, const struct psi_file *f)
{
	struct psi_resource *res = &s->res[i];
	const char *values[2];
	uint64_t from_us;
	int k;

	for (k = 0; k < 2; k++) {
		if (!f->has[k] || (i == PSI_CPU && k == PSI_FULL))
			continue; /* always 0 for the machine */
		from_us = res->metric[k] ? res->counted_us[k] : 0;
		values[0] = psi_names[i];
		values[1] = psi_kinds[k];
		if (!res->metric[k] &&
		    s->host->metric(s->ctx, &psi_m_stall, values, &res->metric[k]))
			continue; /* the registry counts what it cannot take */
		if (f->total_us[k] > from_us)
			s->host->metric_add(s->ctx, res->metric[k],
					    (double)(f->total_us[k] - from_us) / 1e6);
		res->counted_us[k] = f->total_us[k];
	}
}

static void fill_line(struct lnx_psi_line *line, const struct psi_resource *res,
		      const struct psi_file *f, int k, uint64_t window_ns)
{
	line->pct = line->avg10 = line->avg60 = line->avg300 = (double)NAN;
	if (!f->has[k])
		return;
	if (res->is_known && res->last.has[k])
		line->pct = psi_pct(res->last.total_us[k], f->total_us[k], window_ns);
	line->avg10 = f->avg10[k];
	line->avg60 = f->avg60[k];
	line->avg300 = f->avg300[k];
	line->total_us = f->total_us[k];
}

static void sample_psi(struct psi_state *s, struct lnx_ev_psi_sample *e)
{
	static const struct {
		int res, kind;
		size_t offset;
	} lines[] = {
		{ PSI_CPU, PSI_SOME, offsetof(struct lnx_ev_psi_sample, cpu_some) },
		{ PSI_MEMORY, PSI_SOME, offsetof(struct lnx_ev_psi_sample, memory_some) },
		{ PSI_MEMORY, PSI_FULL, offsetof(struct lnx_ev_psi_sample, memory_full) },
		{ PSI_IO, PSI_SOME, offsetof(struct lnx_ev_psi_sample, io_some) },
		{ PSI_IO, PSI_FULL, offsetof(struct lnx_ev_psi_sample, io_full) },
	};
	struct psi_file now[PSI_N];
	size_t i;

	memset(now, 0, sizeof(now));
	for (i = 0; i < PSI_N; i++)
		if (read_pressure(s, (int)i, &now[i]))
			memset(&now[i], 0, sizeof(now[i])); /* nothing known: NaN */
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		fill_line((struct lnx_psi_line *)((char *)e + lines[i].offset),
			  &s->res[lines[i].res], &now[lines[i].res], lines[i].kind, e->window_ns);
	for (i = 0; i < PSI_N; i++) {
		count_stall(s, (int)i, &now[i]);
		s->res[i].last = now[i];
		s->res[i].is_known = now[i].has[PSI_SOME] || now[i].has[PSI_FULL];
	}
}

/* ---- host.sample */

static uint64_t moved(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0; /* idle and iowait may fall by a tick */
}

static double per_s(uint64_t before, uint64_t now, uint64_t window_ns)
{
	return now < before || !window_ns ? (double)NAN
					  : (double)(now - before) * 1e9 / (double)window_ns;
}

static void sample_stat(struct psi_state *s, struct lnx_ev_host_sample *e)
{
	struct psi_stat now, *last = &s->stat;
	double idle, iowait, total;

	memset(&now, 0, sizeof(now));
	e->cpu_pct = e->steal_pct = e->iowait_pct = (double)NAN;
	e->forks_per_s = e->switches_per_s = (double)NAN;
	if (s->stat_fd < 0 || psi_read(s->stat_fd, &s->buf) || psi_parse_stat(s->buf.data, &now)) {
		s->has_stat = 0;
		return;
	}
	e->n_cpus = now.n_cpus;
	e->n_running = now.n_running;
	if (s->has_stat && now.has_cpu && last->has_cpu) {
		idle = (double)moved(last->idle, now.idle);
		iowait = (double)moved(last->iowait, now.iowait);
		total = idle + iowait + (double)moved(last->busy, now.busy);
		if (total > 0) {
			e->cpu_pct = 100.0 * (1.0 - (idle + iowait) / total);
			e->iowait_pct = 100.0 * iowait / total;
			e->steal_pct = 100.0 * (double)moved(last->steal, now.steal) / total;
		}
	}
	if (s->has_stat && now.has_forks && last->has_forks)
		e->forks_per_s = per_s(last->forks, now.forks, e->window_ns);
	if (s->has_stat && now.has_switches && last->has_switches)
		e->switches_per_s = per_s(last->switches, now.switches, e->window_ns);
	s->stat = now;
	s->has_stat = 1;
}

static void sample_mem(struct psi_state *s, struct lnx_ev_host_sample *e)
{
	struct psi_mem m;
	double load[3];

	e->mem_pct = e->load1 = e->load5 = e->load15 = (double)NAN;
	if (s->mem_fd >= 0 && psi_read(s->mem_fd, &s->buf) == 0 &&
	    psi_parse_mem(s->buf.data, &m) == 0) {
		e->mem_total_bytes = m.total_bytes;
		e->mem_available_bytes = m.available_bytes;
		e->swap_total_bytes = m.swap_total_bytes;
		e->swap_free_bytes = m.swap_free_bytes;
		if (m.has_available && m.available_bytes <= m.total_bytes)
			e->mem_pct =
				100.0 * (1.0 - (double)m.available_bytes / (double)m.total_bytes);
	}
	if (s->load_fd >= 0 && psi_read(s->load_fd, &s->buf) == 0 &&
	    psi_parse_load(s->buf.data, load) == 0) {
		e->load1 = load[0];
		e->load5 = load[1];
		e->load15 = load[2];
	}
}

/* ---- both */

static int is_above(const struct lnx_ev_psi_sample *p, double pct)
{
	return p->cpu_some.pct >= pct || p->memory_some.pct >= pct || p->io_some.pct >= pct;
}

static void read_cgroups(struct psi_state *s, uint64_t now, const struct lnx_ev_psi_sample *p)
{
	uint64_t system_us[PSI_N];
	int i;

	if (s->host->wanted(s->ctx, "psi.cgroup") <= 0)
		return;
	for (i = 0; i < PSI_N; i++) /* without the machine's total every file has to be read */
		system_us[i] = s->res[i].is_known ? s->res[i].last.total_us[PSI_SOME] : now;
	psi_cgroups_read(&s->cgroups, now, system_us, is_above(p, PSI_BUSY_PCT));
}

void psi_host_sample(struct psi_state *s)
{
	uint64_t now = s->host->now_ns(s->ctx);
	struct lnx_ev_host_sample h;
	struct lnx_ev_psi_sample p;
	int r = 0;

	memset(&p, 0, sizeof(p));
	memset(&h, 0, sizeof(h));
	p.h.size = p.h.fixed = sizeof(p);
	h.h.size = h.h.fixed = sizeof(h);
	p.h.type = LNX_EV_PSI_SAMPLE;
	h.h.type = LNX_EV_HOST_SAMPLE;
	p.h.cpu = h.h.cpu = LNX_CPU_NONE;
	p.window_ns = h.window_ns = s->sample_ns ? now - s->sample_ns : 0;
	sample_psi(s, &p);
	sample_stat(s, &h);
	sample_mem(s, &h);
	h.psi_cpu_some = p.cpu_some.pct;
	h.psi_memory_some = p.memory_some.pct;
	h.psi_memory_full = p.memory_full.pct;
	h.psi_io_some = p.io_some.pct;
	h.psi_io_full = p.io_full.pct;
	if (s->sample_ns)
		r = s->host->publish(s->ctx, &p.h);
	if (s->sample_ns && !r)
		r = s->host->publish(s->ctx, &h.h);
	if (r)
		s->host->log(s->ctx, LNX_WARN, "a sample was not taken by the bus: %s",
			     strerror(-r));
	s->sample_ns = now;
	s->is_stalled = is_above(&p, s->conf->trigger_pct);
	read_cgroups(s, now, &p);
}
