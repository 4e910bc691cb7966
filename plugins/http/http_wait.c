/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests that are answered later. libmicrohttpd suspends their connection meanwhile; when it is resumed it asks for the answer
 * again. */
#include "http_req.h"

#include <stdlib.h>

struct http_wait *http_wait_begin(struct lnx_http_req *req)
{
	struct http *s = req->http;
	struct http_wait *w = calloc(1, sizeof(*w));

	if (!w) {
		(void)http_error(req, 503, "no_memory", "out of memory");
		return NULL;
	}
	w->req = req;
	w->next = s->waits;
	if (w->next)
		w->next->prev = w;
	s->waits = w;
	req->wait = w;
	return w;
}

/* The request and its wait part. */
static void http_wait_part(struct http_wait *w)
{
	if (!w->req)
		return;
	if (w->prev)
		w->prev->next = w->next;
	else
		w->req->http->waits = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->req->wait = NULL;
	w->req = NULL;
}

/* Only a request whose handler has returned sleeps. */
static void http_wait_wake(struct lnx_http_req *req)
{
	if (!req->is_suspended)
		return;
	req->is_suspended = false;
	MHD_resume_connection(req->mhd);
	http_listener_wake(req->conn->listener);
}

struct lnx_http_req *http_wait_end(struct http_wait *w)
{
	struct lnx_http_req *req = w->req;

	http_wait_part(w);
	free(w);
	if (req)
		http_wait_wake(req);
	return req;
}

void http_wait_gone(struct http_wait *w)
{
	http_wait_part(w);
}

void http_wait_end_all(struct http *s)
{
	struct lnx_http_req *req;

	while (s->waits && (req = s->waits->req)) {
		http_wait_part(req->wait); /* whoever promised the answer still has it */
		(void)http_error(req, 503, "stopping", "the agent is stopping");
		http_wait_wake(req);
	}
}
