/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `store` share. The loop owns the queue and the reader; one job at a time owns the writer. */
#ifndef LNX_STORE_H
#define LNX_STORE_H

#include <linnix/buf.h>
#include <linnix/ev_stall.h>
#include <linnix/plugin.h>
#include <linnix/svc_store.h>

#include "db.h"

#define STORE_SEC	 1000000000ULL
#define STORE_BUCKET_NS	 (10 * STORE_SEC)
#define STORE_HASH	 1024 /* chains of the queue */
#define STORE_BATCH_OPS	 2000 /* of one transaction */
#define STORE_CELLS	 2048 /* pairs of one bucket of blame */
#define STORE_WHOS	 512  /* names of one bucket */
#define STORE_LIMIT	 100
#define STORE_LIMIT_MAX	 10000
#define STORE_HASH_BYTES 32

/* How a sum over buckets was measured: of the CPU (resource 0) the least, of I/O and memory the most that any was. */
#define STORE_METHOD "CASE resource WHEN 0 THEN min(method) ELSE max(method) END"

/* enum: what an entry of the queue does */
#define STORE_PUT    0
#define STORE_DEL    1
#define STORE_LOG    2
#define STORE_BUCKET 3

struct store_cell {
	uint64_t victim, culprit;
	uint32_t resource, kind, method, confidence; /* permille */
	double stall_us, raw_us, psi_us, full_us;    /* psi, full: NaN not known */
};

struct store_who {
	uint64_t number, cgroup_id;
	char *text; /* workload, namespace, pod, path: each with its NUL; owned */
};

/* Blame of 10 s. */
struct store_bucket {
	uint64_t start_ns; /* Unix time; 0: empty */
	uint32_t n_cells, n_whos;
	uint32_t hash[2 * STORE_CELLS]; /* of cells, + 1 */
	struct store_cell cells[STORE_CELLS];
	struct store_who whos[STORE_WHOS];
};

/* One change that waits. Strings lie behind the struct. */
struct store_op {
	struct store_op *next;	    /* in its list */
	struct store_op *hash_next; /* newer before older */
	uint32_t what, kind, state, severity;
	uint64_t ts_ns, end_ns;
	char *id, *parent, *doc; /* of a log: subject, what, doc */
	size_t bytes;
	struct store_bucket *bucket; /* owned */
	uint32_t is_taken;	     /* by the running job */
};

struct store_list {
	struct store_op *first, **end;
	uint32_t n;
	size_t bytes;
};

struct store_conf {
	const char *path, *key_file;
	uint64_t keep_ns, keep_10s_ns, keep_1m_ns, max_bytes, memory_bytes, retention_ns;
};

/* What one job does and says. */
struct store_job {
	struct store *s;
	struct store_list list;
	struct store_conf conf; /* its figures; a reload frees the strings, and the original */
	uint64_t now_wall_ns;
	uint32_t does_retention;
	uint32_t has_written; /* the list is on disk, whatever failed later */
	uint32_t n_bad;	      /* ops that the file refused for good */
	struct db_opened opened;
	uint32_t has_opened;
	uint64_t file_bytes, removed;
	char error[DB_ERROR];
	char key_error[DB_ERROR]; /* why the log cannot be shortened */
};

struct store {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct store_conf *conf;
	char *path, *key_file;	   /* key_file: made from path when not given */
	struct store_list waiting; /* loop */
	struct store_op *hash[STORE_HASH];
	struct store_job *job; /* runs now; NULL none */
	struct lnx_timer *tick;
	uint64_t retry_ns;  /* no write before */
	uint32_t failures;  /* in a row */
	uint32_t has_file;  /* store.path is not "off" */
	uint32_t is_open;   /* the writer has opened the file once */
	uint32_t is_broken; /* and cannot now */
	uint32_t is_stopping;
	uint64_t retention_ns; /* last run, boot time */
	sqlite3 *writer;       /* the job's */
	sqlite3 *reader;       /* the loop's; NULL closed */
	uint64_t reader_used_ns;
	uint64_t reader_budget; /* left of the running question */
	char names[2048];	/* lent by who() */
	struct store_bucket *bucket;
	uint64_t ulid_ms, ulid_lo;
	uint32_t ulid_hi;
	uint64_t dropped, overflow;
	struct lnx_metric *m_written, *m_dropped, *m_bad, *m_overflow, *m_waiting, *m_bytes,
		*m_writable, *m_errors;
};

/* ---- queue.c */
void store_list_init(struct store_list *l);
/* 0, -EINVAL, -ENOBUFS. */
int store_queue_put(struct store *s, const struct lnx_store_record *r, uint32_t what);
int store_queue_log(struct store *s, uint64_t ts_ns, const char *subject, const char *what,
		    const char *doc);
/* Takes <b>. */
int store_queue_bucket(struct store *s, struct store_bucket *b);
/* The newest waiting change of (kind, id), NULL none. */
const struct store_op *store_queue_find(const struct store *s, uint32_t kind, const char *id);
/* Up to STORE_BATCH_OPS out of what waits. */
void store_queue_take(struct store *s, struct store_list *ret_list);
/* They are on disk; or were not written: back to the front, without those that newer ones replace. */
void store_queue_done(struct store *s, struct store_list *list);
void store_queue_back(struct store *s, struct store_list *list);
void store_queue_clear(struct store *s);

/* ---- write.c: on a worker, or on the loop when none runs */
int store_job_run(void *job);

/* ---- rollup.c: on the writer */
int store_rollup(sqlite3 *db, uint64_t now_wall_ns);
/* Rows removed in *io_removed. 0 or -errno. */
int store_retention(struct store_job *j, sqlite3 *db);

/* ---- read.c */
int store_each(void *self, const struct lnx_store_query *q,
	       int (*each)(void *arg, const struct lnx_store_record *r), void *arg);
int store_blame(void *self, uint64_t from_ns, uint64_t to_ns,
		int (*each)(void *arg, const struct lnx_store_blame *b), void *arg,
		uint64_t *ret_from_ns, uint64_t *ret_to_ns);
int store_who(void *self, uint64_t number, struct lnx_store_who *ret_who);
/* NULL: cannot be read now. */
sqlite3 *store_reader(struct store *s);

/* ---- bucket.c */
int store_on_stall(struct store *s, const struct lnx_event *ev);
/* Queue what is there. */
void store_bucket_flush(struct store *s);
void store_bucket_free(struct store_bucket *b);

/* ---- command.c */
extern const struct lnx_command store_commands[];

#endif
