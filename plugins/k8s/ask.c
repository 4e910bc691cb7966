/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests to the API server: where it is, who we are, what we ask for. Only pods, only of this node. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "k8s.h"

#define SECOND	    1000000000ull
#define LIST_S	    60
#define LIST_IDLE_S 30
#define WATCH_S \
	240 /* and up to as much again: the server ends it, not at the same time for all nodes */
#define WATCH_FIRST_S \
	75 /* likewise of the first, which tells whether this server sends bookmarks: one a minute */
#define WATCH_IDLE    90  /* seconds over the whole in which a dead connection is noticed */
#define WATCH_QUIET_S 150 /* the same where bookmarks come: two and a half are missing */

bool k8s_find_api(struct k8s *k)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"),
		   *port = getenv("KUBERNETES_SERVICE_PORT");
	size_t n;

	if (*k->conf->api_url) {
		n = strlen(k->conf->api_url);
		while (n && k->conf->api_url[n - 1] == '/')
			n--;
		(void)snprintf(k->base_url, sizeof(k->base_url), "%.*s", (int)n,
			       k->conf->api_url); /* too long: no such host */
		return true;
	}
	if (!host || !*host)
		return false;
	(void)snprintf(k->base_url, sizeof(k->base_url),
		       strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
		       port && *port ? port : "443"); /* likewise */
	return true;
}

/* The token is read before every request: it is changed about once an hour. Returns 0, -ENOENT (there is none), -errno. */
static int read_token(struct k8s *k, char *ret_header, size_t cap)
{
	static const char head[] = "Authorization: Bearer ";
	int fd = open(k->conf->token_file, O_RDONLY | O_CLOEXEC);
	size_t n = sizeof(head) - 1;
	ssize_t got;

	if (fd < 0)
		return -errno;
	memcpy(ret_header, head, n);
	got = read(fd, ret_header + n, cap - n - 1);
	(void)close(fd); /* read only */
	if (got < 0)
		return -EIO;
	n += (size_t)got;
	while (n && strchr(" \r\n\t", ret_header[n - 1]))
		n--;
	ret_header[n] = 0;
	if (n == sizeof(head) - 2 || ret_header[strcspn(ret_header, "\r\n")])
		return -EINVAL;
	return 0;
}

/* For a query: what is not plain becomes %XX. */
static void escape(const char *from, char *ret, size_t cap)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *from && n + 4 < cap; from++) {
		unsigned char c = (unsigned char)*from;

		if (strchr("-._", c) || (c >= '0' && c <= '9') ||
		    ((c | 32) >= 'a' && (c | 32) <= 'z')) {
			ret[n++] = (char)c;
		} else {
			ret[n++] = '%';
			ret[n++] = hex[c >> 4];
			ret[n++] = hex[c & 15];
		}
	}
	ret[n] = 0;
}

/* From the server's cache for a list, from where the last answer ended for a watch. Returns the seconds of a watch. */
static unsigned make_url(struct k8s *k)
{
	char node[3 * sizeof(k->node)], version[3 * sizeof(k->version)];
	unsigned least = k->has_watched ? WATCH_S : WATCH_FIRST_S;
	unsigned watch_s = least + (unsigned)(k->random >> 33) % least;

	escape(k->node, node, sizeof(node));
	escape(k->version, version, sizeof(version));
	if (k->is_watch)
		(void)snprintf(
			k->url, sizeof(k->url),
			"%s/api/v1/pods?watch=1&allowWatchBookmarks=true&fieldSelector=spec.nodeName%%3D%s"
			"&resourceVersion=%s&timeoutSeconds=%u",
			k->base_url, node, version, watch_s); /* fits */
	else
		(void)snprintf(k->url, sizeof(k->url),
			       "%s/api/v1/pods?fieldSelector=spec.nodeName%%3D%s%s", k->base_url,
			       node, k->is_from_etcd ? "" : "&resourceVersion=0"); /* fits */
	return watch_s;
}

int k8s_ask(struct k8s *k, const struct lnx_http_ask *callbacks)
{
	const char *headers[] = { "Accept: application/json", k->token, NULL };
	struct lnx_http_ask ask = *callbacks;
	unsigned watch_s = make_url(k);
	int rc = read_token(k, k->token, sizeof(k->token));

	if (rc == -ENOENT && *k->conf->api_url) {
		headers[1] = NULL; /* a proxy that knows who we are */
	} else if (rc < 0) {
		(void)snprintf(k->message, sizeof(k->message),
			       "the token %.160s cannot be read: %s", k->conf->token_file,
			       rc == -EINVAL ? "it is empty or no token"
					     : strerror(-rc)); /* for people */
		return rc;
	}
	ask.url = k->url;
	ask.headers = headers;
	if (access(k->conf->ca_file, R_OK) == 0 || !*k->conf->api_url)
		ask.ca_file = k->conf->ca_file; /* else the system's */
	ask.max_body_bytes = UINT64_MAX; /* one object at a time is held, and that is bounded */
	ask.total_timeout_ns = k->is_watch ? 0 : LIST_S * SECOND;
	ask.idle_timeout_ns = SECOND * (!k->is_watch	   ? LIST_IDLE_S
					: k->has_bookmarks ? WATCH_QUIET_S
							   : watch_s + WATCH_IDLE);
	rc = k->http->start(k->http_self, &ask, &k->call);
	explicit_bzero(k->token, sizeof(k->token));
	if (rc < 0)
		(void)snprintf(k->message, sizeof(k->message), "%.160s cannot be asked: %s",
			       k->base_url, strerror(-rc)); /* for people */
	return rc;
}
