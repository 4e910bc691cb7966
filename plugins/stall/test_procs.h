/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of processes: what the ledger says of one. */
#ifndef PLUGINS_STALL_TEST_PROCS_H
#define PLUGINS_STALL_TEST_PROCS_H

#include "test_fixture.h"

/* A process of <handle> on CPU 0 held <node_ms> of the node up, and <caused_ms> of others. */
static inline void held(struct test *f, uint32_t handle, uint32_t pid, uint64_t start_ns,
			uint64_t node_ms, uint64_t caused_ms)
{
	struct lnx_ledger_proc *p = f->cpus[0].procs;

	while (p->tgid && (p->tgid != pid || p->handle != handle))
		p++;
	p->tgid = pid;
	p->handle = handle;
	p->start_ns = start_ns;
	p->node_ns += node_ms * 1000000;
	p->caused_ns += caused_ms * 1000000;
	p->last_ns = f->mono;
	(void)snprintf(p->comm, sizeof(p->comm), "old"); /* of before its exec */
}

/* Cgroup <id> is of another namespace from now on. */
static inline struct stall_who *move_to_namespace(struct test *f, uint64_t id,
						  const char *namespace_)
{
	struct stall_who *who = who_of(f, id);

	who->asked_ns = UINT64_MAX / 2; /* names stay as they are set here */
	who->namespace_ = namespace_;
	return who;
}

#endif
