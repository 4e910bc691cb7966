/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `task`: tasks of the agent's settlement. */
#include "cli/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/text.h"

#define ASK_NS	    200000000ull /* between two questions */
#define DURABLE_NS  10000000000ull
#define DRY_NS	    60000000000ull
#define WAIT_MIN_NS 1000000ull
#define WAIT_MAX_NS 86400000000000ull

const struct lnx_cli_opt lnx_task_opts[] = {
	{ "payee", "DID", "create: who is to do it, did:key:z6Mk…", 0, false },
	{ "payee-address", "0x…",
	  "create: refuse it unless the payee's record is of that address (default: the address that its DID's key signed for)",
	  0, false },
	{ "amount", "N", "create: most that it may cost, in the token", 0, false },
	{ "name", "NAME",
	  "create: a name; the same name again is the same task (default: a random one)", 0,
	  false },
	{ "deadline-blocks", "N", "create: blocks until the receipt must be there (default 1800)",
	  0, false },
	{ "mode", "MODE", "create: escrow or allowance (default: as chain.mode)", 0, false },
	{ "arbiter", "0x…", "create: who decides a dispute (default: as the contract)", 0, false },
	{ "output-sha256", "HEX", "run: hash of what CMD made, for the receipt", 0, false },
	{ "reason", "TEXT", "dispute: why", 0, false },
	{ "role", "ROLE", "list: payer or payee", 0, false },
	{ "phase", "PHASE", "list: in that phase", 0, false },
	{ "limit", "N", "list: at most N tasks (default 100)", 'n', false },
	{ "wait", "TIME", "wait so long for the chain: 30s, 5m", 'w', false },
	{ "dry-run", NULL, "build and try it, send nothing", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

int lnx_task_path(const char *word, char ret[LNX_TASK_PATH])
{
	if (!*word || strlen(word) > 80 ||
	    word[strspn(word,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")]) {
		(void)lnx_cli_usage("task", "task: '%s' is no task", word); /* the code is ours */
		return -EINVAL;
	}
	(void)snprintf(ret, LNX_TASK_PATH, "/tasks/%s", word); /* fits */
	return 0;
}

uint64_t lnx_task_wait_ns(const struct lnx_cli_args *args, uint64_t unless)
{
	(void)lnx_cli_arg_duration(args, "wait", WAIT_MIN_NS, WAIT_MAX_NS, &unless);
	return unless;
}

int lnx_task_wait(const struct lnx_cli *cli, const char *path, uint64_t ns,
		  bool (*is_done)(const json_t *task, const char *arg), const char *arg,
		  json_t **ret)
{
	const struct timespec pause = { 0, ASK_NS };
	uint64_t end = lnx_cli_now_ns() + ns;
	int code;

	for (;;) {
		json_decref(*ret);
		code = lnx_client_fetch(cli, path, ret);
		if (code != LNX_EXIT_OK || is_done(*ret, arg))
			return code;
		if (lnx_cli_now_ns() >= end)
			return LNX_EXIT_FAILURE;
		(void)nanosleep(&pause, NULL); /* cut short: asked sooner */
	}
}

/* Is its phase among <phases>, "open,failed"? */
bool lnx_task_in_phase(const json_t *task, const char *phases)
{
	const char *phase = lnx_json_get_str(task, "phase");
	size_t n = strlen(phase);

	for (const char *p = phases; n && p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, phase, n) && (p[n] == ',' || !p[n]))
			return true;
	return false;
}

/* ---- showing */

static void put_line(const char *title, const char *text)
{
	char before[16];

	if (!*text)
		return;
	(void)snprintf(before, sizeof(before), "%-11s ", title);
	lnx_text_line(before, text, "");
}

static void put_operations(const json_t *list)
{
	const json_t *op;
	char line[512];
	size_t i;

	json_array_foreach(list, i, op)
	{
		(void)snprintf(line, sizeof(line), "%-9s %-10s %s %s", lnx_json_get_str(op, "kind"),
			       lnx_json_get_str(op, "state"), lnx_json_get_str(op, "tx"),
			       lnx_json_get_str(op, "error")); /* cut is fine: for people */
		put_line(i ? "" : "operations", line);
	}
}

int lnx_task_print(const struct lnx_cli *cli, const json_t *task)
{
	static const char *const keys[][2] = {
		{ "task_id", "id" },
		{ "name", "name" },
		{ "role", "role" },
		{ "mode", "mode" },
		{ "phase", "phase" },
		{ "reason", "reason" },
		{ "chain_status", "chain" },
		{ "payee_did", "payee did" },
		{ "payee", "payee" },
		{ "payer", "payer" },
		{ "token", "token" },
		{ "max_amount", "most" },
		{ "actual_amount", "actual" },
		{ "allowance", "allowance" },
		{ "withdrawal", "withdrawal" },
		{ "arbiter", "arbiter" },
	};

	if (cli->is_json)
		return lnx_client_print(task);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_line(keys[i][1], lnx_json_get_str(task, keys[i][0]));
	printf("%-11s %.0f of block %.0f\n", "deadline", lnx_json_get_f64(task, "head_block", 0),
	       lnx_json_get_f64(task, "deadline_block", 0));
	put_operations(json_object_get(task, "operations"));
	return LNX_EXIT_OK;
}

static const struct lnx_column columns[] = {
	{ "ID", 0, false },    { "NAME", 1, false }, { "ROLE", 0, false },  { "PHASE", 0, false },
	{ "CHAIN", 1, false }, { "MOST", 0, true },  { "ACTUAL", 0, true }, { "REASON", 2, false },
};

static int list(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const keys[] = { "role", "phase", "limit" };
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	const json_t *t;
	struct lnx_table table;
	size_t i;
	int code;

	lnx_buf_str(&path, "/tasks");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (lnx_cli_arg(args, keys[i]))
			lnx_client_query(&path, keys[i], lnx_cli_arg(args, keys[i]));
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_fetch(cli, path.data, &root);
	lnx_buf_done(&path);
	if (code == LNX_EXIT_OK && cli->is_json) {
		code = lnx_client_print(root);
	} else if (code == LNX_EXIT_OK) {
		lnx_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
		json_array_foreach(root, i, t)
		{
			lnx_table_cell_fmt(&table, "%.18s", lnx_json_get_str(t, "task_id"));
			lnx_table_cell(&table, lnx_json_get_str(t, "name"));
			lnx_table_cell(&table, lnx_json_get_str(t, "role"));
			lnx_table_cell(&table, lnx_json_get_str(t, "phase"));
			lnx_table_cell(&table, lnx_json_get_str(t, "chain_status"));
			lnx_table_cell(&table, lnx_json_get_str(t, "max_amount"));
			lnx_table_cell(&table, lnx_json_get_str(t, "actual_amount"));
			lnx_table_cell(&table, lnx_json_get_str(t, "reason"));
		}
		code = lnx_table_print(&table, cli) < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
		lnx_table_done(&table);
	}
	json_decref(root);
	return code;
}

/* ---- asking for something */

static bool is_simulated(const json_t *task, const char *arg)
{
	(void)arg;
	return json_is_object(json_object_get(task, "simulation"));
}

static bool is_durable(const json_t *task, const char *arg)
{
	(void)arg;
	return json_is_true(json_object_get(task, "durable")) &&
	       !lnx_task_in_phase(task, "checking");
}

/* The simulation of a dry run: as the agent gives it. Exit code. */
static int show_dry(const struct lnx_cli *cli, const char *path)
{
	json_t *task = NULL;
	const json_t *sim;
	int code;

	(void)lnx_task_wait(cli, path, DRY_NS, is_simulated, NULL,
			    &task); /* whether it came is seen below */
	sim = json_object_get(task, "simulation");
	if (!sim) {
		lnx_cli_say("task: the agent did not try it in time: %s",
			    lnx_json_get_str(task, "reason"));
		code = LNX_EXIT_FAILURE;
	} else {
		code = lnx_client_print(sim);
		if (code == LNX_EXIT_OK && !json_is_true(json_object_get(sim, "would_work")))
			code = LNX_EXIT_FAILURE;
	}
	json_decref(task);
	return code;
}

/* In a phase of <phases>, or where it will come to none of them any more. */
static bool is_there(const json_t *task, const char *phases)
{
	return lnx_task_in_phase(task, phases) || json_is_true(json_object_get(task, "final"));
}

/* What was accepted: wait as asked, then show it. <phases>: where it is to come to. Exit code. */
static int follow(const struct lnx_cli *cli, const struct lnx_cli_args *args, const char *path,
		  const char *phases)
{
	uint64_t ns = lnx_task_wait_ns(args, 0);
	char all[128];
	json_t *task = NULL;
	int code;

	if (lnx_cli_arg(args, "dry-run"))
		return show_dry(cli, path);
	(void)snprintf(all, sizeof(all), "%s,failed", phases); /* fits */
	code = lnx_task_wait(cli, path, ns ? ns : DURABLE_NS, ns ? is_there : is_durable, all,
			     &task);
	if (code == LNX_EXIT_OK && ns && !lnx_task_in_phase(task, all))
		code = LNX_EXIT_FAILURE; /* it is over, in another way */
	if (!ns && json_is_true(json_object_get(task, "durable")))
		code = LNX_EXIT_OK; /* kept; the chain takes longer than we wait without --wait */
	if (task) {
		int shown = lnx_task_print(cli, task);

		if (code == LNX_EXIT_OK)
			code = shown;
	}
	if (task && (code != LNX_EXIT_OK || lnx_task_in_phase(task, "failed"))) {
		lnx_cli_say("task: it is %s%s%s", lnx_json_get_str(task, "phase"),
			    *lnx_json_get_str(task, "reason") ? ": " : "",
			    lnx_json_get_str(task, "reason"));
		code = LNX_EXIT_FAILURE;
	}
	json_decref(task);
	return code;
}

/* The newest operation of that kind, or NULL. */
static const json_t *op_of(const json_t *task, const char *kind)
{
	const json_t *op, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(task, "operations"), i,
			   op) if (!strcmp(lnx_json_get_str(op, "kind"), kind)) found = op;
	return found;
}

static bool is_op_over(const json_t *task, const char *kind)
{
	const json_t *op = op_of(task, kind);
	const char *state = lnx_json_get_str(op, "state");

	return !op || !strcmp(state, "confirmed") || !strcmp(state, "failed") ||
	       !strcmp(state, "abandoned");
}

/* A withdrawal changes no phase: with --wait until its operation is over. Of one that the agent has forgotten already the task tells
 * how it ended. Exit code. */
static int follow_withdrawal(const struct lnx_cli *cli, const struct lnx_cli_args *args,
			     const char *path)
{
	static const char kind[] = "withdraw";
	json_t *task = NULL;
	const char *state;
	const json_t *op;
	uint64_t ns = lnx_task_wait_ns(args, 0);
	int code, shown;

	if (!ns || lnx_cli_arg(args, "dry-run"))
		return follow(cli, args, path, "");
	code = lnx_task_wait(cli, path, ns, is_op_over, kind, &task);
	if (!task)
		return code;
	shown = lnx_task_print(cli, task);
	op = op_of(task, kind);
	state = op ? lnx_json_get_str(op, "state") : lnx_json_get_str(task, "withdrawal");
	if (code != LNX_EXIT_OK || strcmp(state, "confirmed") != 0) {
		lnx_cli_say("task: %s is %s: %s", kind, *state ? state : "not done",
			    op ? lnx_json_get_str(op, "error") : "the agent's log says why");
		code = LNX_EXIT_FAILURE;
	}
	json_decref(task);
	return code == LNX_EXIT_OK ? shown : code;
}

/* A name that no other task has. */
static void random_name(char ret[40])
{
	unsigned char bytes[12] = { 0 };
	size_t at;

	(void)!getrandom(bytes, sizeof(bytes), 0); /* few bytes: always whole */
	at = (size_t)snprintf(ret, 40, "task-");
	for (size_t i = 0; i < sizeof(bytes); i++)
		at += (size_t)snprintf(ret + at, 40 - at, "%02x", bytes[i]); /* fits */
}

static int create(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const keys[][2] = { { "payee", "payee" },
					       { "payee-address", "payee_address" },
					       { "amount", "amount" },
					       { "mode", "mode" },
					       { "arbiter", "arbiter" } };
	const char *name = lnx_cli_arg(args, "name");
	struct lnx_buf body = { 0 };
	unsigned long long blocks;
	char made[40], path[LNX_TASK_PATH];
	json_t *task = NULL;
	int code;

	if (!lnx_cli_arg(args, "payee") || !lnx_cli_arg(args, "amount"))
		return lnx_cli_usage("task", "task: create wants --payee and --amount");
	if (lnx_cli_arg_u64(args, "deadline-blocks", 1800, 1, UINT32_MAX, &blocks) < 0)
		return LNX_EXIT_USAGE;
	random_name(made);
	lnx_buf_char(&body, '{');
	lnx_json_kv_str(&body, "name", name ? name : made);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (lnx_cli_arg(args, keys[i][0]))
			lnx_json_kv_str(&body, keys[i][1], lnx_cli_arg(args, keys[i][0]));
	lnx_json_kv_u64(&body, "deadline_blocks", blocks);
	lnx_json_kv_bool(&body, "dry_run", lnx_cli_arg(args, "dry-run") != NULL);
	lnx_buf_char(&body, '}');
	code = lnx_client_post_json(cli, "/tasks", &body, &task);
	lnx_buf_done(&body);
	if (code == LNX_EXIT_OK) {
		if (lnx_task_path(lnx_json_get_str(task, "task_id"), path) < 0)
			code = LNX_EXIT_FAILURE;
		else
			code = follow(cli, args, path, "open,submitted,verified,settled");
	}
	json_decref(task);
	return code;
}

/* <phases>: where the task comes to by it; NULL: it stays where it is. */
static int act(struct lnx_cli *cli, const struct lnx_cli_args *args, const char *action,
	       const char *phases)
{
	const char *reason = lnx_cli_arg(args, "reason");
	struct lnx_buf body = { 0 };
	char path[LNX_TASK_PATH];
	json_t *task = NULL;
	int code;

	if (lnx_task_path(args->words[1], path) < 0)
		return LNX_EXIT_USAGE;
	lnx_buf_char(&body, '{');
	lnx_json_kv_str(&body, "action", action);
	if (reason)
		lnx_json_kv_str(&body, "reason", reason);
	lnx_json_kv_bool(&body, "dry_run", lnx_cli_arg(args, "dry-run") != NULL);
	lnx_buf_char(&body, '}');
	code = lnx_client_post_json(cli, path, &body, &task);
	lnx_buf_done(&body);
	json_decref(task);
	if (code != LNX_EXIT_OK)
		return code;
	return phases ? follow(cli, args, path, phases) : follow_withdrawal(cli, args, path);
}

static int show(struct lnx_cli *cli, const char *word)
{
	char path[LNX_TASK_PATH];
	json_t *task = NULL;
	int code;

	if (lnx_task_path(word, path) < 0)
		return LNX_EXIT_USAGE;
	code = lnx_client_fetch(cli, path, &task);
	if (code == LNX_EXIT_OK)
		code = lnx_task_print(cli, task);
	json_decref(task);
	return code;
}

int lnx_cli_task(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const actions[][2] = {
		{ "settle", "settled" },   { "dispute", "disputed,resolved" },
		{ "cancel", "cancelled" }, { "expire", "expired" },
		{ "claim", "resolved" },   { "withdraw", NULL },
	};
	const char *word = args->n_words ? args->words[0] : "list";
	uint64_t ns = 0;
	size_t i = 0;

	/* before anything is asked for */
	if (lnx_cli_arg_duration(args, "wait", WAIT_MIN_NS, WAIT_MAX_NS, &ns) < 0)
		return LNX_EXIT_USAGE;
	/* list and show change nothing, with --dry-run or without */
	if (!strcmp(word, "list") || !strcmp(word, "create")) {
		if (args->n_words > 1)
			return lnx_cli_usage("task", "task: %s wants no '%s'", word,
					     args->words[1]);
		return *word == 'l' ? list(cli, args) : create(cli, args);
	}
	if (!strcmp(word, "run"))
		return lnx_cli_arg(args, "dry-run") && args->n_words > 1 ? act(cli, args, word, "")
									 : lnx_task_run(cli, args);
	while (i < sizeof(actions) / sizeof(actions[0]) && strcmp(actions[i][0], word) != 0)
		i++;
	if (strcmp(word, "show") != 0 && i == sizeof(actions) / sizeof(actions[0]))
		return lnx_cli_usage("task", "task: unknown word '%s'", word);
	if (args->n_words != 2)
		return lnx_cli_usage("task", "task: %s wants one ID", word);
	return strcmp(word, "show") ? act(cli, args, word, actions[i][1])
				    : show(cli, args->words[1]);
}
