/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The floor: programs that do nothing, on every hook that the probes of the agent use. */
#define LNX_BPF
#include "lnx_kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("tp_btf/sched_process_fork")
int BPF_PROG(proc_fork)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(proc_exec)
{
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(proc_exit)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch)
{
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup)
{
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(sched_wakeup_new)
{
	return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(sched_migrate)
{
	return 0;
}
