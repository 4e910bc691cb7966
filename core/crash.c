/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The crash table: a small shared mapping that outlives the process. The loop, and each worker for itself, keeps the index of
 * the plugin that runs; a handler of fatal signals marks the crash; the next start turns the mark into a dated record. */
#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "instance.h"

#define LNX_CRASH_MAGIC	  0x6c6e7863u
#define LNX_CRASH_NAMES	  LNX_MAX_INSTANCES
#define LNX_CRASH_RECORDS 32
#define LNX_CRASH_WINDOW  (600ull * 1000000000)
#define LNX_CRASH_STACK	  65536 /* bytes; only what a crash uses is ever touched */

struct lnx_crash_table {
	uint32_t magic;
	volatile uint32_t running; /* index + 1 of the plugin whose code runs; 0: none */
	volatile uint32_t crashed; /* set by the signal handler: the value of running */
	uint32_t next;
	char names[LNX_CRASH_NAMES][64];
	struct {
		uint64_t wall_ns;
		char name[64];
	} records[LNX_CRASH_RECORDS];
};

struct lnx_crash {
	struct lnx_crash_table *t;
	uint64_t wall_ns; /* of this start */
	unsigned n_names;
	struct lnx_crash_stack stack; /* of the loop */
};

/* The signal handler has no other way to its table, nor to what its thread runs. */
static struct lnx_crash_table *lnx_crash_current;
static _Thread_local volatile uint32_t lnx_crash_worker;      /* as table.running, of a worker */
static _Thread_local const volatile uint32_t *lnx_crash_mine; /* NULL: neither loop nor worker */

static const int lnx_crash_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
#define LNX_CRASH_SIGNALS (sizeof(lnx_crash_signals) / sizeof(lnx_crash_signals[0]))

static void lnx_crash_on_signal(int sig)
{
	if (lnx_crash_current && lnx_crash_mine)
		lnx_crash_current->crashed = *lnx_crash_mine;
	(void)raise(sig); /* SA_RESETHAND: the default action now */
}

static void lnx_crash_catch(void)
{
	struct sigaction sa = { 0 };
	size_t i;

	sa.sa_handler = lnx_crash_on_signal;
	sa.sa_flags = (int)(SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
	for (i = 0; i < LNX_CRASH_SIGNALS; i++)
		(void)sigaction(lnx_crash_signals[i], &sa, NULL); /* valid: cannot fail */
}

void lnx_crash_unblock(sigset_t *set)
{
	size_t i;

	for (i = 0; i < LNX_CRASH_SIGNALS; i++)
		(void)sigdelset(set, lnx_crash_signals[i]); /* valid: cannot fail */
}

/* Without memory for it only a crash by an overflow of the stack goes unmarked. */
static void lnx_crash_stack_set(struct lnx_crash_stack *s)
{
	stack_t own = { .ss_size = LNX_CRASH_STACK };

	memset(s, 0, sizeof(*s));
	own.ss_sp = mmap(NULL, LNX_CRASH_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (own.ss_sp == MAP_FAILED)
		return;
	if (sigaltstack(&own, &s->before) < 0)
		(void)munmap(own.ss_sp, LNX_CRASH_STACK); /* our own mapping */
	else
		s->bytes = own.ss_sp;
}

static void lnx_crash_stack_unset(struct lnx_crash_stack *s)
{
	if (!s->bytes)
		return;
	(void)sigaltstack(&s->before, NULL);	 /* what was there before is good */
	(void)munmap(s->bytes, LNX_CRASH_STACK); /* likewise */
	s->bytes = NULL;
}

void lnx_crash_thread_begin(struct lnx_crash_stack *ret_stack)
{
	lnx_crash_worker = 0;
	lnx_crash_mine = &lnx_crash_worker;
	lnx_crash_stack_set(ret_stack);
}

void lnx_crash_thread_run(int index)
{
	lnx_crash_worker = (uint32_t)(index + 1);
}

void lnx_crash_thread_end(struct lnx_crash_stack *s)
{
	lnx_crash_stack_unset(s);
	lnx_crash_mine = NULL;
}

static struct lnx_crash_table *lnx_crash_map(const char *path, struct lnx_err *err)
{
	char dir[4096];
	int fd;
	void *p;

	if (strlen(path) >= sizeof(dir)) {
		(void)lnx_err_set(err, 0, "path too long");
		return NULL;
	}
	memcpy(dir, path, strlen(path) + 1);
	(void)mkdir(dirname(dir), 0755); /* exists, or open() says why not */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(struct lnx_crash_table)) < 0) {
		(void)lnx_err_set(err, 0, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return NULL;
	}
	p = mmap(NULL, sizeof(struct lnx_crash_table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd); /* the mapping stays */
	if (p == MAP_FAILED) {
		(void)lnx_err_set(err, 0, "%s: %s", path, strerror(errno));
		return NULL;
	}
	return p;
}

/* A mark that the last run left behind becomes a record. */
static void lnx_crash_settle(struct lnx_crash *c)
{
	struct lnx_crash_table *t = c->t;
	uint32_t who = t->crashed;

	if (t->magic != LNX_CRASH_MAGIC)
		memset(t, 0, sizeof(*t));
	else if (who && who <= LNX_CRASH_NAMES) {
		uint32_t at = t->next++ % LNX_CRASH_RECORDS;

		t->records[at].wall_ns = c->wall_ns;
		memcpy(t->records[at].name, t->names[who - 1], sizeof(t->records[at].name) - 1);
		t->records[at].name[sizeof(t->records[at].name) - 1] = 0;
	}
	t->magic = LNX_CRASH_MAGIC;
	t->running = 0;
	t->crashed = 0;
	memset(t->names, 0, sizeof(t->names));
}

int lnx_crash_open(const char *path, uint64_t wall_ns, struct lnx_crash **ret_crash,
		   struct lnx_err *err)
{
	struct lnx_crash *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (!c)
		return -ENOMEM;
	c->wall_ns = wall_ns;
	if (*path)
		c->t = lnx_crash_map(path, err);
	if (!c->t) {
		rc = 1;
		c->t = mmap(NULL, sizeof(*c->t), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c->t == MAP_FAILED) {
			free(c);
			return -ENOMEM;
		}
	}
	lnx_crash_settle(c);
	lnx_crash_current = c->t;
	lnx_crash_mine = &c->t->running;
	lnx_crash_stack_set(&c->stack);
	lnx_crash_catch();
	*ret_crash = c;
	return rc;
}

void lnx_crash_close(struct lnx_crash *c)
{
	if (!c)
		return;
	c->t->running = 0;
	lnx_crash_current = NULL;
	lnx_crash_mine = NULL;
	lnx_crash_stack_unset(&c->stack);
	(void)munmap(c->t, sizeof(*c->t)); /* our own mapping */
	free(c);
}

int lnx_crash_index(struct lnx_crash *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->n_names; i++)
		if (!strncmp(c->t->names[i], name, sizeof(c->t->names[0]) - 1))
			return (int)i;
	if (c->n_names == LNX_CRASH_NAMES)
		return -ENOSPC;
	(void)snprintf(c->t->names[c->n_names], sizeof(c->t->names[0]), "%s",
		       name); /* a cut name is fine */
	return (int)c->n_names++;
}

void lnx_crash_run(struct lnx_crash *c, int index)
{
	c->t->running = (uint32_t)(index + 1);
}

int lnx_crash_running(const struct lnx_crash *c)
{
	return (int)c->t->running - 1;
}

unsigned lnx_crash_count(const struct lnx_crash *c, const char *name)
{
	unsigned i, n = 0;

	for (i = 0; i < LNX_CRASH_RECORDS; i++)
		n += !strcmp(c->t->records[i].name, name) &&
		     c->t->records[i].wall_ns <= c->wall_ns &&
		     c->wall_ns - c->t->records[i].wall_ns < LNX_CRASH_WINDOW;
	return n;
}
