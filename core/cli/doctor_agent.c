/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Checks of the agent: is it there, is it whole, does it lose anything, would its configuration be taken. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/paths.h"

#define DOCTOR_CHECK_MS	    10000 /* for linnixd --check-config */
#define DOCTOR_GRACE_MS	    1000
#define DOCTOR_CHECK_BYTES  (16u << 10) /* of its output */
#define DOCTOR_CONFIG_LINES 20

/* GET <path> as JSON whatever the status, or NULL with the exit code of the failure. */
static json_t *doctor_get(struct lnx_client *c, const char *path, long *ret_status, int *ret_rc)
{
	struct lnx_reply reply;
	json_t *root;

	*ret_status = 0;
	*ret_rc = lnx_client_get(c, path, &reply);
	if (*ret_rc < 0)
		return NULL;
	*ret_status = reply.status;
	root = reply.body.size ? json_loadb(reply.body.data, reply.body.size, 0, NULL) : NULL;
	lnx_buf_done(&reply.body);
	return root;
}

void lnx_doctor_ask(struct lnx_doctor *d)
{
	struct lnx_client *c = NULL;
	const json_t *p;
	long status;
	size_t i;
	int rc;

	if (lnx_client_new(d->cli, &c) < 0)
		return;
	d->status = doctor_get(c, "/status", &status, &rc);
	if (status != 200) {
		json_decref(d->status);
		d->status = NULL;
	}
	json_array_foreach(json_object_get(d->status, "probes"), i,
			   p) if (strcmp(lnx_json_get_str(p, "state"), "attached") == 0)
		d->agent_has_probes = true;
	lnx_client_free(c);
}

static void doctor_ready(struct lnx_doctor *d, struct lnx_client *c)
{
	json_t *root;
	const json_t *list, *e;
	long status;
	size_t i;
	int rc;

	root = doctor_get(c, "/readyz", &status, &rc);
	list = json_object_get(root, "reasons");
	json_array_foreach(list, i, e)
		lnx_doctor_add(d, LNX_FINDING_FAIL, "ready", "", "%s",
			       json_string_value(e) ? json_string_value(e) : "?");
	if (status != 200 && !json_array_size(list))
		lnx_doctor_add(d, LNX_FINDING_FAIL, "ready", "look at the agent's log",
			       "/readyz answers %ld", status);
	else if (status == 200)
		lnx_doctor_add(d, LNX_FINDING_OK, "ready", "", "every enabled function works");
	list = json_object_get(root, "degraded");
	json_array_foreach(list, i, e)
		lnx_doctor_add(d, LNX_FINDING_WARN, "degraded", "", "%s",
			       json_string_value(e) ? json_string_value(e) : "?");
	json_decref(root);
}

/* Rights that an agent without privileges does without. */
static void doctor_without(struct lnx_doctor *d)
{
	const json_t *w;
	size_t i;

	json_array_foreach(json_object_get(d->status, "without"), i, w)
	{
		lnx_doctor_add(d, LNX_FINDING_OK, "without", "", "%s %s",
			       lnx_json_get_str(w, "capability"), lnx_json_get_str(w, "lost"));
	}
}

static void doctor_probes(struct lnx_doctor *d)
{
	const json_t *list = json_object_get(d->status, "probes"), *p;
	size_t i;

	json_array_foreach(list, i, p)
	{
		const char *name = lnx_json_get_str(p, "name"),
			   *state = lnx_json_get_str(p, "state");

		if (strcmp(state, "attached") == 0)
			lnx_doctor_add(d, LNX_FINDING_OK, "probe", "", "%s attached, %.0f runs",
				       name, lnx_json_get_f64(p, "runs", 0));
		else if (strcmp(state, "failed") == 0)
			lnx_doctor_add(d, LNX_FINDING_FAIL, "probe",
				       "restart linnixd once the reason is gone",
				       "%s is not attached: %s", name, lnx_json_get_str(p, "why"));
		else
			lnx_doctor_add(d, LNX_FINDING_OK, "probe", "", "%s is %s", name, state);
	}
}

static void doctor_plugins(struct lnx_doctor *d)
{
	const json_t *list = json_object_get(d->status, "plugins"), *p;
	unsigned n_running = 0, n_wrong = 0;
	size_t i;

	json_array_foreach(list, i, p)
	{
		const char *state = lnx_json_get_str(p, "state");

		n_running += strcmp(state, "running") == 0;
		if (strcmp(state, "failing") != 0 && strcmp(state, "refused") != 0 &&
		    strcmp(state, "quarantined") != 0)
			continue;
		n_wrong++;
		lnx_doctor_add(d, LNX_FINDING_FAIL, "plugin",
			       "mend or remove the file, then restart linnixd", "%s is %s: %s",
			       lnx_json_get_str(p, "instance"), state,
			       lnx_json_get_str(p, "error"));
	}
	if (!n_wrong && n_running)
		lnx_doctor_add(d, LNX_FINDING_OK, "plugins", "", "%u running", n_running);
}

static void doctor_losses(struct lnx_doctor *d)
{
	json_t *dropped = json_object_get(d->status, "dropped");
	unsigned n_kinds = 0;

	for (void *it = json_object_iter(dropped); it; it = json_object_iter_next(dropped, it)) {
		double n = json_number_value(json_object_iter_value(it));
		const char *where = json_object_iter_key(it);

		if (n <= 0)
			continue;
		n_kinds++;
		lnx_doctor_add(
			d, LNX_FINDING_WARN, "losses",
			strcmp(where, "kernel") == 0
				? "give the agent more CPU (budget.*); figures of that time are marked"
				: "GET /plugins tells which reader is too slow",
			"%.0f events lost since the start (%s)", n, where);
	}
	if (dropped && !n_kinds)
		lnx_doctor_add(d, LNX_FINDING_OK, "losses", "", "no event lost since the start");
	if (lnx_json_get_f64(d->status, "log_lines_failed", 0) > 0)
		lnx_doctor_add(d, LNX_FINDING_WARN, "losses", "free space where the log is written",
			       "%.0f log lines could not be written",
			       lnx_json_get_f64(d->status, "log_lines_failed", 0));
}

static void doctor_rules(struct lnx_doctor *d, struct lnx_client *c)
{
	const json_t *errors, *rules, *e;
	json_t *root;
	unsigned n_off = 0;
	long status;
	size_t i;
	int rc;

	root = doctor_get(c, "/rules", &status, &rc);
	if (status != 200) {
		json_decref(root);
		return;
	}
	errors = json_object_get(root, "errors");
	json_array_foreach(errors, i, e)
		lnx_doctor_add(d, LNX_FINDING_FAIL, "rules",
			       "mend it ('linnix rules check FILE'), then reload (SIGHUP)",
			       "%s:%.0f: %s", lnx_json_get_str(e, "file"),
			       lnx_json_get_f64(e, "line", 0), lnx_json_get_str(e, "message"));
	rules = json_object_get(root, "rules");
	json_array_foreach(rules, i, e) if (strcmp(lnx_json_get_str(e, "state"), "disabled") == 0)
	{
		n_off++;
		lnx_doctor_add(d, LNX_FINDING_FAIL, "rules", "mend it, then reload (SIGHUP)",
			       "%s was disabled after failures", lnx_json_get_str(e, "name"));
	}
	if (!json_array_size(errors) && !n_off)
		lnx_doctor_add(d, LNX_FINDING_OK, "rules", "", "%zu loaded",
			       json_array_size(rules));
	json_decref(root);
}

static void doctor_version(struct lnx_doctor *d)
{
	const char *version = lnx_json_get_str(d->status, "version");

	if (*version && strcmp(version, LNX_VERSION) != 0)
		lnx_doctor_add(d, LNX_FINDING_WARN, "version", "restart linnixd after an update",
			       "the agent is %s, this program " LNX_VERSION, version);
}

void lnx_doctor_agent(struct lnx_doctor *d)
{
	struct lnx_client *c = NULL;
	json_t *root;
	long status;
	int rc;

	if (lnx_client_new(d->cli, &c) < 0) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "agent", "mend --url or LINNIX_URL",
			       "no agent can be asked");
		return;
	}
	root = doctor_get(c, "/healthz", &status, &rc);
	json_decref(root);
	if (rc < 0) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "agent",
			       "systemctl start linnix, or run linnixd; --url asks another place",
			       "not reachable: %s", lnx_client_error(c));
	} else if (status != 200) {
		lnx_doctor_add(d, LNX_FINDING_FAIL, "agent",
			       "is another program on this port? --url asks another place",
			       "%s answers /healthz with %ld", lnx_client_target(c), status);
	} else {
		lnx_doctor_add(d, LNX_FINDING_OK, "agent", "", "answers at %s",
			       lnx_client_target(c));
		if (!d->status)
			lnx_doctor_add(d, LNX_FINDING_FAIL, "agent",
				       "give the token with --token-file or LINNIX_API_TOKEN",
				       "/status is refused");
		doctor_ready(d, c);
		doctor_without(d);
		doctor_probes(d);
		doctor_plugins(d);
		doctor_rules(d, c);
		doctor_losses(d);
		doctor_version(d);
	}
	lnx_client_free(c);
}

/* Read what the child writes until it closes, within the time limit. */
static void doctor_collect(int fd, struct lnx_buf *out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[4096];
	ssize_t n;

	out->max = DOCTOR_CHECK_BYTES;
	while (poll(&p, 1, DOCTOR_CHECK_MS) > 0) {
		n = read(fd, text, sizeof(text));
		if (n <= 0)
			return;
		lnx_buf_add(out, text, (size_t)n);
	}
}

/* Run a program; its output and its exit code. Returns 0 or -errno. */
static int doctor_run(char *const *argv, struct lnx_buf *out, int *ret_code)
{
	posix_spawn_file_actions_t actions;
	int fds[2], rc, status = 0;
	struct pollfd end = { .fd = -1, .events = POLLIN };
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	rc = -posix_spawn_file_actions_init(&actions);
	if (rc == 0) {
		rc = -posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
		rc = rc ? rc : -posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
		rc = rc ? rc : -posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)close(fds[1]);
	if (rc == 0) {
		doctor_collect(fds[0], out);
		/* It closed its output, or is over its time: then it has a second more to end by itself. */
		end.fd = pidfd_open(pid, 0);
		if (end.fd < 0 || poll(&end, 1, DOCTOR_GRACE_MS) <= 0)
			(void)kill(pid, SIGKILL);
		if (end.fd >= 0)
			(void)close(end.fd);
		(void)waitpid(pid, &status, 0);
		*ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	(void)close(fds[0]);
	return rc;
}

void lnx_doctor_config(struct lnx_doctor *d)
{
	char program[LNX_PATH_BYTES], check[] = "--check-config", option[] = "--config", *file,
				      *save = NULL;
	struct lnx_buf out = { 0 };
	unsigned n_lines = 0;
	int rc, code = 0;

	if (!d->is_config_given && access(d->config, F_OK) < 0) {
		lnx_doctor_add(d, LNX_FINDING_OK, "config", "", "no %s: built-in defaults",
			       d->config);
		return;
	}
	rc = lnx_path_program("linnixd", program);
	file = strdup(d->config);
	if (rc == 0 && file) {
		char *argv[] = { program, check, option, file, NULL };

		rc = doctor_run(argv, &out, &code);
	}
	if (rc < 0 || !file) {
		lnx_doctor_add(d, LNX_FINDING_WARN, "config", "install linnixd beside this program",
			       "%s is not checked: cannot run linnixd: %s", d->config,
			       strerror(rc < 0 ? -rc : ENOMEM));
	} else if (code == 0) {
		lnx_doctor_add(d, LNX_FINDING_OK, "config", "", "%s is valid", d->config);
	} else {
		for (char *l = out.data ? strtok_r(out.data, "\n", &save) : NULL;
		     l && n_lines < DOCTOR_CONFIG_LINES; l = strtok_r(NULL, "\n", &save), n_lines++)
			lnx_doctor_add(d, LNX_FINDING_FAIL, "config",
				       "mend the file; 'linnixd --check-config' checks it", "%s",
				       l);
		if (!n_lines)
			lnx_doctor_add(d, LNX_FINDING_FAIL, "config", "",
				       "linnixd --check-config ended with %d", code);
	}
	free(file);
	lnx_buf_done(&out);
}
