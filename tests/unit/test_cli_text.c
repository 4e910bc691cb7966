/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Text of the command line: nothing from the host moves a terminal; tables fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/line.h"
#include "cli/text.h"

static void expect_safe(const char *in, size_t n, const char *want)
{
	struct lnx_buf out = { 0 };

	lnx_text_safe(&out, in, n);
	assert_int_equal(lnx_buf_error(&out), 0);
	assert_string_equal(out.data ? out.data : "", want);
	lnx_buf_done(&out);
}

static void control_characters_are_escaped(void **state)
{
	(void)state;
	expect_safe("a\nb\tc", 5, "a\\nb\\tc");
	expect_safe("\033[31mred\033[0m", 12, "\\x1b[31mred\\x1b[0m");
	expect_safe("\x7f\r\b", 3, "\\x7f\\x0d\\x08");
	expect_safe("a\0b", 3, "a\\x00b");
	/* U+009B is CSI: a terminal obeys it like ESC [ */
	expect_safe("\xc2\x9b"
		    "2J",
		    4, "\\x9b2J");
}

static void invalid_utf8_is_shown_byte_by_byte(void **state)
{
	(void)state;
	expect_safe("\xff\xfe", 2, "\\xff\\xfe");
	expect_safe("\xc3", 1, "\\xc3");
	expect_safe("\xe2\x82", 2, "\\xe2\\x82");
	expect_safe("\xc0\xaf", 2, "\\xc0\\xaf");	   /* overlong '/' */
	expect_safe("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* a surrogate */
	expect_safe("\xc3\xa9\xff", 3, "\xc3\xa9\\xff");
}

static void escapes_cannot_be_forged(void **state)
{
	(void)state;
	expect_safe("\\x1b", 4, "\\\\x1b");
}

static void characters_that_deceive_are_named(void **state)
{
	(void)state;
	expect_safe("\xe2\x80\xae"
		    "txt",
		    6, "\\u{202e}txt");
	expect_safe("\xe2\x80\x8b", 3, "\\u{200b}");
	expect_safe("\xef\xbb\xbf", 3, "\\u{feff}");
}

static void json_keeps_its_value_and_loses_its_controls(void **state)
{
	struct lnx_buf out = { 0 };

	(void)state;
	lnx_text_json(&out, "{\"a\":\"\x1b\xc2\x9b\x7f\xff\xc3\xa9\"}\n", 16);
	assert_string_equal(out.data, "{\"a\":\"\\u001b\\u009b\\u007f\\ufffd\xc3\xa9\"}\n");
	lnx_buf_done(&out);
}

static void wide_characters_take_two_columns(void **state)
{
	(void)state;
	assert_int_equal(lnx_text_width("abc", 3), 3);
	assert_int_equal(lnx_text_width("\xe4\xb8\xad\xe6\x96\x87", 6), 4);
	assert_int_equal(lnx_text_fit("\xe4\xb8\xad\xe6\x96\x87", 6, 3), 3);
	assert_int_equal(lnx_text_fit("abc", 3, 2), 2);
	assert_int_equal(lnx_text_fit("abc", 3, 0), 0);
}

static void expect_number(void (*fn)(struct lnx_buf *, double), double v, const char *want)
{
	struct lnx_buf out = { 0 };

	fn(&out, v);
	assert_string_equal(out.data, want);
	lnx_buf_done(&out);
}

static void sizes_and_durations_are_short(void **state)
{
	(void)state;
	expect_number(lnx_text_bytes, 0, "0 B");
	expect_number(lnx_text_bytes, 1023, "1023 B");
	expect_number(lnx_text_bytes, 1536, "1.5 KiB");
	expect_number(lnx_text_bytes, 123.0 * 1024 * 1024, "123 MiB");
	expect_number(lnx_text_duration, 90, "90ns");
	expect_number(lnx_text_duration, 8000, "8us");
	expect_number(lnx_text_duration, 35e6, "35ms");
	expect_number(lnx_text_duration, 1.25e9, "1.2s");
	expect_number(lnx_text_duration, 245e9, "4m05s");
	expect_number(lnx_text_duration, 7260e9, "2h01m");
	expect_number(lnx_text_duration, 183600e9, "2d03h");
	expect_number(lnx_text_duration, NAN, "-");
	expect_number(lnx_text_duration, -1, "-");
}

/* What a table prints, through a pipe in place of stdout. Returns its bytes. */
static size_t table_output(struct lnx_table *t, const struct lnx_cli *cli, char *text, size_t cap)
{
	int fds[2], saved = dup(STDOUT_FILENO);
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(fds[1], STDOUT_FILENO) >= 0);
	assert_int_equal(lnx_table_print(t, cli), 0);
	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	close(fds[1]);
	n = read(fds[0], text, cap - 1);
	close(fds[0]);
	assert_true(n >= 0);
	text[n] = 0;
	return (size_t)n;
}

static const struct lnx_column test_columns[] = { { "PID", 0, true },
						  { "SPARE", 1, false },
						  { "NAME", 0, false } };

static void fill(struct lnx_table *t)
{
	lnx_table_init(t, test_columns, 3);
	lnx_table_cell_fmt(t, "%d", 7);
	lnx_table_cell(t, "something");
	lnx_table_cell(t, "evil\nname");
	lnx_table_cell_fmt(t, "%d", 12345);
	lnx_table_cell(t, "x");
	lnx_table_cell(t, "a long name that does not fit");
}

static void table_aligns_and_escapes(void **state)
{
	struct lnx_cli cli = { 0 };
	struct lnx_table t;
	char text[512];

	(void)state;
	fill(&t);
	table_output(&t, &cli, text, sizeof(text));
	assert_string_equal(text, "  PID  SPARE      NAME\n"
				  "    7  something  evil\\nname\n"
				  "12345  x          a long name that does not fit\n");
	lnx_table_done(&t);
}

static void narrow_terminal_loses_spare_columns_and_cuts_the_last(void **state)
{
	struct lnx_cli cli = { .columns = 20, .is_headless = true };
	struct lnx_table t;
	char text[512];

	(void)state;
	fill(&t);
	table_output(&t, &cli, text, sizeof(text));
	assert_string_equal(text, "    7  evil\\nname\n"
				  "12345  a long name ~\n");
	/* a column goes before the last one has less than 24 */
	cli.columns = 36;
	table_output(&t, &cli, text, sizeof(text));
	assert_string_equal(text, "    7  evil\\nname\n"
				  "12345  a long name that does not fit\n");
	cli.columns = 43;
	table_output(&t, &cli, text, sizeof(text));
	assert_string_equal(text, "    7  something  evil\\nname\n"
				  "12345  x          a long name that does no~\n");
	lnx_table_done(&t);
}

static void expect_line(const char *json, const char *want)
{
	struct lnx_cli cli = { 0 };
	struct lnx_buf out = { 0 };
	json_t *o = json_loads(json, 0, NULL);

	assert_non_null(o);
	lnx_event_line(&cli, &out, o);
	assert_int_equal(lnx_buf_error(&out), 0);
	assert_string_equal(out.data, want);
	json_decref(o);
	lnx_buf_done(&out);
}

static void an_event_is_one_line(void **state)
{
	(void)state;
	expect_line(
		"{\"seq\":5,\"ts\":\"2026-01-02T03:04:05.678901234Z\",\"type\":\"proc.exit\",\"pid\":9,\"cpu\":1,"
		"\"cause_seq\":0,\"comm\":\"a\\nb c\",\"exit_code\":1,\"lifetime_ns\":1500000,\"peak_rss_bytes\":2048,"
		"\"core_dumped\":false,\"pod_name\":\"\",\"start_ns\":1}",
		"03:04:05.678 proc.exit pid=9 comm=\"a\\nb c\" exit_code=1 lifetime_ns=1.5ms peak_rss_bytes=2.0 KiB "
		"core_dumped=no");
	expect_line("{\"type\":\"x\",\"ts\":\"bad\",\"comm\":\"\\\"q\\\" \\u001b[1m\"}",
		    "--:--:--.--- x comm=\"\\\"q\\\" \\x1b[1m\"");
}

static void an_alert_is_a_sentence(void **state)
{
	(void)state;
	expect_line(
		"{\"ts\":\"2026-01-02T03:04:05.678Z\",\"type\":\"alert\",\"rule\":\"fork-storm\",\"severity\":\"info\","
		"\"state\":\"firing\",\"say\":\"sh forks\\n40/s\"}",
		"03:04:05.678 alert info fork-storm firing: sh forks\\n40/s");
}

static int setup(void **state)
{
	(void)state;
	(void)setenv("TZ", "UTC", 1);
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(invalid_utf8_is_shown_byte_by_byte),
		cmocka_unit_test(escapes_cannot_be_forged),
		cmocka_unit_test(characters_that_deceive_are_named),
		cmocka_unit_test(json_keeps_its_value_and_loses_its_controls),
		cmocka_unit_test(wide_characters_take_two_columns),
		cmocka_unit_test(sizes_and_durations_are_short),
		cmocka_unit_test(table_aligns_and_escapes),
		cmocka_unit_test(narrow_terminal_loses_spare_columns_and_cuts_the_last),
		cmocka_unit_test(an_event_is_one_line),
		cmocka_unit_test(an_alert_is_a_sentence),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
