/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See tags.h. One allocation a cgroup, its strings behind it. */
#include "tags.h"

#include <errno.h>
#include <linnix/ev_workload.h>
#include <linnix/plugin.h>
#include <stdlib.h>
#include <string.h>

#define TAGS_BUCKETS 4096 /* a power of two */

enum {
	TAG_NAMESPACE,
	TAG_POD_NAME,
	TAG_POD_UID,
	TAG_CONTAINER_NAME,
	TAG_CONTAINER_ID,
	TAG_WORKLOAD,
	TAG_RUNTIME,
	TAG_PATH,
	TAG_STRINGS
};

struct tag_entry {
	struct tag_entry *next_hash;
	struct tag_entry *prev, *next; /* among the ended ones, oldest first */
	uint64_t id, gone_ns;
	uint16_t at[TAG_STRINGS]; /* into text */
	bool is_ignored;
	char text[];
};

struct lnx_tags {
	struct tag_entry *buckets[TAGS_BUCKETS];
	struct tag_entry *gone_first, *gone_last;
	struct lnx_tags_stats stats;
};

static struct tag_entry **tags_place(struct lnx_tags *t, uint64_t id)
{
	struct tag_entry **p = &t->buckets[(id * 0x9e3779b97f4a7c15ull >> 32) & (TAGS_BUCKETS - 1)];

	while (*p && (*p)->id != id)
		p = &(*p)->next_hash;
	return p;
}

static void tags_unlink(struct lnx_tags *t, struct tag_entry *e)
{
	if (!e->gone_ns)
		return;
	*(e->prev ? &e->prev->next : &t->gone_first) = e->next;
	*(e->next ? &e->next->prev : &t->gone_last) = e->prev;
	t->stats.n_gone--;
}

static void tags_remove(struct lnx_tags *t, struct tag_entry *e)
{
	*tags_place(t, e->id) = e->next_hash;
	tags_unlink(t, e);
	t->stats.n--;
	free(e);
}

/* Ended ones give way: those that are old enough, and the oldest while there are too many. */
static void tags_expire(struct lnx_tags *t, uint64_t now_ns)
{
	struct tag_entry *e;

	while ((e = t->gone_first)) {
		if (e->gone_ns + LNX_TAGS_KEEP_NS >= now_ns) {
			if (t->stats.n_gone <= LNX_TAGS_GONE_MAX && t->stats.n < LNX_TAGS_MAX)
				break;
			t->stats.forgotten++;
		}
		tags_remove(t, e);
	}
}

/* Lengths were checked by the bus. */
static struct tag_entry *tags_entry(const struct lnx_ev_workload_update *u)
{
	const struct lnx_str *strings[TAG_STRINGS] = {
		[TAG_NAMESPACE] = &u->namespace_,      [TAG_POD_NAME] = &u->pod_name,
		[TAG_POD_UID] = &u->pod_uid,	       [TAG_CONTAINER_NAME] = &u->container_name,
		[TAG_CONTAINER_ID] = &u->container_id, [TAG_WORKLOAD] = &u->workload,
		[TAG_RUNTIME] = &u->runtime,	       [TAG_PATH] = &u->path,
	};
	struct tag_entry *e;
	size_t at = 0;
	unsigned i;

	for (i = 0; i < TAG_STRINGS; i++)
		at += strings[i]->len + 1u;
	e = calloc(1, sizeof(*e) + at);
	if (!e)
		return NULL;
	at = 0;
	for (i = 0; i < TAG_STRINGS; i++) {
		e->at[i] = (uint16_t)at;
		memcpy(e->text + at, (const char *)u + strings[i]->off, strings[i]->len);
		at += strings[i]->len + 1u;
	}
	e->id = u->cgroup_id;
	e->is_ignored =
		LNX_EV_HAS(&u->h, struct lnx_ev_workload_update, is_ignored) && u->is_ignored;
	return e;
}

static void tags_update(struct lnx_tags *t, const struct lnx_ev_workload_update *u)
{
	struct tag_entry **place, *e, *old;

	if (!LNX_EV_HAS(&u->h, struct lnx_ev_workload_update, runtime) || !u->cgroup_id)
		return;
	tags_expire(t, u->h.ts_ns);
	place = tags_place(t, u->cgroup_id);
	old = *place;
	e = old || t->stats.n < LNX_TAGS_MAX ? tags_entry(u) : NULL;
	if (!e) {
		t->stats.refused++;
		return;
	}
	*place = e;
	if (!old) {
		t->stats.n++;
		return;
	}
	e->next_hash = old->next_hash;
	e->gone_ns = old->gone_ns;
	if (old->gone_ns) { /* names may come after the end: it stays where it was in the list */
		e->prev = old->prev;
		e->next = old->next;
		*(e->prev ? &e->prev->next : &t->gone_first) = e;
		*(e->next ? &e->next->prev : &t->gone_last) = e;
	}
	free(old);
}

static void tags_gone(struct lnx_tags *t, uint64_t id, uint64_t now_ns)
{
	struct tag_entry *e = *tags_place(t, id);

	if (!e || e->gone_ns)
		return;
	e->gone_ns = now_ns ? now_ns : 1;
	e->prev = t->gone_last;
	*(e->prev ? &e->prev->next : &t->gone_first) = e;
	t->gone_last = e;
	t->stats.n_gone++;
	tags_expire(t, now_ns);
}

void lnx_tags_event(struct lnx_tags *t, const struct lnx_event *ev)
{
	const struct lnx_ev_cgroup *c = (const struct lnx_ev_cgroup *)(const void *)ev;

	if (ev->type == LNX_EV_WORKLOAD_UPDATE)
		tags_update(t, (const struct lnx_ev_workload_update *)(const void *)ev);
	else if (ev->type == LNX_EV_CGROUP_GONE && LNX_EV_HAS(ev, struct lnx_ev_cgroup, cgroup_id))
		tags_gone(t, c->cgroup_id, ev->ts_ns);
}

static int tags_on_event(void *arg, const struct lnx_event *ev)
{
	lnx_tags_event(arg, ev);
	return 0;
}

int lnx_tags_follow(struct lnx_tags *t, struct lnx_bus *b)
{
	struct lnx_sub_handle *sub; /* goes with the bus */
	int rc = lnx_bus_subscribe(b, "tags", LNX_EV_WORKLOAD_UPDATE, LNX_STAGE_STATE, 0,
				   tags_on_event, t, &sub);

	if (rc == 0)
		rc = lnx_bus_subscribe(b, "tags", LNX_EV_CGROUP_GONE, LNX_STAGE_STATE, 0,
				       tags_on_event, t, &sub);
	return rc;
}

static void tags_describe(const struct tag_entry *e, struct lnx_tag *ret_tag)
{
	static const uint16_t nowhere[TAG_STRINGS];
	const uint16_t *at = e ? e->at : nowhere;
	const char *text = e ? e->text : "";
	struct lnx_tag tag = {
		.size = sizeof(tag),
		.cgroup_id = e ? e->id : 0,
		.gone_ns = e ? e->gone_ns : 0,
		.namespace_ = text + at[TAG_NAMESPACE],
		.pod_name = text + at[TAG_POD_NAME],
		.pod_uid = text + at[TAG_POD_UID],
		.container_name = text + at[TAG_CONTAINER_NAME],
		.container_id = text + at[TAG_CONTAINER_ID],
		.workload = text + at[TAG_WORKLOAD],
		.runtime = text + at[TAG_RUNTIME],
		.path = text + at[TAG_PATH],
		.is_ignored = e && e->is_ignored,
	};
	uint32_t size = ret_tag->size;

	/* a caller built against an older table has fewer members */
	memcpy(ret_tag, &tag, size && size < sizeof(tag) ? size : sizeof(tag));
}

int lnx_tags_get(const struct lnx_tags *t, uint64_t cgroup_id, struct lnx_tag *ret_tag)
{
	/* the place is only read */
	const struct tag_entry *e =
		t && cgroup_id ? *tags_place((void *)(uintptr_t)t, cgroup_id) : NULL;

	tags_describe(e, ret_tag);
	return e ? 0 : -ENOENT;
}

void lnx_tags_each(const struct lnx_tags *t, int (*each)(void *arg, const struct lnx_tag *tag),
		   void *arg)
{
	const struct tag_entry *e;
	struct lnx_tag tag;
	unsigned i;

	for (i = 0; i < TAGS_BUCKETS; i++)
		for (e = t->buckets[i]; e; e = e->next_hash) {
			tag.size = sizeof(tag);
			tags_describe(e, &tag);
			if (each(arg, &tag))
				return;
		}
}

void lnx_tags_stats(const struct lnx_tags *t, struct lnx_tags_stats *ret_stats)
{
	*ret_stats = t->stats;
}

struct lnx_tags *lnx_tags_new(void)
{
	return calloc(1, sizeof(struct lnx_tags));
}

void lnx_tags_free(struct lnx_tags *t)
{
	struct tag_entry *e, *next;
	unsigned i;

	for (i = 0; t && i < TAGS_BUCKETS; i++)
		for (e = t->buckets[i]; e; e = next) {
			next = e->next_hash;
			free(e);
		}
	free(t);
}
