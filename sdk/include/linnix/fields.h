/* SPDX-License-Identifier: MIT */
/* Reading an event through its field table, for plugins that treat all types alike. Header only. */
#ifndef LINNIX_FIELDS_H
#define LINNIX_FIELDS_H

#include <linnix/event.h>
#include <linnix/host.h>
#include <string.h>

/* Row <name> of <desc>, or NULL. */
static inline const struct lnx_field *lnx_field_find(const struct lnx_event_desc *desc,
						     const char *name)
{
	__u32 i;

	for (i = 0; desc && i < desc->n_fields; i++) {
		if (!strcmp(desc->fields[i].name, name))
			return &desc->fields[i];
	}
	return NULL;
}

/* The v2 cgroup that <ev> is about: its member cgroup_id, else subject.cgroup_id; 0 if it has none. */
static inline __u64 lnx_event_cgroup_id(const struct lnx_event_desc *desc,
					const struct lnx_event *ev)
{
	const struct lnx_field *f = lnx_field_find(desc, "cgroup_id");
	__u64 id;

	if (!f)
		f = lnx_field_find(desc, "subject.cgroup_id");
	if (!f || f->size != sizeof(id) || (__u32)f->offset + f->size > ev->fixed)
		return 0;
	memcpy(&id, (const char *)ev + f->offset, sizeof(id));
	return id;
}

#define LNX_NS_BYTES 64 /* of a namespace with its NUL: Kubernetes allows 63 */

/* String field <name> of <ev> into <ret>, cut to fit; "" if it has none. */
static inline void lnx_event_text(const struct lnx_event_desc *desc, const struct lnx_event *ev,
				  const char *name, char *ret, __u32 cap)
{
	const struct lnx_field *f = lnx_field_find(desc, name);
	struct lnx_str s = { 0, 0 };

	if (f && f->type == LNX_STR && (__u32)f->offset + sizeof(s) <= ev->fixed)
		memcpy(&s, (const char *)ev + f->offset, sizeof(s));
	if (s.len >= cap)
		s.len = (__u16)(cap - 1);
	memcpy(ret, (const char *)ev + s.off, s.len);
	ret[s.len] = 0;
}

/* Whose <ev> is: the namespace of the cgroup that it is about (of a stall.edge: the culprit's), and of the victim if it tells
 * of a stall. "" where unknown. */
static inline void lnx_event_namespaces(const struct lnx_host *host, struct lnx_ctx *ctx,
					const struct lnx_event *ev, char ret_own[LNX_NS_BYTES],
					char ret_victim[LNX_NS_BYTES])
{
	const struct lnx_event_desc *desc = host->event_desc(ctx, ev->type);
	struct lnx_tag tag = { .size = sizeof(tag) };
	__u64 id = lnx_event_cgroup_id(desc, ev);

	lnx_event_text(desc, ev, "victim_namespace", ret_victim, LNX_NS_BYTES);
	lnx_event_text(desc, ev,
		       lnx_field_find(desc, "culprit_namespace") ? "culprit_namespace"
								 : "workload_namespace",
		       ret_own, LNX_NS_BYTES);
	if (!ret_own[0] && id && host->tag(ctx, id, &tag) == 0 &&
	    strlen(tag.namespace_) < LNX_NS_BYTES)
		memcpy(ret_own, tag.namespace_, strlen(tag.namespace_) + 1);
	if (ev->type == LNX_EV_STALL_WINDOW)
		memcpy(ret_victim, ret_own, LNX_NS_BYTES);
}

/* True if <ev> passes the filters namespace= (its own or its victim's) and victim_namespace=; NULL or "": any. */
static inline int lnx_namespaces_match(const char *own, const char *victim, const char *want,
				       const char *want_victim)
{
	if (want && *want && strcmp(own, want) != 0 && strcmp(victim, want) != 0)
		return 0;
	return !want_victim || !*want_victim || !strcmp(victim, want_victim);
}

#endif
