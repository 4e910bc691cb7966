/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rings of windows. Each window is one block of memory; the oldest go when the blocks are too many or too large. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct stall_win *at(const struct stall_ring *r, uint32_t i)
{
	return r->win[(r->head + i) % STALL_COARSE_MAX];
}

static void drop(struct stall_store *s, struct stall_ring *r)
{
	struct stall_win *w = at(r, 0);

	s->bytes -= w->bytes;
	free(w);
	r->win[r->head] = NULL;
	r->head = (r->head + 1) % STALL_COARSE_MAX;
	r->n--;
}

static struct stall_win *copy_of(const struct stall_win *w)
{
	size_t rows = w->n_rows * sizeof(*w->rows), cells = w->n_cells * sizeof(*w->cells),
	       tasks = w->n_tasks * sizeof(*w->tasks), bytes = sizeof(*w) + rows + cells + tasks;
	struct stall_win *c = malloc(bytes);
	char *p;

	if (!c)
		return NULL;
	p = (char *)c + sizeof(*c);
	*c = *w;
	c->bytes = bytes;
	c->rows = (void *)p;
	c->cells = (void *)(p + rows);
	c->tasks = (void *)(p + rows + cells);
	if (rows)
		memcpy(p, w->rows, rows);
	if (cells)
		memcpy(p + rows, w->cells, cells);
	if (tasks)
		memcpy(p + rows + cells, w->tasks, tasks);
	return c;
}

static int push(struct stall_store *s, struct stall_ring *r, const struct stall_win *w)
{
	struct stall_win *c = copy_of(w);

	if (!c) {
		s->evicted++;
		return -ENOMEM;
	}
	if (r->n == r->max)
		drop(s, r);
	r->win[(r->head + r->n) % STALL_COARSE_MAX] = c;
	r->n++;
	s->bytes += c->bytes;
	while (s->bytes > s->max_bytes && s->coarse.n + s->fine.n > 1) {
		drop(s, s->coarse.n ? &s->coarse : &s->fine);
		s->evicted++;
	}
	return 0;
}

/* The last fine windows become one coarse one. */
static int compact(struct stall_store *s)
{
	uint32_t n = s->n_since < s->fine.n ? s->n_since : s->fine.n;
	struct stall_row *rows = NULL;
	struct stall_cell *cells = NULL;
	struct stall_sum sum = { 0 };
	struct stall_win w = { 0 };
	int rc = 0;

	for (uint32_t i = 0; !rc && i < n; i++)
		rc = stall_sum_add(&sum, at(&s->fine, s->fine.n - n + i));
	rows = calloc(sum.n_rows + 1, sizeof(*rows));
	cells = calloc(sum.n_cells + 1, sizeof(*cells));
	if (!rows || !cells)
		rc = -ENOMEM;
	for (uint32_t i = 0; !rc && i < sum.n_rows; i++) {
		rows[i] = sum.rows[i].r;
		rows[i].first = w.n_cells;
		for (uint32_t c = sum.rows[i].head; c; c = sum.cells[c - 1].next)
			cells[w.n_cells++] = sum.cells[c - 1].c;
		rows[i].n = w.n_cells - rows[i].first;
	}
	w.from_ns = sum.from_ns;
	w.to_ns = sum.to_ns;
	w.lost = sum.lost;
	w.events = sum.events;
	w.flags = sum.flags;
	w.n_rows = sum.n_rows;
	w.n_tasks = sum.n_tasks;
	w.rows = rows;
	w.cells = cells;
	w.tasks = sum.tasks;
	if (!rc)
		rc = push(s, &s->coarse, &w);
	else
		s->evicted++;
	free(rows);
	free(cells);
	stall_sum_done(&sum);
	return rc;
}

int stall_store_add(struct stall_store *s, const struct stall_win *w)
{
	int rc;

	s->fine.max = STALL_FINE_MAX;
	s->coarse.max = STALL_COARSE_MAX;
	rc = push(s, &s->fine, w);
	if (++s->n_since >= STALL_COARSE_OF) {
		int rc2 = compact(s);

		s->n_since = 0;
		rc = rc ? rc : rc2;
	}
	return rc;
}

void stall_store_done(struct stall_store *s)
{
	while (s->fine.n)
		drop(s, &s->fine);
	while (s->coarse.n)
		drop(s, &s->coarse);
}

uint64_t stall_store_oldest(const struct stall_store *s)
{
	uint64_t fine = s->fine.n ? at(&s->fine, 0)->from_ns : 0;
	uint64_t coarse = s->coarse.n ? at(&s->coarse, 0)->from_ns : 0;

	return coarse && (!fine || coarse < fine) ? coarse : fine;
}

static int is_in(const struct stall_win *w, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t middle = w->from_ns + (w->to_ns - w->from_ns) / 2;

	return middle >= from_ns && middle <= to_ns;
}

int stall_store_each(const struct stall_store *s, uint64_t from_ns, uint64_t to_ns,
		     int (*each)(void *arg, const struct stall_win *w), void *arg)
{
	/* The first coarse window that ends where a kept fine one begins: from there on the fine ones are whole. */
	uint64_t fine_from = s->fine.n ? at(&s->fine, 0)->from_ns : UINT64_MAX, cut = fine_from;
	int rc = 0;

	if (fine_from > from_ns) {
		for (uint32_t i = 0; i < s->coarse.n; i++) {
			cut = at(&s->coarse, i)->to_ns;
			if (cut >= fine_from)
				break;
			cut = fine_from;
		}
		for (uint32_t i = 0; !rc && i < s->coarse.n; i++) {
			const struct stall_win *w = at(&s->coarse, i);

			if (w->to_ns <= cut && is_in(w, from_ns, to_ns))
				rc = each(arg, w);
		}
	} else {
		cut = 0;
	}
	for (uint32_t i = 0; !rc && i < s->fine.n; i++) {
		const struct stall_win *w = at(&s->fine, i);

		if (w->from_ns >= cut && is_in(w, from_ns, to_ns))
			rc = each(arg, w);
	}
	return rc;
}
