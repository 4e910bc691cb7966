/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin's own state, shared by its files. */
#ifndef LNX_HTTP_CLIENT_H
#define LNX_HTTP_CLIENT_H

#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>
#include <stdbool.h>

#include "curl.h"

#define HTTPC_CALLS	 32 /* at a time */
#define HTTPC_HEAD_BYTES 65536u

struct httpc;

struct lnx_http_call {
	struct lnx_http_call *prev, *next;
	struct httpc *h;
	struct lnx_http_ask ask; /* only numbers and callbacks are valid */
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	struct lnx_timer *idle;	    /* NULL without idle_timeout_ns */
	uint64_t moved_ns;	    /* when the last byte came */
	uint64_t head_bytes, bytes; /* of the answer */
	uint32_t status;
	bool is_plain;		   /* http:// */
	bool has_head;		   /* on_head was called */
	int rc;			   /* of a callback or a check of ours that ended it; 0 */
	char ours[128];		   /* why, when it is not libcurl that says so; "" */
	char why[CURL_ERROR_SIZE]; /* libcurl's words */
};

struct httpc {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	struct httpc_curl curl;
	CURLM *multi;		 /* NULL before the first request */
	struct lnx_timer *timer; /* libcurl's */
	struct lnx_http_call *calls;
	uint32_t n_calls;
	char why[256]; /* libcurl cannot be loaded; "" */
	struct lnx_metric *m_requests, *m_failures, *m_active;
};

/* call.c */
/* A call, ready to be added. 0 or -errno. */
int httpc_call_new(struct httpc *h, const struct lnx_http_ask *ask,
		   struct lnx_http_call **ret_call);
/* Frees it; nothing is told. */
void httpc_call_free(struct lnx_http_call *c);
/* What the end of the transfer means to the one who asked. */
int httpc_call_error(const struct lnx_http_call *c, CURLcode code);
/* http_client.c */
/* Take <c> out, tell its end, free it. */
void httpc_finish(struct lnx_http_call *c, int rc, const char *why);

#endif
