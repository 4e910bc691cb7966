/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /processes: filter, sort, page. Rows are chosen by (pid, start) and looked up again to be shown. */
#include "http_proc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_PROC_LIMIT 100	/* default */
#define HTTP_PROC_MAX	1000000 /* rows that are sorted; a kernel has at most 4 million pids */
#define HTTP_ID_PREFIX	12	/* characters that name a container id */

#define HTTP_SORT_PSI	0
#define HTTP_SORT_CPU	1
#define HTTP_SORT_RSS	2
#define HTTP_SORT_FORKS 3
#define HTTP_SORT_AGE	4

static const char *const http_sort_names[] = {
	"psi_contribution", "cpu_pct", "rss_bytes", "forks", "age", NULL
};

struct http_pick {
	double key;
	uint64_t start_ns;
	uint32_t pid;
};

struct http_procs {
	struct http_proc_view view;
	const char *namespace_, *victim_namespace, *pod, *container, *cgroup, *comm, *state;
	uint64_t uid; /* UINT64_MAX: any */
	unsigned sort;
	bool is_ascending;
	uint64_t limit, offset;
	struct http_pick *picks;
	size_t n, cap;
	struct http_pick *culprits; /* with victim_namespace: by pid, key is caused_ms */
	size_t n_culprits, cap_culprits;
	int error;
};

static int http_culprit_compare(const void *a, const void *b)
{
	const struct http_pick *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int http_culprit_add(void *arg, uint32_t pid, uint64_t start_ns, double caused_ms)
{
	struct http_procs *q = arg;
	size_t cap = q->cap_culprits ? 2 * q->cap_culprits : 64;
	void *grown;

	if (q->n_culprits == q->cap_culprits) {
		grown = cap <= HTTP_PROC_MAX ? reallocarray(q->culprits, cap, sizeof(*q->culprits))
					     : NULL;
		if (!grown) {
			q->error = -ENOMEM;
			return 1;
		}
		q->culprits = grown;
		q->cap_culprits = cap;
	}
	q->culprits[q->n_culprits++] = (struct http_pick){ caused_ms, start_ns, pid };
	return 0;
}

/* Whoever stalled a victim of victim_namespace in the last 10 s. */
static void http_procs_culprits(struct http_procs *q)
{
	struct http_proc_view *v = &q->view;

	if (!q->victim_namespace || !v->stall)
		return;
	(void)v->stall->culprits(v->stall_self, LNX_RES_CPU, q->victim_namespace, 0,
				 http_culprit_add, q); /* none: an empty list */
	if (q->n_culprits)
		qsort(q->culprits, q->n_culprits, sizeof(*q->culprits), http_culprit_compare);
}

static bool http_is_culprit(const struct http_procs *q, const struct lnx_proc *p)
{
	struct http_pick key = { .pid = p->pid };
	const struct http_pick *c;

	if (!q->n_culprits)
		return false;
	c = bsearch(&key, q->culprits, q->n_culprits, sizeof(*q->culprits), http_culprit_compare);
	return c && (!c->start_ns || c->start_ns == p->start_ns);
}

static bool http_cgroup_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	while (n > 1 && top[n - 1] == '/')
		n--;
	if (n == 1 && *top == '/')
		return *path == '/';
	return !strncmp(path, top, n) && (path[n] == 0 || path[n] == '/');
}

static bool http_container_is(const struct lnx_workload *w, const char *want)
{
	size_t n = strlen(want);

	if (!*want)
		return !*w->container_id;
	return !strcmp(w->container_name, want) || !strcmp(w->container_id, want) ||
	       (n >= HTTP_ID_PREFIX && !strncmp(w->container_id, want, n));
}

static bool http_proc_match(struct http_procs *q, const struct lnx_proc *p)
{
	struct lnx_workload w;

	if (q->victim_namespace && !http_is_culprit(q, p))
		return false;
	if (q->state ? strcmp(q->state, http_proc_state(p)) != 0 : p->exit_ns != 0)
		return false;
	if (q->uid != UINT64_MAX && p->uid != q->uid)
		return false;
	if (q->comm && (strnlen(p->comm, sizeof(p->comm)) != strlen(q->comm) ||
			memcmp(p->comm, q->comm, strlen(q->comm)) != 0))
		return false;
	if (!q->namespace_ && !q->pod && !q->container && !q->cgroup)
		return true;
	http_proc_who(&q->view, p, &w);
	return (!q->namespace_ || !strcmp(w.namespace_, q->namespace_)) &&
	       (!q->pod || !strcmp(w.pod_name, q->pod)) &&
	       (!q->container || http_container_is(&w, q->container)) &&
	       (!q->cgroup || http_cgroup_below(w.path, q->cgroup));
}

static double http_sort_key(const struct http_procs *q, const struct lnx_proc *p)
{
	struct lnx_stall_share share = { 0 };

	switch (q->sort) {
	case HTTP_SORT_PSI:
		http_proc_share(&q->view, p, &share);
		if (isfinite(share.psi_contribution))
			return share.psi_contribution;
		break;
	case HTTP_SORT_RSS:
		return p->has_usage ? (double)p->rss_bytes : -1;
	case HTTP_SORT_FORKS:
		return p->forks;
	case HTTP_SORT_AGE: /* the oldest first */
		return -(double)p->start_ns;
	default:
		break;
	}
	return p->has_usage && isfinite(p->cpu_pct) ? p->cpu_pct : -1;
}

static int http_procs_pick(void *arg, const struct lnx_proc *p)
{
	struct http_procs *q = arg;
	size_t cap = q->cap ? 2 * q->cap : 512;
	void *grown;

	if (!http_proc_match(q, p))
		return 0;
	if (q->n == q->cap) {
		grown = cap <= 2 * HTTP_PROC_MAX ? reallocarray(q->picks, cap, sizeof(*q->picks))
						 : NULL;
		if (!grown) {
			q->error = -ENOMEM;
			return 1;
		}
		q->picks = grown;
		q->cap = cap;
	}
	q->picks[q->n].key = http_sort_key(q, p) * (q->is_ascending ? -1 : 1);
	q->picks[q->n].start_ns = p->start_ns;
	q->picks[q->n++].pid = p->pid;
	return 0;
}

/* Largest key first; equal ones by pid, so that pages do not overlap. */
static int http_pick_compare(const void *a, const void *b)
{
	const struct http_pick *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* Negative: answered. */
static int http_procs_sort(struct lnx_http_req *req, struct http_procs *q)
{
	const char *text = http_param(req, "sort");
	size_t n;
	unsigned i;

	q->sort = HTTP_SORT_CPU;
	if (!text)
		return 0;
	n = strcspn(text, ":");
	for (i = 0; http_sort_names[i]; i++) {
		if (strlen(http_sort_names[i]) == n && !memcmp(http_sort_names[i], text, n))
			break;
	}
	q->is_ascending = !strcmp(text + n, ":asc");
	if (!http_sort_names[i] || (text[n] && !q->is_ascending && strcmp(text + n, ":desc") != 0))
		return http_error(
			req, 400, "bad_parameter",
			"sort must be psi_contribution, cpu_pct, rss_bytes, forks or age, "
			"with :asc or :desc if wanted");
	q->sort = i;
	return 0;
}

/* Negative: answered. */
static int http_procs_params(struct lnx_http_req *req, struct http_procs *q)
{
	int rc;

	q->namespace_ = http_param(req, "namespace");
	q->victim_namespace = http_param(req, "victim_namespace");
	q->pod = http_param(req, "pod");
	q->container = http_param(req, "container");
	q->cgroup = http_param(req, "cgroup");
	q->comm = http_param(req, "comm");
	q->state = http_param(req, "state");
	if (q->state && http_proc_state_known(q->state) < 0)
		return http_error(req, 400, "bad_parameter",
				  "state must be running, sleeping, disk-sleep, stopped, traced, "
				  "zombie, dead, idle or exited");
	if (q->cgroup && *q->cgroup != '/')
		return http_error(req, 400, "bad_parameter", "cgroup must be a path from the root");
	rc = http_param_u64(req, "uid", UINT64_MAX, 0, UINT32_MAX, &q->uid);
	if (rc == 0)
		rc = http_param_u64(req, "limit", HTTP_PROC_LIMIT, 1, HTTP_MAX_LIMIT, &q->limit);
	if (rc == 0)
		rc = http_param_u64(req, "offset", 0, 0, UINT32_MAX, &q->offset);
	return rc < 0 ? rc : http_procs_sort(req, q);
}

static void http_procs_answer(struct lnx_http_req *req, struct http_procs *q)
{
	struct lnx_buf out = { 0 };
	const struct lnx_proc *p;
	char total[24];
	uint64_t i;

	if (q->n)
		qsort(q->picks, q->n, sizeof(*q->picks), http_pick_compare);
	lnx_buf_char(&out, '[');
	for (i = q->offset; i < q->n && i - q->offset < q->limit; i++) {
		p = q->view.proc->get(q->view.proc_self, q->picks[i].pid, q->picks[i].start_ns);
		if (!p)
			continue;
		lnx_json_next(&out);
		lnx_buf_char(&out, '{');
		http_proc_row(&q->view, &out, p);
		lnx_buf_char(&out, '}');
	}
	lnx_buf_str(&out, "]\n");
	http_proc_degraded(&q->view, req);
	(void)snprintf(total, sizeof(total), "%zu", q->n); /* fits */
	(void)http_set_header(req, "X-Total-Count", total);
	(void)http_respond_buf(req, 200, NULL, &out);
}

static void http_get_processes(void *arg, struct lnx_http_req *req)
{
	struct http_procs q = { .cap = 0 };
	bool wants_exited;

	if (http_procs_params(req, &q) < 0 || http_proc_view_init(arg, req, &q.view) < 0)
		return;
	if (q.victim_namespace && !q.view.stall)
		http_degraded(req, "victim_namespace", "no stall ledger, so nobody is named");
	if (q.sort == HTTP_SORT_PSI && !q.view.stall)
		http_degraded(req, "sort", "psi_contribution is not known, sorted by cpu_pct");
	http_procs_culprits(&q);
	wants_exited = q.state && !strcmp(q.state, "exited");
	(void)q.view.proc->each(q.view.proc_self, wants_exited, http_procs_pick, &q);
	if (q.error < 0)
		(void)http_error(req, 503, "overloaded", "no memory for the list of processes");
	else
		http_procs_answer(req, &q);
	free(q.picks);
	free(q.culprits);
}

static const char *const http_procs_query[] = {
	"namespace", "victim_namespace",
	"pod",	     "container",
	"cgroup",    "comm",
	"uid",	     "state",
	"sort",	     "limit",
	"offset",    NULL,
};

static const struct lnx_http_route http_procs_route = {
	sizeof(struct lnx_http_route), 0, "GET", "/processes", http_procs_query, http_get_processes
};

int http_routes_proc(struct http *s)
{
	int rc = http_route(s, &http_procs_route, s);

	return rc < 0 ? rc : http_routes_pid(s);
}
