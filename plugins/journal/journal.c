/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `journal`: incidents as entries of the systemd journal, or as lines of JSON on standard output. */
#include <errno.h>
#include <limits.h>
#include <linnix/notifier.h>
#include <linnix/plugin.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_STDOUT	 0
#define JOURNAL_JOURNALD 1
#define JOURNAL_BATCH	 16
#define STDOUT_WAIT_MS	 2000

struct journal_conf {
	const char *socket;
	uint32_t target, min_severity, updates;
};

/* Lines on their way to standard output: whoever reads it may be slow. */
struct job {
	struct journal *j; /* NULL: the plugin is going */
	struct lnx_buf text;
	size_t written; /* bytes */
};

struct journal {
	struct lnx_notifier n;
	const struct journal_conf *conf;
	struct job *job;  /* runs now */
	uint32_t is_torn; /* the last line on standard output has no end */
	int fd;		  /* to journald; -1 closed */
};

static const char *const words[] = { "open", "update", "close" };
static const char *const severity_names[] = { "info", "warning", "critical", NULL };

/* ---- standard output */

static void put_line(const struct lnx_ident *id, const struct lnx_notice *x, struct lnx_buf *out)
{
	size_t from = out->size;

	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "schema", id->schema);
	lnx_json_kv_str(out, "node", id->node);
	lnx_json_kv_str(out, "cluster", id->cluster);
	lnx_json_kv_str(out, "boot_id", id->boot_id);
	lnx_json_key(out, "type");
	lnx_buf_printf(out, "\"incident.%s\"", words[x->what % 3]);
	lnx_json_kv_str(out, "delivery", x->delivery);
	lnx_json_kv_str(out, "id", x->incident);
	lnx_json_kv_str(out, "state", x->is_open ? "open" : "closed");
	lnx_json_kv_str(out, "severity", severity_names[x->severity % 3]);
	lnx_json_kv_str(out, "title", x->title);
	lnx_json_kv_str(out, "summary", x->summary);
	lnx_json_kv_str(out, "cause", x->cause);
	lnx_json_kv_str(out, "resource", x->resource);
	lnx_json_kv_str(out, "rule", x->rule);
	lnx_json_kv_str(out, "fingerprint", x->fingerprint);
	lnx_json_kv_str(out, "culprit", x->culprit);
	lnx_json_kv_str(out, "culprit_namespace", x->culprit_namespace);
	lnx_json_kv_str(out, "culprit_comm", x->culprit_comm);
	lnx_json_kv_u64(out, "culprit_pid", x->culprit_pid);
	lnx_json_kv_str(out, "victim", x->victim);
	lnx_json_kv_str(out, "victim_namespace", x->victim_namespace);
	lnx_json_kv_u64(out, "n_victims", x->n_victims);
	lnx_json_key(out, "opened");
	lnx_json_ts(out, x->opened_wall_ns);
	if (!x->is_open) {
		lnx_json_key(out, "closed");
		lnx_json_ts(out, x->closed_wall_ns);
	}
	lnx_json_kv_str(out, "url", x->url);
	lnx_buf_str(out, "}\n");
	if (lnx_buf_error(out))
		out->size = from;
}

/* A pipe that nobody reads may not hold the worker: what poll says can be written is at least PIPE_BUF. */
static int job_run(void *arg)
{
	struct job *job = arg;
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (job->written < job->text.size) {
		size_t left = job->text.size - job->written;
		ssize_t n = poll(&p, 1, STDOUT_WAIT_MS);

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = write(STDOUT_FILENO, job->text.data + job->written,
				  left < PIPE_BUF ? left : PIPE_BUF);
		if (n < 0 && errno != EINTR)
			return -errno;
		job->written += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void job_done(void *arg, int rc)
{
	struct job *job = arg;
	struct journal *j = job->j;

	if (j) {
		j->job = NULL;
		if (job->written)
			j->is_torn = job->text.data[job->written - 1] != '\n';
	}
	lnx_buf_done(&job->text);
	free(job);
	if (j)
		j->n.svc->done(j->n.self, j->n.channel, rc, rc ? strerror(-rc) : "");
}

static int to_stdout(struct journal *j, const struct lnx_notice *list, uint32_t n)
{
	struct job *job = calloc(1, sizeof(*job));
	int rc;

	if (!job)
		return -ENOMEM;
	job->j = j;
	if (j->is_torn)
		lnx_buf_char(&job->text, '\n');
	for (uint32_t i = 0; i < n; i++)
		put_line(j->n.host->ident(j->n.ctx), &list[i], &job->text);
	rc = lnx_buf_error(&job->text);
	if (!rc)
		rc = j->n.host->submit(j->n.ctx, job_run, job_done, job);
	if (rc < 0) {
		lnx_buf_done(&job->text);
		free(job);
		return rc;
	}
	j->job = job;
	return -EINPROGRESS;
}

/* ---- journald: datagrams of its native protocol */

static void field(struct lnx_buf *out, const char *name, const char *value)
{
	uint64_t n = strlen(value);
	unsigned char size[8];

	if (!n)
		return;
	lnx_buf_str(out, name);
	if (!strchr(value, '\n')) {
		lnx_buf_printf(out, "=%s\n", value);
		return;
	}
	/* with line ends inside: its size in front, little endian */
	for (int i = 0; i < 8; i++)
		size[i] = (unsigned char)(n >> 8 * i);
	lnx_buf_char(out, '\n');
	lnx_buf_add(out, size, sizeof(size));
	lnx_buf_add(out, value, n);
	lnx_buf_char(out, '\n');
}

static void put_entry(const struct lnx_ident *id, const struct lnx_notice *x, struct lnx_buf *out)
{
	static const char *const priorities[] = { "6", "4", "2" };
	struct lnx_buf message = { 0 };

	lnx_buf_printf(&message, "incident %s: %s", words[x->what % 3], x->title);
	field(out, "MESSAGE", message.data ? message.data : "incident");
	lnx_buf_done(&message);
	field(out, "PRIORITY", x->is_open ? priorities[x->severity % 3] : "6");
	field(out, "SYSLOG_IDENTIFIER", "linnix");
	field(out, "LINNIX_INCIDENT", x->incident);
	field(out, "LINNIX_DELIVERY", x->delivery);
	field(out, "LINNIX_TYPE", words[x->what % 3]);
	field(out, "LINNIX_SEVERITY", severity_names[x->severity % 3]);
	field(out, "LINNIX_SUMMARY", x->summary);
	field(out, "LINNIX_CAUSE", x->cause);
	field(out, "LINNIX_RESOURCE", x->resource);
	field(out, "LINNIX_RULE", x->rule);
	field(out, "LINNIX_FINGERPRINT", x->fingerprint);
	field(out, "LINNIX_CULPRIT_NAMESPACE", x->culprit_namespace);
	field(out, "LINNIX_CULPRIT", x->culprit);
	field(out, "LINNIX_VICTIM_NAMESPACE", x->victim_namespace);
	field(out, "LINNIX_VICTIM", x->victim);
	field(out, "LINNIX_NODE", id->node);
	field(out, "LINNIX_CLUSTER", id->cluster);
	field(out, "LINNIX_URL", x->url);
}

static void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		(void)close(j->fd); /* nothing is buffered in it */
	j->fd = -1;
}

/* One datagram each; journald is told apart from one that was restarted by the connection. */
static int to_journald(struct journal *j, const struct lnx_notice *list, uint32_t n)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int rc = 0;

	if (j->fd < 0) {
		memcpy(a.sun_path, j->conf->socket,
		       strlen(j->conf->socket) + 1); /* it was checked */
		j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (j->fd < 0 || connect(j->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			rc = -errno;
	}
	for (uint32_t i = 0; i < n && !rc; i++) {
		struct lnx_buf out = { 0 };

		put_entry(j->n.host->ident(j->n.ctx), &list[i], &out);
		rc = lnx_buf_error(&out);
		if (!rc && send(j->fd, out.data, out.size, MSG_NOSIGNAL) < 0)
			rc = -errno;
		lnx_buf_done(&out);
	}
	if (rc)
		journal_close(j);
	return rc;
}

static int journal_write(void *arg, const struct lnx_notice *list, uint32_t n)
{
	struct journal *j = arg;

	return j->conf->target == JOURNAL_STDOUT ? to_stdout(j, list, n) : to_journald(j, list, n);
}

/* ---- life */

static struct lnx_channel_desc desc_of(struct journal *j)
{
	return (struct lnx_channel_desc){ .size = sizeof(struct lnx_channel_desc),
					  .flags = j->conf->updates ? LNX_CHANNEL_ALL : 0,
					  .min_severity = j->conf->min_severity,
					  .batch = JOURNAL_BATCH,
					  .give_up_ns = 86400000000000u,
					  .write = journal_write,
					  .arg = j };
}

static void conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		       void *arg)
{
	const struct journal_conf *c = conf;
	struct sockaddr_un a;
	char why[160];

	if (*c->socket == '/' && strlen(c->socket) < sizeof(a.sun_path))
		return;
	(void)snprintf(why, sizeof(why), "'%.40s' must be a path of less than %zu bytes", c->socket,
		       sizeof(a.sun_path)); /* fits */
	say(arg, "socket", why);
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->n.host = host;
	j->n.ctx = ctx;
	j->conf = conf;
	j->fd = -1;
	*ret_state = j;
	return 0;
}

static int start(void *state)
{
	struct journal *j = state;
	struct lnx_channel_desc d = desc_of(j);

	return lnx_notifier_open(&j->n, &d);
}

static int reload(void *state, const void *conf)
{
	struct journal *j = state;
	struct lnx_channel_desc d;

	j->conf = conf;
	journal_close(j);
	d = desc_of(j);
	return lnx_notifier_set(&j->n, &d);
}

static void stop(void *state)
{
	struct journal *j = state;

	if (j->job)
		j->job->j = NULL;
	j->job = NULL;
	lnx_notifier_close(&j->n);
}

static void fini(void *state)
{
	journal_close(state);
	free(state);
}

static const char *const targets[] = { "stdout", "journald", NULL };
static const char *const updates[] = { "important", "all", NULL };

#define OFF(m) offsetof(struct journal_conf, m)
static const struct lnx_option options[] = {
	{ "target", LNX_OPT_ENUM, OFF(target), "stdout", 0, 0, targets, LNX_OPTF_RELOAD, 0,
	  "Lines of JSON on standard output, or entries of the systemd journal." },
	{ "socket", LNX_OPT_PATH, OFF(socket), "/run/systemd/journal/socket", 0, 0, NULL,
	  LNX_OPTF_RELOAD, 0, "Where journald takes entries." },
	{ "min_severity", LNX_OPT_ENUM, OFF(min_severity), "warning", 0, 0, severity_names,
	  LNX_OPTF_RELOAD, 0, "Least severe incidents that are told." },
	{ "updates", LNX_OPT_ENUM, OFF(updates), "important", 0, 0, updates, LNX_OPTF_RELOAD, 0,
	  "Changes that are told: a higher severity and the outcome of an action, or all." },
	{ .key = NULL },
};

static const char *const needs[] = { "notify/1", NULL };

static const struct lnx_plugin journal_plugin = {
	.size = sizeof(journal_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "journal",
	.version = "1.0",
	.summary = "incidents as lines of JSON or journal entries",
	.options = options,
	.conf_size = sizeof(struct journal_conf),
	.needs = needs,
	.init = init,
	.start = start,
	.reload = reload,
	.stop = stop,
	.fini = fini,
	.flags = LNX_PLUGINF_OFF,
	.check = conf_check,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &journal_plugin;
}
