/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The journal: one JSON object a line, on disk before anything is done, so that the death of both agent and guardian leaves
 * nothing in force for longer than to the next start. Its lock is shared with the guardian, which appends what it undid. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act.h"

#define JOURNAL_MAX   (8u << 20) /* bytes that are read at the start */
#define JOURNAL_LARGE (1u << 20) /* that it may have before it begins anew */

static uint64_t hour_ago(struct enforce *s)
{
	uint64_t wall = enf_wall(s);

	return wall > 3600 * ENF_SEC ? wall - 3600 * ENF_SEC : 0;
}

/* ---- reading what an earlier run left */

static uint64_t u64_of(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void is_ended(struct enforce *s, const char *id, const char *how)
{
	(void)json_object_set_new(s->ended, id, json_string(how)); /* out of memory: not known */
}

static void read_line(struct enforce *s, uint64_t hour_ago_ns, const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const char *op = enf_text(o, "op"), *id = enf_text(o, "id");

	if (strlen(id) != UNDO_ID - 1) {
		s->host->log(s->ctx, LNX_WARN, "journal: a line that cannot be read is left out");
	} else if (strcmp(op, "begin") == 0) {
		(void)json_object_set(s->left, id, o); /* out of memory: nothing to undo is known */
		if (u64_of(o, "ts_ns") > hour_ago_ns)
			s->hourly[s->n_hourly++ % ENF_HOURLY] = u64_of(o, "ts_ns");
	} else if (strcmp(op, "end") == 0) {
		(void)json_object_del(s->left, id); /* it may be there twice */
		is_ended(s, id,
			 strcmp(enf_text(o, "by"), "guardian") == 0
				 ? "undone by the guardian, when the agent died"
				 : "undone before the agent ended");
	}
	json_decref(o);
}

static int read_all(struct enforce *s, uint64_t hour_ago_ns)
{
	struct stat st;
	char *text, *at, *end;
	ssize_t n;

	if (fstat(s->journal, &st) < 0)
		return -errno;
	if (st.st_size > (off_t)JOURNAL_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = pread(s->journal, text, (size_t)st.st_size, 0);
	if (n < 0) {
		free(text);
		return -EIO;
	}
	text[n] = 0;
	for (at = text; (end = strchr(at, '\n')); at = end + 1)
		if (end > at)
			read_line(s, hour_ago_ns, at, (size_t)(end - at));
	/* what follows the last line end was being written when it ended: it was not done */
	free(text);
	return 0;
}

static int get_undo(const json_t *o, struct undo *u)
{
	const char *dir = enf_text(o, "dir"), *file = enf_text(o, "file"),
		   *ours = enf_text(o, "ours"), *before = enf_text(o, "before");

	memset(u, 0, sizeof(*u));
	u->kind = (uint8_t)u64_of(o, "kind");
	u->pid = (uint32_t)u64_of(o, "pid");
	u->start_ticks = u64_of(o, "start_ticks");
	u->dev = u64_of(o, "dev");
	u->ino = u64_of(o, "ino");
	if ((u->kind != UNDO_FILE && u->kind != UNDO_CONT) || strlen(dir) >= sizeof(u->dir) ||
	    strlen(file) >= sizeof(u->file) || strlen(ours) >= sizeof(u->ours) ||
	    strlen(before) >= sizeof(u->before) || strchr(file, '/'))
		return -EINVAL;
	(void)snprintf(u->dir, sizeof(u->dir), "%s", dir); /* all of them fit */
	(void)snprintf(u->file, sizeof(u->file), "%s", file);
	(void)snprintf(u->ours, sizeof(u->ours), "%s", ours);
	(void)snprintf(u->before, sizeof(u->before), "%s", before);
	return 0;
}

/* An action that nobody ended: of this boot it is taken back; after another nothing of it is left. True if it could not be. */
static int undo_old(struct enforce *s, const char *id, const json_t *begin, char *how, size_t cap)
{
	uint32_t results[UNDO_RESULTS] = { 0 };
	int rc, is_now = strcmp(enf_text(begin, "boot_id"), s->host->ident(s->ctx)->boot_id) == 0;
	const json_t *list = json_object_get(begin, "undo"), *o;
	struct undo u;
	size_t i;

	json_array_foreach(list, i, o)
	{
		if (is_now)
			results[get_undo(o, &u) == 0 ? undo_run(&u, &rc) : UNDO_FAILED]++;
	}
	enf_undo_results(results, how, cap);
	if (!is_now)
		(void)snprintf(how, cap, "gone: the machine was started anew"); /* fits */
	else if (!*how)
		(void)snprintf(how, cap, "nothing to undo"); /* likewise */
	if (!results[UNDO_FAILED])
		is_ended(s, id, how);
	return results[UNDO_FAILED] > 0;
}

/* What could not be taken back stays, for the next start. */
static int keep(struct enforce *s, const json_t *begin)
{
	char *line = json_dumps(begin, JSON_COMPACT);
	size_t n = line ? strlen(line) : 0;
	int rc = line ? 0 : -ENOMEM;

	if (line) {
		line[n] = '\n'; /* in place of the NUL */
		if (write(s->journal, line, n + 1) != (ssize_t)(n + 1))
			rc = -EIO;
	}
	free(line);
	return rc;
}

/* What an earlier run left is undone, or was by its guardian: the file may begin anew. The times of the last hour are kept. */
static int rewrite(struct enforce *s, uint64_t hour_ago_ns)
{
	char line[128];
	uint32_t i, n = s->n_hourly < ENF_HOURLY ? s->n_hourly : ENF_HOURLY;

	if (ftruncate(s->journal, 0) < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		int len;

		if (s->hourly[i] <= hour_ago_ns)
			continue;
		len = snprintf(
			line, sizeof(line),
			"{\"op\":\"begin\",\"id\":\"00000000000000000000000%03u\",\"ts_ns\":%llu}\n"
			"{\"op\":\"end\",\"id\":\"00000000000000000000000%03u\"}\n",
			i, (unsigned long long)s->hourly[i], i);
		if (write(s->journal, line, (size_t)len) != len)
			return -EIO;
	}
	return 0;
}

/* What nobody ended is undone; what could not be stays in s->left and in the file. */
static int undo_all_old(struct enforce *s, uint64_t hour_ago_ns)
{
	char how[128];
	const char *id;
	json_t *begin;
	void *next;
	int rc;

	json_object_foreach_safe(s->left, next, id, begin)
	{
		int is_left = undo_old(s, id, begin, how, sizeof(how));

		s->host->log(s->ctx, is_left ? LNX_ERROR : LNX_WARN,
			     "action %s was in force when the agent and its guardian died: %s", id,
			     how);
		if (!is_left)
			(void)json_object_del(s->left, id); /* it is there */
	}
	rc = rewrite(s, hour_ago_ns);
	json_object_foreach(s->left, id, begin)
	{
		(void)json_object_set_new(begin, "ts_ns",
					  json_integer(0)); /* of the hour it is already */
		if (rc == 0)
			rc = keep(s, begin);
	}
	if (rc == 0 && fsync(s->journal) < 0)
		rc = -errno;
	return rc;
}

int journal_open(struct enforce *s)
{
	int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW, rc;
	uint64_t since_ns = hour_ago(s);

	s->journal = open(s->conf->journal, s->conf->dry_run ? flags : flags | O_CREAT, 0600);
	if (s->journal < 0)
		return -errno;
	if (flock(s->journal, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		journal_close(s);
		return rc;
	}
	s->n_hourly = 0;
	s->left = json_object();
	s->ended = json_object();
	rc = s->left && s->ended ? read_all(s, since_ns) : -ENOMEM;
	if (rc == 0)
		rc = undo_all_old(s, since_ns);
	if (rc < 0)
		journal_close(s);
	else
		s->n_left = (uint32_t)json_object_size(s->left);
	return rc;
}

void journal_retry(struct enforce *s)
{
	char how[128];
	const char *id;
	json_t *begin;
	void *next;

	json_object_foreach_safe(s->left, next, id, begin)
	{
		if (undo_old(s, id, begin, how, sizeof(how)))
			continue;
		s->host->log(s->ctx, LNX_INFO, "action %s of an earlier run: %s", id, how);
		journal_end(s, id);
		(void)json_object_del(s->left, id); /* it is there */
		s->is_recovered = 0;		    /* its record is to say so */
	}
	s->n_left = (uint32_t)json_object_size(s->left);
}

void journal_close(struct enforce *s)
{
	if (s->journal >= 0)
		(void)close(s->journal); /* what matters was fsynced */
	s->journal = -1;
	json_decref(s->left);
	json_decref(s->ended);
	s->left = s->ended = NULL;
	s->n_left = 0;
}

/* ---- writing */

struct job {
	struct enforce *s;
	char id[UNDO_ID];
	int fd;
	struct lnx_buf line;
};

/* Any thread. */
static int append(int fd, const char *text, size_t n)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (write(fd, text, n) == (ssize_t)n)
		return fsync(fd) < 0 ? -errno : 0;
	/* half a line would spoil the next one */
	if (end >= 0 && ftruncate(fd, end) < 0)
		return -EIO;
	return -ENOSPC;
}

static int job_run(void *arg)
{
	struct job *j = arg;

	return append(j->fd, j->line.data, j->line.size);
}

static void job_done(void *arg, int rc)
{
	struct job *j = arg;
	int unused;
	struct act *a = enf_find(j->s, j->id, &unused);

	j->s->n_journaling--;
	if (a && a->phase == ENF_JOURNALING)
		enf_journaled(j->s, a, rc);
	else
		journal_end(j->s, j->id); /* it was given up meanwhile */
	lnx_buf_done(&j->line);
	free(j);
}

static void put_undo(struct lnx_buf *b, const struct undo *u)
{
	lnx_json_next(b);
	lnx_buf_char(b, '{');
	lnx_json_kv_u64(b, "kind", u->kind);
	if (u->kind == UNDO_CONT) {
		lnx_json_kv_u64(b, "pid", u->pid);
		lnx_json_kv_u64(b, "start_ticks", u->start_ticks);
	} else {
		lnx_json_kv_str(b, "dir", u->dir);
		lnx_json_kv_u64(b, "dev", u->dev);
		lnx_json_kv_u64(b, "ino", u->ino);
		lnx_json_kv_str(b, "file", u->file);
		lnx_json_kv_str(b, "ours", u->ours);
		lnx_json_kv_str(b, "before", u->before);
	}
	lnx_buf_char(b, '}');
}

int journal_begin(struct enforce *s, const struct act *a)
{
	struct job *j;
	int rc;

	if (s->journal < 0)
		return -EBUSY;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->s = s;
	j->fd = s->journal;
	memcpy(j->id, a->id, sizeof(j->id));
	lnx_buf_str(&j->line, "\n{"); /* an end that a full disk cut may stand before it */
	lnx_json_kv_str(&j->line, "op", "begin");
	lnx_json_kv_str(&j->line, "id", a->id);
	lnx_json_kv_u64(&j->line, "ts_ns", enf_wall(s));
	lnx_json_kv_str(&j->line, "boot_id", s->host->ident(s->ctx)->boot_id);
	lnx_json_kv_str(&j->line, "plan", a->plan);
	lnx_json_kv_str(&j->line, "by", a->by);
	lnx_json_key(&j->line, "undo");
	lnx_buf_char(&j->line, '[');
	for (uint32_t i = 0; i < a->n_undo; i++)
		put_undo(&j->line, &a->undo[i]);
	lnx_buf_str(&j->line, "]}\n");
	rc = lnx_buf_error(&j->line);
	if (!rc)
		rc = s->host->submit(s->ctx, job_run, job_done, j);
	if (rc < 0) {
		lnx_buf_done(&j->line);
		free(j);
	} else {
		s->n_journaling++;
	}
	return rc;
}

void journal_end(struct enforce *s, const char *id)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "{\"op\":\"end\",\"id\":\"%.26s\"}\n", id);

	/* Not durable yet, and it need not be: at worst the next start finds nothing of ours and leaves it. */
	if (s->journal >= 0 && write(s->journal, line, (size_t)n) != n)
		s->host->log(s->ctx, LNX_WARN, "journal: the end of %s is not written: %s", id,
			     strerror(errno));
}

void journal_trim(struct enforce *s)
{
	struct stat st;
	int rc;

	if (s->journal < 0 || s->n_journaling || s->n_left || fstat(s->journal, &st) < 0 ||
	    st.st_size < (off_t)JOURNAL_LARGE)
		return;
	/* need not be durable: the old content, too, has nothing in force */
	rc = rewrite(s, hour_ago(s));
	if (rc < 0)
		s->host->log(s->ctx, LNX_WARN, "journal: it cannot begin anew: %s", strerror(-rc));
}
