/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records of actions that an earlier run could not end: nothing of it waits or is in force any more. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.h"

#define OLD_MAX 1000 /* of the newest that have such a state */

struct old {
	struct enforce *s;
	json_t *list; /* documents to be put */
};

static int look(void *arg, const struct lnx_store_record *r)
{
	struct old *old = arg;
	json_t *doc;
	int unused;

	if (enf_find(old->s, r->id, &unused))
		return 0; /* of this run */
	doc = json_loadb(r->doc, r->doc_bytes, 0, NULL);
	if (r->state == LNX_ACTION_PROPOSED || json_is_true(json_object_get(doc, "in_force"))) {
		(void)json_object_set_new(doc, "ts_ns", json_integer((json_int_t)r->ts_ns));
		(void)json_array_append(old->list, doc); /* out of memory: at the next start */
	}
	json_decref(doc);
	return 0;
}

static void put(struct enforce *s, json_t *doc)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_ACTION };
	uint64_t wall = enf_wall(s);
	const char *slash = strrchr(enf_text(doc, "id"), '/');
	int was_in_force = json_is_true(json_object_get(doc, "in_force"));
	struct lnx_buf over = { 0 };
	char *text;

	r.state = was_in_force ? LNX_ACTION_UNDONE : LNX_ACTION_EXPIRED;
	r.ts_ns = (uint64_t)json_integer_value(json_object_get(doc, "ts_ns"));
	r.end_ns = wall;
	(void)json_object_del(doc, "ts_ns"); /* it is there */
	lnx_json_ts(&over, wall);
	(void)json_object_set_new(doc, "state",
				  json_string(enf_states[r.state])); /* all of these: an
									      * older text stays */
	(void)json_object_set_new(doc, "in_force", json_false());
	(void)json_object_set_new(doc, "until", json_null());
	(void)json_object_set_new(doc, "due", json_null());
	(void)json_object_set_new(
		doc, "over", json_loads(over.data ? over.data : "null", JSON_DECODE_ANY, NULL));
	(void)json_object_set_new(
		doc, "text",
		json_string(was_in_force
				    ? "undone: the agent died (by its guardian, or by the journal "
				      "at the next start)"
				    : "the agent was started anew"));
	lnx_buf_done(&over);
	text = json_dumps(doc, JSON_COMPACT);
	if (text && slash) {
		r.id = slash + 1;
		r.parent = enf_text(doc, "incident");
		r.doc = text;
		r.doc_bytes = strlen(text);
		(void)s->store->put(s->store_self, &r); /* the store counts what it refuses */
		(void)s->store->log(
			s->store_self, wall, r.id,
			was_in_force ? "action-undone" : "action-expired",
			"{\"by\":\"\",\"text\":\"the agent was started anew\"}"); /* likewise */
	}
	free(text);
}

int enf_recover(struct enforce *s)
{
	struct lnx_store_query q = { .size = sizeof(q),
				     .kind = LNX_STORE_ACTION,
				     .limit = OLD_MAX };
	struct old old = { .s = s, .list = json_array() };
	json_t *doc;
	size_t i;
	int rc;

	if (!old.list)
		return -ENOMEM;
	q.states = 1u << LNX_ACTION_PROPOSED | 1u << LNX_ACTION_APPLIED | 1u << LNX_ACTION_MEASURED;
	rc = s->store->each(s->store_self, &q, look, &old);
	if (rc >= 0)
		json_array_foreach(old.list, i, doc) put(s, doc);
	json_decref(old.list);
	return rc < 0 ? rc : 0;
}
