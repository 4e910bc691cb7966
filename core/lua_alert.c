/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From a key that fires to an `alert` event: value, evidence, sentence, all within the limits of one event. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <linnix/ev_action.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_stall.h>

#include "lua_bind.h"
#include "tags.h"

#define ALERT_S		   1000000000ULL
#define ALERT_EVIDENCE_MAX 1000 /* bytes of JSON: a string of an event holds 1,024 */

/* An event with its tail, aligned. */
union alert_space {
	struct lnx_event h;
	struct lnx_ev_alert alert;
	struct lnx_ev_rule_disabled disabled;
	struct lnx_ev_action_request request;
	char bytes[LNX_EVENT_MAX];
};

size_t lnx_alert_cut(const char *s, size_t n, size_t max)
{
	if (n <= max)
		return n;
	while (max && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* Put <n> bytes of <s> into the tail; cut to what a string may hold. */
static struct lnx_str alert_str(union alert_space *u, const char *s, size_t n)
{
	size_t room = sizeof(u->bytes) - u->h.size;
	struct lnx_str out = { 0 };

	n = s ? lnx_alert_cut(s, n, room < LNX_STR_MAX ? room : LNX_STR_MAX) : 0;
	if (!n)
		return out;
	memcpy(u->bytes + u->h.size, s, n);
	out.off = (__u16)u->h.size;
	out.len = (__u16)n;
	u->h.size += (__u32)n;
	return out;
}

/* A number for people: whole ones in full, others with one digit. */
static void alert_number(struct lnx_buf *b, double v)
{
	if (!isfinite(v))
		lnx_buf_str(b, "?");
	else if (v == floor(v) && fabs(v) < 1e15)
		lnx_buf_printf(b, "%.0f", v);
	else
		lnx_buf_printf(b, fabs(v) < 1 ? "%.3f" : "%.1f", v);
}

enum alert_word {
	WORD_KEY = 0,
	WORD_PID,
	WORD_COMM,
	WORD_CGROUP,
	WORD_RULE,
	WORD_VALUE,
	WORD_THRESHOLD,
	WORD_SEVERITY,
	WORD_LAST,
	WORD_WINDOW = 100,
	WORD_FACT = WORD_WINDOW + LNX_RULE_WINDOWS,
	WORD_SERIES = 1000 /* + 16 * series + part */
};

static const char *const alert_words[] = { "key",  "pid",   "comm",	 "cgroup_id",
					   "rule", "value", "threshold", "severity" };
static const char *const alert_severities[] = { "info", "warning", "critical" };

/* "memory.slope" of a series, or -ENOENT. */
static int alert_series_name(const struct lnx_rule *rule, const char *word)
{
	unsigned i, k;

	for (i = 0; i < rule->n_series; i++) {
		size_t n = strlen(rule->series[i].name);

		if (strncmp(word, rule->series[i].name, n) != 0 || word[n] != '.')
			continue;
		for (k = 0; k < LNX_SERIES_PARTS; k++)
			if (strcmp(word + n + 1, lnx_series_part_names[k]) == 0)
				return WORD_SERIES + (int)(16 * i + k);
	}
	return -ENOENT;
}

int lnx_alert_figure(const struct lnx_rules *r, const struct lnx_rule *rule, const char *name,
		     size_t len)
{
	char word[LNX_WIN_NAME + 16];
	unsigned i;
	int fact;

	if (len == 0 || len >= sizeof(word))
		return -ENOENT;
	memcpy(word, name, len);
	word[len] = 0;
	for (i = 0; i < rule->n_windows; i++)
		if (strcmp(rule->windows[i].name, word) == 0)
			return WORD_WINDOW + (int)i;
	fact = lnx_lua_bind_fact(r, word);
	return fact < 0 ? alert_series_name(rule, word) : WORD_FACT + fact;
}

int lnx_alert_name(const struct lnx_rules *r, const struct lnx_rule *rule, const char *name,
		   size_t len)
{
	int i;

	/* a window may have the name of a word, and goes first */
	for (i = 0; i < (int)rule->n_windows; i++)
		if (strlen(rule->windows[i].name) == len &&
		    memcmp(rule->windows[i].name, name, len) == 0)
			return WORD_WINDOW + i;
	for (i = 0; i < WORD_LAST; i++)
		if (strlen(alert_words[i]) == len && memcmp(alert_words[i], name, len) == 0)
			return i;
	return lnx_alert_figure(r, rule, name, len);
}

static double alert_window(const struct lnx_rules *r, const struct lnx_key *key,
			   const struct lnx_window *w)
{
	return lnx_window_read(w, lnx_key_window(key, w), (char *)key->rule->totals + w->offset,
			       r->now_ns);
}

static double alert_series(const struct lnx_rules *r, const struct lnx_key *key, unsigned at)
{
	const struct lnx_series *s = &key->rule->series[at / 16];

	return lnx_series_read(s, lnx_key_series(key, s), at % 16, r->now_ns);
}

/* A word of lnx_alert_figure. */
static double alert_figure(const struct lnx_rules *r, const struct lnx_key *key, int word)
{
	if (word >= WORD_SERIES)
		return alert_series(r, key, (unsigned)(word - WORD_SERIES));
	if (word >= WORD_FACT)
		return r->host[word - WORD_FACT];
	return alert_window(r, key, &key->rule->windows[word - WORD_WINDOW]);
}

/* What the alert measured: the named value, or what the condition read first. */
static double alert_value(const struct lnx_rules *r, const struct lnx_key *key)
{
	if (key->rule->value >= 0)
		return alert_figure(r, key, key->rule->value);
	return r->n_reads ? r->reads[0].value : NAN;
}

static void alert_word_text(const struct lnx_rules *r, const struct lnx_key *key, int word,
			    const struct lnx_ev_alert *a, struct lnx_buf *b)
{
	const struct lnx_rule *rule = key->rule;
	struct lnx_value num;
	char number[32];

	if (word >= WORD_WINDOW) {
		alert_number(b, alert_figure(r, key, word));
		return;
	}
	switch ((enum alert_word)word) {
	case WORD_KEY:
		num = lnx_key_value(key);
		if (!key->is_text)
			lnx_key_number(&num, number, sizeof(number));
		lnx_buf_str(b, key->is_text ? lnx_key_text(key) : number);
		return;
	case WORD_PID:
		lnx_buf_u64(b, key->subject.pid);
		return;
	case WORD_COMM:
		lnx_buf_str(b, key->subject.comm);
		return;
	case WORD_CGROUP:
		lnx_buf_u64(b, key->subject.cgroup_id);
		return;
	case WORD_RULE:
		lnx_buf_str(b, rule->name);
		return;
	case WORD_VALUE:
		alert_number(b, a->value);
		return;
	case WORD_THRESHOLD:
		alert_number(b, a->threshold);
		return;
	case WORD_SEVERITY:
		lnx_buf_str(b, alert_severities[a->severity]);
		return;
	case WORD_LAST:
	case WORD_WINDOW:
	case WORD_FACT:
	case WORD_SERIES:
		return;
	}
}

static void alert_say(struct lnx_rules *r, struct lnx_key *key, const struct lnx_ev_alert *a,
		      struct lnx_buf *b)
{
	struct lnx_rule *rule = key->rule;
	const char *s = rule->say_text, *end;
	char text[LNX_STR_MAX + 1] = "";

	/* the sentence of a resolved alert has no condition to tell of */
	if (a->state == LNX_ALERT_FIRING && rule->say != LUA_NOREF &&
	    lnx_call_say(r, rule, text, sizeof(text)) == 0) {
		lnx_buf_str(b, text);
		return;
	}
	if (!s || a->state == LNX_ALERT_RESOLVED) {
		lnx_buf_printf(b, "%s %s", rule->name,
			       a->state == LNX_ALERT_FIRING ? "fires" : "is over");
		if (key->subject.comm[0])
			lnx_buf_printf(b, ": %s (pid %u)", key->subject.comm, key->subject.pid);
		return;
	}
	while (*s) {
		end = *s == '{' ? strchr(s, '}') : NULL;
		if (end) {
			alert_word_text(r, key,
					lnx_alert_name(r, rule, s + 1, (size_t)(end - s - 1)), a,
					b);
			s = end + 1;
		} else {
			lnx_buf_char(b, *s++);
		}
	}
}

/* What the condition read, then the other windows. */
static void alert_evidence(const struct lnx_rules *r, const struct lnx_key *key, struct lnx_buf *b)
{
	const struct lnx_rule *rule = key->rule;
	struct lnx_read all[LNX_RULE_READS + LNX_RULE_WINDOWS];
	unsigned n = r->n_reads, i, k;
	char one[160], name[2 * LNX_WIN_NAME];
	size_t len;

	memcpy(all, r->reads, n * sizeof(all[0]));
	for (i = 0; i < rule->n_windows; i++) {
		const struct lnx_window *w = &rule->windows[i];

		for (k = 0; k < r->n_reads && all[k].name != w->name; k++)
			;
		if (k == r->n_reads)
			all[n++] = (struct lnx_read){ w->name, NULL, lnx_window_unit(w),
						      alert_window(r, key, w) };
	}
	lnx_buf_char(b, '[');
	for (i = 0; i < n; i++) {
		struct lnx_buf e = { .max = sizeof(one) };

		lnx_buf_str(&e, "{");
		(void)snprintf(name, sizeof(name), "%s%s%s", all[i].name, all[i].part ? "." : "",
			       all[i].part ? all[i].part : "");
		lnx_json_kv_str(&e, "name", name);
		lnx_json_kv_f64(&e, "value", all[i].value);
		lnx_json_kv_str(&e, "unit", all[i].unit);
		lnx_buf_char(&e, '}');
		len = lnx_buf_error(&e) ? 0 : e.size;
		if (len && b->size + len + 2 < ALERT_EVIDENCE_MAX) {
			lnx_json_next(b);
			lnx_buf_add(b, e.data, len);
		}
		lnx_buf_done(&e);
	}
	lnx_buf_char(b, ']');
}

/* An alert about a stall names who was stalled. */
static void alert_victim(const struct lnx_rules *r, union alert_space *u)
{
	const struct lnx_ev_stall_edge *e = (const void *)r->ev;
	struct lnx_ev_alert *a = &u->alert;

	if (!r->ev || r->ev->type != LNX_EV_STALL_EDGE ||
	    !LNX_EV_HAS(r->ev, struct lnx_ev_stall_edge, victim_namespace))
		return;
	a->victim_cgroup_id = e->victim_cgroup_id;
	a->victim = alert_str(u, (const char *)e + e->victim.off, e->victim.len);
	a->victim_namespace =
		alert_str(u, (const char *)e + e->victim_namespace.off, e->victim_namespace.len);
}

struct lnx_metric *lnx_alert_counter(struct lnx_rules *r, struct lnx_rule *rule, uint32_t severity)
{
	static const char *const labels[] = { "rule", "severity", NULL };
	static const struct lnx_metric_desc desc = { .name = "linnix_alerts_total",
						     .help = "Alerts that began to fire.",
						     .kind = LNX_COUNTER,
						     .labels = labels };
	const char *values[2];

	values[0] = rule->name;
	values[1] = alert_severities[severity];
	if (!rule->m_alerts[severity] &&
	    lnx_metrics_series(r->conf.metrics, &desc, values, r, &rule->m_alerts[severity]) < 0)
		return NULL; /* the registry counts what it refused */
	return rule->m_alerts[severity];
}

/* Counters of what was published: never of a test. */
static void alert_count(struct lnx_rules *r, struct lnx_rule *rule, uint32_t severity)
{
	struct lnx_metric *m;

	if (!r->conf.metrics || r->emit_arg)
		return;
	m = lnx_alert_counter(r, rule, severity);
	if (m)
		lnx_metric_add(m, 1);
}

void lnx_alert_key_text(const struct lnx_key *key, char *buf, size_t cap)
{
	const struct lnx_value num = lnx_key_value(key);

	if (!key->rule->n_bys)
		buf[0] = 0;
	else if (key->is_text)
		(void)lnx_lua_printable(lnx_key_text(key), buf, cap);
	else
		lnx_key_number(&num, buf, cap);
}

/* Remember for GET /rules: the newest few. */
static void alert_note(struct lnx_key *key, const struct lnx_ev_alert *a)
{
	struct lnx_rule *rule = key->rule;
	struct lnx_rule_recent *x = &rule->recent[rule->n_recent++ % LNX_RULE_RECENT];

	x->ts_ns = a->h.ts_ns;
	x->state = a->state;
	x->severity = a->severity;
	x->pid = key->subject.pid;
	x->value = a->value;
	(void)lnx_lua_printable(key->subject.comm, x->comm, sizeof(x->comm));
	lnx_alert_key_text(key, x->key, sizeof(x->key));
}

static void alert_publish(struct lnx_rules *r, const struct lnx_event *ev)
{
	if (r->emit && r->emit(r, ev) < 0)
		r->alerts_lost++;
}

static bool alert_is_left_alone(const struct lnx_rules *r, uint64_t cgroup_id)
{
	struct lnx_tag tag = { .size = sizeof(tag) };

	return lnx_tags_get(r->conf.tags, cgroup_id, &tag) == 0 && tag.is_ignored;
}

/* Whom it is about, or who suffers, is to be left alone (annotation linnix.dev/ignore). The machine never is. */
static bool alert_is_ignored(const struct lnx_rules *r, const struct lnx_key *key)
{
	const struct lnx_ev_stall_edge *e = (const void *)r->ev;

	if (key->subject.kind != LNX_SUBJECT_NODE && alert_is_left_alone(r, key->subject.cgroup_id))
		return true;
	return r->ev && r->ev->type == LNX_EV_STALL_EDGE &&
	       LNX_EV_HAS(r->ev, struct lnx_ev_stall_edge, victim_cgroup_id) &&
	       alert_is_left_alone(r, e->victim_cgroup_id);
}

/* Does the alert go out? What was told to fire is also told to be over, whatever was annotated meanwhile. */
static bool alert_may(struct lnx_rules *r, struct lnx_key *key, uint32_t state)
{
	bool may = key->is_told;

	if (state == LNX_ALERT_RESOLVED) {
		key->is_told = false;
		return may;
	}
	if (alert_is_ignored(r, key)) {
		key->rule->ignored++;
		return false;
	}
	key->is_told = true;
	return true;
}

/* Ask for what the rule wants done about its subject. Enforcement decides, if there is one. */
static void alert_request(struct lnx_rules *r, struct lnx_key *key, const struct lnx_ev_alert *a,
			  const char *say, size_t say_len)
{
	const struct lnx_subject *s = &key->subject;
	struct lnx_rule *rule = key->rule;
	struct lnx_ev_action_request *q;
	struct lnx_tag tag = { .size = sizeof(tag) };
	union alert_space u;

	key->asked_s = (uint32_t)(r->now_ns / ALERT_S);
	if (!s->pid && !s->cgroup_id) {
		rule->acts_aimless++;
		return;
	}
	if (alert_is_left_alone(r, s->cgroup_id)) {
		rule->ignored++; /* the tree that holds most of the machine's stall */
		return;
	}
	(void)lnx_tags_get(r->conf.tags, s->cgroup_id, &tag); /* unknown: "" */
	q = &u.request;
	memset(q, 0, sizeof(*q));
	q->h.size = q->h.fixed = sizeof(*q);
	q->h.type = LNX_EV_ACTION_REQUEST;
	q->h.ts_ns = r->now_ns;
	q->h.pid = s->pid;
	q->h.cpu = LNX_CPU_NONE;
	q->verb = rule->act.verb;
	q->signal = rule->act.signal;
	q->value = rule->act.value;
	q->lease_ns = rule->act.lease_ns;
	q->start_ns = s->start_ns;
	q->cgroup_id = s->cgroup_id;
	q->victim_cgroup_id = a->victim_cgroup_id;
	q->alert_key = a->key;
	q->rule = alert_str(&u, rule->name, strlen(rule->name));
	q->workload = alert_str(&u, tag.workload, strlen(tag.workload));
	q->namespace_ = alert_str(&u, tag.namespace_, strlen(tag.namespace_));
	q->comm = alert_str(&u, s->comm, strlen(s->comm));
	q->reason = alert_str(&u, say, say_len);
	rule->acts++;
	alert_publish(r, &u.h);
}

/* The words of the alert, into its tail. */
static void alert_texts(struct lnx_rules *r, struct lnx_key *key, union alert_space *u)
{
	struct lnx_buf say = { .max = LNX_EVENT_MAX }, evidence = { .max = LNX_EVENT_MAX };
	const struct lnx_rule *rule = key->rule;
	const char *labels = rule->labels_json ? rule->labels_json : "{}";
	struct lnx_ev_alert *a = &u->alert;
	struct lnx_tag tag = { .size = sizeof(tag) };

	(void)lnx_tags_get(r->conf.tags, key->subject.cgroup_id, &tag); /* unknown: "" */
	a->rule = alert_str(u, rule->name, strlen(rule->name));
	a->subject_workload = alert_str(u, tag.workload, strlen(tag.workload));
	a->subject_comm = alert_str(u, key->subject.comm, strlen(key->subject.comm));
	alert_say(r, key, a, &say);
	alert_evidence(r, key, &evidence);
	if (!lnx_buf_error(&say))
		a->say = alert_str(u, say.data, say.size);
	if (!lnx_buf_error(&evidence))
		a->evidence = alert_str(u, evidence.data, evidence.size);
	a->labels = alert_str(u, labels, strlen(labels));
	alert_victim(r, u);
	lnx_buf_done(&say);
	lnx_buf_done(&evidence);
}

/* The alert of <key> as it stands now, without its words. */
static void alert_fill(struct lnx_rules *r, struct lnx_key *key, uint32_t state, uint32_t severity,
		       struct lnx_ev_alert *a)
{
	memset(a, 0, sizeof(*a));
	a->h.size = a->h.fixed = sizeof(*a);
	a->h.type = LNX_EV_ALERT;
	a->h.ts_ns = r->now_ns;
	a->h.pid = key->subject.pid;
	a->h.cpu = LNX_CPU_NONE;
	a->severity = severity;
	a->state = state;
	a->subject_kind = key->subject.kind;
	a->subject_pid = key->subject.pid;
	a->subject_start_ns = key->subject.start_ns;
	a->subject_cgroup_id = key->subject.cgroup_id;
	a->since_ns = key->since_ns;
	a->key = key->h1 >> 11;
	a->value = alert_value(r, key);
	a->threshold = key->rule->threshold;
}

/* Nothing is done about a note. */
static bool alert_may_ask(const struct lnx_rule *rule, uint32_t severity)
{
	return rule->act.is_set && !rule->is_shadow && severity >= LNX_SEV_WARNING;
}

void lnx_alert_emit(struct lnx_rules *r, struct lnx_key *key, uint32_t state, uint32_t severity,
		    bool may_ask)
{
	struct lnx_rule *rule = key->rule;
	union alert_space u;
	struct lnx_ev_alert *a = &u.alert;

	if (!alert_may(r, key, state))
		return;
	alert_fill(r, key, state, severity, a);
	alert_texts(r, key, &u);
	alert_note(key, a);
	if (rule->is_shadow && !r->emit_arg)
		return;
	if (state == LNX_ALERT_FIRING)
		alert_count(r, rule, severity);
	r->alerting = key;
	alert_publish(r, &u.h);
	/* once it is more than a note, a further rise asks for nothing new */
	if (state == LNX_ALERT_FIRING && may_ask && alert_may_ask(rule, severity))
		alert_request(r, key, a, u.bytes + a->say.off, a->say.len);
}

bool lnx_alert_is_ask_due(const struct lnx_rules *r, const struct lnx_key *key)
{
	const struct lnx_rule_act *act = &key->rule->act;
	uint64_t wait_ns = act->lease_ns ? act->lease_ns : LNX_RULE_ASK_NS;

	/* rather a second late: before its end the action is in force, and the request a repetition */
	return key->asked_s && key->is_told && alert_may_ask(key->rule, key->severity) &&
	       r->now_ns >= (key->asked_s + 1) * ALERT_S + wait_ns;
}

void lnx_alert_ask(struct lnx_rules *r, struct lnx_key *key)
{
	union alert_space u;
	struct lnx_ev_alert *a = &u.alert;

	key->asked_s = (uint32_t)(r->now_ns / ALERT_S); /* whatever comes of it: once in a lease */
	if (alert_is_ignored(r, key)) {
		key->rule->ignored++;
		return;
	}
	alert_fill(r, key, LNX_ALERT_FIRING, key->severity, a);
	alert_texts(r, key, &u);
	r->alerting = key;
	alert_request(r, key, a, u.bytes + a->say.off, a->say.len);
}

void lnx_alert_disabled(struct lnx_rules *r, const struct lnx_rule *rule)
{
	const char *path = r->files[rule->file].path;
	struct lnx_ev_rule_disabled *d;
	union alert_space u;
	unsigned i;

	d = &u.disabled;
	memset(d, 0, sizeof(*d));
	d->h.size = d->h.fixed = sizeof(*d);
	d->h.type = LNX_EV_RULE_DISABLED;
	d->h.ts_ns = r->now_ns;
	d->h.cpu = LNX_CPU_NONE;
	for (i = 0; i < LNX_FN_N; i++)
		d->failures = rule->failures[i] > d->failures ? rule->failures[i] : d->failures;
	d->line = (__u32)rule->error_line;
	d->rule = alert_str(&u, rule->name, strlen(rule->name));
	d->file = alert_str(&u, path, strlen(path));
	d->error = alert_str(&u, rule->error, strlen(rule->error));
	alert_publish(r, &u.h);
}
