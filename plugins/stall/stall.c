/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin stall: who made whom wait, and for how long. Reads the ledger of probe sched each second, holds it against the
 * kernel's own pressure figures, keeps an hour of it and answers GET /blame. */
#include <errno.h>
#include <fcntl.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_workload.h>
#include <linnix/plugin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demand.h"
#include "stall.h"

#define AT(m) offsetof(struct stall_conf, m)

static const char *const mode_names[] = { "exact", "psi-only", "auto", NULL };

static const struct lnx_option stall_options[] = {
	{ "mode", LNX_OPT_ENUM, AT(mode), "auto", 0, 0, mode_names, 0, 0,
	  "exact: attach the ledger and call its absence a loss; psi-only: never attach it; auto: attach it if possible" },
	{ "interval", LNX_OPT_DURATION, AT(interval), "1s", 2e8, 1e10, NULL, 0, 0,
	  "length of a window" },
	{ "edges", LNX_OPT_U32, AT(edges), "64", 0, 4096, NULL, LNX_OPTF_RELOAD, 0,
	  "largest pairs of a window that become events" },
	{ "edge_min", LNX_OPT_DURATION, AT(edge_min), "1ms", 0, 1e10, NULL, LNX_OPTF_RELOAD, 0,
	  "a pair with less stall in a window makes no event" },
	{ "windows", LNX_OPT_U32, AT(windows), "256", 0, 4096, NULL, LNX_OPTF_RELOAD, 0,
	  "largest victims of a window that become events" },
	{ "psi_reads", LNX_OPT_U32, AT(psi_reads), "512", 1, 4096, NULL, LNX_OPTF_RELOAD, 0,
	  "pressure files read for one window, those of the largest victims first" },
	{ "history_size", LNX_OPT_SIZE, AT(history_size), "8MiB", 65536, 1073741824, NULL,
	  LNX_OPTF_RELOAD, 0, "most memory of past windows" },
	{ "shed_for", LNX_OPT_DURATION, AT(shed_for), "10s", 1e9, 3.6e12, NULL, 0, 0,
	  "least time without what budget.* took away" },
	{ "attach_above", LNX_OPT_DURATION, AT(attach_above), "5ms", 0, 1e10, NULL, LNX_OPTF_RELOAD,
	  0,
	  "stall of the machine in a window from which the probe of I/O, or of memory, is attached" },
	{ "attach_for", LNX_OPT_DURATION, AT(attach_for), "60s", 1e9, 8.64e13, NULL,
	  LNX_OPTF_RELOAD, 0, "such a probe is detached after that long without so much stall" },
	{ NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL },
};

static const struct lnx_sub stall_subs[] = {
	{ "psi.sample", LNX_STAGE_DETECT, 0 }, { "psi.cgroup", LNX_STAGE_DETECT, 0 },
	{ "cgroup.new", LNX_STAGE_DETECT, 0 }, { "host.sample", LNX_STAGE_DETECT, 0 },
	{ "agent.cost", LNX_STAGE_DETECT, 0 },
};

static const char *const stall_needs[] = { "workload/1?", "http/1?", "proc/1?", NULL };
static const char *const stall_provides[] = { "stall/1", NULL };

static void read_mounts(struct stall *s)
{
	size_t cap = 1u << 20, n = 0;
	char *text = malloc(cap);
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	while (text && fd >= 0 && n + 1 < cap && (got = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	if (fd >= 0)
		(void)close(fd); /* read only */
	if (text) {
		text[n] = 0;
		stall_whos_mounts(&s->whos, text);
	}
	free(text);
}

static void stall_fini(void *state)
{
	struct stall *s = state;

	if (!s)
		return;
	s->host->timer_del(s->ctx, s->timer);
	stall_probe_close(s);
	stall_demand_close(s);
	stall_metrics_free(s);
	stall_sum_done(&s->share[0].sum);
	stall_sum_done(&s->share[1].sum);
	stall_store_done(&s->store);
	stall_whos_done(&s->whos);
	free(s->rows);
	free(s->cells);
	free(s->tasks);
	free(s->look);
	free(s);
}

static int stall_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		      void **ret_state)
{
	struct stall *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	s->store.max_bytes = s->conf->history_size;
	s->load.cpu_pct = s->load.psi_pct = s->load.switches_per_s = NAN;
	stall_govern_init(&s->shed.govern, s->conf->shed_for);
	s->look = calloc(1, sizeof(*s->look));
	rc = s->look ? stall_whos_init(&s->whos) : -ENOMEM;
	rc = rc ? rc : stall_metrics_new(s);
	rc = rc ? rc : host->provide(ctx, "stall/1", &stall_service, s);
	if (rc) {
		stall_fini(s);
		return rc;
	}
	*ret_state = s;
	return 0;
}

/* The ledger's stamps are of this very moment, later than the turn of the loop that the host's clock tells. */
static void read_clocks(uint64_t *ret_mono_ns, uint64_t *ret_boot_ns)
{
	struct timespec mono, boot;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono); /* cannot fail */
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	*ret_mono_ns = (uint64_t)mono.tv_sec * STALL_SEC + (uint64_t)mono.tv_nsec;
	*ret_boot_ns = (uint64_t)boot.tv_sec * STALL_SEC + (uint64_t)boot.tv_nsec;
}

static void on_timer(void *arg)
{
	uint64_t mono_ns, boot_ns;

	read_clocks(&mono_ns, &boot_ns);
	stall_tick(arg, mono_ns, boot_ns);
}

static void start_ledger(struct stall *s)
{
	int rc;

	if (s->conf->mode == STALL_MODE_PSI) {
		(void)snprintf(s->probe.why, sizeof(s->probe.why),
			       "stall.mode is psi-only"); /* fits */
		return;
	}
	rc = stall_probe_open(s);
	if (rc < 0) {
		s->host->health(s->ctx, "ledger",
				s->conf->mode == STALL_MODE_EXACT ? LNX_HEALTH_LOST
								  : LNX_HEALTH_DEGRADED,
				s->probe.why);
		s->host->log(s->ctx, LNX_WARN, "stalls have no culprits: %s", s->probe.why);
	}
}

static int stall_start(void *state)
{
	struct stall *s = state;
	uint64_t some, full;
	int rc;

	if (s->host->service(s->ctx, "workload/1", (const void **)&s->workload, &s->workload_self) <
	    0)
		s->workload = NULL;
	if (s->host->service(s->ctx, "proc/1", (const void **)&s->proc, &s->proc_self) < 0)
		s->proc = NULL;
	if (s->whos.root_fd < 0)
		read_mounts(s);
	s->has_psi = stall_psi_node(LNX_RES_CPU, &some, &full) == 0;
	if (!s->has_psi)
		s->host->health(
			s->ctx, "psi", LNX_HEALTH_DEGRADED,
			"/proc/pressure cannot be read: the kernel may need psi=1 on its command line");
	start_ledger(s);
	rc = stall_demand_open(s);
	if (rc < 0)
		return rc;
	read_clocks(&s->mono_ns, &s->boot_ns);
	rc = stall_blame_route(s);
	if (rc < 0)
		return rc;
	return s->host->timer_add(s->ctx, s->conf->interval, s->conf->interval, on_timer, s,
				  &s->timer);
}

/* What plugin psi read of <who>: it counts while nobody measures the resource. Where our own reading is known, which may be
 * newer or older than its window, what the totals rose since. */
static void on_pressure(struct stall *s, uint32_t i, uint32_t resource, const double pct[2],
			const uint64_t total_us[2], uint64_t window_ns)
{
	struct stall_who *who = &s->whos.who[i];
	struct stall_psi *psi = &who->psi[resource];
	uint64_t *last[2] = { &psi->some_us, &psi->full_us };

	if (stall_is_live(s, resource))
		return;
	for (int k = 0; k < 2; k++) {
		if (psi->is_known && total_us[k] > *last[k])
			who->sample_ns[resource][k] += (total_us[k] - *last[k]) * 1000;
		else if (!psi->is_known && pct[k] > 0)
			who->sample_ns[resource][k] += (uint64_t)(pct[k] / 100 * (double)window_ns);
		if (total_us[k] > *last[k] || !psi->is_known)
			*last[k] = total_us[k];
	}
	psi->is_known = 1;
}

static void on_sample(struct stall *s, const struct lnx_event *ev)
{
	const struct lnx_ev_psi_sample *p = (const void *)ev;
	const struct lnx_psi_line none = { 0 };
	const struct lnx_psi_line *lines[LNX_RES_N][2] = { { &p->cpu_some, &none },
							   { &p->memory_some, &p->memory_full },
							   { &p->io_some, &p->io_full } };

	for (uint32_t r = 0; r < LNX_RES_N; r++)
		on_pressure(s, STALL_WHO_NODE, r,
			    (const double[]){ lines[r][0]->pct, lines[r][1]->pct },
			    (const uint64_t[]){ lines[r][0]->total_us, lines[r][1]->total_us },
			    p->window_ns);
}

static void on_cgroup_psi(struct stall *s, const struct lnx_event *ev)
{
	const struct lnx_ev_psi_cgroup *p = (const void *)ev;
	const double pct[LNX_RES_N][2] = { { p->cpu_some_pct, p->cpu_full_pct },
					   { p->memory_some_pct, p->memory_full_pct },
					   { p->io_some_pct, p->io_full_pct } };
	const uint64_t total_us[LNX_RES_N][2] = { { p->cpu_some_us, p->cpu_full_us },
						  { p->memory_some_us, p->memory_full_us },
						  { p->io_some_us, p->io_full_us } };
	uint32_t i = stall_who_of(s, p->cgroup_id, ev->ts_ns);

	/* Of a cgroup inside a container the container's own file counts. */
	if (i < STALL_WHO_FIRST || s->whos.who[i].cgroup_id != p->cgroup_id)
		return;
	for (uint32_t r = 0; r < LNX_RES_N; r++)
		on_pressure(s, i, r, pct[r], total_us[r], p->window_ns);
	i = stall_set_of_own(s, i, ev->ts_ns);
	for (uint32_t r = 0; i != STALL_WHO_NONE && r < LNX_RES_N; r++)
		on_pressure(s, i, r, pct[r], total_us[r], p->window_ns);
}

static void on_host(struct stall *s, const struct lnx_event *ev)
{
	const struct lnx_ev_host_sample *h = (const void *)ev;
	struct stall_load *l = &s->load;
	double ns = (double)h->window_ns;

	l->seen_ns = ev->ts_ns;
	l->switches_per_s = h->switches_per_s;
	if (!isnan(h->cpu_pct)) {
		l->cpu += h->cpu_pct * ns;
		l->cpu_ns += ns;
	}
	if (!isnan(h->psi_cpu_some)) {
		l->psi += h->psi_cpu_some * ns;
		l->psi_ns += ns;
	}
}

static int stall_on_event(void *state, const struct lnx_event *ev)
{
	struct stall *s = state;

	if (ev->type == LNX_EV_PSI_SAMPLE && LNX_EV_HAS(ev, struct lnx_ev_psi_sample, io_full))
		on_sample(s, ev);
	else if (ev->type == LNX_EV_PSI_CGROUP &&
		 LNX_EV_HAS(ev, struct lnx_ev_psi_cgroup, io_full_us))
		on_cgroup_psi(s, ev);
	else if (ev->type == LNX_EV_CGROUP_NEW && LNX_EV_HAS(ev, struct lnx_ev_cgroup, cgroup_id))
		/* Its pressure is read now, so that its first wait can be compared. */
		(void)stall_who_of(s, ((const struct lnx_ev_cgroup *)(const void *)ev)->cgroup_id,
				   ev->ts_ns);
	else if (ev->type == LNX_EV_HOST_SAMPLE &&
		 LNX_EV_HAS(ev, struct lnx_ev_host_sample, psi_cpu_some))
		on_host(s, ev);
	else if (ev->type == LNX_EV_AGENT_COST &&
		 LNX_EV_HAS(ev, struct lnx_ev_agent_cost, credit_ns))
		stall_shed_cost(s, (const void *)ev);
	return 0;
}

static int stall_reload(void *state, const void *conf)
{
	struct stall *s = state;

	s->conf = conf;
	s->store.max_bytes = s->conf->history_size;
	return 0;
}

static void stall_stop(void *state)
{
	struct stall *s = state;

	s->host->timer_stop(s->ctx, s->timer);
}

static const struct lnx_plugin stall_plugin = {
	.size = sizeof(stall_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "stall",
	.version = LNX_VERSION,
	.summary = "who made whom wait, measured: the stall ledger and GET /blame",
	.options = stall_options,
	.conf_size = sizeof(struct stall_conf),
	.n_subs = sizeof(stall_subs) / sizeof(stall_subs[0]),
	.subs = stall_subs,
	.needs = stall_needs,
	.provides = stall_provides,
	.init = stall_init,
	.start = stall_start,
	.on_event = stall_on_event,
	.reload = stall_reload,
	.stop = stall_stop,
	.fini = stall_fini,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &stall_plugin;
}
