/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The writer is the SDK's; the reader is held against it. */
#include "stamp.h"

#include <errno.h>
#include <linnix/buf.h>
#include <string.h>
#include <time.h>

#define SECOND_NS   1000000000u
#define SECONDS_MAX 17000000000 /* in the year 2508: sums with a skew stay below 2^64 ns */

void stamp_format(uint64_t ns, char ret[STAMP_TEXT])
{
	struct lnx_buf b = { 0 };

	lnx_json_ts(&b, ns);
	memset(ret, 0, STAMP_TEXT);
	if (!lnx_buf_error(&b) && b.size == STAMP_TEXT + 1)
		memcpy(ret, b.data + 1, STAMP_TEXT - 1); /* without its quotes */
	lnx_buf_done(&b);
}

int stamp_parse(const char *text, uint64_t *ret_ns)
{
	char again[STAMP_TEXT];
	struct tm tm = { 0 };
	const char *rest;
	uint64_t ns = 0;
	time_t seconds;

	if (strlen(text) != STAMP_TEXT - 1)
		return -EINVAL;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || rest != text + 19)
		return -EINVAL;
	for (rest++; *rest >= '0' && *rest <= '9'; rest++)
		ns = 10 * ns + (uint64_t)(*rest - '0');
	seconds = timegm(&tm);
	if (seconds < 0 || seconds > SECONDS_MAX)
		return -EINVAL;
	ns += (uint64_t)seconds * SECOND_NS;
	stamp_format(ns, again);
	if (strcmp(text, again) != 0)
		return -EINVAL;
	*ret_ns = ns;
	return 0;
}
