/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A test of a rule while it runs: shared by lua_test.c and lua_test_feed.c. */
#ifndef LNX_LUA_TEST_RUN_H
#define LNX_LUA_TEST_RUN_H

#include "lua_engine.h"

#define TEST_FIRES_MAX 256
#define TEST_ZERO_NS   1000000000000ULL /* CLOCK_BOOTTIME of second 0 */
#define TEST_PIDS      65536
#define TEST_BYTES_MAX (64u << 20)

struct test_event {
	uint64_t ts_ns;
	size_t at; /* in bytes; SIZE_MAX: only time passes */
	unsigned order;
};

struct test_fire {
	const struct lnx_rule *rule;
	double at_s, over_s; /* over: when it was resolved, NaN if not */
	uint32_t severity;   /* highest */
	uint64_t key;
	const char *act; /* what it asked for, or NULL */
	unsigned n_asks; /* and how often */
};

struct test_run {
	struct lnx_rules *r;
	const struct lnx_rule_test *test;
	struct lnx_buf bytes;
	struct test_event *events;
	unsigned n_events, cap_events, n_fires;
	uint32_t next_pid;
	uint32_t *roots; /* of pids seen */
	struct lnx_tags *tags;
	struct lnx_test_procs *procs;
	struct test_fire fires[TEST_FIRES_MAX];
	struct lnx_buf *tap; /* comments on what differs */
	unsigned n_bad;
};

/* Inside of a call: let the test fill its events. */
int lnx_test_feed(lua_State *L);

#endif
