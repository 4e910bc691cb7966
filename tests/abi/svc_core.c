/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_core.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_core.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_recording, 56);
AT(lnx_recording, size, 0);
AT(lnx_recording, is_begin, 4);
AT(lnx_recording, since_seq, 8);
AT(lnx_recording, since_ns, 16);
AT(lnx_recording, max_bytes, 24);
AT(lnx_recording, newest_seq, 32);
AT(lnx_recording, events, 40);
AT(lnx_recording, missed, 48);

SIZE(lnx_svc_core, 80);
AT(lnx_svc_core, size, 0);
AT(lnx_svc_core, pad, 4);
AT(lnx_svc_core, status_json, 8);
AT(lnx_svc_core, plugins_json, 16);
AT(lnx_svc_core, rules_json, 24);
AT(lnx_svc_core, ready_json, 32);
AT(lnx_svc_core, metrics_text, 40);
AT(lnx_svc_core, events_schema_json, 48);
AT(lnx_svc_core, rules_reload, 56);
AT(lnx_svc_core, recording, 64);
AT(lnx_svc_core, rules_reload_later, 72);
