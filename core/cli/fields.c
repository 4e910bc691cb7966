/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `events --fields`: the field tables of the built-in types, for people, programs, and as sdk/EVENTS.md. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"
#include "event.h"

static const char *fields_type_name(const struct lnx_field *f)
{
	switch (f->type) {
	case LNX_U8:
	case LNX_U16:
	case LNX_U32:
	case LNX_U64:
		return "unsigned";
	case LNX_I32:
	case LNX_I64:
		return "signed";
	case LNX_F64:
		return "number";
	case LNX_BOOL:
		return "bool";
	case LNX_CHARS:
	case LNX_STR:
		return "string";
	case LNX_JSON:
		return "json";
	case LNX_ENUM:
		return "word";
	case LNX_ID:
		return "id";
	}
	return "?";
}

static void fields_json(const struct lnx_registry *r, const char *only)
{
	struct lnx_buf out = { 0 };

	lnx_buf_char(&out, '[');
	for (unsigned i = 0; i < lnx_registry_count(r); i++) {
		const struct lnx_event_desc *d = lnx_registry_at(r, i);

		if (only && strcmp(only, d->name) != 0)
			continue;
		lnx_json_next(&out);
		lnx_buf_char(&out, '{');
		lnx_json_kv_str(&out, "name", d->name);
		lnx_json_kv_u64(&out, "type", d->type);
		lnx_json_kv_str(&out, "doc", d->doc);
		lnx_json_key(&out, "fields");
		lnx_buf_char(&out, '[');
		for (unsigned k = 0; k < d->n_fields; k++) {
			const struct lnx_field *f = &d->fields[k];

			lnx_json_next(&out);
			lnx_buf_char(&out, '{');
			lnx_json_kv_str(&out, "name", f->name);
			lnx_json_kv_str(&out, "type", fields_type_name(f));
			lnx_json_kv_str(&out, "unit", f->unit);
			lnx_json_kv_str(&out, "doc", f->doc);
			lnx_json_key(&out, "otel");
			if (f->otel)
				lnx_json_str(&out, f->otel);
			else
				lnx_buf_str(&out, "null");
			lnx_buf_char(&out, '}');
		}
		lnx_buf_str(&out, "]}");
	}
	lnx_buf_str(&out, "]\n");
	if (!lnx_buf_error(&out))
		fwrite(out.data, 1, out.size, stdout);
	lnx_buf_done(&out);
}

static void fields_words(const struct lnx_field *f)
{
	if (!f->names)
		return;
	fputs(": ", stdout);
	for (unsigned i = 0; f->names[i]; i++)
		printf("%s`%s`", i ? ", " : "", f->names[i]);
}

static void fields_markdown_one(const struct lnx_event_desc *d)
{
	printf("\n## %s\n\n%s\n\nType %u%s%s%s.\n", d->name, d->doc, d->type,
	       d->flags & LNX_EVF_KERNEL ? ", made in the kernel" : "",
	       d->flags & LNX_EVF_PROCESS
		       ? ", also carries `pod_name`, `namespace` and `container_id`, in a pod `pod_uid`"
		       : "",
	       d->flags & LNX_EVF_IDENT ? ", also carries `node`, `cluster`, `boot_id` and `schema`"
					: "");
	if (!d->n_fields)
		return;
	puts("\n| field | type | unit | what | OpenTelemetry |\n|---|---|---|---|---|");
	for (unsigned i = 0; i < d->n_fields; i++) {
		const struct lnx_field *f = &d->fields[i];

		printf("| `%s` | %s | %s | %s", f->name, fields_type_name(f), f->unit, f->doc);
		fields_words(f);
		printf(" | %s |\n", f->otel ? f->otel : "");
	}
}

static void fields_markdown(const struct lnx_registry *r)
{
	puts("# Events\n\n"
	     "Printed by `linnix events --fields --markdown` from the tables in `sdk/include/linnix/ev_*.h`;\n"
	     "`scripts/dev/gen_docs.sh` writes this page. Every event also has `seq`, `ts` (RFC 3339 with nanoseconds), `type`,\n"
	     "`pid`, `cpu` and `cause_seq`, the sequence number of the event that caused it. A field that is not known is `null`.");
	for (unsigned i = 0; i < lnx_registry_count(r); i++)
		fields_markdown_one(lnx_registry_at(r, i));
}

static int fields_table(const struct lnx_cli *cli, const struct lnx_registry *r, const char *only)
{
	static const struct lnx_column columns[] = { { "EVENT", 0, false },
						     { "FIELD", 0, false },
						     { "TYPE", 1, false },
						     { "UNIT", 2, false },
						     { "WHAT", 0, false } };
	struct lnx_table t;
	int rc;

	lnx_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (unsigned i = 0; i < lnx_registry_count(r); i++) {
		const struct lnx_event_desc *d = lnx_registry_at(r, i);

		if (only && strcmp(only, d->name) != 0)
			continue;
		for (unsigned k = 0; k < d->n_fields; k++) {
			lnx_table_cell(&t, d->name);
			lnx_table_cell(&t, d->fields[k].name);
			lnx_table_cell(&t, fields_type_name(&d->fields[k]));
			lnx_table_cell(&t, d->fields[k].unit);
			lnx_table_cell(&t, d->fields[k].doc);
		}
	}
	rc = lnx_table_print(&t, cli);
	lnx_table_done(&t);
	return rc;
}

int lnx_cli_fields(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const char *only = lnx_cli_arg(args, "type"), *near;
	struct lnx_registry *r = lnx_registry_new();
	int code = LNX_EXIT_OK;

	if (!only && args->n_words == 1)
		only = args->words[0];
	if (!r) {
		lnx_cli_say("%s", strerror(ENOMEM));
		return LNX_EXIT_FAILURE;
	}
	if (only && !lnx_registry_find(r, only)) {
		near = lnx_registry_suggest(r, only);
		if (near)
			code = lnx_cli_usage("events",
					     "events: unknown type '%s' (did you mean '%s'?)", only,
					     near);
		else
			code = lnx_cli_usage("events", "events: unknown type '%s'", only);
	} else if (cli->is_json) {
		fields_json(r, only);
	} else if (lnx_cli_arg(args, "markdown")) {
		fields_markdown(r);
	} else if (fields_table(cli, r, only) < 0) {
		code = LNX_EXIT_FAILURE;
	}
	lnx_registry_free(r);
	return code;
}
