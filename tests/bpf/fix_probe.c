/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the tests of probes share. */
#include "tests/bpf/fix_probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "../../core/log.h"

uint64_t fix_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

const char *fix_cannot(void)
{
	int fd;

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return "the kernel has no BTF";
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "test", 0, 0, (uint32_t)getpagesize(), NULL);
	if (fd < 0)
		return "needs root (CAP_BPF and CAP_PERFMON) and a kernel with ring buffers";
	(void)close(fd);
	return NULL;
}

void fix_require(void)
{
	const char *why = fix_cannot();

	lnx_log_init(getenv("LNX_TEST_DEBUG") ? LNX_DEBUG : LNX_ERROR, LNX_LOG_TEXT);
	if (!why)
		return;
	fprintf(stderr, "*** NOT TESTED: %s ***\n", why);
	printf("probes are NOT TESTED: %s\n", why);
	exit(77);
}

const char *fix_bpf_dir(void)
{
	static char dir[512];
	const char *build = getenv("LNX_BUILD");

	(void)snprintf(dir, sizeof(dir), "%s/bpf", build ? build : "build");
	return dir;
}

static int fix_on_event(void *arg, const struct lnx_event *ev)
{
	struct fix *f = arg;
	struct lnx_event *copy;

	if (f->keep && !f->keep(ev))
		return 0;
	if (f->n_kept == FIX_KEEP_MAX) {
		f->n_lost++;
		return 0;
	}
	copy = malloc(ev->size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, ev, ev->size);
	f->kept[f->n_kept++] = copy;
	return 0;
}

void fix_open(struct fix *f, const struct lnx_probes_conf *conf)
{
	struct lnx_bus_conf bus_conf = { 0 };

	memset(f, 0, sizeof(*f));
	f->kept = calloc(FIX_KEEP_MAX, sizeof(*f->kept));
	assert_non_null(f->kept);
	f->registry = lnx_registry_new();
	assert_non_null(f->registry);
	bus_conf.registry = f->registry;
	f->bus = lnx_bus_new(&bus_conf);
	assert_non_null(f->bus);
	assert_int_equal(lnx_probes_new(conf, f->bus, &f->probes), 0);
}

void fix_listen(struct fix *f)
{
	static const uint16_t types[] = { LNX_EV_PROC_FORK, LNX_EV_PROC_EXEC, LNX_EV_PROC_EXIT };
	unsigned i;

	for (i = 0; i < 3; i++)
		assert_int_equal(lnx_bus_subscribe(f->bus, "test", types[i], 10, 0, fix_on_event, f,
						   &f->subs[i]),
				 0);
	lnx_probes_sync(f->probes);
}

void fix_unlisten(struct fix *f)
{
	unsigned i;

	for (i = 0; i < 3; i++) {
		lnx_bus_unsubscribe(f->bus, f->subs[i]);
		f->subs[i] = NULL;
	}
	lnx_probes_sync(f->probes);
}

void fix_start(struct fix *f, uint32_t args_mode)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir(), .args_mode = args_mode };

	fix_open(f, &conf);
	fix_listen(f);
	if (fix_info(f, "proc").state != LNX_PROBE_ATTACHED)
		fail_msg("probe proc: %s", fix_info(f, "proc").why);
}

void fix_forget(struct fix *f)
{
	while (f->n_kept > 0)
		free(f->kept[--f->n_kept]);
}

void fix_done(struct fix *f)
{
	fix_unlisten(f);
	lnx_probes_free(f->probes);
	lnx_bus_free(f->bus);
	lnx_registry_free(f->registry);
	fix_forget(f);
	free(f->kept);
}

struct lnx_probe_info fix_info(struct fix *f, const char *probe)
{
	struct lnx_probe_info info = { 0 };
	unsigned i;

	for (i = 0; i < lnx_probes_count(f->probes); i++) {
		assert_int_equal(lnx_probes_info(f->probes, i, &info), 0);
		if (strcmp(info.name, probe) == 0)
			return info;
	}
	fail_msg("no probe %s", probe);
	return info;
}

pid_t fix_fork(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* A test that fails leaves its children behind. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* A failed assertion and a crash end the child, not its copy of the test. */
		(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		(void)signal(SIGFPE, SIG_DFL);
		(void)signal(SIGILL, SIG_DFL);
		_exit(fn(arg));
	}
	return pid;
}

int fix_reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

const struct lnx_event *fix_find(const struct fix *f, uint16_t type, uint32_t pid, unsigned n)
{
	unsigned i;

	for (i = 0; i < f->n_kept; i++) {
		const struct lnx_event *ev = f->kept[i];
		uint32_t of = ev->pid;

		if (ev->type != type)
			continue;
		if (type == LNX_EV_PROC_FORK)
			of = ((const struct lnx_ev_proc_fork *)ev)->child_pid;
		if ((!pid || of == pid) && n-- == 0)
			return ev;
	}
	return NULL;
}

unsigned fix_count(const struct fix *f, uint16_t type, uint32_t pid)
{
	unsigned n = 0;

	while (fix_find(f, type, pid, n))
		n++;
	return n;
}

const struct lnx_event *fix_await(struct fix *f, uint16_t type, uint32_t pid)
{
	uint64_t until = fix_now_ns() + FIX_WAIT_MS * 1000000ull;
	const struct lnx_event *ev;

	for (;;) {
		(void)lnx_probes_drain(f->probes);
		ev = fix_find(f, type, pid, 0);
		if (ev || fix_now_ns() > until)
			return ev;
		(void)poll(NULL, 0, 1);
	}
}

/* CPU time of all threads of <pid>, when none is anything but asleep; 0 otherwise. */
static uint64_t slept_after_ns(pid_t pid)
{
	char path[64], state;
	const struct dirent *e;
	uint64_t sum = 0, ns;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		FILE *f;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", (int)pid, e->d_name);
		f = fopen(path, "re");
		state = 0;
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1 || state != 'S')
			sum = 0;
		if (f)
			(void)fclose(f);
		if (state != 'S')
			break;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", (int)pid,
			       e->d_name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%" SCNu64, &ns) == 1)
			sum += ns;
		if (f)
			(void)fclose(f);
	}
	(void)closedir(d);
	return sum;
}

void fix_await_rest(pid_t pid)
{
	uint64_t until = fix_now_ns() + FIX_WAIT_MS * 1000000ull, last = 0, now;

	for (;;) {
		now = slept_after_ns(pid);
		if (now && now == last)
			return;
		last = now;
		assert_true(fix_now_ns() < until);
		(void)poll(NULL, 0, 20);
	}
}

const struct lnx_ev_proc_exit *fix_run(struct fix *f, int (*fn)(void *arg), void *arg,
				       pid_t *ret_pid, int *ret_status)
{
	pid_t pid = fix_fork(fn, arg);
	int status = fix_reap(pid);
	const struct lnx_event *ev = fix_await(f, LNX_EV_PROC_EXIT, (uint32_t)pid);

	if (ret_pid)
		*ret_pid = pid;
	if (ret_status)
		*ret_status = status;
	assert_non_null(ev);
	return (const void *)ev;
}

const char *fix_str(const struct lnx_event *ev, struct lnx_str s)
{
	static char text[LNX_STR_MAX + 1];

	assert_true(s.len <= LNX_STR_MAX && (uint32_t)s.off + s.len <= ev->size);
	memcpy(text, (const char *)ev + s.off, s.len);
	text[s.len] = 0;
	return text;
}

void fix_burn(unsigned ms)
{
	struct timespec ts;
	uint64_t end = 0, now;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
		now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
		if (!end)
			end = now + ms * 1000000ull;
	} while (now < end);
}

void fix_copy(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	(void)close(in);
	(void)close(out);
}

void fix_dir_open(struct fix_dir *d)
{
	(void)snprintf(d->path, sizeof(d->path), "/tmp/linnix-probe-XXXXXX");
	assert_non_null(mkdtemp(d->path));
	assert_int_equal(chmod(d->path, 0755), 0);
	(void)snprintf(d->object, sizeof(d->object), "%s/proc.bpf.o", d->path);
	(void)snprintf(d->built, sizeof(d->built), "%s/proc.bpf.o", fix_bpf_dir());
}

void fix_dir_done(struct fix_dir *d)
{
	(void)unlink(d->object);
	(void)rmdir(d->path);
}
