/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_proc.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_proc.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_proc_fork, 88);
AT(lnx_ev_proc_fork, h, 0);
AT(lnx_ev_proc_fork, start_ns, 24);
AT(lnx_ev_proc_fork, parent_start_ns, 32);
AT(lnx_ev_proc_fork, cgroup_id, 40);
AT(lnx_ev_proc_fork, child_pid, 48);
AT(lnx_ev_proc_fork, ppid, 52);
AT(lnx_ev_proc_fork, uid, 56);
AT(lnx_ev_proc_fork, is_kthread, 60);
AT(lnx_ev_proc_fork, comm, 64);
AT(lnx_ev_proc_fork, parent_cgroup_id, 80);

SIZE(lnx_ev_proc_exec, 80);
AT(lnx_ev_proc_exec, h, 0);
AT(lnx_ev_proc_exec, start_ns, 24);
AT(lnx_ev_proc_exec, cgroup_id, 32);
AT(lnx_ev_proc_exec, ppid, 40);
AT(lnx_ev_proc_exec, uid, 44);
AT(lnx_ev_proc_exec, comm, 48);
AT(lnx_ev_proc_exec, filename, 64);
AT(lnx_ev_proc_exec, args, 68);
AT(lnx_ev_proc_exec, args_truncated, 72);
AT(lnx_ev_proc_exec, pad, 76);

SIZE(lnx_ev_proc_exit, 104);
AT(lnx_ev_proc_exit, h, 0);
AT(lnx_ev_proc_exit, start_ns, 24);
AT(lnx_ev_proc_exit, cgroup_id, 32);
AT(lnx_ev_proc_exit, lifetime_ns, 40);
AT(lnx_ev_proc_exit, cpu_ns, 48);
AT(lnx_ev_proc_exit, peak_rss_bytes, 56);
AT(lnx_ev_proc_exit, ppid, 64);
AT(lnx_ev_proc_exit, uid, 68);
AT(lnx_ev_proc_exit, exit_code, 72);
AT(lnx_ev_proc_exit, signal, 76);
AT(lnx_ev_proc_exit, core_dumped, 80);
AT(lnx_ev_proc_exit, did_exec, 84);
AT(lnx_ev_proc_exit, comm, 88);

SIZE(lnx_ev_proc_usage, 144);
AT(lnx_ev_proc_usage, h, 0);
AT(lnx_ev_proc_usage, start_ns, 24);
AT(lnx_ev_proc_usage, cgroup_id, 32);
AT(lnx_ev_proc_usage, cpu_ns, 40);
AT(lnx_ev_proc_usage, rss_bytes, 48);
AT(lnx_ev_proc_usage, rss_anon_bytes, 56);
AT(lnx_ev_proc_usage, read_bytes, 64);
AT(lnx_ev_proc_usage, write_bytes, 72);
AT(lnx_ev_proc_usage, minflt, 80);
AT(lnx_ev_proc_usage, majflt, 88);
AT(lnx_ev_proc_usage, run_delay_ns, 96);
AT(lnx_ev_proc_usage, ppid, 104);
AT(lnx_ev_proc_usage, uid, 108);
AT(lnx_ev_proc_usage, n_threads, 112);
AT(lnx_ev_proc_usage, state, 116);
AT(lnx_ev_proc_usage, comm, 120);
AT(lnx_ev_proc_usage, cpu_pct, 136);
