/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who may ask for what. Reading needs the read token where one is configured; changing anything needs the admin token or
 * a trusted peer of the unix socket, and proof that no web page of another origin asked. */
#include "http_req.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static bool http_token_given(struct lnx_http_req *req, const struct http_token *want)
{
	const char *header = http_header(req, MHD_HTTP_HEADER_AUTHORIZATION), *token;
	size_t n;

	if (!want->bytes || !header || http_bearer_parse(header, &token, &n) < 0)
		return false;
	return http_token_equal(token, n, want->text, want->bytes);
}

int http_auth_host(struct lnx_http_req *req)
{
	const char *host = http_header(req, MHD_HTTP_HEADER_HOST);

	/* A page that rebinds its name to 127.0.0.1 cannot reach a unix socket. HTTP/1.0 may come without the header. */
	if (!host || req->conn->listener->kind == HTTP_KIND_UNIX)
		return 0;
	if (http_host_check(host, req->http->conf->allowed_hosts) == 0)
		return 0;
	(void)http_error(req, MHD_HTTP_FORBIDDEN, "host_not_allowed",
			 "the Host header is neither localhost nor an IP address: add the name to "
			 "http.allowed_hosts");
	return -EACCES;
}

static int http_auth_read(struct lnx_http_req *req)
{
	struct http *s = req->http;
	unsigned given;

	if (req->conn->listener->kind != HTTP_KIND_TCP || !s->token.bytes)
		return 0;
	/* both are compared always, so that the time tells nothing */
	given = (unsigned)http_token_given(req, &s->token);
	given += (unsigned)http_token_given(req, &s->admin_token);
	if (given)
		return 0;
	(void)http_set_header(req, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"linnix\"");
	(void)http_error(req, MHD_HTTP_UNAUTHORIZED, "unauthorized",
			 "%s: send Authorization: Bearer with the token of http.token_file",
			 http_header(req, MHD_HTTP_HEADER_AUTHORIZATION) ? "wrong token"
									 : "token missing");
	return -EACCES;
}

static int http_auth_admin(struct lnx_http_req *req)
{
	struct http *s = req->http;

	if (req->conn->is_trusted || http_token_given(req, &s->admin_token))
		return 0;
	(void)http_error(req, MHD_HTTP_FORBIDDEN, "forbidden", "%s",
			 s->admin_token.bytes
				 ? "this needs Authorization: Bearer with the token of "
				   "http.admin_token_file, or root on the unix socket"
				 : "no http.admin_token_file is configured: only root and the "
				   "agent's own user may do this, on the unix socket");
	return -EACCES;
}

/* What a browser cannot be made to send from another site without asking first. */
static int http_auth_origin(struct lnx_http_req *req)
{
	const char *origin = http_header(req, MHD_HTTP_HEADER_ORIGIN);

	if (origin && http_origin_check(origin, http_header(req, MHD_HTTP_HEADER_HOST),
					req->conn->listener->is_tls) < 0) {
		(void)http_error(req, MHD_HTTP_FORBIDDEN, "cross_origin",
				 "the Origin header is not this server");
		return -EACCES;
	}
	if (!http_is_json(http_header(req, MHD_HTTP_HEADER_CONTENT_TYPE))) {
		(void)http_error(req, MHD_HTTP_FORBIDDEN, "content_type",
				 "send Content-Type: application/json");
		return -EACCES;
	}
	return 0;
}

int http_auth_check(struct lnx_http_req *req)
{
	uint32_t flags = req->route ? req->route->desc->flags : 0;
	int rc;

	if (flags & (LNX_HTTP_OPEN | LNX_HTTP_SELF_AUTH))
		return 0;
	if (!req->route ||
	    !((flags & LNX_HTTP_ADMIN) || !strcmp(req->route->desc->method, MHD_HTTP_METHOD_POST)))
		return http_auth_read(req);
	rc = http_auth_admin(req);
	return rc < 0 || strcmp(req->method, MHD_HTTP_METHOD_POST) != 0 ? rc
									: http_auth_origin(req);
}

void http_peer_tell(struct lnx_http_req *req, char *buf, uint32_t cap)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *addr = info ? info->client_addr : NULL;
	const char *right = http_token_given(req, &req->http->admin_token) ? "admin token"
			    : http_token_given(req, &req->http->token)	   ? "read token"
									   : "nobody";
	char name[64] = "?";

	if (req->conn->listener->kind == HTTP_KIND_UNIX) {
		(void)snprintf(buf, cap, "uid %u (unix socket)", req->conn->uid); /* cut is fine */
		return;
	}
	if (addr)
		(void)getnameinfo(addr,
				  addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							      : sizeof(struct sockaddr_in),
				  name, sizeof(name), NULL, 0, NI_NUMERICHOST); /* else "?" */
	(void)snprintf(buf, cap, "%s (%s)", right, name);			/* likewise */
}
