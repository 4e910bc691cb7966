/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cgroup is a folder of plain files with v2's names, the guardian the real program; what needs real cgroups and real
 * stalls is in tests/func/test_enforce.sh. */
#ifndef LNX_ENFORCE_TEST_FIXTURE_H
#define LNX_ENFORCE_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

#define SECOND 1000000000ULL
#define VICTIM 77
#define OLD    "01HZZZZZZZZZZZZZZZZZZZZZZY" /* an action of an earlier run */

struct fix {
	struct testhost *t;
	char root[64], last_id[64], text[512];
	pid_t child, late;   /* late: told to be a child of child, 0 none */
	int forks;	     /* where the child is told to fork */
	pid_t kin[ENF_TREE]; /* more children of child */
	uint32_t n_kin;
	uint64_t late_parent; /* start of its parent, 0 not known */
	uint64_t late_cgroup; /* 0: that of the child */
	uint64_t ino;
	const char *path; /* of the cgroup */
	uint32_t is_ignored, victim_is_gone;
	uint32_t n_more, are_over; /* made up children of child, and whether they have ended */
	uint64_t lease_ns;	   /* that a request asks for, 0: none */
	uint64_t later_ns;	   /* a request means a process that started so much later */
	double stalled_ms;	   /* of the victim, in any window */
	int n_evidence;
	char last_doc[4096], last_what[32], last_entry[1024];
	const char *old_doc; /* of an earlier run, in the store; NULL: none */
	uint32_t old_state;
	int log_rc, put_rc; /* how the store answers */
	uint32_t n_logs;
	const struct lnx_svc_enforce *svc;
	void *self;
};

/* ---- other plugins */

static int store_put(void *self, const struct lnx_store_record *r)
{
	struct fix *f = self;

	if (f->put_rc)
		return f->put_rc;
	(void)snprintf(f->last_id, sizeof(f->last_id), "%s", r->id);
	(void)snprintf(f->last_doc, sizeof(f->last_doc), "%s", r->doc);
	if (f->old_doc && strstr(f->old_doc, r->id)) {
		f->old_doc = f->last_doc;
		f->old_state = r->state;
	}
	return 0;
}

static int store_each(void *self, const struct lnx_store_query *q,
		      int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_ACTION };
	struct fix *f = self;

	if (!f->old_doc || !(q->states >> f->old_state & 1))
		return 0;
	r.id = OLD;
	r.parent = "";
	r.doc = f->old_doc;
	r.doc_bytes = strlen(r.doc);
	r.ts_ns = TESTHOST_WALL_NS;
	r.state = f->old_state;
	(void)each(arg, &r);
	return 1;
}

static int store_log(void *self, uint64_t ts_ns, const char *subject, const char *what,
		     const char *doc)
{
	struct fix *f = self;

	assert_true(ts_ns && strlen(subject) == 26 && doc[0] == '{');
	if (f->log_rc)
		return f->log_rc;
	f->n_logs++;
	(void)snprintf(f->last_what, sizeof(f->last_what), "%s", what);
	(void)snprintf(f->last_entry, sizeof(f->last_entry), "%s", doc);
	return 0;
}

static void store_ulid(void *self, uint64_t ts_ns, char ret[27])
{
	static unsigned n;

	(void)self;
	(void)snprintf(ret, 27, "%020llu%06u", (unsigned long long)ts_ns, ++n % 1000000);
}

static const struct lnx_svc_store store = { .size = sizeof(store),
					    .put = store_put,
					    .each = store_each,
					    .log = store_log,
					    .ulid = store_ulid };

static int who_get(void *self, uint64_t id, struct lnx_workload *ret)
{
	struct fix *f = self;

	if ((id != f->ino || id == 4711) && id != VICTIM)
		return -ENOENT;
	*ret = (struct lnx_workload){ .size = sizeof(*ret), .cgroup_id = id, .slot_cgroup_id = id };
	ret->path = id == VICTIM ? "/shop" : f->path;
	ret->workload = id == VICTIM ? "shop" : "batch";
	ret->namespace_ = id == VICTIM ? "prod" : "media";
	ret->is_ignored = f->is_ignored;
	ret->gone_ns = id == VICTIM ? f->victim_is_gone : 0;
	return 0;
}

static const struct lnx_svc_workload who = { .size = sizeof(who), .get = who_get };

/* The process table holds the child alone. */
static struct lnx_proc child_proc(const struct fix *f)
{
	struct lnx_proc p = { .size = sizeof(p), .pid = (uint32_t)f->child };
	struct undo_stat st;

	assert_int_equal(undo_stat(p.pid, &st), 0);
	p.start_ns = st.start_ticks * (SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
	p.cgroup_id = f->ino;
	return p;
}

static const struct lnx_proc *proc_get(void *self, uint32_t pid, uint64_t start_ns)
{
	static struct lnx_proc p;
	struct fix *f = self;

	(void)start_ns;
	if (pid != (uint32_t)f->child)
		return NULL;
	p = child_proc(f);
	return &p;
}

static int proc_each(void *self, uint32_t all, int (*each)(void *arg, const struct lnx_proc *p),
		     void *arg)
{
	struct fix *f = self;
	struct lnx_proc p = child_proc(f);
	struct undo_stat st;

	(void)all;
	(void)each(arg, &p);
	for (uint32_t i = 0; i < f->n_more; i++) {
		struct lnx_proc more = { .size = sizeof(more), .pid = 4000000 + i, .ppid = p.pid };

		more.exit_ns = f->are_over;
		if (each(arg, &more))
			return 0;
	}
	p.ppid = p.pid;
	p.parent_start_ns = p.start_ns;
	for (uint32_t i = 0; i < f->n_kin; i++) {
		p.pid = (uint32_t)f->kin[i];
		assert_int_equal(undo_stat(p.pid, &st), 0);
		p.start_ns = st.start_ticks * (SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
		if (each(arg, &p))
			return 0;
	}
	if (!f->late)
		return 1;
	p.pid = (uint32_t)f->late;
	p.parent_start_ns = f->late_parent;
	p.cgroup_id = f->late_cgroup ? f->late_cgroup : f->ino;
	assert_int_equal(undo_stat(p.pid, &st), 0);
	p.start_ns = st.start_ticks * (SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
	(void)each(arg, &p);
	return 2;
}

static const struct lnx_svc_proc proc = { .size = sizeof(proc),
					  .get = proc_get,
					  .each = proc_each };

static int stall_workload(void *self, uint32_t resource, uint64_t id, uint64_t window_ns,
			  struct lnx_stall_share *ret)
{
	struct fix *f = self;

	assert_int_equal(resource, LNX_RES_CPU);
	ret->window_ns = window_ns;
	ret->stalled_ms = id == VICTIM ? f->stalled_ms * (double)window_ns / 1e9 : 0;
	ret->caused_ms = 0;
	return 0;
}

static const struct lnx_svc_stall stall = { .size = sizeof(stall), .workload = stall_workload };

static int inc_each(void *self, int (*each)(void *arg, const struct lnx_incident *inc), void *arg)
{
	struct fix *f = self;
	struct lnx_incident inc = { .size = sizeof(inc),
				    .is_open = 1,
				    .id = "01HZZZZZZZZZZZZZZZZZZZZZZZ" };

	inc.culprit_cgroup_id = f->ino;
	inc.victim_cgroup_id = VICTIM;
	(void)each(arg, &inc);
	return 1;
}

static int inc_get(void *self, const char *id, struct lnx_incident *ret)
{
	(void)self;
	assert_string_equal(id, "01HZZZZZZZZZZZZZZZZZZZZZZZ");
	ret->victim_cgroup_id = VICTIM;
	return 0;
}

static int inc_add(void *self, const char *id, const struct lnx_fact *facts, uint32_t n,
		   const char *text, const char *query)
{
	struct fix *f = self;

	assert_string_equal(id, "01HZZZZZZZZZZZZZZZZZZZZZZZ");
	assert_int_equal(n, strstr(text, "worse: ") ? 7 : 6);
	assert_string_equal(facts[0].topic, "outcome");
	assert_string_equal(facts[2].text, "batch");
	if (n == 7) /* it tells how, and not that it will be */
		assert_string_equal(facts[6].text, "undone");
	assert_non_null(strstr(text, "prod/shop lost "));
	assert_non_null(strstr(query, "GET /actions/"));
	return ++f->n_evidence;
}

static const struct lnx_svc_incident incident = {
	.size = sizeof(incident), .get = inc_get, .each = inc_each, .add_evidence = inc_add
};

/* ---- the folder */

static void put(const struct fix *f, const char *file, const char *text)
{
	char path[128];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/batch/%s", f->root, file);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

__attribute__((unused)) static const char *read_back(const struct fix *f, const char *file)
{
	static char text[64];
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/batch/%s", f->root, file);
	assert_int_equal(undo_read(AT_FDCWD, path, text, sizeof(text)), 0);
	return text;
}

/* A plain file keeps the end of what was longer. */
__attribute__((unused)) static void is_max(const struct fix *f, const char *begin)
{
	assert_memory_equal(read_back(f, "cpu.max"), begin, strlen(begin));
}

static void conf(struct fix *f, const char *key, const char *value, const char *end)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s=%s%s", key, value, end);
	assert_int_equal(testhost_conf(f->t, text), 0);
}

/* Also when a test fails, or has ended before this is said. */
static void end_with(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

/* It makes a sleeping child for each byte that comes at <fd>, and tells its number there. */
static void sleeps_and_forks(int fd)
{
	pid_t pid = 0, self = getpid();
	char c;

	while (read(fd, &c, 1) == 1) {
		pid = fork();
		if (pid == 0) {
			end_with(self);
			break;
		}
		if (write(fd, &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
			break;
	}
	for (;;)
		pause();
}

static pid_t sleeper(int *ret_fd)
{
	pid_t pid, self = getpid();
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(pair[0]);
		end_with(self);
		sleeps_and_forks(pair[1]);
	}
	assert_true(pid > 0);
	(void)close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

/* One more process of the child's. */
__attribute__((unused)) static pid_t grandchild(const struct fix *f)
{
	pid_t pid;

	assert_int_equal(write(f->forks, "", 1), 1);
	assert_int_equal(read(f->forks, &pid, sizeof(pid)), sizeof(pid));
	assert_true(pid > 0);
	return pid;
}

static void fix_make(struct fix *f)
{
	char exe[256], dir[128], text[32];
	struct stat st;
	ssize_t n;

	memset(f, 0, sizeof(*f));
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)snprintf(f->root, sizeof(f->root), "/tmp/lnx-enforce-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	(void)snprintf(dir, sizeof(dir), "%s/batch", f->root);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(stat(dir, &st), 0);
	f->ino = st.st_ino;
	f->path = "/batch";
	f->child = sleeper(&f->forks);
	(void)snprintf(text, sizeof(text), "%d\n", (int)f->child);
	put(f, "cgroup.procs", text);
	put(f, "cpu.max", "max 100000\n");
	put(f, "cpu.weight", "100\n");
	put(f, "cgroup.freeze", "0\n");
	f->t = testhost_new();
	assert_non_null(f->t);
	conf(f, "cgroup_root", f->root, "");
	conf(f, "journal", f->root, "/journal");
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	assert_true(n > 0);
	exe[n] = 0;
	for (int i = 0; i < 4; i++)
		*strrchr(exe, '/') = 0; /* build/tests/plugins/enforce/test_enforce */
	conf(f, "guardian", exe, "/linnix-guardian");
	assert_int_equal(testhost_provide(f->t, "store/1", &store, f), 0);
	assert_int_equal(testhost_provide(f->t, "workload/1", &who, f), 0);
	assert_int_equal(testhost_provide(f->t, "proc/1", &proc, f), 0);
	assert_int_equal(testhost_provide(f->t, "stall/1", &stall, f), 0);
	assert_int_equal(testhost_provide(f->t, "incident/1", &incident, f), 0);
}

static void fix_start(struct fix *f)
{
	testhost_set_now(f->t, undo_now()); /* the guardian's clock is the real one */
	if (testhost_load(f->t, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(f->t));
	f->svc = testhost_service(f->t, "enforce/1", &f->self);
	assert_non_null(f->svc);
}

/* It acts; <key>: NULL, or one more option. */
__attribute__((unused)) static void fix_open_with(struct fix *f, const char *key, const char *value)
{
	fix_make(f);
	conf(f, "dry_run", "false", "");
	if (key)
		conf(f, key, value, "");
	fix_start(f);
}

__attribute__((unused)) static void fix_open(struct fix *f)
{
	fix_open_with(f, NULL, NULL);
}

static void fix_close(struct fix *f)
{
	static const char *const files[] = {
		"batch/cgroup.procs",  "batch/cpu.max", "batch/cpu.weight", "batch/cgroup.freeze",
		"batch/cgroup.events", "batch",		"journal",	    ""
	};
	char path[128];

	testhost_free(f->t);
	(void)kill(f->child, SIGKILL);
	(void)close(f->forks);
	while (waitpid(-1, NULL, 0) > 0)
		; /* with its children, which are ours now, and the guardian */
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->root, files[i]);
		(void)remove(path);
	}
}

/* ---- events */

union request {
	struct lnx_event h;
	struct lnx_ev_action_request q;
	char bytes[1024];
};

/* What becomes of the event. */
static int try_ask(struct fix *f, uint32_t verb, double value, uint64_t key)
{
	union request u;
	struct lnx_proc p = child_proc(f);

	memset(&u, 0, sizeof(u));
	u.h = (struct lnx_event){ .size = sizeof(u.q),
				  .fixed = sizeof(u.q),
				  .type = LNX_EV_ACTION_REQUEST };
	u.h.pid = p.pid;
	u.q.start_ns = p.start_ns + f->later_ns;
	u.q.lease_ns = f->lease_ns;
	u.q.verb = verb;
	u.q.value = value;
	u.q.signal = verb == LNX_ACTION_SIGNAL ? (uint32_t)value : 0;
	u.q.cgroup_id = f->ino;
	u.q.alert_key = key;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.q.rule, "calm"), 0);
	return testhost_deliver(f->t, &u.h);
}

static void ask(struct fix *f, uint32_t verb, double value, uint64_t key)
{
	assert_int_equal(try_ask(f, verb, value, key), 0);
}

__attribute__((unused)) static void resolve(struct fix *f, uint64_t key)
{
	union {
		struct lnx_event h;
		struct lnx_ev_alert a;
		char bytes[1024];
	} u;

	memset(&u, 0, sizeof(u));
	u.h = (struct lnx_event){ .size = sizeof(u.a), .fixed = sizeof(u.a), .type = LNX_EV_ALERT };
	u.a.state = LNX_ALERT_RESOLVED;
	u.a.key = key;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.rule, "calm"), 0);
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
}

static uint32_t state(struct fix *f)
{
	const struct lnx_ev_action_done *e = (const void *)testhost_last(f->t, "action.done");

	return e ? e->state : UINT32_MAX;
}

static void has(const struct fix *f, const char *text)
{
	if (!strstr(f->last_doc, text))
		fail_msg("'%s' is missing: %s", text, f->last_doc);
}

static int approve(struct fix *f)
{
	return f->svc->approve(f->self, f->last_id, "uid 0 (ann)", f->text, sizeof(f->text));
}

static int is_applied(void *arg)
{
	return state(arg) == LNX_ACTION_APPLIED;
}

__attribute__((unused)) static int is_failed(void *arg)
{
	return state(arg) == LNX_ACTION_FAILED;
}

__attribute__((unused)) static void approve_and_wait(struct fix *f)
{
	assert_int_equal(approve(f), 0);
	assert_int_equal(testhost_run_jobs(f->t), 1);
	assert_int_equal(testhost_run_until(f->t, is_applied, f, 60000), 0);
}

__attribute__((unused)) static void refused(struct fix *f, uint32_t verb, double value,
					    const char *why)
{
	ask(f, verb, value, 1);
	assert_int_equal(state(f), LNX_ACTION_REFUSED);
	has(f, why);
	testhost_set_now(f->t,
			 testhost_now(f->t) + ENF_QUIET); /* so that the same may be asked again */
}

#endif
