/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Descriptors 0, 1 and 2. */
#ifndef LNX_STD_H
#define LNX_STD_H

/* Give those that are closed to /dev/null, before anything else is opened: else a socket becomes number 1 or 2, and what is
 * printed goes to a peer. Returns 0 or -errno. */
int lnx_std_open(void);

#endif
