/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/rec_stats.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/rec_stats.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_rec_stats, 56);
AT(lnx_rec_stats, runs, 0);
AT(lnx_rec_stats, timed_runs, 8);
AT(lnx_rec_stats, timed_ns, 16);
AT(lnx_rec_stats, lost, 24);
AT(lnx_rec_stats, events, 32);
AT(lnx_rec_stats, wakes, 40);
AT(lnx_rec_stats, until, 48);
AT(lnx_rec_stats, pad, 52);

SIZE(lnx_rec_wake, 16);
AT(lnx_rec_wake, last_ns, 0);
AT(lnx_rec_wake, watched_ns, 8);
