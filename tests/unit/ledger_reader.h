/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The model's ledger as a reader sees it: sums over windows. */
#ifndef LNX_LEDGER_READER_H
#define LNX_LEDGER_READER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ledger_model.h"

static uint64_t got[HANDLES + 40][KEYS], got_proc[TASKS + 1], got_caused[TASKS + 1];
static struct stall_window win;

static void look_and_add(struct stall_ledger *l, int is_exact)
{
	assert_int_equal(stall_ledger_read(l, now_ns, &win), 0);
	assert_int_equal(win.torn, 0);
	for (uint32_t i = 0; i < win.n_victims; i++) {
		const struct stall_victim *v = &win.victims[i];
		uint64_t sum = 0, norm = 0;

		for (uint32_t k = 0; k < v->n; k++) {
			const struct stall_part *p = &win.parts[v->first + k];

			sum += p->raw_ns;
			norm += p->stall_ns;
			got[number_of(v->handle)][number_of(p->culprit)] += p->raw_ns;
		}
		assert_int_equal(sum, v->raw_ns);
		assert_int_equal(norm, v->stall_ns);
		assert_true(v->stall_ns <= win.to_ns - win.from_ns);
		assert_true(v->stall_ns <= v->raw_ns);
		if (is_exact && v->handle != LNX_LEDGER_NODE)
			assert_int_equal(v->raw_ns, v->check_ns);
	}
	for (uint32_t i = 0; i < win.n_procs; i++) {
		got_proc[win.procs[i].tgid] += win.procs[i].node_ns;
		got_caused[win.procs[i].tgid] += win.procs[i].caused_ns;
	}
}

static struct stall_ledger *open_reader(void)
{
	struct stall_ledger *l = stall_ledger_new(cpus_memory, CPUS, &table);

	assert_non_null(l);
	memset(got, 0, sizeof(got));
	memset(got_proc, 0, sizeof(got_proc));
	memset(got_caused, 0, sizeof(got_caused));
	assert_int_equal(stall_ledger_read(l, now_ns, &win), 0);
	return l;
}

#endif
