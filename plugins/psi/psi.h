/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Insides of plugin psi: files of the kernel, the cgroups that are read, the instance. */
#ifndef PLUGINS_PSI_H
#define PLUGINS_PSI_H

#include <linnix/buf.h>
#include <linnix/ev_psi.h>
#include <linnix/host.h>
#include <stddef.h>
#include <stdint.h>

#define PSI_CPU	   0
#define PSI_MEMORY 1
#define PSI_IO	   2
#define PSI_N	   3
#define PSI_SOME   0
#define PSI_FULL   1

#define PSI_READS_PER_S	 500	      /* of files of cgroups */
#define PSI_PATH_MAX	 1000	      /* bytes of the path of a cgroup */
#define PSI_DIRS_A_SLICE 64	      /* folders looked into before the loop runs on */
#define PSI_SLICE_NS	 100000000ULL /* between slices */
#define PSI_COLD_AFTER	 3	      /* reads without a change */
#define PSI_COLD_NS	 5000000000ULL /* a cold one is read at least so often, if the budget allows */
#define PSI_BUSY_PCT	 5.0	       /* of the machine: all cold ones are read each time */

/* ---- the kernel's files */

/* One pressure file; index PSI_SOME or PSI_FULL. */
struct psi_file {
	uint32_t has[2];
	uint64_t total_us[2];
	double avg10[2], avg60[2], avg300[2];
};

/* Of /proc/stat. */
struct psi_stat {
	uint64_t busy, idle, iowait, steal; /* ticks; busy holds steal, not guest */
	uint64_t forks, switches;
	uint32_t n_cpus, n_running;
	uint32_t has_cpu, has_forks, has_switches;
};

/* Of /proc/meminfo. */
struct psi_mem {
	uint64_t total_bytes, available_bytes, swap_total_bytes, swap_free_bytes;
	uint32_t has_total, has_available;
};

/* Lines that make no sense are left out. -EINVAL: no line does. <text> is terminated. */
int psi_parse_pressure(const char *text, struct psi_file *ret_file);
int psi_parse_stat(const char *text, struct psi_stat *ret_stat);
int psi_parse_mem(const char *text, struct psi_mem *ret_mem);
int psi_parse_load(const char *text, double ret_load[3]);
/* Mount point of the v2 hierarchy in a mountinfo file. -ENOENT: none. */
int psi_parse_mounts(const char *text, char *ret_path, size_t cap);
/* Read a whole file again from its start. 0 or -errno; -EFBIG over 1 MiB. */
int psi_read(int fd, struct lnx_buf *buf);
/* 100 * delta / window, 0..100; NaN when the counter went back or no time passed. */
double psi_pct(uint64_t before_us, uint64_t now_us, uint64_t window_ns);

/* ---- cgroups */

struct psi_cgroup {
	struct psi_cgroup *prev, *next; /* in the order they were found: parents first */
	struct psi_cgroup *hash_next;
	uint64_t id, read_ns; /* read_ns 0: never */
	uint64_t total_us[PSI_N][2];
	uint64_t system_us[PSI_N]; /* the machine's total when this one was read */
	int fd[PSI_N];		   /* kept open, or -1 */
	uint32_t pass;		   /* last walk that saw it */
	uint32_t unmoved;	   /* reads in a row without a change */
	uint32_t path_bytes;
	char path[]; /* without a slash in front */
};

struct psi_cgroups {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	int root_fd; /* -1: no v2 hierarchy */
	uint32_t max, max_fds;
	uint32_t n, n_fds, pass, is_walking;
	struct psi_cgroup *first, *last;
	struct psi_cgroup *walk_at;	     /* next folder to look into */
	struct psi_cgroup *hot_at, *cold_at; /* next to read */
	struct psi_cgroup **bucket;
	double tokens; /* reads that may be made now */
	uint64_t tokens_ns, cold_ns;
	uint64_t refused, skipped, reads; /* counters */
	struct lnx_buf buf;
};

/* -ENOMEM, or why the root cannot be opened (then only done() may be called). */
int psi_cgroups_init(struct psi_cgroups *c, const char *root, uint32_t max, uint32_t max_fds);
void psi_cgroups_done(struct psi_cgroups *c);
/* Begin a walk over all folders; step looks into <n> of them and returns whether more are left. */
void psi_walk_begin(struct psi_cgroups *c);
int psi_walk_step(struct psi_cgroups *c, uint32_t n);
const struct psi_cgroup *psi_cgroup_find(const struct psi_cgroups *c, uint64_t id);
/* Read what is due within the budget, the hot ones first, and publish what moved. <system_us>: totals of
 * the machine now; where one stands still no cgroup's can have moved. */
void psi_cgroups_read(struct psi_cgroups *c, uint64_t now_ns, const uint64_t system_us[PSI_N],
		      int is_busy);

/* ---- the instance */

struct psi_conf {
	uint64_t interval_ns, rescan_ns;
	const char *proc_root, *cgroup_root;
	uint32_t trigger_pct, max_cgroups, max_fds;
	uint32_t pad;
};

struct psi_resource {
	int fd;		/* -1: not there */
	int trigger_fd; /* -1: none */
	struct psi_file last;
	uint32_t is_known; /* <last> was read */
	struct lnx_metric *metric[2];
	uint64_t counted_us[2]; /* in <metric> */
};

struct psi_state {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct psi_conf *conf;
	struct psi_resource res[PSI_N];
	int stat_fd, mem_fd, load_fd, epoll_fd;
	struct lnx_fd *epoll_watch;
	struct lnx_timer *timer, *walk_timer;
	struct psi_stat stat;
	uint64_t sample_ns; /* of the last sample; 0: none */
	uint64_t walk_ns;   /* when the last walk began */
	uint64_t refused_shown, skipped_shown, wakeups;
	uint32_t has_stat, has_cgroups;
	struct psi_cgroups cgroups;
	struct lnx_buf buf;
	struct lnx_metric *m_cgroups, *m_refused, *m_skipped, *m_reads, *m_wakeups;
};

void psi_host_open(struct psi_state *s); /* tells health what is missing */
void psi_host_close(struct psi_state *s);
/* Read everything, publish psi.sample and host.sample (not the first time: there is no window yet), then the
 * cgroups. */
void psi_host_sample(struct psi_state *s);
/* Ask the kernel to wake us on stalls of the machine, where it allows that. */
void psi_triggers_open(struct psi_state *s);
void psi_triggers_close(struct psi_state *s);

#endif
