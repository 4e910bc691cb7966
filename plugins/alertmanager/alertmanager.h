/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The words of plugin `alertmanager`. */
#ifndef LNX_ALERTMANAGER_H
#define LNX_ALERTMANAGER_H

#include <linnix/host.h>
#include <linnix/svc_notify.h>

/* The alert of <x>, and the end of the one that an earlier message told of with other labels. Errors stick to <out>. */
void am_alert(const struct lnx_ident *id, const struct lnx_notice *x, uint64_t now_wall_ns,
	      struct lnx_buf *out);

#endif
