/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/rec_proc.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/rec_proc.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_rec_proc, 152);
AT(lnx_rec_proc, ts_ns, 0);
AT(lnx_rec_proc, start_ns, 8);
AT(lnx_rec_proc, parent_start_ns, 16);
AT(lnx_rec_proc, cgroup_id, 24);
AT(lnx_rec_proc, cpu_ns, 32);
AT(lnx_rec_proc, run_delay_ns, 40);
AT(lnx_rec_proc, rss_bytes, 48);
AT(lnx_rec_proc, rss_anon_bytes, 56);
AT(lnx_rec_proc, rss_shmem_bytes, 64);
AT(lnx_rec_proc, swap_bytes, 72);
AT(lnx_rec_proc, read_bytes, 80);
AT(lnx_rec_proc, write_bytes, 88);
AT(lnx_rec_proc, minflt, 96);
AT(lnx_rec_proc, majflt, 104);
AT(lnx_rec_proc, pid, 112);
AT(lnx_rec_proc, ppid, 116);
AT(lnx_rec_proc, uid, 120);
AT(lnx_rec_proc, n_threads, 124);
AT(lnx_rec_proc, state, 128);
AT(lnx_rec_proc, flags, 132);
AT(lnx_rec_proc, comm, 136);
