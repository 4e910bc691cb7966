/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verbs that show what the agent says of itself: plugins, rules list, version. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

int lnx_cli_plugins(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const struct lnx_column columns[] = {
		{ "INSTANCE", 0, false }, { "VERSION", 1, false }, { "STATE", 0, false },
		{ "EVENTS", 2, true },	  { "FAILURES", 0, true }, { "WHAT", 0, false }
	};
	struct lnx_table t;
	json_t *root = NULL;
	const json_t *p;
	size_t i;
	int code;

	if (lnx_cli_arg(args, "options"))
		return lnx_cli_options(cli, args);
	if (lnx_cli_arg(args, "dir"))
		return lnx_cli_usage("plugins", "plugins: --dir is for --options");
	if (args->n_words)
		return lnx_cli_usage("plugins", "plugins: unexpected word '%s'", args->words[0]);
	code = lnx_client_json(cli, "/plugins", &root);
	if (code != LNX_EXIT_OK || !root)
		return code;
	lnx_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(root, i, p)
	{
		const char *error = lnx_json_get_str(p, "error");

		lnx_table_cell(&t, lnx_json_get_str(p, "instance"));
		lnx_table_cell(&t, lnx_json_get_str(p, "version"));
		lnx_table_cell(&t, lnx_json_get_str(p, "state"));
		lnx_table_cell_fmt(&t, "%.0f", lnx_json_get_f64(p, "events", 0));
		lnx_table_cell_fmt(&t, "%.0f", lnx_json_get_f64(p, "failures", 0));
		lnx_table_cell(&t, *error ? error : lnx_json_get_str(p, "summary"));
	}
	if (lnx_table_print(&t, cli) < 0)
		code = LNX_EXIT_FAILURE;
	lnx_table_done(&t);
	json_decref(root);
	return code;
}

static int rules_print(const struct lnx_cli *cli, const json_t *root)
{
	static const struct lnx_column columns[] = { { "RULE", 0, false },
						     { "SEVERITY", 1, false },
						     { "STATE", 0, false },
						     { "FIRED", 2, true },
						     { "FILE", 0, false } };
	const json_t *rules = json_object_get(root, "rules"),
		     *errors = json_object_get(root, "errors"), *r;
	struct lnx_table t;
	size_t i;
	int rc;

	lnx_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(rules, i, r)
	{
		lnx_table_cell(&t, lnx_json_get_str(r, "name"));
		lnx_table_cell(&t, lnx_json_get_str(r, "severity"));
		lnx_table_cell(&t, lnx_json_get_str(r, "state"));
		lnx_table_cell_fmt(&t, "%.0f", lnx_json_get_f64(r, "fired", 0));
		lnx_table_cell(&t, lnx_json_get_str(r, "file"));
	}
	rc = lnx_table_print(&t, cli);
	lnx_table_done(&t);
	json_array_foreach(errors, i, r)
		lnx_cli_say("%s:%.0f: %s", lnx_json_get_str(r, "file"),
			    lnx_json_get_f64(r, "line", 0), lnx_json_get_str(r, "message"));
	return rc < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

int lnx_cli_rules_list(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	json_t *root = NULL;
	int code;

	if (args->n_words != 1 || strcmp(args->words[0], "list") != 0)
		return lnx_cli_usage("rules",
				     args->n_words ? "rules: list, check or test, not '%s'"
						   : "rules: list, check or test%s",
				     args->n_words ? args->words[0] : "");
	code = lnx_client_json(cli, "/rules", &root);
	if (code == LNX_EXIT_OK && root)
		code = rules_print(cli, root);
	json_decref(root);
	return code;
}

/* Version of the agent, or "" when it does not answer. */
static void version_of_agent(const struct lnx_cli *cli, struct lnx_buf *ret_version,
			     struct lnx_buf *ret_node)
{
	struct lnx_client *c = NULL;
	struct lnx_reply reply;
	json_t *root;

	if (lnx_client_new(cli, &c) < 0)
		return;
	if (lnx_client_get(c, "/status", &reply) == 0) {
		root = reply.status == 200 ? json_loadb(reply.body.data, reply.body.size, 0, NULL)
					   : NULL;
		lnx_buf_str(ret_version, lnx_json_get_str(root, "version"));
		lnx_buf_str(ret_node, lnx_json_get_str(root, "node"));
		json_decref(root);
		lnx_buf_done(&reply.body);
	}
	lnx_client_free(c);
}

int lnx_cli_version(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct lnx_buf version = { 0 }, node = { 0 }, out = { 0 };

	if (args->n_words)
		return lnx_cli_usage("version", "version: unexpected word '%s'", args->words[0]);
	version_of_agent(cli, &version, &node);
	if (cli->is_json) {
		lnx_buf_char(&out, '{');
		lnx_json_kv_str(&out, "version", LNX_VERSION);
		lnx_json_key(&out, "agent");
		if (version.size)
			lnx_json_str(&out, version.data);
		else
			lnx_buf_str(&out, "null");
		lnx_buf_char(&out, '}');
	} else {
		lnx_buf_str(&out, "linnix " LNX_VERSION "\nagent  ");
		if (version.size) {
			lnx_text_safe(&out, version.data, version.size);
			lnx_buf_str(&out, " on ");
			lnx_text_safe(&out, node.size ? node.data : "", node.size);
		} else {
			lnx_buf_str(&out, "does not answer");
		}
	}
	puts(lnx_buf_error(&out) ? "" : out.data);
	lnx_buf_done(&version);
	lnx_buf_done(&node);
	lnx_buf_done(&out);
	return LNX_EXIT_OK;
}
