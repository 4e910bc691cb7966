/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /blame: what is asked for, checked, and the degraded things said. */
#include "blame.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SINCE_DEFAULT (60 * STALL_SEC)
#define SINCE_MAX     (7 * 86400 * STALL_SEC)
#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000

static const char *const resources[] = { "cpu", "memory", "io", NULL };
static const char *const levels[] = { "container", "pod", "workload", "process", NULL };
static const char *const query_names[] = { "victim",   "culprit", "namespace", "victim_namespace",
					   "resource", "by",	  "since",     "from",
					   "to",       "limit",	  "offset",    NULL };

int stall_parse_span(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ms", 1e6 }, { "s", 1e9 },    { "", 1e9 },
		      { "m", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 } };
	char *end;
	double v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtod(text, &end);
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		v *= units[i].ns;
		if (!isfinite(v) || v < 1e6 || v > (double)SINCE_MAX)
			return -EINVAL;
		*ret_ns = (uint64_t)v;
		return 0;
	}
	return -EINVAL;
}

/* <n> digits at *io_at. -1: not there. */
static int digits(const char **io_at, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (**io_at < '0' || **io_at > '9')
			return -1;
		v = 10 * v + *(*io_at)++ - '0';
	}
	return v;
}

static int64_t days_from_civil(int y, int m, int d)
{
	/* H. Hinnant, "chrono-compatible low-level date algorithms" */
	int64_t yy = y - (m <= 2), era = yy / 400, yoe = yy - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int parse_zone(const char *at, int64_t *ret_s)
{
	int sign = *at == '-' ? -1 : 1, h, m;

	*ret_s = 0;
	if ((*at == 'Z' || *at == 'z') && !at[1])
		return 0;
	if (*at != '+' && *at != '-' && *at != ' ') /* a '+' that was not encoded */
		return -EINVAL;
	at++;
	h = digits(&at, 2);
	if (h < 0 || h > 23 || *at++ != ':')
		return -EINVAL;
	m = digits(&at, 2);
	if (m < 0 || m > 59 || *at)
		return -EINVAL;
	*ret_s = sign * (h * 3600 + m * 60);
	return 0;
}

int stall_parse_time(const char *text, uint64_t *ret_wall_ns)
{
	const char *at = text;
	int part[6], limits[] = { 2261, 12, 31, 23, 59, 60 }; /* ns fit an int64_t */
	const char *after = "--T::";
	int64_t zone, s;
	double frac = 0;
	char *end;

	if (strspn(text, "0123456789.") == strlen(text) && *text) {
		double v = strtod(text, &end);

		if (*end || v < 1 || v >= 9.2e9)
			return -EINVAL;
		*ret_wall_ns = (uint64_t)(v * 1e3) * 1000000u;
		return 0;
	}
	for (int i = 0; i < 6; i++) {
		part[i] = digits(&at, i ? 2 : 4);
		if (part[i] < (i && i < 3) || part[i] > limits[i])
			return -EINVAL;
		if (i < 5 && *at++ != after[i])
			return -EINVAL;
	}
	if (*at == '.') {
		frac = strtod(at, &end);
		if (end == at + 1 || strspn(at + 1, "0123456789") != (size_t)(end - at - 1))
			return -EINVAL;
		at = end;
	}
	if (part[0] < 1970 || parse_zone(at, &zone))
		return -EINVAL;
	s = days_from_civil(part[0], part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 +
	    part[5] - zone;
	if (s < 0)
		return -EINVAL;
	*ret_wall_ns = (uint64_t)s * STALL_SEC + (uint64_t)(frac * 1e9);
	return 0;
}

int stall_who_is(const struct stall_who *who, uint32_t index, const char *name)
{
	size_t n = strlen(name), k = strlen(who->namespace_);
	char *end;

	if (index >= STALL_WHO_FIRST && n >= 1 && strspn(name, "0123456789") == n &&
	    strtoull(name, &end, 10) == who->cgroup_id)
		return 1;
	if (k && !strncmp(name, who->namespace_, k) && name[k] == '/' &&
	    (!strcmp(name + k + 1, who->workload) || !strcmp(name + k + 1, who->pod_name)))
		return 1;
	if (*name == '/')
		return index >= STALL_WHO_FIRST && !strcmp(who->path, name);
	return !strcmp(who->workload, name) || (n && !strcmp(who->pod_name, name)) ||
	       (n >= 12 && !strncmp(who->container_id, name, n));
}

/* Index of <text> in <names>, <none> when NULL, -EINVAL when it is none of them. */
static int choice(const char *text, const char *const *names, int none)
{
	if (!text)
		return none;
	for (int i = 0; names[i]; i++)
		if (!strcmp(names[i], text))
			return i;
	return -EINVAL;
}

static int bad(const struct lnx_svc_http *http, struct lnx_http_req *req, const char *what,
	       const char *wants)
{
	(void)http->error(req, 400, "bad_parameter", "%s must be %s", what, wants);
	return -EINVAL;
}

static int parse_window(struct stall *s, const struct lnx_svc_http *http, struct lnx_http_req *req,
			struct stall_query *q)
{
	const char *since = http->param(req, "since"), *from = http->param(req, "from"),
		   *to = http->param(req, "to");
	uint64_t wall0 = s->host->wall_ns(s->ctx, 0), at, span = SINCE_DEFAULT;

	if (since && from)
		return bad(http, req, "since", "given without from");
	if (since && stall_parse_span(since, &span))
		return bad(http, req, "since", "a span such as 10s, 5m or 1h, at most 7d");
	q->to_ns = s->boot_ns;
	q->to_wall_ns = wall0 + q->to_ns;
	if (to) {
		if (stall_parse_time(to, &at))
			return bad(http, req, "to",
				   "a time such as 2025-01-31T12:00:00Z, or Unix seconds");
		q->to_ns = at > wall0 ? at - wall0 : 0;
		q->to_wall_ns = at;
	}
	q->from_ns = q->to_ns > span ? q->to_ns - span : 0;
	q->from_wall_ns = q->to_wall_ns > span ? q->to_wall_ns - span : 0;
	if (from) {
		if (stall_parse_time(from, &at))
			return bad(http, req, "from",
				   "a time such as 2025-01-31T12:00:00Z, or Unix seconds");
		q->from_ns = at > wall0 ? at - wall0 : 0;
		q->from_wall_ns = at;
	}
	if (q->from_wall_ns > q->to_wall_ns)
		return bad(http, req, "from", "before to");
	return 0;
}

static int parse_query(struct stall *s, const struct lnx_svc_http *http, struct lnx_http_req *req,
		       struct stall_query *q)
{
	int resource = choice(http->param(req, "resource"), resources, LNX_RES_N);
	int by = choice(http->param(req, "by"), levels, STALL_BY_CONTAINER), rc;

	q->victim = http->param(req, "victim");
	q->culprit = http->param(req, "culprit");
	q->namespace_ = http->param(req, "victim_namespace");
	if (!q->namespace_)
		q->namespace_ =
			http->param(req, "namespace"); /* those who are listed are victims */
	if (resource < 0)
		return bad(http, req, "resource", "cpu, memory or io");
	if (by < 0)
		return bad(http, req, "by", "container, pod, workload or process");
	if (q->victim && !*q->victim)
		return bad(http, req, "victim",
			   "a workload, pod, container id, cgroup path or cgroup id");
	if (q->culprit && !*q->culprit)
		return bad(http, req, "culprit",
			   "a workload, pod, container id, cgroup path or cgroup id");
	q->resource = (uint32_t)resource;
	q->by = (uint32_t)by;
	rc = http->param_u64(req, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &q->limit);
	if (!rc)
		rc = http->param_u64(req, "offset", 0, 0, UINT32_MAX, &q->offset);
	return rc ? rc : parse_window(s, http, req, q);
}

static void say_degraded(struct stall *s, const struct lnx_svc_http *http, struct lnx_http_req *req,
			 const struct stall_query *q)
{
	struct lnx_buf text = { 0 };
	uint64_t oldest = stall_store_oldest(&s->store);

	for (uint32_t r = 0; r < LNX_RES_N; r++)
		if ((q->resource == r || q->resource == LNX_RES_N) && !stall_can_measure(s, r))
			lnx_buf_printf(&text, "; %s: no culprit is measured: %s", resources[r],
				       stall_why(s, r));
	if ((q->resource == LNX_RES_CPU || q->resource == LNX_RES_N) && s->probe.is_live &&
	    s->shed.why[0])
		lnx_buf_printf(&text, "; cpu: %s", s->shed.why);
	if (!s->has_psi)
		lnx_buf_str(&text, "; psi: /proc/pressure cannot be read");
	if (!s->workload)
		lnx_buf_str(&text, "; workload: no plugin workload, so cgroups have ids only");
	if (!oldest)
		lnx_buf_str(&text, "; window: nothing is measured yet");
	else if (q->from_ns + 2 * STALL_SEC < oldest)
		lnx_buf_str(&text, "; window: it begins before what is kept");
	if (text.size && !lnx_buf_error(&text))
		(void)http->set_header(req, "X-Linnix-Degraded",
				       text.data + 2); /* no room: without */
	lnx_buf_done(&text);
}

static void get_blame(void *arg, struct lnx_http_req *req)
{
	struct stall *s = arg;
	const struct lnx_svc_http *http;
	struct stall_query q = { 0 };
	struct lnx_buf out = { 0 };
	void *self;
	int rc;

	if (s->host->service(s->ctx, "http/1", (const void **)&http, &self) < 0)
		return; /* cannot be: it called us */
	if (parse_query(s, http, req, &q))
		return;
	rc = stall_blame_json(s, &q, &out);
	if (!rc)
		rc = lnx_buf_error(&out);
	if (rc) {
		(void)http->error(req, 503, "too_large",
				  "the answer does not fit in memory: ask for a shorter window");
	} else {
		say_degraded(s, http, req, &q);
		(void)http->respond(req, 200, NULL, out.data,
				    out.size); /* the request ends anyway */
	}
	lnx_buf_done(&out);
}

static const struct lnx_http_route blame_route = { sizeof(blame_route), 0,	  "GET", "/blame",
						   query_names,		get_blame };

int stall_blame_route(struct stall *s)
{
	const struct lnx_svc_http *http;
	void *self;

	if (s->host->service(s->ctx, "http/1", (const void **)&http, &self) < 0)
		return 0; /* no API wanted */
	return http->route(self, &blame_route, s);
}
