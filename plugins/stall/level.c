/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who stands for whom when figures are asked for by pod or by workload. */
#include <string.h>

#include "stall.h"

static uint64_t hash_text(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

static int is_same(const struct stall_who *a, const struct stall_who *b, uint32_t by)
{
	if (by == STALL_BY_POD)
		return !strcmp(a->pod_uid, b->pod_uid) && a->pod_uid[0];
	return !strcmp(a->workload, b->workload) && !strcmp(a->namespace_, b->namespace_) &&
	       a->workload[0];
}

void stall_level_make(struct stall *s, uint32_t by)
{
	struct stall_whos *w = &s->whos;
	uint32_t hash[STALL_WHO_HASH];

	for (uint32_t i = 0; i < STALL_WHO_MAX; i++)
		s->level[i] = i;
	if (by != STALL_BY_POD && by != STALL_BY_WORKLOAD)
		return;
	memset(hash, 0, sizeof(hash));
	for (uint32_t i = STALL_WHO_FIRST; i < w->n; i++) {
		const struct stall_who *who = &w->who[i];
		uint64_t h = 0xcbf29ce484222325ULL;
		uint32_t at;

		if (!who->cgroup_id)
			continue;
		h = by == STALL_BY_POD ? hash_text(h, who->pod_uid)
				       : hash_text(hash_text(h, who->workload), who->namespace_);
		at = (uint32_t)(h >> 32) & (STALL_WHO_HASH - 1);
		while (hash[at] && !is_same(&w->who[hash[at] - 1], who, by))
			at = (at + 1) & (STALL_WHO_HASH - 1);
		if (!hash[at])
			hash[at] = i + 1;
		s->level[i] = hash[at] - 1;
	}
}
