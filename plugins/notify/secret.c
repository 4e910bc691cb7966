/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Secrets lie in files, never in the configuration or the log. Read anew for each message: they may be changed any time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notify.h"

static int read_file(const char *path, char *buf, size_t cap, size_t *ret_n, char *why,
		     uint64_t why_cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 0;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = -errno;
		(void)snprintf(why, why_cap, "%s: %s", path, strerror(-rc)); /* for people */
	} else if (!S_ISREG(st.st_mode)) {
		rc = -EINVAL;
		(void)snprintf(why, why_cap, "%s is no file", path); /* for people */
	} else if (st.st_mode & (S_IROTH | S_IWOTH)) {
		rc = -EPERM;
		(void)snprintf(why, why_cap, "%s is open to everyone: chmod o-rw",
			       path); /* likewise */
	} else {
		n = read(fd, buf, cap);
		rc = n < 0 ? -errno : 0;
	}
	if (fd >= 0)
		(void)close(fd); /* only read from */
	*ret_n = n > 0 ? (size_t)n : 0;
	return rc;
}

int notify_secret(void *self, const char *path, char ret_text[LNX_NOTIFY_SECRET_MAX], char *why,
		  uint64_t why_cap)
{
	char buf[LNX_NOTIFY_SECRET_MAX];
	size_t n = 0, i;
	int rc = read_file(path, buf, sizeof(buf), &n, why, why_cap);

	(void)self;
	while (n && strchr(" \t\r\n", buf[n - 1]))
		n--;
	for (i = 0; rc == 0 && i < n; i++)
		if (buf[i] <= ' ' || buf[i] >= 0x7f)
			rc = -EINVAL;
	if (rc == 0 && (!n || n >= LNX_NOTIFY_SECRET_MAX))
		rc = -EINVAL;
	if (rc == -EINVAL)
		(void)snprintf(why, why_cap,
			       "%s must hold one line of 1 to %d printable characters", path,
			       LNX_NOTIFY_SECRET_MAX - 1); /* for people */
	if (rc == 0) {
		memcpy(ret_text, buf, n);
		ret_text[n] = 0;
	}
	explicit_bzero(buf, sizeof(buf));
	return rc;
}
