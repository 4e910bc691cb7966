/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Readers who are behind: what they are told, and that nobody else pays. */
#include "test_fake.h"

static void resuming_behind_the_ring_tells_the_gap(void **state)
{
	struct lnx_http_stream *a;
	unsigned i, n;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	testhost_ring_limit(f.t, 4096);
	for (i = 1; i <= 1000; i++)
		fork_cg(&f, i, 0);
	a = reader(&f, NULL, "10");
	turn(&f);
	assert_int_equal(count(a, "event: lagged\n"), 1);
	n = count(a, "event: proc.fork");
	assert_true(n > 5 && n < 500);
	assert_int_equal(strtoul(strstr(a->text, "\"missed\":") + 9, NULL, 10), 1000 - 10 - n);
	/* the gap is told before what follows it */
	assert_true(strstr(a->text, "lagged") < strstr(a->text, "proc.fork"));
	fake_close(a);
	end(&f);
}

/* A resuming reader who takes little at a time still gets each event once. */
static void resuming_slowly_loses_nothing(void **state)
{
	struct lnx_http_stream *a;
	unsigned i, n = 0;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	for (i = 1; i <= 2000; i++)
		fork_cg(&f, i, 0);
	a = reader(&f, NULL, "0");
	drain(a, 3000);
	for (i = 0; i < 3000 && n < 2000; i++) {
		turn(&f);
		n += count(a, "event: proc.fork");
		drain(a, 3000);
	}
	n += count(a, "event: proc.fork");
	assert_int_equal(n, 2000);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_lagged_total", ""), 0, 0));
	fork_cg(&f, 5000, 0);
	drain(a, 0);
	turn(&f);
	assert_non_null(strstr(a->text, "\"child_pid\":5000"));
	fake_close(a);
	end(&f);
}

static void a_slow_reader_is_told_exactly_how_much_it_missed(void **state)
{
	struct lnx_http_stream *slow, *fast;
	unsigned i, got, missed;
	struct fake f;
	char *p;

	(void)state;
	begin(&f, "buffer=128KiB");
	slow = reader(&f, "proc.fork", NULL);
	fast = reader(&f, NULL, NULL);
	slow->room = 1000;
	for (i = 1; i <= 3000; i++) {
		fork_cg(&f, i, 0);
		exit_of(&f, i);
		if (i % 50 == 0)
			turn(&f);
	}
	turn(&f);
	assert_int_equal(count(fast, "event: proc."), 6000);
	assert_int_equal(count(fast, "lagged"), 0);
	got = count(slow, "event: proc.fork");
	assert_true(got >= 1 && got < 10);
	drain(slow, 0);
	assert_int_equal(strncmp(slow->text, "event: lagged\ndata: {\"missed\":", 30), 0);
	missed = (unsigned)strtoul(slow->text + 30, &p, 10);
	got += count(slow, "event: proc.fork");
	assert_int_equal(got + missed, 3000);
	assert_int_equal(count(slow, "proc.exit"), 0);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_lagged_total", ""), missed, 0));
	fork_cg(&f, 9999, 0);
	turn(&f);
	assert_non_null(strstr(slow->text, "\"child_pid\":9999"));
	assert_int_equal(count(slow, "lagged"), 1);
	fake_close(slow);
	fake_close(fast);
	end(&f);
}

/* What the core's ring lost between two turns is told, too. */
static void a_gap_of_the_core_is_told(void **state)
{
	struct lnx_http_stream *st;
	unsigned i, n;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	st = reader(&f, NULL, NULL);
	testhost_ring_limit(f.t, 4096);
	for (i = 1; i <= 1000; i++)
		fork_cg(&f, i, 0);
	turn(&f);
	n = count(st, "event: proc.fork");
	assert_int_equal(count(st, "event: lagged\n"), 1);
	assert_int_equal(strtoul(strstr(st->text, "\"missed\":") + 9, NULL, 10), 1000 - n);
	fake_close(st);
	end(&f);
}

static void a_reader_that_takes_nothing_is_let_go(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, "stall_timeout=1m");
	st = reader(&f, NULL, NULL);
	st->room = 0;
	fork_cg(&f, 1, 0);
	turn(&f);
	for (i = 0; i < 4; i++)
		assert_true(testhost_advance(f.t, 15 * SEC) >= 0);
	assert_int_equal(st->n_closed, 0);
	assert_true(testhost_advance(f.t, 30 * SEC) >= 0);
	assert_int_equal(st->n_closed, 1);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0));
	end(&f);
}

/* 200 who never read cost the shared block and nothing else; the one who reads gets all. */
static void readers_who_never_read_do_not_hurt_the_others(void **state)
{
	struct lnx_http_stream *good;
	struct stream *s;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, "buffer=128KiB");
	for (i = 0; i < 200; i++)
		reader(&f, NULL, NULL)->room = 0;
	good = reader(&f, NULL, NULL);
	s = testhost_state(f.t);
	for (i = 1; i <= 5000; i++) {
		fork_cg(&f, i, 0);
		if (i % 100 == 0)
			turn(&f);
	}
	turn(&f);
	assert_int_equal(count(good, "event: proc.fork"), 5000);
	assert_int_equal(count(good, "lagged"), 0);
	assert_int_equal(s->frames.cap, 131072);
	assert_true(s->frames.head - s->frames.tail <= s->frames.cap);
	assert_true(testhost_metric(f.t, "linnix_sse_lagged_total", "") > 200 * 4000);
	while (f.n_streams && testhost_metric(f.t, "linnix_sse_clients", "") > 0) {
		for (i = 0; i < f.n_streams; i++)
			if (!f.streams[i]->n_closed)
				fake_close(f.streams[i]);
	}
	assert_null(s->frames.data);
	end(&f);
}

static void a_burst_is_shared_out_over_turns(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	st = reader(&f, NULL, NULL);
	turn(&f);
	for (i = 1; i <= 2 * STREAM_RENDER_TURN; i++)
		fork_cg(&f, i, 0);
	assert_int_equal(testhost_advance(f.t, 0) >= 0, 1);
	turn(&f);
	assert_int_equal(count(st, "event: proc.fork"), 2 * STREAM_RENDER_TURN);
	fake_close(st);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resuming_behind_the_ring_tells_the_gap),
		cmocka_unit_test(resuming_slowly_loses_nothing),
		cmocka_unit_test(a_slow_reader_is_told_exactly_how_much_it_missed),
		cmocka_unit_test(a_gap_of_the_core_is_told),
		cmocka_unit_test(a_reader_that_takes_nothing_is_let_go),
		cmocka_unit_test(readers_who_never_read_do_not_hurt_the_others),
		cmocka_unit_test(a_burst_is_shared_out_over_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
