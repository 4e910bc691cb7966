/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tells that something changed in some folders, a moment after it stopped changing. Loop thread only. */
#ifndef LNX_DIRWATCH_H
#define LNX_DIRWATCH_H

#include <stdbool.h>

#define LNX_DIRWATCH_MAX     32	  /* folders; more are looked at by the clock alone */
#define LNX_DIRWATCH_QUIET_S 0.08 /* nothing may have changed for so long */
#define LNX_DIRWATCH_LATE_S  0.4  /* but nobody waits longer than that */
#define LNX_DIRWATCH_POLL_S \
	10. /* what inotify does not see: targets of links, network file systems */

struct ev_loop;
struct lnx_dirwatch;

/* Watch <dirs> (copied, NULL at the end): each may be a file, a link, or not there yet. <changed> is called from the loop.
 * Returns 0 or -ENOMEM; without inotify it looks once in a while. */
int lnx_dirwatch_new(struct ev_loop *loop, const char *const *dirs, void (*changed)(void *arg),
		     void *arg, struct lnx_dirwatch **ret_watch);
void lnx_dirwatch_free(struct lnx_dirwatch *w);
/* Whether these are the folders that are watched. */
bool lnx_dirwatch_is(const struct lnx_dirwatch *w, const char *const *dirs);

#endif
