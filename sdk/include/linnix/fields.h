/* SPDX-License-Identifier: MIT */
/* Reading an event through its field table, for plugins that treat all types alike. Header only. */
#ifndef LINNIX_FIELDS_H
#define LINNIX_FIELDS_H

#include <linnix/event.h>
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

#endif
