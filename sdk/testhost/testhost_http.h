/* SPDX-License-Identifier: MIT */
/* Requests to the routes that a plugin adds: a small service http/1 in place of the agent's, without streams. */
#ifndef LINNIX_TESTHOST_HTTP_H
#define LINNIX_TESTHOST_HTTP_H

#include "testhost.h"
#include <linnix/svc_http.h>

struct testhost_request {
	/* "name=value" each, NULL at the end; NULL: none. Parameters: of the query, and those of the path. */
	const char *const *params, *const *headers;
	const char *body; /* NULL: "" */
};

struct testhost_answer {
	uint32_t status;
	const char *code;    /* of an error; "": it is none */
	const char *body;    /* of an error its message */
	const char *type;    /* of the content */
	const char *headers; /* a line "name: value" each */
};

/* Provide it: before load. 0 or -ENOMEM. testhost_fail knows "route". */
int testhost_http(struct testhost *t);
/* "GET /processes/{pid}" as the plugin added it. NULL: it did not. */
const struct lnx_http_route *testhost_route(struct testhost *t, const char *route);
/* Ask it; <request> may be NULL. What the route does not name in its query is a 400, as in the agent. NULL: there is no such
 * route, or it did not answer just once. Borrowed until the next one. */
const struct testhost_answer *testhost_ask(struct testhost *t, const char *route,
					   const struct testhost_request *request);

#endif
