/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A laboratory for I/O and memory: cgroups under one name in v2 and in the v1 hierarchies of blkio and memory, workers, a
 * probe and its maps. Everything made is removed at exit, also after a failure or a signal. */
#ifndef LNX_LAB_RES_H
#define LNX_LAB_RES_H

#include "plugins/stall/res.h"
#include "tests/bpf/score.h"

#include <stdint.h>
#include <sys/types.h>

#define RES_GROUPS  8
#define RES_WORKERS 32
#define RES_SKIP    77

struct bpf_object;

struct res_group {
	char name[64];
	uint64_t id;	/* v2 */
	uint64_t io_id; /* v1 blkio, 0 none */
};

struct res_lab {
	struct bpf_object *obj;
	struct res_group group[RES_GROUPS];
	uint32_t n_groups;
	pid_t pid[RES_WORKERS];
	uint32_t n_pids;
	int map_fd[STALL_MAPS];
	struct stall_res_maps maps;
	char dir[64]; /* for files */
	struct score score;
};

uint64_t res_now(void);
void res_until(uint64_t at_ns);
/* Exit RES_SKIP with a line if something needed is missing. Loads the object, makes the directory. */
void res_open(struct res_lab *l, const char *object, const char *psi);
void res_attach(struct res_lab *l);
void res_detach(void);
/* A cgroup in v2 and under the same name in v1. Returns its number. <parent> -1: at the top. */
int res_group(struct res_lab *l, int parent, const char *name);
/* 0, or -errno: the group in the hierarchy of a v1 controller. */
int res_set(struct res_lab *l, int group, const char *controller, const char *file,
	    const char *value);
/* Fork into the group; <cpu> -1: not pinned. <fn> returns when it is <end_ns>. */
void res_spawn(struct res_lab *l, int group, int cpu, void (*fn)(void *arg, uint64_t end_ns),
	       void *arg, uint64_t end_ns);
void res_join(struct res_lab *l);
/* End of a scenario: workers and groups go. */
void res_clean(struct res_lab *l);
/* Total of "some" in <group>'s pressure file, ms. */
double res_psi_ms(const struct res_lab *l, int group, const char *file);
double res_part_ms(const struct stall_res_window *w, uint64_t victim, uint64_t culprit);
double res_raw_ms(const struct stall_res_window *w, uint64_t victim);
/* As score_stands. */
void res_scenario(struct res_lab *l, void (*run)(struct res_lab *l));
void res_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
