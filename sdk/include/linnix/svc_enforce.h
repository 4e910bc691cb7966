/* SPDX-License-Identifier: MIT */
/* Service "enforce/1": actions that rules asked for (plugin `enforce`). Loop thread only.
 *
 * An id is "<node>/<ulid>", as action.done has it; the ULID alone means this node's. Who decides is written to the action, to
 * the store and to its hash-chained log: <who> names a person and how it was proved, "slack U024BE7LH (ann)" or
 * "uid 0 (unix socket)", at most LNX_ENFORCE_WHO_MAX bytes with its NUL, and is never empty. */
#ifndef LINNIX_SVC_ENFORCE_H
#define LINNIX_SVC_ENFORCE_H

#include <linnix/ev_action.h>
#include <stdint.h>

#define LNX_ENFORCE_WHO_MAX  128
#define LNX_ENFORCE_TEXT_MAX 512 /* enough for every <ret_text> */

/* One action. No string is NULL. Borrowed until the next call of the service or the next event. */
struct lnx_action {
	uint32_t size;
	uint32_t verb, state, outcome; /* enums of ev_action.h */
	uint32_t is_auto;	       /* carried out without an approval after the grace period */
	uint32_t pid;		       /* 0: a cgroup is meant */
	uint64_t start_ns, cgroup_id;
	uint64_t ts_ns; /* Unix time it was asked for */
	uint64_t
		until_ns; /* Unix time: of a proposal, when it expires; applied: end of the lease; else 0 */
	double before_ms_per_s, after_ms_per_s; /* stall of the victim; NaN: not measured */
	const char *id;				/* "<node>/<ulid>" */
	const char *incident;			/* "" : of none */
	const char *rule, *workload, *namespace_, *comm;
	const char *reason; /* the rule's sentence */
	const char *plan;   /* what exactly would be, or was, written or sent */
	const char *by;	    /* who decided, "" nobody yet */
	const char *text;   /* what came of it, or why not */
};

struct lnx_svc_enforce {
	uint32_t size;
	uint32_t pad;
	/* Carry out a proposal. 0: it is under way, and events action.done tell how it goes. Else nothing is done:
	 * -EINVAL (no id, no <who>), -EXDEV (of another node), -ENOENT, -EALREADY (it was decided or expired before), -EPERM
	 * (refused: protected, over a limit, the process is gone), -ENOBUFS. <ret_text>: one sentence for people, always. */
	int (*approve)(void *self, const char *id, const char *who, char *ret_text,
		       uint32_t text_cap);
	/* Turn a proposal down. */
	int (*reject)(void *self, const char *id, const char *who, char *ret_text,
		      uint32_t text_cap);
	/* Take back one that is in force, where that can be done. */
	int (*undo)(void *self, const char *id, const char *who, char *ret_text, uint32_t text_cap);
	/* 0, -EINVAL, -EXDEV, -ENOENT: not in memory. */
	int (*get)(void *self, const char *id, struct lnx_action *ret_action);
	/* Those in memory, newest first. <each> returning non-zero stops. Returns how many were visited. */
	int (*each)(void *self, int (*each)(void *arg, const struct lnx_action *a), void *arg);
};

#endif
