/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `slack` share. */
#ifndef LNX_SLACK_H
#define LNX_SLACK_H

#include <linnix/host.h>
#include <linnix/svc_notify.h>

/* Of Slack's Block Kit; here in bytes, which are never fewer than characters. */
#define SLACK_BLOCKS	   50
#define SLACK_HEADER_BYTES 150
#define SLACK_TEXT_BYTES   3000 /* of a section */
#define SLACK_FIELD_BYTES  2000

/* The message for one incident, or a digest of several. Errors stick to <out>. */
void slack_message(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
		   struct lnx_buf *out);
/* <text> with &, < and > escaped, which is all that Slack reads as markup of links and mentions; at most <max> bytes, cut at
 * a whole character. */
void slack_escape(struct lnx_buf *out, const char *text, size_t max);

#endif
