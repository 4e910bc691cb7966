/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See curl.h. It is never closed again: its TLS library does not survive that. */
#include "curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HTTPC_OBJECT "libcurl.so.4"

#define NAME(member, symbol)                                \
	{                                                   \
		symbol, offsetof(struct httpc_curl, member) \
	}

static const struct {
	const char *symbol;
	size_t offset;
} httpc_symbols[] = {
	NAME(global_init, "curl_global_init"),
	NAME(version_info, "curl_version_info"),
	NAME(easy_init, "curl_easy_init"),
	NAME(easy_setopt, "curl_easy_setopt"),
	NAME(easy_getinfo, "curl_easy_getinfo"),
	NAME(easy_cleanup, "curl_easy_cleanup"),
	NAME(easy_strerror, "curl_easy_strerror"),
	NAME(slist_append, "curl_slist_append"),
	NAME(slist_free_all, "curl_slist_free_all"),
	NAME(multi_init, "curl_multi_init"),
	NAME(multi_setopt, "curl_multi_setopt"),
	NAME(multi_add_handle, "curl_multi_add_handle"),
	NAME(multi_remove_handle, "curl_multi_remove_handle"),
	NAME(multi_socket_action, "curl_multi_socket_action"),
	NAME(multi_info_read, "curl_multi_info_read"),
	NAME(multi_assign, "curl_multi_assign"),
	NAME(multi_cleanup, "curl_multi_cleanup"),
};

int httpc_curl_open(struct httpc_curl *c, char *why, size_t cap)
{
	const curl_version_info_data *v;
	void *object, *symbol;
	size_t i;

	if (c->object)
		return 0;
	object = dlopen(HTTPC_OBJECT, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		(void)snprintf(why, cap, "%s; install libcurl4", dlerror()); /* for people */
		return -ENOSYS;
	}
	for (i = 0; i < sizeof(httpc_symbols) / sizeof(httpc_symbols[0]); i++) {
		symbol = dlsym(object, httpc_symbols[i].symbol);
		if (!symbol) {
			(void)snprintf(why, cap, "%s has no %s", HTTPC_OBJECT,
				       httpc_symbols[i].symbol); /* for people */
			return -ENOSYS;
		}
		/* a pointer to data and one to a function have one size here; C has no cast between them */
		memcpy((char *)c + httpc_symbols[i].offset, &symbol, sizeof(symbol));
	}
	if (c->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		(void)snprintf(why, cap, "%s does not start", HTTPC_OBJECT); /* for people */
		return -ENOSYS;
	}
	v = c->version_info(CURLVERSION_NOW);
	if (!(v->features & CURL_VERSION_ASYNCHDNS) || !(v->features & CURL_VERSION_SSL)) {
		(void)snprintf(why, cap, "%s %s has no TLS or looks names up in place",
			       HTTPC_OBJECT, v->version); /* for people */
		return -ENOSYS;
	}
	if (v->version_num < HTTPC_CURL_OLDEST) {
		(void)snprintf(why, cap, "%s %s is too old: 7.87 or newer is needed", HTTPC_OBJECT,
			       v->version); /* for people */
		return -ENOSYS;
	}
	c->object = object;
	return 0;
}
