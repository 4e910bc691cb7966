/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Evidence: the state when an incident opens, and of the minute before. Each item says which question gives it again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/svc_core.h>

#include "incident.h"
#include "window.h"

#define VICTIMS_SHOWN	3
#define PROCESSES_SHOWN 5
#define TREE_DEPTH	8
#define RESPONSE_NS	(10 * INC_SEC)

struct text {
	struct lnx_buf say, query;
};

static void text_done(struct text *t)
{
	lnx_buf_done(&t->say);
	lnx_buf_done(&t->query);
}

/* Give the item its sentence and question. */
static void say(struct evidence *e, struct text *t)
{
	if (!lnx_buf_error(&t->say) && !lnx_buf_error(&t->query))
		evidence_say(e, t->say.data ? t->say.data : "", t->query.data ? t->query.data : "");
	text_done(t);
}

/* A time without quotes. */
static void put_ts(struct lnx_buf *out, uint64_t wall_ns)
{
	struct lnx_buf t = { 0 };

	lnx_json_ts(&t, wall_ns);
	if (!lnx_buf_error(&t))
		lnx_buf_add(out, t.data + 1, t.size - 2);
	lnx_buf_done(&t);
}

void inc_capture_alert(struct incidents *s, struct inc *inc, const struct alert *a)
{
	static const char *const severities[] = { "info", "warning", "critical" };
	struct evidence *e = &inc->evidence;
	struct text t = { 0 };
	json_t *root = json_loads(a->evidence, 0, NULL), *f;
	size_t i;

	(void)s;
	if (!evidence_item(e, a->wall_ns, "alert", a->rule)) {
		json_decref(root);
		return;
	}
	evidence_text(e, "rule", a->rule);
	evidence_text(e, "severity", severities[a->ev->severity % 3]);
	evidence_number(e, "value", a->ev->value, "");
	evidence_number(e, "threshold", a->ev->threshold, "");
	json_array_foreach(root, i, f)
	{
		const char *name = json_string_value(json_object_get(f, "name")),
			   *unit = json_string_value(json_object_get(f, "unit"));

		if (name && json_is_number(json_object_get(f, "value")))
			evidence_number(e, name, json_number_value(json_object_get(f, "value")),
					unit ? unit : "");
	}
	json_decref(root);
	if (a->ev->subject_pid)
		evidence_number(e, "pid", a->ev->subject_pid, "");
	lnx_buf_str(&t.say, a->say);
	lnx_buf_printf(&t.query, "GET /events?type=alert&since_seq=%llu&limit=1",
		       (unsigned long long)(a->meta.seq ? a->meta.seq - 1 : 0));
	say(e, &t);
}

void inc_capture_more(struct incidents *s, struct inc *inc, const struct alert *a)
{
	if (evidence_count(&inc->evidence, "alert") < EV_ALERTS)
		inc_capture_alert(s, inc, a);
	else
		inc->evidence.refused++;
}

/* ---- stall */

static const char *const kinds[] = { "self", "sibling", "neighbour", "throttled", "kernel",
				     "irq",  "steal",	"idle",	     "other" };
static const char *const methods[] = { "none", "psi-only", "exact", "pair", "model", "heuristic" };

static void capture_parts(struct inc *inc, const struct window *w, const struct win_victim *v,
			  struct text *t)
{
	struct evidence *e = &inc->evidence;
	const struct win_part *own = NULL, *top = NULL;

	for (uint32_t i = 0; i < w->n_parts; i++) {
		const struct win_part *p = &w->parts[i];

		if (p->victim != v->cgroup_id || !p->culprit || p->kind == LNX_STALL_SELF)
			continue;
		if (p->culprit == inc->culprit.cgroup_id)
			own = p;
		else if (!top || p->ms > top->ms)
			top = p;
	}
	if (own) {
		evidence_number(e, "culprit_ms", own->ms, "ms");
		evidence_number(e, "culprit_pct",
				v->stalled_ms > 0 ? 100 * own->ms / v->stalled_ms : NAN, "pct");
		if (own->pid)
			evidence_number(e, "culprit_pid", own->pid, "");
		evidence_text(e, "culprit_comm", own->comm);
		lnx_buf_printf(&t->say, ", ");
		evidence_print(&t->say, own->ms);
		lnx_buf_printf(&t->say, " ms of it to %s", inc->culprit.workload);
	}
	if (top && top->ms >= 1) {
		evidence_text(e, "next_culprit", top->name);
		evidence_number(e, "next_culprit_ms", top->ms, "ms");
	}
	for (uint32_t i = 0; i < w->n_parts; i++)
		if (w->parts[i].victim == v->cgroup_id && *w->parts[i].limit)
			evidence_text(e, "quota", w->parts[i].limit);
}

static void capture_blame(struct incidents *s, struct inc *inc, const struct window *w,
			  const struct win_victim *v, const char *name)
{
	static const char *const resources[] = { "cpu", "memory", "io" };
	struct evidence *e = &inc->evidence;
	struct text t = { 0 };
	uint64_t to = s->host->wall_ns(s->ctx, w->to_ns),
		 from = s->host->wall_ns(s->ctx, w->first_ns ? w->first_ns : w->from_ns);
	char fact[32];

	if (!v->n || !evidence_item(e, to, "blame", name))
		return;
	evidence_text(e, "victim", name);
	evidence_text(e, "resource", resources[w->resource % LNX_RES_N]);
	evidence_text(e, "method", methods[v->method % 6]);
	evidence_number(e, "seconds", v->n, "s");
	evidence_number(e, "stalled_ms", v->stalled_ms, "ms");
	evidence_number(e, "psi_ms", v->psi_ms, "ms");
	evidence_number(e, "confidence_pct", 100 * win_confidence(v), "pct");
	for (unsigned k = 0; k < LNX_STALL_KINDS; k++) {
		(void)snprintf(fact, sizeof(fact), "%s_ms", kinds[k]); /* fits */
		evidence_number(e, fact, v->parts[k], "ms");
	}
	lnx_buf_printf(&t.say, "%s lost ", name);
	evidence_print(&t.say, v->stalled_ms);
	lnx_buf_printf(&t.say, " ms to waits for %s in %u windows of a second",
		       resources[w->resource % LNX_RES_N], v->n);
	capture_parts(inc, w, v, &t);
	lnx_buf_char(&t.say, '.');
	lnx_buf_printf(&t.query,
		       "GET /blame?resource=%s&victim=", resources[w->resource % LNX_RES_N]);
	if (v->cgroup_id)
		lnx_buf_u64(&t.query, v->cgroup_id);
	else
		lnx_buf_str(&t.query, "_node");
	lnx_buf_str(&t.query, "&from=");
	put_ts(&t.query, from);
	lnx_buf_str(&t.query, "&to=");
	put_ts(&t.query, to);
	say(e, &t);
}

static void capture_stall(struct incidents *s, struct inc *inc, const struct window *w)
{
	char name[200];

	for (uint32_t i = 0; i < inc->n_named && i < VICTIMS_SHOWN; i++)
		for (uint32_t k = 0; k < w->n_victims; k++)
			if (w->victims[k].cgroup_id == inc->victims[i].cgroup_id)
				capture_blame(s, inc, w, &w->victims[k],
					      inc_name(&inc->victims[i], name, sizeof(name)));
	for (uint32_t k = 0; k < w->n_victims; k++)
		if (!w->victims[k].cgroup_id)
			capture_blame(s, inc, w, &w->victims[k], "_node");
}

/* ---- the machine */

static void series(struct evidence *e, const char *name, const struct win_series *v)
{
	char fact[48];

	(void)snprintf(fact, sizeof(fact), "%s_mean_pct", name); /* fits */
	evidence_number(e, fact, win_mean(v), "pct");
	(void)snprintf(fact, sizeof(fact), "%s_max_pct", name); /* fits */
	evidence_number(e, fact, win_max(v), "pct");
	(void)snprintf(fact, sizeof(fact), "%s_last_pct", name); /* fits */
	evidence_number(e, fact, v->n ? v->last : NAN, "pct");
}

static void capture_pressure(struct incidents *s, struct inc *inc, const struct window *w)
{
	struct evidence *e = &inc->evidence;
	struct text t = { 0 };

	if (!w->psi_cpu.n ||
	    !evidence_item(e, s->host->wall_ns(s->ctx, w->to_ns), "pressure", "node"))
		return;
	evidence_number(e, "samples", w->psi_cpu.n, "");
	series(e, "cpu_some", &w->psi_cpu);
	series(e, "memory_some", &w->psi_memory);
	series(e, "io_some", &w->psi_io);
	lnx_buf_str(&t.say, "Pressure of the node: cpu ");
	evidence_print(&t.say, w->psi_cpu.last);
	lnx_buf_str(&t.say, " % now, ");
	evidence_print(&t.say, win_mean(&w->psi_cpu));
	lnx_buf_printf(&t.say, " %% on average of %u samples; memory ", w->psi_cpu.n);
	evidence_print(&t.say, win_mean(&w->psi_memory));
	lnx_buf_str(&t.say, " %, io ");
	evidence_print(&t.say, win_mean(&w->psi_io));
	lnx_buf_str(&t.say, " %.");
	lnx_buf_printf(&t.query, "GET /events?type=psi.sample&since_seq=%llu&limit=%u",
		       (unsigned long long)(w->first_psi_seq ? w->first_psi_seq - 1 : 0),
		       w->psi_cpu.n);
	say(e, &t);
}

static void capture_host(struct incidents *s, struct inc *inc, const struct window *w)
{
	struct evidence *e = &inc->evidence;
	struct text t = { 0 };

	if (!w->cpu.n || !evidence_item(e, s->host->wall_ns(s->ctx, w->to_ns), "host", "node"))
		return;
	evidence_number(e, "cpus", w->n_cpus, "");
	series(e, "cpu", &w->cpu);
	series(e, "steal", &w->steal);
	series(e, "iowait", &w->iowait);
	evidence_number(e, "memory_used_pct", w->mem.n ? w->mem.last : NAN, "pct");
	evidence_number(e, "load1", w->load.n ? w->load.last : NAN, "");
	lnx_buf_printf(&t.say, "%u CPUs, ", w->n_cpus);
	evidence_print(&t.say, win_mean(&w->cpu));
	lnx_buf_str(&t.say, " % busy on average, ");
	evidence_print(&t.say, win_max(&w->steal));
	lnx_buf_str(&t.say, " % stolen by the hypervisor at most.");
	lnx_buf_printf(&t.query, "GET /events?type=host.sample&since_seq=%llu&limit=%u",
		       (unsigned long long)(w->first_seq ? w->first_seq - 1 : 0), w->cpu.n);
	say(e, &t);
}

/* ---- processes */

struct top {
	struct incidents *s;
	uint64_t cgroup_id, cached_id; /* of the slot; of the last process looked at */
	uint32_t cached_is_in, n, n_all;
	struct lnx_proc copies[PROCESSES_SHOWN];
};

static double rank(const struct lnx_proc *p)
{
	return (p->has_usage && isfinite(p->cpu_pct) ? p->cpu_pct : 0) + p->forks;
}

static int top_each(void *arg, const struct lnx_proc *p)
{
	struct top *t = arg;
	struct inc_who who;
	uint32_t i;

	if (!t->n_all || t->cached_id != p->cgroup_id) {
		(void)inc_who(t->s, p->cgroup_id, &who); /* its own id, then */
		t->cached_id = p->cgroup_id;
		t->cached_is_in = who.cgroup_id == t->cgroup_id;
	}
	if (!t->cached_is_in)
		return 0;
	t->n_all++;
	for (i = t->n; i > 0 && rank(&t->copies[i - 1]) < rank(p); i--)
		if (i < PROCESSES_SHOWN)
			t->copies[i] = t->copies[i - 1];
	if (i < PROCESSES_SHOWN) {
		t->copies[i] = *p;
		t->n += t->n < PROCESSES_SHOWN;
	}
	return 0;
}

static void capture_processes(struct incidents *s, struct inc *inc, const char *role,
			      const struct inc_who *who)
{
	struct top t = { .s = s, .cgroup_id = who->cgroup_id };
	struct lnx_workload w = { .size = sizeof(w) };
	struct evidence *e = &inc->evidence;
	struct text text = { 0 };
	const struct lnx_svc_proc *proc;
	const void *vtable;
	char subject[200];
	void *self;

	if (!who->cgroup_id || s->host->service(s->ctx, "proc/1", &vtable, &self) < 0)
		return;
	proc = vtable;
	proc->want_usage(self, RESPONSE_NS);
	(void)proc->each(self, 0, top_each, &t); /* their number is not needed */
	(void)snprintf(subject, sizeof(subject), "%s %s", role, who->workload); /* cut is fine */
	if (!t.n || !evidence_item(e, s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)),
				   "processes", subject))
		return;
	evidence_text(e, "role", role);
	evidence_number(e, "processes", t.n_all, "");
	lnx_buf_printf(&text.say, "%s has %u processes:", who->workload, t.n_all);
	for (uint32_t i = 0; i < t.n; i++) {
		const struct lnx_proc *p = &t.copies[i];

		evidence_number(e, "pid", p->pid, "");
		evidence_text(e, "comm", p->comm);
		evidence_number(e, "cpu_pct", p->has_usage ? p->cpu_pct : NAN, "pct");
		evidence_number(e, "forks_10s", p->forks, "");
		evidence_number(e, "rss_bytes", p->has_usage ? (double)p->rss_bytes : NAN, "bytes");
		lnx_buf_printf(&text.say, "%s %.16s[%u]", i ? "," : "", p->comm, p->pid);
		if (p->forks)
			lnx_buf_printf(&text.say, " with %u forks in 10 s", p->forks);
	}
	lnx_buf_char(&text.say, '.');
	if (s->host->service(s->ctx, "workload/1", &vtable, &self) == 0 &&
	    ((const struct lnx_svc_workload *)vtable)->get(self, who->cgroup_id, &w) == 0)
		lnx_buf_printf(&text.query, "GET /processes?cgroup=%s&sort=cpu_pct&limit=%d",
			       w.path, PROCESSES_SHOWN);
	say(e, &text);
}

/* From the root of the machine's tree down to the culprit's process. */
static void capture_tree(struct incidents *s, struct inc *inc)
{
	struct lnx_proc chain[TREE_DEPTH];
	struct evidence *e = &inc->evidence;
	const struct lnx_svc_proc *proc;
	const struct lnx_proc *p, *root;
	struct text t = { 0 };
	const void *vtable;
	unsigned n = 0;
	void *self;

	if (!inc->culprit_pid || s->host->service(s->ctx, "proc/1", &vtable, &self) < 0)
		return;
	proc = vtable;
	p = proc->get(self, inc->culprit_pid, inc->culprit_start_ns);
	if (!p || !evidence_item(e, s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)), "tree",
				 inc->culprit.workload))
		return;
	root = proc->tree_root(self, p);
	if (root) {
		evidence_number(e, "root_pid", root->pid, "");
		evidence_text(e, "root_comm", root->comm);
	}
	evidence_number(e, "pid", p->pid, "");
	evidence_text(e, "comm", p->comm);
	for (; p && n < TREE_DEPTH; p = proc->parent(self, p))
		chain[n++] = *p;
	lnx_buf_str(&t.say, "Process tree: ");
	while (n--)
		lnx_buf_printf(&t.say, "%.16s[%u]%s", chain[n].comm, chain[n].pid, n ? " > " : ".");
	lnx_buf_printf(&t.query, "GET /processes/%u", inc->culprit_pid);
	say(e, &t);
}

static void capture_spawns(struct incidents *s, struct inc *inc, const struct window *w)
{
	struct evidence *e = &inc->evidence;
	const struct win_spawner *top = NULL;
	struct text t = { 0 };

	for (uint32_t i = 0; i < w->n_spawners; i++)
		if (!top || w->spawners[i].n > top->n)
			top = &w->spawners[i];
	if (w->forks + w->exits == 0 ||
	    !evidence_item(e, s->host->wall_ns(s->ctx, w->to_ns), "spawns", inc->culprit.workload))
		return;
	evidence_number(e, "seconds", (double)(w->to_ns - w->first_ns) / 1e9, "s");
	evidence_number(e, "forks", w->forks, "");
	evidence_number(e, "exits", w->exits, "");
	evidence_number(e, "never_exec", w->never_exec, "");
	evidence_number(e, "failed", w->failed, "");
	evidence_number(e, "killed", w->killed, "");
	evidence_number(e, "short_lived", w->short_lived, "");
	lnx_buf_printf(&t.say, "%s started %u processes and %u ended, %u without running a program",
		       inc->culprit.workload, w->forks, w->exits, w->never_exec);
	if (top) {
		evidence_number(e, "spawner_pid", top->pid, "");
		evidence_text(e, "spawner_comm", top->comm);
		evidence_number(e, "spawner_forks", top->n, "");
		lnx_buf_printf(&t.say, "; most by %s[%u]: %u", top->comm, top->pid, top->n);
	}
	lnx_buf_char(&t.say, '.');
	lnx_buf_printf(&t.query, "GET /events?type=proc.fork,proc.exit&since_seq=%llu&limit=10000",
		       (unsigned long long)(w->first_seq ? w->first_seq - 1 : 0));
	say(e, &t);
}

/* Events that were lost since the start, wherever; NaN: the host does not tell. */
static double events_lost(struct incidents *s)
{
	struct lnx_buf text = { 0 };
	const void *vtable;
	double sum = NAN;
	const char *key;
	json_t *root, *n;
	void *self;

	if (s->host->service(s->ctx, "core/1", &vtable, &self) < 0 ||
	    ((const struct lnx_svc_core *)vtable)->status_json(self, &text) < 0 ||
	    lnx_buf_error(&text)) {
		lnx_buf_done(&text);
		return NAN;
	}
	root = json_loadb(text.data, text.size, 0, NULL);
	json_object_foreach(json_object_get(root, "dropped"), key, n)
	{
		sum = (isnan(sum) ? 0 : sum) + json_number_value(n);
	}
	json_decref(root);
	lnx_buf_done(&text);
	return sum;
}

/* What is not known: how far back the ring goes, and how sure the ledger is. */
static void capture_losses(struct incidents *s, struct inc *inc, const struct window *w)
{
	double covers = w->first_ns ? (double)(w->to_ns - w->first_ns) / 1e9 : 0, sure = NAN;
	struct evidence *e = &inc->evidence;
	double lost = events_lost(s);
	struct text t = { 0 };

	for (uint32_t i = 0; i < w->n_victims; i++)
		if (w->victims[i].n && !(win_confidence(&w->victims[i]) >= sure))
			sure = win_confidence(&w->victims[i]);
	if (!evidence_item(e, s->host->wall_ns(s->ctx, w->to_ns), "losses", "node"))
		return;
	evidence_number(e, "covers_s", covers, "s");
	evidence_number(e, "asked_s", (double)s->conf->before_ns / 1e9, "s");
	evidence_number(e, "confidence_pct", 100 * sure, "pct");
	evidence_number(e, "events_lost_since_start", lost, "");
	lnx_buf_str(&t.say, "The events kept cover ");
	evidence_print(&t.say, covers);
	lnx_buf_str(&t.say, " s before the alert");
	if (isfinite(sure)) {
		lnx_buf_str(&t.say, "; ledger and kernel agree to ");
		evidence_print(&t.say, 100 * sure);
		lnx_buf_str(&t.say, " %");
	}
	if (isfinite(lost)) {
		lnx_buf_str(&t.say, "; events lost since the start of the agent: ");
		evidence_print(&t.say, lost);
	}
	lnx_buf_char(&t.say, '.');
	lnx_buf_str(&t.query, "GET /status");
	say(e, &t);
}

void inc_capture(struct incidents *s, struct inc *inc, const struct alert *a)
{
	struct window *w = malloc(sizeof(*w));

	inc_capture_alert(s, inc, a);
	if (!w) {
		inc->evidence.refused++;
		return;
	}
	window_read(w, s, inc, a->ev->h.ts_ns);
	capture_stall(s, inc, w);
	capture_pressure(s, inc, w);
	capture_host(s, inc, w);
	capture_processes(s, inc, "culprit", &inc->culprit);
	capture_tree(s, inc);
	capture_spawns(s, inc, w);
	inc_capture_limits(s, inc, "culprit", &inc->culprit);
	for (uint32_t i = 0; i < inc->n_named && i < 1; i++) {
		capture_processes(s, inc, "victim", &inc->victims[i]);
		inc_capture_limits(s, inc, "victim", &inc->victims[i]);
	}
	capture_losses(s, inc, w);
	free(w);
}
