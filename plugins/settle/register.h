/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Our own record in the registry. */
#ifndef LNX_SETTLE_REGISTER_H
#define LNX_SETTLE_REGISTER_H

#include "settle.h"

/* Queue the registration of our DID under the address that signs, with the proof that both belong together. */
void register_queue(struct settle *s);
/* The registry would refuse it. -EAGAIN or -EPERM. */
int register_reverted(struct settle *s, const char *why);

#endif
