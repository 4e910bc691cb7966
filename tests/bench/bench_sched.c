/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What probe sched itself costs: bench_sched EMPTY OBJECT... One JSON line a figure; needs root.
 *
 * Two processes on one CPU hand a byte to and fro over two pipes: a round trip is 2 switches and 1 or 2 wake-ups. Rounds with
 * nothing attached, with the programs of EMPTY named sched_*, and with those of each OBJECT take turns; what is told
 * are medians over the turns. "own" is what an OBJECT takes more than the empty programs, its target in their terms.
 * Figures are CPU time of the two: what else the machine does is not in it. The second object and later ones are for
 * comparing builds by hand.
 * LINK: tests/bpf/lab_ledger.c */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "plugins/stall/ledger.h"

#define ROUNDS	 31
#define TRIPS	 10000 /* of one round */
#define ALL_MAX	 6     /* nothing, empty programs, objects */
#define LINKS	 8
#define NOT_TOLD 2    /* first rounds: caches are cold */
#define WARM_UP	 2000 /* trips before those that are timed: the code was just changed */

struct all {
	struct bpf_object *obj; /* NULL: nothing */
	struct bpf_link *links[LINKS];
	unsigned n_links;
	char *cpus;
	uint32_t n_cpus;
	double ns[ROUNDS]; /* of a round trip */
};

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(const double *v)
{
	double sorted[ROUNDS];

	memcpy(sorted, v, sizeof(sorted));
	qsort(sorted + NOT_TOLD, ROUNDS - NOT_TOLD, sizeof(*sorted), by_value);
	return sorted[NOT_TOLD + (ROUNDS - NOT_TOLD) / 2];
}

/* Median of the differences within a turn. */
static double above(const struct all *a, const struct all *b)
{
	double d[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++)
		d[i] = a->ns[i] - b->ns[i];
	return median(d);
}

static int cannot(const char *what)
{
	(void)fprintf(stderr, "bench_sched: %s: %s\n", what, strerror(errno));
	return 1;
}

static void *map_it(const struct all *a, const char *name)
{
	struct bpf_map *m = bpf_object__find_map_by_name(a->obj, name);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
	void *p;

	bytes = ((bpf_map__value_size(m) + 7) & ~7U) * (size_t)bpf_map__max_entries(m);
	p = mmap(NULL, (bytes + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED,
		 bpf_map__fd(m), 0);
	return p == MAP_FAILED ? NULL : p;
}

static int open_object(struct all *a, const char *path)
{
	struct lnx_ledger_table *tab;
	struct bpf_map *cpus;

	a->obj = bpf_object__open(path);
	if (!a->obj)
		return cannot(path);
	cpus = bpf_object__find_map_by_name(a->obj, "cpus");
	a->n_cpus = (uint32_t)libbpf_num_possible_cpus();
	if (cpus)
		(void)bpf_map__set_max_entries(cpus, a->n_cpus);
	if (bpf_object__load(a->obj))
		return cannot(path);
	if (!cpus)
		return 0;
	a->cpus = map_it(a, "cpus");
	tab = map_it(a, LNX_LEDGER_TABLE);
	if (!a->cpus || !tab)
		return cannot("map");
	stall_slots_init(tab);
	return 0;
}

/* As the agent does: tasks that exist get their storage after the attach. */
static void seed(const struct bpf_link *link)
{
	int fd = bpf_iter_create(bpf_link__fd(link));
	char buf[64];

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		;
	(void)close(fd);
}

static int attach(struct all *a)
{
	struct bpf_program *p;

	if (!a->obj)
		return 0;
	if (a->cpus)
		stall_cpus_reset(a->cpus, a->n_cpus);
	bpf_object__for_each_program(p, a->obj)
	{
		struct bpf_link *link;

		if (!a->cpus && strncmp(bpf_program__name(p), "sched_", 6))
			continue;
		link = a->n_links < LINKS ? bpf_program__attach(p) : NULL;
		if (!link)
			return cannot(bpf_program__name(p));
		a->links[a->n_links++] = link;
		if (!strcmp(bpf_program__name(p), "seed"))
			seed(link);
	}
	return 0;
}

static void detach(struct all *a)
{
	while (a->n_links > 0)
		(void)bpf_link__destroy(a->links[--a->n_links]);
}

static double cpu_ns(clockid_t clock)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void echo(int from, int to)
{
	char c;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1)
		;
	_exit(0);
}

static int go(int to, int from, unsigned n)
{
	char c = 0;

	while (n--)
		if (write(to, &c, 1) != 1 || read(from, &c, 1) != 1)
			return cannot("pipe");
	return 0;
}

static int trips(int to, int from, clockid_t child, double *ret_ns)
{
	double t;

	if (go(to, from, WARM_UP))
		return 1;
	t = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns(child);
	if (go(to, from, TRIPS))
		return 1;
	*ret_ns = (cpu_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns(child) - t) / TRIPS;
	return 0;
}

static int run(struct all *all, unsigned n)
{
	int there[2], back[2], rc = 0;
	clockid_t child;
	cpu_set_t set;
	pid_t pid;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (pipe(there) || pipe(back) || sched_setaffinity(0, sizeof(set), &set))
		return cannot("set up");
	pid = fork();
	if (pid == 0)
		echo(there[0], back[1]);
	if (pid < 0 || clock_getcpuclockid(pid, &child))
		return cannot("child");
	for (unsigned r = 0; r < ROUNDS && !rc; r++) {
		for (unsigned i = 0; i < n && !rc; i++) {
			rc = attach(&all[i]);
			if (!rc)
				rc = trips(there[1], back[0], child, &all[i].ns[r]);
			detach(&all[i]);
		}
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return rc;
}

static void say(const char *name, unsigned which, double value, const char *unit)
{
	if (which > 2)
		(void)printf("{\"name\":\"%s_%u\",", name, which - 1);
	else
		(void)printf("{\"name\":\"%s\",", name);
	(void)printf("\"value\":%.4g,\"unit\":\"%s\"}\n", value, unit);
}

int main(int argc, char **argv)
{
	static struct all all[ALL_MAX];
	unsigned n = (unsigned)argc, i;
	double floor;

	if (argc < 3 || n > ALL_MAX) {
		(void)fprintf(stderr, "usage: bench_sched EMPTY OBJECT...\n");
		return 2;
	}
	for (i = 1; i < n; i++)
		if (open_object(&all[i], argv[i]))
			return 1;
	if (run(all, n))
		return 1;
	floor = above(&all[1], &all[0]);
	say("ledger_pipe_trip", 0, median(all[0].ns), "ns/trip");
	say("ledger_pipe_floor", 0, floor, "ns/trip");
	for (i = 2; i < n; i++) {
		say("ledger_pipe_own", i, above(&all[i], &all[1]), "ns/trip");
		say("ledger_pipe_own_over_floor", i, above(&all[i], &all[1]) / floor, "ratio");
	}
	return 0;
}
