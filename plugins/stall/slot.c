/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Slots of the ledger and cgroups: containers and units get one slot for all their cgroups, a removed cgroup's slot is
 * given back under the next generation once nothing waits or runs in it. */
#include <errno.h>
#include <string.h>

#include "stall.h"

#define REFRESH_NS    (5 * STALL_SEC)  /* names are asked again */
#define FORGET_NS     (60 * STALL_SEC) /* idle slots may go when slots are short */
#define SHORT_OF      128	       /* free slots under which idle ones are given back */
#define RETIRED_LOOKS 2		       /* looks that must pass before a slot is given back */

static uint32_t slot_id_of(struct stall *s, uint64_t cgroup_id, struct lnx_workload *ret_w,
			   uint64_t *ret_slot_id)
{
	memset(ret_w, 0, sizeof(*ret_w));
	ret_w->size = sizeof(*ret_w);
	*ret_slot_id = cgroup_id;
	if (!s->workload || s->workload->get(s->workload_self, cgroup_id, ret_w) < 0)
		return 0;
	if (ret_w->slot_cgroup_id)
		*ret_slot_id = ret_w->slot_cgroup_id;
	return 1;
}

void stall_psi_base_of(struct stall *s, struct stall_who *who, uint32_t resource)
{
	struct stall_psi *psi = &who->psi[resource];
	int rc = who == &s->whos.who[STALL_WHO_NODE]
			 ? stall_psi_node(resource, &psi->some_us, &psi->full_us)
			 : stall_who_psi(&s->whos, who, resource, &psi->some_us, &psi->full_us);

	psi->is_known = rc == 0;
	psi->window = s->ticks;
	psi->unread_ns = psi->credit_ns = 0;
}

void stall_psi_base(struct stall *s, uint32_t resource)
{
	stall_psi_base_of(s, &s->whos.who[STALL_WHO_NODE], resource);
	for (uint32_t i = STALL_WHO_FIRST; i < s->whos.n; i++) {
		s->whos.who[i].psi[resource].is_known = 0;
		if (s->whos.who[i].cgroup_id && !s->whos.who[i].is_gone)
			stall_psi_base_of(s, &s->whos.who[i], resource);
	}
}

uint32_t stall_who_of(struct stall *s, uint64_t cgroup_id, uint64_t now_ns)
{
	struct lnx_workload w;
	struct stall_who *who;
	uint64_t id;
	uint32_t is_known = slot_id_of(s, cgroup_id, &w, &id), i, is_new;

	is_new = stall_who_find(&s->whos, id) == STALL_WHO_NONE;
	i = stall_who_make(&s->whos, id, now_ns, STALL_KEEP_NS);
	if (i < STALL_WHO_FIRST)
		return i;
	who = &s->whos.who[i];
	if (is_known && id != cgroup_id)
		is_known = slot_id_of(s, id, &w, &id);
	if (is_known && (!who->is_known || who->asked_ns + REFRESH_NS < now_ns))
		(void)stall_who_name(who, &w, now_ns); /* no memory: the old names stay */
	if (!is_known && who->is_known)
		who->is_gone = 1;
	for (uint32_t r = 0; is_new && r < LNX_RES_N; r++)
		if (r == LNX_RES_CPU || stall_is_attached(s, r))
			stall_psi_base_of(s, who, r);
	return i;
}

static int count_parents(void *arg, const struct lnx_workload *w)
{
	struct stall *s = arg;
	uint32_t i;

	if (w->slot_cgroup_id != w->cgroup_id)
		return 0;
	i = stall_who_find(&s->whos, w->parent_cgroup_id);
	if (i != STALL_WHO_NONE)
		s->whos.who[i].n_children++;
	return 0;
}

static int make_each(void *arg, const struct lnx_workload *w)
{
	struct stall *s = arg;

	if (w->slot_cgroup_id == w->cgroup_id)
		(void)stall_who_of(s, w->cgroup_id, s->boot_ns); /* full: counted there */
	return 0;
}

void stall_who_count(struct stall *s)
{
	if (!s->workload || !s->whos.is_new)
		return;
	s->whos.is_new = 0;
	for (uint32_t i = STALL_WHO_FIRST; i < s->whos.n; i++)
		s->whos.who[i].n_children = 0;
	(void)s->workload->each(s->workload_self, 0, count_parents, s);
}

void stall_who_refresh(struct stall *s, uint64_t now_ns)
{
	struct stall_whos *w = &s->whos;

	if (!s->workload)
		return;
	/* Soon after the start the walk of plugin workload comes in. */
	if (s->ticks < 5 || s->ticks % 30 == 0)
		(void)s->workload->each(s->workload_self, 0, make_each, s);
	for (uint32_t i = STALL_WHO_FIRST; i < w->n; i++)
		if (w->who[i].cgroup_id && !w->who[i].is_gone && !w->who[i].level &&
		    w->who[i].asked_ns + REFRESH_NS < now_ns)
			(void)stall_who_of(s, w->who[i].cgroup_id, now_ns); /* it is there */
	w->is_new = 1;							    /* or has gone */
	stall_who_count(s);
}

uint32_t stall_slot_who(const struct stall *s, uint32_t handle)
{
	const struct stall_slot *t = &s->probe.slot[LNX_LEDGER_SLOT(handle) % LNX_LEDGER_SLOTS];

	if (handle == LNX_LEDGER_KERNEL)
		return STALL_WHO_KERNEL;
	if (handle == LNX_LEDGER_NODE)
		return STALL_WHO_NODE;
	if (handle >= LNX_LEDGER_FIRST && t->handle == handle)
		return t->who;
	if (handle >= LNX_LEDGER_FIRST && t->old_handle == handle)
		return t->old_who;
	return STALL_WHO_OTHER;
}

static void retire(struct stall *s, uint32_t slot)
{
	struct stall_slot *t = &s->probe.slot[slot];

	if (!t->retired)
		t->retired = 1;
}

/* A cgroup inside a container or unit: from now on its tasks count there. */
static void move_to(struct stall *s, uint32_t slot, uint64_t cgroup_id, uint64_t slot_id)
{
	struct stall_probe *p = &s->probe;
	uint32_t handle = 0;

	if (s->host->map_lookup(s->ctx, p->slots_fd, &slot_id, &handle) < 0) {
		handle = stall_slot_take(p->tab, slot_id);
		if (!handle)
			return; /* none free: it stays on its own, and is added up by name */
		if (s->host->map_update(s->ctx, p->slots_fd, &slot_id, &handle, 0) < 0) {
			(void)stall_slot_release(p->tab, handle); /* just taken */
			return;
		}
	}
	if (s->host->map_update(s->ctx, p->slots_fd, &cgroup_id, &handle, 0) < 0)
		return;
	stall_slots_forget(p->tab, p->slot[slot].handle);
	retire(s, slot);
}

static void new_slot(struct stall *s, uint32_t slot, uint32_t handle, uint64_t now_ns)
{
	struct stall_slot *t = &s->probe.slot[slot];
	uint64_t id = s->probe.tab->slot[slot].cgroup_id;
	uint32_t known = 0;

	t->old_handle = t->handle;
	t->old_who = t->who;
	t->handle = handle;
	t->retired = 0;
	t->level = 0;
	t->ran_ns = now_ns;
	t->who = stall_who_of(s, id, now_ns);
	/* Two CPUs may have taken one each: the map knows which of them lives. */
	if (!s->host->map_lookup(s->ctx, s->probe.slots_fd, &id, &known) && known != handle)
		retire(s, slot);
	else if (t->who >= STALL_WHO_FIRST && s->whos.who[t->who].cgroup_id != id)
		move_to(s, slot, id, s->whos.who[t->who].cgroup_id);
}

void stall_slots_sync(struct stall *s, uint64_t now_ns)
{
	struct stall_probe *p = &s->probe;

	p->n_used = 0;
	for (uint32_t i = LNX_LEDGER_FIRST; i < LNX_LEDGER_SLOTS; i++) {
		const struct lnx_ledger_slot *t = &p->tab->slot[i];

		if (!t->cgroup_id)
			continue;
		p->n_used++;
		if (t->handle != p->slot[i].handle)
			new_slot(s, i, t->handle, now_ns);
		if (s->look->run_ns[i])
			p->slot[i].ran_ns = now_ns;
		if (p->slot[i].who < STALL_WHO_MAX) /* a live slot keeps its name */
			s->whos.who[p->slot[i].who].used_ns = now_ns;
	}
}

/* Take every cgroup of retired slots out of the map, then let the probe look its cgroups up again. */
static void unmap_retired(struct stall *s)
{
	struct stall_probe *p = &s->probe;
	uint64_t key, next;
	uint32_t handle, n = 0;
	int rc = s->host->map_next(s->ctx, p->slots_fd, NULL, &next);

	while (!rc && n++ < 8 * LNX_LEDGER_SLOTS) { /* bounded: the map has half of that */
		key = next;
		rc = s->host->map_next(s->ctx, p->slots_fd, &key, &next);
		if (s->host->map_lookup(s->ctx, p->slots_fd, &key, &handle) < 0)
			continue;
		if (p->slot[LNX_LEDGER_SLOT(handle) % LNX_LEDGER_SLOTS].retired == 1 &&
		    p->slot[LNX_LEDGER_SLOT(handle) % LNX_LEDGER_SLOTS].handle == handle)
			(void)s->host->map_delete(s->ctx, p->slots_fd, &key); /* gone is fine */
	}
}

/* One more look at a retired slot. */
static void give_back(struct stall *s, uint32_t slot)
{
	struct stall_probe *p = &s->probe;
	struct stall_slot *t = &p->slot[slot];

	if (t->retired++ == 1)
		stall_slots_forget(p->tab, t->handle);
	if (t->retired <= RETIRED_LOOKS)
		return;
	if (!stall_slot_is_quiet(p->cpus, p->n_cpus, t->handle)) {
		/* A cgroup that is gone has no tasks: the end of a wait there was not told. */
		if (!p->tab->gone && t->who >= STALL_WHO_FIRST && s->whos.who[t->who].is_gone)
			__atomic_store_n(&p->tab->gone, t->handle, __ATOMIC_RELAXED);
		return;
	}
	if (!stall_slot_release(p->tab, t->handle)) {
		t->old_handle = t->handle;
		t->old_who = t->who;
		t->handle = 0;
		t->retired = 0;
	}
}

void stall_slots_retire(struct stall *s, uint64_t now_ns)
{
	struct stall_probe *p = &s->probe;
	uint32_t is_short = p->n_used + SHORT_OF > LNX_LEDGER_SLOTS - LNX_LEDGER_FIRST, n = 0;
	uint32_t from;

	for (uint32_t i = LNX_LEDGER_FIRST; i < LNX_LEDGER_SLOTS; i++) {
		struct stall_slot *t = &p->slot[i];

		if (!t->handle || !p->tab->slot[i].cgroup_id)
			continue;
		if (!t->retired && ((t->who >= STALL_WHO_FIRST && s->whos.who[t->who].is_gone) ||
				    (is_short && !t->level && t->ran_ns + FORGET_NS < now_ns)))
			retire(s, i);
		n += t->retired == 1;
	}
	if (n)
		unmap_retired(s);
	/* The probe is told one that has to go at a time: the next each second. */
	from = LNX_LEDGER_SLOT(p->tab->gone) + 1;
	__atomic_store_n(&p->tab->gone, 0, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < LNX_LEDGER_SLOTS; i++)
		if (p->slot[(from + i) % LNX_LEDGER_SLOTS].retired)
			give_back(s, (from + i) % LNX_LEDGER_SLOTS);
}
