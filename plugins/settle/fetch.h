/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One HTTP request of the command line, waited for. The agent never uses it: there http_client/1 does. */
#ifndef LNX_SETTLE_FETCH_H
#define LNX_SETTLE_FETCH_H

#include <linnix/buf.h>

#define FETCH_WHY 300

struct fetch_ask {
	const char *url;  /* http:// or https:// */
	const char *body; /* JSON of a POST; NULL: GET */
	size_t max_bytes; /* of the answer */
	long timeout_ms;
};

/* 0 whatever the status is; -ECONNREFUSED: nobody answers; -EFBIG; -ETIMEDOUT; -ENOSYS (no libcurl); -EPROTO, with <why>. The answer
 * is the caller's: lnx_buf_done. What stands behind the host of the URL is not told: keys lie in it. */
int fetch(const struct fetch_ask *ask, long *ret_status, struct lnx_buf *ret_body,
	  char why[FETCH_WHY]);

#endif
