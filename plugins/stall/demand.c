/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When the probes of I/O and memory are attached, and their maps as the readers want them. */
#include "demand.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stall.h"

static const char *const map_names[STALL_MAPS] = { "gates", "waiting", "counts", "alias", "devs",
						   "costs", "allocs",  "stats",	 "procs" };
static const char *const count_names[] = {
	"gate_full",	"wait_full",  "healed",	     "late",	     "device_full",
	"request_full", "rq_unknown", "rq_replaced", "culprit_full", "victim_full",
	"alloc_full",	"rq_lost",    "proc_full",
};
/* Of the reader's own, behind those of the probe. */
static const char *const reader_names[] = { "stuck", "reader_full" };

static const struct lnx_metric_desc count_desc = {
	.name = "linnix_stall_probe_repairs_total",
	.help = "What the probes of I/O and memory missed, repaired or could not keep, by reason.",
	.kind = LNX_COUNTER,
	.labels = (const char *const[]){ "probe", "reason", NULL },
};

static struct stall_demand *demand_of(const struct stall *s, uint32_t resource)
{
	if (!s->res || resource == LNX_RES_CPU)
		return NULL;
	return resource == LNX_RES_IO ? &s->res->io : &s->res->mem;
}

int stall_is_live(const struct stall *s, uint32_t resource)
{
	const struct stall_demand *d = demand_of(s, resource);

	return resource == LNX_RES_CPU ? s->probe.is_live != 0 : d && d->is_whole;
}

int stall_is_attached(const struct stall *s, uint32_t resource)
{
	const struct stall_demand *d = demand_of(s, resource);

	return resource == LNX_RES_CPU ? s->probe.is_live != 0 : d && d->is_attached;
}

static int is_over_budget(const struct stall *s)
{
	return s->shed.govern.level == STALL_LEVEL_PSI;
}

int stall_can_measure(const struct stall *s, uint32_t resource)
{
	const struct stall_demand *d = demand_of(s, resource);

	return resource == LNX_RES_CPU ? s->probe.is_live != 0
				       : d && d->is_open && !is_over_budget(s);
}

const char *stall_why(const struct stall *s, uint32_t resource)
{
	const struct stall_demand *d = demand_of(s, resource);

	if (resource == LNX_RES_CPU || !d)
		return s->probe.why;
	return d->is_open && is_over_budget(s) ? s->shed.why : d->why;
}

/* ---- maps */

static int map_lookup(void *arg, uint32_t map, const void *key, void *ret_value)
{
	struct stall_demand *d = arg;

	return d->s->host->map_lookup(d->s->ctx, d->fd[map], key, ret_value);
}

static int map_next(void *arg, uint32_t map, const void *key, void *ret_key)
{
	struct stall_demand *d = arg;

	return d->s->host->map_next(d->s->ctx, d->fd[map], key, ret_key);
}

static int map_update(void *arg, uint32_t map, const void *key, const void *value)
{
	struct stall_demand *d = arg;

	return d->s->host->map_update(d->s->ctx, d->fd[map], key, value, 0);
}

static int map_del(void *arg, uint32_t map, const void *key)
{
	struct stall_demand *d = arg;

	return d->s->host->map_delete(d->s->ctx, d->fd[map], key);
}

static int task_sleeps(void *arg, uint32_t tid)
{
	char path[64], text[512], *end;
	ssize_t n;
	int fd;

	(void)arg;
	(void)snprintf(path, sizeof(path), "/proc/%u/stat", tid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd); /* read only */
	text[n > 0 ? n : 0] = 0;
	end = strrchr(text, ')');
	return end && (!strncmp(end, ") S", 3) || !strncmp(end, ") D", 3));
}

static void open_probe(struct stall *s, struct stall_demand *d, const char *probe,
		       uint32_t resource, uint32_t only)
{
	uint32_t lost = s->conf->mode != STALL_MODE_PSI;
	int rc = 0;

	d->s = s;
	d->probe = probe;
	d->resource = resource;
	d->maps = (struct stall_res_maps){ .arg = d,
					   .lookup = map_lookup,
					   .next = map_next,
					   .update = map_update,
					   .del = map_del,
					   .sleeps = task_sleeps };
	for (uint32_t m = 0; m < STALL_MAPS; m++) {
		d->fd[m] = -1;
		if (rc < 0 || (m > STALL_MAP_ALIAS && !(only & 1u << m)))
			continue;
		d->fd[m] = s->host->probe_map(s->ctx, probe, map_names[m]);
		rc = d->fd[m] < 0 ? d->fd[m] : 0;
	}
	/* Without these the governor knows less and no process is named; nothing else is lost. */
	d->n_cpus = stall_possible_cpus();
	d->fd[STALL_MAP_PROCS] = s->host->probe_map(s->ctx, probe, map_names[STALL_MAP_PROCS]);
	d->fd[STALL_MAP_STATS] = s->host->probe_map(s->ctx, probe, map_names[STALL_MAP_STATS]);
	if (d->fd[STALL_MAP_STATS] >= 0)
		d->stats = calloc(d->n_cpus, sizeof(*d->stats));
	d->is_open = rc == 0 && s->conf->mode != STALL_MODE_PSI;
	if (s->conf->mode == STALL_MODE_PSI)
		(void)snprintf(d->why, sizeof(d->why), "stall.mode is psi-only"); /* fits */
	else if (rc < 0)
		stall_no_map(d->why, sizeof(d->why), probe, rc);
	if (!d->is_open && lost)
		s->host->health(s->ctx, probe, LNX_HEALTH_DEGRADED, d->why);
}

int stall_demand_open(struct stall *s)
{
	struct stall_res *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	s->res = r;
	stall_scope_init(&r->scope, s);
	open_probe(s, &r->io, "blkio", LNX_RES_IO, 1u << STALL_MAP_DEVS | 1u << STALL_MAP_COSTS);
	open_probe(s, &r->mem, "mem", LNX_RES_MEMORY, 1u << STALL_MAP_ALLOCS);
	return 0;
}

void stall_demand_close(struct stall *s)
{
	struct stall_res *r = s->res;

	if (!r)
		return;
	if (r->io.is_attached)
		(void)s->host->probe_want(s->ctx, "blkio", 0); /* nothing to do about it */
	if (r->mem.is_attached)
		(void)s->host->probe_want(s->ctx, "mem", 0); /* likewise */
	if (r->has_io_reader)
		stall_io_done(&r->io_reader);
	if (r->has_mem_reader)
		stall_mem_done(&r->mem_reader);
	stall_scope_done(&r->scope);
	free(r->io.stats);
	free(r->io.procs);
	free(r->mem.procs);
	free(r->mem.stats);
	free(r);
	s->res = NULL;
}

static double cost_of(const struct stall_demand *d)
{
	double runs = 0, timed = 0, timed_ns = 0;
	uint32_t zero = 0;

	if (!d->stats ||
	    d->s->host->map_lookup(d->s->ctx, d->fd[STALL_MAP_STATS], &zero, d->stats) < 0)
		return 0;
	for (uint32_t i = 0; i < d->n_cpus; i++) {
		runs += (double)d->stats[i].runs;
		timed += (double)d->stats[i].timed_runs;
		timed_ns += (double)d->stats[i].timed_ns;
	}
	return timed > 0 ? timed_ns / timed * runs : 0;
}

double stall_demand_cost_ns(const struct stall *s)
{
	return s->res ? cost_of(&s->res->io) + cost_of(&s->res->mem) : 0;
}

/* ---- attach and detach */

static int ready_io(struct stall_res *r)
{
	int rc = r->has_io_reader ? 0 : stall_io_init(&r->io_reader);

	if (rc < 0)
		return rc;
	r->has_io_reader = 1;
	r->io_reader.translate = stall_scope_translate;
	r->io_reader.translate_arg = &r->scope;
	stall_io_reset(&r->io_reader, &r->io.maps);
	return 0;
}

static int ready_mem(struct stall_res *r, uint32_t n_cpus)
{
	int rc = r->has_mem_reader ? 0 : stall_mem_init(&r->mem_reader, n_cpus);

	if (rc < 0)
		return rc;
	r->has_mem_reader = 1;
	stall_mem_reset(&r->mem_reader, &r->mem.maps);
	return 0;
}

static int read_it(struct stall *s, struct stall_demand *d, uint64_t mono_ns,
		   struct stall_res_window *ret_w)
{
	struct stall_res *r = s->res;
	const struct stall_mem_scope scope = { &r->scope, stall_scope_contended,
					       stall_scope_is_below };

	if (d->resource == LNX_RES_IO)
		return stall_io_read(&r->io_reader, &d->maps, mono_ns, ret_w);
	stall_mem_read(&r->mem_reader, &d->maps, &scope, mono_ns, ret_w);
	return 0;
}

/* From now on pressure is compared with the probe. What plugin psi has not told yet is of the window that ends. */
static void take_over(struct stall *s, uint32_t resource)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->whos.n; i++) {
		struct stall_who *who = &s->whos.who[i];
		struct stall_psi *psi = &who->psi[resource], last = *psi;

		psi->is_known = 0;
		if (i && (i < STALL_WHO_FIRST || !who->cgroup_id || who->is_gone ||
			  (who->level && !*who->path) || n++ >= s->conf->psi_reads))
			continue;
		stall_psi_base_of(s, who, resource);
		if (!last.is_known || !psi->is_known)
			continue;
		if (psi->some_us > last.some_us)
			who->sample_ns[resource][0] += (psi->some_us - last.some_us) * 1000;
		if (psi->full_us > last.full_us)
			who->sample_ns[resource][1] += (psi->full_us - last.full_us) * 1000;
	}
}

static void attach(struct stall *s, struct stall_demand *d, uint64_t mono_ns, uint64_t now_ns)
{
	uint32_t alias_max = 2 * STALL_RES_GATES;
	struct stall_res_window w;
	uint64_t id;
	int rc = d->resource == LNX_RES_IO ? ready_io(s->res)
					   : ready_mem(s->res, stall_possible_cpus());

	while (!rc && alias_max-- && !map_next(d, STALL_MAP_ALIAS, NULL, &id) &&
	       !map_del(d, STALL_MAP_ALIAS, &id))
		;
	rc = rc ? rc : stall_res_procs_reset(d);
	rc = rc ? rc : s->host->probe_want(s->ctx, d->probe, 1);
	if (rc < 0) {
		d->is_open = 0;
		(void)snprintf(d->why, sizeof(d->why), "probe %s cannot be attached: %s", d->probe,
			       strerror(-rc)); /* cut when too long */
		s->host->health(s->ctx, d->probe, LNX_HEALTH_DEGRADED, d->why);
		s->host->log(s->ctx, LNX_WARN, "%s", d->why);
		return;
	}
	d->is_attached = 1;
	stall_scope_begin(&s->res->scope, NULL, now_ns);
	(void)read_it(s, d, mono_ns, &w); /* no memory: the first window is empty */
	take_over(s, d->resource);
	s->host->log(s->ctx, LNX_DEBUG, "probe %s is attached: pressure rises", d->probe);
}

static void detach(struct stall *s, struct stall_demand *d)
{
	(void)s->host->probe_want(s->ctx, d->probe, 0); /* it is wanted */
	d->is_attached = d->is_whole = 0;
	for (uint32_t i = 0; i < s->whos.n; i++)
		s->whos.who[i].psi[d->resource].is_known = 0;
	s->host->log(s->ctx, LNX_DEBUG, "probe %s is detached", d->probe);
}

static void sync_one(struct stall *s, struct stall_demand *d, uint64_t mono_ns, uint64_t now_ns)
{
	uint64_t some, full;
	int rc = d->is_open ? stall_psi_node(d->resource, &some, &full) : -ENODEV;

	if (rc < 0)
		return;
	if (d->has_node && some > d->node_us && (some - d->node_us) * 1000 >= s->conf->attach_above)
		d->rose_ns = now_ns;
	d->node_us = some;
	d->has_node = 1;
	if (d->is_attached && (is_over_budget(s) || d->rose_ns + s->conf->attach_for <= now_ns))
		detach(s, d);
	else if (!d->is_attached && !is_over_budget(s) && d->rose_ns == now_ns)
		attach(s, d, mono_ns, now_ns);
}

void stall_demand_sync(struct stall *s, uint64_t mono_ns, uint64_t now_ns)
{
	if (!s->res || !s->has_psi)
		return;
	sync_one(s, &s->res->io, mono_ns, now_ns);
	sync_one(s, &s->res->mem, mono_ns, now_ns);
}

void stall_demand_next(struct stall *s)
{
	if (!s->res)
		return;
	s->res->io.is_whole = s->res->io.is_attached;
	s->res->mem.is_whole = s->res->mem.is_attached;
}

/* ---- a window */

static void count(struct stall *s, struct stall_demand *d, const char *reason, uint64_t n,
		  struct lnx_metric **metric)
{
	const char *const values[] = { d->probe, reason, NULL };

	if (!n || (!*metric && s->host->metric(s->ctx, &count_desc, values, metric)))
		return;
	s->host->metric_add(s->ctx, *metric, (double)n);
}

static void count_all(struct stall *s, struct stall_demand *d, const struct stall_res_window *w)
{
	const uint64_t reader[] = { w->repaired, w->dropped };

	for (uint32_t i = 0; i < sizeof(count_names) / sizeof(count_names[0]); i++)
		count(s, d, count_names[i], w->count[i], &d->count[i]);
	for (uint32_t i = 0; i < sizeof(reader) / sizeof(reader[0]); i++)
		count(s, d, reader_names[i], reader[i], &d->count[LNX_RES_COUNTS + i]);
}

int stall_demand_rows(struct stall *s, uint64_t window_ns, uint64_t mono_ns, uint64_t now_ns)
{
	struct stall_demand *both[2];
	struct stall_res_window w;
	int rc = 0;

	if (!s->res)
		return 0;
	both[0] = &s->res->io;
	both[1] = &s->res->mem;
	for (uint32_t i = 0; !rc && i < 2; i++) {
		if (!both[i]->is_whole)
			continue;
		stall_scope_begin(&s->res->scope, NULL, now_ns);
		rc = read_it(s, both[i], mono_ns, &w);
		rc = rc ? rc : stall_res_rows(s, both[i], &w, window_ns, now_ns);
		rc = rc ? rc : stall_res_procs_tasks(s, both[i], now_ns);
		if (!rc)
			count_all(s, both[i], &w);
	}
	return rc;
}
