/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See dirwatch.h. Each folder is watched itself, and its name in the folder above: it may be a link that is replaced, or
 * vanish and come back. A slow look at names, sizes and times finds what inotify cannot. */
#include "dirwatch.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define WATCH_POLL_ALONE_S 1. /* without inotify */
#define WATCH_HERE                                                                          \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define WATCH_ABOVE (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

struct watch_dir {
	char *path;
	int here, above; /* of inotify, -1: none */
};

struct lnx_dirwatch {
	struct ev_loop *loop;
	struct watch_dir dirs[LNX_DIRWATCH_MAX];
	unsigned n_dirs;
	void (*changed)(void *arg);
	void *arg;
	ev_io io;
	ev_timer quiet, poll;
	double first_s; /* when the first change came that was not told yet; 0: none */
	uint64_t seen;	/* what the slow look saw */
	int fd;
};

static void watch_mix(uint64_t *h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	while (n--)
		*h = (*h ^ *p++) * 0x100000001b3ULL;
}

static void watch_mix_stat(uint64_t *h, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	watch_mix(h, &st.st_dev, sizeof(st.st_dev));
	watch_mix(h, &st.st_ino, sizeof(st.st_ino));
	watch_mix(h, &st.st_size, sizeof(st.st_size));
	watch_mix(h, &st.st_mtim, sizeof(st.st_mtim));
	watch_mix(h, &st.st_mode, sizeof(st.st_mode));
	watch_mix(h, &st.st_uid, sizeof(st.st_uid));
}

/* Names in any order: each is mixed alone. */
static uint64_t watch_look(const struct lnx_dirwatch *w)
{
	char path[PATH_MAX];
	uint64_t all = 0, one;
	struct dirent *d;
	unsigned i;
	DIR *dir;

	for (i = 0; i < w->n_dirs; i++) {
		one = i + 1;
		watch_mix_stat(&one, w->dirs[i].path);
		all += one;
		dir = opendir(w->dirs[i].path);
		while (dir && (d = readdir(dir))) {
			if (d->d_name[0] == '.' ||
			    (size_t)snprintf(path, sizeof(path), "%s/%s", w->dirs[i].path,
					     d->d_name) >= sizeof(path))
				continue;
			one = i + 1;
			watch_mix(&one, d->d_name, strlen(d->d_name));
			watch_mix_stat(&one, path);
			all += one;
		}
		if (dir)
			(void)closedir(dir); /* only read */
	}
	return all;
}

static int watch_add(const struct lnx_dirwatch *w, const char *path, uint32_t mask)
{
	/* a path that is not there is watched from above */
	return w->fd < 0 ? -1 : inotify_add_watch(w->fd, path, mask);
}

static bool watch_uses(const struct lnx_dirwatch *w, int wd)
{
	unsigned i;

	for (i = 0; i < w->n_dirs; i++)
		if (w->dirs[i].here == wd || w->dirs[i].above == wd)
			return true;
	return false;
}

/* Point each watch at what the path names now. The same folder keeps its number. */
static void watch_aim(struct lnx_dirwatch *w)
{
	char above[PATH_MAX], *slash;
	int old[2];
	unsigned i, k;

	for (i = 0; i < w->n_dirs; i++) {
		struct watch_dir *d = &w->dirs[i];

		old[0] = d->here;
		old[1] = d->above;
		d->here = watch_add(w, d->path, WATCH_HERE);
		(void)snprintf(above, sizeof(above), "%s", d->path);
		slash = strrchr(above, '/');
		if (slash)
			slash[slash == above] = 0;
		d->above = watch_add(w, slash ? above : ".", WATCH_ABOVE | IN_MASK_ADD);
		for (k = 0; k < 2; k++)
			if (old[k] >= 0 && !watch_uses(w, old[k]))
				(void)inotify_rm_watch(w->fd, old[k]); /* gone with its folder */
	}
}

static void watch_arm(struct lnx_dirwatch *w)
{
	double now = ev_now(w->loop), at = now + LNX_DIRWATCH_QUIET_S;

	if (w->first_s <= 0)
		w->first_s = now;
	if (at > w->first_s + LNX_DIRWATCH_LATE_S)
		at = w->first_s + LNX_DIRWATCH_LATE_S;
	ev_timer_stop(w->loop, &w->quiet);
	ev_timer_set(&w->quiet, at > now ? at - now : 0., 0.);
	ev_timer_start(w->loop, &w->quiet);
}

/* Is that about one of the folders, or only about its neighbours? */
static bool watch_concerns(const struct lnx_dirwatch *w, const struct inotify_event *e)
{
	const char *base;
	unsigned i;

	if (e->mask & IN_Q_OVERFLOW)
		return true;
	for (i = 0; i < w->n_dirs; i++) {
		base = strrchr(w->dirs[i].path, '/');
		base = base ? base + 1 : w->dirs[i].path;
		if (e->wd == w->dirs[i].here ||
		    (e->wd == w->dirs[i].above && e->len && strcmp(e->name, base) == 0))
			return true;
	}
	return false;
}

static void watch_on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct lnx_dirwatch *w = io->data;
	union {
		struct inotify_event e;
		char bytes[4096];
	} u;
	bool is_ours = false;
	ssize_t n, at;

	(void)loop;
	(void)revents;
	while ((n = read(w->fd, &u, sizeof(u))) > 0)
		for (at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(u.bytes + at);

			is_ours = is_ours || watch_concerns(w, e);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	if (is_ours)
		watch_arm(w);
}

static void watch_on_quiet(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct lnx_dirwatch *w = t->data;

	(void)loop;
	(void)revents;
	w->first_s = 0;
	watch_aim(w);
	w->seen = watch_look(w);
	w->changed(w->arg);
}

static void watch_on_poll(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct lnx_dirwatch *w = t->data;

	(void)loop;
	(void)revents;
	if (watch_look(w) != w->seen)
		watch_arm(w);
}

int lnx_dirwatch_new(struct ev_loop *loop, const char *const *dirs, void (*changed)(void *arg),
		     void *arg, struct lnx_dirwatch **ret_watch)
{
	struct lnx_dirwatch *w = calloc(1, sizeof(*w));
	double poll_s;
	size_t len;

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->changed = changed;
	w->arg = arg;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		lnx_log(LNX_WARN, "rules: changes are noticed a second later, inotify fails: %s",
			strerror(errno));
	for (; *dirs && w->n_dirs < LNX_DIRWATCH_MAX; dirs++) {
		struct watch_dir *d = &w->dirs[w->n_dirs];

		d->here = d->above = -1;
		d->path = strdup(*dirs);
		if (!d->path) {
			lnx_dirwatch_free(w);
			return -ENOMEM;
		}
		for (len = strlen(d->path); len > 1 && d->path[len - 1] == '/'; len--)
			d->path[len - 1] = 0;
		w->n_dirs++;
	}
	ev_init(&w->quiet, watch_on_quiet);
	poll_s = w->fd < 0 ? WATCH_POLL_ALONE_S : LNX_DIRWATCH_POLL_S;
	ev_timer_init(&w->poll, watch_on_poll, poll_s, poll_s);
	ev_io_init(&w->io, watch_on_io, w->fd, EV_READ);
	w->quiet.data = w->poll.data = w->io.data = w;
	ev_timer_start(loop, &w->poll);
	if (w->fd >= 0)
		ev_io_start(loop, &w->io);
	watch_aim(w);
	w->seen = watch_look(w);
	*ret_watch = w;
	return 0;
}

void lnx_dirwatch_free(struct lnx_dirwatch *w)
{
	unsigned i;

	if (!w)
		return;
	if (w->fd >= 0) {
		ev_io_stop(w->loop, &w->io);
		(void)close(w->fd); /* its watches go with it */
	}
	ev_timer_stop(w->loop, &w->quiet);
	ev_timer_stop(w->loop, &w->poll);
	for (i = 0; i < w->n_dirs; i++)
		free(w->dirs[i].path);
	free(w);
}

bool lnx_dirwatch_is(const struct lnx_dirwatch *w, const char *const *dirs)
{
	size_t len;
	unsigned i;

	for (i = 0; i < w->n_dirs; i++) {
		len = strlen(w->dirs[i].path);
		if (!dirs[i] || strncmp(dirs[i], w->dirs[i].path, len) != 0 ||
		    dirs[i][len + strspn(dirs[i] + len, "/")])
			return false;
	}
	return w->n_dirs == LNX_DIRWATCH_MAX || !dirs[i];
}
