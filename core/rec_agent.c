/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's side of a recording: pieces of what its ring holds. Nothing is kept between two pieces, so that any number of
 * recorders cost nothing while they wait. */
#include <errno.h>
#include <string.h>

#include <linnix/svc_core.h>

#include "app.h"
#include "rec.h"

#define REC_PIECE_BYTES (1u << 20)

struct rec_walk {
	struct lnx_rec_writer *w;
	struct lnx_recording *io;
	uint64_t bytes;
	uint64_t from_ns, before_seq, first_ns; /* of the search for the beginning */
};

static int rec_each(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct rec_walk *walk = arg;

	lnx_rec_write_event(walk->w, ev, meta);
	walk->io->since_seq = meta->seq;
	walk->io->events++;
	walk->bytes += ev->size;
	return walk->bytes >= walk->io->max_bytes;
}

/* The first event that is not older than from_ns. */
static int rec_find(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct rec_walk *walk = arg;

	walk->before_seq = meta->seq;
	if (ev->ts_ns < walk->from_ns)
		return 0;
	walk->before_seq--;
	walk->first_ns = ev->ts_ns;
	return 1;
}

static void rec_losses(struct lnx_app *app, struct lnx_rec_writer *w, uint64_t at_ns)
{
	uint64_t dropped[LNX_DROP_N];
	unsigned i;

	lnx_bus_dropped_at(app->bus, at_ns, dropped);
	for (i = 0; i < LNX_DROP_N; i++)
		lnx_rec_write_loss(w, lnx_drop_names[i], dropped[i]);
}

/* Head, counters and state as of the beginning, which is now, or as long ago as was asked for and is kept. */
static int rec_begin(struct lnx_app *app, struct lnx_rec_writer *w, struct lnx_recording *io)
{
	struct rec_walk walk = { .from_ns = io->since_ns, .before_seq = io->newest_seq };
	struct lnx_rec_about about = { .ident = &app->ident,
				       .wall_offset_ns = app->wall_offset_ns };
	uint64_t now = lnx_bus_now(app->bus), oldest = 0;
	struct lnx_rec_state *state = NULL;
	int rc;

	about.start_ns = now;
	if (io->since_ns) {
		(void)lnx_bus_ring_each(app->bus, 0, rec_find, &walk, &oldest);
		/* all that is kept is younger: the recording begins with the oldest event */
		about.start_ns = io->since_ns;
		if (oldest > 1 && walk.before_seq + 1 == oldest && walk.first_ns > io->since_ns)
			about.start_ns = walk.first_ns;
	}
	io->since_seq = about.since_seq = walk.before_seq;
	rc = lnx_rec_state_new(app, about.start_ns, &state);
	if (rc < 0)
		return rc;
	about.n_state = lnx_rec_state_count(state);
	lnx_rec_write_head(w, &about);
	rec_losses(app, w, io->since_ns ? about.start_ns : UINT64_MAX);
	lnx_rec_state_write(state, w);
	lnx_rec_state_free(state);
	return 0;
}

int lnx_app_recording(void *arg, struct lnx_recording *io, struct lnx_buf *out)
{
	struct lnx_app *app = arg;
	struct lnx_rec_writer *w;
	struct lnx_bus_stats stats;
	struct rec_walk walk = { .io = io };
	uint64_t oldest = 0;
	int rc = 0;

	lnx_bus_stats(app->bus, &stats);
	io->newest_seq = stats.seq;
	io->events = io->missed = 0;
	if (!io->max_bytes)
		io->max_bytes = REC_PIECE_BYTES;
	if (!io->is_begin && io->since_seq > stats.seq)
		return -ERANGE;
	w = lnx_rec_writer_new(app->registry, out);
	if (!w)
		return -ENOMEM;
	walk.w = w;
	if (io->is_begin)
		rc = rec_begin(app, w, io); /* with all types: nothing is left to skip below */
	lnx_rec_write_from(w, io->since_seq, stats.seq);
	if (rc == 0) {
		uint64_t since = io->since_seq;

		(void)lnx_bus_ring_each(app->bus, since, rec_each, &walk, &oldest);
		if (oldest > since + 1)
			io->missed = oldest - since - 1;
		rec_losses(app, w, UINT64_MAX);
		lnx_rec_write_loss(w, LNX_REC_MISSED, io->missed);
		rc = lnx_rec_flush(w);
	}
	lnx_rec_writer_free(w);
	return rc;
}
