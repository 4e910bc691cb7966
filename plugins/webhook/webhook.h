/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The words of plugin `webhook`. */
#ifndef LNX_WEBHOOK_H
#define LNX_WEBHOOK_H

#include <linnix/host.h>
#include <linnix/svc_notify.h>

/* enum: format */
#define WEBHOOK_LINNIX	    0
#define WEBHOOK_CLOUDEVENTS 1

/* Bodies; errors stick to <out>. */
void webhook_linnix(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
		    int has_evidence, struct lnx_buf *out);
void webhook_cloudevents(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
			 int has_evidence, struct lnx_buf *out);
/* Hex of HMAC-SHA256 over "<unix_s>.<body>". */
void webhook_sign(const char *secret, uint64_t unix_s, const char *body, size_t n, char ret[65]);

#endif
