/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* For bench_probe: the floor of probe proc (empty programs on its hooks), and events as fast as a
 * program can make them, by way of lnx_emit.h. */
#define LNX_BPF
#include "lnx_emit.h"

#include <linnix/ev_proc.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *t)
{
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *t)
{
	return 0;
}

/* One event a run; run by BPF_PROG_TEST_RUN. */
SEC("socket")
int flood(struct __sk_buff *skb)
{
	struct lnx_ev_proc_fork *ev;
	struct lnx_run run;

	if (lnx_run_begin(&run))
		return 0;
	ev = lnx_emit_reserve(&run, sizeof(*ev));
	if (ev) {
		__builtin_memset(ev, 0, sizeof(*ev));
		lnx_emit_head(&ev->h, LNX_EV_PROC_FORK, sizeof(*ev), 1);
		lnx_emit_submit(&run, ev, ev->h.ts_ns);
	}
	lnx_run_end(&run);
	return 0;
}
