/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_http.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_http.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_http_route, 40);
AT(lnx_http_route, size, 0);
AT(lnx_http_route, flags, 4);
AT(lnx_http_route, method, 8);
AT(lnx_http_route, path, 16);
AT(lnx_http_route, query, 24);
AT(lnx_http_route, handle, 32);

SIZE(lnx_svc_http, 104);
AT(lnx_svc_http, size, 0);
AT(lnx_svc_http, pad, 4);
AT(lnx_svc_http, route, 8);
AT(lnx_svc_http, param, 16);
AT(lnx_svc_http, header, 24);
AT(lnx_svc_http, body, 32);
AT(lnx_svc_http, param_u64, 40);
AT(lnx_svc_http, set_header, 48);
AT(lnx_svc_http, respond, 56);
AT(lnx_svc_http, error, 64);
AT(lnx_svc_http, stream, 72);
AT(lnx_svc_http, stream_write, 80);
AT(lnx_svc_http, stream_close, 88);
AT(lnx_svc_http, peer, 96);
