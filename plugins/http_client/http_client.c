/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin http_client (service http_client/1): libcurl's multi interface on the host's descriptors and timers. */
#include "http_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000u

/* ---- ends */

static void httpc_unlink(struct lnx_http_call *c)
{
	struct httpc *h = c->h;

	(void)h->curl.multi_remove_handle(h->multi, c->easy); /* it is in */
	*(c->prev ? &c->prev->next : &h->calls) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	h->n_calls--;
	h->host->metric_set(h->ctx, h->m_active, h->n_calls);
}

void httpc_finish(struct lnx_http_call *c, int rc, const char *why)
{
	struct httpc *h = c->h;
	char text[CURL_ERROR_SIZE];

	(void)snprintf(text, sizeof(text), "%s", why); /* it may lie inside of <c> */
	if (rc < 0)
		h->host->metric_add(h->ctx, h->m_failures, 1);
	httpc_unlink(c);
	c->ask.on_done(c->ask.arg, rc, c->status, text);
	httpc_call_free(c);
}

static const char *httpc_why(const struct lnx_http_call *c, int rc, CURLcode code)
{
	if (rc == 0)
		return "";
	if (c->ours[0])
		return c->ours;
	if (c->rc < 0)
		return strerror(-c->rc);
	return c->why[0] ? c->why : c->h->curl.easy_strerror(code);
}

/* Calls that libcurl is through with. on_done may start and cancel others. */
static void httpc_reap(void *arg)
{
	struct httpc *h = arg;
	struct lnx_http_call *c;
	CURLMsg *m;
	CURLcode code;
	int left, rc;

	while ((m = h->curl.multi_info_read(h->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		code = m->data.result;
		c = NULL;
		(void)h->curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c); /* set */
		rc = httpc_call_error(c, code);
		if (rc == 0 && !c->has_head) { /* an answer without a body */
			long status = 0;

			(void)h->curl.easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE,
						   &status); /* stays 0 */
			c->status = (uint32_t)status;
			rc = c->ask.on_head ? c->ask.on_head(c->ask.arg, c->status) : 0;
		}
		httpc_finish(c, rc, httpc_why(c, rc, code));
	}
}

/* ---- libcurl's wishes */

static void httpc_act(struct httpc *h, curl_socket_t fd, int bits)
{
	int running;

	(void)h->curl.multi_socket_action(h->multi, fd, bits, &running); /* ends come as messages */
	httpc_reap(h);
}

static void httpc_on_fd(void *arg, int fd, uint32_t bits)
{
	httpc_act(arg, fd,
		  (bits & LNX_FD_READ ? CURL_CSELECT_IN : 0) |
			  (bits & LNX_FD_WRITE ? CURL_CSELECT_OUT : 0));
}

static void httpc_on_timer(void *arg)
{
	httpc_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int httpc_want_fd(CURL *easy, curl_socket_t fd, int what, void *arg, void *fd_arg)
{
	struct httpc *h = arg;
	struct lnx_fd *f = fd_arg;
	uint32_t bits = (what & CURL_POLL_IN ? LNX_FD_READ : 0u) |
			(what & CURL_POLL_OUT ? LNX_FD_WRITE : 0u);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		h->host->fd_del(h->ctx, f);
		(void)h->curl.multi_assign(h->multi, fd, NULL); /* the socket is known */
		return 0;
	}
	if (f)
		return h->host->fd_set(h->ctx, f, bits);
	if (h->host->fd_add(h->ctx, fd, bits, httpc_on_fd, h, &f) < 0)
		return -1;
	(void)h->curl.multi_assign(h->multi, fd, f); /* likewise */
	return 0;
}

static int httpc_want_timer(CURLM *multi, long ms, void *arg)
{
	struct httpc *h = arg;

	(void)multi;
	if (ms < 0) {
		h->host->timer_stop(h->ctx, h->timer);
		return 0;
	}
	return h->host->timer_set(h->ctx, h->timer, (uint64_t)ms * MS, 0) < 0 ? -1 : 0;
}

/* ---- the service */

static int httpc_open(struct httpc *h)
{
	CURLMcode (*set)(CURLM *, CURLMoption, ...);
	unsigned bad = 0;
	int rc;

	if (h->multi)
		return 0;
	rc = httpc_curl_open(&h->curl, h->why, sizeof(h->why));
	if (rc < 0) {
		h->host->health(h->ctx, "libcurl", LNX_HEALTH_DEGRADED, h->why);
		return rc;
	}
	h->multi = h->curl.multi_init();
	if (!h->multi)
		return -ENOMEM;
	set = h->curl.multi_setopt;
	bad |= (unsigned)set(h->multi, CURLMOPT_SOCKETFUNCTION, httpc_want_fd);
	bad |= (unsigned)set(h->multi, CURLMOPT_SOCKETDATA, (void *)h);
	bad |= (unsigned)set(h->multi, CURLMOPT_TIMERFUNCTION, httpc_want_timer);
	bad |= (unsigned)set(h->multi, CURLMOPT_TIMERDATA, (void *)h);
	bad |= (unsigned)set(h->multi, CURLMOPT_MAXCONNECTS, 4L); /* kept for another request */
	bad |= (unsigned)set(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	if (bad) {
		(void)h->curl.multi_cleanup(h->multi); /* nothing is in it */
		h->multi = NULL;
		return -ENOSYS;
	}
	h->host->health(h->ctx, "libcurl", LNX_HEALTH_OK, "");
	return 0;
}

static int httpc_start(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	struct httpc *h = self;
	struct lnx_http_call *c;
	int rc = httpc_open(h);

	if (rc < 0)
		return rc;
	if (h->n_calls >= HTTPC_CALLS)
		return -ENOBUFS;
	rc = httpc_call_new(h, ask, &c);
	if (rc < 0)
		return rc;
	if (h->curl.multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		httpc_call_free(c);
		return -EBUSY; /* from inside a callback */
	}
	c->next = h->calls;
	if (c->next)
		c->next->prev = c;
	h->calls = c;
	h->n_calls++;
	h->host->metric_add(h->ctx, h->m_requests, 1);
	h->host->metric_set(h->ctx, h->m_active, h->n_calls);
	*ret_call = c;
	return 0;
}

static void httpc_cancel(void *self, struct lnx_http_call *c)
{
	(void)self;
	if (!c)
		return;
	httpc_unlink(c);
	httpc_call_free(c);
}

static const struct lnx_svc_http_client httpc_service = {
	.size = sizeof(httpc_service),
	.start = httpc_start,
	.cancel = httpc_cancel,
};

/* ---- life */

static int httpc_metrics(struct httpc *h)
{
	static const struct lnx_metric_desc requests = {
		.name = "linnix_http_client_requests_total",
		.help = "Requests that the agent sent.",
		.kind = LNX_COUNTER
	};
	static const struct lnx_metric_desc failures = {
		.name = "linnix_http_client_failures_total",
		.help = "Requests without a whole answer.",
		.kind = LNX_COUNTER
	};
	static const struct lnx_metric_desc active = { .name = "linnix_http_client_active",
						       .help = "Requests that run.",
						       .kind = LNX_GAUGE };
	int rc = h->host->metric(h->ctx, &requests, NULL, &h->m_requests);

	if (rc == 0)
		rc = h->host->metric(h->ctx, &failures, NULL, &h->m_failures);
	if (rc == 0)
		rc = h->host->metric(h->ctx, &active, NULL, &h->m_active);
	return rc;
}

static void httpc_fini(void *state)
{
	struct httpc *h = state;

	while (h->calls)
		httpc_cancel(h, h->calls);
	if (h->multi)
		(void)h->curl.multi_cleanup(h->multi); /* nothing is in it */
	free(h);
}

static int httpc_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		      void **ret_state)
{
	struct httpc *h = calloc(1, sizeof(*h));
	int rc;

	(void)conf;
	if (!h)
		return -ENOMEM;
	h->host = host;
	h->ctx = ctx;
	rc = httpc_metrics(h);
	if (rc == 0)
		rc = host->timer_add(ctx, 0, 0, httpc_on_timer, h, &h->timer);
	if (rc == 0) {
		host->timer_stop(ctx, h->timer); /* until libcurl asks for it */
		rc = host->provide(ctx, "http_client/1", &httpc_service, h);
	}
	if (rc < 0) {
		httpc_fini(h);
		return rc;
	}
	*ret_state = h;
	return 0;
}

static const char *const httpc_provides[] = { "http_client/1", NULL };

static const struct lnx_plugin httpc_plugin = {
	.size = sizeof(httpc_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "http_client",
	.version = "1",
	.summary = "HTTP requests for other plugins",
	.init = httpc_init,
	.fini = httpc_fini,
	.provides = httpc_provides,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &httpc_plugin;
}
