/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where cgroups are, and into one. */
#include "cli/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int lnx_cgroup_root(char *ret_root, size_t cap)
{
	char line[4096], dir[256], *dash;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int rc = -ENOENT;

	while (f && rc && fgets(line, sizeof(line), f)) {
		dash = strstr(line, " - ");
		if (!dash || strncmp(dash + 3, "cgroup2 ", 8) != 0 ||
		    sscanf(line, "%*s %*s %*s %*s %255s", dir) != 1 || strlen(dir) >= cap)
			continue;
		(void)snprintf(ret_root, cap, "%s", dir); /* measured above */
		rc = 0;
	}
	if (f)
		(void)fclose(f); /* read only */
	return rc;
}

int lnx_cgroup_join(const char *dir, pid_t pid)
{
	char path[600], text[16];
	int fd, n, rc = 0;

	if (snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = snprintf(text, sizeof(text), "%d", (int)pid);
	if (write(fd, text, (size_t)n) != n)
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	return rc;
}
