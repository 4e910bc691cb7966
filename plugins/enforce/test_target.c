/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who is never touched, by whatever name or cgroup a request means them. */
#include "test_fixture.h"

static void dir_of(const struct fix *f, const char *sub, char *ret, size_t cap)
{
	assert_true(snprintf(ret, cap, "%s/batch%s", f->root, sub) < (int)cap);
}

static void put_pid(const struct fix *f, const char *file, pid_t pid)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%d\n", (int)pid);
	put(f, file, text);
}

/* A child of that name. */
static pid_t named(const char *comm)
{
	int is_named[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(is_named), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
		(void)prctl(PR_SET_NAME, comm);
		(void)close(is_named[0]);
		(void)close(is_named[1]);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	(void)close(is_named[1]);
	assert_int_equal(read(is_named[0], &c, 1), 0); /* the end, when it closes */
	(void)close(is_named[0]);
	return pid;
}

static void names_wherever_they_run(void **unused)
{
	static const char *const names[] = { "sshd",	 "systemd-udevd", "containerd-shim",
					     "kubelet",	 "dbus-daemon",	  "linnix-guardian",
					     "(sd-pam)", "mine-7" };
	struct fix f;
	pid_t pid;

	(void)unused;
	fix_make(&f);
	conf(&f, "protect", "mine-*", "");
	fix_start(&f);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pid = named(names[i]);
		put_pid(&f, "cgroup.procs", pid);
		refused(&f, LNX_ACTION_FREEZE, NAN, ") is protected");
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	/* it has ended: nobody is there */
	ask(&f, LNX_ACTION_FREEZE, NAN, 1);
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	fix_close(&f);
}

static void cgroups_on_the_way(void **unused)
{
	static const char *const paths[] = { "/system.slice/kubelet.service", "/init.scope",
					     "/system.slice/ssh.service/x",   "/a/sshd@1.service",
					     "/machine.slice/mine/pod",	      "/whole/path" };
	struct fix f;

	(void)unused;
	fix_make(&f);
	conf(&f, "protect", "mine,/whole/path", "");
	fix_start(&f);
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		f.path = paths[i];
		refused(&f, LNX_ACTION_THROTTLE, 50, paths[i]);
		has(&f, " is protected");
		refused(&f, LNX_ACTION_SIGNAL, SIGTERM, " is protected");
	}
	f.path = "/batch";
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	fix_close(&f);
}

static void what_is_below_counts(void **unused)
{
	char dir[256];
	struct undo_stat st;
	struct fix f;
	int n;

	(void)unused;
	fix_make(&f);
	fix_start(&f);
	dir_of(&f, "/sub", dir, sizeof(dir));
	assert_int_equal(mkdir(dir, 0755), 0);
	put(&f, "sub/cgroup.procs", "1\n");
	refused(&f, LNX_ACTION_FREEZE, NAN, "process 1 is never touched");
	put_pid(&f, "sub/cgroup.procs", getpid());
	refused(&f, LNX_ACTION_FREEZE, NAN, "is the agent or what it runs under");
	/* a container may not see any */
	if (undo_stat(2, &st) == 0 && !strcmp(st.comm, "kthreadd")) {
		put(&f, "sub/cgroup.procs", "2\n");
		refused(&f, LNX_ACTION_FREEZE, NAN, "process 2 is a kernel thread");
	}
	put(&f, "sub/cgroup.procs", "");
	for (n = 0; n < 18; n++) {
		(void)snprintf(strrchr(dir, 0), 3, "/d"); /* fits */
		assert_int_equal(mkdir(dir, 0755), 0);
	}
	refused(&f, LNX_ACTION_FREEZE, NAN, "more than 512 cgroups are below it");
	for (; n; n--) {
		assert_int_equal(rmdir(dir), 0);
		*strrchr(dir, '/') = 0;
	}
	dir_of(&f, "/sub/cgroup.procs", dir, sizeof(dir));
	assert_int_equal(unlink(dir), 0);
	*strrchr(dir, '/') = 0;
	assert_int_equal(rmdir(dir), 0);
	fix_close(&f);
}

static void more_than_can_be_looked_at(void **unused)
{
	struct fix f;
	char *text = malloc(ENF_LOOKED_AT * 12 + 64), *at = text;

	(void)unused;
	assert_non_null(text);
	fix_make(&f);
	fix_start(&f);
	for (int i = 0; i <= ENF_LOOKED_AT; i++)
		at += snprintf(at, 13, "%d\n", (int)f.child);
	put(&f, "cgroup.procs", text);
	free(text);
	refused(&f, LNX_ACTION_FREEZE, NAN, "more than 8192 processes are in it");
	fix_close(&f);
}

static void another_cgroup_or_the_root(void **unused)
{
	struct stat st;
	struct fix f;

	(void)unused;
	fix_make(&f);
	fix_start(&f);
	f.ino++;
	refused(&f, LNX_ACTION_THROTTLE, 50, "the cgroup no longer exists");
	assert_int_equal(stat(f.root, &st), 0);
	f.ino = st.st_ino;
	f.path = "/";
	refused(&f, LNX_ACTION_THROTTLE, 50, "the root of the cgroups is never touched");
	fix_close(&f);
}

static void a_tree_of_the_process_that_was_meant(void **unused)
{
	struct fix f;

	(void)unused;
	fix_make(&f);
	fix_start(&f);
	f.later_ns = SECOND;
	refused(&f, LNX_ACTION_SIGNAL, SIGTERM, "is another one by now");
	f.later_ns = 0;
	f.n_more = ENF_TREE;
	refused(&f, LNX_ACTION_SIGNAL, SIGTERM, "has more than 128 processes");
	f.are_over = 1;
	ask(&f, LNX_ACTION_SIGNAL, SIGTERM, 1);
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	has(&f, "send TERM to 1 process: ");
	fix_close(&f);
}

/* A parent's number came again before the table looked at its orphans. */
static void an_orphan_is_nobody_elses_child(void **unused)
{
	struct fix f;
	int fd;

	(void)unused;
	fix_make(&f);
	fix_start(&f);
	f.late = grandchild(&f);
	f.late_parent = child_proc(&f).start_ns;
	ask(&f, LNX_ACTION_SIGNAL, SIGTERM, 1);
	has(&f, "send TERM to 2 processes: ");
	f.late_parent -= SECOND;
	testhost_set_now(f.t, testhost_now(f.t) + ENF_QUIET);
	ask(&f, LNX_ACTION_SIGNAL, SIGTERM, 1);
	has(&f, "send TERM to 1 process: ");
	/* its parent's start is not known, and that it is another one by now is only told by /proc */
	f.late_parent = 0;
	f.late = sleeper(&fd);
	testhost_set_now(f.t, testhost_now(f.t) + ENF_QUIET);
	ask(&f, LNX_ACTION_SIGNAL, SIGTERM, 1);
	has(&f, "send TERM to 1 process: ");
	assert_int_equal(kill(f.late, SIGKILL), 0);
	(void)waitpid(f.late, NULL, 0);
	(void)close(fd);
	fix_close(&f);
}

/* Each of a tree may be somewhere else than its root. */
static void the_cgroup_of_each_process_counts(void **unused)
{
	struct fix f;

	(void)unused;
	fix_make(&f);
	conf(&f, "protect", "shop", "");
	fix_start(&f);
	f.late = grandchild(&f);
	f.late_cgroup = VICTIM;
	refused(&f, LNX_ACTION_SIGNAL, SIGTERM, "cgroup /shop is protected");
	f.late_cgroup = 4711;
	refused(&f, LNX_ACTION_SIGNAL, SIGTERM, "cgroup 4711 is not known");
	f.late_cgroup = 0;
	ask(&f, LNX_ACTION_SIGNAL, SIGTERM, 1);
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	fix_close(&f);
	/* nor is one of which nobody knows where it is sent anything */
	fix_make(&f);
	fix_start(&f);
	f.ino = 4711;
	refused(&f, LNX_ACTION_SIGNAL, SIGTERM, "cgroup 4711 is not known");
	fix_close(&f);
}

/* The name of a process may hold what ends it in /proc. */
static void a_name_moves_no_field(void **unused)
{
	struct undo_stat st;
	pid_t pid = named("x) R 1 2 3");
	int fd;

	(void)unused;
	assert_int_equal(undo_stat((uint32_t)pid, &st), 0);
	assert_string_equal(st.comm, "x) R 1 2 3");
	assert_int_equal(st.ppid, getpid());
	fd = undo_pidfd((uint32_t)pid, st.start_ticks);
	assert_true(fd >= 0);
	(void)close(fd);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	/* nor is process 1 ever one to be signalled */
	assert_int_equal(undo_stat(1, &st), 0);
	assert_int_equal(undo_pidfd(1, st.start_ticks), -ESRCH);
}

static void the_guardian_is_ours(void **unused)
{
	const struct enforce *s;
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	approve_and_wait(&f);
	s = testhost_state(f.t);
	assert_true(s->guard.pid > 0);
	put_pid(&f, "cgroup.procs", s->guard.pid);
	refused(&f, LNX_ACTION_WEIGHT, 10, "is the agent or what it runs under");
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_wherever_they_run),
		cmocka_unit_test(cgroups_on_the_way),
		cmocka_unit_test(what_is_below_counts),
		cmocka_unit_test(more_than_can_be_looked_at),
		cmocka_unit_test(another_cgroup_or_the_root),
		cmocka_unit_test(a_tree_of_the_process_that_was_meant),
		cmocka_unit_test(an_orphan_is_nobody_elses_child),
		cmocka_unit_test(the_cgroup_of_each_process_counts),
		cmocka_unit_test(a_name_moves_no_field),
		cmocka_unit_test(the_guardian_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
