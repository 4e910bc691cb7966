/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Log lines and error texts. The only module with a global: the level and the format. */
#ifndef LNX_LOG_H
#define LNX_LOG_H

#include <linnix/host.h>
#include <stdarg.h>

/* Text of a failure for the one who decides what to do. line and column 0: unknown. */
struct lnx_err {
	char msg[256];
	int line, column;
};

/* Fill <err> (may be NULL) and return <rc>. Clears line and column; control characters become '?'. */
int lnx_err_set(struct lnx_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* enum lnx_log_format */
#define LNX_LOG_TEXT 0
#define LNX_LOG_JSON 1

/* Set once before threads start; level may change on reload. Lines go to stderr; a failed write is counted. */
void lnx_log_init(int level, int format);
void lnx_log_set_level(int level);
/* -EINVAL for an unknown word. */
int lnx_log_level_parse(const char *word);
/* Identity for JSON lines; borrowed. */
void lnx_log_set_ident(const struct lnx_ident *ident);

/* Any thread. At most 10 lines per 5 s for one <fmt> pointer; what was held back is counted and said with the next line. */
void lnx_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for plugin <instance>. */
void lnx_log_from(const char *instance, int level, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* Time of the rate limit, CLOCK_MONOTONIC unless a test sets another. NULL: back to the real one. */
typedef uint64_t (*lnx_log_clock_fn)(void);
void lnx_log_set_clock(lnx_log_clock_fn mono_ns);

/* Lines held back by the rate limit and lines whose write failed (full disk), since the start. */
void lnx_log_lost(uint64_t *ret_suppressed, uint64_t *ret_write_failed);

#endif
