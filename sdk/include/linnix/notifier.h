/* SPDX-License-Identifier: MIT */
/* What notifiers do alike: a channel at "notify/1", a token, a URL. Header only. */
#ifndef LINNIX_NOTIFIER_H
#define LINNIX_NOTIFIER_H

#include <linnix/host.h>
#include <linnix/secret.h>
#include <linnix/svc_notify.h>

struct lnx_notifier {
	const struct lnx_host *host; /* these two are set before the first call */
	struct lnx_ctx *ctx;
	const struct lnx_svc_notify *svc;
	void *self;
	struct lnx_channel *channel; /* NULL: not open */
};

/* In start(), once everything else is known to be right. 0 or -errno. */
static inline int lnx_notifier_open(struct lnx_notifier *n, const struct lnx_channel_desc *desc)
{
	const void *vtable;
	int rc = n->host->service(n->ctx, "notify/1", &vtable, &n->self);

	if (rc < 0)
		return rc;
	n->svc = (const struct lnx_svc_notify *)vtable;
	return n->svc->open(n->self, n->host->instance(n->ctx), desc, &n->channel);
}

/* In reload(). */
static inline int lnx_notifier_set(struct lnx_notifier *n, const struct lnx_channel_desc *desc)
{
	return n->svc->set(n->self, n->channel, desc);
}

/* In stop(). */
static inline void lnx_notifier_close(struct lnx_notifier *n)
{
	n->svc->close(n->self, n->channel);
	n->channel = NULL;
}

/* Header Authorization with the token in <file>; "": none is sent. 0, or -errno with the reason in <why>. */
static inline int lnx_notifier_token(const char *file, struct lnx_buf *headers, char *why,
				     size_t cap)
{
	char token[LNX_SECRET_MAX];
	int rc = 0;

	if (*file)
		rc = lnx_secret_read(file, token, why, cap);
	if (*file && rc == 0)
		lnx_buf_printf(headers, "Authorization: Bearer %s\n", token);
	explicit_bzero(token, sizeof(token));
	return rc;
}

/* What keeps <url> from being one that can be asked, as "it has no host"; NULL: nothing. */
static inline const char *lnx_notifier_url_fault(const char *url)
{
	const char *host, *port, *p;
	size_t n;

	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return "must be http:// or https://";
	for (p = url; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f ||
		    strchr("\"<>\\^`{|}", *p))
			return "has a character that must be written as %XX";
	host = strstr(url, "://") + 3;
	n = strcspn(host, "/?#");
	for (p = host; p < host + n; p++) /* whom to ask stands behind the last @ */
		if (*p == '@') {
			n -= (size_t)(p + 1 - host);
			host = p + 1;
		}
	port = (const char *)memchr(host, *host == '[' ? ']' : ':', n);
	if (*host == '[' && port)
		port++;
	if (!n || *host == ':' || (*host == '[' && (!port || (port < host + n && *port != ':'))))
		return "has no host";
	for (p = port ? port + 1 : host + n; p < host + n; p++)
		if (*p < '0' || *p > '9' || p - port > 5)
			return "has a port that is no number";
	return NULL;
}

/* For lnx_plugin.check: <url> of key "url" is one. */
static inline void lnx_notifier_check_url(const char *url,
					  void (*say)(void *arg, const char *key, const char *text),
					  void *arg)
{
	const char *fault = lnx_notifier_url_fault(url);
	char text[160];

	if (!fault)
		return;
	(void)snprintf(text, sizeof(text), "'%.80s' %s", url, fault); /* fits */
	say(arg, "url", text);
}

#endif
