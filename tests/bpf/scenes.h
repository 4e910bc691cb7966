/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What scenarios share, and those that change the cgroups under the ledger. */
#ifndef LNX_SCENES_H
#define LNX_SCENES_H

#include "tests/bpf/lab.h"

int scene_cpu(void);
void scene_measure(struct lab *l);
void scene_print(struct lab *l, int group);
void scene_counts(struct lab *l);
void scene_against_psi(struct lab *l, int group, double bar);
/* ms of the stall that the laboratory's groups and the kernel made: a machine has other users. */
double scene_lab_ms(struct lab *l, const struct stall_victim *v);
double scene_stall_ms(struct lab *l, int group);

void scene_bully_gone(struct lab *l);
void scene_slot_recycled(struct lab *l);
void scene_moved_while_waiting(struct lab *l);
void scene_attach_under_load(struct lab *l);
void scene_many_groups(struct lab *l);
void scene_crowd(struct lab *l);

#endif
