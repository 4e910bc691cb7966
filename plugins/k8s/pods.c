/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See pods.h. */
#include "pods.h"

#include <errno.h>
#include <linnix/svc_k8s.h>
#include <stdlib.h>
#include <string.h>

int k8s_pods_init(struct k8s_pods *t, uint32_t max)
{
	memset(t, 0, sizeof(*t));
	t->max = max;
	t->list = calloc((size_t)max + K8S_GONE_MAX, sizeof(struct k8s_pod *));
	return t->list ? 0 : -ENOMEM;
}

void k8s_pods_done(struct k8s_pods *t)
{
	uint32_t i;

	for (i = 0; i < t->n; i++)
		free(t->list[i]);
	free(t->list);
	memset(t, 0, sizeof(*t));
}

static uint32_t pods_index(const struct k8s_pods *t, const char *uid)
{
	uint32_t i;

	for (i = 0; i < t->n && strcmp(t->list[i]->uid, uid) != 0; i++)
		;
	return i;
}

struct k8s_pod *k8s_pods_get(const struct k8s_pods *t, const char *uid)
{
	uint32_t i = pods_index(t, uid);

	return i < t->n ? t->list[i] : NULL;
}

const char *k8s_pod_path_uid(const struct k8s_pod *p)
{
	return p->config_hash[0] ? p->config_hash : p->uid;
}

/* A living one goes first: a static pod that was changed keeps its name, not its hash, but one that is made anew may keep
 * both. */
struct k8s_pod *k8s_pods_find(const struct k8s_pods *t, const char *uid)
{
	struct k8s_pod *found = NULL;
	uint32_t i;

	for (i = 0; *uid && i < t->n; i++) {
		struct k8s_pod *p = t->list[i];

		if (strcmp(p->uid, uid) != 0 && strcmp(p->config_hash, uid) != 0)
			continue;
		if (!p->deleted_ns)
			return p;
		found = p;
	}
	return found;
}

const struct k8s_container *k8s_pod_container(const struct k8s_pod *p, const char *id)
{
	uint32_t i;

	for (i = 0; *id && i < p->n_containers; i++)
		if (!strcmp(p->containers[i].id, id) || !strcmp(p->containers[i].last_id, id))
			return &p->containers[i];
	return NULL;
}

struct k8s_pod *k8s_pods_container(const struct k8s_pods *t, const char *id,
				   const struct k8s_container **ret_container)
{
	uint32_t i;

	*ret_container = NULL;
	for (i = 0; i < t->n; i++) {
		*ret_container = k8s_pod_container(t->list[i], id);
		if (*ret_container)
			return t->list[i];
	}
	return NULL;
}

static void pods_remove(struct k8s_pods *t, uint32_t i)
{
	t->n_gone -= t->list[i]->deleted_ns != 0;
	free(t->list[i]);
	t->list[i] = t->list[--t->n];
}

static void pods_forget_oldest(struct k8s_pods *t)
{
	uint32_t i, oldest = t->n;

	for (i = 0; i < t->n; i++)
		if (t->list[i]->deleted_ns &&
		    (oldest == t->n || t->list[i]->deleted_ns < t->list[oldest]->deleted_ns))
			oldest = i;
	if (oldest < t->n)
		pods_remove(t, oldest);
}

/* The same but for what changes with every look. */
static int pods_is_same(const struct k8s_pod *a, const struct k8s_pod *b)
{
	size_t from = offsetof(struct k8s_pod, uid), to = offsetof(struct k8s_pod, version);
	size_t rest = offsetof(struct k8s_pod, is_ignored);

	return a->n_containers == b->n_containers &&
	       !memcmp((const char *)a + from, (const char *)b + from, to - from) &&
	       !memcmp((const char *)a + rest, (const char *)b + rest,
		       k8s_pod_bytes(a->n_containers) - rest);
}

/* A restart takes the id away from its container before the kubelet tells the next one; an ended process may still be asked
 * for by it. */
static void pods_keep_ids(const struct k8s_pod *old, struct k8s_pod *p)
{
	uint32_t i, k;

	for (i = 0; i < p->n_containers; i++)
		for (k = 0; k < old->n_containers; k++) {
			const struct k8s_container *c = &old->containers[k];

			if (p->containers[i].kind != c->kind ||
			    strcmp(p->containers[i].name, c->name) != 0 ||
			    p->containers[i].last_id[0])
				continue;
			memcpy(p->containers[i].last_id,
			       strcmp(c->id, p->containers[i].id) != 0 ? c->id : c->last_id,
			       sizeof(c->id));
		}
}

struct k8s_pod *k8s_pods_put(struct k8s_pods *t, const struct k8s_pod *p, int *ret_change)
{
	size_t bytes = k8s_pod_bytes(p->n_containers);
	uint32_t i = pods_index(t, p->uid);
	struct k8s_pod *old = i < t->n ? t->list[i] : NULL, *copy;

	*ret_change = -1;
	t->containers_refused += p->n_refused;
	if (!old && t->n - t->n_gone >= t->max) {
		t->refused++;
		return NULL;
	}
	copy = malloc(bytes);
	if (!copy)
		return NULL;
	memcpy(copy, p, bytes);
	copy->deleted_ns = 0;
	copy->round = t->round;
	if (old) {
		pods_keep_ids(old, copy);
		if (old->deleted_ns || !pods_is_same(old, copy))
			*ret_change = LNX_K8S_POD_CHANGED;
		t->n_gone -= old->deleted_ns != 0;
		free(old);
	} else {
		*ret_change = LNX_K8S_POD_NEW;
		t->n++;
	}
	t->list[i] = copy;
	return copy;
}

void k8s_pods_gone(struct k8s_pods *t, struct k8s_pod *p, uint64_t now_ns)
{
	if (p->deleted_ns)
		return;
	if (t->n_gone >= K8S_GONE_MAX)
		pods_forget_oldest(t);
	p->deleted_ns = now_ns ? now_ns : 1;
	t->n_gone++;
}

void k8s_pods_expire(struct k8s_pods *t, uint64_t now_ns, uint64_t keep_ns)
{
	uint32_t i = 0;

	while (t->n_gone && i < t->n) {
		if (t->list[i]->deleted_ns && t->list[i]->deleted_ns + keep_ns < now_ns)
			pods_remove(t, i);
		else
			i++;
	}
}
