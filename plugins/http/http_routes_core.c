/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Routes whose answers the core knows: health, readiness, status, plugins, rules. */
#include "http_req.h"

static void http_get_healthz(void *arg, struct lnx_http_req *req)
{
	static const char ok[] = "{\"status\":\"ok\"}\n";

	(void)arg;
	(void)http_respond(req, 200, NULL, ok, sizeof(ok) - 1);
}

static void http_answer_core(struct http *s, struct lnx_http_req *req,
			     int (*fn)(void *self, struct lnx_buf *out))
{
	struct lnx_buf out = { 0 };
	int rc = fn(s->core_self, &out);

	if (rc < 0 && !lnx_buf_error(&out)) {
		lnx_buf_done(&out);
		(void)http_error(req, 500, "internal", "the agent could not tell: error %d", -rc);
		return;
	}
	lnx_buf_char(&out, '\n');
	(void)http_respond_buf(req, 200, NULL, &out);
}

static void http_get_readyz(void *arg, struct lnx_http_req *req)
{
	struct lnx_buf out = { 0 };
	struct http *s = arg;
	uint32_t is_ready = 0;

	(void)s->core->ready_json(s->core_self, &out, &is_ready); /* out keeps the error */
	lnx_buf_char(&out, '\n');
	(void)http_respond_buf(req, is_ready ? 200 : 503, NULL, &out);
}

static void http_get_status(void *arg, struct lnx_http_req *req)
{
	struct http *s = arg;

	http_answer_core(s, req, s->core->status_json);
}

static void http_get_plugins(void *arg, struct lnx_http_req *req)
{
	struct http *s = arg;

	http_answer_core(s, req, s->core->plugins_json);
}

static void http_get_rules(void *arg, struct lnx_http_req *req)
{
	struct http *s = arg;

	http_answer_core(s, req, s->core->rules_json);
}

static void http_get_schema(void *arg, struct lnx_http_req *req)
{
	struct http *s = arg;

	http_answer_core(s, req, s->core->events_schema_json);
}

/* The rules stay as they were when the new ones are wrong: 422 with the errors. */
static void http_rules_reloaded(void *arg, int rc)
{
	struct lnx_http_req *req = http_wait_end(arg);
	struct lnx_buf out = { 0 };
	struct http *s;

	if (!req)
		return;
	s = req->http;
	if (rc == -ECANCELED || rc == -ENOBUFS) {
		(void)http_error(req, 503, rc == -ECANCELED ? "stopping" : "busy",
				 rc == -ECANCELED ? "the agent is stopping"
						  : "no room for a reload; try again");
		return;
	}
	(void)s->core->rules_json(s->core_self, &out); /* out keeps the error */
	lnx_buf_char(&out, '\n');
	(void)http_respond_buf(req, rc < 0 ? 422 : 200, NULL, &out);
}

/* Rules are read and tested beside the loop; the answer comes when they run, or when they were refused. */
static void http_post_rules_reload(void *arg, struct lnx_http_req *req)
{
	struct http_wait *w = http_wait_begin(req);
	struct http *s = arg;
	int rc;

	if (!w)
		return;
	rc = s->core->rules_reload_later(s->core_self, http_rules_reloaded, w);
	if (rc == 0)
		return;
	(void)http_wait_end(w);
	(void)http_set_header(req, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	(void)http_error(req, 503, "busy", "many wait for a reload already; try again");
}

static const struct lnx_http_route http_core_routes[] = {
	{ sizeof(struct lnx_http_route), LNX_HTTP_OPS | LNX_HTTP_OPEN, "GET", "/healthz", NULL,
	  http_get_healthz },
	{ sizeof(struct lnx_http_route), LNX_HTTP_OPS, "GET", "/readyz", NULL, http_get_readyz },
	{ sizeof(struct lnx_http_route), 0, "GET", "/status", NULL, http_get_status },
	{ sizeof(struct lnx_http_route), 0, "GET", "/plugins", NULL, http_get_plugins },
	{ sizeof(struct lnx_http_route), 0, "GET", "/rules", NULL, http_get_rules },
	{ sizeof(struct lnx_http_route), 0, "GET", "/events/schema", NULL, http_get_schema },
	{ sizeof(struct lnx_http_route), LNX_HTTP_ADMIN, "POST", "/rules/reload", NULL,
	  http_post_rules_reload },
};

int http_routes_core(struct http *s)
{
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < sizeof(http_core_routes) / sizeof(http_core_routes[0]); i++)
		rc = http_route(s, &http_core_routes[i], s);
	return rc;
}
