/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Holds the programs of bench_hold.bpf.o attached until it is told to end: bench_hold OBJECT PREFIX...
 *
 * Those whose name starts with a PREFIX. Says "ready" once they are there. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <bpf/libbpf.h>

#define HOLD_MAX 16

static int is_asked(const char *name, char **prefixes)
{
	for (; *prefixes; prefixes++)
		if (strncmp(name, *prefixes, strlen(*prefixes)) == 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	unsigned n = 0;
	sigset_t set;
	int sig;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: bench_hold OBJECT PREFIX...\n");
		return 2;
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj || bpf_object__load(obj) < 0) {
		(void)fprintf(stderr, "bench_hold: cannot load %s\n", argv[1]);
		return 1;
	}
	bpf_object__for_each_program(prog, obj)
	{
		if (!is_asked(bpf_program__name(prog), argv + 2))
			continue;
		if (n++ == HOLD_MAX || !bpf_program__attach(prog)) {
			(void)fprintf(stderr, "bench_hold: cannot attach %s\n",
				      bpf_program__name(prog));
			return 1;
		}
	}
	if (puts("ready") < 0 || fflush(stdout) < 0)
		return 1;
	(void)sigwait(&set, &sig);
	return 0; /* the kernel detaches */
}
