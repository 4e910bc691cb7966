/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reads the ledger of the sched probe: two looks at the mapped state make a window. Pure functions over
 * memory and a time that is handed in. */
#ifndef LNX_STALL_LEDGER_H
#define LNX_STALL_LEDGER_H

#include <linnix/ledger.h>
#include <stdint.h>

#define STALL_RECORDS_MAX 262144 /* pairs of all CPUs in one window; more are counted and dropped */

/* One part of a victim's stall. */
struct stall_part {
	uint32_t victim;
	uint32_t culprit;
	uint64_t raw_ns;   /* summed over CPUs, may exceed the window */
	uint64_t stall_ns; /* as PSI counts it */
};

/* One victim; parts[first .. first + n - 1] are its parts and sum to it. */
struct stall_victim {
	uint32_t handle;
	uint32_t first;
	uint32_t n;
	uint32_t pad;
	uint64_t raw_ns;
	uint64_t stall_ns;
	uint64_t check_ns; /* raw_ns as the probe summed it apart from the parts; 0 for the node */
	uint64_t nonidle_ns; /* summed over CPUs: it ran or waited */
};

struct stall_proc {
	uint32_t tgid;
	uint32_t handle;
	uint64_t node_ns;   /* ran while anyone waited on its CPU */
	uint64_t caused_ns; /* what other slots lost to it */
	uint64_t start_ns;
	char comm[16];
};

struct stall_window {
	uint64_t from_ns, to_ns;
	const struct stall_victim
		*victims; /* by handle, the node as LNX_LEDGER_NODE; borrowed until the next read */
	const struct stall_part *parts;
	const struct stall_proc *procs; /* by tgid and handle */
	uint32_t n_victims, n_parts, n_procs;
	uint32_t torn;			   /* CPUs that were never at rest while we looked */
	uint64_t dropped;		   /* records beyond STALL_RECORDS_MAX */
	uint64_t run_ns[LNX_LEDGER_SLOTS]; /* by slot, all CPUs */
	uint64_t count[LNX_LEDGER_COUNTS]; /* increments, all CPUs */
	uint64_t runs[LNX_LEDGER_PROGS];   /* increments, all CPUs */
	struct lnx_ledger_prog prog[LNX_LEDGER_PROGS]; /* the same */
};

struct stall_ledger;

/* One task waits on <c>, and lies in lone* instead of wait[]. */
static inline int stall_is_lone(const struct lnx_ledger_cpu *c)
{
	return c->lone && c->lone != LNX_LEDGER_MANY;
}

/* Bytes from one CPU's state to the next in the mapped array. */
#define STALL_CPU_STRIDE ((sizeof(struct lnx_ledger_cpu) + 7) & ~(size_t)7)

/* <cpus> and <tab> are the mapped maps, borrowed until the free. NULL: no memory. */
struct stall_ledger *stall_ledger_new(const void *cpus, uint32_t n_cpus,
				      struct lnx_ledger_table *tab);
void stall_ledger_free(struct stall_ledger *l);

/* Of each CPU, the share 0..1 of its busy time that the hypervisor took, and interrupts: the next looks put these shares
 * of what running tasks held into LNX_LEDGER_STEAL and LNX_LEDGER_IRQ. Borrowed until the next call; NULL: none. */
void stall_ledger_shares(struct stall_ledger *l, const double *steal, const double *irq);

/* Look; the window since the last look goes to <ret_w> (the first look gives an empty one).
 * Returns 0 or -ENOMEM (the window is lost, the next one is longer). */
int stall_ledger_read(struct stall_ledger *l, uint64_t now_ns, struct stall_window *ret_w);

/* Before the first attach: all slots free. */
void stall_slots_init(struct lnx_ledger_table *tab);
/* After a detach and before the next attach: nobody waits, nobody runs. Sums stay. */
void stall_cpus_reset(void *cpus, uint32_t n_cpus);
/* Make the probe look up its cgroups again. Call after each change of the "slots" map. */
void stall_slots_forget(struct lnx_ledger_table *tab, uint32_t handle);
/* True if no CPU runs, awaits or mails <handle>. */
int stall_slot_is_quiet(const void *cpus, uint32_t n_cpus, uint32_t handle);
/* Give a slot back under the next generation: first delete its cgroups from "slots", forget it, and wait
 * for quiet. Returns 0, -EINVAL (not the present handle), -ENOSPC (the ring is full). */
int stall_slot_release(struct lnx_ledger_table *tab, uint32_t handle);
/* Take a free slot for a wait set above others (a pod). Returns its handle, 0 if there is none. */
uint32_t stall_slot_take(struct lnx_ledger_table *tab, uint64_t id);

const char *stall_count_name(uint32_t count); /* NULL beyond the last */

#endif
