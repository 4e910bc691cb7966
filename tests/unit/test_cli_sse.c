/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The reader of server-sent events: any cut of the bytes gives the same events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/line.h"

struct seen {
	unsigned n;
	char event[8][64], id[8][32], data[8][64];
	int stop_after;
};

static int on_event(void *arg, const char *event, const char *id, const char *data, size_t n)
{
	struct seen *s = arg;

	assert_true(s->n < 8);
	(void)snprintf(s->event[s->n], sizeof(s->event[0]), "%s", event);
	(void)snprintf(s->id[s->n], sizeof(s->id[0]), "%s", id);
	(void)snprintf(s->data[s->n], sizeof(s->data[0]), "%.*s", (int)n, data);
	s->n++;
	return s->stop_after && (int)s->n >= s->stop_after ? 7 : 0;
}

static const char stream[] = ": heartbeat\n\nid: 12\nevent: alert\ndata: {\"a\":1}\n\n"
			     "id:13\r\nevent:proc.fork\r\ndata:one\r\ndata: two\r\n\r\n"
			     "data\n\nevent: nothing\n\n";

static void every_cut_gives_the_same_events(void **state)
{
	(void)state;
	for (size_t step = 1; step < sizeof(stream); step++) {
		struct seen seen = { 0 };
		struct lnx_sse s = { .on_event = on_event, .arg = &seen };

		for (size_t i = 0; i < sizeof(stream) - 1; i += step) {
			size_t n = sizeof(stream) - 1 - i;

			assert_int_equal(lnx_sse_feed(&s, stream + i, n < step ? n : step), 0);
		}
		assert_int_equal(seen.n, 3);
		assert_string_equal(seen.event[0], "alert");
		assert_string_equal(seen.id[0], "12");
		assert_string_equal(seen.data[0], "{\"a\":1}");
		assert_string_equal(seen.event[1], "proc.fork");
		assert_string_equal(seen.data[1], "one\ntwo");
		assert_string_equal(seen.event[2], "message");
		assert_string_equal(s.last_id, "13");
		lnx_sse_done(&s);
	}
}

static void a_reader_may_stop(void **state)
{
	struct seen seen = { .stop_after = 1 };
	struct lnx_sse s = { .on_event = on_event, .arg = &seen };

	(void)state;
	assert_int_equal(lnx_sse_feed(&s, stream, sizeof(stream) - 1), 7);
	assert_int_equal(seen.n, 1);
	lnx_sse_done(&s);
}

static void too_long_an_event_is_left_out_and_counted(void **state)
{
	struct seen seen = { 0 };
	struct lnx_sse s = { .on_event = on_event, .arg = &seen };
	char *long_line = malloc(LNX_SSE_MAX_BYTES);

	(void)state;
	assert_non_null(long_line);
	memset(long_line, 'x', LNX_SSE_MAX_BYTES);
	assert_int_equal(lnx_sse_feed(&s, "id: 1\ndata: ", 12), 0);
	assert_int_equal(lnx_sse_feed(&s, long_line, LNX_SSE_MAX_BYTES), 0);
	assert_int_equal(lnx_sse_feed(&s, "\n\ndata: ok\n\n", 12), 0);
	assert_int_equal(s.n_too_long, 1);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.data[0], "ok");
	assert_string_equal(s.last_id, "1");
	free(long_line);
	lnx_sse_done(&s);
}

static void a_new_connection_forgets_the_half_but_not_the_id(void **state)
{
	struct seen seen = { 0 };
	struct lnx_sse s = { .on_event = on_event, .arg = &seen };

	(void)state;
	assert_int_equal(lnx_sse_feed(&s, "id: 4\ndata: a\n\nid: 5\ndata: ha", 29), 0);
	lnx_sse_restart(&s);
	assert_int_equal(lnx_sse_feed(&s, "data: b\n\n", 9), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.data[1], "b");
	assert_string_equal(s.last_id, "4");
	lnx_sse_done(&s);
}

static void an_id_which_is_no_number_is_ignored(void **state)
{
	struct seen seen = { 0 };
	struct lnx_sse s = { .on_event = on_event, .arg = &seen };
	static const char text[] = "id: 1\r\ndata: a\n\nid: x\ndata: b\n\n";

	(void)state;
	assert_int_equal(lnx_sse_feed(&s, text, sizeof(text) - 1), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.id[1], "");
	assert_string_equal(s.last_id, "1");
	lnx_sse_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_gives_the_same_events),
		cmocka_unit_test(a_reader_may_stop),
		cmocka_unit_test(too_long_an_event_is_left_out_and_counted),
		cmocka_unit_test(a_new_connection_forgets_the_half_but_not_the_id),
		cmocka_unit_test(an_id_which_is_no_number_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
