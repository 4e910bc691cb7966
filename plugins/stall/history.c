/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Blame of before what memory holds, from store/1: one window made of what its buckets say. Buckets hold the largest pairs only:
 * what has no name in them is `other`, as nobody may be blamed for it. */
#include <errno.h>
#include <linnix/svc_store.h>
#include <stdlib.h>
#include <string.h>

#include "blame.h"

#define HISTORY_MAX   4096	       /* entries of one answer */
#define HISTORY_LEAST (10 * STALL_SEC) /* of a bucket; shorter spans are not asked for */
#define HISTORY_ID    (1ULL << 62)     /* of who has a cgroup id that is another's now */

struct history {
	struct stall *s;
	const struct lnx_svc_store *store;
	void *self;
	struct lnx_store_blame *list;
	uint32_t n;
	uint32_t is_cut; /* list was full, or names */
	uint32_t places; /* that names may still take */
};

static int take(void *arg, const struct lnx_store_blame *b)
{
	struct history *h = arg;

	if (h->n == HISTORY_MAX) {
		h->is_cut = 1;
		return 1;
	}
	h->list[h->n++] = *b;
	return 0;
}

/* Names may take half of the table: the rest is for those who run. */
static uint32_t places_for_names(const struct stall *s)
{
	uint32_t n = 0;

	for (uint32_t i = STALL_WHO_FIRST; i < s->whos.n; i++)
		n += s->whos.who[i].cgroup_id &&
		     s->whos.who[i].used_ns + STALL_KEEP_NS >= s->boot_ns;
	return n < STALL_WHO_MAX / 2 ? STALL_WHO_MAX / 2 - n : 0;
}

/* A place for <id>, made if needed and allowed. */
static uint32_t place_of(struct history *h, uint64_t id, const struct lnx_store_who *from)
{
	struct stall *s = h->s;
	struct lnx_workload w = { .size = sizeof(w) };
	uint32_t i = stall_who_find(&s->whos, id);

	if (i == STALL_WHO_NONE && !h->places) {
		h->is_cut = 1;
		return STALL_WHO_OTHER;
	}
	if (i == STALL_WHO_NONE) {
		h->places--;
		i = stall_who_make(&s->whos, id, s->boot_ns, STALL_KEEP_NS);
	}
	w.workload = from->workload;
	w.namespace_ = from->namespace_;
	w.pod_name = from->pod_name;
	w.path = from->path;
	w.pod_uid = w.container_name = w.container_id = w.runtime = w.qos = "";
	w.gone_ns = 1;
	if (i >= STALL_WHO_FIRST && stall_who_name(&s->whos.who[i], &w, s->boot_ns))
		return STALL_WHO_OTHER;
	return i;
}

/* Index of number <number>, made if needed; STALL_WHO_OTHER: it has no name, or no place. */
static uint32_t who_of(struct history *h, uint64_t number)
{
	struct lnx_store_who from = { .size = sizeof(from) };
	struct stall *s = h->s;
	uint32_t i;

	if (h->store->who(h->self, number, &from))
		return STALL_WHO_OTHER;
	if (!from.cgroup_id)
		return STALL_WHO_NODE;
	i = stall_who_find(&s->whos, from.cgroup_id);
	if (i == STALL_WHO_NONE)
		i = place_of(h, from.cgroup_id, &from);
	else if (strcmp(s->whos.who[i].workload, from.workload) != 0 ||
		 strcmp(s->whos.who[i].namespace_, from.namespace_) != 0)
		i = place_of(h, HISTORY_ID | number, &from);
	/* what this answer names may not be given away while it is made */
	if (i >= STALL_WHO_FIRST)
		s->whos.who[i].used_ns = s->boot_ns;
	return i;
}

/* The total of the victim and resource of entry <i>: hours, minutes and tens of seconds each have one. False if an entry
 * before <i> stands for it. */
static int total_of(const struct history *h, uint32_t i, struct lnx_store_blame *t)
{
	*t = h->list[i];
	for (uint32_t k = 0; k < h->n; k++) {
		const struct lnx_store_blame *b = &h->list[k];

		if (k == i || b->kind != LNX_STORE_BLAME_TOTAL || b->victim != t->victim ||
		    b->resource != t->resource)
			continue;
		if (k < i)
			return 0;
		t->raw_us += b->raw_us;
		if (t->psi_us != UINT64_MAX)
			t->psi_us = b->psi_us == UINT64_MAX ? b->psi_us : t->psi_us + b->psi_us;
		if (t->full_us != UINT64_MAX)
			t->full_us =
				b->full_us == UINT64_MAX ? b->full_us : t->full_us + b->full_us;
		if (b->confidence_permille < t->confidence_permille)
			t->confidence_permille = b->confidence_permille;
		/* a psi-only part makes a sum of the CPU no more than that */
		if ((b->method < t->method) == (t->resource == LNX_RES_CPU))
			t->method = b->method;
	}
	return 1;
}

/* Cells of the victim whose total is <t>, behind those that are there. Their number: no more than it has entries. */
static uint32_t cells_of(struct history *h, const struct lnx_store_blame *t, uint32_t victim,
			 struct stall_cell *cells)
{
	uint64_t sum[LNX_STALL_KINDS] = { 0 }, named[LNX_STALL_KINDS] = { 0 }, rest, other = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->n; i++) {
		const struct lnx_store_blame *b = &h->list[i];
		uint32_t culprit;

		if (b->victim != t->victim || b->resource != t->resource ||
		    b->kind >= LNX_STALL_KINDS)
			continue;
		if (!b->culprit) {
			sum[b->kind] += b->stall_us * 1000;
			continue;
		}
		if (b->kind == LNX_STALL_SELF)
			continue; /* the total of the kind has it */
		culprit = who_of(h, b->culprit);
		if (culprit == STALL_WHO_OTHER)
			continue; /* likewise */
		named[b->kind] += b->stall_us * 1000;
		cells[n++] = (struct stall_cell){ .culprit = culprit,
						  .kind = (uint8_t)b->kind,
						  .stall_ns = b->stall_us * 1000,
						  .raw_ns = b->raw_us * 1000 };
	}
	for (uint8_t k = 0; k < LNX_STALL_KINDS; k++) {
		rest = sum[k] > named[k] ? sum[k] - named[k] : 0;
		if (k == LNX_STALL_NEIGHBOUR || k == LNX_STALL_SIBLING || k == LNX_STALL_OTHER)
			other += rest;
		else if (rest)
			cells[n++] = (struct stall_cell){ .culprit = k == LNX_STALL_SELF ? victim
								     : k == LNX_STALL_KERNEL
									     ? STALL_WHO_KERNEL
									     : STALL_WHO_NONE,
							  .kind = k,
							  .stall_ns = rest,
							  .raw_ns = rest };
	}
	if (other)
		cells[n++] = (struct stall_cell){ .culprit = STALL_WHO_NONE,
						  .kind = LNX_STALL_OTHER,
						  .stall_ns = other,
						  .raw_ns = other };
	return n;
}

static void row_of(const struct lnx_store_blame *t, struct stall_row *r,
		   const struct stall_cell *cells)
{
	r->resource = (uint8_t)t->resource;
	r->method = (uint8_t)t->method;
	r->raw_ns = t->raw_us * 1000;
	r->psi_ns = t->psi_us == UINT64_MAX ? STALL_UNKNOWN : t->psi_us * 1000;
	r->full_ns = t->full_us == UINT64_MAX ? STALL_UNKNOWN : t->full_us * 1000;
	r->flags = STALL_F_HISTORY;
	for (uint32_t i = r->first; i < r->first + r->n; i++)
		r->stalled_ns += cells[i].stall_ns;
	/* what the buckets know of the agreement is its least */
	r->cover_ns = r->psi_ns == STALL_UNKNOWN ? 0 : r->psi_ns / 1000 * t->confidence_permille;
}

static int add(struct history *h, uint64_t from_ns, uint64_t to_ns, struct stall_sum *sum)
{
	struct stall_row *rows = calloc(h->n + 1, sizeof(*rows));
	struct stall_cell *cells = calloc(h->n + 1, sizeof(*cells));
	struct stall_win w = { .from_ns = from_ns, .to_ns = to_ns, .rows = rows, .cells = cells };
	int rc = rows && cells ? 0 : -ENOMEM;

	for (uint32_t i = 0; !rc && i < h->n; i++) {
		struct stall_row *r = &rows[w.n_rows];
		struct lnx_store_blame t;

		if (h->list[i].kind != LNX_STORE_BLAME_TOTAL || !total_of(h, i, &t))
			continue;
		r->who = who_of(h, t.victim);
		if (r->who == STALL_WHO_OTHER) {
			h->is_cut = 1;
			continue;
		}
		r->first = w.n_cells;
		r->n = cells_of(h, &t, r->who, cells + w.n_cells);
		row_of(&t, r, cells);
		w.n_cells += r->n;
		w.n_rows++;
	}
	w.flags = h->is_cut ? STALL_F_CUT : 0;
	if (!rc)
		rc = stall_sum_add(sum, &w);
	free(rows);
	free(cells);
	return rc;
}

int stall_history(struct stall *s, const struct stall_query *q, struct stall_sum *sum,
		  uint64_t *ret_from_wall_ns, uint64_t *io_memory_from_ns)
{
	uint64_t oldest = stall_store_oldest(&s->store), wall0 = s->host->wall_ns(s->ctx, 0),
		 to = oldest ? wall0 + oldest : q->to_wall_ns, first = 0, last = 0;
	struct history h = { .s = s, .places = places_for_names(s) };
	const void *vtable;
	int rc;

	if (to > q->to_wall_ns)
		to = q->to_wall_ns;
	else
		to -= to % HISTORY_LEAST; /* a bucket in which memory begins would count twice */
	if (q->from_wall_ns + HISTORY_LEAST > to ||
	    s->host->service(s->ctx, "store/1", &vtable, &h.self) < 0)
		return 0;
	h.store = vtable;
	h.list = calloc(HISTORY_MAX, sizeof(*h.list));
	if (!h.list)
		return -ENOMEM;
	rc = h.store->blame(h.self, q->from_wall_ns, to, take, &h, &first, &last);
	rc = rc < 0 && rc != -EIO ? rc
				  : 0; /* one that cannot be read is as one that is not there */
	/* before this boot there is no boot time: the answer tells of Unix time */
	if (!rc && h.n)
		rc = add(&h, first > wall0 ? first - wall0 : 0, last > wall0 ? last - wall0 : 0,
			 sum);
	if (!rc && h.n) {
		*ret_from_wall_ns = first;
		/* a minute or an hour may reach into what memory holds */
		if (last > wall0 + *io_memory_from_ns)
			*io_memory_from_ns = last - wall0;
	}
	free(h.list);
	return rc;
}
