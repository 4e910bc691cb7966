/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What probe sched itself costs: bench_sched EMPTY OBJECT... One JSON line a figure; needs root.
 *
 * Two processes on one CPU hand a byte to and fro over two pipes: a round trip is 2 switches and 1 or 2 wake-ups. Rounds with
 * nothing attached, with the programs of EMPTY named sched_*, and with those of each OBJECT take turns; what is told
 * are medians over the turns. "own" is what an OBJECT takes more than the empty programs, its target in their terms. With
 * BENCH_LIFE=PROGRAM a trip is fork, exec and exit of that program. Figures are CPU time of the processes: what else the
 * machine does is not in it. Where the kernel puts a program makes a difference of up to 20 ns a trip, so all are loaded
 * anew LOADS times. "by_kernel" is the second witness: the same as the kernel times the programs, in turns of its own, for
 * that costs time itself. The second object and later ones are for comparing builds by hand; BENCH_LOADS sets how often
 * they are loaded.
 * LINK: tests/bpf/lab_ledger.c */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "plugins/stall/ledger.h"

#define LOADS	  7
#define ROUNDS	  9
#define TURNS	  (LOADS_MAX * ROUNDS)
#define LOADS_MAX 32
#define TRIPS	  10000 /* of one round */
#define LIVES	  300	/* the same of BENCH_LIFE */
#define ALL_MAX	  6	/* nothing, empty programs, objects */
#define LINKS	  8
#define NOT_TOLD  2	/* first rounds of a load: caches are cold */
#define WARM_UP	  10000 /* trips before those that are timed: the code was just changed */

struct mapped {
	void *at;
	size_t bytes;
};

struct all {
	struct bpf_object *obj; /* NULL: nothing */
	struct mapped maps[2];
	unsigned n_maps;
	struct bpf_link *links[LINKS];
	unsigned n_links;
	char *cpus;
	uint32_t n_cpus;
	double ns[TURNS];	 /* of a round trip */
	double timed[LOADS_MAX]; /* programs by the kernel's own clock, of a round trip */
};

static unsigned loads = LOADS;

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sorts <v>. */
static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Median of what <a> takes more than <b>, NULL nothing, within a turn, of loads [from, to). */
static double above(const struct all *a, const struct all *b, unsigned from, unsigned to)
{
	double d[TURNS];
	unsigned n = 0;

	for (unsigned l = from; l < to; l++)
		for (unsigned r = l * ROUNDS + NOT_TOLD; r < (l + 1) * ROUNDS; r++)
			d[n++] = a->ns[r] - (b ? b->ns[r] : 0);
	return median(d, n);
}

/* Own cost in terms of the floor; its median distance from that within one load. */
static double over_floor(const struct all *all, const struct all *a, double *ret_spread)
{
	double ratio = above(a, &all[1], 0, loads) / above(&all[1], &all[0], 0, loads);
	double d[LOADS_MAX];

	for (unsigned l = 0; l < loads; l++) {
		d[l] = above(a, &all[1], l, l + 1) / above(&all[1], &all[0], l, l + 1) - ratio;
		d[l] = d[l] < 0 ? -d[l] : d[l];
	}
	*ret_spread = median(d, loads);
	return ratio;
}

static double by_kernel(const struct all *a, const struct all *b)
{
	double d[LOADS_MAX];

	for (unsigned l = 0; l < loads; l++)
		d[l] = a->timed[l] - b->timed[l];
	return median(d, loads);
}

static int cannot(const char *what)
{
	(void)fprintf(stderr, "bench_sched: %s: %s\n", what, strerror(errno));
	return 1;
}

static void *map_it(struct all *a, const char *name)
{
	struct bpf_map *m = bpf_object__find_map_by_name(a->obj, name);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
	void *p;

	bytes = ((bpf_map__value_size(m) + 7) & ~7U) * (size_t)bpf_map__max_entries(m);
	bytes = (bytes + page - 1) / page * page;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);
	if (p == MAP_FAILED)
		return NULL;
	a->maps[a->n_maps++] = (struct mapped){ p, bytes };
	return p;
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

static void close_object(struct all *a)
{
	while (a->n_maps > 0) {
		a->n_maps--;
		(void)munmap(a->maps[a->n_maps].at, a->maps[a->n_maps].bytes);
	}
	bpf_object__close(a->obj);
	a->obj = NULL;
	a->cpus = NULL;
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
	}
	return 0;
}

static void detach(struct all *a)
{
	while (a->n_links > 0)
		(void)bpf_link__destroy(a->links[--a->n_links]);
}

static double clock_ns(clockid_t clock)
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

/* The load: round trips over pipes, or lives of processes. */
static struct load {
	const char *name, *unit;
	unsigned ops, warm_up;
	char *path; /* of a program that ends at once; NULL: the pipes */
	int to, from;
	clockid_t child;
} load = { .name = "pipe", .unit = "ns/trip", .ops = TRIPS, .warm_up = WARM_UP };

static int live(unsigned n)
{
	char *const argv[] = { load.path, NULL }, *const env[] = { NULL };
	int status;
	pid_t pid;

	while (n--)
		if (posix_spawn(&pid, load.path, NULL, NULL, argv, env) ||
		    waitpid(pid, &status, 0) != pid || status)
			return cannot(load.path);
	return 0;
}

static int go(unsigned n)
{
	char c = 0;

	if (load.path)
		return live(n);
	while (n--)
		if (write(load.to, &c, 1) != 1 || read(load.from, &c, 1) != 1)
			return cannot("pipe");
	return 0;
}

static double cpu_ns(void)
{
	struct rusage ru;

	if (!load.path)
		return clock_ns(CLOCK_PROCESS_CPUTIME_ID) + clock_ns(load.child);
	(void)getrusage(RUSAGE_CHILDREN, &ru);
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) +
	       (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e9 +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1e3;
}

static int time_it(double *ret_ns)
{
	double t;

	if (go(load.warm_up))
		return 1;
	t = cpu_ns();
	if (go(load.ops))
		return 1;
	*ret_ns = (cpu_ns() - t) / load.ops;
	return 0;
}

/* ns of all runs of the programs of <a> so far */
static double timed_ns(const struct all *a)
{
	struct bpf_program *p;
	double ns = 0;

	bpf_object__for_each_program(p, a->obj)
	{
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size) == 0)
			ns += (double)info.run_time_ns;
	}
	return ns;
}

/* Each once, in an order of its own: what the one before leaves to be done is not always on the account of the same. */
static int take_turn(struct all *all, unsigned n, unsigned turn)
{
	unsigned order[ALL_MAX], k, pick;
	int rc = 0;

	for (unsigned i = 0; i < n; i++)
		order[i] = i;
	for (unsigned i = n; i > 0 && !rc; i--) {
		k = (unsigned)rand() % i;
		pick = order[k];
		order[k] = order[i - 1];
		rc = attach(&all[pick]);
		if (!rc)
			rc = time_it(&all[pick].ns[turn]);
		detach(&all[pick]);
	}
	return rc;
}

/* The <at>th time that they are loaded. */
static int take_turns(struct all *all, unsigned n, unsigned at)
{
	int rc = 0, fd;
	double ns;

	for (unsigned r = 0; r < ROUNDS && !rc; r++)
		rc = take_turn(all, n, at * ROUNDS + r);
	for (unsigned i = 1; i < n && !rc; i++) {
		rc = attach(&all[i]) || go(load.warm_up);
		ns = timed_ns(&all[i]);
		fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (!rc)
			rc = fd < 0 ? cannot("bpf_enable_stats") : go(load.ops);
		(void)close(fd);
		all[i].timed[at] = (timed_ns(&all[i]) - ns) / load.ops;
		detach(&all[i]);
	}
	return rc;
}

static int run(struct all *all, unsigned n, char **paths)
{
	int there[2], back[2], rc = 0;
	cpu_set_t set;
	pid_t pid;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (pipe(there) || pipe(back) || sched_setaffinity(0, sizeof(set), &set))
		return cannot("set up");
	pid = fork();
	if (pid == 0)
		echo(there[0], back[1]);
	if (pid < 0 || clock_getcpuclockid(pid, &load.child))
		return cannot("child");
	load.to = there[1];
	load.from = back[0];
	for (unsigned l = 0; l < loads && !rc; l++) {
		for (unsigned i = 1; i < n && !rc; i++)
			rc = open_object(&all[i], paths[i]);
		if (!rc)
			rc = take_turns(all, n, l);
		for (unsigned i = 1; i < n; i++)
			close_object(&all[i]);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return rc;
}

/* <spread> 0: none is told. */
static void say(const char *what, unsigned which, double value, const char *unit, double spread)
{
	if (which > 2)
		(void)printf("{\"name\":\"ledger_%s_%s_%u\",", load.name, what, which - 1);
	else
		(void)printf("{\"name\":\"ledger_%s_%s\",", load.name, what);
	if (spread > 0)
		(void)printf("\"spread\":%.2g,\"loads\":%u,", spread, loads);
	(void)printf("\"value\":%.4g,\"unit\":\"%s\"}\n", value, unit);
}

int main(int argc, char **argv)
{
	static struct all all[ALL_MAX];
	const char *env = getenv("BENCH_LOADS");
	unsigned n = (unsigned)argc, i;
	double spread;

	if (argc < 3 || n > ALL_MAX) {
		(void)fprintf(stderr, "usage: bench_sched EMPTY OBJECT...\n");
		return 2;
	}
	if (env && strtoul(env, NULL, 10) >= 1 && strtoul(env, NULL, 10) <= LOADS_MAX)
		loads = (unsigned)strtoul(env, NULL, 10);
	if (getenv("BENCH_LIFE"))
		load = (struct load){ .name = "life",
				      .unit = "ns/life",
				      .ops = LIVES,
				      .warm_up = LIVES / 5,
				      .path = getenv("BENCH_LIFE") };
	if (run(all, n, argv))
		return 1;
	say("alone", 0, above(&all[0], NULL, 0, loads), load.unit, 0);
	say("floor", 0, above(&all[1], &all[0], 0, loads), load.unit, 0);
	for (i = 2; i < n; i++) {
		double ratio = over_floor(all, &all[i], &spread);

		say("own", i, above(&all[i], &all[1], 0, loads), load.unit, 0);
		say("own_by_kernel", i, by_kernel(&all[i], &all[1]), load.unit, 0);
		say("own_over_floor", i, ratio, "ratio", spread);
	}
	return 0;
}
