/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Once a second: look at the ledger and at the pressure files, make a window of it, keep it, tell it. */
#include <errno.h>
#include <string.h>

#include "demand.h"
#include "stall.h"

#define REFRESH_TICKS 5

static uint32_t window_flags(const struct stall_window *w)
{
	uint32_t flags = w->torn ? STALL_F_TORN : 0;

	if (w->count[LNX_LEDGER_N_WAIT_FULL] || w->count[LNX_LEDGER_N_PAIR_FULL] ||
	    w->count[LNX_LEDGER_N_SLOT_FULL] || w->count[LNX_LEDGER_N_SLOT_BUSY] || w->dropped)
		flags |= STALL_F_OVERFLOW;
	return flags;
}

static int look(struct stall *s, uint64_t mono_ns)
{
	int rc;

	stall_stat_read(&s->stat, NULL);
	stall_ledger_shares(s->probe.ledger, s->stat.steal, s->stat.irq);
	rc = stall_ledger_read(s->probe.ledger, mono_ns, s->look);
	if (rc < 0)
		s->host->log(s->ctx, LNX_WARN,
			     "no memory for a look at the ledger: the window is lost");
	return rc;
}

void stall_tick(struct stall *s, uint64_t mono_ns, uint64_t boot_ns)
{
	uint64_t from_ns = s->boot_ns, window_ns = mono_ns - s->mono_ns;
	uint32_t was_live = s->probe.is_live, is_looking = s->probe.ledger && s->probe.is_wanted;
	struct stall_win w = { .from_ns = from_ns, .to_ns = boot_ns };
	int rc = 0;

	s->n_rows = s->n_cells = s->n_tasks = 0;
	s->boot_ns = boot_ns;
	s->mono_ns = mono_ns;
	if (is_looking && look(s, mono_ns) < 0)
		return;
	s->ticks++;
	if (is_looking) {
		stall_slots_sync(s, boot_ns);
		stall_sets_sync(s, boot_ns);
		stall_probe_check(s);
		if (s->probe.is_live && !was_live)
			stall_psi_base(s, LNX_RES_CPU);
	}
	if (from_ns && s->probe.is_live && was_live) { /* else it saw a part of the window only */
		rc = stall_rows_make(s, window_ns, boot_ns);
		w.events = stall_events(s->look, &w.lost);
		w.flags = window_flags(s->look);
	}
	if (!rc)
		rc = stall_demand_rows(s, window_ns, mono_ns, boot_ns);
	stall_demand_sync(s, mono_ns, boot_ns);
	if (!rc)
		rc = stall_rows_psi(s, window_ns, boot_ns);
	stall_demand_next(s);
	w.flags |= stall_shed_flags(s);
	w.n_rows = s->n_rows;
	w.n_cells = s->n_cells;
	w.n_tasks = s->n_tasks;
	w.rows = s->rows;
	w.cells = s->cells;
	w.tasks = s->tasks;
	if (rc < 0)
		s->host->log(s->ctx, LNX_WARN, "no memory for a window of stalls: it is lost");
	else if (from_ns) {
		(void)stall_store_add(&s->store, &w); /* no memory: counted as evicted */
		stall_metrics_add(s, &w);
		stall_publish(s, &w);
		stall_trees_publish(s, &w);
	}
	if (is_looking)
		stall_slots_retire(s, boot_ns);
	if (s->ticks < REFRESH_TICKS || s->ticks % REFRESH_TICKS == 0)
		stall_who_refresh(s, boot_ns);
}
