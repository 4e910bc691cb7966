/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Long output on a terminal goes through a pager. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static FILE *pager;

void lnx_pager_begin(const struct lnx_cli *cli)
{
	const char *command = getenv("PAGER");

	if (!command)
		command = "less";
	if (!cli->columns || cli->is_json || pager || !*command || !strcmp(command, "cat"))
		return;
	/* short text stays on the screen, colours stay colours */
	if (setenv("LESS", "FRX", 0) < 0 || fflush(stdout) != 0)
		return;
	pager = popen(command, "we");
	if (pager && dup2(fileno(pager), STDOUT_FILENO) < 0) {
		(void)pclose(pager); /* then without */
		pager = NULL;
	}
}

void lnx_pager_end(void)
{
	if (!pager)
		return;
	(void)fflush(stdout); /* who leaves early does not want the rest */
	(void)close(STDOUT_FILENO);
	(void)pclose(pager);
	pager = NULL;
}
