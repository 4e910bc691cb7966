/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Workers, services and the crash table. */
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../core/app.h"
#include "../../core/crash.h"
#include "../../core/host_loop.h"
#include "../../core/instance.h"
#include "../../core/service.h"
#include "../../core/worker.h"

struct count {
	pthread_mutex_t gate;
	unsigned done, canceled;
	int last_rc;
};

static int run_gated(void *arg)
{
	struct count *c = arg;

	(void)pthread_mutex_lock(&c->gate);
	(void)pthread_mutex_unlock(&c->gate);
	return 7;
}

static void on_done(void *arg, int rc)
{
	struct count *c = arg;

	c->done++;
	c->canceled += rc == -ECANCELED;
	c->last_rc = rc;
}

static void jobs_run_and_their_results_come_back_on_the_loop(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct count c = { PTHREAD_MUTEX_INITIALIZER, 0, 0, 0 };
	struct lnx_workers *w;

	(void)state;
	assert_int_equal(lnx_workers_new(loop, &w), 0);
	assert_int_equal(lnx_workers_submit(w, &c, run_gated, on_done, &c), 0);
	ev_ref(loop); /* the watcher alone does not hold the loop */
	while (!c.done)
		ev_run(loop, EVRUN_ONCE);
	ev_unref(loop);
	assert_int_equal(c.last_rc, 7);
	lnx_workers_free(w);
	ev_loop_destroy(loop);
}

static void full_queue_refuses_and_flush_finishes_everything(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct count c = { PTHREAD_MUTEX_INITIALIZER, 0, 0, 0 };
	unsigned i, taken = 0;
	struct lnx_workers *w;
	int other;

	(void)state;
	assert_int_equal(lnx_workers_new(loop, &w), 0);
	(void)pthread_mutex_lock(&c.gate);
	for (i = 0; i < LNX_WORKER_QUEUE + 10; i++)
		taken += lnx_workers_submit(w, &c, run_gated, on_done, &c) == 0;
	assert_true(taken >= LNX_WORKER_QUEUE && taken <= LNX_WORKER_QUEUE + LNX_WORKER_THREADS);
	assert_int_equal(lnx_workers_submit(w, &c, run_gated, on_done, &c), -ENOBUFS);
	assert_true(lnx_workers_refused(w) >= 1);
	lnx_workers_flush(w, &other); /* somebody else's: none */
	assert_int_equal(c.done, 0);
	(void)pthread_mutex_unlock(&c.gate);
	lnx_workers_flush(w, &c);
	assert_int_equal(c.done, taken);
	lnx_workers_free(w);
	ev_loop_destroy(loop);
}

static void services_are_found_by_name_and_go_with_their_owner(void **state)
{
	struct lnx_services *s = lnx_services_new();
	const void *v;
	void *self;
	int vtable, owner;

	(void)state;
	assert_int_equal(lnx_services_provide(s, "proc/1", &vtable, &owner, &owner), 0);
	assert_int_equal(lnx_services_provide(s, "proc/1", &vtable, &owner, &owner), -EEXIST);
	assert_int_equal(lnx_services_provide(s, "proc", &vtable, &owner, &owner), -EINVAL);
	assert_int_equal(lnx_services_provide(s, "/1", &vtable, &owner, &owner), -EINVAL);
	assert_int_equal(lnx_services_find(s, "proc/1", &v, &self), 0);
	assert_ptr_equal(v, &vtable);
	assert_int_equal(lnx_services_find(s, "proc/2", &v, &self), -ENOENT);
	lnx_services_del_owner(s, &owner);
	assert_int_equal(lnx_services_find(s, "proc/1", &v, &self), -ENOENT);
	lnx_services_free(s);
}

/* How an agent dies. */
enum where { LOOP, WORKER, STRANGER };

struct death {
	enum where where;
	int sig; /* 0: its stack is used up */
};

static unsigned fill_stack(unsigned depth)
{
	volatile char frame[16384];

	memset((char *)(uintptr_t)frame, (int)depth, sizeof(frame));
	return depth ? fill_stack(depth + 1) + (unsigned)frame[depth % sizeof(frame)] : 0;
}

static int die(void *arg)
{
	const struct death *d = arg;
	volatile char *page;

	if (d->sig == SIGABRT)
		abort();
	if (!d->sig)
		return (int)fill_stack(1);
	page = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d->sig == SIGSEGV)
		*page = 1; /* a fault, which cannot wait as a signal that is sent can */
	return raise(d->sig);
}

static void *die_alone(void *arg)
{
	(void)die(arg);
	return NULL;
}

/* <name>'s job, while the loop runs code of another. */
static void die_in_worker(struct lnx_crash *c, const char *name, struct death *d)
{
	struct lnx_plugins plugins = { .crash = c };
	struct lnx_app app = { .plugins = &plugins };
	struct lnx_ctx ctx = { .app = &app, .crash_index = lnx_crash_index(c, name) };

	lnx_crash_run(c, lnx_crash_index(c, "innocent"));
	if (lnx_workers_new(ev_loop_new(0), &app.workers) != 0 ||
	    lnx_host_submit(&ctx, die, NULL, d) != 0)
		_exit(7);
	for (;;)
		(void)pause();
}

/* One life of an agent that dies while <name> runs. */
static void live_and_crash(const char *path, const char *name, uint64_t wall_ns, struct death d)
{
	struct lnx_crash *c = NULL;
	pthread_t stranger;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct lnx_err err;

		(void)close(2); /* sanitizers talk */
		if (lnx_crash_open(path, wall_ns, &c, &err) != 0)
			_exit(9);
		if (d.where == WORKER)
			die_in_worker(c, name, &d);
		lnx_crash_run(c, lnx_crash_index(c, name));
		if (d.where == LOOP)
			(void)die(&d);
		else if (pthread_create(&stranger, NULL, die_alone, &d) == 0)
			(void)pthread_join(stranger, NULL);
		_exit(8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), d.sig ? d.sig : SIGSEGV);
}

static void a_crash_is_that_of_whose_code_the_thread_ran(void **state)
{
	static const struct death deaths[] = {
		{ WORKER, SIGSEGV },   { WORKER, SIGABRT },   { WORKER, 0 },
		{ LOOP, SIGSEGV },     { LOOP, SIGABRT },     { LOOP, 0 },
		{ STRANGER, SIGSEGV }, { STRANGER, SIGABRT },
	};
	const uint64_t t0 = 3600ull * 1000000000;
	char dir[] = "/tmp/lnx-crash-XXXXXX", path[64];
	struct lnx_err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/state", dir);
	for (unsigned i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		struct lnx_crash *c = NULL;

		live_and_crash(path, "bad", t0, deaths[i]);
		assert_int_equal(lnx_crash_open(path, t0, &c, &err), 0);
		assert_int_equal(lnx_crash_count(c, "bad"), deaths[i].where != STRANGER);
		assert_int_equal(lnx_crash_count(c, "innocent"), 0);
		lnx_crash_close(c);
		assert_int_equal(unlink(path), 0);
	}
	(void)rmdir(dir);
}

static void three_crashes_in_ten_minutes_are_remembered_and_kills_are_not(void **state)
{
	const uint64_t minute = 60ull * 1000000000, t0 = 1000 * minute;
	char dir[] = "/tmp/lnx-crash-XXXXXX", path[64];
	struct lnx_crash *c = NULL;
	struct lnx_err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/state", dir);
	live_and_crash(path, "bad", t0, (struct death){ LOOP, SIGSEGV });
	live_and_crash(path, "bad", t0 + minute, (struct death){ LOOP, SIGABRT });
	live_and_crash(path, "other", t0 + minute, (struct death){ LOOP, SIGKILL });
	live_and_crash(path, "bad", t0 + 2 * minute, (struct death){ LOOP, SIGBUS });
	assert_int_equal(lnx_crash_open(path, t0 + 3 * minute, &c, &err), 0);
	assert_int_equal(lnx_crash_count(c, "bad"), LNX_CRASH_QUARANTINE);
	assert_int_equal(lnx_crash_count(c, "other"), 0);
	lnx_crash_close(c);
	assert_int_equal(lnx_crash_open(path, t0 + 30 * minute, &c, &err), 0);
	assert_int_equal(lnx_crash_count(c, "bad"), 0);
	lnx_crash_close(c);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void crash_table_works_in_memory_when_the_file_cannot_be_made(void **state)
{
	struct lnx_crash *c = NULL;
	struct lnx_err err = { { 0 }, 0, 0 };

	(void)state;
	assert_int_equal(lnx_crash_open("/proc/nothing/state", 1, &c, &err), 1);
	assert_true(strlen(err.msg) > 0);
	assert_int_equal(lnx_crash_index(c, "a"), 0);
	assert_int_equal(lnx_crash_index(c, "a"), 0);
	lnx_crash_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_and_their_results_come_back_on_the_loop),
		cmocka_unit_test(full_queue_refuses_and_flush_finishes_everything),
		cmocka_unit_test(services_are_found_by_name_and_go_with_their_owner),
		cmocka_unit_test(a_crash_is_that_of_whose_code_the_thread_ran),
		cmocka_unit_test(three_crashes_in_ten_minutes_are_remembered_and_kills_are_not),
		cmocka_unit_test(crash_table_works_in_memory_when_the_file_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
