/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The verbs of this program. */
#include <string.h>

#include "cli/cli.h"

static const char *const workloads_raw[] = { "parse", NULL };
static const char *const rules_raw[] = { "check", "test", NULL };

static const struct lnx_verb verbs[] = {
	{ "ps", "[PID] [OPTION…]", "Processes with what they use and cause",
	  "The table leaves out columns that do not fit the terminal; -o json has every field, as the agent gives it.\n\n"
	  "With a PID: everything about that process, its ancestors and children.",
	  lnx_ps_opts, lnx_cli_ps, NULL, NULL },
	{ "workloads", "[OPTION…] | parse [PATH…]",
	  "Containers, units and other cgroups with what they lost and caused",
	  "With parse: pod uid, container id, runtime and QoS class of cgroup paths, given as words or one a line on stdin; needs no agent.",
	  lnx_workloads_opts, lnx_cli_workloads, workloads_raw, lnx_cli_workloads_parse },
	{ "events", "[-f] [--type T] [OPTION…]", "Events of the agent: the latest, or as they come",
	  "With -f and -o json one JSON object a line. A gap is told on stderr.", lnx_events_opts,
	  lnx_cli_events, NULL, NULL },
	{ "plugins", "[--options [SECTION]]", "Plugins of the agent and their state", NULL,
	  lnx_plugins_opts, lnx_cli_plugins, NULL, NULL },
	{ "rules", "list | check FILE… | test [DIR]…",
	  "Rules of the agent; check rule files, run their tests",
	  "check and test need neither the agent nor root. check prints every error as file:line and exits with 2 when there is one. test runs the test{} blocks of a directory (default: the shipped rules) and prints TAP.",
	  NULL, lnx_cli_rules_list, rules_raw, lnx_cli_rules },
	{ "doctor", "[OPTION…]",
	  "Check kernel, privileges, configuration and agent, each with its fix",
	  "One line a check: 'ok', 'warn' or 'FAIL', the name of the check, what was found, and how to fix it.\n\n"
	  "The exit code is 1 when a check fails. A warning names what works less well, and does not change the exit code.",
	  lnx_doctor_opts, lnx_cli_doctor, NULL, NULL },
	{ "version", "", "Versions of this program and of the agent", NULL, NULL, lnx_cli_version,
	  NULL, NULL },
	{ "help", "[VERB]", "This text, or the help of a verb", NULL, lnx_help_opts, lnx_cli_help,
	  NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};

const struct lnx_verb *lnx_verbs(void)
{
	return verbs;
}

const struct lnx_verb *lnx_verb_find(const char *name)
{
	for (const struct lnx_verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}
