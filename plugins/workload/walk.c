/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Depth first with one path buffer; symbolic links are not followed, depth and number are bounded. */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX  32
#define PATH_BYTES 4096

int workload_v2_root(const char *mountinfo, char *ret_root, size_t cap)
{
	FILE *f = fopen(mountinfo, "re");
	char *line = NULL, root[PATH_BYTES], mount[PATH_BYTES];
	size_t n = 0;
	int rc = -ENOENT;

	if (!f)
		return -errno;
	while (rc < 0 && getline(&line, &n, f) > 0) {
		const char *dash = strstr(line, " - cgroup2 ");

		/* 36 35 98:0 /root /mount/point options … - type source options; see proc(5) */
		if (!dash || sscanf(line, "%*d %*d %*s %4095s %4095s", root, mount) != 2 ||
		    strlen(mount) >= cap)
			continue;
		memcpy(ret_root, mount, strlen(mount) + 1);
		rc = 0;
	}
	free(line);
	(void)fclose(f); /* read only */
	return rc;
}

static int walk_add(struct workload_walk *w, uint64_t id, uint64_t parent_id, const char *path)
{
	struct workload_found *f;

	if (w->n == w->cap) {
		uint32_t cap = w->cap ? w->cap * 2 : 256;

		f = realloc(w->found, cap * sizeof(*f));
		if (!f)
			return -ENOMEM;
		w->found = f;
		w->cap = cap;
	}
	f = &w->found[w->n];
	f->path = strdup(path);
	if (!f->path)
		return -ENOMEM;
	f->id = id;
	f->parent_id = parent_id;
	w->n++;
	return 0;
}

struct level {
	DIR *dir;
	uint64_t id;
	size_t n_path;
};

/* Always negative, whatever a library left in errno. */
static int walk_error(void)
{
	return errno > 0 ? -errno : -EIO;
}

/* Enter the folder <name> below <up> (an open folder, or AT_FDCWD). */
static int level_open(struct level *l, int up, const char *name)
{
	struct stat st;
	int fd = openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;

	if (fd < 0)
		return walk_error();
	if (fstat(fd, &st) < 0) {
		rc = walk_error();
		(void)close(fd); /* read only */
		return rc;
	}
	l->dir = fdopendir(fd);
	if (!l->dir) {
		(void)close(fd); /* likewise */
		return -ENOMEM;
	}
	l->id = st.st_ino;
	return 0;
}

/* The next folder of <l>, or NULL. */
static const char *level_next(struct level *l)
{
	struct dirent *d;

	while ((d = readdir(l->dir)))
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") != 0 &&
		    strcmp(d->d_name, "..") != 0)
			return d->d_name;
	return NULL;
}

int workload_walk_run(struct workload_walk *w)
{
	struct level levels[DEPTH_MAX] = { 0 };
	char path[PATH_BYTES] = "";
	int depth = 0, rc = level_open(&levels[0], AT_FDCWD, w->root), opened;
	const char *name;

	if (rc < 0)
		return rc;
	levels[0].n_path = 0;
	rc = walk_add(w, levels[0].id, 0, "/");
	while (depth >= 0) {
		struct level *l = &levels[depth], *below = &levels[depth + 1];
		size_t n;

		name = rc < 0 || !l->dir ? NULL : level_next(l);
		if (!name) {
			if (l->dir)
				(void)closedir(l->dir); /* read only */
			l->dir = NULL;
			depth--;
			continue;
		}
		n = strlen(name);
		if (depth + 1 == DEPTH_MAX || l->n_path + n + 2 > sizeof(path) || w->n >= w->max) {
			w->skipped++;
			continue;
		}
		opened = level_open(below, dirfd(l->dir), name);
		if (opened < 0) {
			w->skipped += opened != -ENOENT; /* removed meanwhile: it is no more */
			continue;
		}
		path[l->n_path] = '/';
		memcpy(path + l->n_path + 1, name, n + 1);
		below->n_path = l->n_path + 1 + n;
		rc = walk_add(w, below->id, l->id, path);
		depth++;
	}
	return rc;
}

void workload_walk_done(struct workload_walk *w)
{
	uint32_t i;

	for (i = 0; i < w->n; i++)
		free(w->found[i].path);
	free(w->found);
	w->found = NULL;
	w->n = w->cap = 0;
}
