/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin proc, service proc/1: which processes there are, who made them, what they use. Kept up to date by
 * proc.fork, proc.exec and proc.exit; figures come from the task iterator of probe proc, at most once
 * a second and only while somebody reads them; a slow refresh repairs what lost events left wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_proc.h>
#include <linnix/plugin.h>

#include "proc.h"

#define PROC_SLACK_NS 100000000ULL /* a tick may come early by this much */
#define PROC_WANT_MAX 3600000000000ULL

/* ---- events */

static int proc_on_fork(struct proc_state *s, const struct lnx_ev_proc_fork *ev)
{
	struct proc_entry *e, *maker;
	int is_new = 0;

	if (!LNX_EV_HAS(&ev->h, struct lnx_ev_proc_fork, comm))
		return -EINVAL;
	maker = proc_table_find(&s->table, ev->h.pid, ev->parent_start_ns);
	/* runtimes move a process to its cgroup after it began: the tree must not split there */
	if (maker && LNX_EV_HAS(&ev->h, struct lnx_ev_proc_fork, parent_cgroup_id))
		maker->p.cgroup_id = ev->parent_cgroup_id;
	if (maker && !ev->is_kthread)
		proc_entry_forked(maker, ev->h.ts_ns);
	e = proc_table_take(&s->table, ev->child_pid, ev->start_ns, ev->h.ts_ns, &is_new);
	if (!e)
		return 0;
	e->maker_pid = ev->h.pid;
	e->maker_start_ns = ev->parent_start_ns;
	if (!is_new)
		return 0; /* a refresh was faster and knows more */
	e->p.ppid = ev->ppid;
	e->p.parent_start_ns = ev->ppid == ev->h.pid ? ev->parent_start_ns : 0;
	e->p.cgroup_id = ev->cgroup_id;
	e->p.uid = ev->uid;
	e->p.is_kthread = ev->is_kthread;
	e->p.n_threads = 1;
	memcpy(e->p.comm, ev->comm, sizeof(e->p.comm));
	e->pass = s->pass;
	if (maker)
		proc_entry_inherit(&s->table, e, maker);
	return 0;
}

/* A string of the tail; the bus checked that it lies inside. */
static const char *proc_text(const struct lnx_event *ev, const struct lnx_str *str)
{
	return (const char *)ev + str->off;
}

static int proc_on_exec(struct proc_state *s, const struct lnx_ev_proc_exec *ev)
{
	struct proc_entry *e;
	int is_new = 0;

	if (!LNX_EV_HAS(&ev->h, struct lnx_ev_proc_exec, args))
		return -EINVAL;
	e = proc_table_take(&s->table, ev->h.pid, ev->start_ns, ev->h.ts_ns, &is_new);
	if (!e)
		return 0;
	if (is_new) {
		s->table.found++;
		e->p.ppid = e->maker_pid = ev->ppid;
		e->p.n_threads = 1;
	}
	e->pass = s->pass;
	e->p.cgroup_id = ev->cgroup_id;
	e->p.uid = ev->uid;
	memcpy(e->p.comm, ev->comm, sizeof(e->p.comm));
	proc_entry_set_string(&s->table, e, proc_text(&ev->h, &ev->filename), ev->filename.len,
			      proc_text(&ev->h, &ev->args), ev->args.len);
	return 0;
}

static int proc_on_exit(struct proc_state *s, const struct lnx_ev_proc_exit *ev)
{
	struct proc_entry *e;
	int is_new;

	if (!LNX_EV_HAS(&ev->h, struct lnx_ev_proc_exit, comm))
		return -EINVAL;
	e = proc_table_find(&s->table, ev->h.pid, ev->start_ns);
	if (!e)
		e = proc_table_take(&s->table, ev->h.pid, ev->start_ns, ev->h.ts_ns, &is_new);
	if (!e)
		return 0;
	e->p.ppid = ev->ppid;
	e->p.uid = ev->uid;
	e->p.cgroup_id = ev->cgroup_id;
	e->p.cpu_ns = ev->cpu_ns;
	e->p.exit_code = ev->exit_code;
	e->p.signal = ev->signal;
	e->exit_known = 1;
	proc_table_is_sure(&s->table, e);
	memcpy(e->p.comm, ev->comm, sizeof(e->p.comm));
	proc_table_end(&s->table, e, ev->h.ts_ns);
	return 0;
}

/* Only a recording brings our own event back: it stands for the refresh that made it. */
static int proc_on_usage(struct proc_state *s, const struct lnx_ev_proc_usage *ev)
{
	struct proc_entry *e;
	int is_new = 0;

	if (!LNX_EV_HAS(&ev->h, struct lnx_ev_proc_usage, cpu_pct))
		return -EINVAL;
	e = proc_table_take(&s->table, ev->h.pid, ev->start_ns, ev->h.ts_ns, &is_new);
	if (!e)
		return 0;
	if (is_new)
		e->p.ppid = e->maker_pid = ev->ppid;
	e->p.cgroup_id = ev->cgroup_id;
	e->p.uid = ev->uid;
	e->p.n_threads = ev->n_threads;
	e->p.state = ev->state;
	e->p.cpu_pct = ev->cpu_pct;
	e->p.cpu_ns = ev->cpu_ns;
	e->p.rss_bytes = ev->rss_bytes;
	e->p.rss_anon_bytes = ev->rss_anon_bytes;
	e->p.read_bytes = ev->read_bytes;
	e->p.write_bytes = ev->write_bytes;
	e->p.minflt = ev->minflt;
	e->p.majflt = ev->majflt;
	e->p.run_delay_ns = ev->run_delay_ns;
	e->p.usage_ns = ev->h.ts_ns;
	e->p.has_usage = 1;
	memcpy(e->p.comm, ev->comm, sizeof(e->p.comm));
	return 0;
}

static int proc_on_event(void *state, const struct lnx_event *ev)
{
	switch (ev->type) {
	case LNX_EV_PROC_FORK:
		return proc_on_fork(state, (const struct lnx_ev_proc_fork *)ev);
	case LNX_EV_PROC_EXEC:
		return proc_on_exec(state, (const struct lnx_ev_proc_exec *)ev);
	case LNX_EV_PROC_EXIT:
		return proc_on_exit(state, (const struct lnx_ev_proc_exit *)ev);
	case LNX_EV_PROC_USAGE:
		return proc_on_usage(state, (const struct lnx_ev_proc_usage *)ev);
	default:
		return -EINVAL;
	}
}

static void proc_show(struct proc_state *s)
{
	const struct lnx_host *h = s->host;

	h->metric_set(s->ctx, s->m_live, s->table.live.n);
	h->metric_set(s->ctx, s->m_exited, s->table.exited.n);
	h->metric_set(s->ctx, s->m_zombie, s->n_zombies);
	h->metric_set(s->ctx, s->m_untracked, s->n_untracked);
	h->metric_set(s->ctx, s->m_hidden, s->n_hidden);
	h->metric_set(s->ctx, s->m_refused, (double)s->table.refused);
	h->metric_set(s->ctx, s->m_ghosts, (double)s->table.ghosts);
	h->metric_set(s->ctx, s->m_strings, (double)s->table.strings.refused);
}

static void proc_tick(void *arg)
{
	struct proc_state *s = arg;
	uint64_t now = s->host->now_ns(s->ctx), period = s->conf->repair_ns;
	int r;

	proc_table_expire(&s->table, now);
	if (now < s->want_until_ns || s->n_missing || s->table.n_unsure ||
	    s->host->wanted(s->ctx, "proc.usage") > 0)
		period = PROC_TICK_NS;
	if (now + PROC_SLACK_NS >= s->last_pass_ns + period) {
		r = proc_refresh(s, 1);
		if (r < 0)
			s->host->log(s->ctx, LNX_WARN, "refresh failed, trying again: %s",
				     strerror(-r));
	}
	proc_show(s);
}

/* ---- service proc/1 */

static const struct lnx_proc *proc_out(struct proc_state *s, const struct proc_entry *e)
{
	struct proc_entry *own;

	if (!e)
		return NULL;
	own = (struct proc_entry *)(uintptr_t)e; /* ours: the window moves when it is read */
	proc_entry_roll(own, s->host->now_ns(s->ctx));
	return &own->p;
}

static const struct proc_entry *proc_in(const struct lnx_proc *p)
{
	return (const struct proc_entry *)p; /* its first member */
}

static const struct lnx_proc *proc_svc_get(void *self, uint32_t pid, uint64_t start_ns)
{
	struct proc_state *s = self;

	return proc_out(s, start_ns ? proc_table_find(&s->table, pid, start_ns)
				    : proc_table_live(&s->table, pid));
}

static const struct lnx_proc *proc_svc_parent(void *self, const struct lnx_proc *p)
{
	struct proc_state *s = self;

	return proc_out(s, proc_entry_parent(&s->table, proc_in(p)));
}

static const struct lnx_proc *proc_svc_tree_root(void *self, const struct lnx_proc *p)
{
	struct proc_state *s = self;

	return proc_out(s, proc_entry_root(&s->table, proc_in(p)));
}

static int proc_svc_each(void *self, uint32_t include_exited,
			 int (*each)(void *arg, const struct lnx_proc *p), void *arg)
{
	struct proc_state *s = self;
	const struct proc_entry *e;
	int n = 0;

	for (e = s->table.live.first; e; e = e->next) {
		n++;
		if (each(arg, proc_out(s, e)))
			return n;
	}
	for (e = include_exited ? s->table.exited.first : NULL; e; e = e->next) {
		n++;
		if (each(arg, proc_out(s, e)))
			return n;
	}
	return n;
}

static void proc_svc_want_usage(void *self, uint64_t for_ns)
{
	struct proc_state *s = self;
	uint64_t now = s->host->now_ns(s->ctx);
	uint64_t until = now + (for_ns < PROC_WANT_MAX ? for_ns : PROC_WANT_MAX);

	if (until > s->want_until_ns)
		s->want_until_ns = until;
	if (now >= s->last_pass_ns + PROC_TICK_NS)
		(void)proc_refresh(s, 0); /* the tick tries again and says why it failed */
}

static void proc_svc_stats(void *self, uint32_t *ret_live, uint32_t *ret_exited,
			   uint64_t *ret_refused)
{
	const struct proc_state *s = self;

	*ret_live = s->table.live.n;
	*ret_exited = s->table.exited.n;
	*ret_refused = s->table.refused;
}

static const struct lnx_svc_proc proc_service = {
	.size = sizeof(proc_service),
	.get = proc_svc_get,
	.parent = proc_svc_parent,
	.tree_root = proc_svc_tree_root,
	.each = proc_svc_each,
	.want_usage = proc_svc_want_usage,
	.stats = proc_svc_stats,
};

/* ---- life */

static const char *const proc_labels_state[] = { "state", NULL };
static const char *const proc_labels_source[] = { "source", NULL };
static const struct lnx_metric_desc proc_m_processes = {
	.name = "linnix_processes",
	.help = "Processes in the table.",
	.kind = LNX_GAUGE,
	.labels = proc_labels_state,
};
static const struct lnx_metric_desc proc_m_untracked = {
	.name = "linnix_processes_untracked",
	.help = "Processes that the limit keeps out of the table now.",
	.kind = LNX_GAUGE,
};
static const struct lnx_metric_desc proc_m_hidden = {
	.name = "linnix_processes_from_procfs",
	.help = "Processes that the probe does not show, read from /proc.",
	.kind = LNX_GAUGE,
};
static const struct lnx_metric_desc proc_m_refused = {
	.name = "linnix_processes_refused_total",
	.help = "Processes that the limit kept out of the table.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc proc_m_ghosts = {
	.name = "linnix_process_ghosts_total",
	.help = "Processes found to be gone though no exit event came.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc proc_m_strings = {
	.name = "linnix_process_strings_refused_total",
	.help = "File names and arguments not kept for lack of room.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc proc_m_refreshes = {
	.name = "linnix_process_refreshes_total",
	.help = "Refreshes of the process table.",
	.kind = LNX_COUNTER,
	.labels = proc_labels_source,
};

static int proc_metrics(struct proc_state *s)
{
	const struct {
		const struct lnx_metric_desc *desc;
		const char *value;
		struct lnx_metric **ret;
	} want[] = {
		{ &proc_m_processes, "live", &s->m_live },
		{ &proc_m_processes, "exited", &s->m_exited },
		{ &proc_m_processes, "zombie", &s->m_zombie },
		{ &proc_m_untracked, NULL, &s->m_untracked },
		{ &proc_m_hidden, NULL, &s->m_hidden },
		{ &proc_m_refused, NULL, &s->m_refused },
		{ &proc_m_ghosts, NULL, &s->m_ghosts },
		{ &proc_m_strings, NULL, &s->m_strings },
		{ &proc_m_refreshes, "probe", &s->m_by_probe },
		{ &proc_m_refreshes, "procfs", &s->m_by_scan },
	};
	size_t i;
	int r = 0;

	for (i = 0; !r && i < sizeof(want) / sizeof(want[0]); i++)
		r = s->host->metric(s->ctx, want[i].desc, want[i].value ? &want[i].value : NULL,
				    want[i].ret);
	return r;
}

static void proc_fini(void *state)
{
	struct proc_state *s = state;

	if (!s)
		return;
	proc_scan_free(s->scan);
	proc_table_done(&s->table);
	free(s);
}

static int proc_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		     void **ret_state)
{
	struct proc_state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	r = proc_table_init(&s->table, s->conf->max_processes);
	if (!r)
		r = proc_metrics(s);
	if (!r)
		r = host->provide(ctx, "proc/1", &proc_service, s);
	if (r) {
		proc_fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static int proc_start(void *state)
{
	struct proc_state *s = state;
	int r = proc_refresh(s, 0);

	s->is_started = 1;
	if (r < 0)
		s->host->log(s->ctx, LNX_WARN, "processes that run already are not known: %s",
			     strerror(-r));
	proc_show(s);
	return s->host->timer_add(s->ctx, PROC_TICK_NS, PROC_TICK_NS, proc_tick, s, &s->timer);
}

static int proc_reload(void *state, const void *conf)
{
	((struct proc_state *)state)->conf = conf;
	return 0;
}

static void proc_stop(void *state)
{
	struct proc_state *s = state;

	s->is_stopped = 1;
	s->host->timer_stop(s->ctx, s->timer);
}

static const struct lnx_option proc_options[] = {
	{ "max_processes", LNX_OPT_U32, offsetof(struct proc_conf, max_processes), "32768", 16,
	  1048576, NULL, 0, 0, "Live processes kept; more are counted and left out." },
	{ "repair", LNX_OPT_DURATION, offsetof(struct proc_conf, repair_ns), "10s", 1e9, 600e9,
	  NULL, LNX_OPTF_RELOAD, 0,
	  "How often the table is compared with the kernel's while nobody reads figures." },
	{ "proc_root", LNX_OPT_PATH, offsetof(struct proc_conf, proc_root), "/proc", 0, 0, NULL, 0,
	  0, "Where procfs is, for what the probe does not show." },
	{ "cgroup_root", LNX_OPT_PATH, offsetof(struct proc_conf, cgroup_root), "", 0, 0, NULL, 0,
	  0, "Where the v2 hierarchy is, for processes read from procfs; empty: looked for." },
	{ .key = NULL },
};

static const struct lnx_sub proc_subs[] = {
	{ "proc.fork", LNX_STAGE_STATE, 0 },
	{ "proc.exec", LNX_STAGE_STATE, 0 },
	{ "proc.exit", LNX_STAGE_STATE, 0 },
};

static const char *const proc_provides[] = { "proc/1", NULL };

static const struct lnx_plugin proc_plugin = {
	.size = sizeof(proc_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "proc",
	.version = LNX_VERSION,
	.summary = "the process table: who runs, who made it, what it uses",
	.options = proc_options,
	.conf_size = sizeof(struct proc_conf),
	.n_subs = sizeof(proc_subs) / sizeof(proc_subs[0]),
	.subs = proc_subs,
	.init = proc_init,
	.start = proc_start,
	.on_event = proc_on_event,
	.reload = proc_reload,
	.stop = proc_stop,
	.fini = proc_fini,
	.provides = proc_provides,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &proc_plugin;
}
