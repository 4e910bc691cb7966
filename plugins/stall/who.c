/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of those who wait and those who hold: a hash by cgroup id, bounded, with places reused. */
#include "who.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const pseudo_names[] = { "_node", "_kernel", "_other" };

static void who_reset(struct stall_who *who)
{
	memset(who, 0, sizeof(*who));
	for (int r = 0; r < 3; r++)
		who->psi[r].fd = -1;
	who->workload = who->namespace_ = who->pod_name = who->pod_uid = "";
	who->container_name = who->container_id = who->path = who->qos = "";
}

int stall_whos_init(struct stall_whos *w)
{
	memset(w, 0, sizeof(*w));
	w->root_fd = -1;
	w->n_limits = 1;
	w->who = calloc(STALL_WHO_MAX, sizeof(*w->who));
	if (!w->who)
		return -ENOMEM;
	for (uint32_t i = 0; i < STALL_WHO_FIRST; i++) {
		who_reset(&w->who[i]);
		w->who[i].workload = pseudo_names[i];
	}
	w->who[STALL_WHO_NODE].path = "/";
	w->n = STALL_WHO_FIRST;
	return 0;
}

static void who_close(struct stall_whos *w, struct stall_who *who)
{
	for (int r = 0; r < 3; r++) {
		if (who->psi[r].fd < 0)
			continue;
		(void)close(who->psi[r].fd); /* read only */
		who->psi[r].fd = -1;
		w->n_fds--;
	}
}

void stall_whos_done(struct stall_whos *w)
{
	for (uint32_t i = 0; w->who && i < w->n; i++) {
		who_close(w, &w->who[i]);
		free(w->who[i].text);
		free(w->who[i].mem_path);
	}
	for (uint32_t i = 0; i < w->n_limits; i++) {
		free(w->limits[i].owner);
		free(w->limits[i].text);
	}
	if (w->root_fd > 0)
		(void)close(w->root_fd); /* read only */
	free(w->cpu_root);
	free(w->mem_root);
	free(w->io_root);
	free(w->v2_root);
	free(w->who);
	memset(w, 0, sizeof(*w));
	w->root_fd = -1;
}

static uint32_t hash_of(uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ULL) >> 40) & (STALL_WHO_HASH - 1);
}

static uint32_t place_of(const struct stall_whos *w, uint64_t id)
{
	uint32_t at = hash_of(id);

	while (w->hash[at] && w->who[w->hash[at] - 1].cgroup_id != id)
		at = (at + 1) & (STALL_WHO_HASH - 1);
	return at;
}

uint32_t stall_who_find(const struct stall_whos *w, uint64_t id)
{
	uint32_t at = id ? place_of(w, id) : 0;

	return id && w->hash[at] ? w->hash[at] - 1 : STALL_WHO_NONE;
}

static void rehash(struct stall_whos *w)
{
	memset(w->hash, 0, sizeof(w->hash));
	for (uint32_t i = STALL_WHO_FIRST; i < w->n; i++)
		if (w->who[i].cgroup_id)
			w->hash[place_of(w, w->who[i].cgroup_id)] = i + 1;
}

/* Free the places that no window names any more. Returns one, or STALL_WHO_NONE. */
static uint32_t reclaim(struct stall_whos *w, uint64_t now_ns, uint64_t keep_ns)
{
	uint32_t found = STALL_WHO_NONE;

	for (uint32_t i = STALL_WHO_FIRST; i < w->n; i++) {
		struct stall_who *who = &w->who[i];

		if (who->cgroup_id && who->used_ns + keep_ns < now_ns) {
			who_close(w, who);
			free(who->text);
			free(who->mem_path);
			who_reset(who);
		}
		if (!who->cgroup_id)
			found = i;
	}
	if (found != STALL_WHO_NONE)
		rehash(w);
	return found;
}

uint32_t stall_who_make(struct stall_whos *w, uint64_t id, uint64_t now_ns, uint64_t keep_ns)
{
	uint32_t i = stall_who_find(w, id);

	if (i != STALL_WHO_NONE)
		return i;
	i = w->n < STALL_WHO_MAX ? w->n++ : reclaim(w, now_ns, keep_ns);
	if (i == STALL_WHO_NONE || !id) {
		w->refused++;
		return STALL_WHO_OTHER;
	}
	who_reset(&w->who[i]);
	w->is_new = 1;
	w->who[i].cgroup_id = id;
	w->who[i].used_ns = now_ns;
	w->hash[place_of(w, id)] = i + 1;
	return i;
}

static const char *put(char **io_at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *at = *io_at;

	memcpy(at, s, n);
	*io_at += n;
	return at;
}

static uint64_t key_of(const char *a, const char *b)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *a; a++)
		h = (h ^ (unsigned char)*a) * 0x100000001b3ULL;
	h = (h ^ 0xff) * 0x100000001b3ULL;
	for (; *b; b++)
		h = (h ^ (unsigned char)*b) * 0x100000001b3ULL;
	h ^= h >> 32;
	return h ? h : 1;
}

int stall_who_name(struct stall_who *who, const struct lnx_workload *from, uint64_t now_ns)
{
	size_t n = strlen(from->workload) + strlen(from->namespace_) + strlen(from->pod_name) +
		   strlen(from->pod_uid) + strlen(from->container_name) +
		   strlen(from->container_id) + strlen(from->path) + strlen(from->qos) + 8;
	char *text = malloc(n), *at = text;

	if (!text)
		return -ENOMEM;
	who->workload = put(&at, from->workload);
	who->namespace_ = put(&at, from->namespace_);
	who->pod_name = put(&at, from->pod_name);
	who->pod_uid = put(&at, from->pod_uid);
	who->container_name = put(&at, from->container_name);
	who->container_id = put(&at, from->container_id);
	who->path = put(&at, from->path);
	who->qos = put(&at, from->qos);
	who->cpu_request_millicores = from->cpu_request_millicores;
	free(who->text);
	who->text = text;
	who->pod_key = *who->pod_uid ? key_of(who->pod_uid, "") : 0;
	who->workload_key = *who->workload ? key_of(who->workload, who->namespace_) : 0;
	who->parent_cgroup_id = from->parent_cgroup_id;
	who->is_known = 1;
	who->is_gone = from->gone_ns != 0;
	who->asked_ns = now_ns;
	return 0;
}

int stall_who_is_same_workload(const struct stall_who *a, const struct stall_who *b)
{
	return *a->workload && !strcmp(a->workload, b->workload) &&
	       !strcmp(a->namespace_, b->namespace_);
}
