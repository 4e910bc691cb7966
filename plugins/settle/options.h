/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin's options and their check. */
#ifndef LNX_SETTLE_OPTIONS_H
#define LNX_SETTLE_OPTIONS_H

#include "settle.h"

extern const struct lnx_option settle_options[];

/* Addresses, endpoints and prices out of the configuration into <s>. 0, or -EINVAL with <why>. */
int options_check(struct settle *s, char why[SETTLE_WHY]);

#endif
