/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_http_client.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_http_client.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_http_ask, 128);
AT(lnx_http_ask, size, 0);
AT(lnx_http_ask, flags, 4);
AT(lnx_http_ask, method, 8);
AT(lnx_http_ask, url, 16);
AT(lnx_http_ask, headers, 24);
AT(lnx_http_ask, body, 32);
AT(lnx_http_ask, body_bytes, 40);
AT(lnx_http_ask, ca_file, 48);
AT(lnx_http_ask, connect_timeout_ns, 56);
AT(lnx_http_ask, total_timeout_ns, 64);
AT(lnx_http_ask, idle_timeout_ns, 72);
AT(lnx_http_ask, max_body_bytes, 80);
AT(lnx_http_ask, on_head, 88);
AT(lnx_http_ask, on_body, 96);
AT(lnx_http_ask, on_done, 104);
AT(lnx_http_ask, arg, 112);
AT(lnx_http_ask, on_header, 120);

SIZE(lnx_svc_http_client, 24);
AT(lnx_svc_http_client, size, 0);
AT(lnx_svc_http_client, pad, 4);
AT(lnx_svc_http_client, start, 8);
AT(lnx_svc_http_client, cancel, 16);
