/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Canonical JSON (RFC 8785) of whole numbers and strings, and reading JSON from elsewhere. */
#ifndef LNX_SETTLE_JCS_H
#define LNX_SETTLE_JCS_H

#include <jansson.h>
#include <linnix/buf.h>

#define JCS_INTEGER_MAX 9007199254740991 /* 2^53 - 1: larger ones are written as strings */
#define JCS_WHY		160

/* Append <value>. 0; -EINVAL: a number that is not whole or too large; -ENOMEM, -ENOSPC. */
int jcs_write(struct lnx_buf *out, const json_t *value);
/* Append one string; what is not UTF-8 becomes U+FFFD. Errors stick in <out>. */
void jcs_string(struct lnx_buf *out, const char *s, size_t n);

/* One JSON object and nothing behind it: no key twice, no NUL byte, no float, at most <max> bytes. 0, or -EBADMSG with
 * <why>. */
int jcs_read(const char *text, size_t n, size_t max, json_t **ret, char why[JCS_WHY]);
/* As jcs_read, and the bytes are canonical: written again they are the same. */
int jcs_read_canonical(const char *text, size_t n, size_t max, json_t **ret, char why[JCS_WHY]);

#endif
