/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading a recording from memory, whatever its bytes: a damaged block is left out and counted, the next one is looked for
 * by its mark and sums. */
#include "rec.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "rec_types.h"

struct lnx_rec_reader {
	const char *data;
	size_t size, at;
	struct lnx_rec_codec *codec;
	struct lnx_rec_types types;
	struct lnx_rec_report report;
	uint64_t expected_state; /* as the head says */
	uint64_t state_at;	 /* of the last block of state */
	uint64_t gaps;		 /* sequences that no block holds */
	uint64_t loss_before[LNX_REC_WHERE_MAX];
	bool has_base; /* report.last_seq is known */
	bool is_finished;
	/* the open block */
	struct lnx_rec_block block;
	size_t used, next; /* bytes of <raw>, and of the next item */
	uint64_t seq;
	union {
		uint64_t align;
		char bytes[LNX_REC_BLOCK_BYTES];
	} raw;
	union {
		struct lnx_event ev;
		char bytes[LNX_EVENT_MAX];
	} space;
};

/* --- blocks ------------------------------------------------------------------------------------- */

/* The head of a block at <at> whose own sum is right. */
static bool read_block_head(const struct lnx_rec_reader *r, size_t at, struct lnx_rec_block *ret)
{
	if (r->size - at < sizeof(*ret))
		return false;
	memcpy(ret, r->data + at, sizeof(*ret));
	return ret->magic == LNX_REC_BLOCK_MAGIC && ret->raw_bytes <= LNX_REC_BLOCK_BYTES &&
	       ret->stored_bytes <= LNX_REC_BLOCK_BYTES &&
	       ret->head_crc ==
		       lnx_rec_crc(r->codec, ret, offsetof(struct lnx_rec_block, head_crc));
}

/* Go to the next block head from <r->at> on; what is passed over is damaged. Returns false at the end. */
static bool read_seek(struct lnx_rec_reader *r, struct lnx_rec_block *ret)
{
	const uint32_t magic = LNX_REC_BLOCK_MAGIC;
	size_t begin = r->at;
	const char *p;

	while (r->at < r->size) {
		if (read_block_head(r, r->at, ret)) {
			if (r->at != begin) {
				r->report.bad_blocks++;
				r->report.bad_bytes += r->at - begin;
			}
			return true;
		}
		p = r->size - r->at > 1 ? memmem(r->data + r->at + 1, r->size - r->at - 1, &magic,
						 sizeof(magic))
					: NULL;
		r->at = p ? (size_t)(p - r->data) : r->size;
	}
	if (r->at != begin) {
		r->report.bad_blocks++;
		r->report.bad_bytes += r->at - begin;
	}
	return false;
}

/* A block whose head is right and whose content is not. */
static void read_lost(struct lnx_rec_reader *r, const struct lnx_rec_block *b)
{
	r->report.bad_blocks++;
	r->report.bad_bytes += sizeof(*b) + b->stored_bytes;
}

/* The next block with its content in <r->raw>. Returns false at the end. */
static bool read_block(struct lnx_rec_reader *r)
{
	struct lnx_rec_block b;
	const char *stored;

	while (read_seek(r, &b)) {
		stored = r->data + r->at + sizeof(b);
		if (r->size - r->at - sizeof(b) < b.stored_bytes) {
			/* cut in the middle, unless another block begins inside */
			r->at += 4;
			r->report.bad_bytes += 4;
			continue;
		}
		r->at += sizeof(b) + b.stored_bytes;
		if (lnx_rec_crc(r->codec, stored, b.stored_bytes) != b.crc ||
		    lnx_rec_unpack(r->codec, &b, stored, r->raw.bytes) < 0) {
			read_lost(r, &b);
			continue;
		}
		r->block = b;
		r->used = b.raw_bytes;
		r->next = 0;
		return true;
	}
	return false;
}

/* --- words -------------------------------------------------------------------------------------- */

static void read_words(struct lnx_rec_reader *r,
		       void (*each)(struct lnx_rec_reader *r, const char *name, const char *value))
{
	char name[65], value[1025];
	size_t at = 0, n, v;

	while (r->used - at >= 4) {
		n = lnx_rec_get16(r->raw.bytes + at);
		v = lnx_rec_get16(r->raw.bytes + at + 2);
		at += 4;
		if (n >= sizeof(name) || v >= sizeof(value) || r->used - at < n + v)
			return;
		memcpy(name, r->raw.bytes + at, n);
		name[n] = 0;
		memcpy(value, r->raw.bytes + at + n, v);
		value[v] = 0;
		at += n + v;
		each(r, name, value);
	}
}

static uint64_t read_u64(const char *text)
{
	return strtoull(text, NULL, 10);
}

static void read_head_word(struct lnx_rec_reader *r, const char *name, const char *value)
{
	struct lnx_rec_report *p = &r->report;
	const struct {
		const char *name;
		char *text;
		size_t cap;
		uint64_t *number;
	} words[] = {
		{ "node", p->node, sizeof(p->node), NULL },
		{ "cluster", p->cluster, sizeof(p->cluster), NULL },
		{ "boot_id", p->boot_id, sizeof(p->boot_id), NULL },
		{ "version", p->version, sizeof(p->version), NULL },
		{ "schema", NULL, 0, &p->schema },
		{ "wall_offset_ns", NULL, 0, &p->wall_offset_ns },
		{ "start_ns", NULL, 0, &p->start_ns },
		{ "since_seq", NULL, 0, &p->last_seq },
		{ "state", NULL, 0, &r->expected_state },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, name) != 0)
			continue;
		if (words[i].number)
			*words[i].number = read_u64(value);
		else
			(void)snprintf(words[i].text, words[i].cap, "%s", value); /* cut is fine */
	}
}

/* Counters of the agent: what they grew by. What fell out of its memory is told piece by piece. */
static void read_loss_word(struct lnx_rec_reader *r, const char *name, const char *value)
{
	struct lnx_rec_report *p = &r->report;
	uint64_t v = read_u64(value);
	bool is_piece = strcmp(name, LNX_REC_MISSED) == 0;
	unsigned i;

	for (i = 0; i < p->n_loss && strcmp(p->loss[i].where, name) != 0; i++)
		;
	if (i == LNX_REC_WHERE_MAX)
		return;
	if (i == p->n_loss) {
		(void)snprintf(p->loss[i].where, sizeof(p->loss[i].where), "%s", name);
		p->n_loss++;
		r->loss_before[i] = is_piece ? 0 : v;
	}
	p->loss[i].n += is_piece ? v : v - r->loss_before[i];
	r->loss_before[i] = v;
}

/* --- events ------------------------------------------------------------------------------------- */

/* A block of events is open: what lies between it and the one before is missing. */
static void read_gap(struct lnx_rec_reader *r)
{
	const struct lnx_rec_block *b = &r->block;

	r->seq = b->first_seq;
	if (b->kind == LNX_REC_STATE) {
		if (b->first_seq > r->state_at + 1)
			r->report.lost_state += b->first_seq - r->state_at - 1;
		r->state_at = b->last_seq;
		return;
	}
	if (r->has_base && b->first_seq > r->report.last_seq + 1)
		r->gaps += b->first_seq - r->report.last_seq - 1;
	r->has_base = true;
	r->report.last_seq = b->last_seq > b->first_seq ? b->last_seq : b->first_seq;
}

/* The next block of events, or false. */
static bool read_events_block(struct lnx_rec_reader *r)
{
	while (read_block(r)) {
		switch (r->block.kind) {
		case LNX_REC_TYPE:
			/* what makes no sense in a block whose sum is right stays unknown */
			(void)lnx_rec_types_read(&r->types, r->raw.bytes, r->used);
			break;
		case LNX_REC_STATE:
		case LNX_REC_EVENTS:
			read_gap(r);
			return true;
		case LNX_REC_LOSS:
			read_words(r, read_loss_word);
			break;
		case LNX_REC_END:
			if (r->has_base && r->block.last_seq > r->report.last_seq)
				r->gaps += r->block.last_seq - r->report.last_seq;
			r->report.has_end = true;
			break;
		case LNX_REC_HEAD:
			break; /* a second recording behind the first: its events go on */
		default:
			r->report.unknown_blocks++;
		}
	}
	return false;
}

/* The item at <r->next>, made ours. Returns whether there is an event to give out. */
static bool read_item(struct lnx_rec_reader *r, struct lnx_rec_event *ret)
{
	struct lnx_rec_item item;
	const struct lnx_rec_type *type;
	struct lnx_event *ev;
	size_t bytes;

	memcpy(&item, r->raw.bytes + r->next, sizeof(item));
	if (item.bytes % 8 || item.bytes < sizeof(item) + sizeof(*ev) ||
	    item.bytes > r->used - r->next) {
		r->report.invalid++;
		r->next = r->used;
		return false;
	}
	ev = (struct lnx_event *)(void *)(r->raw.bytes + r->next + sizeof(item)); /* 8-aligned */
	bytes = item.bytes - sizeof(item);
	r->next += item.bytes;
	r->seq += item.step;
	type = lnx_rec_types_find(&r->types, ev->type);
	if (!type || type->plan == LNX_REC_UNKNOWN) {
		if (!r->report.unknown_events++)
			(void)snprintf(r->report.unknown_type, sizeof(r->report.unknown_type), "%s",
				       type ? type->name : "");
		return false;
	}
	if (type->plan == LNX_REC_CONVERT) {
		if (lnx_rec_convert(type, ev, bytes, &r->space.ev) < 0) {
			r->report.invalid++;
			return false;
		}
		ev = &r->space.ev;
		bytes = ev->size;
		r->report.converted++;
	} else {
		ev->type = type->ours;
	}
	if (lnx_event_check(r->types.registry, ev, bytes) < 0) {
		r->report.invalid++;
		return false;
	}
	ret->ev = ev;
	ret->is_state = r->block.kind == LNX_REC_STATE;
	ret->meta = (struct lnx_event_meta){ .seq = ret->is_state ? 0 : r->seq, .hops = item.hops };
	if (!ret->is_state && item.back && item.back < r->seq)
		ret->meta.cause_seq = r->seq - item.back;
	return true;
}

static void read_count(struct lnx_rec_report *p, const struct lnx_rec_event *e)
{
	if (e->is_state) {
		p->state++;
		return;
	}
	if (!p->events++)
		p->first_ns = e->ev->ts_ns;
	if (e->ev->ts_ns > p->last_ns)
		p->last_ns = e->ev->ts_ns;
}

/* All has been read: what is missing is known as well as it can be. */
static void read_finish(struct lnx_rec_reader *r)
{
	struct lnx_rec_report *p = &r->report;
	uint64_t told = 0, seen = r->state_at;
	unsigned i;

	if (r->is_finished)
		return;
	r->is_finished = true;
	for (i = 0; i < p->n_loss; i++)
		if (strcmp(p->loss[i].where, LNX_REC_MISSED) == 0)
			told = p->loss[i].n;
	p->lost_events = r->gaps > told ? r->gaps - told : 0;
	if (r->expected_state > seen)
		p->lost_state += r->expected_state - seen;
}

int lnx_rec_next(struct lnx_rec_reader *r, struct lnx_rec_event *ret_event)
{
	for (;;) {
		while (r->next < r->used) {
			if (r->used - r->next < sizeof(struct lnx_rec_item)) {
				r->report.invalid++;
				r->next = r->used;
			} else if (read_item(r, ret_event)) {
				read_count(&r->report, ret_event);
				return 1;
			}
		}
		if (!read_events_block(r)) {
			r->used = r->next = 0;
			read_finish(r);
			return 0;
		}
	}
}

const struct lnx_rec_report *lnx_rec_report(const struct lnx_rec_reader *r)
{
	return &r->report;
}

/* --- open --------------------------------------------------------------------------------------- */

static int read_file_head(const char *data, size_t n, struct lnx_err *err)
{
	uint32_t version, order;

	if (n < LNX_REC_HEAD_BYTES || memcmp(data, LNX_REC_MAGIC, 8) != 0)
		return lnx_err_set(err, -EINVAL, "not a recording: it does not begin as one");
	memcpy(&version, data + 8, sizeof(version));
	memcpy(&order, data + 12, sizeof(order));
	if (order == __builtin_bswap32(LNX_REC_ORDER))
		return lnx_err_set(err, -EINVAL, "made on a machine of the other byte order");
	if (order != LNX_REC_ORDER)
		return lnx_err_set(err, -EINVAL, "its beginning is damaged");
	if (version != LNX_REC_VERSION)
		return lnx_err_set(err, -EINVAL,
				   "a recording of version %u; this program reads version %u",
				   version, LNX_REC_VERSION);
	return 0;
}

/* Everything up to the first types: without them nothing can be read. */
static int read_beginning(struct lnx_rec_reader *r, struct lnx_err *err)
{
	int rc;

	while (read_block(r)) {
		if (r->block.kind == LNX_REC_HEAD) {
			read_words(r, read_head_word);
			r->has_base = true;
		} else if (r->block.kind == LNX_REC_TYPE) {
			rc = lnx_rec_types_read(&r->types, r->raw.bytes, r->used);
			r->used = 0;
			if (rc == -ENOMEM || r->types.n)
				return rc == -ENOMEM ? rc : 0;
		}
	}
	return lnx_err_set(
		err, -EINVAL,
		"the description of its events is damaged or missing: nothing can be read");
}

/* <adopt>: the registry, when it is to be added to, or NULL. */
static int read_open(const void *data, size_t n, const struct lnx_registry *registry,
		     struct lnx_registry *adopt, struct lnx_rec_reader **ret_reader,
		     struct lnx_err *err)
{
	struct lnx_rec_reader *r;
	int rc = read_file_head(data, n, err);

	if (rc < 0)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->data = data;
	r->size = n;
	r->at = LNX_REC_HEAD_BYTES;
	r->types.registry = registry;
	r->types.adopt = adopt;
	r->codec = lnx_rec_codec_new();
	rc = r->codec ? read_beginning(r, err) : -ENOMEM;
	if (rc < 0) {
		lnx_rec_close(r);
		return rc;
	}
	r->types.adopt = NULL; /* rules are loaded now: what comes later stays unknown */
	*ret_reader = r;
	return 0;
}

int lnx_rec_open(const void *data, size_t n, const struct lnx_registry *registry,
		 struct lnx_rec_reader **ret_reader, struct lnx_err *err)
{
	return read_open(data, n, registry, NULL, ret_reader, err);
}

int lnx_rec_open_adopting(const void *data, size_t n, struct lnx_registry *registry,
			  struct lnx_rec_reader **ret_reader, struct lnx_err *err)
{
	return read_open(data, n, registry, registry, ret_reader, err);
}

void lnx_rec_close(struct lnx_rec_reader *r)
{
	if (!r)
		return;
	lnx_rec_types_done(&r->types);
	lnx_rec_codec_free(r->codec);
	free(r);
}

void lnx_rec_complain(const struct lnx_rec_report *p, struct lnx_buf *out)
{
	unsigned i;

	if (p->bad_blocks)
		lnx_buf_printf(out,
			       "%" PRIu64 " damaged places with %" PRIu64 " bytes were left out\n",
			       p->bad_blocks, p->bad_bytes);
	if (p->lost_state)
		lnx_buf_printf(
			out,
			"%" PRIu64
			" entries of the state at the beginning are lost: trees may be cut\n",
			p->lost_state);
	if (p->lost_events)
		lnx_buf_printf(out, "%" PRIu64 " events are lost in the file\n", p->lost_events);
	if (!p->has_end)
		lnx_buf_str(out, "it has no end: it was cut, how much is missing is not known\n");
	for (i = 0; i < p->n_loss; i++)
		if (p->loss[i].n)
			lnx_buf_printf(out, "%" PRIu64 " events were lost while it was made (%s)\n",
				       p->loss[i].n, p->loss[i].where);
	if (p->unknown_events)
		lnx_buf_printf(out,
			       "%" PRIu64
			       " events are of types that this program does not know, first %s\n",
			       p->unknown_events,
			       p->unknown_type[0] ? p->unknown_type : "one without a name");
	if (p->unknown_blocks)
		lnx_buf_printf(out,
			       "%" PRIu64 " blocks are of kinds that this program does not know\n",
			       p->unknown_blocks);
	if (p->converted)
		lnx_buf_printf(out, "%" PRIu64 " events were converted from another layout\n",
			       p->converted);
	if (p->invalid)
		lnx_buf_printf(out, "%" PRIu64 " events made no sense and were left out\n",
			       p->invalid);
}

int lnx_rec_tally(const void *data, size_t n, struct lnx_rec_tally *io_tally)
{
	struct lnx_rec_reader *r = calloc(1, sizeof(*r));
	bool is_marked = false;
	int rc = 0;

	if (!r)
		return -ENOMEM;
	r->data = data;
	r->size = n;
	r->codec = lnx_rec_codec_new();
	if (!r->codec)
		rc = -ENOMEM;
	if (n >= LNX_REC_HEAD_BYTES && memcmp(data, LNX_REC_MAGIC, 8) == 0)
		r->at = LNX_REC_HEAD_BYTES;
	while (rc == 0 && r->at < n) {
		struct lnx_rec_block b;

		if (!read_block_head(r, r->at, &b) || n - r->at - sizeof(b) < b.stored_bytes) {
			rc = -EINVAL;
			break;
		}
		io_tally->events += b.kind == LNX_REC_EVENTS ? b.n : 0;
		io_tally->state += b.kind == LNX_REC_STATE ? b.n : 0;
		if (b.kind == LNX_REC_LOSS) {
			io_tally->next_seq = b.first_seq;
			io_tally->newest_seq = b.last_seq;
		}
		is_marked = b.kind == LNX_REC_LOSS;
		r->at += sizeof(b) + b.stored_bytes;
	}
	lnx_rec_close(r);
	return rc == 0 && !is_marked ? -EINVAL : rc;
}
