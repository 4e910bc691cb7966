/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is said of evidence made up here: nothing that nobody measured, and no number that is not a fact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <linnix/ev_incident.h>
#include <linnix/svc_incident.h>
#include <stdlib.h>
#include <string.h>

#define ID	  "01HZZZZZZZZZZZZZZZZZZZZZZZ"
#define MAX_FACTS 64

/* One incident and its facts; the explanation comes back into doc. */
struct fix {
	struct testhost *t;
	struct lnx_incident inc;
	struct lnx_fact facts[MAX_FACTS];
	uint32_t n, evidence;
	char doc[16384];
};

static int inc_get(void *self, const char *id, struct lnx_incident *ret)
{
	const struct fix *f = self;

	if (strcmp(id, ID) != 0)
		return -ENOENT;
	*ret = f->inc;
	return 0;
}

static int inc_facts(void *self, const char *id, int (*each)(void *arg, const struct lnx_fact *f),
		     void *arg)
{
	const struct fix *f = self;
	uint32_t i = 0;

	if (strcmp(id, ID) != 0)
		return -ENOENT;
	while (i < f->n && !each(arg, &f->facts[i]))
		i++;
	return (int)i;
}

static int inc_explain(void *self, const char *id, const char *doc)
{
	struct fix *f = self;

	assert_string_equal(id, ID);
	assert_true(strlen(doc) < sizeof(f->doc));
	memcpy(f->doc, doc, strlen(doc) + 1);
	return 0;
}

static const struct lnx_svc_incident service = {
	.size = sizeof(service), .get = inc_get, .facts = inc_facts, .explain = inc_explain
};

static struct lnx_fact *add(struct fix *f, const char *topic, const char *subject, const char *name)
{
	struct lnx_fact *x = &f->facts[f->n++];

	assert_true(f->n <= MAX_FACTS);
	*x = (struct lnx_fact){ .size = sizeof(*x), .topic = topic, .subject = subject };
	x->evidence = f->evidence;
	x->name = name;
	x->unit = "";
	return x;
}

static struct lnx_fact *blame(struct fix *f, const char *victim, const char *name, double ms)
{
	struct lnx_fact *x = add(f, "blame", victim, name);

	x->value = ms;
	return x;
}

/* Contention for a CPU: prod/api waits for media/batch, and the kernel's part was left out. */
static void fix_open(struct fix *f, const char *method)
{
	f->inc = (struct lnx_incident){ .size = sizeof(f->inc), .is_open = 1, .id = ID };
	f->inc.cause = "contention";
	f->inc.resource = "cpu";
	f->inc.fingerprint = f->inc.rule = f->inc.explanation = "";
	f->inc.labels = "{}";
	f->inc.title = "it happens";
	f->inc.culprit = "batch";
	f->inc.culprit_namespace = "media";
	f->inc.culprit_comm = "ffmpeg";
	f->inc.culprit_pid = 4711;
	f->inc.victim = "api";
	f->inc.victim_namespace = "prod";
	f->evidence = 1;
	add(f, "alert", "noisy-neighbour", "rule")->text = "noisy-neighbour";
	add(f, "alert", "noisy-neighbour", "pid")->value = 4711;
	f->evidence = 2;
	add(f, "blame", "prod/api", "method")->text = method;
	(void)blame(f, "prod/api", "stalled_ms", 512);
	f->t = testhost_new();
	assert_non_null(f->t);
	assert_int_equal(testhost_provide(f->t, "incident/1", &service, f), 0);
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
}

/* The facts that an exact ledger gives. */
static void add_parts(struct fix *f)
{
	(void)blame(f, "prod/api", "self_ms", 101);
	(void)blame(f, "prod/api", "neighbour_ms", 388);
	(void)blame(f, "prod/api", "throttled_ms", 1.5);
	(void)blame(f, "prod/api", "culprit_ms", 377);
	(void)blame(f, "prod/api", "culprit_pct", 73.6);
}

static void explain(struct fix *f)
{
	union {
		struct lnx_event h;
		struct lnx_ev_incident i;
		char bytes[1024];
	} u = { .h = { .size = sizeof(u.i), .type = LNX_EV_INCIDENT_OPEN, .fixed = sizeof(u.i) } };

	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.i.id, ID), 0);
	f->doc[0] = 0;
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
	assert_int_equal(testhost_metric(f->t, "linnix_triage_failures_total", ""), 0);
	assert_non_null(strstr(f->doc, "\"source\":\"deterministic\""));
}

static void has(const struct fix *f, const char *text)
{
	if (!strstr(f->doc, text))
		fail_msg("'%s' is missing: %s", text, f->doc);
}

static void has_not(const struct fix *f, const char *text)
{
	if (strstr(f->doc, text))
		fail_msg("'%s' is said: %s", text, f->doc);
}

/* ---- tests */

static void of_pressure_alone_nothing_is_ruled_out(void **state)
{
	static const char *const parts[] = { "self_ms", "neighbour_ms", "throttled_ms", "kernel_ms",
					     "irq_ms" },
				 *const methods[] = { "psi-only", "none" };

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		struct fix f = { 0 };

		fix_open(&f, methods[m]);
		for (size_t i = 0; i < 5; i++)
			(void)blame(&f, "prod/api", parts[i], 0);
		(void)blame(&f, "prod/api", "other_ms", 512);
		explain(&f);
		has(&f, "\"ruled_out\":[]");
		has(&f, "The victim lost 512 ms of wall time to waits [E2]");
		has_not(&f, "to neighbours");
		has_not(&f, "own tasks");
		testhost_free(f.t);
	}
}

static void parts_are_ruled_out_by_what_was_measured(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f, "exact");
	add_parts(&f);
	explain(&f);
	has(&f, "Its own CPU limit is not the reason: 1.5 of 512 ms [E2]");
	has(&f, "Its own load is not ruled out: 101 of 512 ms [E2]");
	has(&f, "Of that to neighbours: 388 ms [E2]");
	has_not(&f, "Work of the kernel"); /* its fact was left out */
	testhost_free(f.t);
}

static void a_quota_of_the_cpu_says_nothing_of_memory(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f, "exact");
	add_parts(&f);
	f.inc.resource = "memory";
	explain(&f);
	has_not(&f, "Its own CPU limit is");
	has(&f, "Its own load is not ruled out");
	f.inc.resource = "";
	explain(&f);
	has(&f, "Its own CPU limit is not the reason");
	testhost_free(f.t);
}

static void interrupts_that_nobody_counts_are_not_ruled_out(void **state)
{
	struct lnx_fact *irq;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f, "exact");
	add_parts(&f);
	irq = blame(&f, "prod/api", "irq_ms", 0);
	explain(&f);
	has_not(&f, "Time of interrupts is not the reason");
	irq->value = 3;
	explain(&f);
	has(&f, "Time of interrupts is not the reason: 3 of 512 ms [E2]");
	irq->value = 60;
	explain(&f);
	has(&f, "Time of interrupts is not ruled out: 60 of 512 ms [E2]");
	testhost_free(f.t);
}

static void a_name_that_begins_alike_is_another(void **state)
{
	struct fix f = { 0 };
	char name[150];

	(void)state;
	fix_open(&f, "exact");
	f.n = 2; /* the alert's */
	(void)blame(&f, "prod/api-gw", "stalled_ms", 999);
	(void)blame(&f, "prod/api-gw", "culprit_ms", 998);
	(void)blame(&f, "prod/api v2", "stalled_ms", 997);
	f.evidence = 3;
	add(&f, "blame", "prod/api", "method")->text = "exact";
	(void)blame(&f, "prod/api", "stalled_ms", 512);
	add_parts(&f);
	f.evidence = 4;
	/* limits say whose they are in front of the name */
	add(&f, "limits", "culprit batch", "cpu_limit_cores")->value = 2;
	explain(&f);
	has(&f, "made prod/api wait: 377 of the 512 ms that it lost (73.6 %) [E3]");
	has(&f, "CPU limit of the culprit: 2 cores [E4]");
	has_not(&f, "99");
	/* the longest names are told apart, too */
	(void)snprintf(name, sizeof(name), "prod/%0127d", 7);
	for (uint32_t i = 0; i < f.n; i++)
		if (f.facts[i].evidence == 3)
			f.facts[i].subject = name;
	f.inc.victim = name + 5;
	explain(&f);
	has(&f, "377 of the 512 ms that it lost (73.6 %) [E3]");
	testhost_free(f.t);
}

/* Numbers that are no part of a word: "[E2]", "x86", "api-2" are names. */
static void every_number_is_a_fact(void **state)
{
	struct fix f = { 0 };
	char *at, *end;
	int n = 0;

	(void)state;
	fix_open(&f, "exact");
	add_parts(&f);
	(void)blame(&f, "prod/api", "irq_ms", 0.4);
	add(&f, "host", "node", "steal_mean_pct")->value = 12.5;
	add(&f, "host", "node", "cpu_mean_pct")->value = 97;
	add(&f, "pressure", "node", "cpu_some_mean_pct")->value = 66;
	add(&f, "losses", "node", "confidence_pct")->value = 83;
	add(&f, "losses", "node", "covers_s")->value = 21;
	add(&f, "losses", "node", "asked_s")->value = 60;
	add(&f, "alert", "fork-storm", "forks_10s")->value = 404;
	explain(&f);
	end = strstr(f.doc, "\"next\"");
	assert_non_null(end);
	for (at = f.doc + 1; at < end; at++) {
		uint32_t i = 0;
		double v;

		if (!isdigit((unsigned char)*at))
			continue;
		if (isalnum((unsigned char)at[-1]) || strchr("-_.", at[-1])) {
			at += strspn(at, "0123456789.") - 1;
			continue;
		}
		v = strtod(at, &at);
		while (i < f.n && (f.facts[i].text || f.facts[i].value != v))
			i++;
		if (i == f.n)
			fail_msg("%g is no fact: %s", v, f.doc);
		n++;
	}
	assert_true(n > 20);
	testhost_free(f.t);
}

static void what_was_done_about_it_is_told(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f, "exact");
	f.evidence = 3;
	add(&f, "outcome", "prod/api", "action")->text = ID;
	add(&f, "outcome", "prod/api", "verb")->text = "throttle";
	add(&f, "outcome", "prod/api", "target")->text = "batch";
	add(&f, "outcome", "prod/api", "outcome")->text = "helped";
	add(&f, "outcome", "prod/api", "before_ms_per_s")->value = 312;
	add(&f, "outcome", "prod/api", "after_ms_per_s")->value = 20.5;
	f.evidence = 4;
	add(&f, "outcome", "prod/api", "verb")->text = "weight";
	add(&f, "outcome", "prod/api", "target")->text = "batch";
	add(&f, "outcome", "prod/api", "outcome")->text = "worse";
	add(&f, "outcome", "prod/api", "before_ms_per_s")->value = 12;
	add(&f, "outcome", "prod/api", "after_ms_per_s")->value = 440;
	add(&f, "outcome", "prod/api", "undone")->text = "undone";
	explain(&f);
	has(&f,
	    "(throttle of batch) and helped: prod/api lost 312 ms a second before and 20.5 after [E3].");
	has(&f,
	    "(weight of batch) and made it worse: prod/api lost 12 ms a second before and 440 after; "
	    "then it was taken back: undone [E4].");
	testhost_free(f.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_about_it_is_told),
		cmocka_unit_test(of_pressure_alone_nothing_is_ruled_out),
		cmocka_unit_test(parts_are_ruled_out_by_what_was_measured),
		cmocka_unit_test(a_quota_of_the_cpu_says_nothing_of_memory),
		cmocka_unit_test(interrupts_that_nobody_counts_are_not_ruled_out),
		cmocka_unit_test(a_name_that_begins_alike_is_another),
		cmocka_unit_test(every_number_is_a_fact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
