/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rule engine: its state, and the functions that its files offer each other. Those with L only run inside of
 * lnx_lua_call; they raise. */
#ifndef LNX_LUA_ENGINE_H
#define LNX_LUA_ENGINE_H

#include "lua_key.h"

/* A fact that a condition looked at; of a series also which of its figures, else NULL. */
struct lnx_read {
	const char *name, *part, *unit;
	double value;
};

/* The rules that want one event type. */
struct lnx_rule_route {
	struct lnx_rules *rules;
	struct lnx_sub_handle *sub;
	struct lnx_rule_want {
		struct lnx_rule *rule;
		struct lnx_rule_on *on;
	} * wants;
	unsigned n;
};

/* A fact of the machine: field of host.sample and the name that rules use ("psi.cpu.some"). */
struct lnx_host_fact {
	const struct lnx_field *field;
	char path[32];
	bool is_mean; /* over a longer `every`: the mean; else the last */
};

struct lnx_rule_test {
	char name[128];
	unsigned file;
	int line, feed, fires; /* references */
};

struct lnx_parse;

struct lnx_rules {
	struct lnx_rules_conf conf;
	struct lnx_lua *lua;
	struct lnx_rule_file *files;
	struct lnx_rule **rules;
	struct lnx_rule_test *tests;
	unsigned n_files, n_rules, n_tests, n_errors;
	struct lnx_buf errors_json;  /* elements, no brackets */
	struct lnx_buf refused_json; /* the same of a set that was not taken */
	uint64_t refused_hash;
	bool has_refused;
	uint64_t hash;
	struct lnx_rule_route routes[LNX_MAX_TYPES]; /* by dense index of the type */
	struct lnx_key **timers;		     /* heap by due_ns */
	unsigned n_timers, cap_timers;
	uint64_t now_ns;
	bool is_timers_short; /* memory for the heap ran out */
	/* of the evaluation that runs */
	struct lnx_rule *rule;
	struct lnx_key *key;
	const struct lnx_event *ev;
	struct lnx_read reads[LNX_RULE_READS];
	unsigned n_reads;
	bool is_reading;
	/* facts */
	const struct lnx_event_desc *host_desc;
	struct lnx_host_fact facts[LNX_HOST_FACTS];
	unsigned n_facts;
	double host_now[LNX_HOST_FACTS], host_view[LNX_HOST_FACTS];
	const double *host;
	int ref_ev, ref_w, ref_host; /* objects of the state */
	int ref_series[LNX_RULE_SERIES];
	int ref_fields[LNX_MAX_TYPES]; /* name -> field, by index of the type; 0: not made */
	/* alerts go here: the bus, or a test */
	int (*emit)(struct lnx_rules *r, const struct lnx_event *ev);
	void *emit_arg;
	/* of a test: the tree of a process, instead of the process table */
	uint32_t (*test_root)(struct lnx_rules *r, uint32_t pid, uint32_t ppid);
	int only_file; /* -1: rules of all files run */
	bool has_tree; /* <tree> is the root of the event being handled */
	struct lnx_subject tree;
	uint64_t alerts_lost;	/* with those of the sets before */
	uint64_t denied_before; /* allocations that were refused to the sets before */
	struct lnx_metric *m_lost, *m_denied;
	const struct lnx_key *alerting; /* whose alert is being emitted */
	struct lnx_parse *loading;	/* NULL: no file is being loaded */
	bool is_ticking; /* alerts wait in <late>: no handler runs that would put them behind it */
	struct lnx_buf late; /* events, each padded to 8 bytes */
	bool is_started;
	struct lnx_buf *rehearsal; /* errors of lnx_rules_rehearse, while it runs */
};

/* lua_host.c */
/* Publish what waits in <late>. */
void lnx_rules_flush(struct lnx_rules *r);
/* No event comes in any more. */
void lnx_rules_stop(struct lnx_rules *r);

/* lua_eval.c */
#define LNX_EVAL_TIMER_WORK \
	20 /* instructions that a timer counts for, in a test, beside those of Lua */
int lnx_eval_event(void *route, const struct lnx_event *ev);
void lnx_eval_timers(struct lnx_rules *r, uint64_t now_ns);
/* A key is going away: what fires is resolved. */
void lnx_eval_drop(struct lnx_rules *r, struct lnx_key *key);
/* Forget all windows, states and timers. */
void lnx_eval_reset(struct lnx_rules *r);

/* lua_by.c */
/* The key of <ev>, or NULL: the event lacks a part of it, or memory is short; that is counted. */
struct lnx_key *lnx_by_key(struct lnx_rules *r, struct lnx_rule *rule, const struct lnx_rule_on *on,
			   const struct lnx_event *ev);

/* lua_call.c: calls of a rule's functions. Each returns 0 or -errno after having counted the failure. */
int lnx_call_when(struct lnx_rules *r, struct lnx_rule *rule, bool *ret_is_true);
int lnx_call_where(struct lnx_rules *r, struct lnx_rule *rule, bool *ret_is_true);
int lnx_call_severity(struct lnx_rules *r, struct lnx_rule *rule, uint32_t *ret_severity);
/* The rule does nothing from now on; its functions go. */
void lnx_call_drop(struct lnx_rules *r, struct lnx_rule *rule);
int lnx_call_say(struct lnx_rules *r, struct lnx_rule *rule, char *buf, size_t cap);

/* lua_hog.c: the rule that holds most of the memory of all, or NULL: none holds much. Not inside of a call. */
struct lnx_rule *lnx_hog_find(struct lnx_rules *r);

/* lua_alert.c */
/* At most <max> of the <n> bytes of <s>, cut at a whole UTF-8 character. */
size_t lnx_alert_cut(const char *s, size_t n, size_t max);
/* Publish the state of <key>; state: enum lnx_alert_state. may_ask: it was not worth an action before. */
void lnx_alert_emit(struct lnx_rules *r, struct lnx_key *key, uint32_t state, uint32_t severity,
		    bool may_ask);
/* It fires on, and what it asked for is over by now. */
bool lnx_alert_is_ask_due(const struct lnx_rules *r, const struct lnx_key *key);
/* Ask again, without a new alert. */
void lnx_alert_ask(struct lnx_rules *r, struct lnx_key *key);
/* The key for people; "" without one. */
void lnx_alert_key_text(const struct lnx_key *key, char *buf, size_t cap);
/* The counter of alerts of <rule>, made when it is first asked for; NULL: refused. There are metrics. */
struct lnx_metric *lnx_alert_counter(struct lnx_rules *r, struct lnx_rule *rule, uint32_t severity);
void lnx_alert_disabled(struct lnx_rules *r, const struct lnx_rule *rule);
/* A window, "series.part" or fact as a word for later, or -ENOENT. */
int lnx_alert_figure(const struct lnx_rules *r, const struct lnx_rule *rule, const char *name,
		     size_t len);
/* The same for a name in a `say` template, which may also be one of the alert's own. */
int lnx_alert_name(const struct lnx_rules *r, const struct lnx_rule *rule, const char *name,
		   size_t len);

/* lua_tell.c: a call of the rule took so long */
void lnx_cost_add(struct lnx_rule *rule, uint64_t ns);
void lnx_rules_metrics(struct lnx_rules *r);

/* lua_test.c: from now on calls end when all of them together took conf.test_work */
void lnx_test_bound(struct lnx_rules *r);

/* lua_rehearse.c: the call of <rule> that failed would fail in the agent, too */
void lnx_rehearse_note(struct lnx_rules *r, struct lnx_rule *rule);

/* lua_cover.c: which lines of the rules' functions run */
void lnx_cover_begin(struct lnx_rules *r);
/* In place of the function of chunk <p> on top of the stack: one each of whose tests notes its outcome. It stays when that cannot
 * be done. Raises. */
void lnx_cover_load(lua_State *L, struct lnx_parse *p);
/* Append the coverage as TAP comments, and end it. */
void lnx_cover_end(struct lnx_rules *r, struct lnx_buf *tap);

/* lua_tree.c */
/* The process or tree that <ev> is about. */
void lnx_tree_subject(struct lnx_rules *r, const struct lnx_rule_on *on, const struct lnx_event *ev,
		      bool is_root, struct lnx_subject *ret_subject);

/* The same container or unit over its restarts, as text in <buf>: workload and container name, else container id, else path.
 * Bytes, or 0: nobody told who its cgroup is. */
size_t lnx_tree_container(const struct lnx_rules *r, const struct lnx_rule_on *on,
			  const struct lnx_event *ev, char *buf, size_t cap);

/* lua_build.c: events from Lua tables, for tests */
/* Build an event of <desc> from the table at <at> into <buf>. Returns bytes. */
size_t lnx_build_event(lua_State *L, const struct lnx_rules *r, const struct lnx_event_desc *desc,
		       int at, uint64_t ts_ns, void *buf, size_t cap);

#endif
