/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of verbs. */
#include "commands.h"

#include <stddef.h>
#include <string.h>

int command_wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return 1;
	return 0;
}

const struct lnx_command settle_commands[] = {
	{ "identity", "show|new|rotate [--file FILE] [--json] [--dry-run]",
	  "Who this agent is when it is paid: its DID and address; make or replace it",
	  identity_command },
	{ "receipt",
	  "show|verify|open|challenge FILE [--events FILE] [--event INDEX,...|OPENED] [-k N] [--rpc URL] [--registry ADDRESS] [--settlement ADDRESS] [--from-block BLOCK] [--json] [--dry-run]",
	  "What a receipt claims; whether it is valid; events of it with their proofs; which ones the chain chooses for an audit",
	  receipt_command },
	{ NULL, NULL, NULL, NULL },
};
