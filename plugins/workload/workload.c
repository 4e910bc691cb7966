/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin workload (service workload/1): which container, unit or session a cgroup is. The probe `cgroup` tells of new and
 * removed ones as they happen; a walk over the folders at start, and now and then, repairs what was missed. */
#include "workload.h"

#include <errno.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_workload.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOKS_MAX 1024 /* at folders that a walk did not find */
#define TELL_MAX  256  /* names told again after a walk */

/* ---- service */

static int workload_get(void *self, uint64_t cgroup_id, struct lnx_workload *ret_w)
{
	struct workload *w = self;
	struct workload_entry *e = workload_table_get(&w->table, cgroup_id);

	if (!e)
		return -ENOENT;
	workload_describe(&w->table, e, ret_w);
	return 0;
}

static int workload_each(void *self, uint32_t include_gone,
			 int (*each)(void *arg, const struct lnx_workload *w), void *arg)
{
	struct workload *w = self;
	struct workload_entry *e, *next;
	struct lnx_workload d;
	int n = 0;

	for (e = w->table.oldest.next; e != &w->table.oldest; e = next) {
		next = e->next;
		if (e->gone_ns && !include_gone)
			continue;
		d.size = sizeof(d);
		workload_describe(&w->table, e, &d);
		n++;
		if (each(arg, &d))
			break;
	}
	return n;
}

static const struct lnx_svc_workload workload_service = {
	.size = sizeof(workload_service),
	.get = workload_get,
	.each = workload_each,
};

/* ---- what is told */

static void tail_add(char *buf, uint16_t *at, uint16_t cap, struct lnx_str *ret_str, const char *s)
{
	size_t n = strnlen(s, LNX_STR_MAX);

	if (n > (size_t)(cap - *at))
		n = cap - *at;
	memcpy(buf + *at, s, n);
	ret_str->off = *at;
	ret_str->len = (uint16_t)n;
	*at = (uint16_t)(*at + n);
}

void workload_tell(struct workload *w, struct workload_entry *e)
{
	struct lnx_workload d = { .size = sizeof(d) };
	union {
		struct lnx_ev_workload_update ev;
		char bytes[LNX_EVENT_MAX];
	} u;
	uint16_t at = sizeof(u.ev);

	if (w->host->wanted(w->ctx, "workload.update") <= 0)
		return;
	workload_describe(&w->table, e, &d);
	memset(&u.ev, 0, sizeof(u.ev));
	u.ev.h.type = LNX_EV_WORKLOAD_UPDATE;
	u.ev.h.fixed = sizeof(u.ev);
	u.ev.h.cpu = LNX_CPU_NONE;
	u.ev.cgroup_id = e->id;
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.path, d.path);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.workload, d.workload);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.namespace_, d.namespace_);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.pod_name, d.pod_name);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.pod_uid, d.pod_uid);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.container_name, d.container_name);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.container_id, d.container_id);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.runtime, d.runtime);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.qos, d.qos);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.owner_channel, d.owner_channel);
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.slo_tier, d.slo_tier);
	u.ev.is_ignored = d.is_ignored;
	u.ev.cpu_request_millicores = d.cpu_request_millicores;
	u.ev.cpu_limit_millicores = d.cpu_limit_millicores;
	u.ev.memory_request_bytes = d.memory_request_bytes;
	u.ev.memory_limit_bytes = d.memory_limit_bytes;
	u.ev.h.size = at;
	(void)w->host->publish(w->ctx, &u.ev.h); /* the bus counts what it refuses */
}

static void workload_saw(struct workload *w, uint64_t id, uint64_t parent_id, const char *path,
			 size_t n_path)
{
	bool changed = false;
	struct workload_entry *e = workload_table_put(&w->table, id, parent_id, path, n_path,
						      w->host->now_ns(w->ctx), &changed);

	if (!e || !changed)
		return;
	(void)workload_join(w, e); /* it is told either way */
	workload_tell(w, e);
}

static void workload_measure(struct workload *w)
{
	w->host->metric_set(w->ctx, w->m_known, w->table.n - w->table.n_gone);
	w->host->metric_set(w->ctx, w->m_gone, w->table.n_gone);
	w->host->metric_set(w->ctx, w->m_refused, (double)w->table.refused);
	w->host->metric_set(w->ctx, w->m_forgotten, (double)w->table.forgotten);
}

/* ---- events */

static void workload_on_psi(struct workload *w, const struct lnx_ev_psi_cgroup *ev)
{
	struct workload_entry *e = workload_table_get(&w->table, ev->cgroup_id);

	if (!e)
		return;
	e->psi_cpu_some = ev->cpu_some_pct;
	e->psi_memory_some = ev->memory_some_pct;
	e->psi_io_some = ev->io_some_pct;
}

static int workload_on_event(void *state, const struct lnx_event *ev)
{
	const struct lnx_ev_cgroup *c = (const struct lnx_ev_cgroup *)(const void *)ev;
	struct workload *w = state;
	struct workload_entry *e;

	if (ev->type == LNX_EV_PSI_CGROUP) {
		if (LNX_EV_HAS(ev, struct lnx_ev_psi_cgroup, io_some_us))
			workload_on_psi(w, (const struct lnx_ev_psi_cgroup *)(const void *)ev);
		return 0;
	}
	if (ev->type == LNX_EV_PROC_FORK) {
		workload_on_fork(w, ev);
		return 0;
	}
	if (ev->type == LNX_EV_PROC_EXIT) {
		workload_on_exit(w, ev);
		return 0;
	}
	if (w->k8s && ev->type == w->type_pod) {
		workload_on_pod(w, ev);
		return 0;
	}
	if (!LNX_EV_HAS(ev, struct lnx_ev_cgroup, path))
		return -EINVAL;
	if (ev->type == LNX_EV_CGROUP_NEW) {
		workload_saw(w, c->cgroup_id, c->parent_id, (const char *)ev + c->path.off,
			     c->path.len);
	} else if ((e = workload_table_get(&w->table, c->cgroup_id)) && !e->gone_ns) {
		workload_table_gone(&w->table, e, ev->ts_ns);
		workload_table_trim(&w->table);
	}
	workload_measure(w);
	return 0;
}

/* ---- the walk */

static int workload_walk_job(void *arg)
{
	struct workload *w = arg;

	return workload_walk_run(&w->walk);
}

/* No event told that <e> ended: we do, as others follow the events alone. */
static void workload_end(struct workload *w, struct workload_entry *e, uint64_t now_ns)
{
	union {
		struct lnx_ev_cgroup ev;
		char bytes[LNX_EVENT_MAX];
	} u;
	uint16_t at = sizeof(u.ev);

	memset(&u.ev, 0, sizeof(u.ev));
	u.ev.h.type = LNX_EV_CGROUP_GONE;
	u.ev.h.fixed = sizeof(u.ev);
	u.ev.h.cpu = LNX_CPU_NONE;
	u.ev.cgroup_id = e->id;
	u.ev.parent_id = e->parent_id;
	tail_add(u.bytes, &at, sizeof(u.bytes), &u.ev.path, e->path);
	u.ev.h.size = at;
	workload_table_gone(&w->table, e, now_ns); /* first: the event comes back to us */
	(void)w->host->publish(w->ctx, &u.ev.h);   /* the bus counts what it refuses */
}

/* Of one that the walk did not find, though it did not see everything. At most LOOKS_MAX are looked at after a walk; the
 * others are taken for live until one of the next. */
static bool workload_is_removed(const struct workload *w, const struct workload_entry *e,
				uint32_t *io_looks)
{
	char path[sizeof(w->root) + LNX_EVENT_MAX];
	struct stat st;

	if (!*io_looks)
		return false;
	--*io_looks;
	(void)snprintf(path, sizeof(path), "%s%s", w->root, e->path); /* it fits */
	return stat(path, &st) < 0 ? errno == ENOENT : st.st_ino != e->id;
}

/* Names that the bus refused, or that had no room where names are kept: see lnx_host.tag. */
static void workload_tell_again(struct workload *w)
{
	struct lnx_tag tag = { .size = sizeof(tag) };
	struct workload_entry *e;
	uint32_t left = TELL_MAX;

	for (e = w->table.oldest.next; left && e != &w->table.oldest; e = e->next) {
		if (e->gone_ns || w->host->tag(w->ctx, e->id, &tag) == 0)
			continue;
		workload_tell(w, e);
		left--;
	}
}

/* Take over what was found; what exists for us but was not found is gone, unless it came while the walk ran. */
static void workload_merge(struct workload *w)
{
	struct workload_entry *e, *next;
	uint64_t now = w->host->now_ns(w->ctx);
	uint32_t i, looks = LOOKS_MAX;

	for (i = 0; i < w->walk.n; i++) {
		struct workload_found *f = &w->walk.found[i];

		e = workload_table_get(&w->table, f->id);
		if (e && e->gone_ns >= w->walk_ns)
			continue; /* removed after the walk had passed */
		workload_saw(w, f->id, f->parent_id, f->path, strlen(f->path));
	}
	for (e = w->table.oldest.next; e != &w->table.oldest; e = next) {
		next = e->next;
		if (!e->gone_ns && e->seen_ns < w->walk_ns &&
		    (!w->walk.skipped || workload_is_removed(w, e, &looks)))
			workload_end(w, e, now);
	}
	workload_table_trim(&w->table);
	workload_table_expire(&w->table, now, w->conf->keep_gone_ns);
	if (w->walk.skipped)
		w->host->metric_add(w->ctx, w->m_skipped, w->walk.skipped);
	workload_measure(w);
}

static void workload_walk_finished(void *arg, int rc)
{
	struct workload *w = arg;
	char why[256];

	if (rc == 0) {
		workload_merge(w);
		w->host->health(w->ctx, "walk", LNX_HEALTH_OK, "");
	} else if (rc != -ECANCELED) {
		(void)snprintf(why, sizeof(why), "%.200s cannot be read: %s", w->root,
			       strerror(-rc)); /* for people */
		w->host->health(w->ctx, "walk", LNX_HEALTH_DEGRADED, why);
	}
	workload_walk_done(&w->walk);
	w->walk_ns = 0;
}

static void workload_on_repair(void *arg)
{
	struct workload *w = arg;

	workload_join_rest(w);
	workload_tell_again(w);
	if (!w->root[0] || w->walk_ns)
		return;
	memset(&w->walk, 0, sizeof(w->walk));
	memcpy(w->walk.root, w->root, sizeof(w->root));
	w->walk.max = w->conf->max_cgroups;
	w->walk_ns = w->host->now_ns(w->ctx);
	if (w->host->submit(w->ctx, workload_walk_job, workload_walk_finished, w) < 0)
		w->walk_ns = 0; /* the next repair tries again */
}

/* ---- life */

static int workload_metrics(struct workload *w)
{
	static const struct lnx_metric_desc known = { .name = "linnix_cgroups",
						      .help = "Known cgroups that exist.",
						      .kind = LNX_GAUGE };
	static const struct lnx_metric_desc gone = {
		.name = "linnix_cgroups_remembered",
		.help = "Removed cgroups that are still remembered.",
		.kind = LNX_GAUGE
	};
	static const struct lnx_metric_desc refused = {
		.name = "linnix_cgroups_refused_total",
		.help = "Cgroups kept out by workload.max_cgroups.",
		.kind = LNX_COUNTER
	};
	static const struct lnx_metric_desc skipped = {
		.name = "linnix_cgroups_skipped_total",
		.help = "Folders that a walk could not enter.",
		.kind = LNX_COUNTER
	};
	static const struct lnx_metric_desc forgotten = {
		.name = "linnix_cgroups_forgotten_total",
		.help = "Removed cgroups that gave way before workload.keep_gone was over.",
		.kind = LNX_COUNTER
	};
	int rc = w->host->metric(w->ctx, &known, NULL, &w->m_known);

	if (rc == 0)
		rc = w->host->metric(w->ctx, &gone, NULL, &w->m_gone);
	if (rc == 0)
		rc = w->host->metric(w->ctx, &refused, NULL, &w->m_refused);
	if (rc == 0)
		rc = w->host->metric(w->ctx, &skipped, NULL, &w->m_skipped);
	if (rc == 0)
		rc = w->host->metric(w->ctx, &forgotten, NULL, &w->m_forgotten);
	return rc;
}

static void workload_fini(void *state)
{
	struct workload *w = state;

	workload_walk_done(&w->walk);
	workload_pods_done(w);
	workload_table_done(&w->table);
	free(w);
}

static int workload_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			 void **ret_state)
{
	struct workload *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	w->host = host;
	w->ctx = ctx;
	w->conf = conf;
	rc = workload_table_init(&w->table, w->conf->max_cgroups);
	if (rc == 0)
		rc = workload_metrics(w);
	if (rc == 0)
		rc = host->provide(ctx, "workload/1", &workload_service, w);
	if (rc < 0) {
		workload_fini(w);
		return rc;
	}
	*ret_state = w;
	return 0;
}

/* The first walk is done in place, so that the first event already finds its cgroup. */
static int workload_start(void *state)
{
	struct workload *w = state;
	int rc = 0;

	workload_join_start(w);
	if (*w->conf->cgroup_root)
		(void)snprintf(w->root, sizeof(w->root), "%s",
			       w->conf->cgroup_root); /* too long: cannot be read */
	else
		rc = workload_v2_root(w->conf->mountinfo, w->root, sizeof(w->root));
	if (rc < 0) {
		w->host->health(
			w->ctx, "cgroup2", LNX_HEALTH_DEGRADED,
			"no cgroup2 mount: processes cannot be tied to containers; mount it: mount -t cgroup2 none "
			"/sys/fs/cgroup/unified");
	} else {
		memcpy(w->walk.root, w->root, sizeof(w->root));
		w->walk.max = w->conf->max_cgroups;
		w->walk_ns = w->host->now_ns(w->ctx);
		workload_walk_finished(w, workload_walk_run(&w->walk));
	}
	rc = workload_routes(w);
	if (rc == 0)
		rc = workload_pids_start(w);
	if (rc == 0)
		rc = workload_watch_start(w);
	if (rc == 0)
		rc = workload_pods_start(w);
	if (rc < 0)
		return rc;
	return w->host->timer_add(w->ctx, w->conf->repair_ns, w->conf->repair_ns,
				  workload_on_repair, w, &w->repair);
}

static int workload_reload(void *state, const void *conf)
{
	struct workload *w = state;

	w->conf = conf;
	return w->host->timer_set(w->ctx, w->repair, w->conf->repair_ns, w->conf->repair_ns);
}

#define AT(m) offsetof(struct workload_conf, m)

static const struct lnx_option workload_options[] = {
	{ "cgroup_root", LNX_OPT_PATH, AT(cgroup_root), "", 0, 0, NULL, 0, 0,
	  "where cgroup2 is mounted; empty: found in the mount table" },
	{ "mountinfo", LNX_OPT_PATH, AT(mountinfo), "/proc/self/mountinfo", 0, 0, NULL, 0, 0,
	  "the mount table" },
	{ "max_cgroups", LNX_OPT_U32, AT(max_cgroups), "16384", 64, 1048576, NULL, 0, 0,
	  "cgroups known at a time, removed ones included" },
	{ "keep_gone", LNX_OPT_DURATION, AT(keep_gone_ns), "5m", 1e9, 86400e9, NULL,
	  LNX_OPTF_RELOAD, 0, "how long a removed cgroup is remembered" },
	{ "repair", LNX_OPT_DURATION, AT(repair_ns), "1m", 1e9, 86400e9, NULL, LNX_OPTF_RELOAD, 0,
	  "time between two walks over all cgroups" },
	{ "usage", LNX_OPT_DURATION, AT(usage_ns), "30s", 1e9, 3600e9, NULL, LNX_OPTF_RELOAD, 0,
	  "time between two workload.usage of a workload, while somebody wants them" },
	{ NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL }
};

static const struct lnx_sub workload_subs[] = {
	{ "cgroup.new", LNX_STAGE_STATE, 0 },
	{ "cgroup.gone", LNX_STAGE_STATE, 0 },
	{ "psi.cgroup", LNX_STAGE_STATE, 0 },
};

static const struct lnx_command workload_commands[] = {
	{ "workloads", "parse [PATH...]",
	  "tell pod uid, container id, runtime and QoS of cgroup paths", workload_command },
	{ NULL, NULL, NULL, NULL },
};

static const char *const workload_needs[] = { "http/1?", "proc/1?", "k8s/1?", NULL };
static const char *const workload_provides[] = { "workload/1", NULL };

static const struct lnx_plugin workload_plugin = {
	.size = sizeof(workload_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "workload",
	.version = "1",
	.summary = "which container, unit or session a cgroup is",
	.options = workload_options,
	.conf_size = sizeof(struct workload_conf),
	.n_subs = sizeof(workload_subs) / sizeof(workload_subs[0]),
	.subs = workload_subs,
	.needs = workload_needs,
	.commands = workload_commands,
	.init = workload_init,
	.start = workload_start,
	.on_event = workload_on_event,
	.reload = workload_reload,
	.fini = workload_fini,
	.provides = workload_provides,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &workload_plugin;
}
