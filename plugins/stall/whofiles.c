/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the kernel's files say of one cgroup: its pressure totals, and the quota above it. */
#include "who.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS_MAX	   512 /* pressure files kept open; others are opened for each read */
#define PATH_BYTES 4096

/* "TYPE ... - FSTYPE SOURCE OPTIONS": mount point and options of a line of mountinfo. */
static int mount_line(const char *line, size_t n, char *ret_dir, size_t cap, const char **ret_fs)
{
	const char *at = line, *end = line + n, *dash;
	size_t len;

	for (int field = 0; field < 4; field++) {
		at = memchr(at, ' ', (size_t)(end - at));
		if (!at)
			return -EINVAL;
		at++;
	}
	len = strcspn(at, " \n");
	dash = memmem(at, (size_t)(end - at), " - ", 3);
	if (!dash || len >= cap)
		return -EINVAL;
	memcpy(ret_dir, at, len);
	ret_dir[len] = 0;
	*ret_fs = dash + 3;
	return 0;
}

static int has_word(const char *s, size_t n, const char *word)
{
	size_t k = strlen(word);

	for (size_t i = 0; i + k <= n; i++)
		if (!memcmp(s + i, word, k) && (i == 0 || s[i - 1] == ',' || s[i - 1] == ' ') &&
		    (i + k == n || s[i + k] == ',' || s[i + k] == ' '))
			return 1;
	return 0;
}

static void v1_mount(struct stall_whos *w, const char *dir, const char *options, size_t n)
{
	const struct {
		const char *controller;
		char **root;
	} roots[] = { { "cpu", &w->cpu_root },
		      { "memory", &w->mem_root },
		      { "blkio", &w->io_root } };

	for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (!*roots[i].root && has_word(options, n, roots[i].controller))
			*roots[i].root = strdup(dir);
}

void stall_whos_mounts(struct stall_whos *w, const char *mountinfo)
{
	char dir[PATH_BYTES];
	const char *fs;

	for (const char *line = mountinfo; *line;) {
		size_t n = strcspn(line, "\n");

		if (!mount_line(line, n, dir, sizeof(dir), &fs)) {
			size_t rest = (size_t)(line + n - fs);

			if (!w->v2_root && !strncmp(fs, "cgroup2 ", 8))
				w->v2_root = strdup(dir);
			else if (!strncmp(fs, "cgroup ", 7))
				v1_mount(w, dir, fs, rest);
		}
		line += n + (line[n] == '\n');
	}
	w->is_v1 = w->cpu_root != NULL;
	w->is_mem_v1 = w->mem_root != NULL;
	if (!w->cpu_root && w->v2_root)
		w->cpu_root = strdup(w->v2_root);
	if (!w->mem_root && w->v2_root)
		w->mem_root = strdup(w->v2_root);
	if (w->v2_root)
		w->root_fd = open(w->v2_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Totals of the lines "some" and "full". */
static int parse_pressure(char *text, uint64_t *ret_some_us, uint64_t *ret_full_us)
{
	const char *some = strstr(text, "some "), *full = strstr(text, "full "), *t;

	t = some ? strstr(some, "total=") : NULL;
	if (!t)
		return -EPROTO;
	*ret_some_us = strtoull(t + 6, NULL, 10);
	t = full ? strstr(full, "total=") : NULL;
	*ret_full_us = t ? strtoull(t + 6, NULL, 10) : 0;
	return 0;
}

static int read_pressure(int fd, uint64_t *ret_some_us, uint64_t *ret_full_us)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = 0;
	return parse_pressure(text, ret_some_us, ret_full_us);
}

static const char *const resources[] = { "cpu", "memory", "io" };

int stall_psi_node(uint32_t resource, uint64_t *ret_some_us, uint64_t *ret_full_us)
{
	char path[64];
	int fd, rc;

	(void)snprintf(path, sizeof(path), "/proc/pressure/%s", resources[resource % 3]); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read_pressure(fd, ret_some_us, ret_full_us);
	(void)close(fd); /* read only */
	return rc;
}

int stall_who_psi(struct stall_whos *w, struct stall_who *who, uint32_t resource,
		  uint64_t *ret_some_us, uint64_t *ret_full_us)
{
	struct stall_psi *psi = &who->psi[resource % 3];
	char path[PATH_BYTES];
	int fd = psi->fd, rc;

	if (fd < 0) {
		if (w->root_fd < 0 || who->path[0] != '/' || !who->path[1])
			return -ENOENT;
		if (snprintf(path, sizeof(path), "%s/%s.pressure", who->path + 1,
			     resources[resource % 3]) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		fd = openat(w->root_fd, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	}
	rc = read_pressure(fd, ret_some_us, ret_full_us);
	if (fd == psi->fd && rc < 0) { /* the cgroup is gone */
		(void)close(fd);       /* read only */
		psi->fd = -1;
		w->n_fds--;
	} else if (fd != psi->fd) {
		if (!rc && w->n_fds < FDS_MAX) {
			psi->fd = fd;
			w->n_fds++;
		} else {
			(void)close(fd); /* read only */
		}
	}
	return rc;
}

/* ---- quotas */

int stall_read_word(const char *dir, const char *file, char *ret_text, size_t cap)
{
	char path[PATH_BYTES + 64];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret_text, cap - 1);
	(void)close(fd); /* read only */
	if (n <= 0)
		return -EIO;
	ret_text[n] = 0;
	ret_text[strcspn(ret_text, "\n")] = 0;
	return 0;
}

/* The quota of the cgroup at <dir> as text. -ENOENT: it has none. */
static int quota_text(const struct stall_whos *w, const char *dir, char *ret_text, size_t cap)
{
	char a[64] = "", b[64] = "";

	if (!w->is_v1) {
		if (stall_read_word(dir, "cpu.max", a, sizeof(a)) || !strncmp(a, "max", 3))
			return -ENOENT;
		(void)snprintf(ret_text, cap, "cpu.max %s", a); /* fits */
		return 0;
	}
	if (stall_read_word(dir, "cpu.cfs_quota_us", a, sizeof(a)) || a[0] == '-' ||
	    stall_read_word(dir, "cpu.cfs_period_us", b, sizeof(b)))
		return -ENOENT;
	(void)snprintf(ret_text, cap, "cpu.cfs_quota_us %s %s", a, b); /* fits */
	return 0;
}

void stall_who_path(const struct stall_whos *w, const struct stall_who *who, const char *controller,
		    char *ret_path, size_t cap)
{
	char dir[PATH_BYTES], text[PATH_BYTES], proc[64], *line, *hit = NULL;
	ssize_t n;
	int fd;

	(void)snprintf(ret_path, cap, "%s", who->path); /* both are paths of at most PATH_BYTES */
	if (!w->v2_root ||
	    snprintf(dir, sizeof(dir), "%s%s", w->v2_root, who->path) >= (int)sizeof(dir) ||
	    stall_read_word(dir, "cgroup.procs", text, sizeof(text)))
		return;
	(void)snprintf(proc, sizeof(proc), "/proc/%lu/cgroup", strtoul(text, NULL, 10)); /* fits */
	fd = open(proc, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		(void)close(fd); /* read only */
	text[n > 0 ? n : 0] = 0;
	for (line = text; *line; line += strcspn(line, "\n") + 1) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
		size_t end = strcspn(line, "\n");

		if (path && path < line + end &&
		    has_word(names + 1, (size_t)(path - names - 1), controller)) {
			line[end] = 0;
			hit = path + 1;
			break;
		}
		if (!line[end])
			break;
	}
	if (hit)
		(void)snprintf(ret_path, cap, "%s", hit); /* as above */
}

/* Cut <path> to its first <depth> segments. -ENOENT: it has fewer. */
static int cut_path(char *path, uint32_t depth)
{
	size_t i = 0;

	for (uint32_t d = 0; d < depth; d++) {
		if (path[i] != '/' || !path[i + 1])
			return -ENOENT;
		i += 1 + strcspn(path + i + 1, "/");
	}
	path[i] = 0;
	return 0;
}

/* A place for one more, 0 if all are named by what is kept. */
static uint32_t limit_place(struct stall_whos *w, uint64_t now_ns, uint64_t keep_ns)
{
	uint32_t old = 1, i;

	if (w->n_limits < STALL_LIMITS_MAX)
		return w->n_limits;
	for (i = 2; i < w->n_limits; i++)
		if (w->limits[i].used_ns < w->limits[old].used_ns)
			old = i;
	return w->limits[old].used_ns + keep_ns < now_ns ? old : 0;
}

/* Who remembers limit <i> asks again. */
static void forget_limit(struct stall_whos *w, uint32_t i)
{
	for (uint32_t k = 0; k < w->n; k++)
		for (uint32_t d = 0; d < STALL_DEPTHS; d++)
			if (w->who[k].limit[d] == i)
				w->who[k].limit[d] = 0;
	free(w->limits[i].owner);
	free(w->limits[i].text);
}

uint16_t stall_limit_put(struct stall_whos *w, const char *owner, const char *text, uint64_t now_ns,
			 uint64_t keep_ns)
{
	struct stall_limit fresh = { .used_ns = now_ns };
	uint32_t i;

	for (i = 1; i < w->n_limits; i++)
		if (!strcmp(w->limits[i].owner, owner) && !strcmp(w->limits[i].text, text)) {
			w->limits[i].used_ns = now_ns;
			return (uint16_t)i;
		}
	i = limit_place(w, now_ns, keep_ns);
	fresh.owner = strdup(owner);
	fresh.text = strdup(text);
	if (!i || !fresh.owner || !fresh.text) {
		free(fresh.owner);
		free(fresh.text);
		w->limits_refused++;
		return 0;
	}
	if (i == w->n_limits)
		w->n_limits++;
	else
		forget_limit(w, i);
	w->limits[i] = fresh;
	return (uint16_t)i;
}

/* The owner by its id, looked for from <path> upwards. */
static int find_owner(const struct stall_whos *w, char *path, uint64_t owner_id)
{
	char dir[2 * PATH_BYTES];
	struct stat st;

	for (;;) {
		char *slash;

		(void)snprintf(dir, sizeof(dir), "%s%s", w->cpu_root, path); /* fits */
		if (!stat(dir, &st) && st.st_ino == owner_id)
			return 0;
		slash = strrchr(path, '/');
		if (!slash || !path[1])
			return -ENOENT;
		*slash = 0;
	}
}

uint16_t stall_who_limit(struct stall_whos *w, struct stall_who *who, uint32_t depth,
			 uint64_t owner_id, uint64_t now_ns, uint64_t keep_ns)
{
	char path[PATH_BYTES], dir[2 * PATH_BYTES], text[160];

	depth %= STALL_DEPTHS;
	if (who->limit_ns + STALL_LIMIT_KEEP_NS < now_ns) {
		memset(who->limit, 0, sizeof(who->limit));
		who->limit_ns = now_ns;
	}
	if (who->limit[depth]) {
		w->limits[who->limit[depth]].used_ns = now_ns;
		return who->limit[depth];
	}
	if (!w->cpu_root || strlen(w->cpu_root) >= PATH_BYTES)
		return 0;
	if (w->is_v1)
		stall_who_path(w, who, "cpu", path, sizeof(path));
	else
		(void)snprintf(path, sizeof(path), "%s", who->path); /* as long */
	if ((!depth || depth == STALL_DEPTHS - 1 || cut_path(path, depth)) &&
	    (!owner_id || find_owner(w, path, owner_id)))
		return 0;
	(void)snprintf(dir, sizeof(dir), "%s%s", w->cpu_root, path); /* fits */
	if (quota_text(w, dir, text, sizeof(text)))
		return 0;
	who->limit[depth] = stall_limit_put(w, path, text, now_ns, keep_ns);
	return who->limit[depth];
}
