/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_psi.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_psi.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_psi_line, 40);
AT(lnx_psi_line, pct, 0);
AT(lnx_psi_line, avg10, 8);
AT(lnx_psi_line, avg60, 16);
AT(lnx_psi_line, avg300, 24);
AT(lnx_psi_line, total_us, 32);

SIZE(lnx_ev_psi_sample, 232);
AT(lnx_ev_psi_sample, h, 0);
AT(lnx_ev_psi_sample, window_ns, 24);
AT(lnx_ev_psi_sample, cpu_some, 32);
AT(lnx_ev_psi_sample, memory_some, 72);
AT(lnx_ev_psi_sample, memory_full, 112);
AT(lnx_ev_psi_sample, io_some, 152);
AT(lnx_ev_psi_sample, io_full, 192);

SIZE(lnx_ev_psi_cgroup, 144);
AT(lnx_ev_psi_cgroup, h, 0);
AT(lnx_ev_psi_cgroup, cgroup_id, 24);
AT(lnx_ev_psi_cgroup, window_ns, 32);
AT(lnx_ev_psi_cgroup, cpu_some_pct, 40);
AT(lnx_ev_psi_cgroup, cpu_full_pct, 48);
AT(lnx_ev_psi_cgroup, memory_some_pct, 56);
AT(lnx_ev_psi_cgroup, memory_full_pct, 64);
AT(lnx_ev_psi_cgroup, io_some_pct, 72);
AT(lnx_ev_psi_cgroup, io_full_pct, 80);
AT(lnx_ev_psi_cgroup, cpu_some_us, 88);
AT(lnx_ev_psi_cgroup, cpu_full_us, 96);
AT(lnx_ev_psi_cgroup, memory_some_us, 104);
AT(lnx_ev_psi_cgroup, memory_full_us, 112);
AT(lnx_ev_psi_cgroup, io_some_us, 120);
AT(lnx_ev_psi_cgroup, io_full_us, 128);
AT(lnx_ev_psi_cgroup, path, 136);
AT(lnx_ev_psi_cgroup, pad, 140);

SIZE(lnx_ev_host_sample, 184);
AT(lnx_ev_host_sample, h, 0);
AT(lnx_ev_host_sample, window_ns, 24);
AT(lnx_ev_host_sample, cpu_pct, 32);
AT(lnx_ev_host_sample, steal_pct, 40);
AT(lnx_ev_host_sample, iowait_pct, 48);
AT(lnx_ev_host_sample, mem_pct, 56);
AT(lnx_ev_host_sample, mem_total_bytes, 64);
AT(lnx_ev_host_sample, mem_available_bytes, 72);
AT(lnx_ev_host_sample, swap_total_bytes, 80);
AT(lnx_ev_host_sample, swap_free_bytes, 88);
AT(lnx_ev_host_sample, load1, 96);
AT(lnx_ev_host_sample, load5, 104);
AT(lnx_ev_host_sample, load15, 112);
AT(lnx_ev_host_sample, forks_per_s, 120);
AT(lnx_ev_host_sample, switches_per_s, 128);
AT(lnx_ev_host_sample, psi_cpu_some, 136);
AT(lnx_ev_host_sample, psi_memory_some, 144);
AT(lnx_ev_host_sample, psi_memory_full, 152);
AT(lnx_ev_host_sample, psi_io_some, 160);
AT(lnx_ev_host_sample, psi_io_full, 168);
AT(lnx_ev_host_sample, n_cpus, 176);
AT(lnx_ev_host_sample, n_running, 180);
