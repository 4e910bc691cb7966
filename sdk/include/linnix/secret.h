/* SPDX-License-Identifier: MIT */
/* Secrets lie in files, never in the configuration or the log. Read one anew for each use: it may be changed any time.
 * Header only. */
#ifndef LINNIX_SECRET_H
#define LINNIX_SECRET_H

#include <errno.h>
#include <fcntl.h>
#include <linnix/buf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LNX_SECRET_MAX 2048 /* bytes, NUL included */

/* lnx_buf_done() of what may hold a secret. */
static inline void lnx_secret_done(struct lnx_buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	lnx_buf_done(b);
}

/* The bytes of file <path>, which nobody but its owner and group may read. Their number or -errno. */
static inline ssize_t lnx_secret_load(const char *path, char *buf, size_t cap, char *why,
				      size_t why_cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0 || fstat(fd, &st) < 0) {
		n = -errno;
		(void)snprintf(why, why_cap, "%s: %s", path, strerror(errno)); /* for people */
	} else if (!S_ISREG(st.st_mode)) {
		n = -EINVAL;
		(void)snprintf(why, why_cap, "%s is no file", path); /* likewise */
	} else if (st.st_mode & (S_IROTH | S_IWOTH)) {
		n = -EPERM;
		(void)snprintf(why, why_cap, "%s is open to everyone: chmod o-rw",
			       path); /* likewise */
	} else {
		n = read(fd, buf, cap);
		if (n < 0) {
			n = -errno;
			(void)snprintf(why, why_cap, "%s: %s", path,
				       strerror((int)-n)); /* likewise */
		}
	}
	if (fd >= 0)
		(void)close(fd); /* only read from */
	return n;
}

/* The one line of file <path>, printable characters without blanks. 0, or -errno with the reason in <why>. Wipe it after use. */
static inline int lnx_secret_read(const char *path, char ret_text[LNX_SECRET_MAX], char *why,
				  size_t why_cap)
{
	char buf[LNX_SECRET_MAX] = "";
	ssize_t n = lnx_secret_load(path, buf, sizeof(buf), why, why_cap);
	int rc = n < 0 ? (int)n : 0, is_bad = rc == 0 && n == LNX_SECRET_MAX;

	while (n > 0 && strchr(" \t\r\n", buf[n - 1]))
		n--;
	for (ssize_t i = 0; i < n; i++)
		is_bad |= buf[i] <= ' ' || buf[i] >= 0x7f;
	if (rc == 0 && (is_bad || n == 0)) {
		rc = -EINVAL;
		(void)snprintf(why, why_cap,
			       "%s must hold one line of 1 to %d printable characters", path,
			       LNX_SECRET_MAX - 1); /* likewise */
	}
	if (rc == 0) {
		memcpy(ret_text, buf, (size_t)n);
		ret_text[n] = 0;
	}
	explicit_bzero(buf, sizeof(buf));
	return rc;
}

#endif
