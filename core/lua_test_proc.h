/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The process table of a test: what its events told, so that proc() answers in tests as it does in the agent. */
#ifndef LNX_LUA_TEST_PROC_H
#define LNX_LUA_TEST_PROC_H

#include <linnix/event.h>
#include <linnix/svc_proc.h>

struct lnx_test_procs;

/* NULL: -ENOMEM. */
struct lnx_test_procs *lnx_test_procs_new(void);
void lnx_test_procs_free(struct lnx_test_procs *t);
/* Take in one event, before the rules see it. */
void lnx_test_procs_event(struct lnx_test_procs *t, const struct lnx_event *ev);
/* Service with get() alone; its self is <t>. */
const struct lnx_svc_proc *lnx_test_procs_service(void);

#endif
