/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One request: its options, the checks on its address, and what comes back. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client.h"

#define MS	       1000000u
#define CONNECT_MS     10000L
#define BODY_BYTES     (1u << 20)
#define URL_BYTES_MAX  8192u
#define HEADERS_MAX    64u
#define KEEP_IDLE_S    30L
#define KEEP_BETWEEN_S 10L

static bool is_loopback(const struct sockaddr *sa)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&v6, sa, sizeof(v6));
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		return v6.sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

/* Here and not by name: what counts is the address that a name turned out to have. */
static curl_socket_t call_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *sa)
{
	struct lnx_http_call *c = arg;
	bool is_near = is_loopback(&sa->addr);

	(void)purpose;
	if (!is_near && (c->ask.flags & LNX_HTTPC_LOOPBACK ||
			 (c->is_plain && !(c->ask.flags & LNX_HTTPC_PLAINTEXT)))) {
		c->rc = -EACCES;
		(void)snprintf(c->ours, sizeof(c->ours), "%s",
			       c->ask.flags & LNX_HTTPC_LOOPBACK
				       ? "only addresses of this machine are allowed"
				       : "http:// to another machine is not allowed, use https://");
		return CURL_SOCKET_BAD;
	}
	return socket(sa->family, sa->socktype | SOCK_CLOEXEC, sa->protocol);
}

static int call_head(struct lnx_http_call *c)
{
	long status = 0;

	if (c->has_head)
		return 0;
	c->has_head = true;
	(void)c->h->curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status); /* stays 0 */
	c->status = (uint32_t)status;
	return c->ask.on_head ? c->ask.on_head(c->ask.arg, c->status) : 0;
}

/* One header for the caller; status and empty lines have no name. */
static int call_line(struct lnx_http_call *c, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);

	while (n && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	if (!c->ask.on_header || !colon || colon == line || !strncmp(line, "HTTP/", n < 5 ? n : 5))
		return 0;
	c->rc = c->ask.on_header(c->ask.arg, line, n);
	return c->rc;
}

static size_t call_header(char *text, size_t size, size_t n, void *arg)
{
	struct lnx_http_call *c = arg;

	c->moved_ns = c->h->host->now_ns(c->h->ctx);
	c->head_bytes += size * n;
	if (c->head_bytes > HTTPC_HEAD_BYTES) {
		c->rc = -EFBIG;
		(void)snprintf(c->ours, sizeof(c->ours), "its headers are larger than %u bytes",
			       HTTPC_HEAD_BYTES); /* fits */
		return 0;
	}
	return call_line(c, text, size * n) < 0 ? 0 : size * n;
}

static size_t call_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct lnx_http_call *c = arg;
	uint64_t max = c->ask.max_body_bytes ? c->ask.max_body_bytes : BODY_BYTES;

	n *= size;
	c->moved_ns = c->h->host->now_ns(c->h->ctx);
	c->rc = call_head(c);
	if (c->rc < 0)
		return 0;
	c->bytes += n;
	if (c->bytes > max) {
		c->rc = -EFBIG;
		(void)snprintf(c->ours, sizeof(c->ours), "the answer is larger than %llu bytes",
			       (unsigned long long)max); /* fits */
		return 0;
	}
	c->rc = c->ask.on_body ? c->ask.on_body(c->ask.arg, bytes, n) : 0;
	return c->rc < 0 ? 0 : n;
}

int httpc_call_error(const struct lnx_http_call *c, CURLcode code)
{
	if (c->rc < 0)
		return c->rc;
	switch ((int)code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	default:
		return -EPROTO;
	}
}

/* ---- making one */

static int call_check(const struct lnx_http_ask *ask)
{
	const char *const *h;
	unsigned n = 0;

	if (!ask->url || !ask->on_done || strnlen(ask->url, URL_BYTES_MAX) == URL_BYTES_MAX)
		return -EINVAL;
	if (strncasecmp(ask->url, "http://", 7) != 0 && strncasecmp(ask->url, "https://", 8) != 0)
		return -EINVAL;
	if (ask->url[strcspn(ask->url, "\r\n \t")])
		return -EINVAL;
	for (h = ask->headers; h && *h; h++)
		if (++n > HEADERS_MAX || (*h)[strcspn(*h, "\r\n")] || !strchr(*h, ':'))
			return -EINVAL;
	if (ask->method &&
	    (!*ask->method || ask->method[strspn(ask->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]))
		return -EINVAL;
	return 0;
}

static int call_headers(struct lnx_http_call *c, const char *const *from)
{
	struct curl_slist *list;

	for (; from && *from; from++) {
		list = c->h->curl.slist_append(c->headers, *from);
		if (!list)
			return -ENOMEM;
		c->headers = list;
	}
	return 0;
}

/* libcurl copies every text but the body. Answers of setopt are summed: all options are known since
 * HTTPC_CURL_OLDEST, so a failure is one of memory. */
static int call_options(struct lnx_http_call *c, const struct lnx_http_ask *ask)
{
	CURLcode (*set)(CURL *, CURLoption, ...) = c->h->curl.easy_setopt;
	CURL *e = c->easy;
	unsigned bad = 0;

	bad |= set(e, CURLOPT_URL, ask->url);
	bad |= set(e, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= set(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= set(e, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= set(e, CURLOPT_PROXY, "");
	bad |= set(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	bad |= set(e, CURLOPT_NOSIGNAL, 1L);
	bad |= set(e, CURLOPT_QUICK_EXIT, 1L); /* a name that is looked up holds nobody up */
	bad |= set(e, CURLOPT_SSL_VERIFYPEER, 1L);
	bad |= set(e, CURLOPT_SSL_VERIFYHOST, 2L);
	bad |= set(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (ask->ca_file && *ask->ca_file) {
		bad |= set(e, CURLOPT_CAINFO, ask->ca_file);
		/* else the system's count, too; fails only where there are no paths */
		(void)set(e, CURLOPT_CAPATH, NULL);
	}
	if (c->is_plain || ask->flags & LNX_HTTPC_LOOPBACK)
		bad |= set(e, CURLOPT_FRESH_CONNECT, 1L); /* call_socket sees every address */
	bad |= set(e, CURLOPT_TCP_KEEPALIVE, 1L);
	bad |= set(e, CURLOPT_TCP_KEEPIDLE, KEEP_IDLE_S);
	bad |= set(e, CURLOPT_TCP_KEEPINTVL, KEEP_BETWEEN_S);
	bad |= set(e, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	bad |= set(e, CURLOPT_CONNECTTIMEOUT_MS,
		   ask->connect_timeout_ns ? (long)(ask->connect_timeout_ns / MS) : CONNECT_MS);
	bad |= set(e, CURLOPT_TIMEOUT_MS, (long)(ask->total_timeout_ns / MS));
	bad |= set(e, CURLOPT_ERRORBUFFER, c->why);
	bad |= set(e, CURLOPT_PRIVATE, (void *)c);
	bad |= set(e, CURLOPT_HEADERFUNCTION, call_header);
	bad |= set(e, CURLOPT_HEADERDATA, (void *)c);
	bad |= set(e, CURLOPT_WRITEFUNCTION, call_body);
	bad |= set(e, CURLOPT_WRITEDATA, (void *)c);
	bad |= set(e, CURLOPT_OPENSOCKETFUNCTION, call_socket);
	bad |= set(e, CURLOPT_OPENSOCKETDATA, (void *)c);
	if (c->body) {
		bad |= set(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body_bytes);
		bad |= set(e, CURLOPT_POSTFIELDS, c->body);
	}
	if (ask->method)
		bad |= set(e, CURLOPT_CUSTOMREQUEST, ask->method);
	bad |= set(e, CURLOPT_HTTPHEADER, c->headers);
	return bad ? -ENOMEM : 0;
}

static void call_idle(void *arg)
{
	struct lnx_http_call *c = arg;
	uint64_t since = c->h->host->now_ns(c->h->ctx) - c->moved_ns;
	char why[96];

	if (since < c->ask.idle_timeout_ns) {
		(void)c->h->host->timer_set(c->h->ctx, c->idle, c->ask.idle_timeout_ns - since,
					    0); /* an existing timer can be set */
		return;
	}
	(void)snprintf(why, sizeof(why), "no byte came for %llu s",
		       (unsigned long long)(c->ask.idle_timeout_ns / 1000000000u)); /* fits */
	httpc_finish(c, -ETIMEDOUT, why);
}

void httpc_call_free(struct lnx_http_call *c)
{
	if (!c)
		return;
	c->h->host->timer_del(c->h->ctx, c->idle);
	if (c->easy)
		c->h->curl.easy_cleanup(c->easy);
	c->h->curl.slist_free_all(c->headers);
	free(c->body);
	free(c);
}

int httpc_call_new(struct httpc *h, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	int rc = call_check(ask);
	struct lnx_http_call *c;

	if (rc < 0)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->h = h;
	memcpy(&c->ask, ask, ask->size < sizeof(c->ask) ? ask->size : sizeof(c->ask));
	c->is_plain = !strncasecmp(ask->url, "http://", 7);
	c->moved_ns = h->host->now_ns(h->ctx);
	c->easy = h->curl.easy_init();
	if (c->easy && ask->body) {
		c->body = malloc(ask->body_bytes + 1);
		if (c->body)
			memcpy(c->body, ask->body, ask->body_bytes);
	}
	rc = c->easy && (c->body || !ask->body) ? call_headers(c, ask->headers) : -ENOMEM;
	if (rc == 0)
		rc = call_options(c, ask);
	if (rc == 0 && ask->idle_timeout_ns)
		rc = h->host->timer_add(h->ctx, ask->idle_timeout_ns, 0, call_idle, c, &c->idle);
	if (rc < 0) {
		httpc_call_free(c);
		return rc;
	}
	*ret_call = c;
	return 0;
}
