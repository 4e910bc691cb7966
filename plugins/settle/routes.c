/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* /tasks, /tasks/{id}, /tasks/{id}/receipt. What is asked for is accepted at once and done by later turns: the answer says so,
 * and the task tells how it went. */
#include "routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect.h"
#include "op.h"
#include "task.h"

#define ERR(req, status, ...) (void)s->http->error(req, status, __VA_ARGS__)

static void answer(struct settle *s, struct lnx_http_req *req, uint32_t status, struct lnx_buf *out)
{
	if (s->state != CHAIN_READY)
		(void)s->http->set_header(req, "X-Linnix-Degraded", s->why);
	if (lnx_buf_error(out))
		ERR(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, status, NULL, out->data, out->size);
	lnx_buf_done(out);
}

static void answer_task(struct settle *s, struct lnx_http_req *req, uint32_t status,
			const struct task *t)
{
	struct lnx_buf out = { 0 };

	task_json(s, t, &out);
	answer(s, req, status, &out);
}

/* The task that the path names, or NULL and it is answered. */
static struct task *task_of(struct settle *s, struct lnx_http_req *req)
{
	const char *text = s->http->param(req, "id");
	struct task *t = task_by_text(s, text ? text : "");

	if (!t)
		ERR(req, 404, "not_found", "no task '%.80s'", text ? text : "");
	return t;
}

/* ---- reading */

static int is_phase(const char *text)
{
	static const char *const phases[] = {
		PHASE_CHECKING, PHASE_ACCEPTED, PHASE_OPEN,	  PHASE_OFFERED,
		PHASE_RUNNING,	PHASE_PROVEN,	PHASE_SUBMITTED,  PHASE_VERIFIED,
		PHASE_REJECTED, PHASE_FAILED,	PHASE_CANCELLING, PHASE_CANCELLED,
	};
	uint32_t i = 0;

	while (i < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[i], text) != 0)
		i++;
	if (i < sizeof(phases) / sizeof(phases[0]))
		return 1;
	for (i = TASK_SETTLED; i <= TASK_EXPIRED; i++) /* as the chain calls what is over */
		if (!strcmp(task_status_name(i), text))
			return 1;
	return 0;
}

static void get_tasks(void *arg, struct lnx_http_req *req)
{
	struct settle *s = arg;
	const char *role = s->http->param(req, "role"), *phase = s->http->param(req, "phase");
	struct lnx_buf out = { 0 };
	uint64_t limit, offset, at = 0, n = 0;

	if (role && strcmp(role, "payer") != 0 && strcmp(role, "payee") != 0) {
		ERR(req, 400, "bad_parameter", "role must be payer or payee");
		return;
	}
	if (phase && !is_phase(phase)) {
		ERR(req, 400, "bad_parameter", "phase must be one of those of a task, not '%.40s'",
		    phase);
		return;
	}
	if (s->http->param_u64(req, "limit", 100, 1, 10000, &limit) < 0 ||
	    s->http->param_u64(req, "offset", 0, 0, UINT32_MAX, &offset) < 0)
		return;
	lnx_buf_char(&out, '[');
	for (const struct task *t = s->tasks; t && n < limit; t = t->next) {
		if ((role && strcmp(role, t->role == TASK_PAYER ? "payer" : "payee") != 0) ||
		    (phase && strcmp(phase, t->phase) != 0) || at++ < offset)
			continue;
		lnx_json_next(&out);
		task_json(s, t, &out);
		n++;
	}
	lnx_buf_char(&out, ']');
	answer(s, req, 200, &out);
}

static void get_task(void *arg, struct lnx_http_req *req)
{
	struct settle *s = arg;
	const struct task *t = task_of(s, req);

	if (t)
		answer_task(s, req, 200, t);
}

static void get_receipt(void *arg, struct lnx_http_req *req)
{
	struct settle *s = arg;
	struct task *t = task_of(s, req);

	if (!t)
		return;
	if (!t->has_receipt) {
		ERR(req, 404, "no_receipt", "that task has no receipt yet");
		return;
	}
	/* the file belongs to the job while one runs */
	if (!t->receipt &&
	    (s->job || !s->db || db_receipt(s->db, t->id, &t->receipt) < 0 || !t->receipt)) {
		ERR(req, 503, "busy", "the receipt cannot be read now");
		return;
	}
	(void)s->http->respond(req, 200, NULL, t->receipt, strlen(t->receipt));
}

static void get_events(void *arg, struct lnx_http_req *req)
{
	struct settle *s = arg;
	const struct task *t = task_of(s, req);
	struct lnx_buf out = { .max = 32u << 20 };
	int rc;

	if (!t)
		return;
	rc = collect_events(s, t, &out);
	if (rc == 0)
		(void)s->http->respond(req, 200, "application/x-ndjson", out.data ? out.data : "",
				       out.size);
	else if (rc == -EFBIG)
		ERR(req, 413, "too_large",
		    "the events are too many for one answer: read the file in chain.events_dir");
	else
		ERR(req, 404, "no_events", "that task has no events here");
	lnx_buf_done(&out);
}

/* ---- writing */

/* A JSON object with these members only, texts but for those that end in '!' (numbers) or '?' (true or false); NULL and it is
 * answered. */
static json_t *body_of(struct settle *s, struct lnx_http_req *req, const char *const *keys)
{
	uint32_t n = 0;
	const char *body = s->http->body(req, &n), *key, *const * k;
	json_error_t error;
	json_t *root = json_loadb(n ? body : "{}", n ? n : 2, JSON_REJECT_DUPLICATES, &error),
	       *value;

	if (!json_is_object(root)) {
		ERR(req, 400, "bad_request",
		    root ? "the body must be a JSON object"
			 : "the body is no JSON object: line %d, column %d: %.120s",
		    error.line, error.column, error.text);
		json_decref(root);
		return NULL;
	}
	json_object_foreach(root, key, value)
	{
		size_t len = strlen(key);
		char kind = 0;

		for (k = keys; *k && (strncmp(*k, key, len) != 0 || strlen(*k) > len + 1); k++)
			;
		kind = *k ? (*k)[len] : 0;
		if (*k && (kind == '!'	 ? json_is_integer(value) && json_integer_value(value) >= 0
			   : kind == '?' ? json_is_boolean(value)
					 : json_is_string(value)))
			continue;
		ERR(req, 400, "bad_request",
		    !*k		  ? "unknown member '%.40s'"
		    : kind == '!' ? "%.40s must be a whole number"
		    : kind == '?' ? "%.40s must be true or false"
				  : "%.40s must be a text",
		    key);
		json_decref(root);
		return NULL;
	}
	return root;
}

static const char *text_of(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text ? text : "";
}

static int no(struct settle *s, struct lnx_http_req *req, const char *fmt)
{
	ERR(req, 400, "bad_request", "%s", fmt);
	return -EINVAL;
}

/* 0, or -EINVAL and it is answered. */
static int read_ask(struct settle *s, struct lnx_http_req *req, const json_t *root,
		    struct task_ask *ask)
{
	const char *amount = text_of(root, "amount"), *mode = text_of(root, "mode"),
		   *arbiter = text_of(root, "arbiter"), *payee = text_of(root, "payee_address");
	const json_t *blocks = json_object_get(root, "deadline_blocks");

	ask->name = text_of(root, "name");
	ask->payee_did = text_of(root, "payee");
	ask->deadline_blocks = blocks ? (uint64_t)json_integer_value(blocks) : 1800;
	ask->is_escrow = s->conf->mode == MODE_ESCROW;
	ask->is_dry = json_is_true(json_object_get(root, "dry_run"));
	ask->has_arbiter = *arbiter != 0;
	if (!*ask->name || strlen(ask->name) >= TASK_NAME ||
	    ask->name[strspn(ask->name,
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
		return no(s, req, "name must be 1 to 63 of A-Z a-z 0-9 . _ -");
	if (strncmp(ask->payee_did, "did:", 4) != 0 || strlen(ask->payee_did) >= TASK_DID)
		return no(s, req, "payee must be a DID, such as did:key:z6Mk...");
	if (*payee && address_parse(payee, ask->payee))
		return no(s, req, "payee_address must be an address");
	if (*arbiter && address_parse(arbiter, ask->arbiter))
		return no(s, req, "arbiter must be an address");
	if (u256_parse_units(amount, s->conf->token_decimals, &ask->max) ||
	    u256_is_zero(&ask->max) || !u256_fits_u128(&ask->max)) {
		ERR(req, 400, "bad_request",
		    "amount must be a text as \"1.5\": more than 0 of the token, with at most %u digits behind the point",
		    s->conf->token_decimals);
		return -EINVAL;
	}
	if (*mode && strcmp(mode, "escrow") != 0 && strcmp(mode, "allowance") != 0)
		return no(s, req, "mode must be escrow or allowance");
	if (*mode)
		ask->is_escrow = !strcmp(mode, "escrow");
	if (ask->has_arbiter && !ask->is_escrow)
		return no(s, req, "without escrow there is nothing to decide for an arbiter");
	if (!ask->deadline_blocks || ask->deadline_blocks > UINT32_MAX)
		return no(s, req, "deadline_blocks must be a number from 1 to 4294967295");
	return 0;
}

/* A task that the chain knows and we do not yet: one offered to us. */
static void import(struct settle *s, struct lnx_http_req *req, const char *text)
{
	uint8_t id[32];
	struct task *t;

	if (hex_parse(text, id, 32)) {
		(void)no(s, req, "import must be a task id: 0x and 64 hex digits");
		return;
	}
	t = task_find(s, id);
	if (!t) {
		t = task_new(s, id, TASK_PAYEE);
		if (t) {
			memcpy(t->payee_did32, s->did32, 32);
			(void)snprintf(t->payee_did, sizeof(t->payee_did), "%s", s->did); /* fits */
		}
	}
	if (t)
		answer_task(s, req, 202, t);
	else
		ERR(req, 503, "full", "too many tasks");
}

/* What a state without a signature says to whoever wants something signed. 0, or -EROFS and it is answered. */
static int is_closed(struct settle *s, struct lnx_http_req *req)
{
	if (s->state != CHAIN_FAILED && s->state != CHAIN_REFUSED && s->state != CHAIN_OPENING)
		return 0;
	ERR(req, 503, chain_state_names[s->state], "nothing is signed: %s", s->why);
	return -EROFS;
}

static void post_tasks(void *arg, struct lnx_http_req *req)
{
	static const char *const keys[] = {
		"name", "payee",   "payee_address", "amount", "deadline_blocks!",
		"mode", "arbiter", "dry_run?",	    "import", NULL
	};
	struct settle *s = arg;
	struct task_ask ask = { .name = NULL };
	char why[TASK_ERROR] = "";
	struct task *t = NULL;
	json_t *root = body_of(s, req, keys);
	int rc;

	if (!root)
		return;
	if (is_closed(s, req) == 0) {
		if (json_object_get(root, "import")) {
			import(s, req, text_of(root, "import"));
		} else if (read_ask(s, req, root, &ask) == 0) {
			rc = task_accept(s, &ask, &t, why);
			if (rc == 0)
				answer_task(s, req, 202, t);
			else if (rc == -EDQUOT)
				ERR(req, 403, "limit", "%s", why);
			else
				ERR(req,
				    rc == -EEXIST   ? 409
				    : rc == -EINVAL ? 400
						    : 503,
				    rc == -EEXIST   ? "exists"
				    : rc == -EINVAL ? "bad_request"
						    : "full",
				    "%s", why);
		}
	}
	json_decref(root);
}

/* Would it be measured now? The answer is the task's simulation. */
static int try_run(struct settle *s, struct task *t, char why[TASK_ERROR])
{
	char error[TASK_ERROR] = "";
	struct lnx_buf out = { 0 };
	int rc = collect_may_begin(s, t, error);

	lnx_buf_char(&out, '{');
	lnx_json_kv_bool(&out, "would_work", rc == 0);
	lnx_json_kv_str(&out, "error", error);
	lnx_json_kv_str(&out, "kind", "run");
	lnx_buf_char(&out, '}');
	if (lnx_buf_error(&out)) {
		lnx_buf_done(&out);
		(void)snprintf(why, TASK_ERROR, "out of memory");
		return -ENOBUFS;
	}
	free(t->simulation);
	t->simulation = out.data;
	return 0;
}

/* The payee's begin or end of its work. */
static int run_action(struct settle *s, struct task *t, const json_t *root, char why[TASK_ERROR])
{
	struct collect_ask ask = { .pid = 0 };
	int is_dry = json_is_true(json_object_get(root, "dry_run"));

	if (is_dry && !strcmp(text_of(root, "action"), "run"))
		return try_run(s, t, why);
	if (is_dry) {
		(void)snprintf(why, TASK_ERROR,
			       "dry_run is not for finish: there is nothing to try");
		return -EINVAL;
	}
	ask.pid = (uint64_t)json_integer_value(json_object_get(root, "pid"));
	ask.cgroup_id = (uint64_t)json_integer_value(json_object_get(root, "cgroup_id"));
	ask.cgroup = text_of(root, "cgroup");
	ask.output_sha256 = text_of(root, "output_sha256");
	return !strcmp(text_of(root, "action"), "run") ? collect_begin(s, t, &ask, why)
						       : collect_finish(s, t, &ask, why);
}

static void post_task(void *arg, struct lnx_http_req *req)
{
	static const char *const keys[] = { "action",	  "reason", "dry_run?",	     "pid!",
					    "cgroup_id!", "cgroup", "output_sha256", NULL };
	struct settle *s = arg;
	struct task *t = task_of(s, req);
	json_t *root = t ? body_of(s, req, keys) : NULL;
	const char *action;
	char why[TASK_ERROR] = "";
	int rc;

	if (!root)
		return;
	action = text_of(root, "action");
	if (is_closed(s, req) < 0) {
		json_decref(root);
		return;
	}
	if (!strcmp(action, "run") || !strcmp(action, "finish"))
		rc = run_action(s, t, root, why);
	else
		rc = task_wish(s, t, action, text_of(root, "reason"),
			       json_is_true(json_object_get(root, "dry_run")), why);
	if (rc == 0)
		answer_task(s, req, 202, t);
	else
		ERR(req,
		    rc == -EINVAL    ? 400
		    : rc == -ENOBUFS ? 503
				     : 409,
		    rc == -EINVAL ? "bad_request" : "not_now", "%s", why);
	json_decref(root);
}

static const char *const list_query[] = { "role", "phase", "limit", "offset", NULL };

static const struct lnx_http_route routes[] = {
	{ .size = sizeof(routes[0]),
	  .method = "GET",
	  .path = "/tasks",
	  .query = list_query,
	  .handle = get_tasks },
	{ .size = sizeof(routes[0]),
	  .flags = LNX_HTTP_ADMIN,
	  .method = "POST",
	  .path = "/tasks",
	  .handle = post_tasks },
	{ .size = sizeof(routes[0]), .method = "GET", .path = "/tasks/{id}", .handle = get_task },
	{ .size = sizeof(routes[0]),
	  .flags = LNX_HTTP_ADMIN,
	  .method = "POST",
	  .path = "/tasks/{id}",
	  .handle = post_task },
	{ .size = sizeof(routes[0]),
	  .method = "GET",
	  .path = "/tasks/{id}/receipt",
	  .handle = get_receipt },
	{ .size = sizeof(routes[0]),
	  .method = "GET",
	  .path = "/tasks/{id}/events",
	  .handle = get_events },
	{ .size = sizeof(routes[0]),
	  .flags = LNX_HTTP_OPEN,
	  .method = "GET",
	  .path = "/.well-known/agent-card.json",
	  .handle = card_get },
};

int routes_add(struct settle *s)
{
	const void *vtable;
	int rc = 0;

	if (s->host->service(s->ctx, "http/1", &vtable, &s->http_self) < 0)
		return 0; /* no API wanted */
	s->http = vtable;
	for (size_t i = 0; !rc && i < sizeof(routes) / sizeof(routes[0]); i++)
		rc = s->http->route(s->http_self, &routes[i], s);
	return rc;
}
