/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the world is told of an action: the event action.done, its record in the store, and the entry of who decided what in
 * the hash-chained log. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "act.h"

const char *const enf_verbs[] = { "throttle", "weight", "freeze", "signal" };
const char *const enf_states[] = { "proposed", "refused", "rejected", "expired", "applied",
				   "undone",   "failed",  "dry-run",  "measured" };
const char *const enf_outcomes[] = { "none", "helped", "no-change", "worse" };

const char *enf_signal(uint32_t signal)
{
	const char *name = sigabbrev_np((int)signal);

	return name ? name : "?";
}

uint64_t enf_wall(struct enforce *s)
{
	return s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
}

const char *enf_text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	return t ? t : "";
}

/* ---- JSON */

static void put_ts(const struct enforce *s, struct lnx_buf *out, const char *key, uint64_t boot_ns)
{
	lnx_json_key(out, key);
	if (boot_ns)
		lnx_json_ts(out, s->host->wall_ns(s->ctx, boot_ns));
	else
		lnx_buf_str(out, "null");
}

static void put_target(const struct act *a, struct lnx_buf *out)
{
	lnx_json_key(out, "target");
	lnx_buf_char(out, '{');
	lnx_workload_json(out, a->namespace_, a->workload);
	lnx_json_kv_str(out, "namespace", a->namespace_);
	lnx_json_kv_str(out, "cgroup", a->path);
	lnx_json_kv_u64(out, "cgroup_id", a->cgroup_id);
	lnx_json_kv_u64(out, "pid", a->pid);
	lnx_json_kv_u64(out, "start_ns", a->start_ns);
	lnx_json_kv_str(out, "comm", a->comm);
	lnx_buf_char(out, '}');
}

void enf_json(struct enforce *s, const struct act *a, struct lnx_buf *out)
{
	const struct lnx_ident *ident = s->host->ident(s->ctx);
	char id[128];

	(void)snprintf(id, sizeof(id), "%.90s/%s", ident->node, a->id); /* host names are shorter */
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "id", id);
	lnx_json_kv_str(out, "state", enf_states[a->state]);
	lnx_json_kv_bool(out, "in_force",
			 (a->phase == ENF_IN_FORCE || a->phase == ENF_LEFT) && a->n_undo);
	lnx_json_kv_str(out, "verb", enf_verbs[a->verb]);
	if (a->verb == LNX_ACTION_SIGNAL)
		lnx_json_kv_str(out, "signal", enf_signal(a->signal));
	else if (a->verb != LNX_ACTION_FREEZE)
		lnx_json_kv_f64(out, "value", a->value);
	lnx_json_kv_str(out, "rule", a->rule);
	lnx_json_kv_str(out, "incident", a->incident);
	put_target(a, out);
	lnx_json_kv_str(out, "victim", a->victim);
	lnx_json_kv_str(out, "reason", a->reason);
	lnx_json_kv_str(out, "plan", a->plan);
	lnx_json_kv_bool(out, "auto", (int)a->is_auto);
	lnx_json_kv_str(out, "by", a->by);
	lnx_json_kv_str(out, "text", a->text);
	lnx_json_kv_str(out, "outcome", enf_outcomes[a->outcome]);
	lnx_json_kv_f64(out, "before_ms_per_s", a->before);
	lnx_json_kv_f64(out, "after_ms_per_s", a->after);
	lnx_json_key(out, "asked");
	lnx_json_ts(out, a->asked_wall_ns);
	put_ts(s, out, "due", a->state == LNX_ACTION_PROPOSED ? a->due_ns : 0);
	put_ts(s, out, "applied", a->applied_ns);
	put_ts(s, out, "until", a->phase == ENF_IN_FORCE ? a->until_ns : 0);
	put_ts(s, out, "over", a->over_ns);
	lnx_json_kv_str(out, "node", ident->node);
	lnx_buf_char(out, '}');
}

void enf_fill(struct enforce *s, const struct act *a, char *id, size_t cap, struct lnx_action *ret)
{
	uint64_t until = a->state == LNX_ACTION_PROPOSED ? a->due_ns
			 : a->phase == ENF_IN_FORCE	 ? a->until_ns
							 : 0;

	(void)snprintf(id, cap, "%.90s/%s", s->host->ident(s->ctx)->node, a->id); /* likewise */
	*ret = (struct lnx_action){ .size = sizeof(*ret) };
	ret->verb = a->verb;
	ret->state = a->state;
	ret->outcome = a->outcome;
	ret->is_auto = a->is_auto;
	ret->pid = a->pid;
	ret->start_ns = a->start_ns;
	ret->cgroup_id = a->cgroup_id;
	ret->ts_ns = a->asked_wall_ns;
	ret->until_ns = until ? s->host->wall_ns(s->ctx, until) : 0;
	ret->before_ms_per_s = a->before;
	ret->after_ms_per_s = a->after;
	ret->id = id;
	ret->incident = a->incident;
	ret->rule = a->rule;
	ret->workload = a->workload;
	ret->namespace_ = a->namespace_;
	ret->comm = a->comm;
	ret->reason = a->reason;
	ret->plan = a->plan;
	ret->by = a->by;
	ret->text = a->text;
}

/* ---- store and log */

/* 0, or -errno: the store counts what it refuses. */
static int save(struct enforce *s, const struct act *a)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_ACTION };
	struct lnx_buf doc = { 0 };
	int rc;

	enf_json(s, a, &doc);
	rc = lnx_buf_error(&doc);
	if (!rc) {
		r.id = a->id;
		r.parent = a->incident;
		r.doc = doc.data;
		r.doc_bytes = doc.size;
		r.ts_ns = a->asked_wall_ns;
		r.end_ns = a->over_ns ? s->host->wall_ns(s->ctx, a->over_ns) : 0;
		r.state = a->state;
		rc = s->store->put(s->store_self, &r);
	}
	lnx_buf_done(&doc);
	return rc;
}

int enf_audit(struct enforce *s, const struct act *a, const char *what)
{
	struct lnx_buf doc = { 0 };
	int rc;

	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "verb", enf_verbs[a->verb]);
	lnx_json_kv_str(&doc, "rule", a->rule);
	lnx_json_kv_str(&doc, "incident", a->incident);
	lnx_json_kv_str(&doc, "workload", a->workload);
	lnx_json_kv_u64(&doc, "pid", a->pid);
	lnx_json_kv_str(&doc, "plan", a->plan);
	lnx_json_kv_str(&doc, "by", a->by);
	lnx_json_kv_str(&doc, "text", a->text);
	lnx_buf_char(&doc, '}');
	rc = lnx_buf_error(&doc);
	if (!rc)
		rc = s->store->log(s->store_self, enf_wall(s), a->id, what, doc.data);
	lnx_buf_done(&doc);
	return rc;
}

void enf_settle(struct enforce *s, struct act *a)
{
	char what[32];

	if (a->owed & ENF_OWED_DOC && save(s, a) == 0)
		a->owed &= ~ENF_OWED_DOC;
	for (uint32_t i = 0; a->owed && i <= LNX_ACTION_MEASURED; i++) {
		(void)snprintf(what, sizeof(what), "action-%s", enf_states[i]); /* fits */
		if (a->owed >> i & 1 && enf_audit(s, a, what) == 0)
			a->owed &= ~(1u << i);
	}
}

/* ---- the event */

union space {
	struct lnx_ev_action_done done;
	struct lnx_event h;
	char bytes[LNX_EVENT_MAX];
};

static struct lnx_str put(union space *u, const char *text)
{
	struct lnx_str out = { 0 };
	size_t n = strlen(text);

	if (!n || n > LNX_STR_MAX || n > sizeof(u->bytes) - u->h.size)
		return out; /* none of ours is so long */
	memcpy(u->bytes + u->h.size, text, n);
	out.off = (__u16)u->h.size;
	out.len = (__u16)n;
	u->h.size += (__u32)n;
	return out;
}

static void publish(struct enforce *s, const struct act *a)
{
	union space u;
	char id[128];

	memset(&u.done, 0, sizeof(u.done));
	u.h.size = u.h.fixed = sizeof(u.done);
	u.h.type = LNX_EV_ACTION_DONE;
	u.h.pid = a->pid;
	u.h.cpu = LNX_CPU_NONE;
	u.done.verb = a->verb;
	u.done.state = a->state;
	u.done.outcome = a->outcome;
	u.done.before_ms_per_s = a->before;
	u.done.after_ms_per_s = a->after;
	u.done.cgroup_id = a->cgroup_id;
	(void)snprintf(id, sizeof(id), "%.90s/%s", s->host->ident(s->ctx)->node, a->id);
	u.done.id = put(&u, id);
	u.done.incident = put(&u, a->incident);
	u.done.rule = put(&u, a->rule);
	u.done.workload = put(&u, a->workload);
	u.done.comm = put(&u, a->comm);
	u.done.by = put(&u, a->by);
	u.done.text = put(&u, a->state == LNX_ACTION_PROPOSED || a->state == LNX_ACTION_DRY_RUN
				      ? a->plan
				      : a->text);
	if (s->host->publish(s->ctx, &u.h) < 0)
		s->host->log(s->ctx, LNX_WARN, "an event of action %s was lost", a->id);
}

void enf_tell(struct enforce *s, struct act *a, uint32_t state)
{
	a->state = state;
	s->host->metric_add(s->ctx, s->m_states[state], 1);
	publish(s, a);
	a->owed |= ENF_OWED_DOC | 1u << state;
	enf_settle(s, a);
}
