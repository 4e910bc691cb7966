/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The command line `linnix`: what its verbs share. One process, one thread, one verb.
 *
 * Options, help texts, the man page and core/CLI.md all come from the tables of struct lnx_verb. */
#ifndef LNX_CLI_H
#define LNX_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes; see interfaces in core/CLI.md. */
#define LNX_EXIT_OK	     0
#define LNX_EXIT_FAILURE     1
#define LNX_EXIT_USAGE	     2
#define LNX_EXIT_UNREACHABLE 3
#define LNX_EXIT_FOUND	     4 /* what was asked to fail on is there */

#define LNX_CLI_MAX_OPTS  24 /* of one verb */
#define LNX_CLI_MAX_WORDS 64 /* of one command, options not counted */

/* One option of a verb. A table of them ends with a NULL name. */
struct lnx_cli_opt {
	const char *name; /* "sort" for --sort */
	const char *arg;  /* "KEY"; NULL: a flag */
	const char *help; /* one sentence */
	char letter;	  /* 'f' for -f, or 0 */
	bool is_hidden;	  /* for tests: not in help */
};

/* What was given. A value is "" for a flag and NULL when absent; the last one given wins. Borrowed from argv. */
struct lnx_cli_args {
	const struct lnx_cli_opt *opts;
	const char *value[LNX_CLI_MAX_OPTS];
	const char *words[LNX_CLI_MAX_WORDS];
	unsigned n_words;
};

/* Settings of this run: global options and the terminal. */
struct lnx_cli {
	const char *url;	/* --url or LINNIX_URL; NULL: the socket, then loopback */
	const char *token_file; /* --token-file */
	const char *ca_file;	/* --ca-file */
	const char *lib_dir;	/* --lib-dir; NULL: relative to the executable */
	char *token;		/* owned; NULL: none */
	bool is_json;
	bool is_headless; /* --no-headers */
	bool is_help;
	bool has_colour;
	unsigned columns; /* of the terminal; 0: not a terminal, nothing is cut */
};

struct lnx_verb {
	const char *name;
	const char *usage;   /* what follows the name */
	const char *summary; /* one line */
	const char *about;   /* paragraphs, split by an empty line; may be NULL */
	const struct lnx_cli_opt *opts;
	int (*run)(struct lnx_cli *cli, const struct lnx_cli_args *args); /* returns an exit code */
	/* Subcommands that read their own words: argv[0] is the verb. Both NULL when there are none. */
	const char *const *raw_words;
	int (*raw)(int argc, char **argv);
};

/* The verbs of this program, in the order of the help; name NULL at the end. */
const struct lnx_verb *lnx_verbs(void);
const struct lnx_verb *lnx_verb_find(const char *name);
/* Options that every verb knows. */
const struct lnx_cli_opt *lnx_cli_globals(void);

/* Take argv[*io_i] (and its value) if it is a global option. Returns 1 taken, 0 not one, -EINVAL said on stderr. */
int lnx_cli_global(struct lnx_cli *cli, int argc, char **argv, int *io_i);
/* Read the words after the verb. Returns 0 or -EINVAL, said on stderr with what was meant. */
int lnx_cli_parse(struct lnx_cli *cli, const struct lnx_verb *verb, int argc, char **argv,
		  struct lnx_cli_args *ret_args);
/* Environment, token and terminal; after all options. Returns 0 or -errno, said on stderr. */
int lnx_cli_setup(struct lnx_cli *cli);
void lnx_cli_done(struct lnx_cli *cli);

/* Value of option <name>, or NULL. */
const char *lnx_cli_arg(const struct lnx_cli_args *args, const char *name);
/* Whole number of option <name> in min..max, or <def>. Returns 0 or -EINVAL, said on stderr. */
int lnx_cli_arg_u64(const struct lnx_cli_args *args, const char *name, unsigned long long def,
		    unsigned long long min, unsigned long long max, unsigned long long *ret_v);
/* Duration of option <name> ("250ms", "5m") in min..max; *ret_ns stays as it is when absent. Returns 0 or -EINVAL, said. */
int lnx_cli_arg_duration(const struct lnx_cli_args *args, const char *name,
			 unsigned long long min_ns, unsigned long long max_ns, uint64_t *ret_ns);
/* Of the monotonic clock. */
uint64_t lnx_cli_now_ns(void);
/* Say "linnix: …" on stderr; what came from outside is escaped by the caller or here: the whole line is made safe. */
void lnx_cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Say it, point to the verb's help, return LNX_EXIT_USAGE. */
int lnx_cli_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Verbs, one file each. */
int lnx_cli_help(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_version(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_ps(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_workloads(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_events(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_plugins(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_rules_list(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_doctor(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_record(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_replay(struct lnx_cli *cli, const struct lnx_cli_args *args);
extern const struct lnx_cli_opt lnx_record_opts[], lnx_replay_opts[], lnx_blame_opts[],
	lnx_selftest_opts[], lnx_ps_opts[], lnx_workloads_opts[], lnx_events_opts[],
	lnx_doctor_opts[], lnx_help_opts[], lnx_plugins_opts[];
int lnx_cli_blame(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_selftest(struct lnx_cli *cli, const struct lnx_cli_args *args);
extern const struct lnx_cli_opt lnx_incidents_opts[], lnx_silence_opts[], lnx_actions_opts[];
int lnx_cli_actions(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_incidents(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_silence(struct lnx_cli *cli, const struct lnx_cli_args *args);
extern const struct lnx_cli_opt lnx_task_opts[];
int lnx_cli_task(struct lnx_cli *cli, const struct lnx_cli_args *args);
/* `incidents verify`: reads the file, no agent needed. argv[0] is "incidents". */
int lnx_cli_incidents_verify(int argc, char **argv);

/* Long output for a terminal goes through $PAGER (default less -FRX) from here on; elsewhere nothing happens. */
void lnx_pager_begin(const struct lnx_cli *cli);
/* Wait until it has been read. */
void lnx_pager_end(void);

/* `rules check` and `rules test`: no agent needed. argv[0] is "rules". */
int lnx_cli_rules(int argc, char **argv);

/* `workloads parse`: no agent needed. argv[0] is "workloads". */
int lnx_cli_workloads_parse(int argc, char **argv);

/* Follow the stream, print what comes (events -f); print the field tables (events --fields). */
int lnx_cli_follow(struct lnx_cli *cli, const struct lnx_cli_args *args);
int lnx_cli_fields(struct lnx_cli *cli, const struct lnx_cli_args *args);
/* plugins --options */
int lnx_cli_options(struct lnx_cli *cli, const struct lnx_cli_args *args);

/* Help of one verb, or of all. */
void lnx_help_verb(const struct lnx_verb *verb);
void lnx_help_all(const struct lnx_cli *cli);

/* Run verb argv[0] of a plugin next to the executable. Returns its exit code, or -ENOENT: no plugin brings it. */
int lnx_brought_run(const struct lnx_cli *cli, int argc, char **argv);
/* Call <each> for every verb that plugins bring. */
void lnx_brought_each(const struct lnx_cli *cli,
		      void (*each)(void *arg, const char *plugin, const char *name,
				   const char *usage, const char *help),
		      void *arg);

#endif
