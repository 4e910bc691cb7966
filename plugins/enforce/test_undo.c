/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Taking back: files, processes, and what a journal of an earlier run says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

struct dir {
	char path[64];
	struct undo u;
};

static void put(const struct dir *d, const char *file, const char *text, const char *mode)
{
	char path[128];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/%s", d->path, file);
	out = fopen(path, mode);
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static const char *get(const struct dir *d, const char *file)
{
	static char text[128];
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", d->path, file);
	assert_int_equal(undo_read(AT_FDCWD, path, text, sizeof(text)), 0);
	return text;
}

static void dir_make(struct dir *d)
{
	struct stat st;

	memset(d, 0, sizeof(*d));
	(void)snprintf(d->path, sizeof(d->path), "/tmp/lnx-undo-XXXXXX");
	assert_non_null(mkdtemp(d->path));
	assert_int_equal(stat(d->path, &st), 0);
	d->u.kind = UNDO_FILE;
	d->u.dev = st.st_dev;
	d->u.ino = st.st_ino;
	(void)snprintf(d->u.dir, sizeof(d->u.dir), "%s", d->path);
	(void)snprintf(d->u.file, sizeof(d->u.file), "cpu.max");
	(void)snprintf(d->u.ours, sizeof(d->u.ours), "50000 100000");
	(void)snprintf(d->u.before, sizeof(d->u.before), "max 100000");
	put(d, "cpu.max", "50000 100000\n", "w");
}

static void dir_remove(struct dir *d)
{
	static const char *const files[] = { "cpu.max", "journal", "" };
	char path[128];

	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", d->path, files[i]);
		(void)remove(path);
	}
}

static void a_value_that_is_ours_is_given_back(void **state)
{
	struct dir d;
	int rc;

	(void)state;
	dir_make(&d);
	assert_int_equal(undo_run(&d.u, &rc), UNDO_RESTORED);
	assert_memory_equal(get(&d, "cpu.max"), "max 100000", 10);
	/* once: now it is not ours any more */
	assert_int_equal(undo_run(&d.u, &rc), UNDO_NOT_OURS);
	put(&d, "cpu.max", "70000 100000\n", "w");
	assert_int_equal(undo_run(&d.u, &rc), UNDO_NOT_OURS);
	assert_string_equal(get(&d, "cpu.max"), "70000 100000");
	(void)snprintf(d.u.ours, sizeof(d.u.ours), "FROZEN");
	put(&d, "cpu.max", "FREEZING\n", "w");
	assert_int_equal(undo_run(&d.u, &rc), UNDO_RESTORED);
	/* another folder of the same name */
	d.u.ino++;
	assert_int_equal(undo_run(&d.u, &rc), UNDO_GONE);
	dir_remove(&d);
	assert_int_equal(undo_run(&d.u, &rc), UNDO_GONE);
}

static void another_process_of_the_same_number_is_left_alone(void **state)
{
	struct undo u = { .kind = UNDO_CONT };
	struct undo_stat st;
	pid_t child = fork();
	int rc, status, fd;

	(void)state;
	if (child == 0) {
		for (;;)
			pause();
	}
	assert_int_equal(undo_stat((uint32_t)child, &st), 0);
	assert_int_equal(st.ppid, getpid());
	u.pid = (uint32_t)child;
	u.start_ticks = st.start_ticks;
	assert_int_equal(undo_run(&u, &rc), UNDO_NOT_OURS); /* it is not stopped */
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	u.start_ticks++;
	assert_int_equal(undo_run(&u, &rc), UNDO_GONE);
	assert_int_equal(undo_stat((uint32_t)child, &st), 0);
	assert_int_equal(st.state, 'T');
	assert_int_equal(undo_pidfd((uint32_t)child, u.start_ticks), -ESRCH);
	u.start_ticks--;
	assert_int_equal(undo_run(&u, &rc), UNDO_RESTORED);
	assert_int_equal(waitpid(child, &status, WCONTINUED), child);
	fd = undo_pidfd((uint32_t)child, u.start_ticks);
	assert_true(fd >= 0);
	assert_int_equal(undo_kill(fd, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(undo_kill(fd, SIGKILL), -ESRCH);
	(void)close(fd);
	assert_int_equal(undo_run(&u, &rc), UNDO_GONE);
	assert_int_equal(undo_pidfd(1, 0), -ESRCH);
}

/* ---- the journal */

static void begin(const struct dir *d, const char *id, const char *boot_id, uint64_t ts_ns)
{
	char line[1024];

	(void)snprintf(
		line, sizeof(line),
		"{\"op\":\"begin\",\"id\":\"%s\",\"ts_ns\":%llu,\"boot_id\":\"%s\",\"undo\":[{\"kind\":1,"
		"\"dir\":\"%s\",\"dev\":%llu,\"ino\":%llu,\"file\":\"cpu.max\",\"ours\":\"50000 100000\","
		"\"before\":\"max 100000\"}]}\n",
		id, (unsigned long long)ts_ns, boot_id, d->path, (unsigned long long)d->u.dev,
		(unsigned long long)d->u.ino);
	put(d, "journal", line, "a");
}

#define ID "01HZZZZZZZZZZZZZZZZZZZZZZZ"

struct run {
	struct testhost *t;
	struct enf_conf conf;
	struct enforce s;
	char path[128];
};

/* Only what a journal needs of the plugin. */
static int open_journal(struct run *r, const struct dir *d)
{
	static const char *const none[] = { NULL };

	memset(r, 0, sizeof(*r));
	r->t = testhost_new();
	assert_non_null(r->t);
	(void)snprintf(r->path, sizeof(r->path), "%s/journal", d->path);
	r->conf = (struct enf_conf){
		.journal = r->path, .auto_rules = none, .verbs = none, .protect = none
	};
	r->s.host = testhost_host(r->t);
	r->s.ctx = testhost_ctx(r->t);
	r->s.conf = &r->conf;
	r->s.guard.fd = -1;
	return journal_open(&r->s);
}

static void close_journal(struct run *r)
{
	journal_close(&r->s);
	testhost_free(r->t);
}

static const char *boot_id(void)
{
	static char id[64];
	struct testhost *t = testhost_new();

	assert_non_null(t);
	(void)snprintf(id, sizeof(id), "%s", testhost_host(t)->ident(testhost_ctx(t))->boot_id);
	testhost_free(t);
	return id;
}

static void the_next_start_takes_back_what_nobody_ended(void **state)
{
	const uint64_t lately = TESTHOST_WALL_NS - 60 * UNDO_SEC;
	struct dir d;
	struct run r, second;

	(void)state;
	dir_make(&d);
	put(&d, "journal", "not a line of ours\n", "w");
	begin(&d, ID, boot_id(), lately);
	begin(&d, "01HZZZZZZZZZZZZZZZZZZZZZZY", boot_id(), TESTHOST_WALL_NS - 7200 * UNDO_SEC);
	put(&d, "journal", "{\"op\":\"end\",\"id\":\"01HZZZZZZZZZZZZZZZZZZZZZZY\"}\n{\"op\":\"beg",
	    "a");
	assert_int_equal(open_journal(&r, &d), 0);
	assert_memory_equal(get(&d, "cpu.max"), "max 100000", 10);
	assert_true(testhost_log_has(r.t, "action " ID " was in force"));
	assert_int_equal(r.s.n_hourly, 1);
	assert_true(r.s.hourly[0] == lately);
	/* one at a time: an agent, or the guardian of the one before */
	assert_int_equal(open_journal(&second, &d), -EBUSY);
	close_journal(&second);
	close_journal(&r);
	/* the hour is remembered, and nothing is undone twice */
	put(&d, "cpu.max", "50000 100000\n", "w");
	assert_int_equal(open_journal(&r, &d), 0);
	assert_string_equal(get(&d, "cpu.max"), "50000 100000");
	assert_int_equal(r.s.n_hourly, 1);
	close_journal(&r);
	dir_remove(&d);
}

/* A value that cannot be written now is tried at each start, and its line is kept until then. */
static void what_cannot_be_taken_back_is_tried_again(void **state)
{
	struct dir d;
	struct run r;
	char path[128];

	(void)state;
	dir_make(&d);
	begin(&d, ID, boot_id(), 5);
	(void)snprintf(path, sizeof(path), "%s/cpu.max", d.path);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_journal(&r, &d), 0);
		assert_true(testhost_log_has(r.t, "NOT undone"));
		assert_int_equal(r.s.n_left, 1);
		close_journal(&r);
	}
	assert_int_equal(remove(path), 0);
	put(&d, "cpu.max", "50000 100000\n", "w");
	assert_int_equal(open_journal(&r, &d), 0);
	assert_memory_equal(get(&d, "cpu.max"), "max 100000", 10);
	assert_int_equal(r.s.n_left, 0);
	close_journal(&r);
	dir_remove(&d);
}

static void what_the_guardian_ended_or_another_boot_began_is_left(void **state)
{
	struct dir d;
	struct run r;

	(void)state;
	dir_make(&d);
	begin(&d, ID, boot_id(), 5);
	put(&d, "journal", "{\"op\":\"end\",\"id\":\"" ID "\",\"by\":\"guardian\"}\n", "a");
	begin(&d, "01HZZZZZZZZZZZZZZZZZZZZZZX", "another-boot", 5);
	assert_int_equal(open_journal(&r, &d), 0);
	assert_string_equal(get(&d, "cpu.max"), "50000 100000");
	assert_false(testhost_log_has(r.t, "action " ID " was"));
	assert_true(testhost_log_has(r.t, "the machine was started anew"));
	close_journal(&r);
	dir_remove(&d);
	assert_int_equal(open_journal(&r, &d), -ENOENT); /* its folder is not there */
	close_journal(&r);
}

/* Months of actions: else a start after them would find it too large, and do nothing any more. */
static void a_large_one_begins_anew_when_nothing_is_in_force(void **state)
{
	struct dir d;
	struct run r;
	struct stat st;

	(void)state;
	dir_make(&d);
	assert_int_equal(open_journal(&r, &d), 0);
	r.s.hourly[r.s.n_hourly++] = TESTHOST_WALL_NS;
	while (stat(r.path, &st) == 0 && st.st_size < 1 << 20) {
		journal_trim(&r.s);
		for (int i = 0; i < 1000; i++)
			begin(&d, ID, boot_id(), 5);
	}
	r.s.n_journaling = 1;
	journal_trim(&r.s);
	assert_int_equal(stat(r.path, &st), 0);
	assert_true(st.st_size >= 1 << 20);
	r.s.n_journaling = 0;
	journal_trim(&r.s);
	assert_int_equal(stat(r.path, &st), 0);
	assert_true(st.st_size > 0 && st.st_size < 1000);
	close_journal(&r);
	assert_int_equal(open_journal(&r, &d), 0);
	assert_int_equal(r.s.n_hourly, 1);
	assert_string_equal(get(&d, "cpu.max"), "50000 100000");
	close_journal(&r);
	dir_remove(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_that_is_ours_is_given_back),
		cmocka_unit_test(another_process_of_the_same_number_is_left_alone),
		cmocka_unit_test(the_next_start_takes_back_what_nobody_ended),
		cmocka_unit_test(what_cannot_be_taken_back_is_tried_again),
		cmocka_unit_test(what_the_guardian_ended_or_another_boot_began_is_left),
		cmocka_unit_test(a_large_one_begins_anew_when_nothing_is_in_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
