/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which processes sent the requests and allocated the pages of a window, over maps made of memory. */
#include "blame.h"
#include "test_fixture.h"

#include "demand.h"
#include "test_res.h"

#define IO(f) (&(f)->s->res->io)

static void did(struct test *f, const char *probe, uint64_t id, uint32_t pid, uint64_t amount)
{
	struct lnx_rec_res_key key = { .id = id, .tgid = pid };
	struct lnx_rec_res_proc v = { .amount = amount, .start_ns = pid, .comm = "reader" };

	put(f, probe, "procs", &key, &v);
}

/* Half of the culprit's requests were sent by kernel threads: of them nobody is named. */
static void processes_of_io_share_their_part(void **state)
{
	struct test *f = *state;
	struct stall_query q = {
		.resource = LNX_RES_IO, .by = STALL_BY_PROCESS, .to_ns = UINT64_MAX, .limit = 100
	};
	struct lnx_buf out = { 0 };

	rise(f);
	waited(f, "blkio", 100, 400);
	requests(f, 100, 102, 400, 0);
	did(f, "blkio", 102, 7, 30);
	did(f, "blkio", 102, 8, 10);
	did(f, "blkio", 102, 0, 40);
	did(f, "blkio", 101, 9, 5000); /* another cgroup's */
	q.from_ns = f->boot;
	tick(f);
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_non_null(strstr(out.data, "\"pid\":7,\"comm\":\"reader\"},"));
	assert_non_null(strstr(out.data, "\"stall_ms\":150,\"share_ratio\":0.375"));
	assert_non_null(strstr(out.data, "\"stall_ms\":50,\"share_ratio\":0.125"));
	assert_non_null(strstr(out.data, "\"stall_ms\":200,\"share_ratio\":0.5"));
	assert_null(strstr(out.data, "\"pid\":9"));
	assert_null(strstr(out.data, "\"pid\":0"));
	assert_non_null(strstr(out.data, "processes-by-device-time-asked-for"));
	lnx_buf_done(&out);
	/* They did nothing since: the answer says that it knows of none. */
	waited(f, "blkio", 100, 800);
	requests(f, 100, 102, 800, 0);
	q.from_ns = f->boot;
	tick(f);
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_null(strstr(out.data, "\"pid\":"));
	assert_non_null(strstr(out.data, "processes-not-known"));
	lnx_buf_done(&out);
}

static void processes_of_memory_share_their_part(void **state)
{
	struct test *f = *state;
	struct stall_query q = { .resource = LNX_RES_MEMORY,
				 .by = STALL_BY_PROCESS,
				 .to_ns = UINT64_MAX,
				 .limit = 100 };
	struct lnx_buf out = { 0 };
	struct tree t;

	rise(f);
	make_tree(f, &t, "99857600\n");
	waited(f, "mem", 100, 400);
	allocated(f, 101, 300);
	did(f, "mem", 101, 7, 300);
	q.from_ns = f->boot;
	tick(f);
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_non_null(strstr(out.data, "\"pid\":7,\"comm\":\"reader\"},"));
	assert_non_null(strstr(out.data, "processes-by-allocated-pages"));
	lnx_buf_done(&out);
	drop_tree(&t);
}

/* What process <pid> is told to have done by a look at <at_ns>, by cgroup <id>. */
static uint64_t told_of(struct test *f, uint64_t at_ns, uint64_t id, uint32_t pid)
{
	uint64_t sum = 0;

	f->s->n_tasks = 0;
	assert_int_equal(stall_res_procs_tasks(f->s, IO(f), at_ns), 0);
	for (uint32_t i = 0; i < f->s->n_tasks; i++)
		if (f->s->tasks[i].pid == pid &&
		    f->s->tasks[i].who == stall_who_find(&f->s->whos, id))
			sum += f->s->tasks[i].amount[1];
	return sum;
}

static uint32_t is_noted(struct test *f, uint64_t id, uint32_t pid)
{
	struct lnx_rec_res_key key = { .id = id, .tgid = pid };
	struct lnx_rec_res_proc v;

	return !testhost_host(f->t)->map_lookup(testhost_ctx(f->t), fd_of(f, "blkio", "procs"),
						&key, &v);
}

static void only_what_came_since_the_last_look_counts(void **state)
{
	struct test *f = *state;

	rise(f);
	did(f, "blkio", 102, 7, 30);
	did(f, "blkio", 102, 8, 10);
	assert_int_equal(told_of(f, f->mono, 102, 7), 30);
	assert_int_equal(f->s->tasks[0].start_ns, 7);
	did(f, "blkio", 102, 7, 42);
	assert_int_equal(told_of(f, f->mono, 102, 7), 12);
	assert_int_equal(told_of(f, f->mono, 102, 8), 0);
	/* A pid that came again counts from its own beginning. */
	did(f, "blkio", 102, 7, 5);
	assert_int_equal(told_of(f, f->mono, 102, 7), 0);
	did(f, "blkio", 102, 7, 9);
	assert_int_equal(told_of(f, f->mono, 102, 7), 4);
}

static void who_did_nothing_for_a_minute_is_given_back(void **state)
{
	struct test *f = *state;
	struct lnx_rec_res_key gone = { .id = 102, .tgid = 9 };
	uint64_t at;

	rise(f);
	at = f->mono;
	did(f, "blkio", 102, 7, 30);
	did(f, "blkio", 102, 8, 10);
	did(f, "blkio", 102, 9, 20);
	(void)told_of(f, at, 102, 7);
	assert_int_equal(IO(f)->n_procs, 3);
	/* The probe gave one back itself. */
	assert_int_equal(testhost_host(f->t)->map_delete(testhost_ctx(f->t),
							 fd_of(f, "blkio", "procs"), &gone),
			 0);
	did(f, "blkio", 102, 8, 11);
	assert_int_equal(told_of(f, at + STALL_RES_IDLE_NS - 1, 102, 8), 1);
	assert_int_equal(IO(f)->n_procs, 2);
	assert_true(is_noted(f, 102, 7));
	assert_int_equal(told_of(f, at + STALL_RES_IDLE_NS, 102, 7), 0);
	assert_false(is_noted(f, 102, 7));
	assert_true(is_noted(f, 102, 8));
	assert_int_equal(IO(f)->n_procs, 1);
	/* Who comes back begins anew. */
	did(f, "blkio", 102, 7, 3);
	assert_int_equal(told_of(f, at + STALL_RES_IDLE_NS, 102, 7), 3);
}

static void what_was_done_before_the_probe_was_attached_is_forgotten(void **state)
{
	struct test *f = *state;

	rise(f);
	did(f, "blkio", 102, 7, 30);
	(void)told_of(f, f->mono, 102, 7);
	did(f, "blkio", 102, 7, 50);
	assert_int_equal(stall_res_procs_reset(IO(f)), 0);
	assert_int_equal(IO(f)->n_procs, 0);
	assert_false(is_noted(f, 102, 7));
	did(f, "blkio", 102, 7, 60);
	assert_int_equal(told_of(f, f->mono, 102, 7), 60);
}

/* In a v1 hierarchy the same path is the same cgroup; where there is none, what the probe saw of v2 has to do. */
static void processes_of_a_v1_cgroup_are_those_of_the_same_path(void **state)
{
	struct test *f = *state;
	struct stat st;
	char path[256];
	struct tree t;

	rise(f);
	make_tree(f, &t, "1\n");
	(void)stall_who_of(f->s, 102, f->mono);
	(void)snprintf(path, sizeof(path), "%s/t/podc/c", t.dir);
	assert_int_equal(stat(path, &st), 0);
	did(f, "blkio", LNX_IO_V1 | st.st_ino, 7, 30);
	assert_int_equal(told_of(f, f->mono, 102, 7), 30);
	drop_tree(&t);
}

/* The largest 64 have a name, and none while process detail is shed. */
static void the_largest_are_named(void **state)
{
	struct test *f = *state;

	rise(f);
	for (uint32_t pid = 1; pid <= 65; pid++)
		did(f, "blkio", 102, pid, 1000 + pid);
	assert_int_equal(told_of(f, f->mono, 102, 2), 1002);
	assert_int_equal(f->s->n_tasks, 65);
	assert_int_equal(f->s->tasks[64].pid, 0);
	assert_int_equal(f->s->tasks[64].amount[1], 1001);
	for (uint32_t pid = 1; pid <= 65; pid++)
		did(f, "blkio", 102, pid, 2000 + pid);
	f->s->shed.govern.level = STALL_LEVEL_SLOTS;
	assert_int_equal(told_of(f, f->mono, 102, 0), 65 * 1000);
}

#define RES_TEST(f) cmocka_unit_test_setup_teardown(f, setup_res, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RES_TEST(processes_of_io_share_their_part),
		RES_TEST(processes_of_memory_share_their_part),
		RES_TEST(only_what_came_since_the_last_look_counts),
		RES_TEST(who_did_nothing_for_a_minute_is_given_back),
		RES_TEST(what_was_done_before_the_probe_was_attached_is_forgotten),
		RES_TEST(the_largest_are_named),
		RES_TEST(processes_of_a_v1_cgroup_are_those_of_the_same_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
