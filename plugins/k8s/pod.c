/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A pod from JSON. Members may come in any order; what we do not need is skipped without being looked at. */
#include "pod.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

#define QUANTITY_BYTES 40

/* What names a workload, gathered while the pod is read. */
struct owner {
	char kind[64], name[K8S_NAME_BYTES];
	char hash[64]; /* label pod-template-hash */
	char node[K8S_NAME_BYTES];
	bool is_controller;
};

/* ---- metadata */

static void read_annotations(struct k8s_json *j, struct k8s_pod *p)
{
	char text[8];
	struct k8s_text key;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "kubernetes.io/config.hash")) {
			k8s_json_copy(j, p->config_hash, sizeof(p->config_hash));
		} else if (k8s_text_is(&key, "kubernetes.io/config.mirror")) {
			if (p->config_hash[0])
				k8s_json_skip(j);
			else
				k8s_json_copy(j, p->config_hash, sizeof(p->config_hash));
		} else if (k8s_text_is(&key, "linnix.dev/ignore")) {
			k8s_json_copy(j, text, sizeof(text));
			p->is_ignored = !strcmp(text, "true");
		} else if (k8s_text_is(&key, "linnix.dev/owner-channel")) {
			k8s_json_copy(j, p->owner_channel, sizeof(p->owner_channel));
		} else {
			k8s_json_skip(j);
		}
	}
}

static void read_labels(struct k8s_json *j, struct k8s_pod *p, struct owner *o)
{
	struct k8s_text key;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "pod-template-hash"))
			k8s_json_copy(j, o->hash, sizeof(o->hash));
		else if (k8s_text_is(&key, "linnix.dev/slo-tier"))
			k8s_json_copy(j, p->slo_tier, sizeof(p->slo_tier));
		else
			k8s_json_skip(j);
	}
}

/* The controller among the owners, else the first. */
static void read_owners(struct k8s_json *j, struct owner *o)
{
	struct owner one;
	struct k8s_text key;

	if (!k8s_json_array(j))
		return;
	while (k8s_json_element(j)) {
		if (!k8s_json_object(j))
			continue;
		one.kind[0] = one.name[0] = 0;
		one.is_controller = false;
		while (k8s_json_member(j, &key)) {
			if (k8s_text_is(&key, "kind"))
				k8s_json_copy(j, one.kind, sizeof(one.kind));
			else if (k8s_text_is(&key, "name"))
				k8s_json_copy(j, one.name, sizeof(one.name));
			else if (k8s_text_is(&key, "controller"))
				one.is_controller = k8s_json_true(j);
			else
				k8s_json_skip(j);
		}
		if (o->name[0] && (o->is_controller || !one.is_controller))
			continue;
		memcpy(o->kind, one.kind, sizeof(o->kind));
		memcpy(o->name, one.name, sizeof(o->name));
		o->is_controller = one.is_controller;
	}
}

static void read_metadata(struct k8s_json *j, struct k8s_pod *p, struct owner *o)
{
	struct k8s_text key;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "name"))
			k8s_json_copy(j, p->name, sizeof(p->name));
		else if (k8s_text_is(&key, "namespace"))
			k8s_json_copy(j, p->namespace_, sizeof(p->namespace_));
		else if (k8s_text_is(&key, "uid"))
			k8s_json_copy(j, p->uid, sizeof(p->uid));
		else if (k8s_text_is(&key, "resourceVersion"))
			k8s_json_copy(j, p->version, sizeof(p->version));
		else if (k8s_text_is(&key, "annotations"))
			read_annotations(j, p);
		else if (k8s_text_is(&key, "labels"))
			read_labels(j, p, o);
		else if (k8s_text_is(&key, "ownerReferences"))
			read_owners(j, o);
		else
			k8s_json_skip(j);
	}
}

/* ---- containers: spec and status name the same ones, in either order */

static struct k8s_container *pod_container(struct k8s_pod *p, const char *name, uint32_t kind)
{
	struct k8s_container *c;
	uint32_t i;

	for (i = 0; i < p->n_containers; i++)
		if (p->containers[i].kind == kind && !strcmp(p->containers[i].name, name))
			return &p->containers[i];
	if (p->n_containers == K8S_CONTAINERS_MAX) {
		p->n_refused++;
		return NULL;
	}
	c = &p->containers[p->n_containers++];
	memset(c, 0, sizeof(*c));
	memcpy(c->name, name, strlen(name) + 1);
	c->kind = kind;
	return c;
}

static void read_quantities(struct k8s_json *j, uint32_t *ret_millicores, uint64_t *ret_bytes)
{
	char text[QUANTITY_BYTES];
	struct k8s_text key;
	uint64_t v;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		k8s_json_copy(j, text, sizeof(text));
		if (k8s_text_is(&key, "cpu")) {
			v = k8s_quantity(text, 1000);
			*ret_millicores = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
		} else if (k8s_text_is(&key, "memory")) {
			*ret_bytes = k8s_quantity(text, 1);
		}
	}
}

static void read_resources(struct k8s_json *j, struct k8s_container *c)
{
	struct k8s_text key;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "requests"))
			read_quantities(j, &c->cpu_request_millicores, &c->memory_request_bytes);
		else if (k8s_text_is(&key, "limits"))
			read_quantities(j, &c->cpu_limit_millicores, &c->memory_limit_bytes);
		else
			k8s_json_skip(j);
	}
	/* the API server fills these in; a list from elsewhere may not */
	if (!c->cpu_request_millicores)
		c->cpu_request_millicores = c->cpu_limit_millicores;
	if (!c->memory_request_bytes)
		c->memory_request_bytes = c->memory_limit_bytes;
}

/* "containerd://<id>" without its scheme. */
static void read_id(struct k8s_json *j, char *ret_id)
{
	char text[K8S_CONTAINER_ID + 32], *id;

	k8s_json_copy(j, text, sizeof(text));
	id = strstr(text, "://");
	id = id ? id + 3 : text;
	if (strlen(id) < K8S_CONTAINER_ID)
		memcpy(ret_id, id, strlen(id) + 1);
}

/* lastState: {"terminated": {"containerID": ...}} */
static void read_last(struct k8s_json *j, char *ret_id)
{
	struct k8s_text key;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (!k8s_text_is(&key, "terminated")) {
			k8s_json_skip(j);
			continue;
		}
		if (!k8s_json_object(j))
			continue;
		while (k8s_json_member(j, &key)) {
			if (k8s_text_is(&key, "containerID"))
				read_id(j, ret_id);
			else
				k8s_json_skip(j);
		}
	}
}

static void read_container(struct k8s_json *j, struct k8s_pod *p, uint32_t kind, bool is_spec)
{
	char name[K8S_CONTAINER_NAME] = "", policy[16] = "";
	struct k8s_container one = { 0 }, *c;
	struct k8s_text key;

	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "name"))
			k8s_json_copy(j, name, sizeof(name));
		else if (k8s_text_is(&key, "containerID"))
			read_id(j, one.id);
		else if (k8s_text_is(&key, "lastState"))
			read_last(j, one.last_id);
		else if (is_spec && k8s_text_is(&key, "resources"))
			read_resources(j, &one);
		else if (k8s_text_is(&key, "restartPolicy"))
			k8s_json_copy(j, policy, sizeof(policy));
		else
			k8s_json_skip(j);
	}
	c = name[0] ? pod_container(p, name, kind) : NULL;
	if (!c)
		return;
	if (one.id[0])
		memcpy(c->id, one.id, sizeof(c->id));
	if (one.last_id[0])
		memcpy(c->last_id, one.last_id, sizeof(c->last_id));
	c->is_sidecar |= kind == K8S_INIT && !strcmp(policy, "Always");
	if (!is_spec)
		return;
	c->cpu_request_millicores = one.cpu_request_millicores;
	c->cpu_limit_millicores = one.cpu_limit_millicores;
	c->memory_request_bytes = one.memory_request_bytes;
	c->memory_limit_bytes = one.memory_limit_bytes;
}

static void read_containers(struct k8s_json *j, struct k8s_pod *p, uint32_t kind, bool is_spec)
{
	if (!k8s_json_array(j))
		return;
	while (k8s_json_element(j))
		if (k8s_json_object(j))
			read_container(j, p, kind, is_spec);
}

static void read_spec(struct k8s_json *j, struct k8s_pod *p, struct owner *o)
{
	struct k8s_text key;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "containers"))
			read_containers(j, p, K8S_REGULAR, true);
		else if (k8s_text_is(&key, "initContainers"))
			read_containers(j, p, K8S_INIT, true);
		else if (k8s_text_is(&key, "ephemeralContainers"))
			read_containers(j, p, K8S_EPHEMERAL, true);
		else if (k8s_text_is(&key, "nodeName"))
			k8s_json_copy(j, o->node, sizeof(o->node));
		else
			k8s_json_skip(j);
	}
}

static void read_status(struct k8s_json *j, struct k8s_pod *p)
{
	struct k8s_text key;
	char *c;

	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "containerStatuses")) {
			read_containers(j, p, K8S_REGULAR, false);
		} else if (k8s_text_is(&key, "initContainerStatuses")) {
			read_containers(j, p, K8S_INIT, false);
		} else if (k8s_text_is(&key, "ephemeralContainerStatuses")) {
			read_containers(j, p, K8S_EPHEMERAL, false);
		} else if (k8s_text_is(&key, "qosClass")) {
			k8s_json_copy(j, p->qos, sizeof(p->qos));
			for (c = p->qos; *c; c++)
				*c = (char)tolower((unsigned char)*c);
		} else {
			k8s_json_skip(j);
		}
	}
}

/* ---- the workload's name */

/* Cut "-<tail>" off <name>. */
static void cut_tail(char *name, const char *tail)
{
	size_t n = strlen(name), k = strlen(tail);

	if (k && n > k + 1 && !strcmp(name + n - k, tail) && name[n - k - 1] == '-')
		name[n - k - 1] = 0;
}

static void name_workload(struct k8s_pod *p, const struct owner *o)
{
	const char *dash;

	(void)snprintf(p->workload, sizeof(p->workload), "%s",
		       o->name[0] && strcmp(o->kind, "Node") != 0 ? o->name : p->name); /* fits */
	if (!strcmp(o->kind, "ReplicaSet")) {
		cut_tail(p->workload, o->hash);
	} else if (!strcmp(o->kind, "Job")) {
		dash = strrchr(p->workload, '-'); /* a CronJob's have the time in their name */
		if (dash && strlen(dash + 1) >= 8 &&
		    strspn(dash + 1, "0123456789") == strlen(dash + 1))
			cut_tail(p->workload, dash + 1);
	} else if (!strcmp(o->kind, "Node")) {
		cut_tail(p->workload, o->name[0] ? o->name : o->node);
	}
}

/* ---- whole objects */

static void read_pod(struct k8s_json *j, struct k8s_pod *p)
{
	struct owner o = { .is_controller = false };
	struct k8s_text key;

	memset(p, 0, offsetof(struct k8s_pod, containers));
	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "metadata"))
			read_metadata(j, p, &o);
		else if (k8s_text_is(&key, "spec"))
			read_spec(j, p, &o);
		else if (k8s_text_is(&key, "status"))
			read_status(j, p);
		else
			k8s_json_skip(j);
	}
	name_workload(p, &o);
}

int k8s_pod_read(const char *json, size_t n, struct k8s_pod *ret_pod)
{
	struct k8s_json j = { json, json + n, false };

	read_pod(&j, ret_pod);
	return j.is_bad || !ret_pod->uid[0] || !ret_pod->name[0] ? -EBADMSG : 0;
}

/* A Status object: its code and message. */
static void read_failure(struct k8s_json *j, uint32_t *ret_code, char *ret_message, size_t cap)
{
	struct k8s_text key;
	char text[16];

	ret_message[0] = 0;
	if (!k8s_json_object(j))
		return;
	while (k8s_json_member(j, &key)) {
		if (k8s_text_is(&key, "code")) {
			k8s_json_copy(j, text, sizeof(text));
			*ret_code = (uint32_t)k8s_quantity(text, 1);
		} else if (k8s_text_is(&key, "message")) {
			k8s_json_copy(j, ret_message, cap);
		} else {
			k8s_json_skip(j);
		}
	}
}

static uint32_t change_of(const char *type)
{
	static const char *const names[] = {
		"", "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
	};
	uint32_t i;

	for (i = K8S_ADDED; i <= K8S_ERROR; i++)
		if (!strcmp(names[i], type))
			return i;
	return K8S_NONE;
}

int k8s_line_read(const char *json, size_t n, struct k8s_line *ret_line, struct k8s_pod *ret_pod)
{
	struct k8s_json j = { json, json + n, false }, object = { NULL, NULL, true };
	struct k8s_text key;
	char type[16] = "";

	memset(ret_line, 0, sizeof(*ret_line));
	memset(ret_pod, 0, offsetof(struct k8s_pod, containers));
	if (!k8s_json_object(&j))
		return -EBADMSG;
	while (k8s_json_member(&j, &key)) {
		if (k8s_text_is(&key, "type")) {
			k8s_json_copy(&j, type, sizeof(type));
		} else if (k8s_text_is(&key, "object")) {
			object.at = j.at;
			k8s_json_skip(&j);
			object.end = j.at;
			object.is_bad = j.is_bad;
		} else {
			k8s_json_skip(&j);
		}
	}
	ret_line->change = change_of(type);
	if (j.is_bad || object.is_bad || ret_line->change == K8S_NONE)
		return -EBADMSG;
	if (ret_line->change == K8S_ERROR) {
		read_failure(&object, &ret_line->code, ret_line->message,
			     sizeof(ret_line->message));
		return 0;
	}
	read_pod(&object, ret_pod);
	if (ret_line->change == K8S_BOOKMARK)
		return 0;
	return !ret_pod->uid[0] || !ret_pod->name[0] ? -EBADMSG : 0;
}

void k8s_meta_read(const char *json, size_t n, char *ret_version, size_t cap)
{
	struct k8s_json j = { json, json + n, false };
	struct k8s_text key;

	ret_version[0] = 0;
	if (!k8s_json_object(&j))
		return;
	while (k8s_json_member(&j, &key)) {
		if (k8s_text_is(&key, "resourceVersion"))
			k8s_json_copy(&j, ret_version, cap);
		else
			k8s_json_skip(&j);
	}
}

void k8s_status_read(const char *json, size_t n, char *ret_message, size_t cap)
{
	struct k8s_json j = { json, json + n, false };
	uint32_t code = 0;

	read_failure(&j, &code, ret_message, cap);
}
