/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* linnix workloads parse [PATH...]: paths as arguments or one a line on stdin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

static void print_ids(const char *path)
{
	struct workload_ids ids;

	workload_parse(path, &ids);
	(void)printf("%s\t%s\t%s\t%s\n", ids.pod_uid[0] ? ids.pod_uid : "-",
		     ids.container_id[0] ? ids.container_id : "-", *ids.runtime ? ids.runtime : "-",
		     *ids.qos ? ids.qos : "-");
}

int workload_command(int argc, char **argv)
{
	char *line = NULL;
	size_t cap = 0;
	int i;

	if (argc < 2 || strcmp(argv[1], "parse") != 0) {
		(void)fprintf(stderr, "usage: linnix workloads parse [PATH...]\n");
		return 2;
	}
	for (i = 2; i < argc; i++)
		print_ids(argv[i]);
	while (argc == 2 && getline(&line, &cap, stdin) > 0) {
		line[strcspn(line, "\n")] = 0;
		print_ids(line);
	}
	free(line);
	return ferror(stdin) || fflush(stdout) != 0;
}
