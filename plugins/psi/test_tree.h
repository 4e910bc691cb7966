/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A fake /proc and cgroup hierarchy in a temporary folder, for the tests of plugin psi. */
#ifndef PLUGINS_PSI_TEST_TREE_H
#define PLUGINS_PSI_TEST_TREE_H

#include <ftw.h>
#include <linnix/plugin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "testhost.h"

struct fake_tree {
	struct testhost *t;
	char dir[64];
	int is_auto_root; /* let the plugin look for the cgroups itself */
};

static inline void fake_path(const struct fake_tree *f, const char *name, char *path, size_t cap)
{
	assert_true(snprintf(path, cap, "%s/%s", f->dir, name) < (int)cap);
}

static inline void fake_mkdir(const struct fake_tree *f, const char *name)
{
	char path[1400];

	fake_path(f, name, path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Written in place, as the kernel changes what an open file reads. */
static inline void fake_put(const struct fake_tree *f, const char *name, const char *text)
{
	char path[1400];
	FILE *o;

	fake_path(f, name, path, sizeof(path));
	o = fopen(path, "w");
	assert_non_null(o);
	assert_true(fputs(text, o) >= 0);
	assert_int_equal(fclose(o), 0);
}

static inline void fake_get(const struct fake_tree *f, const char *name, char *text, size_t cap)
{
	char path[1400];
	FILE *in;
	size_t n;

	fake_path(f, name, path, sizeof(path));
	in = fopen(path, "r");
	assert_non_null(in);
	n = fread(text, 1, cap - 1, in);
	text[n] = 0;
	assert_int_equal(fclose(in), 0);
}

static inline void fake_remove(const struct fake_tree *f, const char *name)
{
	char path[1400];

	fake_path(f, name, path, sizeof(path));
	assert_int_equal(remove(path), 0);
}

static inline void fake_pressure_file(const struct fake_tree *f, const char *name, uint64_t some_us,
				      uint64_t full_us)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "some avg10=1.50 avg60=0.50 avg300=0.10 total=%llu\n"
		 "full avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n",
		 (unsigned long long)some_us, (unsigned long long)full_us);
	fake_put(f, name, text);
}

static inline void fake_pressure(const struct fake_tree *f, const char *res, uint64_t some_us,
				 uint64_t full_us)
{
	char name[64];

	snprintf(name, sizeof(name), "pressure/%s", res);
	fake_pressure_file(f, name, some_us, full_us);
}

/* In ticks; steal is a part of busy. */
static inline void fake_stat(const struct fake_tree *f, unsigned busy, unsigned idle,
			     unsigned iowait, unsigned steal, unsigned forks, unsigned switches)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "cpu  %u 0 0 %u %u 0 0 %u 5 5\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 1 2 3\n"
		 "ctxt %u\nprocesses %u\nprocs_running 2\n",
		 busy - steal, idle, iowait, steal, switches, forks);
	fake_put(f, "stat", text);
}

/* A cgroup with its three files; totals 0. */
static inline void fake_cgroup(const struct fake_tree *f, const char *path)
{
	static const char *const names[] = { "cpu", "memory", "io" };
	char name[1400];
	int i;

	snprintf(name, sizeof(name), "cg/%s", path);
	fake_mkdir(f, name);
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "cg/%s/%s.pressure", path, names[i]);
		fake_pressure_file(f, name, 0, 0);
	}
}

static inline int fake_setup(void **ret)
{
	struct fake_tree *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->t = testhost_new();
	assert_non_null(f->t);
	snprintf(f->dir, sizeof(f->dir), "/tmp/linnix-test-psi-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	fake_mkdir(f, "pressure");
	fake_mkdir(f, "self");
	fake_mkdir(f, "cg");
	fake_pressure(f, "cpu", 0, 0);
	fake_pressure(f, "memory", 0, 0);
	fake_pressure(f, "io", 0, 0);
	fake_stat(f, 100, 400, 0, 10, 1000, 5000);
	fake_put(f, "meminfo", "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 0 kB\n");
	fake_put(f, "loadavg", "0.50 1.25 2.00 3/500 1234\n");
	*ret = f;
	return 0;
}

static inline int fake_delete(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int fake_teardown(void **ret)
{
	struct fake_tree *f = *ret;
	int r;

	testhost_free(f->t);
	r = nftw(f->dir, fake_delete, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return r;
}

static inline void fake_conf(const struct fake_tree *f)
{
	char text[128];

	snprintf(text, sizeof(text), "proc_root=%s", f->dir);
	assert_int_equal(testhost_conf(f->t, text), 0);
	snprintf(text, sizeof(text), "cgroup_root=%s/cg", f->dir);
	if (!f->is_auto_root)
		assert_int_equal(testhost_conf(f->t, text), 0);
}

static inline void fake_load(const struct fake_tree *f)
{
	fake_conf(f);
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
}

#endif
