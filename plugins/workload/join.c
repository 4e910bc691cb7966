/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names of Kubernetes for cgroups, asked of the service k8s/1: when a cgroup appears, when a pod changes, and now and then for
 * those that nobody knew. A name that was known is never taken back. */
#include <linnix/svc_k8s.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

static const char *put(char **io_at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *at = *io_at;

	memcpy(at, s, n);
	*io_at += n;
	return at;
}

static struct workload_pod *pod_of(const struct lnx_k8s_who *k)
{
	size_t n = strlen(k->namespace_) + strlen(k->pod_name) + strlen(k->container_name) +
		   strlen(k->workload) + strlen(k->qos) + strlen(k->owner_channel) +
		   strlen(k->slo_tier) + 7;
	struct workload_pod *p = calloc(1, sizeof(*p) + n);
	char *at;

	if (!p)
		return NULL;
	at = p->text;
	p->namespace_ = put(&at, k->namespace_);
	p->pod_name = put(&at, k->pod_name);
	p->container_name = put(&at, k->container_name);
	p->workload = put(&at, k->workload);
	p->qos = put(&at, k->qos);
	p->owner_channel = put(&at, k->owner_channel);
	p->slo_tier = put(&at, k->slo_tier);
	p->is_ignored = k->is_ignored;
	p->cpu_request_millicores = k->cpu_request_millicores;
	p->cpu_limit_millicores = k->cpu_limit_millicores;
	p->memory_request_bytes = k->memory_request_bytes;
	p->memory_limit_bytes = k->memory_limit_bytes;
	return p;
}

static bool is_same(const struct workload_pod *a, const struct workload_pod *b)
{
	return !strcmp(a->namespace_, b->namespace_) && !strcmp(a->pod_name, b->pod_name) &&
	       !strcmp(a->container_name, b->container_name) && !strcmp(a->workload, b->workload) &&
	       !strcmp(a->qos, b->qos) && !strcmp(a->owner_channel, b->owner_channel) &&
	       !strcmp(a->slo_tier, b->slo_tier) && a->is_ignored == b->is_ignored &&
	       a->cpu_request_millicores == b->cpu_request_millicores &&
	       a->cpu_limit_millicores == b->cpu_limit_millicores &&
	       a->memory_request_bytes == b->memory_request_bytes &&
	       a->memory_limit_bytes == b->memory_limit_bytes;
}

bool workload_join(struct workload *w, struct workload_entry *e)
{
	struct lnx_k8s_who k = { .size = sizeof(k) };
	struct workload_pod *pod;

	if (!w->k8s || (!e->ids.pod_uid[0] && !e->ids.container_id[0]) ||
	    w->k8s->find(w->k8s_self, e->ids.pod_uid, e->ids.container_id, &k) < 0)
		return false;
	/* a container that ended is no longer told of */
	if (e->pod && e->pod->container_name[0] && !k.container_name[0])
		return false;
	pod = pod_of(&k);
	if (!pod || (e->pod && is_same(e->pod, pod))) {
		free(pod);
		return false;
	}
	free(e->pod);
	e->pod = pod;
	return true;
}

static void join_key(struct workload *w, const char *key)
{
	struct workload_entry *e;

	for (e = workload_table_by_key(&w->table, key); e; e = workload_table_next_by_key(e, key))
		if (workload_join(w, e))
			workload_tell(w, e);
}

static int join_container(void *arg, const char *container_id)
{
	join_key(arg, container_id);
	return 0;
}

void workload_on_pod(struct workload *w, const struct lnx_event *ev)
{
	const struct lnx_ev_k8s_pod *p = (const struct lnx_ev_k8s_pod *)(const void *)ev;
	char uid[sizeof(((struct workload_ids *)0)->pod_uid)];

	if (!w->k8s || !LNX_EV_HAS(ev, struct lnx_ev_k8s_pod, pod_uid) ||
	    p->pod_uid.len >= sizeof(uid))
		return;
	memcpy(uid, (const char *)ev + p->pod_uid.off, p->pod_uid.len);
	uid[p->pod_uid.len] = 0;
	join_key(w, uid);
	(void)w->k8s->containers(w->k8s_self, uid, join_container,
				 w); /* their number is not needed */
}

/* Paths of some runtimes carry another uid than the API, and a cgroup may have come before its pod: those that nobody knew. */
void workload_join_rest(struct workload *w)
{
	struct workload_entry *e;

	for (e = w->table.oldest.next; w->k8s && e != &w->table.oldest; e = e->next)
		if (!e->gone_ns && !e->pod && workload_join(w, e))
			workload_tell(w, e);
}

void workload_join_start(struct workload *w)
{
	const void *vtable;
	void *self;

	if (w->host->service(w->ctx, "k8s/1", &vtable, &self) < 0)
		return;
	w->type_pod = w->host->event_type(w->ctx, "k8s.pod");
	if (w->type_pod < 0)
		return; /* no cluster */
	if (w->host->subscribe(w->ctx, "k8s.pod", LNX_STAGE_STATE, 0) < 0)
		return; /* the host logs it */
	w->k8s = vtable;
	w->k8s_self = self;
}
