/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin k8s (service k8s/1): which pods are on this node. Does nothing, and opens nothing, where there is no cluster. */
#define LNX_EVENT_TABLES
#include "k8s.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- service */

/* The sum over the containers that run side by side, or what one init container needs if that is more. A limit is only one
 * if every container has one. */
static void sum_containers(const struct k8s_pod *p, struct lnx_k8s_who *w)
{
	uint32_t i, n_cpu = 0, n_memory = 0, n = 0;

	for (i = 0; i < p->n_containers; i++) {
		const struct k8s_container *c = &p->containers[i];

		if (c->kind == K8S_EPHEMERAL || (c->kind == K8S_INIT && !c->is_sidecar))
			continue;
		n++;
		w->cpu_request_millicores += c->cpu_request_millicores;
		w->cpu_limit_millicores += c->cpu_limit_millicores;
		w->memory_request_bytes += c->memory_request_bytes;
		w->memory_limit_bytes += c->memory_limit_bytes;
		n_cpu += c->cpu_limit_millicores != 0;
		n_memory += c->memory_limit_bytes != 0;
	}
	if (n_cpu < n)
		w->cpu_limit_millicores = 0;
	if (n_memory < n)
		w->memory_limit_bytes = 0;
	for (i = 0; i < p->n_containers; i++) {
		const struct k8s_container *c = &p->containers[i];

		if (c->kind != K8S_INIT || c->is_sidecar)
			continue;
		if (c->cpu_request_millicores > w->cpu_request_millicores)
			w->cpu_request_millicores = c->cpu_request_millicores;
		if (c->memory_request_bytes > w->memory_request_bytes)
			w->memory_request_bytes = c->memory_request_bytes;
	}
}

static void who_of(const struct k8s_pod *p, const struct k8s_container *c, bool is_pod,
		   struct lnx_k8s_who *ret_who)
{
	struct lnx_k8s_who w = {
		.size = sizeof(w),
		.is_deleted = p->deleted_ns != 0,
		.namespace_ = p->namespace_,
		.pod_name = p->name,
		.pod_uid = p->uid,
		.container_name = c ? c->name : "",
		.workload = p->workload,
		.qos = p->qos,
		.owner_channel = p->owner_channel,
		.slo_tier = p->slo_tier,
		.is_ignored = p->is_ignored,
	};
	uint32_t size = ret_who->size;

	if (c) {
		w.cpu_request_millicores = c->cpu_request_millicores;
		w.cpu_limit_millicores = c->cpu_limit_millicores;
		w.memory_request_bytes = c->memory_request_bytes;
		w.memory_limit_bytes = c->memory_limit_bytes;
	} else if (is_pod) {
		sum_containers(p, &w);
	}
	/* a caller built against an older table has fewer members */
	memcpy(ret_who, &w, size && size < sizeof(w) ? size : sizeof(w));
}

static int k8s_find(void *self, const char *pod_uid, const char *container_id,
		    struct lnx_k8s_who *ret_who)
{
	const struct k8s *k = self;
	const struct k8s_container *c = NULL;
	const struct k8s_pod *p = k8s_pods_find(&k->pods, pod_uid);

	if (p)
		c = k8s_pod_container(p, container_id);
	else if (*container_id)
		p = k8s_pods_container(&k->pods, container_id, &c);
	if (!p)
		return -ENOENT;
	who_of(p, c, !*container_id, ret_who);
	return 0;
}

static int k8s_containers(void *self, const char *pod_uid,
			  int (*each)(void *arg, const char *container_id), void *arg)
{
	const struct k8s *k = self;
	const struct k8s_pod *p = k8s_pods_find(&k->pods, pod_uid);
	uint32_t i;
	int n = 0;

	for (i = 0; p && i < p->n_containers; i++) {
		if (!p->containers[i].id[0])
			continue;
		n++;
		if (each(arg, p->containers[i].id))
			break;
	}
	return n;
}

static uint32_t k8s_state(void *self)
{
	return ((const struct k8s *)self)->state;
}

static const struct lnx_svc_k8s k8s_service = {
	.size = sizeof(k8s_service),
	.find = k8s_find,
	.containers = k8s_containers,
	.state = k8s_state,
};

/* ---- what is told */

static void tell_text(char *bytes, uint32_t *io_at, struct lnx_str *ret_str, const char *text)
{
	size_t n = strnlen(text, K8S_NAME_BYTES);

	memcpy(bytes + *io_at, text, n);
	ret_str->off = (uint16_t)*io_at;
	ret_str->len = (uint16_t)n;
	*io_at += (uint32_t)n;
}

void k8s_tell(struct k8s *k, const struct k8s_pod *p, uint32_t change)
{
	union {
		struct lnx_ev_k8s_pod ev;
		char bytes[sizeof(struct lnx_ev_k8s_pod) + sizeof(struct k8s_pod)];
	} u;
	uint32_t at = sizeof(u.ev);

	memset(&u.ev, 0, sizeof(u.ev));
	u.ev.h.type = (uint16_t)k->type_pod;
	u.ev.h.fixed = sizeof(u.ev);
	u.ev.h.cpu = LNX_CPU_NONE;
	u.ev.change = change;
	tell_text(u.bytes, &at, &u.ev.pod_uid, k8s_pod_path_uid(p));
	tell_text(u.bytes, &at, &u.ev.namespace_, p->namespace_);
	tell_text(u.bytes, &at, &u.ev.pod_name, p->name);
	tell_text(u.bytes, &at, &u.ev.workload, p->workload);
	u.ev.h.size = at;
	(void)k->host->publish(k->ctx, &u.ev.h); /* the bus counts what it refuses */
}

void k8s_measure(struct k8s *k)
{
	k->host->metric_set(k->ctx, k->m_pods, k->pods.n - k->pods.n_gone);
	k->host->metric_set(k->ctx, k->m_synced, k->state == LNX_K8S_SYNCED);
	k->host->metric_set(k->ctx, k->m_refused, (double)k->pods.refused);
	k->host->metric_set(k->ctx, k->m_containers_refused, (double)k->pods.containers_refused);
}

/* ---- life */

static int k8s_metrics(struct k8s *k)
{
	static const struct lnx_metric_desc descs[] = {
		{ .name = "linnix_k8s_pods", .help = "Pods of this node.", .kind = LNX_GAUGE },
		{ .name = "linnix_k8s_synced",
		  .help = "1 while the pods are known and followed.",
		  .kind = LNX_GAUGE },
		{ .name = "linnix_k8s_lists_total",
		  .help = "Lists of pods that were asked for.",
		  .kind = LNX_COUNTER },
		{ .name = "linnix_k8s_watches_total",
		  .help = "Watches that were begun.",
		  .kind = LNX_COUNTER },
		{ .name = "linnix_k8s_events_total",
		  .help = "Changes that watches told of.",
		  .kind = LNX_COUNTER },
		{ .name = "linnix_k8s_failures_total",
		  .help = "Requests to the API server that failed.",
		  .kind = LNX_COUNTER },
		{ .name = "linnix_k8s_refused_total",
		  .help = "Pods over k8s.max_pods.",
		  .kind = LNX_COUNTER },
		{ .name = "linnix_k8s_containers_refused_total",
		  .help = "Containers of a pod beyond its first 64, each time that it was read: they have no names.",
		  .kind = LNX_COUNTER },
		{ .name = "linnix_k8s_bad_objects_total",
		  .help = "Objects that were too large or not understood.",
		  .kind = LNX_COUNTER },
	};
	struct lnx_metric **const to[] = { &k->m_pods,	  &k->m_synced,
					   &k->m_lists,	  &k->m_watches,
					   &k->m_events,  &k->m_failures,
					   &k->m_refused, &k->m_containers_refused,
					   &k->m_bad };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < sizeof(to) / sizeof(to[0]); i++)
		rc = k->host->metric(k->ctx, &descs[i], NULL, to[i]);
	return rc;
}

/* Is there a cluster? */
static bool k8s_is_wanted(struct k8s *k)
{
	bool is_there = k8s_find_api(k);

	if (k->conf->enabled == K8S_AUTO)
		return is_there || access(k->conf->token_file, F_OK) == 0;
	return k->conf->enabled == K8S_ON;
}

static void k8s_fini(void *state)
{
	struct k8s *k = state;

	k8s_pods_done(&k->pods);
	k8s_items_done(&k->items);
	free(k->scratch);
	free(k);
}

static int k8s_prepare(struct k8s *k)
{
	static const struct lnx_event_desc desc = {
		.size = sizeof(desc),
		.fixed = sizeof(struct lnx_ev_k8s_pod),
		.name = "k8s.pod",
		.doc = "what is known of a pod changed",
		.fields = lnx_fields_k8s_pod,
		.n_fields = sizeof(lnx_fields_k8s_pod) / sizeof(lnx_fields_k8s_pod[0]),
	};
	int rc = k8s_metrics(k);

	if (rc == 0)
		rc = k8s_pods_init(&k->pods, k->conf->max_pods);
	k->scratch = calloc(1, sizeof(*k->scratch));
	if (rc == 0 && !k->scratch)
		rc = -ENOMEM;
	if (rc < 0)
		return rc;
	k->type_pod = k->host->event_register(k->ctx, &desc);
	return k->type_pod < 0 ? k->type_pod : 0;
}

static int k8s_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		    void **ret_state)
{
	struct k8s *k = calloc(1, sizeof(*k));
	int rc = 0;

	if (!k)
		return -ENOMEM;
	k->host = host;
	k->ctx = ctx;
	k->conf = conf;
	if (k8s_is_wanted(k)) {
		k->state = LNX_K8S_UNSYNCED;
		rc = k8s_prepare(k);
	}
	if (rc == 0)
		rc = host->provide(ctx, "k8s/1", &k8s_service, k);
	if (rc < 0) {
		k8s_fini(k);
		return rc;
	}
	*ret_state = k;
	return 0;
}

static int k8s_start(void *state)
{
	struct k8s *k = state;
	const void *vtable;
	const char *node;
	int rc;

	if (k->state == LNX_K8S_OFF)
		return 0;
	k8s_measure(k);
	if (!k->base_url[0]) {
		k->host->health(
			k->ctx, "pods", LNX_HEALTH_LOST,
			"k8s.enabled is true, but neither k8s.api_url nor KUBERNETES_SERVICE_HOST says "
			"where the API server is");
		return 0;
	}
	node = k->host->conf_get(k->ctx, "node.name");
	if (!node || !*node) {
		k->host->health(
			k->ctx, "pods", LNX_HEALTH_LOST,
			"NODE_NAME is not set, so this node's pods cannot be asked for: set it from "
			"spec.nodeName by the downward API, or give node.name");
		return 0;
	}
	(void)snprintf(k->node, sizeof(k->node), "%s", node); /* DNS names are shorter */
	rc = k->host->service(k->ctx, "http_client/1", &vtable, &k->http_self);
	if (rc < 0)
		return rc;
	k->http = vtable;
	k->host->health(k->ctx, "pods", LNX_HEALTH_LOST, "the first list of pods has not come yet");
	return k8s_sync_start(k);
}

static void k8s_stop(void *state)
{
	k8s_sync_stop(state);
}

/* True for the address of another machine; names are judged by what they turn out to be. */
static bool is_elsewhere(const char *authority)
{
	bool is_v6 = *authority == '[';
	size_t n = strcspn(authority + is_v6, is_v6 ? "]" : ":/");
	struct in6_addr v6;
	struct in_addr v4;
	char host[128];

	if (n >= sizeof(host))
		return false;
	memcpy(host, authority + is_v6, n);
	host[n] = 0;
	if (is_v6)
		return inet_pton(AF_INET6, host, &v6) == 1 && !IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 != 127;
}

static void k8s_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		      void *arg)
{
	const char *url = ((const struct k8s_conf *)conf)->api_url;
	bool is_plain = !strncmp(url, "http://", 7);
	size_t head = is_plain ? 7 : 8;

	if (!*url)
		return;
	if ((!is_plain && strncmp(url, "https://", 8) != 0) || !url[head] || url[head] == '/')
		say(arg, "api_url", "must be https://HOST[:PORT], or http:// of this machine");
	else if (is_plain && is_elsewhere(url + head))
		say(arg, "api_url",
		    "the token would cross the network in clear: http:// is for this machine (kubectl "
		    "proxy), use https://");
}

static const char *const enabled_names[] = { "auto", "true", "false", NULL };

#define AT(m)	offsetof(struct k8s_conf, m)
#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static const struct lnx_option k8s_options[] = {
	{ "enabled", LNX_OPT_ENUM, AT(enabled), "auto", 0, 0, enabled_names, 0, 0,
	  "auto: where there is a service account's token or KUBERNETES_SERVICE_HOST" },
	{ "api_url", LNX_OPT_STR, AT(api_url), "", 0, 0, NULL, 0, 0,
	  "where the API server is; empty: as Kubernetes tells every pod" },
	{ "token_file", LNX_OPT_PATH, AT(token_file), ACCOUNT "token", 0, 0, NULL, 0, 0,
	  "token of the service account, read before every request" },
	{ "ca_file", LNX_OPT_PATH, AT(ca_file), ACCOUNT "ca.crt", 0, 0, NULL, 0, 0,
	  "authority of the API server's certificate; not there, with api_url: the system's" },
	{ "max_pods", LNX_OPT_U32, AT(max_pods), "1024", 16, 65536, NULL, 0, 0,
	  "pods known at a time" },
	{ "keep_gone", LNX_OPT_DURATION, AT(keep_gone_ns), "5m", 1e9, 86400e9, NULL, 0, 0,
	  "how long a deleted pod is remembered, at most 256 of them" },
	{ NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL }
};

static const char *const k8s_needs[] = { "http_client/1", NULL };
static const char *const k8s_provides[] = { "k8s/1", NULL };

static const struct lnx_plugin k8s_plugin = {
	.size = sizeof(k8s_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "k8s",
	.version = "1",
	.summary = "which pods are on this node",
	.options = k8s_options,
	.conf_size = sizeof(struct k8s_conf),
	.needs = k8s_needs,
	.init = k8s_init,
	.start = k8s_start,
	.stop = k8s_stop,
	.fini = k8s_fini,
	.provides = k8s_provides,
	.check = k8s_check,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &k8s_plugin;
}
