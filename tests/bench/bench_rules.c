/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What rules add to an event on the bus, in ns: a rule set that does not want it, a `where` in C that rejects it, an update
 * of one window, a call of Lua. One JSON line a figure: the median of 9 rounds over that of a bus without rules; then the
 * memory of a rule and of a key. */
#include <fcntl.h>
#include <linnix/ev_proc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../core/lua_host.h"

#define ROUNDS 9
#define EVENTS 200000

struct bench {
	char path[64];
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	struct lnx_rules *rules;
	struct lnx_buf errors, json;
};

/* CPU time: a busy machine must not change the figures. */
static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_rules: %s\n", what);
	exit(1);
}

static void bench_open(struct bench *b, const char *text)
{
	struct lnx_rules_conf conf = { 0 };
	struct lnx_bus_conf bus = { 0 };
	const char *files[2] = { NULL, NULL };
	int fd;

	memset(b, 0, sizeof(*b));
	b->registry = lnx_registry_new();
	bus.registry = b->registry;
	b->bus = lnx_bus_new(&bus);
	if (!b->registry || !b->bus)
		fail("not enough memory");
	if (!text)
		return;
	(void)snprintf(b->path, sizeof(b->path), "/tmp/lnx-bench-XXXXXX");
	fd = mkostemp(b->path, O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail("no file in /tmp");
	(void)close(fd);
	files[0] = b->path;
	conf.files = files;
	conf.bus = b->bus;
	conf.registry = b->registry;
	if (lnx_rules_new(&conf, &b->errors, &b->rules) < 0 || lnx_rules_errors(b->rules) ||
	    lnx_rules_start(b->rules) < 0)
		fail(b->errors.data ? b->errors.data : "the rules did not start");
	(void)unlink(b->path);
}

static void bench_close(struct bench *b)
{
	lnx_rules_free(b->rules);
	lnx_bus_free(b->bus);
	lnx_registry_free(b->registry);
	lnx_buf_done(&b->errors);
	lnx_buf_done(&b->json);
}

/* ns of one event; the median of all rounds. */
static double bench_run(struct bench *b, unsigned keys)
{
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), 1, 7, 0 },
				      .comm = "bench" };
	double ns[ROUNDS];
	unsigned r, i;

	e.ppid = 7;
	e.h.ts_ns = 1000000000000u;
	for (r = 0; r < ROUNDS; r++) {
		uint64_t t0 = now_ns();

		for (i = 0; i < EVENTS; i++) {
			e.h.ts_ns += 10000; /* 100,000 events a second */
			e.ppid = 7 + i % keys;
			(void)lnx_bus_deliver(b->bus, &e.h, sizeof(e));
		}
		ns[r] = (double)(now_ns() - t0) / EVENTS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	return ns[ROUNDS / 2];
}

static void run(const char *name, double floor_ns, unsigned keys, const char *text)
{
	struct bench b;
	double ns;

	bench_open(&b, text);
	ns = bench_run(&b, keys);
	(void)printf("{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"ns/event\",\"with_bus\":%.1f}\n",
		     name, ns > floor_ns ? ns - floor_ns : 0, ns);
	bench_close(&b);
}

/* 100 rules, of which five want the event and count it; `where` in C turns 95 away. */
static void run_hundred(double floor_ns)
{
	struct lnx_buf text = { 0 };
	unsigned i;

	for (i = 0; i < 100; i++)
		lnx_buf_printf(
			&text,
			"rule 'r%u' { on = 'proc.fork', where = { uid = %u }, by = 'ppid',"
			" window = 'count 1s', when = function(w) return w.count < 0 end }\n",
			i, i % 20);
	if (lnx_buf_error(&text))
		fail("not enough memory");
	run("rule_hundred_five_wanted", floor_ns, 64, text.data);
	lnx_buf_done(&text);
}

/* memory_bytes of the only rule of GET /rules. */
static double memory_of(struct bench *b)
{
	const char *p;

	lnx_buf_reset(&b->json);
	lnx_rules_json(b->rules, &b->json);
	p = b->json.data ? strstr(b->json.data, "\"memory_bytes\":") : NULL;
	return p ? strtod(p + strlen("\"memory_bytes\":"), NULL) : 0;
}

static void run_memory(void)
{
	struct bench b;
	double empty;

	bench_open(&b, "rule 'm' { on = 'proc.fork', by = 'ppid', window = 'count 1s',"
		       " when = function() return false end }");
	empty = memory_of(&b);
	(void)bench_run(&b, 1000);
	(void)printf("{\"name\":\"rule_memory\",\"value\":%.0f,\"unit\":\"bytes\"}\n", empty);
	(void)printf("{\"name\":\"rule_key_memory\",\"value\":%.0f,\"unit\":\"bytes\"}\n",
		     (memory_of(&b) - empty) / 1000);
	bench_close(&b);
}

int main(void)
{
	struct bench b;
	double floor_ns;

	bench_open(&b, NULL);
	floor_ns = bench_run(&b, 1);
	bench_close(&b);
	(void)printf("{\"name\":\"rule_floor_bus\",\"value\":%.1f,\"unit\":\"ns/event\"}\n",
		     floor_ns);
	run("rule_unwanted", floor_ns, 1,
	    "rule 'a' { on = 'proc.exec', when = function() return false end }");
	run("rule_where_rejects", floor_ns, 1,
	    "rule 'a' { on = 'proc.fork', where = { comm = 'other' }, when = function() return true end }");
	/* a window that is true already is only counted */
	run("rule_window", floor_ns, 1,
	    "rule 'a' { on = 'proc.fork', by = 'ppid', window = 'count 10s', lasting = '9 windows',"
	    " when = function(w) return w.count > 0 end }");
	run("rule_window_1000_keys", floor_ns, 1000,
	    "rule 'a' { on = 'proc.fork', by = 'ppid', window = 'count 10s', lasting = '9 windows',"
	    " when = function(w) return w.count > 0 end }");
	run("rule_lua_call", floor_ns, 1,
	    "rule 'a' { on = 'proc.fork', when = function() return false end }");
	run("rule_lua_field", floor_ns, 1,
	    "rule 'a' { on = 'proc.fork', when = function(w, key, ev) return ev.ppid == 0 end }");
	run("rule_window_and_lua", floor_ns, 1,
	    "rule 'a' { on = 'proc.fork', by = 'ppid', window = 'count 1s',"
	    " when = function(w) return w.count < 0 end }");
	run("rule_series", floor_ns, 1,
	    "rule 'a' { on = 'proc.fork', by = 'ppid', window = 'count 10s', series = { c = 'child_pid 1m' },"
	    " lasting = '9 windows', when = function(w) return w.count > 0 end }");
	run_hundred(floor_ns);
	run_memory();
	return 0;
}
