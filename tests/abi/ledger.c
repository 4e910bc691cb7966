/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ledger.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ledger.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ledger_prog, 16);
AT(lnx_ledger_prog, timed, 0);
AT(lnx_ledger_prog, timed_ns, 8);

SIZE(lnx_ledger_wait, 64);
AT(lnx_ledger_wait, since, 0);
AT(lnx_ledger_wait, begin, 8);
AT(lnx_ledger_wait, queue, 16);
AT(lnx_ledger_wait, thr_base, 24);
AT(lnx_ledger_wait, handle, 32);
AT(lnx_ledger_wait, up, 36);
AT(lnx_ledger_wait, n, 40);
AT(lnx_ledger_wait, epoch, 44);
AT(lnx_ledger_wait, thr, 48);
AT(lnx_ledger_wait, is_up, 52);
AT(lnx_ledger_wait, n_spill, 56);
AT(lnx_ledger_wait, pad, 60);

SIZE(lnx_ledger_waiter, 16);
AT(lnx_ledger_waiter, pid, 0);
AT(lnx_ledger_waiter, runs, 4);
AT(lnx_ledger_waiter, handle, 8);
AT(lnx_ledger_waiter, epoch, 12);

SIZE(lnx_ledger_pair, 24);
AT(lnx_ledger_pair, victim, 0);
AT(lnx_ledger_pair, culprit, 4);
AT(lnx_ledger_pair, ns, 8);
AT(lnx_ledger_pair, count, 16);
AT(lnx_ledger_pair, pad, 20);

SIZE(lnx_ledger_proc, 56);
AT(lnx_ledger_proc, tgid, 0);
AT(lnx_ledger_proc, handle, 4);
AT(lnx_ledger_proc, node_ns, 8);
AT(lnx_ledger_proc, caused_ns, 16);
AT(lnx_ledger_proc, start_ns, 24);
AT(lnx_ledger_proc, last_ns, 32);
AT(lnx_ledger_proc, comm, 40);

SIZE(lnx_ledger_mail, 16);
AT(lnx_ledger_mail, word, 0);
AT(lnx_ledger_mail, queue, 8);

SIZE(lnx_ledger_sum, 48);
AT(lnx_ledger_sum, run_ns, 0);
AT(lnx_ledger_sum, wait_ns, 8);
AT(lnx_ledger_sum, other_ns, 16);
AT(lnx_ledger_sum, node_ns, 24);
AT(lnx_ledger_sum, self_ns, 32);
AT(lnx_ledger_sum, pos, 40);
AT(lnx_ledger_sum, pad, 44);

SIZE(lnx_ledger_cpu, 235200);
AT(lnx_ledger_cpu, seq, 0);
AT(lnx_ledger_cpu, cur, 4);
AT(lnx_ledger_cpu, task, 8);
AT(lnx_ledger_cpu, tick, 16);
AT(lnx_ledger_cpu, cur_tgid, 24);
AT(lnx_ledger_cpu, cur_up, 28);
AT(lnx_ledger_cpu, cur_moves, 32);
AT(lnx_ledger_cpu, cur_no_detail, 36);
AT(lnx_ledger_cpu, cur_set, 40);
AT(lnx_ledger_cpu, own_ns, 48);
AT(lnx_ledger_cpu, proc_node_ns, 56);
AT(lnx_ledger_cpu, clock_offset, 64);
AT(lnx_ledger_cpu, clock_next, 72);
AT(lnx_ledger_cpu, lone, 80);
AT(lnx_ledger_cpu, mail_new, 84);
AT(lnx_ledger_cpu, lone_handle, 88);
AT(lnx_ledger_cpu, lone_runs, 92);
AT(lnx_ledger_cpu, lone_queue, 96);
AT(lnx_ledger_cpu, lone_set, 104);
AT(lnx_ledger_cpu, runs, 112);
AT(lnx_ledger_cpu, proc_caused_ns, 136);
AT(lnx_ledger_cpu, since, 144);
AT(lnx_ledger_cpu, n_wait, 152);
AT(lnx_ledger_cpu, n_up, 156);
AT(lnx_ledger_cpu, n_thr, 160);
AT(lnx_ledger_cpu, epoch, 164);
AT(lnx_ledger_cpu, thr, 168);
AT(lnx_ledger_cpu, n_spill, 172);
AT(lnx_ledger_cpu, prog, 176);
AT(lnx_ledger_cpu, count, 224);
AT(lnx_ledger_cpu, mail, 416);
AT(lnx_ledger_cpu, mail_ns, 928);
AT(lnx_ledger_cpu, clock_low, 936);
AT(lnx_ledger_cpu, clock_above, 944);
AT(lnx_ledger_cpu, pad, 948);
AT(lnx_ledger_cpu, wait, 960);
AT(lnx_ledger_cpu, pair_used, 5056);
AT(lnx_ledger_cpu, slot_used, 5568);
AT(lnx_ledger_cpu, sum, 5824);
AT(lnx_ledger_cpu, waiters, 104128);
AT(lnx_ledger_cpu, procs, 108224);
AT(lnx_ledger_cpu, pairs, 136896);

SIZE(lnx_ledger_slot, 24);
AT(lnx_ledger_slot, cgroup_id, 0);
AT(lnx_ledger_slot, owner, 8);
AT(lnx_ledger_slot, handle, 16);
AT(lnx_ledger_slot, up, 20);

SIZE(lnx_ledger_cache, 16);
AT(lnx_ledger_cache, cgroup_id, 0);
AT(lnx_ledger_cache, tagged, 8);

SIZE(lnx_ledger_table, 73768);
AT(lnx_ledger_table, moves, 0);
AT(lnx_ledger_table, no_detail, 4);
AT(lnx_ledger_table, moved_ns, 8);
AT(lnx_ledger_table, gone, 16);
AT(lnx_ledger_table, pad, 20);
AT(lnx_ledger_table, free_head, 24);
AT(lnx_ledger_table, free_tail, 32);
AT(lnx_ledger_table, free, 40);
AT(lnx_ledger_table, slot, 8232);
AT(lnx_ledger_table, cache, 57384);
