/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Lua scripts as plugins: what they declare, what they may call, and that nothing they do reaches further than themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <linnix/ev_proc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "lua_plugin.h"
#include "offline.h"

struct fixture {
	struct lnx_app *app;
	char dir[64], path[128];
	struct lnx_section section;
	uint64_t conf[8];
	struct lnx_optset *set;
	unsigned n_seen;
	char seen[LNX_EVENT_MAX * 2]; /* JSON of the last event of interest */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	lnx_log_set_level(-1);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/lnx-luap-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/p.lua", f->dir);
	assert_int_equal(lnx_offline_new(NULL, &f->app), 0);
	f->app->loop = ev_loop_new(EVFLAG_AUTO);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct ev_loop *loop = f->app->loop;

	lnx_plugins_stop(f->app);
	lnx_offline_free(f->app);
	ev_loop_destroy(loop);
	lnx_optset_free(f->set);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static void write_script(const struct fixture *f, const char *text, size_t n)
{
	FILE *out = fopen(f->path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(f->path, 0644), 0);
}

/* Write the script, load it as the agent does, start it. <flag>: "p.limit=3" or NULL. */
static struct lnx_ctx *load(struct fixture *f, const char *text, const char *flag)
{
	const char *const dirs[] = { f->dir, NULL }, *const flags[] = { flag, NULL };
	struct lnx_buf errors = { 0 }, warnings = { 0 };
	struct lnx_bind_args args = { .flags = flags, .sections = &f->section, .n_sections = 1 };
	struct lnx_ctx *c;

	write_script(f, text, strlen(text));
	assert_int_equal(lnx_plugins_scan(f->app, dirs), 0);
	assert_int_equal(f->app->plugins->n, 1);
	c = f->app->plugins->list[0];
	if (!c->plugin)
		return c;
	f->section = (struct lnx_section){ .name = "p",
					   .options = c->plugin->options,
					   .conf = f->conf,
					   .conf_size = c->plugin->conf_size };
	assert_int_equal(lnx_option_bind(&args, &errors, &warnings, &f->set), 0);
	c->conf = f->conf;
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	lnx_plugins_order(f->app);
	lnx_plugins_init(f->app);
	lnx_plugins_start(f->app);
	return c;
}

static void deliver_exit(struct fixture *f, uint32_t pid, uint32_t signal)
{
	struct lnx_ev_proc_exit e = { .h = { sizeof(e), LNX_EV_PROC_EXIT, sizeof(e), 1000 + pid,
					     pid, 0 },
				      .signal = signal,
				      .comm = "victim" };

	assert_int_equal(lnx_bus_deliver(f->app->bus, &e.h, sizeof(e)), 0);
}

static int on_seen(void *arg, const struct lnx_event *ev)
{
	struct lnx_json_env env = { 0 };
	struct lnx_event_meta meta;
	struct fixture *f = arg;
	struct lnx_buf out = { 0 };

	env.registry = f->app->registry;
	assert_int_equal(lnx_bus_meta(f->app->bus, ev, &meta), 0);
	lnx_event_json(&out, &env, ev, &meta);
	(void)snprintf(f->seen, sizeof(f->seen), "%s", out.data);
	lnx_buf_done(&out);
	f->n_seen++;
	return 0;
}

static void watch(struct fixture *f, const char *type)
{
	const struct lnx_event_desc *d = lnx_registry_find(f->app->registry, type);

	assert_non_null(d);
	assert_int_equal(lnx_bus_subscribe(f->app->bus, "test", d->type, LNX_STAGE_EXPORT, 0,
					   on_seen, f, NULL),
			 0);
}

static void metrics_have(struct fixture *f, const char *line)
{
	struct lnx_buf out = { 0 };

	lnx_metrics_text(f->app->metrics, 0, &out);
	if (!strstr(out.data, line))
		fail_msg("no %s in %s", line, out.data);
	lnx_buf_done(&out);
}

static const char whole[] =
	"local n, limit = 0\n"
	"plugin 'p' {\n"
	"  version = '2.1', summary = 'a test',\n"
	"  options = { limit = { 'u32', default = 3, min = 1, max = 9, reload = true },\n"
	"              names = { 'list', default = 'a,b' }, loud = { 'bool', default = false },\n"
	"              wait = { 'duration', default = '1500ms', min = '1s', max = '1h' } },\n"
	"  on = { 'proc.exit', { 'proc.fork', stage = 'export', queue = 4 } },\n"
	"  events = { ['p.found'] = { doc = 'd', { 'n', 'u32' }, { 'who', 'text' }, { 'x', 'number' }, { 'yes', 'bool' } } },\n"
	"  metrics = { p_seen_total = { 'counter', labels = { 'signal' } }, p_last = { 'gauge' } },\n"
	"  init = function(conf)\n"
	"    limit = conf.limit\n"
	"    assert(conf.names[2] == 'b' and conf.loud == false and conf.wait == 1.5)\n"
	"  end,\n"
	"  start = function() agent.set('p_last', limit) end,\n"
	"  on_event = function(ev)\n"
	"    if ev.type ~= 'proc.exit' then return end\n"
	"    n = n + 1\n"
	"    agent.add('p_seen_total', 1, tostring(ev.signal))\n"
	"    if n >= limit then agent.publish('p.found', { n = n, who = ev.comm, x = 2.5, yes = true }) end\n"
	"  end,\n"
	"  reload = function(conf) limit = conf.limit end,\n"
	"  stop = function() agent.set('p_last', 99) end,\n"
	"}\n";

static void it_lives_as_a_plugin_in_c(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(f, whole, "p.limit=2");

	assert_string_equal(c->error, "");
	assert_int_equal(c->status, LNX_INST_RUNNING);
	assert_string_equal(c->plugin->version, "2.1");
	assert_string_equal(c->plugin->summary, "a test");
	assert_int_equal(c->n_subs, 2);
	assert_int_equal(c->plugin->subs[1].stage, LNX_STAGE_EXPORT);
	assert_int_equal(c->plugin->subs[1].queue, 4);
	watch(f, "p.found");
	metrics_have(f, "\np_last 2\n");
	deliver_exit(f, 1, 11);
	assert_int_equal(f->n_seen, 0);
	deliver_exit(f, 2, 11);
	assert_int_equal(f->n_seen, 1);
	assert_non_null(strstr(f->seen, "\"type\":\"p.found\""));
	assert_non_null(strstr(f->seen, "\"n\":2,\"who\":\"victim\",\"x\":2.5,\"yes\":true"));
	/* the event that made it publish is its cause */
	assert_non_null(strstr(f->seen, "\"cause_seq\":2"));
	metrics_have(f, "p_seen_total{signal=\"11\"} 2\n");
	f->conf[0] = 9; /* limit: the first by name */
	assert_int_equal(c->plugin->reload(c->state, f->conf), 0);
	deliver_exit(f, 3, 11);
	assert_int_equal(f->n_seen, 1);
	lnx_plugins_stop(f->app);
	metrics_have(f, "\np_last 99\n");
}

static void mistakes_of_the_file_are_told_with_their_line(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "declares no plugin" },
		{ "plugin 'p'", "declares no plugin" },
		{ "plugin 'other' {}", "calls itself 'other'" },
		{ "\nplugin 'p' { on_evnt = 1 }",
		  "line 2: unknown field of a plugin 'on_evnt' (did you mean 'on_event'?)" },
		{ "plugin 'p' {} plugin 'p' {}", "one file declares one plugin" },
		{ "local d = plugin 'p' d {} d {}", "one file declares one plugin" },
		{ "local d = plugin 'p' pcall(d, { init = 3 }) d {}",
		  "one file declares one plugin" },
		{ "pcall(plugin 'p', { init = 3 })", "declares no plugin" },
		{ "local o = {} for i = 1, 32 do o['a' .. i] = { 'bool', default = true } end\n"
		  "local d = plugin 'p' d { options = o } d { options = o }",
		  "line 2: one file declares one plugin" },
		{ "plugin 'p' { on = 'proc.exit' }", "no on_event" },
		{ "plugin 'p' { on_event = function() end }", "subscribes to nothing" },
		{ "plugin 'p' { on = { 7 }, on_event = function() end }",
		  "the name of an event is a text" },
		{ "plugin 'p' { on = { { 'proc.exit', stage = 'jugde' } }, on_event = function() end }",
		  "unknown stage 'jugde' (did you mean 'judge'?)" },
		{ "plugin 'p' { options = { a = { 'u33', default = 1 } } }",
		  "unknown type of an option 'u33' (did you mean 'u32'?)" },
		{ "plugin 'p' { options = { a = { 'u32' } } }", "option a: give a default" },
		{ "plugin 'p' { options = { a = { 'u32', default = 9, max = 3 } } }",
		  "option a: default: " },
		{ "plugin 'p' { options = { a = { 'duration', default = 'soon' } } }",
		  "option a: default: " },
		{ "plugin 'p' { options = { enabled = { 'bool', default = true } } }",
		  "not 'enabled'" },
		{ "plugin 'p' { events = { ['q.x'] = {} } }", "begins with the plugin's" },
		{ "plugin 'p' { events = { ['p.x'] = { { 'a' } } } }", "must be a text" },
		{ "plugin 'p' { metrics = { m = { 'histogramm' } } }", "unknown kind of a metric" },
		{ "plugin 'p' { init = 3 }", "init must be a function" },
		{ "x = 1", "line 1: 'x' is not declared: write local x" },
		{ "agent.log('info', 'early')", "not while the file is read" },
		{ "local t = {} for i = 1, 1e9 do t[i % 7] = i end", "budget" },
		{ "local s = ('x'):rep(1e9)", "line 1: " },
		{ "while true do pcall(function() while true do end end) end", "budget" },
		{ "plugin 'p' { init = os.exit }", "unknown name 'os'" },
		{ "plugin 'p' {", "line 1: " },
		{ "\033Lua", "compiled Lua" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lnx_lua_plugin *script = NULL;
		const struct lnx_plugin *p = NULL;
		struct lnx_err err = { { 0 }, 0, 0 };
		int rc;

		write_script(f, cases[i].text, strlen(cases[i].text));
		rc = lnx_lua_plugin_open(f->path, f->app->registry, &script, &p, &err);
		if (rc == 0)
			rc = lnx_plugin_check_table(p, "p.lua", ".lua", &err);
		assert_true(rc < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("%s: %s", cases[i].text, err.msg);
		lnx_lua_plugin_close(script);
	}
}

static void the_file_is_held_to_the_rules_of_plugins(void **state)
{
	struct fixture *f = *state;
	struct lnx_lua_plugin *script = NULL;
	const struct lnx_plugin *p = NULL;
	struct lnx_err err = { { 0 }, 0, 0 };
	char *big = calloc(1, 2u << 20);

	write_script(f, "plugin 'p' {}", 13);
	assert_int_equal(chmod(f->path, 0664), 0);
	assert_int_equal(lnx_lua_plugin_open(f->path, f->app->registry, &script, &p, &err), -EPERM);
	assert_non_null(strstr(err.msg, "chmod go-w"));
	memset(big, ' ', 2u << 20);
	write_script(f, big, 2u << 20);
	assert_int_equal(lnx_lua_plugin_open(f->path, f->app->registry, &script, &p, &err), -E2BIG);
	assert_int_equal(lnx_lua_plugin_open(f->dir, f->app->registry, &script, &p, &err), -EINVAL);
	free(big);
}

static void a_script_that_fails_is_refused_or_failing(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(f,
				 "plugin 'p' { on = 'proc.exit', on_event = function(ev)\n"
				 "  if ev.signal == 1 then error('one') end\n"
				 "  if ev.signal == 2 then while true do end end\n"
				 "  if ev.signal == 3 then return ev.nonsense end\n"
				 "  if ev.signal == 4 then agent.publish('proc.exti', {}) end\n"
				 "  if ev.signal == 5 then agent.add('no_such') end\n"
				 "  if ev.signal == 6 then agent.lag() end\n"
				 "end }",
				 NULL);
	unsigned i;

	assert_int_equal(c->status, LNX_INST_RUNNING);
	for (i = 0; i <= 6; i++)
		deliver_exit(f, i, i);
	assert_int_equal(c->failures, 6);
	assert_int_equal(c->events, 7);
	assert_int_equal(c->status, LNX_INST_RUNNING);
	for (i = 0; i < LNX_FAILING_AFTER; i++)
		deliver_exit(f, 1, 1);
	assert_int_equal(c->status, LNX_INST_FAILING);
	deliver_exit(f, 1, 0);
	assert_int_equal(c->status, LNX_INST_RUNNING);
}

/* Each event would hold up the agent for a million instructions. */
static void a_script_that_uses_up_its_budget_is_called_no_more(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(f,
				 "plugin 'p' { on = 'proc.exit', on_event = function(ev)\n"
				 "  if ev.signal == 2 then while true do end end\n"
				 "  agent.every('1s', function() while true do end end)\n"
				 "end }",
				 NULL);
	unsigned i;

	deliver_exit(f, 1, 0);
	assert_true(ev_run(f->app->loop, EVRUN_NOWAIT)); /* the timer is armed */
	for (i = 0; i < 10; i++)
		deliver_exit(f, 10 + i, 2);
	assert_int_equal(c->failures, 3);
	assert_int_equal(c->n_subs, 0);
	assert_int_equal(lnx_bus_wanted(f->app->bus, LNX_EV_PROC_EXIT), 0);
	assert_int_equal(c->status, LNX_INST_FAILING);
	assert_non_null(strstr(c->error, "budget"));
	assert_int_equal(c->n_health, 1);
	assert_int_equal(c->health[0].state, LNX_HEALTH_LOST);
	assert_false(ev_run(f->app->loop, EVRUN_NOWAIT)); /* nothing to wait for */
}

static void now_and_then_a_call_may_take_too_long(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(f,
				 "plugin 'p' { on = 'proc.exit', on_event = function(ev)\n"
				 "  if ev.signal == 2 then while true do end end\n"
				 "end }",
				 NULL);
	unsigned i;

	for (i = 0; i < 20 * 8; i++)
		deliver_exit(f, i, i % 20 ? 0 : 2);
	assert_int_equal(c->failures, 8);
	assert_int_equal(c->status, LNX_INST_RUNNING);
	for (i = 0; i < 20; i++) /* every second one is too often */
		deliver_exit(f, i, i % 2 ? 0 : 2);
	assert_in_range(c->failures, 11, 13);
	assert_int_equal(c->status, LNX_INST_FAILING);
}

static void an_init_that_fails_refuses_it(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(f, "plugin 'p' { init = function() error('no') end }", NULL);

	assert_int_equal(c->status, LNX_INST_REFUSED);
	assert_non_null(strstr(c->error, "init failed"));
}

/* An event that its own handler publishes does not run inside of it. */
static void publishing_to_oneself_is_cut_by_the_hops(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(
		f,
		"local depth, most = 0, 0\n"
		"plugin 'p' { on = { 'proc.exit' }, events = { ['p.again'] = { { 'n', 'u32' } } },\n"
		"  metrics = { p_most = { 'gauge' } },\n"
		"  init = function() agent.subscribe('p.again') end,\n"
		"  on_event = function(ev)\n"
		"    depth = depth + 1; most = math.max(most, depth)\n"
		"    agent.publish('p.again', { n = depth })\n"
		"    depth = depth - 1; agent.set('p_most', most)\n"
		"  end }",
		NULL);

	assert_string_equal(c->error, "");
	watch(f, "p.again");
	deliver_exit(f, 1, 0);
	assert_int_equal(f->n_seen, 8); /* as long as a chain may be */
	metrics_have(f, "\np_most 1\n");
}

/* What is published outside of a handler comes back at once, while the rest still waits. */
static void each_event_is_published_once(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(
		f,
		"plugin 'p' { on = 'proc.exit', events = { ['p.again'] = { { 'n', 'u32' } }, ['p.more'] = { { 'n', 'u32' } } },\n"
		"  metrics = { p_seen = { 'counter', labels = { 'n' } } },\n"
		"  init = function() agent.subscribe('p.again'); agent.subscribe('p.more') end,\n"
		"  start = function() for i = 1, 3 do agent.publish('p.again', { n = i }) end end,\n"
		"  on_event = function(ev) agent.add('p_seen', 1, tostring(ev.n))\n"
		"    if ev.type == 'p.again' then agent.publish('p.more', { n = 10 + ev.n }) end end }",
		NULL);
	char line[64];
	unsigned i;

	assert_string_equal(c->error, "");
	for (i = 1; i <= 3; i++) {
		(void)snprintf(line, sizeof(line), "\np_seen{n=\"%u\"} 1\n", i);
		metrics_have(f, line);
		(void)snprintf(line, sizeof(line), "\np_seen{n=\"%u\"} 1\n", 10 + i);
		metrics_have(f, line);
	}
}

static void timers_run_and_end(void **state)
{
	struct fixture *f = *state;
	struct lnx_ctx *c = load(
		f,
		"local id, ticks = nil, 0\n"
		"plugin 'p' { metrics = { p_ticks = { 'gauge' }, p_once = { 'gauge' }, p_n = { 'counter' } },\n"
		"  start = function()\n"
		"    for _, v in ipairs { -1, math.huge, 0 / 0 } do assert(not pcall(agent.add, 'p_n', v)) end\n"
		"    assert(not pcall(agent.add, 'p_ticks') and not pcall(agent.every, '5ms', function() end))\n"
		"    agent.add('p_n', 2)\n"
		"    id = agent.every('10ms', function() ticks = ticks + 1; agent.set('p_ticks', ticks)\n"
		"      if ticks == 3 then agent.cancel(id) end end)\n"
		"    agent.after(0.01, function() agent.set('p_once', 1) end)\n"
		"    for i = 1, 40 do if not pcall(agent.every, '1h', function() end) then assert(i == 31) break end end\n"
		"  end }",
		NULL);
	struct lnx_buf out = { 0 };
	unsigned turns;

	assert_string_equal(c->error, "");
	for (turns = 0; turns < 1000; turns++) {
		lnx_buf_reset(&out);
		lnx_metrics_text(f->app->metrics, 0, &out);
		if (strstr(out.data, "\np_ticks 3\n") && strstr(out.data, "\np_once 1\n"))
			break;
		ev_run(f->app->loop, EVRUN_ONCE);
	}
	metrics_have(f, "\np_ticks 3\n");
	metrics_have(f, "\np_once 1\n");
	metrics_have(f, "\np_n 2\n");
	lnx_buf_done(&out);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* Rules are checked and replayed without the plugins: they may name the events of any script. */
static void events_of_scripts_are_known_without_an_agent(void **state)
{
	static const char text[] =
		"plugin 'p' { version = '1.0', on = 'proc.exit', on_event = function(ev) end,\n"
		" events = { ['p.burst'] = { doc = 'x', { 'crashes', 'u32', doc = 'y' } } } }";
	struct lnx_registry *r = lnx_registry_new();
	struct lnx_lua_plugin *scripts[2];
	const struct lnx_event_desc *desc;
	struct fixture *f = *state;
	struct lnx_app *app = NULL;

	write_script(f, text, strlen(text));
	assert_int_equal(lnx_lua_plugin_dir_types(f->dir, r, scripts, 0), 0);
	assert_null(lnx_registry_find(r, "p.burst"));
	assert_int_equal(lnx_lua_plugin_dir_types(f->dir, r, scripts, 2), 1);
	desc = lnx_registry_find(r, "p.burst");
	assert_non_null(desc);
	assert_non_null(lnx_desc_field(desc, "crashes"));
	lnx_lua_plugin_close(scripts[0]);
	lnx_registry_free(r);
	assert_int_equal(lnx_offline_new(f->dir, &app), 0);
	assert_non_null(lnx_registry_find(app->registry, "p.burst"));
	assert_non_null(lnx_registry_find(app->registry, "k8s.pod"));
	lnx_offline_free(app);
	/* one that is no plugin is left out */
	write_script(f, "plugin (", 8);
	r = lnx_registry_new();
	assert_int_equal(lnx_lua_plugin_dir_types(f->dir, r, scripts, 2), 0);
	assert_int_equal(lnx_lua_plugin_dir_types("/nonexistent", r, scripts, 2), 0);
	lnx_registry_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_lives_as_a_plugin_in_c),
		TEST(mistakes_of_the_file_are_told_with_their_line),
		TEST(the_file_is_held_to_the_rules_of_plugins),
		TEST(a_script_that_fails_is_refused_or_failing),
		TEST(a_script_that_uses_up_its_budget_is_called_no_more),
		TEST(now_and_then_a_call_may_take_too_long),
		TEST(an_init_that_fails_refuses_it),
		TEST(publishing_to_oneself_is_cut_by_the_hops),
		TEST(each_event_is_published_once),
		TEST(timers_run_and_end),
		TEST(events_of_scripts_are_known_without_an_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
