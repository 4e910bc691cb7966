/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Taking an action back: only what is still ours, in the cgroup or process that was meant. */
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t undo_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts); /* always there */
	return (uint64_t)ts.tv_sec * UNDO_SEC + (uint64_t)ts.tv_nsec;
}

int undo_read(int dirfd, const char *file, char *ret, size_t cap)
{
	int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC), rc;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, cap - 1);
	rc = n < 0 ? -errno : 0;
	(void)close(fd); /* only read from */
	if (rc < 0)
		return rc;
	while (n > 0 && (ret[n - 1] == '\n' || ret[n - 1] == ' '))
		n--;
	ret[n] = 0;
	return 0;
}

int undo_write(int dirfd, const char *file, const char *text)
{
	int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	(void)close(fd); /* the write told how it went */
	return rc;
}

int undo_dir(const struct undo *u)
{
	int fd = open(u->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_dev == u->dev && st.st_ino == u->ino)
		return fd;
	(void)close(fd); /* only looked at */
	return -ENOENT;
}

int undo_is_ours(const struct undo *u, const char *now)
{
	return strcmp(now, u->ours) == 0 ||
	       (strcmp(u->ours, "FROZEN") == 0 && strcmp(now, "FREEZING") == 0);
}

static int undo_file(const struct undo *u, int *ret_rc)
{
	char now[sizeof(u->ours)];
	int dir = undo_dir(u), rc;

	if (dir < 0) {
		*ret_rc = dir;
		return dir == -ENOENT || dir == -ENODEV ? UNDO_GONE : UNDO_FAILED;
	}
	rc = undo_read(dir, u->file, now, sizeof(now));
	if (rc == 0 && !undo_is_ours(u, now)) {
		(void)close(dir); /* only looked at */
		return UNDO_NOT_OURS;
	}
	if (rc == 0)
		rc = undo_write(dir, u->file, u->before);
	(void)close(dir); /* likewise */
	*ret_rc = rc;
	if (rc == 0)
		return UNDO_RESTORED;
	return rc == -ENOENT || rc == -ENODEV ? UNDO_GONE : UNDO_FAILED;
}

int undo_stat(uint32_t pid, struct undo_stat *ret)
{
	char path[64], text[1024], *open_, *close_, *end;
	unsigned i;
	int rc;

	(void)snprintf(path, sizeof(path), UNDO_PROC "/%u/stat", pid); /* fits */
	rc = undo_read(AT_FDCWD, path, text, sizeof(text));
	open_ = rc == 0 ? strchr(text, '(') : NULL;
	close_ = open_ ? strrchr(open_, ')') : NULL; /* the name may hold one */
	if (!close_ || close_[1] != ' ' || !close_[2])
		return -ESRCH;
	*close_ = 0;
	(void)snprintf(ret->comm, sizeof(ret->comm), "%s",
		       open_ + 1); /* 15 bytes, 63 of a kthread */
	ret->state = close_[2];
	/* fields from 4 (ppid) on: 9 is flags, 22 the start */
	for (i = 4, end = close_ + 3; i <= 22; i++) {
		uint64_t v = strtoull(end, &end, 10);

		if (i == 4)
			ret->ppid = (uint32_t)v;
		if (i == 9)
			ret->flags = (uint32_t)v;
		ret->start_ticks = v;
	}
	return 0;
}

int undo_pidfd(uint32_t pid, uint64_t start_ticks)
{
	struct undo_stat st;
	int fd;

	if (pid <= 1 || pid > INT32_MAX)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, (int)pid, 0);
	if (fd < 0)
		return -errno;
	/* Looked at after the fd was got: if it is the one that is meant now, the fd is of it or of one that has ended. */
	if (undo_stat(pid, &st) == 0 && st.start_ticks == start_ticks)
		return fd;
	(void)close(fd); /* nobody's */
	return -ESRCH;
}

int undo_kill(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

static int undo_cont(const struct undo *u, int *ret_rc)
{
	struct undo_stat st;
	int fd = undo_pidfd(u->pid, u->start_ticks), result = UNDO_RESTORED;

	if (fd < 0) {
		*ret_rc = fd;
		return UNDO_GONE;
	}
	if (undo_stat(u->pid, &st) < 0)
		result = UNDO_GONE;
	else if (st.state != 'T')
		result = UNDO_NOT_OURS;
	else
		*ret_rc = undo_kill(fd, SIGCONT);
	(void)close(fd); /* it is no longer needed */
	return *ret_rc < 0 && result == UNDO_RESTORED ? UNDO_FAILED : result;
}

int undo_run(const struct undo *u, int *ret_rc)
{
	*ret_rc = 0;
	return u->kind == UNDO_CONT ? undo_cont(u, ret_rc) : undo_file(u, ret_rc);
}
