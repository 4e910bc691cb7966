/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See usage.h. */
#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 8192

static bool read_text(const char *root, const char *controller, const char *path, const char *name,
		      char *ret_text)
{
	char file[8192];
	ssize_t n;
	int fd;

	if (snprintf(file, sizeof(file), "%s%s%s/%s", root, controller, path, name) >=
	    (int)sizeof(file))
		return false;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, ret_text, TEXT_BYTES - 1);
	(void)close(fd); /* read only */
	if (n < 0)
		return false;
	ret_text[n] = 0;
	return true;
}

/* Value of line "<key> N". */
static uint64_t stat_value(const char *text, const char *key)
{
	size_t n = strlen(key);
	uint64_t v = 0;

	while (text && *text) {
		if (!strncmp(text, key, n) && text[n] == ' ')
			return sscanf(text + n, "%" SCNu64, &v) == 1 ? v : 0;
		text = strchr(text, '\n');
		text += text ? 1 : 0;
	}
	return 0;
}

/* "/sys/fs/cgroup/unified" has its v1 controllers beside it. */
static void v1_base(const char *root, char *ret_base, size_t cap)
{
	const char *tail = "/unified";
	size_t n = strlen(root), k = strlen(tail);

	if (n > k && !strcmp(root + n - k, tail))
		n -= k;
	(void)snprintf(ret_base, cap, "%.*s", (int)n, root); /* a cut path cannot be read */
}

static void read_memory(const char *root, const char *base, const char *path, struct usage_files *f)
{
	uint64_t used = 0, file = 0, active = 0;
	char text[TEXT_BYTES];

	if (read_text(root, "", path, "memory.stat", text)) {
		f->anon_bytes = stat_value(text, "anon") + stat_value(text, "shmem");
		file = stat_value(text, "inactive_file");
		active = stat_value(text, "active_file");
		f->is_v2 = true;
		if (!read_text(root, "", path, "memory.current", text) ||
		    sscanf(text, "%" SCNu64, &used) != 1)
			return;
		f->has_memory = true;
		if (read_text(root, "", path, "memory.swap.current", text)) {
			uint64_t swap = 0;

			(void)sscanf(text, "%" SCNu64, &swap); /* no number: no swap */
			f->anon_bytes += swap;
		}
	} else if (read_text(base, "/memory", path, "memory.stat", text)) {
		f->anon_bytes = stat_value(text, "total_rss") + stat_value(text, "total_swap");
		file = stat_value(text, "total_inactive_file");
		active = stat_value(text, "total_active_file");
		if (!read_text(base, "/memory", path, "memory.usage_in_bytes", text) ||
		    sscanf(text, "%" SCNu64, &used) != 1)
			return;
		f->has_memory = true;
	} else {
		return;
	}
	f->working_set_bytes = used > file ? (double)(used - file) : 0;
	f->pinned_bytes = used > file + active ? (double)(used - file - active) : 0;
}

/* A number that stands alone in a file; 0 for "max" and for v1's way of saying so. */
static uint64_t read_limit(const char *root, const char *controller, const char *path,
			   const char *name)
{
	char text[TEXT_BYTES];
	uint64_t v;

	if (!read_text(root, controller, path, name, text) || sscanf(text, "%" SCNu64, &v) != 1)
		return 0;
	return v < UINT64_C(1) << 60 ? v : 0;
}

static void read_throttling(const char *root, const char *base, const char *path,
			    struct usage_files *f)
{
	char text[TEXT_BYTES];
	bool is_v2 = read_text(root, "", path, "cpu.stat", text) && strstr(text, "nr_periods");

	/* v2 has a cpu.stat without the controller, too: it counts time only */
	if (!is_v2 && !read_text(base, "/cpu", path, "cpu.stat", text))
		return;
	if (!strstr(text, "nr_periods"))
		return;
	f->cfs_periods = (double)stat_value(text, "nr_periods");
	f->throttled_periods = (double)stat_value(text, "nr_throttled");
	f->throttled_total_ms = is_v2 ? (double)stat_value(text, "throttled_usec") / 1e3
				      : (double)stat_value(text, "throttled_time") / 1e6;
}

static void read_quota(const char *root, const char *base, const char *path, struct usage_files *f)
{
	char text[TEXT_BYTES];
	int64_t quota, period;

	if (read_text(root, "", path, "cpu.max", text)) {
		if (sscanf(text, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 && quota > 0 &&
		    period > 0)
			f->cpu_limit_cores = (double)quota / (double)period;
		return;
	}
	if (!read_text(base, "/cpu", path, "cpu.cfs_quota_us", text) ||
	    sscanf(text, "%" SCNd64, &quota) != 1)
		return;
	if (quota > 0 && read_text(base, "/cpu", path, "cpu.cfs_period_us", text) &&
	    sscanf(text, "%" SCNd64, &period) == 1 && period > 0)
		f->cpu_limit_cores = (double)quota / (double)period;
}

static uint64_t read_memory_limit(const char *root, const char *base, const char *path)
{
	uint64_t max = read_limit(root, "", path, "memory.max");

	return max ? max : read_limit(base, "/memory", path, "memory.limit_in_bytes");
}

void usage_unknown(struct usage_files *ret_files)
{
	memset(ret_files, 0, sizeof(*ret_files));
	ret_files->working_set_bytes = ret_files->pinned_bytes = NAN;
	ret_files->throttled_total_ms = ret_files->cfs_periods = ret_files->throttled_periods = NAN;
}

void usage_read(const char *root, const char *path, struct usage_files *ret_files)
{
	char base[4096];

	usage_unknown(ret_files);
	v1_base(root, base, sizeof(base));
	read_memory(root, base, path, ret_files);
	read_quota(root, base, path, ret_files);
	read_throttling(root, base, path, ret_files);
	ret_files->memory_limit_bytes = read_memory_limit(root, base, path);
}

int usage_room(const char *root, const char *path, double *ret_room_bytes,
	       uint64_t *ret_limit_bytes)
{
	struct usage_files f = { .pinned_bytes = NAN };
	char base[4096];
	uint64_t max;

	v1_base(root, base, sizeof(base));
	max = read_memory_limit(root, base, path);
	if (!max)
		return -ENOENT;
	read_memory(root, base, path, &f);
	if (!f.has_memory)
		return -ENOENT;
	*ret_room_bytes = f.pinned_bytes < (double)max ? (double)max - f.pinned_bytes : 0;
	*ret_limit_bytes = max;
	return 0;
}

uint64_t usage_oom_kills(const char *root, const char *path)
{
	char base[4096], text[TEXT_BYTES];

	v1_base(root, base, sizeof(base));
	if (read_text(root, "", path, "memory.events", text) ||
	    read_text(base, "/memory", path, "memory.oom_control", text))
		return stat_value(text, "oom_kill");
	return 0;
}

int usage_pids(const char *root, const char *path, uint64_t *ret_pids, uint64_t *ret_max,
	       char *ret_owner, size_t cap)
{
	char base[4096], *slash;

	v1_base(root, base, sizeof(base));
	if ((size_t)snprintf(ret_owner, cap, "%s", path) >= cap)
		return -ENOENT;
	while (*ret_owner && strcmp(ret_owner, "/") != 0) {
		uint64_t max = read_limit(root, "", ret_owner, "pids.max");
		int is_v2 = max != 0;

		if (!max)
			max = read_limit(base, "/pids", ret_owner, "pids.max");
		if (max) {
			*ret_max = max;
			*ret_pids = read_limit(is_v2 ? root : base, is_v2 ? "" : "/pids", ret_owner,
					       "pids.current");
			return 0;
		}
		slash = strrchr(ret_owner, '/');
		if (!slash)
			break;
		*slash = 0;
	}
	return -ENOENT;
}
