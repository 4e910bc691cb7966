/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probe "cgroup": cgroups of the v2 hierarchy that are made, renamed and removed. */
#define LNX_BPF
#include "lnx_emit.h"

#include <linnix/ev_workload.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* An event in the making: too large for the stack. */
struct cgroup_event {
	struct lnx_ev_cgroup ev;
	char path[LNX_STR_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_event);
} making SEC(".maps");

static __always_inline int cgroup_emit(struct cgroup *cgrp, const char *path, __u16 type,
				       __u32 is_rename)
{
	struct cgroup_event *m;
	struct lnx_run run;
	__u32 zero = 0;
	struct cgroup *parent;
	long n;

	if (cgrp->root->hierarchy_id != 0) /* 0 is the v2 hierarchy */
		return 0;
	m = bpf_map_lookup_elem(&making, &zero);
	if (!m || lnx_run_begin(&run))
		return 0;
	lnx_emit_head(&m->ev.h, type, sizeof(m->ev), bpf_get_current_pid_tgid() >> 32);
	m->ev.cgroup_id = cgrp->kn->id;
	parent = cgrp->self.parent ? cgrp->self.parent->cgroup : 0;
	m->ev.parent_id = parent ? parent->kn->id : 0;
	m->ev.level = cgrp->level;
	m->ev.is_rename = is_rename;
	m->ev.pad = 0;
	n = bpf_probe_read_kernel_str(m->path, sizeof(m->path), path);
	if (n < 1)
		n = 1;
	m->ev.path.off = sizeof(m->ev);
	m->ev.path.len = (__u16)(n - 1);
	m->ev.h.size += (__u32)(n - 1);
	lnx_emit_copy(&run, m, sizeof(m->ev) + ((n - 1) & (LNX_STR_MAX - 1)), m->ev.h.ts_ns);
	lnx_run_end(&run);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *cgrp, const char *path)
{
	return cgroup_emit(cgrp, path, LNX_EV_CGROUP_NEW, 0);
}

SEC("tp_btf/cgroup_rename")
int BPF_PROG(cgroup_renamed, struct cgroup *cgrp, const char *path)
{
	return cgroup_emit(cgrp, path, LNX_EV_CGROUP_NEW, 1);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_removed, struct cgroup *cgrp, const char *path)
{
	return cgroup_emit(cgrp, path, LNX_EV_CGROUP_GONE, 0);
}
