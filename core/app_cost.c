/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the agent itself costs: CPU time of its process and of its BPF programs, resident memory. The core measures and tells
 * (agent.cost); what can be spared is known to those who do it, and they shed it (core/adr/0004). */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <linnix/ev_agent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app.h"

#define COST_PERIOD_S 1.
#define COST_FIRST_S  3. /* after the start, whose own work is not what the budget is for */

struct lnx_cost {
	struct lnx_app *app;
	ev_timer timer;
	uint64_t at_ns, user_ns, bpf_ns; /* at the last look; at_ns 0: none */
	struct lnx_ev_agent_cost last;
	double ratio;
	uint64_t credit_ns;
	bool has_credit; /* else it is the first window: all that may be saved */
};

uint64_t lnx_app_cpu_ns(void)
{
	struct rusage ru;

	if (getrusage(RUSAGE_SELF, &ru) < 0)
		return 0;
	return (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000u;
}

uint64_t lnx_app_rss_bytes(void)
{
	char text[128] = "";
	unsigned long long size, rss;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd); /* read only */
	if (n <= 0 || sscanf(text, "%llu %llu", &size, &rss) != 2)
		return 0;
	return rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cost_bpf_ns(const struct lnx_app *app)
{
	struct lnx_probe_info info;
	uint64_t ns = 0;
	unsigned i;

	for (i = 0; app->probes && i < lnx_probes_count(app->probes); i++)
		if (lnx_probes_info(app->probes, i, &info) == 0)
			ns += info.run_ns;
	return ns;
}

/* CPU time that a second may cost: the smaller of the two options. */
static double cost_budget_cpus(const struct lnx_app *app)
{
	const struct lnx_core_conf *c = &app->config->core;
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	double share = c->budget_cpu_pct / 100 * (double)(n > 0 ? n : 1);

	return fmin(share, c->budget_cpu_max_millicores / 1e3);
}

static uint64_t cost_since(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0; /* the estimate of BPF time may shrink */
}

/* What is not used is saved, up to budget.burst of it. */
static uint64_t cost_credit(struct lnx_cost *c, const struct lnx_ev_agent_cost *e)
{
	uint64_t max_ns = (uint64_t)(cost_budget_cpus(c->app) *
				     (double)c->app->config->core.budget_burst),
		 used_ns = e->user_ns + e->bpf_ns;

	if (!c->has_credit)
		c->credit_ns = max_ns;
	c->has_credit = true;
	c->credit_ns += e->budget_ns;
	c->credit_ns = cost_since(used_ns, c->credit_ns);
	if (c->credit_ns > max_ns)
		c->credit_ns = max_ns;
	return c->credit_ns;
}

static void cost_on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_cost *c = w->data;
	struct lnx_app *app = c->app;
	struct lnx_ev_agent_cost *e = &c->last;
	uint64_t now = lnx_bus_now(app->bus), user_ns = lnx_app_cpu_ns(), bpf_ns = cost_bpf_ns(app);

	(void)loop;
	(void)revents;
	if (c->at_ns && now > c->at_ns) {
		*e = (struct lnx_ev_agent_cost){
			.h = { sizeof(*e), LNX_EV_AGENT_COST, sizeof(*e), now, app->ident.agent_pid,
			       LNX_CPU_NONE },
			.window_ns = now - c->at_ns,
			.user_ns = cost_since(c->user_ns, user_ns),
			.bpf_ns = cost_since(c->bpf_ns, bpf_ns),
			.rss_bytes = lnx_app_rss_bytes(),
			.budget_rss_bytes = (uint64_t)app->config->core.budget_memory_mb << 20,
		};
		e->budget_ns = (uint64_t)(cost_budget_cpus(app) * (double)e->window_ns);
		e->credit_ns = cost_credit(c, e);
		c->ratio = e->budget_ns ? (double)(e->user_ns + e->bpf_ns) / (double)e->budget_ns
					: NAN;
		(void)lnx_bus_publish(app->bus, &e->h); /* what is lost is counted there */
	}
	c->at_ns = now;
	c->user_ns = user_ns;
	c->bpf_ns = bpf_ns;
}

int lnx_app_cost_start(struct lnx_app *app)
{
	struct lnx_cost *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	app->cost = c;
	c->app = app;
	c->ratio = NAN;
	ev_timer_init(&c->timer, cost_on_timer, COST_FIRST_S, COST_PERIOD_S);
	c->timer.data = c;
	ev_timer_start(app->loop, &c->timer);
	return 0;
}

void lnx_app_cost_stop(struct lnx_app *app)
{
	if (app->cost)
		ev_timer_stop(app->loop, &app->cost->timer);
	free(app->cost);
	app->cost = NULL;
}

double lnx_app_cost_ratio(const struct lnx_app *app)
{
	return app->cost ? app->cost->ratio : NAN;
}

bool lnx_app_cost_is_fat(const struct lnx_app *app, char *why, size_t cap)
{
	const struct lnx_ev_agent_cost *e = app->cost ? &app->cost->last : NULL;

	if (!e || e->rss_bytes <= e->budget_rss_bytes)
		return false;
	(void)snprintf(why, cap, "%.1f MB are resident, budget.memory_mb is %u",
		       (double)e->rss_bytes / 1e6, app->config->core.budget_memory_mb);
	return true;
}

bool lnx_app_cost_is_over(const struct lnx_app *app, char *why, size_t cap)
{
	const struct lnx_ev_agent_cost *e = app->cost ? &app->cost->last : NULL;
	double s = e ? (double)e->window_ns / 1e9 : 0;

	if (!e || !e->window_ns || e->credit_ns || e->user_ns + e->bpf_ns <= e->budget_ns)
		return false;
	(void)snprintf(why, cap,
		       "%.0f millicores are used, %.0f of them in BPF; the budget is %.0f",
		       (double)(e->user_ns + e->bpf_ns) / 1e6 / s, (double)e->bpf_ns / 1e6 / s,
		       (double)e->budget_ns / 1e6 / s);
	return true;
}

void lnx_app_cost_json(struct lnx_app *app, struct lnx_buf *out)
{
	uint64_t up_ns = lnx_bus_now(app->bus) - app->start_ns, cpu_ns = lnx_app_cpu_ns(),
		 bpf_ns = cost_bpf_ns(app);

	lnx_json_key(out, "self");
	lnx_buf_char(out, '{');
	lnx_json_kv_f64(out, "cpu_pct",
			up_ns ? 100.0 * (double)(cpu_ns + bpf_ns) / (double)up_ns : NAN);
	lnx_json_kv_f64(out, "user_space_cpu_ms", (double)cpu_ns / 1e6);
	lnx_json_kv_f64(out, "bpf_cpu_ms", (double)bpf_ns / 1e6);
	lnx_json_kv_u64(out, "rss_bytes", lnx_app_rss_bytes());
	lnx_json_kv_f64(out, "budget_cpu_pct", app->config->core.budget_cpu_pct);
	lnx_json_kv_u64(out, "budget_cpu_max_millicores",
			app->config->core.budget_cpu_max_millicores);
	lnx_json_kv_u64(out, "budget_memory_mb", app->config->core.budget_memory_mb);
	lnx_json_kv_f64(out, "budget_used_ratio", lnx_app_cost_ratio(app));
	lnx_buf_char(out, '}');
}
