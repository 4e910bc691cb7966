/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `events`: what crossed the bus lately, or from now on. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/line.h"
#include "cli/text.h"

#define EVENTS_BACKOFF_MIN_MS 250
#define EVENTS_BACKOFF_MAX_MS 5000

const struct lnx_cli_opt lnx_events_opts[] = {
	{ "follow", NULL,
	  "wait for what comes; connects again by itself, without gaps while the agent still keeps them",
	  'f', false },
	{ "type", "T[,T]", "only these types, for example alert,proc.exec", 't', false },
	{ "namespace", "NAME", "only of this Kubernetes namespace", 0, false },
	{ "limit", "N", "at most N events (default 100, at most 10000)", 'n', false },
	{ "since-seq", "SEQ", "from this sequence number on", 0, false },
	{ "count", "N", "with -f: end after N events", 0, false },
	{ "fields", NULL, "print the types and their fields; needs no agent", 0, false },
	{ "markdown", NULL, "with --fields: as sdk/EVENTS.md", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

struct follow {
	const struct lnx_cli *cli;
	struct lnx_sse sse;
	unsigned long long left; /* events until the end; 0: no end */
	unsigned backoff_ms;
	bool was_connected;
	char run[40]; /* of the agent's last hello; "": it said none */
};

/* The line of one event, to stdout. Returns 0 or -EIO. */
static int events_print(const struct lnx_cli *cli, const json_t *event)
{
	struct lnx_buf out = { 0 };
	int rc;

	lnx_event_line(cli, &out, event);
	lnx_buf_char(&out, '\n');
	rc = lnx_buf_error(&out) || fwrite(out.data, 1, out.size, stdout) != out.size ? -EIO : 0;
	lnx_buf_done(&out);
	return rc;
}

static int events_recent(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	static const char *const keys[][2] = { { "type", "type" },
					       { "namespace", "namespace" },
					       { "limit", "limit" },
					       { "since-seq", "since_seq" } };
	struct lnx_buf path = { 0 };
	json_t *root = NULL;
	const json_t *event;
	unsigned long long n_max;
	size_t i;
	int code;

	if (lnx_cli_arg_u64(args, "limit", 100, 1, 10000, &n_max) < 0 ||
	    lnx_cli_arg_u64(args, "since-seq", 0, 0, UINT64_MAX, &n_max) < 0)
		return LNX_EXIT_USAGE;
	lnx_buf_str(&path, "/events");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (lnx_cli_arg(args, keys[i][0]))
			lnx_client_query(&path, keys[i][1], lnx_cli_arg(args, keys[i][0]));
	code = lnx_buf_error(&path) ? LNX_EXIT_FAILURE : lnx_client_json(cli, path.data, &root);
	if (code == LNX_EXIT_OK && root) {
		json_array_foreach(root, i, event) if (events_print(cli, event) < 0) code =
			LNX_EXIT_FAILURE;
	}
	json_decref(root);
	lnx_buf_done(&path);
	return code;
}

static int follow_special(struct follow *f, const char *event, const char *data, size_t n)
{
	json_t *o = json_loadb(data, n, 0, NULL);
	const char *run = json_string_value(json_object_get(o, "run"));

	if (strcmp(event, "hello") == 0) {
		if (json_is_true(json_object_get(o, "restarted")))
			lnx_cli_say(
				"the agent was started anew: what happened before it was is lost");
		(void)snprintf(f->run, sizeof(f->run), "%s",
			       run ? run : ""); /* a cut one is another */
	}
	if (strcmp(event, "lagged") == 0)
		lnx_cli_say(
			"%.0f events missed: this reader was too slow, or they are no longer kept",
			lnx_json_get_f64(o, "missed", 0));
	json_decref(o);
	f->backoff_ms = EVENTS_BACKOFF_MIN_MS;
	return 0;
}

static int follow_on_event(void *arg, const char *event, const char *id, const char *data, size_t n)
{
	struct follow *f = arg;
	struct lnx_buf out = { 0 };
	json_t *o;
	int rc = 0;

	(void)id; /* the parser keeps the last one */
	if (strcmp(event, "hello") == 0 || strcmp(event, "lagged") == 0)
		return follow_special(f, event, data, n);
	if (f->cli->is_json) {
		lnx_text_json(&out, data, n);
		lnx_buf_char(&out, '\n');
		rc = lnx_buf_error(&out) || fwrite(out.data, 1, out.size, stdout) != out.size ? -EIO
											      : 0;
		lnx_buf_done(&out);
	} else {
		o = json_loadb(data, n, 0, NULL);
		if (o)
			rc = events_print(f->cli, o);
		else
			lnx_cli_say("an event that is not JSON was left out");
		json_decref(o);
	}
	if (rc == 0 && f->left && --f->left == 0)
		rc = 1;
	return rc;
}

static int follow_feed(void *arg, const char *bytes, size_t n)
{
	struct follow *f = arg;
	int rc;

	f->was_connected = true;
	rc = lnx_sse_feed(&f->sse, bytes, n);
	/* What came together is shown together: one write for a burst, none kept back. */
	if (fflush(stdout) != 0 && rc == 0)
		rc = -EIO;
	return rc;
}

static void follow_pause(struct follow *f)
{
	struct timespec t = { .tv_sec = f->backoff_ms / 1000,
			      .tv_nsec = (f->backoff_ms % 1000) * 1000000L };

	(void)nanosleep(&t, NULL); /* a signal ends the program, or the wait */
	f->backoff_ms = f->backoff_ms * 2 < EVENTS_BACKOFF_MAX_MS ? f->backoff_ms * 2
								  : EVENTS_BACKOFF_MAX_MS;
}

/* One connection, to its end. The last id is kept over connections: the agent goes on from there. */
static int follow_once(struct follow *f, struct lnx_client *c, const struct lnx_buf *path,
		       struct lnx_reply *ret_reply)
{
	const char *last_id = f->sse.last_id[0] ? f->sse.last_id : NULL;
	struct lnx_buf again = { 0 };
	int rc;

	lnx_sse_restart(&f->sse);
	lnx_buf_add(&again, path->data, path->size);
	if (last_id && f->run[0])
		lnx_client_query(&again, "run", f->run);
	rc = lnx_buf_error(&again);
	memset(ret_reply, 0, sizeof(*ret_reply));
	if (rc == 0)
		rc = lnx_client_stream(c, again.data, last_id, follow_feed, f, ret_reply);
	lnx_buf_done(&again);
	return rc;
}

static int follow_loop(struct follow *f, struct lnx_client *c, const struct lnx_buf *path)
{
	struct lnx_reply reply;
	bool is_said = false;
	int rc, code;

	for (;;) {
		rc = follow_once(f, c, path, &reply);
		if (rc == -EACCES && !(f->was_connected && reply.status == 503)) {
			code = lnx_client_say_status(c, &reply);
			lnx_buf_done(&reply.body);
			return code;
		}
		lnx_buf_done(&reply.body);
		if (rc == 0)
			return ferror(stdout) ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
		if (!f->was_connected)
			return lnx_client_say(c, rc);
		if (rc == -ENOMEM)
			return lnx_client_say(c, rc);
		if (rc == -EPIPE || !is_said)
			lnx_cli_say("connection lost; trying again");
		is_said = rc != -EPIPE;
		follow_pause(f);
	}
}

int lnx_cli_follow(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct follow f = { .cli = cli, .backoff_ms = EVENTS_BACKOFF_MIN_MS };
	struct lnx_client *c = NULL;
	struct lnx_buf path = { 0 };
	int rc, code = LNX_EXIT_FAILURE;

	if (lnx_cli_arg(args, "limit") || lnx_cli_arg(args, "since-seq"))
		return lnx_cli_usage(
			"events",
			"events: --limit and --since-seq do not go with -f; --count ends it");
	if (lnx_cli_arg_u64(args, "count", 0, 1, 1ull << 62, &f.left) < 0)
		return LNX_EXIT_USAGE;
	lnx_buf_str(&path, "/stream");
	if (lnx_cli_arg(args, "type"))
		lnx_client_query(&path, "type", lnx_cli_arg(args, "type"));
	if (lnx_cli_arg(args, "namespace"))
		lnx_client_query(&path, "namespace", lnx_cli_arg(args, "namespace"));
	f.sse.on_event = follow_on_event;
	f.sse.arg = &f;
	rc = lnx_client_new(cli, &c);
	if (rc < 0)
		code = rc == -EINVAL ? LNX_EXIT_USAGE : LNX_EXIT_FAILURE;
	else if (!lnx_buf_error(&path))
		code = follow_loop(&f, c, &path);
	if (f.sse.n_too_long)
		lnx_cli_say("%llu events were longer than %u KiB and left out",
			    (unsigned long long)f.sse.n_too_long, LNX_SSE_MAX_BYTES >> 10);
	lnx_client_free(c);
	lnx_sse_done(&f.sse);
	lnx_buf_done(&path);
	return code;
}

int lnx_cli_events(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	if (lnx_cli_arg(args, "fields"))
		return lnx_cli_fields(cli, args);
	if (args->n_words)
		return lnx_cli_usage("events",
				     "events: unexpected word '%s'; a type is given with --type",
				     args->words[0]);
	if (lnx_cli_arg(args, "follow"))
		return lnx_cli_follow(cli, args);
	if (lnx_cli_arg(args, "count"))
		return lnx_cli_usage("events", "events: --count goes with -f; use --limit");
	return events_recent(cli, args);
}
