/* SPDX-License-Identifier: MIT */
/* psi.sample, psi.cgroup and host.sample (plugin `psi`).
 *
 * Pressure is 100 * delta(total) / delta(t) between two reads, 0..100; see Documentation/accounting/psi.rst of Linux.
 * avg10/60/300 are the kernel's own moving averages: for display, never for rules. A value that the kernel does not
 * give is NaN (JSON null). System level cpu "full" is always 0 in the kernel and not offered. */
#ifndef LINNIX_EV_PSI_H
#define LINNIX_EV_PSI_H

#include <linnix/event.h>

/* One line of a pressure file. */
struct lnx_psi_line {
	double pct; /* 0..100 since the sample before */
	double avg10, avg60, avg300;
	__u64 total_us;
};

/* Pressure of the whole machine, once per psi.interval. */
struct lnx_ev_psi_sample {
	struct lnx_event h;
	__u64 window_ns; /* since the sample before */
	struct lnx_psi_line cpu_some, memory_some, memory_full, io_some, io_full;
};

/* Pressure of one cgroup: while its totals move, once when they no more do, and once when it is new and does not stall. */
struct lnx_ev_psi_cgroup {
	struct lnx_event h;
	__u64 cgroup_id;
	__u64 window_ns;
	double cpu_some_pct, cpu_full_pct, memory_some_pct, memory_full_pct, io_some_pct,
		io_full_pct;
	__u64 cpu_some_us, cpu_full_us, memory_some_us, memory_full_us, io_some_us,
		io_full_us;  /* totals */
	struct lnx_str path; /* v2 path, for display */
	__u32 pad;
};

/* The machine, once a second. Names follow the `host` object of rules. */
struct lnx_ev_host_sample {
	struct lnx_event h;
	__u64 window_ns;
	double cpu_pct;	  /* 100 * (1 - delta(idle+iowait) / delta(total)) over online CPUs */
	double steal_pct; /* part of cpu_pct */
	double iowait_pct;
	double mem_pct; /* 100 * (1 - available / total) */
	__u64 mem_total_bytes, mem_available_bytes, swap_total_bytes, swap_free_bytes;
	double load1, load5, load15;
	double forks_per_s; /* processes and threads, from /proc/stat */
	double switches_per_s;
	double psi_cpu_some, psi_memory_some, psi_memory_full, psi_io_some,
		psi_io_full; /* pct, as in psi.sample */
	__u32 n_cpus;	     /* online */
	__u32 n_running;     /* runnable tasks */
};

#ifdef LNX_EVENT_TABLES
#define LNX_FIELD_PSI(nm, m)                                                            \
	LNX_FIELD(lnx_ev_psi_sample, nm ".pct", LNX_F64, m.pct, "pct",                  \
		  "share of the window with a stalled task", NULL),                     \
		LNX_FIELD(lnx_ev_psi_sample, nm ".avg10", LNX_F64, m.avg10, "pct",      \
			  "moving average of the kernel over 10 s", NULL),              \
		LNX_FIELD(lnx_ev_psi_sample, nm ".avg60", LNX_F64, m.avg60, "pct",      \
			  "moving average of the kernel over 60 s", NULL),              \
		LNX_FIELD(lnx_ev_psi_sample, nm ".avg300", LNX_F64, m.avg300, "pct",    \
			  "moving average of the kernel over 300 s", NULL),             \
		LNX_FIELD(lnx_ev_psi_sample, nm ".total_us", LNX_U64, m.total_us, "us", \
			  "stall since boot", NULL)

static const struct lnx_field lnx_fields_psi_sample[] = {
	LNX_FIELD(lnx_ev_psi_sample, "window_ns", LNX_U64, window_ns, "ns",
		  "since the sample before", NULL),
	LNX_FIELD_PSI("cpu_some", cpu_some),
	LNX_FIELD_PSI("memory_some", memory_some),
	LNX_FIELD_PSI("memory_full", memory_full),
	LNX_FIELD_PSI("io_some", io_some),
	LNX_FIELD_PSI("io_full", io_full),
};

static const struct lnx_field lnx_fields_psi_cgroup[] = {
	LNX_FIELD(lnx_ev_psi_cgroup, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup",
		  NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "path", LNX_STR, path, "",
		  "path of the v2 cgroup, for display", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "window_ns", LNX_U64, window_ns, "ns", "since the read before",
		  NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "cpu_some_pct", LNX_F64, cpu_some_pct, "pct",
		  "some task waited for a CPU, own throttling included", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "cpu_full_pct", LNX_F64, cpu_full_pct, "pct",
		  "no task of it ran while one waited for a CPU", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "memory_some_pct", LNX_F64, memory_some_pct, "pct",
		  "some task waited for memory", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "memory_full_pct", LNX_F64, memory_full_pct, "pct",
		  "all tasks waited for memory", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "io_some_pct", LNX_F64, io_some_pct, "pct",
		  "some task waited for I/O", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "io_full_pct", LNX_F64, io_full_pct, "pct",
		  "all tasks waited for I/O", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "cpu_some_us", LNX_U64, cpu_some_us, "us",
		  "total since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "cpu_full_us", LNX_U64, cpu_full_us, "us",
		  "total since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "memory_some_us", LNX_U64, memory_some_us, "us",
		  "total since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "memory_full_us", LNX_U64, memory_full_us, "us",
		  "total since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "io_some_us", LNX_U64, io_some_us, "us",
		  "total since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_psi_cgroup, "io_full_us", LNX_U64, io_full_us, "us",
		  "total since the cgroup was made", NULL),
};

static const struct lnx_field lnx_fields_host_sample[] = {
	LNX_FIELD(lnx_ev_host_sample, "window_ns", LNX_U64, window_ns, "ns",
		  "since the sample before", NULL),
	LNX_FIELD(lnx_ev_host_sample, "cpu_pct", LNX_F64, cpu_pct, "pct",
		  "busy share of all online CPUs, steal included", "system.cpu.utilization"),
	LNX_FIELD(lnx_ev_host_sample, "steal_pct", LNX_F64, steal_pct, "pct",
		  "taken by the hypervisor", NULL),
	LNX_FIELD(lnx_ev_host_sample, "iowait_pct", LNX_F64, iowait_pct, "pct",
		  "idle with I/O in flight", NULL),
	LNX_FIELD(lnx_ev_host_sample, "mem_pct", LNX_F64, mem_pct, "pct",
		  "memory that is not available", "system.memory.utilization"),
	LNX_FIELD(lnx_ev_host_sample, "mem_total_bytes", LNX_U64, mem_total_bytes, "bytes",
		  "MemTotal", "system.memory.limit"),
	LNX_FIELD(lnx_ev_host_sample, "mem_available_bytes", LNX_U64, mem_available_bytes, "bytes",
		  "MemAvailable", NULL),
	LNX_FIELD(lnx_ev_host_sample, "swap_total_bytes", LNX_U64, swap_total_bytes, "bytes",
		  "SwapTotal", NULL),
	LNX_FIELD(lnx_ev_host_sample, "swap_free_bytes", LNX_U64, swap_free_bytes, "bytes",
		  "SwapFree", NULL),
	LNX_FIELD(lnx_ev_host_sample, "load1", LNX_F64, load1, "", "load average over 1 min", NULL),
	LNX_FIELD(lnx_ev_host_sample, "load5", LNX_F64, load5, "", "load average over 5 min", NULL),
	LNX_FIELD(lnx_ev_host_sample, "load15", LNX_F64, load15, "", "load average over 15 min",
		  NULL),
	LNX_FIELD(lnx_ev_host_sample, "forks_per_s", LNX_F64, forks_per_s, "",
		  "new processes and threads per second", NULL),
	LNX_FIELD(lnx_ev_host_sample, "switches_per_s", LNX_F64, switches_per_s, "",
		  "context switches per second", NULL),
	LNX_FIELD(lnx_ev_host_sample, "n_cpus", LNX_U32, n_cpus, "", "online CPUs",
		  "system.cpu.logical.count"),
	LNX_FIELD(lnx_ev_host_sample, "n_running", LNX_U32, n_running, "", "runnable tasks", NULL),
	LNX_FIELD(lnx_ev_host_sample, "psi_cpu_some", LNX_F64, psi_cpu_some, "pct",
		  "pressure of the same window", NULL),
	LNX_FIELD(lnx_ev_host_sample, "psi_memory_some", LNX_F64, psi_memory_some, "pct",
		  "pressure of the same window", NULL),
	LNX_FIELD(lnx_ev_host_sample, "psi_memory_full", LNX_F64, psi_memory_full, "pct",
		  "pressure of the same window", NULL),
	LNX_FIELD(lnx_ev_host_sample, "psi_io_some", LNX_F64, psi_io_some, "pct",
		  "pressure of the same window", NULL),
	LNX_FIELD(lnx_ev_host_sample, "psi_io_full", LNX_F64, psi_io_full, "pct",
		  "pressure of the same window", NULL),
};
#endif
#endif
