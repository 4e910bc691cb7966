/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The hash of a running program: of the file that it is, of no other process, of nothing that might hold up the reader. */
#include "test_vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exe.h"

#define PROGRAM "/bin/sleep"

/* As events tell it, but for what is finer than a tick. */
static uint64_t start_of(pid_t pid)
{
	unsigned long long ticks = 0;
	char path[64], line[4096];
	const char *at;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid); /* fits */
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	(void)fclose(f);
	at = strrchr(line, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	assert_non_null(at);
	ticks = strtoull(at, NULL, 10);
	return ticks * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK)) + 5;
}

static void hash_of(const char *path, uint8_t ret[32])
{
	crypto_hash_sha256_state h;
	uint8_t buf[4096];
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	(void)crypto_hash_sha256_init(&h);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		(void)crypto_hash_sha256_update(&h, buf, n);
	(void)fclose(f);
	(void)crypto_hash_sha256_final(&h, ret);
}

/* A child that runs <fd>; it is past its exec. */
static pid_t run(int fd)
{
	char *const argv[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "600", NULL };
	int go[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		(void)fexecve(fd, argv, environ);
		_exit(1);
	}
	(void)close(go[1]);
	assert_int_equal(read(go[0], &byte, 1), 0); /* closed by the exec */
	(void)close(go[0]);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* it ran until then */
}

/* In a chroot the mounts of the files are none that the process has: nothing is hashed. */
static void need_mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[8192], at[256];
	int is_there = 0;

	assert_non_null(f);
	while (!is_there && fgets(line, sizeof(line), f))
		is_there = sscanf(line, "%*u %*u %*s %*s %255s", at) == 1 && !strcmp(at, "/");
	(void)fclose(f);
	if (!is_there) {
		print_message("SKIP: the root of this process is no mount of its own (chroot)\n");
		skip();
	}
}

static void the_file_that_runs_is_hashed_and_no_other_process(void **state)
{
	uint8_t want[32], got[32];
	uint64_t start;
	pid_t pid;
	int fd;

	(void)state;
	need_mounts();
	fd = open(PROGRAM, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	pid = run(fd);
	start = start_of(pid);
	hash_of(PROGRAM, want);
	assert_int_equal(exe_hash((uint32_t)pid, start, got), 0);
	assert_memory_equal(got, want, 32);
	assert_int_equal(exe_hash((uint32_t)pid, start + 1000000000, got), -ESRCH);
	end(pid);
	assert_int_equal(exe_hash((uint32_t)pid, start, got), -ESRCH);
	(void)close(fd);
}

static void copy_to(int fd, off_t size)
{
	int from = open(PROGRAM, O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_true(from >= 0 && fstat(from, &st) == 0);
	assert_int_equal(sendfile(fd, from, NULL, (size_t)st.st_size), st.st_size);
	assert_int_equal(ftruncate(fd, size ? size : st.st_size), 0);
	(void)close(from);
}

static void a_file_that_is_too_large_is_not_read(void **state)
{
	char path[] = "/tmp/linnix-exe-XXXXXX";
	uint8_t got[32];
	int fd;
	pid_t pid;

	(void)state;
	need_mounts();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	copy_to(fd, (off_t)EXE_BYTES + 1);
	assert_int_equal(fchmod(fd, 0700), 0);
	(void)close(fd); /* what is open for writing does not run */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(unlink(path), 0);
	pid = run(fd);
	assert_int_equal(exe_hash((uint32_t)pid, start_of(pid), got), -EFBIG);
	end(pid);
	(void)close(fd);
}

/* Of no mount that the process has: whose file system that is, nobody tells. */
static void a_file_that_might_hold_up_the_reader_is_not_opened(void **state)
{
	int fd = memfd_create("program", MFD_CLOEXEC);
	uint8_t got[32];
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	copy_to(fd, 0);
	pid = run(fd);
	assert_int_equal(exe_hash((uint32_t)pid, start_of(pid), got), -ENODEV);
	end(pid);
	(void)close(fd);
}

/* A child that runs <dir>/sleep: <dir> is an overlay that it mounted after it left what <flags> say. -1: that is not possible here. */
static pid_t run_on_overlay(const char *dir, int flags)
{
	char *const argv[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "600", NULL };
	char path[64], byte = 'x';
	int go[2], status;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/sleep", dir); /* fits */
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (unshare(flags) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("overlay", dir, "overlay", MS_RDONLY, "lowerdir=/usr/bin:/usr/sbin") == 0)
			(void)execve(path, argv, environ);
		_exit(write(go[1], &byte, 1) != 1);
	}
	(void)close(go[1]);
	if (read(go[0], &byte, 1) == 1) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		pid = -1;
	}
	(void)close(go[0]);
	return pid;
}

/* Below it there may be one that a process answers for: who has a user namespace needs no rights to mount it so. */
static void an_overlay_that_the_process_could_mount_itself_is_not_opened(void **state)
{
	char dir[] = "/tmp/linnix-exe-XXXXXX";
	int rc = -ENODEV, rc_ours = 0;
	uint8_t got[32];
	pid_t pid, ours;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = run_on_overlay(dir, CLONE_NEWUSER | CLONE_NEWNS);
	if (pid > 0) {
		rc = exe_hash((uint32_t)pid, start_of(pid), got);
		end(pid);
	}
	ours = run_on_overlay(dir, CLONE_NEWNS); /* without root it may not */
	if (ours > 0) {
		rc_ours = exe_hash((uint32_t)ours, start_of(ours), got);
		end(ours);
	}
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rc, -ENODEV);
	assert_int_equal(rc_ours, 0);
	if (pid < 0) {
		print_message("SKIP: no overlay in a user namespace of its own here\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_that_runs_is_hashed_and_no_other_process),
		cmocka_unit_test(a_file_that_is_too_large_is_not_read),
		cmocka_unit_test(a_file_that_might_hold_up_the_reader_is_not_opened),
		cmocka_unit_test(an_overlay_that_the_process_could_mount_itself_is_not_opened),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
