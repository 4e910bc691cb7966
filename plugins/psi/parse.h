/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The files of the kernel that plugin psi reads. */
#ifndef PLUGINS_PSI_PARSE_H
#define PLUGINS_PSI_PARSE_H

#include <linnix/buf.h>
#include <stddef.h>
#include <stdint.h>

#define PSI_CPU	   0
#define PSI_MEMORY 1
#define PSI_IO	   2
#define PSI_N	   3
#define PSI_SOME   0
#define PSI_FULL   1

/* One pressure file; index PSI_SOME or PSI_FULL. */
struct psi_file {
	uint32_t has[2];
	uint64_t total_us[2];
	double avg10[2], avg60[2], avg300[2];
};

/* Of /proc/stat. */
struct psi_stat {
	uint64_t busy, idle, iowait, steal; /* ticks; busy holds steal, not guest */
	uint64_t forks, switches;
	uint32_t n_cpus, n_running;
	uint32_t has_cpu, has_forks, has_switches;
};

/* Of /proc/meminfo. */
struct psi_mem {
	uint64_t total_bytes, available_bytes, swap_total_bytes, swap_free_bytes;
	uint32_t has_total, has_available;
};

/* Lines that make no sense are left out. -EINVAL: no line does. <text> is terminated. */
int psi_parse_pressure(const char *text, struct psi_file *ret_file);
int psi_parse_stat(const char *text, struct psi_stat *ret_stat);
int psi_parse_mem(const char *text, struct psi_mem *ret_mem);
int psi_parse_load(const char *text, double ret_load[3]);
/* Mount point of the v2 hierarchy in a mountinfo file. -ENOENT: none. */
int psi_parse_mounts(const char *text, char *ret_path, size_t cap);
/* Read a whole file again from its start. 0 or -errno; -EFBIG over 1 MiB. */
int psi_read(int fd, struct lnx_buf *buf);
/* 100 * delta / window, 0..100; NaN when the counter went back or no time passed. */
double psi_pct(uint64_t before_us, uint64_t now_us, uint64_t window_ns);

#endif
