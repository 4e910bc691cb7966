/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* BPF objects that are missing, cut, spoilt or refused: a reason for a person, and no crash. */
/* LINK: tests/bpf/fix_probe.c */
#include "tests/bpf/fix_probe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SPOILT 12 /* objects, each with one wrong byte */

static void spoil(const char *path, off_t at, size_t n)
{
	unsigned char bytes[256];
	int fd = open(path, O_RDWR | O_CLOEXEC);
	size_t i;

	assert_true(fd >= 0 && n <= sizeof(bytes));
	assert_int_equal(pread(fd, bytes, n, at), n);
	for (i = 0; i < n; i++)
		bytes[i] ^= 0xff;
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	(void)close(fd);
}

/* Load what lies in <d>; whether it loads or not, it may not crash, and a failure has a reason. */
static uint32_t try_load(struct fix_dir *d, char *ret_why, size_t cap)
{
	struct lnx_probes_conf conf = { .bpf_dir = d->path };
	struct lnx_probe_info info;
	struct fix f;

	fix_open(&f, &conf);
	info = fix_info(&f, "proc");
	(void)snprintf(ret_why, cap, "%s", info.why);
	fix_done(&f);
	return info.state;
}

static void a_missing_object_is_named(void **state)
{
	char why[256];
	struct fix_dir d;

	(void)state;
	fix_dir_open(&d);
	assert_int_equal(try_load(&d, why, sizeof(why)), LNX_PROBE_FAILED);
	assert_non_null(strstr(why, d.object));
	assert_non_null(strstr(why, "No such file"));
	fix_dir_done(&d);
}

static void objects_that_are_no_objects_are_refused(void **state)
{
	static const char *const texts[] = { "", "not an object at all", "\177ELF" };
	char why[256];
	struct fix_dir d;
	unsigned i;

	(void)state;
	fix_dir_open(&d);
	for (i = 0; i < 3; i++) {
		int fd = open(d.object, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		(void)close(fd);
		assert_int_equal(try_load(&d, why, sizeof(why)), LNX_PROBE_FAILED);
		assert_non_null(strstr(why, "not a sound BPF object"));
	}
	fix_dir_done(&d);
}

static void an_object_cut_short_is_refused(void **state)
{
	char why[256];
	struct stat st;
	struct fix_dir d;
	unsigned i;

	(void)state;
	fix_dir_open(&d);
	for (i = 1; i < 8; i++) {
		fix_copy(d.built, d.object);
		assert_int_equal(stat(d.object, &st), 0);
		assert_int_equal(truncate(d.object, st.st_size * i / 8), 0);
		assert_int_equal(try_load(&d, why, sizeof(why)), LNX_PROBE_FAILED);
		assert_true(why[0]);
	}
	fix_dir_done(&d);
}

static int load_spoilt(void *arg)
{
	char why[256];

	/* attached or failed with a reason: both are an answer */
	return try_load(arg, why, sizeof(why)) == LNX_PROBE_FAILED && !why[0] ? 10 : 0;
}

static void an_object_with_wrong_bytes_does_not_crash_the_agent(void **state)
{
	struct stat st;
	struct fix_dir d;
	off_t at;
	int status;

	(void)state;
	fix_dir_open(&d);
	assert_int_equal(stat(d.built, &st), 0);
	for (at = 0; at < st.st_size; at += st.st_size / SPOILT + 1) {
		fix_copy(d.built, d.object);
		spoil(d.object, at, 1);
		status = fix_reap(fix_fork(load_spoilt, &d));
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("byte %ld: status %#x", (long)at, (unsigned)status);
	}
	fix_dir_done(&d);
}

/* Where in the file <bytes> lie first, -1 nowhere. */
static off_t find_in(const char *path, const void *bytes, size_t n)
{
	static char all[1u << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, all, sizeof(all));
	const char *at;

	assert_true(size > 0);
	(void)close(fd);
	at = memmem(all, (size_t)size, bytes, n);
	return at ? at - all : -1;
}

static void a_program_that_the_verifier_refuses_is_said_with_its_words(void **state)
{
	/* call of bpf_ringbuf_submit: made a call of a helper that does not exist */
	static const unsigned char call[] = { 0x85, 0, 0, 0, 132, 0, 0, 0 };
	char why[256];
	struct fix_dir d;
	off_t at;

	(void)state;
	fix_dir_open(&d);
	fix_copy(d.built, d.object);
	at = find_in(d.object, call, sizeof(call));
	assert_true(at > 0);
	spoil(d.object, at + 4, 2);
	assert_int_equal(try_load(&d, why, sizeof(why)), LNX_PROBE_FAILED);
	assert_non_null(strstr(why, "refused by the kernel's verifier: "));
	assert_non_null(strstr(why, "invalid func"));
	fix_dir_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_object_is_named),
		cmocka_unit_test(objects_that_are_no_objects_are_refused),
		cmocka_unit_test(an_object_cut_short_is_refused),
		cmocka_unit_test(an_object_with_wrong_bytes_does_not_crash_the_agent),
		cmocka_unit_test(a_program_that_the_verifier_refuses_is_said_with_its_words),
	};

	fix_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
