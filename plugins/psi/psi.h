/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Insides of plugin psi: the instance. */
#ifndef PLUGINS_PSI_H
#define PLUGINS_PSI_H

#include <linnix/host.h>
#include <stdint.h>

#include "cgroups.h"
#include "parse.h"

#define PSI_DIRS_A_SLICE 64	      /* folders looked into before the loop runs on */
#define PSI_SLICE_NS	 100000000ULL /* between slices */
#define PSI_BUSY_PCT	 5.0	      /* of the machine: all cold ones are read each time */

struct psi_conf {
	uint64_t interval_ns, rescan_ns;
	const char *proc_root, *cgroup_root;
	uint32_t trigger_pct, max_cgroups, max_fds;
	uint32_t pad;
};

struct psi_resource {
	int fd;		/* -1: not there */
	int trigger_fd; /* -1: none */
	struct psi_file last;
	uint32_t is_known; /* <last> was read */
	struct lnx_metric *metric[2];
	uint64_t counted_us[2]; /* in <metric> */
};

struct psi_state {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct psi_conf *conf;
	struct psi_resource res[PSI_N];
	int stat_fd, mem_fd, load_fd, epoll_fd;
	struct lnx_fd *epoll_watch;
	struct lnx_timer *timer, *walk_timer;
	struct psi_stat stat;
	uint64_t sample_ns; /* of the last sample; 0: none */
	uint64_t wakeups;
	uint32_t has_stat, has_cgroups;
	uint32_t is_stalled; /* the last sample was above psi.trigger_pct */
	struct psi_cgroups cgroups;
	struct lnx_buf buf;
	struct lnx_metric *m_cgroups, *m_refused, *m_skipped, *m_reads, *m_wakeups;
};

void psi_host_open(struct psi_state *s); /* tells health what is missing */
void psi_host_close(struct psi_state *s);
/* Read everything, publish psi.sample and host.sample (not the first time: there is no window yet), then the
 * cgroups. */
void psi_host_sample(struct psi_state *s);
/* Ask the kernel to wake us on stalls of the machine, where it allows that. */
void psi_triggers_open(struct psi_state *s);
void psi_triggers_close(struct psi_state *s);

#endif
