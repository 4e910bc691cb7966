/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probe "mem": how long the tasks of each cgroup were held up for want of memory (in reclaim from begin
 * to end, and off the CPU while the kernel marks them so), and how many pages each cgroup allocated. An
 * allocation costs about 100 ns more while this is attached, so it is attached under pressure only. */
#include "lnx_emit.h"
#include "lnx_gate.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, LNX_GATES);
	__type(key, __u64);
	__type(value, __u64);
} allocs SEC(".maps");

static __always_inline int mem_begin(void)
{
	struct lnx_run run;
	__u64 now;

	if (lnx_run_begin(&run))
		return 0;
	now = bpf_ktime_get_ns();
	lnx_gate_enter(bpf_get_current_task_btf(), LNX_WAIT_RECLAIM, now, now, 0);
	lnx_run_end(&run);
	return 0;
}

static __always_inline int mem_end(void)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct lnx_run run;

	if (lnx_run_begin(&run))
		return 0;
	lnx_gate_leave(p->pid, bpf_ktime_get_ns());
	lnx_run_end(&run);
	return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int on_memcg_begin(void *ctx)
{
	return mem_begin();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int on_memcg_end(void *ctx)
{
	return mem_end();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int on_direct_begin(void *ctx)
{
	return mem_begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int on_direct_end(void *ctx)
{
	return mem_end();
}

static __always_inline int mem_how(__u32 pid)
{
	struct lnx_rec_waiting *t = bpf_map_lookup_elem(&waiting, &pid);

	return t ? t->how : 0;
}

/* Off the CPU is a stall from the switch away to the switch back: a task in a memory stall that waits for
 * a CPU is still stalled. Between, within reclaim, its gate is open anyway. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	int is_in = BPF_CORE_READ_BITFIELD(next, in_memstall);
	int is_out = BPF_CORE_READ_BITFIELD(prev, in_memstall);
	struct lnx_run run;
	__u64 now;

	if (!is_in && !is_out)
		return 0;
	if (lnx_run_begin(&run))
		return 0;
	now = bpf_ktime_get_ns();
	if (is_in && mem_how(next->pid) == LNX_WAIT_OFF)
		lnx_gate_leave(next->pid, now);
	if (is_out && mem_how(prev->pid) != LNX_WAIT_RECLAIM)
		lnx_gate_enter(prev, LNX_WAIT_OFF, now, now, 0);
	lnx_run_end(&run);
	return 0;
}

SEC("tp_btf/mm_page_alloc")
int BPF_PROG(on_page_alloc, void *page, unsigned int order)
{
	__u64 id, *pages, n = 1ULL << (order & 31), other = 0;
	struct task_struct *p = bpf_get_current_task_btf();
	struct lnx_run run;

	if (!page || lnx_run_begin(&run))
		return 0;
	id = lnx_gate_cgroup(p);
	if (id)
		lnx_gate_did(p, id, id, n);
	pages = bpf_map_lookup_elem(&allocs, &id);
	if (!pages) {
		if (bpf_map_update_elem(&allocs, &id, &n, BPF_NOEXIST)) {
			lnx_gate_count(LNX_RES_N_ALLOC_FULL);
			pages = bpf_map_lookup_elem(&allocs, &other);
		}
	}
	if (pages)
		*pages += n;
	lnx_run_end(&run);
	return 0;
}
