/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Iterator usage of probe proc: its figures against those of /proc and of clocks. */
/* LINK: tests/bpf/fix_probe.c */
#include "tests/bpf/fix_probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/rec_proc.h>

#define RECORDS_MAX 65536
#define MIB	    (1024u * 1024u)

struct pass {
	struct lnx_rec_proc *rec;
	unsigned n;
};

static void pass_add(void *arg, const void *record)
{
	struct pass *p = arg;

	if (p->n < RECORDS_MAX)
		memcpy(&p->rec[p->n++], record, sizeof(p->rec[0]));
}

static void pass_read(struct fix *f, struct pass *p)
{
	int n;

	if (!p->rec)
		p->rec = calloc(RECORDS_MAX, sizeof(*p->rec));
	assert_non_null(p->rec);
	p->n = 0;
	n = lnx_probes_iter(f->probes, "proc", "usage", sizeof(p->rec[0]), pass_add, p);
	assert_true(n > 0);
	assert_int_equal(n, p->n);
}

static const struct lnx_rec_proc *pass_find(const struct pass *p, uint32_t pid)
{
	unsigned i;

	for (i = 0; i < p->n; i++)
		if (p->rec[i].pid == pid)
			return &p->rec[i];
	return NULL;
}

/* The number after <key> in /proc/<pid>/<file>; -1 if it is not there. */
static long long proc_number(uint32_t pid, const char *file, const char *key)
{
	char path[64], line[512];
	long long v = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%u/%s", pid, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0) {
			v = strtoll(line + strlen(key), NULL, 10);
			break;
		}
	fclose(f);
	return v;
}

static void no_setup(struct fix *f)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir() };

	fix_open(f, &conf);
	if (fix_info(f, "proc").state != LNX_PROBE_LOADED)
		fail_msg("probe proc: %s", fix_info(f, "proc").why);
}

static unsigned list_pids(uint32_t *pids, unsigned cap)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) && n < cap)
		if (isdigit((unsigned char)e->d_name[0]))
			pids[n++] = (uint32_t)strtoul(e->d_name, NULL, 10);
	closedir(d);
	return n;
}

static void a_pass_has_each_process_once_and_no_threads(void **state)
{
	static uint32_t before[RECORDS_MAX];
	struct pass p = { 0 };
	unsigned i, k, n, seen = 0;
	struct fix f;

	(void)state;
	no_setup(&f);
	n = list_pids(before, RECORDS_MAX);
	pass_read(&f, &p);
	for (i = 0; i < n; i++) {
		unsigned times = 0;

		if (before[i] == 1)
			continue; /* some virtual machines hide it from BPF */
		for (k = 0; k < p.n; k++)
			times += p.rec[k].pid == before[i];
		if (proc_number(before[i], "status", "Tgid:") == before[i])
			assert_int_equal(times, 1);
		seen += times;
	}
	assert_true(seen > 5);
	for (k = 0; k < p.n; k++) {
		long long tgid = proc_number(p.rec[k].pid, "status", "Tgid:");

		assert_true(tgid == -1 || tgid == p.rec[k].pid);
	}
	free(p.rec);
	fix_done(&f);
}

/* ---- a child of known figures */

struct known {
	int ready[2]; /* the child writes a byte when it is as it should be */
	int go[2];    /* and begins a round for each byte */
	char file[64];
};

static void *sleep_thread(void *arg)
{
	(void)arg;
	(void)pause();
	return NULL;
}

static void *burn_thread(void *arg)
{
	fix_burn(*(unsigned *)arg);
	return NULL;
}

static int write_and_sync(const char *path)
{
	static char bytes[MIB];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = -1;

	if (fd >= 0 && write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
		rc = fsync(fd);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static int live_known(void *arg)
{
	static unsigned ms = 60;
	struct known *k = arg;
	pthread_t t;
	char *anon, *shared;

	anon = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (anon == MAP_FAILED || shared == MAP_FAILED || write_and_sync(k->file) < 0)
		return 1;
	memset(anon, 1, 64 * MIB);
	memset(shared, 1, 16 * MIB);
	for (unsigned i = 0; i < 3; i++)
		if (pthread_create(&t, NULL, burn_thread, &ms) || pthread_join(t, NULL))
			return 1;
	for (unsigned i = 0; i < 3; i++)
		if (pthread_create(&t, NULL, sleep_thread, NULL))
			return 1;
	if (write(k->ready[1], "", 1) != 1)
		return 1;
	(void)pause();
	return 0;
}

static pid_t start_known(struct known *k)
{
	char byte;
	pid_t pid;
	int fd;

	(void)snprintf(k->file, sizeof(k->file), "/tmp/linnix-usage-XXXXXX");
	fd = mkstemp(k->file);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(pipe2(k->ready, O_CLOEXEC), 0);
	pid = fix_fork(live_known, k);
	(void)close(k->ready[1]);
	assert_int_equal(read(k->ready[0], &byte, 1), 1);
	fix_await_rest(pid);
	return pid;
}

static void stop_known(struct known *k, pid_t pid)
{
	(void)close(k->ready[0]);
	(void)unlink(k->file);
	(void)kill(pid, SIGKILL);
	(void)fix_reap(pid);
}

#define NEAR(v, want, pct) \
	assert_in_range(v, (want) - (want) * (pct) / 100, (want) + (want) * (pct) / 100)

static void figures_agree_with_those_of_proc(void **state)
{
	const struct lnx_rec_proc *r;
	struct known k;
	struct pass p = { 0 };
	uint32_t pid;
	struct fix f;

	(void)state;
	no_setup(&f);
	pid = (uint32_t)start_known(&k);
	pass_read(&f, &p);
	r = pass_find(&p, pid);
	assert_non_null(r);
	assert_int_equal(r->ppid, getpid());
	assert_int_equal(r->uid, getuid());
	assert_int_equal(r->n_threads, 4);
	assert_int_equal(r->state, 1);
	assert_int_equal(r->flags, 0);
	assert_string_equal(r->comm, "test_usage");
	assert_true(r->start_ns > r->parent_start_ns && r->parent_start_ns > 0);
	assert_true(r->ts_ns > r->start_ns && r->ts_ns <= fix_now_ns());
	assert_true(r->cgroup_id != 0);
	NEAR(r->rss_bytes, (uint64_t)proc_number(pid, "status", "VmRSS:") * 1024, 1);
	NEAR(r->rss_anon_bytes, (uint64_t)proc_number(pid, "status", "RssAnon:") * 1024, 1);
	NEAR(r->rss_shmem_bytes, (uint64_t)proc_number(pid, "status", "RssShmem:") * 1024, 1);
	assert_true(r->rss_anon_bytes >= 64 * MIB && r->rss_shmem_bytes == 16 * MIB);
	assert_int_equal(r->swap_bytes, proc_number(pid, "status", "VmSwap:") * 1024);
	assert_int_equal(r->read_bytes, proc_number(pid, "io", "read_bytes:"));
	assert_int_equal(r->write_bytes, proc_number(pid, "io", "write_bytes:"));
	stop_known(&k, (pid_t)pid);
	free(p.rec);
	fix_done(&f);
}

/* Fields 10 and 12 of stat: faults of the group. */
static void read_faults(uint32_t pid, uint64_t *ret_min, uint64_t *ret_maj)
{
	char path[64], line[1024];
	unsigned long minflt = 0, majflt = 0;
	const char *after;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	after = strrchr(line, ')');
	assert_non_null(after);
	assert_int_equal(
		sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minflt, &majflt), 2);
	*ret_min = minflt;
	*ret_maj = majflt;
}

static uint64_t read_run_delay(pid_t pid)
{
	unsigned long delay = 0;
	char path[64];
	FILE *s;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	s = fopen(path, "re");
	assert_non_null(s);
	assert_int_equal(fscanf(s, "%*u %lu", &delay), 1);
	fclose(s);
	return delay;
}

static void sums_hold_what_ended_threads_used(void **state)
{
	const struct lnx_rec_proc *r;
	uint64_t cpu_ns, minflt, majflt;
	struct timespec ts;
	struct known k;
	struct pass p = { 0 };
	clockid_t clock;
	struct fix f;
	pid_t pid;

	(void)state;
	no_setup(&f);
	pid = start_known(&k);
	pass_read(&f, &p);
	r = pass_find(&p, (uint32_t)pid);
	assert_non_null(r);
	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &ts), 0);
	cpu_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	assert_true(cpu_ns > 180000000u);
	assert_int_equal(r->cpu_ns, cpu_ns); /* it sleeps: nothing moves */
	read_faults((uint32_t)pid, &minflt, &majflt);
	assert_int_equal(r->minflt, minflt);
	assert_int_equal(r->majflt, majflt);
	assert_true(minflt >= 80 / 2);			     /* one a huge page at least */
	assert_true(r->run_delay_ns >= read_run_delay(pid)); /* the leader's is one part */
	stop_known(&k, pid);
	free(p.rec);
	fix_done(&f);
}

/* Processes whose memory did not move while we looked, small ones above all. How many are off. */
static unsigned compare_memory(struct fix *f, struct pass *p)
{
	static long long before[RECORDS_MAX];
	static uint32_t pids[RECORDS_MAX];
	unsigned i, n = list_pids(pids, RECORDS_MAX), compared = 0, off = 0;

	for (i = 0; i < n; i++)
		before[i] = proc_number(pids[i], "status", "VmRSS:");
	pass_read(f, p);
	for (i = 0; i < n; i++) {
		const struct lnx_rec_proc *r = pass_find(p, pids[i]);
		long long after = proc_number(pids[i], "status", "VmRSS:");

		if (!r || before[i] != after || after <= 0)
			continue;
		compared++;
		/* the kernel may show a count that lacks up to 32 pages a CPU */
		off += llabs((long long)(r->rss_bytes / 1024) - after) * 50 > after;
	}
	print_message("# %u processes compared, %u off by more than 2 %%\n", compared, off);
	assert_true(compared >= 3);
	return off;
}

static void memory_of_every_process_at_rest_agrees_with_proc(void **state)
{
	struct pass p = { 0 };
	unsigned i, off = 1;
	struct fix f;

	(void)state;
	no_setup(&f);
	/* one may have moved there and back between our two looks */
	for (i = 0; i < 3 && off; i++)
		off = compare_memory(&f, &p);
	assert_int_equal(off, 0);
	free(p.rec);
	fix_done(&f);
}

static int stop_self(void *arg)
{
	(void)arg;
	(void)raise(SIGSTOP);
	(void)pause();
	return 0;
}

static int end_at_once(void *arg)
{
	(void)arg;
	return 0;
}

static void states_of_kernel_threads_zombies_and_stopped_ones(void **state)
{
	const struct lnx_rec_proc *r;
	struct pass p = { 0 };
	pid_t zombie, stopped;
	siginfo_t info;
	struct fix f;

	(void)state;
	no_setup(&f);
	zombie = fix_fork(end_at_once, NULL);
	assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	stopped = fix_fork(stop_self, NULL);
	assert_int_equal(waitid(P_PID, (id_t)stopped, &info, WSTOPPED | WNOWAIT), 0);
	pass_read(&f, &p);
	r = pass_find(&p, (uint32_t)zombie);
	assert_non_null(r);
	assert_int_equal(r->state, 5);
	assert_int_equal(r->rss_bytes, 0);
	r = pass_find(&p, (uint32_t)stopped);
	assert_non_null(r);
	assert_int_equal(r->state, 3);
	r = pass_find(&p, (uint32_t)getpid());
	assert_non_null(r);
	assert_int_equal(r->state, 0);
	r = pass_find(&p, 2);
	assert_non_null(r);
	assert_string_equal(r->comm, "kthreadd");
	assert_int_equal(r->flags, LNX_REC_PROC_KTHREAD);
	assert_int_equal(r->ppid, 0);
	assert_int_equal(r->parent_start_ns, 0);
	assert_int_equal(r->rss_bytes, 0);
	(void)kill(stopped, SIGKILL);
	(void)fix_reap(stopped);
	(void)fix_reap(zombie);
	free(p.rec);
	fix_done(&f);
}

static void the_start_is_the_one_that_events_tell(void **state)
{
	const struct lnx_ev_proc_fork *ev;
	const struct lnx_rec_proc *r;
	struct pass p = { 0 };
	struct known k;
	struct fix f;
	pid_t pid;

	(void)state;
	fix_start(&f, 0);
	pid = start_known(&k);
	ev = (const void *)fix_await(&f, LNX_EV_PROC_FORK, (uint32_t)pid);
	assert_non_null(ev);
	pass_read(&f, &p);
	r = pass_find(&p, (uint32_t)pid);
	assert_non_null(r);
	assert_int_equal(r->start_ns, ev->start_ns);
	assert_int_equal(r->parent_start_ns, ev->parent_start_ns);
	assert_int_equal(r->cgroup_id, ev->cgroup_id);
	stop_known(&k, pid);
	free(p.rec);
	fix_done(&f);
}

static void *quick_thread(void *arg)
{
	return arg;
}

/* Many threads come and go while the group is read. */
static int churn(void *arg)
{
	struct known *k = arg;
	pthread_t t[600];
	char byte;

	(void)close(k->go[1]);
	for (unsigned i = 0; i < 500; i++)
		if (pthread_create(&t[i], NULL, sleep_thread, NULL))
			return 1;
	if (write(k->ready[1], "", 1) != 1)
		return 1;
	while (read(k->go[0], &byte, 1) == 1) {
		for (unsigned i = 500; i < 600; i++)
			if (pthread_create(&t[i], NULL, quick_thread, NULL))
				return 1;
		for (unsigned i = 500; i < 600; i++)
			(void)pthread_join(t[i], NULL);
	}
	return 0;
}

static void cpu_time_of_a_group_never_falls_while_threads_come_and_go(void **state)
{
	struct pass p = { 0 };
	uint64_t last = 0, whole = 0;
	struct known k;
	struct fix f;
	char byte;
	pid_t pid;

	(void)state;
	no_setup(&f);
	assert_int_equal(pipe2(k.ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(k.go, O_CLOEXEC), 0);
	pid = fix_fork(churn, &k);
	assert_int_equal(read(k.ready[0], &byte, 1), 1);
	for (unsigned i = 0; i < 400; i++) {
		const struct lnx_rec_proc *r;

		/* While threads come and go, then once they have. */
		if (i % 4 == 0)
			assert_int_equal(write(k.go[1], "", 1), 1);
		pass_read(&f, &p);
		r = pass_find(&p, (uint32_t)pid);
		assert_non_null(r);
		assert_true(r->n_threads >= 501);
		if (r->flags & LNX_REC_PROC_PARTIAL)
			continue; /* threads ended at each try */
		assert_true(r->cpu_ns >= last);
		last = r->cpu_ns;
		whole++;
	}
	assert_true(whole >= 20 && last > 0);
	(void)kill(pid, SIGKILL);
	(void)fix_reap(pid);
	(void)close(k.ready[0]);
	(void)close(k.ready[1]);
	(void)close(k.go[0]);
	(void)close(k.go[1]);
	free(p.rec);
	fix_done(&f);
}

static void a_reader_may_know_less_but_not_more_than_the_object_tells(void **state)
{
	struct pass p = { 0 };
	struct fix f;

	(void)state;
	no_setup(&f);
	pass_read(&f, &p);
	p.n = 0;
	assert_true(lnx_probes_iter(f.probes, "proc", "usage", 8, pass_add, &p) > 0);
	assert_int_equal(lnx_probes_iter(f.probes, "proc", "usage", sizeof(struct lnx_rec_proc) + 8,
					 pass_add, &p),
			 -EINVAL);
	assert_int_equal(lnx_probes_iter(f.probes, "proc", "usage", 0, pass_add, &p), -EINVAL);
	assert_int_equal(lnx_probes_iter(f.probes, "proc", "nothing", 8, pass_add, &p), -ENOENT);
	assert_int_equal(lnx_probes_iter(f.probes, "nothing", "usage", 8, pass_add, &p), -ENOENT);
	free(p.rec);
	fix_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pass_has_each_process_once_and_no_threads),
		cmocka_unit_test(figures_agree_with_those_of_proc),
		cmocka_unit_test(sums_hold_what_ended_threads_used),
		cmocka_unit_test(memory_of_every_process_at_rest_agrees_with_proc),
		cmocka_unit_test(states_of_kernel_threads_zombies_and_stopped_ones),
		cmocka_unit_test(the_start_is_the_one_that_events_tell),
		cmocka_unit_test(cpu_time_of_a_group_never_falls_while_threads_come_and_go),
		cmocka_unit_test(a_reader_may_know_less_but_not_more_than_the_object_tells),
	};

	fix_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
