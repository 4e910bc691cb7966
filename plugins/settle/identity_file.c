/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Nothing is ever read through a link, left half written, or readable by others for a moment. */
#include "identity_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

int identity_say(char why[IDENTITY_WHY], int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, IDENTITY_WHY, fmt, ap); /* cut is fine: for people */
	va_end(ap);
	return rc;
}

static int check(const char *path, const struct stat *st, char why[IDENTITY_WHY])
{
	if (!S_ISREG(st->st_mode))
		return identity_say(why, -EPERM, "%s: not a plain file", path);
	if (st->st_uid != geteuid())
		return identity_say(why, -EPERM,
				    "%s: belongs to user %u, not to the one who runs this (%u)",
				    path, (unsigned)st->st_uid, (unsigned)geteuid());
	if (st->st_mode & 077)
		return identity_say(why, -EPERM,
				    "%s: others may use it (mode %04o); run: chmod 600 %s", path,
				    (unsigned)(st->st_mode & 07777), path);
	return 0;
}

static int read_all(int fd, char *ret, size_t *ret_n)
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, ret + n, IDENTITY_FILE_BYTES - 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return -errno;
	if (n == IDENTITY_FILE_BYTES - 1)
		return -EFBIG;
	ret[n] = 0;
	*ret_n = n;
	return 0;
}

int identity_file_read(const char *path, char *ret, size_t *ret_n, char why[IDENTITY_WHY])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;
	struct stat st;

	if (fd < 0) {
		rc = -errno;
		return rc == -ELOOP ? identity_say(why, -EPERM, "%s: a symbolic link", path)
				    : identity_say(why, rc, "%s: %s", path, strerror(-rc));
	}
	rc = fstat(fd, &st) < 0 ? identity_say(why, -errno, "%s: %s", path, strerror(errno))
				: check(path, &st, why);
	if (!rc) {
		rc = read_all(fd, ret, ret_n);
		if (rc)
			(void)identity_say(why, rc, "%s: %s", path, strerror(-rc));
	}
	(void)close(fd);
	return rc;
}

/* The directory of <path>, open; its last part in *ret_name. */
static int open_place(const char *path, const char **ret_name, char why[IDENTITY_WHY])
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_BYTES];
	struct stat st;
	int fd;

	*ret_name = slash ? slash + 1 : path;
	if (!**ret_name ||
	    (size_t)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
			     slash ? path : ".") >= sizeof(dir))
		return identity_say(why, -EINVAL, "%s: not the path of a file", path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return identity_say(why, -errno, "%s: %s", dir, strerror(errno));
	if (fstat(fd, &st) < 0 || ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))) {
		(void)close(fd);
		return identity_say(why, -EPERM,
				    "%s: others may replace files in it; run: chmod go-w %s", dir,
				    dir);
	}
	return fd;
}

int identity_file_check_place(const char *path, char why[IDENTITY_WHY])
{
	const char *name;
	int fd = open_place(path, &name, why), rc;

	if (fd < 0)
		return fd;
	rc = faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0
		     ? identity_say(why, -errno, "%s: %s", path, strerror(errno))
		     : 0;
	(void)close(fd);
	return rc;
}

static int write_new(int dir, const char *name, const char *text, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, n) != (ssize_t)n)
		rc = errno ? -errno : -ENOSPC;
	if (!rc && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (rc)
		(void)unlinkat(dir, name, 0);
	return rc;
}

/* Put <tmp> in its place. */
static int publish(int dir, const char *tmp, const char *name, const char *kept)
{
	int rc = 0;

	if (kept && linkat(dir, name, dir, kept, 0) < 0)
		return -errno;
	/* link, not rename, where there must be none: one that came meanwhile stays */
	if (kept ? renameat(dir, tmp, dir, name) : linkat(dir, tmp, dir, name, 0))
		rc = -errno;
	if (rc && kept)
		(void)unlinkat(dir, kept, 0);
	if (!rc && fsync(dir) < 0)
		rc = -errno;
	return rc;
}

int identity_file_write(const char *path, const char *keep_as, const char *text, size_t n,
			char why[IDENTITY_WHY])
{
	char tmp[PATH_BYTES], kept[PATH_BYTES];
	const char *name;
	int dir = open_place(path, &name, why), rc;

	if (dir < 0)
		return dir;
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new-%d", name, (int)getpid()) >= sizeof(tmp) ||
	    (size_t)snprintf(kept, sizeof(kept), "%s.%s", name, keep_as ? keep_as : "") >=
		    sizeof(kept)) {
		(void)close(dir);
		return identity_say(why, -ENAMETOOLONG, "%s: too long", path);
	}
	(void)unlinkat(dir, tmp, 0); /* of a run that was killed */
	rc = write_new(dir, tmp, text, n);
	if (!rc) {
		rc = publish(dir, tmp, name, keep_as ? kept : NULL);
		(void)unlinkat(dir, tmp, 0); /* renamed, or one name too many */
	}
	(void)close(dir);
	return rc ? identity_say(why, rc, "%s: %s", path, strerror(-rc)) : 0;
}
