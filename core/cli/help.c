/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Help texts, the man page and core/CLI.md, all from the tables of the verbs. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct lnx_cli_opt lnx_help_opts[] = {
	{ "man", NULL, "as the man page linnix.1", 0, true },
	{ "markdown", NULL, "as core/CLI.md", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

static const struct {
	int code;
	const char *what;
} help_exits[] = {
	{ LNX_EXIT_OK, "done" },
	{ LNX_EXIT_FAILURE,
	  "failed: the agent refused, something is wrong (doctor), output could not be written" },
	{ LNX_EXIT_USAGE, "bad usage, or errors in rules (rules check)" },
	{ LNX_EXIT_UNREACHABLE, "the agent cannot be reached" },
};

static const struct {
	const char *name, *what;
} help_environment[] = {
	{ "LINNIX_URL", "agent to ask, as --url" },
	{ "LINNIX_API_TOKEN", "token of the API" },
	{ "LINNIX_HTTP_SOCKET",
	  "the agent's unix socket, asked first (default /run/linnix/linnix.sock)" },
	{ "LINNIX_HTTP_LISTEN",
	  "the agent's address, asked when the socket is not there (default 127.0.0.1:3000)" },
	{ "NO_COLOR", "no colours when not empty" },
	{ "COLUMNS", "width of the terminal" },
};
#define HELP_N(a) (sizeof(a) / sizeof((a)[0]))

static void help_opts(const struct lnx_cli_opt *opts)
{
	char left[64];

	for (; opts && opts->name; opts++) {
		if (opts->is_hidden)
			continue;
		(void)snprintf(left, sizeof(left), "%c%c%s --%s%s%s", opts->letter ? '-' : ' ',
			       opts->letter ? opts->letter : ' ', opts->letter ? "," : " ",
			       opts->name, opts->arg ? " " : "",
			       opts->arg ? opts->arg : ""); /* names are short */
		printf("  %-28s %s\n", left, opts->help);
	}
}

static bool help_has_opts(const struct lnx_cli_opt *opts)
{
	for (; opts && opts->name; opts++)
		if (!opts->is_hidden)
			return true;
	return false;
}

void lnx_help_verb(const struct lnx_verb *verb)
{
	printf("usage: linnix %s%s%s\n\n%s\n", verb->name, *verb->usage ? " " : "", verb->usage,
	       verb->summary);
	if (verb->about)
		printf("\n%s\n", verb->about);
	if (help_has_opts(verb->opts)) {
		puts("\noptions:");
		help_opts(verb->opts);
	}
	puts("\nfor every verb:");
	help_opts(lnx_cli_globals());
}

static void help_brought(void *arg, const char *plugin, const char *name, const char *usage,
			 const char *help)
{
	unsigned *n = arg;

	(void)usage; /* the verb's own help tells it */
	if ((*n)++ == 0)
		puts("\nverbs of plugins (no agent needed):");
	printf("  %-10s %s (%s)\n", name, help, plugin);
}

void lnx_help_all(const struct lnx_cli *cli)
{
	unsigned n = 0;

	puts("usage: linnix VERB [OPTION…]\n\n"
	     "Ask the linnix agent of this machine who stalled whom, and what runs.\n\nverbs:");
	for (const struct lnx_verb *v = lnx_verbs(); v->name; v++)
		printf("  %-10s %s\n", v->name, v->summary);
	lnx_brought_each(cli, help_brought, &n);
	puts("\noptions for every verb:");
	help_opts(lnx_cli_globals());
	puts("\n'linnix VERB --help' tells more. Exit codes:");
	for (size_t i = 0; i < HELP_N(help_exits); i++)
		printf("  %d  %s\n", help_exits[i].code, help_exits[i].what);
}

/* Text of a man page: a backslash, a dash and a dot at the start of a line mean something there. */
static void man_text(const char *s)
{
	bool is_start = true;

	for (; *s; s++) {
		if (s[0] == '\n' && s[1] == '\n') {
			fputs("\n.PP\n", stdout);
			s++;
			is_start = true;
			continue;
		}
		if (is_start && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else
			putchar(*s);
		is_start = *s == '\n';
	}
}

static void man_opts(const struct lnx_cli_opt *opts)
{
	for (; opts && opts->name; opts++) {
		if (opts->is_hidden)
			continue;
		fputs(".TP\n.B ", stdout);
		if (opts->letter)
			printf("\\-%c, ", opts->letter);
		fputs("\\-\\-", stdout);
		man_text(opts->name);
		if (opts->arg) {
			fputs(" \\fI", stdout);
			man_text(opts->arg);
			fputs("\\fR", stdout);
		}
		putchar('\n');
		man_text(opts->help);
		putchar('\n');
	}
}

static void man_brought(void *arg, const char *plugin, const char *name, const char *usage,
			const char *help)
{
	(void)arg;
	printf(".SS %s ", name);
	man_text(usage);
	putchar('\n');
	man_text(help);
	printf(" (plugin\n.BR %s ).\n", plugin);
}

static void help_man(const struct lnx_cli *cli)
{
	puts(".\\\" SPDX-License-Identifier: AGPL-3.0-or-later\n"
	     ".\\\" Printed by: linnix help --man\n"
	     ".TH LINNIX 1 \"\" \"linnix " LNX_VERSION "\" \"linnix\"\n"
	     ".SH NAME\nlinnix \\- ask the linnix agent who stalled whom, and what runs\n"
	     ".SH SYNOPSIS\n.B linnix\n.I verb\n.RI [ option ...]\n"
	     ".SH DESCRIPTION\n"
	     "A client of the API of\n.BR linnixd (8).\n"
	     "Data goes to standard output, messages to standard error. Names that come from the host are printed with\n"
	     "control characters escaped.");
	puts(".SH VERBS");
	for (const struct lnx_verb *v = lnx_verbs(); v->name; v++) {
		printf(".SS %s ", v->name);
		man_text(v->usage);
		putchar('\n');
		man_text(v->summary);
		fputs(".\n", stdout);
		if (v->about) {
			puts(".PP");
			man_text(v->about);
			putchar('\n');
		}
		man_opts(v->opts);
	}
	puts(".SH VERBS OF PLUGINS\nThey read their own options.");
	lnx_brought_each(cli, man_brought, NULL);
	puts(".SH OPTIONS FOR EVERY VERB");
	man_opts(lnx_cli_globals());
	puts(".SH EXIT STATUS");
	for (size_t i = 0; i < HELP_N(help_exits); i++) {
		printf(".TP\n.B %d\n", help_exits[i].code);
		man_text(help_exits[i].what);
		putchar('\n');
	}
	puts(".SH ENVIRONMENT");
	for (size_t i = 0; i < HELP_N(help_environment); i++) {
		printf(".TP\n.B %s\n", help_environment[i].name);
		man_text(help_environment[i].what);
		putchar('\n');
	}
	puts(".SH SEE ALSO\n.BR linnixd (8)");
}

static void markdown_opts(const struct lnx_cli_opt *opts)
{
	if (!help_has_opts(opts))
		return;
	puts("\n| option | |\n|---|---|");
	for (; opts->name; opts++) {
		if (opts->is_hidden)
			continue;
		fputs("| `", stdout);
		if (opts->letter)
			printf("-%c, ", opts->letter);
		printf("--%s", opts->name);
		for (const char *p = opts->arg ? opts->arg : ""; *p; p++)
			printf("%s%s%c", p == opts->arg ? " " : "", *p == '|' ? "\\" : "", *p);
		printf("` | %s |\n", opts->help);
	}
}

static void markdown_brought(void *arg, const char *plugin, const char *name, const char *usage,
			     const char *help)
{
	(void)arg;
	printf("| `linnix %s ", name);
	for (const char *p = usage; *p; p++)
		printf("%s%c", *p == '|' ? "\\" : "", *p);
	printf("` | %s | %s |\n", help, plugin);
}

static void help_markdown(const struct lnx_cli *cli)
{
	puts("# The command line\n\n"
	     "Printed by `linnix help --markdown` from the tables in `core/cli/`; `scripts/dev/gen_docs.sh` writes this page.\n\n"
	     "Data on stdout, messages on stderr; colours only on a terminal. The agent's unix socket is asked first, then\n"
	     "loopback. Names from the host are printed with control characters escaped: nothing on the host can forge a line or\n"
	     "a colour.");
	for (const struct lnx_verb *v = lnx_verbs(); v->name; v++) {
		printf("\n## linnix %s%s%s\n\n%s.\n", v->name, *v->usage ? " " : "", v->usage,
		       v->summary);
		if (v->about)
			printf("\n%s\n", v->about);
		markdown_opts(v->opts);
	}
	puts("\n## Verbs of plugins\n\nThey read their own options.\n\n| verb | | plugin |\n|---|---|---|");
	lnx_brought_each(cli, markdown_brought, NULL);
	puts("\n## Options for every verb");
	markdown_opts(lnx_cli_globals());
	puts("\n## Exit codes\n\n| code | |\n|---|---|");
	for (size_t i = 0; i < HELP_N(help_exits); i++)
		printf("| %d | %s |\n", help_exits[i].code, help_exits[i].what);
	puts("\n## Environment\n\n| variable | |\n|---|---|");
	for (size_t i = 0; i < HELP_N(help_environment); i++)
		printf("| `%s` | %s |\n", help_environment[i].name, help_environment[i].what);
}

int lnx_cli_help(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const struct lnx_verb *verb;

	if (lnx_cli_arg(args, "man")) {
		help_man(cli);
		return LNX_EXIT_OK;
	}
	if (lnx_cli_arg(args, "markdown")) {
		help_markdown(cli);
		return LNX_EXIT_OK;
	}
	if (!args->n_words) {
		lnx_help_all(cli);
		return LNX_EXIT_OK;
	}
	verb = lnx_verb_find(args->words[0]);
	if (verb) {
		lnx_help_verb(verb);
		return LNX_EXIT_OK;
	}
	return lnx_cli_usage(NULL, "unknown verb '%s'", args->words[0]);
}
