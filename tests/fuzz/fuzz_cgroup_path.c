/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* LINK: plugins/workload/parse.c */
/* Any bytes as a cgroup path: ids stay within their arrays and hold only what their forms allow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/workload/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct workload_ids ids;
	char *path = malloc(size + 1);

	if (!path)
		return 0;
	memcpy(path, data, size);
	path[size] = 0;
	workload_parse(path, &ids);
	if (strlen(ids.container_id) != strspn(ids.container_id, "0123456789abcdef-") ||
	    strlen(ids.pod_uid) != strspn(ids.pod_uid, "0123456789abcdef-") ||
	    ids.end > strlen(path))
		abort();
	free(path);
	return 0;
}
