/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keys from a key (RFC 5869, SHA-256). */
#ifndef LNX_SETTLE_HKDF_H
#define LNX_SETTLE_HKDF_H

#include <stddef.h>
#include <stdint.h>

#define HKDF_MAX (255 * 32)

/* <salt> may be empty. 0 or -EINVAL (more than HKDF_MAX bytes are asked for). */
int hkdf_sha256(const void *secret, size_t n_secret, const void *salt, size_t n_salt,
		const void *info, size_t n_info, uint8_t *ret, size_t n);

#endif
