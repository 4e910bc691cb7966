/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `replay`: rules over a recording, or what an edit of rules changes. Needs neither the agent nor root. */
#include "cli/replay_show.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/paths.h"
#include "cli/text.h"

#define REPLAY_FOUND 4 /* exit code of --fail-on */

const struct lnx_cli_opt lnx_replay_opts[] = {
	{ "rules", "DIR", "rules to run: a folder or one file (default: the shipped ones)", 'r',
	  false },
	{ "diff", "DIR", "the rules of before: show what fires only with one of the two", 'd',
	  false },
	{ "fail-on", "SEVERITY",
	  "exit with 4 if an alert of info, warning or critical and above fires", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

struct replay_file {
	char *data;
	size_t size;
};

/* All of it into memory: a file that changes meanwhile can do no harm. */
static int replay_read(const char *path, struct replay_file *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
	struct stat st = { 0 };
	ssize_t got = 1;

	if (rc == 0 && fstat(fd, &st) < 0)
		rc = -errno;
	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (rc == 0 && st.st_size > (off_t)LNX_REC_FILE_MAX)
		rc = -EFBIG;
	ret->data = rc == 0 ? malloc((size_t)st.st_size + 1) : NULL;
	if (rc == 0 && !ret->data)
		rc = -ENOMEM;
	for (ret->size = 0; rc == 0 && got > 0 && ret->size < (size_t)st.st_size;
	     ret->size += (size_t)got) {
		got = read(fd, ret->data + ret->size, (size_t)st.st_size - ret->size);
		if (got < 0)
			rc = -errno;
		got = got < 0 ? 0 : got;
	}
	if (fd >= 0)
		(void)close(fd); /* read only */
	if (rc == -EFBIG)
		lnx_cli_say("%s: a recording holds at most %u MiB", path, LNX_REC_FILE_MAX >> 20);
	else if (rc < 0)
		lnx_cli_say("cannot read %s: %s", path, strerror(-rc));
	return rc;
}

/* One run. Mistakes are said. Returns an exit code. */
static int replay_run(const struct lnx_cli *cli, const struct replay_file *file, const char *name,
		      const char *rules, struct lnx_replay *ret)
{
	const char *const list[] = { rules, NULL };
	struct lnx_replay_conf conf = { .data = file->data, .size = file->size };
	struct lnx_err err = { { 0 }, 0, 0 };
	struct lnx_buf errors = { 0 };
	char plugins[LNX_PATH_BYTES];
	struct stat st;
	int rc, code = LNX_EXIT_OK;

	if (stat(rules, &st) < 0) {
		lnx_cli_say("cannot read %s: %s", rules, strerror(errno));
		return LNX_EXIT_USAGE;
	}
	if (S_ISDIR(st.st_mode))
		conf.dirs = list;
	else
		conf.files = list;
	if (lnx_path_lib(cli, "plugins", plugins) == 0)
		conf.plugins_dir = plugins;
	rc = lnx_replay_run(&conf, &errors, ret, &err);
	if (rc < 0 && errors.size) {
		fputs(errors.data, stderr);
		code = LNX_EXIT_USAGE;
	} else if (rc < 0) {
		lnx_cli_say("%s: %s", name, err.msg[0] ? err.msg : strerror(-rc));
		code = LNX_EXIT_FAILURE;
	} else if (ret->disabled) {
		lnx_cli_say("%" PRIu64 " rules failed too often and were disabled, first %s",
			    ret->disabled, ret->disabled_why);
	} else if (ret->failed) {
		lnx_cli_say("%" PRIu64 " calls of rules failed, such as %s", ret->failed,
			    ret->failed_why);
	}
	lnx_buf_done(&errors);
	return code;
}

/* What is missing, and how fast it went: to people, not into the result. */
static void replay_say(const char *name, const struct lnx_replay *r, double seconds)
{
	struct lnx_buf out = { 0 };
	char *line, *save = NULL;

	lnx_rec_complain(&r->report, &out);
	for (line = out.size ? strtok_r(out.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		lnx_cli_say("%s: %s", name, line);
	if (r->left_out)
		lnx_cli_say("%s: %" PRIu64 " more alerts are not shown", name, r->left_out);
	lnx_cli_say("%s: %" PRIu64 " events of %.1f s replayed in %.3f s", name, r->report.events,
		    r->report.last_ns > r->report.start_ns
			    ? (double)(r->report.last_ns - r->report.start_ns) / 1e9
			    : 0,
		    seconds);
	lnx_buf_done(&out);
}

static int replay_show(const struct lnx_cli *cli, const struct lnx_replay *now,
		       const struct lnx_replay *before, int fail_on)
{
	struct lnx_replay_row *rows = NULL;
	size_t n = 0, i;
	int rc = lnx_replay_rows(now, before, &rows, &n), code = LNX_EXIT_OK;

	if (rc == 0 && cli->is_json)
		rc = lnx_replay_json(now, before, rows, n);
	else if (rc == 0)
		rc = lnx_replay_table(cli, now, before, rows, n);
	free(rows);
	if (rc < 0) {
		lnx_cli_say("%s", strerror(-rc));
		return LNX_EXIT_FAILURE;
	}
	for (i = 0; i < now->n; i++)
		if (fail_on >= 0 && now->fires[i].severity >= (uint32_t)fail_on)
			code = REPLAY_FOUND;
	return code;
}

static int replay_fail_on(const struct lnx_cli_args *args, int *ret_severity)
{
	static const char *const names[] = { "info", "warning", "critical" };
	const char *text = lnx_cli_arg(args, "fail-on");
	int i;

	*ret_severity = -1;
	for (i = 0; text && i < 3; i++)
		if (strcmp(names[i], text) == 0)
			*ret_severity = i;
	if (text && *ret_severity < 0)
		return lnx_cli_usage("replay", "replay: --fail-on is info, warning or critical");
	return LNX_EXIT_OK;
}

int lnx_cli_replay(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const char *rules = lnx_cli_arg(args, "rules"), *old = lnx_cli_arg(args, "diff"), *name;
	struct lnx_replay now = { .n = 0 }, before = { .n = 0 };
	struct replay_file file = { NULL, 0 };
	char dir[LNX_PATH_BYTES];
	int fail_on, code;
	uint64_t begin;

	if (args->n_words != 1)
		return lnx_cli_usage("replay", args->n_words ? "replay: one recording at a time"
							     : "replay: which recording?");
	if (replay_fail_on(args, &fail_on) != LNX_EXIT_OK)
		return LNX_EXIT_USAGE;
	if (!rules)
		rules = lnx_path_rules(dir);
	name = args->words[0];
	if (replay_read(name, &file) < 0) {
		free(file.data);
		return LNX_EXIT_FAILURE;
	}
	begin = lnx_cli_now_ns();
	code = replay_run(cli, &file, name, rules, &now);
	if (code == LNX_EXIT_OK)
		replay_say(name, &now, (double)(lnx_cli_now_ns() - begin) / 1e9);
	if (code == LNX_EXIT_OK && old)
		code = replay_run(cli, &file, name, old, &before);
	if (code == LNX_EXIT_OK)
		code = replay_show(cli, &now, old ? &before : NULL, fail_on);
	lnx_replay_done(&now);
	lnx_replay_done(&before);
	free(file.data);
	return code;
}
