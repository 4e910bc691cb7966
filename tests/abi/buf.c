/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/buf.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/buf.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_buf, 40);
AT(lnx_buf, data, 0);
AT(lnx_buf, size, 8);
AT(lnx_buf, cap, 16);
AT(lnx_buf, max, 24);
AT(lnx_buf, error, 32);
