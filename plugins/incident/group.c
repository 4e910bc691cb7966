/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which incident an alert belongs to, and when one opens, opens again and closes. The key is (cause class, culprit or else
 * victim, resource, node): one hog with thirty victims is one incident. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

#define UPDATE_EVERY_NS (5 * INC_SEC) /* of what is not urgent */

/* Class of a rule that does not say it itself (labels = { class = … }). */
static const struct {
	const char *rule, *cause;
} classes[] = {
	{ "noisy-neighbour", "contention" }, { "fork-storm", "contention" },
	{ "circuit-breaker", "saturation" }, { "psi-", "saturation" },
	{ "memory-leak", "memory" },	     { "oom", "memory" },
	{ "short-lived", "churn" },	     { "crash-loop", "churn" },
};

static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
	h = (h ^ 0xff) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 31;
}

const char *inc_name(const struct inc_who *w, char *buf, size_t cap)
{
	(void)snprintf(buf, cap, "%s%s%s", w->namespace_, *w->namespace_ ? "/" : "",
		       w->workload); /* cut is fine: for people and globs */
	return buf;
}

static void set(char *to, size_t cap, const char *from)
{
	size_t n = strnlen(from, cap - 1); /* likewise */

	memcpy(to, from, n);
	to[n] = 0;
}

int inc_who(struct incidents *s, uint64_t cgroup_id, struct inc_who *ret)
{
	struct lnx_workload w = { .size = sizeof(w) };
	const void *vtable;
	void *self;

	memset(ret, 0, sizeof(*ret));
	ret->cgroup_id = cgroup_id;
	if (!cgroup_id || s->host->service(s->ctx, "workload/1", &vtable, &self) < 0 ||
	    ((const struct lnx_svc_workload *)vtable)->get(self, cgroup_id, &w) < 0)
		return -ENOENT;
	if (w.slot_cgroup_id && w.slot_cgroup_id != cgroup_id)
		ret->cgroup_id = w.slot_cgroup_id;
	set(ret->workload, sizeof(ret->workload), w.workload);
	set(ret->namespace_, sizeof(ret->namespace_), w.namespace_);
	set(ret->pod_name, sizeof(ret->pod_name), w.pod_name);
	return 0;
}

/* ---- the alert, read once */

static void copy(char *to, size_t cap, const struct lnx_event *ev, struct lnx_str str)
{
	size_t n = str.len < cap ? str.len : cap - 1;

	memcpy(to, (const char *)ev + str.off, n);
	to[n] = 0;
}

/* Text of member <name> of the alert's labels, <def> if there is none. */
static void label(const struct alert *a, const char *name, const char *def, char *ret, size_t cap)
{
	json_t *root = json_loads(a->labels, 0, NULL);
	const char *text = json_string_value(json_object_get(root, name));

	set(ret, cap, text && *text ? text : def);
	json_decref(root);
}

static void read_subject(struct incidents *s, struct alert *a)
{
	const struct lnx_ev_alert *ev = a->ev;
	char text[128];

	(void)inc_who(s, ev->subject_cgroup_id, &a->subject); /* what the alert says, then */
	copy(text, sizeof(text), &ev->h, ev->subject_workload);
	if (!*a->subject.workload)
		set(a->subject.workload, sizeof(a->subject.workload), text);
	if (!*a->subject.workload && *a->comm)
		set(a->subject.workload, sizeof(a->subject.workload), a->comm);
	if (!*a->subject.workload && ev->subject_cgroup_id)
		(void)snprintf(a->subject.workload, sizeof(a->subject.workload), "cgroup:%llu",
			       (unsigned long long)ev->subject_cgroup_id); /* fits */
	if (!LNX_EV_HAS(&ev->h, struct lnx_ev_alert, victim_namespace) || !ev->victim.len)
		return;
	(void)inc_who(s, ev->victim_cgroup_id, &a->victim); /* likewise */
	copy(a->victim.workload, sizeof(a->victim.workload), &ev->h, ev->victim);
	if (ev->victim_namespace.len)
		copy(a->victim.namespace_, sizeof(a->victim.namespace_), &ev->h,
		     ev->victim_namespace);
}

static void read_alert(struct incidents *s, const struct lnx_event *ev, struct alert *a)
{
	const struct lnx_ev_alert *e = (const struct lnx_ev_alert *)ev;
	const char *cause;

	memset(a, 0, sizeof(*a));
	a->ev = e;
	a->wall_ns = s->host->wall_ns(s->ctx, ev->ts_ns);
	(void)s->host->event_meta(s->ctx, ev, &a->meta); /* zeroes then */
	copy(a->rule, sizeof(a->rule), ev, e->rule);
	copy(a->say, sizeof(a->say), ev, e->say);
	copy(a->comm, sizeof(a->comm), ev, e->subject_comm);
	copy(a->labels, sizeof(a->labels), ev, e->labels);
	copy(a->evidence, sizeof(a->evidence), ev, e->evidence);
	cause = a->rule;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (!strncmp(a->rule, classes[i].rule, strlen(classes[i].rule)))
			cause = classes[i].cause;
	label(a, "class", cause, a->cause, sizeof(a->cause));
	label(a, "blame", "", a->resource, sizeof(a->resource));
	read_subject(s, a);
}

static void fingerprint(struct incidents *s, const struct alert *a, char ret[17])
{
	const struct inc_who *who = *a->subject.workload ? &a->subject : &a->victim;
	uint64_t h = hash_text(0xcbf29ce484222325ULL, a->cause);

	h = hash_text(h, who->namespace_);
	h = hash_text(h, who->workload);
	h = hash_text(h, a->resource);
	h = hash_text(h, s->host->ident(s->ctx)->node);
	(void)snprintf(ret, 17, "%016llx", (unsigned long long)h); /* fits */
}

/* ---- memory */

struct inc *inc_find(struct incidents *s, const char *id)
{
	struct inc *inc = s->newest;

	while (inc && strcmp(inc->id, id) != 0)
		inc = inc->next;
	return inc;
}

void inc_done(struct inc *inc)
{
	evidence_done(&inc->evidence);
	free(inc->labels);
	free(inc->explanation);
	free(inc);
}

void inc_free(struct incidents *s, struct inc *inc)
{
	struct inc **p = &s->newest;

	while (*p != inc)
		p = &(*p)->next;
	*p = inc->next;
	s->n--;
	inc_done(inc);
}

/* The oldest that is closed goes. -ENOBUFS: all are open. */
static int make_room(struct incidents *s)
{
	struct inc *inc, *oldest = NULL;

	if (s->n < INC_MAX)
		return 0;
	for (inc = s->newest; inc; inc = inc->next)
		if (!inc->is_open)
			oldest = inc;
	if (!oldest)
		return -ENOBUFS;
	inc_free(s, oldest);
	return 0;
}

static void insert(struct incidents *s, struct inc **before, struct inc *inc)
{
	inc->next = *before;
	*before = inc;
	s->n++;
}

int inc_keep(struct incidents *s, struct inc *inc)
{
	struct inc **p = &s->newest;

	if (make_room(s) < 0)
		return -ENOBUFS;
	while (*p && (*p)->opened_wall_ns > inc->opened_wall_ns)
		p = &(*p)->next;
	insert(s, p, inc);
	return 0;
}

static struct inc *inc_new(struct incidents *s)
{
	struct inc *inc = make_room(s) < 0 ? NULL : calloc(1, sizeof(*inc));

	if (inc)
		insert(s, &s->newest, inc);
	return inc;
}

/* ULID: the time, then a hash of key and time, so that a recording replayed makes the same one. */
static void make_id(const struct inc *inc, char ret[LNX_ULID_MAX])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t ms = inc->opened_wall_ns / 1000000, h[2];
	char text[48];

	(void)snprintf(text, sizeof(text), "%s %llu", inc->fingerprint,
		       (unsigned long long)inc->opened_wall_ns); /* fits */
	h[0] = hash_text(1, text);
	h[1] = hash_text(2, text);
	for (int i = 9; i >= 0; i--, ms >>= 5)
		ret[i] = digits[ms & 31];
	for (int i = 25; i >= 10; i--, h[i & 1] >>= 5)
		ret[i] = digits[h[i & 1] & 31];
	ret[26] = 0;
}

/* ---- alerts of one incident */

static struct inc_active *active_find(struct inc *inc, uint64_t rule, uint64_t key)
{
	for (uint32_t i = 0; i < inc->n_active; i++)
		if (inc->active[i].rule == rule && inc->active[i].key == key)
			return &inc->active[i];
	return NULL;
}

/* The incident in which alert (rule, key) fires. */
static struct inc *active_inc(struct incidents *s, uint64_t rule, uint64_t key)
{
	for (struct inc *inc = s->newest; inc; inc = inc->next)
		if (inc->is_open && active_find(inc, rule, key))
			return inc;
	return NULL;
}

static void active_add(struct inc *inc, uint64_t rule, uint64_t key)
{
	inc->quiet_ns = 0;
	if (active_find(inc, rule, key))
		return;
	inc->n_alerts++;
	if (inc->n_active < INC_ACTIVE)
		inc->active[inc->n_active++] = (struct inc_active){ rule, key };
	else
		inc->n_unnamed_active++;
}

int inc_victim_add(struct inc *inc, const struct inc_who *v)
{
	if (!*v->workload)
		return 0;
	for (uint32_t i = 0; i < inc->n_named; i++)
		if (inc->victims[i].cgroup_id == v->cgroup_id &&
		    !strcmp(inc->victims[i].workload, v->workload))
			return 0;
	inc->n_victims++;
	if (inc->n_named < INC_VICTIMS)
		inc->victims[inc->n_named++] = *v;
	return 1;
}

static void make_title(struct inc *inc, const struct alert *a)
{
	char culprit[200], victim[200];

	if (!inc->n_victims || !*inc->culprit.workload) {
		set(inc->title, sizeof(inc->title), a->say);
		return;
	}
	(void)inc_name(&inc->culprit, culprit, sizeof(culprit));
	(void)inc_name(&inc->victims[0], victim, sizeof(victim));
	if (inc->n_victims == 1)
		(void)snprintf(inc->title, sizeof(inc->title), "%.90s makes %.90s wait%s%s",
			       culprit, victim, *inc->resource ? " for " : "", inc->resource);
	else
		(void)snprintf(inc->title, sizeof(inc->title),
			       "%.90s makes %.90s and %u more wait%s%s", culprit, victim,
			       inc->n_victims - 1, *inc->resource ? " for " : "", inc->resource);
}

/* ---- transitions */

static void log_transition(struct incidents *s, const struct inc *inc, const char *what)
{
	static const char *const severities[] = { "info", "warning", "critical" };
	struct lnx_buf doc = { 0 };
	char name[200];

	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "severity", severities[inc->severity % 3]);
	lnx_json_kv_str(&doc, "cause", inc->cause);
	lnx_json_kv_str(&doc, "culprit", inc_name(&inc->culprit, name, sizeof(name)));
	lnx_json_kv_str(&doc, "rule", inc->rule);
	lnx_json_kv_u64(&doc, "victims", inc->n_victims);
	lnx_json_kv_u64(&doc, "alerts", inc->n_alerts);
	inc_log(s, inc->id, what, &doc);
}

static void count_opened(struct incidents *s, const char *rule, uint32_t severity, double n)
{
	static const char *const severities[] = { "info", "warning", "critical" },
				 *const labels[] = { "rule", "severity", NULL };
	static const struct lnx_metric_desc desc = { .name = "linnix_incidents_total",
						     .help = "Incidents opened.",
						     .kind = LNX_COUNTER,
						     .labels = labels };
	const char *const values[] = { rule, severities[severity % 3] };
	struct lnx_metric *m;

	if (s->host->metric(s->ctx, &desc, values, &m) == 0)
		s->host->metric_add(s->ctx, m, n);
}

void inc_count_none(struct incidents *s)
{
	for (uint32_t i = 0; i < 3; i++)
		count_opened(s, "", i, 0);
}

/* Who it is now, and by how much: the process of an earlier time may be gone. */
static void take_culprit(struct inc *inc, const struct alert *a)
{
	set(inc->comm, sizeof(inc->comm), a->comm);
	inc->culprit = a->subject;
	inc->culprit_pid = a->ev->subject_pid;
	inc->culprit_start_ns = a->ev->subject_start_ns;
	inc->value = a->ev->value;
	inc->threshold = a->ev->threshold;
}

static struct inc *open_new(struct incidents *s, const struct alert *a, const char *print)
{
	struct inc *inc = inc_new(s);

	if (!inc) {
		s->host->metric_add(s->ctx, s->m_dropped, 1);
		return NULL;
	}
	memcpy(inc->fingerprint, print, sizeof(inc->fingerprint));
	set(inc->cause, sizeof(inc->cause), a->cause);
	set(inc->resource, sizeof(inc->resource), a->resource);
	set(inc->rule, sizeof(inc->rule), a->rule);
	take_culprit(inc, a);
	inc->labels = strdup(*a->labels ? a->labels : "{}");
	inc->severity = a->ev->severity;
	inc->is_open = 1;
	inc->opened_ns = a->ev->h.ts_ns;
	inc->opened_wall_ns = a->wall_ns;
	make_id(inc, inc->id);
	return inc;
}

static void begin(struct incidents *s, struct inc *inc, const struct alert *a, uint64_t rule,
		  uint32_t reason)
{
	active_add(inc, rule, a->ev->key);
	(void)inc_victim_add(inc, &a->victim); /* the first, or known */
	make_title(inc, a);
	if (reason == LNX_INCIDENT_OPENED) {
		inc_capture(s, inc, a);
		count_opened(s, inc->rule, inc->severity, 1);
	} else {
		inc_capture_more(s, inc, a);
	}
	inc->is_silenced = (uint32_t)silence_matches(s, inc);
	if (inc->is_silenced)
		s->host->metric_add(s->ctx, s->m_silenced, 1);
	log_transition(s, inc, reason == LNX_INCIDENT_OPENED ? "open" : "reopen");
	inc_publish(s, inc, LNX_EV_INCIDENT_OPEN, reason);
}

static void reopen(struct inc *inc, const struct alert *a)
{
	take_culprit(inc, a);
	if (a->ev->severity > inc->severity)
		inc->severity = a->ev->severity;
	inc->is_open = 1;
	inc->flaps++;
	inc->closed_ns = inc->closed_wall_ns = 0;
	inc->n_active = inc->n_unnamed_active = 0;
}

/* Is it evidence that is not there yet? A note that comes again is the same. */
static int is_new(struct inc *inc, const struct alert *a, uint64_t rule)
{
	if (active_find(inc, rule, a->ev->key))
		return 0;
	if (a->ev->severity > LNX_SEV_INFO)
		return 1;
	for (uint32_t i = 0; i < inc->n_notes; i++)
		if (inc->notes[i].rule == rule && inc->notes[i].key == a->ev->key)
			return 0;
	if (inc->n_notes < EV_ALERTS) /* no more of them are evidence anyway */
		inc->notes[inc->n_notes++] = (struct inc_active){ rule, a->ev->key };
	return 1;
}

/* One more alert of an open incident. */
static void join(struct incidents *s, struct inc *inc, const struct alert *a, uint64_t rule)
{
	int is_known = !is_new(inc, a, rule), is_worse;
	uint32_t reason = LNX_INCIDENT_EVIDENCE;

	is_worse = a->ev->severity > inc->severity;
	if (a->ev->severity > LNX_SEV_INFO)
		active_add(inc, rule, a->ev->key);
	if (inc_victim_add(inc, &a->victim))
		reason = LNX_INCIDENT_VICTIMS;
	if (is_worse)
		inc_capture_alert(s, inc, a);
	else if (!is_known)
		inc_capture_more(s, inc, a);
	if (inc->n_victims || !strcmp(a->rule, inc->rule))
		make_title(inc, a);
	if (is_worse)
		inc->severity = a->ev->severity;
	if (is_worse || reason == LNX_INCIDENT_VICTIMS) /* what a silence looks at */
		inc->is_silenced = (uint32_t)silence_matches(s, inc);
	if (is_worse) {
		reason = LNX_INCIDENT_SEVERITY;
		inc->updated_ns = a->ev->h.ts_ns;
		log_transition(s, inc, "severity");
		inc_publish(s, inc, LNX_EV_INCIDENT_UPDATE, reason);
	} else if (!is_known) {
		inc->owed = reason + 1;
	}
}

/* True if <a> belongs to <inc> though its key is another: breaker and saturation are what contention does, and a note about a
 * culprit is evidence against it. */
static int joins(const struct inc *inc, const struct alert *a)
{
	if (!strcmp(a->cause, "saturation") && !strcmp(inc->cause, "contention") &&
	    (!*a->resource || !strcmp(a->resource, inc->resource)))
		return 1;
	return a->ev->severity == LNX_SEV_INFO && *a->subject.workload &&
	       !strcmp(a->subject.workload, inc->culprit.workload) &&
	       !strcmp(a->subject.namespace_, inc->culprit.namespace_);
}

/* The open incident of <a>: of its key, else one that it joins. */
static struct inc *open_of(struct incidents *s, const struct alert *a, const char *print)
{
	struct inc *inc;

	for (inc = s->newest; inc; inc = inc->next)
		if (inc->is_open && !strcmp(inc->fingerprint, print))
			return inc;
	for (inc = s->newest; inc && !(inc->is_open && joins(inc, a));)
		inc = inc->next;
	return inc;
}

static void on_firing(struct incidents *s, const struct alert *a, uint64_t rule)
{
	struct inc *inc = active_inc(s, rule, a->ev->key);
	char print[17];

	fingerprint(s, a, print);
	if (!inc)
		inc = open_of(s, a, print);
	if (inc) {
		join(s, inc, a, rule);
		return;
	}
	if (a->ev->severity == LNX_SEV_INFO)
		return; /* a note opens nothing */
	for (struct inc *i = s->newest; i && !inc; i = i->next)
		if (!strcmp(i->fingerprint, print) &&
		    a->ev->h.ts_ns <= i->closed_ns + s->conf->reopen_ns)
			inc = i;
	if (inc) {
		reopen(inc, a);
		begin(s, inc, a, rule, LNX_INCIDENT_REOPENED);
		return;
	}
	inc = open_new(s, a, print);
	if (inc)
		begin(s, inc, a, rule, LNX_INCIDENT_OPENED);
}

static void on_resolved(struct incidents *s, const struct alert *a, uint64_t rule)
{
	struct inc *inc = active_inc(s, rule, a->ev->key);
	struct inc_active *act;
	char print[17];

	if (inc) {
		act = active_find(inc, rule, a->ev->key);
		*act = inc->active[--inc->n_active];
	} else if (a->ev->severity == LNX_SEV_INFO) {
		return; /* a note holds nothing open */
	} else {
		fingerprint(s, a, print);
		inc = open_of(s, a, print);
		/* its names may be gone by now: of any that has one, then */
		if (!inc || !inc->n_unnamed_active)
			for (inc = s->newest; inc && !(inc->is_open && inc->n_unnamed_active);)
				inc = inc->next;
		if (!inc)
			return;
		inc->n_unnamed_active--;
	}
	if (!inc->n_active && !inc->n_unnamed_active)
		inc->quiet_ns = a->ev->h.ts_ns;
}

int inc_on_alert(struct incidents *s, const struct lnx_event *ev)
{
	struct alert a;
	uint64_t rule;

	if (!LNX_EV_HAS(ev, struct lnx_ev_alert, key) ||
	    ((const struct lnx_ev_alert *)ev)->severity > LNX_SEV_CRITICAL)
		return -EINVAL;
	read_alert(s, ev, &a);
	rule = hash_text(3, a.rule);
	if (a.ev->state == LNX_ALERT_FIRING)
		on_firing(s, &a, rule);
	else
		on_resolved(s, &a, rule);
	return 0;
}

/* What it came to. */
static void capture_course(struct inc *inc)
{
	double seconds = ((double)inc->closed_wall_ns - (double)inc->opened_wall_ns) / 1e9;
	struct evidence *e = &inc->evidence;
	struct lnx_buf text = { 0 };
	char query[64];

	/* one that was opened again has one from its first end */
	if (!evidence_again(e, inc->closed_wall_ns, "course") &&
	    !evidence_item(e, inc->closed_wall_ns, "course", ""))
		return;
	evidence_number(e, "duration_s", seconds, "s");
	evidence_number(e, "victims", inc->n_victims, "");
	evidence_number(e, "alerts", inc->n_alerts, "");
	evidence_number(e, "flaps", inc->flaps, "");
	lnx_buf_str(&text, "It lasted ");
	evidence_print(&text, seconds);
	lnx_buf_str(&text, " s, the quiet time at its end included.");
	(void)snprintf(query, sizeof(query), "GET /incidents/%s", inc->id); /* fits */
	evidence_say(e, lnx_buf_error(&text) ? "" : text.data, query);
	lnx_buf_done(&text);
}

void inc_close(struct incidents *s, struct inc *inc, uint64_t now_ns)
{
	inc->is_open = 0;
	inc->owed = 0;
	inc->closed_ns = now_ns;
	inc->closed_wall_ns = s->host->wall_ns(s->ctx, now_ns);
	capture_course(inc);
	log_transition(s, inc, "close");
	inc_publish(s, inc, LNX_EV_INCIDENT_CLOSE, LNX_INCIDENT_QUIET);
}

void inc_tick(struct incidents *s, uint64_t now_ns)
{
	struct inc *inc, *next;
	unsigned n_open = 0;

	for (inc = s->newest; inc; inc = next) {
		next = inc->next;
		if (inc->is_open && inc->quiet_ns && now_ns - inc->quiet_ns >= s->conf->quiet_ns)
			inc_close(s, inc, now_ns);
		else if (inc->is_open && inc->owed && now_ns - inc->updated_ns >= UPDATE_EVERY_NS) {
			inc->updated_ns = now_ns;
			inc_publish(s, inc, LNX_EV_INCIDENT_UPDATE, inc->owed - 1);
			inc->owed = 0;
		}
		n_open += inc->is_open;
		if (!inc->is_open && now_ns - inc->closed_ns > s->conf->reopen_ns)
			inc_free(s, inc);
	}
	s->host->metric_set(s->ctx, s->m_open, n_open);
}
