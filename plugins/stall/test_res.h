/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of I/O and memory: maps of their probes made of memory, attached, and what they would hold. */
#ifndef PLUGINS_STALL_TEST_RES_H
#define PLUGINS_STALL_TEST_RES_H

#include "demand.h"
#include "test_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static inline int fd_of(struct test *f, const char *probe, const char *map)
{
	return testhost_host(f->t)->probe_map(testhost_ctx(f->t), probe, map);
}

static inline void put(struct test *f, const char *probe, const char *map, const void *key,
		       const void *value)
{
	assert_int_equal(testhost_host(f->t)->map_update(testhost_ctx(f->t), fd_of(f, probe, map),
							 key, value, 0),
			 0);
}

static inline void make_maps(struct test *f, const char *probe)
{
	assert_true(testhost_map(f->t, probe, "gates", 8, sizeof(struct lnx_rec_gate)) >= 0);
	assert_true(testhost_map(f->t, probe, "waiting", 4, sizeof(struct lnx_rec_waiting)) >= 0);
	assert_true(testhost_map(f->t, probe, "counts", 4, sizeof(struct lnx_rec_counts)) >= 0);
	assert_true(testhost_map(f->t, probe, "alias", 8, 8) >= 0);
	assert_true(testhost_map(f->t, probe, "procs", sizeof(struct lnx_rec_res_key),
				 sizeof(struct lnx_rec_res_proc)) >= 0);
	assert_true(testhost_map(f->t, probe, "stats", 4,
				 stall_possible_cpus() * (uint32_t)sizeof(struct lnx_rec_stats)) >=
		    0);
}

/* Both probes are loaded and attached: pressure of the real machine rose, once, and is not looked at any more. */
static inline int setup_res(void **ret)
{
	struct test *f;

	if (setup(ret))
		return -1;
	f = *ret;
	make_maps(f, "blkio");
	make_maps(f, "mem");
	assert_true(testhost_map(f->t, "blkio", "devs", 4, sizeof(struct lnx_rec_io_dev)) >= 0);
	assert_true(testhost_map(f->t, "blkio", "costs", 4, sizeof(struct lnx_rec_io_cost)) >= 0);
	assert_true(testhost_map(f->t, "mem", "allocs", 8, 8 * stall_possible_cpus()) >= 0);
	stall_demand_close(f->s);
	assert_int_equal(stall_demand_open(f->s), 0);
	return 0;
}

static inline int has_pressure(void)
{
	uint64_t io = 0, memory = 0, full;

	return !stall_psi_node(LNX_RES_IO, &io, &full) &&
	       !stall_psi_node(LNX_RES_MEMORY, &memory, &full) && io && memory;
}

/* A reading of the machine's pressure that is far above the one before. */
static inline void rise(struct test *f)
{
	if (!has_pressure()) {
		print_message("SKIP: no pressure of I/O and memory to be seen here\n");
		skip();
	}
	assert_int_equal(testhost_conf(f->t, "attach_above=0"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	f->s->res->io.has_node = f->s->res->mem.has_node = 1;
	f->s->has_psi = 1;
	tick(f);
	f->s->has_psi = 0;
	assert_true(stall_is_attached(f->s, LNX_RES_IO));
	assert_true(stall_is_attached(f->s, LNX_RES_MEMORY));
}

/* A cgroup waited for <ms> since the last look. */
static inline void waited(struct test *f, const char *probe, uint64_t id, uint64_t ms)
{
	const struct lnx_rec_gate g = { .stall_ns = ms * MS, .born = f->mono + 1, .waits = 1 };

	put(f, probe, "gates", &id, &g);
}

static inline void requests(struct test *f, uint64_t victim, uint64_t culprit, uint64_t culprit_ms,
			    uint64_t own_ms)
{
	struct lnx_rec_io_dev *d = calloc(1, sizeof(*d));
	uint32_t place = 0;

	assert_non_null(d);
	d->dev = 1;
	d->victim[1] = (struct lnx_rec_io_victim){ .id = victim, .gen = 1 };
	d->culprit[1] = (struct lnx_rec_io_culprit){ .id = culprit, .gen = 1 };
	d->culprit[2] = (struct lnx_rec_io_culprit){ .id = victim, .gen = 1 };
	d->m[1][1] = culprit_ms * MS;
	d->m[1][2] = own_ms * MS;
	put(f, "blkio", "devs", &place, d);
	free(d);
}

static inline void write_text(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* Of memory: a hierarchy of v1 with the limit of a pod. */
struct tree {
	char dir[64];
};

static inline void write_file(const char *dir, const char *file, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	write_text(path, text);
}

/* Pod "uid" may use 100 MiB, of which <used> are used. */
static inline void make_tree(struct test *f, struct tree *t, const char *used)
{
	static const char *const folders[] = { "t",	     "t/poduid", "t/poduid/a",
					       "t/poduid/b", "t/podc",	 "t/podc/c" };
	char path[256];

	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/lnx-scope-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", t->dir, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	(void)snprintf(path, sizeof(path), "%s/t/poduid", t->dir);
	write_file(path, "memory.usage_in_bytes", used);
	write_file(path, "memory.limit_in_bytes", "104857600\n");
	free(f->s->whos.mem_root);
	free(f->s->whos.io_root);
	f->s->whos.mem_root = strdup(t->dir);
	f->s->whos.io_root = strdup(t->dir);
	f->s->whos.is_mem_v1 = 1;
}

static inline void drop_tree(const struct tree *t)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", t->dir);
	assert_int_equal(system(command), 0);
}

static inline void allocated(struct test *f, uint64_t id, uint64_t pages)
{
	uint64_t *by_cpu = calloc(stall_possible_cpus(), sizeof(*by_cpu));

	assert_non_null(by_cpu);
	by_cpu[0] = pages;
	put(f, "mem", "allocs", &id, by_cpu);
	free(by_cpu);
}

#endif
