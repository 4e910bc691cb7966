/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Limits and throttling of a workload's cgroup: cgroup2 files, else those of the v1 cpu and memory controllers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "incident.h"

#define TEXT_BYTES 4096

static int read_text(const char *root, const char *path, const char *name, char *ret)
{
	char file[1024];
	ssize_t n;
	int fd;

	if (!*root ||
	    snprintf(file, sizeof(file), "%s%s/%s", root, path, name) >= (int)sizeof(file))
		return -ENOENT;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, TEXT_BYTES - 1);
	(void)close(fd); /* read only */
	if (n < 0)
		return -EIO;
	ret[n] = 0;
	return 0;
}

/* Number behind "<key> " at the begin of a line, NaN if there is none. */
static double stat_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (!strncmp(text, key, n) && text[n] == ' ')
			return strtod(text + n + 1, NULL);
	return NAN;
}

/* Mount point of the hierarchy whose line ends as <is_wanted> says. */
static void find_mount(const char *type, const char *option, char *ret, size_t cap)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[2048], point[256], fs[64], super[512];
	const char *dash, *at;

	while (f && fgets(line, sizeof(line), f)) {
		dash = strstr(line, " - ");
		if (!dash || sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 ||
		    sscanf(dash, " - %63s %*s %511s", fs, super) != 2 || strcmp(fs, type) != 0)
			continue;
		at = option ? strstr(super, option) : super;
		/* a whole word of the list */
		if (option && (!at || (at != super && at[-1] != ',') ||
			       (at[strlen(option)] && at[strlen(option)] != ',')))
			continue;
		(void)snprintf(ret, cap, "%s", point); /* cut: cannot be read */
		break;
	}
	if (f)
		(void)fclose(f); /* read only */
}

void inc_limits_mounts(struct incidents *s)
{
	if (*s->conf->cgroup_root)
		(void)snprintf(s->cgroup_root, sizeof(s->cgroup_root), "%s",
			       s->conf->cgroup_root); /* likewise */
	else
		find_mount("cgroup2", NULL, s->cgroup_root, sizeof(s->cgroup_root));
	find_mount("cgroup", "cpu", s->cpu_root, sizeof(s->cpu_root));
	find_mount("cgroup", "memory", s->memory_root, sizeof(s->memory_root));
}

static void say_quota(struct evidence *e, double quota_us, double period_us, struct lnx_buf *say)
{
	if (!(quota_us > 0) || !(period_us > 0)) {
		evidence_text(e, "cpu_limit", "none");
		lnx_buf_str(say, "no CPU limit");
		return;
	}
	evidence_number(e, "cpu_limit_cores", quota_us / period_us, "");
	lnx_buf_str(say, "a CPU limit of ");
	evidence_print(say, quota_us / period_us);
	lnx_buf_str(say, " cores");
}

/* 0, or -ENOENT: no controller counts it. */
static int cpu_limit(struct incidents *s, struct evidence *e, const char *path, struct lnx_buf *say)
{
	char text[TEXT_BYTES], period[TEXT_BYTES];
	double v;

	if (!read_text(s->cgroup_root, path, "cpu.max", text)) {
		say_quota(e, strtod(text, NULL), strtod(text + strcspn(text, " "), NULL), say);
		if (!read_text(s->cgroup_root, path, "cpu.weight", text))
			evidence_number(e, "cpu_weight", strtod(text, NULL), "");
		(void)read_text(s->cgroup_root, path, "cpu.stat", text); /* without: NaN */
	} else if (!read_text(s->cpu_root, path, "cpu.cfs_quota_us", text) &&
		   !read_text(s->cpu_root, path, "cpu.cfs_period_us", period)) {
		say_quota(e, strtod(text, NULL), strtod(period, NULL), say);
		if (!read_text(s->cpu_root, path, "cpu.shares", text))
			evidence_number(e, "cpu_shares", strtod(text, NULL), "");
		(void)read_text(s->cpu_root, path, "cpu.stat", text); /* likewise */
	} else {
		return -ENOENT;
	}
	v = stat_value(text, "nr_throttled");
	evidence_number(e, "nr_throttled", v, "");
	v = stat_value(text, "throttled_usec");
	evidence_number(e, "throttled_ms_since_start",
			isnan(v) ? stat_value(text, "throttled_time") / 1e6 : v / 1e3, "ms");
	return 0;
}

#define V1_NONE 9.2e18 /* bytes: what v1 shows where there is no limit is above */

static void memory_limit(struct incidents *s, struct evidence *e, const char *path,
			 struct lnx_buf *say)
{
	const char *root = s->cgroup_root, *current = "memory.current";
	char text[TEXT_BYTES];
	double limit;

	if (!read_text(root, path, "memory.max", text)) {
		limit = strncmp(text, "max", 3) != 0 ? strtod(text, NULL) : NAN;
	} else {
		root = s->memory_root;
		current = "memory.usage_in_bytes";
		if (read_text(root, path, "memory.limit_in_bytes", text))
			return;
		limit = strtod(text, NULL);
		if (limit > V1_NONE)
			limit = NAN;
	}
	evidence_number(e, "memory_limit_bytes", limit, "bytes");
	if (!read_text(root, path, current, text))
		evidence_number(e, "memory_used_bytes", strtod(text, NULL), "bytes");
	lnx_buf_str(say, isnan(limit) ? ", no memory limit" : ", a memory limit of ");
	if (!isnan(limit)) {
		evidence_print(say, limit);
		lnx_buf_str(say, " bytes");
	}
}

/* What Kubernetes was asked to keep for it. */
static void requests(struct evidence *e, const struct lnx_workload *w, struct lnx_buf *say)
{
	if (w->cpu_request_millicores) {
		evidence_number(e, "cpu_request_cores", w->cpu_request_millicores / 1000.0,
				"cores");
		lnx_buf_str(say, ", a CPU request of ");
		evidence_print(say, w->cpu_request_millicores / 1000.0);
		lnx_buf_str(say, " cores");
	}
	if (w->memory_request_bytes) {
		evidence_number(e, "memory_request_bytes", (double)w->memory_request_bytes,
				"bytes");
		lnx_buf_str(say, ", a memory request of ");
		evidence_print(say, (double)w->memory_request_bytes);
		lnx_buf_str(say, " bytes");
	}
}

void inc_capture_limits(struct incidents *s, struct inc *inc, const char *role,
			const struct inc_who *who)
{
	struct lnx_workload w = { .size = sizeof(w) };
	struct lnx_buf say = { 0 }, subject = { 0 }, query = { 0 };
	const void *vtable;
	void *self;

	if (!who->cgroup_id || s->host->service(s->ctx, "workload/1", &vtable, &self) < 0 ||
	    ((const struct lnx_svc_workload *)vtable)->get(self, who->cgroup_id, &w) < 0)
		return;
	lnx_buf_printf(&subject, "%s %s", role, who->workload);
	lnx_buf_printf(&query, "GET /workloads?cgroup=%.200s", w.path);
	if (lnx_buf_error(&subject) || lnx_buf_error(&query) ||
	    !evidence_item(&inc->evidence, s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)),
			   "limits", subject.data))
		goto out;
	evidence_text(&inc->evidence, "role", role);
	evidence_text(&inc->evidence, "cgroup", w.path);
	if (*w.qos)
		evidence_text(&inc->evidence, "qos", w.qos);
	lnx_buf_printf(&say, "%s has ", who->workload);
	if (cpu_limit(s, &inc->evidence, w.path, &say)) {
		evidence_text(&inc->evidence, "cpu_limit", "none");
		lnx_buf_str(&say, "no CPU limit (no cpu controller counts it)");
	}
	memory_limit(s, &inc->evidence, w.path, &say);
	requests(&inc->evidence, &w, &say);
	lnx_buf_char(&say, '.');
	if (!lnx_buf_error(&say))
		evidence_say(&inc->evidence, say.data, query.data);
out:
	lnx_buf_done(&say);
	lnx_buf_done(&subject);
	lnx_buf_done(&query);
}
