/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The I/O model, from two looks at the devices of probe "blkio". */
#include "io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FADE	 0.98 /* of what is known of lone requests, per look */
#define GUESS_N	 4.0  /* lone requests that the guess is worth, at each of its two points */
#define GUESS_X0 4.0  /* KiB */
#define GUESS_X1 1024.0
#define CLASS_N	 1000.0 /* more of a class weigh no more */
#define STEP_NS	 8000000000ULL

int stall_io_init(struct stall_io *io)
{
	memset(io, 0, sizeof(*io));
	io->look = calloc(1, sizeof(*io->look));
	io->pairs = calloc(STALL_IO_PAIRS, sizeof(*io->pairs));
	io->own = calloc((size_t)LNX_IO_DEVS * LNX_IO_VICTIMS, sizeof(*io->own));
	if (io->look && io->pairs && io->own && stall_gates_init(&io->gates) == 0)
		return 0;
	stall_io_done(io);
	return -ENOMEM;
}

void stall_io_done(struct stall_io *io)
{
	for (uint32_t i = 0; i < LNX_IO_DEVS; i++)
		free(io->dev[i]);
	free(io->look);
	free(io->pairs);
	free(io->own);
	stall_gates_done(&io->gates);
	memset(io, 0, sizeof(*io));
}

void stall_io_reset(struct stall_io *io, const struct stall_res_maps *maps)
{
	/* Whose end was missed while nobody listened is in flight no more; what is known of lone requests stays. */
	for (uint32_t i = 0; i < LNX_IO_DEVS; i++) {
		if (maps->lookup(maps->arg, STALL_MAP_DEVS, &i, io->look) < 0 || !io->look->dev)
			continue;
		io->look->n = io->look->is_lone = 0;
		io->look->w = io->look->rem = 0;
		for (uint32_t k = 0; k < LNX_IO_CULPRITS; k++) {
			io->look->culprit[k].n = 0;
			io->look->culprit[k].w = 0;
		}
		for (uint32_t k = 0; k < LNX_IO_VICTIMS; k++)
			io->look->victim[k] =
				(struct lnx_rec_io_victim){ .gen = io->look->victim[k].gen + 1 };
		memset(io->look->m, 0, sizeof(io->look->m));
		(void)maps->update(maps->arg, STALL_MAP_DEVS, &i, io->look);
	}
	stall_gates_reset(&io->gates, maps);
}

/* ---- costs */

void stall_io_fit(const double *n, const double *ns, const double *kib,
		  struct lnx_rec_io_cost *ret_cost)
{
	double s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, det, slope, fixed;

	for (uint32_t i = 0; i < LNX_IO_CLASSES + 2; i++) {
		double x, y, w;

		if (i < LNX_IO_CLASSES) {
			if (n[i] < 1)
				continue;
			w = n[i] < CLASS_N ? n[i] : CLASS_N;
			x = kib[i] / n[i];
			y = ns[i] / n[i];
		} else {
			w = GUESS_N;
			x = i == LNX_IO_CLASSES ? GUESS_X0 : GUESS_X1;
			y = (double)LNX_IO_FIXED_NS + x * (double)LNX_IO_KIB_NS;
		}
		w /= y * y; /* errors are in proportion */
		s += w;
		sx += w * x;
		sy += w * y;
		sxx += w * x * x;
		sxy += w * x * y;
	}
	det = s * sxx - sx * sx;
	slope = det > 0 ? (s * sxy - sx * sy) / det : 0;
	slope = slope < 1 ? 1 : slope > 1e6 ? 1e6 : slope;
	fixed = (sy - slope * sx) / s;
	fixed = fixed < 1e3 ? 1e3 : fixed > 1e8 ? 1e8 : fixed;
	ret_cost->fixed_ns = (uint64_t)fixed;
	ret_cost->kib_ns = (uint64_t)slope;
}

static int is_far(uint64_t a, uint64_t b)
{
	return a > b + b / 10 || b > a + a / 10;
}

static void learn(struct stall_io_dev *d, const struct lnx_rec_io_dev *now,
		  const struct stall_res_maps *maps, uint32_t place)
{
	struct lnx_rec_io_cost cost;

	for (uint32_t i = 0; i < LNX_IO_CLASSES; i++) {
		d->n[i] = d->n[i] * FADE + (double)(now->lone_n[i] - d->lone_n[i]);
		d->ns[i] = d->ns[i] * FADE + (double)(now->lone_ns[i] - d->lone_ns[i]);
		d->kib[i] = d->kib[i] * FADE + (double)(now->lone_kib[i] - d->lone_kib[i]);
		d->lone_n[i] = now->lone_n[i];
		d->lone_ns[i] = now->lone_ns[i];
		d->lone_kib[i] = now->lone_kib[i];
	}
	stall_io_fit(d->n, d->ns, d->kib, &cost);
	if (!is_far(cost.fixed_ns, d->cost.fixed_ns) && !is_far(cost.kib_ns, d->cost.kib_ns))
		return;
	if (maps->update(maps->arg, STALL_MAP_COSTS, &place, &cost) == 0)
		d->cost = cost;
}

/* ---- pairs */

static void add_pair(struct stall_io *io, uint64_t victim, uint64_t culprit, uint64_t ns)
{
	if (io->n_pairs == STALL_IO_PAIRS) {
		io->gates.w.dropped++; /* the victim's rest goes to OTHER */
		return;
	}
	io->pairs[io->n_pairs++] = (struct stall_io_pair){ victim, culprit, ns };
}

static uint64_t culprit_id(struct stall_io *io, const struct lnx_rec_io_culprit *c)
{
	if (!(c->id & LNX_IO_V1))
		return c->id;
	return io->translate ? io->translate(io->translate_arg, c->id & ~LNX_IO_V1, c->hint)
			     : c->hint;
}

/* Bring the copy up to now. */
static void advance(struct lnx_rec_io_dev *d, uint64_t now_ns)
{
	uint64_t dt = now_ns > d->last_ns ? now_ns - d->last_ns : 0;

	if (!d->w)
		return;
	if (dt > STEP_NS)
		dt = STEP_NS;
	d->tau += ((dt << LNX_IO_TAU_SHIFT) + d->rem) / d->w;
	for (uint32_t i = 0; i < LNX_IO_CULPRITS; i++) {
		struct lnx_rec_io_culprit *c = &d->culprit[i];

		c->d_ns += c->w * (d->tau - c->tau) >> LNX_IO_TAU_SHIFT;
		c->tau = d->tau;
	}
}

/* One victim of a device. <ids>: of its culprits. */
static void read_victim(struct stall_io *io, struct stall_io_dev *last, uint32_t v,
			const uint64_t *ids)
{
	const struct lnx_rec_io_dev *now = io->look;
	const struct lnx_rec_io_victim *r = &now->victim[v];
	int is_same = last->victim_gen[v] == r->gen;

	if (!is_same) {
		memset(last->m[v], 0, sizeof(last->m[v]));
		last->own_ns[v] = last->life_ns[v] = 0;
		last->victim_gen[v] = r->gen;
	}
	for (uint32_t c = 0; c < LNX_IO_CULPRITS; c++) {
		uint64_t m = now->m[v][c], d = now->culprit[c].d_ns;

		if (r->n && d > now->snap[v][c])
			m += d - now->snap[v][c];
		if (last->culprit_gen[c] != now->culprit[c].gen)
			last->m[v][c] = 0;
		if (m > last->m[v][c]) {
			add_pair(io, r->id, ids[c], m - last->m[v][c]);
			last->m[v][c] = m;
		}
	}
	if (r->life_ns > last->life_ns[v])
		io->own[io->n_own++] = (struct stall_io_own){ r->id, r->own_ns - last->own_ns[v],
							      r->life_ns - last->life_ns[v] };
	last->own_ns[v] = r->own_ns;
	last->life_ns[v] = r->life_ns;
}

static int read_dev(struct stall_io *io, const struct stall_res_maps *maps, uint32_t place,
		    uint64_t now_ns)
{
	struct stall_io_dev *last = io->dev[place];
	uint64_t ids[LNX_IO_CULPRITS];

	if (maps->lookup(maps->arg, STALL_MAP_DEVS, &place, io->look) < 0 || !io->look->dev)
		return 0;
	if (!last) {
		last = calloc(1, sizeof(*last));
		if (!last)
			return -ENOMEM;
		io->dev[place] = last;
	}
	learn(last, io->look, maps, place);
	advance(io->look, now_ns);
	for (uint32_t c = 0; c < LNX_IO_CULPRITS; c++)
		ids[c] = culprit_id(io, &io->look->culprit[c]);
	for (uint32_t v = 1; v < LNX_IO_VICTIMS; v++)
		if (io->look->victim[v].id)
			read_victim(io, last, v, ids);
	for (uint32_t c = 0; c < LNX_IO_CULPRITS; c++)
		last->culprit_gen[c] = io->look->culprit[c].gen;
	return 0;
}

/* ---- windows */

static int by_victim(const void *a, const void *b)
{
	const struct stall_io_pair *x = a, *y = b;

	if (x->victim != y->victim)
		return x->victim < y->victim ? -1 : 1;
	return x->culprit < y->culprit ? -1 : x->culprit > y->culprit;
}

/* First pair of <victim>. */
static uint32_t first_pair(const struct stall_io *io, uint64_t victim)
{
	uint32_t lo = 0, hi = io->n_pairs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (io->pairs[mid].victim < victim)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Of its requests' time the share that they would need alone. */
static double own_share(const struct stall_io *io, uint64_t victim)
{
	double own = 0, life = 0;

	for (uint32_t i = 0; i < io->n_own; i++)
		if (io->own[i].victim == victim) {
			own += (double)io->own[i].own_ns;
			life += (double)io->own[i].life_ns;
		}
	return life > 0 ? own / life : 0;
}

static void split(struct stall_io *io, struct stall_res_victim *v)
{
	uint32_t first = first_pair(io, v->cgroup_id), i;
	double sum = 0, self = 0, whole, scale_others;

	for (i = first; i < io->n_pairs && io->pairs[i].victim == v->cgroup_id; i++) {
		sum += (double)io->pairs[i].ns;
		if (io->pairs[i].culprit == v->cgroup_id)
			self += (double)io->pairs[i].ns;
	}
	if (sum > 0) {
		double alone = own_share(io, v->cgroup_id);

		whole = sum < (double)v->raw_ns ? sum : (double)v->raw_ns;
		self *= whole / sum;
		scale_others = whole / sum;
		if (alone * whole > self) {
			scale_others *= whole > self ? (whole - alone * whole) / (whole - self) : 0;
			self = alone * whole;
		}
		stall_gates_part(&io->gates, v, v->cgroup_id, (uint64_t)self);
		for (i = first; i < io->n_pairs && io->pairs[i].victim == v->cgroup_id; i++)
			if (io->pairs[i].culprit != v->cgroup_id)
				stall_gates_part(
					&io->gates, v, io->pairs[i].culprit,
					(uint64_t)((double)io->pairs[i].ns * scale_others));
	}
	stall_gates_close(&io->gates, v);
}

int stall_io_read(struct stall_io *io, const struct stall_res_maps *maps, uint64_t now_ns,
		  struct stall_res_window *ret_w)
{
	int is_first = !io->gates.at_ns, rc = 0;

	io->n_pairs = io->n_own = 0;
	stall_gates_read(&io->gates, maps, now_ns);
	for (uint32_t i = 0; !rc && i < LNX_IO_DEVS; i++)
		rc = read_dev(io, maps, i, now_ns);
	if (rc < 0)
		return rc;
	if (is_first)
		io->n_pairs = io->n_own = 0; /* of a past that we have not seen */
	qsort(io->pairs, io->n_pairs, sizeof(*io->pairs), by_victim);
	for (uint32_t i = 0; i < io->gates.w.n_victims; i++)
		split(io, &io->gates.victims[i]);
	*ret_w = io->gates.w;
	return 0;
}
