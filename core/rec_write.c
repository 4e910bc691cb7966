/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Writing a recording: events are collected into a block of 64 KiB, then packed. A type that is registered later is
 * described before its first event. */
#include "rec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rec_types.h"

struct lnx_rec_writer {
	const struct lnx_registry *registry;
	struct lnx_buf *out;
	struct lnx_rec_codec *codec;
	struct lnx_rec_block block; /* the open one; kind 0: none */
	size_t used;
	uint64_t state_at; /* events of state so far */
	uint64_t seq;	   /* of the last event, or of the beginning */
	uint64_t newest;   /* on the bus */
	unsigned n_types;  /* described so far */
	char raw[LNX_REC_BLOCK_BYTES];
};

struct lnx_rec_writer *lnx_rec_writer_new(const struct lnx_registry *registry, struct lnx_buf *out)
{
	struct lnx_rec_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->registry = registry;
	w->out = out;
	w->codec = lnx_rec_codec_new();
	if (!w->codec) {
		free(w);
		return NULL;
	}
	return w;
}

void lnx_rec_writer_free(struct lnx_rec_writer *w)
{
	if (!w)
		return;
	lnx_rec_codec_free(w->codec);
	free(w);
}

int lnx_rec_flush(struct lnx_rec_writer *w)
{
	if (w->block.kind && w->block.n)
		lnx_rec_pack(w->codec, w->out, &w->block, w->raw, w->used);
	memset(&w->block, 0, sizeof(w->block));
	w->used = 0;
	return lnx_buf_error(w->out);
}

/* A block of <kind> with room for <need> bytes is open. */
static void rec_open(struct lnx_rec_writer *w, unsigned kind, size_t need)
{
	if (w->block.kind == kind && w->used + need <= sizeof(w->raw))
		return;
	(void)lnx_rec_flush(w); /* the caller asks the buffer at the end */
	w->block.kind = (uint16_t)kind;
}

/* "name value": two lengths and the texts. */
static void rec_word(struct lnx_rec_writer *w, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);

	if (n > 64)
		n = 64;
	if (v > 1024)
		v = 1024;
	if (w->used + 4 + n + v > sizeof(w->raw))
		return; /* a block of words is far smaller */
	lnx_rec_put16(w->raw + w->used, (uint16_t)n);
	lnx_rec_put16(w->raw + w->used + 2, (uint16_t)v);
	memcpy(w->raw + w->used + 4, name, n);
	memcpy(w->raw + w->used + 4 + n, value, v);
	w->used += 4 + n + v;
	w->block.n++;
}

static void rec_word_u64(struct lnx_rec_writer *w, const char *name, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v); /* fits */
	rec_word(w, name, text);
}

/* Describe the types that are registered by now. */
static void rec_types(struct lnx_rec_writer *w)
{
	struct lnx_buf one = { .max = LNX_REC_BLOCK_BYTES };
	unsigned n = lnx_registry_count(w->registry);

	if (w->n_types == n)
		return;
	(void)lnx_rec_flush(w); /* the caller asks the buffer at the end */
	for (; w->n_types < n; w->n_types++) {
		lnx_buf_reset(&one);
		lnx_rec_types_put(&one, lnx_registry_at(w->registry, w->n_types));
		if (lnx_buf_error(&one) || one.size > sizeof(w->raw))
			continue; /* its events are then of an unknown type, and counted as such */
		rec_open(w, LNX_REC_TYPE, one.size);
		memcpy(w->raw + w->used, one.data, one.size);
		w->used += one.size;
		w->block.n++;
	}
	lnx_buf_done(&one);
	(void)lnx_rec_flush(w); /* likewise */
}

void lnx_rec_write_head(struct lnx_rec_writer *w, const struct lnx_rec_about *about)
{
	const uint32_t version = LNX_REC_VERSION, order = LNX_REC_ORDER;

	lnx_buf_add(w->out, LNX_REC_MAGIC, 8);
	lnx_buf_add(w->out, &version, sizeof(version));
	lnx_buf_add(w->out, &order, sizeof(order));
	w->seq = about->since_seq;
	rec_open(w, LNX_REC_HEAD, 0);
	w->block.first_seq = w->block.last_seq = about->since_seq;
	rec_word(w, "node", about->ident->node);
	rec_word(w, "cluster", about->ident->cluster);
	rec_word(w, "boot_id", about->ident->boot_id);
	rec_word(w, "version", about->ident->version);
	rec_word_u64(w, "schema", about->ident->schema);
	rec_word_u64(w, "wall_offset_ns", about->wall_offset_ns);
	rec_word_u64(w, "start_ns", about->start_ns);
	rec_word_u64(w, "since_seq", about->since_seq);
	rec_word_u64(w, "state", about->n_state);
	(void)lnx_rec_flush(w); /* the caller asks the buffer at the end */
	rec_types(w);
}

static void rec_item(struct lnx_rec_writer *w, unsigned kind, const struct lnx_event *ev,
		     const struct lnx_event_meta *meta)
{
	size_t need = (sizeof(struct lnx_rec_item) + ev->size + 7) & ~(size_t)7;
	struct lnx_rec_item *item;
	uint64_t back = meta->cause_seq ? meta->seq - meta->cause_seq : 0;

	rec_types(w);
	rec_open(w, kind, need);
	if (!w->block.n)
		w->block.first_seq = w->block.last_seq = meta->seq;
	item = (struct lnx_rec_item *)(void *)(w->raw + w->used); /* 8-aligned: all of them are */
	item->bytes = (uint32_t)need;
	item->hops = meta->hops;
	item->step = (uint32_t)(meta->seq - w->block.last_seq);
	item->back = back > UINT32_MAX ? 0 : (uint32_t)back;
	memset(w->raw + w->used + need - 8, 0, 8);
	memcpy(item + 1, ev, ev->size);
	w->block.last_seq = meta->seq;
	w->block.n++;
	w->used += need;
}

void lnx_rec_write_state(struct lnx_rec_writer *w, const struct lnx_event *ev)
{
	struct lnx_event_meta meta = { .seq = ++w->state_at };

	rec_item(w, LNX_REC_STATE, ev, &meta);
}

void lnx_rec_write_event(struct lnx_rec_writer *w, const struct lnx_event *ev,
			 const struct lnx_event_meta *meta)
{
	if (w->block.kind == LNX_REC_EVENTS && w->block.n &&
	    (meta->seq <= w->block.last_seq || meta->seq - w->block.last_seq > UINT32_MAX))
		(void)lnx_rec_flush(w); /* a gap too wide for a step begins a block */
	rec_item(w, LNX_REC_EVENTS, ev, meta);
	w->seq = meta->seq;
}

void lnx_rec_write_loss(struct lnx_rec_writer *w, const char *where, uint64_t n)
{
	rec_open(w, LNX_REC_LOSS, 512);
	w->block.first_seq = w->seq;
	w->block.last_seq = w->newest > w->seq ? w->newest : w->seq;
	rec_word_u64(w, where, n);
}

void lnx_rec_write_from(struct lnx_rec_writer *w, uint64_t seq, uint64_t newest_seq)
{
	const struct lnx_event_desc *d;

	w->seq = seq;
	w->newest = newest_seq;
	/* the first piece has described the built-in types; those of plugins may be younger */
	while (w->n_types < lnx_registry_count(w->registry)) {
		d = lnx_registry_at(w->registry, w->n_types);
		if (d->type >= LNX_EV_PLUGIN_0)
			break;
		w->n_types++;
	}
}

void lnx_rec_write_end(struct lnx_rec_writer *w, uint64_t events, uint64_t last_seq)
{
	(void)lnx_rec_flush(w); /* the caller asks the buffer at the end */
	rec_open(w, LNX_REC_END, 512);
	w->block.first_seq = w->block.last_seq = last_seq;
	rec_word_u64(w, "events", events);
	rec_word_u64(w, "last_seq", last_seq);
	(void)lnx_rec_flush(w); /* likewise */
}
