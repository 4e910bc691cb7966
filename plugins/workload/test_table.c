/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of cgroups: names, slots, bounds, who is whose child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

static struct workload_entry *put(struct workload_table *t, uint64_t id, uint64_t up,
				  const char *path, uint64_t now)
{
	bool changed;

	return workload_table_put(t, id, up, path, strlen(path), now, &changed);
}

static void hosts_are_named_by_their_unit_without_instances(void **state)
{
	static const struct {
		const char *path, *name;
		uint32_t kind;
	} rows[] = {
		{ "/system.slice/ssh.service", "ssh.service", LNX_WL_UNIT },
		{ "/system.slice/system-getty.slice/getty@tty1.service", "getty.service",
		  LNX_WL_UNIT },
		{ "/system.slice/run-r0123456789abcdef0123456789abcdef.scope", "run.scope",
		  LNX_WL_UNIT },
		{ "/user.slice/user-1000.slice/session-42.scope", "session.scope", LNX_WL_SESSION },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service/sub",
		  "x.service", LNX_WL_UNIT },
		{ "/jobs/bully", "jobs/bully", LNX_WL_OTHER },
		{ "/system.slice/cafe.service", "cafe.service", LNX_WL_UNIT },
		/* words of the letters a to f are words */
		{ "/system.slice/app-fe.service", "app-fe.service", LNX_WL_UNIT },
		{ "/system.slice/app-be.service", "app-be.service", LNX_WL_UNIT },
		{ "/system.slice/payment-db.service", "payment-db.service", LNX_WL_UNIT },
		{ "/system.slice/my-facade.service", "my-facade.service", LNX_WL_UNIT },
		{ "/system.slice/zone-defaced.service", "zone-defaced.service", LNX_WL_UNIT },
		{ "/system.slice/log-deadbeef.service", "log-deadbeef.service", LNX_WL_UNIT },
		{ "/system.slice/video-r.service", "video-r.service", LNX_WL_UNIT },
		{ "/system.slice/video-ra.service", "video-ra.service", LNX_WL_UNIT },
		{ "/system.slice/cache-l2.service", "cache-l2.service", LNX_WL_UNIT },
		{ "/system.slice/mail-b2b.service", "mail-b2b.service", LNX_WL_UNIT },
		{ "/system.slice/run-cafe.service", "run-cafe.service", LNX_WL_UNIT },
		{ "/system.slice/run-u.service", "run-u.service", LNX_WL_UNIT },
		{ "/system.slice/session-log.service", "session-log.service", LNX_WL_UNIT },
		{ "/system.slice/-7.service", "-7.service", LNX_WL_UNIT },
		/* numbers and ids as programs make them */
		{ "/system.slice/redis-6379.service", "redis.service", LNX_WL_UNIT },
		{ "/system.slice/run-u12.service", "run.service", LNX_WL_UNIT },
		{ "/system.slice/run-p881-i882.scope", "run.scope", LNX_WL_UNIT },
		{ "/system.slice/run-4711.scope", "run.scope", LNX_WL_UNIT },
		{ "/user.slice/user-0.slice/session-c2.scope", "session.scope", LNX_WL_SESSION },
		{ "/a/app-shell-00b1c2d3.scope", "app-shell.scope", LNX_WL_UNIT },
		{ "/a/app-shell-4711.scope", "app-shell.scope", LNX_WL_UNIT },
		{ "/a/vte-spawn-01b9d6bc-bbfd-4b2d-9b5d-ab8dfbbd4bed.scope", "vte-spawn.scope",
		  LNX_WL_UNIT },
		{ "/", "/", LNX_WL_ROOT },
	};
	struct workload_table t;
	unsigned i;

	(void)state;
	assert_int_equal(workload_table_init(&t, 100), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workload_entry *e = put(&t, i + 1, 0, rows[i].path, 1);

		assert_non_null(e);
		assert_string_equal(e->name, rows[i].name);
		assert_int_equal(e->kind, rows[i].kind);
	}
	workload_table_done(&t);
}

static void slot_of_a_cgroup_is_its_container_or_unit(void **state)
{
	char path[200], sub[220];
	struct workload_table t;

	(void)state;
	(void)snprintf(path, sizeof(path), "/docker/%064d", 7);
	(void)snprintf(sub, sizeof(sub), "%s/inner", path);
	assert_int_equal(workload_table_init(&t, 100), 0);
	(void)put(&t, 1, 0, "/", 1);
	(void)put(&t, 2, 1, "/docker", 1);
	(void)put(&t, 3, 2, path, 1);
	(void)put(&t, 4, 3, sub, 1);
	(void)put(&t, 5, 1, "/a.service", 1);
	(void)put(&t, 6, 5, "/a.service/x", 1);
	(void)put(&t, 7, 6, "/a.service/x/y", 1);
	assert_int_equal(workload_table_slot(&t, workload_table_get(&t, 4))->id, 3);
	assert_int_equal(workload_table_slot(&t, workload_table_get(&t, 3))->id, 3);
	assert_int_equal(workload_table_slot(&t, workload_table_get(&t, 7))->id, 5);
	assert_int_equal(workload_table_slot(&t, workload_table_get(&t, 2))->id, 2);
	assert_false(workload_is_slot(&t, workload_table_get(&t, 2))); /* only a folder of others */
	assert_true(workload_is_slot(&t, workload_table_get(&t, 3)));
	assert_false(workload_is_slot(&t, workload_table_get(&t, 4)));
	workload_table_done(&t);
}

static void table_is_bounded_and_the_removed_give_way(void **state)
{
	struct workload_table t;
	uint64_t i;

	(void)state;
	assert_int_equal(workload_table_init(&t, 4), 0);
	for (i = 1; i <= 4; i++)
		assert_non_null(put(&t, i, 0, "/x", 1));
	assert_null(put(&t, 5, 0, "/x", 1));
	assert_int_equal(t.refused, 1);
	workload_table_gone(&t, workload_table_get(&t, 2), 10);
	assert_non_null(put(&t, 5, 0, "/x", 11));
	assert_null(workload_table_get(&t, 2));
	workload_table_gone(&t, workload_table_get(&t, 1), 20);
	workload_table_expire(&t, 25, 10);
	assert_non_null(workload_table_get(&t, 1));
	workload_table_expire(&t, 31, 10);
	assert_null(workload_table_get(&t, 1));
	assert_int_equal(t.n, 3);
	workload_table_done(&t);
}

/* The event of a folder was lost, and a walk brings it in after its children. */
static void children_that_come_before_their_parent_are_its_children(void **state)
{
	struct workload_table t;

	(void)state;
	assert_int_equal(workload_table_init(&t, 100), 0);
	(void)put(&t, 1, 0, "/", 1);
	(void)put(&t, 3, 2, "/jobs/a", 1);
	(void)put(&t, 4, 2, "/jobs/b", 1);
	(void)put(&t, 2, 1, "/jobs", 2);
	assert_false(workload_is_slot(&t, workload_table_get(&t, 2))); /* only a folder of others */
	workload_table_gone(&t, workload_table_get(&t, 3), 3);
	assert_false(workload_is_slot(&t, workload_table_get(&t, 2)));
	workload_table_gone(&t, workload_table_get(&t, 4), 3);
	assert_true(workload_is_slot(&t, workload_table_get(&t, 2)));
	/* One that is there again after all, and one whose end comes before its parent is known. */
	(void)put(&t, 4, 2, "/jobs/b", 4);
	assert_false(workload_is_slot(&t, workload_table_get(&t, 2)));
	(void)put(&t, 6, 5, "/more/a", 4);
	workload_table_gone(&t, workload_table_get(&t, 6), 5);
	(void)put(&t, 5, 1, "/more", 6);
	assert_true(workload_is_slot(&t, workload_table_get(&t, 5)));
	/* A parent that is forgotten leaves its children as they were before it came. */
	workload_table_gone(&t, workload_table_get(&t, 2), 7);
	workload_table_expire(&t, 20, 10);
	assert_null(workload_table_get(&t, 2));
	(void)put(&t, 2, 1, "/jobs", 21);
	assert_false(workload_is_slot(&t, workload_table_get(&t, 2)));
	workload_table_gone(&t, workload_table_get(&t, 4), 22);
	assert_true(workload_is_slot(&t, workload_table_get(&t, 2)));
	workload_table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_named_by_their_unit_without_instances),
		cmocka_unit_test(slot_of_a_cgroup_is_its_container_or_unit),
		cmocka_unit_test(table_is_bounded_and_the_removed_give_way),
		cmocka_unit_test(children_that_come_before_their_parent_are_its_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
