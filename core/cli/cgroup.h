/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Cgroups that verbs make for a while. */
#ifndef LNX_CLI_CGROUP_H
#define LNX_CLI_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

/* Where cgroup v2 is mounted. 0, -ENOENT. */
int lnx_cgroup_root(char *ret_root, size_t cap);
/* Move process <pid> into the cgroup at <dir>. 0 or -errno. */
int lnx_cgroup_join(const char *dir, pid_t pid);

#endif
