/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A rule engine on a bus of its own, for tests: rules from texts, alerts kept. */
#ifndef LNX_RULES_RUN_H
#define LNX_RULES_RUN_H

#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_stall.h>

#include "lua_host.h"

#define RUN_ALERTS 256
#define RUN_T0	   1000000000000ULL
#define RUN_S	   1000000000ULL

struct run_alert {
	char rule[64], say[LNX_STR_MAX + 4], evidence[1024], labels[1024], comm[20], workload[64];
	uint32_t state, severity, kind, pid;
	uint64_t ts_ns, since_ns, cgroup_id, cause_seq, key, victim_cgroup_id;
	char victim[64], victim_namespace[64];
	double value, threshold;
};

/* Of a set of one rule, as GET /rules tells. */
struct run_keys {
	unsigned long n, max, evicted, memory_bytes;
};

struct run {
	char dir[64];
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	struct lnx_metrics *metrics;
	struct lnx_rules *rules;
	struct lnx_rules_conf conf; /* set memory_max, budget, proc before run_load or run_start */
	struct lnx_buf errors, json;
	struct run_alert alerts[RUN_ALERTS];
	unsigned n_alerts, n_disabled, n_files;
	char disabled_error[256];
	unsigned disabled_failures;
};

void run_open(struct run *t);
void run_close(struct run *t);
/* Write a rule file; returns its path, kept in <t> until the next one. */
const char *run_file(struct run *t, const char *name, const char *text, size_t bytes);
/* Load every file of the directory and start. */
void run_load(struct run *t);
/* Load <text> alone and check that its only error is "<dir>/a.lua" followed by <error>. */
void run_refuses(const char *text, const char *error);
/* The same for any bytes. */
void run_refuses_bytes(const char *text, size_t bytes, const char *error);
/* Load <text> alone, without an error, and start. */
void run_start(struct run *t, const char *text);
/* The same from the beginning. */
void run_text(struct run *t, const char *text);
/* Deliver events at <s> seconds after RUN_T0. */
void run_fork(struct run *t, double s, uint32_t ppid, uint32_t child, const char *comm);
/* Processes 100, 101.. of process 1, one a second. */
void run_forks(struct run *t, unsigned n);
void run_exit(struct run *t, double s, uint32_t pid, uint32_t ppid, uint32_t exit_code,
	      uint64_t lifetime_ns);
void run_exec(struct run *t, double s, uint32_t pid, const char *comm, const char *filename);
void run_sample(struct run *t, double s, double cpu_pct, double psi_cpu_some);
void run_sample_load(struct run *t, double s, double load1);
/* A fork as a producer told it that knew only <fixed> bytes; parent_cgroup_id 6. */
void run_fork_fixed(struct run *t, double s, uint32_t child, size_t fixed);
/* An event that ends with its head, in memory of just that size. */
void run_head_only(struct run *t, double s, uint16_t type);
void run_tick(struct run *t, double s);
/* GET /rules as text, until the next call. */
const char *run_json(struct run *t);
struct run_keys run_keys(struct run *t);

#endif
