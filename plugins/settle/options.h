/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin's options and their check. */
#ifndef LNX_SETTLE_OPTIONS_H
#define LNX_SETTLE_OPTIONS_H

#include "settle.h"

extern const struct lnx_option settle_options[];

/* Addresses, endpoints and prices out of the configuration into <s>. 0, -ENOMEM, or -EINVAL or -ENOSPC with <why> and the
 * option that it is of. */
int options_check(struct settle *s, const char **ret_key, char why[SETTLE_WHY]);
/* The same of <conf> alone, as in lnx_plugin.check. */
void options_conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
			void *arg);

#endif
