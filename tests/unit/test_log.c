/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Log lines: their form, that nothing can forge one, the rate limit, and lines that cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define SECOND 1000000000ull

static char captured[1 << 20];
static uint64_t fake_now_ns;

static uint64_t fake_clock(void)
{
	return fake_now_ns;
}

/* Put <fd> in the place of stderr; returns the old one. */
static int stderr_take(int fd)
{
	int old = dup(STDERR_FILENO);

	assert_true(old >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	return old;
}

static void stderr_back(int old)
{
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
}

static int capture_start(FILE **ret_file)
{
	*ret_file = tmpfile();
	assert_non_null(*ret_file);
	return stderr_take(fileno(*ret_file));
}

static const char *capture_end(FILE *f, int old)
{
	size_t n;

	stderr_back(old);
	rewind(f);
	n = fread(captured, 1, sizeof(captured) - 1, f);
	captured[n] = 0;
	fclose(f);
	return captured;
}

static unsigned count_lines(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static int setup(void **state)
{
	(void)state;
	fake_now_ns += 100 * SECOND;
	lnx_log_set_clock(fake_clock);
	lnx_log_init(LNX_INFO, LNX_LOG_TEXT);
	lnx_log_set_ident(NULL);
	return 0;
}

__attribute__((format(printf, 3, 4))) static void from(const char *instance, int level,
						       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lnx_log_from(instance, level, fmt, ap);
	va_end(ap);
}

static void text_line_has_time_level_instance_and_message(void **state)
{
	int y, mo, d, h, mi, s, ms, n = 0;
	FILE *f;
	int old = capture_start(&f);
	const char *out;

	(void)state;
	from("http", LNX_WARN, "slow client %d", 7);
	out = capture_end(f, old);
	assert_int_equal(
		sscanf(out, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &n),
		7);
	assert_int_equal(n, 24);
	assert_string_equal(out + n, " warn  http: slow client 7\n");
}

static void core_lines_have_no_instance(void **state)
{
	FILE *f;
	int old = capture_start(&f);

	(void)state;
	lnx_log(LNX_ERROR, "bus: %s", "gone");
	assert_string_equal(capture_end(f, old) + 24, " error bus: gone\n");
}

static void lines_above_the_level_are_dropped(void **state)
{
	FILE *f;
	int old = capture_start(&f);

	(void)state;
	lnx_log(LNX_DEBUG, "unseen");
	lnx_log_set_level(LNX_DEBUG);
	lnx_log(LNX_DEBUG, "seen");
	lnx_log(99, "taken for debug");
	lnx_log_set_level(LNX_ERROR);
	lnx_log(LNX_WARN, "unseen");
	lnx_log(-5, "taken for an error");
	capture_end(f, old);
	assert_null(strstr(captured, "unseen"));
	assert_non_null(strstr(captured, " debug seen\n"));
	assert_non_null(strstr(captured, " debug taken for debug\n"));
	assert_non_null(strstr(captured, " error taken for an error\n"));
}

static void nothing_can_forge_a_line(void **state)
{
	FILE *f;
	int old = capture_start(&f);

	(void)state;
	from("a\nb", LNX_INFO, "%s", "x\n2026 error y\r\033[31m\x7f\x01\tz \xff\xc2\x9b é €");
	capture_end(f, old);
	assert_int_equal(count_lines(captured), 1);
	assert_string_equal(captured + 24,
			    " info  a\\nb: x\\n2026 error y\\x0d\\x1b[31m\\x7f\\x01\\tz "
			    "\\xff\\u009b é €\n");
}

static void json_line_carries_the_identity(void **state)
{
	static const struct lnx_ident id = {
		.size = sizeof(id), .schema = 1, .node = "n1", .cluster = "c\"1", .boot_id = "b"
	};
	FILE *f;
	int old = capture_start(&f);
	json_t *j;

	(void)state;
	lnx_log_init(LNX_INFO, LNX_LOG_JSON);
	lnx_log_set_ident(&id);
	from("http", LNX_WARN, "a \"b\"\n\033 %d", 3);
	capture_end(f, old);
	assert_int_equal(count_lines(captured), 1);
	j = json_loads(captured, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(j, "msg")), "a \"b\"\n\033 3");
	assert_string_equal(json_string_value(json_object_get(j, "instance")), "http");
	assert_string_equal(json_string_value(json_object_get(j, "node")), "n1");
	assert_string_equal(json_string_value(json_object_get(j, "cluster")), "c\"1");
	assert_string_equal(json_string_value(json_object_get(j, "boot_id")), "b");
	assert_int_equal(json_integer_value(json_object_get(j, "schema")), 1);
	assert_int_equal(strlen(json_string_value(json_object_get(j, "ts"))), 24);
	json_decref(j);
}

static void json_line_without_identity_is_whole(void **state)
{
	FILE *f;
	int old = capture_start(&f);
	json_t *j;

	(void)state;
	lnx_log_init(LNX_INFO, LNX_LOG_JSON);
	lnx_log(LNX_INFO, "plain");
	capture_end(f, old);
	j = json_loads(captured, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "instance")), "core");
	assert_string_equal(json_string_value(json_object_get(j, "node")), "");
	json_decref(j);
}

static void a_long_message_is_cut_between_characters(void **state)
{
	static char text[9001];
	size_t i;
	FILE *f;
	int old, format;

	(void)state;
	for (i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "€", 3);
	for (format = LNX_LOG_TEXT; format <= LNX_LOG_JSON; format++) {
		old = capture_start(&f);
		lnx_log_init(LNX_INFO, format);
		lnx_log(LNX_INFO, "x%s", text);
		capture_end(f, old);
		assert_int_equal(count_lines(captured), 1);
		assert_in_range(strlen(captured), 1900, 2300);
		assert_non_null(strstr(captured, "€…"));
		assert_null(strstr(captured, "\\x"));
		assert_null(strstr(captured, "\xef\xbf\xbd"));
	}
}

static void the_worst_message_still_fits_a_line(void **state)
{
	static char text[4096];
	uint64_t held, failed, failed2;
	FILE *f;
	int old = capture_start(&f);

	(void)state;
	memset(text, 1, sizeof(text) - 1);
	lnx_log_lost(&held, &failed);
	lnx_log_init(LNX_INFO, LNX_LOG_JSON);
	from(text, LNX_INFO, "%s", text);
	capture_end(f, old);
	lnx_log_lost(&held, &failed2);
	assert_int_equal(failed2, failed);
	assert_int_equal(count_lines(captured), 1);
}

static void a_burst_is_held_back_and_said_with_the_next_line(void **state)
{
	uint64_t held, held2, failed;
	FILE *f;
	int old = capture_start(&f), i;

	(void)state;
	lnx_log_lost(&held, &failed);
	for (i = 0; i < 36; i++) {
		if (i == 35)
			fake_now_ns += 5 * SECOND;
		lnx_log(LNX_INFO, "burst %d", i);
		if (i == 20)
			lnx_log(LNX_INFO, "another site");
	}
	lnx_log(LNX_INFO, "burst over");
	capture_end(f, old);
	lnx_log_lost(&held2, &failed);
	assert_int_equal(held2 - held, 25);
	assert_int_equal(count_lines(captured), 13);
	assert_non_null(strstr(captured, "burst 9\n"));
	assert_null(strstr(captured, "burst 10"));
	assert_non_null(strstr(captured, "another site\n"));
	assert_non_null(strstr(captured, "burst 35 … (25 more like this)\n"));
}

static void more_sites_than_slots_share_one_and_quiet_ones_are_reused(void **state)
{
	static char fmts[4000][8];
	FILE *f;
	int old = capture_start(&f);
	unsigned i, first, all = 4000;

	(void)state;
	for (i = 0; i < all; i++) {
		(void)snprintf(fmts[i], sizeof(fmts[i]), "f%u", i);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
		lnx_log(LNX_INFO, fmts[i]);
	}
	first = count_lines(capture_end(f, old));
	/* 256 slots and the burst of the shared one at most */
	assert_in_range(first, 200, 266);
	fake_now_ns += 6 * SECOND;
	old = capture_start(&f);
	for (i = 0; i < 100; i++)
		lnx_log(LNX_INFO, fmts[all - 1 - i]);
#pragma GCC diagnostic pop
	assert_in_range(count_lines(capture_end(f, old)), 90, 100);
}

static void a_full_disk_is_counted_and_not_fatal(void **state)
{
	uint64_t held, failed, failed2;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC), old;

	(void)state;
	assert_true(fd >= 0);
	lnx_log_lost(&held, &failed);
	old = stderr_take(fd);
	errno = EDOM;
	lnx_log(LNX_ERROR, "nobody can read this");
	assert_int_equal(errno, EDOM);
	stderr_back(old);
	close(fd);
	lnx_log_lost(&held, &failed2);
	assert_int_equal(failed2, failed + 1);
}

static void a_reader_that_left_does_not_kill(void **state)
{
	uint64_t held, failed, failed2;
	sigset_t pending;
	int p[2], old;

	(void)state;
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	lnx_log_lost(&held, &failed);
	old = stderr_take(p[1]);
	lnx_log(LNX_ERROR, "into the void");
	stderr_back(old);
	close(p[1]);
	lnx_log_lost(&held, &failed2);
	assert_int_equal(failed2, failed + 1);
	assert_int_equal(sigpending(&pending), 0);
	assert_int_equal(sigismember(&pending, SIGPIPE), 0);
}

static uint64_t unlimited_clock(void)
{
	static _Atomic uint64_t now_ns;

	now_ns += 10 * SECOND;
	return (uint64_t)now_ns;
}

/* How long ten lines took to a reader that stands still, ms. */
static long stand_still_ms(void)
{
	static char chunk[4096];
	uint64_t held, failed, failed2;
	struct timespec a, b;
	int p[2], old, i;

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	while (write(p[1], chunk, sizeof(chunk)) > 0)
		;
	assert_int_equal(fcntl(p[1], F_SETFL, 0), 0);
	lnx_log_lost(&held, &failed);
	clock_gettime(CLOCK_MONOTONIC, &a);
	old = stderr_take(p[1]);
	for (i = 0; i < 10; i++)
		lnx_log(LNX_ERROR, "line %d", i);
	stderr_back(old);
	clock_gettime(CLOCK_MONOTONIC, &b);
	lnx_log_lost(&held, &failed2);
	assert_int_equal(failed2, failed + 10);
	/* the reader is back */
	while (read(p[0], chunk, sizeof(chunk)) > 0)
		;
	old = stderr_take(p[1]);
	lnx_log(LNX_ERROR, "read again");
	stderr_back(old);
	assert_true(read(p[0], chunk, sizeof(chunk)) > 0);
	assert_non_null(strstr(chunk, "read again"));
	close(p[0]);
	close(p[1]);
	return (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
}

/* One wait of 20 ms and not ten, which would take 200 at any time; a busy machine may take long now and then. */
static void a_reader_that_stands_still_does_not_block(void **state)
{
	unsigned tries = 0;

	(void)state;
	lnx_log_set_clock(unlimited_clock);
	while (stand_still_ms() >= 150)
		assert_true(++tries < 20);
}

static void *thread_main(void *arg)
{
	int i;

	for (i = 0; i < 200; i++)
		lnx_log(LNX_INFO, "from thread %d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx end",
			*(int *)arg);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	pthread_t t[4];
	int ids[4], i;
	FILE *f;
	int old = capture_start(&f);
	char *line, *save = NULL;

	(void)state;
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_APPEND), 0);
	lnx_log_set_clock(unlimited_clock);
	for (i = 0; i < 4; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, thread_main, &ids[i]), 0);
	}
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	capture_end(f, old);
	assert_true(count_lines(captured) > 0);
	for (line = strtok_r(captured, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_int_equal(strncmp(line + 24, " info  from thread ", 19), 0);
		assert_non_null(strstr(line, " end"));
		assert_null(strstr(line + 30, "info"));
	}
}

static void level_words_are_parsed(void **state)
{
	(void)state;
	assert_int_equal(lnx_log_level_parse("error"), LNX_ERROR);
	assert_int_equal(lnx_log_level_parse("warn"), LNX_WARN);
	assert_int_equal(lnx_log_level_parse("info"), LNX_INFO);
	assert_int_equal(lnx_log_level_parse("debug"), LNX_DEBUG);
	assert_int_equal(lnx_log_level_parse("loud"), -EINVAL);
	assert_int_equal(lnx_log_level_parse(""), -EINVAL);
}

static void err_set_fills_the_text_and_returns_the_code(void **state)
{
	struct lnx_err err = { .line = 3, .column = 4 };
	char text[600];

	(void)state;
	assert_int_equal(lnx_err_set(&err, -ENOENT, "no %s\n\033", "file"), -ENOENT);
	assert_string_equal(err.msg, "no file??");
	assert_int_equal(err.line, 0);
	assert_int_equal(err.column, 0);
	assert_int_equal(lnx_err_set(NULL, -EIO, "x"), -EIO);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	lnx_err_set(&err, 0, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(text_line_has_time_level_instance_and_message, setup),
		cmocka_unit_test_setup(core_lines_have_no_instance, setup),
		cmocka_unit_test_setup(lines_above_the_level_are_dropped, setup),
		cmocka_unit_test_setup(nothing_can_forge_a_line, setup),
		cmocka_unit_test_setup(json_line_carries_the_identity, setup),
		cmocka_unit_test_setup(json_line_without_identity_is_whole, setup),
		cmocka_unit_test_setup(a_long_message_is_cut_between_characters, setup),
		cmocka_unit_test_setup(the_worst_message_still_fits_a_line, setup),
		cmocka_unit_test_setup(a_burst_is_held_back_and_said_with_the_next_line, setup),
		cmocka_unit_test_setup(more_sites_than_slots_share_one_and_quiet_ones_are_reused,
				       setup),
		cmocka_unit_test_setup(a_full_disk_is_counted_and_not_fatal, setup),
		cmocka_unit_test_setup(a_reader_that_left_does_not_kill, setup),
		cmocka_unit_test_setup(a_reader_that_stands_still_does_not_block, setup),
		cmocka_unit_test_setup(lines_of_threads_do_not_mix, setup),
		cmocka_unit_test_setup(level_words_are_parsed, setup),
		cmocka_unit_test_setup(err_set_fills_the_text_and_returns_the_code, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
