/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* libcurl, opened when it is first needed: linked, it costs 5.6 MB of memory whether it is used or not. */
#ifndef LNX_HTTP_CLIENT_CURL_H
#define LNX_HTTP_CLIENT_CURL_H

#include <curl/curl.h>
#include <stddef.h>

#define HTTPC_CURL_OLDEST 0x075700u /* 7.87: CURLOPT_QUICK_EXIT */

struct httpc_curl {
	void *object; /* NULL: not opened */
	CURLcode (*global_init)(long flags);
	curl_version_info_data *(*version_info)(CURLversion age);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
	CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
	void (*easy_cleanup)(CURL *easy);
	const char *(*easy_strerror)(CURLcode code);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
	void (*slist_free_all)(struct curl_slist *list);
	CURLM *(*multi_init)(void);
	CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
	CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
	CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
	CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t fd, int bits,
					 int *ret_running);
	CURLMsg *(*multi_info_read)(CURLM *multi, int *ret_left);
	CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t fd, void *arg);
	CURLMcode (*multi_cleanup)(CURLM *multi);
};

/* 0, or -ENOSYS with the reason in <why>. */
int httpc_curl_open(struct httpc_curl *c, char *why, size_t cap);

#endif
