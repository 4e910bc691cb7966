/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Silences: "rule=noisy-*,culprit=media/x*" for a while. An incident that one matches is kept and shown, and nobody is told.
 * Every one that is made or ended is in the log. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

static const char *const severities[] = { "info", "warning", "critical" };

/* Value of <key> of an incident, NULL: no such key. Victims are looked at one by one. */
static const char *value_of(const struct inc *inc, const char *key, uint32_t victim, char *buf,
			    size_t cap)
{
	if (!strcmp(key, "rule"))
		return inc->rule;
	if (!strcmp(key, "cause"))
		return inc->cause;
	if (!strcmp(key, "resource"))
		return inc->resource;
	if (!strcmp(key, "severity"))
		return severities[inc->severity % 3];
	if (!strcmp(key, "fingerprint"))
		return inc->fingerprint;
	if (!strcmp(key, "culprit"))
		return inc_name(&inc->culprit, buf, cap);
	if (!strcmp(key, "namespace"))
		return inc->culprit.namespace_;
	if (!strcmp(key, "victim"))
		return inc_name(&inc->victims[victim], buf, cap);
	if (!strcmp(key, "victim_namespace"))
		return inc->victims[victim].namespace_;
	return NULL;
}

/* The next "key=glob" of *io_at. 1, 0 at the end, -EINVAL. */
static int next_term(const char **io_at, char *key, size_t key_cap, char *glob, size_t glob_cap)
{
	const char *at = *io_at, *eq;
	size_t n = strcspn(at, ",");

	if (!*at)
		return 0;
	eq = memchr(at, '=', n);
	if (!eq || eq == at || (size_t)(eq - at) >= key_cap || n - (size_t)(eq - at) - 1 == 0 ||
	    n - (size_t)(eq - at) - 1 >= glob_cap)
		return -EINVAL;
	memcpy(key, at, (size_t)(eq - at));
	key[eq - at] = 0;
	memcpy(glob, eq + 1, n - (size_t)(eq - at) - 1);
	glob[n - (size_t)(eq - at) - 1] = 0;
	*io_at = at + n + (at[n] == ',');
	return 1;
}

int silence_parse(const char *match, char *error, size_t cap)
{
	static const struct inc nobody;
	char key[32], glob[128], buf[8];
	const char *at = match;
	int rc, n = 0;

	while ((rc = next_term(&at, key, sizeof(key), glob, sizeof(glob))) > 0) {
		n++;
		if (value_of(&nobody, key, 0, buf, sizeof(buf)))
			continue;
		(void)snprintf(
			error, cap,
			"match: '%s' is none of rule, cause, resource, severity, fingerprint, "
			"culprit, namespace, victim, victim_namespace",
			key); /* fits */
		return -EINVAL;
	}
	if (rc == 0 && n && strlen(match) < sizeof(((struct silence *)0)->match))
		return 0;
	(void)snprintf(error, cap, "match must be KEY=GLOB[,KEY=GLOB…]"); /* fits */
	return -EINVAL;
}

static int term_matches(const struct inc *inc, const char *key, const char *glob)
{
	uint32_t n = inc->n_named ? inc->n_named : 1;
	char buf[200];

	for (uint32_t i = 0; i < n; i++) {
		const char *v = value_of(inc, key, i, buf, sizeof(buf));

		if (v && fnmatch(glob, v, 0) == 0)
			return 1;
	}
	return 0;
}

static int is_match(const struct silence *si, const struct inc *inc)
{
	char key[32], glob[128];
	const char *at = si->match;
	int rc;

	while ((rc = next_term(&at, key, sizeof(key), glob, sizeof(glob))) > 0)
		if (!term_matches(inc, key, glob))
			return 0;
	return rc == 0;
}

int silence_matches(const struct incidents *s, const struct inc *inc)
{
	uint64_t now = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));

	for (uint32_t i = 0; i < s->n_silences; i++)
		if (s->silences[i].until_ns > now && is_match(&s->silences[i], inc))
			return 1;
	return 0;
}

static void apply(struct incidents *s)
{
	for (struct inc *inc = s->newest; inc; inc = inc->next) {
		uint32_t was = inc->is_silenced;

		if (!inc->is_open)
			continue;
		inc->is_silenced = (uint32_t)silence_matches(s, inc);
		if (inc->is_silenced != was) /* what waits for a receiver, and the store, follow */
			inc_publish(s, inc, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SILENCE);
	}
}

void silence_tick(struct incidents *s, uint64_t wall_ns)
{
	uint32_t n = s->n_silences;

	for (uint32_t i = 0; i < s->n_silences;) {
		if (s->silences[i].until_ns > wall_ns)
			i++;
		else
			s->silences[i] = s->silences[--s->n_silences];
	}
	if (n != s->n_silences)
		apply(s);
}

/* ---- the store */

static void silence_json(const struct silence *si, struct lnx_buf *out)
{
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "id", si->id);
	lnx_json_kv_str(out, "match", si->match);
	lnx_json_kv_str(out, "by", si->by);
	lnx_json_kv_str(out, "comment", si->comment);
	lnx_json_key(out, "from");
	lnx_json_ts(out, si->begin_ns);
	lnx_json_key(out, "until");
	lnx_json_ts(out, si->until_ns);
	lnx_buf_char(out, '}');
}

static void save(struct incidents *s, const struct silence *si)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_SILENCE };
	struct lnx_buf doc = { 0 };

	silence_json(si, &doc);
	if (s->store && !lnx_buf_error(&doc)) {
		r.id = si->id;
		r.doc = doc.data;
		r.doc_bytes = doc.size;
		r.ts_ns = si->begin_ns;
		r.end_ns = si->until_ns;
		(void)s->store->put(s->store_self, &r); /* the store counts what it refuses */
	}
	lnx_buf_done(&doc);
}

static void get_text(const json_t *o, const char *key, char *ret, size_t cap)
{
	const char *text = json_string_value(json_object_get(o, key));

	(void)snprintf(ret, cap, "%s", text ? text : ""); /* cut is fine: for people */
}

static int load_one(void *arg, const struct lnx_store_record *r)
{
	struct incidents *s = arg;
	struct silence *si = &s->silences[s->n_silences];
	json_t *root;

	if (s->n_silences == INC_SILENCES ||
	    r->end_ns <= s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)) ||
	    strlen(r->id) != LNX_ULID_MAX - 1)
		return 0;
	root = json_loadb(r->doc, r->doc_bytes, 0, NULL);
	memcpy(si->id, r->id, sizeof(si->id));
	get_text(root, "match", si->match, sizeof(si->match));
	get_text(root, "by", si->by, sizeof(si->by));
	get_text(root, "comment", si->comment, sizeof(si->comment));
	si->begin_ns = r->ts_ns;
	si->until_ns = r->end_ns;
	s->n_silences += *si->match != 0;
	json_decref(root);
	return 0;
}

void silence_load(struct incidents *s)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_SILENCE, .limit = 10000 };

	s->n_silences = 0;
	(void)s->store->each(s->store_self, &q, load_one, s); /* what can be read */
	apply(s);
}

/* ---- routes */

static void list(void *arg, struct lnx_http_req *req)
{
	struct incidents *s = arg;
	struct lnx_buf out = { 0 };

	silence_tick(s, s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)));
	lnx_buf_char(&out, '[');
	for (uint32_t i = 0; i < s->n_silences; i++) {
		lnx_json_next(&out);
		silence_json(&s->silences[i], &out);
	}
	lnx_buf_char(&out, ']');
	if (lnx_buf_error(&out))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 200, NULL, out.data, out.size);
	lnx_buf_done(&out);
}

/* By what right it was done: what the caller says of itself proves nothing. */
static void put_peer(struct incidents *s, struct lnx_http_req *req, struct lnx_buf *doc)
{
	char peer[64] = "";

	if (s->http->size >= offsetof(struct lnx_svc_http, peer) + sizeof(s->http->peer))
		s->http->peer(req, peer, sizeof(peer));
	lnx_json_kv_str(doc, "peer", peer);
}

/* Take the body over into <si>. 0, or -EINVAL and it is answered. */
static int read_body(struct incidents *s, struct lnx_http_req *req, struct silence *si)
{
	static const char *const keys[] = { "match", "for", "by", "comment", NULL };
	json_t *root = inc_body(s->http, req, keys);
	const char *match, *span;
	char error[256];
	uint64_t ns;
	int rc = -EINVAL;

	if (!root)
		return -EINVAL;
	match = json_string_value(json_object_get(root, "match"));
	span = json_string_value(json_object_get(root, "for"));
	if (!match || silence_parse(match, error, sizeof(error))) {
		(void)s->http->error(req, 400, "bad_request", "%s",
				     match ? error : "match is missing");
	} else if (!span || inc_parse_span(span, &ns)) {
		(void)s->http->error(req, 400, "bad_request",
				     "for must be a span such as 30m, 2h or 7d, at most 365d");
	} else {
		si->begin_ns = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
		si->until_ns = si->begin_ns + ns;
		get_text(root, "match", si->match, sizeof(si->match));
		get_text(root, "by", si->by, sizeof(si->by));
		get_text(root, "comment", si->comment, sizeof(si->comment));
		rc = 0;
	}
	json_decref(root);
	return rc;
}

static void add(void *arg, struct lnx_http_req *req)
{
	struct incidents *s = arg;
	struct silence si = { .id = "" };
	struct lnx_buf out = { 0 }, doc = { 0 };

	if (!s->store) {
		(void)s->http->error(req, 503, "no_store",
				     "there is no plugin store to keep it in");
		return;
	}
	if (read_body(s, req, &si))
		return;
	if (s->n_silences == INC_SILENCES) {
		(void)s->http->error(req, 409, "full", "there are %d silences already",
				     INC_SILENCES);
		return;
	}
	s->store->ulid(s->store_self, si.begin_ns, si.id);
	s->silences[s->n_silences++] = si;
	save(s, &si);
	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "match", si.match);
	lnx_json_kv_str(&doc, "by", si.by);
	put_peer(s, req, &doc);
	lnx_json_kv_str(&doc, "comment", si.comment);
	lnx_json_kv_u64(&doc, "until_ns", si.until_ns);
	inc_log(s, si.id, "silence", &doc);
	apply(s);
	silence_json(&si, &out);
	if (lnx_buf_error(&out))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 201, NULL, out.data, out.size);
	lnx_buf_done(&out);
}

static void end(void *arg, struct lnx_http_req *req)
{
	static const char *const keys[] = { "by", NULL };
	struct incidents *s = arg;
	const char *id = s->http->param(req, "id");
	json_t *root = inc_body(s->http, req, keys);
	struct lnx_buf doc = { 0 };
	char by[64];
	uint32_t i;

	if (!root)
		return;
	get_text(root, "by", by, sizeof(by));
	json_decref(root);
	for (i = 0; i < s->n_silences && strcmp(s->silences[i].id, id ? id : "") != 0; i++)
		;
	if (i == s->n_silences) {
		(void)s->http->error(req, 404, "not_found", "no silence '%.40s'", id ? id : "");
		return;
	}
	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "by", by);
	put_peer(s, req, &doc);
	inc_log(s, s->silences[i].id, "unsilence", &doc);
	s->silences[i].until_ns = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
	save(s, &s->silences[i]);
	silence_tick(s, s->silences[i].until_ns);
	(void)s->http->respond(req, 200, NULL, "{}", 2);
}

static const struct lnx_http_route routes[] = {
	{ .size = sizeof(routes[0]), .method = "GET", .path = "/silences", .handle = list },
	{ .size = sizeof(routes[0]),
	  .flags = LNX_HTTP_ADMIN,
	  .method = "POST",
	  .path = "/silences",
	  .handle = add },
	{ .size = sizeof(routes[0]),
	  .flags = LNX_HTTP_ADMIN,
	  .method = "POST",
	  .path = "/silences/{id}/end",
	  .handle = end },
};

int silence_routes(struct incidents *s)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(routes) / sizeof(routes[0]); i++)
		rc = s->http->route(s->http_self, &routes[i], s);
	return rc;
}
