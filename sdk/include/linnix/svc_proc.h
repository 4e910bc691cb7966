/* SPDX-License-Identifier: MIT */
/* Service "proc/1": the process table (plugin `proc`). Loop thread only. */
#ifndef LINNIX_SVC_PROC_H
#define LINNIX_SVC_PROC_H

#include <stdint.h>

/* One process. Borrowed until the next event or turn of the loop; copy what you keep. */
struct lnx_proc {
	uint32_t size;
	uint32_t pid; /* tgid */
	uint64_t start_ns;
	uint64_t exit_ns; /* 0: alive */
	uint64_t cgroup_id;
	uint64_t parent_start_ns; /* 0: unknown */
	uint32_t ppid, uid;
	uint32_t n_threads;
	uint32_t state; /* lnx_proc_state_names of ev_proc.h */
	uint32_t is_kthread;
	uint32_t exit_code, signal;
	uint32_t has_usage; /* figures below are known */
	char comm[16];
	double cpu_pct;	 /* of the last usage window, 100 = one CPU */
	uint64_t cpu_ns; /* since its start */
	uint64_t rss_bytes, rss_anon_bytes, read_bytes, write_bytes, minflt, majflt, run_delay_ns;
	uint64_t usage_ns; /* CLOCK_BOOTTIME of these figures */
	uint32_t forks;	   /* children forked in the last 10 s */
	uint32_t forks_total;
	const char *filename; /* of the last exec, "" if unknown */
	const char *args;     /* "" unless probes.args allows */
};

struct lnx_svc_proc {
	uint32_t size;
	uint32_t pad;
	/* The live process <pid>; with <start_ns> not 0 only that very one, also an exited one still kept. NULL if none. */
	const struct lnx_proc *(*get)(void *self, uint32_t pid, uint64_t start_ns);
	/* Parent of <p> as it was known, or NULL. */
	const struct lnx_proc *(*parent)(void *self, const struct lnx_proc *p);
	/* Topmost ancestor of <p> in the same cgroup: the root of its tree. Never NULL for a valid <p>. */
	const struct lnx_proc *(*tree_root)(void *self, const struct lnx_proc *p);
	/* Every process; <each> returning non-zero stops. include_exited: kept ones too. Returns how many were visited. */
	int (*each)(void *self, uint32_t include_exited,
		    int (*each)(void *arg, const struct lnx_proc *p), void *arg);
	/* Somebody reads usage figures: refresh them at most once a second for the next <for_ns>. */
	void (*want_usage)(void *self, uint64_t for_ns);
	/* Live processes, and how many the limit kept out. */
	void (*stats)(void *self, uint32_t *ret_live, uint32_t *ret_exited, uint64_t *ret_refused);
};

#endif
