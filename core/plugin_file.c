/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A plugin's file: who may own it, and the handshake. */
#include "instance.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LNX_PLUGIN_SYMBOL "linnix_plugin_v1"

int lnx_plugin_check_file(const char *path, struct lnx_err *err)
{
	struct stat st, exe;

	if (stat(path, &st) < 0)
		return lnx_err_set(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return lnx_err_set(err, -EINVAL, "not a regular file");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return lnx_err_set(err, -EPERM,
				   "writable by group or others (mode %04o); run: chmod go-w FILE",
				   (unsigned)(st.st_mode & 07777));
	if (st.st_uid == 0 || st.st_uid == geteuid())
		return 0;
	if (stat("/proc/self/exe", &exe) == 0 && st.st_uid == exe.st_uid)
		return 0;
	return lnx_err_set(
		err, -EPERM,
		"owned by uid %u: must be root, the agent's user or the owner of its binary",
		(unsigned)st.st_uid);
}

int lnx_plugin_check_table(const struct lnx_plugin *p, const char *base, const char *suffix,
			   struct lnx_err *err)
{
	size_t n = strlen(base), end = strlen(suffix);

	if (!p->name || n <= end || strlen(p->name) != n - end ||
	    strncmp(p->name, base, n - end) != 0)
		return lnx_err_set(err, -EINVAL, "calls itself '%s'; the file must be named NAME%s",
				   p->name ? p->name : "", suffix);
	if (strspn(p->name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(p->name) ||
	    strlen(p->name) > 40)
		return lnx_err_set(err, -EINVAL, "bad name: a-z, 0-9 and _, at most 40 letters");
	if ((p->n_subs && (!p->subs || !p->on_event)) || (p->options && p->conf_size == 0))
		return lnx_err_set(
			err, -EINVAL,
			"its table contradicts itself (subs without on_event, or options without conf_size)");
	return 0;
}

/* Members up to and including `fini` were there in the first version. */
static int lnx_plugin_handshake(const struct lnx_plugin *p, const char *base, struct lnx_err *err)
{
	if (!p)
		return lnx_err_set(err, -ENOEXEC, "%s() returned NULL", LNX_PLUGIN_SYMBOL);
	if (p->abi_major != LNX_ABI_MAJOR || p->abi_minor > LNX_ABI_MINOR)
		return lnx_err_set(err, -EPROTO,
				   "built for plugin ABI %u.%u; this agent speaks %u.%u",
				   p->abi_major, p->abi_minor, LNX_ABI_MAJOR, LNX_ABI_MINOR);
	if (p->size < offsetof(struct lnx_plugin, fini) + sizeof(p->fini))
		return lnx_err_set(err, -EPROTO,
				   "its table has %u bytes, fewer than any version had", p->size);
	return lnx_plugin_check_table(p, base, ".so", err);
}

int lnx_plugin_open(const char *path, void **ret_dl, const struct lnx_plugin **ret_plugin,
		    struct lnx_err *err)
{
	const struct lnx_plugin *(*entry)(void);
	const char *base = strrchr(path, '/');
	const struct lnx_plugin *p;
	void *dl, *sym;
	int rc = lnx_plugin_check_file(path, err);

	if (rc < 0)
		return rc;
	dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!dl)
		return lnx_err_set(err, -ENOEXEC, "cannot be loaded: %s", dlerror());
	sym = dlsym(dl, LNX_PLUGIN_SYMBOL);
	if (!sym) {
		(void)dlclose(dl);
		return lnx_err_set(err, -ENOEXEC, "not a linnix plugin: it does not export %s",
				   LNX_PLUGIN_SYMBOL);
	}
	memcpy(&entry, &sym, sizeof(entry)); /* ISO C has no cast from object to function pointer */
	p = entry();
	rc = lnx_plugin_handshake(p, base ? base + 1 : path, err);
	if (rc < 0) {
		(void)dlclose(dl);
		return rc;
	}
	*ret_dl = dl;
	*ret_plugin = p;
	return 0;
}
