/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files that the configuration names: tokens, certificate and key. */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HTTP_PEM_MAX   262144 /* bytes */
#define HTTP_TOKEN_LOW 16     /* bytes; a shorter one can be guessed */

/* The whole of a regular file, NUL terminated. -EFBIG: over <max>. */
static int http_file_read(const char *path, size_t max, struct lnx_buf *out, struct stat *ret_st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 0;
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_st) < 0)
		rc = -errno;
	else if (!S_ISREG(ret_st->st_mode))
		rc = -EINVAL;
	while (rc == 0 && (n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0)
			rc = -errno;
		else if (out->size + (size_t)n > max)
			rc = -EFBIG;
		else
			lnx_buf_add(out, chunk, (size_t)n);
	}
	(void)close(fd); /* only read from */
	return rc < 0 ? rc : lnx_buf_error(out);
}

int http_token_load(struct http *s, const char *option, const char *path,
		    struct http_token *ret_token)
{
	struct http_token token = { .bytes = 0 };
	struct lnx_buf text = { .max = 2 * HTTP_TOKEN_MAX };
	struct stat st;
	size_t n, i;
	int rc;

	if (!*path) {
		*ret_token = token;
		return 0;
	}
	rc = http_file_read(path, 2 * HTTP_TOKEN_MAX - 1, &text, &st);
	n = text.size;
	while (rc == 0 && n && strchr(" \t\r\n", text.data[n - 1]))
		n--;
	for (i = 0; rc == 0 && i < n; i++) {
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
			rc = -EINVAL;
	}
	if (rc == 0 && (!n || n > HTTP_TOKEN_MAX))
		rc = -EINVAL;
	if (rc < 0) {
		s->host->log(s->ctx, LNX_ERROR,
			     "%s: %s: %s; it must hold one line of 1 to %d printable characters",
			     option, path, strerror(-rc), HTTP_TOKEN_MAX);
	} else {
		memcpy(token.text, text.data, n);
		token.bytes = n;
		*ret_token = token;
		if (n < HTTP_TOKEN_LOW)
			s->host->log(s->ctx, LNX_WARN,
				     "%s: %s: less than %d characters can be guessed", option, path,
				     HTTP_TOKEN_LOW);
		if (st.st_mode & S_IROTH)
			s->host->log(s->ctx, LNX_WARN, "%s: %s can be read by everyone: chmod o-r",
				     option, path);
	}
	if (text.data)
		explicit_bzero(text.data, text.size);
	lnx_buf_done(&text);
	explicit_bzero(&token, sizeof(token));
	return rc;
}

static int http_pem_load(struct http *s, const char *option, const char *path, char **ret_text)
{
	struct lnx_buf text = { .max = HTTP_PEM_MAX + 1 };
	struct stat st;
	int rc = http_file_read(path, HTTP_PEM_MAX, &text, &st);

	if (rc == 0 && (!text.data || !strstr(text.data, "-----BEGIN ")))
		rc = -EINVAL;
	if (rc < 0) {
		s->host->log(s->ctx, LNX_ERROR, "%s: %s: %s; a PEM file is needed", option, path,
			     strerror(-rc));
		lnx_buf_done(&text);
		return rc;
	}
	*ret_text = text.data;
	return 0;
}

int http_tls_load(struct http *s)
{
	const struct http_conf *c = s->conf;
	int rc;

	if (!*c->tls_cert_file) /* then there is no key either: http_conf_check() */
		return 0;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
		s->host->log(s->ctx, LNX_ERROR, "this libmicrohttpd was built without TLS");
		return -ENOTSUP;
	}
	rc = http_pem_load(s, "tls_cert_file", c->tls_cert_file, &s->tls_cert);
	return rc < 0 ? rc : http_pem_load(s, "tls_key_file", c->tls_key_file, &s->tls_key);
}
