/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A request from its first byte to its handler: framing, limits, routing, parameters, body. */
#include "http_req.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

int http_route(void *http, const struct lnx_http_route *desc, void *arg)
{
	struct http *s = http;
	unsigned i;

	if (desc->size < sizeof(*desc) || !desc->method || !desc->path || !desc->handle)
		return -EINVAL;
	if (s->n_routes == HTTP_MAX_ROUTES)
		return -ENOSPC;
	for (i = 0; i < s->n_routes; i++) {
		if (!strcmp(s->routes[i].desc->method, desc->method) &&
		    !strcmp(s->routes[i].desc->path, desc->path))
			return -EEXIST;
	}
	s->routes[s->n_routes].desc = desc;
	s->routes[s->n_routes++].arg = arg;
	return 0;
}

static struct http_conn *http_conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Called with the request line, before the headers are read. */
void *http_request_new(void *listener, const char *uri, struct MHD_Connection *mhd)
{
	struct http_listener *l = listener;
	struct lnx_http_req *req;
	struct http_conn *c = http_conn_of(mhd);

	if (!c || !uri)
		return NULL;
	req = calloc(1, sizeof(*req));
	if (!req)
		return NULL;
	req->uri = strdup(uri);
	if (!req->uri) {
		free(req);
		return NULL;
	}
	c->is_midway = true;
	req->http = l->http;
	req->conn = c;
	req->mhd = mhd;
	req->body.max = l->http->conf->max_body + 1;
	req->degraded.max = HTTP_DEGRADED_MAX;
	c->deadline_ns = l->http->host->now_ns(l->http->ctx) + l->http->conf->request_timeout;
	return req;
}

void http_request_done(void *listener, struct MHD_Connection *mhd, void **io_req,
		       enum MHD_RequestTerminationCode code)
{
	struct lnx_http_req *req = *io_req;
	struct http *s;
	unsigned i;

	(void)listener;
	(void)mhd;
	if (!req)
		return;
	*io_req = NULL;
	s = req->http;
	s->host->metric_add(s->ctx, s->m_requests, 1);
	if (req->stream)
		http_stream_gone(req->stream);
	if (req->wait)
		http_wait_gone(req->wait);
	if (req->answer && !req->is_sent)
		MHD_destroy_response(req->answer);
	http_pending_add(req->conn, -(int64_t)req->pending_bytes);
	req->conn->deadline_ns = s->host->now_ns(s->ctx) + s->conf->idle_timeout;
	req->conn->is_midway = code != MHD_REQUEST_TERMINATED_COMPLETED_OK || req->is_early;
	for (i = 0; i < req->n_headers; i++) {
		free(req->headers[i].name);
		free(req->headers[i].value);
	}
	lnx_buf_done(&req->body);
	lnx_buf_done(&req->degraded);
	free(req->uri);
	free(req);
}

struct http_seen {
	unsigned n_length, n_encoding, n_host, n_auth, n_origin;
	size_t bytes;
	bool has_body;
};

static enum MHD_Result http_see_header(void *arg, enum MHD_ValueKind kind, const char *name,
				       const char *value)
{
	struct http_seen *seen = arg;

	(void)kind;
	seen->bytes += strlen(name) + strlen(value ? value : "") + 4;
	if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
		seen->n_length++;
		seen->has_body |= value && strspn(value, "0 ") != strlen(value);
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		seen->n_encoding++;
		seen->has_body = true;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_HOST)) {
		seen->n_host++;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION)) {
		seen->n_auth++;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_ORIGIN)) {
		seen->n_origin++;
	}
	return MHD_YES;
}

/* What must be answered before a body is read, with the connection closed after it: nobody may disagree about where
 * the next request starts. */
static int http_framing_check(struct lnx_http_req *req, size_t uri_bytes)
{
	struct http_seen seen = { 0 };
	const char *te = http_header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING);

	(void)MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, http_see_header, &seen);
	req->is_early = true;
	if (seen.n_length && seen.n_encoding)
		return http_error(req, 400, "ambiguous_length",
				  "both Content-Length and Transfer-Encoding");
	if (seen.n_length > 1 || seen.n_encoding > 1 || seen.n_host > 1 || seen.n_auth > 1 ||
	    seen.n_origin > 1)
		return http_error(req, 400, "duplicate_header",
				  "Content-Length, Transfer-Encoding, Host, Authorization and "
				  "Origin may stand once");
	if (te && strcasecmp(te, "chunked") != 0)
		return http_error(req, 400, "bad_encoding",
				  "the only Transfer-Encoding known is chunked");
	if (seen.bytes + uri_bytes > req->http->conf->max_header)
		return http_error(req, 431, "headers_too_large",
				  "request line and headers exceed %llu bytes",
				  (unsigned long long)req->http->conf->max_header);
	if (seen.has_body && strcmp(req->method, MHD_HTTP_METHOD_POST) != 0)
		return http_error(req, 400, "unexpected_body", "%s takes no body", req->method);
	req->is_early = seen.has_body;
	return 0;
}

static int http_length_check(struct lnx_http_req *req)
{
	const char *text = http_header(req, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t bytes = 0;

	if (text && http_u64_parse(text, &bytes) < 0)
		return http_error(req, 400, "bad_request", "Content-Length is no number");
	if (bytes > req->http->conf->max_body)
		return http_error(req, 413, "body_too_large", "the body exceeds %llu bytes",
				  (unsigned long long)req->http->conf->max_body);
	return 0;
}

static bool http_is_ops_path(const struct lnx_http_req *req, const struct http_route *r)
{
	return req->conn->listener->kind != HTTP_KIND_OPS || (r->desc->flags & LNX_HTTP_OPS);
}

/* The route of path and method; without one, *ret_allow names the methods that the path knows. */
static void http_route_find(struct lnx_http_req *req, struct lnx_buf *ret_allow)
{
	const char *method =
		strcmp(req->method, MHD_HTTP_METHOD_HEAD) ? req->method : MHD_HTTP_METHOD_GET;
	struct http *s = req->http;
	unsigned i;

	for (i = 0; i < s->n_routes; i++) {
		const struct http_route *r = &s->routes[i];

		if (!http_is_ops_path(req, r) ||
		    !http_path_match(r->desc->path, &req->target, req->params, req->names,
				     &req->n_params))
			continue;
		if (!strcmp(method, r->desc->method)) {
			req->route = r;
			return;
		}
		if (ret_allow->size)
			lnx_buf_str(ret_allow, ", ");
		lnx_buf_str(ret_allow, r->desc->method);
		if (!strcmp(r->desc->method, MHD_HTTP_METHOD_GET))
			lnx_buf_str(ret_allow, ", HEAD");
	}
	req->n_params = 0;
}

static bool http_query_knows(const struct lnx_http_route *r, const char *name)
{
	const char *const *q;

	for (q = r->query; q && *q; q++) {
		if (!strcmp(*q, name))
			return true;
	}
	return false;
}

static int http_query_read(struct lnx_http_req *req)
{
	unsigned n = 0, i, from = req->n_params;
	const char *bad;
	int rc = http_query_parse(req->target.query, req->params + from, HTTP_MAX_PARAMS, &n, &bad);

	if (rc == -E2BIG)
		return http_error(req, 400, "bad_parameter", "more than %u query parameters",
				  HTTP_MAX_PARAMS);
	if (rc == -EEXIST)
		return http_error(req, 400, "bad_parameter", "query parameter '%s' was given twice",
				  bad);
	if (rc < 0)
		return http_error(req, 400, "bad_parameter",
				  "query parameter '%s' is not well encoded", bad ? bad : "");
	req->n_params += n;
	for (i = from; i < req->n_params; i++) {
		if (!http_query_knows(req->route->desc, req->params[i].name))
			return http_error(req, 400, "unknown_parameter",
					  "unknown query parameter '%s'", req->params[i].name);
	}
	return 0;
}

/* All checks that need no body. Negative: answered. */
static int http_request_check(struct lnx_http_req *req)
{
	struct lnx_buf allow = { .max = 256 };
	int rc;

	rc = http_framing_check(req, strlen(req->uri));
	if (rc == 0 && http_peer_spend(req->http, req->conn->peer) < 0) {
		req->http->host->metric_add(req->http->ctx, req->http->m_refused_rate, 1);
		(void)http_set_header(req, MHD_HTTP_HEADER_RETRY_AFTER, "1");
		rc = http_error(req, 429, "too_many_requests", "more than %u requests a second",
				req->http->conf->rate_limit);
	}
	if (rc == 0)
		rc = http_auth_host(req);
	if (rc == 0 && http_target_parse(req->uri, &req->target) < 0)
		rc = http_error(req, 400, "bad_request", "the path is malformed");
	if (rc < 0)
		return rc;
	http_route_find(req, &allow);
	rc = http_auth_check(req);
	if (rc == 0 && !req->route && allow.size) {
		(void)http_set_header(req, MHD_HTTP_HEADER_ALLOW, allow.data);
		rc = http_error(req, 405, "method_not_allowed", "%s is not for this path",
				req->method);
	} else if (rc == 0 && !req->route) {
		rc = http_error(req, 404, "not_found", "no such path");
	}
	if (rc == 0)
		rc = http_query_read(req);
	if (rc == 0)
		rc = http_length_check(req);
	lnx_buf_done(&allow);
	return rc;
}

/* Everybody may ask whether the agent lives. */
static bool http_work_is_left(struct lnx_http_req *req)
{
	const uint32_t alive = LNX_HTTP_OPS | LNX_HTTP_OPEN;
	struct http *s = req->http;
	uint32_t wait_s = http_peer_wait_s(s, req->conn->peer);
	char text[16];

	if (!wait_s || (req->route->desc->flags & alive) == alive)
		return true;
	s->host->metric_add(s->ctx, s->m_refused_work, 1);
	(void)snprintf(text, sizeof(text), "%u", wait_s);
	(void)http_set_header(req, MHD_HTTP_HEADER_RETRY_AFTER, text);
	(void)http_error(req, 429, "too_much_work",
			 "the answers to this client took more than %u %% of a CPU",
			 s->conf->work_limit);
	return false;
}

/* Handlers run on the loop. What counts is their own time: on a busy machine they take longer, which is nobody's fault. */
static uint64_t http_cpu_ns(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* a thread has one */
	return (uint64_t)t.tv_sec * HTTP_SEC + (uint64_t)t.tv_nsec;
}

static void http_request_run(struct lnx_http_req *req)
{
	uint64_t from_ns;

	if (req->http->is_stopping) {
		(void)http_error(req, 503, "stopping", "the agent is stopping");
		return;
	}
	if (req->is_body_too_big) {
		(void)http_error(req, 413, "body_too_large", "the body exceeds %llu bytes",
				 (unsigned long long)req->http->conf->max_body);
		return;
	}
	if (!http_work_is_left(req))
		return;
	from_ns = http_cpu_ns();
	req->route->desc->handle(req->route->arg, req);
	http_peer_charge(req->http, req->conn->peer, http_cpu_ns() - from_ns);
	if (!req->answer && !req->wait)
		(void)http_error(req, 500, "internal", "the handler gave no answer");
}

/* Called by libmicrohttpd: once with the headers, for each piece of the body, once at the end. An answer is made as soon
 * as it is known, but handed over only at the first or the last call: at the first one it closes the connection. */
enum MHD_Result http_request_step(void *listener, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *io_bytes, void **io_req)
{
	struct lnx_http_req *req = *io_req;

	(void)listener;
	(void)url;
	(void)version;
	if (!req)
		return MHD_NO; /* no memory: the connection ends */
	if (!req->is_begun) {
		req->is_begun = true;
		req->method = method;
		(void)http_request_check(req); /* it has answered */
		if (req->answer && req->is_early)
			return http_answer_send(req);
		return MHD_YES;
	}
	if (*io_bytes) {
		if (req->body.size + *io_bytes > req->http->conf->max_body)
			req->is_body_too_big = true;
		else
			lnx_buf_add(&req->body, data, *io_bytes);
		*io_bytes = 0;
		return MHD_YES;
	}
	if (!req->answer)
		http_request_run(req);
	if (req->answer)
		return http_answer_send(req);
	/* its answer comes later: it has all the time it needs */
	req->conn->deadline_ns = 0;
	req->is_suspended = true;
	MHD_suspend_connection(mhd);
	return MHD_YES;
}

const char *http_param(struct lnx_http_req *req, const char *name)
{
	unsigned i;

	for (i = 0; i < req->n_params; i++) {
		if (!strcmp(req->params[i].name, name))
			return req->params[i].value;
	}
	return NULL;
}

const char *http_header(struct lnx_http_req *req, const char *name)
{
	return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

const char *http_body(struct lnx_http_req *req, uint32_t *ret_bytes)
{
	if (ret_bytes)
		*ret_bytes = (uint32_t)req->body.size;
	return req->body.data ? req->body.data : "";
}

int http_param_u64(struct lnx_http_req *req, const char *name, uint64_t def, uint64_t min,
		   uint64_t max, uint64_t *ret_v)
{
	const char *text = http_param(req, name);
	uint64_t v = def;

	if (text && (http_u64_parse(text, &v) < 0 || v < min || v > max)) {
		(void)http_error(req, 400, "bad_parameter",
				 "%s must be a whole number from %llu to %llu", name,
				 (unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*ret_v = v;
	return 0;
}
