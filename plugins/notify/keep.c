/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is to be told, and what was told, in the store: a restart goes on where the last run ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify.h"

#define SWEEP_MAX 1000

static void record_id(const struct lnx_channel *ch, const struct item *it,
		      char ret[LNX_STORE_ID_MAX])
{
	(void)snprintf(ret, LNX_STORE_ID_MAX, "%s-%s", ch->key, it->id); /* fits */
}

void keep_save(struct lnx_channel *ch, struct item *it)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_DELIVERY };
	struct notify *n = ch->n;
	struct lnx_buf doc = { 0 };
	char id[LNX_STORE_ID_MAX];

	it->is_kept = it->waits;
	if (!n->store)
		return;
	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "incident", it->id);
	lnx_json_kv_bool(&doc, "waits", (int)it->waits);
	lnx_json_kv_u64(&doc, "what", it->what);
	lnx_json_kv_bool(&doc, "told", (int)it->is_told);
	lnx_json_kv_bool(&doc, "given_up", (int)it->is_given_up);
	lnx_json_kv_u64(&doc, "rev", it->rev);
	lnx_json_kv_str(&doc, "boot_id", n->host->ident(n->ctx)->boot_id);
	lnx_json_kv_u64(&doc, "boot_ns", it->queued_ns);
	lnx_json_kv_str(&doc, "kept", it->kept ? it->kept : "");
	lnx_buf_char(&doc, '}');
	record_id(ch, it, id);
	r.id = id;
	r.parent = ch->name;
	r.doc = doc.data;
	r.doc_bytes = doc.size;
	r.ts_ns = it->queued_wall_ns;
	r.state = !it->waits;
	r.severity = it->severity;
	if (!lnx_buf_error(&doc))
		(void)n->store->put(n->store_self, &r); /* the store counts what it refuses */
	lnx_buf_done(&doc);
}

void keep_del(struct lnx_channel *ch, const struct item *it)
{
	char id[LNX_STORE_ID_MAX];

	record_id(ch, it, id);
	if (ch->n->store)
		(void)ch->n->store->del(ch->n->store_self, LNX_STORE_DELIVERY, id); /* likewise */
}

static uint32_t get_u32(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 && v < UINT32_MAX ? (uint32_t)v : 0;
}

/* How long it has waited: by the clock that no step moves while the machine is up, else by dates. */
static void load_age(struct lnx_channel *ch, const json_t *o, struct item *it)
{
	const char *boot_id = json_string_value(json_object_get(o, "boot_id"));
	json_int_t boot_ns = json_integer_value(json_object_get(o, "boot_ns"));
	uint64_t now = ch->n->host->now_ns(ch->n->ctx), wall = notify_wall(ch->n);

	it->queued_ns = now;
	if (boot_id && !strcmp(boot_id, ch->n->host->ident(ch->n->ctx)->boot_id) && boot_ns > 0 &&
	    (uint64_t)boot_ns <= now)
		it->age_ns = now - (uint64_t)boot_ns;
	else if (wall > it->queued_wall_ns)
		it->age_ns = wall - it->queued_wall_ns;
}

static int load_one(void *arg, const struct lnx_store_record *r)
{
	struct lnx_channel *ch = arg;
	json_t *o = json_loadb(r->doc, r->doc_bytes, 0, NULL);
	const char *id = json_string_value(json_object_get(o, "incident")),
		   *kept = json_string_value(json_object_get(o, "kept"));
	struct item *it = NULL;
	int is_new = 0;

	if (id && strlen(id) == LNX_ULID_MAX - 1) {
		it = item_find(ch, id);
		is_new = !it;
		if (!it)
			it = item_new(ch, id);
	}
	if (it) {
		it->is_told = json_is_true(json_object_get(o, "told"));
		it->rev += get_u32(o, "rev") + 1; /* 0: not in the store */
		if (kept && *kept && !it->kept)
			it->kept = strdup(kept);
	}
	if (it && is_new) { /* else this run has more to tell already */
		it->waits = it->is_kept = json_is_true(json_object_get(o, "waits"));
		it->is_given_up = json_is_true(json_object_get(o, "given_up"));
		it->what = get_u32(o, "what") % 3;
		it->severity = r->severity;
		it->queued_wall_ns = r->ts_ns;
		load_age(ch, o, it);
	}
	json_decref(o);
	return 0;
}

/* An incident of the last run that nobody was told of: it died between the two. */
static int miss_one(void *arg, const struct lnx_store_record *r)
{
	struct lnx_channel *ch = arg;
	json_t *o;
	struct item *it;

	if (strlen(r->id) != LNX_ULID_MAX - 1 || item_find(ch, r->id))
		return 0;
	o = json_loadb(r->doc, r->doc_bytes, 0, NULL);
	it = json_is_object(o) && !json_is_true(json_object_get(o, "silenced"))
		     ? item_new(ch, r->id)
		     : NULL;
	json_decref(o);
	if (it)
		it->severity = r->severity; /* queued below: the store is busy with us */
	return 0;
}

static int end_one(void *arg, const struct lnx_store_record *r)
{
	*(uint32_t *)arg = r->state;
	return 1;
}

/* Those found just now, and those that closed while their end was not kept as something to tell. */
static void queue_missed(struct lnx_channel *ch)
{
	struct notify *n = ch->n;
	struct item *next;

	for (struct item *it = ch->first; it; it = next) {
		struct lnx_store_query q = {
			.size = sizeof(q), .kind = LNX_STORE_INCIDENT, .id = it->id, .limit = 1
		};
		uint32_t is_closed = 0;

		next = it->next;
		if (!it->rev)
			item_queue(ch, it, LNX_NOTICE_OPEN);
		else if (it->waits || n->store->each(n->store_self, &q, end_one, &is_closed) <= 0 ||
			 !is_closed)
			continue;
		else if (it->is_given_up)
			item_give_up(ch, it, LNX_NOTICE_CLOSE);
		else
			item_queue(ch, it, LNX_NOTICE_CLOSE);
	}
}

int keep_load(struct lnx_channel *ch)
{
	struct lnx_store_query q = { .size = sizeof(q),
				     .kind = LNX_STORE_DELIVERY,
				     .parent = ch->name,
				     .limit = NOTIFY_ITEMS,
				     .is_ascending = 1 };
	struct notify *n = ch->n;
	int rc;

	if (!n->store)
		return 0;
	rc = n->store->each(n->store_self, &q, load_one, ch);
	if (rc < 0)
		return rc == -EAGAIN ? rc : 0; /* health of the store says that it cannot be read */
	q = (struct lnx_store_query){ .size = sizeof(q),
				      .kind = LNX_STORE_INCIDENT,
				      .states = 1,
				      .min_severity = ch->d.min_severity,
				      .limit = NOTIFY_ITEMS,
				      .is_ascending = 1 };
	(void)n->store->each(n->store_self, &q, miss_one, ch); /* it could be read just now */
	queue_missed(ch);
	return 0;
}

struct sweep {
	struct notify *n;
	char ids[16][LNX_STORE_ID_MAX];
	uint32_t n_ids;
};

static int sweep_one(void *arg, const struct lnx_store_record *r)
{
	struct sweep *w = arg;

	for (uint32_t i = 0; i < w->n->n; i++)
		if (!strcmp(w->n->channels[i]->name, r->parent))
			return 0;
	(void)snprintf(w->ids[w->n_ids++], LNX_STORE_ID_MAX, "%s", r->id); /* fits */
	return w->n_ids == 16;
}

void keep_sweep(struct notify *n)
{
	uint64_t now = notify_wall(n), week = 7 * 86400 * NOTIFY_SEC;
	struct lnx_store_query q = { .size = sizeof(q),
				     .kind = LNX_STORE_DELIVERY,
				     .to_ns = now > week ? now - week : 1,
				     .limit = SWEEP_MAX,
				     .is_ascending = 1 };
	struct sweep w = { .n = n };

	if (!n->store)
		return;
	(void)n->store->each(n->store_self, &q, sweep_one, &w); /* the next start looks again */
	for (uint32_t i = 0; i < w.n_ids; i++)
		(void)n->store->del(n->store_self, LNX_STORE_DELIVERY, w.ids[i]); /* likewise */
}
