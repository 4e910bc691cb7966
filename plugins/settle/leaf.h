/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the receipt's tree is made of: one event of the task a leaf, with a salt, so that leaves that are not opened stay
 * hidden. Usage is the sum of the leaves: nothing else is counted. */
#ifndef LNX_SETTLE_LEAF_H
#define LNX_SETTLE_LEAF_H

#include <linnix/buf.h>
#include <stdbool.h>

#include "merkle.h"

#define LEAF_SALT   16
#define LEAF_SECRET 32	 /* one of each task */
#define LEAF_LINE   1024 /* bytes of a line of the events file, at most */
#define LEAF_TYPE   32
#define LEAF_WHY    160

/* enum leaf_args: what of its arguments an event carries, probes.args of the agent */
#define LEAF_ARGS_NONE	 0 /* of events that have none */
#define LEAF_ARGS_OFF	 1
#define LEAF_ARGS_SCRIPT 2
#define LEAF_ARGS_FULL	 3
extern const char *const leaf_args_names[];

struct leaf {
	char type[LEAF_TYPE]; /* "proc.exit" */
	char comm[16];	      /* NUL terminated unless full */
	uint64_t seq;	      /* of the task's events, from 1; a lost one leaves a gap */
	uint64_t ts_boot_ns, start_ns, cgroup_id;
	uint32_t pid, ppid;
	int32_t exit_code; /* of proc.exit; 128 + signal when one killed it */
	uint32_t is_main;  /* the process whose exit code is the task's */
	/* what this event adds to the task's usage; what an earlier leaf has counted is not in it */
	uint64_t cpu_ns, read_bytes, write_bytes, net_tx_bytes, stall_ns;
	uint64_t rss_peak_kib; /* not added: the largest counts */
	/* what is there only where it is known */
	uint32_t args_policy;		    /* enum leaf_args; of proc.exec */
	bool has_net_tx, has_args, has_exe; /* of the three figures below and above */
	bool is_args_cut;		    /* args_hash is of their beginning */
	uint8_t args_hash
		[32]; /* SHA-256 of the arguments, as far as the policy lets them be seen */
	uint8_t exe_sha256[32]; /* of proc.exe: the file that the process ran at ts_boot_ns */
};

/* Figures of a task. Those with has_ may be unknown: then they are null in the receipt, and never 0. */
struct usage {
	uint64_t cpu_ns, rss_peak_kib, read_bytes, write_bytes, net_tx_bytes, execs, stall_ns;
	int32_t exit_code;
	bool has_net_tx; /* nothing here measures it: false, but in receipts of others */
	bool has_stall;	 /* it ran in a cgroup of its own that the ledger watched */
	bool has_exit;	 /* the end of its first process was seen */
};

void usage_add(struct usage *u, const struct leaf *leaf); /* sums stop at 2^64 - 1 */

/* Append the canonical JSON of <leaf>. Errors stick. */
void leaf_write(struct lnx_buf *out, const struct leaf *leaf);
/* Read it back, strictly. 0 or -EBADMSG with <why>. */
int leaf_read(const char *json, size_t n, struct leaf *ret, char why[LEAF_WHY]);

/* The arguments of an exec into its leaf: <n> bytes that the event carried under <policy>. */
void leaf_set_args(struct leaf *leaf, uint32_t policy, const char *args, size_t n, bool is_cut);

void leaf_salt(const uint8_t secret[LEAF_SECRET], uint64_t index, uint8_t ret[LEAF_SALT]);
void leaf_hash(const uint8_t salt[LEAF_SALT], const char *json, size_t n, uint8_t ret[MERKLE_HASH]);

/* A line of the events file: the salt as 32 hex digits, a space, the JSON, a newline. */
void leaf_put_line(struct lnx_buf *out, const uint8_t salt[LEAF_SALT], const char *json, size_t n);
/* Take one apart, without its newline; *ret_json is borrowed from <line>. 0 or -EBADMSG. */
int leaf_split_line(const char *line, size_t n, uint8_t ret_salt[LEAF_SALT], const char **ret_json,
		    size_t *ret_n);

#endif
