/* SPDX-License-Identifier: MIT */
/* The plugin contract, version 1. A plugin is one shared object that exports one symbol, linnix_plugin_v1().
 *
 * Life: init -> start -> on_event* -> stop -> fini, all on the loop thread. No static state: one object may be loaded as
 * several instances. A plugin sees only the headers of linnix/ and its own libraries. Both sides test `size` before
 * they read a later member, so old plugins run on new cores and new plugins on old cores. Append only. */
#ifndef LINNIX_PLUGIN_H
#define LINNIX_PLUGIN_H

#include <linnix/event.h>
#include <linnix/host.h>
#include <stdint.h>

#define LNX_ABI_MAJOR 1
#define LNX_ABI_MINOR 0

#define LNX_EXPORT __attribute__((visibility("default")))

/* Option types (enum lnx_option_type) and what lies at <offset> of the conf struct. */
#define LNX_OPT_BOOL	 1 /* uint32_t 0 or 1 */
#define LNX_OPT_U32	 2 /* uint32_t in min..max */
#define LNX_OPT_U64	 3 /* uint64_t in min..max */
#define LNX_OPT_F64	 4 /* double in min..max */
#define LNX_OPT_STR	 5 /* const char *, never NULL once bound */
#define LNX_OPT_LIST	 6 /* const char *const *, NULL at the end, never NULL; env: comma separated */
#define LNX_OPT_DURATION 7  /* uint64_t ns; written 250ms, 10s, 5m, 1h, 1d */
#define LNX_OPT_SIZE	 8  /* uint64_t bytes; written 64KiB, 8MiB, 1GiB, or a number */
#define LNX_OPT_ENUM	 9  /* uint32_t index into <names> */
#define LNX_OPT_PATH	 10 /* const char *, never NULL; a leading ~ is not expanded */

/* Option flags. */
#define LNX_OPTF_SECRET	  1 /* printed as *** everywhere */
#define LNX_OPTF_RELOAD	  2 /* may change on reload; others need a restart, and a reload says so */
#define LNX_OPTF_REQUIRED 4
#define LNX_OPTF_ONCE \
	8 /* read in init and start only: wiped when they are through; its variable is, at once */

/* One key of a plugin's section. <def> is text in the same form as the file's ("10s", "", "a,b"). A key may hold dots
 * for nested maps: "llm.endpoint". */
struct lnx_option {
	const char *key;
	uint32_t type; /* enum lnx_option_type */
	uint32_t offset;
	const char *def;
	double min, max; /* of numbers, durations (ns) and sizes (bytes); both 0: no range */
	const char *const *names;
	uint32_t flags;
	uint32_t pad;
	const char *help; /* one plain sentence */
};

/* Stages, in this order. A later stage may rely on an earlier one having seen the event. */
#define LNX_STAGE_STATE	 10
#define LNX_STAGE_DETECT 20
#define LNX_STAGE_JUDGE	 30
#define LNX_STAGE_EXPORT 40

/* A subscription. <queue> 0: in place; N: a bounded ring drained by the loop, newest dropped and counted when full.
 * The name "*" is every type. */
struct lnx_sub {
	const char *event;
	uint32_t stage;
	uint32_t queue;
};

/* A verb of the command line, run inside `linnix`, no agent needed. argv[0] is the verb. Returns the exit code. */
struct lnx_command {
	const char *name;
	const char *usage; /* "parse [PATH...]" */
	const char *help;  /* one line */
	int (*run)(int argc, char **argv);
};

/* Plugin flags. */
#define LNX_PLUGINF_OFF	  1 /* loads only when its section says enabled: true */
#define LNX_PLUGINF_VITAL 4 /* without it the agent does not run: a failed init or start ends it */
#define LNX_PLUGINF_NEVER 2 /* only brings commands: no instance is made */
#define LNX_PLUGINF_NEEDED \
	8 /* with OFF: loads also when a plugin that is on needs what it provides */

struct lnx_plugin {
	uint32_t size; /* sizeof when the plugin was built */
	uint16_t abi_major, abi_minor;
	const char *name, *version, *summary;
	const struct lnx_option *options; /* key NULL at the end; NULL: no options */
	uint32_t conf_size, n_subs;
	const struct lnx_sub *subs;
	const char *const *
		needs; /* services, "proc/1"; one that ends in '?' is optional; NULL at the end; may be NULL */
	const struct lnx_command *commands; /* name NULL at the end; may be NULL */
	/* Check the configuration, take what may fail. <conf> is borrowed until fini or a reload. Returns 0 or -errno. */
	int (*init)(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		    void **ret_state);
	/* All plugins are initialised: services may be asked for, timers armed. Optional. */
	int (*start)(void *state);
	/* One event, borrowed until the handler returns. Negative counts as a failure. Optional without subs. */
	int (*on_event)(void *state, const struct lnx_event *ev);
	/* New, valid configuration; the old one may be dropped afterwards. On failure nothing may have changed. Optional. */
	int (*reload)(void *state, const void *conf);
	/* Flush; timers and fds still work until fini. Optional. */
	void (*stop)(void *state);
	void (*fini)(void *state);
	const char *section; /* of the configuration, if not the name; may be NULL */
	uint32_t flags;	     /* LNX_PLUGINF_* */
	uint32_t pad;
	const char *const *
		provides; /* services it provides in init, "proc/1", NULL at the end; may be NULL */
	/* Bit mask of Linux capabilities that the agent, if it has them, keeps for an enabled instance of this plugin when it
	 * gives up the others. */
	uint64_t keep_caps;
	/* What the option table cannot say of <conf>: call <say> for each mistake, with the key that it is of. Looks at <conf>
	 * alone, never at the machine: it runs before init and before reload, and for --check-config. Optional. */
	void (*check)(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		      void *arg);
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void);

#endif
