/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Memory stalls in a limit that two cgroups share: the gate against memory.pressure, and who is named first. Arguments: the
 * object.
 * LINK: tests/bpf/score.c tests/bpf/lab_res.c plugins/stall/gates.c plugins/stall/mem.c */
#include "tests/bpf/lab_res.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/stall/mem.h"

#define LIMIT_BYTES  (48u << 20)
#define BULLY_BYTES  (96u << 20) /* its file; twice the limit */
#define VICTIM_BYTES (24u << 20) /* would fit alone */
#define RUN_NS	     6000000000ULL
#define PSI_MIN_MS   20.0
#define LOW	     0.50 /* of PSI, at least; the prototype saw -1 to -17 % */
#define HIGH	     1.10

struct thrash {
	char path[96];
	size_t bytes;
};

/* Reads a file through the page cache over and over. */
static void thrash_on(void *arg, uint64_t end_ns)
{
	const struct thrash *t = arg;
	int fd = open(t->path, O_RDONLY | O_CLOEXEC);
	static char buf[65536];

	if (fd < 0)
		_exit(1);
	while (res_now() < end_ns)
		for (size_t at = 0; at < t->bytes && res_now() < end_ns; at += sizeof(buf))
			if (pread(fd, buf, sizeof(buf), (off_t)at) != (ssize_t)sizeof(buf))
				_exit(1);
}

static void make_file(const struct res_lab *l, struct thrash *t, int n, size_t bytes)
{
	static char buf[1 << 20];
	int fd;

	(void)snprintf(t->path, sizeof(t->path), "%s/data%d", l->dir, n);
	t->bytes = bytes;
	fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (size_t at = 0; fd >= 0 && at < bytes; at += sizeof(buf)) {
		memset(buf, (int)(at >> 20) + n + 1, sizeof(buf));
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			res_skip("cannot write %s: %s", t->path, strerror(errno));
	}
	if (fd < 0 || fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || close(fd))
		res_skip("cannot make %s: %s", t->path, strerror(errno));
}

struct scope {
	const struct res_lab *l;
	uint64_t below[2];
};

static int contended(void *arg, uint64_t victim)
{
	const struct scope *s = arg;

	return victim == s->below[0] || victim == s->below[1] ? 0 : -1;
}

static int is_below(void *arg, uint64_t id, int level)
{
	const struct scope *s = arg;

	return level == 0 && (id == s->below[0] || id == s->below[1]);
}

static void measure(struct res_lab *l, struct stall_mem *m, int victim, int bully)
{
	struct scope below = { l, { l->group[victim].id, l->group[bully].id } };
	struct stall_mem_scope scope = { &below, contended, is_below };
	uint64_t start = res_now(), id = l->group[victim].id;
	struct stall_res_window w;
	double psi, raw, self, other, sum = 0;

	res_until(start + 1000000000);
	stall_mem_read(m, &l->maps, &scope, res_now(), &w);
	psi = res_psi_ms(l, victim, "memory.pressure");
	res_until(start + RUN_NS - 500000000);
	stall_mem_read(m, &l->maps, &scope, res_now(), &w);
	psi = res_psi_ms(l, victim, "memory.pressure") - psi;
	raw = res_raw_ms(&w, id);
	self = res_part_ms(&w, id, id);
	other = res_part_ms(&w, id, l->group[bully].id);
	for (uint32_t i = 0; i < w.n_victims; i++)
		for (uint32_t k = 0; w.victims[i].cgroup_id == id && k < w.victims[i].n; k++)
			sum += (double)w.parts[w.victims[i].first + k].ns / 1e6;
	printf("  victim stalled %.1f ms (memory.pressure %.1f ms, %+.1f %%): itself %.1f, bully %.1f, other %.1f\n",
	       raw, psi, psi > 0 ? 100 * (raw / psi - 1) : 0, self, other,
	       res_part_ms(&w, id, STALL_RES_OTHER));
	printf("  bully stalled %.1f ms\n", res_raw_ms(&w, l->group[bully].id));
	if (psi < PSI_MIN_MS) {
		score_skip(&l->score,
			   "memory.pressure rose by %.1f ms only: reclaim is too easy here", psi);
		return;
	}
	score_check(&l->score, raw >= LOW * psi && raw <= HIGH * psi,
		    "before normalising %.2f of PSI (%.2f to %.2f)", raw / psi, LOW, HIGH);
	score_sure(&l->score, fabs(sum - raw) < 0.001, "parts sum to the stall");
	score_check(&l->score, other > self && other > 0.5 * raw, "the bully is the first culprit");
}

static struct stall_mem mem;

static void shared_limit(struct res_lab *l)
{
	struct thrash victim_file, bully_file;
	int top, victim, bully;
	char limit[16];
	uint64_t end;

	make_file(l, &victim_file, 0, VICTIM_BYTES);
	make_file(l, &bully_file, 1, BULLY_BYTES);
	top = res_group(l, -1, "shared");
	victim = res_group(l, top, "victim");
	bully = res_group(l, top, "bully");
	(void)snprintf(limit, sizeof(limit), "%u", LIMIT_BYTES);
	if (res_set(l, top, "memory", "memory.limit_in_bytes", limit) &&
	    res_set(l, top, "", "memory.max", limit) &&
	    res_set(l, top, "unified", "memory.max", limit))
		res_skip("no memory controller that limits %s", l->group[top].name);
	stall_mem_reset(&mem, &l->maps);
	res_attach(l);
	end = res_now() + RUN_NS;
	res_spawn(l, victim, 0, thrash_on, &victim_file, end);
	for (int i = 0; i < 2; i++)
		res_spawn(l, bully, 1, thrash_on, &bully_file, end);
	measure(l, &mem, victim, bully);
	res_join(l);
	res_detach();
}

int main(int argc, char **argv)
{
	static struct res_lab l;
	const char *dir = getenv("LNX_BUILD");
	char object[256];

	(void)snprintf(object, sizeof(object), "%s/bpf/mem.bpf.o", dir ? dir : "build");
	res_open(&l, argc > 1 ? argv[1] : object, "/proc/pressure/memory");
	if (stall_mem_init(&mem, (uint32_t)libbpf_num_possible_cpus()))
		return 1;
	res_scenario(&l, shared_limit);
	stall_mem_done(&mem);
	return score_end(&l.score);
}
