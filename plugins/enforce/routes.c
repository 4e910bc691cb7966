/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /actions, GET /actions/{id}, POST /actions/{id}/approve|reject|undo; service enforce/1. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "act.h"

/* ---- reading */

static int list_each(void *arg, const struct lnx_store_record *r)
{
	struct lnx_buf *out = arg;

	lnx_json_next(out);
	lnx_buf_add(out, r->doc, r->doc_bytes);
	return lnx_buf_error(out) != 0;
}

/* Say what an answer lacks. */
static void degraded(struct enforce *s, struct lnx_http_req *req, int rc)
{
	if (rc < 0)
		(void)s->http->set_header(req, "X-Linnix-Degraded",
					  "history cannot be read now: only what is in memory");
}

static void respond(struct enforce *s, struct lnx_http_req *req, struct lnx_buf *out)
{
	if (lnx_buf_error(out))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 200, NULL, out->data, out->size);
	lnx_buf_done(out);
}

static void get_list(void *arg, struct lnx_http_req *req)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_ACTION };
	struct enforce *s = arg;
	const char *state = s->http->param(req, "state");
	struct lnx_buf out = { 0 };
	uint32_t i;

	for (i = 0; state && i <= LNX_ACTION_MEASURED && strcmp(state, enf_states[i]) != 0; i++)
		;
	if (state && i > LNX_ACTION_MEASURED) {
		(void)s->http->error(req, 400, "bad_parameter",
				     "state must be proposed, refused, rejected, expired, applied, "
				     "undone, failed, dry-run or measured");
		return;
	}
	if (s->http->param_u64(req, "limit", 100, 1, 10000, &q.limit) < 0 ||
	    s->http->param_u64(req, "offset", 0, 0, UINT32_MAX, &q.offset) < 0)
		return;
	q.parent = s->http->param(req, "incident");
	if (state)
		q.states = 1u << i;
	lnx_buf_char(&out, '[');
	degraded(s, req, s->store->each(s->store_self, &q, list_each, &out));
	lnx_buf_char(&out, ']');
	respond(s, req, &out);
}

/* ?node= must be this one, where it is given. 0 or -EXDEV, answered. */
static int check_node(struct enforce *s, struct lnx_http_req *req)
{
	const char *node = s->http->param(req, "node"), *own = s->host->ident(s->ctx)->node;

	if (!node || strcmp(node, own) == 0)
		return 0;
	(void)s->http->error(req, 409, "wrong_node",
			     "the action is of node %.100s, this is %.100s: ask there", node, own);
	return -EXDEV;
}

/* Answered when it is not there: NULL. */
static struct act *find(struct enforce *s, struct lnx_http_req *req)
{
	const char *id = s->http->param(req, "id");
	int rc;
	struct act *a;

	if (check_node(s, req) < 0)
		return NULL;
	a = enf_find(s, id ? id : "", &rc);
	if (!a)
		(void)s->http->error(req, 404, "not_found",
				     "no action '%.100s' waits or is in force", id ? id : "");
	return a;
}

static void get_one(void *arg, struct lnx_http_req *req)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_ACTION };
	struct enforce *s = arg;
	const char *given = s->http->param(req, "id"), *id = given ? given : "";
	struct lnx_buf out = { 0 };
	struct act *a;
	int rc;

	if (check_node(s, req) < 0)
		return;
	a = enf_find(s, id, &rc);
	if (a) {
		enf_json(s, a, &out);
	} else if (rc == -ENOENT) {
		q.id = id;
		degraded(s, req, s->store->each(s->store_self, &q, list_each, &out));
	}
	if (out.size) {
		respond(s, req, &out);
		return;
	}
	lnx_buf_done(&out);
	(void)s->http->error(req, 404, "not_found", "no action '%.100s'", id);
}

/* ---- deciding */

/* Body {"by": name, "dry_run": bool}, both optional. 0 or -EINVAL, answered. */
static int read_body(struct enforce *s, struct lnx_http_req *req, char *by, size_t cap,
		     int *ret_is_dry)
{
	uint32_t n = 0;
	const char *body = s->http->body(req, &n), *key;
	json_t *root = n ? json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL) : json_object(), *v;
	int rc = 0;

	*by = 0;
	*ret_is_dry = 0;
	if (!json_is_object(root)) {
		json_decref(root);
		return s->http->error(req, 400, "bad_request", "the body must be a JSON object"),
		       -EINVAL;
	}
	json_object_foreach(root, key, v)
	{
		if (strcmp(key, "by") == 0 && json_is_string(v) && json_string_length(v) < cap)
			(void)snprintf(by, cap, "%s", json_string_value(v)); /* fits */
		else if (strcmp(key, "dry_run") == 0 && json_is_boolean(v))
			*ret_is_dry = json_is_true(v);
		else
			rc = -EINVAL;
		if (rc < 0)
			break;
	}
	if (rc < 0)
		(void)s->http->error(req, 400, "bad_request",
				     "'%.40s': only by (a text of at most %zu bytes) and dry_run "
				     "(true or false) are taken",
				     key, cap - 1);
	json_decref(root);
	return rc;
}

/* Who decides: what the connection proves, and what it says of itself. */
static void who_asks(struct enforce *s, struct lnx_http_req *req, const char *by, char *who,
		     size_t cap)
{
	char peer[64] = "the API";

	if (s->http->size >= offsetof(struct lnx_svc_http, peer) + sizeof(s->http->peer))
		s->http->peer(req, peer, sizeof(peer));
	(void)snprintf(who, cap, "%s%s%.50s%s", peer, *by ? " (" : "", by,
		       *by ? ")" : ""); /* fits */
}

static void answer(struct enforce *s, struct lnx_http_req *req, const struct act *a, int rc,
		   const char *text)
{
	struct lnx_buf out = { 0 };

	if (rc < 0) {
		(void)s->http->error(req, rc == -ENOBUFS ? 503 : 409,
				     rc == -EALREADY ? "not_waiting"
				     : rc == -EPERM  ? "refused"
						     : "failed",
				     "%s", text);
		return;
	}
	lnx_buf_char(&out, '{');
	lnx_json_kv_str(&out, "text", text);
	lnx_json_key(&out, "action");
	enf_json(s, a, &out);
	lnx_buf_char(&out, '}');
	respond(s, req, &out);
}

static void decide(struct enforce *s, struct lnx_http_req *req,
		   int (*how)(struct enforce *s, struct act *a, const char *who, char *text,
			      size_t cap))
{
	char by[51], who[LNX_ENFORCE_WHO_MAX], text[LNX_ENFORCE_TEXT_MAX] = "";
	struct act *a = find(s, req);
	int is_dry, rc;

	if (!a || read_body(s, req, by, sizeof(by), &is_dry) < 0)
		return;
	who_asks(s, req, by, who, sizeof(who));
	if (is_dry && how != enf_approve) {
		(void)s->http->error(req, 400, "bad_request", "dry_run is for approve only");
		return;
	}
	rc = is_dry ? enf_dry(s, a, text, sizeof(text)) : how(s, a, who, text, sizeof(text));
	answer(s, req, a, rc, text);
}

static void post_approve(void *arg, struct lnx_http_req *req)
{
	decide(arg, req, enf_approve);
}

static void post_reject(void *arg, struct lnx_http_req *req)
{
	decide(arg, req, enf_reject);
}

static void post_undo(void *arg, struct lnx_http_req *req)
{
	decide(arg, req, enf_undo);
}

static const char *const one_query[] = { "node", NULL };
static const char *const list_query[] = { "state", "incident", "limit", "offset", NULL };

#define ROUTE(me, pa, fl, qu, ha)                                                     \
	{                                                                             \
		.size = sizeof(struct lnx_http_route), .flags = (fl), .method = (me), \
		.path = (pa), .query = (qu), .handle = (ha)                           \
	}
static const struct lnx_http_route routes[] = {
	ROUTE("GET", "/actions", 0, list_query, get_list),
	ROUTE("GET", "/actions/{id}", 0, one_query, get_one),
	ROUTE("POST", "/actions/{id}/approve", LNX_HTTP_ADMIN, one_query, post_approve),
	ROUTE("POST", "/actions/{id}/reject", LNX_HTTP_ADMIN, one_query, post_reject),
	ROUTE("POST", "/actions/{id}/undo", LNX_HTTP_ADMIN, one_query, post_undo),
};

int enf_routes(struct enforce *s)
{
	int rc = 0;

	for (size_t i = 0; !rc && s->http && i < sizeof(routes) / sizeof(routes[0]); i++)
		rc = s->http->route(s->http_self, &routes[i], s);
	return rc;
}

/* ---- enforce/1 */

static struct act *serve_find(struct enforce *s, const char *id, char *text, uint32_t cap,
			      int *ret_rc)
{
	struct act *a = enf_find(s, id, ret_rc);

	if (!a)
		(void)snprintf(text, cap, "%s",
			       *ret_rc == -EXDEV    ? "the action is of another node"
			       : *ret_rc == -EINVAL ? "that is no id of an action"
						    : "no such action waits or is in force");
	return a;
}

static int serve_approve(void *self, const char *id, const char *who, char *text, uint32_t cap)
{
	int rc;
	struct act *a = serve_find(self, id, text, cap, &rc);

	return a ? enf_approve(self, a, who, text, cap) : rc;
}

static int serve_reject(void *self, const char *id, const char *who, char *text, uint32_t cap)
{
	int rc;
	struct act *a = serve_find(self, id, text, cap, &rc);

	return a ? enf_reject(self, a, who, text, cap) : rc;
}

static int serve_undo(void *self, const char *id, const char *who, char *text, uint32_t cap)
{
	int rc;
	struct act *a = serve_find(self, id, text, cap, &rc);

	return a ? enf_undo(self, a, who, text, cap) : rc;
}

static int serve_get(void *self, const char *id, struct lnx_action *ret)
{
	struct enforce *s = self;
	int rc;
	struct act *a = enf_find(s, id, &rc);

	if (a)
		enf_fill(s, a, s->view_id, sizeof(s->view_id), ret);
	return rc;
}

static int serve_each(void *self, int (*each)(void *arg, const struct lnx_action *a), void *arg)
{
	struct enforce *s = self;
	struct lnx_action view;
	int n = 0;

	for (const struct act *a = s->newest; a; a = a->next) {
		enf_fill(s, a, s->view_id, sizeof(s->view_id), &view);
		n++;
		if (each(arg, &view))
			break;
	}
	return n;
}

const struct lnx_svc_enforce enf_service = {
	.size = sizeof(enf_service),
	.approve = serve_approve,
	.reject = serve_reject,
	.undo = serve_undo,
	.get = serve_get,
	.each = serve_each,
};
