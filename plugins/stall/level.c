/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who stands for whom when figures are asked for by pod or by workload, and which of a window's rows tell it: a set's own
 * row where the ledger kept one, else that of what is in it. */
#include <string.h>

#include "stall.h"

static uint64_t key_at(const struct stall_who *who, uint32_t by)
{
	return by == STALL_BY_POD ? who->pod_key : who->workload_key;
}

/* ret_of[i]: who stands for <i> at <by>; a set rather than one of its members. */
static void fill(const struct stall_whos *w, uint32_t by, uint16_t *ret_of)
{
	uint16_t hash[STALL_WHO_HASH];

	memset(hash, 0, sizeof(hash));
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = STALL_WHO_FIRST; i < w->n; i++) {
			const struct stall_who *who = &w->who[i];
			uint64_t key = key_at(who, by);
			uint32_t at = (uint32_t)(key >> 32) & (STALL_WHO_HASH - 1);

			if (!who->cgroup_id || !key || (who->level == by) == (round > 0))
				continue;
			while (hash[at] && key_at(&w->who[hash[at] - 1], by) != key)
				at = (at + 1) & (STALL_WHO_HASH - 1);
			if (!hash[at])
				hash[at] = (uint16_t)(i + 1);
			ret_of[i] = (uint16_t)(hash[at] - 1);
		}
}

void stall_level_make(const struct stall_whos *w, uint32_t by, struct stall_levels *l)
{
	l->by = by == STALL_BY_PROCESS ? STALL_BY_CONTAINER : by;
	for (uint32_t i = 0; i < STALL_WHO_MAX; i++) {
		l->of[i] = l->pod[i] = (uint16_t)i;
		l->is[i] = i < w->n ? (uint8_t)w->who[i].level : 0;
	}
	if (l->by != STALL_BY_CONTAINER)
		fill(w, STALL_BY_POD, l->pod);
	if (l->by == STALL_BY_POD)
		memcpy(l->of, l->pod, sizeof(l->of));
	else if (l->by == STALL_BY_WORKLOAD)
		fill(w, STALL_BY_WORKLOAD, l->of);
}
