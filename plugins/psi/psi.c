/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin psi: what the machine and its cgroups waited for. Publishes psi.sample and host.sample each
 * psi.interval, and psi.cgroup for cgroups whose totals moved, once more when they no longer do. Pressure is
 * always the delta of a total; the kernel's averages are for display. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linnix/plugin.h>

#include "psi.h"

#define PSI_FIRST_NS 1000000000ULL /* until the first sample, however long the interval */
#define PSI_FDS_LEFT 512	   /* of the process's limit stay for the others */

/* ---- cgroups */

static void psi_show(struct psi_state *s)
{
	const struct lnx_host *h = s->host;
	const struct psi_cgroups *c = &s->cgroups;

	h->metric_set(s->ctx, s->m_cgroups, c->n);
	h->metric_set(s->ctx, s->m_refused, (double)c->refused);
	h->metric_set(s->ctx, s->m_skipped, (double)c->skipped);
	h->metric_set(s->ctx, s->m_reads, (double)c->reads);
	h->metric_set(s->ctx, s->m_wakeups, (double)s->wakeups);
}

/* The next slice of a walk, or the start of a new one when somebody reads psi.cgroup. */
static void psi_walk(void *arg)
{
	struct psi_state *s = arg;
	uint64_t again = s->conf->rescan_ns;

	if (s->host->wanted(s->ctx, "psi.cgroup") > 0)
		psi_walk_begin(&s->cgroups); /* unless one is on its way */
	if (psi_walk_step(&s->cgroups, PSI_DIRS_A_SLICE))
		again = PSI_SLICE_NS;
	(void)s->host->timer_set(s->ctx, s->walk_timer, again,
				 0); /* cannot fail: it was armed before */
}

/* Where the v2 hierarchy is. 0 or -errno. */
static int psi_find_root(struct psi_state *s, char *ret_path, size_t cap)
{
	char path[512];
	int fd, r;

	if (s->conf->cgroup_root[0])
		return snprintf(ret_path, cap, "%s", s->conf->cgroup_root) >= (int)cap
			       ? -ENAMETOOLONG
			       : 0;
	if (snprintf(path, sizeof(path), "%s/self/mountinfo", s->conf->proc_root) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = psi_read(fd, &s->buf);
	close(fd);
	return r ? r : psi_parse_mounts(s->buf.data, ret_path, cap);
}

static uint32_t psi_fd_limit(const struct psi_state *s)
{
	struct rlimit rl;
	uint32_t n = s->conf->max_fds;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur == RLIM_INFINITY)
		return n;
	if (rl.rlim_cur <= PSI_FDS_LEFT)
		return 0;
	return rl.rlim_cur - PSI_FDS_LEFT < n ? (uint32_t)(rl.rlim_cur - PSI_FDS_LEFT) : n;
}

static int psi_cgroups_open(struct psi_state *s)
{
	char root[512];
	int r = psi_find_root(s, root, sizeof(root));

	s->cgroups.host = s->host;
	s->cgroups.ctx = s->ctx;
	if (!r)
		r = psi_cgroups_init(&s->cgroups, root, s->conf->max_cgroups, psi_fd_limit(s));
	if (r == -ENOMEM)
		return r;
	if (r) {
		s->host->health(s->ctx, "cgroups", LNX_HEALTH_DEGRADED,
				"no cgroup v2 hierarchy, so no pressure per container: boot with "
				"systemd.unified_cgroup_hierarchy=1, or mount cgroup2 and set "
				"psi.cgroup_root");
		s->host->log(s->ctx, LNX_WARN, "no cgroups: %s", strerror(-r));
		return 0;
	}
	s->has_cgroups = 1;
	psi_walk_begin(&s->cgroups);
	while (psi_walk_step(&s->cgroups, PSI_DIRS_A_SLICE))
		continue; /* bounded by psi.max_cgroups; the loop does not run yet */
	return 0;
}

static int psi_on_event(void *state, const struct lnx_event *ev)
{
	const struct lnx_ev_cgroup *e = (const struct lnx_ev_cgroup *)ev;
	struct psi_state *s = state;

	if (!LNX_EV_HAS(ev, struct lnx_ev_cgroup, path))
		return -EINVAL;
	if (!s->has_cgroups)
		return 0;
	if (ev->type == LNX_EV_CGROUP_NEW)
		psi_cgroup_made(&s->cgroups, e);
	else
		psi_cgroup_gone(&s->cgroups, e->cgroup_id);
	return 0;
}

/* ---- life */

static void psi_tick(void *arg)
{
	struct psi_state *s = arg;

	psi_host_sample(s);
	psi_show(s);
}

static const struct lnx_metric_desc psi_m_cgroups = {
	.name = "linnix_psi_cgroups",
	.help = "Cgroups whose pressure is read.",
	.kind = LNX_GAUGE,
};
static const struct lnx_metric_desc psi_m_refused = {
	.name = "linnix_psi_cgroups_refused_total",
	.help = "Sightings of cgroups that the limit keeps out.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc psi_m_skipped = {
	.name = "linnix_psi_cgroup_skipped_total",
	.help = "Reads of cgroups put off because the budget of reads was used up.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc psi_m_reads = {
	.name = "linnix_psi_cgroup_reads_total",
	.help = "Pressure files of cgroups read.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc psi_m_wakeups = {
	.name = "linnix_psi_wakeups_total",
	.help = "Wake-ups by pressure triggers.",
	.kind = LNX_COUNTER,
};

static int psi_metrics(struct psi_state *s)
{
	const struct {
		const struct lnx_metric_desc *desc;
		struct lnx_metric **ret;
	} want[] = {
		{ &psi_m_cgroups, &s->m_cgroups }, { &psi_m_refused, &s->m_refused },
		{ &psi_m_skipped, &s->m_skipped }, { &psi_m_reads, &s->m_reads },
		{ &psi_m_wakeups, &s->m_wakeups },
	};
	size_t i;
	int r = 0;

	for (i = 0; !r && i < sizeof(want) / sizeof(want[0]); i++)
		r = s->host->metric(s->ctx, want[i].desc, NULL, want[i].ret);
	return r;
}

static void psi_fini(void *state)
{
	struct psi_state *s = state;

	if (!s)
		return;
	psi_triggers_close(s);
	psi_host_close(s);
	psi_cgroups_done(&s->cgroups);
	lnx_buf_done(&s->buf);
	free(s);
}

static int psi_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		    void **ret_state)
{
	struct psi_state *s = calloc(1, sizeof(*s));
	int i, r;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	s->stat_fd = s->mem_fd = s->load_fd = s->epoll_fd = s->cgroups.root_fd = -1;
	for (i = 0; i < PSI_N; i++)
		s->res[i].fd = s->res[i].trigger_fd = -1;
	r = psi_metrics(s);
	if (r) {
		psi_fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static int psi_start(void *state)
{
	struct psi_state *s = state;
	uint64_t first = s->conf->interval_ns < PSI_FIRST_NS ? s->conf->interval_ns : PSI_FIRST_NS;
	int r;

	psi_host_open(s);
	r = psi_cgroups_open(s);
	if (r)
		return r;
	psi_host_sample(s);
	psi_show(s);
	r = s->host->timer_add(s->ctx, first, s->conf->interval_ns, psi_tick, s, &s->timer);
	if (!r && s->has_cgroups)
		r = s->host->timer_add(s->ctx, s->conf->rescan_ns, 0, psi_walk, s, &s->walk_timer);
	if (!r)
		psi_triggers_open(s);
	return r;
}

static int psi_reload(void *state, const void *conf)
{
	const struct psi_conf *new = conf;
	struct psi_state *s = state;
	int r = 0;

	if (new->interval_ns != s->conf->interval_ns)
		r = s->host->timer_set(s->ctx, s->timer, new->interval_ns, new->interval_ns);
	if (!r)
		s->conf = new;
	return r;
}

static void psi_stop(void *state)
{
	struct psi_state *s = state;

	s->host->timer_stop(s->ctx, s->timer);
	s->host->timer_stop(s->ctx, s->walk_timer);
	psi_triggers_close(s);
}

static const struct lnx_option psi_options[] = {
	{ "interval", LNX_OPT_DURATION, offsetof(struct psi_conf, interval_ns), "1s", 250e6, 60e9,
	  NULL, LNX_OPTF_RELOAD, 0, "Between two samples of the machine and its cgroups." },
	{ "trigger_pct", LNX_OPT_U32, offsetof(struct psi_conf, trigger_pct), "15", 0, 100, NULL, 0,
	  0, "Sample at once when tasks stalled for this share of a second; 0: never." },
	{ "rescan", LNX_OPT_DURATION, offsetof(struct psi_conf, rescan_ns), "10s", 1e9, 600e9, NULL,
	  LNX_OPTF_RELOAD, 0, "How often cgroups that came and went unseen are looked for." },
	{ "max_cgroups", LNX_OPT_U32, offsetof(struct psi_conf, max_cgroups), "4096", 1, 65536,
	  NULL, 0, 0, "Cgroups whose pressure is read; more are counted and left out." },
	{ "max_fds", LNX_OPT_U32, offsetof(struct psi_conf, max_fds), "768", 0, 65536, NULL, 0, 0,
	  "Pressure files of cgroups kept open; others are opened for each read." },
	{ "proc_root", LNX_OPT_PATH, offsetof(struct psi_conf, proc_root), "/proc", 0, 0, NULL, 0,
	  0, "Where procfs is." },
	{ "cgroup_root", LNX_OPT_PATH, offsetof(struct psi_conf, cgroup_root), "", 0, 0, NULL, 0, 0,
	  "Where the v2 hierarchy is; empty: as the mounts say." },
	{ .key = NULL },
};

static const struct lnx_sub psi_subs[] = {
	{ "cgroup.new", LNX_STAGE_DETECT, 0 },
	{ "cgroup.gone", LNX_STAGE_DETECT, 0 },
};

static const struct lnx_plugin psi_plugin = {
	.size = sizeof(psi_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "psi",
	.version = LNX_VERSION,
	.summary = "pressure, CPU and memory of the machine; pressure of its cgroups",
	.options = psi_options,
	.conf_size = sizeof(struct psi_conf),
	.n_subs = sizeof(psi_subs) / sizeof(psi_subs[0]),
	.subs = psi_subs,
	.init = psi_init,
	.start = psi_start,
	.on_event = psi_on_event,
	.reload = psi_reload,
	.stop = psi_stop,
	.fini = psi_fini,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &psi_plugin;
}
