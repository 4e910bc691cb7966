/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of the verb `task` share. */
#ifndef LNX_CLI_TASK_H
#define LNX_CLI_TASK_H

#include "cli/cli.h"
#include "cli/client.h"

#define LNX_TASK_PATH 160

/* "/tasks/WORD". 0, or -EINVAL, said. */
int lnx_task_path(const char *word, char ret[LNX_TASK_PATH]);
/* What --wait says, which was looked at before anything was asked for; <unless> it says nothing. */
uint64_t lnx_task_wait_ns(const struct lnx_cli_args *args, uint64_t unless);
/* Ask for the task until <is_done> says so or <ns> have passed. Returns an exit code; *ret is the last answer, also when it took too
 * long (then LNX_EXIT_FAILURE, nothing said). */
int lnx_task_wait(const struct lnx_cli *cli, const char *path, uint64_t ns,
		  bool (*is_done)(const json_t *task, const char *arg), const char *arg,
		  json_t **ret);
/* Print a task: all of it with --json, else what people want to know. Returns an exit code. */
int lnx_task_print(const struct lnx_cli *cli, const json_t *task);
bool lnx_task_in_phase(const json_t *task, const char *phases);

int lnx_task_run(struct lnx_cli *cli, const struct lnx_cli_args *args);

#endif
