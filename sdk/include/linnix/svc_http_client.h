/* SPDX-License-Identifier: MIT */
/* Service "http_client/1": HTTP requests to elsewhere, without blocking (plugin `http_client`). Loop thread only.
 *
 * HTTP/1.1 only, no redirects, no proxies, certificates are checked, TLS 1.2 at least. Nothing is loaded and no socket is
 * opened before the first request. */
#ifndef LINNIX_SVC_HTTP_CLIENT_H
#define LINNIX_SVC_HTTP_CLIENT_H

#include <stdint.h>

struct lnx_http_call; /* a request that runs; owned by the service */

#define LNX_HTTPC_LOOPBACK  1 /* refuse every address that is not of this machine */
#define LNX_HTTPC_PLAINTEXT 2 /* http:// to other machines, too; without it only to this one */

/* A request. Everything is copied by start(). */
struct lnx_http_ask {
	uint32_t size;
	uint32_t flags;	    /* LNX_HTTPC_* */
	const char *method; /* NULL: GET */
	const char *url;    /* http:// or https:// */
	const char *const
		*headers; /* "Name: value", NULL at the end; may be NULL. No line ends inside. */
	const void *body;
	uint64_t body_bytes;
	const char *ca_file;	     /* PEM of the authorities to trust; NULL or "": the system's */
	uint64_t connect_timeout_ns; /* 0: 10 s */
	uint64_t total_timeout_ns;   /* 0: none */
	uint64_t idle_timeout_ns;    /* no byte for so long ends it; 0: never */
	uint64_t max_body_bytes;     /* of the answer; 0: 1 MiB; UINT64_MAX: any */
	/* In this order; on_head and on_body are optional. They may not start or cancel a call; a negative return ends this
	 * one with that error. */
	int (*on_head)(void *arg, uint32_t status);
	int (*on_body)(void *arg, const void *bytes, uint64_t n);
	/* Once, unless cancelled; the call is gone then. rc 0: a whole answer came, whatever its status. Else: -ETIMEDOUT,
	 * -ECONNREFUSED (no connection), -EHOSTUNREACH (no such name), -EACCES (address not allowed), -EKEYREJECTED (TLS),
	 * -EPROTO (cut off or no HTTP), -EFBIG (larger than max_body_bytes), or what a callback returned. <why>: for people. */
	void (*on_done)(void *arg, int rc, uint32_t status, const char *why);
	void *arg;
	/* Optional: each header of the answer, "Name: value" without its line end, before on_head. <line> is borrowed and not
	 * NUL terminated. As for the other two. */
	int (*on_header)(void *arg, const char *line, uint64_t n);
};

struct lnx_svc_http_client {
	uint32_t size;
	uint32_t pad;
	/* -EINVAL: not a request; -ENOBUFS: too many run; -ENOSYS: libcurl cannot be loaded. on_done is only called after it
	 * returned. */
	int (*start)(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call);
	/* End it; nothing of it is called any more. NULL is fine. */
	void (*cancel)(void *self, struct lnx_http_call *call);
};

#endif
