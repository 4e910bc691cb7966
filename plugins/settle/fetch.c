/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* libcurl, opened when it is needed: what is bounded here is time, size and protocols. */
#include "fetch.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <sys/types.h>

#define CURL_OBJECT "libcurl.so.4"
#define CONNECT_MS  5000L

struct curl {
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
	CURLcode (*easy_perform)(CURL *easy);
	CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
	void (*easy_cleanup)(CURL *easy);
	const char *(*easy_strerror)(CURLcode code);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
	void (*slist_free_all)(struct curl_slist *list);
};

#define NAME(member)                                           \
	{                                                      \
		"curl_" #member, offsetof(struct curl, member) \
	}

static const struct {
	const char *symbol;
	size_t offset;
} symbols[] = { NAME(easy_init),    NAME(easy_setopt),	 NAME(easy_perform), NAME(easy_getinfo),
		NAME(easy_cleanup), NAME(easy_strerror), NAME(slist_append), NAME(slist_free_all) };

static int load(struct curl *c, char why[FETCH_WHY])
{
	void *object = dlopen(CURL_OBJECT, RTLD_NOW | RTLD_LOCAL), *symbol;

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		symbol = object ? dlsym(object, symbols[i].symbol) : NULL;
		if (!symbol) {
			(void)snprintf(why, FETCH_WHY, "%s; install libcurl4",
				       dlerror()); /* for people */
			return -ENOSYS;
		}
		/* a pointer to data and one to a function have one size here; C has no cast between them */
		memcpy((char *)c + symbols[i].offset, &symbol, sizeof(symbol));
	}
	return 0;
}

/* Host and port of a URL. */
static void shown_of(const char *url, char *ret, size_t cap)
{
	const char *host = strstr(url, "://"), *at;
	size_t n;

	host = host ? host + 3 : url;
	n = strcspn(host, "/?#");
	at = memchr(host, '@', n); /* names and passwords stand before it */
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	(void)snprintf(ret, cap, "%.*s", (int)n, host); /* cut is fine: for people */
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	lnx_buf_add(arg, bytes, size * n);
	return lnx_buf_error(arg) ? 0 : size * n;
}

static int errno_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_WRITE_ERROR:
		return -EFBIG;
	default:
		return -EPROTO;
	}
}

static void options(const struct curl *c, CURL *easy, const struct fetch_ask *ask,
		    struct curl_slist *list, struct lnx_buf *body)
{
	/* the return values tell only of options unknown to the library or of memory: perform fails then, too */
	(void)c->easy_setopt(easy, CURLOPT_URL, ask->url);
	(void)c->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)c->easy_setopt(easy, CURLOPT_PROXY, "");
	(void)c->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	(void)c->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)c->easy_setopt(easy, CURLOPT_USERAGENT, "linnix/" LNX_VERSION);
	(void)c->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)c->easy_setopt(easy, CURLOPT_TIMEOUT_MS, ask->timeout_ms);
	(void)c->easy_setopt(easy, CURLOPT_HTTPHEADER, list);
	if (ask->body)
		(void)c->easy_setopt(easy, CURLOPT_POSTFIELDS, ask->body);
	(void)c->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)c->easy_setopt(easy, CURLOPT_WRITEDATA, body);
}

int fetch(const struct fetch_ask *ask, long *ret_status, struct lnx_buf *ret_body,
	  char why[FETCH_WHY])
{
	struct lnx_buf body = { .max = ask->max_bytes };
	struct curl_slist *list = NULL;
	char shown[200];
	struct curl c;
	CURLcode code;
	CURL *easy;
	int rc = load(&c, why);

	if (rc)
		return rc;
	easy = c.easy_init();
	list = easy ? c.slist_append(NULL, "Content-Type: application/json") : NULL;
	if (list) {
		options(&c, easy, ask, list, &body);
		code = c.easy_perform(easy);
		(void)c.easy_getinfo(easy, CURLINFO_RESPONSE_CODE,
				     ret_status); /* 0 before an answer */
		rc = errno_of(code);
		shown_of(ask->url, shown, sizeof(shown));
		if (rc)
			(void)snprintf(why, FETCH_WHY, "%s: %s", shown,
				       rc == -EFBIG ? "the answer is too large"
						    : c.easy_strerror(code)); /* for people */
	} else {
		rc = -ENOMEM;
		(void)snprintf(why, FETCH_WHY, "out of memory"); /* fits */
	}
	c.slist_free_all(list);
	if (easy)
		c.easy_cleanup(easy);
	if (rc)
		lnx_buf_done(&body);
	else
		*ret_body = body;
	return rc;
}
