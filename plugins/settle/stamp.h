/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Times of receipts: RFC 3339 in UTC with nanoseconds, one way to write each. */
#ifndef LNX_SETTLE_STAMP_H
#define LNX_SETTLE_STAMP_H

#include <stdint.h>

#define STAMP_TEXT 31 /* "2026-01-02T03:04:05.123456789Z" */

/* Unix time. */
void stamp_format(uint64_t ns, char ret[STAMP_TEXT]);
/* 0 or -EINVAL: not the text that stamp_format writes for any time. */
int stamp_parse(const char *text, uint64_t *ret_ns);

#endif
