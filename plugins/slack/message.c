/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Incidents as Block Kit. Names of the host are data: whatever they hold, they make no link and call nobody. */
#include <string.h>

#include "slack.h"

#define LINE_BYTES 280 /* of an incident in a digest */

static const char *const severities[] = { "info", "warning", "critical" };

void slack_escape(struct lnx_buf *out, const char *text, size_t max)
{
	static const char dots[] = "\xe2\x80\xa6";
	size_t used = 0, i = 0, k, n = strlen(text);

	for (; i < n; i += k) {
		char one[8] = { 0 };
		const char *put = one;

		k = lnx_utf8_len((const unsigned char *)text + i, n - i);
		if (!k) {
			k = 1;
			put = "?";
		} else if (text[i] == '&') {
			put = "&amp;";
		} else if (text[i] == '<') {
			put = "&lt;";
		} else if (text[i] == '>') {
			put = "&gt;";
		} else {
			memcpy(one, text + i, k);
		}
		if (used + strlen(put) > max - (sizeof(dots) - 1)) {
			lnx_buf_str(out, dots);
			return;
		}
		lnx_buf_str(out, put);
		used += strlen(put);
	}
}

static const char *emoji(const struct lnx_notice *x)
{
	if (!x->is_open)
		return ":white_check_mark:";
	return x->severity == 2 ? ":red_circle:" : ":large_orange_circle:";
}

/* "name":{"type":…,"text":…} out of <text>, which is spent. */
static void text_object(struct lnx_buf *out, const char *key, const char *type,
			struct lnx_buf *text)
{
	if (key)
		lnx_json_key(out, key);
	else
		lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "type", type);
	if (!strcmp(type,
		    "mrkdwn")) /* links are those that are written as such: else Slack finds some in names */
		lnx_json_kv_bool(out, "verbatim", 1);
	if (!lnx_buf_error(text) && text->data)
		lnx_json_kv_str(out, "text", text->data);
	else
		out->error = -ENOMEM;
	lnx_buf_char(out, '}');
	lnx_buf_done(text);
}

static void header(struct lnx_buf *out, const char *mark, const char *text)
{
	struct lnx_buf t = { 0 };

	lnx_json_next(out);
	lnx_buf_str(out, "{\"type\":\"header\"");
	lnx_buf_printf(&t, "%s ", mark);
	slack_escape(&t, text, SLACK_HEADER_BYTES - t.size);
	text_object(out, "text", "plain_text", &t);
	lnx_buf_char(out, '}');
}

static void section(struct lnx_buf *out, struct lnx_buf *text)
{
	lnx_json_next(out);
	lnx_buf_str(out, "{\"type\":\"section\"");
	text_object(out, "text", "mrkdwn", text);
	lnx_buf_char(out, '}');
}

static void field(struct lnx_buf *out, const char *name, const char *namespace_, const char *value,
		  const char *more)
{
	struct lnx_buf t = { 0 };

	if (!*value)
		return;
	lnx_buf_printf(&t, "*%s*\n", name);
	if (*namespace_) {
		slack_escape(&t, namespace_, 300);
		lnx_buf_char(&t, '/');
	}
	slack_escape(&t, value, 600);
	if (*more) {
		lnx_buf_str(&t, " (");
		slack_escape(&t, more, 300);
		lnx_buf_char(&t, ')');
	}
	text_object(out, NULL, "mrkdwn", &t);
}

static void fields(const struct lnx_ident *id, const struct lnx_notice *x, struct lnx_buf *out)
{
	char more[64] = "";

	if (x->n_victims > 1)
		(void)snprintf(more, sizeof(more), "and %u more", x->n_victims - 1); /* fits */
	lnx_json_next(out);
	lnx_buf_str(out, "{\"type\":\"section\",\"fields\":[");
	field(out, "Severity", "", severities[x->severity % 3], x->is_open ? "" : "over");
	field(out, "Node", "", id->node, id->cluster);
	field(out, "Culprit", x->culprit_namespace, x->culprit, x->culprit_comm);
	field(out, "Victim", x->victim_namespace, x->victim, more);
	lnx_buf_str(out, "]}");
}

static void when(struct lnx_buf *t, const char *word, uint64_t wall_ns)
{
	if (wall_ns)
		lnx_buf_printf(t, " \xc2\xb7 %s <!date^%llu^{date_num} {time_secs}|%llu>", word,
			       (unsigned long long)(wall_ns / 1000000000u),
			       (unsigned long long)(wall_ns / 1000000000u));
}

static void link_to(struct lnx_buf *t, const struct lnx_notice *x)
{
	lnx_buf_char(t, '<');
	slack_escape(t, x->url, 600);
	lnx_buf_printf(t, "|%s>", x->incident);
}

static void context(const struct lnx_notice *x, struct lnx_buf *out)
{
	struct lnx_buf t = { 0 };

	link_to(&t, x);
	lnx_buf_str(&t, " \xc2\xb7 ");
	slack_escape(&t, x->rule, 100);
	when(&t, "opened", x->opened_wall_ns);
	if (!x->is_open)
		when(&t, "closed", x->closed_wall_ns);
	if (*x->runbook && !strncmp(x->runbook, "http", 4) && !strchr(x->runbook, '|')) {
		lnx_buf_str(&t, " \xc2\xb7 <");
		slack_escape(&t, x->runbook, 600);
		lnx_buf_str(&t, "|runbook>");
	}
	lnx_json_next(out);
	lnx_buf_str(out, "{\"type\":\"context\",\"elements\":[");
	text_object(out, NULL, "mrkdwn", &t);
	lnx_buf_str(out, "]}");
}

static void button(struct lnx_buf *out, const char *verb, const char *label, const char *style,
		   const struct slack_action *a, unsigned i)
{
	lnx_json_next(out);
	lnx_buf_printf(out,
		       "{\"type\":\"button\",\"action_id\":\"linnix.%s.%u\",\"style\":\"%s\","
		       "\"text\":{\"type\":\"plain_text\",\"text\":\"%s\"}",
		       verb, i, style, label);
	lnx_json_kv_str(out, "value", a->id);
	if (!strcmp(verb, "approve"))
		lnx_buf_str(
			out,
			",\"confirm\":{\"title\":{\"type\":\"plain_text\",\"text\":\"Carry it out?\"},"
			"\"text\":{\"type\":\"plain_text\",\"text\":\"It is undone when its lease ends.\"},"
			"\"confirm\":{\"type\":\"plain_text\",\"text\":\"Approve\"},"
			"\"deny\":{\"type\":\"plain_text\",\"text\":\"Cancel\"}}");
	lnx_buf_char(out, '}');
}

static void put_action(const struct slack_action *a, unsigned i, struct lnx_buf *out)
{
	static const char *const states[] = { "asked for", "refused",  "turned down",
					      "expired",   "in force", "undone",
					      "failed",	   "dry run",  "measured" };
	struct lnx_buf t = { 0 };

	lnx_buf_printf(&t, "*Action %s:* ", states[a->state % 9]);
	slack_escape(&t, a->plan, 1200);
	if (*a->text) {
		lnx_buf_char(&t, '\n');
		slack_escape(&t, a->text, 1200);
	}
	section(out, &t);
	if (!a->has_buttons || a->state != LNX_ACTION_PROPOSED)
		return;
	lnx_json_next(out);
	lnx_buf_str(out, "{\"type\":\"actions\",\"elements\":[");
	button(out, "approve", "Approve", "primary", a, i);
	button(out, "reject", "Deny", "danger", a, i);
	lnx_buf_str(out, "]}");
}

static void put_actions(const struct slack_action *actions, uint32_t n, struct lnx_buf *out)
{
	struct lnx_buf t = { 0 };

	for (uint32_t i = 0; i < n && i < SLACK_ACTIONS; i++)
		put_action(&actions[i], i, out);
	if (n <= SLACK_ACTIONS)
		return;
	lnx_buf_printf(&t, "and %u more: `linnix actions`", n - SLACK_ACTIONS);
	section(out, &t);
}

static void one(const struct lnx_ident *id, const struct lnx_notice *x,
		const struct slack_action *actions, uint32_t n_actions, struct lnx_buf *out)
{
	const char *words = *x->text ? x->text : x->summary;
	struct lnx_buf t = { 0 };

	header(out, emoji(x), x->title);
	slack_escape(&t, *words ? words : x->title, SLACK_TEXT_BYTES);
	section(out, &t);
	fields(id, x, out);
	put_actions(actions, n_actions, out);
	context(x, out);
}

/* One line each, as many to a section as it may hold; then what waits for a decision. */
static void digest(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
		   const struct slack_action *actions, uint32_t n_actions, struct lnx_buf *out)
{
	struct lnx_buf t = { 0 };
	char title[120];

	(void)snprintf(title, sizeof(title), "%u incidents on %.80s", n, id->node); /* fits */
	header(out, ":bell:", title);
	for (uint32_t i = 0; i < n; i++) {
		if (t.size > SLACK_TEXT_BYTES - 1100) /* a line with its link, at most */
			section(out, &t);
		lnx_buf_printf(&t, "%s ", emoji(&list[i]));
		slack_escape(&t, list[i].title, LINE_BYTES);
		lnx_buf_str(&t, list[i].is_open ? " \xc2\xb7 open " : " \xc2\xb7 over ");
		link_to(&t, &list[i]);
		lnx_buf_char(&t, '\n');
	}
	section(out, &t);
	put_actions(actions, n_actions, out);
}

void slack_message(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
		   const struct slack_action *actions, uint32_t n_actions, struct lnx_buf *out)
{
	struct lnx_buf t = { 0 };

	lnx_buf_printf(&t, "[%s] ", list[0].is_open ? severities[list[0].severity % 3] : "over");
	slack_escape(&t, list[0].title, LINE_BYTES);
	if (n > 1)
		lnx_buf_printf(&t, " and %u more", n - 1);
	lnx_buf_str(out, "{\"text\":");
	if (lnx_buf_error(&t))
		out->error = -ENOMEM;
	else
		lnx_json_str(out, t.data);
	lnx_buf_done(&t);
	lnx_buf_str(out, ",\"blocks\":[");
	if (n == 1)
		one(id, list, actions, n_actions, out);
	else
		digest(id, list, n, actions, n_actions, out);
	lnx_buf_str(out, "]}");
}
