/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The key that signs, and that nobody else signs with it. */
#ifndef LNX_SETTLE_KEYS_H
#define LNX_SETTLE_KEYS_H

#include "settle.h"

/* Find the key (chain.private_key, LINNIX_CHAIN_PRIVATE_KEY, chain.private_key_file, else from the identity) and put it into
 * locked memory; wipe the environment. 0 or -errno, said in <why>, never with the key. */
int keys_load(struct settle *s, char why[SETTLE_WHY]);
/* Take the lane of this key on this chain. 0; -EBUSY: another agent has it; -errno; said in <why>. */
int keys_lock(struct settle *s, char why[SETTLE_WHY]);
/* Is <text> (chain.private_key, as it is read again) another key than the one in use, or none at all? "": not given. */
int keys_differ(const struct settle *s, const char *text);
void keys_done(struct settle *s);

#endif
