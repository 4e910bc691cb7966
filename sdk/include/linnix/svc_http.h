/* SPDX-License-Identifier: MIT */
/* Service "http/1": add a route to the agent's API. Loop thread only. */
#ifndef LINNIX_SVC_HTTP_H
#define LINNIX_SVC_HTTP_H

#include <stdint.h>

struct lnx_http_req;	/* one request; borrowed until it is answered */
struct lnx_http_stream; /* one open server-sent-events response */

/* Route flags. */
#define LNX_HTTP_OPS 1 /* also on the ops listener */
#define LNX_HTTP_ADMIN \
	2 /* needs the admin token or a trusted peer of the unix socket; every POST does */
#define LNX_HTTP_OPEN	   4 /* no token asked: /healthz */
#define LNX_HTTP_SELF_AUTH 8 /* the handler authenticates (a signature) */

struct lnx_http_route {
	uint32_t size;
	uint32_t flags;
	const char *method; /* "GET", "POST" */
	const char *path;   /* "/processes/{pid}": one parameter a segment in braces */
	const char *const *
		query; /* allowed query parameters, NULL at the end; others are a 400 that names them */
	/* Must answer before it returns, with respond(), error() or stream(). <arg> is the one given to route(). */
	void (*handle)(void *arg, struct lnx_http_req *req);
};

struct lnx_svc_http {
	uint32_t size;
	uint32_t pad;
	/* Add a route. The tables are borrowed for the life of the plugin. -EEXIST, -ENOSPC. */
	int (*route)(void *self, const struct lnx_http_route *route, void *arg);
	/* Value of a query parameter, decoded, or NULL. A path parameter is found by its name, too. Borrowed. */
	const char *(*param)(struct lnx_http_req *req, const char *name);
	/* A request header, or NULL. */
	const char *(*header)(struct lnx_http_req *req, const char *name);
	/* The body of a POST. NUL terminated. */
	const char *(*body)(struct lnx_http_req *req, uint32_t *ret_bytes);
	/* Number of parameter <name>, or <def> when absent. -EINVAL after having answered 400. */
	int (*param_u64)(struct lnx_http_req *req, const char *name, uint64_t def, uint64_t min,
			 uint64_t max, uint64_t *ret_v);
	/* Add a header to the answer. Copied. */
	int (*set_header)(struct lnx_http_req *req, const char *name, const char *value);
	/* Answer. <body> is copied. content_type NULL: application/json. */
	int (*respond)(struct lnx_http_req *req, uint32_t status, const char *content_type,
		       const char *body, uint64_t body_bytes);
	/* Answer {"error":{"code","message"}}. code: a short word such as "bad_request". */
	int (*error)(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt,
		     ...) __attribute__((format(printf, 4, 5)));
	/* Answer with an open event stream. <closed> is called once when the client is gone or stream_close was called;
	 * after it the stream may not be used. -ENOBUFS: too many streams (already answered 503). */
	int (*stream)(struct lnx_http_req *req, void (*closed)(void *arg),
		      void (*writable)(void *arg), void *arg, struct lnx_http_stream **ret_stream);
	/* Append bytes to the client's bounded buffer. -ENOBUFS: it does not fit, nothing written; wait for writable(). */
	int (*stream_write)(struct lnx_http_stream *s, const void *bytes, uint32_t n);
	void (*stream_close)(struct lnx_http_stream *s);
	/* Who asks and by what right, for an audit: "uid 0 (unix socket)", "admin token (127.0.0.1)", "nobody (::1)". */
	void (*peer)(struct lnx_http_req *req, char *buf, uint32_t cap);
};

#endif
