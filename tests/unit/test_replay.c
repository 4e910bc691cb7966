/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A replay gives what the live run gave: the state of the beginning is known and no rule sees it, time is that of the
 * events, alerts of the live run are not played again; and two sets of rules are compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/replay_show.h"
#include "replay.h"

#define SECOND 1000000000ULL
#define BEGIN  (1000 * SECOND)

static const struct lnx_ident ident = { sizeof(ident), 1, "n", "c", "b", "1", 1, 0 };

struct fixture {
	struct lnx_registry *registry;
	struct lnx_buf file;
	struct lnx_rec_writer *w;
	uint64_t seq;
	char dir[64], path[96], plugins[1024];
	struct lnx_replay r;
	struct lnx_buf errors;
};

static int setup(void **state)
{
	const char *build = getenv("LNX_BUILD");
	struct fixture *f = calloc(1, sizeof(*f));
	struct lnx_rec_about about = { .ident = &ident, .start_ns = BEGIN };

	f->registry = lnx_registry_new();
	f->w = lnx_rec_writer_new(f->registry, &f->file);
	lnx_rec_write_head(f->w, &about);
	(void)snprintf(f->plugins, sizeof(f->plugins), "%s/plugins", build ? build : "build");
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/lnx-replay-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/r.lua", f->dir);
	lnx_log_set_level(-1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlink(f->path);
	(void)rmdir(f->dir);
	lnx_replay_done(&f->r);
	lnx_buf_done(&f->errors);
	lnx_rec_writer_free(f->w);
	lnx_buf_done(&f->file);
	lnx_registry_free(f->registry);
	free(f);
	return 0;
}

static void put(struct fixture *f, const struct lnx_event *ev)
{
	struct lnx_event_meta meta = { .seq = ++f->seq };

	lnx_rec_write_event(f->w, ev, &meta);
}

static struct lnx_ev_proc_fork fork_of(uint64_t ts_ns, uint32_t parent, uint32_t child)
{
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), ts_ns, parent,
					     0 },
				      .start_ns = 10 * SECOND + child,
				      .parent_start_ns = 10 * SECOND + parent,
				      .cgroup_id = 7,
				      .child_pid = child,
				      .ppid = parent,
				      .comm = "x",
				      .parent_cgroup_id = 7 };

	return e;
}

static void known(struct fixture *f, uint32_t parent, uint32_t child, const char *comm)
{
	struct lnx_ev_proc_fork e = fork_of(10 * SECOND + child, parent, child);

	(void)snprintf(e.comm, sizeof(e.comm), "%s", comm);
	lnx_rec_write_state(f->w, &e.h);
}

static void forks(struct fixture *f, double at_s, uint32_t parent, uint32_t child)
{
	struct lnx_ev_proc_fork e = fork_of(BEGIN + (uint64_t)(at_s * 1e9), parent, child);

	put(f, &e.h);
}

static void sample(struct fixture *f, uint64_t at_s, double cpu)
{
	struct lnx_ev_host_sample e = { .h = { sizeof(e), LNX_EV_HOST_SAMPLE, sizeof(e),
					       BEGIN + at_s * SECOND, 0, LNX_CPU_NONE },
					.window_ns = SECOND,
					.cpu_pct = cpu };

	put(f, &e.h);
}

/* Run <rules>; what was there of a run before goes. */
static int replay(struct fixture *f, const char *rules)
{
	const char *const files[] = { f->path, NULL };
	struct lnx_replay_conf conf = { .plugins_dir = f->plugins, .files = files };
	struct lnx_err err = { { 0 }, 0, 0 };
	FILE *out = fopen(f->path, "w");

	assert_non_null(out);
	assert_true(fputs(rules, out) >= 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(lnx_rec_flush(f->w), 0);
	conf.data = f->file.data;
	conf.size = f->file.size;
	lnx_buf_reset(&f->errors);
	lnx_replay_done(&f->r);
	return lnx_replay_run(&conf, &f->errors, &f->r, &err);
}

static const char each_fork[] =
	"rule 'each' { on = 'proc.fork', by = 'tree', window = 'count 60s', "
	"when = function(w) return w.count > 0 end, value = 'count', "
	"say = '{comm} {count}' }";

/* They began in the same instant, and each is an alert of its own, from its own beginning to its own end. */
static void alerts_of_one_instant_are_told_apart(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	for (i = 0; i < 40; i++)
		forks(f, 1, 5, 100 + i);
	forks(f, 8, 5, 107); /* only this one goes on */
	forks(f, 12, 5, 900);
	assert_int_equal(
		replay(f, "rule 'child' { on = 'proc.fork', where = { child_pid = { lt = 900 } },"
			  " by = 'child_pid', window = 'count 5s', keep = '1s',"
			  " when = function(w) return w.count > 0 end }"),
		0);
	assert_int_equal(f->r.n, 41);
	for (i = 0; i < 40; i++) {
		assert_int_equal(f->r.fires[i].pid, 100 + i);
		assert_int_equal(f->r.fires[i].seq, 1 + i);
		assert_in_range(f->r.fires[i].resolved_ns, BEGIN + 6 * SECOND, BEGIN + 8 * SECOND);
	}
	assert_int_equal(f->r.fires[40].pid, 107);
	assert_int_equal(f->r.fires[40].resolved_ns, 0);
}

static void the_state_is_known_and_no_rule_sees_it(void **state)
{
	struct fixture *f = *state;

	/* 500 is the root; 600 and 601 are its children, 700 that of 600 */
	known(f, 1, 500, "server");
	known(f, 500, 600, "worker");
	known(f, 500, 601, "worker");
	known(f, 600, 700, "helper");
	forks(f, 1, 700, 800);
	forks(f, 2, 601, 801);
	assert_int_equal(replay(f, each_fork), 0);
	assert_int_equal(f->r.report.state, 4);
	assert_int_equal(f->r.report.events, 2);
	assert_int_equal(f->r.n, 1); /* one tree */
	assert_int_equal(f->r.fires[0].pid, 500);
	assert_string_equal(f->r.fires[0].comm, "server");
	assert_string_equal(f->r.fires[0].say, "server 1");
	assert_int_equal(f->r.fires[0].seq, 1);
	assert_int_equal(f->r.fires[0].fired_ns, BEGIN + SECOND);
}

static void time_is_that_of_the_events(void **state)
{
	struct fixture *f = *state;
	unsigned s;

	for (s = 0; s < 30; s++)
		sample(f, s, s >= 3 && s < 10 ? 99 : 1);
	assert_int_equal(
		replay(f,
		       "rule 'busy' { every = '1s', when = function(host) return host.cpu > 90 end,"
		       " lasting = '2s', keep = '5s', severity = 'critical' }"),
		0);
	assert_int_equal(f->r.n, 1);
	assert_int_equal(f->r.fires[0].since_ns, BEGIN + 3 * SECOND);
	assert_int_equal(f->r.fires[0].fired_ns, BEGIN + 5 * SECOND);
	assert_int_equal(f->r.fires[0].resolved_ns, BEGIN + 15 * SECOND);
	assert_int_equal(f->r.fires[0].severity, LNX_SEV_CRITICAL);
}

/* A key that fires is over by time alone, while events of other types go by. */
static void timers_run_between_events(void **state)
{
	struct fixture *f = *state;
	unsigned s;

	forks(f, 0, 5, 6);
	for (s = 1; s < 90; s++)
		sample(f, s, 1);
	assert_int_equal(replay(f, each_fork), 0);
	assert_int_equal(f->r.n, 1);
	assert_true(f->r.fires[0].resolved_ns > BEGIN + 60 * SECOND);
	assert_true(f->r.fires[0].resolved_ns < BEGIN + 80 * SECOND);
}

static void the_highest_severity_is_told_with_its_sentence(void **state)
{
	struct fixture *f = *state;
	unsigned s;

	for (s = 0; s < 30; s++)
		forks(f, s, 5, 100 + s);
	assert_int_equal(
		replay(f,
		       "rule 'r' { on = 'proc.fork', window = 'count 60s', say = 'now {count}',\n"
		       " when = function(w) return w.count > 0 end,\n"
		       " severity = function(w) return w.count > 9 and 'critical' or 'info' end }"),
		0);
	assert_int_equal(f->r.n, 1);
	assert_int_equal(f->r.fires[0].severity, LNX_SEV_CRITICAL);
	assert_string_not_equal(f->r.fires[0].say, "now 1");
}

static void recorded_alerts_are_counted_and_not_played(void **state)
{
	struct fixture *f = *state;
	union {
		struct lnx_ev_alert a;
		char bytes[256];
	} u = { .a = { .severity = LNX_SEV_CRITICAL } };

	u.a.h = (struct lnx_event){ sizeof(u.a) + 4, LNX_EV_ALERT, sizeof(u.a), BEGIN, 0, 0 };
	u.a.rule = (struct lnx_str){ sizeof(u.a), 4 };
	memcpy(u.bytes + sizeof(u.a), "live", 4);
	put(f, &u.a.h);
	u.a.state = LNX_ALERT_RESOLVED;
	put(f, &u.a.h);
	assert_int_equal(
		replay(f, "rule 'meta' { on = 'alert', when = function() return true end }"), 0);
	assert_int_equal(f->r.n, 0);
	assert_int_equal(f->r.n_recorded, 1);
	assert_string_equal(f->r.recorded[0].rule, "live");
	assert_int_equal(f->r.recorded[0].n, 1);
}

/* A rule on alerts sees those of the other rules, as in the agent. */
static void alerts_of_the_rules_are_events(void **state)
{
	struct fixture *f = *state;
	char both[512];

	forks(f, 0, 5, 6);
	(void)snprintf(both, sizeof(both), "%s %s", each_fork,
		       "rule 'meta' { on = 'alert', where = { rule = 'each' }, "
		       "when = function(w, key, ev) return true end }");
	assert_int_equal(replay(f, both), 0);
	assert_int_equal(f->r.n, 2);
	assert_string_equal(f->r.fires[1].rule, "meta");
}

static void figures_of_processes_come_by_events(void **state)
{
	struct fixture *f = *state;
	struct lnx_ev_proc_usage u = { .h = { sizeof(u), LNX_EV_PROC_USAGE, sizeof(u), BEGIN, 50,
					      0 },
				       .start_ns = 10 * SECOND + 50,
				       .rss_bytes = 4711,
				       .comm = "big" };

	known(f, 1, 50, "big");
	put(f, &u.h);
	forks(f, 1, 50, 51);
	assert_int_equal(replay(f, "rule 'rss' { on = 'proc.fork', when = function(w, key, ev) "
				   "return proc(ev.ppid).rss_bytes == 4711 end }"),
			 0);
	assert_int_equal(f->r.n, 1);
}

static void the_same_bytes_give_the_same_result(void **state)
{
	struct fixture *f = *state;
	struct lnx_replay first;
	unsigned i;

	for (i = 0; i < 2000; i++)
		forks(f, i * 0.01, 5 + i % 7 * (i % 3), 100 + i);
	assert_int_equal(replay(f, each_fork), 0);
	first = f->r;
	memset(&f->r, 0, sizeof(f->r));
	assert_int_equal(replay(f, each_fork), 0);
	assert_true(first.n > 3);
	assert_int_equal(first.n, f->r.n);
	for (i = 0; i < first.n; i++) {
		assert_string_equal(first.fires[i].say, f->r.fires[i].say);
		assert_int_equal(first.fires[i].pid, f->r.fires[i].pid);
		assert_int_equal(first.fires[i].fired_ns, f->r.fires[i].fired_ns);
		assert_int_equal(first.fires[i].resolved_ns, f->r.fires[i].resolved_ns);
	}
	lnx_replay_done(&first);
}

static void a_bad_rule_and_a_bad_file_say_why(void **state)
{
	struct fixture *f = *state;

	forks(f, 0, 5, 6);
	assert_int_equal(replay(f, "\nrule 'a' { on = 'proc.fork', lastin = '1s' }"), -EINVAL);
	assert_non_null(strstr(f->errors.data, "r.lua:2: "));
	assert_non_null(strstr(f->errors.data, "lasting"));
	f->file.data[0] = 'x';
	assert_int_equal(replay(f, each_fork), -EINVAL);
	assert_int_equal(f->errors.size, 0);
}

static void a_rule_that_fails_is_told(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	for (i = 0; i < 5; i++)
		forks(f, i, 5, 60 + i);
	assert_int_equal(
		replay(f, "rule 'a' { on = 'proc.fork', when = function() error('no') end }"), 0);
	assert_int_equal(f->r.disabled, 1);
	assert_non_null(strstr(f->r.disabled_why, "r.lua:1: "));
	lnx_replay_done(&f->r);
	/* also when it goes on */
	assert_int_equal(
		replay(f,
		       "\nrule 'a' { on = 'proc.fork', severity = function(w, k, ev) if ev.child_pid == 61 then error('no') end return 'info' end }"),
		0);
	assert_int_equal(f->r.disabled, 0);
	assert_int_equal(f->r.failed, 1);
	assert_non_null(strstr(f->r.failed_why, "r.lua:2: no"));
}

struct ev_burst {
	struct lnx_event h;
	__u32 crashes, how;
};

/* A plugin that is not here made them: the recording itself says what they are. */
static void events_of_an_unknown_plugin_are_what_the_recording_says(void **state)
{
	static const char *const hows[] = { "slow", "fast", NULL };
	static const struct lnx_field fields[] = {
		{ "crashes", LNX_U32, offsetof(struct ev_burst, crashes), 4, 0, "", "", NULL,
		  NULL },
		{ "how", LNX_ENUM, offsetof(struct ev_burst, how), 4, 0, "", "", NULL, hows },
	};
	static const struct lnx_event_desc desc = { .size = sizeof(desc),
						    .fixed = sizeof(struct ev_burst),
						    .name = "other.burst",
						    .doc = "",
						    .fields = fields,
						    .n_fields = 2 };
	struct lnx_rec_about about = { .ident = &ident, .start_ns = BEGIN };
	struct fixture *f = *state;
	struct ev_burst e = { .h = { sizeof(e), 0, sizeof(e), BEGIN + SECOND, 0, LNX_CPU_NONE } };
	unsigned i;
	int type;

	/* a number that is another one here */
	type = lnx_registry_add_known(f->registry);
	assert_int_equal(type, 0);
	type = lnx_registry_add(f->registry, &desc);
	assert_true(type > LNX_EV_PLUGIN_0);
	e.h.type = (__u16)type;
	lnx_rec_writer_free(f->w);
	lnx_buf_reset(&f->file);
	f->w = lnx_rec_writer_new(f->registry, &f->file);
	lnx_rec_write_head(f->w, &about);
	for (i = 0; i < 4; i++) {
		e.h.ts_ns += SECOND;
		e.crashes = i;
		e.how = i % 2;
		put(f, &e.h);
	}
	assert_int_equal(
		replay(f,
		       "rule 'a' { on = 'other.burst', by = 'crashes', where = { crashes = { ge = 2 } }, keep = '1h',\n"
		       " severity = function(w, k, ev) return ev.how == 'fast' and 'critical' or 'info' end }"),
		0);
	assert_int_equal(f->r.report.unknown_events, 0);
	assert_int_equal(f->r.n, 2);
	assert_int_equal(f->r.fires[0].severity, LNX_SEV_INFO);
	assert_int_equal(f->r.fires[1].severity, LNX_SEV_CRITICAL);
	assert_int_equal(replay(f, "rule 'a' { on = 'other.burts', severity = 'info' }"), -EINVAL);
	assert_non_null(strstr(f->errors.data, "did you mean 'other.burst'?"));
}

static struct lnx_replay_fire fire(const char *rule, uint32_t pid, uint64_t from, uint64_t to,
				   uint32_t severity)
{
	static char nothing[1];
	struct lnx_replay_fire x = { .pid = pid,
				     .since_ns = from,
				     .fired_ns = from,
				     .resolved_ns = to,
				     .severity = severity,
				     .workload = nothing,
				     .say = nothing };

	(void)snprintf(x.rule, sizeof(x.rule), "%s", rule);
	return x;
}

static void two_sets_are_compared(void **state)
{
	struct lnx_replay_fire new_fires[] = { fire("a", 1, 10, 20, 1), fire("a", 1, 30, 40, 1),
					       fire("a", 2, 30, 0, 2), fire("b", 1, 50, 60, 0) },
			       old_fires[] = { fire("a", 1, 10, 20, 1), fire("a", 1, 33, 40, 1),
					       fire("c", 1, 35, 36, 0), fire("a", 2, 30, 0, 1),
					       fire("b", 1, 70, 80, 0) };
	static const uint32_t want[] = { LNX_REPLAY_SAME, LNX_REPLAY_CHANGED, LNX_REPLAY_CHANGED,
					 LNX_REPLAY_GONE, LNX_REPLAY_NEW,     LNX_REPLAY_GONE };
	const struct lnx_replay now = { .fires = new_fires, .n = 4 },
				before = { .fires = old_fires, .n = 5 };
	struct lnx_replay_row *rows = NULL;
	size_t n = 0, i;

	(void)state;
	assert_int_equal(lnx_replay_rows(&now, &before, &rows, &n), 0);
	assert_int_equal(n, 6);
	for (i = 0; i < n; i++)
		assert_int_equal(rows[i].change, want[i]);
	free(rows);
	assert_int_equal(lnx_replay_rows(&now, NULL, &rows, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(rows[3].change, LNX_REPLAY_SAME);
	free(rows);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(alerts_of_one_instant_are_told_apart),
		TEST(the_state_is_known_and_no_rule_sees_it),
		TEST(time_is_that_of_the_events),
		TEST(timers_run_between_events),
		TEST(the_highest_severity_is_told_with_its_sentence),
		TEST(recorded_alerts_are_counted_and_not_played),
		TEST(alerts_of_the_rules_are_events),
		TEST(figures_of_processes_come_by_events),
		TEST(the_same_bytes_give_the_same_result),
		TEST(a_bad_rule_and_a_bad_file_say_why),
		TEST(a_rule_that_fails_is_told),
		TEST(events_of_an_unknown_plugin_are_what_the_recording_says),
		cmocka_unit_test(two_sets_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
