/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paths of cgroups by id, for an agent without the workload plugin: read from /proc of a process that is in it, and
 * believed only if the directory of that path has that id. */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HTTP_CGROUP_PATH 4096

/* The v2 line ("0::/path") of /proc/PID/cgroup. */
static int http_cgroup_read(uint32_t pid, char *ret_path, size_t cap)
{
	char file[64], text[HTTP_CGROUP_PATH + 512], *line, *end;
	ssize_t n;
	int fd;

	(void)snprintf(file, sizeof(file), "/proc/%u/cgroup", pid); /* fits */
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd); /* only read from */
	if (n <= 0)
		return -EIO;
	text[n] = 0;
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line += *line == '\n' ? 4 : 3;
	end = strchr(line, '\n');
	if (!end || (size_t)(end - line) >= cap)
		return -E2BIG;
	memcpy(ret_path, line, (size_t)(end - line));
	ret_path[end - line] = 0;
	return 0;
}

static bool http_cgroup_is(const char *path, uint64_t id)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char dir[HTTP_CGROUP_PATH + 64];
	struct stat st;
	unsigned i;

	for (i = 0; i < 2; i++) {
		if (snprintf(dir, sizeof(dir), "%s%s", roots[i], path) >= (int)sizeof(dir))
			return false;
		if (stat(dir, &st) == 0 && st.st_ino == id)
			return true;
	}
	return false;
}

const char *http_cgroup_path(struct http *s, uint64_t id, uint32_t pid)
{
	struct http_cgroup *c = &s->cgroups[(id * 0x9e3779b97f4a7c15ull >> 32) % HTTP_CGROUP_CACHE];
	char path[HTTP_CGROUP_PATH], *copy;

	if (!id)
		return "";
	if (c->path && c->id == id)
		return c->path;
	if (!pid || http_cgroup_read(pid, path, sizeof(path)) < 0 || !http_cgroup_is(path, id))
		return "";
	copy = strdup(path);
	if (!copy)
		return "";
	free(c->path);
	c->path = copy;
	c->id = id;
	return copy;
}

void http_cgroup_done(struct http *s)
{
	unsigned i;

	for (i = 0; i < HTTP_CGROUP_CACHE; i++)
		free(s->cgroups[i].path);
	memset(s->cgroups, 0, sizeof(s->cgroups));
}
