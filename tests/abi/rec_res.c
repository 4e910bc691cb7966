/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/rec_res.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/rec_res.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_rec_gate, 48);
AT(lnx_rec_gate, lock, 0);
AT(lnx_rec_gate, n, 4);
AT(lnx_rec_gate, since, 8);
AT(lnx_rec_gate, clock, 16);
AT(lnx_rec_gate, stall_ns, 24);
AT(lnx_rec_gate, waits, 32);
AT(lnx_rec_gate, born, 40);

SIZE(lnx_rec_waiting, 40);
AT(lnx_rec_waiting, cgroup_id, 0);
AT(lnx_rec_waiting, born, 8);
AT(lnx_rec_waiting, since, 16);
AT(lnx_rec_waiting, how, 24);
AT(lnx_rec_waiting, pad, 28);
AT(lnx_rec_waiting, psi, 32);

SIZE(lnx_rec_counts, 128);
AT(lnx_rec_counts, n, 0);

SIZE(lnx_rec_res_key, 16);
AT(lnx_rec_res_key, id, 0);
AT(lnx_rec_res_key, tgid, 8);
AT(lnx_rec_res_key, pad, 12);

SIZE(lnx_rec_res_proc, 40);
AT(lnx_rec_res_proc, amount, 0);
AT(lnx_rec_res_proc, hint, 8);
AT(lnx_rec_res_proc, start_ns, 16);
AT(lnx_rec_res_proc, comm, 24);

SIZE(lnx_rec_io_culprit, 56);
AT(lnx_rec_io_culprit, id, 0);
AT(lnx_rec_io_culprit, hint, 8);
AT(lnx_rec_io_culprit, w, 16);
AT(lnx_rec_io_culprit, tau, 24);
AT(lnx_rec_io_culprit, d_ns, 32);
AT(lnx_rec_io_culprit, used_ns, 40);
AT(lnx_rec_io_culprit, n, 48);
AT(lnx_rec_io_culprit, gen, 52);

SIZE(lnx_rec_io_victim, 56);
AT(lnx_rec_io_victim, id, 0);
AT(lnx_rec_io_victim, since, 8);
AT(lnx_rec_io_victim, busy_ns, 16);
AT(lnx_rec_io_victim, own_ns, 24);
AT(lnx_rec_io_victim, life_ns, 32);
AT(lnx_rec_io_victim, used_ns, 40);
AT(lnx_rec_io_victim, n, 48);
AT(lnx_rec_io_victim, gen, 52);

SIZE(lnx_rec_io_dev, 73112);
AT(lnx_rec_io_dev, lock, 0);
AT(lnx_rec_io_dev, dev, 4);
AT(lnx_rec_io_dev, n, 8);
AT(lnx_rec_io_dev, is_lone, 12);
AT(lnx_rec_io_dev, last_ns, 16);
AT(lnx_rec_io_dev, tau, 24);
AT(lnx_rec_io_dev, rem, 32);
AT(lnx_rec_io_dev, w, 40);
AT(lnx_rec_io_dev, busy_ns, 48);
AT(lnx_rec_io_dev, done, 56);
AT(lnx_rec_io_dev, done_bytes, 64);
AT(lnx_rec_io_dev, lone_n, 72);
AT(lnx_rec_io_dev, lone_ns, 184);
AT(lnx_rec_io_dev, lone_kib, 296);
AT(lnx_rec_io_dev, culprit, 408);
AT(lnx_rec_io_dev, victim, 3992);
AT(lnx_rec_io_dev, m, 7576);
AT(lnx_rec_io_dev, snap, 40344);

SIZE(lnx_rec_io_cost, 16);
AT(lnx_rec_io_cost, fixed_ns, 0);
AT(lnx_rec_io_cost, kib_ns, 8);

SIZE(lnx_rec_io_request, 32);
AT(lnx_rec_io_request, weight, 0);
AT(lnx_rec_io_request, start_ns, 8);
AT(lnx_rec_io_request, kib, 16);
AT(lnx_rec_io_request, dev, 20);
AT(lnx_rec_io_request, culprit, 24);
AT(lnx_rec_io_request, victim, 26);
AT(lnx_rec_io_request, victim_gen, 28);
