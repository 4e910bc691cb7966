/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host vtable: the only bridge from plugins into core. Events, services, metrics, probes, health. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "crash.h"
#include "host_loop.h"

int lnx_ctx_enter(struct lnx_ctx *c)
{
	struct lnx_crash *crash = c->app->plugins->crash;
	int before = lnx_crash_running(crash);

	lnx_crash_run(crash, c->crash_index);
	return before;
}

void lnx_ctx_leave(struct lnx_ctx *c, int before)
{
	lnx_crash_run(c->app->plugins->crash, before);
}

__attribute__((format(printf, 3, 4))) static void lnx_host_log(struct lnx_ctx *c, int level,
							       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lnx_log_from(c->name, level, fmt, ap);
	va_end(ap);
}

static uint64_t lnx_host_now(struct lnx_ctx *c)
{
	return lnx_bus_now(c->app->bus);
}

static uint64_t lnx_host_wall(struct lnx_ctx *c, uint64_t boot_ns)
{
	return c->app->wall_offset_ns + boot_ns;
}

/* ---- events */

static int lnx_host_publish(struct lnx_ctx *c, const struct lnx_event *ev)
{
	return lnx_bus_publish(c->app->bus, ev);
}

static int lnx_host_event_type(struct lnx_ctx *c, const char *name)
{
	const struct lnx_event_desc *d = lnx_registry_find(c->app->registry, name);

	return d ? d->type : -ENOENT;
}

static int lnx_host_event_register(struct lnx_ctx *c, const struct lnx_event_desc *desc)
{
	return lnx_registry_add(c->app->registry, desc);
}

static const struct lnx_event_desc *lnx_host_event_desc(struct lnx_ctx *c, uint16_t type)
{
	return lnx_registry_get(c->app->registry, type);
}

static const struct lnx_event *lnx_host_event_ref(struct lnx_ctx *c, const struct lnx_event *ev)
{
	return lnx_bus_ref(c->app->bus, ev);
}

static void lnx_host_event_unref(struct lnx_ctx *c, const struct lnx_event *ev)
{
	lnx_bus_unref(c->app->bus, ev);
}

static int lnx_host_event_meta(struct lnx_ctx *c, const struct lnx_event *ev,
			       struct lnx_event_meta *ret_meta)
{
	return lnx_bus_meta(c->app->bus, ev, ret_meta);
}

static int lnx_host_event_json(struct lnx_ctx *c, const struct lnx_event *ev,
			       const struct lnx_event_meta *meta, char *buf, uint32_t cap)
{
	struct lnx_json_env env;
	struct lnx_buf out = { 0 };
	int rc;

	lnx_app_json_env(c->app, &env);
	lnx_event_json(&out, &env, ev, meta);
	rc = lnx_buf_error(&out);
	if (!rc && out.size >= cap)
		rc = -ENOSPC;
	if (!rc) {
		memcpy(buf, out.data, out.size + 1);
		rc = (int)out.size;
	}
	lnx_buf_done(&out);
	return rc;
}

static int lnx_host_ring_each(struct lnx_ctx *c, uint64_t since_seq,
			      int (*each)(void *arg, const struct lnx_event *ev,
					  const struct lnx_event_meta *meta),
			      void *arg, uint64_t *ret_oldest)
{
	return lnx_bus_ring_each(c->app->bus, since_seq, each, arg, ret_oldest);
}

/* One event into a plugin; its failures are counted, 100 in a row mark it. */
static int lnx_ctx_on_event(void *arg, const struct lnx_event *ev)
{
	struct lnx_ctx *c = arg;
	int before = lnx_ctx_enter(c), rc;

	rc = c->plugin->on_event(c->state, ev);
	lnx_ctx_leave(c, before);
	c->events++;
	if (rc >= 0) {
		if (c->failures_in_row >= LNX_FAILING_AFTER) {
			c->status = LNX_INST_RUNNING;
			c->error[0] = 0;
			lnx_ctx_health(c, "handler", LNX_HEALTH_OK, "");
		}
		c->failures_in_row = 0;
		return 0;
	}
	c->failures++;
	if (++c->failures_in_row == LNX_FAILING_AFTER) {
		c->status = LNX_INST_FAILING;
		(void)snprintf(c->error, sizeof(c->error),
			       "its event handler failed %d times in a row, last: %s",
			       LNX_FAILING_AFTER, strerror(-rc)); /* fits */
		lnx_ctx_health(c, "handler", LNX_HEALTH_LOST,
			       "its event handler failed 100 times in a row");
		lnx_log(LNX_ERROR, "plugin %s: %s", c->name, c->error);
	}
	return rc;
}

int lnx_ctx_subscribe(struct lnx_ctx *c, const char *event, uint32_t stage, uint32_t queue)
{
	uint16_t type = LNX_EV_ANY;
	int rc;

	if (!c->plugin->on_event)
		return -EINVAL;
	if (c->n_subs == LNX_MAX_INSTANCE_SUBS)
		return -ENOSPC;
	if (strcmp(event, "*") != 0) {
		rc = lnx_host_event_type(c, event);
		if (rc < 0)
			return rc;
		type = (uint16_t)rc;
	}
	rc = lnx_bus_subscribe(c->app->bus, c->name, type, stage, queue, lnx_ctx_on_event, c,
			       &c->subs[c->n_subs].handle);
	if (rc < 0)
		return rc;
	c->subs[c->n_subs++].type = type;
	return 0;
}

static int lnx_host_unsubscribe(struct lnx_ctx *c, const char *event)
{
	int type = strcmp(event, "*") != 0 ? lnx_host_event_type(c, event) : LNX_EV_ANY;
	unsigned i;

	for (i = 0; i < c->n_subs; i++) {
		if (c->subs[i].type != type)
			continue;
		lnx_bus_unsubscribe(c->app->bus, c->subs[i].handle);
		c->subs[i] = c->subs[--c->n_subs];
		return 0;
	}
	return -ENOENT;
}

static int lnx_host_wanted(struct lnx_ctx *c, const char *event)
{
	int type = lnx_host_event_type(c, event);

	return type < 0 ? type : (int)lnx_bus_wanted(c->app->bus, (uint16_t)type);
}

/* ---- services, metrics */

static int lnx_host_provide(struct lnx_ctx *c, const char *name, const void *vtable, void *self)
{
	return lnx_services_provide(c->app->services, name, vtable, self, c);
}

static int lnx_host_service(struct lnx_ctx *c, const char *name, const void **ret_vtable,
			    void **ret_self)
{
	return lnx_services_find(c->app->services, name, ret_vtable, ret_self);
}

static int lnx_host_metric(struct lnx_ctx *c, const struct lnx_metric_desc *desc,
			   const char *const *values, struct lnx_metric **ret_metric)
{
	return lnx_metrics_series(c->app->metrics, desc, values, c, ret_metric);
}

static void lnx_host_metric_add(struct lnx_ctx *c, struct lnx_metric *m, double v)
{
	(void)c;
	lnx_metric_add(m, v);
}

static void lnx_host_metric_set(struct lnx_ctx *c, struct lnx_metric *m, double v)
{
	(void)c;
	lnx_metric_set(m, v);
}

static void lnx_host_metric_observe(struct lnx_ctx *c, struct lnx_metric *m, double v)
{
	(void)c;
	lnx_metric_observe(m, v);
}

static void lnx_host_metric_del(struct lnx_ctx *c, struct lnx_metric *m)
{
	lnx_metrics_del(m, c);
}

/* ---- probes */

static int lnx_host_probe_map(struct lnx_ctx *c, const char *probe, const char *map)
{
	return c->app->probes ? lnx_probes_map(c->app->probes, probe, map) : -ENODEV;
}

static int lnx_host_probe_want(struct lnx_ctx *c, const char *probe, int on)
{
	return c->app->probes ? lnx_probes_want(c->app->probes, probe, on) : -ENODEV;
}

static int lnx_host_probe_iter(struct lnx_ctx *c, const char *probe, const char *program,
			       uint32_t record_size, void (*each)(void *arg, const void *record),
			       void *arg)
{
	if (!c->app->probes)
		return -ENODEV;
	return lnx_probes_iter(c->app->probes, probe, program, record_size, each, arg);
}

static int lnx_host_probe_object(struct lnx_ctx *c, uint32_t i, const char **ret_name)
{
	return c->app->probes ? lnx_probes_object(c->app->probes, i, ret_name) : -ENOENT;
}

/* ---- health and identity */

void lnx_ctx_health(struct lnx_ctx *c, const char *what, uint32_t state, const char *why)
{
	struct lnx_health *h = NULL;
	unsigned i;

	for (i = 0; i < c->n_health && !h; i++)
		if (!strcmp(c->health[i].what, what))
			h = &c->health[i];
	if (!h) {
		if (state == LNX_HEALTH_OK)
			return;
		if (c->n_health == LNX_MAX_HEALTH) {
			lnx_log(LNX_WARN, "plugin %s: more than %d health entries; %s is not shown",
				c->name, LNX_MAX_HEALTH, what);
			return;
		}
		h = &c->health[c->n_health++];
		(void)snprintf(h->what, sizeof(h->what), "%s", what); /* cut is fine: for people */
	}
	if (h->state != state && state != LNX_HEALTH_OK && strcmp(what, "plugin") != 0)
		lnx_log(state == LNX_HEALTH_LOST ? LNX_ERROR : LNX_WARN, "%s: %s: %s", c->name,
			what, why);
	h->state = state;
	(void)snprintf(h->why, sizeof(h->why), "%s", why); /* likewise */
}

static const struct lnx_ident *lnx_host_ident(struct lnx_ctx *c)
{
	return &c->app->ident;
}

static const char *lnx_host_instance(struct lnx_ctx *c)
{
	return c->name;
}

static const char *lnx_host_conf_get(struct lnx_ctx *c, const char *key)
{
	const char *dot = strchr(key, '.');
	char section[64];
	int origin;

	if (!dot || !c->app->config || (size_t)(dot - key) >= sizeof(section))
		return NULL;
	memcpy(section, key, (size_t)(dot - key));
	section[dot - key] = 0;
	return lnx_optset_get(c->app->config->set, section, dot + 1, &origin);
}

static int lnx_host_tag(struct lnx_ctx *c, uint64_t cgroup_id, struct lnx_tag *ret_tag)
{
	return lnx_tags_get(c->app->tags, cgroup_id, ret_tag);
}

void lnx_ctx_unsubscribe(struct lnx_ctx *c)
{
	while (c->n_subs)
		lnx_bus_unsubscribe(c->app->bus, c->subs[--c->n_subs].handle);
}

void lnx_ctx_release(struct lnx_ctx *c)
{
	lnx_ctx_release_loop(c);
	lnx_ctx_unsubscribe(c);
	lnx_services_del_owner(c->app->services, c);
	lnx_metrics_del_owner(c->app->metrics, c);
}

const struct lnx_host lnx_host_vtable = {
	.size = sizeof(struct lnx_host),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.log = lnx_host_log,
	.now_ns = lnx_host_now,
	.wall_ns = lnx_host_wall,
	.publish = lnx_host_publish,
	.event_type = lnx_host_event_type,
	.event_register = lnx_host_event_register,
	.event_desc = lnx_host_event_desc,
	.event_ref = lnx_host_event_ref,
	.event_unref = lnx_host_event_unref,
	.event_meta = lnx_host_event_meta,
	.event_json = lnx_host_event_json,
	.ring_each = lnx_host_ring_each,
	.subscribe = lnx_ctx_subscribe,
	.unsubscribe = lnx_host_unsubscribe,
	.timer_add = lnx_host_timer_add,
	.timer_set = lnx_host_timer_set,
	.timer_stop = lnx_host_timer_stop,
	.timer_del = lnx_host_timer_del,
	.fd_add = lnx_host_fd_add,
	.fd_set = lnx_host_fd_set,
	.fd_del = lnx_host_fd_del,
	.submit = lnx_host_submit,
	.provide = lnx_host_provide,
	.service = lnx_host_service,
	.metric = lnx_host_metric,
	.metric_add = lnx_host_metric_add,
	.metric_set = lnx_host_metric_set,
	.metric_observe = lnx_host_metric_observe,
	.metric_del = lnx_host_metric_del,
	.probe_map = lnx_host_probe_map,
	.probe_want = lnx_host_probe_want,
	.probe_iter = lnx_host_probe_iter,
	.map_lookup = lnx_host_map_lookup,
	.map_update = lnx_host_map_update,
	.map_delete = lnx_host_map_delete,
	.map_next = lnx_host_map_next,
	.health = lnx_ctx_health,
	.ident = lnx_host_ident,
	.instance = lnx_host_instance,
	.conf_get = lnx_host_conf_get,
	.wanted = lnx_host_wanted,
	.tag = lnx_host_tag,
	.probe_object = lnx_host_probe_object,
};
