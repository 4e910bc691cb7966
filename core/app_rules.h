/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rules of the agent: loaded at the start and, live, again. */
#ifndef LNX_APP_RULES_H
#define LNX_APP_RULES_H

#include <stdbool.h>

struct lnx_app;

/* Load the rules. A bad file is left out. Returns 0 or -errno. */
int lnx_app_rules_first(struct lnx_app *app);
/* Load them anew, beside the loop: a set with errors or with tests that fail is not taken, and the one of before runs on. For
 * somebody who waits for the result. Returns 0, or -EBUSY (too many wait) or -ENOMEM: <done> will not run. */
int lnx_app_rules_reload_for(struct lnx_app *app, void (*done)(void *arg, int rc), void *arg);
/* The same for nobody; it logs how it ended. is_asked: a person did, so that disabled rules get another chance. */
void lnx_app_rules_reload_later(struct lnx_app *app, bool is_asked);
/* Follow the folders of the configuration that is in force; and no longer. */
void lnx_app_rules_watch(struct lnx_app *app);
void lnx_app_rules_unwatch(struct lnx_app *app);
void lnx_app_rules_done(struct lnx_app *app);
/* Why the last reload was refused, or "". */
const char *lnx_app_rules_refused(const struct lnx_app *app);
void lnx_app_rules_collect(struct lnx_app *app);

#endif
