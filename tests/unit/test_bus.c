/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bus: order of stages, queues, causes and hops, keeping, losses, and the ring of the past. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>

#include "../../core/bus.h"

struct fixture {
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	char trace[256]; /* letters of the handlers that ran */
	struct lnx_sub_handle *self_sub;
	const struct lnx_event *kept[64];
	unsigned n_kept, hops_seen, wanted_calls, queued_calls;
	int publish_rc;
	uint64_t cause_seq, seq;
};

struct handler {
	struct fixture *f;
	char letter;
};

static void open_bus(struct fixture *f, const struct lnx_bus_conf *extra)
{
	struct lnx_bus_conf conf = { 0 };

	if (extra)
		conf = *extra;
	memset(f, 0, sizeof(*f));
	f->registry = lnx_registry_new();
	assert_non_null(f->registry);
	conf.registry = f->registry;
	f->bus = lnx_bus_new(&conf);
	assert_non_null(f->bus);
}

static void close_bus(struct fixture *f)
{
	lnx_bus_free(f->bus);
	lnx_registry_free(f->registry);
}

static struct lnx_ev_proc_fork fork_event(uint32_t child, uint64_t ts_ns)
{
	struct lnx_ev_proc_fork e;

	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_PROC_FORK;
	e.h.ts_ns = ts_ns;
	e.child_pid = child;
	return e;
}

static int deliver(struct fixture *f, uint32_t child)
{
	struct lnx_ev_proc_fork e = fork_event(child, 1000 + child);

	return lnx_bus_deliver(f->bus, &e.h, sizeof(e));
}

static int note(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;
	size_t n = strlen(h->f->trace);

	(void)ev;
	if (n < sizeof(h->f->trace) - 1)
		h->f->trace[n] = h->letter;
	return 0;
}

static void stages_run_in_order_whatever_the_order_of_subscription(void **state)
{
	struct fixture f;
	struct handler a = { &f, 'a' }, b = { &f, 'b' }, c = { &f, 'c' }, d = { &f, 'd' };

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(lnx_bus_subscribe(f.bus, "d", LNX_EV_PROC_FORK, 40, 0, note, &d, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "b", LNX_EV_ANY, 20, 0, note, &b, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, note, &a, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "c", LNX_EV_PROC_FORK, 20, 0, note, &c, NULL), 0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_string_equal(f.trace, "abcd");
	close_bus(&f);
}

static void full_queue_drops_newest_and_counts(void **state)
{
	struct fixture f;
	struct lnx_bus_stats st;
	struct handler a = { &f, 'a' };
	uint32_t i;

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 40, 3, note, &a, NULL), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(deliver(&f, i), 0);
	assert_string_equal(f.trace, "");
	assert_false(lnx_bus_drain(f.bus, 100));
	assert_string_equal(f.trace, "aaa");
	lnx_bus_stats(f.bus, &st);
	assert_int_equal(st.dropped[LNX_DROP_QUEUE], 2);
	assert_int_equal(st.pool_used_bytes, 0);
	close_bus(&f);
}

static void drain_respects_its_budget(void **state)
{
	struct fixture f;
	struct handler a = { &f, 'a' }, b = { &f, 'b' };
	uint32_t i;

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 40, 8, note, &a, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "b", LNX_EV_PROC_FORK, 40, 8, note, &b, NULL), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(deliver(&f, i), 0);
	assert_true(lnx_bus_drain(f.bus, 2));
	assert_string_equal(f.trace, "ab"); /* round robin: one queue cannot starve another */
	assert_false(lnx_bus_drain(f.bus, 100));
	assert_int_equal(strlen(f.trace), 6);
	close_bus(&f);
}

static int publish_once(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;
	struct lnx_ev_rule_disabled e;
	struct lnx_event_meta meta;

	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_RULE_DISABLED;
	(void)note(arg, ev);
	assert_int_equal(lnx_bus_meta(h->f->bus, ev, &meta), 0);
	h->f->seq = meta.seq;
	h->f->publish_rc = lnx_bus_publish(h->f->bus, &e.h);
	return 0;
}

static int note_cause(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;
	struct lnx_event_meta meta;

	assert_int_equal(lnx_bus_meta(h->f->bus, ev, &meta), 0);
	h->f->cause_seq = meta.cause_seq;
	h->f->hops_seen = meta.hops;
	assert_true(ev->ts_ns != 0); /* stamped */
	return note(arg, ev);
}

static void publish_from_a_handler_runs_after_the_event_and_knows_its_cause(void **state)
{
	struct fixture f;
	struct handler a = { &f, 'a' }, b = { &f, 'b' }, c = { &f, 'c' };

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(
		lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, publish_once, &a, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "b", LNX_EV_PROC_FORK, 40, 0, note, &b, NULL), 0);
	assert_int_equal(
		lnx_bus_subscribe(f.bus, "c", LNX_EV_RULE_DISABLED, 10, 0, note_cause, &c, NULL),
		0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_string_equal(f.trace, "abc");
	assert_int_equal(f.publish_rc, 0);
	assert_int_equal(f.cause_seq, f.seq);
	assert_int_equal(f.hops_seen, 1);
	close_bus(&f);
}

static int publish_again(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;
	int rc = lnx_bus_publish(h->f->bus, ev);

	if (rc < 0)
		h->f->publish_rc = rc;
	return note(arg, ev);
}

static void chain_of_causes_is_cut_after_eight_hops_and_counted(void **state)
{
	struct fixture f;
	struct lnx_bus_stats st;
	struct handler a = { &f, 'a' };

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(
		lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, publish_again, &a, NULL), 0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_int_equal(strlen(f.trace), 9); /* the event and eight hops */
	assert_int_equal(f.publish_rc, -ELOOP);
	lnx_bus_stats(f.bus, &st);
	assert_int_equal(st.dropped[LNX_DROP_HOPS], 1);
	close_bus(&f);
}

static int publish_many(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;
	struct lnx_ev_rule_disabled e;
	int i, rc;

	(void)ev;
	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_RULE_DISABLED;
	for (i = 0; i < 20; i++) {
		rc = lnx_bus_publish(h->f->bus, &e.h);
		if (rc < 0)
			h->f->publish_rc = rc;
	}
	return 0;
}

static void full_pending_list_refuses_and_counts(void **state)
{
	struct lnx_bus_conf conf = { .max_pending = 16 };
	struct fixture f;
	struct lnx_bus_stats st;
	struct handler a = { &f, 'a' };

	(void)state;
	open_bus(&f, &conf);
	assert_int_equal(
		lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, publish_many, &a, NULL), 0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_int_equal(f.publish_rc, -ENOBUFS);
	lnx_bus_stats(f.bus, &st);
	assert_int_equal(st.dropped[LNX_DROP_QUEUE], 4);
	assert_int_equal(lnx_bus_events(f.bus, LNX_EV_RULE_DISABLED), 16);
	close_bus(&f);
}

static int keep(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;

	h->f->kept[h->f->n_kept++] = lnx_bus_ref(h->f->bus, ev);
	return 0;
}

static void keepers_of_one_dispatch_share_one_copy_that_outlives_it(void **state)
{
	struct fixture f;
	struct lnx_bus_stats st;
	struct lnx_event_meta meta;
	struct handler a = { &f, 'a' }, b = { &f, 'b' };

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, keep, &a, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "b", LNX_EV_PROC_FORK, 20, 0, keep, &b, NULL), 0);
	assert_int_equal(deliver(&f, 77), 0);
	assert_int_equal(f.n_kept, 2);
	assert_ptr_equal(f.kept[0], f.kept[1]);
	assert_int_equal(((const struct lnx_ev_proc_fork *)(const void *)f.kept[0])->child_pid, 77);
	assert_int_equal(lnx_bus_meta(f.bus, f.kept[0], &meta), 0);
	assert_int_equal(meta.seq, 1);
	assert_ptr_equal(lnx_bus_ref(f.bus, f.kept[0]), f.kept[0]);
	lnx_bus_unref(f.bus, f.kept[0]);
	lnx_bus_unref(f.bus, f.kept[0]);
	lnx_bus_stats(f.bus, &st);
	assert_true(st.pool_used_bytes > 0);
	lnx_bus_unref(f.bus, f.kept[1]);
	lnx_bus_stats(f.bus, &st);
	assert_int_equal(st.pool_used_bytes, 0);
	close_bus(&f);
}

static void full_pool_refuses_and_counts(void **state)
{
	struct lnx_bus_conf conf = { .pool_bytes = 1024 };
	struct fixture f;
	struct lnx_bus_stats st;
	struct handler a = { &f, 'a' };
	unsigned i;

	(void)state;
	open_bus(&f, &conf);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, keep, &a, NULL), 0);
	for (i = 0; i < 10; i++)
		(void)deliver(&f, i);
	lnx_bus_stats(f.bus, &st);
	assert_true(st.dropped[LNX_DROP_POOL] > 0);
	assert_int_equal(st.dropped[LNX_DROP_POOL] + 3, 10); /* three blocks fit in 1 KiB */
	assert_null(f.kept[9]);
	for (i = 0; i < 10; i++)
		lnx_bus_unref(f.bus, f.kept[i]);
	close_bus(&f);
}

static int unsubscribe_self(void *arg, const struct lnx_event *ev)
{
	struct handler *h = arg;

	lnx_bus_unsubscribe(h->f->bus, h->f->self_sub);
	return note(arg, ev);
}

static void unsubscribing_inside_a_handler_is_safe(void **state)
{
	struct fixture f;
	struct handler a = { &f, 'a' }, b = { &f, 'b' };

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 10, 0, unsubscribe_self,
					   &a, &f.self_sub),
			 0);
	assert_int_equal(lnx_bus_subscribe(f.bus, "b", LNX_EV_PROC_FORK, 20, 0, note, &b, NULL), 0);
	assert_int_equal(lnx_bus_wanted(f.bus, LNX_EV_PROC_FORK), 2);
	assert_int_equal(lnx_bus_wanted_at(f.bus, LNX_EV_PROC_FORK, 20), 1);
	assert_int_equal(lnx_bus_wanted_at(f.bus, LNX_EV_PROC_FORK, 40), 0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_int_equal(deliver(&f, 2), 0);
	assert_string_equal(f.trace, "abb");
	assert_int_equal(lnx_bus_wanted(f.bus, LNX_EV_PROC_FORK), 1);
	assert_int_equal(lnx_bus_wanted_at(f.bus, LNX_EV_PROC_FORK, 10), 0);
	close_bus(&f);
}

static void unsubscribing_inside_a_drained_queue_is_safe(void **state)
{
	struct fixture f;
	struct handler a = { &f, 'a' };

	(void)state;
	open_bus(&f, NULL);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 40, 8, unsubscribe_self,
					   &a, &f.self_sub),
			 0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_int_equal(deliver(&f, 2), 0);
	assert_false(lnx_bus_drain(f.bus, 100));
	assert_string_equal(f.trace, "a");
	close_bus(&f);
}

static void bad_events_are_refused_and_counted(void **state)
{
	struct fixture f;
	struct lnx_bus_stats st;
	struct lnx_ev_proc_exec x;
	struct lnx_ev_proc_fork e;

	(void)state;
	open_bus(&f, NULL);
	e = fork_event(1, 1);
	e.h.type = 4242;
	assert_int_equal(lnx_bus_deliver(f.bus, &e.h, sizeof(e)), -EINVAL);
	e = fork_event(1, 1);
	assert_int_equal(lnx_bus_deliver(f.bus, &e.h, sizeof(e) - 1), -EINVAL);
	e.h.fixed = (uint16_t)(e.h.size + 1);
	assert_int_equal(lnx_bus_publish(f.bus, &e.h), -EINVAL);
	memset(&x, 0, sizeof(x));
	x.h.size = x.h.fixed = sizeof(x);
	x.h.type = LNX_EV_PROC_EXEC;
	x.filename.off = sizeof(x);
	x.filename.len = 10; /* beyond the end */
	assert_int_equal(lnx_bus_publish(f.bus, &x.h), -EINVAL);
	lnx_bus_stats(f.bus, &st);
	assert_int_equal(st.dropped[LNX_DROP_INVALID], 4);
	assert_int_equal(st.seq, 0);
	close_bus(&f);
}

static void count_wanted(void *arg)
{
	((struct fixture *)arg)->wanted_calls++;
}

static void count_queued(void *arg)
{
	((struct fixture *)arg)->queued_calls++;
}

static void wishes_and_queued_work_are_told(void **state)
{
	struct fixture f;
	struct handler a = { &f, 'a' };
	struct lnx_sub_handle *sub = NULL;

	(void)state;
	open_bus(&f, NULL);
	lnx_bus_on_wanted(f.bus, count_wanted, &f);
	lnx_bus_on_queued(f.bus, count_queued, &f);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_EXIT, 40, 4, note, &a, &sub), 0);
	assert_int_equal(f.wanted_calls, 1);
	assert_int_equal(lnx_bus_wanted(f.bus, LNX_EV_PROC_EXIT), 1);
	assert_int_equal(lnx_bus_wanted(f.bus, LNX_EV_PROC_FORK), 0);
	lnx_bus_unsubscribe(f.bus, sub);
	assert_int_equal(f.wanted_calls, 2);
	assert_int_equal(lnx_bus_subscribe(f.bus, "a", LNX_EV_PROC_FORK, 40, 4, note, &a, &sub), 0);
	assert_int_equal(deliver(&f, 1), 0);
	assert_int_equal(deliver(&f, 2), 0);
	assert_int_equal(f.queued_calls, 1); /* told once, until drained */
	assert_int_equal(lnx_bus_subscribe(f.bus, "x", 999, 40, 4, note, &a, NULL), -ENOENT);
	close_bus(&f);
}

struct ring_seen {
	uint64_t first, last;
	unsigned n;
};

static int ring_note(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct ring_seen *s = arg;

	assert_int_equal(((const struct lnx_ev_proc_fork *)(const void *)ev)->child_pid, meta->seq);
	if (!s->n++)
		s->first = meta->seq;
	else
		assert_int_equal(meta->seq, s->last + 1);
	s->last = meta->seq;
	return 0;
}

static void ring_keeps_the_newest_and_walks_from_a_sequence(void **state)
{
	struct lnx_bus_conf conf = { .ring_bytes = 65536 };
	struct fixture f;
	struct ring_seen seen = { 0 };
	struct lnx_bus_stats st;
	uint64_t oldest = 0;
	uint32_t i;

	(void)state;
	open_bus(&f, &conf);
	for (i = 1; i <= 5000; i++)
		assert_int_equal(deliver(&f, i), 0);
	assert_true(lnx_bus_ring_each(f.bus, 0, ring_note, &seen, &oldest) > 400);
	assert_int_equal(seen.last, 5000);
	assert_int_equal(seen.first, oldest);
	lnx_bus_stats(f.bus, &st);
	assert_int_equal(st.oldest_seq, oldest);
	assert_true(st.ring_used_bytes <= 65536);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(lnx_bus_ring_each(f.bus, 4990, ring_note, &seen, NULL), 10);
	assert_int_equal(seen.first, 4991);
	close_bus(&f);
}

static void clock_follows_events_and_the_hand_that_sets_it(void **state)
{
	struct fixture f;

	(void)state;
	open_bus(&f, NULL);
	lnx_bus_set_now(f.bus, 500);
	assert_int_equal(deliver(&f, 1), 0); /* at 1001 */
	assert_int_equal(lnx_bus_now(f.bus), 1001);
	lnx_bus_set_now(f.bus, 900);
	assert_int_equal(lnx_bus_now(f.bus), 900);
	close_bus(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stages_run_in_order_whatever_the_order_of_subscription),
		cmocka_unit_test(full_queue_drops_newest_and_counts),
		cmocka_unit_test(drain_respects_its_budget),
		cmocka_unit_test(publish_from_a_handler_runs_after_the_event_and_knows_its_cause),
		cmocka_unit_test(chain_of_causes_is_cut_after_eight_hops_and_counted),
		cmocka_unit_test(full_pending_list_refuses_and_counts),
		cmocka_unit_test(keepers_of_one_dispatch_share_one_copy_that_outlives_it),
		cmocka_unit_test(full_pool_refuses_and_counts),
		cmocka_unit_test(unsubscribing_inside_a_handler_is_safe),
		cmocka_unit_test(unsubscribing_inside_a_drained_queue_is_safe),
		cmocka_unit_test(bad_events_are_refused_and_counted),
		cmocka_unit_test(wishes_and_queued_work_are_told),
		cmocka_unit_test(ring_keeps_the_newest_and_walks_from_a_sequence),
		cmocka_unit_test(clock_follows_events_and_the_hand_that_sets_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
