/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The payee's address, proven by the registry before money is set aside. */
#ifndef LNX_SETTLE_PAYEE_H
#define LNX_SETTLE_PAYEE_H

#include "settle.h"
#include "task.h"

/* Can the payee be looked up at all? 0, or -EINVAL with <why>. */
int payee_check(const struct settle *s, const struct task_ask *ask, char why[TASK_ERROR]);
/* Other terms under the name of a task: what was read for the ones of before counts no more. */
void payee_forget(struct settle *s, const uint8_t task[32]);
/* A step of the turn: look one up, and go on to its create, or refuse it. */
void payee_begin(struct settle *s, void (*then)(struct settle *s));

#endif
