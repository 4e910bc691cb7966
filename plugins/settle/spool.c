/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Events of a task as a file, written off the loop; and what the agent says of its own losses. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linnix/svc_core.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect.h"

#define LINE_MORE (2 * LEAF_SALT + 2) /* bytes of a line besides the event */

struct spool_job {
	struct settle *s; /* the collector may be gone */
	struct lnx_buf lines;
	char path[512];
};

static void make_path(const char *dir, const uint8_t task[32], char *ret, size_t cap)
{
	char hex[67];

	hex_format(task, 32, hex);
	(void)snprintf(ret, cap, "%s/%s.events", dir, hex); /* too long: opening tells */
}

void spool_remove(const char *dir, const uint8_t task[32])
{
	char path[512];

	make_path(dir, task, path, sizeof(path));
	(void)unlink(path); /* most have none */
}

int spool_begin(struct collector *c, char why[TASK_ERROR])
{
	int fd;

	(void)mkdir(c->s->conf->events_dir, 0700); /* opening tells */
	make_path(c->s->conf->events_dir, c->task, c->path, sizeof(c->path));
	fd = open(c->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int rc = -errno;

		(void)snprintf(why, TASK_ERROR, "chain.events_dir: %.120s: %s", c->path,
			       strerror(-rc));
		return rc == -EINVAL ? -EIO : rc;
	}
	(void)close(fd);
	return 0;
}

void spool_line(struct collector *c, const uint8_t salt[LEAF_SALT], const struct lnx_buf *json)
{
	size_t before = c->spool.size;

	if (!c->spool_lost && before <= COLLECT_SPOOL_MAX &&
	    c->spool_bytes + json->size + LINE_MORE <= c->s->conf->events_max) {
		leaf_put_line(&c->spool, salt, json->data, json->size);
		c->spool_bytes += c->spool.size - before;
		return;
	}
	if (!c->spool_lost++)
		c->s->host->log(c->s->ctx, LNX_WARN,
				"%s: it does not get all events (chain.events_max, or a slow disk)",
				c->path);
}

static int run(void *arg)
{
	struct spool_job *j = arg;
	int fd = open(j->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	size_t at = 0;

	if (fd < 0)
		return -errno;
	while (!rc && at < j->lines.size) {
		ssize_t n = write(fd, j->lines.data + at, j->lines.size - at);

		if (n < 0)
			rc = errno == EINTR ? 0 : -errno;
		else
			at += (size_t)n;
	}
	if (close(fd) < 0 && !rc)
		rc = -errno;
	return rc;
}

static void done(void *arg, int rc)
{
	struct spool_job *j = arg;
	struct collector *c = j->s->collectors;

	while (c && c->job != j)
		c = c->next;
	if (c) {
		c->job = NULL;
		if (rc < 0) {
			c->spool_lost++;
			c->s->host->log(c->s->ctx, LNX_WARN, "%s: %s", c->path, strerror(-rc));
		}
	}
	lnx_buf_done(&j->lines);
	free(j);
}

void spool_flush(struct collector *c, int is_end)
{
	struct spool_job *j;

	if (c->job || !c->spool.size || (!is_end && c->spool.size < COLLECT_SPOOL))
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	j->s = c->s;
	j->lines = c->spool;
	memcpy(j->path, c->path, sizeof(j->path));
	c->job = j;
	if (c->s->host->submit(c->s->ctx, run, done, j) < 0) {
		c->job = NULL; /* the next one tries again */
		free(j);
		return;
	}
	memset(&c->spool, 0, sizeof(c->spool));
	c->spool.max = 2 * COLLECT_SPOOL_MAX;
}

int spool_is_idle(const struct collector *c)
{
	return !c->job && !c->spool.size;
}

int collect_events(const struct settle *s, const struct task *t, struct lnx_buf *out)
{
	char path[512], *at;
	struct stat st;
	ssize_t n;
	int fd;

	make_path(s->conf->events_dir, t->id, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= (off_t)out->max / 2) {
		(void)close(fd); /* read only */
		return -EFBIG;
	}
	at = lnx_buf_room(out, (size_t)st.st_size);
	n = at ? read(fd, at, (size_t)st.st_size) : -1;
	(void)close(fd); /* read only */
	if (n < 0)
		return -ENOENT;
	out->size = (size_t)n;
	return 0;
}

/* ---- losses */

int collect_core(const struct settle *s, struct core_look *ret)
{
	struct lnx_buf text = { 0 };
	const json_t *probes, *p;
	const void *vtable;
	json_t *root;
	void *self;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	if (s->host->service(s->ctx, "core/1", &vtable, &self) < 0)
		return -ENOENT;
	if (((const struct lnx_svc_core *)vtable)->status_json(self, &text) < 0) {
		lnx_buf_done(&text);
		return -ENOMEM;
	}
	root = json_loadb(text.data, text.size, 0, NULL);
	lnx_buf_done(&text);
	ret->dropped = (uint64_t)json_integer_value(
		json_object_get(json_object_get(root, "dropped"), "kernel"));
	probes = json_object_get(root, "probes");
	json_array_foreach(probes, i, p)
	{
		const char *name = json_string_value(json_object_get(p, "name")),
			   *state = json_string_value(json_object_get(p, "state"));

		if (name && state && !strcmp(name, "proc"))
			ret->has_probe = !strcmp(state, "attached");
	}
	json_decref(root);
	return 0;
}
