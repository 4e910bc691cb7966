/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The state file off the loop: one job at a time gets copies, and what is signed is on disk before anybody hears of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect.h"
#include "op.h"
#include "task.h"

struct db_job {
	struct settle *s;
	struct op *ops; /* copies; their bytes are borrowed and do not change */
	struct task *tasks;
	uint32_t n_ops, n_tasks;
	struct db_cursor cursor;
	struct db_loaded loaded;
	char *events_dir; /* of what is forgotten; owned, NULL: nothing is */
	int64_t since_ms;
	void (*then)(struct settle *s);
	char error[DB_ERROR];
};

static void job_free(struct db_job *j)
{
	for (uint32_t i = 0; j->tasks && i < j->n_tasks; i++)
		free(j->tasks[i].receipt);
	free(j->ops);
	free(j->tasks);
	free(j->events_dir);
	free(j);
}

/* ---- open */

static int run_open(void *arg)
{
	struct db_job *j = arg;

	return db_open(j->s->state_path, j->since_ms, &j->s->db, &j->loaded, j->error);
}

static void take_loaded(struct settle *s, struct db_loaded *l)
{
	s->ops = l->ops;
	s->tasks = l->tasks;
	s->log_block = l->cursor_block;
	for (struct op *op = s->ops; op; op = op->next) {
		s->n_ops++;
		op_restore(s, op);
		if ((op->state == OP_MINED || op->state == OP_CONFIRMED) &&
		    op->nonce >= s->nonce_floor)
			s->nonce_floor = op->nonce + 1;
	}
	for (struct task *t = s->tasks; t; t = t->next)
		s->n_tasks++;
	for (const struct op *op = s->ops; op; op = op->next)
		op_note(s, op);
	task_restarted(s);
}

static void done_open(void *arg, int rc)
{
	struct db_job *j = arg;
	struct settle *s = j->s;

	s->job = NULL;
	if (rc == 0) {
		take_loaded(s, &j->loaded);
		settle_set_state(s, CHAIN_CONNECTING, "no node was asked yet");
		settle_wake(s);
	} else if (rc != -ECANCELED) {
		for (struct op *op; (op = j->loaded.ops);) {
			j->loaded.ops = op->next;
			op_free(op);
		}
		for (struct task *t; (t = j->loaded.tasks);) {
			j->loaded.tasks = t->next;
			task_free(t);
		}
		settle_set_state(s, CHAIN_FAILED,
				 "the state file cannot be used, and nothing is signed: %s",
				 j->error);
	}
	job_free(j);
}

int settle_open(struct settle *s)
{
	struct db_job *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return -ENOMEM;
	j->s = s;
	j->since_ms = settle_now_ms(s) - SETTLE_KEEP_MS;
	s->job = j;
	rc = s->host->submit(s->ctx, run_open, done_open, j);
	if (rc < 0) {
		s->job = NULL;
		job_free(j);
	}
	return rc;
}

/* ---- write */

static int run_write(void *arg)
{
	struct db_job *j = arg;
	int rc = db_write(j->s->db, j->ops, j->n_ops, j->tasks, j->n_tasks, &j->cursor, j->error);

	for (uint32_t i = 0; !rc && j->events_dir && i < j->n_tasks; i++)
		if (j->tasks[i].is_forgotten)
			spool_remove(j->events_dir, j->tasks[i].id);
	return rc;
}

/* What was written is no longer new; what changed meanwhile stays dirty. */
static void written(struct settle *s, const struct db_job *j)
{
	for (uint32_t i = 0; i < j->n_ops; i++) {
		struct op *op = op_by_key(s, j->ops[i].key);

		if (op)
			op->id = j->ops[i].id;
	}
	for (uint32_t i = 0; i < j->n_tasks; i++) {
		struct task *t = task_find(s, j->tasks[i].id);

		if (t)
			t->is_durable = 1;
	}
}

static void not_written(struct settle *s, const struct db_job *j)
{
	for (uint32_t i = 0; i < j->n_ops; i++) {
		struct op *op = op_by_key(s, j->ops[i].key);

		if (op)
			op->is_dirty = 1;
	}
	for (uint32_t i = 0; i < j->n_tasks; i++) {
		struct task *t = task_find(s, j->tasks[i].id);

		if (t) {
			t->is_dirty = 1;
			t->receipt_is_dirty |= j->tasks[i].receipt_is_dirty;
		}
	}
	s->log_is_dirty |= (uint32_t)j->cursor.is_set;
}

static void done_write(void *arg, int rc)
{
	struct db_job *j = arg;
	struct settle *s = j->s;
	void (*then)(struct settle * s) = j->then;

	s->job = NULL;
	if (rc == 0) {
		s->host->health(s->ctx, "chain-state", LNX_HEALTH_OK, "");
		written(s, j);
	} else {
		not_written(s, j);
		if (rc != -ECANCELED) {
			s->host->log(s->ctx, LNX_ERROR, "%s cannot be written: %s", s->state_path,
				     j->error);
			s->host->health(s->ctx, "chain-state", LNX_HEALTH_LOST,
					"the state file cannot be written: nothing is sent");
		}
	}
	if (rc == -EUCLEAN)
		settle_set_state(s, CHAIN_FAILED,
				 "the state file is damaged, and nothing is signed: %s", j->error);
	job_free(j);
	if (rc == 0 && !s->is_stopping)
		then(s);
	else
		settle_rest(s);
}

/* Copies of what changed. NULL: nothing did, or no memory (*ret_rc). */
static struct db_job *job_new(struct settle *s, int *ret_rc)
{
	struct db_job *j = calloc(1, sizeof(*j));
	uint32_t n_ops = 0, n_tasks = 0;

	*ret_rc = j ? 0 : -ENOMEM;
	if (!j)
		return NULL;
	for (struct op *op = s->ops; op; op = op->next)
		n_ops += op->is_dirty && !op->is_dry;
	for (struct task *t = s->tasks; t; t = t->next)
		n_tasks += t->is_dirty && !t->is_dry;
	if (!n_ops && !n_tasks && !s->log_is_dirty) {
		free(j);
		return NULL;
	}
	j->s = s;
	j->ops = calloc(n_ops + 1, sizeof(*j->ops));
	j->tasks = calloc(n_tasks + 1, sizeof(*j->tasks));
	if (!j->ops || !j->tasks) {
		job_free(j);
		*ret_rc = -ENOMEM;
		return NULL;
	}
	for (struct op *op = s->ops; op; op = op->next)
		if (op->is_dirty && !op->is_dry) {
			j->ops[j->n_ops++] = *op;
			op->is_dirty = 0;
		}
	for (struct task *t = s->tasks; t; t = t->next)
		if (t->is_dirty && !t->is_dry) {
			struct task *copy = &j->tasks[j->n_tasks++];

			*copy = *t;
			copy->receipt =
				t->receipt_is_dirty && t->receipt ? strdup(t->receipt) : NULL;
			t->is_dirty = 0;
			t->receipt_is_dirty = 0;
			if (t->is_forgotten && !j->events_dir)
				j->events_dir = strdup(s->conf->events_dir);
		}
	j->cursor.block = s->log_block;
	j->cursor.is_set = s->log_is_dirty != 0;
	s->log_is_dirty = 0;
	return j;
}

void settle_flush(struct settle *s, void (*then)(struct settle *s))
{
	struct db_job *j;
	int rc;

	j = job_new(s, &rc);
	if (!j) {
		if (rc == 0)
			then(s);
		else
			settle_rest(s);
		return;
	}
	j->then = then;
	s->job = j;
	if (s->host->submit(s->ctx, run_write, done_write, j) < 0) {
		s->job = NULL;
		not_written(s, j);
		job_free(j);
		settle_rest(s);
	}
}

void settle_flush_now(struct settle *s)
{
	struct db_job *j;
	int rc;

	if (!s->db || s->job)
		return;
	j = job_new(s, &rc);
	if (!j)
		return;
	rc = run_write(j);
	if (rc < 0)
		s->host->log(s->ctx, LNX_ERROR, "%s cannot be written: %s", s->state_path,
			     j->error);
	job_free(j);
}
