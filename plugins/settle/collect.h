/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a task does, while it runs: its process events become leaves of a tree whose root the receipt carries. Memory does not
 * grow with the events; they go to a file. */
#ifndef LNX_SETTLE_COLLECT_H
#define LNX_SETTLE_COLLECT_H

#include "receipt.h"
#include "settle.h"

#define COLLECT_MAX	  16   /* tasks that run at a time */
#define COLLECT_PIDS	  4096 /* live processes of one task */
#define COLLECT_SPOOL	  65536u
#define COLLECT_SPOOL_MAX (4u << 20) /* while the disk is slow; more is not kept, and said */

/* What is measured. */
struct collect_ask {
	uint64_t pid;		   /* and its descendants; 0: not by process */
	uint64_t cgroup_id;	   /* and those below it; 0: not by cgroup */
	const char *cgroup;	   /* its path below the mount, instead of the id */
	const char *output_sha256; /* finish: of what the task made, 64 hex digits, or "" */
};

/* A process that is measured, and what of it was counted. */
struct member {
	uint32_t pid; /* 0: free */
	uint32_t pad;
	uint64_t start_ns, cpu_ns, read_bytes, write_bytes;
};

struct spool_job;
struct exe_job;

struct collector {
	struct collector *next;
	struct settle *s;
	uint8_t task[32], secret[LEAF_SECRET];
	uint32_t root_pid, has_exit, is_degraded, is_finishing;
	uint64_t root_start_ns;
	uint64_t cgroups[16]; /* the one named and those made below it */
	uint32_t n_cgroups, n_members;
	struct member *members; /* COLLECT_PIDS, open addressing */
	struct merkle tree;
	struct usage usage;
	uint64_t seq, n_lost;		       /* of the last event; events that got no leaf */
	struct receipt_gap gaps[RECEIPT_GAPS]; /* their numbers */
	unsigned n_gaps;
	uint64_t begin_ns, end_ns, begin_wall_ns;
	uint64_t last_ns;   /* of the latest leaf: stall is told after the end */
	uint64_t dropped;   /* of the whole agent, at the begin */
	uint64_t finish_ns; /* not waited for longer */
	uint64_t retry_ns;  /* its receipt is not tried before: there was no room for it */
	struct lnx_buf spool;
	struct spool_job *job;
	uint64_t spool_bytes; /* for the file, so far */
	uint64_t spool_lost;  /* events that it does not have */
	uint32_t args_policy; /* enum leaf_args */
	uint32_t is_exe_stale;
	struct exe_job *exe;	    /* that runs; its program is not the newest: is_exe_stale */
	struct leaf exe_next;	    /* the newest then */
	uint64_t n_exe, n_exe_lost; /* programs with and without a hash */
	char path[512], output_sha256[65];
	struct lnx_timer *timer;
};

/* Would a run of <t> be measured now? 0 or -EBUSY; why[] tells. */
int collect_may_begin(struct settle *s, const struct task *t, char why[TASK_ERROR]);
/* Begin to measure task <t>. 0; -EINVAL, -EBUSY (not now), -ENOBUFS; why[] tells. */
int collect_begin(struct settle *s, struct task *t, const struct collect_ask *ask,
		  char why[TASK_ERROR]);
/* The task is done: its receipt is made as soon as the end of its first process was seen. */
int collect_finish(struct settle *s, struct task *t, const struct collect_ask *ask,
		   char why[TASK_ERROR]);
/* One more leaf; its number is set here. */
void collect_leaf(struct collector *c, struct leaf *leaf);
int collect_event(struct settle *s, const struct lnx_event *ev);
/* Append ,"measured":{…} of a task that is being measured, or nothing. */
void collect_json(const struct settle *s, const struct task *t, struct lnx_buf *out);
/* The events file of a task. 0, -ENOENT, -EFBIG. */
int collect_events(const struct settle *s, const struct task *t, struct lnx_buf *out);
void collect_done(struct settle *s);

/* ---- spool.c: the events file */
/* Make <path>. 0 or -errno. */
int spool_begin(struct collector *c, char why[TASK_ERROR]);
/* Add the line of an event, if there is room for it. After one that the file does not have no other is of use: none is opened from a
 * part of them. */
void spool_line(struct collector *c, const uint8_t salt[LEAF_SALT], const struct lnx_buf *json);
/* Write what is collected, if enough or <is_end>. */
void spool_flush(struct collector *c, int is_end);
/* The file of a task in <dir> goes, if there is one. Any thread. */
void spool_remove(const char *dir, const uint8_t task[32]);
/* Is nothing on its way? */
int spool_is_idle(const struct collector *c);

/* ---- core's word on itself */
struct core_look {
	uint64_t dropped;
	int has_probe; /* process events come */
};
int collect_core(const struct settle *s, struct core_look *ret);

/* ---- prove.c: the receipt of what was measured, signed, kept, and its submit queued. 0 or -errno with why[]. */
int prove(struct settle *s, struct collector *c, struct task *t, char why[TASK_ERROR]);

#endif
