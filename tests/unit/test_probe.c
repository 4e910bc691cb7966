/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Probes without a kernel that would load them: reasons, states and refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ev.h>

#include "../../core/log.h"
#include "../../core/metrics.h"
#include "../../core/probe.h"
#include "../../core/probe_impl.h"

struct fixture {
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	struct lnx_probes *probes;
};

/* In a directory without objects, every probe of the table fails. */
static void fixture_open(struct fixture *f, const struct lnx_probes_conf *conf)
{
	static const struct lnx_probes_conf nowhere = { .bpf_dir = "/nonexistent" };
	struct lnx_bus_conf bus_conf = { 0 };

	f->registry = lnx_registry_new();
	assert_non_null(f->registry);
	bus_conf.registry = f->registry;
	f->bus = lnx_bus_new(&bus_conf);
	assert_non_null(f->bus);
	assert_int_equal(lnx_probes_new(conf ? conf : &nowhere, f->bus, &f->probes), 0);
}

static void fixture_done(struct fixture *f)
{
	lnx_probes_free(f->probes);
	lnx_bus_free(f->bus);
	lnx_registry_free(f->registry);
}

static struct lnx_probe_info info_of(struct fixture *f, const char *name)
{
	struct lnx_probe_info info = { 0 };
	unsigned i;

	for (i = 0; i < lnx_probes_count(f->probes); i++) {
		assert_int_equal(lnx_probes_info(f->probes, i, &info), 0);
		if (strcmp(info.name, name) == 0)
			return info;
	}
	fail_msg("no probe %s", name);
	return info;
}

static void every_probe_that_cannot_load_says_why(void **state)
{
	struct lnx_probe_info info;
	struct fixture f;
	unsigned i;

	(void)state;
	fixture_open(&f, NULL);
	assert_true(lnx_probes_count(f.probes) > 0);
	for (i = 0; i < lnx_probes_count(f.probes); i++) {
		assert_int_equal(lnx_probes_info(f.probes, i, &info), 0);
		assert_int_equal(info.state, LNX_PROBE_FAILED);
		assert_non_null(strstr(info.why, "/nonexistent/"));
		assert_non_null(strstr(info.why, "make bpf"));
		assert_string_equal(info.cost_method, "none");
		assert_int_equal(info.runs, 0);
	}
	assert_int_equal(lnx_probes_info(f.probes, i, &info), -EINVAL);
	fixture_done(&f);
}

static void the_events_of_a_probe_are_named(void **state)
{
	struct lnx_probe_info info;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL);
	info = info_of(&f, "proc");
	assert_string_equal(info.events, "proc.fork proc.exec proc.exit");
	fixture_done(&f);
}

static int ignore(void *arg, const struct lnx_event *ev)
{
	(void)arg;
	(void)ev;
	return 0;
}

static void nothing(void *arg, const void *record)
{
	(void)arg;
	(void)record;
}

static void a_failed_probe_is_harmless(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct lnx_metrics *m = lnx_metrics_new();
	struct lnx_buf text = { 0 };
	struct lnx_sub_handle *sub;
	struct lnx_probe_info info;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL);
	assert_int_equal(
		lnx_bus_subscribe(f.bus, "test", LNX_EV_PROC_FORK, 10, 0, ignore, NULL, &sub), 0);
	assert_int_equal(lnx_probes_start(f.probes, loop), 0);
	assert_int_equal(lnx_probes_start(f.probes, loop), 0);
	lnx_probes_sync(f.probes);
	(void)ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(lnx_probes_drain(f.probes), 0);
	info = info_of(&f, "proc");
	assert_int_equal(info.state, LNX_PROBE_FAILED);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 1), -ENODEV);
	assert_int_equal(lnx_probes_map(f.probes, "proc", "stats"), -ENODEV);
	assert_int_equal(lnx_probes_iter(f.probes, "proc", "usage", 8, nothing, NULL), -ENODEV);
	lnx_probes_collect(f.probes, m);
	lnx_metrics_text(m, 0, &text);
	assert_null(strstr(text.data ? text.data : "", "probe=\"proc\""));
	lnx_probes_stop(f.probes);
	lnx_probes_stop(f.probes);
	lnx_buf_done(&text);
	lnx_metrics_free(m);
	fixture_done(&f);
	ev_loop_destroy(loop);
}

static void unknown_names_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL);
	assert_int_equal(lnx_probes_want(f.probes, "nothing", 1), -ENOENT);
	assert_int_equal(lnx_probes_map(f.probes, "nothing", "stats"), -ENOENT);
	assert_int_equal(lnx_probes_iter(f.probes, "nothing", "usage", 8, nothing, NULL), -ENOENT);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 0), -EINVAL);
	fixture_done(&f);
}

static void a_disabled_probe_is_off_and_not_failed(void **state)
{
	static const char *const disabled[] = { "proc", NULL };
	struct lnx_probes_conf conf = { .bpf_dir = "/nonexistent", .disabled = disabled };
	struct lnx_probe_info info;
	struct fixture f;

	(void)state;
	fixture_open(&f, &conf);
	info = info_of(&f, "proc");
	assert_int_equal(info.state, LNX_PROBE_OFF);
	assert_string_equal(info.why, "");
	fixture_done(&f);
}

static void a_path_that_is_too_long_is_said(void **state)
{
	static char dir[5000];
	struct lnx_probes_conf conf = { .bpf_dir = dir };
	struct lnx_probe_info info;
	struct fixture f;

	(void)state;
	memset(dir, 'd', sizeof(dir) - 1);
	fixture_open(&f, &conf);
	info = info_of(&f, "proc");
	assert_int_equal(info.state, LNX_PROBE_FAILED);
	assert_non_null(strstr(info.why, "too long"));
	fixture_done(&f);
}

static void free_takes_null(void **state)
{
	(void)state;
	lnx_probes_free(NULL);
}

static void a_remedy_is_the_error_itself_unless_it_is_about_permission(void **state)
{
	char buf[160];

	(void)state;
	assert_string_equal(lnx_probe_remedy(-ENOMEM, buf, sizeof(buf)), strerror(ENOMEM));
	assert_non_null(strstr(lnx_probe_remedy(-EPERM, buf, sizeof(buf)), ": "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_probe_that_cannot_load_says_why),
		cmocka_unit_test(the_events_of_a_probe_are_named),
		cmocka_unit_test(a_failed_probe_is_harmless),
		cmocka_unit_test(unknown_names_are_refused),
		cmocka_unit_test(a_disabled_probe_is_off_and_not_failed),
		cmocka_unit_test(a_path_that_is_too_long_is_said),
		cmocka_unit_test(free_takes_null),
		cmocka_unit_test(a_remedy_is_the_error_itself_unless_it_is_about_permission),
	};

	lnx_log_init(-1, LNX_LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
