/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Every process from the files of /proc: the fallback where the probe cannot run. Slower by far, blind
 * for what lives between two reads, and start times are rounded to a tick. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc.h"

#define SCAN_FILE    4096 /* bytes read of one file */
#define SCAN_THREADS 1024 /* of one process whose waits are added up */

/* Read a file of process <pid>. Returns its bytes; <buf> is terminated. */
static int scan_read(const struct proc_scan *s, uint32_t pid, const char *name, char *buf,
		     size_t cap)
{
	char path[512];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%u/%s", s->proc_root, pid, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, buf, cap - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n >= 0)
		buf[n] = 0;
	return (int)n;
}

static uint32_t scan_state(char c)
{
	static const char letters[] = "RSDTtZXI"; /* in the order of lnx_proc_state_names */
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? (uint32_t)(at - letters) : 1;
}

/* "pid (comm) S ppid ..." where comm may hold anything, parentheses too. */
static int scan_stat(struct proc_scan *s, char *text, struct lnx_rec_proc *r)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *p, *end;
	unsigned long long v[52] = { 0 };
	size_t n = 4, comm_bytes;

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return -EINVAL;
	comm_bytes = (size_t)(close - open - 1);
	if (comm_bytes > sizeof(r->comm) - 1)
		comm_bytes = sizeof(r->comm) - 1;
	memcpy(r->comm, open + 1, comm_bytes);
	r->state = scan_state(close[2]);
	for (p = close + 3; n < 52; p = end) {
		v[n] = strtoull(p, &end, 10); /* numbers as in proc(5), from 4 */
		if (end == p)
			break;
		n++;
	}
	if (n < 23)
		return -EINVAL;
	r->ppid = (uint32_t)v[4];
	r->flags = v[9] & 0x00200000 ? LNX_REC_PROC_KTHREAD : 0; /* PF_KTHREAD */
	r->minflt = v[10];
	r->majflt = v[12];
	r->cpu_ns = (v[14] + v[15]) * s->tick_ns;
	r->n_threads = (uint32_t)v[20];
	r->start_ns = v[22] * s->tick_ns;
	return 0;
}

static uint64_t scan_key(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at && (at == text || at[-1] == '\n') ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* Hybrid hosts have it beside the v1 ones. */
static void scan_find_cgroups(struct proc_scan *s)
{
	const char *root = "/sys/fs/cgroup";

	if (!s->cgroup_root[0])
		snprintf(s->cgroup_root, sizeof(s->cgroup_root), "%s%s", root,
			 access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) ? "" : "/unified");
}

/* "0::/path" is the v2 cgroup; its id is the inode of its folder. */
static void scan_cgroup(struct proc_scan *s, const char *text, struct lnx_rec_proc *r)
{
	const char *at = strstr(text, "0::/"), *end;
	char path[sizeof(s->cgroup_path) + 256];
	struct stat st;
	size_t n;

	if (!at || (at != text && at[-1] != '\n'))
		return;
	at += 3;
	end = strchr(at, '\n');
	n = end ? (size_t)(end - at) : strlen(at);
	if (n >= sizeof(s->cgroup_path))
		return;
	scan_find_cgroups(s);
	if (s->cgroup_id && strncmp(s->cgroup_path, at, n) == 0 && !s->cgroup_path[n]) {
		r->cgroup_id = s->cgroup_id;
		return;
	}
	snprintf(path, sizeof(path), "%s%.*s", s->cgroup_root, (int)n, at);
	if (stat(path, &st))
		return;
	memcpy(s->cgroup_path, at, n);
	s->cgroup_path[n] = 0;
	s->cgroup_id = r->cgroup_id = st.st_ino;
}

/* "ns on a CPU, ns waited for one, slices": of one thread. */
static uint64_t scan_wait_ns(const struct proc_scan *s, uint32_t pid, const char *name)
{
	char text[128];
	unsigned long long ran, waited;

	if (scan_read(s, pid, name, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return 0; /* a kernel without it, or ended */
	return waited;
}

/* Of all live threads: the file of the process tells of its first one only. */
static uint64_t scan_run_delay(const struct proc_scan *s, uint32_t pid, uint32_t n_threads)
{
	char path[512], name[64];
	const struct dirent *e;
	uint64_t ns = 0;
	unsigned n = 0;
	DIR *d;

	if (n_threads <= 1)
		return scan_wait_ns(s, pid, "schedstat");
	if (snprintf(path, sizeof(path), "%s/%u/task", s->proc_root, pid) >= (int)sizeof(path))
		return 0;
	d = opendir(path);
	if (!d)
		return 0;
	while (n < SCAN_THREADS && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) ||
		    snprintf(name, sizeof(name), "task/%.16s/schedstat", e->d_name) >=
			    (int)sizeof(name))
			continue;
		ns += scan_wait_ns(s, pid, name);
		n++;
	}
	closedir(d);
	return ns;
}

int proc_scan_one(struct proc_scan *s, uint32_t pid, struct lnx_rec_proc *ret_rec)
{
	struct lnx_rec_proc r = { .ts_ns = s->ts_ns, .pid = pid };
	char buf[SCAN_FILE];
	int n = scan_read(s, pid, "stat", buf, sizeof(buf));

	if (n < 0)
		return n;
	n = scan_stat(s, buf, &r);
	if (n)
		return n;
	n = scan_read(s, pid, "status", buf, sizeof(buf));
	if (n < 0)
		return n;
	r.uid = (uint32_t)scan_key(buf, "Uid:");
	r.rss_bytes = scan_key(buf, "VmRSS:") * 1024;
	r.rss_anon_bytes = scan_key(buf, "RssAnon:") * 1024;
	r.rss_shmem_bytes = scan_key(buf, "RssShmem:") * 1024;
	r.swap_bytes = scan_key(buf, "VmSwap:") * 1024;
	if (scan_read(s, pid, "io", buf, sizeof(buf)) > 0) {
		r.read_bytes = scan_key(buf, "read_bytes:");
		r.write_bytes = scan_key(buf, "write_bytes:");
	} /* else not ours to read: 0, as the health text says */
	r.run_delay_ns = scan_run_delay(s, pid, r.n_threads);
	if (scan_read(s, pid, "cgroup", buf, sizeof(buf)) > 0)
		scan_cgroup(s, buf, &r);
	*ret_rec = r;
	return 0;
}

static int scan_grow(struct proc_scan *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : 512;
	struct lnx_rec_proc *p;

	if (s->n < s->cap)
		return 0;
	p = realloc(s->records, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->records = p;
	s->cap = cap;
	return 0;
}

int proc_scan_pids(const char *proc_root, int (*each)(void *arg, uint32_t pid), void *arg)
{
	DIR *d = opendir(proc_root);
	const struct dirent *e;
	unsigned long pid;
	char *end;
	int r = 0;

	if (!d)
		return -errno;
	while (!r && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		pid = strtoul(e->d_name, &end, 10);
		if (!*end && pid && pid <= UINT32_MAX)
			r = each(arg, (uint32_t)pid);
	}
	closedir(d);
	return r < 0 ? r : 0;
}

static int scan_add(void *arg, uint32_t pid)
{
	struct proc_scan *s = arg;
	int r;

	if (s->n >= s->max_records) {
		s->skipped++;
		return 0;
	}
	r = scan_grow(s);
	if (!r && proc_scan_one(s, pid, &s->records[s->n]) == 0)
		s->n++; /* others ended meanwhile */
	return r;
}

int proc_scan_run(struct proc_scan *s)
{
	return proc_scan_pids(s->proc_root, scan_add, s);
}
