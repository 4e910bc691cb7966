/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading what the API sends: recordings cut anywhere, objects in any order, and what is no JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "items.h"
#include "json.h"
#include "pod.h"
#include "pods.h"

#include <linnix/svc_k8s.h>

static char *slurp(const char *name, size_t *ret_n)
{
	char path[128], *data = malloc(65536);
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/data/k8s/%s", name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(data);
	*ret_n = fread(data, 1, 65535, f);
	data[*ret_n] = 0;
	(void)fclose(f);
	return data;
}

static struct k8s_pod pod;

/* "name:uid:workload:containers " of every pod, and what else came. */
struct seen {
	char text[4096];
	unsigned n;
	bool is_watch;
};

static int see(void *arg, uint32_t piece, const char *data, size_t n)
{
	struct seen *s = arg;
	struct k8s_line line = { 0 };
	size_t at = strlen(s->text);
	char version[32];

	s->n++;
	if (piece == K8S_PIECE_META) {
		k8s_meta_read(data, n, version, sizeof(version));
		(void)snprintf(s->text + at, sizeof(s->text) - at, "v%s ", version);
		return 0;
	}
	if (piece == K8S_PIECE_LARGE) {
		(void)snprintf(s->text + at, sizeof(s->text) - at, "large ");
		return 0;
	}
	if (s->is_watch)
		assert_int_equal(k8s_line_read(data, n, &line, &pod), 0);
	else
		assert_int_equal(k8s_pod_read(data, n, &pod), 0);
	if (line.change == K8S_ERROR)
		(void)snprintf(s->text + at, sizeof(s->text) - at, "error %u %s", line.code,
			       line.message);
	else
		(void)snprintf(s->text + at, sizeof(s->text) - at, "%u/%s/%s/%s/%u ", line.change,
			       pod.name, pod.namespace_, pod.version, pod.n_containers);
	return 0;
}

/* Feed <data> in pieces of <step> bytes. */
static int feed(struct seen *s, const char *data, size_t n, size_t step)
{
	struct k8s_items items = { .depth = 0 };
	size_t i;
	int rc = 0;

	s->text[0] = 0;
	s->n = 0;
	k8s_items_begin(&items, !s->is_watch);
	for (i = 0; i < n && rc == 0; i += step)
		rc = k8s_items_feed(&items, data + i, n - i < step ? n - i : step, see, s);
	if (rc == 0 && !s->is_watch && !items.is_over)
		rc = -ENODATA;
	k8s_items_done(&items);
	return rc;
}

static void recordings_are_read_however_they_are_cut(void **state)
{
	static const struct {
		const char *file, *seen;
		bool is_watch;
	} rows[] = {
		{ "podlist_1.20.json",
		  "v304 0/static1-vm/kube-system/270/1 0/be/shop/290/1 0/bu/shop/300/3 0/gu/shop/291/1 ",
		  false },
		{ "podlist_1.36.json", "v221 0/x/agent/221/1 ", false },
		{ "watch_1.20.jsonl",
		  "1/static1-vm/kube-system/270/1 1/be/shop/290/1 1/bu/shop/300/3 1/gu/shop/291/1 "
		  "2/be/shop/305/1 2/gu/shop/306/1 4///306/0 ",
		  true },
		{ "watchlist_1.36.jsonl", "1/x/agent/221/1 4///221/0 ", true },
	};
	static const size_t steps[] = { 1, 2, 7, 100, 4096, 65536 };
	struct seen s = { .n = 0 };
	size_t i, k, n;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *data = slurp(rows[i].file, &n);

		s.is_watch = rows[i].is_watch;
		for (k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
			assert_int_equal(feed(&s, data, n, steps[k]), 0);
			assert_string_equal(s.text, rows[i].seen);
		}
		/* cut off anywhere: never complete, never an object too many */
		for (k = 0; !s.is_watch && k < n; k += 97)
			assert_int_equal(feed(&s, data, k, 512), -ENODATA);
		free(data);
	}
}

static void an_expired_version_is_told_by_a_line(void **state)
{
	struct seen s = { .is_watch = true };
	size_t n;
	char *data = slurp("watch_410.txt", &n);

	(void)state;
	n = (size_t)(strstr(data, "HTTP 200") - data);
	assert_int_equal(feed(&s, data, n, 3), 0);
	assert_string_equal(s.text, "error 410 too old resource version: 5 (548)");
	free(data);
}

static const char *const whole =
	"{\"status\":{\"qosClass\":\"Burstable\",\"containerStatuses\":[{\"name\":\"app\",\"containerID\":"
	"\"cri-o://aa\",\"lastState\":{\"terminated\":{\"exitCode\":1,\"containerID\":\"cri-o://a0\"}},"
	"\"resources\":{\"limits\":{\"cpu\":\"9\"}}}],\"initContainerStatuses\":[{\"name\":\"pre\",\"containerID\":"
	"\"containerd://bb\"},{\"name\":\"mesh\",\"containerID\":\"containerd://cc\"}],"
	"\"ephemeralContainerStatuses\":[{\"name\":\"debug\",\"containerID\":\"containerd://dd\"}]},"
	"\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"app\",\"resources\":{\"limits\":{\"cpu\":\"1500m\","
	"\"memory\":\"1Gi\"},\"requests\":{\"cpu\":0.25,\"memory\":\"512Mi\"}}}],"
	"\"initContainers\":[{\"name\":\"pre\",\"resources\":{\"requests\":{\"cpu\":\"2\"}}},"
	"{\"name\":\"mesh\",\"restartPolicy\":\"Always\"}],\"ephemeralContainers\":[{\"name\":\"debug\"}]},"
	"\"metadata\":{\"ownerReferences\":[{\"kind\":\"Other\",\"name\":\"x\"},{\"controller\":true,\"kind\":"
	"\"ReplicaSet\",\"name\":\"payment-api-7f9c\"}],\"labels\":{\"pod-template-hash\":\"7f9c\","
	"\"linnix.dev/slo-tier\":\"gold\"},\"annotations\":{\"linnix.dev\\/ignore\":\"true\","
	"\"linnix.dev/owner-channel\":\"#p\\u00e4y \\ud83d\\ude00\\n\"},\"uid\":\"u-1\",\"namespace\":\"prod\","
	"\"name\":\"payment-api-7f9c-x2\"},\"extra\":[[[{\"a\":[1,2,{}]}]],null,true,-1.5e3]}";

static void members_come_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(k8s_pod_read(whole, strlen(whole), &pod), 0);
	assert_string_equal(pod.workload, "payment-api");
	assert_string_equal(pod.namespace_, "prod");
	assert_string_equal(pod.qos, "burstable");
	assert_string_equal(pod.slo_tier, "gold");
	assert_string_equal(pod.owner_channel, "#p\xc3\xa4y \xf0\x9f\x98\x80\n");
	assert_int_equal(pod.is_ignored, 1);
	assert_int_equal(pod.n_containers, 4);
	assert_string_equal(pod.containers[0].name, "app");
	assert_string_equal(pod.containers[0].id, "aa");
	assert_string_equal(pod.containers[0].last_id, "a0");
	assert_int_equal(pod.containers[0].cpu_request_millicores, 250);
	assert_int_equal(pod.containers[0].memory_request_bytes, 512u << 20);
	assert_int_equal(pod.containers[0].memory_limit_bytes, 1u << 30);
	assert_int_equal(pod.containers[1].kind, K8S_INIT);
	assert_int_equal(pod.containers[1].is_sidecar, 0);
	assert_int_equal(pod.containers[2].is_sidecar, 1);
	assert_string_equal(pod.containers[3].id, "dd");
	assert_int_equal(pod.containers[3].kind, K8S_EPHEMERAL);
}

static void every_cut_of_a_pod_is_refused(void **state)
{
	size_t n = strlen(whole), i;

	(void)state;
	for (i = 0; i < n; i++) {
		char *part = malloc(i + 1); /* so that a read behind its end is seen */

		assert_non_null(part);
		memcpy(part, whole, i);
		assert_int_equal(k8s_pod_read(part, i, &pod), -EBADMSG);
		free(part);
	}
}

static void workloads_are_named_after_their_owner(void **state)
{
	static const struct {
		const char *kind, *owner, *hash, *pod, *workload;
	} rows[] = {
		{ "ReplicaSet", "web-6d4cf56db6", "6d4cf56db6", "web-6d4cf56db6-abcde", "web" },
		{ "ReplicaSet", "web-6d4cf56db6", "", "web-6d4cf56db6-abcde", "web-6d4cf56db6" },
		{ "ReplicaSet", "6d4cf56db6", "6d4cf56db6", "p", "6d4cf56db6" },
		{ "Job", "report-28212345", "", "report-28212345-x", "report" },
		{ "Job", "report-2821234", "", "report-2821234-x", "report-2821234" },
		{ "Job", "import", "", "import-x", "import" },
		{ "StatefulSet", "db", "", "db-0", "db" },
		{ "DaemonSet", "linnix-agent", "", "linnix-agent-q", "linnix-agent" },
		{ "Node", "n1", "", "kube-apiserver-n1", "kube-apiserver" },
		{ "Node", "n1", "", "n1", "n1" },
		{ "", "", "", "alone", "alone" },
	};
	char json[1024];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(
			json, sizeof(json),
			"{\"metadata\":{\"name\":\"%s\",\"uid\":\"u\",\"labels\":{\"pod-template-hash\":"
			"\"%s\"},\"ownerReferences\":[{\"kind\":\"%s\",\"name\":\"%s\"}]}}",
			rows[i].pod, rows[i].hash, rows[i].kind, rows[i].owner);
		assert_int_equal(k8s_pod_read(json, strlen(json), &pod), 0);
		assert_string_equal(pod.workload, rows[i].workload);
	}
}

static void a_static_pod_is_found_by_its_hash(void **state)
{
	struct k8s_pods t;
	size_t n;
	char *data = slurp("podlist_1.20.json", &n);
	const char *first = strstr(data, "{\"metadata\":{\"name\":\"static1");
	const char *next = strstr(data, ",{\"metadata\":{\"name\":\"be\"");
	const struct k8s_container *c;
	int change;

	(void)state;
	assert_non_null(first);
	assert_non_null(next);
	assert_int_equal(k8s_pod_read(first, (size_t)(next - first), &pod), 0);
	assert_string_equal(pod.workload, "static1");
	assert_int_equal(k8s_pods_init(&t, 16), 0);
	assert_non_null(k8s_pods_put(&t, &pod, &change));
	assert_int_equal(change, LNX_K8S_POD_NEW);
	assert_non_null(k8s_pods_find(&t, "464dc128715474143259620572d276e2"));
	assert_non_null(k8s_pods_find(&t, "e9aae714-fed8-490c-8d1d-c3c8dd6f9772"));
	assert_null(k8s_pods_find(&t, ""));
	assert_string_equal(k8s_pod_path_uid(k8s_pods_find(&t, pod.uid)),
			    "464dc128715474143259620572d276e2");
	assert_non_null(k8s_pods_container(
		&t, "6186271a873b1cd2cdd895888f077e1b74ceb118e770ffedd8c2028c62a644d5", &c));
	assert_string_equal(c->name, "s");
	assert_null(k8s_pods_container(&t, "", &c));
	k8s_pods_done(&t);
	free(data);
}

static void make_pod(unsigned i, const char *id)
{
	char json[512];

	(void)snprintf(
		json, sizeof(json),
		"{\"metadata\":{\"name\":\"p%u\",\"uid\":\"u%u\"},\"status\":{\"containerStatuses\":[{\"name\":"
		"\"c\",\"containerID\":\"x://%s\"}]}}",
		i, i, id);
	assert_int_equal(k8s_pod_read(json, strlen(json), &pod), 0);
}

static void the_table_is_bounded_and_remembers_the_deleted(void **state)
{
	const struct k8s_container *c;
	struct k8s_pods t;
	unsigned i;
	int change;

	(void)state;
	assert_int_equal(k8s_pods_init(&t, 20), 0);
	for (i = 0; i < 1000; i++) {
		make_pod(i, "1");
		assert_non_null(k8s_pods_put(&t, &pod, &change));
		k8s_pods_gone(&t, k8s_pods_get(&t, pod.uid), i + 1);
	}
	assert_int_equal(t.n, K8S_GONE_MAX);
	assert_null(k8s_pods_get(&t, "u0"));
	assert_non_null(k8s_pods_get(&t, "u999"));
	for (i = 2000; i < 2030; i++) {
		make_pod(i, "1");
		(void)k8s_pods_put(&t, &pod, &change);
	}
	assert_int_equal(t.refused, 10);
	assert_int_equal(t.n - t.n_gone, 20);
	/* the same again is no change; another container is, and the old one is still known */
	make_pod(2000, "1");
	(void)k8s_pods_put(&t, &pod, &change);
	assert_int_equal(change, -1);
	make_pod(2000, "2");
	(void)k8s_pods_put(&t, &pod, &change);
	assert_int_equal(change, LNX_K8S_POD_CHANGED);
	make_pod(2000, "3");
	(void)k8s_pods_put(&t, &pod, &change);
	assert_non_null(k8s_pod_container(k8s_pods_get(&t, "u2000"), "2"));
	assert_non_null(k8s_pod_container(k8s_pods_get(&t, "u2000"), "3"));
	k8s_pods_expire(&t, 10000, 5);
	assert_int_equal(t.n_gone, 0);
	assert_int_equal(t.n, 20);
	assert_non_null(k8s_pods_container(&t, "1", &c));
	k8s_pods_done(&t);
}

static void quantities_are_read_as_kubernetes_means_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t scale, value;
	} rows[] = {
		{ "100m", 1000, 100 },
		{ "1", 1000, 1000 },
		{ "0.1", 1000, 100 },
		{ "1.5", 1000, 1500 },
		{ "250000u", 1000, 250 },
		{ "1n", 1000, 1 }, /* rounded up */
		{ "32Mi", 1, 33554432 },
		{ "128974848", 1, 128974848 },
		{ "129e6", 1, 129000000 },
		{ "129E6", 1, 129000000 },
		{ "129M", 1, 129000000 },
		{ "1E", 1, 1000000000000000000 },
		{ "123Ki", 1, 125952 },
		{ "128974848000m", 1, 128974848 },
		{ "16Ei", 1, UINT64_MAX },
		{ "1e19", 1, 10000000000000000000ull },
		{ "", 1, 0 },
		{ "-1", 1, 0 },
		{ "1.2.3", 1, 0 },
		{ "0x10", 1, 0 },
		{ "inf", 1, 0 },
		{ "nan", 1, 0 },
		{ "1 Gi", 1, 0 },
		{ "1Gb", 1, 0 },
		{ "1e999", 1, 0 },
		{ "1e-3", 1000, 1 },
		{ "99999999999999999999999999999999999999999999999999", 1, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (k8s_quantity(rows[i].text, rows[i].scale) != rows[i].value)
			fail_msg("%s: %llu", rows[i].text,
				 (unsigned long long)k8s_quantity(rows[i].text, rows[i].scale));
}

static void text_is_decoded_and_cut_between_characters(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "plain", "plain" },
		{ "a\\\"b\\\\c\\/d", "a\"b\\c/d" },
		{ "\\u0041\\u00e9\\u20ac", "A\xc3\xa9\xe2\x82\xac" },
		{ "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
		{ "\\ud83dx", "\xef\xbf\xbdx" },
		{ "\\ude00", "\xef\xbf\xbd" },
		{ "\\u12", "\xef\xbf\xbd"
			   "12" },
		{ "\\u0000", "?" },
		{ "123456789\xc3\xa4", "123456789" },
		{ "1234567890123", "1234567890" },
		{ "\\q", "q" },
		{ "x\\", "x\\" },
	};
	char out[11];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct k8s_text t = { rows[i].from, strlen(rows[i].from) };

		k8s_text_copy(&t, out, sizeof(out));
		assert_string_equal(out, rows[i].to);
	}
}

static void what_is_no_answer_is_refused(void **state)
{
	static const char *const lists[] = { "hello", "\"items\"", "]", "}", "{}{", "1" };
	static const char *const lines[] = { "{}",
					     "{\"type\":\"ADDED\"}",
					     "{\"type\":\"ADDED\",\"object\":{}}",
					     "{\"type\":\"DANCED\",\"object\":{}}",
					     "[1]",
					     "{\"type\":7",
					     "" };
	struct k8s_line line;
	struct seen s = { .n = 0 };
	char deep[2000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		assert_true(feed(&s, lists[i], strlen(lists[i]), 4) < 0);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(k8s_line_read(lines[i], strlen(lines[i]), &line, &pod), -EBADMSG);
	memset(deep, '[', sizeof(deep));
	deep[0] = '{';
	assert_int_equal(feed(&s, deep, sizeof(deep), 100), -EPROTO);
}

static void an_object_that_is_too_large_is_passed_over(void **state)
{
	static const char head[] = "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{\"a\":\"";
	static const char tail[] =
		"\"},{\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"namespace\":\"s\"}}],\"kind\":\"PodList\"}\n";
	size_t n = sizeof(head) - 1 + K8S_ITEM_MAX + sizeof(tail) - 1;
	char *data = malloc(n);
	struct seen s = { .n = 0 };

	(void)state;
	assert_non_null(data);
	memcpy(data, head, sizeof(head) - 1);
	memset(data + sizeof(head) - 1, 'x', K8S_ITEM_MAX);
	memcpy(data + sizeof(head) - 1 + K8S_ITEM_MAX, tail, sizeof(tail) - 1);
	assert_int_equal(feed(&s, data, n, 16384), 0);
	assert_string_equal(s.text, "v5 large 0/n/s//0 ");
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings_are_read_however_they_are_cut),
		cmocka_unit_test(an_expired_version_is_told_by_a_line),
		cmocka_unit_test(members_come_in_any_order),
		cmocka_unit_test(every_cut_of_a_pod_is_refused),
		cmocka_unit_test(workloads_are_named_after_their_owner),
		cmocka_unit_test(a_static_pod_is_found_by_its_hash),
		cmocka_unit_test(the_table_is_bounded_and_remembers_the_deleted),
		cmocka_unit_test(quantities_are_read_as_kubernetes_means_them),
		cmocka_unit_test(text_is_decoded_and_cut_between_characters),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(an_object_that_is_too_large_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
