/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of probes, and all of them together: loaded once, attached while somebody wants what they
 * yield, their costs and losses told. A new probe is one row below. */
#include "probe.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <linnix/plugin.h>
#include <linnix/rec_stats.h>

#include "probe_impl.h"
#include "source.h"

#define RING_BYTES_CPU	 (512u << 10) /* by default; all of it counts as resident */
#define RING_BYTES_LOW	 (1u << 20)
#define RING_BYTES_HIGH	 (8u << 20)
#define RING_BYTES_MAX	 (1u << 30)
#define RING_BATCH_SHARE 4 /* user space is woken before this part of it is full */
#define CPU_SERIES_ALL	 8 /* CPUs up to which each has a series of losses from the start */

static const uint16_t proc_types[] = { LNX_EV_PROC_FORK, LNX_EV_PROC_EXEC, LNX_EV_PROC_EXIT, 0 };

static const uint16_t cgroup_types[] = { LNX_EV_CGROUP_NEW, LNX_EV_CGROUP_GONE, 0 };

static const uint16_t no_types[] = { 0 };

static const char *const sched_cpu_maps[] = { "cpus", "tasks", NULL };

static const struct lnx_probe_choice blkio_choices[] = {
	{ "on_io_start", "block_io_start", "on_rq_issue" },
	{ NULL, NULL, NULL },
};

static const struct lnx_probe_choice mem_choices[] = {
	{ "on_memcg_begin", "mm_vmscan_memcg_reclaim_begin", NULL },
	{ "on_memcg_end", "mm_vmscan_memcg_reclaim_end", NULL },
	{ NULL, NULL, NULL },
};

static const struct lnx_probe_row probe_rows[] = {
	{ .name = "sched",
	  .types = no_types,
	  .cpu_maps = sched_cpu_maps,
	  .cost = lnx_probe_cost_ledger,
	  .cost_method = "self-timed 1/1024" },
	{ .name = "proc", .types = proc_types },
	{ .name = "cgroup", .types = cgroup_types },
	{ .name = "blkio", .types = no_types, .choices = blkio_choices },
	{ .name = "mem", .types = no_types, .choices = mem_choices },
};

#define N_ROWS (sizeof(probe_rows) / sizeof(probe_rows[0]))

__attribute__((format(printf, 2, 0))) static int probe_libbpf_print(enum libbpf_print_level level,
								    const char *fmt, va_list ap)
{
	char line[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	(void)vsnprintf(line, sizeof(line), fmt, ap); /* cut is fine */
	line[strcspn(line, "\n")] = 0;
	lnx_log(LNX_DEBUG, "libbpf: %s", line);
	return 0;
}

static size_t probe_ring_bytes(size_t asked)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!asked) {
		asked = RING_BYTES_CPU * (size_t)(cpus > 0 ? cpus : 1);
		asked = asked < RING_BYTES_LOW ? RING_BYTES_LOW : asked;
		asked = asked > RING_BYTES_HIGH ? RING_BYTES_HIGH : asked;
	}
	while (bytes < asked && bytes < RING_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

static struct lnx_probe *probe_find(const struct lnx_probes *ps, const char *name)
{
	unsigned i;

	for (i = 0; i < ps->n; i++)
		if (strcmp(ps->probes[i].row->name, name) == 0)
			return &ps->probes[i];
	return NULL;
}

/* ---- costs */

/* Of each CPU, from the map `stats`. */
static int probe_read_stats(struct lnx_probes *ps, const struct lnx_probe *p)
{
	const struct lnx_probe_map *map = lnx_probe_find_map(p, "stats");
	uint32_t zero = 0;
	unsigned cpu;

	if (!map || map->value_bytes < sizeof(struct lnx_rec_stats) ||
	    map->value_bytes > ps->stats_bytes)
		return -ENOENT;
	if (bpf_map_lookup_elem(map->fd, &zero, ps->stats_buf) < 0)
		return -errno;
	for (cpu = 0; cpu < ps->shared.n_cpus; cpu++) {
		/* per-CPU values lie at multiples of 8 */
		size_t step = (map->value_bytes + 7) / 8 * 8;
		const struct lnx_rec_stats *s =
			(const void *)((const char *)ps->stats_buf + cpu * step);

		ps->costs[cpu] =
			(struct lnx_probe_cost){ s->runs, s->timed_runs, s->timed_ns, s->lost };
	}
	return 0;
}

/* Fill ps->costs; *ret_sum their sum. A run that was left out has lost its event, if the probe has any. */
static int probe_read_cost(struct lnx_probes *ps, const struct lnx_probe *p,
			   struct lnx_probe_cost *ret_sum)
{
	struct lnx_probe_cost sum = { 0 };
	unsigned cpu;
	int rc;

	if (!p->is_loaded)
		return -ENODEV;
	memset(ps->costs, 0, ps->shared.n_cpus * sizeof(*ps->costs));
	rc = p->row->cost ? p->row->cost(p, ps->costs) : probe_read_stats(ps, p);
	if (rc < 0)
		return rc;
	for (cpu = 0; cpu < ps->shared.n_cpus; cpu++) {
		sum.runs += ps->costs[cpu].runs;
		sum.timed_runs += ps->costs[cpu].timed_runs;
		sum.timed_ns += ps->costs[cpu].timed_ns;
		sum.lost += ps->costs[cpu].lost;
	}
	if (p->row->types[0])
		sum.lost += lnx_probe_missed(p);
	*ret_sum = sum;
	return 0;
}

static uint64_t probe_run_ns(const struct lnx_probe_cost *c)
{
	if (!c->timed_runs)
		return 0;
	return (uint64_t)((double)c->timed_ns / (double)c->timed_runs * (double)c->runs);
}

/* Losses since the last look, to the bus. */
static void probe_tell_lost(struct lnx_probes *ps, struct lnx_probe *p, uint64_t lost)
{
	if (lost > p->lost_told)
		lnx_bus_add_dropped(ps->bus, LNX_DROP_KERNEL, lost - p->lost_told);
	p->lost_told = lost;
}

static void probe_on_tick(void *arg)
{
	struct lnx_probes *ps = arg;
	struct lnx_probe_cost sum;
	unsigned i;

	for (i = 0; i < ps->n; i++)
		if (probe_read_cost(ps, &ps->probes[i], &sum) == 0)
			probe_tell_lost(ps, &ps->probes[i], sum.lost);
}

/* ---- life */

/* Ring buffer and wake map. Without them every probe that yields events fails with the reason. */
static int probe_share(struct lnx_probes *ps, const struct lnx_probes_conf *conf)
{
	struct lnx_probe_shared *s = &ps->shared;
	size_t bytes = probe_ring_bytes(conf->ring_bytes);
	LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
	int rc;

	s->batch_bytes = (uint32_t)(bytes / RING_BATCH_SHARE);
	s->ring_fd =
		bpf_map_create(BPF_MAP_TYPE_RINGBUF, "lnx_events", 0, 0, (uint32_t)bytes, NULL);
	if (s->ring_fd < 0) {
		s->ring_fd = -errno;
		return 0;
	}
	s->wake_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lnx_wake", sizeof(uint32_t),
				    sizeof(struct lnx_rec_wake), 1, &mappable);
	rc = s->wake_fd < 0 ? -errno
			    : lnx_source_new(s->ring_fd, bytes, s->wake_fd, ps->bus, probe_on_tick,
					     ps, &ps->source);
	if (rc < 0) {
		(void)close(s->ring_fd);
		s->ring_fd = rc;
	}
	return rc == -ENOMEM ? rc : 0;
}

const char *lnx_probe_name(unsigned i)
{
	return i < N_ROWS ? probe_rows[i].name : NULL;
}

static int probe_is_disabled(const struct lnx_probes_conf *conf, const char *name)
{
	const char *const *d;

	for (d = conf->disabled; d && *d; d++)
		if (strcmp(*d, name) == 0)
			return 1;
	return 0;
}

static void probe_name_events(struct lnx_probe *p, const struct lnx_registry *r)
{
	size_t at = 0;
	const uint16_t *t;

	for (t = p->row->types; *t; t++) {
		const struct lnx_event_desc *d = lnx_registry_get(r, *t);
		int n = snprintf(p->events + at, sizeof(p->events) - at, "%s%s", at ? " " : "",
				 d ? d->name : "?");

		if (n < 0 || (size_t)n >= sizeof(p->events) - at)
			break;
		at += (size_t)n;
	}
}

static int probes_alloc(struct lnx_probes *ps)
{
	int cpus = libbpf_num_possible_cpus();

	ps->shared.n_cpus = cpus > 0 ? (unsigned)cpus : 1;
	ps->shared.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	ps->shared.ring_fd = ps->shared.wake_fd = -1;
	ps->stats_bytes = 2 * sizeof(struct lnx_rec_stats); /* a newer object may have more */
	ps->probes = calloc(N_ROWS, sizeof(*ps->probes));
	ps->costs = calloc(ps->shared.n_cpus, sizeof(*ps->costs));
	ps->stats_buf = calloc(ps->shared.n_cpus, ps->stats_bytes);
	ps->iter_buf = malloc(LNX_PROBE_ITER_BYTES);
	return ps->probes && ps->costs && ps->stats_buf && ps->iter_buf ? 0 : -ENOMEM;
}

static void probes_load(struct lnx_probes *ps, const struct lnx_probes_conf *conf)
{
	for (; ps->n < N_ROWS; ps->n++) {
		struct lnx_probe *p = &ps->probes[ps->n];

		p->row = &probe_rows[ps->n];
		p->file_fd = -1;
		probe_name_events(p, lnx_bus_registry(ps->bus));
		if (probe_is_disabled(conf, p->row->name))
			continue;
		if (lnx_probe_load(p, conf->bpf_dir, &ps->shared) < 0)
			lnx_log(LNX_WARN, "probe %s: %s; going on without it", p->row->name,
				p->why);
	}
}

int lnx_probes_new(const struct lnx_probes_conf *conf, struct lnx_bus *bus,
		   struct lnx_probes **ret_probes)
{
	struct lnx_probes *ps = calloc(1, sizeof(*ps));
	int rc;

	if (!ps)
		return -ENOMEM;
	(void)libbpf_set_print(probe_libbpf_print);
	ps->bus = bus;
	ps->shared.args_mode = conf->args_mode;
	rc = probes_alloc(ps);
	if (rc == 0)
		rc = probe_share(ps, conf);
	if (rc < 0) {
		lnx_probes_free(ps);
		return rc;
	}
	probes_load(ps, conf);
#ifdef __GLIBC__
	(void)malloc_trim(0); /* the kernel's types took some 20 MB for a moment */
#endif
	*ret_probes = ps;
	return 0;
}

void lnx_probes_free(struct lnx_probes *p)
{
	unsigned i;

	if (!p)
		return;
	lnx_source_free(p->source);
	for (i = 0; i < p->n; i++)
		lnx_probe_unload(&p->probes[i]);
	if (p->shared.ring_fd >= 0)
		(void)close(p->shared.ring_fd);
	if (p->shared.wake_fd >= 0)
		(void)close(p->shared.wake_fd);
	free(p->probes);
	free(p->costs);
	free(p->stats_buf);
	free(p->iter_buf);
	free(p);
}

int lnx_probes_start(struct lnx_probes *p, struct ev_loop *loop)
{
	if (p->source)
		lnx_source_start(p->source, loop);
	return 0;
}

void lnx_probes_stop(struct lnx_probes *p)
{
	if (p->source)
		lnx_source_stop(p->source);
}

/* ---- on demand */

static int probe_is_wanted(const struct lnx_probes *ps, const struct lnx_probe *p)
{
	const uint16_t *t;

	if (p->wants)
		return 1;
	for (t = p->row->types; *t; t++)
		if (lnx_bus_wanted(ps->bus, *t))
			return 1;
	return 0;
}

/* Attach or detach as wanted. Returns 0 or why it could not be attached. */
static int probe_sync(struct lnx_probes *ps, struct lnx_probe *p)
{
	int is_wanted = probe_is_wanted(ps, p), rc;

	if (!p->is_loaded || is_wanted == (p->state == LNX_PROBE_ATTACHED))
		return 0;
	if (!is_wanted) {
		lnx_probe_detach(p);
		lnx_log(LNX_DEBUG, "probe %s: detached, nobody wants it", p->row->name);
		return 0;
	}
	rc = lnx_probe_attach(p);
	if (rc < 0)
		lnx_log(LNX_WARN, "probe %s: %s; going on without it", p->row->name, p->why);
	else
		lnx_log(LNX_DEBUG, "probe %s: attached", p->row->name);
	return rc;
}

/* Readers outside wait for what the probe tells; who only keeps count does not. */
static int probe_is_read(const struct lnx_probes *ps, const struct lnx_probe *p)
{
	const uint16_t *t;

	for (t = p->row->types; *t; t++)
		if (lnx_bus_wanted_at(ps->bus, *t, LNX_STAGE_EXPORT))
			return 1;
	return 0;
}

static void probe_set_active(struct lnx_probes *ps)
{
	int is_active = 0, is_read = 0;
	unsigned i;

	for (i = 0; i < ps->n; i++) {
		is_active |= ps->probes[i].state == LNX_PROBE_ATTACHED;
		is_read |= probe_is_read(ps, &ps->probes[i]);
	}
	if (!ps->source)
		return;
	lnx_source_set_prompt(ps->source, is_read);
	lnx_source_set_active(ps->source, is_active);
}

void lnx_probes_sync(struct lnx_probes *p)
{
	unsigned i;

	for (i = 0; i < p->n; i++)
		(void)probe_sync(p, &p->probes[i]); /* logged, and seen in its state */
	probe_set_active(p);
}

int lnx_probes_want(struct lnx_probes *p, const char *probe, int on)
{
	struct lnx_probe *w = probe_find(p, probe);
	int rc;

	if (!w)
		return -ENOENT;
	if (!on && !w->wants)
		return -EINVAL;
	if (on && !w->is_loaded)
		return -ENODEV;
	w->wants += on ? 1 : -1;
	rc = probe_sync(p, w);
	if (rc < 0)
		w->wants--;
	probe_set_active(p);
	return rc;
}

int lnx_probes_drain(struct lnx_probes *p)
{
	return p->source ? lnx_source_drain(p->source) : 0;
}

/* ---- what others may know */

unsigned lnx_probes_count(const struct lnx_probes *p)
{
	return p->n;
}

int lnx_probes_info(struct lnx_probes *p, unsigned i, struct lnx_probe_info *ret_info)
{
	struct lnx_probe_cost sum = { 0 };
	const struct lnx_probe *w;
	int rc;

	if (i >= p->n)
		return -EINVAL;
	w = &p->probes[i];
	rc = probe_read_cost(p, w, &sum);
	*ret_info = (struct lnx_probe_info){
		.name = w->row->name,
		.why = w->why,
		.events = w->events,
		.state = w->state,
		.runs = sum.runs,
		.run_ns = probe_run_ns(&sum),
		.lost = sum.lost,
		.cost_method = rc < 0		     ? "none"
			       : w->row->cost_method ? w->row->cost_method
						     : "self-timed 1/1024",
	};
	return 0;
}

int lnx_probes_map(struct lnx_probes *p, const char *probe, const char *map)
{
	const struct lnx_probe *w = probe_find(p, probe);
	const struct lnx_probe_map *m;

	if (!w)
		return -ENOENT;
	if (!w->is_loaded)
		return -ENODEV;
	m = lnx_probe_find_map(w, map);
	return m ? m->fd : -ENOENT;
}

int lnx_probes_iter(struct lnx_probes *p, const char *probe, const char *program,
		    uint32_t record_size, void (*each)(void *arg, const void *record), void *arg)
{
	const struct lnx_probe *w = probe_find(p, probe);
	const struct lnx_probe_iter *it;

	if (!w)
		return -ENOENT;
	if (!w->is_loaded)
		return -ENODEV;
	it = lnx_probe_find_iter(w, program);
	return it ? lnx_probe_run_iter(it, p->iter_buf, record_size, each, arg) : -ENOENT;
}

int lnx_probes_object(const struct lnx_probes *p, uint32_t i, const char **ret_name)
{
	const struct lnx_probe *w;
	struct stat now;

	if (i >= p->n)
		return -ENOENT;
	w = &p->probes[i];
	*ret_name = w->row->name;
	if (w->state != LNX_PROBE_ATTACHED || w->file_fd < 0)
		return -ENODEV;
	/* whoever writes to it changes its time, which cannot be set */
	if (fstat(w->file_fd, &now) < 0 || now.st_size != w->file.st_size ||
	    now.st_ctim.tv_sec != w->file.st_ctim.tv_sec ||
	    now.st_ctim.tv_nsec != w->file.st_ctim.tv_nsec)
		return -ESTALE;
	return w->file_fd;
}

/* ---- metrics */

static const char *const probe_label[] = { "probe", NULL };
static const char *const probe_cpu_labels[] = { "probe", "cpu", NULL };

static const struct lnx_metric_desc metric_runs = {
	.name = "linnix_probe_runs_total",
	.help = "Runs of a probe's BPF programs.",
	.kind = LNX_COUNTER,
	.labels = probe_label,
};

static const struct lnx_metric_desc metric_seconds = {
	.name = "linnix_probe_run_seconds_total",
	.help = "Time in a probe's BPF programs, estimated from one run in 1,024.",
	.kind = LNX_COUNTER,
	.labels = probe_label,
};

static const struct lnx_metric_desc metric_missed = {
	.name = "linnix_probe_missed_runs_total",
	.help = "Runs left out by the kernel: the same program was at work on that CPU.",
	.kind = LNX_COUNTER,
	.labels = probe_label,
};

static const struct lnx_metric_desc metric_lost = {
	.name = "linnix_probe_lost_total",
	.help = "Events that did not fit into the ring buffer, by CPU; beyond 8 CPUs from the first one on.",
	.kind = LNX_COUNTER,
	.labels = probe_cpu_labels,
	.max_series = 4096,
};

static void probe_metric(const struct lnx_probes *ps, struct lnx_metrics *m,
			 const struct lnx_metric_desc *desc, const char *const *values, double v)
{
	struct lnx_metric *s;

	if (lnx_metrics_series(m, desc, values, ps, &s) == 0) /* too many are counted there */
		lnx_metric_set(s, v);
}

static void probe_collect(struct lnx_probes *ps, struct lnx_probe *p, struct lnx_metrics *m)
{
	const char *values[] = { p->row->name, NULL, NULL };
	struct lnx_probe_cost sum;
	char cpu_name[16];
	unsigned cpu;

	if (probe_read_cost(ps, p, &sum) < 0)
		return;
	probe_tell_lost(ps, p, sum.lost);
	probe_metric(ps, m, &metric_runs, values, (double)sum.runs);
	probe_metric(ps, m, &metric_seconds, values, (double)probe_run_ns(&sum) / 1e9);
	probe_metric(ps, m, &metric_missed, values, (double)lnx_probe_missed(p));
	values[1] = cpu_name;
	for (cpu = 0; cpu < ps->shared.n_cpus; cpu++) {
		if (ps->shared.n_cpus > CPU_SERIES_ALL && !ps->costs[cpu].lost)
			continue;
		(void)snprintf(cpu_name, sizeof(cpu_name), "%u", cpu);
		probe_metric(ps, m, &metric_lost, values, (double)ps->costs[cpu].lost);
	}
}

void lnx_probes_collect(struct lnx_probes *p, struct lnx_metrics *m)
{
	unsigned i;

	for (i = 0; i < p->n; i++)
		probe_collect(p, &p->probes[i], m);
}
