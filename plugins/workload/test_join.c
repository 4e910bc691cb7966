/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names of Kubernetes: taken when a cgroup appears, when its pod becomes known later, and never taken back. */
#define LNX_EVENT_TABLES
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/ev_workload.h>
#include <linnix/svc_k8s.h>
#include <linnix/svc_workload.h>

#include "testhost.h"

#define SECOND 1000000000ull
#define UID    "c066a0f7-0a01-4065-9e7a-a9306ef153f3"
#define CID_A  "39f9534389615d7f7976d186f77546e7cacf4cbdf89c6461c394002afaa89559"
#define CID_B  "a7b7c6ee51f107f0c1c1f170a6db323ad4af3107d35c39db9b4b0259282d12ad"
#define POD    "/kubepods/burstable/pod" UID

/* What the cluster knows. */
struct cluster {
	struct testhost *t;
	const struct lnx_svc_workload *svc;
	void *self;
	int knows_pod, knows_a;
	uint16_t type;
	char root[64];
};

static int fake_find(void *self, const char *pod_uid, const char *container_id,
		     struct lnx_k8s_who *w)
{
	const struct cluster *c = self;

	*w = (struct lnx_k8s_who){ .size = sizeof(*w),
				   .namespace_ = "shop",
				   .pod_name = "bu",
				   .pod_uid = UID,
				   .container_name = "",
				   .workload = "bu",
				   .qos = "burstable",
				   .owner_channel = "#shop",
				   .slo_tier = "gold" };
	if (!c->knows_pod ||
	    (strcmp(pod_uid, UID) != 0 && (!c->knows_a || strcmp(container_id, CID_A) != 0)))
		return -ENOENT;
	if (c->knows_a && !strcmp(container_id, CID_A)) {
		w->container_name = "a";
		w->cpu_request_millicores = 50;
	}
	return 0;
}

static int fake_containers(void *self, const char *pod_uid, int (*each)(void *arg, const char *id),
			   void *arg)
{
	const struct cluster *c = self;

	if (strcmp(pod_uid, UID) != 0 || !c->knows_a)
		return 0;
	(void)each(arg, CID_A);
	return 1;
}

static const struct lnx_svc_k8s fake_k8s = { sizeof(fake_k8s), 0, fake_find, fake_containers,
					     NULL };

static void begin(struct cluster *c)
{
	static const struct lnx_event_desc desc = {
		.size = sizeof(desc),
		.fixed = sizeof(struct lnx_ev_k8s_pod),
		.name = "k8s.pod",
		.doc = "",
		.fields = lnx_fields_k8s_pod,
		.n_fields = sizeof(lnx_fields_k8s_pod) / sizeof(lnx_fields_k8s_pod[0]),
	};
	char text[128];
	int type;

	memset(c, 0, sizeof(*c));
	(void)snprintf(c->root, sizeof(c->root), "/tmp/lnx-join-XXXXXX");
	assert_non_null(mkdtemp(c->root));
	c->t = testhost_new();
	type = testhost_register(c->t, &desc);
	assert_true(type > 0);
	c->type = (uint16_t)type;
	(void)snprintf(text, sizeof(text), "cgroup_root=%s", c->root);
	assert_int_equal(testhost_conf(c->t, text), 0);
	assert_int_equal(testhost_provide(c->t, "k8s/1", &fake_k8s, c), 0);
	assert_int_equal(testhost_set_wanted(c->t, "workload.update", 1), 0);
	if (testhost_load(c->t, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(c->t));
	c->svc = testhost_service(c->t, "workload/1", &c->self);
	testhost_clear(c->t);
}

static void end(struct cluster *c)
{
	testhost_free(c->t);
	(void)rmdir(c->root);
}

static void cgroup(struct cluster *c, uint64_t id, uint64_t parent_id, const char *path)
{
	union {
		struct lnx_ev_cgroup ev;
		char bytes[1024];
	} u;

	memset(&u, 0, sizeof(u));
	u.ev.h.type = path ? LNX_EV_CGROUP_NEW : LNX_EV_CGROUP_GONE;
	u.ev.h.size = u.ev.h.fixed = sizeof(u.ev);
	u.ev.cgroup_id = id;
	u.ev.parent_id = parent_id;
	assert_int_equal(testhost_str(&u.ev.h, sizeof(u), &u.ev.path, path ? path : ""), 0);
	assert_int_equal(testhost_deliver(c->t, &u.ev.h), 0);
}

static void pod_changed(struct cluster *c)
{
	union {
		struct lnx_ev_k8s_pod ev;
		char bytes[256];
	} u;

	memset(&u, 0, sizeof(u));
	u.ev.h.type = c->type;
	u.ev.h.size = u.ev.h.fixed = sizeof(u.ev);
	assert_int_equal(testhost_str(&u.ev.h, sizeof(u), &u.ev.pod_uid, UID), 0);
	assert_int_equal(testhost_deliver(c->t, &u.ev.h), 0);
}

/* "namespace/pod/container" of a cgroup. */
static const char *who(struct cluster *c, uint64_t id)
{
	static char text[256];
	struct lnx_workload w = { .size = sizeof(w) };

	assert_int_equal(c->svc->get(c->self, id, &w), 0);
	(void)snprintf(text, sizeof(text), "%s/%s/%s", w.namespace_, w.pod_name, w.container_name);
	return text;
}

static void a_cgroup_of_a_known_pod_is_named_at_once(void **state)
{
	const struct lnx_ev_workload_update *u;
	struct lnx_workload w = { .size = sizeof(w) };
	struct cluster c;

	(void)state;
	begin(&c);
	c.knows_pod = c.knows_a = 1;
	cgroup(&c, 10, 1, POD);
	cgroup(&c, 11, 10, POD "/" CID_A);
	assert_string_equal(who(&c, 10), "shop/bu/");
	assert_string_equal(who(&c, 11), "shop/bu/a");
	assert_int_equal(testhost_count(c.t, "workload.update"), 2);
	u = (const void *)testhost_last(c.t, "workload.update");
	assert_memory_equal((const char *)u + u->namespace_.off, "shop", 4);
	assert_memory_equal((const char *)u + u->container_name.off, "a", 1);
	assert_int_equal(u->cpu_request_millicores, 50);
	assert_int_equal(u->slo_tier.len, 4);
	assert_int_equal(c.svc->get(c.self, 11, &w), 0);
	assert_string_equal(w.workload, "bu");
	assert_string_equal(w.owner_channel, "#shop");
	assert_string_equal(w.container_id, CID_A);
	end(&c);
}

static void names_that_come_late_are_told_once(void **state)
{
	struct cluster c;

	(void)state;
	begin(&c);
	cgroup(&c, 10, 1, POD);
	cgroup(&c, 11, 10, POD "/" CID_A);
	cgroup(&c, 12, 10, POD "/" CID_B);
	cgroup(&c, 20, 1, "/kubepods/besteffort/pod00000000-0000-0000-0000-000000000000");
	assert_string_equal(who(&c, 11), "//");
	testhost_clear(c.t);
	c.knows_pod = 1;
	pod_changed(&c);
	assert_int_equal(testhost_count(c.t, "workload.update"), 3);
	assert_string_equal(who(&c, 11), "shop/bu/");
	assert_string_equal(who(&c, 20), "//");
	c.knows_a = 1;
	pod_changed(&c);
	assert_int_equal(testhost_count(c.t, "workload.update"), 4); /* only a is new */
	assert_string_equal(who(&c, 11), "shop/bu/a");
	assert_string_equal(who(&c, 12), "shop/bu/"); /* never the name of another container */
	pod_changed(&c);
	assert_int_equal(testhost_count(c.t, "workload.update"), 4);
	end(&c);
}

static void a_name_is_never_taken_back(void **state)
{
	struct cluster c;

	(void)state;
	begin(&c);
	c.knows_pod = c.knows_a = 1;
	cgroup(&c, 11, 10, POD "/" CID_A);
	cgroup(&c, 11, 10, NULL);
	c.knows_a = 0; /* it ended: the API tells of it no more */
	pod_changed(&c);
	assert_string_equal(who(&c, 11), "shop/bu/a");
	c.knows_pod = 0;
	pod_changed(&c);
	assert_string_equal(who(&c, 11), "shop/bu/a");
	/* another path is another container */
	cgroup(&c, 11, 10, "/kubepods/elsewhere");
	assert_string_equal(who(&c, 11), "//");
	end(&c);
}

static void a_path_without_the_pod_is_joined_by_its_container(void **state)
{
	struct cluster c;

	(void)state;
	begin(&c);
	cgroup(&c, 30, 1, "/system.slice/cri-containerd-" CID_A ".scope");
	/* a uid that the API does not know, as of a static pod read elsewhere */
	cgroup(&c, 31, 1, "/kubepods/pod11111111111111111111111111111111/" CID_A);
	c.knows_pod = c.knows_a = 1;
	pod_changed(&c);
	assert_string_equal(who(&c, 30), "shop/bu/a");
	assert_string_equal(who(&c, 31), "//");
	(void)testhost_advance(c.t, 60 * SECOND); /* the repair asks for those that nobody knew */
	assert_string_equal(who(&c, 31), "shop/bu/a");
	end(&c);
}

static void pods_of_a_workload_are_counted_while_they_exist(void **state)
{
	struct cluster c;

	(void)state;
	begin(&c);
	c.knows_pod = c.knows_a = 1;
	cgroup(&c, 10, 1, POD);
	cgroup(&c, 11, 10, POD "/" CID_A); /* a container is no pod */
	cgroup(&c, 20, 1, "/kubepods/besteffort/pod00000000-0000-0000-0000-000000000000");
	assert_int_equal(testhost_metric_series(c.t, "linnix_workload_pods"), 0);
	(void)testhost_advance(c.t, 10 * SECOND);
	assert_int_equal(testhost_metric_series(c.t, "linnix_workload_pods"), 1);
	assert_true(testhost_near(testhost_metric(c.t, "linnix_workload_pods",
						  "victim_namespace=shop,victim_workload=bu"),
				  1, 0));
	cgroup(&c, 11, 10, NULL);
	cgroup(&c, 10, 1, NULL);
	(void)testhost_advance(c.t, 10 * SECOND);
	assert_int_equal(testhost_metric_series(c.t, "linnix_workload_pods"), 0);
	assert_true(testhost_near(testhost_metric(c.t, "linnix_workload_pods_left_out", ""), 0, 0));
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cgroup_of_a_known_pod_is_named_at_once),
		cmocka_unit_test(names_that_come_late_are_told_once),
		cmocka_unit_test(a_name_is_never_taken_back),
		cmocka_unit_test(a_path_without_the_pod_is_joined_by_its_container),
		cmocka_unit_test(pods_of_a_workload_are_counted_while_they_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
