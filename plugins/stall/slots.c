/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The slots of the ledger: who owns which, and under which generation. */
#include "ledger.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const count_names[] = {
	"lost_switch", "duplicate_wake", "stale_wake", "untracked", "no_storage", "stale_leave",
	"healed",      "wait_full",	 "pair_full",  "proc_full", "mail_full",  "slot_full",
	"reclaimed",   "migrated",	 "walks",      "backward",  "slot_busy",  "evicted",
};

const char *stall_count_name(uint32_t count)
{
	return count < sizeof(count_names) / sizeof(count_names[0]) ? count_names[count] : NULL;
}

static int push(struct lnx_ledger_table *tab, uint32_t handle)
{
	uint64_t head = tab->free_head;

	if (head - __atomic_load_n(&tab->free_tail, __ATOMIC_ACQUIRE) >= LNX_LEDGER_SLOTS)
		return -ENOSPC;
	tab->free[head % LNX_LEDGER_SLOTS] = handle;
	__atomic_store_n(&tab->free_head, head + 1, __ATOMIC_RELEASE);
	return 0;
}

void stall_slots_init(struct lnx_ledger_table *tab)
{
	memset(tab, 0, sizeof(*tab));
	tab->moves = 1;
	for (uint32_t s = 0; s < LNX_LEDGER_SLOTS; s++) {
		tab->slot[s].handle = s;
		if (s < LNX_LEDGER_FIRST)
			continue;
		tab->slot[s].handle |= 1U << LNX_LEDGER_SLOT_BITS;
		(void)push(tab, tab->slot[s].handle); /* the ring has a place for every slot */
	}
}

void stall_cpus_reset(void *cpus, uint32_t n_cpus)
{
	for (uint32_t i = 0; i < n_cpus; i++) {
		struct lnx_ledger_cpu *c = (void *)((char *)cpus + i * STALL_CPU_STRIDE);

		c->since = 0;
		c->task = 0;
		c->lone = 0;
		c->cur_moves = 0;
		c->n_wait = 0;
		c->n_up = 0;
		c->n_thr = 0;
		c->mail_new = 0;
		c->n_spill = 0;
		c->proc_node_ns = 0;
		c->proc_caused_ns = 0;
		c->clock_next = 0;
		c->clock_above = 0;
		memset(c->mail, 0, sizeof(c->mail));
		memset(c->wait, 0, sizeof(c->wait));
		for (uint32_t k = 0; k < LNX_LEDGER_SLOTS; k++)
			c->sum[k].pos = 0;
		memset(c->waiters, 0, sizeof(c->waiters));
		c->seq &= ~1U;
	}
}

void stall_slots_forget(struct lnx_ledger_table *tab, uint32_t handle)
{
	for (uint32_t i = 0; i < LNX_LEDGER_CACHE; i++)
		if ((uint32_t)tab->cache[i].tagged == handle)
			__atomic_store_n(&tab->cache[i].tagged, 0, __ATOMIC_RELAXED);
	(void)__atomic_add_fetch(&tab->moves, 1, __ATOMIC_RELEASE);
}

int stall_slot_is_quiet(const void *cpus, uint32_t n_cpus, uint32_t handle)
{
	for (uint32_t i = 0; i < n_cpus; i++) {
		const struct lnx_ledger_cpu *c =
			(const void *)((const char *)cpus + i * STALL_CPU_STRIDE);

		if (c->cur == handle || (stall_is_lone(c) && c->lone_handle == handle))
			return 0;
		for (uint32_t k = 0; k < LNX_LEDGER_WAITS && k < c->n_wait; k++)
			if (c->wait[k].handle == handle)
				return 0;
		for (uint32_t k = 0; k < LNX_LEDGER_MAIL; k++)
			if (c->mail[k].word >> 32 == handle)
				return 0;
	}
	return 1;
}

int stall_slot_release(struct lnx_ledger_table *tab, uint32_t handle)
{
	uint32_t s = LNX_LEDGER_SLOT(handle), next;

	if (s < LNX_LEDGER_FIRST || s >= LNX_LEDGER_SLOTS || tab->slot[s].handle != handle)
		return -EINVAL;
	next = handle + (1U << LNX_LEDGER_SLOT_BITS);
	if (!LNX_LEDGER_GEN(next))
		next = s | 1U << LNX_LEDGER_SLOT_BITS;
	tab->slot[s].cgroup_id = 0;
	tab->slot[s].owner = 0;
	tab->slot[s].up = 0;
	tab->slot[s].handle = next;
	return push(tab, next);
}

uint32_t stall_slot_take(struct lnx_ledger_table *tab, uint64_t id)
{
	__u64 tail = __atomic_load_n(&tab->free_tail, __ATOMIC_ACQUIRE);

	while (tail < tab->free_head) {
		uint32_t handle = tab->free[tail % LNX_LEDGER_SLOTS];

		if (__atomic_compare_exchange_n(&tab->free_tail, &tail, tail + 1, 0,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			tab->slot[LNX_LEDGER_SLOT(handle)].cgroup_id = id;
			return handle;
		}
	}
	return 0;
}
