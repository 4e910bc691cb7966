/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Quotas and their owners, on a tree of files such as the kernel's: cgroup v2's cpu.max and v1's cpu.cfs_quota_us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "who.h"

#define SEC 1000000000ULL

struct test {
	char dir[64];
	struct stall_whos w;
	struct stall_who *who;
};

static const char *const folders[] = { "/pods", "/pods/pod1", "/pods/pod1/app" };

static void write_file(const struct test *f, const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s%s/%s", f->dir, folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **ret)
{
	struct test *f = calloc(1, sizeof(*f));
	struct lnx_workload w = { .size = sizeof(w),
				  .path = folders[2],
				  .workload = "app",
				  .namespace_ = "",
				  .pod_name = "",
				  .pod_uid = "",
				  .container_name = "",
				  .container_id = "",
				  .runtime = "",
				  .qos = "" };
	char path[256];
	uint32_t i;

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/linnix-limit.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	for (i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->dir, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	assert_int_equal(stall_whos_init(&f->w), 0);
	i = stall_who_make(&f->w, 42, SEC, SEC);
	assert_int_equal(stall_who_name(&f->w.who[i], &w, SEC), 0);
	f->who = &f->w.who[i];
	*ret = f;
	return 0;
}

static int teardown(void **ret)
{
	static const char *const files[] = { "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us" };
	struct test *f = *ret;
	char path[256];

	for (int i = 2; i >= 0; i--) {
		for (int k = 0; k < 3; k++) {
			(void)snprintf(path, sizeof(path), "%s%s/%s", f->dir, folders[i], files[k]);
			(void)unlink(path); /* most are not there */
		}
		(void)snprintf(path, sizeof(path), "%s%s", f->dir, folders[i]);
		(void)rmdir(path); /* reported below */
	}
	assert_int_equal(rmdir(f->dir), 0);
	stall_whos_done(&f->w);
	free(f);
	return 0;
}

static void mount(struct test *f, int is_v1)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       is_v1 ? "25 1 0:22 / %s rw - cgroup cgroup rw,cpu,cpuacct\n"
			     : "25 1 0:22 / %s rw shared:4 - cgroup2 cgroup2 rw\n",
		       f->dir);
	stall_whos_mounts(&f->w, text);
}

/* The quota at <depth>, as shown. */
static const struct stall_limit *limit(struct test *f, uint32_t depth, uint64_t owner, uint64_t now)
{
	uint16_t i = stall_who_limit(&f->w, f->who, depth, owner, now, 3600 * SEC);

	return i ? &f->w.limits[i] : NULL;
}

static void cpu_max_of_the_cgroup_and_of_its_ancestors(void **state)
{
	struct test *f = *state;
	const struct stall_limit *l;

	mount(f, 0);
	write_file(f, folders[0], "cpu.max", "200000 100000\n");
	write_file(f, folders[1], "cpu.max", "max 100000\n");
	write_file(f, folders[2], "cpu.max", "5000 20000\n");
	l = limit(f, 1, 0, SEC);
	assert_non_null(l);
	assert_string_equal(l->owner, "/pods");
	assert_string_equal(l->text, "cpu.max 200000 100000");
	l = limit(f, 3, 0, SEC);
	assert_non_null(l);
	assert_string_equal(l->owner, "/pods/pod1/app");
	assert_string_equal(l->text, "cpu.max 5000 20000");
	assert_null(limit(f, 2, 0, SEC)); /* no quota there */
	assert_null(limit(f, 4, 0, SEC)); /* nothing so deep */
	assert_null(limit(f, 0, 0, SEC));
}

static void owner_that_is_known_by_its_id(void **state)
{
	struct test *f = *state;
	const struct stall_limit *l;
	char path[256];
	struct stat st;

	mount(f, 0);
	write_file(f, folders[1], "cpu.max", "50000 100000\n");
	(void)snprintf(path, sizeof(path), "%s%s", f->dir, folders[1]);
	assert_int_equal(stat(path, &st), 0);
	/* Too deep for its depth to be told, or not known at all. */
	for (uint32_t depth = 0; depth < STALL_DEPTHS; depth += STALL_DEPTHS - 1) {
		l = limit(f, depth, st.st_ino, SEC);
		assert_non_null(l);
		assert_string_equal(l->owner, "/pods/pod1");
	}
	f->who->limit_ns = 0;
	assert_null(limit(f, STALL_DEPTHS - 1, st.st_ino + 1000000, 100 * SEC));
}

static void a_changed_quota_is_seen_within_ten_seconds(void **state)
{
	struct test *f = *state;

	mount(f, 0);
	write_file(f, folders[2], "cpu.max", "5000 20000\n");
	assert_string_equal(limit(f, 3, 0, 20 * SEC)->text, "cpu.max 5000 20000");
	write_file(f, folders[2], "cpu.max", "9000 20000\n");
	assert_string_equal(limit(f, 3, 0, 25 * SEC)->text, "cpu.max 5000 20000");
	assert_string_equal(limit(f, 3, 0, 31 * SEC)->text, "cpu.max 9000 20000");
}

static void v1_has_quota_and_period_apart(void **state)
{
	struct test *f = *state;
	const struct stall_limit *l;

	mount(f, 1);
	write_file(f, folders[1], "cpu.cfs_quota_us", "30000\n");
	write_file(f, folders[1], "cpu.cfs_period_us", "100000\n");
	write_file(f, folders[2], "cpu.cfs_quota_us", "-1\n");
	write_file(f, folders[2], "cpu.cfs_period_us", "100000\n");
	l = limit(f, 2, 0, SEC);
	assert_non_null(l);
	assert_string_equal(l->owner, "/pods/pod1");
	assert_string_equal(l->text, "cpu.cfs_quota_us 30000 100000");
	assert_null(limit(f, 3, 0, SEC));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Owners come and go for days: what nothing names any more makes room, and what is named does not. */
static void places_of_limits_are_given_back(void **state)
{
	struct test *f = *state;
	char owner[32];
	uint16_t i;

	for (unsigned n = 1; n < STALL_LIMITS_MAX; n++) {
		(void)snprintf(owner, sizeof(owner), "/pod%u", n);
		assert_int_equal(stall_limit_put(&f->w, owner, "cpu.max 1 2", n * SEC, 3600 * SEC),
				 n);
	}
	f->who->limit[3] = 1;
	assert_int_equal(stall_limit_put(&f->w, "/late", "cpu.max 1 2", 600 * SEC, 3600 * SEC), 0);
	assert_int_equal(f->w.limits_refused, 1);
	assert_int_equal(stall_limit_put(&f->w, "/pod1", "cpu.max 1 2", 3000 * SEC, 3600 * SEC), 1);
	i = stall_limit_put(&f->w, "/late", "cpu.max 1 2", 3700 * SEC, 3600 * SEC);
	assert_int_equal(i, 2);
	assert_string_equal(f->w.limits[i].owner, "/late");
	assert_string_equal(f->w.limits[1].owner, "/pod1");
	assert_int_equal(f->who->limit[3], 1);
	assert_int_equal(stall_limit_put(&f->w, "/more", "cpu.max 1 2", 9000 * SEC, 3600 * SEC), 3);
	f->who->limit[3] = 4;
	assert_int_equal(stall_limit_put(&f->w, "/most", "cpu.max 1 2", 9000 * SEC, 3600 * SEC), 4);
	assert_int_equal(f->who->limit[3], 0);
	assert_int_equal(f->w.limits_refused, 1);
}

/* Names of cgroups that nothing names any more make room, too. */
static void places_of_names_are_given_back(void **state)
{
	struct test *f = *state;
	struct stall_whos *w = &f->w;
	uint64_t id = 1000;

	while (w->n < STALL_WHO_MAX)
		assert_true(stall_who_make(w, id++, 100 * SEC, 3600 * SEC) >= STALL_WHO_FIRST);
	assert_int_equal(stall_who_make(w, id, 3000 * SEC, 3600 * SEC), STALL_WHO_OTHER);
	assert_int_equal(w->refused, 1);
	for (uint32_t i = STALL_WHO_FIRST; i < w->n; i++)
		w->who[i].used_ns = 3000 * SEC;
	w->who[stall_who_find(w, 2000)].used_ns = 200 * SEC;
	w->is_new = 0;
	assert_true(stall_who_make(w, id, 4000 * SEC, 3600 * SEC) >= STALL_WHO_FIRST);
	assert_true(w->is_new);
	assert_int_equal(w->refused, 1);
	assert_int_equal(stall_who_find(w, 2000), STALL_WHO_NONE);
	for (uint64_t k = 1000; k <= id; k++)
		if (k != 2000)
			assert_int_equal(w->who[stall_who_find(w, k)].cgroup_id, k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cpu_max_of_the_cgroup_and_of_its_ancestors),
		TEST(owner_that_is_known_by_its_id),
		TEST(a_changed_quota_is_seen_within_ten_seconds),
		TEST(v1_has_quota_and_period_apart),
		TEST(places_of_limits_are_given_back),
		TEST(places_of_names_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
