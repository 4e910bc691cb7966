/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests to the agent. libcurl speaks HTTP, TLS and unix sockets; what is bounded here: time, size, protocols. */
#include "cli/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/text.h"

#define CLIENT_CONNECT_MS 2000L
#define CLIENT_TOTAL_MS	  15000L
#define CLIENT_IDLE_S	  45L /* three heartbeats of the stream */

struct lnx_client {
	CURL *curl;
	struct curl_slist *headers;
	char *socket; /* unix socket to try first, or NULL */
	char *base; /* "http://127.0.0.1:3000", without a slash at the end; NULL: only the socket */
	bool is_socket_tried, is_on_socket;
	char target[512];
	char error[CURL_ERROR_SIZE];
	char said[2048];
};

/* What a call collects. */
struct client_call {
	struct lnx_client *client;
	struct lnx_reply *reply;
	int (*each)(void *arg, const char *bytes, size_t n);
	void *arg;
	bool is_stopped;
	const char *body; /* of a POST; NULL: GET */
};

static size_t client_on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct client_call *call = arg;
	long status = 0;

	n *= size;
	(void)curl_easy_getinfo(call->client->curl, CURLINFO_RESPONSE_CODE,
				&status); /* stays 0: collected below */
	if (call->each && status == 200) {
		if (call->each(call->arg, bytes, n) != 0) {
			call->is_stopped = true;
			return 0;
		}
		return n;
	}
	lnx_buf_add(&call->reply->body, bytes, n);
	return lnx_buf_error(&call->reply->body) ? 0 : n;
}

static size_t client_on_header(char *bytes, size_t size, size_t n, void *arg)
{
	static const char name[] = "x-linnix-degraded:";
	struct client_call *call = arg;
	size_t len = n * size, at = sizeof(name) - 1;

	if (len > at && strncasecmp(bytes, name, at) == 0) {
		while (at < len && bytes[at] == ' ')
			at++;
		while (len > at && strchr("\r\n ", bytes[len - 1]))
			len--;
		(void)snprintf(call->reply->degraded, sizeof(call->reply->degraded), "%.*s",
			       (int)(len - at), bytes + at); /* a longer list is cut */
	}
	return n * size;
}

/* Known to be this machine without asking anybody. */
static bool client_is_loopback(const char *base)
{
	CURLU *url = curl_url();
	struct in_addr v4;
	char *host = NULL;
	bool is = url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
		   (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127));

	curl_free(host);
	curl_url_cleanup(url);
	return is;
}

/* The base of a listen address: where all interfaces are meant, loopback is asked. */
static int client_base_of_listen(const char *listen, char **ret_base)
{
	const char *port = strrchr(listen, ':');
	int n;

	if (port && (port == listen || strncmp(listen, "0.0.0.0:", 8) == 0 ||
		     strncmp(listen, "[::]:", 5) == 0))
		n = asprintf(ret_base, "http://127.0.0.1%s", port);
	else
		n = asprintf(ret_base, "http://%s", listen);
	return n < 0 ? -ENOMEM : 0;
}

static int client_locate(struct lnx_client *c, const struct lnx_cli *cli)
{
	const char *socket = getenv("LINNIX_HTTP_SOCKET"), *listen = getenv("LINNIX_HTTP_LISTEN");
	size_t n;

	if (!cli->url) {
		c->socket = strdup(socket && *socket ? socket : LNX_CLIENT_SOCKET);
		if (!c->socket)
			return -ENOMEM;
		return client_base_of_listen(listen && *listen ? listen : LNX_CLIENT_LISTEN,
					     &c->base);
	}
	if (strncmp(cli->url, "unix:", 5) == 0) {
		socket = cli->url + 5;
		if (strncmp(socket, "//", 2) == 0)
			socket += 2;
		if (*socket != '/')
			return -EINVAL;
		c->socket = strdup(socket);
		return c->socket ? 0 : -ENOMEM;
	}
	if (strncmp(cli->url, "http://", 7) != 0 && strncmp(cli->url, "https://", 8) != 0)
		return -EINVAL;
	n = strlen(cli->url);
	while (n && cli->url[n - 1] == '/')
		n--;
	c->base = strndup(cli->url, n);
	return c->base ? 0 : -ENOMEM;
}

static int client_header(struct lnx_client *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->headers, line);

	if (!more)
		return -ENOMEM;
	c->headers = more;
	return 0;
}

static int client_auth(struct lnx_client *c, const struct lnx_cli *cli)
{
	char *line = NULL;
	int rc;

	if (!cli->token)
		return 0;
	if (c->base && strncmp(c->base, "http://", 7) == 0 && !client_is_loopback(c->base))
		lnx_cli_say("warning: the token goes to %s unencrypted", c->base);
	if (asprintf(&line, "Authorization: Bearer %s", cli->token) < 0)
		return -ENOMEM;
	rc = client_header(c, line);
	explicit_bzero(line, strlen(line));
	free(line);
	return rc;
}

int lnx_client_new(const struct lnx_cli *cli, struct lnx_client **ret_client)
{
	struct lnx_client *c = calloc(1, sizeof(*c));
	int rc = c ? client_locate(c, cli) : -ENOMEM;

	if (rc == 0) {
		c->curl = curl_easy_init();
		rc = c->curl ? client_auth(c, cli) : -ENOMEM;
	}
	if (rc == 0 && cli->ca_file) {
		if (curl_easy_setopt(c->curl, CURLOPT_CAINFO, cli->ca_file) != CURLE_OK)
			rc = -ENOMEM;
		/* else the system's authorities count, too; fails only where there are no paths */
		(void)curl_easy_setopt(c->curl, CURLOPT_CAPATH, NULL);
	}
	if (rc < 0) {
		if (rc == -EINVAL)
			lnx_cli_say(
				"bad URL '%s': http://HOST:PORT, https://HOST:PORT or unix:/PATH",
				cli->url);
		else
			lnx_cli_say("%s", strerror(-rc));
		lnx_client_free(c);
		return rc;
	}
	*ret_client = c;
	return 0;
}

void lnx_client_free(struct lnx_client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->headers);
	free(c->socket);
	free(c->base);
	free(c);
}

static void client_options(struct lnx_client *c, struct client_call *call, const char *url)
{
	/* The return values tell only of options unknown to the library or of memory: perform fails then, too. */
	(void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
	if (call->body)
		(void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, call->body);
	else
		(void)curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	(void)curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH,
			       c->is_on_socket ? c->socket : NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_PROXY,
			       c->is_on_socket || client_is_loopback(c->base) ? "" : NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "linnix/" LNX_VERSION);
	(void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	(void)curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CLIENT_CONNECT_MS);
	(void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, call->each ? 0L : CLIENT_TOTAL_MS);
	(void)curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, call->each ? 1L : 0L);
	(void)curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, call->each ? CLIENT_IDLE_S : 0L);
	(void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, client_on_body);
	(void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, call);
	(void)curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, client_on_header);
	(void)curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, call);
}

static int client_errno(const struct lnx_client *c, CURLcode code, const struct client_call *call)
{
	switch ((int)code) {
	case CURLE_OK:
		return call->each ? -EPIPE : 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return call->each ? -EPIPE : -ETIMEDOUT;
	case CURLE_WRITE_ERROR:
		return call->is_stopped ? 0 : -EFBIG;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return call->each ? -EPIPE : -EPROTO;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		(void)c;
		return -EPROTO;
	}
}

/* libcurl tells of a host and a port, which a unix socket has not. */
static const char *client_socket_why(const char *path)
{
	if (access(path, W_OK) == 0)
		return "nobody listens";
	return errno == EACCES ? "permission denied (root and group linnix may)" : strerror(errno);
}

/* One try at the socket or at the base. */
static int client_try(struct lnx_client *c, struct client_call *call, const char *path,
		      struct curl_slist *headers)
{
	char *url = NULL;
	CURLcode code;
	int rc;

	if (asprintf(&url, "%s%s", c->is_on_socket ? "http://localhost" : c->base, path) < 0)
		return -ENOMEM;
	(void)snprintf(c->target, sizeof(c->target), "%s%s", c->is_on_socket ? "unix:" : "",
		       c->is_on_socket ? c->socket : c->base); /* for messages: may be cut */
	lnx_buf_reset(&call->reply->body);
	call->reply->body.max = LNX_CLIENT_MAX_BYTES;
	call->reply->degraded[0] = 0;
	c->error[0] = 0;
	client_options(c, call, url);
	(void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(c->curl);
	free(url);
	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &call->reply->status);
	rc = client_errno(c, code, call);
	if (call->each && call->reply->status != 0 && call->reply->status != 200)
		rc = -EACCES;
	if (rc == -ECONNREFUSED && c->is_on_socket)
		(void)snprintf(c->said, sizeof(c->said), "%s: %s", c->target,
			       client_socket_why(c->socket));
	else if (rc < 0 && rc != -EACCES)
		(void)snprintf(c->said, sizeof(c->said), "%s: %s", c->target,
			       rc == -ECONNREFUSED || !c->error[0] ? curl_easy_strerror(code)
								   : c->error);
	return rc;
}

static int client_call(struct lnx_client *c, struct client_call *call, const char *path,
		       struct curl_slist *headers)
{
	char first[1000], second[1000];
	int rc;

	memset(call->reply, 0, sizeof(*call->reply));
	if (c->socket && (!c->is_socket_tried || c->is_on_socket || !c->base)) {
		c->is_socket_tried = true;
		c->is_on_socket = true;
		rc = client_try(c, call, path, headers);
		if (rc != -ECONNREFUSED)
			return rc;
		if (!c->base)
			return rc;
		c->is_on_socket = false;
	}
	(void)snprintf(first, sizeof(first), "%.999s", c->said);
	rc = client_try(c, call, path, headers);
	if (rc == -ECONNREFUSED && c->socket) {
		/* Both were asked: both are told. */
		(void)snprintf(second, sizeof(second), "%.999s", c->said);
		(void)snprintf(c->said, sizeof(c->said), "%.900s; %.900s", first, second);
		c->is_socket_tried = false;
	}
	return rc;
}

int lnx_client_get(struct lnx_client *c, const char *path, struct lnx_reply *ret_reply)
{
	struct client_call call = { .client = c, .reply = ret_reply };
	int rc = client_call(c, &call, path, c->headers);

	if (rc < 0)
		lnx_buf_done(&ret_reply->body);
	return rc;
}

/* The usual headers and one more. NULL: no memory. */
static struct curl_slist *client_with(const struct lnx_client *c, const char *line)
{
	struct curl_slist *headers = NULL, *more = NULL;

	for (const struct curl_slist *h = c->headers; h; h = h->next) {
		more = curl_slist_append(headers, h->data);
		if (!more)
			break;
		headers = more;
	}
	if (!c->headers || more)
		more = curl_slist_append(headers, line);
	if (!more)
		curl_slist_free_all(headers);
	return more;
}

int lnx_client_post(struct lnx_client *c, const char *path, const char *body,
		    struct lnx_reply *ret_reply)
{
	struct client_call call = { .client = c, .reply = ret_reply, .body = body };
	struct curl_slist *headers = client_with(c, "Content-Type: application/json");
	int rc = headers ? client_call(c, &call, path, headers) : -ENOMEM;

	curl_slist_free_all(headers);
	if (rc < 0)
		lnx_buf_done(&ret_reply->body);
	return rc;
}

int lnx_client_stream(struct lnx_client *c, const char *path, const char *last_event_id,
		      int (*each)(void *arg, const char *bytes, size_t n), void *arg,
		      struct lnx_reply *ret_reply)
{
	struct client_call call = { .client = c, .reply = ret_reply, .each = each, .arg = arg };
	struct curl_slist *headers = NULL;
	char line[96];
	int rc;

	if (!last_event_id)
		return client_call(c, &call, path, c->headers);
	(void)snprintf(line, sizeof(line), "Last-Event-ID: %s", last_event_id);
	headers = client_with(c, line);
	rc = headers ? client_call(c, &call, path, headers) : -ENOMEM;
	curl_slist_free_all(headers);
	return rc;
}

const char *lnx_client_error(const struct lnx_client *c)
{
	return c->said;
}

const char *lnx_client_target(const struct lnx_client *c)
{
	return c->target;
}
