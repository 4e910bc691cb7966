/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_proc.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_proc.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_proc, 192);
AT(lnx_proc, size, 0);
AT(lnx_proc, pid, 4);
AT(lnx_proc, start_ns, 8);
AT(lnx_proc, exit_ns, 16);
AT(lnx_proc, cgroup_id, 24);
AT(lnx_proc, parent_start_ns, 32);
AT(lnx_proc, ppid, 40);
AT(lnx_proc, uid, 44);
AT(lnx_proc, n_threads, 48);
AT(lnx_proc, state, 52);
AT(lnx_proc, is_kthread, 56);
AT(lnx_proc, exit_code, 60);
AT(lnx_proc, signal, 64);
AT(lnx_proc, has_usage, 68);
AT(lnx_proc, comm, 72);
AT(lnx_proc, cpu_pct, 88);
AT(lnx_proc, cpu_ns, 96);
AT(lnx_proc, rss_bytes, 104);
AT(lnx_proc, rss_anon_bytes, 112);
AT(lnx_proc, read_bytes, 120);
AT(lnx_proc, write_bytes, 128);
AT(lnx_proc, minflt, 136);
AT(lnx_proc, majflt, 144);
AT(lnx_proc, run_delay_ns, 152);
AT(lnx_proc, usage_ns, 160);
AT(lnx_proc, forks, 168);
AT(lnx_proc, forks_total, 172);
AT(lnx_proc, filename, 176);
AT(lnx_proc, args, 184);

SIZE(lnx_svc_proc, 56);
AT(lnx_svc_proc, size, 0);
AT(lnx_svc_proc, pad, 4);
AT(lnx_svc_proc, get, 8);
AT(lnx_svc_proc, parent, 16);
AT(lnx_svc_proc, tree_root, 24);
AT(lnx_svc_proc, each, 32);
AT(lnx_svc_proc, want_usage, 40);
AT(lnx_svc_proc, stats, 48);
