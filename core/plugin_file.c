/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A plugin's file: who may own it, and the handshake. */
#include "instance.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LNX_PLUGIN_SYMBOL "linnix_plugin_v1"

const char *lnx_plugin_suffix(const char *base)
{
	size_t n = strlen(base);

	if (*base == '.')
		return NULL;
	if (n > 3 && !strcmp(base + n - 3, ".so"))
		return ".so";
	return n > 4 && !strcmp(base + n - 4, ".lua") ? ".lua" : NULL;
}

/* <what>, which <st> tells of, is only in trusted hands. */
static int lnx_check_hands(const struct stat *st, const char *what, struct lnx_err *err)
{
	struct stat exe;

	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return lnx_err_set(err, -EPERM,
				   "%swritable by group or others (mode %04o); run: chmod go-w %s",
				   what, (unsigned)(st->st_mode & 07777),
				   *what ? "FOLDER" : "FILE");
	if (st->st_uid == 0 || st->st_uid == geteuid())
		return 0;
	if (stat("/proc/self/exe", &exe) == 0 && st->st_uid == exe.st_uid)
		return 0;
	return lnx_err_set(
		err, -EPERM,
		"%sowned by uid %u: must be root, the agent's user or the owner of its binary",
		what, (unsigned)st->st_uid);
}

/* Who may write a folder can put another file in the place of one that was checked. Nobody can in one that is mounted read only, and
 * only its owner can replace a file in one with the sticky bit. */
static int lnx_check_folder(const char *path, struct lnx_err *err)
{
	const char *slash = strrchr(path, '/');
	struct statvfs fs;
	struct stat st;
	char dir[1024];

	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1,
		     slash ? path : ".") >= (int)sizeof(dir))
		return lnx_err_set(err, -ENAMETOOLONG, "path too long");
	if (stat(dir, &st) < 0 || statvfs(dir, &fs) < 0)
		return lnx_err_set(err, -errno, "its folder: %s", strerror(errno));
	if (fs.f_flag & ST_RDONLY)
		return 0;
	if (st.st_mode & S_ISVTX)
		st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
	return lnx_check_hands(&st, "its folder is ", err);
}

int lnx_plugin_check_file(const char *path, struct lnx_err *err)
{
	struct stat st;
	int rc;

	if (stat(path, &st) < 0)
		return lnx_err_set(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return lnx_err_set(err, -EINVAL, "not a regular file");
	rc = lnx_check_hands(&st, "", err);
	return rc < 0 ? rc : lnx_check_folder(path, err);
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
