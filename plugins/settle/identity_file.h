/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files of secrets: who may own them, who may read them, written whole or not at all. */
#ifndef LNX_SETTLE_IDENTITY_FILE_H
#define LNX_SETTLE_IDENTITY_FILE_H

#include <stddef.h>

#include "identity.h"

#define IDENTITY_FILE_BYTES 4096

/* Read <path> to <ret> of IDENTITY_FILE_BYTES, NUL terminated. 0, -ENOENT, -EPERM (a link, another's, or for others to read),
 * -EFBIG, -errno with <why>. */
int identity_file_read(const char *path, char *ret, size_t *ret_n, char why[IDENTITY_WHY]);
/* Could a file be made there? 0 or -errno with <why>. */
int identity_file_check_place(const char *path, char why[IDENTITY_WHY]);
/* Write <path>, mode 0600. <keep_as> NULL: it must not be there yet, -EEXIST; else what is there stays as PATH.KEEP_AS. */
int identity_file_write(const char *path, const char *keep_as, const char *text, size_t n,
			char why[IDENTITY_WHY]);

/* Tell in <why> what is wrong. Returns <rc>. */
int identity_say(char why[IDENTITY_WHY], int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
