/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Resident memory: what only the start needed is given back. Loop thread only. */
#ifndef LNX_TRIM_H
#define LNX_TRIM_H

/* Set the allocator up; before the first thread. */
void lnx_trim_init(void);
/* Give back free memory, and the pages of programs and libraries that nobody has called since: what is still called comes
 * back from the page cache. */
void lnx_trim(void);

#endif
