/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rule engine: one sandboxed Lua state per rule set, rules fed from the bus. Loop thread only. */
#ifndef LNX_LUA_HOST_H
#define LNX_LUA_HOST_H

#include "bus.h"
#include "log.h"
#include "metrics.h"
#include <linnix/buf.h>
#include <linnix/svc_proc.h>
#include <stdatomic.h>
#include <stdbool.h>

#define LNX_RULES_VERSION   1		 /* of the language: `linnix = 1` in a rule file */
#define LNX_RULES_TEST_WORK 500000000ULL /* instructions that all tests of a set may take */

struct lnx_rules;
struct lnx_tags;

struct lnx_rules_conf {
	const char *const *dirs;  /* rules.dir; NULL at the end */
	const char *const *files; /* instead of dirs, for `linnix rules check`; may be NULL */
	struct lnx_bus *bus;	  /* NULL: only check */
	struct lnx_registry *registry;
	struct lnx_metrics *metrics; /* may be NULL */
	size_t memory_max;	     /* of the state; 0: 32 MiB */
	uint64_t budget;	     /* instructions a call; 0: 1,000,000 */
	uint64_t test_work;	     /* of all tests, or of a rehearsal; 0: LNX_RULES_TEST_WORK */
	/* Set by another thread: loading and tests end soon, the set is not wanted. NULL: never. Until lnx_rules_start. */
	const atomic_bool *stop;
	/* Process table, or NULL; asked when a rule needs it. */
	const struct lnx_svc_proc *(*proc)(void *arg, void **ret_self);
	void *arg;
	unsigned generation; /* told in GET /rules; 0: 1 */
	bool is_covering; /* only for lnx_rules_test: the outcome of each test of the text is noted */
	/* Names of cgroups, or NULL: then rules know none. */
	const struct lnx_tags *tags;
	/* Unix time of a CLOCK_BOOTTIME, for GET /rules; may be NULL. */
	uint64_t (*wall_ns)(void *arg, uint64_t boot_ns);
};

/* Load every *.lua of the directories, in name order. A bad file is an error line in <errors> ("file:line: text\n") and is
 * left out; the others run. Returns 0 or -ENOMEM. */
int lnx_rules_new(const struct lnx_rules_conf *conf, struct lnx_buf *errors,
		  struct lnx_rules **ret_rules);
/* Windows, timers and subscriptions go with it. */
void lnx_rules_free(struct lnx_rules *r);
/* Subscribe to the bus and begin. */
int lnx_rules_start(struct lnx_rules *r);
/* <to> has been started and takes the place of <from>, which stops: what fires in rules that are no more is resolved, and
 * rules whose file has the same bytes keep their windows, timers, states and counters. Those that were disabled stay so,
 * unless <is_asked>. <from> is only good for lnx_rules_free then. Not from a handler. */
void lnx_rules_succeed(struct lnx_rules *to, struct lnx_rules *from, bool is_asked);
/* Once a turn of the loop at most: evaluates rules with `every`, `lasting`, `cooldown` that are due at bus time. */
void lnx_rules_tick(struct lnx_rules *r, uint64_t now_ns);
/* When lnx_rules_tick must be called next (CLOCK_BOOTTIME), or UINT64_MAX. */
uint64_t lnx_rules_next_ns(const struct lnx_rules *r);
/* The object of GET /rules: {generation,hash,errors[],rules[]}. */
void lnx_rules_json(const struct lnx_rules *r, struct lnx_buf *out);
/* Bring the metrics of each rule up to date. */
void lnx_rules_collect(const struct lnx_rules *r);
unsigned lnx_rules_count(const struct lnx_rules *r);
unsigned lnx_rules_errors(const struct lnx_rules *r);
/* Of the bytes of all files, in their order. */
uint64_t lnx_rules_hash(const struct lnx_rules *r);
/* GET /rules tells the errors of <attempt> (may be NULL: none) as those of a set that was refused. */
void lnx_rules_refused(struct lnx_rules *r, const struct lnx_rules *attempt);
/* Run the tests of a set that is to be started; one that fails is an error as those of loading.
 * Returns 0, -EINVAL, -ECANCELED (conf.stop) or -ENOMEM. */
int lnx_rules_vet(struct lnx_rules *r, struct lnx_buf *errors);
/* Rules disabled after failures; first such name or NULL. */
const char *lnx_rules_disabled(const struct lnx_rules *r, unsigned *ret_n);
/* Calls of rules that failed so far. <why>: how the last one of the first such rule did, "file:line: text"; "" when none did. */
uint64_t lnx_rules_failed(const struct lnx_rules *r, char *why, size_t cap);
/* Feed made-up events to a set that is not to be started: errors that do not hang on what real ones hold (a wrong name, a
 * wrong result, an endless loop) are added as those of loading. Returns 0 or -ENOMEM. */
int lnx_rules_rehearse(struct lnx_rules *r, struct lnx_buf *errors);
/* Run the test{} blocks in virtual time. Appends a TAP document, with the coverage of the rules' functions in comments.
 * Returns failures. */
int lnx_rules_test(struct lnx_rules *r, struct lnx_buf *tap, unsigned *ret_tests);

#endif
