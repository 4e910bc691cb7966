/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `store`: service store/1 over one SQLite file. Changes wait in memory and are written by a job, one at a time; when
 * the file cannot be written they go on waiting, bounded and counted. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "store.h"

#define RETRY_MAX_S    30
#define READER_IDLE_NS (10 * STORE_SEC)
#define BUCKET_LATE_NS (3 * STORE_SEC) /* after its end nothing comes for a bucket */
#define FINAL_BATCHES  64

static void submit(struct store *s, int is_retention);

static void job_free(struct store *s)
{
	free(s->job);
	s->job = NULL;
}

/* What a job found at open, for people. */
static void say_opened(struct store *s, const struct store_job *j)
{
	const struct db_opened *o = &j->opened;

	s->is_open = 1;
	s->is_broken = 0;
	db_close(&s->reader);
	if (o->is_set_aside) {
		s->host->log(s->ctx, LNX_WARN, "%s was %s; it is kept as %s, a new one begins",
			     s->path, o->why, o->aside);
		s->host->health(s->ctx, "history", LNX_HEALTH_DEGRADED,
				"the file of earlier history could not be used; see the log");
	} else if (o->from_version && o->from_version < DB_VERSION) {
		s->host->log(s->ctx, LNX_INFO, "%s: schema %u is now %d", s->path, o->from_version,
			     DB_VERSION);
	}
}

static void say_failed(struct store *s, const struct store_job *j, int rc)
{
	char why[DB_ERROR + 80];

	s->failures++;
	s->retry_ns = s->host->now_ns(s->ctx) +
		      STORE_SEC * (s->failures > 5 ? RETRY_MAX_S : 1u << (s->failures - 1));
	if (!s->writer && !j->has_opened)
		s->is_broken = 1;
	s->host->metric_add(s->ctx, s->m_errors, 1);
	s->host->metric_set(s->ctx, s->m_writable, 0);
	(void)snprintf(why, sizeof(why), "%s%s: what is new stays in memory", /* cut is fine */
		       *j->error ? j->error : "cannot write: ", *j->error ? "" : strerror(-rc));
	s->host->health(s->ctx, "store", LNX_HEALTH_DEGRADED, why);
}

static void say_written(struct store *s, const struct store_job *j)
{
	s->host->metric_add(s->ctx, s->m_written, j->list.n - j->n_bad);
	if (!j->n_bad)
		return;
	s->host->metric_add(s->ctx, s->m_bad, j->n_bad);
	s->host->log(s->ctx, LNX_WARN, "%u changes were refused: %s", j->n_bad, j->error);
}

static void say_done(struct store *s, const struct store_job *j)
{
	if (s->failures)
		s->host->log(s->ctx, LNX_INFO, "%s can be written again", s->path);
	s->failures = 0;
	s->retry_ns = 0;
	s->host->health(s->ctx, "store", LNX_HEALTH_OK, "");
	s->host->metric_set(s->ctx, s->m_writable, 1);
	if (!j->does_retention)
		return;
	s->host->metric_set(s->ctx, s->m_bytes, (double)j->file_bytes);
	s->host->health(s->ctx, "log", *j->key_error ? LNX_HEALTH_DEGRADED : LNX_HEALTH_OK,
			j->key_error);
}

static void job_done(void *arg, int rc)
{
	struct store_job *j = arg;
	struct store *s = j->s;

	if (j->has_opened)
		say_opened(s, j);
	if (j->has_written) { /* also when retention failed behind it */
		say_written(s, j);
		store_queue_done(s, &j->list);
	} else {
		store_queue_back(s, &j->list);
	}
	if (rc == 0)
		say_done(s, j);
	else if (rc != -ECANCELED)
		say_failed(s, j, rc);
	job_free(s);
	s->host->metric_set(s->ctx, s->m_waiting, s->waiting.n);
	if (rc == 0 && s->waiting.n && !s->is_stopping)
		submit(s, 0);
}

static struct store_job *job_new(struct store *s, int is_retention)
{
	struct store_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->s = s;
	j->conf = *s->conf;
	j->does_retention = (uint32_t)is_retention;
	j->now_wall_ns = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
	store_queue_take(s, &j->list);
	s->job = j;
	return j;
}

/* Begin a job unless one runs or it is not time to try again. */
static void submit(struct store *s, int is_retention)
{
	struct store_job *j;

	if (s->job || !s->has_file || s->host->now_ns(s->ctx) < s->retry_ns)
		return;
	j = job_new(s, is_retention);
	if (j && s->host->submit(s->ctx, store_job_run, job_done, j) < 0) {
		store_queue_back(s, &j->list);
		job_free(s); /* the tick tries again */
	}
}

static void tick(void *arg)
{
	struct store *s = arg;
	uint64_t now = s->host->now_ns(s->ctx);
	int is_due = now - s->retention_ns >= s->conf->retention_ns;

	if (s->bucket &&
	    s->host->wall_ns(s->ctx, now) >= s->bucket->start_ns + STORE_BUCKET_NS + BUCKET_LATE_NS)
		store_bucket_flush(s);
	if (s->reader && now - s->reader_used_ns > READER_IDLE_NS)
		db_close(&s->reader);
	if (is_due && !s->job && s->is_open)
		s->retention_ns = now;
	if (s->waiting.n || !s->is_open || s->is_broken || is_due)
		submit(s, is_due && s->is_open);
	s->host->metric_set(s->ctx, s->m_waiting, s->waiting.n + (s->job ? s->job->list.n : 0));
}

/* ---- the service */

static int count(struct store *s, int rc)
{
	if (rc == -ENOBUFS)
		s->host->metric_set(s->ctx, s->m_dropped, (double)s->dropped);
	if (!rc)
		submit(s, 0);
	return rc;
}

static int serve_put(void *self, const struct lnx_store_record *r)
{
	return count(self, store_queue_put(self, r, STORE_PUT));
}

static int serve_del(void *self, uint32_t kind, const char *id)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = kind, .id = id };

	return count(self, store_queue_put(self, &r, STORE_DEL));
}

static int serve_log(void *self, uint64_t ts_ns, const char *subject, const char *what,
		     const char *doc)
{
	return count(self, store_queue_log(self, ts_ns, subject, what, doc));
}

/* 48 bits of time and 80 that are random, or one more than before within a millisecond. */
static void serve_ulid(void *self, uint64_t ts_ns, char ret[27])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	struct store *s = self;
	uint64_t ms = ts_ns / 1000000, low;
	uint32_t high;

	if (ms > s->ulid_ms || !s->ulid_ms) {
		s->ulid_ms = ms;
		if (getrandom(&s->ulid_lo, sizeof(s->ulid_lo), GRND_NONBLOCK) !=
			    sizeof(s->ulid_lo) ||
		    getrandom(&s->ulid_hi, sizeof(s->ulid_hi), GRND_NONBLOCK) != sizeof(s->ulid_hi))
			s->ulid_lo ^= ts_ns * 0x9e3779b97f4a7c15ULL;
		s->ulid_hi &= 0xffff;
	} else if (!++s->ulid_lo) {
		s->ulid_hi = (s->ulid_hi + 1) & 0xffff;
	}
	ms = s->ulid_ms;
	low = s->ulid_lo;
	high = s->ulid_hi;
	for (int i = 9; i >= 0; i--, ms >>= 5)
		ret[i] = digits[ms & 31];
	for (int i = 25; i >= 10; i--) {
		ret[i] = digits[low & 31];
		low = low >> 5 | (uint64_t)(high & 31) << 59;
		high >>= 5;
	}
	ret[26] = 0;
}

static const struct lnx_svc_store service = {
	.size = sizeof(service),
	.put = serve_put,
	.del = serve_del,
	.each = store_each,
	.log = serve_log,
	.blame = store_blame,
	.who = store_who,
	.ulid = serve_ulid,
};

/* ---- life */

static const struct {
	struct lnx_metric_desc desc;
	size_t offset;
} metrics[] = {
	{ { .name = "linnix_store_written_total",
	    .help = "Changes written to the history file.",
	    .kind = LNX_COUNTER },
	  offsetof(struct store, m_written) },
	{ { .name = "linnix_store_dropped_total",
	    .help = "Changes lost because the memory for what waits was full.",
	    .kind = LNX_COUNTER },
	  offsetof(struct store, m_dropped) },
	{ { .name = "linnix_store_refused_total",
	    .help = "Changes that the history file refused for good.",
	    .kind = LNX_COUNTER },
	  offsetof(struct store, m_bad) },
	{ { .name = "linnix_store_blame_overflow_total",
	    .help = "Pairs left out of a 10 s bucket that was full.",
	    .kind = LNX_COUNTER },
	  offsetof(struct store, m_overflow) },
	{ { .name = "linnix_store_errors_total",
	    .help = "Jobs that could not write the history file.",
	    .kind = LNX_COUNTER },
	  offsetof(struct store, m_errors) },
	{ { .name = "linnix_store_waiting", .help = "Changes not on disk yet.", .kind = LNX_GAUGE },
	  offsetof(struct store, m_waiting) },
	{ { .name = "linnix_store_bytes", .help = "Size of the history file.", .kind = LNX_GAUGE },
	  offsetof(struct store, m_bytes) },
	{ { .name = "linnix_store_writable",
	    .help = "1 if the history file can be written.",
	    .kind = LNX_GAUGE },
	  offsetof(struct store, m_writable) },
};

static void store_free(struct store *s)
{
	store_queue_clear(s);
	store_bucket_free(s->bucket);
	db_close(&s->reader);
	db_close(&s->writer);
	free(s->path);
	free(s->key_file);
	free(s);
}

/* Names of the files, and the folder if only that is missing. 0 or -ENOMEM. */
static int paths(struct store *s)
{
	char *slash;

	s->has_file = *s->conf->path && strcmp(s->conf->path, "off") != 0;
	s->path = strdup(s->conf->path);
	if (!s->path)
		return -ENOMEM;
	slash = strrchr(s->path, '/');
	if (s->has_file && slash && slash != s->path) {
		*slash = 0;
		(void)mkdir(s->path, 0750); /* opening tells */
		*slash = '/';
	}
	if (*s->conf->key_file)
		s->key_file = strdup(s->conf->key_file);
	else if (asprintf(&s->key_file, "%s.key", s->path) < 0)
		s->key_file = NULL;
	return s->key_file ? 0 : -ENOMEM;
}

static int store_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		      void **ret_state)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	store_list_init(&s->waiting);
	db_init();
	rc = paths(s);
	for (size_t i = 0; !rc && i < sizeof(metrics) / sizeof(metrics[0]); i++)
		rc = host->metric(ctx, &metrics[i].desc, NULL,
				  (struct lnx_metric **)(void *)((char *)s + metrics[i].offset));
	if (!rc)
		rc = host->provide(ctx, "store/1", &service, s);
	if (rc) {
		store_free(s);
		return rc;
	}
	*ret_state = s;
	return 0;
}

static int store_start(void *state)
{
	struct store *s = state;

	if (!s->has_file)
		s->host->health(s->ctx, "store", LNX_HEALTH_DEGRADED,
				"store.path is off: history is in memory, and ends with the agent");
	s->retention_ns = s->host->now_ns(s->ctx);
	submit(s, 0); /* opens the file */
	return s->host->timer_add(s->ctx, STORE_SEC, STORE_SEC, tick, s, &s->tick);
}

static int store_on_event(void *state, const struct lnx_event *ev)
{
	return store_on_stall(state, ev);
}

static int store_reload(void *state, const void *conf)
{
	struct store *s = state;

	s->conf = conf; /* path and key_file need a restart: copies are in use */
	return 0;
}

static void store_stop(void *state)
{
	struct store *s = state;

	s->is_stopping = 1;
	store_bucket_flush(s);
}

/* No job runs any more: what waits is written here. */
static void store_fini(void *state)
{
	struct store *s = state;

	for (int i = 0, rc = 0;
	     s->has_file && !s->is_broken && !rc && s->waiting.n && !s->job && i < FINAL_BATCHES;
	     i++) {
		struct store_job *j = job_new(s, 0);

		rc = j ? store_job_run(j) : -ENOMEM;
		if (j)
			job_done(j, rc);
	}
	if (s->job) { /* it never ran */
		store_queue_back(s, &s->job->list);
		job_free(s);
	}
	if (s->waiting.n && s->has_file)
		s->host->log(s->ctx, LNX_WARN, "%u changes are lost: the file cannot be written",
			     s->waiting.n);
	store_free(s);
}

#define OFF(m) offsetof(struct store_conf, m)
static const struct lnx_option options[] = {
	{ "path", LNX_OPT_PATH, OFF(path), "/var/lib/linnix/linnix.db", 0, 0, NULL, 0, 0,
	  "File of incidents, blame and audit; off: history is in memory only." },
	{ "key_file", LNX_OPT_PATH, OFF(key_file), "", 0, 0, NULL, 0, 0,
	  "Key that signs what retention removes from the log; made when it is needed; empty: path with .key." },
	{ "keep", LNX_OPT_DURATION, OFF(keep_ns), "30d", 60e9, 3650 * 86400e9, NULL,
	  LNX_OPTF_RELOAD, 0, "Age at which incidents, log and hours of blame are removed." },
	{ "keep_10s", LNX_OPT_DURATION, OFF(keep_10s_ns), "6h", 120e9, 365 * 86400e9, NULL,
	  LNX_OPTF_RELOAD, 0, "The same for blame of 10 s." },
	{ "keep_1m", LNX_OPT_DURATION, OFF(keep_1m_ns), "3d", 7200e9, 365 * 86400e9, NULL,
	  LNX_OPTF_RELOAD, 0, "The same for blame of a minute." },
	{ "max_size", LNX_OPT_SIZE, OFF(max_bytes), "64MiB", 262144, 1e12, NULL, LNX_OPTF_RELOAD, 0,
	  "Bytes in use at which the oldest is removed before its age." },
	{ "memory", LNX_OPT_SIZE, OFF(memory_bytes), "4MiB", 65536, 1e9, NULL, LNX_OPTF_RELOAD, 0,
	  "Most memory of changes that wait for the disk." },
	{ "retention_interval", LNX_OPT_DURATION, OFF(retention_ns), "1m", 1e9, 86400e9, NULL,
	  LNX_OPTF_RELOAD, 0, "How often buckets are summed up and what is old is removed." },
	{ .key = NULL },
};

static const struct lnx_sub subs[] = {
	{ "stall.window", LNX_STAGE_EXPORT, 0 },
	{ "stall.edge", LNX_STAGE_EXPORT, 0 },
};

static const char *const provides[] = { "store/1", NULL };

static const struct lnx_plugin store_plugin = {
	.size = sizeof(store_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "store",
	.version = "1.0",
	.summary = "incidents, blame and audit that outlive the agent",
	.options = options,
	.conf_size = sizeof(struct store_conf),
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.provides = provides,
	.commands = store_commands,
	.init = store_init,
	.start = store_start,
	.on_event = store_on_event,
	.reload = store_reload,
	.stop = store_stop,
	.fini = store_fini,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &store_plugin;
}
