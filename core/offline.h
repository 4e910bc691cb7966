/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An agent without a machine, for recordings: bus, names of cgroups, services, and the plugins whose facts come from events
 * alone. No loop, no probes, no clock: time is that of the events. */
#ifndef LNX_OFFLINE_H
#define LNX_OFFLINE_H

struct lnx_app;

/* <plugins_dir> NULL or without plugin `proc`: there is no process table, which is logged. Returns 0 or -ENOMEM. */
int lnx_offline_new(const char *plugins_dir, struct lnx_app **ret_app);
void lnx_offline_free(struct lnx_app *app);

#endif
