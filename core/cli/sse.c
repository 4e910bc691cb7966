/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html, the parts a reader needs. */
#include <stdbool.h>

#include "cli/line.h"

static void sse_reset(struct lnx_sse *s)
{
	lnx_buf_reset(&s->data);
	s->event[0] = 0;
	s->id[0] = 0;
}

static int sse_dispatch(struct lnx_sse *s)
{
	bool is_whole = !s->is_too_long && !lnx_buf_error(&s->data) && s->data.size;
	int rc = 0;

	if (s->is_too_long || lnx_buf_error(&s->data))
		s->n_too_long++;
	if (s->id[0])
		memcpy(s->last_id, s->id, sizeof(s->last_id));
	if (is_whole)
		rc = s->on_event(s->arg, s->event[0] ? s->event : "message", s->id, s->data.data,
				 s->data.size - 1);
	s->is_too_long = 0;
	sse_reset(s);
	return rc;
}

static void sse_field(struct lnx_sse *s, const char *name, size_t n_name, const char *value,
		      size_t n)
{
	if (n_name == 4 && memcmp(name, "data", 4) == 0) {
		lnx_buf_add(&s->data, value, n);
		lnx_buf_char(&s->data, '\n');
	} else if (n_name == 5 && memcmp(name, "event", 5) == 0 && n < sizeof(s->event)) {
		memcpy(s->event, value, n);
		s->event[n] = 0;
	} else if (n_name == 2 && memcmp(name, "id", 2) == 0 && n < sizeof(s->id) &&
		   strspn(value, "0123456789") >= n) {
		memcpy(s->id, value, n);
		s->id[n] = 0;
	}
}

static int sse_line(struct lnx_sse *s)
{
	const char *line = s->line.size ? s->line.data : "", *colon;
	size_t n = s->line.size, n_name, skip;
	int rc = 0;

	if (lnx_buf_error(&s->line)) {
		s->is_too_long = 1;
	} else if (n == 0) {
		rc = sse_dispatch(s);
	} else if (line[0] != ':') {
		colon = memchr(line, ':', n);
		n_name = colon ? (size_t)(colon - line) : n;
		skip = colon ? n_name + 1 : n;
		if (skip < n && line[skip] == ' ')
			skip++;
		sse_field(s, line, n_name, line + skip, n - skip);
	}
	lnx_buf_reset(&s->line);
	return rc;
}

int lnx_sse_feed(struct lnx_sse *s, const char *bytes, size_t n)
{
	int rc = 0;
	size_t k;

	s->line.max = s->data.max = LNX_SSE_MAX_BYTES;
	for (size_t i = 0; i < n && rc == 0; i += k) {
		k = 0;
		while (i + k < n && bytes[i + k] != '\n' && bytes[i + k] != '\r')
			k++;
		lnx_buf_add(&s->line, bytes + i, k);
		if (k)
			s->is_after_cr = 0;
		if (i + k == n)
			break;
		/* "\r\n" is one end of line */
		if (bytes[i + k] == '\n' && s->is_after_cr)
			s->is_after_cr = 0;
		else {
			s->is_after_cr = bytes[i + k] == '\r';
			rc = sse_line(s);
		}
		k++;
	}
	return rc;
}

void lnx_sse_restart(struct lnx_sse *s)
{
	lnx_buf_reset(&s->line);
	s->is_too_long = s->is_after_cr = 0;
	sse_reset(s);
}

void lnx_sse_done(struct lnx_sse *s)
{
	lnx_buf_done(&s->line);
	lnx_buf_done(&s->data);
}
