/* SPDX-License-Identifier: MIT */
/* Events: the head every event starts with, the built-in type numbers, and the shape of a field table.
 *
 * One struct per type, the same on both sides of the kernel boundary; append only, a change of meaning is a new type.
 * The structs live in ev_*.h, each next to its field table. */
#ifndef LINNIX_EVENT_H
#define LINNIX_EVENT_H

#ifndef LNX_BPF
#include <linux/types.h>
#include <stddef.h>
#endif

/* Head of every event, written by the producer. All integers are in host byte order. */
struct lnx_event {
	__u32 size;  /* bytes: head, fixed part, string tail; at most LNX_EVENT_MAX */
	__u16 type;  /* LNX_EV_* below 0x8000; run-time ids of plugins above */
	__u16 fixed; /* bytes up to the string tail, this head included */
	__u64 ts_ns; /* CLOCK_BOOTTIME; 0 lets the host stamp it at publish */
	__u32 pid;   /* tgid in the init pid namespace, 0 if none */
	__u32 cpu;   /* where it happened; LNX_CPU_NONE when made in user space */
};

#define LNX_EVENT_MAX	4096 /* bytes of one event */
#define LNX_STR_MAX	1024 /* bytes of one string in the tail */
#define LNX_CPU_NONE	0xffffffffU
#define LNX_EV_PLUGIN_0 0x8000 /* first run-time id */

/* True if <ev> was written by a producer that knew member <m> of struct <type>. */
#define LNX_EV_HAS(ev, type, m) ((ev)->fixed >= offsetof(type, m) + sizeof(((type *)0)->m))

/* A string in the tail: <off> bytes from the head's first byte, <len> bytes, no NUL. Checked by the bus. */
struct lnx_str {
	__u16 off;
	__u16 len;
};

/* Built-in types. Numbers are never reused. */
#define LNX_EV_PROC_FORK       1
#define LNX_EV_PROC_EXEC       2
#define LNX_EV_PROC_EXIT       3
#define LNX_EV_PROC_USAGE      4
#define LNX_EV_HOST_SAMPLE     5
#define LNX_EV_PSI_SAMPLE      6
#define LNX_EV_PSI_CGROUP      7
#define LNX_EV_STALL_EDGE      8
#define LNX_EV_STALL_WINDOW    9
#define LNX_EV_CGROUP_NEW      10
#define LNX_EV_CGROUP_GONE     11
#define LNX_EV_WORKLOAD_UPDATE 12
#define LNX_EV_ALERT	       13
#define LNX_EV_RULE_DISABLED   14
#define LNX_EV_INCIDENT_OPEN   15
#define LNX_EV_INCIDENT_UPDATE 16
#define LNX_EV_INCIDENT_CLOSE  17
#define LNX_EV_ACTION_REQUEST  18
#define LNX_EV_ACTION_DONE     19
#define LNX_EV_TASK_RECEIPT    20
#define LNX_EV_STALL_TREE      21
#define LNX_EV_STALL_NODE      22
#define LNX_EV_AGENT_COST      23
#define LNX_EV_CGROUP_PIDS     24
#define LNX_EV_WORKLOAD_USAGE  25

/* Field types (enum lnx_field_type). */
#define LNX_U8	  1
#define LNX_U16	  2
#define LNX_U32	  3
#define LNX_U64	  4
#define LNX_I32	  5
#define LNX_I64	  6
#define LNX_F64	  7  /* double; JSON null when it is NaN */
#define LNX_BOOL  8  /* __u8 or __u32 (see size): false when 0 */
#define LNX_CHARS 9  /* char[size], NUL padded, not always terminated */
#define LNX_STR	  10 /* struct lnx_str */
#define LNX_JSON  11 /* struct lnx_str whose bytes are one JSON value, put into JSON as they are */
#define LNX_ENUM  12 /* __u32 index into <names>; JSON and Lua see the name */
#define LNX_ID	  13 /* __u64 shown as a number in Lua and as a JSON number (cgroup ids) */

/* One row of a field table. <name> may hold one dot: "subject.kind" is member kind of object subject in JSON and Lua. */
struct lnx_field {
	const char *name;
	__u16 type;		  /* enum lnx_field_type */
	__u16 offset;		  /* from the head's first byte */
	__u16 size;		  /* bytes at <offset> */
	__u16 flags;		  /* LNX_FIELD_* */
	const char *unit;	  /* "ns", "us", "bytes", "pct" or "" */
	const char *doc;	  /* one plain sentence */
	const char *otel;	  /* OpenTelemetry attribute, or NULL */
	const char *const *names; /* of an LNX_ENUM, NULL at the end; else NULL */
};

#define LNX_FIELD_PRIVATE 1 /* may hold what a user typed: left out of bug reports */

#define LNX_FIELD(st, nm, ty, m, un, dc, ot)                                                     \
	{                                                                                        \
		nm, ty, offsetof(struct st, m), sizeof(((struct st *)0)->m), 0, un, dc, ot, NULL \
	}
#define LNX_FIELD_E(st, nm, m, dc, ot, nms)                                                       \
	{                                                                                         \
		nm, LNX_ENUM, offsetof(struct st, m), sizeof(((struct st *)0)->m), 0, "", dc, ot, \
			nms                                                                       \
	}

/* What is registered for a type. All pointers live as long as the registrant. */
struct lnx_event_desc {
	__u32 size;	  /* sizeof when built */
	__u16 type;	  /* 0 asks for a run-time id */
	__u16 fixed;	  /* sizeof the struct: the fixed part a current producer writes */
	const char *name; /* "proc.fork" */
	const char *doc;
	const struct lnx_field *fields;
	__u32 n_fields;
	__u32 flags; /* LNX_EVF_* */
};

#define LNX_EVF_PROCESS \
	1 /* about a process: as LNX_EVF_TAGS, by the cgroup of its cgroup_id field */
#define LNX_EVF_KERNEL 2 /* produced by a BPF probe */
#define LNX_EVF_IDENT \
	4 /* a finding: JSON carries node, cluster, boot_id, schema, as it may leave the node alone */
#define LNX_EVF_TAGS \
	8 /* about a cgroup: JSON carries pod_name, namespace, container_id by cgroup_id or subject.cgroup_id */

#endif
