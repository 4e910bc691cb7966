/* SPDX-License-Identifier: MIT */
/* proc.fork, proc.exec, proc.exit (probe `proc`) and proc.usage (plugin `proc`).
 *
 * A process is (pid, start_ns), never a bare pid. pid is the thread group id in the init pid namespace. start_ns is
 * task->start_boottime of the group leader: CLOCK_BOOTTIME, ns. */
#ifndef LINNIX_EV_PROC_H
#define LINNIX_EV_PROC_H

#include <linnix/event.h>

/* A new process. Threads make no proc.fork. h.pid is the parent's tgid, child_pid the new one. */
struct lnx_ev_proc_fork {
	struct lnx_event h;
	__u64 start_ns;	       /* of the child */
	__u64 parent_start_ns; /* of the parent */
	__u64 cgroup_id;       /* v2 cgroup of the child */
	__u32 child_pid;
	__u32 ppid; /* tgid of the child's parent: h.pid, or that one's parent with CLONE_PARENT */
	__u32 uid;  /* real uid in the init user namespace */
	__u32 is_kthread;
	char comm[16];		/* of the child, the parent's at this point */
	__u64 parent_cgroup_id; /* of process h.pid: tells when it was moved after its own start */
};

/* A process runs a new program. h.pid is its tgid. */
struct lnx_ev_proc_exec {
	struct lnx_event h;
	__u64 start_ns;
	__u64 cgroup_id;
	__u32 ppid;
	__u32 uid;
	char comm[16];		 /* after the exec */
	struct lnx_str filename; /* the path given to execve */
	struct lnx_str
		args; /* by probes.args: off none; script: the script path; full: argv joined by spaces */
	__u32 args_truncated; /* 1 if args did not fit */
	__u32 pad;
};

/* A process (its last thread) ended. h.pid is its tgid. */
struct lnx_ev_proc_exit {
	struct lnx_event h;
	__u64 start_ns;
	__u64 cgroup_id;
	__u64 lifetime_ns;
	__u64 cpu_ns;	      /* user and system time of all its threads */
	__u64 peak_rss_bytes; /* high water mark */
	__u32 ppid;
	__u32 uid;
	__u32 exit_code; /* 0..255, as given to exit() */
	__u32 signal;	 /* that killed it, or 0 */
	__u32 core_dumped;
	__u32 did_exec; /* 0: lived and died as a fork of its parent */
	char comm[16];
};

/* What a process used; cumulative figures of the whole thread group since its start. h.pid is its tgid. Published at
 * most once a second for a process whose figures moved. */
struct lnx_ev_proc_usage {
	struct lnx_event h;
	__u64 start_ns;
	__u64 cgroup_id;
	__u64 cpu_ns;
	__u64 rss_bytes;
	__u64 rss_anon_bytes; /* anonymous and shared memory */
	__u64 read_bytes;     /* from storage */
	__u64 write_bytes;    /* to storage */
	__u64 minflt;
	__u64 majflt;
	__u64 run_delay_ns; /* time runnable but not running, all threads */
	__u32 ppid;
	__u32 uid;
	__u32 n_threads;
	__u32 state; /* enum: see lnx_proc_state_names */
	char comm[16];
	double cpu_pct; /* since the usage before; 100 = one CPU */
};

#ifdef LNX_EVENT_TABLES
static const char *const lnx_proc_state_names[] = { "running", "sleeping", "disk-sleep",
						    "stopped", "traced",   "zombie",
						    "dead",    "idle",	   NULL };

static const struct lnx_field lnx_fields_proc_fork[] = {
	LNX_FIELD(lnx_ev_proc_fork, "child_pid", LNX_U32, child_pid, "", "tgid of the new process",
		  "process.pid"),
	LNX_FIELD(lnx_ev_proc_fork, "ppid", LNX_U32, ppid, "", "tgid of its parent",
		  "process.parent_pid"),
	LNX_FIELD(lnx_ev_proc_fork, "uid", LNX_U32, uid, "", "real user id",
		  "process.real_user.id"),
	LNX_FIELD(lnx_ev_proc_fork, "comm", LNX_CHARS, comm, "",
		  "name of the new process, its parent's at this point", "process.command"),
	LNX_FIELD(lnx_ev_proc_fork, "start_ns", LNX_U64, start_ns, "ns",
		  "start of the new process, CLOCK_BOOTTIME", NULL),
	LNX_FIELD(lnx_ev_proc_fork, "parent_start_ns", LNX_U64, parent_start_ns, "ns",
		  "start of the process that forked", NULL),
	LNX_FIELD(lnx_ev_proc_fork, "cgroup_id", LNX_ID, cgroup_id, "",
		  "id of the v2 cgroup of the new process", NULL),
	LNX_FIELD(lnx_ev_proc_fork, "is_kthread", LNX_BOOL, is_kthread, "", "a kernel thread",
		  NULL),
	LNX_FIELD(lnx_ev_proc_fork, "parent_cgroup_id", LNX_ID, parent_cgroup_id, "",
		  "id of the v2 cgroup of the process that forked", NULL),
};

static const struct lnx_field lnx_fields_proc_exec[] = {
	LNX_FIELD(lnx_ev_proc_exec, "ppid", LNX_U32, ppid, "", "tgid of the parent",
		  "process.parent_pid"),
	LNX_FIELD(lnx_ev_proc_exec, "uid", LNX_U32, uid, "", "real user id",
		  "process.real_user.id"),
	LNX_FIELD(lnx_ev_proc_exec, "comm", LNX_CHARS, comm, "", "name after the exec",
		  "process.command"),
	LNX_FIELD(lnx_ev_proc_exec, "filename", LNX_STR, filename, "", "path given to execve",
		  "process.executable.path"),
	LNX_FIELD(lnx_ev_proc_exec, "args", LNX_STR, args, "",
		  "script path or arguments, only as probes.args allows", "process.command_line"),
	LNX_FIELD(lnx_ev_proc_exec, "args_truncated", LNX_BOOL, args_truncated, "",
		  "the arguments did not fit", NULL),
	LNX_FIELD(lnx_ev_proc_exec, "start_ns", LNX_U64, start_ns, "ns",
		  "start of the process, CLOCK_BOOTTIME", NULL),
	LNX_FIELD(lnx_ev_proc_exec, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup",
		  NULL),
};

static const struct lnx_field lnx_fields_proc_exit[] = {
	LNX_FIELD(lnx_ev_proc_exit, "ppid", LNX_U32, ppid, "", "tgid of the parent",
		  "process.parent_pid"),
	LNX_FIELD(lnx_ev_proc_exit, "uid", LNX_U32, uid, "", "real user id",
		  "process.real_user.id"),
	LNX_FIELD(lnx_ev_proc_exit, "comm", LNX_CHARS, comm, "", "name at the end",
		  "process.command"),
	LNX_FIELD(lnx_ev_proc_exit, "exit_code", LNX_U32, exit_code, "",
		  "0..255, as given to exit()", "process.exit.code"),
	LNX_FIELD(lnx_ev_proc_exit, "signal", LNX_U32, signal, "", "signal that killed it, or 0",
		  NULL),
	LNX_FIELD(lnx_ev_proc_exit, "core_dumped", LNX_BOOL, core_dumped, "", "a core was written",
		  NULL),
	LNX_FIELD(lnx_ev_proc_exit, "did_exec", LNX_BOOL, did_exec, "",
		  "it ran a program of its own", NULL),
	LNX_FIELD(lnx_ev_proc_exit, "lifetime_ns", LNX_U64, lifetime_ns, "ns", "from start to end",
		  NULL),
	LNX_FIELD(lnx_ev_proc_exit, "cpu_ns", LNX_U64, cpu_ns, "ns", "CPU time of all its threads",
		  NULL),
	LNX_FIELD(lnx_ev_proc_exit, "peak_rss_bytes", LNX_U64, peak_rss_bytes, "bytes",
		  "most memory it held", NULL),
	LNX_FIELD(lnx_ev_proc_exit, "start_ns", LNX_U64, start_ns, "ns",
		  "start of the process, CLOCK_BOOTTIME", NULL),
	LNX_FIELD(lnx_ev_proc_exit, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup",
		  NULL),
};

static const struct lnx_field lnx_fields_proc_usage[] = {
	LNX_FIELD(lnx_ev_proc_usage, "ppid", LNX_U32, ppid, "", "tgid of the parent",
		  "process.parent_pid"),
	LNX_FIELD(lnx_ev_proc_usage, "uid", LNX_U32, uid, "", "real user id",
		  "process.real_user.id"),
	LNX_FIELD(lnx_ev_proc_usage, "comm", LNX_CHARS, comm, "", "name of the group leader",
		  "process.command"),
	LNX_FIELD_E(lnx_ev_proc_usage, "state", state, "state of the group leader", NULL,
		    lnx_proc_state_names),
	LNX_FIELD(lnx_ev_proc_usage, "n_threads", LNX_U32, n_threads, "", "live threads",
		  "process.thread.count"),
	LNX_FIELD(lnx_ev_proc_usage, "cpu_pct", LNX_F64, cpu_pct, "pct",
		  "CPU since the usage before, 100 = one CPU", NULL),
	LNX_FIELD(lnx_ev_proc_usage, "cpu_ns", LNX_U64, cpu_ns, "ns", "CPU time since its start",
		  NULL),
	LNX_FIELD(lnx_ev_proc_usage, "run_delay_ns", LNX_U64, run_delay_ns, "ns",
		  "runnable but not running, summed over threads", NULL),
	LNX_FIELD(lnx_ev_proc_usage, "rss_bytes", LNX_U64, rss_bytes, "bytes", "resident memory",
		  "process.memory.usage"),
	LNX_FIELD(lnx_ev_proc_usage, "rss_anon_bytes", LNX_U64, rss_anon_bytes, "bytes",
		  "anonymous and shared resident memory", NULL),
	LNX_FIELD(lnx_ev_proc_usage, "read_bytes", LNX_U64, read_bytes, "bytes",
		  "read from storage", "process.disk.io"),
	LNX_FIELD(lnx_ev_proc_usage, "write_bytes", LNX_U64, write_bytes, "bytes",
		  "written to storage", "process.disk.io"),
	LNX_FIELD(lnx_ev_proc_usage, "minflt", LNX_U64, minflt, "", "page faults without I/O",
		  "process.paging.faults"),
	LNX_FIELD(lnx_ev_proc_usage, "majflt", LNX_U64, majflt, "", "page faults with I/O",
		  "process.paging.faults"),
	LNX_FIELD(lnx_ev_proc_usage, "start_ns", LNX_U64, start_ns, "ns",
		  "start of the process, CLOCK_BOOTTIME", NULL),
	LNX_FIELD(lnx_ev_proc_usage, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup",
		  NULL),
};
#endif
#endif
