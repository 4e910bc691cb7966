/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What rules find by name beside events: units, facts of the machine, processes, patterns.
 * LINK: tests/unit/rules_run.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rules_run.h"

/* Run the tests of <text>; returns how many fail, their words in <tap>. */
static int play(const char *text, struct lnx_buf *tap)
{
	const char *dirs[] = { NULL, NULL };
	unsigned n = 0;
	struct run t;
	int failed;

	run_open(&t);
	dirs[0] = t.dir;
	t.conf.dirs = dirs;
	(void)run_file(&t, "a.lua", text, strlen(text));
	assert_int_equal(lnx_rules_new(&t.conf, &t.errors, &t.rules), 0);
	assert_string_equal(t.errors.data ? t.errors.data : "", "");
	failed = lnx_rules_test(t.rules, tap, &n);
	assert_true(n > 0);
	run_close(&t);
	return failed;
}

static void units_are_numbers(void **state)
{
	struct run t;

	(void)state;
	run_text(&t, "assert(KiB == 1024 and MiB == 1024 * KiB and GiB == 1024 * MiB)\n"
		     "assert(second == 1 and minute == 60 and hour == 3600 and percent == 1)\n"
		     "rule 'a' { on = 'proc.fork' }");
	run_close(&t);
}

static void facts_have_the_names_that_rules_use(void **state)
{
	struct lnx_buf tap = { 0 };

	(void)state;
	assert_int_equal(
		play("rule 'all' { every = '1s', when = function(h)\n"
		     " return h.cpu == 11 and h.mem == 22 and h.load == 33 and h.psi.cpu.some == 1\n"
		     "  and h.psi.memory.some == 2 and h.psi.memory.full == 3\n"
		     "  and h.psi.io.some == 4 and h.psi.io.full == 5 end }\n"
		     "test 'facts' { feed = function(t) t.sample(1, { cpu_pct = 11, mem_pct = 22, load1 = 33, load5 = 34,\n"
		     " load15 = 35, psi_cpu_some = 1, psi_memory_some = 2, psi_memory_full = 3, psi_io_some = 4,\n"
		     " psi_io_full = 5 }) end, fires = { { at = 1 } } }",
		     &tap),
		0);
	lnx_buf_reset(&tap);
	/* always 0, and so not offered */
	assert_int_equal(
		play("rule 'full' { every = '1s', when = function(h) return h.psi.cpu.full > 1 end }\n"
		     "test 'facts' { feed = function(t) t.sample(1, {}) end, fires = {} }",
		     &tap),
		1);
	assert_non_null(strstr(tap.data, "unknown fact of the machine 'psi.cpu.full'"));
	lnx_buf_done(&tap);
}

static void a_wrong_field_of_a_process_is_told(void **state)
{
	struct lnx_buf tap = { 0 };

	(void)state;
	assert_int_equal(
		play("rule 'a' { on = 'proc.exec', by = 'pid', when = function(w, key)\n"
		     " return proc(key).comn == 'x' end }\n"
		     "test 't' { feed = function(t) t.exec(1, { pid = 7, comm = 'x' }) end, fires = {} }",
		     &tap),
		1);
	assert_non_null(strstr(
		tap.data, "a.lua:2: unknown field of a process 'comn' (did you mean 'comm'?)"));
	lnx_buf_done(&tap);
}

static void globs_are_paid_for(void **state)
{
	(void)state;
	run_refuses("local _ = glob(('*a'):rep(1000), ('b'):rep(60000))",
		    ":1: used up its budget of 1000000 instructions");
	run_refuses("local _ = glob('*', ('b'):rep(65537))",
		    ":1: glob: a text is longer than 65536 bytes");
	run_refuses("local _ = glob(('*'):rep(65537), 'b')",
		    ":1: glob: a text is longer than 65536 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_numbers),
		cmocka_unit_test(facts_have_the_names_that_rules_use),
		cmocka_unit_test(a_wrong_field_of_a_process_is_told),
		cmocka_unit_test(globs_are_paid_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
