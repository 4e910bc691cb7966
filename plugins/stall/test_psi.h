/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests that hold what was measured against pressure: a hierarchy whose pressure files they fill. */
#ifndef PLUGINS_STALL_TEST_PSI_H
#define PLUGINS_STALL_TEST_PSI_H

#include "test_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* With the cgroups of the fixture's pods "uid" and "c", and no file yet. */
static inline char *make_pressure(struct test *f)
{
	static const char *const folders[] = { "t",	     "t/poduid", "t/poduid/a",
					       "t/poduid/b", "t/podc",	 "t/podc/c" };
	char *dir = strdup("/tmp/lnx-psi-XXXXXX"), path[256];

	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	if (f->s->whos.root_fd >= 0)
		assert_int_equal(close(f->s->whos.root_fd), 0);
	f->s->whos.root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->s->whos.root_fd >= 0);
	return dir;
}

static inline void drop_pressure(char *dir)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	free(dir);
}

/* Of the cgroup at <path> since ever: "some", of which half was "full". */
static inline void pressure_is(const char *dir, const char *path, const char *resource, uint64_t ms)
{
	char file[256];
	FILE *out;

	(void)snprintf(file, sizeof(file), "%s%s/%s.pressure", dir, path, resource);
	out = fopen(file, "we");
	assert_non_null(out);
	assert_true(fprintf(out,
			    "some avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n"
			    "full avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n",
			    (unsigned long long)ms * 1000, (unsigned long long)ms * 500) > 0);
	assert_int_equal(fclose(out), 0);
}

#endif
