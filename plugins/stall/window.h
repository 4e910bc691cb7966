/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Between the reader of the ledger and its windows: one record per increment. */
#ifndef LNX_STALL_WINDOW_H
#define LNX_STALL_WINDOW_H

#include "ledger.h"

/* enum: what a record says. Sort order matters: a victim's run and check come before its parts. */
#define REC_RUN	  0
#define REC_CHECK 1
#define REC_PART  2

struct record {
	uint32_t victim, culprit;
	uint32_t cpu, kind;
	int64_t ns;
};

/* By CPU, the share 0..1 of its busy time that others than tasks had; NULL none. */
struct stall_shares {
	const double *steal, *irq;
};

#define STALL_PARTS_OF \
	3 /* parts that one record may become: its own, the hypervisor's, interrupts' */

/* Sort by victim, CPU, kind and culprit, one record per key. Returns the records left. */
uint32_t stall_records_merge(struct record *r, uint32_t n);

/* The records of one victim, r[0 .. n-1], become a row and its parts at <p>, at most
 * STALL_PARTS_OF * n. Returns the parts. */
uint32_t stall_records_fold(const struct lnx_ledger_table *tab, const struct stall_shares *shares,
			    struct record *r, uint32_t n, uint64_t window, struct stall_victim *v,
			    struct stall_part *p);

#endif
