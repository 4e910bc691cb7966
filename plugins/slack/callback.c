/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clicks on approve and deny: POST /slack/actions. Who clicks is proved by Slack's signature alone. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "slack.h"

#define ULID_BYTES 26
#define HOOKS	   "https://hooks.slack.com/"

static void count(struct slack *s, const char *result)
{
	static const char *const labels[] = { "result", NULL };
	static const struct lnx_metric_desc desc = {
		.name = "linnix_slack_callbacks_total",
		.help = "Clicks that came from Slack, and what became of them.",
		.kind = LNX_COUNTER,
		.labels = labels,
	};
	struct lnx_metric *m;

	if (s->n.host->metric(s->n.ctx, &desc, &result, &m) == 0)
		s->n.host->metric_add(s->n.ctx, m, 1);
}

/* ---- the decision */

/* "<node>/<ulid>", of what a node's name and a ULID are made of: it comes back in a command line. */
static int is_id(const char *id)
{
	const char *slash = strrchr(id, '/');

	if (!slash || slash == id || strlen(slash + 1) != ULID_BYTES || strlen(id) > 120)
		return 0;
	for (const char *c = id; c < slash; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-._", *c))
			return 0;
	for (const char *c = slash + 1; *c; c++)
		if (!isdigit((unsigned char)*c) && !isupper((unsigned char)*c))
			return 0;
	return 1;
}

/* What a click on <verb> ("approve", "reject") of action <id> leads to, as one sentence. */
static void decide(struct slack *s, const char *verb, const char *id, const char *who,
		   char *ret_text, size_t cap)
{
	const char *node = s->n.host->ident(s->n.ctx)->node;
	size_t n = strlen(node);
	int rc;

	if (!is_id(id)) {
		(void)snprintf(ret_text, cap, "this is no action of linnix");
		count(s, "malformed");
		return;
	}
	if (strncmp(id, node, n) != 0 || strrchr(id, '/') != id + n) {
		(void)snprintf(ret_text, cap,
			       "wrong node: this agent is %s; on %.*s run: linnix actions %s %s",
			       node, (int)(strrchr(id, '/') - id), id, verb, id); /* fits */
		count(s, "wrong_node");
		return;
	}
	if (!s->enforce) {
		(void)snprintf(ret_text, cap,
			       "nothing is done here: plugin enforce is not enabled");
		count(s, "no_enforce");
		return;
	}
	*ret_text = 0;
	rc = !strcmp(verb, "approve")
		     ? s->enforce->approve(s->enforce_self, id, who, ret_text, (uint32_t)cap)
		     : s->enforce->reject(s->enforce_self, id, who, ret_text, (uint32_t)cap);
	count(s, rc ? "refused" : "decided");
}

/* ---- the answer, to where Slack says, if that is Slack */

static void answer_done(void *arg, int rc, uint32_t status, const char *why)
{
	struct slack_answer *a = arg;

	a->call = NULL;
	if (rc < 0 || status / 100 != 2)
		a->s->n.host->log(a->s->n.ctx, LNX_WARN, "an answer did not arrive: %u %s", status,
				  why);
}

/* Else a workspace's app could make the agent call whom it likes. */
static int is_slack(struct slack *s, const char *url)
{
	char hook[LNX_SECRET_MAX], why[160];
	const char *end;
	int is_ours = 0;

	if (!strncmp(url, HOOKS, strlen(HOOKS)))
		return 1;
	if (lnx_secret_read(s->conf->webhook_url_file, hook, why, sizeof(why)) == 0) {
		end = strstr(hook, "://");
		end = end ? strchr(end + 3, '/') : NULL;
		is_ours = end && !strncmp(url, hook, (size_t)(end - hook) + 1);
	}
	explicit_bzero(hook, sizeof(hook));
	return is_ours;
}

static void send_answer(struct slack *s, const char *url, const struct lnx_buf *body)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct lnx_http_ask ask = { .size = sizeof(ask),
				    .method = "POST",
				    .url = url,
				    .headers = headers,
				    .body = body->data,
				    .body_bytes = body->size,
				    .ca_file = s->conf->ca_file,
				    .total_timeout_ns = s->conf->timeout_ns,
				    .on_done = answer_done };
	unsigned i = 0;

	if (!url || !s->client || lnx_buf_error(body) || !is_slack(s, url))
		return;
	while (i < SLACK_ANSWERS && s->answers[i].call)
		i++;
	if (i == SLACK_ANSWERS) {
		count(s, "answer_dropped");
		return;
	}
	s->answers[i].s = s;
	ask.arg = &s->answers[i];
	if (s->client->start(s->client_self, &ask, &s->answers[i].call) < 0)
		count(s, "answer_dropped");
}

/* ---- the request */

/* "slack U024BE7LH (ann)"; what is in a name cannot forge an audit. */
static void who_of(const json_t *user, char *ret, size_t cap)
{
	const char *id = json_string_value(json_object_get(user, "id")),
		   *name = json_string_value(json_object_get(user, "username"));
	char safe_id[24] = "unknown", safe_name[48] = "";
	size_t n = 0;

	if (!name)
		name = json_string_value(json_object_get(user, "name"));
	for (; id && *id && n < sizeof(safe_id) - 1; id++)
		if (isalnum((unsigned char)*id))
			safe_id[n++] = *id;
	if (n)
		safe_id[n] = 0;
	for (n = 0; name && *name && n < sizeof(safe_name) - 1; name++)
		if (isalnum((unsigned char)*name) || strchr("-._", *name))
			safe_name[n++] = *name;
	safe_name[n] = 0;
	(void)snprintf(ret, cap, "slack %s (%s)", safe_id, safe_name); /* fits */
}

/* The answer quotes names of the host: as a block of plain text, in which Slack looks for nothing, and for clients without blocks
 * with the markup escaped. */
static void put_answer(const char *text, struct lnx_buf *out)
{
	struct lnx_buf safe = { 0 };

	slack_escape(&safe, *text ? text : "-", SLACK_TEXT_BYTES); /* Slack takes no empty text */
	lnx_buf_str(out, "{\"response_type\":\"ephemeral\",\"replace_original\":false,\"text\":");
	if (lnx_buf_error(&safe))
		out->error = -ENOMEM;
	else
		lnx_json_str(out, safe.data);
	lnx_buf_str(
		out,
		",\"blocks\":[{\"type\":\"section\",\"text\":{\"type\":\"plain_text\",\"emoji\":false,"
		"\"text\":");
	if (!lnx_buf_error(&safe))
		lnx_json_str(out, safe.data);
	lnx_buf_str(out, "}}]}");
	lnx_buf_done(&safe);
}

static void on_payload(struct slack *s, struct lnx_http_req *req, const json_t *p)
{
	const json_t *action = json_array_get(json_object_get(p, "actions"), 0);
	const char *name = json_string_value(json_object_get(action, "action_id")),
		   *id = json_string_value(json_object_get(action, "value")),
		   *type = json_string_value(json_object_get(p, "type"));
	const char *verb = !name				   ? NULL
			   : !strncmp(name, "linnix.approve.", 15) ? "approve"
			   : !strncmp(name, "linnix.reject.", 14)  ? "reject"
								   : NULL;
	char who[LNX_ENFORCE_WHO_MAX], text[LNX_ENFORCE_TEXT_MAX];
	struct lnx_buf body = { 0 };

	if (!type || strcmp(type, "block_actions") != 0 || !verb || !id) {
		count(s, "malformed");
		(void)s->http->error(req, 400, "bad_request",
				     "this is no click on a button of linnix");
		return;
	}
	who_of(json_object_get(p, "user"), who, sizeof(who));
	decide(s, verb, id, who, text, sizeof(text));
	s->n.host->log(s->n.ctx, LNX_INFO, "%s of action %.100s by %s: %s", verb, id, who, text);
	put_answer(text, &body);
	if (lnx_buf_error(&body))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 200, NULL, body.data, body.size);
	send_answer(s, json_string_value(json_object_get(p, "response_url")), &body);
	lnx_buf_done(&body);
}

static void on_request(void *arg, struct lnx_http_req *req)
{
	struct slack *s = arg;
	char secret[LNX_SECRET_MAX], error[160] = "";
	const char *why = "no_secret", *body;
	struct lnx_buf form = { 0 };
	json_t *payload = NULL;
	uint32_t n = 0;
	int rc;

	body = s->http->body(req, &n);
	rc = lnx_secret_read(s->conf->signing_secret_file, secret, error, sizeof(error));
	if (rc < 0)
		s->n.host->log(s->n.ctx, LNX_ERROR, "%s", error);
	else
		rc = slack_verify(s, secret, s->http->header(req, "X-Slack-Request-Timestamp"),
				  s->http->header(req, "X-Slack-Signature"), body, n, &why);
	explicit_bzero(secret, sizeof(secret));
	if (rc < 0) {
		count(s, why);
		(void)s->http->error(
			req, rc == -ENOBUFS ? 429 : 403, why,
			"this was not signed by Slack, is older than 5 minutes, or came before");
		return;
	}
	if (slack_form(body, n, "payload", &form) == 0 && form.data)
		payload = json_loads(form.data, JSON_REJECT_DUPLICATES, NULL);
	on_payload(s, req, payload);
	json_decref(payload);
	lnx_buf_done(&form);
}

/* ---- life */

/* Slack cannot come to what only this machine reaches. */
static int is_beyond_loopback(struct slack *s)
{
	const char *listen = s->n.host->conf_get(s->n.ctx, "http.listen");

	return listen && *listen && strcmp(listen, "off") != 0 && strncmp(listen, "127.", 4) != 0 &&
	       strncmp(listen, "[::1]", 5) != 0 && strncmp(listen, "localhost:", 10) != 0;
}

int slack_callback_start(struct slack *s)
{
	static const struct lnx_http_route route = { .size = sizeof(route),
						     .flags = LNX_HTTP_SELF_AUTH,
						     .method = "POST",
						     .path = "/slack/actions",
						     .handle = on_request };
	char secret[LNX_SECRET_MAX], why[160];
	const void *vtable;
	int rc;

	if (!*s->conf->signing_secret_file)
		return 0;
	rc = lnx_secret_read(s->conf->signing_secret_file, secret, why, sizeof(why));
	explicit_bzero(secret, sizeof(secret));
	if (rc < 0) {
		s->n.host->log(s->n.ctx, LNX_ERROR, "signing_secret_file: %s", why);
		return rc;
	}
	if (!is_beyond_loopback(s) ||
	    s->n.host->service(s->n.ctx, "http/1", &vtable, &s->http_self) < 0) {
		s->n.host->log(
			s->n.ctx, LNX_WARN,
			"no buttons: Slack cannot reach http.listen, which is of this machine only");
		return 0;
	}
	s->http = vtable;
	if (s->n.host->service(s->n.ctx, "http_client/1", &vtable, &s->client_self) == 0)
		s->client = vtable;
	rc = s->http->route(s->http_self, &route, s);
	if (rc == -EEXIST)
		s->n.host->log(s->n.ctx, LNX_ERROR,
			       "signing_secret_file: only one section may have it");
	s->has_buttons = rc == 0;
	return rc;
}

void slack_callback_stop(struct slack *s)
{
	for (unsigned i = 0; i < SLACK_ANSWERS; i++) {
		if (s->answers[i].call)
			s->client->cancel(s->client_self, s->answers[i].call);
		s->answers[i].call = NULL;
	}
}
