/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `selftest`: known contention, and whether the running agent says of it what this machine measured. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/scene.h"
#include "cli/text.h"

#define SELFTEST_RUN_MS	   2000
#define SELFTEST_SETTLE_MS 300 /* the agent hears of the cgroups */
#define SELFTEST_ASK_MS	   250 /* between two questions */
#define SELFTEST_ASK_TRIES 24
#define SELFTEST_YOUNG_MS  5000 /* of the agent, or of our waiting: its tier may rise */
#define SELFTEST_BAR	   0.05 /* of the kernel's own figure */
#define SELFTEST_SLACK_MS  20
#define SELFTEST_COVERAGE  0.9
#define SELFTEST_SUM_BAR   1e-6

const struct lnx_cli_opt lnx_selftest_opts[] = { { NULL, NULL, NULL, 0, false } };

struct selftest {
	const struct lnx_cli *cli;
	struct lnx_client *client;
	struct lnx_scene scene;
	json_t *results; /* array */
	unsigned n_failed;
	char tier[32];
};

/* One result: printed, and kept for JSON. */
__attribute__((format(printf, 4, 5))) static void selftest_result(struct selftest *t, bool is_ok,
								  const char *name, const char *fmt,
								  ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when too long */
	va_end(ap);
	t->n_failed += !is_ok;
	(void)json_array_append_new(t->results,
				    json_pack("{s:s, s:b, s:s}", "check", name, "ok", is_ok,
					      "found", text)); /* no memory: left out */
	if (t->cli->is_json)
		return;
	lnx_text_colour(t->cli, is_ok ? LNX_COLOUR_GREEN : LNX_COLOUR_RED, is_ok ? "ok  " : "FAIL");
	printf(" %-10s %s\n", name, text);
}

static bool is_near(double got, double want)
{
	return fabs(got - want) <= fmax(SELFTEST_BAR * want, SELFTEST_SLACK_MS);
}

/* GET <path> as JSON. Returns an exit code, everything said. */
static int selftest_get(struct selftest *t, const char *path, json_t **ret_json)
{
	struct lnx_reply reply = { 0 };
	json_error_t error;
	int rc = lnx_client_get(t->client, path, &reply), code = LNX_EXIT_OK;

	*ret_json = NULL;
	if (rc < 0)
		code = lnx_client_say(t->client, rc);
	else if (reply.status != 200)
		code = lnx_client_say_status(t->client, &reply);
	if (code == LNX_EXIT_OK) {
		*ret_json = json_loadb(reply.body.data ? reply.body.data : "", reply.body.size, 0,
				       &error);
		if (!*ret_json) {
			lnx_cli_say("the agent's answer to %s is not JSON: %s", path, error.text);
			code = LNX_EXIT_FAILURE;
		}
	}
	lnx_buf_done(&reply.body);
	return code;
}

/* What the agent says of our victim; NULL not yet. Owned by *ret_root. */
static int selftest_ask(struct selftest *t, json_t **ret_root, const json_t **ret_victim)
{
	char path[128];
	int code;

	(void)snprintf(path, sizeof(path), "/blame?resource=cpu&by=container&since=30s&victim=%llu",
		       (unsigned long long)t->scene.id[LNX_SCENE_VICTIM]); /* fits */
	code = selftest_get(t, path, ret_root);
	*ret_victim = json_array_get(json_object_get(*ret_root, "victims"), 0);
	return code;
}

/* Ask until the agent's last window is closed: its figure stands still and agrees, or does not. */
static int selftest_wait(struct selftest *t, double psi_ms, json_t **ret_root,
			 const json_t **ret_victim)
{
	double last = -1, now;
	int code = LNX_EXIT_OK;

	for (int i = 0; i < SELFTEST_ASK_TRIES; i++) {
		if (lnx_scene_wait(&t->scene, SELFTEST_ASK_MS) < 0) {
			lnx_cli_say("interrupted");
			return LNX_EXIT_FAILURE;
		}
		json_decref(*ret_root);
		code = selftest_ask(t, ret_root, ret_victim);
		if (code != LNX_EXIT_OK)
			return code;
		now = lnx_json_get_f64(*ret_victim, "stalled_ms", 0);
		/* Two windows must have passed. */
		if (i * SELFTEST_ASK_MS > 2200 && now > 0 && now <= last)
			return code;
		if (!isnan(psi_ms) && is_near(now, psi_ms) && i * SELFTEST_ASK_MS > 1200)
			return code;
		last = now;
	}
	return code;
}

/* Stall that the answer gives to our bully, and to all others. */
static double selftest_blamed(const struct selftest *t, const json_t *victim, double *ret_sum,
			      double *ret_others)
{
	const json_t *part;
	double bully = 0;
	size_t i;

	*ret_sum = *ret_others = 0;
	json_array_foreach(json_object_get(victim, "parts"), i, part)
	{
		double ms = lnx_json_get_f64(part, "stall_ms", 0);
		double id = lnx_json_get_f64(json_object_get(part, "culprit"), "cgroup_id", 0);

		*ret_sum += ms;
		if (id > 0 && id == (double)t->scene.id[LNX_SCENE_BULLY])
			bully += ms;
		else if (id > 0)
			*ret_others += ms;
	}
	return bully;
}

static void selftest_compare(struct selftest *t, const json_t *victim, double psi_ms)
{
	double stalled = lnx_json_get_f64(victim, "stalled_ms", 0),
	       coverage = lnx_json_get_f64(victim, "coverage_ratio", NAN), sum, others,
	       bully = selftest_blamed(t, victim, &sum, &others),
	       ran = t->scene.cpu_ms[LNX_SCENE_BULLY];
	bool is_exact = strcmp(t->tier, "exact") == 0;

	if (isnan(psi_ms))
		selftest_result(t, !is_exact || stalled > 0, "stall",
				"the victim lost %.0f ms; the kernel offers no PSI to compare with",
				stalled);
	else
		selftest_result(t, is_near(stalled, psi_ms), "stall",
				"the victim lost %.0f ms, the kernel's own figure is %.0f ms",
				stalled, psi_ms);
	selftest_result(t, fabs(sum - stalled) <= SELFTEST_SUM_BAR * fmax(stalled, 1), "parts",
			"%.3f ms in parts, %.3f ms in all", sum, stalled);
	if (!is_exact) {
		selftest_result(t, bully == 0 && others == 0, "culprit",
				"nobody is blamed in this tier, as it should be");
		return;
	}
	selftest_result(t, is_near(bully, ran), "culprit",
			"the bully is blamed for %.0f ms; it used the CPU for %.0f ms meanwhile",
			bully, ran);
	if (!isnan(psi_ms))
		selftest_result(t, coverage >= SELFTEST_COVERAGE, "coverage",
				"ledger and PSI agree to %.1f %% (at least %.0f %%)",
				100 * coverage, 100 * SELFTEST_COVERAGE);
	if (others > 0 && !t->cli->is_json)
		printf("     %-10s others on this CPU held the victim up for %.0f ms\n", "",
		       others);
}

static int selftest_scene(struct selftest *t)
{
	const json_t *victim = NULL;
	json_t *root = NULL;
	double psi_ms;
	int code, rc = lnx_scene_open(&t->scene);

	if (!rc)
		rc = lnx_scene_wait(&t->scene, SELFTEST_SETTLE_MS);
	if (!rc)
		rc = lnx_scene_run(&t->scene, SELFTEST_RUN_MS);
	if (rc) {
		lnx_cli_say("%s", rc == -EINTR ? "interrupted" : t->scene.error);
		return LNX_EXIT_FAILURE;
	}
	psi_ms = lnx_scene_psi_ms(&t->scene);
	code = selftest_wait(t, psi_ms, &root, &victim);
	if (code == LNX_EXIT_OK)
		selftest_compare(t, victim, psi_ms);
	json_decref(root);
	return code;
}

/* True if the probe of the ledger is attached: it may just not have seen anything yet. */
static bool selftest_is_attached(const json_t *status)
{
	const json_t *probe;
	size_t i;

	json_array_foreach(json_object_get(status, "probes"), i, probe)
	{
		if (!strcmp(lnx_json_get_str(probe, "name"), "sched"))
			return !strcmp(lnx_json_get_str(probe, "state"), "attached");
	}
	return false;
}

/* The tier that /status tells. An agent that has just begun attaches its ledger only in its first seconds, and those count
 * from when it answers: loading the probes may have taken as long. */
static int selftest_ask_tier(struct selftest *t, unsigned waited_ms, bool *ret_is_settled)
{
	json_t *root = NULL;
	int code = selftest_get(t, "/status", &root);
	const char *tier;

	if (code != LNX_EXIT_OK)
		return code;
	tier = lnx_json_get_str(json_object_get(root, "tiers"), "cpu");
	(void)snprintf(t->tier, sizeof(t->tier), "%s",
		       *tier ? tier : "none"); /* cut when strange */
	*ret_is_settled =
		strcmp(t->tier, "exact") == 0 || waited_ms >= SELFTEST_YOUNG_MS ||
		(!selftest_is_attached(root) &&
		 lnx_json_get_f64(root, "uptime_ms", SELFTEST_YOUNG_MS) >= SELFTEST_YOUNG_MS);
	json_decref(root);
	return code;
}

static int selftest_tier(struct selftest *t)
{
	bool is_settled = false;
	unsigned waited_ms = 0;
	int code = selftest_ask_tier(t, 0, &is_settled);

	while (code == LNX_EXIT_OK && !is_settled) {
		if (lnx_scene_wait(&t->scene, SELFTEST_ASK_MS) < 0) {
			lnx_cli_say("interrupted");
			return LNX_EXIT_FAILURE;
		}
		waited_ms += SELFTEST_ASK_MS;
		code = selftest_ask_tier(t, waited_ms, &is_settled);
	}
	if (code != LNX_EXIT_OK)
		return code;
	selftest_result(t, strcmp(t->tier, "none") != 0, "tier",
			strcmp(t->tier, "exact") == 0
				? "%s: every wait is measured, with its culprit"
			: strcmp(t->tier, "psi-only") == 0
				? "%s: how much is known, by whom is not (linnix doctor tells why)"
				: "%s: stalls are not measured",
			t->tier);
	return LNX_EXIT_OK;
}

int lnx_cli_selftest(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct selftest t = { .cli = cli };
	int code;

	if (args->n_words)
		return lnx_cli_usage("selftest", "selftest: unexpected word '%s'", args->words[0]);
	if (lnx_client_new(cli, &t.client) < 0)
		return LNX_EXIT_FAILURE;
	t.results = json_array();
	t.scene.signal_fd = t.scene.shot[0] = t.scene.shot[1] = -1;
	code = selftest_tier(&t);
	if (code == LNX_EXIT_OK)
		code = selftest_scene(&t);
	lnx_scene_close(&t.scene);
	if (code == LNX_EXIT_OK && t.n_failed)
		code = LNX_EXIT_FAILURE;
	if (cli->is_json && t.results && json_array_size(t.results)) {
		json_t *out = json_pack("{s:s, s:b, s:O}", "tier", t.tier, "ok",
					code == LNX_EXIT_OK, "checks", t.results);

		if (!out || json_dumpf(out, stdout, JSON_COMPACT) < 0 || putchar('\n') == EOF)
			code = LNX_EXIT_FAILURE;
		json_decref(out);
	}
	json_decref(t.results);
	lnx_client_free(t.client);
	return code;
}
