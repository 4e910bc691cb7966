/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `ps`: GET /processes as a table, GET /processes/PID as lines. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

const struct lnx_cli_opt lnx_ps_opts[] = {
	{ "sort", "KEY",
	  "psi_contribution, cpu_pct (default), rss_bytes, forks or age; the largest first, KEY:asc the smallest",
	  's', false },
	{ "limit", "N", "at most N processes (default 100, at most 10000)", 'n', false },
	{ "offset", "N", "leave out the first N", 0, false },
	{ "namespace", "NAME", "of this Kubernetes namespace", 0, false },
	{ "victim-namespace", "NAME",
	  "culprits, wherever they run, of stalls suffered in this namespace", 0, false },
	{ "pod", "NAME", "of this pod", 0, false },
	{ "container", "NAME", "of this container", 0, false },
	{ "cgroup", "PATH", "of this cgroup", 0, false },
	{ "comm", "NAME", "of this name", 0, false },
	{ "uid", "UID", "of this user id", 0, false },
	{ "state", "STATE", "in this state; exited: only those that ended in the last 60 s", 0,
	  false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct lnx_column ps_columns[] = {
	{ "PID", 0, true },	  { "PPID", 4, true },	{ "UID", 5, true },  { "STATE", 6, false },
	{ "CPU%", 0, true },	  { "RSS", 0, true },	{ "MEM%", 7, true }, { "READ", 9, true },
	{ "WRITE", 8, true },	  { "FORKS", 3, true }, { "AGE", 2, true },  { "COMM", 0, false },
	{ "WORKLOAD", 0, false },
};
#define PS_N_COLUMNS (sizeof(ps_columns) / sizeof(ps_columns[0]))

/* A figure that the agent does not know is a dash, never a zero. */
static void ps_cell_f64(struct lnx_table *t, const json_t *p, const char *key, const char *fmt)
{
	const json_t *v = json_object_get(p, key);

	if (!json_is_number(v))
		lnx_table_cell(t, "-");
	else if (strcmp(fmt, "bytes") == 0 || strcmp(fmt, "ms") == 0) {
		struct lnx_buf text = { 0 };

		if (*fmt == 'b')
			lnx_text_bytes(&text, json_number_value(v));
		else
			lnx_text_duration(&text, json_number_value(v) * 1e6);
		lnx_table_cell(t, text.data ? text.data : "-");
		lnx_buf_done(&text);
	} else if (*fmt == 'd')
		lnx_table_cell_fmt(t, "%.0f", json_number_value(v));
	else
		lnx_table_cell_fmt(t, "%.1f", json_number_value(v));
}

static void ps_row(struct lnx_table *t, const json_t *p)
{
	const char *workload = lnx_json_get_str(p, "workload"),
		   *cgroup = lnx_json_get_str(p, "cgroup");

	ps_cell_f64(t, p, "pid", "d");
	ps_cell_f64(t, p, "ppid", "d");
	ps_cell_f64(t, p, "uid", "d");
	lnx_table_cell(t, lnx_json_get_str(p, "state"));
	ps_cell_f64(t, p, "cpu_pct", "1");
	ps_cell_f64(t, p, "rss_bytes", "bytes");
	ps_cell_f64(t, p, "mem_pct", "1");
	ps_cell_f64(t, p, "read_bytes", "bytes");
	ps_cell_f64(t, p, "write_bytes", "bytes");
	ps_cell_f64(t, p, "forks", "d");
	ps_cell_f64(t, p, "age_ms", "ms");
	lnx_table_cell(t, lnx_json_get_str(p, "comm"));
	lnx_table_cell(t, *workload ? workload : cgroup);
}

static int ps_print(const struct lnx_cli *cli, const json_t *list)
{
	struct lnx_table t;
	const json_t *p;
	size_t i;
	int rc;

	if (!json_is_array(list)) {
		lnx_cli_say("the agent's list of processes is not a list");
		return LNX_EXIT_FAILURE;
	}
	lnx_table_init(&t, ps_columns, PS_N_COLUMNS);
	json_array_foreach(list, i, p) ps_row(&t, p);
	rc = lnx_table_print(&t, cli);
	lnx_table_done(&t);
	return rc < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

/* "name: value" lines; lists of processes as "pid comm" lines. */
static void ps_print_one(const json_t *p)
{
	struct lnx_buf out = { 0 };
	const char *key;
	const json_t *v, *e;
	size_t i;
	json_t *o = (json_t *)p; /* jansson's iterator is not const, and changes nothing */

	for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
		key = json_object_iter_key(it);
		v = json_object_iter_value(it);
		lnx_buf_reset(&out);
		if (json_is_string(v))
			lnx_text_safe(&out, json_string_value(v), json_string_length(v));
		else if (json_is_array(v)) {
			json_array_foreach(v, i, e)
			{
				const char *comm = lnx_json_get_str(e, "comm");

				lnx_buf_printf(&out, "%s%.0f ", i ? ", " : "",
					       json_is_number(e) ? json_number_value(e)
								 : lnx_json_get_f64(e, "pid", 0));
				lnx_text_safe(&out, comm, strlen(comm));
			}
		} else if (json_is_number(v)) {
			lnx_json_f64(&out, json_number_value(v));
		} else {
			lnx_buf_str(&out, json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
		}
		printf("%-20s %s\n", key, out.data ? out.data : "");
	}
	lnx_buf_done(&out);
}

static int ps_path(const struct lnx_cli_args *args, struct lnx_buf *path)
{
	unsigned long long pid, n_max;
	const char *word = args->n_words ? args->words[0] : NULL;
	size_t n = word ? strspn(word, "0123456789") : 0;

	if (args->n_words > 1)
		return lnx_cli_usage("ps", "ps: one PID at most");
	if (word) {
		pid = n && n < 11 && !word[n] ? strtoull(word, NULL, 10) : 0;
		if (!pid)
			return lnx_cli_usage("ps", "ps: '%s' is not a process id", word);
		for (const struct lnx_cli_opt *o = lnx_ps_opts; o->name; o++)
			if (lnx_cli_arg(args, o->name))
				return lnx_cli_usage("ps", "ps: --%s does not go with a PID",
						     o->name);
		lnx_buf_printf(path, "/processes/%llu", pid);
		return LNX_EXIT_OK;
	}
	if (lnx_cli_arg_u64(args, "limit", 100, 1, 10000, &n_max) < 0 ||
	    lnx_cli_arg_u64(args, "offset", 0, 0, UINT32_MAX, &n_max) < 0)
		return LNX_EXIT_USAGE;
	lnx_buf_str(path, "/processes");
	for (const struct lnx_cli_opt *o = lnx_ps_opts; o->name; o++) {
		const char *value = lnx_cli_arg(args, o->name);

		if (value && strcmp(o->name, "victim-namespace") == 0)
			lnx_client_query(path, "victim_namespace", value);
		else if (value)
			lnx_client_query(path, o->name, value);
	}
	return LNX_EXIT_OK;
}

int lnx_cli_ps(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	int code = ps_path(args, &path);

	if (code == LNX_EXIT_OK && lnx_buf_error(&path))
		code = LNX_EXIT_FAILURE;
	if (code == LNX_EXIT_OK)
		code = lnx_client_json(cli, path.data, &root);
	if (code == LNX_EXIT_OK && root) {
		if (args->n_words)
			ps_print_one(root);
		else
			code = ps_print(cli, root);
	}
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}
