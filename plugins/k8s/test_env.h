/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin with an API server made of memory, in driven time. */
#ifndef LNX_K8S_TEST_ENV_H
#define LNX_K8S_TEST_ENV_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "testhost.h"
#include <cmocka.h>
#include <linnix/svc_http_client.h>
#include <linnix/svc_k8s.h>

#define SECOND	   1000000000ull
#define STATIC_UID "464dc128715474143259620572d276e2"
#define BU_UID	   "c066a0f7-0a01-4065-9e7a-a9306ef153f3"
#define GU_UID	   "bce40b45-71cf-4f40-9a62-34744b632552"
#define BU_INIT	   "d64284d1b75c4ff259c63359d9c5f34a4c31a6018e389a611871e71c4199785e"
#define BU_A	   "39f9534389615d7f7976d186f77546e7cacf4cbdf89c6461c394002afaa89559"

#define BOOKMARK                                                                                           \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"9001\"}," \
	"\"spec\":{\"containers\":null},\"status\":{}}}\n"

struct lnx_http_call {
	int unused;
};

struct env {
	struct testhost *t;
	const struct lnx_svc_k8s *svc;
	void *self;
	struct lnx_http_call call;
	struct lnx_http_ask ask; /* of the running call */
	int is_running, is_cancelled, start_rc;
	unsigned n_asked;
	char url[2048], auth[512], token_file[64], ca[256];
};

static inline int fake_start(void *self, const struct lnx_http_ask *ask,
			     struct lnx_http_call **ret_call)
{
	struct env *e = self;
	const char *const *h;

	assert_false(e->is_running);
	if (e->start_rc < 0)
		return e->start_rc;
	e->n_asked++;
	e->ask = *ask;
	e->is_running = 1;
	(void)snprintf(e->url, sizeof(e->url), "%s", ask->url);
	(void)snprintf(e->ca, sizeof(e->ca), "%s", ask->ca_file ? ask->ca_file : "");
	e->auth[0] = 0;
	for (h = ask->headers; *h; h++)
		if (!strncmp(*h, "Authorization: ", 15))
			(void)snprintf(e->auth, sizeof(e->auth), "%s", *h + 15);
	*ret_call = &e->call;
	return 0;
}

static inline void fake_cancel(void *self, struct lnx_http_call *call)
{
	struct env *e = self;

	assert_ptr_equal(call, &e->call);
	e->is_running = 0;
	e->is_cancelled = 1;
}

static const struct lnx_svc_http_client fake_http = { sizeof(fake_http), 0, fake_start,
						      fake_cancel };

static inline void set_token(struct env *e, const char *token)
{
	FILE *f = fopen(e->token_file, "we");

	assert_non_null(f);
	assert_true(fputs(token, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void conf(struct env *e, const char *key, const char *value)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s=%s", key, value);
	assert_int_equal(testhost_conf(e->t, text), 0);
}

static inline void begin(struct env *e, const char *node)
{
	char text[128];

	memset(e, 0, sizeof(*e));
	e->t = testhost_new();
	(void)snprintf(e->token_file, sizeof(e->token_file), "/tmp/lnx-token-%d", (int)getpid());
	set_token(e, "abc\n");
	conf(e, "api_url", "https://10.0.0.1:6443/");
	conf(e, "token_file", e->token_file);
	(void)snprintf(text, sizeof(text), "node.name=%s", node);
	assert_int_equal(testhost_conf_other(e->t, text), 0);
	assert_int_equal(testhost_provide(e->t, "http_client/1", &fake_http, e), 0);
}

static inline void load(struct env *e)
{
	if (testhost_load(e->t, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(e->t));
	e->svc = testhost_service(e->t, "k8s/1", &e->self);
	assert_non_null(e->svc);
}

static inline void end(struct env *e)
{
	testhost_free(e->t);
	(void)unlink(e->token_file);
}

/* Let time pass until something is asked. Returns the milliseconds. */
static inline unsigned wait_ask(struct env *e)
{
	unsigned ms;

	for (ms = 0; ms < 200000 && !e->is_running; ms += 10)
		(void)testhost_advance(e->t, ms ? SECOND / 100 : 0);
	assert_true(e->is_running);
	return ms;
}

static inline int give(struct env *e, const char *bytes, size_t n, size_t step)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i += step)
		rc = e->ask.on_body(e->ask.arg, bytes + i, n - i < step ? n - i : step);
	return rc;
}

static inline void finish(struct env *e, int rc, uint32_t status, const char *why)
{
	e->is_running = 0;
	e->ask.on_done(e->ask.arg, rc, status, why);
}

/* Answer with <status> and <text>, whole. */
static inline void answer(struct env *e, uint32_t status, const char *text)
{
	int rc;

	(void)e->ask.on_head(e->ask.arg, status);
	rc = give(e, text, strlen(text), 100);
	finish(e, rc, status, rc < 0 ? "refused" : "");
}

static inline char *slurp(const char *name)
{
	char path[128], *data = calloc(1, 65536);
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/data/k8s/%s", name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(data);
	assert_true(fread(data, 1, 65535, f) > 0);
	(void)fclose(f);
	return data;
}

static inline void answer_file(struct env *e, const char *name)
{
	char *data = slurp(name);

	answer(e, 200, data);
	free(data);
}

/* It has asked for its first list. */
static inline void begin_asked(struct env *e)
{
	begin(e, "vm");
	load(e);
	(void)wait_ask(e);
}

/* And has got it. */
static inline void begin_listed(struct env *e)
{
	begin_asked(e);
	answer_file(e, "podlist_1.20.json");
}

static inline const char *why(struct env *e)
{
	return testhost_health_why(e->t, "pods");
}

/* "namespace/pod/container/workload" */
static inline const char *who(struct env *e, const char *uid, const char *cid)
{
	static char text[512];
	struct lnx_k8s_who w = { .size = sizeof(w) };

	if (e->svc->find(e->self, uid, cid, &w) < 0)
		return "nobody";
	(void)snprintf(text, sizeof(text), "%s/%s/%s/%s%s", w.namespace_, w.pod_name,
		       w.container_name, w.workload, w.is_deleted ? " deleted" : "");
	return text;
}

/* The watch that is asked for next: its version is too old. Waits until a list is asked for. */
static inline void expire_watch(struct env *e)
{
	(void)wait_ask(e);
	assert_non_null(strstr(e->url, "watch=1"));
	answer(e, 200, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n");
	(void)wait_ask(e);
	assert_null(strstr(e->url, "watch=1"));
}

#endif
