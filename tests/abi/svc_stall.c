/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_stall.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_stall.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_stall_share, 56);
AT(lnx_stall_share, size, 0);
AT(lnx_stall_share, pad, 4);
AT(lnx_stall_share, window_ns, 8);
AT(lnx_stall_share, psi_contribution, 16);
AT(lnx_stall_share, psi_contribution_ms, 24);
AT(lnx_stall_share, caused_ms, 32);
AT(lnx_stall_share, stalled_ms, 40);
AT(lnx_stall_share, throttled_ms, 48);

SIZE(lnx_svc_stall, 56);
AT(lnx_svc_stall, size, 0);
AT(lnx_svc_stall, pad, 4);
AT(lnx_svc_stall, process, 8);
AT(lnx_svc_stall, workload, 16);
AT(lnx_svc_stall, culprits, 24);
AT(lnx_svc_stall, method, 32);
AT(lnx_svc_stall, degraded, 40);
AT(lnx_svc_stall, culprit_cgroups, 48);
