/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `incidents`: the list, one with its evidence, its explanation, feedback. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

const struct lnx_cli_opt lnx_incidents_opts[] = {
	{ "state", "STATE", "open or closed (default: both)", 0, false },
	{ "severity", "SEV", "info, warning or critical, and above", 0, false },
	{ "since", "SPAN", "opened in the last 30m, 2h, 7d", 's', false },
	{ "limit", "N", "at most N incidents (default 100, at most 10000)", 'n', false },
	{ "offset", "N", "leave out the first N", 0, false },
	{ "fail-on", "SEV", "exit with 4 when one of that severity or above is open", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct lnx_column columns[] = {
	{ "ID", 0, false },	{ "STATE", 0, false },	{ "SEVERITY", 0, false },
	{ "OPENED", 2, false }, { "VICTIMS", 3, true }, { "ALERTS", 4, true },
	{ "FLAPS", 5, true },	{ "WHAT", 0, false },
};

static const char *const severities[] = { "info", "warning", "critical" };

static int severity_of(const char *text)
{
	for (int i = 0; i < 3; i++)
		if (!strcmp(severities[i], text))
			return i;
	return -EINVAL;
}

static int print_list(const struct lnx_cli *cli, const json_t *root)
{
	struct lnx_table t;
	const json_t *inc;
	size_t i;
	int rc;

	if (!json_array_size(root)) {
		lnx_cli_say("no incidents");
		return LNX_EXIT_OK;
	}
	lnx_pager_begin(cli);
	lnx_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(root, i, inc)
	{
		lnx_table_cell(&t, lnx_json_get_str(inc, "id"));
		lnx_table_cell(&t, lnx_json_get_str(inc, "state"));
		lnx_table_cell_fmt(&t, "%s%s", lnx_json_get_str(inc, "severity"),
				   json_is_true(json_object_get(inc, "silenced")) ? " (silenced)"
										  : "");
		lnx_table_cell_time(&t, lnx_json_get_str(inc, "opened"));
		lnx_table_cell_fmt(&t, "%.0f", lnx_json_get_f64(inc, "n_victims", 0));
		lnx_table_cell_fmt(&t, "%.0f", lnx_json_get_f64(inc, "alerts", 0));
		lnx_table_cell_fmt(&t, "%.0f", lnx_json_get_f64(inc, "flaps", 0));
		lnx_table_cell(&t, lnx_json_get_str(inc, "title"));
	}
	rc = lnx_table_print(&t, cli);
	lnx_table_done(&t);
	lnx_pager_end();
	return rc < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

static bool is_found(const json_t *root, int severity)
{
	const json_t *inc;
	size_t i;

	json_array_foreach(root, i, inc)
	{
		if (!strcmp(lnx_json_get_str(inc, "state"), "open") &&
		    severity_of(lnx_json_get_str(inc, "severity")) >= severity)
			return true;
	}
	return false;
}

/* Ask whether one of <severity> or above is open, on whatever page it may be. Exit code. */
static int fail_on_open(const struct lnx_cli *cli, const char *severity)
{
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	int code;

	lnx_buf_str(&path, "/incidents");
	lnx_client_query(&path, "state", "open");
	lnx_client_query(&path, "severity", severity);
	lnx_client_query(&path, "limit", "1");
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_fetch(cli, path.data, &root);
	/* an agent without a store answers with all that it has */
	if (code == LNX_EXIT_OK && is_found(root, severity_of(severity)))
		code = LNX_EXIT_FOUND;
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}

static int list(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const keys[] = { "state", "severity", "since", "limit", "offset" };
	const char *fail_on = lnx_cli_arg(args, "fail-on");
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	int code;

	if (fail_on && severity_of(fail_on) < 0)
		return lnx_cli_usage("incidents",
				     "incidents: --fail-on '%s': info, warning or critical",
				     fail_on);
	lnx_buf_str(&path, "/incidents");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (lnx_cli_arg(args, keys[i]))
			lnx_client_query(&path, keys[i], lnx_cli_arg(args, keys[i]));
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_fetch(cli, path.data, &root);
	if (code == LNX_EXIT_OK)
		code = cli->is_json ? lnx_client_print(root) : print_list(cli, root);
	if (code == LNX_EXIT_OK && fail_on)
		code = fail_on_open(cli, fail_on);
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}

/* ---- one */

static int fetch_one(const struct lnx_cli *cli, const char *word, json_t **ret_root)
{
	char id[LNX_CLI_ID], path[64];
	int code = lnx_client_find_id(cli, "incidents", "/incidents?limit=1000", word, id);

	if (code != LNX_EXIT_OK)
		return code;
	(void)snprintf(path, sizeof(path), "/incidents/%s", id); /* fits */
	return lnx_client_fetch(cli, path, ret_root);
}

static void put_texts(const char *title, const json_t *texts)
{
	const json_t *t;
	size_t i;

	if (!json_array_size(texts))
		return;
	printf("\n%s\n", title);
	json_array_foreach(texts, i, t) lnx_text_line("  ", json_string_value(t), "");
}

/* The words of a model are marked as such: only their numbers and ids are checked. */
static void put_writer(const json_t *e)
{
	if (!strcmp(lnx_json_get_str(e, "source"), "llm"))
		lnx_text_line("\nWritten by the model ", lnx_json_get_str(e, "model"),
			      "; every number and id was checked against the evidence");
	else
		lnx_text_line("\nWritten by linnix, from the evidence alone", "", "");
}

static int explain(struct lnx_cli *cli, const char *word)
{
	json_t *root = NULL;
	const json_t *e;
	int code = fetch_one(cli, word, &root);

	if (code != LNX_EXIT_OK)
		return code;
	e = json_object_get(root, "explanation");
	if (cli->is_json) {
		code = lnx_client_print(e);
	} else if (!json_is_object(e)) {
		lnx_cli_say("it has no explanation: is the plugin triage loaded?");
		code = LNX_EXIT_FAILURE;
	} else {
		lnx_pager_begin(cli);
		lnx_text_line("", lnx_json_get_str(e, "summary"), "");
		put_writer(e);
		put_texts("Facts", json_object_get(e, "facts"));
		put_texts("Ruled out, or not", json_object_get(e, "ruled_out"));
		put_texts("What would change this", json_object_get(e, "would_change"));
		put_texts("Next", json_object_get(e, "next"));
		lnx_pager_end();
	}
	json_decref(root);
	return code;
}

static void put_head(const json_t *root)
{
	static const char *const keys[][2] = {
		{ "title", "what" },	{ "state", "state" },	{ "severity", "severity" },
		{ "opened", "opened" }, { "closed", "closed" }, { "cause", "cause" },
		{ "rule", "rule" },	{ "node", "node" },	{ "outcome", "outcome" },
	};
	char before[32];

	lnx_text_line("id         ", lnx_json_get_str(root, "id"), "");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!*lnx_json_get_str(root, keys[i][0]))
			continue;
		(void)snprintf(before, sizeof(before), "%-10s ", keys[i][1]); /* fits */
		lnx_text_line(before, lnx_json_get_str(root, keys[i][0]), "");
	}
	lnx_text_line("summary    ", lnx_json_get_str(root, "summary"), "");
}

/* What was asked to be done about it, and what came of it. */
static void put_actions(const json_t *actions)
{
	char before[32];
	const json_t *a;
	size_t i;

	if (json_array_size(actions))
		printf("\nActions\n");
	json_array_foreach(actions, i, a)
	{
		(void)snprintf(before, sizeof(before), "  %-9.9s ",
			       lnx_json_get_str(a, "state")); /* fits */
		lnx_text_line(before, lnx_json_get_str(a, "id"), "");
		lnx_text_line("            ", lnx_json_get_str(a, "plan"), "");
		lnx_text_line("            ", lnx_json_get_str(a, "text"), "");
		lnx_text_line("            outcome ", lnx_json_get_str(a, "outcome"),
			      json_is_true(json_object_get(a, "in_force")) ? ", in force" : "");
	}
}

static int show(struct lnx_cli *cli, const char *word)
{
	json_t *root = NULL;
	const json_t *e;
	char before[32];
	size_t i;
	int code = fetch_one(cli, word, &root);

	if (code != LNX_EXIT_OK)
		return code;
	if (cli->is_json) {
		code = lnx_client_print(root);
	} else {
		lnx_pager_begin(cli);
		put_head(root);
		printf("\nEvidence\n");
		json_array_foreach(json_object_get(root, "evidence"), i, e)
		{
			(void)snprintf(before, sizeof(before), "  %-4.8s ",
				       lnx_json_get_str(e, "id")); /* fits */
			lnx_text_line(before, lnx_json_get_str(e, "text"), "");
			lnx_text_line("       ", lnx_json_get_str(e, "query"), "");
		}
		put_actions(json_object_get(root, "actions"));
		json_array_foreach(json_object_get(root, "feedback"), i, e) lnx_text_line(
			i ? "           " : "\nFeedback   ", lnx_json_get_str(e, "verdict"), "");
		lnx_pager_end();
	}
	json_decref(root);
	return code;
}

static int feedback(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	char id[LNX_CLI_ID], path[64];
	struct lnx_buf body = { 0 };
	int code;

	if (args->n_words < 3 || args->n_words > 4)
		return lnx_cli_usage("incidents", "incidents: feedback ID useful|noise [NOTE]");
	code = lnx_client_find_id(cli, "incidents", "/incidents?limit=1000", args->words[1], id);
	if (code != LNX_EXIT_OK)
		return code;
	(void)snprintf(path, sizeof(path), "/incidents/%s/feedback", id); /* fits */
	lnx_buf_char(&body, '{');
	lnx_json_kv_str(&body, "verdict", args->words[2]);
	if (args->n_words == 4)
		lnx_json_kv_str(&body, "note", args->words[3]);
	lnx_json_kv_str(&body, "by", lnx_cli_user());
	lnx_buf_char(&body, '}');
	code = lnx_client_post_say(cli, path, &body);
	lnx_buf_done(&body);
	return code;
}

int lnx_cli_incidents(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const char *word = args->n_words ? args->words[0] : "list";

	if (!strcmp(word, "list") && args->n_words < 2)
		return list(cli, args);
	if (!strcmp(word, "show") && args->n_words == 2)
		return show(cli, args->words[1]);
	if (!strcmp(word, "explain") && args->n_words == 2)
		return explain(cli, args->words[1]);
	if (!strcmp(word, "feedback"))
		return feedback(cli, args);
	if (!strcmp(word, "show") || !strcmp(word, "explain"))
		return lnx_cli_usage("incidents", "incidents: %s wants one ID", word);
	return lnx_cli_usage("incidents", "incidents: unknown word '%s'", word);
}

int lnx_cli_incidents_verify(int argc, char **argv)
{
	struct lnx_cli cli = { 0 };
	int code = lnx_brought_run(&cli, argc, argv);

	if (code != -ENOENT)
		return code;
	lnx_cli_say("incidents verify: the plugin 'store' is not installed");
	return LNX_EXIT_FAILURE;
}

/* ---- silence */

const struct lnx_cli_opt lnx_silence_opts[] = {
	{ "match", "KEY=GLOB[,…]", "what the incident must match, all of it", 'm', false },
	{ "for", "SPAN", "how long: 30m, 2h, 7d", 0, false },
	{ "comment", "TEXT", "why", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static int silence_list(struct lnx_cli *cli)
{
	static const struct lnx_column silence_columns[] = { { "ID", 0, false },
							     { "UNTIL", 0, false },
							     { "BY", 1, false },
							     { "MATCH", 0, false },
							     { "COMMENT", 2, false } };
	json_t *root = NULL;
	const json_t *s;
	struct lnx_table t;
	size_t i;
	int code = lnx_client_json(cli, "/silences", &root);

	if (code == LNX_EXIT_OK && root) {
		lnx_table_init(&t, silence_columns, 5);
		json_array_foreach(root, i, s)
		{
			lnx_table_cell(&t, lnx_json_get_str(s, "id"));
			lnx_table_cell_time(&t, lnx_json_get_str(s, "until"));
			lnx_table_cell(&t, lnx_json_get_str(s, "by"));
			lnx_table_cell(&t, lnx_json_get_str(s, "match"));
			lnx_table_cell(&t, lnx_json_get_str(s, "comment"));
		}
		code = lnx_table_print(&t, cli) < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
		lnx_table_done(&t);
	}
	json_decref(root);
	return code;
}

int lnx_cli_silence(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const char *word = args->n_words ? args->words[0] : "list",
		   *match = lnx_cli_arg(args, "match"), *span = lnx_cli_arg(args, "for"),
		   *comment = lnx_cli_arg(args, "comment");
	struct lnx_buf body = { 0 }, path = { 0 };
	int code;

	if (!strcmp(word, "list") && args->n_words < 2)
		return silence_list(cli);
	lnx_buf_char(&body, '{');
	if (!strcmp(word, "add") && args->n_words == 1) {
		if (!match || !span) {
			lnx_buf_done(&body);
			return lnx_cli_usage("silence", "silence: add wants --match and --for");
		}
		lnx_buf_str(&path, "/silences");
		lnx_json_kv_str(&body, "match", match);
		lnx_json_kv_str(&body, "for", span);
		if (comment)
			lnx_json_kv_str(&body, "comment", comment);
	} else if (!strcmp(word, "end") && args->n_words == 2 &&
		   strspn(args->words[1], "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == LNX_CLI_ID - 1) {
		lnx_buf_printf(&path, "/silences/%.26s/end", args->words[1]);
	} else {
		lnx_buf_done(&body);
		return lnx_cli_usage("silence", "silence: list, add or end ID");
	}
	lnx_json_kv_str(&body, "by", lnx_cli_user());
	lnx_buf_char(&body, '}');
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_post_say(cli, path.data, &body);
	lnx_buf_done(&body);
	lnx_buf_done(&path);
	return code;
}
