/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What was measured is not lost. */
#include "test_out.h"

#include "collect.h"
#include "identity.h"

#include <linnix/ev_workload.h>
#include <linnix/svc_core.h>
#include <sodium.h>
#include <unistd.h>

static int status_json(void *self, struct lnx_buf *out)
{
	(void)self;
	lnx_buf_str(out, "{\"probes\":[{\"name\":\"proc\",\"state\":\"attached\"}]}");
	return lnx_buf_error(out);
}

static const struct lnx_svc_core core = { .size = sizeof(core), .status_json = status_json };
static char dir[] = "/tmp/lnx-collect-XXXXXX";

static const struct collect_ask nothing = { .cgroup = "", .output_sha256 = "" };

/* A task of ours is measured. */
static void measure(void)
{
	static struct identity_secret secret;
	static struct identity identity = { .secret = &secret };
	struct collect_ask ask = nothing;
	char why[TASK_ERROR] = "";

	ask.pid = (uint64_t)getpid();
	add_task();
	assert_int_equal(
		crypto_sign_seed_keypair(identity.ed25519, secret.ed25519, secret.ed25519_seed), 0);
	f.s.identity = &identity;
	f.conf.events_dir = dir;
	f.conf.events_max = 1u << 30;
	assert_int_equal(testhost_provide(f.t, "core/1", &core, NULL), 0);
	f.task.role = TASK_PAYEE;
	f.task.status = TASK_CREATED;
	f.task.deadline = 1000;
	memcpy(f.task.payee, f.s.address, 20);
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_OFFERED); /* fits */
	if (collect_begin(&f.s, &f.task, &ask, why) < 0)
		fail_msg("%s", why);
}

static void forget_events(void)
{
	char path[600], id[67];

	hex_format(f.task.id, 32, id);
	(void)snprintf(path, sizeof(path), "%s/%s.events", dir, id); /* fits */
	(void)unlink(path);
}

/* Nothing was seen of it: whoever is paid for that is paid for nothing. */
static void without_an_event_there_is_no_receipt(void **state)
{
	char why[TASK_ERROR] = "";

	(void)state;
	measure();
	assert_int_equal(collect_finish(&f.s, &f.task, &nothing, why), 0);
	testhost_jobs_inline(f.t, 1);
	for (unsigned i = 0; i < 40; i++)
		assert_true(testhost_advance(f.t, SETTLE_SEC / 2) >= 0);
	assert_string_equal(f.task.phase, PHASE_OFFERED);
	assert_string_equal(f.task.reason,
			    "nothing was measured: without a single event there is no receipt");
	assert_null(op_find(&f.s, OP_SUBMIT, f.task.id, ""));
	forget_events();
}

/* The root has all of them, the file no more than it may: nobody fills the disk with events. */
static void the_file_of_events_has_a_bound(void **state)
{
	struct leaf leaf = { .type = "proc.exec", .pid = 1 };
	struct lnx_buf out = { 0 };
	struct collector *c;

	(void)state;
	measure();
	c = f.s.collectors;
	f.conf.events_max = 1000;
	for (unsigned i = 0; i < 10; i++)
		collect_leaf(c, &leaf);
	assert_int_equal(c->tree.n, 10);
	assert_true(c->spool.size > 200 && c->spool.size <= 1000);
	assert_int_equal(c->spool_bytes, c->spool.size);
	assert_true(c->spool_lost > 0 && c->spool_lost < 10);
	f.conf.events_max = 100000; /* no more: one is missing already */
	collect_leaf(c, &leaf);
	assert_int_equal(c->spool_bytes, c->spool.size);
	task_json(&f.s, &f.task, &out);
	assert_non_null(strstr(out.data, "\"events\":11,"));
	assert_null(strstr(out.data, "\"not_in_file\":0"));
	lnx_buf_done(&out);
	collect_done(&f.s);
	forget_events();
}

static void a_cgroup_too_many_is_told(void **state)
{
	struct lnx_ev_cgroup ev = {
		.h = { .size = sizeof(ev), .type = LNX_EV_CGROUP_NEW, .fixed = sizeof(ev) }
	};
	struct collector *c;

	(void)state;
	measure();
	c = f.s.collectors;
	c->cgroups[c->n_cgroups++] = 7;
	ev.parent_id = 7;
	for (uint64_t id = 100; id < 115; id++) {
		ev.cgroup_id = id;
		assert_int_equal(collect_event(&f.s, &ev.h), 0);
	}
	assert_int_equal(c->n_cgroups, 16);
	assert_false(c->is_degraded);
	ev.cgroup_id++;
	assert_int_equal(collect_event(&f.s, &ev.h), 0);
	assert_true(c->is_degraded);
	collect_done(&f.s);
	forget_events();
}

/* The outbox is full when the work ends: its receipt is made when there is room. */
static void measured_work_waits_for_room(void **state)
{
	static const uint8_t leaf[32] = { 1 };
	char why[TASK_ERROR] = "";

	(void)state;
	measure();
	merkle_add(&f.s.collectors->tree, leaf);
	f.s.collectors->seq = 1;
	assert_int_equal(collect_finish(&f.s, &f.task, &nothing, why), 0);
	f.s.n_ops = SETTLE_OPS;
	testhost_jobs_inline(f.t, 1);
	for (unsigned i = 0; i < 40; i++)
		assert_true(testhost_advance(f.t, SETTLE_SEC / 2) >= 0);
	assert_string_equal(f.task.phase, PHASE_RUNNING);
	assert_non_null(strstr(f.task.reason, "no receipt could be made yet"));
	assert_int_equal(f.s.n_collectors, 1);
	f.s.n_ops = 0;
	for (unsigned i = 0; i < 4; i++)
		assert_true(testhost_advance(f.t, SETTLE_SEC / 2) >= 0);
	assert_string_equal(f.task.phase, PHASE_PROVEN);
	assert_int_equal(f.s.n_collectors, 0);
	assert_non_null(op_find(&f.s, OP_SUBMIT, f.task.id, ""));
	free(f.task.receipt);
	forget_events();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_file_of_events_has_a_bound),
		TEST(a_cgroup_too_many_is_told),
		TEST(without_an_event_there_is_no_receipt),
		TEST(measured_work_waits_for_room),
	};
	int rc;

	if (sodium_init() < 0 || !mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return rc;
}
