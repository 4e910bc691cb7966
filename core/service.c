/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See service.h. */
#include "service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lnx_services {
	struct {
		char name[48];
		const void *vtable;
		void *self;
		const void *owner;
	} list[LNX_MAX_SERVICES];
	unsigned n;
};

struct lnx_services *lnx_services_new(void)
{
	return calloc(1, sizeof(struct lnx_services));
}

void lnx_services_free(struct lnx_services *s)
{
	free(s);
}

int lnx_services_find(const struct lnx_services *s, const char *name, const void **ret_vtable,
		      void **ret_self)
{
	unsigned i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->list[i].name, name) != 0)
			continue;
		*ret_vtable = s->list[i].vtable;
		*ret_self = s->list[i].self;
		return 0;
	}
	return -ENOENT;
}

int lnx_services_provide(struct lnx_services *s, const char *name, const void *vtable, void *self,
			 const void *owner)
{
	const char *slash = strchr(name, '/');
	const void *v;
	void *p;

	if (!slash || slash == name || !slash[1] || strlen(name) >= sizeof(s->list[0].name) ||
	    !vtable)
		return -EINVAL;
	if (lnx_services_find(s, name, &v, &p) == 0)
		return -EEXIST;
	if (s->n == LNX_MAX_SERVICES)
		return -ENOSPC;
	memcpy(s->list[s->n].name, name, strlen(name) + 1);
	s->list[s->n].vtable = vtable;
	s->list[s->n].self = self;
	s->list[s->n++].owner = owner;
	return 0;
}

void lnx_services_del_owner(struct lnx_services *s, const void *owner)
{
	unsigned i, k = 0;

	for (i = 0; i < s->n; i++)
		if (s->list[i].owner != owner)
			s->list[k++] = s->list[i];
	s->n = k;
}
