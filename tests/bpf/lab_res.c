/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/bpf/lab_res.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
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

static const char *const map_names[STALL_MAPS] = { "gates", "waiting", "counts", "alias", "devs",
						   "costs", "allocs",  "stats",	 "procs" };
static const char *const v1_roots[] = { "/sys/fs/cgroup/blkio", "/sys/fs/cgroup/memory" };
static struct res_lab *the_lab;
static struct bpf_link *links[32];
static int n_links;

uint64_t res_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void res_until(uint64_t at_ns)
{
	for (uint64_t now = res_now(); now < at_ns; now = res_now())
		(void)poll(NULL, 0, (int)((at_ns - now) / 1000000) + 1);
}

void res_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("SKIP: ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	exit(RES_SKIP);
}

static const char *root_v2(void)
{
	return access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) ? "/sys/fs/cgroup"
								   : "/sys/fs/cgroup/unified";
}

static int has_v1(int i)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", v1_roots[i]);
	return !stat(path, &st);
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	(void)close(fd);
	return rc;
}

/* ---- the probe */

static int lookup(void *arg, uint32_t map, const void *key, void *ret)
{
	struct res_lab *l = arg;

	return bpf_map_lookup_elem(l->map_fd[map], key, ret) ? -errno : 0;
}

static int next(void *arg, uint32_t map, const void *key, void *ret)
{
	struct res_lab *l = arg;

	return bpf_map_get_next_key(l->map_fd[map], key, ret) ? -errno : 0;
}

static int update(void *arg, uint32_t map, const void *key, const void *value)
{
	struct res_lab *l = arg;

	return bpf_map_update_elem(l->map_fd[map], key, value, 0) ? -errno : 0;
}

static int del(void *arg, uint32_t map, const void *key)
{
	struct res_lab *l = arg;

	return bpf_map_delete_elem(l->map_fd[map], key) ? -errno : 0;
}

__attribute__((format(printf, 2, 0))) static int quiet(enum libbpf_print_level level,
						       const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN && getenv("LNX_LAB_VERBOSE") ? vfprintf(stderr, fmt, ap) : 0;
}

static void load(struct res_lab *l, const char *object)
{
	struct bpf_program *p;

	(void)libbpf_set_print(quiet);
	(void)libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	l->obj = bpf_object__open(object);
	if (!l->obj)
		res_skip("cannot open %s: %s", object, strerror(errno));
	p = bpf_object__find_program_by_name(l->obj, "on_rq_issue");
	if (p)
		(void)bpf_program__set_autoload(p, false); /* the loader's choice on this kernel */
	if (bpf_object__load(l->obj))
		res_skip("cannot load the probe (needs root, BTF and tp_btf): %s", strerror(errno));
	for (int i = 0; i < STALL_MAPS; i++)
		l->map_fd[i] = bpf_object__find_map_fd_by_name(l->obj, map_names[i]);
	l->maps = (struct stall_res_maps){
		.arg = l, .lookup = lookup, .next = next, .update = update, .del = del
	};
}

void res_attach(struct res_lab *l)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, l->obj)
	{
		if (!bpf_program__autoload(p))
			continue;
		links[n_links] = bpf_program__attach(p);
		if (!links[n_links])
			res_skip("cannot attach %s: %s", bpf_program__name(p), strerror(errno));
		n_links++;
	}
}

void res_detach(void)
{
	while (n_links > 0)
		(void)bpf_link__destroy(links[--n_links]);
}

/* ---- cgroups */

int res_group(struct res_lab *l, int parent, const char *name)
{
	struct res_group *g = &l->group[l->n_groups];
	char path[256], above[40] = "";
	struct stat st;

	if (parent < 0)
		(void)snprintf(g->name, sizeof(g->name), "lnxres_%d_%s", (int)getpid(), name);
	if (parent >= 0) {
		(void)snprintf(above, sizeof(above), "%.39s", l->group[parent].name);
		(void)snprintf(g->name, sizeof(g->name), "%s/%.20s", above, name);
	}
	l->n_groups++;
	for (int i = 0; i < 2; i++) {
		if (!has_v1(i))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", v1_roots[i], g->name);
		if ((mkdir(path, 0755) && errno != EEXIST) || stat(path, &st))
			res_skip("cannot make %s: %s", path, strerror(errno));
		if (i == 0)
			g->io_id = st.st_ino;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", root_v2(), g->name);
	if ((mkdir(path, 0755) && errno != EEXIST) || stat(path, &st))
		res_skip("cannot make %s: %s", path, strerror(errno));
	g->id = st.st_ino;
	return (int)l->n_groups - 1;
}

int res_set(struct res_lab *l, int group, const char *controller, const char *file,
	    const char *value)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s/%s", controller,
		       l->group[group].name, file);
	return put(path, value);
}

static void join_group(const struct res_group *g)
{
	char path[256], text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	for (int i = 0; i < 3; i++) {
		if (i < 2 && !has_v1(i))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/cgroup.procs",
			       i < 2 ? v1_roots[i] : root_v2(), g->name);
		if (put(path, text))
			fprintf(stderr, "cannot join %s\n", path);
	}
}

void res_spawn(struct res_lab *l, int group, int cpu, void (*fn)(void *arg, uint64_t end_ns),
	       void *arg, uint64_t end_ns)
{
	pid_t pid = l->n_pids < RES_WORKERS ? fork() : -1;
	cpu_set_t set;

	if (pid < 0) {
		printf("cannot fork\n");
		exit(1);
	}
	if (pid) {
		l->pid[l->n_pids++] = pid;
		return;
	}
	the_lab = NULL;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGTERM, SIG_DFL);
	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : (size_t)cpu, &set);
	if (cpu >= 0)
		(void)sched_setaffinity(0, sizeof(set), &set);
	join_group(&l->group[group]);
	fn(arg, end_ns);
	_exit(0);
}

void res_join(struct res_lab *l)
{
	for (uint32_t i = 0; i < l->n_pids; i++)
		(void)waitpid(l->pid[i], NULL, 0);
	l->n_pids = 0;
}

void res_clean(struct res_lab *l)
{
	char path[256];

	for (uint32_t i = 0; i < l->n_pids; i++)
		(void)kill(l->pid[i], SIGKILL);
	res_join(l);
	for (uint32_t i = l->n_groups; i > 0; i--)
		for (int r = 0; r < 3; r++) {
			if (r < 2 && !has_v1(r))
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", r < 2 ? v1_roots[r] : root_v2(),
				       l->group[i - 1].name);
			for (int t = 0; t < 100 && rmdir(path) && errno == EBUSY; t++)
				(void)poll(NULL, 0, 10);
		}
	l->n_groups = 0;
}

static void remove_files(const char *dir)
{
	char path[128];

	for (int i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s/data%d", dir, i);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void at_end(void)
{
	if (!the_lab)
		return;
	res_clean(the_lab);
	if (the_lab->dir[0])
		remove_files(the_lab->dir);
}

static void on_signal(int sig)
{
	(void)sig;
	exit(1); /* not safe in general; the laboratory only waits and reads files */
}

void res_open(struct res_lab *l, const char *object, const char *psi)
{
	memset(l, 0, sizeof(*l));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid())
		res_skip("needs root");
	if (access(psi, R_OK))
		res_skip("no PSI: %s", psi);
	(void)snprintf(l->dir, sizeof(l->dir), "/var/tmp/lnxres.XXXXXX");
	if (!mkdtemp(l->dir))
		res_skip("cannot make %s: %s", l->dir, strerror(errno));
	the_lab = l;
	(void)atexit(at_end);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	load(l, object);
}

/* ---- figures */

double res_psi_ms(const struct res_lab *l, int group, const char *file)
{
	char path[256], text[512], *p;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", root_v2(), l->group[group].name, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strstr(text, "total=");
	return p ? strtod(p + 6, NULL) / 1000 : -1;
}

static const struct stall_res_victim *find(const struct stall_res_window *w, uint64_t victim)
{
	for (uint32_t i = 0; i < w->n_victims; i++)
		if (w->victims[i].cgroup_id == victim)
			return &w->victims[i];
	return NULL;
}

double res_raw_ms(const struct stall_res_window *w, uint64_t victim)
{
	const struct stall_res_victim *v = find(w, victim);

	return v ? (double)v->raw_ns / 1e6 : 0;
}

double res_part_ms(const struct stall_res_window *w, uint64_t victim, uint64_t culprit)
{
	const struct stall_res_victim *v = find(w, victim);

	for (uint32_t i = v ? v->first : 0; v && i < v->first + v->n; i++)
		if (w->parts[i].culprit == culprit)
			return (double)w->parts[i].ns / 1e6;
	return 0;
}

void res_scenario(struct res_lab *l, void (*run)(struct res_lab *l))
{
	const struct score before = l->score;
	int try = 0;

	do {
		run(l);
		res_clean(l);
	} while (!score_stands(&l->score, &before, ++try));
}
