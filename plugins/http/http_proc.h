/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows of /processes. */
#ifndef HTTP_PROC_H
#define HTTP_PROC_H

#include "http_req.h"
#include <linnix/svc_proc.h>
#include <linnix/svc_stall.h>
#include <linnix/svc_workload.h>

/* What one request needs to show processes. */
struct http_proc_view {
	struct http *http;
	const struct lnx_svc_proc *proc;
	void *proc_self;
	const struct lnx_svc_workload *workload; /* NULL: nobody knows containers */
	void *workload_self;
	const struct lnx_svc_stall
		*stall; /* NULL: no ledger counts, so nobody is known to have caused anything */
	void *stall_self;
	const char *stall_why; /* <stall> is NULL: why */
	uint64_t now_ns, mem_total_bytes;
	bool has_missing_usage; /* a row was shown without figures */
};

/* http_proc_row.c */
const char *http_proc_state(const struct lnx_proc *p);
/* -1: no such state. */
int http_proc_state_known(const char *name);
void http_proc_who(struct http_proc_view *v, const struct lnx_proc *p, struct lnx_workload *ret_w);
/* What <p> held up in the last 10 s; NaN without a ledger. */
void http_proc_share(const struct http_proc_view *v, const struct lnx_proc *p,
		     struct lnx_stall_share *ret_share);
/* The fields of <p>, without the braces. */
void http_proc_row(struct http_proc_view *v, struct lnx_buf *out, const struct lnx_proc *p);
/* -ENOENT after having answered: no process table. */
int http_proc_view_init(struct http *s, struct lnx_http_req *req, struct http_proc_view *ret_v);
void http_proc_degraded(const struct http_proc_view *v, struct lnx_http_req *req);
/* http_routes_pid.c */
int http_routes_pid(struct http *s);

#endif
