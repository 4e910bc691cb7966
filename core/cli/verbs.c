/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The verbs of this program. */
#include <string.h>

#include "cli/cli.h"

static const char *const workloads_raw[] = { "parse", NULL };
static const char *const incidents_raw[] = { "verify", NULL };
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
	{ "blame", "[OPTION…]", "Who stalled whom, by how much, and how sure that is",
	  "One line for each culprit of a victim: what the victim lost to it per second and in all, and its share of the victim's stall. SURE is how far the agent's ledger and the kernel's own pressure figure agree; a dash where there is nothing to compare. METHOD psi-only: nobody is blamed, the amount is the kernel's.",
	  lnx_blame_opts, lnx_cli_blame, NULL, NULL },
	{ "incidents",
	  "[list] [OPTION…] | show ID | explain ID | feedback ID useful|noise [NOTE] | verify [OPTION…]",
	  "Incidents, each with its evidence and its explanation",
	  "ID may be the end of an id, as long as only one of the last 1000 ends so. --fail-on gives exit code 4 when an incident of that severity or above is open.\n\n"
	  "verify reads the history file itself (--db FILE) and needs no agent: it finds an entry of the log of incidents that was changed or removed. Entries cut off at the end show only against an anchor that an earlier run printed (--anchor).",
	  lnx_incidents_opts, lnx_cli_incidents, incidents_raw, lnx_cli_incidents_verify },
	{ "actions", "[list] [OPTION…] | show ID | approve ID [--dry-run] | reject ID | undo ID",
	  "What rules ask to be done, and what was done",
	  "ID is \"<node>/<ulid>\", the ULID, or the end of one. A proposal waits for approve or reject (deny is the same); undo takes back what is in force. approve --dry-run tells what would be written or sent now, and does nothing. To decide takes root on the unix socket, or the admin token; who did is in the log.\n\n"
	  "Nothing is ever proposed unless the plugin enforce is enabled, see SAFETY.md.",
	  lnx_actions_opts, lnx_cli_actions, NULL, NULL },
	{ "silence", "[list] | add --match KEY=GLOB[,…] --for SPAN [--comment TEXT] | end ID",
	  "Incidents that nobody is to be told of, for a while",
	  "What matches is kept and shown, and notifiers say nothing. Keys: rule, cause, resource, severity, fingerprint, culprit, namespace, victim, victim_namespace. Who made and who ended a silence is in the log.",
	  lnx_silence_opts, lnx_cli_silence, NULL, NULL },
	{ "events", "[-f] [--type T] [OPTION…]", "Events of the agent: the latest, or as they come",
	  "With -f and -o json one JSON object a line. A gap is told on stderr.", lnx_events_opts,
	  lnx_cli_events, NULL, NULL },
	{ "record", "--for TIME | --last TIME -o FILE",
	  "Write what crosses the agent's bus to a file, or what it still keeps",
	  "The file explains itself and can be replayed with other rules, see replay. It begins with the processes and workloads that are known at its beginning. While it records, every type of event is wanted: probes attach that nobody else needs. What is lost is in the file and told by replay. A file that is there stays as it is until the agent has answered; a link stays a link.",
	  lnx_record_opts, lnx_cli_record, NULL, NULL },
	{ "replay", "FILE [--rules DIR] [--diff OLDDIR] [OPTION…]",
	  "Run rules over a recording: what fires, and what an edit changes",
	  "Needs neither the agent nor root. Time is that of the recording, so the same file and rules give the same result, byte for byte. Alerts that the live machine made are not played; the rules make their own.\n\n"
	  "With --diff: CHANGE is new (fires only with --rules), gone (only with --diff), changed, or same. What is missing in the recording is told on stderr.\n\n"
	  "The exit code is 2 when a rule is bad (file:line on stderr), 1 when the recording cannot be read, 4 when --fail-on found something.",
	  lnx_replay_opts, lnx_cli_replay, NULL, NULL },
	{ "task",
	  "[list] | create | run ID -- CMD… | show ID | settle|dispute|cancel|expire|claim|withdraw ID",
	  "Paid work between agents: created, run and measured, settled on a chain",
	  "An amount is in the token: 1.5. ID is the task's id, its name, or the end of its id. What is asked for is done by the agent, step by step: without --wait only its acceptance is waited for.\n\n"
	  "create asks the payer's agent; run asks the payee's: it runs CMD, in a cgroup of its own where that is allowed, and the agent measures it from its first instruction on. When CMD succeeds, the agent signs a receipt and submits it; when it fails, nothing is submitted, and the exit code is that of CMD.\n\n"
	  "With --dry-run the operation is built and tried at the node, and its fields are printed; nothing is sent. run --dry-run asks the agent whether it would measure the task now, and runs nothing.",
	  lnx_task_opts, lnx_cli_task, NULL, NULL },
	{ "plugins", "[--options [SECTION]]", "Plugins of the agent and their state", NULL,
	  lnx_plugins_opts, lnx_cli_plugins, NULL, NULL },
	{ "rules", "list | check FILE… | test [-o tap|table] [DIR]…",
	  "Rules of the agent; check rule files, run their tests",
	  "check and test need neither the agent nor root. check prints every error as file:line and exits with 2 when there is one. test runs the test{} blocks of a directory (default: the shipped rules) and prints TAP or a table, with what the tests covered: lines of the rules' functions, and both outcomes of each test in them.",
	  NULL, lnx_cli_rules_list, rules_raw, lnx_cli_rules },
	{ "doctor", "[OPTION…]",
	  "Check kernel, privileges, configuration and agent, each with its fix",
	  "One line a check: 'ok', 'warn' or 'FAIL', the name of the check, what was found, and how to fix it.\n\n"
	  "The exit code is 1 when a check fails. A warning names what works less well, and does not change the exit code.",
	  lnx_doctor_opts, lnx_cli_doctor, NULL, NULL },
	{ "selftest", "", "Make known contention for 2 s and check the agent's blame",
	  "Needs the right to make cgroups: run it as root. Two small cgroups with a busy process each share one CPU; what the running agent says of them must agree with the kernel's pressure figure of the victim and with the CPU time that the culprit used. Everything is removed again.\n\n"
	  "The exit code is 0 when all agrees, 1 when something does not or a right is missing, 3 when there is no agent.",
	  lnx_selftest_opts, lnx_cli_selftest, NULL, NULL },
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
