/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A rule as it was parsed, and its keys at run time. */
#ifndef LNX_LUA_RULE_H
#define LNX_LUA_RULE_H

#include "lua_filter.h"
#include "lua_host.h"
#include "lua_sandbox.h"
#include "lua_series.h"

#define LNX_RULES_MAX	    1024       /* of one rule set */
#define LNX_RULE_ONS	    8	       /* event types of one rule */
#define LNX_RULE_WINDOWS    8	       /* of one rule */
#define LNX_RULE_SERIES	    4	       /* of one rule */
#define LNX_RULE_BYS	    3	       /* parts of a key */
#define LNX_RULE_FILTERS    32	       /* values in one `where` */
#define LNX_RULE_KEYS	    4096       /* of one rule; the least used gives way */
#define LNX_RULE_KEYS_BYTES (2u << 20) /* memory of them: fewer keys when their windows are large */
#define LNX_RULE_ASK_NS \
	300000000000ULL /* between two requests of one alert, where no lease is given */
#define LNX_RULE_NAME	   64
#define LNX_RULE_FAILURES  3 /* of one function in a row, then it is disabled */
#define LNX_RULE_READS	   8 /* facts that one evaluation remembers as evidence */
#define LNX_RULE_TESTS	   1024
#define LNX_RULE_RECENT	   8  /* alerts of one rule that GET /rules tells */
#define LNX_RULE_COST_BINS 96 /* to 2^24 ns */
#define LNX_RULE_FIGURES   6  /* metrics beside those of alerts and evaluations */
#define LNX_HOST_FACTS	   64 /* fields of host.sample */
#define LNX_TIMED_ONE_IN \
	17 /* calls of a rule whose cost is measured: odd, as its functions take turns */

/* What a part of a key is. */
#define LNX_BY_TREE	 1
#define LNX_BY_FIELD	 2
#define LNX_BY_CONTAINER 3

/* enum lnx_rule_fn: functions of a rule */
#define LNX_FN_WHEN	0
#define LNX_FN_WHERE	1
#define LNX_FN_SEVERITY 2
#define LNX_FN_SAY	3
#define LNX_FN_N	4

/* What the functions of a rule have returned so far. */
#define LNX_SEEN_TRUE  1 /* `when` */
#define LNX_SEEN_FALSE 2
#define LNX_SEEN_INFO  4 /* a severity; shifted by it */

struct lnx_key;
struct lnx_rules;

struct lnx_rule_file {
	char *path; /* as it was found */
	uint64_t hash;
	uint8_t *ran;	/* bit for each line that ran, while coverage is measured */
	unsigned n_ran; /* bytes of it */
	struct lnx_branch
		*branches; /* tests of its text, with conf.is_covering; NULL: not told apart */
	unsigned n_branches;
	unsigned n_rules, n_tests;
};

/* A window or series on one event type. */
struct lnx_rule_feed {
	bool is_wanted;
	const struct lnx_field *of; /* NULL: none */
	struct lnx_filter *where;
	unsigned n_where;
};

/* An event type that a rule wants. */
struct lnx_rule_on {
	uint16_t type;
	bool is_trigger; /* `when` runs on it; else it only feeds windows */
	const struct lnx_event_desc *desc;
	const struct lnx_field *by[LNX_RULE_BYS]; /* NULL where the part is no field */
	const struct lnx_field *start, *cgroup, *comm, *ppid;
	struct lnx_filter *where;
	unsigned n_where;
	struct lnx_rule_feed feeds[LNX_RULE_WINDOWS + LNX_RULE_SERIES]; /* windows first */
};

/* What a rule asks enforcement for when it fires. */
struct lnx_rule_act {
	bool is_set;
	uint32_t verb, signal; /* verb: enum lnx_action_verb */
	double value;	       /* of throttle and weight, else NaN */
	uint64_t lease_ns;     /* 0: as enforcement is configured */
};

/* An alert as GET /rules tells it. */
struct lnx_rule_recent {
	uint64_t ts_ns; /* 0: none */
	uint32_t state, severity, pid;
	double value;
	char key[32], comm[17];
};

struct lnx_rule {
	char name[LNX_RULE_NAME];
	unsigned file; /* index of its file */
	int line;
	uint64_t every_ns, lasting_ns, keep_ns, cooldown_ns;
	unsigned lasting_windows; /* instead of lasting_ns */
	struct lnx_rule_on ons[LNX_RULE_ONS];
	unsigned n_ons, n_windows, n_series;
	unsigned by[LNX_RULE_BYS], n_bys;	   /* 0: one key for all */
	char by_text[LNX_RULE_BYS * LNX_WIN_NAME]; /* for people */
	struct lnx_window windows[LNX_RULE_WINDOWS];
	struct lnx_series series[LNX_RULE_SERIES];
	bool has_past;			/* it has windows or series: time alone can change it */
	uint64_t shortest_ns;		/* of the windows; 0: no window */
	uint64_t look_ns;		/* between looks at a key that is pending or firing */
	int when, where, severity, say; /* references of functions, or LUA_NOREF */
	uint32_t severity_is;
	char *say_text, *labels_json; /* NULL: none */
	int value;	  /* of the alert: a word of lua_alert.c, or -1: what `when` read first */
	double threshold; /* NaN: none */
	bool is_shadow;	  /* runs and only notes what it would have said */
	struct lnx_rule_act act;
	/* run time */
	struct lnx_key **table;
	void *totals; /* of share windows, over all keys */
	struct lnx_key *newest, *oldest;
	unsigned n_keys, max_keys, n_buckets;
	size_t key_bytes, text_bytes; /* of one; of all the texts that lie outside of their keys */
	double *host_sum, *host_weight; /* of `every` longer than a sample */
	uint64_t host_ns;
	bool is_disabled;
	unsigned seen;		     /* LNX_SEEN_* */
	unsigned failures[LNX_FN_N]; /* of each function, in a row */
	unsigned n_pending, n_firing;
	int error_line;
	char error[256];
	uint64_t evals, calls, fires, events, evicted, unkeyed, failed;
	uint64_t timed_ns, timed; /* of the calls whose cost was measured */
	uint32_t cost[LNX_RULE_COST_BINS];
	uint64_t ignored;	     /* alerts about workloads that are to be left alone */
	uint64_t acts, acts_aimless; /* requests published; those without a process or cgroup */
	struct lnx_rule_recent recent[LNX_RULE_RECENT];
	unsigned n_recent; /* ever */
	struct lnx_metric *m_alerts[3], *m_eval, *m_figures[LNX_RULE_FIGURES];
	double told[LNX_RULE_FIGURES]; /* what those counters have from this rule */
};

#endif
