/* SPDX-License-Identifier: MIT */
/* The test host: life of the plugin, injected faults, services. */
#include "testhost.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testhost_priv.h"

int th_list_add(struct th_list *l, void *item)
{
	size_t cap = l->cap ? l->cap * 2 : 16;
	void **p;

	if (l->n == l->cap) {
		p = realloc(l->item, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		l->item = p;
		l->cap = cap;
	}
	l->item[l->n++] = item;
	return 0;
}

void th_list_del(struct th_list *l, size_t i)
{
	memmove(l->item + i, l->item + i + 1, (l->n - i - 1) * sizeof(*l->item));
	l->n--;
}

void th_list_done(struct th_list *l, void (*free_item)(void *))
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free_item(l->item[i]);
	free(l->item);
	memset(l, 0, sizeof(*l));
}

int th_name(char *to, const char *from)
{
	int n = snprintf(to, TH_NAME, "%s", from);

	return n < 0 || n >= TH_NAME ? -ENAMETOOLONG : 0;
}

int th_fault(struct testhost *t, const char *function)
{
	struct th_fault *f;
	size_t i;

	for (i = 0; i < t->faults.n; i++) {
		f = t->faults.item[i];
		if (strcmp(f->function, function) != 0 || !f->times)
			continue;
		if (f->skip) {
			f->skip--;
			continue;
		}
		f->times--;
		return f->rc;
	}
	return 0;
}

void testhost_fail(struct testhost *t, const char *function, int rc, unsigned skip, unsigned times)
{
	struct th_fault *f = calloc(1, sizeof(*f));

	if (!f || th_name(f->function, function) || th_list_add(&t->faults, f)) {
		free(f);
		abort(); /* a test without its fault would be green for nothing */
	}
	f->rc = rc;
	f->skip = skip;
	f->times = times;
}

/* ---- services */

static struct th_service *service_find(struct testhost *t, const char *name, int is_own)
{
	struct th_service *s;
	size_t i;

	for (i = 0; i < t->services.n; i++) {
		s = t->services.item[i];
		if (strcmp(s->name, name) == 0 && s->is_own == is_own)
			return s;
	}
	return NULL;
}

static int service_add(struct testhost *t, const char *name, const void *vtable, void *self,
		       int is_own)
{
	struct th_service *s = service_find(t, name, is_own);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		if (th_name(s->name, name) || th_list_add(&t->services, s)) {
			free(s);
			return -ENOMEM;
		}
	} else if (is_own) {
		return -EEXIST;
	}
	s->vtable = vtable;
	s->self = self;
	s->is_own = is_own;
	return 0;
}

int testhost_provide(struct testhost *t, const char *name, const void *vtable, void *self)
{
	return service_add(t, name, vtable, self, 0);
}

const void *testhost_service(struct testhost *t, const char *name, void **ret_self)
{
	struct th_service *s = service_find(t, name, 1);

	if (!s)
		return NULL;
	if (ret_self)
		*ret_self = s->self;
	return s->vtable;
}

static int host_provide(struct lnx_ctx *ctx, const char *name, const void *vtable, void *self)
{
	int r = th_fault(ctx->t, "provide");

	if (r)
		return r;
	if (!name || !strchr(name, '/') || !vtable)
		return -EINVAL;
	return service_add(ctx->t, name, vtable, self, 1);
}

static int host_service(struct lnx_ctx *ctx, const char *name, const void **ret_vtable,
			void **ret_self)
{
	struct th_service *s = service_find(ctx->t, name, 0);
	int r = th_fault(ctx->t, "service");

	if (r)
		return r;
	if (!s)
		s = service_find(ctx->t, name, 1);
	if (!s)
		return -ENOENT;
	*ret_vtable = s->vtable;
	if (ret_self)
		*ret_self = s->self;
	return 0;
}

/* ---- identity and configuration */

static const struct lnx_ident *host_ident(struct lnx_ctx *ctx)
{
	return &ctx->t->ident;
}

static const char *host_instance(struct lnx_ctx *ctx)
{
	return ctx->t->instance;
}

static const char *host_conf_get(struct lnx_ctx *ctx, const char *key)
{
	const struct th_kv *kv;
	size_t i = ctx->t->others.n;

	while (i-- > 0) {
		kv = ctx->t->others.item[i];
		if (strcmp(kv->key, key) == 0)
			return kv->value;
	}
	return NULL;
}

static int kv_add(struct th_list *l, const char *key_value)
{
	const char *eq = strchr(key_value, '=');
	struct th_kv *kv;

	if (!eq || eq == key_value)
		return -EINVAL;
	kv = calloc(1, sizeof(*kv));
	if (!kv)
		return -ENOMEM;
	kv->key = strndup(key_value, (size_t)(eq - key_value));
	kv->value = strdup(eq + 1);
	if (!kv->key || !kv->value || th_list_add(l, kv)) {
		th_kv_free(kv);
		return -ENOMEM;
	}
	return 0;
}

int testhost_conf(struct testhost *t, const char *key_value)
{
	return kv_add(&t->overrides, key_value);
}

int testhost_conf_other(struct testhost *t, const char *key_value)
{
	return kv_add(&t->others, key_value);
}

int testhost_set_instance(struct testhost *t, const char *name)
{
	return th_name(t->instance, name);
}

/* ---- life */

struct testhost *testhost_new(void)
{
	struct testhost *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ctx.t = t;
	t->now_ns = TESTHOST_START_NS;
	t->jobs_limit = 64;
	t->ring_limit = 8u << 20;
	t->ident.size = sizeof(t->ident);
	t->ident.schema = 1;
	t->ident.node = "test-node";
	t->ident.cluster = "test-cluster";
	t->ident.boot_id = "00000000-0000-4000-8000-000000000000";
	t->ident.version = "0.0.0-test";
	t->ident.agent_pid = 4242;
	t->host.size = sizeof(t->host);
	t->host.abi_major = LNX_ABI_MAJOR;
	t->host.abi_minor = LNX_ABI_MINOR;
	t->host.provide = host_provide;
	t->host.service = host_service;
	t->host.ident = host_ident;
	t->host.instance = host_instance;
	t->host.conf_get = host_conf_get;
	th_event_host(&t->host);
	th_loop_host(&t->host);
	th_data_host(&t->host);
	th_probe_host(&t->host);
	if (pthread_mutex_init(&t->log_lock, NULL)) {
		free(t);
		return NULL;
	}
	return t;
}

static int plugin_check(struct testhost *t, const struct lnx_plugin *p)
{
	const char *why = NULL;

	if (!p)
		why = "no plugin";
	else if (p->size != sizeof(*p))
		why = "size is not sizeof(struct lnx_plugin)";
	else if (p->abi_major != LNX_ABI_MAJOR || p->abi_minor > LNX_ABI_MINOR)
		why = "wrong ABI version";
	else if (!p->name || !p->name[0] || !p->version || !p->summary)
		why = "name, version or summary is missing";
	else if (!p->init)
		why = "init is missing";
	else if (p->n_subs && (!p->subs || !p->on_event))
		why = "subscriptions without a table or without on_event";
	else if (p->options && !p->conf_size)
		why = "options without conf_size";
	if (!why)
		return 0;
	snprintf(t->error, sizeof(t->error), "%s", why);
	return -EINVAL;
}

static int plugin_needs(struct testhost *t)
{
	const char *const *need = t->plugin->needs;

	for (; need && *need; need++) {
		if ((*need)[0] && (*need)[strlen(*need) - 1] == '?')
			continue;
		if (!service_find(t, *need, 0)) {
			snprintf(t->error, sizeof(t->error), "needs service %s", *need);
			return -ENOENT;
		}
	}
	return 0;
}

static void conf_say(void *arg, const char *key, const char *text)
{
	struct testhost *t = arg;

	snprintf(t->error, sizeof(t->error), "%s: %s", key, text);
	t->host.log(&t->ctx, LNX_ERROR, "%s", t->error);
}

/* The plugin's own check of bound options. */
static int conf_check(struct testhost *t, const struct th_conf *conf)
{
	const struct lnx_plugin *p = t->plugin;

	if (p->size < offsetof(struct lnx_plugin, check) + sizeof(p->check) || !p->check || !conf)
		return 0;
	t->error[0] = 0;
	p->check(conf->data, conf_say, t);
	return t->error[0] ? -EINVAL : 0;
}

int testhost_init(struct testhost *t, const struct lnx_plugin *plugin)
{
	const char *const *own;
	int r;

	if (t->plugin)
		return -EBUSY;
	r = plugin_check(t, plugin);
	if (r)
		return r;
	t->plugin = plugin;
	if (!t->instance[0])
		r = th_name(t->instance, plugin->name);
	if (!r)
		r = plugin_needs(t);
	if (!r)
		r = th_conf_bind(t, &t->conf);
	if (!r)
		r = conf_check(t, t->conf);
	if (!r)
		r = plugin->init(&t->host, &t->ctx, t->conf ? t->conf->data : NULL, &t->state);
	if (r) {
		t->plugin = NULL;
		th_conf_free(t->conf);
		t->conf = NULL;
		if (!t->error[0])
			snprintf(t->error, sizeof(t->error), "init: %s", strerror(-r));
		return r;
	}
	t->is_inited = 1;
	for (own = plugin->provides; own && *own; own++)
		if (!service_find(t, *own, 1)) {
			snprintf(t->error, sizeof(t->error), "init did not provide %s", *own);
			return -EINVAL;
		}
	return th_event_subs(t);
}

int testhost_start(struct testhost *t)
{
	int r;

	if (!t->is_inited || t->is_started)
		return -EINVAL;
	r = t->plugin->start ? t->plugin->start(t->state) : 0;
	if (r < 0) {
		snprintf(t->error, sizeof(t->error), "start: %s", strerror(-r));
		return r;
	}
	t->is_started = 1;
	th_event_drain(t);
	return 0;
}

int testhost_load(struct testhost *t, const struct lnx_plugin *plugin)
{
	int r = testhost_init(t, plugin);

	return r ? r : testhost_start(t);
}

int testhost_reload(struct testhost *t)
{
	struct th_conf *conf = NULL;
	int r;

	if (!t->is_inited)
		return -EINVAL;
	t->error[0] = 0;
	r = th_conf_bind(t, &conf);
	if (r)
		return r;
	r = conf_check(t, conf);
	if (r) {
		th_conf_free(conf);
		return r;
	}
	r = t->plugin->reload ? t->plugin->reload(t->state, conf ? conf->data : NULL) : -ENOSYS;
	if (r < 0) {
		th_conf_free(conf);
		return r;
	}
	th_conf_free(t->conf);
	t->conf = conf;
	th_event_drain(t);
	return 0;
}

void testhost_unload(struct testhost *t)
{
	if (t->is_started && t->plugin->stop) {
		t->plugin->stop(t->state);
		th_event_drain(t);
	}
	if (t->is_inited) {
		th_loop_cancel(t);
		if (t->plugin->fini)
			t->plugin->fini(t->state);
	}
	t->is_started = t->is_inited = 0;
	t->plugin = NULL;
	t->state = NULL;
	th_conf_free(t->conf);
	t->conf = NULL;
}

void testhost_free(struct testhost *t)
{
	if (!t)
		return;
	testhost_unload(t);
	th_loop_done(t);
	th_event_done(t);
	th_data_done(t);
	th_probe_done(t);
	th_http_done(t);
	th_list_done(&t->services, free);
	th_list_done(&t->faults, free);
	th_list_done(&t->overrides, th_kv_free);
	th_list_done(&t->others, th_kv_free);
	pthread_mutex_destroy(&t->log_lock);
	free(t);
}

const char *testhost_error(struct testhost *t)
{
	return t->error;
}

const struct lnx_host *testhost_host(struct testhost *t)
{
	return &t->host;
}

struct lnx_ctx *testhost_ctx(struct testhost *t)
{
	return &t->ctx;
}

void *testhost_state(struct testhost *t)
{
	return t->state;
}
