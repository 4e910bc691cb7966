/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A Lua state that cannot hurt the agent: capped memory, a budget of instructions a call, text chunks only, and a
 * library without anything that reaches the host or runs long in C. Loop thread only. */
#ifndef LNX_LUA_SANDBOX_H
#define LNX_LUA_SANDBOX_H

#include "log.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LNX_LUA_MEMORY_BYTES (32u << 20)
#define LNX_LUA_BUDGET	     1000000u	/* instructions a call */
#define LNX_LUA_FILE_BYTES   (1u << 20) /* of a rule file */
#define LNX_LUA_STEP	     1000	/* instructions between two looks at the budget */
#ifndef LNX_LUA_CPU_NS			/* an instrumented build has its own */
#define LNX_LUA_CPU_NS 1000000000	/* of a call with that budget: a net, see lua_sandbox.c */
#endif
#define LNX_LUA_CPU_TIMES      10	 /* at most for a call with a larger one */
#define LNX_LUA_BYTES_PER_STEP 64	 /* of work in C that count as one instruction */
#define LNX_LUA_PATTERN_WORK   1000000.0 /* (len+1)^quantifiers of one pattern match */
#define LNX_LUA_TABLE_OPS      1000000	 /* elements that one table.move may touch */

/* enum lnx_lua_why: what a call went over */
#define LNX_LUA_OVER_BUDGET 0
#define LNX_LUA_OVER_TIME   1 /* of the CPU */
#define LNX_LUA_OVER_TOTAL  2 /* total_max */
#define LNX_LUA_STOPPED	    3

struct lnx_lua {
	lua_State *L;
	size_t used_bytes, peak_bytes, max_bytes;
	uint64_t budget; /* instructions a call */
	uint64_t limit;	 /* of the running call */
	uint64_t spent;	 /* by the running call */
	uint64_t unseen; /* of it, paid since somebody looked at the clock */
	uint64_t cpu_until_ns;
	uint64_t serial;	 /* of the running call */
	uint64_t total;		 /* spent by all calls so far, and what else the owner counts */
	uint64_t total_max;	 /* no call goes on beyond it; 0: no bound */
	const atomic_bool *stop; /* set by another thread: no call goes on; NULL: none does */
	bool is_running;	 /* a call runs */
	bool is_exceeded;	 /* it went over its budget */
	bool is_soon;		 /* the hook is set to come with the next instruction */
	unsigned why;		 /* enum lnx_lua_why, with is_exceeded */
	bool is_sure;	 /* the error of the running call does not hang on what an event holds */
	uint64_t denied; /* allocations refused by the cap */
	/* Called for each line that runs, or NULL. Set it, and lua_sethook to nothing, between two calls. */
	void (*on_line)(lua_State *L, lua_Debug *ar);
	void *owner; /* for C functions that rules call */
};

/* memory_max and budget 0: the defaults above. Returns 0 or -ENOMEM. */
int lnx_lua_new(size_t memory_max, uint64_t budget, struct lnx_lua **ret_lua);
void lnx_lua_free(struct lnx_lua *l);
struct lnx_lua *lnx_lua_of(lua_State *L);

/* Run <fn> with <arg> as its only argument (a light userdata), protected and with <budget> instructions (0: the default).
 * Returns 0, -EINVAL (Lua error), -ENOMEM (memory cap), -ETIME (budget). err->msg has no position; err->line is that of
 * the chunk, and err->column the number given to lnx_lua_load. */
int lnx_lua_call(struct lnx_lua *l, lua_CFunction fn, void *arg, uint64_t budget,
		 struct lnx_err *err);

/* The same for a function and its arguments on the stack; results are left there. What was pushed must not have taken
 * memory: outside of a call nothing may raise. */
int lnx_lua_pcall(struct lnx_lua *l, int n_args, int n_results, uint64_t budget,
		  struct lnx_err *err);

/* Inside of a call: push the function of a text chunk, with the environment at <env>. Raises. */
void lnx_lua_load(lua_State *L, unsigned chunk, const char *text, size_t bytes, int env);
/* Inside of a call: push a new environment: the safe library, each table a fresh one. Raises. */
void lnx_lua_env(lua_State *L);
/* Inside of a call: pay for work done in C; raises when the budget is gone. */
void lnx_lua_charge(lua_State *L, uint64_t instructions);
/* total_max is reached or <stop> is set: there is no use in further calls. */
bool lnx_lua_is_over(const struct lnx_lua *l);
/* Raise "unknown <what> '<name>' (did you mean '<near>'?)"; <near> may be NULL. */
int lnx_lua_unknown(lua_State *L, const char *what, const char *name, const char *near);

/* Split an error "#3:7: text" into chunk (err->column), line and text. <err> may be NULL. */
void lnx_lua_split(const char *msg, struct lnx_err *err);

/* <name> with control characters as \xNN, cut to <cap>. Returns buf. */
const char *lnx_lua_printable(const char *name, char *buf, size_t cap);

#endif
