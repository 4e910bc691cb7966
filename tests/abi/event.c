/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/event.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/event.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_event, 24);
AT(lnx_event, size, 0);
AT(lnx_event, type, 4);
AT(lnx_event, fixed, 6);
AT(lnx_event, ts_ns, 8);
AT(lnx_event, pid, 16);
AT(lnx_event, cpu, 20);

SIZE(lnx_str, 4);
AT(lnx_str, off, 0);
AT(lnx_str, len, 2);

SIZE(lnx_field, 48);
AT(lnx_field, name, 0);
AT(lnx_field, type, 8);
AT(lnx_field, offset, 10);
AT(lnx_field, size, 12);
AT(lnx_field, flags, 14);
AT(lnx_field, unit, 16);
AT(lnx_field, doc, 24);
AT(lnx_field, otel, 32);
AT(lnx_field, names, 40);

SIZE(lnx_event_desc, 40);
AT(lnx_event_desc, size, 0);
AT(lnx_event_desc, type, 4);
AT(lnx_event_desc, fixed, 6);
AT(lnx_event_desc, name, 8);
AT(lnx_event_desc, doc, 16);
AT(lnx_event_desc, fields, 24);
AT(lnx_event_desc, n_fields, 32);
AT(lnx_event_desc, flags, 36);
