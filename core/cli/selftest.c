/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `selftest`: known contention, and whether the running agent says of it what this machine measured. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/judge.h"
#include "cli/scene.h"
#include "cli/text.h"

#define SELFTEST_RUN_MS	   2000
#define SELFTEST_SETTLE_MS 300 /* the agent hears of the cgroups */
#define SELFTEST_ASK_MS	   250 /* between two questions */
#define SELFTEST_ASK_TRIES 80
#define SELFTEST_YOUNG_MS  5000 /* of the agent, or of our waiting: its tier may rise */

const struct lnx_cli_opt lnx_selftest_opts[] = { { NULL, NULL, NULL, 0, false } };

struct selftest {
	struct lnx_client *client;
	struct lnx_scene scene;
	struct lnx_judge judge;
};

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
		if (!isnan(psi_ms) && lnx_judge_is_near(now, psi_ms) && i * SELFTEST_ASK_MS > 1200)
			return code;
		last = now;
	}
	return code;
}

static int selftest_scene(struct selftest *t)
{
	const json_t *victim = NULL;
	struct lnx_judge_truth truth;
	json_t *root = NULL;
	int code, rc = lnx_scene_open(&t->scene);

	if (!rc)
		rc = lnx_scene_wait(&t->scene, SELFTEST_SETTLE_MS);
	if (!rc)
		rc = lnx_scene_run(&t->scene, SELFTEST_RUN_MS);
	if (rc) {
		lnx_cli_say("%s", rc == -EINTR ? "interrupted" : t->scene.error);
		return LNX_EXIT_FAILURE;
	}
	truth = (struct lnx_judge_truth){ .victim_id = t->scene.id[LNX_SCENE_VICTIM],
					  .bully_id = t->scene.id[LNX_SCENE_BULLY],
					  .psi_ms = lnx_scene_psi_ms(&t->scene),
					  .bully_ms = t->scene.cpu_ms[LNX_SCENE_BULLY] };
	code = selftest_wait(t, truth.psi_ms, &root, &victim);
	if (code == LNX_EXIT_OK)
		lnx_judge_blame(&t->judge, &truth, victim);
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
	(void)snprintf(t->judge.tier, sizeof(t->judge.tier), "%s",
		       *tier ? tier : "none"); /* cut when strange */
	*ret_is_settled =
		strcmp(t->judge.tier, "exact") == 0 || waited_ms >= SELFTEST_YOUNG_MS ||
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
	lnx_judge_result(&t->judge, strcmp(t->judge.tier, "none") != 0, "tier",
			 strcmp(t->judge.tier, "exact") == 0
				 ? "%s: every wait is measured, with its culprit"
			 : strcmp(t->judge.tier, "psi-only") == 0
				 ? "%s: how much is known, by whom is not (linnix doctor tells why)"
				 : "%s: stalls are not measured",
			 t->judge.tier);
	return LNX_EXIT_OK;
}

int lnx_cli_selftest(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct selftest t = { .judge = { .cli = cli } };
	int code;

	if (args->n_words)
		return lnx_cli_usage("selftest", "selftest: unexpected word '%s'", args->words[0]);
	if (lnx_client_new(cli, &t.client) < 0)
		return LNX_EXIT_FAILURE;
	t.judge.results = json_array();
	t.scene.signal_fd = t.scene.shot[0] = t.scene.shot[1] = -1;
	code = selftest_tier(&t);
	if (code == LNX_EXIT_OK)
		code = selftest_scene(&t);
	lnx_scene_close(&t.scene);
	if (code == LNX_EXIT_OK && t.judge.n_failed)
		code = LNX_EXIT_FAILURE;
	if (cli->is_json && t.judge.results && json_array_size(t.judge.results)) {
		json_t *out = json_pack("{s:s, s:b, s:O}", "tier", t.judge.tier, "ok",
					code == LNX_EXIT_OK, "checks", t.judge.results);

		if (!out || json_dumpf(out, stdout, JSON_COMPACT) < 0 || putchar('\n') == EOF)
			code = LNX_EXIT_FAILURE;
		json_decref(out);
	}
	json_decref(t.judge.results);
	lnx_client_free(t.client);
	return code;
}
