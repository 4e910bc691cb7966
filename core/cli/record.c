/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `record`: pieces of GET /recording, put together in a file. What is written so far is always whole blocks: a
 * recording that is interrupted, by Ctrl-C or worse, can be read. A file of that name is replaced when the first piece
 * has come, and not before. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"
#include "rec.h"

/* Between two pieces when there is no more: the longer, the fuller their blocks; the shorter, the less a storm that begins
 * just now can push out of the agent's ring. */
#define RECORD_MIN_MS	50
#define RECORD_MAX_MS	1000
#define RECORD_A_LOT	2000 /* events of a piece: ask more often */
#define RECORD_A_LITTLE 500
#define RECORD_END_ROOM 4096u /* bytes for the end block: what is full can be read */

const struct lnx_cli_opt lnx_record_opts[] = {
	{ "for", "TIME", "record from now on for 60s, 5m …; Ctrl-C ends it earlier", 0, false },
	{ "last", "TIME", "save what the agent still keeps of the last 60s, 5m …", 0, false },
	{ "output", "FILE", "the recording; - is standard output", 'o', false },
	{ NULL, NULL, NULL, 0, false },
};

struct record {
	struct lnx_client *client;
	const struct lnx_registry *registry;
	const char *path; /* as it was given */
	char *target; /* the file to replace or make; owned. NULL: standard output, a pipe, a device */
	char *made; /* what is written until it replaces <target>; owned. NULL: no more */
	int fd;
	uint64_t bytes, begin_ns, for_ns, until_seq;
	unsigned every_ms;
	bool is_full;
	struct lnx_rec_tally tally;
};

static volatile sig_atomic_t record_is_over;

static void record_on_signal(int sig)
{
	(void)sig;
	record_is_over = 1;
}

static uint64_t record_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts); /* exists on every kernel we run on */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int record_cannot(const struct record *r, int error)
{
	lnx_cli_say("cannot write %s: %s", r->path, strerror(error));
	return LNX_EXIT_FAILURE;
}

static int record_write(struct record *r, const char *p, size_t n)
{
	while (n) {
		ssize_t got = write(r->fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return record_cannot(r, errno);
		p += got;
		n -= (size_t)got;
		r->bytes += (size_t)got;
	}
	return LNX_EXIT_OK;
}

/* Make a file beside the target. <old>: what is there now, whose owner and mode stay; NULL: nothing. */
static int record_make(struct record *r, const struct stat *old)
{
	static const char name[] = ".linnix-XXXXXX";
	const char *slash = strrchr(r->target, '/');
	size_t n = slash ? (size_t)(slash + 1 - r->target) : 0;

	r->made = malloc(n + sizeof(name));
	if (!r->made)
		return record_cannot(r, ENOMEM);
	memcpy(r->made, r->target, n);
	memcpy(r->made + n, name, sizeof(name));
	r->fd = mkostemp(r->made, O_CLOEXEC); /* 0600 */
	if (r->fd < 0) {
		int code = record_cannot(r, errno);

		free(r->made);
		r->made = NULL;
		return code;
	}
	/* who may not give it away keeps it */
	if (old && fchown(r->fd, old->st_uid, old->st_gid) == 0)
		(void)fchmod(r->fd, old->st_mode & 0777); /* it is ours: else it stays 0600 */
	return LNX_EXIT_OK;
}

/* Nothing that is there is changed yet. */
static int record_open(struct record *r)
{
	struct stat st;
	bool is_there = stat(r->path, &st) == 0;

	if (!is_there && errno != ENOENT)
		return record_cannot(r, errno);
	if (is_there && S_ISDIR(st.st_mode))
		return record_cannot(r, EISDIR);
	if (is_there && !S_ISREG(st.st_mode)) {
		r->fd = open(r->path, O_WRONLY | O_CLOEXEC);
		return r->fd < 0 ? record_cannot(r, errno) : LNX_EXIT_OK;
	}
	if (is_there) {
		r->target = realpath(r->path, NULL); /* a link stays one */
	} else {
		struct stat link;

		if (lstat(r->path, &link) == 0) {
			lnx_cli_say("cannot write %s: it is a link to a file that is not there",
				    r->path);
			return LNX_EXIT_FAILURE;
		}
		r->target = strdup(r->path);
	}
	return r->target ? record_make(r, is_there ? &st : NULL) : record_cannot(r, errno);
}

/* The first piece is written: from now on the file is the recording. */
static int record_place(struct record *r)
{
	if (!r->made)
		return LNX_EXIT_OK;
	if (rename(r->made, r->target) < 0)
		return record_cannot(r, errno);
	free(r->made);
	r->made = NULL;
	return LNX_EXIT_OK;
}

static int record_close(struct record *r, int code)
{
	if (r->fd >= 0 && r->fd != STDOUT_FILENO && close(r->fd) < 0)
		code = record_cannot(r, errno);
	if (r->made)
		(void)unlink(r->made); /* it never got its place, and nobody knows its name */
	free(r->made);
	free(r->target);
	return code;
}

/* One piece, written if it fits. *ret_is_gone: the agent was restarted, there is no more. */
static int record_piece(struct record *r, const char *path, bool *ret_is_gone)
{
	struct lnx_reply reply;
	int rc = lnx_client_get(r->client, path, &reply), code;

	if (rc < 0)
		return lnx_client_say(r->client, rc);
	*ret_is_gone = reply.status == 410;
	if (reply.status == 404)
		lnx_cli_say("this agent cannot record: is its plugin record there?");
	if (reply.status != 200) {
		code = lnx_client_say_status(r->client, &reply);
	} else if (r->bytes + reply.body.size + RECORD_END_ROOM > LNX_REC_FILE_MAX) {
		r->is_full = true;
		code = LNX_EXIT_OK;
	} else if (lnx_rec_tally(reply.body.data, reply.body.size, &r->tally) < 0) {
		lnx_cli_say("%s: the answer is not a piece of a recording",
			    lnx_client_target(r->client));
		code = LNX_EXIT_FAILURE;
	} else {
		code = record_write(r, reply.body.data, reply.body.size);
		if (code == LNX_EXIT_OK)
			code = record_place(r);
	}
	lnx_buf_done(&reply.body);
	return code;
}

/* Are we done? Waits a little when there is nothing more at the moment. */
static bool record_is_done(const struct record *r)
{
	uint64_t now, end = r->begin_ns + r->for_ns, wait_ns = r->every_ms * 1000000ULL;
	struct timespec t;

	if (record_is_over)
		return true;
	if (!r->for_ns)
		return r->tally.next_seq >= r->until_seq;
	now = record_now_ns();
	if (r->tally.next_seq < r->tally.newest_seq)
		return now > end + r->for_ns; /* a storm without an end: what is late is let go */
	if (now >= end)
		return true;
	if (end - now < wait_ns)
		wait_ns = end - now;
	t.tv_sec = (time_t)(wait_ns / 1000000000);
	t.tv_nsec = (long)(wait_ns % 1000000000);
	(void)nanosleep(&t, NULL); /* a signal ends the wait, and is seen next time */
	return false;
}

/* All pieces. Returns an exit code. */
static int record_all(struct record *r, uint64_t last_s)
{
	char path[64] = "/recording";
	bool is_gone = false;
	uint64_t n;
	int code;

	if (last_s)
		(void)snprintf(path, sizeof(path), "/recording?last_s=%" PRIu64, last_s);
	code = record_piece(r, path, &is_gone);
	r->until_seq = r->tally.newest_seq;
	while (code == LNX_EXIT_OK && !r->is_full && !record_is_done(r)) {
		(void)snprintf(path, sizeof(path), "/recording?since_seq=%" PRIu64,
			       r->tally.next_seq);
		n = r->tally.events;
		code = record_piece(r, path, &is_gone);
		n = r->tally.events - n;
		if (n > RECORD_A_LOT && r->every_ms > RECORD_MIN_MS)
			r->every_ms /= 2;
		else if (n < RECORD_A_LITTLE && r->every_ms < RECORD_MAX_MS)
			r->every_ms *= 2;
	}
	if (r->is_full)
		lnx_cli_say("ended: a recording holds at most %u MiB", LNX_REC_FILE_MAX >> 20);
	if (is_gone)
		lnx_cli_say("ended: the agent was restarted");
	return code;
}

static int record_end(struct record *r)
{
	struct lnx_buf end = { 0 };
	struct lnx_rec_writer *w = lnx_rec_writer_new(r->registry, &end);
	int code = LNX_EXIT_FAILURE;

	if (w) {
		lnx_rec_write_end(w, r->tally.events, r->tally.next_seq);
		if (lnx_rec_flush(w) == 0)
			code = record_write(r, end.data, end.size);
	}
	lnx_rec_writer_free(w);
	lnx_buf_done(&end);
	return code;
}

static void record_say(const struct record *r)
{
	struct lnx_buf text = { 0 };

	lnx_buf_printf(&text, "%s: %" PRIu64 " events, ", r->path, r->tally.events);
	lnx_text_bytes(&text, (double)r->bytes);
	if (!lnx_buf_error(&text))
		lnx_cli_say("%s", text.data);
	lnx_buf_done(&text);
}

static int record_run(struct record *r, const struct lnx_cli *cli, uint64_t last_s)
{
	struct sigaction on = { .sa_handler = record_on_signal };
	struct lnx_registry *registry = lnx_registry_new();
	int rc = registry ? lnx_client_new(cli, &r->client) : -ENOMEM, code;

	if (rc < 0) {
		lnx_registry_free(registry);
		return rc == -EINVAL ? LNX_EXIT_USAGE : LNX_EXIT_FAILURE;
	}
	r->registry = registry;
	(void)sigaction(SIGINT, &on, NULL); /* valid signals: cannot fail */
	(void)sigaction(SIGTERM, &on, NULL);
	r->begin_ns = record_now_ns();
	r->every_ms = RECORD_MIN_MS;
	code = record_all(r, last_s);
	/* also when the agent went away in the middle: what there is ends properly */
	if (r->bytes && !r->made && record_end(r) != LNX_EXIT_OK)
		code = LNX_EXIT_FAILURE;
	if (r->bytes && !r->made)
		record_say(r);
	lnx_client_free(r->client);
	lnx_registry_free(registry);
	return code;
}

int lnx_cli_record(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const char *path = lnx_cli_arg(args, "output");
	struct record r = { .path = path, .fd = STDOUT_FILENO };
	uint64_t last_ns = 0;
	int code;

	if (args->n_words)
		return lnx_cli_usage("record", "record: unexpected word '%s'", args->words[0]);
	if (!lnx_cli_arg(args, "for") == !lnx_cli_arg(args, "last"))
		return lnx_cli_usage("record", "record: give either --for or --last");
	if (!path || !*path)
		return lnx_cli_usage("record", "record: where to? give -o FILE");
	if (lnx_cli_arg_duration(args, "for", 100000000, 86400000000000, &r.for_ns) < 0 ||
	    lnx_cli_arg_duration(args, "last", 1000000000, 86400000000000, &last_ns) < 0)
		return LNX_EXIT_USAGE;
	if (strcmp(path, "-") == 0) {
		r.path = "standard output";
		if (isatty(STDOUT_FILENO))
			return lnx_cli_usage("record",
					     "record: a terminal cannot show a recording");
	} else {
		r.fd = -1;
		code = record_open(&r);
		if (code != LNX_EXIT_OK)
			return record_close(&r, code);
	}
	return record_close(&r, record_run(&r, cli, (last_ns + 999999999) / 1000000000));
}
