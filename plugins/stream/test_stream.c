/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Readers: what they get, in which order, and what they make the agent subscribe to. */
#include "test_fake.h"

#include <malloc.h>

static void hello_comes_first_then_events_in_order(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	fork_cg(&f, 1, 0); /* seq 1: before anybody listened */
	st = reader(&f, NULL, NULL);
	assert_int_equal(strncmp(st->text, "id: 1\nevent: hello\ndata: {\"node\":\"", 34), 0);
	assert_non_null(strstr(st->text, "\"cluster\":\""));
	assert_non_null(strstr(st->text, "\"boot_id\":\""));
	assert_non_null(strstr(st->text, "\"schema\":1,\"version\":\""));
	assert_non_null(strstr(st->text, "\"seq\":1}\n\n"));
	fork_cg(&f, 2, 0);
	exit_of(&f, 2);
	fork_cg(&f, 3, 0);
	turn(&f);
	assert_string_equal(ids(st), "1 2 3 4");
	assert_int_equal(count(st, "event: proc.fork\ndata: {\"seq\":2,"), 1);
	assert_int_equal(count(st, "event: proc.exit\ndata: {\"seq\":3,"), 1);
	assert_int_equal(count(st, "}\n\n"), 4);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_clients", ""), 1, 0));
	fake_close(st);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0));
	assert_int_equal(testhost_timers(f.t), 0);
	end(&f);
}

/* No reader, no overhead: the subscription lasts from the first to the last one who wants the type. */
static void types_are_subscribed_while_somebody_reads_them(void **state)
{
	const struct lnx_host *h;
	struct lnx_http_stream *a, *b, *c;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	h = testhost_host(f.t);
#define WANTED(ev) h->wanted(testhost_ctx(f.t), ev)
	assert_int_equal(WANTED("proc.fork"), 0);
	a = reader(&f, "proc.fork", NULL);
	b = reader(&f, "proc.fork,proc.exit", NULL);
	assert_int_equal(WANTED("proc.fork"), 1);
	assert_int_equal(WANTED("proc.exit"), 1);
	assert_int_equal(WANTED("proc.exec"), 0);
	fake_close(a);
	assert_int_equal(WANTED("proc.fork"), 1);
	fake_close(b);
	assert_int_equal(WANTED("proc.fork"), 0);
	assert_int_equal(WANTED("proc.exit"), 0);
	c = reader(&f, NULL, NULL);
	assert_true(WANTED("proc.exec") > 0);
	fake_close(c);
	assert_int_equal(WANTED("proc.exec"), 0);
	end(&f);
}

static void readers_get_the_types_they_asked_for(void **state)
{
	struct lnx_http_stream *a, *b, *all;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	a = reader(&f, "proc.fork", NULL);
	b = reader(&f, "proc.exit,proc.exec", NULL);
	all = reader(&f, NULL, NULL);
	fork_cg(&f, 1, 0);
	exit_of(&f, 1);
	turn(&f);
	assert_string_equal(ids(a), "0 1");
	assert_string_equal(ids(b), "0 2");
	assert_string_equal(ids(all), "0 1 2");
	/* rendered once, not once a reader */
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_events_total", ""), 2, 0));
	fake_close(a);
	fake_close(b);
	fake_close(all);
	end(&f);
}

/* Whichever it is: counters go down, nothing of it is left, and the others go on with what they asked for. */
static void the_end_of_one_reader_is_not_that_of_the_others(void **state)
{
	struct lnx_http_stream *st[3];
	const struct lnx_host *h;
	struct stream *s;
	struct fake f;
	unsigned gone, k;

	(void)state;
	for (gone = 0; gone < 3; gone++) {
		begin(&f, NULL);
		h = testhost_host(f.t);
		s = testhost_state(f.t);
		assert_int_equal(testhost_provide(f.t, "workload/1", "", NULL), 0);
		assert_int_equal(testhost_tag(f.t, 77, "prod", "api-1", ""), 0);
		st[0] = reader(&f, NULL, NULL);
		st[1] = ask(&f, "proc.fork", "prod", NULL).stream;
		st[2] = reader(&f, "proc.exit", NULL);
		fake_close(st[gone]);
		assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_clients", ""), 2, 0));
		assert_int_equal(s->n_clients, 2);
		assert_int_equal(s->n_ns, gone != 1);
		assert_int_equal(s->n_all, gone != 0);
		assert_int_equal(h->wanted(testhost_ctx(f.t), "proc.exec") > 0, gone != 0);
		fork_cg(&f, 1, 77); /* seq 1 */
		fork_cg(&f, 2, 78);
		exit_of(&f, 2);
		turn(&f);
		assert_true(testhost_advance(f.t, 16 * SEC) >= 0);
		for (k = 0; k < 3; k++) {
			static const char *const got[] = { "0 1 2 3", "0 1", "0 3" };

			assert_string_equal(ids(st[k]), k == gone ? "0" : got[k]);
			assert_int_equal(count(st[k], ": heartbeat\n\n"), k != gone);
		}
		for (k = 0; k < 3; k++)
			if (k != gone)
				fake_close(st[k]);
		assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0));
		assert_int_equal(s->n_ns + s->n_all + s->n_wants, 0);
		assert_null(s->clients);
		assert_null(s->frames.data);
		assert_null(s->text);
		assert_int_equal(testhost_timers(f.t), 0);
		end(&f);
	}
}

/* One stays; of those that come and go nothing does. */
static void readers_that_went_cost_nothing(void **state)
{
	struct lnx_http_stream *st;
	size_t before = 0;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	(void)reader(&f, NULL, NULL);
	for (i = 0; i < MAX_READERS - 1; i++) {
		st = reader(&f, "proc.fork", NULL);
		fake_close(st);
		free(st->text); /* of this test */
		st->text = NULL;
		if (i == 20)
			before = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks <
		    before + (MAX_READERS - 22) * (sizeof(*st) + sizeof(struct stream_client) / 2));
	fake_close(f.streams[0]);
	end(&f);
}

static void bad_requests_are_named(void **state)
{
	char many[1024] = "";
	struct lnx_http_req r;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	r = ask(&f, "proc.fork,proc.frk", NULL, NULL);
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.message, "'proc.frk'"));
	r = ask(&f, "", NULL, NULL);
	assert_int_equal(r.status, 400);
	r = ask(&f, NULL, "", NULL);
	assert_int_equal(r.status, 400);
	r = ask(&f, NULL, NULL, "12x");
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.message, "Last-Event-ID"));
	for (i = 0; i < 40; i++)
		(void)strncat(many, "proc.fork,", sizeof(many) - strlen(many) - 1);
	r = ask(&f, many, NULL, NULL);
	assert_int_equal(r.status, 400);
	assert_int_equal(testhost_host(f.t)->wanted(testhost_ctx(f.t), "proc.fork"), 0);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0));
	f.stream_rc = -ENOBUFS;
	r = ask(&f, NULL, NULL, NULL);
	assert_int_equal(r.status, 503);
	assert_int_equal(testhost_host(f.t)->wanted(testhost_ctx(f.t), "proc.fork"), 0);
	end(&f);
}

static void a_namespace_is_that_of_the_cgroup(void **state)
{
	struct lnx_http_req r;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	r = ask(&f, "proc.fork", "prod", NULL);
	assert_non_null(strstr(r.degraded, "no plugin workload"));
	assert_int_equal(testhost_provide(f.t, "workload/1", "", NULL), 0);
	assert_int_equal(testhost_tag(f.t, 77, "prod", "api-1", ""), 0);
	fork_cg(&f, 1, 77);
	fork_cg(&f, 2, 78);
	fork_cg(&f, 3, 0);
	fork_cg(&f, 4, 77);
	turn(&f);
	assert_string_equal(ids(r.stream), "0 1 4");
	fake_close(r.stream);
	r = ask(&f, "proc.fork", "prod", "0");
	turn(&f);
	assert_string_equal(ids(r.stream), "0 1 4");
	assert_string_equal(r.degraded, "");
	fake_close(r.stream);
	end(&f);
}

static void last_event_id_resumes_from_the_ring(void **state)
{
	struct lnx_http_stream *a, *b;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	for (i = 1; i <= 5; i++)
		fork_cg(&f, i, 0);
	exit_of(&f, 5);
	a = reader(&f, "proc.fork", "3");
	fork_cg(&f, 7, 0);
	turn(&f);
	assert_string_equal(ids(a), "3 4 5 7");
	fork_cg(&f, 8, 0);
	turn(&f);
	assert_string_equal(ids(a), "3 4 5 7 8");
	/* from an earlier run of the agent: all of this one is new */
	b = reader(&f, NULL, "1000000");
	turn(&f);
	assert_string_equal(ids(b), "0 1 2 3 4 5 6 7 8");
	assert_int_equal(count(b, "\"restarted\":true"), 1);
	assert_int_equal(count(a, "lagged") + count(b, "lagged"), 0);
	fake_close(a);
	fake_close(b);
	end(&f);
}

/* Numbers begin anew with each start, and soon there are as many again: who says of which run its number is learns it. */
static void a_number_of_an_earlier_run_is_not_taken_for_one_of_this(void **state)
{
	struct lnx_http_stream *st[4];
	char run[17] = "";
	struct fake f;
	const char *at;

	(void)state;
	begin(&f, NULL);
	for (uint32_t i = 1; i <= 4; i++)
		fork_cg(&f, i, 0);
	st[0] = reader(&f, NULL, NULL);
	at = strstr(st[0]->text, "\"run\":\"");
	assert_non_null(at);
	memcpy(run, at + 7, 16);
	assert_int_equal(at[23], '"');
	st[1] = reader_of(&f, "2", run);
	st[2] = reader_of(&f, "2", "0123456789abcdef");
	st[3] = reader_of(&f, NULL, "0123456789abcdef"); /* resumes nothing */
	turn(&f);
	assert_string_equal(ids(st[1]), "2 3 4");
	assert_string_equal(ids(st[2]), "0 1 2 3 4");
	assert_string_equal(ids(st[3]), "4");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(count(st[i], "\"restarted\":true"), i == 2);
		fake_close(st[i]);
	}
	end(&f);
}

static void a_quiet_stream_has_a_heartbeat(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	st = reader(&f, "alert", NULL);
	assert_true(testhost_advance(f.t, 14 * SEC) >= 0);
	assert_int_equal(count(st, ": heartbeat\n\n"), 0);
	assert_true(testhost_advance(f.t, 1 * SEC + 1) >= 0);
	assert_int_equal(count(st, ": heartbeat\n\n"), 1);
	assert_true(testhost_advance(f.t, 30 * SEC) >= 0);
	assert_int_equal(count(st, ": heartbeat\n\n"), 3);
	fake_close(st);
	end(&f);
}

static void stopping_ends_all_streams(void **state)
{
	struct lnx_http_stream *a, *b;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	a = reader(&f, NULL, NULL);
	b = reader(&f, "alert", NULL);
	testhost_unload(f.t);
	assert_int_equal(a->n_closed + b->n_closed, 2);
	end(&f);
}

static void every_failure_of_the_host_unwinds(void **state)
{
	static const struct {
		const char *function;
		unsigned skips;
	} cases[] = { { "metric", 0 }, { "metric", 2 }, { "timer_add", 0 }, { "timer_add", 1 } };
	struct lnx_http_req r;
	struct fake f;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&f, 0, sizeof(f));
		f.t = testhost_new();
		assert_int_equal(testhost_provide(f.t, "http/1", &fake_http, &f), 0);
		testhost_fail(f.t, cases[i].function, -ENOSPC, cases[i].skips, 1);
		assert_int_equal(testhost_load(f.t, linnix_plugin_v1()), -ENOSPC);
		testhost_free(f.t);
	}
	begin(&f, NULL);
	testhost_fail(f.t, "subscribe", -ENOSPC, 1, 1);
	r = ask(&f, "proc.fork,proc.exit", NULL, NULL);
	assert_int_equal(r.status, 503);
	assert_int_equal(testhost_host(f.t)->wanted(testhost_ctx(f.t), "proc.fork"), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_comes_first_then_events_in_order),
		cmocka_unit_test(types_are_subscribed_while_somebody_reads_them),
		cmocka_unit_test(readers_get_the_types_they_asked_for),
		cmocka_unit_test(the_end_of_one_reader_is_not_that_of_the_others),
		cmocka_unit_test(readers_that_went_cost_nothing),
		cmocka_unit_test(bad_requests_are_named),
		cmocka_unit_test(a_namespace_is_that_of_the_cgroup),
		cmocka_unit_test(last_event_id_resumes_from_the_ring),
		cmocka_unit_test(a_number_of_an_earlier_run_is_not_taken_for_one_of_this),
		cmocka_unit_test(a_quiet_stream_has_a_heartbeat),
		cmocka_unit_test(stopping_ends_all_streams),
		cmocka_unit_test(every_failure_of_the_host_unwinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
