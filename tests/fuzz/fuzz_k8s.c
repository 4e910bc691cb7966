/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an API server may send: the first byte chooses list or watch and how the rest is cut. Seeded with recordings.
 * LINK: plugins/k8s/items.c plugins/k8s/json.c plugins/k8s/pod.c plugins/k8s/quantity.c */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/k8s/items.h"
#include "../../plugins/k8s/pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct k8s_pod pod;

static void check(void)
{
	uint32_t i;

	if (pod.n_containers > K8S_CONTAINERS_MAX || strlen(pod.uid) >= sizeof(pod.uid) ||
	    strlen(pod.workload) >= sizeof(pod.workload))
		abort();
	for (i = 0; i < pod.n_containers; i++)
		if (strlen(pod.containers[i].name) >= K8S_CONTAINER_NAME ||
		    strlen(pod.containers[i].id) >= K8S_CONTAINER_ID)
			abort();
}

static int each(void *arg, uint32_t piece, const char *data, size_t n)
{
	const struct k8s_items *s = arg;
	struct k8s_line line;
	char version[32];

	if (piece == K8S_PIECE_LARGE)
		return 0;
	if (piece == K8S_PIECE_META)
		k8s_meta_read(data, n, version, sizeof(version));
	else if (s->is_list && k8s_pod_read(data, n, &pod) == 0)
		check();
	else if (!s->is_list && k8s_line_read(data, n, &line, &pod) == 0)
		check();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct k8s_items s = { .depth = 0 };
	char message[64];
	size_t step, i;

	if (!n)
		return 0;
	step = (size_t)(data[0] >> 1) * 8 + 1;
	k8s_items_begin(&s, data[0] & 1);
	k8s_status_read((const char *)data + 1, n - 1, message, sizeof(message));
	for (i = 1; i < n; i += step)
		if (k8s_items_feed(&s, (const char *)data + i, n - i < step ? n - i : step, each,
				   &s) < 0)
			break;
	k8s_items_done(&s);
	return 0;
}
