/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /processes/{pid}: one process with its program, its ancestors and its children. */
#include "http_proc.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HTTP_MAX_ANCESTORS 64
#define HTTP_MAX_CHILDREN  1000

struct http_children {
	struct http_proc_view *view;
	struct lnx_buf *out;
	uint32_t pid;
	uint64_t start_ns;
	unsigned n;
};

static void http_pid_brief(struct http_proc_view *v, struct lnx_buf *out, const struct lnx_proc *p)
{
	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "pid", p->pid);
	lnx_json_key(out, "comm");
	lnx_json_bytes(out, p->comm, strnlen(p->comm, sizeof(p->comm)));
	lnx_json_kv_u64(out, "uid", p->uid);
	lnx_json_key(out, "start_ts");
	lnx_json_ts(out, v->http->host->wall_ns(v->http->ctx, p->start_ns));
	lnx_json_kv_str(out, "state", http_proc_state(p));
	lnx_buf_char(out, '}');
}

static int http_pid_child(void *arg, const struct lnx_proc *p)
{
	struct http_children *c = arg;

	if (p->ppid != c->pid || (p->parent_start_ns && p->parent_start_ns != c->start_ns))
		return 0;
	if (c->n++ == HTTP_MAX_CHILDREN)
		return 1;
	http_pid_brief(c->view, c->out, p);
	return 0;
}

/* The file that runs; what execve was told where the link may not be read. */
static void http_pid_exe(struct lnx_buf *out, const struct lnx_proc *p)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/%u/exe", p->pid); /* fits */
	n = readlink(link, path, sizeof(path));
	lnx_json_key(out, "exe");
	if (n > 0)
		lnx_json_bytes(out, path, (size_t)n);
	else
		lnx_json_str(out, p->filename ? p->filename : "");
}

static void http_pid_args(struct http *s, struct lnx_http_req *req, struct lnx_buf *out,
			  const struct lnx_proc *p)
{
	const char *mode = s->host->conf_get(s->ctx, "probes.args");

	lnx_json_key(out, "args");
	if (mode && strcmp(mode, "off") != 0) {
		lnx_json_str(out, p->args ? p->args : "");
		return;
	}
	lnx_buf_str(out, "null");
	http_degraded(req, "args", "not collected: probes.args is off");
}

static void http_pid_answer(struct http_proc_view *v, struct lnx_http_req *req, uint32_t pid)
{
	struct lnx_buf out = { 0 };
	struct http_children children = { .view = v, .out = &out, .pid = pid };
	const struct lnx_proc *p = v->proc->get(v->proc_self, pid, 0);
	unsigned n;

	if (!p) {
		(void)http_error(req, 404, "not_found", "no process has pid %u", pid);
		return;
	}
	children.start_ns = p->start_ns;
	lnx_buf_char(&out, '{');
	http_proc_row(v, &out, p);
	http_pid_exe(&out, p);
	http_pid_args(v->http, req, &out, p);
	lnx_json_key(&out, "ancestors");
	lnx_buf_char(&out, '[');
	p = v->proc->parent(v->proc_self, p);
	for (n = 0; p && n < HTTP_MAX_ANCESTORS; n++, p = v->proc->parent(v->proc_self, p))
		http_pid_brief(v, &out, p);
	lnx_buf_char(&out, ']');
	lnx_json_key(&out, "children");
	lnx_buf_char(&out, '[');
	(void)v->proc->each(v->proc_self, 0, http_pid_child, &children);
	lnx_buf_str(&out, "]}\n");
	if (children.n > HTTP_MAX_CHILDREN)
		http_degraded(req, "children", "more than 1000, the rest is not shown");
	http_proc_degraded(v, req);
	(void)http_respond_buf(req, 200, NULL, &out);
}

static void http_get_pid(void *arg, struct lnx_http_req *req)
{
	struct http_proc_view view;
	uint64_t pid;

	if (http_param_u64(req, "pid", 0, 1, INT32_MAX, &pid) < 0 ||
	    http_proc_view_init(arg, req, &view) < 0)
		return;
	http_pid_answer(&view, req, (uint32_t)pid);
}

static const struct lnx_http_route http_pid_route = {
	sizeof(struct lnx_http_route), 0, "GET", "/processes/{pid}", NULL, http_get_pid
};

int http_routes_pid(struct http *s)
{
	return http_route(s, &http_pid_route, s);
}
