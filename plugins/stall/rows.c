/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A look at the ledger becomes rows: each part under its kind, the whole brought down to the kernel's own pressure figure
 * where the ledger saw more. Parts always sum to their row: the row is made of them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stall.h"

#define CREDIT_NS \
	20000000ULL /* pressure that one window may leave to the next: the reads are not one instant */
#define EQUAL_NS      1000000ULL /* parts and wait may differ by that, or by one in EQUAL_OF */
#define EQUAL_OF      200
#define CELLS_SOFT    4096 /* above, cells under FOLD_NS go into other */
#define FOLD_NS	      100000ULL
#define COVER_FROM_NS 1000000ULL /* coverage says nothing of less pressure */

static int more(void **io_items, uint32_t n, uint32_t *io_cap, size_t size)
{
	uint32_t cap = *io_cap ? 2 * *io_cap : 128;
	void *p;

	if (n < *io_cap)
		return 0;
	p = realloc(*io_items, cap * size);
	if (!p)
		return -ENOMEM;
	*io_items = p;
	*io_cap = cap;
	return 0;
}

struct stall_row *stall_row_add(struct stall *s, uint32_t who, uint32_t resource, uint32_t method)
{
	struct stall_row *r;

	if (more((void **)&s->rows, s->n_rows, &s->cap_rows, sizeof(*r)))
		return NULL;
	r = &s->rows[s->n_rows++];
	memset(r, 0, sizeof(*r));
	r->who = who;
	r->resource = (uint8_t)resource;
	r->method = (uint8_t)method;
	r->first = s->n_cells;
	r->psi_ns = r->full_ns = STALL_UNKNOWN;
	if (who < STALL_WHO_MAX)
		s->whos.who[who].used_ns = s->boot_ns;
	return r;
}

int stall_cell_add(struct stall *s, struct stall_row *row, const struct stall_cell *c)
{
	if (!c->stall_ns && !c->raw_ns)
		return 0;
	for (uint32_t i = row->first; i < row->first + row->n; i++) {
		struct stall_cell *to = &s->cells[i];

		if (to->kind == c->kind && to->culprit == c->culprit && to->limit == c->limit) {
			to->stall_ns += c->stall_ns;
			to->raw_ns += c->raw_ns;
			to->amount += c->amount;
			return 0;
		}
	}
	if (more((void **)&s->cells, s->n_cells, &s->cap_cells, sizeof(*s->cells)))
		return -ENOMEM;
	s->cells[s->n_cells++] = *c;
	row->n++;
	if (c->culprit < STALL_WHO_MAX)
		s->whos.who[c->culprit].used_ns = s->boot_ns;
	return 0;
}

double stall_lost_ratio(uint64_t lost, uint64_t events)
{
	double ratio = events ? (double)lost / (double)events : 0;

	return ratio > 1 ? 1 : ratio;
}

double stall_coverage(const struct stall_row *r, double lost_ratio)
{
	double l = (double)r->cover_ns, p = (double)r->psi_ns;

	if (r->psi_ns == STALL_UNKNOWN || r->psi_ns < COVER_FROM_NS ||
	    r->method == LNX_METHOD_PSI_ONLY)
		return NAN;
	return (l < p ? l / p : p / l) * (1 - lost_ratio);
}

uint64_t stall_events(const struct stall_window *w, uint64_t *ret_lost)
{
	static const uint8_t lost[] = { LNX_LEDGER_N_LOST,	LNX_LEDGER_N_STALE_WAKE,
					LNX_LEDGER_N_UNTRACKED, LNX_LEDGER_N_STALE_LEAVE,
					LNX_LEDGER_N_HEALED,	LNX_LEDGER_N_MAIL_FULL };
	uint64_t n = 0;

	*ret_lost = 0;
	for (uint32_t i = 0; i < sizeof(lost); i++)
		*ret_lost += w->count[lost[i]];
	for (uint32_t i = 0; i < LNX_LEDGER_PROGS; i++)
		n += w->runs[i];
	return n;
}

/* ---- kinds */

static uint32_t is_same_pod(const struct stall_who *a, const struct stall_who *b)
{
	return a->pod_uid[0] && !strcmp(a->pod_uid, b->pod_uid);
}

void stall_cell_of(const struct stall *s, const struct stall_row *row, uint32_t who,
		   struct stall_cell *c)
{
	const struct stall_who *w = s->whos.who;

	c->culprit = STALL_WHO_NONE;
	c->kind = LNX_STALL_OTHER;
	if (who == row->who ||
	    (who >= STALL_WHO_FIRST && who < STALL_WHO_MAX && row->who >= STALL_WHO_FIRST &&
	     stall_set_has(&w[row->who], &w[who]))) {
		c->kind = LNX_STALL_SELF;
		c->culprit = row->who;
	} else if (who >= STALL_WHO_FIRST && who < STALL_WHO_MAX) {
		c->kind = is_same_pod(&w[who], &w[row->who]) ? LNX_STALL_SIBLING
							     : LNX_STALL_NEIGHBOUR;
		c->culprit = who;
	}
}

/* Quota at <depth> that throttled <slot>. In a set it was some member that met it. */
static uint16_t limit_of(struct stall *s, const struct stall_row *row, uint32_t slot,
			 uint32_t depth, uint64_t now_ns)
{
	const struct lnx_ledger_slot *tab = s->probe.tab->slot;
	const struct stall_slot *t = &s->probe.slot[slot];
	uint16_t limit = 0;

	if (!s->whos.who[row->who].level)
		return stall_who_limit(&s->whos, &s->whos.who[row->who], depth, tab[slot].owner,
				       now_ns, STALL_KEEP_NS);
	for (uint32_t i = LNX_LEDGER_FIRST; !limit && i < LNX_LEDGER_SLOTS; i++) {
		uint32_t up = tab[i].up;

		if (up && up != t->handle)
			up = tab[LNX_LEDGER_SLOT(up)].up;
		if (up == t->handle && tab[i].owner && s->probe.slot[i].handle)
			limit = stall_who_limit(&s->whos, &s->whos.who[s->probe.slot[i].who], depth,
						tab[i].owner, now_ns, STALL_KEEP_NS);
	}
	return limit;
}

static void classify(struct stall *s, struct stall_row *row, uint32_t culprit, uint64_t now_ns,
		     struct stall_cell *c, uint32_t victim)
{
	uint32_t slot = LNX_LEDGER_SLOT(victim) % LNX_LEDGER_SLOTS;
	uint32_t depth = culprit - LNX_LEDGER_THROTTLED;

	c->culprit = STALL_WHO_NONE;
	c->kind = LNX_STALL_OTHER;
	if (culprit == LNX_LEDGER_IDLE) {
		c->kind = LNX_STALL_IDLE;
	} else if (culprit == LNX_LEDGER_KERNEL) {
		c->kind = LNX_STALL_KERNEL;
		c->culprit = STALL_WHO_KERNEL;
	} else if (culprit == LNX_LEDGER_STEAL) {
		c->kind = LNX_STALL_STEAL;
		row->flags |= STALL_F_STEAL;
	} else if (culprit == LNX_LEDGER_IRQ) {
		c->kind = LNX_STALL_IRQ;
		row->flags |= STALL_F_IRQ;
	} else if (culprit >= LNX_LEDGER_THROTTLED && culprit < LNX_LEDGER_FIRST) {
		c->kind = LNX_STALL_THROTTLED;
		if (row->who >= STALL_WHO_FIRST)
			c->limit = limit_of(s, row, slot, depth, now_ns);
		if (!c->limit && row->who != STALL_WHO_NODE)
			row->flags |= STALL_F_NO_LIMIT;
	} else if (culprit >= LNX_LEDGER_FIRST) {
		stall_cell_of(s, row, stall_slot_who(s, culprit), c);
	}
}

/* ---- pressure */

void stall_row_psi(struct stall *s, struct stall_row *row, uint64_t now_ledger_ns)
{
	struct stall_who *who = &s->whos.who[row->who];
	struct stall_psi *psi = &who->psi[row->resource % LNX_RES_N];
	uint64_t some, full;
	int rc;

	stall_who_count(s);
	if (row->who != STALL_WHO_NODE)
		rc = stall_who_psi(&s->whos, who, row->resource, &some, &full);
	else
		rc = s->has_psi ? stall_psi_node(row->resource, &some, &full) : -ENOENT;
	if (rc < 0) {
		/* The root's pressure is the machine's. */
		row->flags |= who->level && !*who->path ? STALL_F_NO_FILE
			      : row->who == STALL_WHO_NODE || strcmp(who->path, "/") != 0
				      ? STALL_F_NO_PSI
				      : STALL_F_PSI_WIDER;
		psi->is_known = 0;
		return;
	}
	if (who->n_children && row->who != STALL_WHO_NODE)
		row->flags |= STALL_F_PSI_WIDER;
	else if (psi->is_known) {
		row->psi_ns = some > psi->some_us ? (some - psi->some_us) * 1000 : 0;
		row->full_ns = full > psi->full_us ? (full - psi->full_us) * 1000 : 0;
		row->cover_ns = psi->unread_ns + now_ledger_ns;
	}
	psi->some_us = some;
	psi->full_us = full;
	psi->is_known = 1;
	psi->window = s->ticks;
}

struct read_order {
	uint64_t ns;
	uint32_t row;
	uint32_t pad;
};

static int by_ns(const void *a, const void *b)
{
	const struct read_order *x = a, *y = b;

	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

/* Read the files of the largest, at most stall.psi_reads of them. <v> is by row. */
static int read_all_psi(struct stall *s, const struct stall_victim *const *v)
{
	struct read_order *order = calloc(s->n_rows + 1, sizeof(*order));
	uint32_t n = 0;

	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_rows; i++) {
		const struct stall_psi *psi = &s->whos.who[s->rows[i].who].psi[LNX_RES_CPU];

		if (psi->unread_ns + v[i]->stall_ns < STALL_PSI_FROM_NS)
			continue;
		if (psi->is_known && psi->window == s->ticks)
			continue; /* its first reading is of just now */
		order[n++] = (struct read_order){ s->rows[i].who == STALL_WHO_NODE ? UINT64_MAX
										   : v[i]->stall_ns,
						  i, 0 };
	}
	qsort(order, n, sizeof(*order), by_ns);
	for (uint32_t i = 0; i < n && i < s->conf->psi_reads; i++)
		stall_row_psi(s, &s->rows[order[i].row], v[order[i].row]->stall_ns);
	free(order);
	return 0;
}

/* How much of the ledger's figure stands: never above pressure, with a little credit of the window before. */
static double scale_of(struct stall *s, struct stall_row *row, uint64_t ledger_ns,
		       uint64_t window_ns)
{
	struct stall_psi *psi = &s->whos.who[row->who].psi[LNX_RES_CPU];
	uint64_t unread = psi->unread_ns, allowed, used;
	double scale = 1;

	if (row->psi_ns == STALL_UNKNOWN) {
		psi->unread_ns = psi->window == s->ticks ? 0 : unread + ledger_ns;
		if (ledger_ns > window_ns)
			scale = (double)window_ns / (double)ledger_ns;
		return scale;
	}
	allowed = row->psi_ns + psi->credit_ns;
	used = unread + ledger_ns;
	if (used > allowed && ledger_ns)
		scale = allowed > unread ? (double)(allowed - unread) / (double)ledger_ns : 0;
	if (scale * (double)ledger_ns > (double)window_ns)
		scale = (double)window_ns / (double)ledger_ns;
	used = unread + (uint64_t)(scale * (double)ledger_ns);
	psi->credit_ns = allowed > used ? allowed - used : 0;
	if (psi->credit_ns > CREDIT_NS)
		psi->credit_ns = CREDIT_NS;
	psi->unread_ns = 0;
	return scale;
}

/* ---- rows */

static void check_sum(struct stall *s, struct stall_row *row, const struct stall_victim *v)
{
	uint64_t off = v->raw_ns > v->check_ns ? v->raw_ns - v->check_ns : v->check_ns - v->raw_ns;

	if (v->handle == LNX_LEDGER_NODE)
		return; /* the probe keeps no second sum of it */
	if (off > EQUAL_NS && off > v->raw_ns / EQUAL_OF) {
		row->flags |= STALL_F_UNEQUAL;
		s->unequal++;
	}
}

static int fill_row(struct stall *s, uint32_t row_index, const struct stall_victim *v,
		    uint64_t window_ns, uint64_t now_ns)
{
	struct stall_row *row = &s->rows[row_index];
	double scale = scale_of(s, row, v->stall_ns, window_ns);
	int rc = 0;

	row->first = s->n_cells;
	check_sum(s, row, v);
	for (uint32_t i = 0; !rc && i < v->n; i++) {
		const struct stall_part *p = &s->look->parts[v->first + i];
		struct stall_cell c = { .stall_ns = (uint64_t)((double)p->stall_ns * scale),
					.raw_ns = p->raw_ns };

		classify(s, row, p->culprit, now_ns, &c, v->handle);
		rc = stall_cell_add(s, row, &c);
	}
	return rc;
}

void stall_row_sum(struct stall *s, struct stall_row *row)
{
	row->stalled_ns = row->raw_ns = 0;
	for (uint32_t i = row->first; i < row->first + row->n; i++) {
		row->stalled_ns += s->cells[i].stall_ns;
		row->raw_ns += s->cells[i].raw_ns;
	}
}

/* Many victims: what is too small to matter goes into other, so that history stays long. */
static void fold_small(struct stall *s)
{
	uint32_t out = 0;

	for (uint32_t r = 0; r < s->n_rows; r++) {
		struct stall_row *row = &s->rows[r];
		struct stall_cell rest = { .culprit = STALL_WHO_NONE, .kind = LNX_STALL_OTHER };
		uint32_t from = row->first, n = row->n;

		row->first = out;
		for (uint32_t i = from; i < from + n; i++) {
			if (s->cells[i].stall_ns >= FOLD_NS) {
				s->cells[out++] = s->cells[i];
				continue;
			}
			rest.stall_ns += s->cells[i].stall_ns;
			rest.raw_ns += s->cells[i].raw_ns;
			row->flags |= STALL_F_FOLDED;
		}
		if (out < from + n && (rest.stall_ns || rest.raw_ns))
			s->cells[out++] = rest;
		row->n = out - row->first;
	}
	s->n_cells = out;
}

static int by_node_ns(const void *a, const void *b)
{
	const struct stall_task *x = a, *y = b;

	return x->node_ns > y->node_ns ? -1 : x->node_ns < y->node_ns;
}

struct stall_task *stall_task_add(struct stall *s)
{
	if (more((void **)&s->tasks, s->n_tasks, &s->cap_tasks, sizeof(*s->tasks)))
		return NULL;
	memset(&s->tasks[s->n_tasks], 0, sizeof(*s->tasks));
	return &s->tasks[s->n_tasks++];
}

static int make_tasks(struct stall *s)
{
	const struct stall_window *w = s->look;

	for (uint32_t i = 0; i < w->n_procs; i++) {
		const struct stall_proc *p = &w->procs[i];
		struct stall_task *t;

		if (!p->node_ns && !p->caused_ns)
			continue;
		t = stall_task_add(s);
		if (!t)
			return -ENOMEM;
		t->pid = p->tgid;
		t->who = stall_slot_who(s, p->handle);
		t->start_ns = p->start_ns;
		t->node_ns = p->node_ns;
		t->caused_ns = p->caused_ns;
		memcpy(t->comm, p->comm, sizeof(t->comm));
	}
	if (s->n_tasks)
		qsort(s->tasks, s->n_tasks, sizeof(*s->tasks), by_node_ns);
	if (s->n_tasks > STALL_TASKS_MAX)
		s->n_tasks = STALL_TASKS_MAX;
	/* The ledger knows the name of before an exec. */
	for (uint32_t i = 0; s->proc && i < s->n_tasks; i++) {
		struct stall_task *t = &s->tasks[i];
		const struct lnx_proc *p = s->proc->get(s->proc_self, t->pid, t->start_ns);

		if (p)
			memcpy(t->comm, p->comm, sizeof(t->comm));
	}
	return 0;
}

int stall_rows_make(struct stall *s, uint64_t window_ns, uint64_t now_ns)
{
	const struct stall_window *w = s->look;
	const struct stall_victim **v = calloc(w->n_victims + 1, sizeof(*v));
	uint32_t first = s->n_rows, n = 0;
	int rc = v ? 0 : -ENOMEM;

	/* Rows first: the pressure files are read in the same instant as the ledger, before anything slow. */
	for (uint32_t i = 0; !rc && i < w->n_victims; i++) {
		uint32_t who = stall_slot_who(s, w->victims[i].handle);

		if (who == STALL_WHO_KERNEL || who == STALL_WHO_OTHER)
			continue; /* kernel threads are no workload; of what did not fit, who is not known */
		if (!stall_row_add(s, who, LNX_RES_CPU, LNX_METHOD_EXACT))
			rc = -ENOMEM;
		v[n++] = &w->victims[i];
	}
	if (!rc && first == 0)
		rc = read_all_psi(s, v);
	for (uint32_t i = 0; !rc && i < n; i++)
		rc = fill_row(s, first + i, v[i], window_ns, now_ns);
	if (!rc && s->n_cells > CELLS_SOFT)
		fold_small(s);
	for (uint32_t i = first; i < s->n_rows; i++)
		stall_row_sum(s, &s->rows[i]);
	free(v);
	return rc ? rc : make_tasks(s);
}

/* Figures that the plugin psi read since the last window. In a mode without ledger for the CPU, too. */
int stall_rows_psi(struct stall *s, uint64_t window_ns, uint64_t now_ns)
{
	(void)now_ns;
	stall_who_count(s);
	for (uint32_t i = 0; i < s->whos.n; i++) {
		struct stall_who *who = &s->whos.who[i];

		for (uint32_t res = 0; res < LNX_RES_N; res++) {
			struct stall_cell c = { .culprit = STALL_WHO_NONE,
						.kind = LNX_STALL_OTHER };
			struct stall_row *row;
			uint64_t *ns = who->sample_ns[res], full;

			if (stall_is_live(s, res)) {
				ns[0] = ns[1] = 0;
				continue;
			}
			/* A sample may be longer than our window: the rest is for the next one. */
			c.stall_ns = ns[0] < window_ns ? ns[0] : window_ns;
			c.raw_ns = c.stall_ns;
			full = ns[1] < c.stall_ns ? ns[1] : c.stall_ns;
			ns[0] -= c.stall_ns;
			ns[1] -= full;
			if (!c.stall_ns || (who->n_children && i != STALL_WHO_NODE))
				continue;
			row = stall_row_add(s, i, res, LNX_METHOD_PSI_ONLY);
			if (!row || stall_cell_add(s, row, &c))
				return -ENOMEM;
			row->psi_ns = c.stall_ns;
			row->full_ns = full;
			stall_row_sum(s, row);
		}
	}
	return 0;
}
