/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A walk over the folders of the v2 hierarchy, on a worker thread. */
#ifndef LNX_WORKLOAD_WALK_H
#define LNX_WORKLOAD_WALK_H

#include <stddef.h>
#include <stdint.h>

struct workload_found {
	uint64_t id, parent_id; /* inode numbers: the ids of the cgroups */
	char *path;		/* below the root, "/" for itself; owned */
};

struct workload_walk {
	char root[4096];
	uint32_t max; /* cgroups; the rest is counted */
	struct workload_found *found;
	uint32_t n, cap;
	uint32_t
		skipped; /* beyond max, too deep, or not to be read; not those removed while we looked */
	int error;
};

/* Where cgroup2 is mounted, from <mountinfo>: 0 or -ENOENT. */
int workload_v2_root(const char *mountinfo, char *ret_root, size_t cap);
/* Any thread. Fills found[]; returns 0 or -errno. */
int workload_walk_run(struct workload_walk *w);
void workload_walk_done(struct workload_walk *w);

#endif
