/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The I/O gate against the kernel's io.pressure, and the model of who held a victim up, on the local disk. Arguments: the
 * object, then scenarios by name.
 * LINK: tests/bpf/score.c tests/bpf/lab_res.c plugins/stall/gates.c plugins/stall/io.c */
#include "tests/bpf/lab_res.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/stall/io.h"

#define FILE_BYTES (128u << 20)
#define RUN_NS	   3000000000ULL
#define FROM_PSI   0.02	 /* the gate's bar */
#define PSI_MIN_MS 100.0 /* less says nothing */

static struct stall_io io;
static double alone_ms; /* stall of a read when alone */

struct reader {
	char path[96];
	size_t bytes;
	size_t file_bytes;
};

static void read_on(void *arg, uint64_t end_ns)
{
	const struct reader *r = arg;
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	uint64_t seed = (uint64_t)getpid() * 0x9e3779b97f4a7c15ULL;
	void *buf;
	unsigned ops = 0;

	if (fd < 0 || posix_memalign(&buf, 4096, r->bytes))
		_exit(1);
	while (res_now() < end_ns) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		if (pread(fd, buf, r->bytes,
			  (off_t)((seed >> 33) % (r->file_bytes / r->bytes) * r->bytes)) !=
		    (ssize_t)r->bytes)
			_exit(3);
		ops++;
	}
	if (getenv("LNX_LAB_VERBOSE"))
		printf("  reader of %zu: %u reads\n", r->bytes, ops);
}

static void make_file(struct res_lab *l, struct reader *r, int n, size_t bytes)
{
	uint64_t seed = res_now();
	void *buf;
	int fd;

	(void)snprintf(r->path, sizeof(r->path), "%s/data%d", l->dir, n);
	r->bytes = bytes;
	r->file_bytes = FILE_BYTES;
	if (!access(r->path, F_OK))
		return;
	fd = open(r->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
	if (fd < 0 || posix_memalign(&buf, 4096, 1 << 20))
		res_skip("no direct I/O in %s: %s", l->dir, strerror(errno));
	for (size_t at = 0; at < FILE_BYTES; at += 1 << 20) {
		/* A host that finds equal blocks would keep them in its memory. */
		for (size_t k = 0; k < (1 << 20) / sizeof(seed); k++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			((uint64_t *)buf)[k] = seed ^ seed >> 29;
		}
		if (write(fd, buf, 1 << 20) != 1 << 20)
			res_skip("cannot write %s: %s", r->path, strerror(errno));
	}
	(void)fsync(fd);
	(void)close(fd);
	free(buf);
}

static uint64_t translate(void *arg, uint64_t v1_id, uint64_t hint)
{
	const struct res_lab *l = arg;

	(void)hint; /* by name, as the plugin does by path */
	for (uint32_t i = 0; i < l->n_groups; i++)
		if (l->group[i].io_id == v1_id)
			return l->group[i].id;
	return STALL_RES_OTHER;
}

static void print_parts(const struct res_lab *l, const struct stall_res_window *w, int victim)
{
	uint64_t id = l->group[victim].id;
	double raw = res_raw_ms(w, id), known = 0;

	for (uint32_t i = 0; i < l->n_groups; i++)
		known += res_part_ms(w, id, l->group[i].id);
	printf("  %s stalled %.1f ms:", l->group[victim].name, raw);
	for (uint32_t i = 0; i < l->n_groups; i++)
		printf(" %s %.1f (%.1f %%)", l->group[i].name, res_part_ms(w, id, l->group[i].id),
		       raw > 0 ? 100 * res_part_ms(w, id, l->group[i].id) / raw : 0);
	printf(" other %.1f", res_part_ms(w, id, STALL_RES_OTHER));
	printf(" host %.1f\n", raw - known - res_part_ms(w, id, STALL_RES_OTHER));
}

static double sum_parts(const struct stall_res_window *w, uint64_t victim)
{
	double sum = 0;

	for (uint32_t i = 0; i < w->n_victims; i++)
		for (uint32_t k = 0; w->victims[i].cgroup_id == victim && k < w->victims[i].n; k++)
			sum += (double)w->parts[w->victims[i].first + k].ns / 1e6;
	return sum;
}

static double read_gate(const struct res_lab *l, int victim, uint64_t *ret_waits)
{
	struct lnx_rec_gate g = { 0 };
	uint64_t now;

	(void)l->maps.lookup(l->maps.arg, STALL_MAP_GATES, &l->group[victim].id,
			     &g); /* zero: none */
	now = res_now();
	*ret_waits = g.waits;
	return (double)(g.stall_ns + (g.n && now > g.since ? now - g.since : 0)) / 1e6;
}

/* The gate and the kernel's figure of one instant. A machine with other users may come between; but of time that it reads twice
 * within a tick the kernel loses some, so there are few tries, a while apart. */
static void read_both(const struct res_lab *l, int victim, double *ret_gate_ms, double *ret_psi_ms,
		      uint64_t *ret_waits)
{
	for (int t = 0; t < 4; t++) {
		uint64_t waits;
		double before = read_gate(l, victim, &waits);

		*ret_psi_ms = res_psi_ms(l, victim, "io.pressure");
		*ret_gate_ms = read_gate(l, victim, ret_waits);
		if (*ret_gate_ms - before < 1)
			return;
		res_until(res_now() + 30000000);
	}
}

struct seen {
	double gate_ms, psi_ms;
	uint64_t waits;
	struct stall_res_window w;
};

/* One window in the midst of the run. */
static void measure(struct res_lab *l, int victim, uint64_t end_ns, struct seen *ret)
{
	double gate, psi;
	uint64_t waits;

	res_until(end_ns - RUN_NS + 300000000);
	if (stall_io_read(&io, &l->maps, res_now(), &ret->w))
		exit(1);
	read_both(l, victim, &gate, &psi, &waits);
	res_until(end_ns - 200000000);
	read_both(l, victim, &ret->gate_ms, &ret->psi_ms, &ret->waits);
	if (stall_io_read(&io, &l->maps, res_now(), &ret->w))
		exit(1);
	ret->gate_ms -= gate;
	ret->psi_ms -= psi;
	ret->waits -= waits;
}

/* False if the disk was too fast to hold anybody up. */
static int check_gate(struct res_lab *l, int victim, const struct seen *seen)
{
	const struct stall_res_window *w = &seen->w;
	uint64_t id = l->group[victim].id;

	print_parts(l, w, victim);
	score_sure(&l->score, fabs(sum_parts(w, id) - res_raw_ms(w, id)) < 0.001,
		   "parts sum to the stall");
	printf("  counts: healed %llu late %llu unknown %llu replaced %llu lost %llu full %llu\n",
	       (unsigned long long)w->count[LNX_RES_N_HEALED],
	       (unsigned long long)w->count[LNX_RES_N_LATE],
	       (unsigned long long)w->count[LNX_RES_N_RQ_UNKNOWN],
	       (unsigned long long)w->count[LNX_RES_N_RQ_REPLACED],
	       (unsigned long long)w->count[LNX_RES_N_RQ_LOST],
	       (unsigned long long)(w->count[LNX_RES_N_GATE_FULL] + w->count[LNX_RES_N_WAIT_FULL] +
				    w->count[LNX_RES_N_RQ_FULL]));
	if (seen->psi_ms < PSI_MIN_MS) {
		score_skip(&l->score, "io.pressure rose by %.1f ms only: this disk held nobody up",
			   seen->psi_ms);
		return 0;
	}
	score_check(&l->score, fabs(seen->gate_ms / seen->psi_ms - 1) <= FROM_PSI,
		    "gate %.1f ms against io.pressure %.1f ms: %+.2f %% (bar %.1f %%)",
		    seen->gate_ms, seen->psi_ms, 100 * (seen->gate_ms / seen->psi_ms - 1),
		    100 * FROM_PSI);
	return 1;
}

/* A victim of 4 KiB, pinned, against readers. */
static void contend(struct res_lab *l, unsigned n_big, unsigned n_small)
{
	int v = res_group(l, -1, "victim"), big = res_group(l, -1, "big"),
	    small = res_group(l, -1, "small");
	struct reader r4k, r1m, other4k;
	struct seen seen;
	const struct stall_res_window *w = &seen.w;
	uint64_t end, id = l->group[v].id;
	double raw, per_wait;

	make_file(l, &r4k, 0, 4096);
	make_file(l, &r1m, 1, 1 << 20);
	make_file(l, &other4k, 1, 4096);
	end = res_now() + RUN_NS;
	res_spawn(l, v, 0, read_on, &r4k, end);
	for (unsigned i = 0; i < n_big; i++)
		res_spawn(l, big, -1, read_on, &r1m, end);
	for (unsigned i = 0; i < n_small; i++)
		res_spawn(l, small, -1, read_on, &other4k, end);
	measure(l, v, end, &seen);
	res_join(l);
	if (!check_gate(l, v, &seen))
		return;
	raw = res_raw_ms(w, id);
	per_wait = seen.gate_ms / (double)(seen.waits ? seen.waits : 1);
	if (!n_big && !n_small) {
		alone_ms = per_wait;
		score_check(&l->score, res_part_ms(w, id, id) > 0.8 * raw,
			    "alone: it waited for itself");
		return;
	}
	score_sure(&l->score,
		   (n_big || res_part_ms(w, id, l->group[big].id) == 0) &&
			   (n_small || res_part_ms(w, id, l->group[small].id) == 0),
		   "who did nothing is no culprit");
	printf("  a wait took %.3f ms, alone %.3f ms\n", per_wait, alone_ms);
	if (alone_ms == 0 || per_wait < 3 * alone_ms) {
		score_skip(
			&l->score,
			"the readers do not hold each other up on this disk: no ranking to check");
		return;
	}
	if (n_big)
		score_check(&l->score,
			    res_part_ms(w, id, l->group[big].id) >
					    res_part_ms(w, id, l->group[small].id) &&
				    res_part_ms(w, id, l->group[big].id) > 0.4 * raw,
			    "the 1 MiB readers are the first culprit");
	else
		score_check(&l->score, res_part_ms(w, id, l->group[small].id) > 0.4 * raw,
			    "the 4 KiB readers are the first culprit");
}

static void alone(struct res_lab *l)
{
	contend(l, 0, 0);
}

static void big_readers(struct res_lab *l)
{
	contend(l, 2, 0);
}

static void small_readers(struct res_lab *l)
{
	contend(l, 0, 4);
}

static void both(struct res_lab *l)
{
	contend(l, 2, 4);
}

static void spin_on(void *arg, uint64_t end_ns)
{
	(void)arg;
	while (res_now() < end_ns)
		;
}

/* The victim's wake-ups find its CPU busy: the kernel takes long over them, and a gate with a clock of its own misses
 * a sixth of the stall. */
static void busy_cpu(struct res_lab *l)
{
	int v = res_group(l, -1, "victim"), hogs = res_group(l, -1, "hogs");
	struct reader r4k;
	struct seen seen;
	uint64_t end;

	make_file(l, &r4k, 0, 4096);
	end = res_now() + RUN_NS;
	res_spawn(l, v, 0, read_on, &r4k, end);
	for (int i = 0; i < 2; i++)
		res_spawn(l, hogs, 0, spin_on, NULL, end);
	measure(l, v, end, &seen);
	res_join(l);
	if (check_gate(l, v, &seen))
		score_sure(&l->score, res_part_ms(&seen.w, l->group[v].id, l->group[hogs].id) == 0,
			   "who did no I/O is no culprit");
}

static void unpinned(struct res_lab *l)
{
	int v = res_group(l, -1, "victim"), big = res_group(l, -1, "big");
	struct reader r4k, r1m;
	struct seen seen;
	uint64_t end;

	make_file(l, &r4k, 0, 4096);
	make_file(l, &r1m, 1, 1 << 20);
	end = res_now() + RUN_NS;
	for (int i = 0; i < 3; i++)
		res_spawn(l, v, -1, read_on, &r4k, end);
	res_spawn(l, big, -1, read_on, &r1m, end);
	measure(l, v, end, &seen);
	res_join(l);
	print_parts(l, &seen.w, v);
	/* PSI weighs CPUs, a union does not: it may be more, never less. */
	score_check(&l->score, seen.gate_ms > seen.psi_ms * (1 - FROM_PSI) - 5,
		    "unpinned gate %.1f ms is at least io.pressure %.1f ms", seen.gate_ms,
		    seen.psi_ms);
}

/* Attached under load, detached and attached again: nothing of the past stays open. */
static void attach_again(struct res_lab *l)
{
	int v = res_group(l, -1, "victim"), big = res_group(l, -1, "big");
	struct reader r4k, r1m;
	struct seen seen;
	uint64_t end;

	make_file(l, &r4k, 0, 4096);
	make_file(l, &r1m, 1, 1 << 20);
	end = res_now() + RUN_NS;
	res_detach();
	res_spawn(l, v, 0, read_on, &r4k, end);
	for (int i = 0; i < 2; i++)
		res_spawn(l, big, -1, read_on, &r1m, end);
	res_until(res_now() + 100000000);
	stall_io_reset(&io, &l->maps);
	res_attach(l);
	res_until(res_now() + 50000000);
	res_detach();
	stall_io_reset(&io, &l->maps);
	res_attach(l);
	measure(l, v, end, &seen);
	res_join(l);
	if (check_gate(l, v, &seen))
		score_check(&l->score,
			    res_part_ms(&seen.w, l->group[v].id, STALL_RES_OTHER) <
				    0.2 * res_raw_ms(&seen.w, l->group[v].id),
			    "most of it has a culprit");
}

static const struct {
	const char *name;
	void (*run)(struct res_lab *l);
} scenes[] = { { "alone", alone },	 { "big", big_readers }, { "small", small_readers },
	       { "both", both },	 { "busy", busy_cpu },	 { "unpinned", unpinned },
	       { "again", attach_again } };

static int is_asked(int argc, char **argv, const char *name)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc < 3;
}

int main(int argc, char **argv)
{
	static struct res_lab l;
	const char *dir = getenv("LNX_BUILD");
	char object[256];

	(void)snprintf(object, sizeof(object), "%s/bpf/blkio.bpf.o", dir ? dir : "build");
	res_open(&l, argc > 1 ? argv[1] : object, "/proc/pressure/io");
	if (stall_io_init(&io))
		return 1;
	io.translate = translate;
	io.translate_arg = &l;
	stall_io_reset(&io, &l.maps);
	res_attach(&l);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (!is_asked(argc, argv, scenes[i].name))
			continue;
		printf("%s\n", scenes[i].name);
		res_scenario(&l, scenes[i].run);
	}
	res_detach();
	stall_io_done(&io);
	return score_end(&l.score);
}
