/* SPDX-License-Identifier: MIT */
/* Service http/1, and one request at a time. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testhost_http.h"
#include "testhost_priv.h"

#define TH_PEER "uid 0 (unix socket)"

struct th_route {
	const struct lnx_http_route *r;
	void *arg;
};

struct lnx_http_req {
	const struct testhost_request *asked;
	struct testhost_answer a;
	unsigned n_answers;
	char code[TH_NAME], type[128], headers[1024];
	char *body;
};

static struct lnx_http_req *request(struct testhost *t)
{
	return t->request ? t->request : (t->request = calloc(1, sizeof(*t->request)));
}

void th_http_done(struct testhost *t)
{
	if (t->request)
		free(t->request->body);
	free(t->request);
	th_list_done(&t->routes, free);
}

static int http_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct testhost *t = self;
	int rc = th_fault(t, "route");
	struct th_route *add;

	if (rc)
		return rc;
	add = malloc(sizeof(*add));
	if (!add || th_list_add(&t->routes, add) < 0) {
		free(add);
		return -ENOMEM;
	}
	*add = (struct th_route){ r, arg };
	return 0;
}

/* The value of "name=value". */
static const char *value_of(const char *const *list, const char *name)
{
	size_t n = strlen(name);

	for (; list && *list; list++)
		if (strncmp(*list, name, n) == 0 && (*list)[n] == '=')
			return *list + n + 1;
	return NULL;
}

static const char *http_param(struct lnx_http_req *req, const char *name)
{
	return value_of(req->asked->params, name);
}

static const char *http_header(struct lnx_http_req *req, const char *name)
{
	return value_of(req->asked->headers, name);
}

static const char *http_body(struct lnx_http_req *req, uint32_t *ret_bytes)
{
	const char *body = req->asked->body ? req->asked->body : "";

	*ret_bytes = (uint32_t)strlen(body);
	return body;
}

static int http_set_header(struct lnx_http_req *req, const char *name, const char *value)
{
	size_t n = strlen(req->headers);
	int more = snprintf(req->headers + n, sizeof(req->headers) - n, "%s: %s\n", name, value);

	return more < (int)(sizeof(req->headers) - n) ? 0 : -ENOBUFS;
}

static int answer(struct lnx_http_req *req, uint32_t status, const char *code, char *body)
{
	if (!body)
		return -ENOMEM;
	req->n_answers++;
	free(req->body);
	req->body = body;
	(void)snprintf(req->code, sizeof(req->code), "%s", code); /* a short word */
	req->a.status = status;
	return 0;
}

static int http_respond(struct lnx_http_req *req, uint32_t status, const char *content_type,
			const char *body, uint64_t body_bytes)
{
	char *copy = malloc(body_bytes + 1);

	if (copy) {
		memcpy(copy, body, body_bytes);
		copy[body_bytes] = 0;
	}
	(void)snprintf(req->type, sizeof(req->type), "%s",
		       content_type ? content_type : "application/json"); /* short */
	return answer(req, status, "", copy);
}

__attribute__((format(printf, 4, 5))) static int http_error(struct lnx_http_req *req,
							    uint32_t status, const char *code,
							    const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return answer(req, status, code, text);
}

static int http_param_u64(struct lnx_http_req *req, const char *name, uint64_t def, uint64_t min,
			  uint64_t max, uint64_t *ret_v)
{
	const char *text = http_param(req, name);
	unsigned long long v = def;
	char *end = NULL;

	if (text) {
		errno = 0;
		v = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || errno || v < min || v > max) {
			(void)http_error(req, 400, "bad_request", "bad value of %s", name);
			return -EINVAL;
		}
	}
	*ret_v = v;
	return 0;
}

static void http_peer(struct lnx_http_req *req, char *buf, uint32_t cap)
{
	(void)req;
	(void)snprintf(buf, cap, "%s", TH_PEER); /* cut to the caller's room */
}

int testhost_http(struct testhost *t)
{
	static const struct lnx_svc_http service = {
		.size = sizeof(service),
		.route = http_route,
		.param = http_param,
		.header = http_header,
		.body = http_body,
		.param_u64 = http_param_u64,
		.set_header = http_set_header,
		.respond = http_respond,
		.error = http_error,
		.peer = http_peer,
	};

	return request(t) ? testhost_provide(t, "http/1", &service, t) : -ENOMEM;
}

static const struct th_route *find(struct testhost *t, const char *route)
{
	for (size_t i = 0; i < t->routes.n; i++) {
		const struct th_route *x = t->routes.item[i];
		size_t n = strlen(x->r->method);

		if (strncmp(route, x->r->method, n) == 0 && route[n] == ' ' &&
		    strcmp(route + n + 1, x->r->path) == 0)
			return x;
	}
	return NULL;
}

const struct lnx_http_route *testhost_route(struct testhost *t, const char *route)
{
	const struct th_route *x = find(t, route);

	return x ? x->r : NULL;
}

/* Whether "name=value" is of the query, or of a segment {name} of the path. */
static int may_ask(const struct lnx_http_route *r, const char *param)
{
	size_t n = strcspn(param, "=");
	const char *const *q = r->query, *at = r->path;

	for (; q && *q; q++)
		if (strlen(*q) == n && strncmp(*q, param, n) == 0)
			return 1;
	while ((at = strchr(at, '{'))) {
		at++;
		if (strncmp(at, param, n) == 0 && at[n] == '}')
			return 1;
	}
	return 0;
}

const struct testhost_answer *testhost_ask(struct testhost *t, const char *route,
					   const struct testhost_request *asked)
{
	static const struct testhost_request nothing = { 0 };
	const struct th_route *x = find(t, route);
	struct lnx_http_req *req = request(t);
	const char *const *p;

	if (!x || !req)
		return NULL;
	free(req->body);
	*req = (struct lnx_http_req){ .asked = asked ? asked : &nothing };
	for (p = req->asked->params; p && *p; p++)
		if (!may_ask(x->r, *p)) {
			(void)http_error(req, 400, "bad_request", "unknown parameter %s", *p);
			break;
		}
	if (!req->n_answers)
		x->r->handle(x->arg, req);
	if (req->n_answers != 1)
		return NULL;
	req->a.code = req->code;
	req->a.body = req->body;
	req->a.type = req->type;
	req->a.headers = req->headers;
	return &req->a;
}
