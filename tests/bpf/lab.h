/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A small laboratory for the scheduler: cgroups of its own, pinned workers, the probe, and the truths to
 * compare with. Everything made is removed at exit, also after a failure or a signal. */
#ifndef LNX_LAB_H
#define LNX_LAB_H

#include "plugins/stall/ledger.h"
#include "tests/bpf/score.h"

#include <stdint.h>
#include <sys/types.h>

#define LAB_GROUPS  64
#define LAB_WORKERS 512
#define LAB_SKIP    77
#define LAB_MS	    1000000ULL
#define LAB_SEC	    1000000000ULL

/* enum: what a worker does until its deadline. */
#define LAB_SPIN    0 /* burns the CPU */
#define LAB_WAKE    1 /* sleeps <off_us>, burns <on_us> */
#define LAB_FORK    2 /* forks children that burn <on_us> and exit */
#define LAB_THREADS 3 /* <on_us> threads that spin */
#define LAB_CROWD \
	4 /* <off_us> threads on the first two CPUs, there before the shot, that burn <on_us> and yield */

struct lab_group {
	char name[64];
	uint64_t id;	 /* cgroup v2 id */
	uint32_t handle; /* learned by lab_window */
	double psi_ms;	 /* cpu.pressure up to lab_go */
};

struct lab_work {
	int kind;
	int cpu; /* -1 not pinned */
	uint32_t on_us, off_us;
	uint64_t delay_ns, run_ns; /* after the start shot */
};

struct bpf_object;

struct lab {
	struct bpf_object *obj;
	char *cpus;
	struct lnx_ledger_table *tab;
	size_t cpus_bytes;
	uint32_t n_cpus;
	int slots_fd;
	struct stall_ledger *ledger;
	struct stall_window w;
	struct lab_group groups[LAB_GROUPS];
	uint32_t n_groups;
	pid_t pids[LAB_WORKERS];
	int pid_group[LAB_WORKERS];
	uint32_t n_pids;
	int shot[2];
	struct score score;
};

uint64_t lab_now(void);
/* Wait, watching the clock, until <at_ns>. */
void lab_until(uint64_t at_ns);
/* Exit LAB_SKIP with a line if something needed is missing. Loads, maps, does not attach. */
void lab_open(struct lab *l, const char *object);
void lab_attach(struct lab *l);
void lab_detach(struct lab *l);
/* Detach, forget every slot, attach. */
void lab_restart(struct lab *l);
/* A cgroup in v2 and, under the same name, in the v1 cpu hierarchy if there is one. Returns its number. */
int lab_group(struct lab *l, const char *name);
void lab_group_remove(struct lab *l, int group);
/* In the hierarchy of the cpu controller, of v1 or v2. Exit LAB_SKIP where there is none. 100 is the usual weight. */
void lab_weight(struct lab *l, int group, uint32_t percent);
void lab_quota(struct lab *l, int group, uint32_t quota_us, uint32_t period_us);
/* The group's id in that hierarchy, 0 none. */
uint64_t lab_cpu_id(const struct lab *l, int group);
/* Fork a worker that waits for lab_go. Returns its pid. */
pid_t lab_spawn(struct lab *l, int group, const struct lab_work *work);
void lab_move(struct lab *l, pid_t pid, int group);
void lab_go(struct lab *l);
void lab_join(struct lab *l);
/* End of a scenario: workers and groups are removed. */
void lab_clean(struct lab *l);
/* Look at the ledger; l->w is the window since the last look. */
void lab_window(struct lab *l);
double lab_psi_ms(struct lab *l, int group); /* cpu.pressure since lab_go */
const struct stall_victim *lab_victim(const struct lab *l, uint32_t handle);
/* ms of <victim>'s stall by <culprit>: raw != 0 the sum over CPUs. */
double lab_part_ms(const struct lab *l, uint32_t victim, uint32_t culprit, int raw);
double lab_throttled_ms(const struct lab *l, uint32_t victim);
uint32_t lab_handle(const struct lab *l, int group);
/* Print a line, remember a failure: <got> must be within <bar> (a ratio) of <want>. */
void lab_near(struct lab *l, const char *what, double got, double want, double bar);
void lab_most(struct lab *l, const char *what, double got, double most);
void lab_least(struct lab *l, const char *what, double got, double least);
/* What holds whoever else runs: two sums of the same, to a thousandth. */
void lab_same(struct lab *l, const char *what, double got, double want);
/* As score_stands. */
void lab_scenario(struct lab *l, void (*run)(struct lab *l));

/* replay.c: an independent account from the kernel's own trace. */
struct replay;
struct replay *replay_start(void); /* NULL: no tracefs */
/* <pids> with their groups; ms[v * n_groups + c]: v waited, c ran, summed over CPUs. */
int replay_stop(struct replay *r, const pid_t *pids, const int *groups, uint32_t n,
		uint32_t n_groups, double *ms);

#endif
