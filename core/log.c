/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Log lines on stderr, as text or JSON, with a rate limit per call site. A line is built on the stack and goes out in one
 * write, so lines of threads do not mix and logging works without memory. Losing a line is counted, never fatal. */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linnix/buf.h>

#define LOG_WINDOW_NS 5000000000u
#define LOG_BURST     10    /* lines of one call site in a window */
#define LOG_SITES     256   /* call sites with a window of their own; power of two */
#define LOG_PROBES    8	    /* slots looked at before a site takes the shared one */
#define LOG_MSG_MAX   2048  /* bytes of a message before escaping; the rest is cut */
#define LOG_LINE_MAX  16384 /* the longest message with each byte escaped, and the identity */
#define LOG_STALL_MS  20    /* wait for a reader that does not keep up, once per stall */
#define LOG_NAME_MAX  256   /* bytes shown of an instance, node or cluster name */

struct log_site {
	const char *fmt; /* NULL: free */
	uint64_t from_ns;
	uint32_t lines;
	uint32_t held; /* since the last line that went out */
};

/* The one piece of global state: what a line looks like, and what was written lately. */
static struct {
	atomic_int level, format;
	_Atomic(const struct lnx_ident *) ident;
	_Atomic(lnx_log_clock_fn) clock;
	atomic_bool is_stalled;
	atomic_uint_fast64_t suppressed, write_failed;
	pthread_mutex_t lock; /* of <sites>; held for a lookup only */
	struct log_site sites[LOG_SITES];
	struct log_site shared; /* sites that found no slot */
} lnx_log_state = { .level = LNX_INFO, .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const level_words[] = { "error", "warn", "info", "debug" };

static uint64_t log_now_ns(void)
{
	lnx_log_clock_fn clock = atomic_load(&lnx_log_state.clock);
	struct timespec ts;

	if (clock)
		return clock();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The slot of <fmt>: its own, one that is free or quiet for a window, or the shared one. */
static struct log_site *log_site_find(const char *fmt, uint64_t now_ns)
{
	size_t first = (size_t)(((uintptr_t)fmt * 0x9e3779b97f4a7c15u) >> 32), i;
	struct log_site *s, *spare = NULL;

	for (i = 0; i < LOG_PROBES; i++) {
		s = &lnx_log_state.sites[(first + i) % LOG_SITES];
		if (s->fmt == fmt)
			return s;
		if (!spare && (!s->fmt || (!s->held && now_ns - s->from_ns >= LOG_WINDOW_NS)))
			spare = s;
	}
	if (!spare)
		return &lnx_log_state.shared;
	memset(spare, 0, sizeof(*spare));
	spare->fmt = fmt;
	spare->from_ns = now_ns;
	return spare;
}

/* May <fmt> be written now? *ret_held: lines held back since the last one. */
static bool log_admit(const char *fmt, uint32_t *ret_held)
{
	uint64_t now_ns = log_now_ns();
	struct log_site *s;
	bool admit;

	pthread_mutex_lock(&lnx_log_state.lock);
	s = log_site_find(fmt, now_ns);
	if (now_ns - s->from_ns >= LOG_WINDOW_NS) {
		s->from_ns = now_ns;
		s->lines = 0;
	}
	admit = s->lines < LOG_BURST;
	if (admit) {
		s->lines++;
		*ret_held = s->held;
		s->held = 0;
	} else {
		s->held++;
	}
	pthread_mutex_unlock(&lnx_log_state.lock);
	if (!admit)
		atomic_fetch_add(&lnx_log_state.suppressed, 1);
	return admit;
}

/* Is there room for a line? A reader that stands still costs LOG_STALL_MS once, then nothing until it reads again. */
static bool log_has_room(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	int wait_ms = atomic_load(&lnx_log_state.is_stalled) ? 0 : LOG_STALL_MS;
	bool has_room = poll(&p, 1, wait_ms) > 0;

	atomic_store(&lnx_log_state.is_stalled, !has_room);
	return has_room;
}

static int log_write_all(const char *line, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		if (!log_has_room())
			return -EAGAIN;
		n = write(STDERR_FILENO, line + done, size - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return -EIO;
		else if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

/* Write with SIGPIPE held off in this thread: a log reader that goes away must not end the agent. */
static void log_write(const char *line, size_t size)
{
	struct timespec zero = { 0 };
	sigset_t pipe_set, old, pending;
	bool was_pending;
	int r;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	r = log_write_all(line, size);
	if (r == -EPIPE && !was_pending)
		(void)sigtimedwait(&pipe_set, NULL,
				   &zero); /* none pending when SIGPIPE is ignored */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		atomic_fetch_add(&lnx_log_state.write_failed, 1);
}

/* Text with what could forge a line or move a terminal escaped: controls, C1 controls, bytes that are not UTF-8. */
static void log_add_plain(struct lnx_buf *b, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i = 0, k;

	while (i < n) {
		k = lnx_utf8_len(p + i, n - i);
		if (p[i] == '\n')
			lnx_buf_str(b, "\\n");
		else if (p[i] == '\t')
			lnx_buf_str(b, "\\t");
		else if (k == 0 || p[i] < 0x20 || p[i] == 0x7f)
			lnx_buf_printf(b, "\\x%02x", p[i]);
		else if (k == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)
			lnx_buf_printf(b, "\\u%04x", p[i + 1]);
		else
			lnx_buf_add(b, s + i, k);
		i += k ? k : 1;
	}
}

static void log_add_ts(struct lnx_buf *b)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	lnx_buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		       tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ts.tv_nsec / 1000000));
}

static void log_kv(struct lnx_buf *b, const char *key, const char *value)
{
	if (!value)
		value = "";
	lnx_json_key(b, key);
	lnx_json_bytes(b, value, strnlen(value, LOG_NAME_MAX));
}

static void log_line_json(struct lnx_buf *b, const char *instance, int level, const char *msg)
{
	static const struct lnx_ident nobody = { 0 };
	const struct lnx_ident *id = atomic_load(&lnx_log_state.ident);

	if (!id)
		id = &nobody;
	lnx_buf_str(b, "{\"ts\":\"");
	log_add_ts(b);
	lnx_buf_char(b, '"');
	log_kv(b, "level", level_words[level]);
	lnx_json_key(b, "msg");
	lnx_json_str(b, msg);
	log_kv(b, "instance", instance ? instance : "core");
	log_kv(b, "node", id->node);
	log_kv(b, "cluster", id->cluster);
	log_kv(b, "boot_id", id->boot_id);
	lnx_json_kv_u64(b, "schema", 1);
	lnx_buf_str(b, "}\n");
}

static void log_line_text(struct lnx_buf *b, const char *instance, int level, const char *msg)
{
	log_add_ts(b);
	lnx_buf_printf(b, " %-5s ", level_words[level]);
	if (instance) {
		log_add_plain(b, instance, strnlen(instance, LOG_NAME_MAX));
		lnx_buf_str(b, ": ");
	}
	log_add_plain(b, msg, strlen(msg));
	lnx_buf_char(b, '\n');
}

/* Format into msg[LOG_MSG_MAX]: what does not fit is cut, and "… (N more like this)" still fits. */
static void log_format(char *msg, uint32_t held, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void log_format(char *msg, uint32_t held, const char *fmt, va_list ap)
{
	const size_t room = LOG_MSG_MAX - 64;
	int n = vsnprintf(msg, room, fmt, ap);
	size_t size;

	if (n < 0)
		(void)snprintf(msg, room, "(a message that could not be formatted)");
	size = strlen(msg);
	if (n > 0 && (size_t)n >= room) {
		while (size && ((unsigned char)msg[size - 1] & 0xc0) == 0x80)
			size--; /* not in the middle of a character */
		if (size && (unsigned char)msg[size - 1] >= 0xc0)
			size--;
		size += (size_t)snprintf(msg + size, 8, "…");
	}
	if (held)
		(void)snprintf(msg + size, 48, " … (%u more like this)", held);
}

void lnx_log_from(const char *instance, int level, const char *fmt, va_list ap)
{
	char msg[LOG_MSG_MAX], line[LOG_LINE_MAX];
	struct lnx_buf b = { .data = line, .cap = sizeof(line), .max = sizeof(line) };
	int saved = errno;
	uint32_t held = 0;

	if (level < LNX_ERROR)
		level = LNX_ERROR;
	if (level > LNX_DEBUG)
		level = LNX_DEBUG;
	if (level > atomic_load(&lnx_log_state.level) || !log_admit(fmt, &held))
		return;
	log_format(msg, held, fmt, ap);
	if (atomic_load(&lnx_log_state.format) == LNX_LOG_JSON)
		log_line_json(&b, instance, level, msg);
	else
		log_line_text(&b, instance, level, msg);
	if (lnx_buf_error(&b))
		atomic_fetch_add(&lnx_log_state.write_failed, 1);
	else
		log_write(b.data, b.size);
	errno = saved;
}

void lnx_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lnx_log_from(NULL, level, fmt, ap);
	va_end(ap);
}

void lnx_log_init(int level, int format)
{
	atomic_store(&lnx_log_state.format, format);
	lnx_log_set_level(level);
}

void lnx_log_set_level(int level)
{
	atomic_store(&lnx_log_state.level, level);
}

int lnx_log_level_parse(const char *word)
{
	int i;

	for (i = LNX_ERROR; i <= LNX_DEBUG; i++)
		if (strcmp(word, level_words[i]) == 0)
			return i;
	return -EINVAL;
}

void lnx_log_set_ident(const struct lnx_ident *ident)
{
	atomic_store(&lnx_log_state.ident, ident);
}

void lnx_log_set_clock(lnx_log_clock_fn mono_ns)
{
	atomic_store(&lnx_log_state.clock, mono_ns);
}

void lnx_log_lost(uint64_t *ret_suppressed, uint64_t *ret_write_failed)
{
	*ret_suppressed = atomic_load(&lnx_log_state.suppressed);
	*ret_write_failed = atomic_load(&lnx_log_state.write_failed);
}

int lnx_err_set(struct lnx_err *err, int rc, const char *fmt, ...)
{
	va_list ap;
	char *p;

	if (!err)
		return rc;
	err->line = err->column = 0;
	va_start(ap, fmt);
	if (vsnprintf(err->msg, sizeof(err->msg), fmt, ap) < 0)
		err->msg[0] = 0;
	va_end(ap);
	for (p = err->msg; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* the text may go to a terminal as it is */
	return rc;
}
