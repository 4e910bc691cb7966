/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `blame`: GET /blame as a table that answers who lost how much, by whom, and how sure that is. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

#define BLAME_EVERY_MS	  2000
#define BLAME_PARTS_MAX	  6	/* lines of one victim; the rest is summed */
#define BLAME_SHARE_LEAST 0.005 /* of a line of its own */

const struct lnx_cli_opt lnx_blame_opts[] = {
	{ "victim", "W", "only this victim: workload, pod, container id, cgroup path or cgroup id",
	  0, false },
	{ "culprit", "W", "only victims that this one held up", 0, false },
	{ "resource", "R", "cpu, memory or io (default: all)", 'r', false },
	{ "by", "LEVEL", "container (default), pod, workload or process", 'b', false },
	{ "since", "SPAN", "the last 10s, 5m, 1h (default 1m)", 's', false },
	{ "from", "TIME", "begin, as 2025-01-31T12:00:00Z or Unix seconds", 0, false },
	{ "to", "TIME", "end", 0, false },
	{ "limit", "N", "at most N victims (default 100, at most 10000)", 'n', false },
	{ "watch", NULL, "again every 2 s, until interrupted", 'w', false },
	{ "count", "N", "with --watch: end after N times", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct lnx_column blame_columns[] = {
	{ "VICTIM", 0, false }, { "LOST/S", 0, true }, { "LOST", 3, true },
	{ "SHARE", 0, true },	{ "BY", 0, false },    { "KIND", 0, false },
	{ "RES", 2, false },	{ "SURE", 1, true },   { "METHOD", 4, false },
};
#define BLAME_N_COLUMNS (sizeof(blame_columns) / sizeof(blame_columns[0]))

/* "namespace/workload", or the workload alone. */
static void blame_name(struct lnx_buf *out, const json_t *who)
{
	const char *namespace_ = lnx_json_get_str(who, "namespace"),
		   *container = lnx_json_get_str(who, "container_name");

	if (*namespace_)
		lnx_buf_printf(out, "%s/", namespace_);
	lnx_buf_str(out, lnx_json_get_str(who, "workload"));
	if (*container)
		lnx_buf_printf(out, " (%s)", container);
}

/* Whom a part names: the culprit with its first process, a quota with its owner, or what kind of cause it is. */
static void blame_by(struct lnx_buf *out, const json_t *part)
{
	const char *kind = lnx_json_get_str(part, "kind"), *owner = lnx_json_get_str(part, "owner");
	const json_t *culprit = json_object_get(part, "culprit"),
		     *process = json_array_get(json_object_get(part, "processes"), 0);

	if (!process && json_object_get(culprit, "pid"))
		process = culprit;
	if (json_is_object(culprit))
		blame_name(out, culprit);
	else if (strcmp(kind, "throttled") == 0)
		lnx_buf_printf(out, "quota %s%s%s", lnx_json_get_str(part, "limit"),
			       *owner ? " of " : "", owner);
	else if (strcmp(kind, "kernel") == 0)
		lnx_buf_str(out, "kernel threads");
	else if (strcmp(kind, "self") == 0)
		lnx_buf_str(out, "itself");
	else if (strcmp(kind, "steal") == 0)
		lnx_buf_str(out, "the hypervisor");
	else if (strcmp(kind, "irq") == 0)
		lnx_buf_str(out, "interrupts");
	else if (strcmp(kind, "idle") == 0)
		lnx_buf_str(out, "a CPU waking up");
	else
		lnx_buf_str(out, "not known");
	if (process)
		lnx_buf_printf(out, ": %s %.0f", lnx_json_get_str(process, "comm"),
			       lnx_json_get_f64(process, "pid", 0));
}

static void blame_cell(struct lnx_table *t, const struct lnx_buf *text)
{
	lnx_table_cell(t, text->data ? text->data : "");
}

static void blame_ms(struct lnx_table *t, double ms)
{
	struct lnx_buf text = { 0 };

	lnx_text_duration(&text, ms * 1e6);
	blame_cell(t, &text);
	lnx_buf_done(&text);
}

struct blame_line {
	const json_t *victim; /* NULL: a further line of the same */
	const char *by, *kind;
	double ms, share;
};

static void blame_row(struct lnx_table *t, const struct blame_line *l, double window_s)
{
	double coverage = lnx_json_get_f64(l->victim, "coverage_ratio", NAN);
	struct lnx_buf name = { 0 };

	if (l->victim)
		blame_name(&name, json_object_get(l->victim, "victim"));
	blame_cell(t, &name);
	lnx_buf_done(&name);
	blame_ms(t, window_s > 0 ? l->ms / window_s : 0);
	blame_ms(t, l->ms);
	lnx_table_cell_fmt(t, "%.1f%%", 100 * l->share);
	lnx_table_cell(t, l->by);
	lnx_table_cell(t, l->kind);
	lnx_table_cell(t, l->victim ? lnx_json_get_str(l->victim, "resource") : "");
	if (!l->victim)
		lnx_table_cell(t, "");
	else if (isnan(coverage))
		lnx_table_cell(t, "-");
	else
		lnx_table_cell_fmt(t, "%.1f%%", 100 * coverage);
	lnx_table_cell(t, l->victim ? lnx_json_get_str(l->victim, "method") : "");
}

/* The victim's parts, the largest first as they come, the small ones in one line. */
static void blame_victim(struct lnx_table *t, const json_t *victim, double window_s)
{
	double total = lnx_json_get_f64(victim, "stalled_ms", 0), shown = 0;
	const json_t *part, *parts = json_object_get(victim, "parts");
	struct blame_line l = { .victim = victim };
	struct lnx_buf by = { 0 };
	unsigned n = 0;
	size_t i;

	json_array_foreach(parts, i, part)
	{
		l.ms = lnx_json_get_f64(part, "stall_ms", 0);
		l.share = lnx_json_get_f64(part, "share_ratio", 0);
		l.kind = lnx_json_get_str(part, "kind");
		if (n == BLAME_PARTS_MAX || (n && l.share < BLAME_SHARE_LEAST))
			break;
		lnx_buf_reset(&by);
		blame_by(&by, part);
		l.by = by.data ? by.data : "";
		blame_row(t, &l, window_s);
		shown += l.ms;
		l.victim = NULL;
		n++;
	}
	if (!n || total - shown > total * BLAME_SHARE_LEAST) {
		l.ms = n ? total - shown : total;
		l.share = total > 0 ? l.ms / total : 0;
		l.by = n ? "others" : "not known";
		l.kind = "";
		blame_row(t, &l, window_s);
	}
	lnx_buf_done(&by);
}

static int blame_print(const struct lnx_cli *cli, const json_t *root)
{
	double window_s = lnx_json_get_f64(root, "window_ms", 0) / 1e3;
	const json_t *victims = json_object_get(root, "victims"), *v;
	struct lnx_table t;
	size_t i;
	int rc;

	if (!json_is_array(victims)) {
		lnx_cli_say("the agent's answer has no list of victims");
		return LNX_EXIT_FAILURE;
	}
	if (!json_array_size(victims)) {
		lnx_cli_say(window_s > 0 ? "nobody was stalled in the last %.0f s"
					 : "nothing has been measured yet",
			    window_s);
		return LNX_EXIT_OK;
	}
	lnx_table_init(&t, blame_columns, BLAME_N_COLUMNS);
	json_array_foreach(victims, i, v) blame_victim(&t, v, window_s);
	rc = lnx_table_print(&t, cli);
	lnx_table_done(&t);
	return rc < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

static int blame_once(struct lnx_cli *cli, const char *path, bool is_watch)
{
	json_t *root = NULL;
	int code = lnx_client_json(cli, path, &root);

	if (code == LNX_EXIT_OK && root) {
		if (is_watch && cli->columns)
			printf("\033[H\033[J"); /* a terminal: the same place again */
		code = blame_print(cli, root);
	}
	json_decref(root);
	return code;
}

int lnx_cli_blame(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const keys[] = { "victim", "culprit", "resource", "by",
					    "since",  "from",	 "to",	     "limit" };
	bool is_watch = lnx_cli_arg(args, "watch") != NULL;
	unsigned long long n = 0, limit;
	struct lnx_buf path = { 0 };
	int code;

	if (args->n_words)
		return lnx_cli_usage("blame", "blame: unexpected word '%s'", args->words[0]);
	if (lnx_cli_arg(args, "count") && !is_watch)
		return lnx_cli_usage("blame", "blame: --count goes with --watch");
	if (lnx_cli_arg_u64(args, "count", 0, 1, UINT32_MAX, &n) < 0 ||
	    lnx_cli_arg_u64(args, "limit", 100, 1, 10000, &limit) < 0)
		return LNX_EXIT_USAGE;
	lnx_buf_str(&path, "/blame");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (lnx_cli_arg(args, keys[i]))
			lnx_client_query(&path, keys[i], lnx_cli_arg(args, keys[i]));
	if (is_watch && !lnx_cli_arg(args, "since") && !lnx_cli_arg(args, "from"))
		lnx_client_query(&path, "since", "10s");
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : blame_once(cli, path.data, is_watch);
	while (is_watch && code == LNX_EXIT_OK && n != 1) {
		n -= n > 0;
		if (fflush(stdout) || poll(NULL, 0, BLAME_EVERY_MS) < 0)
			code = LNX_EXIT_FAILURE;
		else
			code = blame_once(cli, path.data, true);
	}
	lnx_buf_done(&path);
	return code;
}
