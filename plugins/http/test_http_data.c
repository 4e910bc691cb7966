/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* /system, /events, /processes: the figures, filters and pages, and what is said when something is not known. */
#include "test_client.h"

#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <linnix/svc_proc.h>
#include <linnix/svc_workload.h>
#include <math.h>

#define N_PROCS 6

struct table {
	struct lnx_proc p[N_PROCS];
	unsigned n, n_wants;
};

static struct client *last_client;

static int get(struct env *e, const char *path)
{
	char text[512];

	if (last_client)
		client_free(last_client);
	last_client = client_new(e, client_tcp(e, HTTP_KIND_TCP, 0));
	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	return client_ask(last_client, text, strlen(text));
}

static const char *body(void)
{
	const char *p = strstr(last_client->data, "\r\n\r\n");

	assert_non_null(p);
	return p + 4;
}

#define HAS(text)   assert_non_null(strstr(last_client->data, text))
#define HASNT(text) assert_null(strstr(last_client->data, text))

static void end(struct env *e)
{
	if (last_client)
		client_free(last_client);
	last_client = NULL;
	env_done(e);
}

/* ---- a process table and workloads */

static const struct lnx_proc *fake_get(void *self, uint32_t pid, uint64_t start_ns)
{
	struct table *t = self;
	unsigned i;

	for (i = 0; i < t->n; i++) {
		if (t->p[i].pid == pid &&
		    (start_ns ? t->p[i].start_ns == start_ns : !t->p[i].exit_ns))
			return &t->p[i];
	}
	return NULL;
}

static const struct lnx_proc *fake_parent(void *self, const struct lnx_proc *p)
{
	return p->ppid ? fake_get(self, p->ppid, p->parent_start_ns) : NULL;
}

static int fake_each(void *self, uint32_t include_exited,
		     int (*each)(void *arg, const struct lnx_proc *p), void *arg)
{
	struct table *t = self;
	unsigned i;
	int n = 0;

	for (i = 0; i < t->n; i++) {
		if (t->p[i].exit_ns && !include_exited)
			continue;
		n++;
		if (each(arg, &t->p[i]))
			break;
	}
	return n;
}

static void fake_want(void *self, uint64_t for_ns)
{
	struct table *t = self;

	assert_true(for_ns >= HTTP_SEC);
	t->n_wants++;
}

static const struct lnx_svc_proc fake_proc = {
	.size = sizeof(fake_proc),
	.get = fake_get,
	.parent = fake_parent,
	.each = fake_each,
	.want_usage = fake_want,
};

static int fake_workload(void *self, uint64_t cgroup_id, struct lnx_workload *w)
{
	(void)self;
	if (cgroup_id != 77 && cgroup_id != 78)
		return -ENOENT;
	w->path = cgroup_id == 77 ? "/kube/a" : "/kube/b";
	w->namespace_ = cgroup_id == 77 ? "prod" : "media";
	w->workload = cgroup_id == 77 ? "api" : "resize";
	w->pod_name = cgroup_id == 77 ? "api-1" : "resize-1";
	w->container_name = "app";
	w->container_id = cgroup_id == 77 ? "0123456789abcdef" : "fedcba9876543210";
	w->pod_uid = w->runtime = w->qos = "";
	return 0;
}

static const struct lnx_svc_workload fake_workloads = {
	.size = sizeof(fake_workloads),
	.get = fake_workload,
};

static struct lnx_proc *add(struct table *t, uint32_t pid, uint32_t ppid, const char *comm)
{
	struct lnx_proc *p = &t->p[t->n++];

	p->size = sizeof(*p);
	p->pid = pid;
	p->ppid = ppid;
	p->start_ns = TESTHOST_START_NS - (uint64_t)pid * HTTP_SEC;
	p->parent_start_ns = ppid ? TESTHOST_START_NS - (uint64_t)ppid * HTTP_SEC : 0;
	p->n_threads = 1;
	p->state = 1;
	p->has_usage = 1;
	p->cpu_pct = pid;
	p->rss_bytes = (uint64_t)pid * 1048576;
	p->forks = pid % 10;
	p->filename = "/bin/x";
	p->args = "x --secret";
	memcpy(p->comm, comm, strnlen(comm, 16));
	return p;
}

static void begin(struct env *e, struct table *t, bool has_workloads)
{
	struct lnx_ev_host_sample h = { .h = { sizeof(h), LNX_EV_HOST_SAMPLE, sizeof(h), 0, 0,
					       0 } };

	memset(t, 0, sizeof(*t));
	env_init(e);
	assert_int_equal(testhost_provide(e->t, "proc/1", &fake_proc, t), 0);
	if (has_workloads)
		assert_int_equal(testhost_provide(e->t, "workload/1", &fake_workloads, t), 0);
	assert_int_equal(testhost_tag(e->t, 77, "prod", "api-1", "0123456789abcdef"), 0);
	assert_int_equal(testhost_tag(e->t, 78, "media", "resize-1", "fedcba9876543210"), 0);
	env_start(e);
	h.mem_total_bytes = 100ull << 20;
	h.mem_available_bytes = 60ull << 20;
	h.mem_pct = 40;
	h.cpu_pct = 12.5;
	h.n_cpus = 2;
	h.window_ns = HTTP_SEC;
	h.forks_per_s = 3;
	assert_int_equal(testhost_deliver(e->t, &h.h), 0);
	add(t, 10, 0, "init");
	add(t, 20, 10, "shell")->cgroup_id = 77;
	add(t, 30, 20, "work\n\x1b[31m\"\xff")->cgroup_id = 78;
	add(t, 45, 20, "gone")->exit_ns = TESTHOST_START_NS - HTTP_SEC;
	add(t, 59, 20, "new")->has_usage = 0;
}

static void check_order(const char *want)
{
	const char *p = body();
	char got[128] = "";
	size_t n = 0;

	while ((p = strstr(p, "{\"pid\":"))) {
		p += 7;
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%ld", n ? " " : "",
				      strtol(p, NULL, 10));
	}
	assert_string_equal(got, want);
}

static void processes_are_sorted_and_paged(void **state)
{
	static const struct {
		const char *path, *order;
	} cases[] = {
		{ "/processes", "30 20 10 59" },
		{ "/processes?sort=cpu_pct:asc", "59 10 20 30" },
		{ "/processes?sort=rss_bytes", "30 20 10 59" },
		{ "/processes?sort=rss_bytes:desc&limit=2", "30 20" },
		{ "/processes?sort=rss_bytes&limit=2&offset=1", "20 10" },
		{ "/processes?offset=4", "" },
		{ "/processes?sort=forks", "59 10 20 30" },
		{ "/processes?sort=age", "59 30 20 10" },
		{ "/processes?sort=age:asc", "10 20 30 59" },
		{ "/processes?sort=psi_contribution", "30 20 10 59" },
		{ "/processes?state=exited", "45" },
		{ "/processes?state=running", "" },
		{ "/processes?comm=shell", "20" },
		{ "/processes?comm=shel", "" },
		{ "/processes?uid=0", "30 20 10 59" },
		{ "/processes?uid=5", "" },
		{ "/processes?namespace=prod", "20" },
		{ "/processes?pod=resize-1", "30" },
		{ "/processes?container=app", "30 20" },
		{ "/processes?container=0123456789ab", "20" },
		{ "/processes?container=0123456789", "" },
		{ "/processes?cgroup=/kube", "30 20" },
		{ "/processes?cgroup=/kube/a/", "20" },
		{ "/processes?cgroup=/kub", "" },
		{ "/processes?victim_namespace=prod", "" },
	};
	struct table t;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, &t, true);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(get(&e, cases[i].path), 200);
		check_order(cases[i].order);
	}
	HAS("victim_namespace: no stall ledger");
	HAS("X-Total-Count: 0");
	assert_int_equal(t.n_wants, i);
	end(&e);
}

static void all_fields_are_there_and_names_cannot_forge_anything(void **state)
{
	static const char *const keys[] = {
		"pid",
		"ppid",
		"uid",
		"comm",
		"state",
		"start_ts",
		"age_ms",
		"cgroup",
		"cgroup_id",
		"container_id",
		"pod_name",
		"namespace",
		"container_name",
		"workload",
		"cpu_pct",
		"rss_bytes",
		"mem_pct",
		"read_bytes",
		"write_bytes",
		"forks",
		"psi_contribution",
		"psi_contribution_ms",
		"caused_ms",
		"run_delay_ms",
	};
	char key[64];
	struct table t;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, &t, true);
	assert_int_equal(get(&e, "/processes?limit=1"), 200);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(key, sizeof(key), "\"%s\":", keys[i]);
		HAS(key);
	}
	HAS("\"comm\":\"work\\n\\u001b[31m\\\"\xef\xbf\xbd\"");
	HAS("\"mem_pct\":30,");
	HAS("\"rss_bytes\":31457280,");
	HAS("\"psi_contribution\":null,");
	HAS("\"namespace\":\"media\"");
	HAS("\"age_ms\":30000");
	HAS("\"start_ts\":\"2023-11-14T22:12:50.000000000Z\"");
	HAS("X-Linnix-Degraded: psi_contribution, psi_contribution_ms, caused_ms: no stall ledger\r\n");
	end(&e);
}

static void what_is_not_measured_is_null_and_said(void **state)
{
	struct table t;
	struct env e;

	(void)state;
	begin(&e, &t, false);
	assert_int_equal(get(&e, "/processes?comm=new"), 200);
	HAS("\"cpu_pct\":null,\"rss_bytes\":null,\"mem_pct\":null");
	HAS("not yet measured for some processes");
	HAS("container_id, pod_name, namespace, container_name, workload: no plugin workload");
	HAS("\"container_id\":\"\"");
	assert_int_equal(get(&e, "/processes?namespace=prod"), 200);
	check_order("");
	end(&e);
}

static void bad_parameters_of_processes_are_named(void **state)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "/processes?sort=cpu", "sort must be psi_contribution, cpu_pct" },
		{ "/processes?sort=cpu_pct:up", "sort must be" },
		{ "/processes?sort=", "sort must be" },
		{ "/processes?uid=root", "uid must be a whole number" },
		{ "/processes?uid=4294967296", "uid must be" },
		{ "/processes?state=busy", "state must be running" },
		{ "/processes?limit=10001", "limit must be" },
		{ "/processes?offset=-1", "offset must be" },
		{ "/processes?cgroup=kube", "cgroup must be a path" },
		{ "/processes?user=1", "unknown query parameter 'user'" },
		{ "/processes/x", "pid must be a whole number" },
		{ "/processes/0", "pid must be" },
		{ "/processes/10?sort=age", "unknown query parameter 'sort'" },
	};
	struct table t;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, &t, false);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(get(&e, cases[i].path), 400);
		HAS(cases[i].says);
	}
	end(&e);
}

static void one_process_has_ancestors_and_children(void **state)
{
	struct table t;
	struct env e;

	(void)state;
	begin(&e, &t, true);
	assert_int_equal(get(&e, "/processes/20"), 200);
	HAS("\"ancestors\":[{\"pid\":10,\"comm\":\"init\"");
	HAS("\"children\":[{\"pid\":30,");
	HAS("{\"pid\":59,");
	HASNT("{\"pid\":45,");
	HAS("\"args\":null");
	HAS("probes.args is off");
	HASNT("--secret");
	assert_int_equal(get(&e, "/processes/45"), 404);
	assert_int_equal(get(&e, "/processes/4711"), 404);
	HAS("no process has pid 4711");
	assert_int_equal(testhost_conf_other(e.t, "probes.args=full"), 0);
	assert_int_equal(get(&e, "/processes/20"), 200);
	HAS("\"args\":\"x --secret\"");
	end(&e);
}

static void without_a_process_table_it_is_said(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_start(&e);
	assert_int_equal(get(&e, "/processes"), 503);
	HAS("the plugin proc is not loaded");
	assert_int_equal(get(&e, "/processes/1"), 503);
	end(&e);
}

/* ---- /system */

static void system_before_any_sample_is_null_and_degraded(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_start(&e);
	assert_int_equal(get(&e, "/system"), 200);
	HAS("X-Linnix-Degraded: host figures: no host.sample yet");
	HAS("psi: no psi.sample yet");
	HAS("\"cpu_pct\":null");
	HAS("\"total_bytes\":null");
	HAS("\"schema\":1");
	end(&e);
}

static void system_shows_the_last_samples(void **state)
{
	struct lnx_ev_psi_sample p = { .h = { sizeof(p), LNX_EV_PSI_SAMPLE, sizeof(p), 0, 0, 0 } };
	struct table t;
	struct env e;

	(void)state;
	begin(&e, &t, false);
	p.window_ns = HTTP_SEC;
	p.cpu_some = (struct lnx_psi_line){ 46.25, 1, 2, 3, 123456 };
	p.io_full.pct = NAN; /* the kernel does not give it */
	assert_int_equal(testhost_deliver(e.t, &p.h), 0);
	assert_int_equal(get(&e, "/system"), 200);
	HASNT("X-Linnix-Degraded");
	HAS("\"cpu_pct\":12.5,");
	HAS("\"memory\":{\"total_bytes\":104857600,\"available_bytes\":62914560,\"used_bytes\":41943040,");
	HAS("\"forks_per_s\":3,");
	HAS("\"psi\":{\"cpu\":{\"some\":{\"pct\":46.25,\"avg10\":1,\"avg60\":2,\"avg300\":3,"
	    "\"total_us\":123456},\"full\":null}");
	HAS("\"full\":{\"pct\":null,\"avg10\":null,\"avg60\":null,\"avg300\":null,\"total_us\":null}}}}");
	assert_true(testhost_advance(e.t, 60 * HTTP_SEC) >= 0);
	assert_int_equal(get(&e, "/system"), 200);
	HAS("the last host.sample is old");
	end(&e);
}

/* ---- /events */

static void fork_event(struct env *e, uint32_t pid, uint64_t cgroup_id)
{
	struct lnx_ev_proc_fork f = { .h = { sizeof(f), LNX_EV_PROC_FORK, sizeof(f), 0, pid, 0 } };

	f.child_pid = pid;
	f.cgroup_id = cgroup_id;
	(void)testhost_deliver(e->t, &f.h); /* not subscribed: kept in the ring */
}

static unsigned count(const char *text)
{
	const char *p = body();
	unsigned n = 0;

	while ((p = strstr(p, text))) {
		p += strlen(text);
		n++;
	}
	return n;
}

static void events_are_the_newest_or_those_since(void **state)
{
	struct table t;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, &t, true); /* one host.sample */
	for (i = 1; i <= 150; i++)
		fork_event(&e, i, i % 3 ? 77 : 78);
	assert_int_equal(get(&e, "/events"), 200);
	assert_int_equal(count("\"seq\":"), 100);
	HAS("\"child_pid\":150");
	HASNT("\"child_pid\":50,");
	HAS("\"child_pid\":51,");
	assert_int_equal(get(&e, "/events?since_seq=0&limit=3"), 200);
	assert_int_equal(count("\"seq\":"), 3);
	HAS("host.sample");
	HAS("\"child_pid\":2,");
	assert_int_equal(get(&e, "/events?type=host.sample"), 200);
	assert_int_equal(count("\"seq\":"), 1);
	assert_int_equal(get(&e, "/events?type=host.sample,proc.fork&limit=10000"), 200);
	assert_int_equal(count("\"seq\":"), 151);
	assert_int_equal(get(&e, "/events?namespace=media&limit=10000"), 200);
	assert_int_equal(count("\"seq\":"), 50);
	assert_int_equal(get(&e, "/events?namespace=none"), 200);
	assert_string_equal(body(), "[]\n");
	assert_int_equal(get(&e, "/events?since_seq=99999"), 200);
	assert_string_equal(body(), "[]\n");
	end(&e);
}

static void events_that_are_gone_are_said(void **state)
{
	struct table t;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, &t, false);
	testhost_ring_limit(e.t, 4096);
	for (i = 1; i <= 500; i++)
		fork_event(&e, i, 0);
	assert_int_equal(get(&e, "/events?since_seq=1&limit=10"), 200);
	HAS("are no longer kept");
	assert_int_equal(get(&e, "/events?namespace=x"), 200);
	HAS("namespace: no plugin workload is loaded");
	end(&e);
}

/* Large answers that nobody takes are bounded; small ones still come. */
static void answers_nobody_takes_are_bounded(void **state)
{
	static const char ask[] = "GET /events?limit=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
	static const char health[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct client *idle[24];
	struct env e;
	unsigned i, n_refused = 0;

	(void)state;
	env_init(&e);
	env_conf(&e, "max_pending=4MiB");
	env_start(&e);
	for (i = 1; i <= 10000; i++)
		fork_event(&e, i, 0);
	for (i = 0; i < 24; i++) {
		idle[i] = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 4096));
		client_send(idle[i], ask, sizeof(ask) - 1);
		env_turn(&e, 10);
		env_turn(&e, 10);
	}
	assert_true(e.http->pending_bytes <= 8u << 20);
	assert_true(testhost_metric(e.t, "linnix_http_refused_total", "why=memory") >= 10);
	for (i = 0; i < 24; i++) {
		client_read(idle[i]);
		n_refused += client_status(idle[i]->data) == 503;
	}
	assert_true(n_refused >= 10);
	last_client = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	assert_int_equal(client_ask(last_client, health, sizeof(health) - 1), 200);
	for (i = 0; i < 24; i++)
		client_free(idle[i]);
	for (i = 0; i < 50 && e.http->n_conns > 1; i++)
		env_turn(&e, 5);
	assert_int_equal(e.http->pending_bytes, 0);
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processes_are_sorted_and_paged),
		cmocka_unit_test(all_fields_are_there_and_names_cannot_forge_anything),
		cmocka_unit_test(what_is_not_measured_is_null_and_said),
		cmocka_unit_test(bad_parameters_of_processes_are_named),
		cmocka_unit_test(one_process_has_ancestors_and_children),
		cmocka_unit_test(without_a_process_table_it_is_said),
		cmocka_unit_test(system_before_any_sample_is_null_and_degraded),
		cmocka_unit_test(system_shows_the_last_samples),
		cmocka_unit_test(events_are_the_newest_or_those_since),
		cmocka_unit_test(events_that_are_gone_are_said),
		cmocka_unit_test(answers_nobody_takes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
