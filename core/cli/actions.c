/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `actions`: what rules ask to be done: the list, one, and deciding. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

const struct lnx_cli_opt lnx_actions_opts[] = {
	{ "state", "STATE",
	  "proposed, applied, measured, undone, refused, rejected, expired, failed or dry-run", 0,
	  false },
	{ "incident", "ID", "of this incident", 0, false },
	{ "limit", "N", "at most N actions (default 100, at most 10000)", 'n', false },
	{ "offset", "N", "leave out the first N", 0, false },
	{ "dry-run", NULL, "with approve: tell what would be done, do nothing", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct lnx_column columns[] = {
	{ "ID", 0, false },	{ "STATE", 0, false },	{ "ASKED", 2, false },
	{ "ACTION", 0, false }, { "TARGET", 0, false }, { "OUTCOME", 1, false },
	{ "BY", 2, false },	{ "WHAT", 3, false },
};

/* "throttle 50%", "signal TERM". */
static void cell_action(struct lnx_table *t, const json_t *a)
{
	const char *verb = lnx_json_get_str(a, "verb");

	if (*lnx_json_get_str(a, "signal"))
		lnx_table_cell_fmt(t, "%s %s", verb, lnx_json_get_str(a, "signal"));
	else if (json_is_number(json_object_get(a, "value")))
		lnx_table_cell_fmt(t, "%s %.0f%s", verb, lnx_json_get_f64(a, "value", 0),
				   strcmp(verb, "throttle") == 0 ? "%" : "");
	else
		lnx_table_cell(t, verb);
}

static int print_list(const struct lnx_cli *cli, const json_t *root)
{
	struct lnx_table t;
	const json_t *a;
	size_t i;
	int rc;

	if (!json_array_size(root)) {
		lnx_cli_say("no actions");
		return LNX_EXIT_OK;
	}
	lnx_pager_begin(cli);
	lnx_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(root, i, a)
	{
		lnx_table_cell(&t, lnx_json_get_str(a, "id"));
		lnx_table_cell_fmt(&t, "%s%s", lnx_json_get_str(a, "state"),
				   json_is_true(json_object_get(a, "in_force")) ? " (in force)"
										: "");
		lnx_table_cell_time(&t, lnx_json_get_str(a, "asked"));
		cell_action(&t, a);
		lnx_table_cell(&t, lnx_json_get_str(json_object_get(a, "target"), "workload"));
		lnx_table_cell(&t, lnx_json_get_str(a, "outcome"));
		lnx_table_cell(&t, lnx_json_get_str(a, "by"));
		lnx_table_cell(&t, lnx_json_get_str(a, "text"));
	}
	rc = lnx_table_print(&t, cli);
	lnx_table_done(&t);
	lnx_pager_end();
	return rc < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

static int list(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const keys[] = { "state", "incident", "limit", "offset" };
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	int code;

	lnx_buf_str(&path, "/actions");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (lnx_cli_arg(args, keys[i]))
			lnx_client_query(&path, keys[i], lnx_cli_arg(args, keys[i]));
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_fetch(cli, path.data, &root);
	if (code == LNX_EXIT_OK)
		code = cli->is_json ? lnx_client_print(root) : print_list(cli, root);
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}

/* Path of the action that <word> names. With its node the agent checks that it is the one. Exit code. */
static int path_of(const struct lnx_cli *cli, const char *word, const char *end,
		   struct lnx_buf *path)
{
	const char *slash = strrchr(word, '/');
	char id[LNX_CLI_ID], node[256];
	int code = lnx_client_find_id(cli, "actions", "/actions?limit=1000",
				      slash ? slash + 1 : word, id);

	if (code != LNX_EXIT_OK)
		return code;
	lnx_buf_printf(path, "/actions/%s%s", id, end);
	if (slash && snprintf(node, sizeof(node), "%.*s", (int)(slash - word), word) > 0)
		lnx_client_query(path, "node", node);
	return lnx_buf_error(path) ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

static void put_figure(const json_t *a, const char *key, const char *before)
{
	char text[64];

	if (!json_is_number(json_object_get(a, key)))
		return;
	(void)snprintf(text, sizeof(text), "%.1f ms/s", lnx_json_get_f64(a, key, 0)); /* fits */
	lnx_text_line(before, text, "");
}

static int show(struct lnx_cli *cli, const char *word)
{
	static const char *const keys[] = { "id",      "state",	 "verb", "rule",    "incident",
					    "victim",  "reason", "plan", "by",	    "text",
					    "outcome", "asked",	 "due",	 "applied", "until",
					    "over",    "node" };
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	char before[32];
	int code = path_of(cli, word, "", &path);

	if (code == LNX_EXIT_OK)
		code = lnx_client_fetch(cli, path.data, &root);
	if (code == LNX_EXIT_OK && cli->is_json) {
		code = lnx_client_print(root);
	} else if (code == LNX_EXIT_OK) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			(void)snprintf(before, sizeof(before), "%-10s ", keys[i]); /* fits */
			if (*lnx_json_get_str(root, keys[i]))
				lnx_text_line(before, lnx_json_get_str(root, keys[i]), "");
		}
		lnx_text_line("target     ",
			      lnx_json_get_str(json_object_get(root, "target"), "workload"), "");
		lnx_text_line("cgroup     ",
			      lnx_json_get_str(json_object_get(root, "target"), "cgroup"), "");
		put_figure(root, "before_ms_per_s", "before     ");
		put_figure(root, "after_ms_per_s", "after      ");
	}
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}

static int decide(struct lnx_cli *cli, const struct lnx_cli_args *args, const char *end)
{
	struct lnx_buf path = { 0 }, body = { 0 };
	json_t *root = NULL;
	int code = path_of(cli, args->words[1], end, &path);

	lnx_buf_char(&body, '{');
	lnx_json_kv_str(&body, "by", lnx_cli_user());
	if (lnx_cli_arg(args, "dry-run"))
		lnx_json_kv_bool(&body, "dry_run", 1);
	lnx_buf_char(&body, '}');
	if (code == LNX_EXIT_OK)
		code = lnx_client_post_json(cli, path.data, &body, &root);
	if (code == LNX_EXIT_OK && cli->is_json)
		code = lnx_client_print(root);
	else if (code == LNX_EXIT_OK)
		lnx_text_line("", lnx_json_get_str(root, "text"), "");
	json_decref(root);
	lnx_buf_done(&path);
	lnx_buf_done(&body);
	return code;
}

int lnx_cli_actions(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const struct {
		const char *word, *end;
	} verbs[] = { { "approve", "/approve" },
		      { "reject", "/reject" },
		      { "deny", "/reject" },
		      { "undo", "/undo" } };
	const char *word = args->n_words ? args->words[0] : "list";

	if (lnx_cli_arg(args, "dry-run") && strcmp(word, "approve") != 0)
		return lnx_cli_usage("actions", "actions: --dry-run is for approve");
	if (!strcmp(word, "list") && args->n_words < 2)
		return list(cli, args);
	if (!strcmp(word, "show") && args->n_words == 2)
		return show(cli, args->words[1]);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(word, verbs[i].word) != 0)
			continue;
		if (args->n_words == 2)
			return decide(cli, args, verbs[i].end);
		return lnx_cli_usage("actions", "actions: %s wants one ID", word);
	}
	return lnx_cli_usage("actions",
			     "actions: show wants one ID; other words are list, approve, "
			     "reject and undo");
}
