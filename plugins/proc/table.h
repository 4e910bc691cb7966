/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of processes and its strings. */
#ifndef PLUGINS_PROC_TABLE_H
#define PLUGINS_PROC_TABLE_H

#include <linnix/svc_proc.h>
#include <stddef.h>
#include <stdint.h>

#define PROC_JUDGED	   3	/* refreshes until the lack of an exit event is believed */
#define PROC_EXITED_MAX	   4096 /* exited processes kept */
#define PROC_EXITED_NS	   60000000000ULL /* and how long */
#define PROC_FORK_BUCKETS  10		  /* of one second: the last 9 to 10 s */
#define PROC_STRINGS_BYTES (4u << 20)	  /* of all file names and arguments together */
#define PROC_DEPTH_MAX	   4096		  /* of a chain of parents */

/* ---- strings: equal ones are kept once */

struct proc_string {
	struct proc_string *next;
	unsigned refs;
	uint32_t hash, bytes;
	char text[];
};

struct proc_strings {
	struct proc_string *bucket[1024];
	size_t bytes, max_bytes;
	uint64_t refused; /* did not fit */
};

/* A reference to the string, or NULL: it is empty, or there is no room (counted). */
struct proc_string *proc_string_get(struct proc_strings *s, const char *text, size_t bytes);
struct proc_string *proc_string_ref(struct proc_string *string); /* NULL is fine */
void proc_string_unref(struct proc_strings *s, struct proc_string *string);

/* ---- the table */

struct proc_entry {
	struct lnx_proc p;		/* first: what the service hands out */
	struct proc_entry *hash_next;	/* same bucket; also the free list */
	struct proc_entry *prev, *next; /* live, or exited in order of their end */
	uint64_t
		maker_start_ns; /* with maker_pid: who forked it; ppid changes when that one ends */
	uint32_t maker_pid;
	uint32_t forks[PROC_FORK_BUCKETS];
	uint64_t fork_second; /* the second of the newest bucket */
	uint32_t pass;	      /* last refresh that saw it */
	uint32_t is_missing;  /* the last refresh did not see it */
	uint32_t is_coarse;   /* start_ns comes from /proc: rounded down to a tick */
	uint32_t exit_known;  /* an exit event told how it ended */
	uint32_t
		unsure; /* ended without an exit event, which may be on its way: times judged + 1 */
	uint32_t is_hidden; /* the iterator does not show it: read from /proc */
	struct {
		uint64_t cpu_ns, rss_bytes, read_bytes, write_bytes, minflt, majflt, run_delay_ns;
		uint32_t n_threads, is_set;
	} told; /* as last published */
	struct proc_string *filename, *args;
};

struct proc_list {
	struct proc_entry *first, *last;
	uint32_t n;
};

struct proc_slab;

struct proc_table {
	struct proc_entry **bucket;
	struct proc_slab *slabs;
	struct proc_entry *unused;
	struct proc_list live, exited;
	struct proc_strings strings;
	uint32_t max_live;
	uint64_t tick_ns; /* of start times in /proc */
	uint64_t refused; /* processes that the limit kept out */
	uint64_t ghosts;  /* ended without an exit event */
	uint32_t n_unsure;
	uint64_t found; /* first seen by a refresh after the start, not by a fork event */
};

int proc_table_init(struct proc_table *t, uint32_t max_live);
void proc_table_done(struct proc_table *t);
struct proc_entry *proc_table_live(const struct proc_table *t, uint32_t pid);
/* That very process, live or kept. */
struct proc_entry *proc_table_find(const struct proc_table *t, uint32_t pid, uint64_t start_ns);
/* Find or make the live process; another one of that pid that began before is a ghost and ends now.
 * NULL: a later one has the pid, it is known to have ended, or the table is full or out of memory (both
 * counted). */
struct proc_entry *proc_table_take(struct proc_table *t, uint32_t pid, uint64_t start_ns,
				   uint64_t now_ns, int *ret_is_new);
/* Move a live process to the exited ones; the oldest go when they are too many. */
void proc_table_end(struct proc_table *t, struct proc_entry *e, uint64_t exit_ns);
/* The same without an exit event. It is a ghost if none has come by the third proc_table_judge(). */
void proc_table_end_unseen(struct proc_table *t, struct proc_entry *e, uint64_t exit_ns);
/* Its exit event came, or it lives. */
void proc_table_is_sure(struct proc_table *t, struct proc_entry *e);
void proc_table_judge(struct proc_table *t);
/* Forget exited processes that are old enough. */
void proc_table_expire(struct proc_table *t, uint64_t now_ns);
void proc_entry_set_string(struct proc_table *t, struct proc_entry *e, const char *filename,
			   size_t filename_bytes, const char *args, size_t args_bytes);
void proc_entry_inherit(struct proc_table *t, struct proc_entry *child,
			const struct proc_entry *parent);
/* One more child; and bring the window up to <now_ns>. */
void proc_entry_forked(struct proc_entry *e, uint64_t now_ns);
void proc_entry_roll(struct proc_entry *e, uint64_t now_ns);
const struct proc_entry *proc_entry_parent(const struct proc_table *t, const struct proc_entry *e);
const struct proc_entry *proc_entry_root(const struct proc_table *t, const struct proc_entry *e);

#endif
