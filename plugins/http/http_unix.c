/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The unix socket: a file that only root, the agent and a group may use. Failing here is degraded, never fatal. */
#include "http.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HTTP_BACKLOG 256

/* The directory, if it is the last part that misses. */
static int http_unix_mkdir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (!n)
		return 0;
	memcpy(dir, path, n); /* the path fits in sun_path */
	dir[n] = 0;
	return mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* A file in the way: a socket that nobody listens on goes. -EADDRINUSE: somebody does; -EEXIST: no socket. */
static int http_unix_unstale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
	(void)close(fd);	 /* nothing was written */
	if (rc != -ECONNREFUSED) /* also a full backlog: it is served */
		return rc == -EACCES || rc == -EPERM ? rc : -EADDRINUSE;
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* The group's line of /etc/group. Not by getgrnam: that loads the name services, half a megabyte for one look-up. */
static int http_unix_group(const char *name, gid_t *ret_gid)
{
	struct group grp, *found = NULL;
	char data[16384];
	FILE *f = fopen("/etc/group", "re");
	int rc = -ENOENT;

	if (!f)
		return -errno;
	while (rc < 0 && fgetgrent_r(f, &grp, data, sizeof(data), &found) == 0) {
		if (!strcmp(grp.gr_name, name)) {
			*ret_gid = grp.gr_gid;
			rc = 0;
		}
	}
	(void)fclose(f); /* only read from */
	return rc;
}

/* Without the group, root and the agent's user are the only ones who may connect. */
static void http_unix_chown(struct http *s, const char *path)
{
	gid_t gid = (gid_t)-1;

	if (!*s->conf->socket_group || http_unix_group(s->conf->socket_group, &gid) < 0)
		return;
	if (lchown(path, (uid_t)-1, gid) < 0)
		s->host->log(s->ctx, LNX_WARN, "socket: cannot give %s to group %s: %s", path,
			     s->conf->socket_group, strerror(errno));
}

static int http_unix_open(struct http *s, struct http_listener *l, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	rc = http_unix_mkdir(path);
	if (rc == 0)
		rc = http_unix_unstale(&addr);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || chmod(path, 0660) < 0 ||
	    listen(fd, HTTP_BACKLOG) < 0) {
		rc = -errno;
		(void)close(fd); /* nothing was written */
		return rc;
	}
	http_unix_chown(s, path);
	if (lstat(path, &st) == 0) {
		l->socket_dev = st.st_dev;
		l->socket_ino = st.st_ino;
	}
	l->fd = fd;
	return 0;
}

void http_unix_listen(struct http *s, struct http_listener *l)
{
	const char *path = s->conf->socket;
	char why[256];
	int rc;

	if (!*path || !strcmp(path, "off"))
		return;
	rc = http_unix_open(s, l, path);
	if (rc == 0) {
		s->host->health(s->ctx, "unix socket", LNX_HEALTH_OK, "");
		return;
	}
	(void)snprintf(why, sizeof(why),
		       "cannot listen on %s: %s; set http.socket to a path that the agent may make",
		       path,
		       rc == -EADDRINUSE ? "another process serves it"
		       : rc == -EEXIST	 ? "the file there is not a socket"
					 : strerror(-rc)); /* cut when too long */
	s->host->health(s->ctx, "unix socket", LNX_HEALTH_DEGRADED, why);
}

/* Our file goes; one that another process put there since stays. */
void http_unix_forget(struct http *s, struct http_listener *l)
{
	struct stat st;

	if (!l->socket_ino || lstat(s->conf->socket, &st) < 0)
		return;
	if (st.st_ino == l->socket_ino && st.st_dev == l->socket_dev)
		(void)unlink(
			s->conf->socket); /* stays as a stale one, replaced at the next start */
	l->socket_ino = 0;
}
