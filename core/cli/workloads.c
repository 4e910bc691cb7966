/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `workloads`: GET /workloads as a table. `workloads parse` is the workload plugin's own and needs no agent. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

const struct lnx_cli_opt lnx_workloads_opts[] = {
	{ "sort", "KEY",
	  "stalled_ms (default), caused_ms, psi_contribution, throttled_ms, cpu_pct, cpu_limit_ratio, anon_bytes, working_set_bytes or psi_cpu_pct; the largest first, KEY:asc the smallest",
	  's', false },
	{ "limit", "N", "at most N workloads (default 100, at most 10000)", 'n', false },
	{ "offset", "N", "leave out the first N", 0, false },
	{ "namespace", "NAME", "of this Kubernetes namespace", 0, false },
	{ "cgroup", "TEXT", "whose cgroup path or name holds TEXT", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct lnx_column workloads_columns[] = {
	{ "WORKLOAD", 0, false },  { "KIND", 5, false },   { "LOST/10s", 0, true },
	{ "CAUSED/10s", 0, true }, { "SHARE%", 0, true },  { "THROTTLED", 4, true },
	{ "CPU%", 0, true },	   { "PSI%", 3, true },	   { "ANON", 2, true },
	{ "PROCS", 6, true },	   { "CGROUP", 1, false },
};

/* A figure that the agent does not know is a dash, never a zero. */
static void cell(struct lnx_table *t, const json_t *v, double scale, bool is_bytes)
{
	struct lnx_buf text = { 0 };

	if (!json_is_number(v)) {
		lnx_table_cell(t, "-");
		return;
	}
	if (is_bytes) {
		lnx_text_bytes(&text, json_number_value(v));
		lnx_table_cell(t, text.data ? text.data : "-");
		lnx_buf_done(&text);
		return;
	}
	lnx_table_cell_fmt(t, "%.1f", json_number_value(v) * scale);
}

static void cell_ms(struct lnx_table *t, const json_t *v)
{
	struct lnx_buf text = { 0 };

	if (json_is_number(v))
		lnx_text_duration(&text, json_number_value(v) * 1e6);
	lnx_table_cell(t, text.data ? text.data : "-");
	lnx_buf_done(&text);
}

static void workloads_row(struct lnx_table *t, const json_t *w)
{
	lnx_table_cell(t, lnx_json_get_str(w, "workload"));
	lnx_table_cell(t, lnx_json_get_str(w, "kind"));
	cell_ms(t, json_object_get(w, "stalled_ms"));
	cell_ms(t, json_object_get(w, "caused_ms"));
	cell(t, json_object_get(w, "psi_contribution"), 100, false);
	cell_ms(t, json_object_get(w, "throttled_ms"));
	cell(t, json_object_get(w, "cpu_pct"), 1, false);
	cell(t, json_object_get(json_object_get(w, "psi"), "cpu_some_pct"), 1, false);
	cell(t, json_object_get(w, "anon_bytes"), 1, true);
	lnx_table_cell_fmt(t, "%.0f", lnx_json_get_f64(w, "processes", 0));
	lnx_table_cell(t, lnx_json_get_str(w, "cgroup"));
}

int lnx_cli_workloads(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct lnx_buf path = { 0 };
	struct lnx_table t;
	json_t *root = NULL;
	const json_t *w;
	size_t i;
	int code;

	if (args->n_words)
		return lnx_cli_usage("workloads", "workloads: unknown word '%s'", args->words[0]);
	lnx_buf_str(&path, "/workloads");
	for (const struct lnx_cli_opt *o = lnx_workloads_opts; o->name; o++)
		if (lnx_cli_arg(args, o->name))
			lnx_client_query(&path, o->name, lnx_cli_arg(args, o->name));
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_json(cli, path.data, &root);
	if (code == LNX_EXIT_OK && root) {
		lnx_table_init(&t, workloads_columns,
			       sizeof(workloads_columns) / sizeof(workloads_columns[0]));
		json_array_foreach(root, i, w) workloads_row(&t, w);
		code = lnx_table_print(&t, cli) < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
		lnx_table_done(&t);
	}
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}

int lnx_cli_workloads_parse(int argc, char **argv)
{
	struct lnx_cli cli = { 0 };
	int code = lnx_brought_run(&cli, argc, argv);

	if (code != -ENOENT)
		return code;
	lnx_cli_say("workloads parse: the plugin 'workload' is not installed");
	return LNX_EXIT_FAILURE;
}
