/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The registry, field values and the JSON of events. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_workload.h>

#include "../../core/tags.h"

static void every_builtin_type_has_a_sound_table(void **state)
{
	static const char *const names[] = { "proc.fork",	"proc.exec",	"proc.exit",
					     "proc.usage",	"host.sample",	"psi.sample",
					     "psi.cgroup",	"alert",	"stall.edge",
					     "stall.window",	"cgroup.new",	"cgroup.gone",
					     "workload.update", "rule.disabled" };
	struct lnx_registry *r = lnx_registry_new();
	unsigned i, k;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct lnx_event_desc *d = lnx_registry_find(r, names[i]);

		assert_non_null(d);
		assert_ptr_equal(lnx_registry_get(r, d->type), d);
		assert_true(d->n_fields > 0);
		for (k = 0; k < d->n_fields; k++) {
			assert_ptr_equal(lnx_desc_field(d, d->fields[k].name), &d->fields[k]);
			assert_true(strlen(d->fields[k].doc) > 3);
		}
	}
	assert_null(lnx_registry_find(r, "proc.nothing"));
	assert_string_equal(lnx_registry_suggest(r, "proc.forc"), "proc.fork");
	assert_string_equal(lnx_desc_suggest(lnx_registry_find(r, "proc.fork"), "child_pit"),
			    "child_pid");
	lnx_registry_free(r);
}

static void plugin_types_get_numbers_and_bad_ones_are_refused(void **state)
{
	static const struct lnx_field good[] = { { "a.b", LNX_U32, 24, 4, 0, "", "some figure",
						   NULL, NULL } };
	static const struct lnx_field outside[] = { { "a", LNX_U64, 28, 8, 0, "", "reaches out",
						      NULL, NULL } };
	struct lnx_event_desc d = { sizeof(d), 0, 32, "acme.thing", "a thing", good, 1, 0 };
	struct lnx_registry *r = lnx_registry_new();
	int type;

	(void)state;
	type = lnx_registry_add(r, &d);
	assert_int_equal(type, LNX_EV_PLUGIN_0);
	assert_int_equal(lnx_registry_add(r, &d), -EEXIST);
	d.name = "acme.other";
	d.fields = outside;
	assert_int_equal(lnx_registry_add(r, &d), -EINVAL);
	d.fields = good;
	d.name = "Bad Name";
	assert_int_equal(lnx_registry_add(r, &d), -EINVAL);
	d.name = "acme.other";
	assert_int_equal(lnx_registry_add(r, &d), LNX_EV_PLUGIN_0 + 1);
	lnx_registry_free(r);
}

static uint64_t wall(void *arg, uint64_t boot_ns)
{
	(void)arg;
	return boot_ns + 1700000000ull * 1000000000u;
}

/* A table that knows cgroup 4242. */
static struct lnx_tags *tags_of_4242(void)
{
	struct {
		struct lnx_ev_workload_update u;
		char text[16];
	} e = { .text = "prodweb-1uid-1" };
	struct lnx_tags *t = lnx_tags_new();

	assert_non_null(t);
	e.u.h.type = LNX_EV_WORKLOAD_UPDATE;
	e.u.h.fixed = sizeof(e.u);
	e.u.h.size = sizeof(e);
	e.u.cgroup_id = 4242;
	e.u.namespace_ = (struct lnx_str){ sizeof(e.u), 4 };
	e.u.pod_name = (struct lnx_str){ sizeof(e.u) + 4, 5 };
	e.u.pod_uid = (struct lnx_str){ sizeof(e.u) + 9, 5 };
	lnx_tags_event(t, &e.u.h);
	return t;
}

static json_t *render(const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct lnx_registry *r = lnx_registry_new();
	struct lnx_tags *tags = tags_of_4242();
	struct lnx_json_env env = { r, wall, tags, NULL, NULL };
	struct lnx_buf out = { 0 };
	json_error_t err;
	json_t *j;

	assert_int_equal(lnx_event_check(r, ev, ev->size), 0);
	lnx_event_json(&out, &env, ev, meta);
	assert_int_equal(lnx_buf_error(&out), 0);
	j = json_loads(out.data, JSON_REJECT_DUPLICATES, &err);
	if (!j)
		fail_msg("%s in %s", err.text, out.data);
	lnx_tags_free(tags);
	lnx_buf_done(&out);
	lnx_registry_free(r);
	return j;
}

static void process_event_carries_head_fields_and_tags(void **state)
{
	struct lnx_event_meta meta = { .seq = 7, .cause_seq = 3 };
	struct lnx_ev_proc_fork e;
	json_t *j;

	(void)state;
	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_PROC_FORK;
	e.h.ts_ns = 123456789;
	e.h.pid = 10;
	e.h.cpu = 1;
	e.child_pid = 11;
	e.cgroup_id = 4242;
	memcpy(e.comm, "a\n\"\x1b[31m\xff", 9);
	j = render(&e.h, &meta);
	assert_int_equal(json_integer_value(json_object_get(j, "seq")), 7);
	assert_int_equal(json_integer_value(json_object_get(j, "cause_seq")), 3);
	assert_string_equal(json_string_value(json_object_get(j, "ts")),
			    "2023-11-14T22:13:20.123456789Z");
	assert_string_equal(json_string_value(json_object_get(j, "type")), "proc.fork");
	assert_int_equal(json_integer_value(json_object_get(j, "child_pid")), 11);
	assert_string_equal(json_string_value(json_object_get(j, "pod_name")), "web-1");
	assert_string_equal(json_string_value(json_object_get(j, "namespace")), "prod");
	assert_string_equal(json_string_value(json_object_get(j, "container_id")), "");
	assert_string_equal(json_string_value(json_object_get(j, "pod_uid")), "uid-1");
	assert_string_equal(json_string_value(json_object_get(j, "comm")),
			    "a\n\"\x1b[31m\xef\xbf\xbd");
	json_decref(j);
}

static void dotted_fields_become_objects_and_json_stays_json(void **state)
{
	static const char tail[] = "fork-stormhello[{\"name\":\"forks\",\"value\":12}]";
	struct {
		struct lnx_ev_alert a;
		char tail[sizeof(tail)];
	} e;
	json_t *j, *subject;

	(void)state;
	memset(&e, 0, sizeof(e));
	memcpy(e.tail, tail, sizeof(tail));
	e.a.h.fixed = sizeof(e.a);
	e.a.h.size = sizeof(e.a) + sizeof(tail) - 1;
	e.a.h.type = LNX_EV_ALERT;
	e.a.h.cpu = LNX_CPU_NONE;
	e.a.severity = LNX_SEV_CRITICAL;
	e.a.subject_kind = LNX_SUBJECT_PROCESS;
	e.a.subject_pid = 99;
	e.a.value = 12.5;
	e.a.threshold = NAN;
	e.a.rule = (struct lnx_str){ sizeof(e.a), 10 };
	e.a.say = (struct lnx_str){ sizeof(e.a) + 10, 5 };
	e.a.evidence = (struct lnx_str){ sizeof(e.a) + 15, sizeof(tail) - 1 - 15 };
	j = render(&e.a.h, NULL);
	subject = json_object_get(j, "subject");
	assert_string_equal(json_string_value(json_object_get(j, "rule")), "fork-storm");
	assert_string_equal(json_string_value(json_object_get(j, "severity")), "critical");
	assert_string_equal(json_string_value(json_object_get(j, "state")), "firing");
	assert_string_equal(json_string_value(json_object_get(subject, "kind")), "process");
	assert_int_equal(json_integer_value(json_object_get(subject, "pid")), 99);
	assert_true(json_is_array(json_object_get(j, "evidence")));
	assert_true(json_is_null(json_object_get(j, "threshold")));
	assert_true(json_is_null(json_object_get(j, "labels")));
	assert_true(json_is_null(json_object_get(j, "cpu")));
	json_decref(j);
}

static void shorter_events_of_older_producers_read_as_unknown(void **state)
{
	struct lnx_registry *r = lnx_registry_new();
	const struct lnx_event_desc *d = lnx_registry_find(r, "host.sample");
	struct lnx_ev_host_sample e;
	struct lnx_value v;

	(void)state;
	memset(&e, 0, sizeof(e));
	e.h.type = LNX_EV_HOST_SAMPLE;
	e.h.size = e.h.fixed = offsetof(struct lnx_ev_host_sample, steal_pct);
	e.cpu_pct = 42;
	assert_int_equal(lnx_event_check(r, &e.h, e.h.size), 0);
	v = lnx_event_value(&e.h, lnx_desc_field(d, "cpu_pct"));
	assert_int_equal(v.kind, LNX_VAL_F64);
	assert_true(v.f64 > 41.9 && v.f64 < 42.1);
	v = lnx_event_value(&e.h, lnx_desc_field(d, "steal_pct"));
	assert_int_equal(v.kind, LNX_VAL_NONE);
	assert_true(LNX_EV_HAS(&e.h, struct lnx_ev_host_sample, cpu_pct));
	assert_false(LNX_EV_HAS(&e.h, struct lnx_ev_host_sample, steal_pct));
	lnx_registry_free(r);
}

static void unknown_enum_values_have_a_name(void **state)
{
	struct lnx_registry *r = lnx_registry_new();
	const struct lnx_event_desc *d = lnx_registry_find(r, "proc.usage");
	struct lnx_ev_proc_usage e;
	struct lnx_value v;

	(void)state;
	memset(&e, 0, sizeof(e));
	e.h.type = LNX_EV_PROC_USAGE;
	e.h.size = e.h.fixed = sizeof(e);
	e.state = 7777;
	v = lnx_event_value(&e.h, lnx_desc_field(d, "state"));
	assert_int_equal(v.size, 7);
	assert_memory_equal(v.str, "unknown", 7);
	lnx_registry_free(r);
}

static void finding_carries_who_found_it(void **state)
{
	const struct lnx_ident ident = { .size = sizeof(ident),
					 .schema = 1,
					 .node = "n\"1",
					 .cluster = "c",
					 .boot_id = "b",
					 .version = "" };
	struct lnx_registry *r = lnx_registry_new();
	struct lnx_json_env env = { r, wall, NULL, NULL, &ident };
	struct lnx_ev_alert e;
	struct lnx_buf out = { 0 };
	json_t *j;

	(void)state;
	memset(&e, 0, sizeof(e));
	e.h.size = e.h.fixed = sizeof(e);
	e.h.type = LNX_EV_ALERT;
	lnx_event_json(&out, &env, &e.h, NULL);
	j = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "node")), "n\"1");
	assert_string_equal(json_string_value(json_object_get(j, "cluster")), "c");
	assert_string_equal(json_string_value(json_object_get(j, "boot_id")), "b");
	assert_int_equal(json_integer_value(json_object_get(j, "schema")), 1);
	json_decref(j);
	lnx_buf_done(&out);
	lnx_registry_free(r);
}

static void what_the_sdk_describes_can_be_named_without_its_plugin(void **state)
{
	struct lnx_registry *r = lnx_registry_new();
	const struct lnx_event_desc *pod;
	unsigned n = lnx_registry_count(r);

	(void)state;
	assert_null(lnx_registry_find(r, "k8s.pod"));
	assert_int_equal(lnx_registry_add_known(r), 0);
	pod = lnx_registry_find(r, "k8s.pod");
	assert_non_null(pod);
	assert_true(pod->type >= LNX_EV_PLUGIN_0);
	assert_non_null(lnx_desc_field(pod, "pod_uid"));
	/* who has added it keeps it */
	assert_int_equal(lnx_registry_add_known(r), 0);
	assert_ptr_equal(lnx_registry_find(r, "k8s.pod"), pod);
	assert_int_equal(lnx_registry_count(r), n + 1);
	lnx_registry_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_builtin_type_has_a_sound_table),
		cmocka_unit_test(plugin_types_get_numbers_and_bad_ones_are_refused),
		cmocka_unit_test(what_the_sdk_describes_can_be_named_without_its_plugin),
		cmocka_unit_test(process_event_carries_head_fields_and_tags),
		cmocka_unit_test(finding_carries_who_found_it),
		cmocka_unit_test(dotted_fields_become_objects_and_json_stays_json),
		cmocka_unit_test(shorter_events_of_older_producers_read_as_unknown),
		cmocka_unit_test(unknown_enum_values_have_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
