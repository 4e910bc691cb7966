/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin with services made of memory, and clicks that are signed as Slack does. */
#ifndef LNX_SLACK_TEST_FIXTURE_H
#define LNX_SLACK_TEST_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testhost_http.h"
#include <cmocka.h>

#include "slack.h"

#define SECOND 1000000000ULL
#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
#define ULID   "01HZZZZZZZZZZZZZZZZZZZZZ01"
#define NOW    "1700000000" /* of the test host */

struct env {
	struct testhost *t;
	struct slack *s;
	struct lnx_channel_desc d;
	char dir[32], hook[64], key[64];
	/* the request */
	const char *timestamp, *signature, *body;
	unsigned status;
	char answer[1024], code[32], posted[1024], url[256];
	/* the action */
	uint32_t state;
	char decided[64], who[128], told[64];
	const char *decide_more;  /* what the sentence quotes; NULL: nothing */
	int decide_rc, n_actions; /* more of the same */
	const char *tail;	  /* behind a good signature */
};

/* ---- services */

static int nt_open(void *self, const char *name, const struct lnx_channel_desc *d,
		   struct lnx_channel **ret_ch)
{
	(void)name;
	((struct env *)self)->d = *d;
	*ret_ch = (struct lnx_channel *)self;
	return 0;
}

static void nt_close(void *self, struct lnx_channel *ch)
{
	(void)self;
	(void)ch;
}

static int nt_tell(void *self, struct lnx_channel *ch, const char *incident)
{
	struct env *e = self;

	(void)ch;
	(void)snprintf(e->told, sizeof(e->told), "%s", incident);
	return 0;
}

static const struct lnx_svc_notify notify = {
	.size = sizeof(notify), .open = nt_open, .close = nt_close, .tell = nt_tell
};

static int hc_start(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	struct env *e = self;

	(void)snprintf(e->url, sizeof(e->url), "%s", ask->url);
	(void)snprintf(e->posted, sizeof(e->posted), "%.*s", (int)ask->body_bytes,
		       (const char *)ask->body);
	*ret_call = self;
	return 0;
}

static void hc_cancel(void *self, struct lnx_http_call *call)
{
	(void)self;
	(void)call;
}

static const struct lnx_svc_http_client client = { .size = sizeof(client),
						   .start = hc_start,
						   .cancel = hc_cancel };

static int decide(struct env *e, const char *verb, const char *id, const char *who, char *text,
		  uint32_t cap)
{
	(void)snprintf(e->decided, sizeof(e->decided), "%s %s", verb, id);
	(void)snprintf(e->who, sizeof(e->who), "%s", who);
	(void)snprintf(text, cap, "it is %s%s", e->decide_rc ? "refused" : "done",
		       e->decide_more ? e->decide_more : "");
	return e->decide_rc;
}

static int en_approve(void *self, const char *id, const char *who, char *text, uint32_t cap)
{
	return decide(self, "approve", id, who, text, cap);
}

static int en_reject(void *self, const char *id, const char *who, char *text, uint32_t cap)
{
	return decide(self, "reject", id, who, text, cap);
}

static int en_each(void *self, int (*each)(void *arg, const struct lnx_action *a), void *arg)
{
	const struct env *e = self;
	struct lnx_action a = { .size = sizeof(a),
				.state = e->state,
				.id = "testhost/" ULID,
				.incident = "I",
				.plan = "cpu.max of <batch> to 50 %",
				.reason = "",
				.text = "" };

	for (int i = 0; i <= e->n_actions; i++)
		if (each(arg, &a))
			return i + 1;
	a.incident = "another";
	return each(arg, &a) ? 2 : 2;
}

static const struct lnx_svc_enforce enforce = {
	.size = sizeof(enforce), .approve = en_approve, .reject = en_reject, .each = en_each
};

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static void begin(struct env *e, const char *listen)
{
	char option[128];

	memset(e, 0, sizeof(*e));
	(void)snprintf(e->dir, sizeof(e->dir), "/tmp/lnx-slack-XXXXXX");
	assert_non_null(mkdtemp(e->dir));
	(void)snprintf(e->hook, sizeof(e->hook), "%s/hook", e->dir);
	(void)snprintf(e->key, sizeof(e->key), "%s/key", e->dir);
	put_file(e->hook, "https://slack.example:8443/services/x\n");
	put_file(e->key, SECRET "\n");
	e->t = testhost_new();
	assert_int_equal(testhost_provide(e->t, "notify/1", &notify, e), 0);
	assert_int_equal(testhost_http(e->t), 0);
	assert_int_equal(testhost_provide(e->t, "http_client/1", &client, e), 0);
	assert_int_equal(testhost_provide(e->t, "enforce/1", &enforce, e), 0);
	(void)snprintf(option, sizeof(option), "webhook_url_file=%s", e->hook);
	assert_int_equal(testhost_conf(e->t, option), 0);
	(void)snprintf(option, sizeof(option), "signing_secret_file=%s", e->key);
	assert_int_equal(testhost_conf(e->t, option), 0);
	assert_int_equal(testhost_conf_other(e->t, listen), 0);
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), 0);
	e->s = testhost_state(e->t);
}

static void end(struct env *e)
{
	testhost_free(e->t);
	assert_int_equal(unlink(e->hook), 0);
	assert_int_equal(unlink(e->key), 0);
	assert_int_equal(rmdir(e->dir), 0);
}

/* POST the request as it is. */
__attribute__((unused)) static void post(struct env *e)
{
	static const char route[] = "POST /slack/actions";
	char timestamp[64], signature[128];
	const char *headers[3] = { NULL };
	const struct testhost_request request = { .headers = headers, .body = e->body };
	const struct testhost_answer *a;
	unsigned n = 0;

	(void)snprintf(timestamp, sizeof(timestamp), "X-Slack-Request-Timestamp=%s",
		       e->timestamp ? e->timestamp : "");
	(void)snprintf(signature, sizeof(signature), "X-Slack-Signature=%s",
		       e->signature ? e->signature : "");
	if (e->timestamp)
		headers[n++] = timestamp;
	if (e->signature)
		headers[n++] = signature;
	a = testhost_ask(e->t, route, &request);
	assert_non_null(a);
	assert_true(testhost_route(e->t, route)->flags & LNX_HTTP_SELF_AUTH);
	e->status = a->status;
	(void)snprintf(e->code, sizeof(e->code), "%s", a->code);
	(void)snprintf(e->answer, sizeof(e->answer), "%s", a->body);
}

/* POST <body>, signed at <timestamp> as Slack does. */
__attribute__((unused)) static void click(struct env *e, const char *timestamp, const char *body)
{
	unsigned char mac[SLACK_MAC_BYTES];
	char signature[90] = "v0=";

	slack_mac(SECRET, timestamp, body, strlen(body), mac);
	for (int i = 0; i < SLACK_MAC_BYTES; i++)
		(void)snprintf(signature + 3 + 2 * i, 3, "%02x", mac[i]);
	if (e->tail)
		(void)snprintf(signature + 67, sizeof(signature) - 67, "%s", e->tail);
	e->timestamp = timestamp;
	e->signature = signature;
	e->body = body;
	post(e);
}

/* What the test host calls the node. */
__attribute__((unused)) static const char *payload(struct env *e, const char *verb,
						   const char *node, const char *more)
{
	static char form[4096];
	char json[1024];
	size_t n = 0;

	if (!node)
		node = testhost_host(e->t)->ident(testhost_ctx(e->t))->node;
	(void)snprintf(
		json, sizeof(json),
		"{\"type\":\"block_actions\",\"user\":{\"id\":\"U024BE7LH\",\"username\":\"ann)\\nuid 0 (x\"},"
		"\"actions\":[{\"action_id\":\"linnix.%s.0\",\"value\":\"%s/" ULID "\"}]%s}",
		verb, node, more);
	n = (size_t)snprintf(form, sizeof(form), "a=b&payload=");
	for (const char *c = json; *c; c++)
		n += (size_t)snprintf(form + n, sizeof(form) - n, *c == ' ' ? "+" : "%%%02X",
				      (unsigned char)*c);
	(void)snprintf(form + n, sizeof(form) - n, "&c=d");
	return form;
}

#endif
