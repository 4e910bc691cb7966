/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `plugins --options`: every key of the configuration, from the tables of the core, of the plugins next to this program and of
 * those in another folder. Needs no agent. Also prints etc/OPTIONS.md. */
#include <stdio.h>
#include <string.h>

#include <linnix/plugin.h>

#include "app.h"
#include "cli/brought.h"
#include "cli/cli.h"
#include "cli/text.h"

const struct lnx_cli_opt lnx_plugins_opts[] = {
	{ "options", NULL, "print the keys of the configuration; needs no agent", 0, false },
	{ "dir", "DIR",
	  "with --options: also of the plugins in DIR, shared objects and Lua scripts", 0, false },
	{ "markdown", NULL, "with --options: as etc/OPTIONS.md", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

struct options {
	const struct lnx_cli *cli;
	const char *only; /* a section, or NULL */
	const char *dir;  /* of more plugins, or NULL */
	bool is_markdown;
	unsigned n_sections;
	struct lnx_table table;
	struct lnx_buf json;
};

static const char *options_type(const struct lnx_option *o)
{
	switch (o->type) {
	case LNX_OPT_BOOL:
		return "yes or no";
	case LNX_OPT_U32:
	case LNX_OPT_U64:
		return "whole number";
	case LNX_OPT_F64:
		return "number";
	case LNX_OPT_STR:
		return "text";
	case LNX_OPT_LIST:
		return "list";
	case LNX_OPT_DURATION:
		return "duration";
	case LNX_OPT_SIZE:
		return "size";
	case LNX_OPT_ENUM:
		return "word";
	case LNX_OPT_PATH:
		return "path";
	}
	return "?";
}

/* "one of a, b", "1 to 10", or nothing. */
static void options_range(struct lnx_buf *out, const struct lnx_option *o)
{
	for (unsigned i = 0; o->names && o->names[i]; i++)
		lnx_buf_printf(out, "%s%s", i ? ", " : "", o->names[i]);
	if (o->names || (o->min == 0 && o->max == 0))
		return;
	if (o->type == LNX_OPT_DURATION) {
		lnx_text_duration(out, o->min);
		lnx_buf_str(out, " to ");
		lnx_text_duration(out, o->max);
	} else if (o->type == LNX_OPT_SIZE) {
		lnx_text_bytes(out, o->min);
		lnx_buf_str(out, " to ");
		lnx_text_bytes(out, o->max);
	} else {
		lnx_buf_printf(out, "%.15g to %.15g", o->min, o->max);
	}
}

static void options_markdown_row(const struct lnx_option *o)
{
	struct lnx_buf range = { 0 };

	options_range(&range, o);
	printf("| `%s` | %s%s%s%s | %s%s%s | %s%s%s |\n", o->key, options_type(o),
	       range.size ? " (" : "", range.size ? range.data : "", range.size ? ")" : "",
	       *o->def ? "`" : "", o->def, *o->def ? "`" : "", o->help,
	       o->flags & LNX_OPTF_REQUIRED ? "; required" : "",
	       o->flags & LNX_OPTF_RELOAD ? "; may change on reload" : "");
	lnx_buf_done(&range);
}

static void options_json_row(struct lnx_buf *out, const char *section, const struct lnx_option *o)
{
	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "section", section);
	lnx_json_kv_str(out, "key", o->key);
	lnx_json_kv_str(out, "type", options_type(o));
	lnx_json_kv_str(out, "default", o->def);
	lnx_json_kv_str(out, "help", o->help);
	lnx_json_kv_bool(out, "secret", (o->flags & LNX_OPTF_SECRET) != 0);
	lnx_json_kv_bool(out, "reload", (o->flags & LNX_OPTF_RELOAD) != 0);
	lnx_json_kv_bool(out, "required", (o->flags & LNX_OPTF_REQUIRED) != 0);
	lnx_buf_char(out, '}');
}

static void options_section(struct options *s, const char *name, const char *summary, bool is_off,
			    const struct lnx_option *o)
{
	if (s->only && strcmp(s->only, name) != 0)
		return;
	s->n_sections++;
	if (s->is_markdown) {
		printf("\n## %s\n\n%s%s\n", name, summary,
		       is_off ? ". Off unless `enabled: true`" : "");
		if (o && o->key)
			puts("\n| key | type | default | what |\n|---|---|---|---|");
	}
	for (; o && o->key; o++) {
		if (s->is_markdown) {
			options_markdown_row(o);
		} else if (s->cli->is_json) {
			options_json_row(&s->json, name, o);
		} else {
			lnx_table_cell_fmt(&s->table, "%s.%s", name, o->key);
			lnx_table_cell(&s->table, options_type(o));
			lnx_table_cell(&s->table, o->def);
			lnx_table_cell(&s->table, o->help);
		}
	}
}

static int options_plugin(void *arg, const struct lnx_plugin *p)
{
	const char *section = p->name;
	bool is_off = false;

	if (p->size >= offsetof(struct lnx_plugin, section) + sizeof(p->section) && p->section)
		section = p->section;
	if (p->size >= offsetof(struct lnx_plugin, flags) + sizeof(p->flags))
		is_off = (p->flags & LNX_PLUGINF_OFF) != 0;
	options_section(arg, section, p->summary ? p->summary : "", is_off, p->options);
	return 0;
}

/* 0, or -errno: the other folder cannot be read. */
static int options_all(struct options *s)
{
	options_section(s, "node", "Core: the name of this node", false, lnx_core_options_node);
	options_section(s, "cluster", "Core: the name of the cluster", false,
			lnx_core_options_cluster);
	options_section(s, "log", "Core: log lines", false, lnx_core_options_log);
	options_section(s, "plugins", "Core: where plugins are", false, lnx_core_options_plugins);
	options_section(s, "probes", "Core: BPF probes", false, lnx_core_options_probes);
	options_section(s, "rules", "Core: Lua rules", false, lnx_core_options_rules);
	options_section(s, "bus", "Core: the event bus", false, lnx_core_options_bus);
	options_section(s, "budget", "Core: limits that the agent sets itself", false,
			lnx_core_options_budget);
	return lnx_brought_scan(s->cli, s->dir, options_plugin, s);
}

int lnx_cli_options(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const struct lnx_column columns[] = { { "KEY", 0, false },
						     { "TYPE", 2, false },
						     { "DEFAULT", 1, false },
						     { "WHAT", 0, false } };
	struct options s = { .cli = cli, .is_markdown = lnx_cli_arg(args, "markdown") != NULL };
	int code = LNX_EXIT_OK, rc;

	s.dir = lnx_cli_arg(args, "dir");
	s.only = args->n_words ? args->words[0] : NULL;
	lnx_table_init(&s.table, columns, sizeof(columns) / sizeof(columns[0]));
	if (s.is_markdown)
		puts("# Options\n\n"
		     "Printed by `linnix plugins --options --markdown` from the tables of the core and the plugins;\n"
		     "`scripts/dev/gen_docs.sh` writes this page. `linnixd --dump-config` shows what is in force and where it came from.\n\n"
		     "A key `listen` of section `http` is `http: { listen: … }` in `linnix.yaml` and `LINNIX_HTTP_LISTEN` in the\n"
		     "environment (lists comma separated). Every plugin's section also takes `enabled: yes` or `no`.");
	lnx_buf_char(&s.json, '[');
	rc = options_all(&s);
	if (rc < 0) {
		lnx_cli_say("plugins: %s: %s", s.dir, strerror(-rc));
		code = LNX_EXIT_FAILURE;
	} else if (s.only && !s.n_sections) {
		code = lnx_cli_usage("plugins", "plugins: no section '%s'", s.only);
	} else if (!s.is_markdown && cli->is_json) {
		lnx_buf_str(&s.json, "]\n");
		if (!lnx_buf_error(&s.json))
			fwrite(s.json.data, 1, s.json.size, stdout);
	} else if (!s.is_markdown && lnx_table_print(&s.table, cli) < 0) {
		code = LNX_EXIT_FAILURE;
	}
	lnx_table_done(&s.table);
	lnx_buf_done(&s.json);
	return code;
}
