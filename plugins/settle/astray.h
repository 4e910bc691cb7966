/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A task of ours that the contract would pay to somebody else than was asked for, or that it has with other terms. Without escrow it
 * takes no address: the registry may change between the look at it and the block. Another program of the key may use the name. */
#ifndef LNX_SETTLE_ASTRAY_H
#define LNX_SETTLE_ASTRAY_H

#include "task.h"

/* Ask what getTaskExt does not tell, and read whom it pays by either of two endpoints. */
void astray_ask(struct settle *s, const struct task *t);
void astray_look(struct settle *s, struct task *t);
/* Say so of one that is created or paid, and take back what may be drawn for it. */
void astray_due(struct settle *s, struct task *t);
/* Tell whether there is one. */
void astray_tell(struct settle *s);
/* One that an allowance would pay: none is given as long as it is open. NULL: none. */
const struct task *astray_open(const struct settle *s);

#endif
