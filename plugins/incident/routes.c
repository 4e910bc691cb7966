/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* /incidents, /incidents/{id}, /incidents/stats, /incidents/{id}/feedback. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

#define SPAN_MAX (365 * 86400 * INC_SEC)
#define EVIDENCE ",\"evidence\":[" /* where the long part of a document begins */

int inc_parse_span(const char *text, uint64_t *ret_ns)
{
	static const struct {
		char unit;
		double ns;
	} units[] = { { 's', 1e9 }, { 'm', 60e9 }, { 'h', 3600e9 }, { 'd', 86400e9 } };
	char *end;
	double v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtod(text, &end);
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (end[0] != units[i].unit || end[1])
			continue;
		v *= units[i].ns;
		if (!isfinite(v) || v < 1e9 || v > (double)SPAN_MAX)
			return -EINVAL;
		*ret_ns = (uint64_t)v;
		return 0;
	}
	return -EINVAL;
}

json_t *inc_body(const struct lnx_svc_http *http, struct lnx_http_req *req, const char *const *keys)
{
	uint32_t n = 0;
	const char *body = http->body(req, &n), *key, *const * k;
	json_error_t error;
	json_t *root, *value;

	if (!n) {
		body = "{}";
		n = 2;
	}
	root = json_loadb(body, n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root)) {
		(void)http->error(req, 400, "bad_request", "the body must be a JSON object");
		json_decref(root);
		return NULL;
	}
	json_object_foreach(root, key, value)
	{
		for (k = keys; *k && strcmp(*k, key) != 0; k++)
			;
		if (*k && json_is_string(value))
			continue;
		(void)http->error(req, 400, "bad_request",
				  *k ? "%.40s must be a text" : "unknown member '%.40s'", key);
		json_decref(root);
		return NULL;
	}
	return root;
}

/* ---- lists */

/* A document up to its evidence. */
static void put_summary(struct lnx_buf *out, const char *doc)
{
	const char *cut = strstr(doc, EVIDENCE);

	lnx_json_next(out);
	lnx_buf_add(out, doc, cut ? (size_t)(cut - doc) : strlen(doc));
	if (cut)
		lnx_buf_char(out, '}');
}

static int list_each(void *arg, const struct lnx_store_record *r)
{
	put_summary(arg, r->doc);
	return lnx_buf_error(arg) != 0;
}

static int choice(const char *text, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(text, names[i]))
			return i;
	return -EINVAL;
}

/* 0, or -EINVAL and it is answered. */
static int read_query(struct incidents *s, struct lnx_http_req *req, struct lnx_store_query *q)
{
	static const char *const states[] = { "open", "closed", NULL };
	static const char *const severities[] = { "info", "warning", "critical", NULL };
	const char *state = s->http->param(req, "state"), *since = s->http->param(req, "since"),
		   *severity = s->http->param(req, "severity");
	uint64_t span, now = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
	int of_state = state ? choice(state, states) : 0;
	int of_severity = severity ? choice(severity, severities) : 0;

	if (of_state < 0) {
		(void)s->http->error(req, 400, "bad_parameter", "state must be open or closed");
		return -EINVAL;
	}
	if (of_severity < 0) {
		(void)s->http->error(req, 400, "bad_parameter",
				     "severity must be info, warning or critical");
		return -EINVAL;
	}
	if (since && inc_parse_span(since, &span)) {
		(void)s->http->error(req, 400, "bad_parameter",
				     "since must be a span such as 30m, 2h or 7d, at most 365d");
		return -EINVAL;
	}
	if (state)
		q->states = 1u << of_state;
	if (severity)
		q->min_severity = (uint32_t)of_severity;
	if (since)
		q->from_ns = now > span ? now - span : 0;
	if (s->http->param_u64(req, "limit", 100, 1, 10000, &q->limit) < 0 ||
	    s->http->param_u64(req, "offset", 0, 0, UINT32_MAX, &q->offset) < 0)
		return -EINVAL;
	return 0;
}

/* Say what an answer lacks. */
static void degraded(struct incidents *s, struct lnx_http_req *req, int rc)
{
	if (rc == -EAGAIN)
		(void)s->http->set_header(req, "X-Linnix-Degraded",
					  "history is still being opened: only what is in memory");
	else if (rc < 0)
		(void)s->http->set_header(req, "X-Linnix-Degraded",
					  "history cannot be read: only what is in memory");
}

static int memory_matches(const struct inc *inc, const struct lnx_store_query *q)
{
	return (!q->states || q->states & 1u << !inc->is_open) &&
	       inc->severity >= q->min_severity && inc->opened_wall_ns >= q->from_ns;
}

/* Incidents of <q>, of the store or, without one, of memory alone. As lnx_svc_store.each. */
static int each_incident(struct incidents *s, const struct lnx_store_query *q,
			 int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	uint64_t skip = q->offset, left = q->limit;
	int is_over = 0;

	if (s->store)
		return s->store->each(s->store_self, q, each, arg);
	for (const struct inc *inc = s->newest; inc && left && !is_over; inc = inc->next) {
		struct lnx_store_record r = { .size = sizeof(r),
					      .kind = LNX_STORE_INCIDENT,
					      .id = inc->id,
					      .parent = inc->fingerprint,
					      .ts_ns = inc->opened_wall_ns,
					      .end_ns = inc->closed_wall_ns,
					      .state = !inc->is_open,
					      .severity = inc->severity };
		struct lnx_buf doc = { 0 };

		if (!memory_matches(inc, q))
			continue;
		if (skip) {
			skip--;
			continue;
		}
		left--;
		inc_json(s, inc, &doc);
		r.doc = doc.data;
		r.doc_bytes = doc.size;
		is_over = lnx_buf_error(&doc) ? -ENOMEM : each(arg, &r);
		lnx_buf_done(&doc);
	}
	return -EIO;
}

static void get_list(void *arg, struct lnx_http_req *req)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_INCIDENT };
	struct incidents *s = arg;
	struct lnx_buf out = { 0 };

	if (read_query(s, req, &q))
		return;
	lnx_buf_char(&out, '[');
	degraded(s, req, each_incident(s, &q, list_each, &out));
	lnx_buf_char(&out, ']');
	if (lnx_buf_error(&out))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 200, NULL, out.data, out.size);
	lnx_buf_done(&out);
}

/* ---- one */

static int feedback_each(void *arg, const struct lnx_store_record *r)
{
	struct lnx_buf *out = arg;

	lnx_json_next(out);
	lnx_buf_add(out, r->doc, r->doc_bytes);
	return 0;
}

struct actions {
	struct lnx_buf *out;
	char outcome[16]; /* of the newest that was measured; "": none was */
};

static int action_each(void *arg, const struct lnx_store_record *r)
{
	struct actions *a = arg;
	json_t *doc = *a->outcome ? NULL : json_loadb(r->doc, r->doc_bytes, 0, NULL);
	const char *outcome = json_string_value(json_object_get(doc, "outcome"));

	if (outcome && strcmp(outcome, "none") != 0)
		(void)snprintf(a->outcome, sizeof(a->outcome), "%s", outcome); /* a short word */
	json_decref(doc);
	return feedback_each(a->out, r);
}

/* What is kept beside an incident: members of its object. */
static void put_kept(struct incidents *s, struct lnx_http_req *req, const char *id,
		     struct lnx_buf *out)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_ACTION, .parent = id };
	struct actions actions = { .out = out };

	lnx_json_key(out, "actions");
	lnx_buf_char(out, '[');
	if (s->store)
		degraded(s, req, s->store->each(s->store_self, &q, action_each, &actions));
	lnx_buf_char(out, ']');
	lnx_json_key(out, "outcome");
	if (*actions.outcome)
		lnx_json_str(out, actions.outcome);
	else
		lnx_buf_str(out, "null");
	q.kind = LNX_STORE_FEEDBACK;
	lnx_json_key(out, "feedback");
	lnx_buf_char(out, '[');
	if (s->store)
		degraded(s, req, s->store->each(s->store_self, &q, feedback_each, out));
	lnx_buf_char(out, ']');
}

static void get_one(void *arg, struct lnx_http_req *req)
{
	struct incidents *s = arg;
	const char *id = s->http->param(req, "id");
	struct lnx_buf out = { 0 };
	int rc = inc_service.json(s, id ? id : "", &out);

	if (rc == -ENOENT || rc == -EINVAL) {
		(void)s->http->error(req, 404, "not_found", "no incident '%.40s'", id ? id : "");
	} else if (rc < 0 || !out.size) {
		(void)s->http->error(req, 503, "no_history", "the history cannot be read now");
	} else {
		out.size--; /* what is kept beside goes into the same object */
		put_kept(s, req, id, &out);
		lnx_buf_char(&out, '}');
		if (lnx_buf_error(&out))
			(void)s->http->error(req, 503, "no_memory", "out of memory");
		else
			(void)s->http->respond(req, 200, NULL, out.data, out.size);
	}
	lnx_buf_done(&out);
}

static int exists_each(void *arg, const struct lnx_store_record *r)
{
	(void)arg;
	(void)r;
	return 1;
}

static int exists(struct incidents *s, const char *id)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_INCIDENT, .id = id };

	return inc_find(s, id) || s->store->each(s->store_self, &q, exists_each, NULL) == 1;
}

static void post_feedback(void *arg, struct lnx_http_req *req)
{
	static const char *const keys[] = { "verdict", "note", "by", NULL };
	static const char *const verdicts[] = { "useful", "noise", NULL };
	struct incidents *s = arg;
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_FEEDBACK };
	const char *id = s->http->param(req, "id"), *verdict, *note, *by;
	struct lnx_buf doc = { 0 };
	char key[27];
	json_t *root = inc_body(s->http, req, keys);
	int rc = 0;

	if (!root)
		return;
	verdict = json_string_value(json_object_get(root, "verdict"));
	note = json_string_value(json_object_get(root, "note"));
	by = json_string_value(json_object_get(root, "by"));
	if (!verdict || choice(verdict, verdicts) < 0) {
		rc = s->http->error(req, 400, "bad_request", "verdict must be useful or noise");
	} else if (note && strlen(note) > 1000) {
		rc = s->http->error(req, 400, "bad_request", "note is longer than 1000 bytes");
	} else if (!s->store) {
		rc = s->http->error(req, 503, "no_store", "there is no plugin store to keep it in");
	} else if (!id || !exists(s, id)) {
		rc = s->http->error(req, 404, "not_found", "no incident '%.40s'", id ? id : "");
	} else {
		r.ts_ns = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
		s->store->ulid(s->store_self, r.ts_ns, key);
		lnx_buf_char(&doc, '{');
		lnx_json_key(&doc, "ts");
		lnx_json_ts(&doc, r.ts_ns);
		lnx_json_kv_str(&doc, "verdict", verdict);
		lnx_json_kv_str(&doc, "note", note ? note : "");
		lnx_json_kv_str(&doc, "by", by ? by : "");
		lnx_buf_char(&doc, '}');
		r.id = key;
		r.parent = id;
		r.state = (uint32_t)choice(verdict, verdicts);
		r.doc = doc.data;
		r.doc_bytes = doc.size;
		if (lnx_buf_error(&doc) || s->store->put(s->store_self, &r) < 0)
			rc = s->http->error(req, 503, "no_memory", "it cannot be kept now");
		else
			rc = s->http->respond(req, 201, NULL, doc.data, doc.size);
	}
	(void)rc; /* the request ends anyway */
	lnx_buf_done(&doc);
	json_decref(root);
}

/* ---- stats */

#define STATS_CAUSES 16
#define STATS_MOST   10000 /* incidents that are counted: the store gives no more at once */

struct stats {
	uint32_t n, n_open, n_severity[3], n_useful, n_noise;
	double closed_s;
	uint32_t n_closed;
	struct {
		char name[32];
		uint32_t n;
	} causes[STATS_CAUSES];
	uint32_t n_causes;
	int is_cut; /* there are more than were counted */
};

static int stats_each(void *arg, const struct lnx_store_record *r)
{
	const char *at = strstr(r->doc, "\"cause\":\""), *end;
	struct stats *st = arg;
	char name[32] = "other";
	uint32_t i;

	st->n++;
	st->n_open += r->state == 0;
	st->n_severity[r->severity % 3]++;
	if (r->state && r->end_ns > r->ts_ns) {
		st->closed_s += (double)(r->end_ns - r->ts_ns) / 1e9;
		st->n_closed++;
	}
	at = at ? at + 9 : NULL;
	end = at ? strchr(at, '"') : NULL;
	if (end && (size_t)(end - at) < sizeof(name)) {
		memcpy(name, at, (size_t)(end - at));
		name[end - at] = 0;
	}
	for (i = 0; i < st->n_causes && strcmp(st->causes[i].name, name) != 0; i++)
		;
	if (i == STATS_CAUSES)
		return 0;
	if (i == st->n_causes)
		memcpy(st->causes[st->n_causes++].name, name, sizeof(name));
	st->causes[i].n++;
	return 0;
}

static int stats_feedback(void *arg, const struct lnx_store_record *r)
{
	struct stats *st = arg;

	st->n_useful += r->state == 0;
	st->n_noise += r->state == 1;
	return 0;
}

static void stats_json(const struct stats *st, struct lnx_buf *out)
{
	static const char *const severities[] = { "info", "warning", "critical" };

	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "incidents", st->n);
	lnx_json_kv_u64(out, "open", st->n_open);
	lnx_json_kv_bool(out, "truncated", st->is_cut);
	lnx_json_key(out, "by_severity");
	lnx_buf_char(out, '{');
	for (unsigned i = 0; i < 3; i++)
		lnx_json_kv_u64(out, severities[i], st->n_severity[i]);
	lnx_buf_char(out, '}');
	lnx_json_key(out, "by_cause");
	lnx_buf_char(out, '{');
	for (uint32_t i = 0; i < st->n_causes; i++)
		lnx_json_kv_u64(out, st->causes[i].name, st->causes[i].n);
	lnx_buf_char(out, '}');
	lnx_json_kv_f64(out, "mean_duration_s", st->n_closed ? st->closed_s / st->n_closed : NAN);
	lnx_json_key(out, "feedback");
	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "useful", st->n_useful);
	lnx_json_kv_u64(out, "noise", st->n_noise);
	lnx_buf_str(out, "}}");
}

static int see_one(void *arg, const struct lnx_store_record *r)
{
	(void)arg;
	(void)r;
	return 1;
}

/* Records of <q> that are counted: what lies behind the newest of them is not, and the answer says so. */
static int count_each(struct incidents *s, struct lnx_store_query *q,
		      int (*each)(void *arg, const struct lnx_store_record *r), struct stats *st)
{
	int rc = q->kind == LNX_STORE_INCIDENT ? each_incident(s, q, each, st)
					       : s->store->each(s->store_self, q, each, st);

	if (rc < STATS_MOST || !s->store)
		return rc;
	q->offset = STATS_MOST;
	q->limit = 1;
	st->is_cut |= s->store->each(s->store_self, q, see_one, NULL) > 0;
	q->offset = 0;
	q->limit = STATS_MOST;
	return rc;
}

static void get_stats(void *arg, struct lnx_http_req *req)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_INCIDENT };
	struct incidents *s = arg;
	struct stats st = { 0 };
	struct lnx_buf out = { 0 };
	int rc;

	if (read_query(s, req, &q))
		return;
	q.limit = STATS_MOST;
	rc = count_each(s, &q, stats_each, &st);
	if (s->store) {
		q.kind = LNX_STORE_FEEDBACK;
		q.states = q.min_severity = 0;
		if (rc >= 0)
			rc = count_each(s, &q, stats_feedback, &st);
	}
	degraded(s, req, rc);
	if (rc >= 0 && st.is_cut)
		(void)s->http->set_header(
			req, "X-Linnix-Degraded",
			"only the newest 10000 are counted: ask for less with since");
	stats_json(&st, &out);
	if (lnx_buf_error(&out))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 200, NULL, out.data, out.size);
	lnx_buf_done(&out);
}

static const char *const list_query[] = { "state", "severity", "since", "limit", "offset", NULL };
static const char *const stats_query[] = { "since", NULL };

static const struct lnx_http_route routes[] = {
	{ .size = sizeof(routes[0]),
	  .method = "GET",
	  .path = "/incidents",
	  .query = list_query,
	  .handle = get_list },
	/* before the one with an id: the first that fits answers */
	{ .size = sizeof(routes[0]),
	  .method = "GET",
	  .path = "/incidents/stats",
	  .query = stats_query,
	  .handle = get_stats },
	{ .size = sizeof(routes[0]),
	  .method = "GET",
	  .path = "/incidents/{id}",
	  .handle = get_one },
	{ .size = sizeof(routes[0]),
	  .flags = LNX_HTTP_ADMIN,
	  .method = "POST",
	  .path = "/incidents/{id}/feedback",
	  .handle = post_feedback },
};

int inc_routes(struct incidents *s)
{
	const void *vtable;
	int rc = 0;

	if (s->host->service(s->ctx, "http/1", &vtable, &s->http_self) < 0)
		return 0; /* no API wanted */
	s->http = vtable;
	for (size_t i = 0; !rc && i < sizeof(routes) / sizeof(routes[0]); i++)
		rc = s->http->route(s->http_self, &routes[i], s);
	return rc ? rc : silence_routes(s);
}
