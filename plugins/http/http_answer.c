/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers: made by a handler at any time, sent when libmicrohttpd takes them. */
#include "http_req.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char http_json[] = "application/json";

int http_set_header(struct lnx_http_req *req, const char *name, const char *value)
{
	struct http_header *h = &req->headers[req->n_headers];

	if (req->n_headers == HTTP_MAX_HEADERS)
		return -ENOSPC;
	if (strpbrk(value, "\r\n") || strpbrk(name, "\r\n: "))
		return -EINVAL;
	h->name = strdup(name);
	h->value = strdup(value);
	if (!h->name || !h->value) {
		free(h->name);
		free(h->value);
		return -ENOMEM;
	}
	req->n_headers++;
	return 0;
}

void http_degraded(struct lnx_http_req *req, const char *what, const char *why)
{
	lnx_buf_printf(&req->degraded, "%s%s: %s", req->degraded.size ? "; " : "", what, why);
}

/* Whose answer it is: most bodies are arrays and have no place for it. Who may not ask is not told. */
static void http_answer_ident(struct lnx_http_req *req, struct MHD_Response *r)
{
	const struct lnx_ident *id = req->http->host->ident(req->http->ctx);
	char schema[12];

	if (req->status == 401 || req->status == 403)
		return;
	(void)snprintf(schema, sizeof(schema), "%" PRIu32, id->schema);
	(void)MHD_add_response_header(r, "X-Linnix-Node", id->node);
	if (*id->cluster)
		(void)MHD_add_response_header(r, "X-Linnix-Cluster", id->cluster);
	(void)MHD_add_response_header(r, "X-Linnix-Boot-Id", id->boot_id);
	(void)MHD_add_response_header(r, "X-Linnix-Schema", schema);
}

void http_answer_headers(struct lnx_http_req *req, struct MHD_Response *r, const char *type)
{
	unsigned i;

	/* These fail for want of memory only: the answer then goes without the header. */
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	http_answer_ident(req, r);
	if (req->degraded.size)
		(void)MHD_add_response_header(r, "X-Linnix-Degraded", req->degraded.data);
	for (i = 0; i < req->n_headers; i++)
		(void)MHD_add_response_header(r, req->headers[i].name, req->headers[i].value);
}

/* Out of memory, or of the allowance of memory: a text that needs none. */
static struct MHD_Response *http_answer_short(struct lnx_http_req *req)
{
	static char text[] = "{\"error\":{\"code\":\"overloaded\",\"message\":\"too many answers "
			     "wait for their readers\"}}\n";

	req->http->host->metric_add(req->http->ctx, req->http->m_refused_memory, 1);
	req->status = 503;
	return MHD_create_response_from_buffer(sizeof(text) - 1, text, MHD_RESPMEM_PERSISTENT);
}

/* Takes <data>. */
static int http_answer_set(struct lnx_http_req *req, uint32_t status, const char *type, char *data,
			   size_t bytes)
{
	struct http *s = req->http;

	if (req->answer) {
		free(data);
		return -EALREADY;
	}
	req->status = status;
	if (!http_pending_fits(s, req->conn->peer, bytes)) {
		free(data);
		data = NULL;
		(void)http_set_header(req, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	}
	if (data)
		req->answer = MHD_create_response_from_buffer(bytes, data, MHD_RESPMEM_MUST_FREE);
	if (data && !req->answer)
		free(data);
	if (req->answer) {
		req->pending_bytes = bytes;
		http_pending_add(req->conn, (int64_t)bytes);
	} else {
		req->answer = http_answer_short(req);
		type = http_json;
	}
	if (!req->answer)
		return -ENOMEM;
	http_answer_headers(req, req->answer, type ? type : http_json);
	return 0;
}

int http_respond_buf(struct lnx_http_req *req, uint32_t status, const char *type,
		     struct lnx_buf *body)
{
	char *data = body->data;
	size_t bytes = body->size;

	if (lnx_buf_error(body) < 0) {
		lnx_buf_done(body);
		return http_error(req, 503, "too_large",
				  "the answer does not fit in memory: ask "
				  "for less with limit");
	}
	memset(body, 0, sizeof(*body));
	return http_answer_set(req, status, type, data, bytes);
}

int http_respond(struct lnx_http_req *req, uint32_t status, const char *type, const char *body,
		 uint64_t bytes)
{
	char *copy = malloc(bytes + 1);

	if (copy)
		memcpy(copy, body, bytes);
	return http_answer_set(req, status, type, copy, bytes);
}

int http_error(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt, ...)
{
	struct lnx_buf out = { .max = 16384 };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when too long */
	va_end(ap);
	lnx_buf_str(&out, "{\"error\":{");
	lnx_json_kv_str(&out, "code", code);
	lnx_json_kv_str(&out, "message", text);
	lnx_buf_str(&out, "}}\n");
	/* NULL data when memory is short becomes the short answer */
	(void)http_answer_set(req, status, NULL, out.data, out.size);
	return -EBADMSG;
}

enum MHD_Result http_answer_send(struct lnx_http_req *req)
{
	struct http *s = req->http;
	enum MHD_Result rc;

	if (!req->answer)
		return MHD_NO;
	if (!req->stream)
		req->conn->deadline_ns = s->host->now_ns(s->ctx) + s->conf->answer_timeout;
	else if (!req->stream->is_ended)
		req->conn->deadline_ns = 0;
	rc = MHD_queue_response(req->mhd, req->status, req->answer);
	MHD_destroy_response(req->answer); /* our reference */
	req->is_sent = true;
	return rc;
}
