/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One request, its answer, and the open streams. */
#ifndef HTTP_REQ_H
#define HTTP_REQ_H

#include "http.h"

#define HTTP_MAX_HEADERS  8    /* that a handler adds to one answer */
#define HTTP_DEGRADED_MAX 1024 /* bytes of X-Linnix-Degraded */
/* Bytes waiting for one reader, beside the kernel's; a single larger write fits. */
#define HTTP_STREAM_BUFFER  8192
#define HTTP_STREAM_LARGEST 262144
#define HTTP_MAX_LIMIT	    10000 /* of ?limit= */

struct http_header {
	char *name, *value;
};

struct lnx_http_req {
	struct http *http;
	struct http_conn *conn;
	struct MHD_Connection *mhd;
	const struct http_route *route;
	const char *method;
	char *uri; /* owned, cut in place */
	struct http_target target;
	struct http_param params[HTTP_MAX_PARAMS + HTTP_MAX_SEGS];
	char names[HTTP_MAX_SEGS][32];
	unsigned n_params, n_headers;
	struct http_header headers[HTTP_MAX_HEADERS];
	struct lnx_buf body, degraded; /* degraded: text of X-Linnix-Degraded */
	struct MHD_Response *answer;   /* NULL: none yet; libmicrohttpd's once is_sent */
	struct lnx_http_stream *stream;
	uint64_t pending_bytes; /* of the answer */
	uint32_t status;
	struct http_wait *wait;		  /* it is suspended until that is over */
	bool is_begun, is_sent, is_early; /* early: answer before the body, then close */
	bool is_body_too_big, is_suspended;
};

struct lnx_http_stream {
	struct lnx_http_stream *prev, *next;
	struct http *http;
	struct http_conn *conn;
	struct lnx_fd *watch;
	void (*closed)(void *arg);
	void (*writable)(void *arg);
	void *arg;
	char *data; /* NULL while nothing waits */
	uint32_t cap, head, n;
	bool is_suspended, is_reading, is_ended, is_closed;
};

/* A request whose answer somebody makes later. */
struct http_wait {
	struct http_wait *prev, *next;
	struct lnx_http_req *req; /* NULL: it is gone */
};

/* http_wait.c */
/* The answer of <req> comes later: its connection sleeps until http_wait_end. NULL: no memory (answered). */
struct http_wait *http_wait_begin(struct lnx_http_req *req);
/* The request to be answered now, or NULL. Frees <w>. */
struct lnx_http_req *http_wait_end(struct http_wait *w);
/* The request of <w> is over. */
void http_wait_gone(struct http_wait *w);
/* http_auth.c: 0, or -EACCES after having answered. */
int http_auth_host(struct lnx_http_req *req);
int http_auth_check(struct lnx_http_req *req);
/* Who asks and by what right: "admin token (127.0.0.1)". */
void http_peer_tell(struct lnx_http_req *req, char *buf, uint32_t cap);
/* http_request.c */
const char *http_param(struct lnx_http_req *req, const char *name);
const char *http_header(struct lnx_http_req *req, const char *name);
const char *http_body(struct lnx_http_req *req, uint32_t *ret_bytes);
int http_param_u64(struct lnx_http_req *req, const char *name, uint64_t def, uint64_t min,
		   uint64_t max, uint64_t *ret_v);
/* http_answer.c */
int http_set_header(struct lnx_http_req *req, const char *name, const char *value);
/* One more reason for X-Linnix-Degraded. */
void http_degraded(struct lnx_http_req *req, const char *what, const char *why);
int http_respond(struct lnx_http_req *req, uint32_t status, const char *type, const char *body,
		 uint64_t bytes);
/* Takes the bytes of <body>. */
int http_respond_buf(struct lnx_http_req *req, uint32_t status, const char *type,
		     struct lnx_buf *body);
int http_error(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Hand the answer to libmicrohttpd. */
enum MHD_Result http_answer_send(struct lnx_http_req *req);
void http_answer_headers(struct lnx_http_req *req, struct MHD_Response *r, const char *type);
/* http_sse.c */
int http_stream_open(struct lnx_http_req *req, void (*closed)(void *arg),
		     void (*writable)(void *arg), void *arg, struct lnx_http_stream **ret_stream);
int http_stream_write(struct lnx_http_stream *st, const void *bytes, uint32_t n);
void http_stream_close(struct lnx_http_stream *st);
void http_stream_gone(struct lnx_http_stream *st);

#endif
