/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* LINK: plugins/workload/parse.c */
/* Any bytes as cgroup paths, one a line: ids stay within their arrays and hold only what their forms allow. Seeded with
 * recordings. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/workload/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *path, size_t n)
{
	struct workload_ids ids;

	workload_parse(path, &ids);
	if (strlen(ids.container_id) != strspn(ids.container_id, "0123456789abcdef-") ||
	    strlen(ids.pod_uid) != strspn(ids.pod_uid, "0123456789abcdef-") || ids.end > n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *next;

	for (; data < end; data = next + 1) {
		/* each in a block of its own, so that a step beyond it is seen */
		size_t n;
		char *path;

		next = memchr(data, '\n', (size_t)(end - data));
		next = next ? next : end;
		n = (size_t)(next - data);
		path = malloc(n + 1);
		if (!path)
			return 0;
		memcpy(path, data, n);
		path[n] = 0;
		check(path, n);
		free(path);
	}
	return 0;
}
