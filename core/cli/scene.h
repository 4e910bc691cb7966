/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Known contention for `selftest`: two small cgroups, a busy process in each, both on one CPU. */
#ifndef LNX_CLI_SCENE_H
#define LNX_CLI_SCENE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LNX_SCENE_VICTIM 0
#define LNX_SCENE_BULLY	 1
#define LNX_SCENE_N	 2

struct lnx_scene {
	char dir[LNX_SCENE_N][512]; /* "" not made */
	uint64_t id[LNX_SCENE_N];   /* of the cgroup */
	pid_t pid[LNX_SCENE_N];	    /* 0 none */
	double cpu_ms[LNX_SCENE_N]; /* that each used */
	int shot[2];		    /* the end of file starts them */
	int signal_fd;		    /* SIGINT and SIGTERM, so that everything is cleaned up */
	char error[640];	    /* what went wrong, with what to do */
};

/* Make the cgroups. 0 or -errno with s->error. */
int lnx_scene_open(struct lnx_scene *s);
/* Both spin for <run_ms>. 0, -EINTR (a signal came) or -errno with s->error. */
int lnx_scene_run(struct lnx_scene *s, unsigned run_ms);
/* Wait. 0 or -EINTR. */
int lnx_scene_wait(struct lnx_scene *s, unsigned ms);
/* Pressure of the victim since it was made, in ms; NAN if it cannot be read. */
double lnx_scene_psi_ms(const struct lnx_scene *s);
/* End processes, remove cgroups. Always. */
void lnx_scene_close(struct lnx_scene *s);

#endif
