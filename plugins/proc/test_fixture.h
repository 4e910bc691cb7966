/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the tests of plugin proc share: a loaded plugin, records for its iterator, events. */
#ifndef PLUGINS_PROC_TEST_FIXTURE_H
#define PLUGINS_PROC_TEST_FIXTURE_H

#include <linnix/ev_proc.h>
#include <linnix/plugin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proc.h"
#include "testhost.h"

#define SECOND	1000000000ULL
#define START	(TESTHOST_START_NS - 100 * SECOND + 7) /* of processes that are there before */
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

struct test {
	struct testhost *t;
	const struct lnx_svc_proc *svc;
	void *self;
	struct lnx_rec_proc rec[64]; /* what the iterator gives */
	int n;
	char dir[64]; /* of a fake /proc */
};

static inline struct lnx_rec_proc *add_record(struct test *f, uint32_t pid, uint32_t ppid,
					      uint64_t start_ns)
{
	struct lnx_rec_proc *r = &f->rec[f->n++];

	memset(r, 0, sizeof(*r));
	r->pid = pid;
	r->ppid = ppid;
	r->start_ns = start_ns;
	r->parent_start_ns = ppid ? START : 0;
	r->cgroup_id = 7;
	r->n_threads = 1;
	r->state = 1;
	snprintf(r->comm, sizeof(r->comm), "p%u", pid);
	return r;
}

/* Hand the records to the iterator, stamped with the time of the refresh to come. */
static inline void set_records(struct test *f, uint64_t after_ns)
{
	int i;

	for (i = 0; i < f->n; i++)
		f->rec[i].ts_ns = testhost_now(f->t) + after_ns;
	assert_int_equal(
		testhost_iter(f->t, "proc", "usage", f->rec, f->n, sizeof(struct lnx_rec_proc)), 0);
}

static inline void load(struct test *f)
{
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
	f->svc = testhost_service(f->t, "proc/1", &f->self);
	assert_non_null(f->svc);
}

static inline int setup(void **ret)
{
	struct test *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->t = testhost_new();
	assert_non_null(f->t);
	assert_int_equal(testhost_conf(f->t, "proc_root=/nonexistent"), 0);
	add_record(f, 1, 0, START);
	set_records(f, 0);
	*ret = f;
	return 0;
}

static inline int teardown(void **ret)
{
	struct test *f = *ret;

	testhost_free(f->t);
	free(f);
	return 0;
}

static inline int fork_in(struct test *f, uint32_t parent, uint64_t parent_start, uint32_t pid,
			  uint64_t start, uint64_t cgroup_id, uint64_t parent_cgroup_id)
{
	struct lnx_ev_proc_fork e;

	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_PROC_FORK;
	e.h.pid = parent;
	e.h.ts_ns = testhost_now(f->t);
	e.start_ns = start;
	e.parent_start_ns = parent_start;
	e.cgroup_id = cgroup_id;
	e.parent_cgroup_id = parent_cgroup_id;
	e.child_pid = pid;
	e.ppid = parent;
	e.uid = 1000;
	memcpy(e.comm, "child", 6);
	return testhost_deliver(f->t, &e.h);
}

/* In the one cgroup of most tests; process 1 stays in its own. */
static inline int fork_at(struct test *f, uint32_t parent, uint64_t parent_start, uint32_t pid,
			  uint64_t start)
{
	return fork_in(f, parent, parent_start, pid, start, 7, parent == 1 ? 1 : 7);
}

static inline int exit_at(struct test *f, uint32_t pid, uint64_t start, uint32_t code, uint32_t sig)
{
	struct lnx_ev_proc_exit e;

	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_PROC_EXIT;
	e.h.pid = pid;
	e.h.ts_ns = testhost_now(f->t);
	e.start_ns = start;
	e.exit_code = code;
	e.signal = sig;
	e.cpu_ns = 12345;
	e.ppid = 1;
	memcpy(e.comm, "gone", 5);
	return testhost_deliver(f->t, &e.h);
}

static inline int exec_at(struct test *f, uint32_t pid, uint64_t start, const char *file,
			  const char *args)
{
	struct {
		struct lnx_ev_proc_exec e;
		char tail[2100];
	} b;

	memset(&b, 0, sizeof(b));
	b.e.h.size = b.e.h.fixed = sizeof(b.e);
	b.e.h.type = LNX_EV_PROC_EXEC;
	b.e.h.pid = pid;
	b.e.h.ts_ns = testhost_now(f->t);
	b.e.start_ns = start;
	b.e.cgroup_id = 8;
	b.e.ppid = 1;
	b.e.uid = 33;
	memcpy(b.e.comm, "prog", 5);
	assert_int_equal(testhost_str(&b.e.h, sizeof(b), &b.e.filename, file), 0);
	assert_int_equal(testhost_str(&b.e.h, sizeof(b), &b.e.args, args), 0);
	return testhost_deliver(f->t, &b.e.h);
}

static inline const struct lnx_proc *get(struct test *f, uint32_t pid, uint64_t start)
{
	return f->svc->get(f->self, pid, start);
}

#endif
