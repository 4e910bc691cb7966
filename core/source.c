/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From the shared ring buffer to the bus.
 *
 * Programs wake us with the first event after a silence, or when a batch is queued (bpf/lnx_emit.h).
 * Then a timer looks, and as long as it does the programs are told not to wake us. After a look
 * without an event they are told otherwise, one more look is taken, and the timer stops. A timer of a
 * second looks for what a program that was held up for long between its look at `wake` and its submit
 * may have left.
 *
 * Each look disturbs whoever runs, on another CPU too, so they are rare unless somebody reads along. */
#include "source.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include <linnix/event.h>
#include <linnix/rec_stats.h>

#include "bus.h"
#include "ringbuf.h"

#define TURN_EVENTS 512	  /* in one turn of the loop: a storm must not starve the others */
#define PROMPT_S    0.008 /* at least LNX_WAKE_NS of bpf/lnx_emit.h; each look costs some 20 us */
#define CALM_S	    0.064
#define DRAIN_EMPTY 2 /* looks without an event, the last one unwatched, before the timer stops */
#define WATCH_LOOKS 4 /* one look lets programs rely on the next for as long as these take */
#define TICK_S	    1.0
#define DRAIN_MAX   1000000 /* events that lnx_source_drain takes while programs go on sending */

struct lnx_source {
	struct lnx_bus *bus;
	struct lnx_ringbuf *rb;
	struct lnx_rec_wake *wake; /* shared with programs; NULL: they wake us as they see fit */
	struct ev_loop *loop;	   /* NULL: stopped */
	ev_io io;
	ev_timer drain, tick;
	unsigned empty; /* looks in a row */
	int is_active, is_prompt;
	void (*tick_fn)(void *arg);
	void *tick_arg;
};

static void source_each(void *arg, const void *record, size_t bytes)
{
	struct lnx_source *s = arg;

	/* The bus counts what it refuses. */
	if (bytes < sizeof(struct lnx_event))
		lnx_bus_add_dropped(s->bus, LNX_DROP_INVALID, 1);
	else
		(void)lnx_bus_deliver(s->bus, record, bytes);
}

static unsigned source_read(struct lnx_source *s, unsigned max)
{
	uint64_t skipped = lnx_ringbuf_skipped(s->rb);
	unsigned n = lnx_ringbuf_read(s->rb, max, source_each, s);

	skipped = lnx_ringbuf_skipped(s->rb) - skipped;
	if (skipped)
		lnx_bus_add_dropped(s->bus, LNX_DROP_INVALID, skipped);
	return n;
}

static double source_look_s(const struct lnx_source *s)
{
	return s->is_prompt ? PROMPT_S : CALM_S;
}

/* Let programs rely on the timer, or not. */
static void source_watch(struct lnx_source *s, int is_watching)
{
	struct timespec ts = { 0 };
	uint64_t until = 0;

	if (!s->wake)
		return;
	if (is_watching) {
		(void)clock_gettime(CLOCK_BOOTTIME, &ts); /* the programs' clock; cannot fail */
		until = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec +
			(uint64_t)(WATCH_LOOKS * 1e9 * source_look_s(s));
	}
	__atomic_store_n(&s->wake->watched_ns, until, __ATOMIC_SEQ_CST);
}

static void source_on_io(struct ev_loop *loop, ev_io *w, int revents)
{
	struct lnx_source *s = w->data;

	(void)revents;
	if (!source_read(s, TURN_EVENTS))
		return;
	s->empty = 0;
	if (ev_is_active(&s->drain))
		return;
	ev_timer_again(loop, &s->drain);
	source_watch(s, 1);
}

static void source_on_drain(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_source *s = w->data;

	unsigned n = source_read(s, TURN_EVENTS);

	(void)revents;
	s->empty = n ? 0 : s->empty + 1;
	if (n == TURN_EVENTS) { /* the rest in the next turn: the others first */
		ev_timer_stop(loop, w);
		ev_timer_set(w, 0, source_look_s(s));
		ev_timer_start(loop, w);
	}
	if (s->empty >= DRAIN_EMPTY)
		ev_timer_stop(loop, w);
	source_watch(s, s->empty < DRAIN_EMPTY - 1);
}

static void source_on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_source *s = w->data;

	(void)loop;
	(void)revents;
	(void)source_read(s, TURN_EVENTS);
	if (s->tick_fn)
		s->tick_fn(s->tick_arg);
}

int lnx_source_new(int map_fd, size_t bytes, int wake_fd, struct lnx_bus *bus,
		   void (*tick)(void *arg), void *arg, struct lnx_source **ret_source)
{
	struct lnx_source *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	rc = lnx_ringbuf_open(map_fd, bytes, &s->rb);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->wake = mmap(NULL, (size_t)getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, wake_fd, 0);
	if (s->wake == MAP_FAILED)
		s->wake = NULL; /* more wakes, nothing lost */
	s->bus = bus;
	s->tick_fn = tick;
	s->tick_arg = arg;
	ev_io_init(&s->io, source_on_io, map_fd, EV_READ);
	ev_timer_init(&s->drain, source_on_drain, 0, source_look_s(s));
	ev_timer_init(&s->tick, source_on_tick, 0, TICK_S);
	s->io.data = s->drain.data = s->tick.data = s;
	*ret_source = s;
	return 0;
}

void lnx_source_free(struct lnx_source *s)
{
	if (!s)
		return;
	lnx_source_stop(s);
	if (s->wake)
		(void)munmap(s->wake, (size_t)getpagesize());
	lnx_ringbuf_close(s->rb);
	free(s);
}

void lnx_source_start(struct lnx_source *s, struct ev_loop *loop)
{
	if (s->loop)
		return;
	s->loop = loop;
	ev_io_start(loop, &s->io);
	if (s->is_active)
		ev_timer_again(loop, &s->tick);
}

void lnx_source_stop(struct lnx_source *s)
{
	if (!s->loop)
		return;
	source_watch(s, 0);
	ev_io_stop(s->loop, &s->io);
	ev_timer_stop(s->loop, &s->drain);
	ev_timer_stop(s->loop, &s->tick);
	s->loop = NULL;
}

void lnx_source_set_active(struct lnx_source *s, int is_active)
{
	if (s->is_active == is_active)
		return;
	s->is_active = is_active;
	if (!s->loop)
		return;
	if (is_active) {
		ev_timer_again(s->loop, &s->tick);
		return;
	}
	ev_timer_stop(s->loop, &s->tick);
	/* What was sent before the detach, and unannounced, is fetched by the fast timer. */
	s->empty = 0;
	ev_timer_again(s->loop, &s->drain);
}

void lnx_source_set_prompt(struct lnx_source *s, int is_prompt)
{
	if (s->is_prompt == is_prompt)
		return;
	s->is_prompt = is_prompt;
	s->drain.repeat = source_look_s(s);
	if (s->loop && ev_is_active(&s->drain))
		ev_timer_again(s->loop, &s->drain);
}

int lnx_source_drain(struct lnx_source *s)
{
	unsigned n, sum = 0;

	for (n = TURN_EVENTS; n == TURN_EVENTS && sum < DRAIN_MAX; sum += n)
		n = source_read(s, TURN_EVENTS);
	return (int)sum;
}
