/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Events for people. Nothing here knows a type but alerts: fields are printed as they come. */
#include "cli/line.h"

#include <stdbool.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

/* Said elsewhere on the line, or of use to programs only. */
static bool line_is_skipped(const char *key)
{
	static const char *const skipped[] = {
		"seq",	   "ts",	"type",	    "pid",
		"cpu",	   "cause_seq", "start_ns", "parent_start_ns",
		"node",	   "cluster",	"boot_id",  "schema",
		"since_ns"
	};

	for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++)
		if (strcmp(key, skipped[i]) == 0)
			return true;
	return false;
}

static bool line_ends(const char *key, const char *suffix)
{
	size_t n = strlen(key), k = strlen(suffix);

	return n > k && strcmp(key + n - k, suffix) == 0;
}

static void line_time(struct lnx_buf *out, const char *ts)
{
	struct tm utc = { 0 }, local;
	const char *rest = strptime(ts, "%Y-%m-%dT%H:%M:%S", &utc);
	char text[16];
	time_t t;

	if (!rest) {
		lnx_buf_str(out, "--:--:--.---");
		return;
	}
	t = timegm(&utc);
	if (!localtime_r(&t, &local) || !strftime(text, sizeof(text), "%H:%M:%S", &local))
		return;
	lnx_buf_str(out, text);
	if (*rest == '.' && strspn(rest + 1, "0123456789") >= 3)
		lnx_buf_add(out, rest, 4);
}

static void line_string(struct lnx_buf *out, const char *s, size_t n)
{
	bool is_quoted = n == 0 || memchr(s, ' ', n) || memchr(s, '"', n) || memchr(s, '=', n);

	if (is_quoted)
		lnx_buf_char(out, '"');
	for (size_t i = 0, k; i < n; i += k) {
		const char *quote = memchr(s + i, '"', n - i);

		k = quote ? (size_t)(quote - s) - i : n - i;
		lnx_text_safe(out, s + i, k);
		if (quote) {
			lnx_buf_str(out, "\\\"");
			k++;
		}
	}
	if (is_quoted)
		lnx_buf_char(out, '"');
}

static void line_number(struct lnx_buf *out, const char *key, double v)
{
	if (line_ends(key, "_ns"))
		lnx_text_duration(out, v);
	else if (line_ends(key, "_us"))
		lnx_text_duration(out, v * 1e3);
	else if (line_ends(key, "_ms"))
		lnx_text_duration(out, v * 1e6);
	else if (line_ends(key, "_bytes"))
		lnx_text_bytes(out, v);
	else if (line_ends(key, "pct"))
		lnx_buf_printf(out, "%.1f", v);
	else
		lnx_json_f64(out, v);
}

static void line_field(struct lnx_buf *out, const char *prefix, const char *key, const json_t *v)
{
	struct lnx_buf text = { 0 };
	char *dump;

	if (json_is_null(v) || (json_is_string(v) && !json_string_length(v)))
		return;
	if (json_is_object(v) && !*prefix) {
		json_t *o = (json_t *)v; /* jansson's iterator is not const, and changes nothing */

		for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
			line_field(out, key, json_object_iter_key(it), json_object_iter_value(it));
		return;
	}
	lnx_buf_char(out, ' ');
	if (*prefix) {
		lnx_text_safe(out, prefix, strlen(prefix));
		lnx_buf_char(out, '.');
	}
	lnx_text_safe(out, key, strlen(key));
	lnx_buf_char(out, '=');
	if (json_is_string(v))
		line_string(out, json_string_value(v), json_string_length(v));
	else if (json_is_number(v))
		line_number(out, key, json_number_value(v));
	else if (json_is_boolean(v))
		lnx_buf_str(out, json_is_true(v) ? "yes" : "no");
	else {
		dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		if (dump)
			lnx_text_json(&text, dump, strlen(dump));
		lnx_buf_str(out, text.data ? text.data : "?");
		free(dump);
	}
	lnx_buf_done(&text);
}

static void line_alert(const struct lnx_cli *cli, struct lnx_buf *out, const json_t *event)
{
	const char *severity = lnx_json_get_str(event, "severity"),
		   *say = lnx_json_get_str(event, "say");
	const char *rule = lnx_json_get_str(event, "rule"),
		   *state = lnx_json_get_str(event, "state");
	int colour = strcmp(severity, "critical") == 0	? LNX_COLOUR_RED
		     : strcmp(severity, "warning") == 0 ? LNX_COLOUR_YELLOW
							: 0;

	lnx_buf_char(out, ' ');
	if (colour && cli->has_colour)
		lnx_buf_printf(out, "\033[%dm", colour);
	lnx_text_safe(out, severity, strlen(severity));
	if (colour && cli->has_colour)
		lnx_buf_str(out, "\033[0m");
	lnx_buf_char(out, ' ');
	lnx_text_safe(out, rule, strlen(rule));
	lnx_buf_char(out, ' ');
	lnx_text_safe(out, state, strlen(state));
	lnx_buf_str(out, ": ");
	lnx_text_safe(out, say, strlen(say));
}

void lnx_event_line(const struct lnx_cli *cli, struct lnx_buf *out, const json_t *event)
{
	const char *type = lnx_json_get_str(event, "type");
	double pid = lnx_json_get_f64(event, "pid", 0);
	json_t *o = (json_t *)event; /* as above */

	line_time(out, lnx_json_get_str(event, "ts"));
	lnx_buf_char(out, ' ');
	lnx_text_safe(out, type, strlen(type));
	if (strcmp(type, "alert") == 0) {
		line_alert(cli, out, event);
		return;
	}
	if (pid > 0)
		lnx_buf_printf(out, " pid=%.0f", pid);
	for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
		const char *key = json_object_iter_key(it);

		if (!line_is_skipped(key))
			line_field(out, "", key, json_object_iter_value(it));
	}
}
