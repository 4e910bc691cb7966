/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How the events of this plugin are put together: publish.c, and trees.c. */
#ifndef LNX_STALL_EMIT_H
#define LNX_STALL_EMIT_H

#include "stall.h"
#include <linnix/ev_tree.h>

union stall_event {
	struct lnx_event h;
	struct lnx_ev_stall_edge edge;
	struct lnx_ev_stall_window window;
	struct lnx_ev_stall_tree tree;
	struct lnx_ev_stall_node node;
	char bytes[LNX_EVENT_MAX];
};

/* An event of <type>, all zero, of the end of <w>. */
void stall_emit_begin(union stall_event *e, uint16_t type, size_t fixed, const struct stall_win *w);
/* <text> into the tail, its end cut beyond 255 bytes. */
void stall_emit_str(union stall_event *e, struct lnx_str *str, const char *text);
/* Coverage, else one minus the lost ratio. */
double stall_confidence(double coverage, double lost_ratio);

#endif
