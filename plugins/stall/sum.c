/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sums of windows: rows by victim and resource, cells by culprit, kind and quota, tasks by process. */
#include "store.h"
#include "who.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_FIRST   256
#define HASHES	     4 /* rows, cells, tasks, amounts */
#define PART_FROM_NS 1000000ULL

struct entry {
	uint64_t a, b, value;
	uint32_t index; /* + 1; 0 free */
	uint32_t pad;
};

struct stall_hash {
	struct entry *e;
	uint32_t n, cap;
};

static uint32_t hash_of(uint64_t a, uint64_t b, uint32_t cap)
{
	uint64_t h = (a ^ b * 0xff51afd7ed558ccdULL) * 0x9e3779b97f4a7c15ULL;

	return (uint32_t)(h >> 32) & (cap - 1);
}

static struct entry *probe(const struct stall_hash *h, uint64_t a, uint64_t b)
{
	uint32_t i = hash_of(a, b, h->cap);

	while (h->e[i].index && (h->e[i].a != a || h->e[i].b != b))
		i = (i + 1) & (h->cap - 1);
	return &h->e[i];
}

static int grow(struct stall_hash *h)
{
	struct stall_hash to = { NULL, h->n, h->cap ? 2 * h->cap : HASH_FIRST };

	if (2 * h->n + 2 < h->cap)
		return 0;
	to.e = calloc(to.cap, sizeof(*to.e));
	if (!to.e)
		return -ENOMEM;
	for (uint32_t i = 0; i < h->cap; i++)
		if (h->e[i].index)
			*probe(&to, h->e[i].a, h->e[i].b) = h->e[i];
	free(h->e);
	*h = to;
	return 0;
}

/* One more of <size> bytes at *io_items. */
static int more(void **io_items, uint32_t n, uint32_t *io_cap, size_t size)
{
	uint32_t cap = *io_cap ? 2 * *io_cap : 64;
	void *p;

	if (n < *io_cap)
		return 0;
	if (n >= STALL_SUM_MAX)
		return -E2BIG;
	p = realloc(*io_items, cap * size);
	if (!p)
		return -ENOMEM;
	*io_items = p;
	*io_cap = cap;
	return 0;
}

static uint32_t level_of(const struct stall_sum *s, uint32_t who)
{
	return s->levels && who < STALL_WHO_MAX ? s->levels->of[who] : who;
}

/* Place of key (a, b): *ret_e with index 0 when it is new. */
static int find(struct stall_hash *h, uint64_t a, uint64_t b, struct entry **ret_e)
{
	int rc = grow(h);

	if (rc)
		return rc;
	*ret_e = probe(h, a, b);
	return 0;
}

static void take(struct stall_hash *h, struct entry *e, uint64_t a, uint64_t b, uint32_t index)
{
	e->a = a;
	e->b = b;
	e->index = index + 1;
	h->n++;
}

/* A window of psi only makes a sum of the CPU no more than that. The other probes are attached as pressure rises: of what was
 * before, nobody is to blame, and that is noted. */
static void take_method(struct stall_row *to, const struct stall_row *r)
{
	if (!to->method || to->method == r->method) {
		to->method = r->method;
		return;
	}
	if (r->resource != LNX_RES_CPU)
		to->flags |= STALL_F_ATTACHED;
	if ((r->method == LNX_METHOD_PSI_ONLY) == (r->resource == LNX_RES_CPU))
		to->method = r->method;
}

static int row_of(struct stall_sum *s, const struct stall_row *r, uint32_t *ret_row)
{
	uint32_t who = level_of(s, r->who);
	uint64_t key = (uint64_t)who << 8 | r->resource;
	struct stall_row *to;
	struct entry *e;
	int rc = find(&s->hash[0], key, 0, &e);

	if (!rc && !e->index) {
		rc = more((void **)&s->rows, s->n_rows, &s->cap_rows, sizeof(*s->rows));
		if (rc)
			return rc;
		memset(&s->rows[s->n_rows], 0, sizeof(*s->rows));
		to = &s->rows[s->n_rows].r;
		to->who = who;
		to->resource = r->resource;
		to->psi_ns = to->full_ns = STALL_UNKNOWN;
		take(&s->hash[0], e, key, 0, s->n_rows++);
	}
	if (rc)
		return rc;
	*ret_row = e->index - 1;
	to = &s->rows[*ret_row].r;
	take_method(to, r);
	to->flags |= r->flags;
	if (s->rows[*ret_row].window == s->n_windows && s->rows[*ret_row].who != r->who)
		to->flags |= STALL_F_SUM;
	s->rows[*ret_row].window = s->n_windows;
	s->rows[*ret_row].who = r->who;
	/* Less than that is not worth a read of the file, and is compared with the next. */
	if (r->psi_ns == STALL_UNKNOWN && r->stalled_ns >= PART_FROM_NS)
		to->flags |= STALL_F_PSI_PART;
	to->stalled_ns += r->stalled_ns;
	to->raw_ns += r->raw_ns;
	if (r->psi_ns != STALL_UNKNOWN) {
		to->psi_ns = (to->psi_ns == STALL_UNKNOWN ? 0 : to->psi_ns) + r->psi_ns;
		to->cover_ns += r->cover_ns;
	}
	if (r->full_ns != STALL_UNKNOWN)
		to->full_ns = (to->full_ns == STALL_UNKNOWN ? 0 : to->full_ns) + r->full_ns;
	return 0;
}

/* What a culprit did counts once in a window, however many of the row it held up: the most that any of them was told. */
static int amount_add(struct stall_sum *s, uint32_t cell, const struct stall_cell *c)
{
	uint64_t a = (uint64_t)cell << 32 | c->culprit;
	struct entry *e;
	int rc;

	if (!c->amount)
		return 0;
	rc = find(&s->hash[3], a, 0, &e);
	if (rc)
		return rc;
	if (!e->index)
		take(&s->hash[3], e, a, 0, 0);
	if (e->index != s->n_windows + 1) {
		e->index = s->n_windows + 1;
		e->value = 0;
	}
	if (c->amount > e->value) {
		s->cells[cell].c.amount += c->amount - e->value;
		e->value = c->amount;
	}
	return 0;
}

static int cell_add(struct stall_sum *s, uint32_t row, const struct stall_cell *c)
{
	uint32_t culprit = level_of(s, c->culprit), kind = c->kind;
	struct stall_sum_cell *to;
	struct entry *e;
	uint64_t b;
	int rc;

	if ((kind == LNX_STALL_SIBLING || kind == LNX_STALL_NEIGHBOUR) &&
	    culprit == s->rows[row].r.who)
		kind = LNX_STALL_SELF;
	if (kind == LNX_STALL_SELF)
		culprit = s->rows[row].r.who;
	b = (uint64_t)culprit << 32 | (uint64_t)c->limit << 8 | kind;
	rc = find(&s->hash[1], row, b, &e);
	if (!rc && !e->index) {
		rc = more((void **)&s->cells, s->n_cells, &s->cap_cells, sizeof(*s->cells));
		if (rc)
			return rc;
		to = &s->cells[s->n_cells];
		memset(to, 0, sizeof(*to));
		to->c.culprit = culprit;
		to->c.limit = c->limit;
		to->c.kind = (uint8_t)kind;
		to->row = row;
		to->next = s->rows[row].head;
		s->rows[row].head = s->n_cells + 1;
		take(&s->hash[1], e, row, b, s->n_cells++);
	}
	if (rc)
		return rc;
	to = &s->cells[e->index - 1];
	to->c.stall_ns += c->stall_ns;
	to->c.raw_ns += c->raw_ns;
	return amount_add(s, (uint32_t)(to - s->cells), c);
}

static int task_add(struct stall_sum *s, const struct stall_task *t)
{
	uint32_t who = level_of(s, t->who);
	uint64_t a = (uint64_t)who << 32 | t->pid;
	struct entry *e;
	int rc = find(&s->hash[2], a, t->start_ns, &e);

	if (!rc && !e->index) {
		rc = more((void **)&s->tasks, s->n_tasks, &s->cap_tasks, sizeof(*s->tasks));
		if (rc)
			return rc;
		s->tasks[s->n_tasks] = *t;
		s->tasks[s->n_tasks].who = who;
		take(&s->hash[2], e, a, t->start_ns, s->n_tasks++);
		return 0;
	}
	if (rc)
		return rc;
	if (t->comm[0]) /* the name it had last */
		memcpy(s->tasks[e->index - 1].comm, t->comm, sizeof(t->comm));
	s->tasks[e->index - 1].node_ns += t->node_ns;
	s->tasks[e->index - 1].caused_ns += t->caused_ns;
	s->tasks[e->index - 1].amount[0] += t->amount[0];
	s->tasks[e->index - 1].amount[1] += t->amount[1];
	return 0;
}

/* Rows of sets in one window, by resource. */
struct told {
	uint64_t set[LNX_RES_N][STALL_WHO_MAX / 64];
};

static int has_set(const struct told *t, const struct stall_row *r, uint32_t who)
{
	return t->set[r->resource % LNX_RES_N][who / 64] >> who % 64 & 1;
}

/* False for a row that is of a higher level than asked for, or whose pod or workload has one of its own. */
static int is_told(const struct stall_levels *l, const struct told *t, const struct stall_row *r)
{
	uint32_t own;

	if (!l || r->who >= STALL_WHO_MAX)
		return 1;
	own = l->is[r->who];
	if (own > l->by)
		return 0;
	if (l->by >= STALL_BY_POD && own < STALL_BY_POD && has_set(t, r, l->pod[r->who]))
		return 0;
	return own == l->by || !has_set(t, r, l->of[r->who]);
}

static void find_sets(const struct stall_levels *l, const struct stall_win *w, struct told *t)
{
	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; l && i < w->n_rows; i++) {
		uint32_t who = w->rows[i].who;

		if (who < STALL_WHO_MAX && l->is[who] && l->is[who] <= l->by)
			t->set[w->rows[i].resource % LNX_RES_N][who / 64] |= 1ULL << who % 64;
	}
}

int stall_sum_add(struct stall_sum *s, const struct stall_win *w)
{
	struct told told;
	uint32_t row = 0;
	int rc = 0;

	if (!s->hash)
		s->hash = calloc(HASHES, sizeof(*s->hash));
	if (!s->hash)
		return -ENOMEM;
	if (!s->from_ns || w->from_ns < s->from_ns)
		s->from_ns = w->from_ns;
	if (w->to_ns > s->to_ns)
		s->to_ns = w->to_ns;
	s->lost += w->lost;
	s->events += w->events;
	s->flags |= w->flags;
	s->n_windows++;
	find_sets(s->levels, w, &told);
	for (uint32_t i = 0; !rc && i < w->n_rows; i++) {
		const struct stall_row *r = &w->rows[i];

		if (!is_told(s->levels, &told, r))
			continue;
		rc = row_of(s, r, &row);
		for (uint32_t c = 0; !rc && c < r->n; c++)
			rc = cell_add(s, row, &w->cells[r->first + c]);
	}
	for (uint32_t i = 0; !rc && i < w->n_tasks; i++)
		rc = task_add(s, &w->tasks[i]);
	return rc;
}

void stall_sum_done(struct stall_sum *s)
{
	for (uint32_t i = 0; s->hash && i < HASHES; i++)
		free(s->hash[i].e);
	free(s->hash);
	free(s->rows);
	free(s->cells);
	free(s->tasks);
	memset(s, 0, sizeof(*s));
}
