/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is not on disk yet: a list in order, found by (kind, id). A newer change of a record takes the older one's place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

void store_list_init(struct store_list *l)
{
	memset(l, 0, sizeof(*l));
	l->end = &l->first;
}

static void push(struct store_list *l, struct store_op *op)
{
	op->next = NULL;
	*l->end = op;
	l->end = &op->next;
	l->n++;
	l->bytes += op->bytes;
}

static struct store_op *pop(struct store_list *l)
{
	struct store_op *op = l->first;

	if (!op)
		return NULL;
	l->first = op->next;
	if (!l->first)
		l->end = &l->first;
	l->n--;
	l->bytes -= op->bytes;
	return op;
}

static uint32_t chain_of(uint32_t kind, const char *id)
{
	uint32_t h = 2166136261u ^ kind;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return (h ^ h >> 16) & (STORE_HASH - 1);
}

static int is_record(const struct store_op *op)
{
	return op->what == STORE_PUT || op->what == STORE_DEL;
}

static void hash_add(struct store *s, struct store_op *op)
{
	uint32_t c = chain_of(op->kind, op->id);

	op->hash_next = s->hash[c];
	s->hash[c] = op;
}

static void hash_del(struct store *s, const struct store_op *op)
{
	struct store_op **p = &s->hash[chain_of(op->kind, op->id)];

	while (*p && *p != op)
		p = &(*p)->hash_next;
	if (*p)
		*p = op->hash_next;
}

static void op_free(struct store *s, struct store_op *op)
{
	if (is_record(op))
		hash_del(s, op);
	store_bucket_free(op->bucket);
	free(op);
}

const struct store_op *store_queue_find(const struct store *s, uint32_t kind, const char *id)
{
	const struct store_op *op = s->hash[chain_of(kind, id)];

	while (op && (op->kind != kind || strcmp(op->id, id) != 0))
		op = op->hash_next;
	return op;
}

static void unlink_op(struct store_list *l, const struct store_op *op)
{
	struct store_op **p = &l->first;

	while (*p != op)
		p = &(*p)->next;
	*p = op->next;
	if (l->end == &op->next)
		l->end = p;
	l->n--;
	l->bytes -= op->bytes;
}

/* Buckets of blame are the first to go: an incident is worth more. */
static int make_room(struct store *s, size_t bytes)
{
	struct store_op *op, *next;

	for (op = s->waiting.first; op && s->waiting.bytes + bytes > s->conf->memory_bytes;
	     op = next) {
		next = op->next;
		if (op->what != STORE_BUCKET)
			continue;
		unlink_op(&s->waiting, op);
		op_free(s, op);
		s->dropped++;
	}
	if (s->waiting.bytes + bytes <= s->conf->memory_bytes)
		return 0;
	s->dropped++;
	return -ENOBUFS;
}

static struct store_op *op_new(uint32_t what, const char *id, const char *parent, const char *doc,
			       size_t doc_bytes)
{
	size_t a = strlen(id) + 1, b = strlen(parent) + 1, bytes = a + b + doc_bytes + 1;
	struct store_op *op = malloc(sizeof(*op) + bytes);

	if (!op)
		return NULL;
	memset(op, 0, sizeof(*op));
	op->what = what;
	op->bytes = sizeof(*op) + bytes;
	op->id = (char *)(op + 1);
	op->parent = op->id + a;
	op->doc = op->parent + b;
	memcpy(op->id, id, a);
	memcpy(op->parent, parent, b);
	memcpy(op->doc, doc, doc_bytes);
	op->doc[doc_bytes] = 0;
	return op;
}

static int is_doc(const char *doc, uint64_t n)
{
	return n >= 2 && n <= LNX_STORE_DOC_MAX && doc[0] == '{' && doc[n - 1] == '}' &&
	       !memchr(doc, 0, n);
}

int store_queue_put(struct store *s, const struct lnx_store_record *r, uint32_t what)
{
	struct store_op *op, *old;

	if (r->size < sizeof(*r) || !r->kind || r->kind >= LNX_STORE_KINDS || !r->id || !*r->id ||
	    strlen(r->id) >= LNX_STORE_ID_MAX ||
	    (r->parent && strlen(r->parent) >= LNX_STORE_ID_MAX) ||
	    (what == STORE_PUT && (!r->doc || !is_doc(r->doc, r->doc_bytes))) ||
	    r->ts_ns > INT64_MAX || r->end_ns > INT64_MAX)
		return -EINVAL;
	op = op_new(what, r->id, r->parent ? r->parent : "", r->doc ? r->doc : "",
		    r->doc ? r->doc_bytes : 0);
	if (!op)
		return -ENOBUFS;
	op->kind = r->kind;
	op->state = r->state;
	op->severity = r->severity;
	op->ts_ns = r->ts_ns;
	op->end_ns = r->end_ns;
	if (make_room(s, op->bytes)) {
		free(op);
		return -ENOBUFS;
	}
	/* an older one that still waits would be written for nothing */
	for (old = s->waiting.first ? s->hash[chain_of(op->kind, op->id)] : NULL; old;
	     old = old->hash_next)
		if (old->kind == op->kind && !strcmp(old->id, op->id) && !old->is_taken)
			break;
	if (old) {
		unlink_op(&s->waiting, old);
		op_free(s, old);
	}
	push(&s->waiting, op);
	hash_add(s, op);
	return 0;
}

int store_queue_log(struct store *s, uint64_t ts_ns, const char *subject, const char *what,
		    const char *doc)
{
	struct store_op *op;
	size_t n = strlen(doc);

	if (!is_doc(doc, n) || !*what || strlen(subject) >= LNX_STORE_ID_MAX ||
	    strlen(what) >= LNX_STORE_ID_MAX || ts_ns > INT64_MAX)
		return -EINVAL;
	op = op_new(STORE_LOG, subject, what, doc, n);
	if (!op)
		return -ENOBUFS;
	op->ts_ns = ts_ns;
	if (make_room(s, op->bytes)) {
		free(op);
		return -ENOBUFS;
	}
	push(&s->waiting, op);
	return 0;
}

int store_queue_bucket(struct store *s, struct store_bucket *b)
{
	struct store_op *op = op_new(STORE_BUCKET, "", "", "", 0);

	if (op)
		op->bytes += sizeof(b->hash) + b->n_cells * sizeof(b->cells[0]) +
			     b->n_whos * (sizeof(b->whos[0]) + 128);
	if (!op || make_room(s, op->bytes)) {
		free(op);
		store_bucket_free(b);
		return -ENOBUFS;
	}
	op->bucket = b;
	push(&s->waiting, op);
	return 0;
}

void store_queue_take(struct store *s, struct store_list *ret_list)
{
	store_list_init(ret_list);
	while (s->waiting.first && ret_list->n < STORE_BATCH_OPS) {
		struct store_op *op = pop(&s->waiting);

		op->is_taken = 1;
		push(ret_list, op);
	}
}

void store_queue_done(struct store *s, struct store_list *list)
{
	struct store_op *op;

	while ((op = pop(list)))
		op_free(s, op);
}

void store_queue_back(struct store *s, struct store_list *list)
{
	struct store_list all;
	struct store_op *op;

	store_list_init(&all);
	while ((op = pop(list))) {
		op->is_taken = 0;
		if (is_record(op) && store_queue_find(s, op->kind, op->id) != op)
			op_free(s, op);
		else
			push(&all, op);
	}
	while ((op = pop(&s->waiting)))
		push(&all, op);
	s->waiting = all;
	if (!all.first)
		s->waiting.end = &s->waiting.first;
}

void store_queue_clear(struct store *s)
{
	store_queue_done(s, &s->waiting);
}
