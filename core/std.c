/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Descriptors 0, 1 and 2 are never anything else. */
#include "std.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int lnx_std_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest that is free is this one. Not CLOEXEC: a child expects them, too. */
		if (open("/dev/null", O_RDWR) < 0)
			return -errno;
	}
	return 0;
}
