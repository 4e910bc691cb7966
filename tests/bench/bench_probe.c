/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What probe proc costs and carries. One JSON line a figure; needs root.
 *
 * Kernel to subscriber: a program floods the ring buffer on one CPU while the loop drains it on another.
 * A process's life (fork, exec, exit): alone, with empty programs on the same hooks, with the probe;
 * rounds of the three take turns, and the median of the differences within a turn is told. A record
 * of the process iterator, against reading stat, io and cgroup of /proc. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ev.h>
#include <linnix/ev_proc.h>
#include <linnix/rec_proc.h>
#include <linnix/rec_stats.h>

#include "../../core/bus.h"
#include "../../core/log.h"
#include "../../core/probe.h"
#include "../../core/source.h"

#define FLOOD_RING  (2u << 20)
#define FLOOD_BATCH 2000 /* events of one BPF_PROG_TEST_RUN */
#define FLOOD_S	    2.0
#define LIFE_ROUNDS 41
#define LIVES	    60 /* of one round */
#define PASSES	    50

static const char *build_dir(void)
{
	const char *build = getenv("LNX_BUILD");

	return build ? build : "build";
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void say(const char *name, double value, const char *unit)
{
	printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", name, value, unit);
	fflush(stdout);
}

static int cannot(const char *what)
{
	fprintf(stderr, "bench_probe: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- kernel to subscriber */

struct flood {
	struct bpf_object *obj;
	int prog_fd, ring_fd, wake_fd;
	int stop; /* atomic */
	uint64_t made;
	double made_ns; /* in the program */
};

struct sink {
	uint64_t events;
	double last_ns;
};

static int sink_event(void *arg, const struct lnx_event *ev)
{
	struct sink *s = arg;

	s->events += ev->type == LNX_EV_PROC_FORK;
	return 0;
}

static void *flood_thread(void *arg)
{
	struct flood *f = arg;
	char packet[64] = { 0 };

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = sizeof(packet), .repeat = FLOOD_BATCH);

		if (bpf_prog_test_run_opts(f->prog_fd, &opts) < 0)
			break;
		f->made += FLOOD_BATCH;
		f->made_ns += (double)opts.duration * FLOOD_BATCH;
	}
	return NULL;
}

static void on_stop(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static uint64_t flood_lost(const struct flood *f)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(f->obj, "stats");
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct lnx_rec_stats *s = calloc((size_t)(cpus > 0 ? cpus : 1), sizeof(*s));
	uint64_t lost = 0;
	uint32_t zero = 0;

	if (s && bpf_map_lookup_elem(bpf_map__fd(map), &zero, s) == 0)
		for (cpu = 0; cpu < cpus; cpu++)
			lost += s[cpu].lost;
	free(s);
	return lost;
}

static int flood_open(struct flood *f)
{
	struct bpf_program *prog;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/tests/bench/bench_probe.bpf.o", build_dir());
	f->obj = bpf_object__open_file(path, NULL);
	if (!f->obj)
		return cannot(path);
	(void)bpf_map__set_max_entries(bpf_object__find_map_by_name(f->obj, "events"), FLOOD_RING);
	if (bpf_object__load(f->obj) < 0)
		return cannot("load");
	prog = bpf_object__find_program_by_name(f->obj, "flood");
	f->prog_fd = bpf_program__fd(prog);
	f->ring_fd = bpf_object__find_map_fd_by_name(f->obj, "events");
	f->wake_fd = bpf_object__find_map_fd_by_name(f->obj, "wake");
	return 0;
}

/* Nothing is made while this is taken: what a full ring costs to deliver. */
static double drain_full_ring(struct flood *f, struct lnx_source *src)
{
	double rounds[9], t;
	unsigned i;

	for (i = 0; i < 9; i++) {
		char packet[64] = { 0 };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = sizeof(packet), .repeat = 10000);
		int n;

		(void)lnx_source_drain(src);
		if (bpf_prog_test_run_opts(f->prog_fd, &opts) < 0)
			return 0;
		t = now_ns();
		n = lnx_source_drain(src);
		rounds[i] = n > 0 ? (now_ns() - t) / n : 0;
	}
	return median(rounds, 9);
}

static int bench_flood(struct flood *f)
{
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_bus_conf conf = { .registry = registry };
	struct lnx_bus *bus = lnx_bus_new(&conf);
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct lnx_source *src = NULL;
	struct lnx_sub_handle *sub;
	struct sink sink = { 0 };
	pthread_t thread;
	ev_timer timer;
	uint64_t lost;
	double t;

	if (!registry || !bus || !loop ||
	    lnx_source_new(f->ring_fd, FLOOD_RING, f->wake_fd, bus, NULL, NULL, &src) < 0 ||
	    lnx_bus_subscribe(bus, "sink", LNX_EV_PROC_FORK, 10, 0, sink_event, &sink, &sub) < 0)
		return cannot("set up");
	say("ring_to_subscriber_ns_per_event", drain_full_ring(f, src), "ns");
	lost = flood_lost(f);
	sink.events = 0;
	lnx_source_set_active(src, 1);
	lnx_source_start(src, loop);
	ev_now_update(loop);
	ev_timer_init(&timer, on_stop, FLOOD_S, 0);
	ev_timer_start(loop, &timer);
	t = now_ns();
	if (pthread_create(&thread, NULL, flood_thread, f))
		return cannot("thread");
	ev_run(loop, 0);
	__atomic_store_n(&f->stop, 1, __ATOMIC_RELAXED);
	(void)pthread_join(thread, NULL);
	t = now_ns() - t;
	(void)lnx_source_drain(src);
	say("ring_to_subscriber_events_per_s", (double)sink.events / t * 1e9, "1/s");
	say("ring_flood_made_per_s", (double)f->made / t * 1e9, "1/s");
	say("ring_flood_lost_ratio", (double)(flood_lost(f) - lost) / (double)f->made, "");
	say("bpf_event_ns", f->made_ns / (double)f->made, "ns");
	lnx_source_free(src);
	lnx_bus_free(bus);
	lnx_registry_free(registry);
	ev_loop_destroy(loop);
	return 0;
}

/* ---- a process's life */

struct empty {
	struct bpf_link *links[3];
};

static void empty_set(struct empty *e, struct bpf_object *obj, int is_on)
{
	static const char *const names[] = { "on_fork", "on_exec", "on_exit" };
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (is_on) {
			e->links[i] = bpf_program__attach(
				bpf_object__find_program_by_name(obj, names[i]));
		} else {
			(void)bpf_link__destroy(e->links[i]);
			e->links[i] = NULL;
		}
	}
}

/* CPU time of this process and its ended children, us. */
static double cpu_us(void)
{
	struct rusage self, children;

	(void)getrusage(RUSAGE_SELF, &self);
	(void)getrusage(RUSAGE_CHILDREN, &children);
	return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec +
			children.ru_stime.tv_sec) *
		       1e6 +
	       (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + children.ru_utime.tv_usec +
			children.ru_stime.tv_usec);
}

/* us of CPU time of one fork, exec, exit and wait: programs on its way run on its account, and what
 * else the machine does is not in it. */
static double live(void)
{
	char name[] = "true";
	char *const argv[] = { name, NULL };
	char *const env[] = { NULL };
	double t = cpu_us();
	unsigned i;
	pid_t pid;

	for (i = 0; i < LIVES; i++)
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env) == 0)
			(void)waitpid(pid, NULL, 0);
	return (cpu_us() - t) / LIVES;
}

/* Lives are lived in a process of their own while this one drains, as the agent would. */
struct worker {
	pid_t pid;
	int go, done; /* our ends of pipes */
	struct ev_loop *loop;
	ev_io io;
};

static void on_worker(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static int worker_start(struct worker *w, struct ev_loop *loop)
{
	int go[2], done[2];
	char byte;
	double us;

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		return -errno;
	w->pid = fork();
	if (w->pid < 0)
		return -errno;
	if (w->pid == 0) {
		(void)close(go[1]);
		while (read(go[0], &byte, 1) == 1) {
			us = live();
			if (write(done[1], &us, sizeof(us)) != sizeof(us))
				break;
		}
		_exit(0);
	}
	(void)close(go[0]);
	(void)close(done[1]);
	w->go = go[1];
	w->done = done[0];
	w->loop = loop;
	ev_io_init(&w->io, on_worker, w->done, EV_READ);
	ev_io_start(loop, &w->io);
	return 0;
}

static double worker_round(struct worker *w)
{
	double us = 0;

	if (write(w->go, "", 1) != 1)
		return 0;
	ev_run(w->loop, 0);
	return read(w->done, &us, sizeof(us)) == sizeof(us) ? us : 0;
}

static void worker_stop(struct worker *w)
{
	ev_io_stop(w->loop, &w->io);
	(void)close(w->go);
	(void)close(w->done);
	(void)waitpid(w->pid, NULL, 0);
}

static int bench_life(struct flood *f)
{
	static double alone[LIFE_ROUNDS], floor_us[LIFE_ROUNDS], probe_us[LIFE_ROUNDS];
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_bus_conf bus_conf = { .registry = registry };
	struct lnx_bus *bus = lnx_bus_new(&bus_conf);
	struct lnx_probes_conf conf = { 0 };
	struct lnx_probes *probes = NULL;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct empty empty = { { NULL } };
	struct worker worker;
	char dir[512];
	unsigned i;
	double base;

	(void)snprintf(dir, sizeof(dir), "%s/bpf", build_dir());
	conf.bpf_dir = dir;
	if (!registry || !bus || !loop || lnx_probes_new(&conf, bus, &probes) < 0 ||
	    worker_start(&worker, loop) < 0)
		return cannot("probes");
	(void)lnx_probes_start(probes, loop);
	for (i = 0; i < LIFE_ROUNDS; i++) {
		alone[i] = worker_round(&worker);
		empty_set(&empty, f->obj, 1);
		floor_us[i] = worker_round(&worker) - alone[i];
		empty_set(&empty, f->obj, 0);
		if (lnx_probes_want(probes, "proc", 1) < 0)
			return cannot("attach proc");
		probe_us[i] = worker_round(&worker) - alone[i] - floor_us[i];
		(void)lnx_probes_want(probes, "proc", 0);
	}
	worker_stop(&worker);
	base = median(alone, LIFE_ROUNDS);
	say("life_us", base, "us");
	say("life_empty_program_us", median(floor_us, LIFE_ROUNDS), "us");
	say("life_probe_over_empty_us", median(probe_us, LIFE_ROUNDS), "us");
	say("life_probe_over_empty_pct", 100 * median(probe_us, LIFE_ROUNDS) / base, "pct");
	lnx_probes_free(probes);
	lnx_bus_free(bus);
	lnx_registry_free(registry);
	ev_loop_destroy(loop);
	return 0;
}

/* ---- a record of the iterator */

static void count_record(void *arg, const void *record)
{
	(void)record;
	++*(unsigned *)arg;
}

static void read_proc_file(const char *pid, const char *name)
{
	char path[288], bytes[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	(void)close(fd);
}

static unsigned read_proc(void)
{
	const struct dirent *e;
	DIR *d = opendir("/proc");
	unsigned n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		read_proc_file(e->d_name, "stat");
		read_proc_file(e->d_name, "io");
		read_proc_file(e->d_name, "cgroup");
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

static int bench_iter(void)
{
	double iter_ns[PASSES], proc_ns[PASSES], t;
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_bus_conf bus_conf = { .registry = registry };
	struct lnx_bus *bus = lnx_bus_new(&bus_conf);
	struct lnx_probes_conf conf = { 0 };
	struct lnx_probes *probes = NULL;
	char dir[512];
	unsigned i, n = 0, total = 0;

	(void)snprintf(dir, sizeof(dir), "%s/bpf", build_dir());
	conf.bpf_dir = dir;
	if (!registry || !bus || lnx_probes_new(&conf, bus, &probes) < 0)
		return cannot("probes");
	for (i = 0; i < PASSES; i++) {
		n = 0;
		t = now_ns();
		if (lnx_probes_iter(probes, "proc", "usage", sizeof(struct lnx_rec_proc),
				    count_record, &n) <= 0)
			return cannot("iterator");
		iter_ns[i] = (now_ns() - t) / n;
		total += n;
		t = now_ns();
		n = read_proc();
		proc_ns[i] = n ? (now_ns() - t) / n : 0;
	}
	say("iter_processes", (double)total / PASSES, "");
	say("iter_ns_per_process", median(iter_ns, PASSES), "ns");
	say("proc_files_ns_per_process", median(proc_ns, PASSES), "ns");
	lnx_probes_free(probes);
	lnx_bus_free(bus);
	lnx_registry_free(registry);
	return 0;
}

int main(void)
{
	struct flood f = { 0 };
	int rc;

	lnx_log_init(LNX_ERROR, LNX_LOG_TEXT);
	rc = flood_open(&f);
	if (rc == 0)
		rc = bench_flood(&f);
	if (rc == 0)
		rc = bench_life(&f);
	if (rc == 0)
		rc = bench_iter();
	bpf_object__close(f.obj);
	return rc;
}
