/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Services, plugin to plugin: a bounded table of name, vtable and self. Loop thread only. */
#ifndef LNX_SERVICE_H
#define LNX_SERVICE_H

struct lnx_services;

#define LNX_MAX_SERVICES 64

struct lnx_services *lnx_services_new(void);
void lnx_services_free(struct lnx_services *s);
/* <name> is copied. -EEXIST, -EINVAL (not "name/major"), -ENOSPC. */
int lnx_services_provide(struct lnx_services *s, const char *name, const void *vtable, void *self,
			 const void *owner);
/* -ENOENT. */
int lnx_services_find(const struct lnx_services *s, const char *name, const void **ret_vtable,
		      void **ret_self);
void lnx_services_del_owner(struct lnx_services *s, const void *owner);

#endif
