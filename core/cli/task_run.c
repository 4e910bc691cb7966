/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `task run`: a command that the agent measures from before its first instruction. The child waits, in a cgroup of its own where
 * that is allowed, until the agent has said that it looks. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cgroup.h"
#include "cli/task.h"

#define KNOWN_NS   30000000000ull
#define PROVEN_NS  60000000000ull
#define SEEN_NS	   10000000 /* between two questions whether the agent has seen the child */
#define SEEN_TRIES 300
#define EXIT_NOGO  125 /* the child was never let go */
#define EXIT_NOCMD 127

struct run {
	const struct lnx_cli *cli;
	char path[LNX_TASK_PATH];
	char cgroup[512]; /* "": none could be made */
	uint64_t cgroup_id;
	pid_t pid;
	int go; /* pipe that lets the child go */
};

static bool is_ready(const json_t *task, const char *arg)
{
	(void)arg;
	return !strcmp(lnx_json_get_str(task, "chain_status"), "created") ||
	       lnx_task_in_phase(task, "settled,cancelled,expired,submitted,resolved,disputed");
}

/* A task that the agent has not seen yet is asked for by its id. Exit code. */
static int make_known(struct run *r, const char *word)
{
	struct lnx_buf body = { 0 };
	json_t *task = NULL;
	int code = LNX_EXIT_OK;

	if (strlen(word) == 66 && !strncmp(word, "0x", 2)) {
		lnx_buf_char(&body, '{');
		lnx_json_kv_str(&body, "import", word);
		lnx_buf_char(&body, '}');
		code = lnx_client_post_json(r->cli, "/tasks", &body, &task);
		lnx_buf_done(&body);
		json_decref(task);
		task = NULL;
	}
	if (code == LNX_EXIT_OK)
		code = lnx_task_wait(r->cli, r->path, KNOWN_NS, is_ready, NULL, &task);
	if (code != LNX_EXIT_OK && task)
		lnx_cli_say("task: the chain does not know it (it is %s)",
			    lnx_json_get_str(task, "chain_status"));
	json_decref(task);
	return code;
}

/* A cgroup for it, if that is allowed; without one its process tree is measured. */
static void make_cgroup(struct run *r)
{
	char root[256];
	struct stat st;

	if (lnx_cgroup_root(root, sizeof(root)) < 0)
		return;
	(void)snprintf(r->cgroup, sizeof(r->cgroup), "%s/linnix-task-%d", root,
		       (int)r->pid); /* fits */
	if (mkdir(r->cgroup, 0755) == 0) {
		if (lnx_cgroup_join(r->cgroup, r->pid) == 0 && stat(r->cgroup, &st) == 0) {
			r->cgroup_id = st.st_ino;
			return;
		}
		(void)rmdir(r->cgroup); /* empty, unless it cannot be looked at */
	}
	r->cgroup[0] = 0;
}

/* Started, but not let go. 0 or -errno. */
static int start(struct run *r, char *const *argv)
{
	int fds[2], rc;
	char go;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r->pid = fork();
	if (r->pid < 0) {
		rc = -errno;
		(void)close(fds[0]); /* nothing went through */
		(void)close(fds[1]);
		return rc;
	}
	if (r->pid == 0) {
		(void)close(fds[1]); /* else the end would not be seen */
		(void)prctl(PR_SET_PDEATHSIG,
			    SIGTERM); /* who runs a task without us is not measured */
		if (read(fds[0], &go, 1) != 1)
			_exit(EXIT_NOGO);
		(void)execvp(argv[0], argv); /* comes back only when it fails */
		fprintf(stderr, "linnix: task: %s: %s\n", argv[0], strerror(errno));
		_exit(EXIT_NOCMD);
	}
	(void)close(fds[0]); /* the child's */
	r->go = fds[1];
	return 0;
}

/* Events are read a little later than they happen: only what the agent has seen can it measure. When it does not see the child, it
 * says so itself. */
static void await_seen(const struct run *r)
{
	const struct timespec pause = { 0, SEEN_NS };
	struct lnx_client *c;
	char path[32];
	long status = 0;

	(void)snprintf(path, sizeof(path), "/processes/%d", (int)r->pid); /* fits */
	if (lnx_client_new(r->cli, &c) < 0)
		return;
	for (int i = 0; i < SEEN_TRIES && status != 200; i++) {
		struct lnx_reply reply = { .status = 0 };

		if (i)
			(void)nanosleep(&pause, NULL); /* cut short: asked sooner */
		if (lnx_client_get(c, path, &reply) == 0)
			status = reply.status;
		lnx_buf_done(&reply.body);
	}
	lnx_client_free(c);
}

static int tell(struct run *r, const char *action, const char *sha256)
{
	struct lnx_buf body = { 0 };
	json_t *task = NULL;
	int code;

	lnx_buf_char(&body, '{');
	lnx_json_kv_str(&body, "action", action);
	if (!strcmp(action, "run")) {
		lnx_json_kv_u64(&body, "pid", (uint64_t)r->pid);
		if (r->cgroup_id)
			lnx_json_kv_u64(&body, "cgroup_id", r->cgroup_id);
	}
	if (sha256)
		lnx_json_kv_str(&body, "output_sha256", sha256);
	lnx_buf_char(&body, '}');
	code = lnx_client_post_json(r->cli, r->path, &body, &task);
	lnx_buf_done(&body);
	json_decref(task);
	return code;
}

static volatile sig_atomic_t child; /* who gets what is to end us; 0 none */

static void pass_on(int sig)
{
	int saved = errno;

	if (child > 0)
		(void)kill(child, sig); /* gone: it is reaped in a moment */
	errno = saved;
}

/* While the command runs: what a terminal sends is the command's, as in a shell; what is to end us ends it, as without us its folder
 * would stay, and the agent would not hear of its end. */
static const struct {
	int sig;
	void (*handle)(int sig);
} signals[] = {
	{ SIGINT, SIG_IGN },
	{ SIGQUIT, SIG_IGN },
	{ SIGTERM, pass_on },
	{ SIGHUP, pass_on },
};

#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static void take_signals(struct sigaction before[N_SIGNALS])
{
	for (size_t i = 0; i < N_SIGNALS; i++) {
		struct sigaction sa = { .sa_handler = signals[i].handle };

		(void)sigaction(signals[i].sig, &sa, &before[i]); /* cannot fail */
		if (before[i].sa_handler == SIG_IGN)		  /* nohup */
			(void)sigaction(signals[i].sig, &before[i], NULL);
	}
}

static void give_signals_back(const struct sigaction before[N_SIGNALS])
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaction(signals[i].sig, &before[i], NULL); /* cannot fail */
}

/* The exit code of the command, as a shell gives it, when the agent was told of its end; *ret_code: whether that went well. */
static int finish(struct run *r, const char *sha256, int *ret_code)
{
	struct sigaction before[N_SIGNALS];
	int status = 0;

	child = r->pid;
	take_signals(before);
	(void)close(r->go); /* it has gone through */
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	child = 0;
	*ret_code = tell(r, "finish", sha256);
	give_signals_back(before);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void end(struct run *r)
{
	if (r->cgroup[0] && rmdir(r->cgroup) < 0)
		lnx_cli_say("task: %s: %s", r->cgroup, strerror(errno));
}

/* What became of it. Exit code. */
static int outcome(struct run *r, const struct lnx_cli_args *args, int ended)
{
	json_t *task = NULL;
	int code;

	code = lnx_task_wait(r->cli, r->path, lnx_task_wait_ns(args, PROVEN_NS), lnx_task_in_phase,
			     ended ? "offered,failed"
				   : "submitted,settled,disputed,resolved,failed,offered",
			     &task);
	if (task)
		(void)lnx_task_print(r->cli, task); /* the code below says more */
	if (task && (code != LNX_EXIT_OK || lnx_task_in_phase(task, "failed,offered"))) {
		lnx_cli_say("task: it is %s: %s", lnx_json_get_str(task, "phase"),
			    lnx_json_get_str(task, "reason"));
		code = LNX_EXIT_FAILURE;
	}
	json_decref(task);
	return ended ? ended : code;
}

int lnx_task_run(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	const char *sha256 = lnx_cli_arg(args, "output-sha256");
	struct run r = { .cli = cli, .go = -1 };
	char *argv[LNX_CLI_MAX_WORDS + 1];
	unsigned n = 0;
	int code, ended;

	if (args->n_words < 3)
		return lnx_cli_usage("task", "task: run wants an ID and a command: run ID -- CMD…");
	if (sha256 && (strlen(sha256) != 64 || sha256[strspn(sha256, "0123456789abcdef")]))
		return lnx_cli_usage("task",
				     "task: --output-sha256 wants 64 hex digits in lower case");
	if (lnx_task_path(args->words[1], r.path) < 0)
		return LNX_EXIT_USAGE;
	for (unsigned i = 2; i < args->n_words; i++) {
		argv[n] = strdup(args->words[i]);
		if (!argv[n++]) {
			code = LNX_EXIT_FAILURE;
			goto out;
		}
	}
	argv[n] = NULL;
	code = make_known(&r, args->words[1]);
	if (code != LNX_EXIT_OK)
		goto out;
	code = start(&r, argv);
	if (code < 0) {
		lnx_cli_say("task: %s", strerror(-code));
		code = LNX_EXIT_FAILURE;
		goto out;
	}
	make_cgroup(&r);
	await_seen(&r);
	code = tell(&r, "run", NULL);
	if (code != LNX_EXIT_OK || write(r.go, "g", 1) != 1) {
		(void)close(r.go);	       /* the child sees the end and goes */
		(void)waitpid(r.pid, NULL, 0); /* likewise */
		end(&r);
		goto out;
	}
	ended = finish(&r, sha256, &code);
	end(&r);
	if (code == LNX_EXIT_OK)
		code = outcome(&r, args, ended);
	else
		lnx_cli_say(
			"task: the command ended with %d, and the agent does not know: what it measured is not submitted, run it again",
			ended);
out:
	while (n)
		free(argv[--n]);
	return code;
}
