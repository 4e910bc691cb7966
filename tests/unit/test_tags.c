/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of names: fed by events alone, bounded, ended cgroups remembered for a while. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linnix/ev_workload.h>

#include "tags.h"

#define SECOND 1000000000ull

struct update {
	struct lnx_ev_workload_update u;
	char text[256];
};

static void add(struct update *e, struct lnx_str *s, const char *text)
{
	size_t n = strlen(text);

	memcpy((char *)e + e->u.h.size, text, n);
	s->off = (uint16_t)e->u.h.size;
	s->len = (uint16_t)n;
	e->u.h.size += (uint32_t)n;
}

static void tell(struct lnx_tags *t, uint64_t id, const char *ns, const char *pod, uint64_t ts_ns)
{
	struct update e = { 0 };

	e.u.h.type = LNX_EV_WORKLOAD_UPDATE;
	e.u.h.fixed = sizeof(e.u);
	e.u.h.size = sizeof(e.u);
	e.u.h.ts_ns = ts_ns;
	e.u.cgroup_id = id;
	add(&e, &e.u.namespace_, ns);
	add(&e, &e.u.pod_name, pod);
	add(&e, &e.u.path, "/kubepods/x");
	lnx_tags_event(t, &e.u.h);
}

static void end(struct lnx_tags *t, uint64_t id, uint64_t ts_ns)
{
	struct lnx_ev_cgroup e = { .h = { sizeof(e), LNX_EV_CGROUP_GONE, sizeof(e), ts_ns, 0, 0 },
				   .cgroup_id = id };

	lnx_tags_event(t, &e.h);
}

static const char *pod_of(struct lnx_tags *t, uint64_t id)
{
	struct lnx_tag tag = { .size = sizeof(tag) };

	(void)lnx_tags_get(t, id, &tag);
	return tag.pod_name;
}

static struct lnx_tags_stats stats_of(struct lnx_tags *t)
{
	struct lnx_tags_stats s;

	lnx_tags_stats(t, &s);
	return s;
}

static void a_cgroup_has_the_names_that_the_last_event_gave(void **state)
{
	struct lnx_tags *t = lnx_tags_new();
	struct lnx_tag tag = { .size = sizeof(tag) };

	(void)state;
	assert_int_equal(lnx_tags_get(t, 7, &tag), -ENOENT);
	assert_string_equal(tag.namespace_, "");
	assert_string_equal(tag.container_id, "");
	tell(t, 7, "", "", SECOND);
	tell(t, 7, "prod", "web-1", 2 * SECOND);
	assert_int_equal(lnx_tags_get(t, 7, &tag), 0);
	assert_string_equal(tag.namespace_, "prod");
	assert_string_equal(tag.pod_name, "web-1");
	assert_string_equal(tag.path, "/kubepods/x");
	assert_string_equal(tag.container_name, "");
	assert_int_equal(tag.gone_ns, 0);
	assert_int_equal(stats_of(t).n, 1);
	assert_int_equal(lnx_tags_get(NULL, 7, &tag), -ENOENT);
	assert_int_equal(lnx_tags_get(t, 0, &tag), -ENOENT);
	lnx_tags_free(t);
}

static void an_ended_cgroup_is_remembered_for_five_minutes(void **state)
{
	struct lnx_tags *t = lnx_tags_new();
	struct lnx_tag tag = { .size = sizeof(tag) };

	(void)state;
	tell(t, 7, "prod", "web-1", SECOND);
	end(t, 7, 10 * SECOND);
	end(t, 7, 11 * SECOND); /* once is enough */
	end(t, 99, 11 * SECOND);
	assert_int_equal(lnx_tags_get(t, 7, &tag), 0);
	assert_int_equal(tag.gone_ns, 10 * SECOND);
	/* names that come late are still taken */
	tell(t, 7, "prod", "web-2", 12 * SECOND);
	assert_string_equal(pod_of(t, 7), "web-2");
	assert_int_equal(stats_of(t).n_gone, 1);
	tell(t, 8, "prod", "api", 310 * SECOND);
	assert_string_equal(pod_of(t, 7), "web-2");
	tell(t, 8, "prod", "api", 311 * SECOND);
	assert_int_equal(lnx_tags_get(t, 7, &tag), -ENOENT);
	assert_int_equal(stats_of(t).n, 1);
	assert_int_equal(stats_of(t).forgotten, 0);
	lnx_tags_free(t);
}

static void churn_stays_bounded_and_what_gives_way_is_counted(void **state)
{
	struct lnx_tags *t = lnx_tags_new();
	uint64_t id;

	(void)state;
	for (id = 1; id <= 10000; id++) {
		tell(t, id, "ci", "job", id * 1000000);
		end(t, id, id * 1000000);
	}
	assert_int_equal(stats_of(t).n, LNX_TAGS_GONE_MAX);
	assert_int_equal(stats_of(t).forgotten, 10000 - LNX_TAGS_GONE_MAX);
	assert_string_equal(pod_of(t, 1), "");
	assert_string_equal(pod_of(t, 10000), "job");
	for (id = 20001; id <= 40000; id++)
		tell(t, id, "ci", "lives", 20 * SECOND);
	assert_int_equal(stats_of(t).n, LNX_TAGS_MAX);
	assert_int_equal(stats_of(t).n_gone, 0);
	assert_int_equal(stats_of(t).refused, 20000 - LNX_TAGS_MAX);
	assert_string_equal(pod_of(t, 20001), "lives");
	lnx_tags_free(t);
}

static int count(void *arg, const struct lnx_tag *tag)
{
	assert_string_equal(tag->namespace_, "ci");
	return ++*(int *)arg == 3;
}

static void each_visits_all_until_told_to_stop(void **state)
{
	struct lnx_tags *t = lnx_tags_new();
	int n = 0;

	(void)state;
	tell(t, 1, "ci", "a", 1);
	tell(t, 2, "ci", "b", 1);
	lnx_tags_each(t, count, &n);
	assert_int_equal(n, 2);
	tell(t, 3, "ci", "c", 1);
	tell(t, 4, "ci", "d", 1);
	n = 0;
	lnx_tags_each(t, count, &n);
	assert_int_equal(n, 3);
	lnx_tags_free(t);
}

static void an_event_of_an_older_producer_is_passed_over(void **state)
{
	struct lnx_event old = { sizeof(old), LNX_EV_WORKLOAD_UPDATE, sizeof(old), 1, 0, 0 };
	struct lnx_tags *t = lnx_tags_new();

	(void)state;
	lnx_tags_event(t, &old);
	old.type = LNX_EV_CGROUP_GONE;
	lnx_tags_event(t, &old);
	old.type = LNX_EV_PROC_FORK;
	lnx_tags_event(t, &old);
	assert_int_equal(stats_of(t).n, 0);
	lnx_tags_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cgroup_has_the_names_that_the_last_event_gave),
		cmocka_unit_test(an_ended_cgroup_is_remembered_for_five_minutes),
		cmocka_unit_test(churn_stays_bounded_and_what_gives_way_is_counted),
		cmocka_unit_test(each_visits_all_until_told_to_stop),
		cmocka_unit_test(an_event_of_an_older_producer_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
