/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* CLOCK_MONOTONIC by way of a run queue's own clock: the offset of the two, measured now and then.
 *
 * One measured across an interrupt or a stolen CPU is too large, so that it grows only as clocks may drift apart. Where
 * they do faster (their rates were calibrated each for itself, on some virtual machines half a percent apart), each one of
 * several is larger: then the smallest of those is right. On an idle CPU such a row takes seconds, in which the first that
 * wakes would be told to have waited since: there each is taken as it is. LNX_SUB as in lnx_ledger.h. */
#ifndef LNX_LEDGER_CLOCK_H
#define LNX_LEDGER_CLOCK_H

#include <linnix/ledger.h>

#define LNX_CLOCK_NS	    4000000ULL /* age of an offset */
#define LNX_CLOCK_DRIFT	    10 /* it grows at most by one in 2^10 of the time since it was measured */
#define LNX_CLOCK_GROWS_NS  65536ULL	  /* and at most by this */
#define LNX_CLOCK_JUMP_NS   1000000000ULL /* unless the clocks were set apart */
#define LNX_CLOCK_ABOVE_MAX 8		  /* too large so often: not by chance */

/* The run queue's clock is <clock>, CLOCK_MONOTONIC <mono>. */
LNX_SUB int lnx_ledger_clock(struct lnx_ledger_cpu *c, __u64 clock, __u64 mono)
{
	__u64 offset = mono - clock, most, age;
	int is_first;

	if (!c)
		return 0;
	is_first = !c->clock_next;
	age = clock - c->clock_next + LNX_CLOCK_NS;
	most = age >> LNX_CLOCK_DRIFT;
	if (most > LNX_CLOCK_GROWS_NS)
		most = LNX_CLOCK_GROWS_NS;
	c->clock_next = clock + LNX_CLOCK_NS;
	most += c->clock_offset;
	/* The first; much larger, or smaller; or nobody runs or waits, who could be charged. */
	if (is_first || offset - most >= LNX_CLOCK_JUMP_NS ||
	    (c->cur == LNX_LEDGER_IDLE && !c->lone)) {
		c->clock_above = 0;
		c->clock_offset = offset;
		return 0;
	}
	if (!c->clock_above || offset < c->clock_low)
		c->clock_low = offset;
	c->clock_offset = most;
	if (++c->clock_above >= LNX_CLOCK_ABOVE_MAX) {
		c->clock_above = 0;
		c->clock_offset = c->clock_low;
	}
	return 0;
}

#endif
