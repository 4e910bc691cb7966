/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records of actions that an earlier run could not end: nothing of it waits any more, and what was in force was undone, or
 * was not, as the journal says. */
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

/* What became of one that was in force, as far as is known. */
struct end {
	uint32_t state;
	json_t *in_force; /* owned; null: not known */
	char text[320];
};

static void find_end(struct enforce *s, const char *id, struct end *ret)
{
	const char *how = json_string_value(json_object_get(s->ended, id));

	ret->state = LNX_ACTION_FAILED;
	if (how) {
		ret->state = LNX_ACTION_UNDONE;
		ret->in_force = json_false();
		(void)snprintf(ret->text, sizeof(ret->text), "%s", how); /* fits */
	} else if (json_object_get(s->left, id)) {
		ret->in_force = json_true();
		(void)snprintf(ret->text, sizeof(ret->text), "NOT undone; it is tried again");
	} else if (s->journal_rc < 0 && s->journal_rc != -ENOENT) {
		ret->in_force = json_true();
		(void)snprintf(ret->text, sizeof(ret->text),
			       "NOT undone: the journal %.150s cannot be used: %.60s",
			       s->conf->journal, strerror(-s->journal_rc)); /* fits */
	} else {
		ret->in_force = json_null();
		(void)snprintf(ret->text, sizeof(ret->text),
			       "it is not known whether it was undone: the journal %.150s has "
			       "nothing of it",
			       s->conf->journal); /* fits */
	}
}

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

/* All of these may fail for want of memory: an older value stays. */
static void set_end(json_t *doc, const struct end *end, uint64_t wall_ns)
{
	struct lnx_buf over = { 0 };

	(void)json_object_set_new(doc, "state", json_string(enf_states[end->state]));
	(void)json_object_set(doc, "in_force", end->in_force);
	(void)json_object_set_new(doc, "until", json_null());
	(void)json_object_set_new(doc, "due", json_null());
	(void)json_object_set_new(doc, "text", json_string(end->text));
	if (json_is_true(end->in_force))
		return;
	lnx_json_ts(&over, wall_ns);
	(void)json_object_set_new(
		doc, "over", json_loads(over.data ? over.data : "null", JSON_DECODE_ANY, NULL));
	lnx_buf_done(&over);
}

static int log_end(struct enforce *s, const char *id, const struct end *end, uint64_t wall_ns)
{
	struct lnx_buf doc = { 0 };
	char what[32];
	int rc;

	(void)snprintf(what, sizeof(what), "action-%s", enf_states[end->state]); /* fits */
	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "by", "");
	lnx_json_kv_str(&doc, "text", end->text);
	lnx_buf_char(&doc, '}');
	rc = lnx_buf_error(&doc);
	if (!rc)
		rc = s->store->log(s->store_self, wall_ns, id, what, doc.data);
	lnx_buf_done(&doc);
	return rc;
}

/* 0, or -errno of the store: nothing has changed, then. */
static int put(struct enforce *s, json_t *doc)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_ACTION };
	const char *slash = strrchr(enf_text(doc, "id"), '/'), *id = slash ? slash + 1 : "";
	struct end end = { .state = LNX_ACTION_EXPIRED, .in_force = json_false() };
	uint64_t wall = enf_wall(s);
	char *text;
	int rc = 0;

	(void)snprintf(end.text, sizeof(end.text), "the agent was started anew");
	if (json_is_true(json_object_get(doc, "in_force")))
		find_end(s, id, &end);
	if (strcmp(enf_text(doc, "state"), enf_states[end.state]) == 0 &&
	    json_is_true(end.in_force))
		return 0; /* it says so already */
	r.state = end.state;
	r.ts_ns = (uint64_t)json_integer_value(json_object_get(doc, "ts_ns"));
	r.end_ns = json_is_true(end.in_force) ? 0 : wall;
	(void)json_object_del(doc, "ts_ns"); /* it is there */
	set_end(doc, &end, wall);
	text = json_dumps(doc, JSON_COMPACT);
	if (text && *id) {
		r.id = id;
		r.parent = enf_text(doc, "incident");
		r.doc = text;
		r.doc_bytes = strlen(text);
		rc = log_end(s, id, &end, wall);
		if (rc == 0)
			rc = s->store->put(s->store_self, &r);
	}
	free(text);
	return rc;
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
	q.states = 1u << LNX_ACTION_PROPOSED | 1u << LNX_ACTION_APPLIED |
		   1u << LNX_ACTION_MEASURED | 1u << LNX_ACTION_FAILED;
	rc = s->store->each(s->store_self, &q, look, &old);
	rc = rc < 0 ? rc : 0;
	json_array_foreach(old.list, i, doc)
	{
		if (rc == 0)
			rc = put(s, doc);
	}
	json_decref(old.list);
	if (rc == 0)
		json_object_clear(s->ended); /* told */
	return rc;
}
