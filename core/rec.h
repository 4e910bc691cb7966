/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Recordings (.lxr): what crossed the bus, in blocks that stand alone, with the field tables that explain them. The format
 * is described in core/RECORDING.md. One thread at a time. */
#ifndef LNX_REC_H
#define LNX_REC_H

#include "event.h"
#include "log.h"
#include <linnix/buf.h>
#include <linnix/host.h>
#include <stdbool.h>

#define LNX_REC_MAGIC	    "\x89LXR\r\n\x1a\n"
#define LNX_REC_VERSION	    1
#define LNX_REC_ORDER	    0x01020304u /* as the machine that recorded writes it */
#define LNX_REC_HEAD_BYTES  16		/* magic, version, order */
#define LNX_REC_BLOCK_BYTES 65536	/* of a block's content, before compression */
#define LNX_REC_TYPES	    256		/* of one recording */
#define LNX_REC_FILE_MAX    (1u << 30)	/* bytes of a recording that is read */

/* enum lnx_rec_kind: of a block */
#define LNX_REC_HEAD   1 /* words: who recorded, where, when */
#define LNX_REC_TYPE   2 /* event types and their fields */
#define LNX_REC_STATE  3 /* events that make the state of the beginning: no rule sees them */
#define LNX_REC_EVENTS 4
#define LNX_REC_LOSS \
	5 /* words: counters of what was lost, by place; from first_seq on there is more, up to last_seq */
#define LNX_REC_END 6 /* words: how much there is; a recording without one was cut */

/* Before each block. Both sums are CRC32C: of this head up to <head_crc>, and of the stored bytes. */
struct lnx_rec_block {
	uint32_t magic; /* LNX_REC_BLOCK_MAGIC */
	uint16_t kind;	/* enum lnx_rec_kind */
	uint16_t flags; /* LNX_REC_ZSTD */
	uint32_t raw_bytes, stored_bytes;
	uint64_t first_seq, last_seq; /* of its events; of a state block: the place of its events */
	uint32_t n;		      /* events or words */
	uint32_t pad;
	uint32_t crc, head_crc;
};

#define LNX_REC_BLOCK_MAGIC 0x3142584cu /* "LXB1" */
#define LNX_REC_ZSTD	    1

/* Before each event of a block; the event follows, padded to 8 bytes. */
struct lnx_rec_item {
	uint32_t bytes; /* with this head and the padding */
	uint32_t hops;	/* length of the chain of causes */
	uint32_t step;	/* from the sequence of the event before in the block */
	uint32_t back;	/* to the sequence of the cause; 0: none */
};

/* ---- sums and compression (rec_block.c) */

struct lnx_rec_codec;

/* NULL: -ENOMEM. */
struct lnx_rec_codec *lnx_rec_codec_new(void);
void lnx_rec_codec_free(struct lnx_rec_codec *c);
uint32_t lnx_rec_crc(const struct lnx_rec_codec *c, const void *bytes, size_t n);
/* Append a block of <raw> to <out>; its counts and sequences are taken from <b>, the rest of <b> is filled in. */
void lnx_rec_pack(struct lnx_rec_codec *c, struct lnx_buf *out, struct lnx_rec_block *b,
		  const void *raw, size_t n);
/* Content of a block whose sums are right, into <ret_raw> (LNX_REC_BLOCK_BYTES). 0 or -EINVAL. */
int lnx_rec_unpack(struct lnx_rec_codec *c, const struct lnx_rec_block *b, const void *stored,
		   void *ret_raw);

/* ---- writing (rec_write.c): into a buffer; the caller takes what is in it when it likes, whole blocks always */

struct lnx_rec_writer;

struct lnx_rec_about {
	const struct lnx_ident *ident;
	uint64_t wall_offset_ns; /* Unix time minus CLOCK_BOOTTIME */
	uint64_t start_ns;	 /* CLOCK_BOOTTIME of the beginning */
	uint64_t since_seq;	 /* its events come after this one */
	uint64_t n_state;	 /* events of state that follow */
};

/* <registry> and <out> are borrowed. NULL: -ENOMEM. */
struct lnx_rec_writer *lnx_rec_writer_new(const struct lnx_registry *registry, struct lnx_buf *out);
void lnx_rec_writer_free(struct lnx_rec_writer *w);
/* The beginning of a file: magic, identity, all types that are registered. */
void lnx_rec_write_head(struct lnx_rec_writer *w, const struct lnx_rec_about *about);
void lnx_rec_write_state(struct lnx_rec_writer *w, const struct lnx_event *ev);
void lnx_rec_write_event(struct lnx_rec_writer *w, const struct lnx_event *ev,
			 const struct lnx_event_meta *meta);
/* A word of the open block of losses: the agent's counter of events lost at <where>; for LNX_REC_MISSED how many fell out of
 * the ring since the block of losses before. */
void lnx_rec_write_loss(struct lnx_rec_writer *w, const char *where, uint64_t n);
#define LNX_REC_MISSED "missed"
/* A piece that goes on after <seq>, with <newest_seq> on the bus. */
void lnx_rec_write_from(struct lnx_rec_writer *w, uint64_t seq, uint64_t newest_seq);
/* Close the open block. Returns 0 or -ENOMEM. */
int lnx_rec_flush(struct lnx_rec_writer *w);
/* The last block, for <events> in all up to <last_seq>. */
void lnx_rec_write_end(struct lnx_rec_writer *w, uint64_t events, uint64_t last_seq);

/* ---- on the agent */

struct lnx_app;
struct lnx_rec_state;

/* rec_state.c: what is known of processes and workloads, as events that had made it by <at_ns>. */
int lnx_rec_state_new(const struct lnx_app *app, uint64_t at_ns, struct lnx_rec_state **ret_state);
uint64_t lnx_rec_state_count(const struct lnx_rec_state *s);
void lnx_rec_state_write(const struct lnx_rec_state *s, struct lnx_rec_writer *w);
void lnx_rec_state_free(struct lnx_rec_state *s);
/* rec_agent.c: as core/1. */
struct lnx_recording;
int lnx_app_recording(void *app, struct lnx_recording *io, struct lnx_buf *out);

/* ---- reading (rec_read.c): from memory, any bytes */

struct lnx_rec_reader;

struct lnx_rec_event {
	bool is_state;
	const struct lnx_event *ev; /* checked; borrowed until the next call */
	struct lnx_event_meta meta;
};

#define LNX_REC_WHERE_MAX 16

/* What a recording is, and what it lacks. */
struct lnx_rec_report {
	char node[256], cluster[256], boot_id[64], version[64];
	uint64_t schema, wall_offset_ns, start_ns;
	uint64_t events, state;	    /* given out so far */
	uint64_t first_ns, last_ns; /* of the events given out */
	uint64_t last_seq;
	uint64_t bad_blocks, bad_bytes; /* damaged, left out */
	uint64_t lost_events;		/* in damaged blocks, or missing between blocks */
	uint64_t lost_state;
	uint64_t unknown_events; /* of types that this program does not know */
	uint64_t unknown_blocks; /* of kinds that it does not know */
	uint64_t converted;	 /* events whose layout differs from this program's */
	uint64_t invalid;	 /* events that make no sense */
	char unknown_type[64];	 /* the first of them */
	bool has_end;		 /* false: it was cut */
	struct {
		char where[24];
		uint64_t n;
	} loss[LNX_REC_WHERE_MAX]; /* as the recorder told */
	unsigned n_loss;
};

/* <data> is borrowed. Returns 0, -ENOMEM, or -EINVAL with the reason: not a recording, of another version or byte order,
 * or the description of its events is damaged. */
int lnx_rec_open(const void *data, size_t n, const struct lnx_registry *registry,
		 struct lnx_rec_reader **ret_reader, struct lnx_err *err);
/* The same; types that <registry> does not know are added to it as they are described, but for those that come late in the file.
 * What is known of them ends with lnx_rec_close. */
int lnx_rec_open_adopting(const void *data, size_t n, struct lnx_registry *registry,
			  struct lnx_rec_reader **ret_reader, struct lnx_err *err);
void lnx_rec_close(struct lnx_rec_reader *r);
/* Returns 1, or 0 at the end. */
int lnx_rec_next(struct lnx_rec_reader *r, struct lnx_rec_event *ret_event);
const struct lnx_rec_report *lnx_rec_report(const struct lnx_rec_reader *r);
struct lnx_rec_tally {
	uint64_t events, state;
	uint64_t next_seq, newest_seq; /* where writing goes on, and how far there is more */
};
/* Add up the blocks of a piece that the agent gave, a whole file or the next blocks of one. 0 or -EINVAL: not that. */
int lnx_rec_tally(const void *data, size_t n, struct lnx_rec_tally *io_tally);
/* What is missing, in sentences for people, one a line; nothing when all is there. After the end only. */
void lnx_rec_complain(const struct lnx_rec_report *report, struct lnx_buf *out);

#endif
