/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who ran when the agent died, kept in a small shared file. Loop thread only but where it says otherwise. */
#ifndef LNX_CRASH_H
#define LNX_CRASH_H

#include <signal.h>
#include <stdint.h>

#include "log.h"

struct lnx_crash;

#define LNX_CRASH_QUARANTINE 3

/* <path> "" or not creatable: kept in memory only (then nothing is quarantined): 1, and <err> says why. 0 or -ENOMEM. The calling
 * thread is the loop's from now on. */
int lnx_crash_open(const char *path, uint64_t wall_ns, struct lnx_crash **ret_crash,
		   struct lnx_err *err);
void lnx_crash_close(struct lnx_crash *c);
/* Index of <name> for lnx_crash_run; -ENOSPC. */
int lnx_crash_index(struct lnx_crash *c, const char *name);
/* Whose code runs on the loop; -1: nobody's. */
void lnx_crash_run(struct lnx_crash *c, int index);
int lnx_crash_running(const struct lnx_crash *c);
/* Crashes of <name> in the last 10 minutes. */
unsigned lnx_crash_count(const struct lnx_crash *c, const char *name);

/* A stack for the handler, so that it runs when the thread's own is used up. */
struct lnx_crash_stack {
	stack_t before;
	void *bytes;
};

/* Worker threads, each for itself: between these two, whoever lnx_crash_thread_run named is to blame for a crash of the thread. A
 * thread that did not begin is a library's: its crashes are nobody's. */
void lnx_crash_thread_begin(struct lnx_crash_stack *ret_stack);
void lnx_crash_thread_run(int index);
void lnx_crash_thread_end(struct lnx_crash_stack *s);
/* Take the signals of crashes out of <set>: blocked, they kill without the handler. Any thread. */
void lnx_crash_unblock(sigset_t *set);

#endif
