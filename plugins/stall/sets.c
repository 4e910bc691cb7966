/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Wait sets above slots. A pod with several containers and a workload with several pods, or several units of one name, get
 * a set of their own in the ledger: how long any of them waited is not the sum of how long each did. One slot alone is its
 * own pod and workload. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stall.h"

#define SET_ID (1ULL << 63) /* of the names of a set; no cgroup has such an id */

/* Slots, or sets of pods, that one set is above. */
struct group {
	uint64_t key; /* 0 free */
	uint32_t n;
	uint32_t set;	/* its slot, 0 none */
	uint32_t first; /* a member's slot */
	uint32_t pad;
};

struct groups {
	struct group *g;
	uint32_t cap;
};

static struct group *group_of(const struct groups *gs, uint64_t key)
{
	uint32_t at = (uint32_t)(key >> 32) & (gs->cap - 1);

	while (gs->g[at].key && gs->g[at].key != key)
		at = (at + 1) & (gs->cap - 1);
	gs->g[at].key = key;
	return &gs->g[at];
}

static int is_used(const struct stall *s, uint32_t i)
{
	const struct stall_slot *t = &s->probe.slot[i];

	return t->handle && !t->retired && t->who >= STALL_WHO_FIRST && t->who < STALL_WHO_MAX;
}

/* Of slot <i> at <level>: the key of the set above it, 0 if it is not looked at there. <up> has what is above so far. */
static uint64_t key_of(const struct stall *s, uint32_t i, uint32_t level, const uint32_t *up)
{
	const struct stall_slot *t = &s->probe.slot[i];
	const struct stall_who *who = &s->whos.who[t->who];

	if (t->level >= level || up[i])
		return 0;
	return level == STALL_BY_POD ? who->pod_key : who->workload_key;
}

/* Path of the pod's own cgroup: the folder of its containers' cgroups. */
static void pod_path(const char *path, char *ret_path, size_t cap)
{
	const char *end = strrchr(path, '/'), *at = end;

	*ret_path = 0;
	while (at && at > path && at[-1] != '/')
		at--;
	if (at && (size_t)(end - path) < cap && memmem(at, (size_t)(end - at), "pod", 3)) {
		memcpy(ret_path, path, (size_t)(end - path));
		ret_path[end - path] = 0;
	}
}

/* Names and pressure of a set are those of <member>, less what tells it from the others. */
static uint32_t set_who(struct stall *s, uint64_t key, uint32_t level,
			const struct stall_who *member, uint64_t now_ns)
{
	uint32_t is_pod = level == STALL_BY_POD, i;
	struct lnx_workload w = { .size = sizeof(w),
				  .workload = member->workload,
				  .namespace_ = member->namespace_,
				  .pod_name = is_pod ? member->pod_name : "",
				  .pod_uid = is_pod ? member->pod_uid : "",
				  .container_name = "",
				  .container_id = "",
				  .runtime = "",
				  .qos = "" };
	char path[4096] = "";

	if (is_pod)
		pod_path(member->path, path, sizeof(path));
	w.path = path;
	i = stall_who_make(&s->whos, SET_ID | key >> 1 | level, now_ns, STALL_KEEP_NS);
	if (i < STALL_WHO_FIRST || stall_who_name(&s->whos.who[i], &w, now_ns))
		return STALL_WHO_NONE;
	s->whos.who[i].level = level;
	s->whos.who[i].used_ns = now_ns;
	return i;
}

uint32_t stall_set_of_pod(struct stall *s, uint32_t member, uint32_t is_made, uint64_t now_ns)
{
	const struct stall_who *m = &s->whos.who[member];
	uint64_t key =
		member >= STALL_WHO_FIRST && member < STALL_WHO_MAX && !m->level ? m->pod_key : 0;
	uint32_t i =
		key ? stall_who_find(&s->whos, SET_ID | key >> 1 | STALL_BY_POD) : STALL_WHO_NONE;

	if (!key || (i == STALL_WHO_NONE && !is_made))
		return STALL_WHO_NONE;
	if (i != STALL_WHO_NONE && s->whos.who[i].asked_ns >= m->asked_ns) {
		s->whos.who[i].used_ns = now_ns;
		return i;
	}
	is_made = i == STALL_WHO_NONE;
	i = set_who(s, key, STALL_BY_POD, m, now_ns);
	for (uint32_t r = 0; is_made && i != STALL_WHO_NONE && r < LNX_RES_N; r++)
		if (r != LNX_RES_CPU && stall_is_attached(s, r))
			stall_psi_base_of(s, &s->whos.who[i], r);
	return i;
}

static uint32_t set_make(struct stall *s, const struct group *g, uint32_t level, uint64_t now_ns)
{
	const struct stall_who *first = &s->whos.who[s->probe.slot[g->first].who];
	uint32_t who = set_who(s, g->key, level, first, now_ns), handle, slot;

	handle = who == STALL_WHO_NONE ? 0
				       : stall_slot_take(s->probe.tab, s->whos.who[who].cgroup_id);
	if (!handle) {
		s->sets_refused++;
		return 0; /* its members are added up, and that is noted */
	}
	for (uint32_t r = 0; r < LNX_RES_N; r++)
		if (r == LNX_RES_CPU ||
		    (stall_is_attached(s, r) && !s->whos.who[who].psi[r].is_known))
			stall_psi_base_of(s, &s->whos.who[who], r);
	slot = LNX_LEDGER_SLOT(handle);
	s->probe.slot[slot] = (struct stall_slot){
		.handle = handle, .who = who, .level = level, .key = g->key, .ran_ns = now_ns
	};
	return slot;
}

/* Names may have become known, or changed. */
static void set_rename(struct stall *s, const struct group *g, uint32_t level, uint64_t now_ns)
{
	const struct stall_who *first = &s->whos.who[s->probe.slot[g->first].who];
	struct stall_slot *t = &s->probe.slot[g->set];
	uint32_t who;

	if (first->asked_ns <= s->whos.who[t->who].asked_ns)
		return;
	who = set_who(s, g->key, level, first, now_ns);
	if (who != STALL_WHO_NONE)
		t->who = who;
}

int stall_is_pod(const struct stall_who *who)
{
	return who->pod_key && !who->level && !*who->container_id && who->n_children;
}

uint32_t stall_set_of_own(struct stall *s, uint32_t own, uint64_t now_ns)
{
	const struct stall_who *who = s->whos.who;

	stall_who_count(s);
	if (!stall_is_pod(&who[own]) || who[own].n_children < 2)
		return STALL_WHO_NONE;
	for (uint32_t i = STALL_WHO_FIRST; i < s->whos.n; i++)
		if (who[i].cgroup_id && who[i].pod_key == who[own].pod_key && !who[i].level &&
		    who[i].parent_cgroup_id == who[own].cgroup_id)
			return stall_set_of_pod(s, i, 1, now_ns);
	return STALL_WHO_NONE;
}

/* Groups of one level; up[] learns who is above whom. */
static int sync_level(struct stall *s, uint32_t level, uint32_t *up, uint64_t now_ns)
{
	struct groups gs = { NULL, 64 };
	struct group *g;
	uint64_t key;

	while (gs.cap < 2 * s->probe.n_used + 2)
		gs.cap *= 2;
	gs.g = calloc(gs.cap, sizeof(*gs.g));
	if (!gs.g)
		return -ENOMEM;
	for (uint32_t i = LNX_LEDGER_FIRST; i < LNX_LEDGER_SLOTS; i++) {
		if (!is_used(s, i))
			continue;
		if (s->probe.slot[i].level == level)
			group_of(&gs, s->probe.slot[i].key)->set = i;
		key = key_of(s, i, level, up);
		if (!key)
			continue;
		g = group_of(&gs, key);
		g->n++;
		g->first = i;
	}
	for (uint32_t i = 0; i < gs.cap; i++) {
		g = &gs.g[i];
		if (g->n > 1 && !g->set)
			g->set = set_make(s, g, level, now_ns);
		else if (g->n && g->set)
			set_rename(s, g, level, now_ns);
		else if (!g->n && g->set)
			s->probe.slot[g->set].retired = 1;
	}
	for (uint32_t i = LNX_LEDGER_FIRST; i < LNX_LEDGER_SLOTS; i++) {
		key = is_used(s, i) ? key_of(s, i, level, up) : 0;
		g = key ? group_of(&gs, key) : NULL;
		if (g && g->set)
			up[i] = s->probe.slot[g->set].handle;
	}
	free(gs.g);
	return 0;
}

void stall_sets_sync(struct stall *s, uint64_t now_ns)
{
	struct lnx_ledger_table *tab = s->probe.tab;
	uint32_t up[LNX_LEDGER_SLOTS] = { 0 }, n = 0;

	/* No memory: what is above whom stays as it was. */
	if (sync_level(s, STALL_BY_POD, up, now_ns) || sync_level(s, STALL_BY_WORKLOAD, up, now_ns))
		return;
	for (uint32_t i = LNX_LEDGER_FIRST; i < LNX_LEDGER_SLOTS; i++) {
		if (!s->probe.slot[i].handle || tab->slot[i].up == up[i])
			continue;
		__atomic_store_n(&tab->slot[i].up, up[i], __ATOMIC_RELAXED);
		n++;
	}
	if (n)
		(void)__atomic_add_fetch(&tab->moves, 1, __ATOMIC_RELEASE);
}

int stall_set_has(const struct stall_who *set, const struct stall_who *who)
{
	if (set->level == STALL_BY_POD)
		return set->pod_key == who->pod_key && set->pod_key;
	return set->level == STALL_BY_WORKLOAD && set->workload_key == who->workload_key &&
	       set->workload_key;
}
