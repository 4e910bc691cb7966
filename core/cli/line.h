/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One event as one line for people; one server-sent event after the other out of a stream of bytes. */
#ifndef LNX_CLI_LINE_H
#define LNX_CLI_LINE_H

#include <jansson.h>
#include <linnix/buf.h>
#include <stdint.h>

struct lnx_cli;

/* Append "12:00:00.123 proc.exec pid=12 comm=sh …" without a newline. Times are local. */
void lnx_event_line(const struct lnx_cli *cli, struct lnx_buf *out, const json_t *event);

#define LNX_SSE_MAX_BYTES (256u << 10) /* of one event; a longer one is left out and counted */

/* Parser of text/event-stream. Init with zeroes. */
struct lnx_sse {
	struct lnx_buf line, data;
	char id[32], event[64];
	char last_id[32]; /* of the last complete event, "" if none */
	uint64_t n_too_long;
	unsigned is_too_long, is_after_cr;
	/* A complete event. Returning non-zero stops. */
	int (*on_event)(void *arg, const char *event, const char *id, const char *data, size_t n);
	void *arg;
};

/* Returns 0, or what on_event returned. */
int lnx_sse_feed(struct lnx_sse *s, const char *bytes, size_t n);
/* A new connection: what was half read is dropped, last_id stays. */
void lnx_sse_restart(struct lnx_sse *s);
void lnx_sse_done(struct lnx_sse *s);

#endif
