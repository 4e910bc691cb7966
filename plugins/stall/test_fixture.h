/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the tests of plugin stall share: a loaded plugin over a ledger made of memory, charges to it, windows of a second. */
#ifndef PLUGINS_STALL_TEST_FIXTURE_H
#define PLUGINS_STALL_TEST_FIXTURE_H

#include <errno.h>
#include <linnix/ev_psi.h>
#include <linnix/plugin.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blame.h"
#include "stall.h"
#include "testhost.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define MS	1000000ULL
#define SEC	1000000000ULL
#define CPUS	2
#define MONO	5000000000ULL

struct test {
	struct testhost *t;
	struct stall *s;
	struct lnx_ledger_cpu *cpus;
	struct lnx_ledger_table *tab;
	uint64_t mono, boot;
	int slots_fd, tasks_fd;
	uint64_t gone_id, gone_from;
};

/* Cgroup 99: that of a pod, of 100 and 101. Cgroup 100..: containers a and b of one pod, c and d replicas of another workload, e and f of one pod and g of another of
 * a third, 200 a child of a. */
static inline int fake_get(void *self, uint64_t id, struct lnx_workload *w)
{
	const struct test *f = self;
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g" };
	static const char *const pods[] = { "pod", "pod", "c", "d", "e", "e", "g" };
	static const char *const uids[] = { "uid", "uid", "c", "d", "e", "e", "g" };
	static const char *const of[] = {
		"shop", "side", "twins", "twins", "wide", "wide", "wide"
	};
	static const char *const paths[] = { "/t/poduid/a", "/t/poduid/b", "/t/podc/c", "/t/podd/d",
					     "/t/pode/e",   "/t/pode/f",   "/t/podg/g" };
	uint64_t slot = id == 200 ? 100 : id;

	if (id == 99) {
		*w = (struct lnx_workload){ .size = sizeof(*w),
					    .cgroup_id = id,
					    .slot_cgroup_id = id,
					    .parent_cgroup_id = 1,
					    .path = "/t/poduid",
					    .workload = "shop",
					    .namespace_ = "prod",
					    .pod_name = "pod",
					    .pod_uid = "uid",
					    .container_name = "",
					    .container_id = "",
					    .runtime = "",
					    .qos = "" };
		return 0;
	}
	if (slot < 100 || slot > 106)
		return -ENOENT;
	*w = (struct lnx_workload){
		.size = sizeof(*w),
		.kind = LNX_WL_CONTAINER,
		.cgroup_id = id,
		.slot_cgroup_id = slot,
		.parent_cgroup_id = id == 200  ? 100
				    : id < 102 ? 99
					       : 1,
		.gone_ns = f->gone_id == id || (f->gone_from && id >= f->gone_from) ? 1 : 0,
		.path = id == 200 ? "/t/poduid/a/x" : paths[slot - 100],
		.workload = of[slot - 100],
		.namespace_ = "prod",
		.pod_name = pods[slot - 100],
		.pod_uid = uids[slot - 100],
		.container_name = names[slot - 100],
		.container_id = slot == 103 ? "d0d0" : "",
		.runtime = "",
		.qos = ""
	};
	return 0;
}

static inline int fake_each(void *self, uint32_t include_gone,
			    int (*each)(void *arg, const struct lnx_workload *w), void *arg)
{
	static const uint64_t ids[] = { 99, 100, 101, 102, 103, 104, 105, 106, 200 };
	struct lnx_workload w;
	int n = 0;

	(void)include_gone;
	for (; n < 9; n++)
		if (fake_get(self, ids[n], &w) || each(arg, &w))
			break;
	return n;
}

static const struct lnx_svc_workload fake_workload = { sizeof(fake_workload), 0, fake_get,
						       fake_each };

/* *ret: NULL, or an option of another section. */
static inline int setup(void **ret)
{
	const char *option = *ret;
	struct test *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->t = testhost_new();
	f->cpus = calloc(CPUS, sizeof(*f->cpus));
	f->tab = calloc(1, sizeof(*f->tab));
	assert_true(f->t && f->cpus && f->tab);
	assert_true(testhost_map(f->t, "sched", "cpus", 4, sizeof(*f->cpus)) >= 0);
	assert_true(testhost_map(f->t, "sched", LNX_LEDGER_TABLE, 4, sizeof(*f->tab)) >= 0);
	f->slots_fd = testhost_map(f->t, "sched", "slots", 8, 4);
	f->tasks_fd = testhost_map(f->t, "sched", "tasks", 4, 24);
	assert_int_equal(testhost_provide(f->t, "workload/1", &fake_workload, f), 0);
	assert_true(!option || !testhost_conf_other(f->t, option));
	assert_int_equal(testhost_init(f->t, linnix_plugin_v1()), 0);
	f->s = testhost_state(f->t);
	f->s->probe.cpus = f->cpus;
	f->s->probe.tab = f->tab;
	f->s->probe.n_cpus = CPUS;
	assert_int_equal(testhost_start(f->t), 0);
	f->s->has_psi = 0; /* the real machine's pressure has no place here */
	f->mono = f->s->mono_ns = MONO;
	f->boot = f->s->boot_ns = TESTHOST_START_NS;
	*ret = f;
	return 0;
}

static inline int teardown(void **ret)
{
	struct test *f = *ret;

	testhost_free(f->t);
	free(f->cpus);
	free(f->tab);
	free(f);
	return 0;
}

/* The probe takes a slot. */
static inline uint32_t slot_for(struct test *f, uint64_t id)
{
	uint32_t handle = stall_slot_take(f->tab, id);

	assert_true(handle != 0);
	assert_int_equal(
		testhost_host(f->t)->map_update(testhost_ctx(f->t), f->slots_fd, &id, &handle, 0),
		0);
	return handle;
}

/* <victim> waited <ns> on <cpu> while <culprit> ran. */
static inline void charge(struct test *f, uint32_t cpu, uint32_t victim, uint32_t culprit,
			  uint64_t ns)
{
	struct lnx_ledger_cpu *c = &f->cpus[cpu];
	uint32_t i = 0, slot = LNX_LEDGER_SLOT(victim), by = LNX_LEDGER_SLOT(culprit);

	while (c->pairs[i].victim &&
	       (c->pairs[i].victim != victim || c->pairs[i].culprit != culprit))
		i++;
	c->pairs[i].victim = victim;
	c->pairs[i].culprit = culprit;
	c->pairs[i].ns += ns;
	c->pair_used[i / 64] |= 1ULL << i % 64;
	c->sum[slot].wait_ns += ns;
	c->slot_used[slot / 64] |= 1ULL << slot % 64;
	c->slot_used[by / 64] |= 1ULL << by % 64;
	c->sum[by].node_ns += ns;
	if (culprit < LNX_LEDGER_THROTTLED || culprit >= LNX_LEDGER_FIRST)
		c->sum[by].run_ns += ns;
	c->since = f->mono;
	c->tick = f->mono;
}

static inline void tick(struct test *f)
{
	for (uint32_t i = 0; i < CPUS; i++) {
		f->cpus[i].runs[LNX_LEDGER_PROG_SWITCH] += 1000;
		f->cpus[i].since = f->cpus[i].tick = f->mono + SEC;
	}
	f->mono += SEC;
	f->boot += SEC;
	testhost_set_now(f->t, f->boot);
	stall_tick(f->s, f->mono, f->boot);
}

/* What is charged from now on is of a whole window. */
static inline void begin(struct test *f)
{
	tick(f);
	tick(f);
}

static inline struct stall_who *who_of(struct test *f, uint64_t id)
{
	return &f->s->whos.who[stall_who_find(&f->s->whos, id)];
}

/* The last window's row of cgroup <id>. */
static inline const struct stall_row *row_of(struct test *f, uint64_t id)
{
	for (uint32_t i = 0; i < f->s->n_rows; i++)
		if (f->s->rows[i].resource == LNX_RES_CPU &&
		    f->s->whos.who[f->s->rows[i].who].cgroup_id == id &&
		    (id || f->s->rows[i].who == STALL_WHO_NODE))
			return &f->s->rows[i];
	return NULL;
}

static inline char *blame_of(struct test *f, uint32_t resource, uint32_t by, uint64_t from_ns,
			     const char *victim)
{
	struct stall_query q = { .victim = victim,
				 .resource = resource,
				 .by = by,
				 .from_ns = from_ns,
				 .to_ns = f->boot,
				 .limit = 100 };
	struct lnx_buf out = { 0 };

	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_int_equal(lnx_buf_error(&out), 0);
	return out.data;
}

static inline char *blame(struct test *f, uint32_t by, const char *victim)
{
	return blame_of(f, LNX_RES_CPU, by, 0, victim);
}

/* Sum of "stall_ms" that follow "share_ratio" (parts, not processes) against each victim's stalled_ms. */
static inline void check_json_sums(const char *json)
{
	const char *v = strstr(json, "\"stalled_ms\":");
	unsigned n = 0;

	for (; v; v = strstr(v + 1, "\"stalled_ms\":"), n++) {
		double want = strtod(v + 13, NULL), sum = 0;
		const char *end = strstr(v + 1, "\"stalled_ms\":"), *p = v;

		while ((p = strstr(p + 1, "\"stall_ms\":")) && (!end || p < end)) {
			const char *comma = strchr(p, ',');

			if (comma && !strncmp(comma, ",\"share_ratio\"", 14))
				sum += strtod(p + 11, NULL);
		}
		assert_true(fabs(sum - want) <= 1e-6 * (want > 1 ? want : 1));
	}
	assert_true(n > 0);
}

#endif
