/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the tests of probes share: probes on a real bus, what arrived kept, children to watch. */
#ifndef TEST_FIX_PROBE_H
#define TEST_FIX_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linnix/ev_proc.h>

#include "../../core/bus.h"
#include "../../core/probe.h"

#define FIX_KEEP_MAX 200000 /* events */
#define FIX_WAIT_MS  60000

struct fix {
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	struct lnx_probes *probes;
	struct lnx_sub_handle *subs[3];
	struct lnx_event **kept;		 /* copies, in order */
	unsigned n_kept, n_lost;		 /* n_lost: past FIX_KEEP_MAX */
	int (*keep)(const struct lnx_event *ev); /* NULL: all */
};

/* NULL, or why probes cannot be tested here. */
const char *fix_cannot(void);
/* Exit with 77 and a loud line if they cannot. */
void fix_require(void);
/* Directory of the built objects. */
const char *fix_bpf_dir(void);
void fix_open(struct fix *f, const struct lnx_probes_conf *conf);
/* Subscribe to the three events and attach. */
void fix_listen(struct fix *f);
void fix_unlisten(struct fix *f);
/* With the default configuration but <args_mode>, listening. */
void fix_start(struct fix *f, uint32_t args_mode);
void fix_done(struct fix *f);
void fix_forget(struct fix *f);
struct lnx_probe_info fix_info(struct fix *f, const char *probe);

/* Fork a child that runs <fn> and exits with what it returns. */
pid_t fix_fork(int (*fn)(void *arg), void *arg);
/* waitpid; returns the status. */
int fix_reap(pid_t pid);
/* A process that said that it is ready goes to sleep after that: wait until all its threads have. */
void fix_await_rest(pid_t pid);
/* Drain until an event <type> of <pid> is there, at most FIX_WAIT_MS; NULL if none came. */
const struct lnx_event *fix_await(struct fix *f, uint16_t type, uint32_t pid);
/* The n-th event <type> of <pid> (0 any) that was kept, or NULL. For a fork: of the child. */
const struct lnx_event *fix_find(const struct fix *f, uint16_t type, uint32_t pid, unsigned n);
unsigned fix_count(const struct fix *f, uint16_t type, uint32_t pid);
/* Fork, run, reap, await its exit. *ret_pid and *ret_status may be NULL. */
const struct lnx_ev_proc_exit *fix_run(struct fix *f, int (*fn)(void *arg), void *arg,
				       pid_t *ret_pid, int *ret_status);
/* The bytes of <s> in <ev>, NUL terminated, in a static buffer. */
const char *fix_str(const struct lnx_event *ev, struct lnx_str s);
/* Burn <ms> of this thread's CPU time. */
void fix_burn(unsigned ms);
uint64_t fix_now_ns(void);

/* A directory of its own for an object proc.bpf.o to be spoilt. */
struct fix_dir {
	char path[64], object[96], built[600];
};

void fix_dir_open(struct fix_dir *d);
void fix_dir_done(struct fix_dir *d);
void fix_copy(const char *from, const char *to);

#endif
