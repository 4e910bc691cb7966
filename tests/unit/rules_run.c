/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rules_run.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void run_copy(char *to, size_t cap, const struct lnx_event *ev, struct lnx_str s)
{
	(void)snprintf(to, cap, "%.*s", s.len, (const char *)ev + s.off);
}

static int run_on_alert(void *arg, const struct lnx_event *ev)
{
	const struct lnx_ev_alert *a = (const struct lnx_ev_alert *)ev;
	struct run *t = arg;
	struct run_alert *out = &t->alerts[t->n_alerts];
	struct lnx_event_meta meta;

	assert_true(t->n_alerts < RUN_ALERTS);
	assert_int_equal(lnx_bus_meta(t->bus, ev, &meta), 0);
	t->n_alerts++;
	run_copy(out->rule, sizeof(out->rule), ev, a->rule);
	run_copy(out->say, sizeof(out->say), ev, a->say);
	run_copy(out->evidence, sizeof(out->evidence), ev, a->evidence);
	run_copy(out->labels, sizeof(out->labels), ev, a->labels);
	run_copy(out->comm, sizeof(out->comm), ev, a->subject_comm);
	run_copy(out->workload, sizeof(out->workload), ev, a->subject_workload);
	out->state = a->state;
	out->severity = a->severity;
	out->kind = a->subject_kind;
	out->pid = a->subject_pid;
	out->cgroup_id = a->subject_cgroup_id;
	out->ts_ns = ev->ts_ns;
	out->since_ns = a->since_ns;
	out->cause_seq = meta.cause_seq;
	out->value = a->value;
	out->threshold = a->threshold;
	out->key = a->key;
	out->victim_cgroup_id = a->victim_cgroup_id;
	run_copy(out->victim, sizeof(out->victim), ev, a->victim);
	run_copy(out->victim_namespace, sizeof(out->victim_namespace), ev, a->victim_namespace);
	return 0;
}

static int run_on_disabled(void *arg, const struct lnx_event *ev)
{
	const struct lnx_ev_rule_disabled *d = (const struct lnx_ev_rule_disabled *)ev;
	struct run *t = arg;

	t->n_disabled++;
	t->disabled_failures = d->failures;
	run_copy(t->disabled_error, sizeof(t->disabled_error), ev, d->error);
	return 0;
}

void run_open(struct run *t)
{
	struct lnx_bus_conf conf = { 0 };

	memset(t, 0, sizeof(*t));
	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/lnx-rules-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->registry = lnx_registry_new();
	assert_non_null(t->registry);
	conf.registry = t->registry;
	t->bus = lnx_bus_new(&conf);
	assert_non_null(t->bus);
	t->metrics = lnx_metrics_new();
	assert_non_null(t->metrics);
	t->conf.registry = t->registry;
	t->conf.bus = t->bus;
	t->conf.metrics = t->metrics;
	assert_int_equal(
		lnx_bus_subscribe(t->bus, "test", LNX_EV_ALERT, 90, 0, run_on_alert, t, NULL), 0);
	assert_int_equal(lnx_bus_subscribe(t->bus, "test", LNX_EV_RULE_DISABLED, 90, 0,
					   run_on_disabled, t, NULL),
			 0);
}

void run_close(struct run *t)
{
	char path[512];
	struct dirent *d;
	DIR *dir;

	lnx_rules_free(t->rules);
	lnx_metrics_free(t->metrics);
	lnx_bus_free(t->bus);
	lnx_registry_free(t->registry);
	lnx_buf_done(&t->errors);
	lnx_buf_done(&t->json);
	dir = opendir(t->dir);
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		(void)snprintf(path, sizeof(path), "%s/%s", t->dir, d->d_name);
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
		    unlink(path) != 0)
			(void)rmdir(path); /* a test made a directory */
	}
	(void)closedir(dir);
	assert_int_equal(rmdir(t->dir), 0);
}

const char *run_file(struct run *t, const char *name, const char *text, size_t bytes)
{
	static char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, bytes), bytes);
	assert_int_equal(fchmod(fd, 0644), 0);
	(void)close(fd);
	t->n_files++;
	return path;
}

void run_load(struct run *t)
{
	const char *const dirs[] = { t->dir, NULL };

	t->conf.dirs = dirs;
	assert_int_equal(lnx_rules_new(&t->conf, &t->errors, &t->rules), 0);
	t->conf.dirs = NULL;
	assert_int_equal(lnx_rules_start(t->rules), 0);
}

void run_refuses_bytes(const char *text, size_t bytes, const char *error)
{
	char expected[512];
	struct run t;

	run_open(&t);
	(void)run_file(&t, "a.lua", text, bytes);
	run_load(&t);
	(void)snprintf(expected, sizeof(expected), "%s/a.lua%s\n", t.dir, error);
	assert_non_null(t.errors.data);
	assert_string_equal(t.errors.data, expected);
	assert_int_equal(lnx_rules_errors(t.rules), 1);
	assert_int_equal(lnx_rules_count(t.rules), 0);
	run_close(&t);
}

void run_refuses(const char *text, const char *error)
{
	run_refuses_bytes(text, strlen(text), error);
}

void run_start(struct run *t, const char *text)
{
	(void)run_file(t, "a.lua", text, strlen(text));
	run_load(t);
	assert_string_equal(t->errors.data ? t->errors.data : "", "");
}

void run_text(struct run *t, const char *text)
{
	run_open(t);
	run_start(t, text);
}

static uint64_t run_ts(double s)
{
	return RUN_T0 + (uint64_t)llround(s * 1e9);
}

static void run_head(struct lnx_event *h, uint16_t type, size_t size, double s, uint32_t pid)
{
	h->size = (__u32)size;
	h->fixed = (__u16)size;
	h->type = type;
	h->ts_ns = run_ts(s);
	h->pid = pid;
}

void run_fork_fixed(struct run *t, double s, uint32_t child, size_t fixed)
{
	struct lnx_ev_proc_fork e;

	memset(&e, 0, sizeof(e));
	run_head(&e.h, LNX_EV_PROC_FORK, fixed, s, 1);
	e.child_pid = child;
	e.parent_cgroup_id = 6;
	assert_int_equal(lnx_bus_deliver(t->bus, &e.h, e.h.size), 0);
}

void run_fork(struct run *t, double s, uint32_t ppid, uint32_t child, const char *comm)
{
	struct lnx_ev_proc_fork e;

	memset(&e, 0, sizeof(e));
	run_head(&e.h, LNX_EV_PROC_FORK, sizeof(e), s, ppid);
	e.ppid = ppid;
	e.child_pid = child;
	e.start_ns = e.h.ts_ns;
	e.cgroup_id = 42;
	e.uid = 1000;
	(void)snprintf(e.comm, sizeof(e.comm), "%s", comm);
	assert_int_equal(lnx_bus_deliver(t->bus, &e.h, e.h.size), 0);
}

void run_forks(struct run *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		run_fork(t, i, 1, 100 + i, "x");
}

void run_exit(struct run *t, double s, uint32_t pid, uint32_t ppid, uint32_t exit_code,
	      uint64_t lifetime_ns)
{
	struct lnx_ev_proc_exit e;

	memset(&e, 0, sizeof(e));
	run_head(&e.h, LNX_EV_PROC_EXIT, sizeof(e), s, pid);
	e.ppid = ppid;
	e.exit_code = exit_code;
	e.lifetime_ns = lifetime_ns;
	(void)snprintf(e.comm, sizeof(e.comm), "gone");
	assert_int_equal(lnx_bus_deliver(t->bus, &e.h, e.h.size), 0);
}

void run_exec(struct run *t, double s, uint32_t pid, const char *comm, const char *filename)
{
	struct {
		struct lnx_ev_proc_exec e;
		char tail[256];
	} u;
	size_t n = strlen(filename);

	memset(&u, 0, sizeof(u));
	run_head(&u.e.h, LNX_EV_PROC_EXEC, sizeof(u.e), s, pid);
	(void)snprintf(u.e.comm, sizeof(u.e.comm), "%s", comm);
	u.e.filename.off = sizeof(u.e);
	u.e.filename.len = (__u16)n;
	memcpy((char *)&u + sizeof(u.e), filename, n);
	u.e.h.size += (__u32)n;
	assert_int_equal(lnx_bus_deliver(t->bus, &u.e.h, u.e.h.size), 0);
}

void run_sample(struct run *t, double s, double cpu_pct, double psi_cpu_some)
{
	struct lnx_ev_host_sample e;

	memset(&e, 0, sizeof(e));
	run_head(&e.h, LNX_EV_HOST_SAMPLE, sizeof(e), s, 0);
	e.window_ns = RUN_S;
	e.cpu_pct = cpu_pct;
	e.psi_cpu_some = psi_cpu_some;
	e.n_cpus = 4;
	assert_int_equal(lnx_bus_deliver(t->bus, &e.h, e.h.size), 0);
}

void run_sample_load(struct run *t, double s, double load1)
{
	struct lnx_ev_host_sample e;

	memset(&e, 0, sizeof(e));
	run_head(&e.h, LNX_EV_HOST_SAMPLE, sizeof(e), s, 0);
	e.window_ns = RUN_S;
	e.load1 = load1;
	assert_int_equal(lnx_bus_deliver(t->bus, &e.h, e.h.size), 0);
}

void run_head_only(struct run *t, double s, uint16_t type)
{
	struct lnx_event *ev = calloc(1, sizeof(*ev));

	assert_non_null(ev);
	run_head(ev, type, sizeof(*ev), s, 0);
	assert_int_equal(lnx_bus_deliver(t->bus, ev, ev->size), 0);
	free(ev);
}

void run_tick(struct run *t, double s)
{
	lnx_bus_set_now(t->bus, run_ts(s));
	lnx_rules_tick(t->rules, run_ts(s));
}

const char *run_json(struct run *t)
{
	lnx_buf_reset(&t->json);
	lnx_rules_json(t->rules, &t->json);
	assert_int_equal(lnx_buf_error(&t->json), 0);
	return t->json.data;
}

struct run_keys run_keys(struct run *t)
{
	const char *json = strstr(run_json(t), "\"keys\":");
	struct run_keys k;

	assert_non_null(json);
	assert_int_equal(sscanf(json, "\"keys\":%lu,\"keys_max\":%lu,\"keys_evicted\":%lu", &k.n,
				&k.max, &k.evicted),
			 3);
	json = strstr(json, "\"memory_bytes\":");
	assert_non_null(json);
	assert_int_equal(sscanf(json, "\"memory_bytes\":%lu", &k.memory_bytes), 1);
	return k;
}
