/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clicks: who may, what they lead to, and buttons only where they may lead to something. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testhost.h"
#include <cmocka.h>

#include "slack.h"

#define SECOND 1000000000ULL
#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
#define ULID   "01HZZZZZZZZZZZZZZZZZZZZZ01"
#define NOW    "1700000000" /* of the test host */

/* The example of Slack's documentation. */
static const char example[] =
	"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&"
	"user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
	"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
	"803a0bc887a14d10d2c447fce8b6703c";
static const char example_hex[] =
	"a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

struct env {
	struct testhost *t;
	struct slack *s;
	struct lnx_channel_desc d;
	const struct lnx_http_route *route;
	void *route_arg;
	char dir[32], hook[64], key[64];
	/* the request */
	const char *timestamp, *signature, *body;
	unsigned status;
	char answer[1024], code[32], posted[1024], url[256];
	/* the action */
	uint32_t state;
	char decided[64], who[128], told[64];
	int decide_rc, n_actions; /* more of the same */
	const char *tail;	  /* behind a good signature */
};

static struct env *now; /* http/1 hands no self to its functions of a request */

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

static int ht_route(void *self, const struct lnx_http_route *route, void *arg)
{
	struct env *e = self;

	assert_true(route->flags & LNX_HTTP_SELF_AUTH);
	assert_string_equal(route->path, "/slack/actions");
	e->route = route;
	e->route_arg = arg;
	return 0;
}

static const char *ht_header(struct lnx_http_req *req, const char *name)
{
	(void)req;
	return strstr(name, "Timestamp") ? now->timestamp : now->signature;
}

static const char *ht_body(struct lnx_http_req *req, uint32_t *ret_bytes)
{
	(void)req;
	*ret_bytes = (uint32_t)strlen(now->body);
	return now->body;
}

static int ht_respond(struct lnx_http_req *req, uint32_t status, const char *type, const char *body,
		      uint64_t n)
{
	(void)req;
	(void)type;
	now->status = status;
	(void)snprintf(now->answer, sizeof(now->answer), "%.*s", (int)n, body);
	return 0;
}

static int ht_error(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt,
		    ...)
{
	(void)req;
	(void)fmt;
	now->status = status;
	(void)snprintf(now->code, sizeof(now->code), "%s", code);
	return 0;
}

static const struct lnx_svc_http http = { .size = sizeof(http),
					  .route = ht_route,
					  .header = ht_header,
					  .body = ht_body,
					  .respond = ht_respond,
					  .error = ht_error };

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
	(void)snprintf(text, cap, "it is %s", e->decide_rc ? "refused" : "done");
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
	now = e;
	(void)snprintf(e->dir, sizeof(e->dir), "/tmp/lnx-slack-XXXXXX");
	assert_non_null(mkdtemp(e->dir));
	(void)snprintf(e->hook, sizeof(e->hook), "%s/hook", e->dir);
	(void)snprintf(e->key, sizeof(e->key), "%s/key", e->dir);
	put_file(e->hook, "https://slack.example:8443/services/x\n");
	put_file(e->key, SECRET "\n");
	e->t = testhost_new();
	assert_int_equal(testhost_provide(e->t, "notify/1", &notify, e), 0);
	assert_int_equal(testhost_provide(e->t, "http/1", &http, e), 0);
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

/* POST <body>, signed at <timestamp> as Slack does. */
static void click(struct env *e, const char *timestamp, const char *body)
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
	e->status = 0;
	e->code[0] = e->answer[0] = 0;
	e->route->handle(e->route_arg, NULL);
}

/* What the test host calls the node. */
static const char *payload(struct env *e, const char *verb, const char *node, const char *more)
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

/* ---- tests */

static void the_example_of_slack(void **state)
{
	unsigned char mac[SLACK_MAC_BYTES];
	char hex[80];

	(void)state;
	slack_mac(SECRET, "1531420618", example, strlen(example), mac);
	for (int i = 0; i < SLACK_MAC_BYTES; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	assert_string_equal(hex, example_hex);
}

static void a_click_is_decided_once(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	click(&e, NOW,
	      payload(&e, "approve", NULL,
		      ", \"response_url\":\"https://hooks.slack.com/actions/x\""));
	assert_int_equal(e.status, 200);
	assert_int_equal(strncmp(e.decided, "approve ", 8), 0);
	assert_non_null(strstr(e.decided, "/" ULID));
	assert_string_equal(e.who, "slack U024BE7LH (annuid0x)"); /* no forged audit */
	assert_non_null(strstr(e.answer, "\"text\":\"it is done\""));
	assert_string_equal(e.url, "https://hooks.slack.com/actions/x");
	assert_string_equal(e.posted, e.answer);
	e.decided[0] = 0;
	click(&e, NOW,
	      payload(&e, "approve", NULL,
		      ", \"response_url\":\"https://hooks.slack.com/actions/x\""));
	assert_int_equal(e.status, 403);
	assert_string_equal(e.code, "replay");
	assert_string_equal(e.decided, "");
	e.decide_rc = -EALREADY;
	click(&e, NOW, payload(&e, "reject", NULL, ""));
	assert_int_equal(strncmp(e.decided, "reject ", 7), 0);
	assert_non_null(strstr(e.answer, "it is refused"));
	assert_true(testhost_metric(e.t, "linnix_slack_callbacks_total", "result=replay") == 1);
	end(&e);
}

static void one_that_is_good_for_long_is_remembered_for_long(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	click(&e, "1700000300", payload(&e, "approve", NULL, "")); /* a clock that is ahead */
	assert_int_equal(e.status, 200);
	(void)testhost_advance(e.t, 599 * SECOND);
	click(&e, "1700000300", payload(&e, "approve", NULL, ""));
	assert_string_equal(e.code, "replay");
	(void)testhost_advance(e.t, 2 * SECOND);
	click(&e, "1700000300", payload(&e, "approve", NULL, ""));
	assert_string_equal(e.code, "stale");
	end(&e);
}

static void more_than_are_remembered_are_refused(void **state)
{
	char more[32];
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	for (int i = 0; i <= SLACK_REPLAYS; i++) {
		(void)snprintf(more, sizeof(more), ",\"n\":%d", i);
		click(&e, NOW, payload(&e, "approve", NULL, more));
		assert_int_equal(e.status, i < SLACK_REPLAYS ? 200 : 429);
	}
	assert_string_equal(e.code, "too_many");
	click(&e, NOW, payload(&e, "approve", NULL, ",\"n\":0"));
	assert_string_equal(e.code, "replay");
	(void)testhost_advance(e.t, 601 * SECOND);
	click(&e, "1700000601", payload(&e, "approve", NULL, more));
	assert_int_equal(e.status, 200);
	end(&e);
}

static void without_enforce_it_says_so(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	e.s->enforce = NULL;
	click(&e, NOW, payload(&e, "approve", NULL, ""));
	assert_int_equal(e.status, 200);
	assert_non_null(strstr(e.answer, "plugin enforce is not enabled"));
	assert_true(testhost_metric(e.t, "linnix_slack_callbacks_total", "result=no_enforce") == 1);
	end(&e);
}

static void what_is_not_slack_is_refused(void **state)
{
	static const char *const stamps[] = { "1699999699", "1700000301", "0", "99999999999" };
	struct env e;
	const char *body;
	char bad[80];

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	body = payload(&e, "approve", NULL, "");
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		click(&e, stamps[i], body);
		assert_string_equal(e.code, "stale");
	}
	click(&e, "1700000000x", body);
	assert_string_equal(e.code, "no_signature");
	e.signature = NULL;
	e.timestamp = NOW;
	e.route->handle(e.route_arg, NULL);
	assert_string_equal(e.code, "no_signature");
	e.signature = "v1=00";
	e.route->handle(e.route_arg, NULL);
	assert_string_equal(e.code, "no_signature");
	memset(bad, '0', sizeof(bad));
	memcpy(bad, "v0=", 3);
	bad[67] = 0;
	e.signature = bad;
	e.route->handle(e.route_arg, NULL);
	assert_string_equal(e.code, "wrong_signature");
	bad[66] = 'g';
	e.route->handle(e.route_arg, NULL);
	assert_string_equal(e.code, "wrong_signature");
	bad[66] = 0;
	e.route->handle(e.route_arg, NULL);
	assert_string_equal(e.code, "wrong_signature");
	assert_int_equal(e.status, 403);
	e.tail = "00";
	click(&e, NOW, body);
	assert_string_equal(e.code, "wrong_signature");
	assert_string_equal(e.decided, "");
	end(&e);
}

static void another_node_is_told_where(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	click(&e, NOW, payload(&e, "approve", "other-7.example", ""));
	assert_int_equal(e.status, 200);
	assert_non_null(strstr(e.answer, "wrong node"));
	assert_non_null(strstr(
		e.answer, "on other-7.example run: linnix actions approve other-7.example/" ULID));
	click(&e, NOW, payload(&e, "approve", "testhost2", ""));
	assert_non_null(strstr(e.answer, "wrong node"));
	click(&e, NOW, payload(&e, "reject", "a; rm -rf", ""));
	assert_non_null(strstr(e.answer, "this is no action"));
	assert_string_equal(e.decided, "");
	end(&e);
}

static void bodies_of_any_kind(void **state)
{
	static const char *const bodies[] = {
		"",
		"payload",
		"payload=",
		"payload=%",
		"payload=%zz",
		"payload=nonsense",
		"payload=%5B%5D",
		"payload=%7B%7D",
		"pay=%7B%7D",
		"&&&",
		"payload=%7B%22type%22%3A1%7D",
		"payload=%7B%22type%22%3A%22x%22%2C%22actions%22%3A%5B%7B%22action_id%22%3A%22linnix.approve.0%22%2C"
		"%22value%22%3A%22testhost%2F" ULID "%22%7D%5D%7D",
		"payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B%5D%7D",
	};
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		click(&e, NOW, bodies[i]);
		assert_int_equal(e.status, 400);
	}
	assert_string_equal(e.decided, "");
	/* the key was taken away */
	put_file(e.key, "");
	click(&e, NOW, payload(&e, "approve", NULL, ""));
	assert_string_equal(e.code, "no_secret");
	assert_int_equal(e.status, 403);
	end(&e);
}

/* Else whoever makes an app could have the agent call any address. */
static void answers_go_to_slack_alone(void **state)
{
	static const struct {
		const char *url;
		int is_sent;
	} rows[] = {
		{ "https://hooks.slack.com/actions/1", 1 },
		{ "https://slack.example:8443/a", 1 },
		{ "https://hooks.slack.com.evil.example/", 0 },
		{ "http://hooks.slack.com/", 0 },
		{ "https://slack.example/a", 0 },
		{ "https://slack.example:8443", 0 },
		{ "http://127.0.0.1:3000/x", 0 },
		{ "https://slack.example:84430/", 0 },
	};
	struct env e;
	char more[128];

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e.url[0] = 0;
		(void)snprintf(more, sizeof(more), ",\"response_url\":\"%s\"", rows[i].url);
		click(&e, NOW, payload(&e, "approve", NULL, more));
		assert_int_equal(e.status, 200);
		if ((e.url[0] != 0) != rows[i].is_sent)
			fail_msg("%s", rows[i].url);
		for (unsigned k = 0; k < SLACK_ANSWERS; k++)
			e.s->answers[k].call = NULL;
	}
	for (int i = 0; i <= SLACK_ANSWERS; i++) {
		e.url[0] = 0;
		(void)snprintf(more, sizeof(more),
			       ",\"response_url\":\"https://hooks.slack.com/%d\"", i);
		click(&e, NOW, payload(&e, "reject", NULL, more));
		assert_int_equal(e.url[0] != 0, i < SLACK_ANSWERS);
	}
	assert_true(testhost_metric(e.t, "linnix_slack_callbacks_total", "result=answer_dropped") ==
		    1);
	end(&e);
}

/* <n> incidents; the last is the one that has an action. */
static void render(struct env *e, uint32_t n, struct lnx_notify_post *p)
{
	struct lnx_notice x = { .size = sizeof(x), .is_open = 1, .incident = "I" }, list[2];
	char why[160];

	x.url = "http://a";
	x.title = x.summary = x.text = x.cause = x.resource = x.rule = x.culprit =
		x.culprit_namespace = x.culprit_comm = x.victim = x.victim_namespace = "t";
	x.runbook = x.kept = "";
	list[0] = list[1] = x;
	list[0].incident = n > 1 ? "0" : "I";
	assert_int_equal(e->d.render(e->d.arg, list, n, p, why, sizeof(why)), 0);
	assert_string_equal(p->url.data, "https://slack.example:8443/services/x");
}

static void buttons_only_where_a_click_can_arrive(void **state)
{
	static const struct {
		const char *listen;
		uint32_t state, n;
		int is_shown, has_buttons;
	} rows[] = {
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_PROPOSED, 1, 1, 1 },
		{ "http.listen=10.0.0.1:3000", LNX_ACTION_PROPOSED, 1, 1, 1 },
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_APPLIED, 1, 1, 0 },
		{ "http.listen=127.0.0.1:3000", LNX_ACTION_PROPOSED, 1, 1, 0 },
		{ "http.listen=[::1]:3000", LNX_ACTION_PROPOSED, 1, 1, 0 },
		{ "http.listen=localhost:3000", LNX_ACTION_PROPOSED, 1, 1, 0 },
		{ "http.listen=off", LNX_ACTION_PROPOSED, 1, 1, 0 },
		/* of a digest only what waits */
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_PROPOSED, 2, 1, 1 },
		{ "http.listen=127.0.0.1:3000", LNX_ACTION_PROPOSED, 2, 1, 0 },
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_APPLIED, 2, 0, 0 },
	};
	struct env e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lnx_notify_post p = { .size = sizeof(p) };

		begin(&e, rows[i].listen);
		e.state = rows[i].state;
		render(&e, rows[i].n, &p);
		if ((strstr(p.body.data, "cpu.max of &lt;batch&gt; to 50 %") != NULL) !=
			    rows[i].is_shown ||
		    (strstr(p.body.data, "\"value\":\"testhost/" ULID "\"") != NULL) !=
			    rows[i].has_buttons ||
		    (strstr(p.body.data, "linnix.approve.0") != NULL) != rows[i].has_buttons)
			fail_msg("row %zu: %s", i, p.body.data);
		assert_int_equal(e.route != NULL,
				 strstr(rows[i].listen, "0.0:") || strstr(rows[i].listen, "10."));
		lnx_buf_done(&p.url);
		lnx_buf_done(&p.headers);
		lnx_buf_done(&p.body);
		end(&e);
	}
}

static void no_more_actions_than_fit(void **state)
{
	struct lnx_notify_post p = { .size = sizeof(p) };
	const char *at;
	struct env e;
	int n = 0;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	e.n_actions = 2 * SLACK_ACTIONS;
	render(&e, 1, &p);
	for (at = p.body.data; (at = strstr(at, "linnix.approve.")); at++)
		n++;
	assert_int_equal(n, SLACK_ACTIONS);
	lnx_buf_done(&p.url);
	lnx_buf_done(&p.headers);
	lnx_buf_done(&p.body);
	end(&e);
}

static void proposals_and_what_becomes_of_them_are_told(void **state)
{
	static const struct {
		uint32_t state, is_told;
	} rows[] = { { LNX_ACTION_PROPOSED, 1 }, { LNX_ACTION_APPLIED, 1 },
		     { LNX_ACTION_REJECTED, 1 }, { LNX_ACTION_UNDONE, 1 },
		     { LNX_ACTION_FAILED, 1 },	 { LNX_ACTION_REFUSED, 0 },
		     { LNX_ACTION_EXPIRED, 0 },	 { LNX_ACTION_DRY_RUN, 0 } };
	union {
		struct lnx_event h;
		struct lnx_ev_action_done a;
		char bytes[512];
	} u = { .h = { .size = sizeof(u.a), .type = LNX_EV_ACTION_DONE, .fixed = sizeof(u.a) } };
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.incident, "I1"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		u.a.state = rows[i].state;
		e.told[0] = 0;
		assert_int_equal(testhost_deliver(e.t, &u.h), 0);
		assert_string_equal(e.told, rows[i].is_told ? "I1" : "");
	}
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_slack),
		cmocka_unit_test(a_click_is_decided_once),
		cmocka_unit_test(one_that_is_good_for_long_is_remembered_for_long),
		cmocka_unit_test(more_than_are_remembered_are_refused),
		cmocka_unit_test(without_enforce_it_says_so),
		cmocka_unit_test(no_more_actions_than_fit),
		cmocka_unit_test(what_is_not_slack_is_refused),
		cmocka_unit_test(another_node_is_told_where),
		cmocka_unit_test(bodies_of_any_kind),
		cmocka_unit_test(answers_go_to_slack_alone),
		cmocka_unit_test(buttons_only_where_a_click_can_arrive),
		cmocka_unit_test(proposals_and_what_becomes_of_them_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
