/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's side of its guardian: started when the first action is to be done, ended when none is in force. If it dies,
 * what it held is taken back at once. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"

#define HIGH_FD 16 /* above those that the guardian gets */

/* The program lies beside the folder of the plugins: ../linnix-guardian. As the agent does with plugins, a file that others
 * may write is refused. 0 or -errno. */
static int find_program(const struct enforce *s, char *path, size_t cap)
{
	Dl_info info;
	struct stat st, own;
	char so[512], *slash;
	union {
		const struct lnx_plugin *(*fn)(void);
		void *ptr;
	} self = { .fn = linnix_plugin_v1 };

	if (!dladdr(self.ptr, &info) || stat(info.dli_fname, &own) < 0)
		own.st_uid = 0;
	if (*s->conf->guardian) {
		(void)snprintf(path, cap, "%s", s->conf->guardian); /* cut: not found */
	} else {
		(void)snprintf(so, sizeof(so), "%s", info.dli_fname); /* likewise */
		slash = strrchr(so, '/');
		(void)snprintf(path, cap, "%.*s/../linnix-guardian", slash ? (int)(slash - so) : 1,
			       slash ? so : ".");
	}
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_mode & (S_IWGRP | S_IWOTH) ||
	    (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != own.st_uid))
		return -EPERM;
	return 0;
}

/* Capabilities that are kept do not outlive an exec unless they are ambient: for this one they are. */
static void ambient(int is_on)
{
	static const unsigned caps[] = { CAP_DAC_OVERRIDE, CAP_KILL };
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return;
	for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		uint32_t bit = 1u << caps[i];

		d[0].inheritable =
			is_on ? d[0].inheritable | (d[0].permitted & bit) : d[0].inheritable & ~bit;
	}
	if (syscall(SYS_capset, &h, d) < 0)
		return; /* it has no rights to hand on */
	for (unsigned i = 0; is_on && i < sizeof(caps) / sizeof(caps[0]); i++)
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, caps[i], 0,
			    0); /* not permitted: none */
				/* lowering the inheritable ones lowers the ambient ones, too */
}

static int spawn(const char *path, int sock, int journal, pid_t *ret_pid)
{
	static char *const env[] = { NULL };
	char name[] = "linnix-guardian";
	char *const argv[] = { name, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc = -posix_spawn_file_actions_init(&files);

	if (rc)
		return rc;
	rc = -posix_spawnattr_init(&attr);
	if (rc) {
		(void)posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	(void)sigemptyset(&none);
	(void)posix_spawnattr_setsigmask(&attr, &none); /* these two cannot fail */
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	/* nobody who reads the agent's output waits for the guardian */
	for (int fd = 0; !rc && fd < 3; fd++)
		rc = -posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	if (!rc)
		rc = -posix_spawn_file_actions_adddup2(&files, sock, GUARD_SOCKET);
	if (!rc)
		rc = -posix_spawn_file_actions_adddup2(&files, journal, GUARD_JOURNAL);
	if (!rc) {
		ambient(1);
		rc = -posix_spawn(ret_pid, path, &files, &attr, argv, env);
		ambient(0);
	}
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void drop_socket(struct enforce *s)
{
	struct guard *g = &s->guard;

	if (g->watch)
		s->host->fd_del(s->ctx, g->watch);
	g->watch = NULL;
	if (g->fd >= 0)
		(void)close(g->fd); /* nothing waits in it */
	g->fd = -1;
}

/* It has ended: collect it. */
static void on_death(void *arg, int fd, uint32_t bits)
{
	struct enforce *s = arg;
	struct guard *g = &s->guard;

	(void)bits;
	if (waitpid(g->pid, NULL, WNOHANG) == 0)
		return;
	s->host->fd_del(s->ctx, g->death);
	g->death = NULL;
	(void)close(fd); /* the process is gone */
	g->pidfd = -1;
	g->pid = 0;
	if (g->fd < 0)
		return; /* it was told to */
	drop_socket(s);
	s->host->log(s->ctx, LNX_WARN, "the guardian has died: what is in force is undone");
	enf_undo_all(s, "linnix: the guardian has died");
}

static void on_message(void *arg, int fd, uint32_t bits)
{
	struct enforce *s = arg;
	struct guard_msg m;
	struct act *a;
	char how[128];
	int unused;
	ssize_t n = recv(fd, &m, GUARD_MSG_BYTES(0), MSG_DONTWAIT);

	(void)bits;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)GUARD_MSG_BYTES(0)) {
		(void)s->host->fd_set(s->ctx, s->guard.watch,
				      0); /* its death is told by the other fd */
		return;
	}
	m.undo.id[UNDO_ID - 1] = 0;
	a = enf_find(s, m.undo.id, &unused);
	if (!a)
		return;
	if (m.op == GUARD_ACK && a->phase == ENF_GUARDING) {
		enf_guarded(s, a);
	} else if (m.op == GUARD_DONE && a->phase == ENF_IN_FORCE) {
		enf_undo_results(m.results, how, sizeof(how));
		enf_is_over(s, a, "guardian: the lease is over", how, m.results[UNDO_FAILED] > 0);
		enf_leased(s, a);
	}
}

static int watch(struct enforce *s)
{
	struct guard *g = &s->guard;
	int rc;

	g->pidfd = (int)syscall(SYS_pidfd_open, g->pid, 0);
	if (g->pidfd < 0)
		return -errno;
	(void)fcntl(g->pidfd, F_SETFD, FD_CLOEXEC); /* the kernel has set it already */
	rc = s->host->fd_add(s->ctx, g->pidfd, LNX_FD_READ, on_death, s, &g->death);
	if (!rc)
		rc = s->host->fd_add(s->ctx, g->fd, LNX_FD_READ, on_message, s, &g->watch);
	return rc;
}

static int start(struct enforce *s)
{
	struct guard *g = &s->guard;
	char path[1024];
	int pair[2], journal = -1, high = -1, rc = find_program(s, path, sizeof(path));

	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	high = fcntl(pair[1], F_DUPFD_CLOEXEC, HIGH_FD);
	journal = fcntl(s->journal, F_DUPFD_CLOEXEC, HIGH_FD);
	rc = high < 0 || journal < 0 ? -errno : spawn(path, high, journal, &g->pid);
	if (high >= 0)
		(void)close(high); /* the guardian has its own */
	if (journal >= 0)
		(void)close(journal);
	(void)close(pair[1]);
	if (rc < 0) {
		(void)close(pair[0]); /* nobody is at the other end */
		g->pid = 0;
		return rc;
	}
	g->fd = pair[0];
	rc = watch(s);
	if (rc < 0)
		guard_quit(s);
	return rc;
}

static int tell(struct enforce *s, const struct guard_msg *m)
{
	return send(s->guard.fd, m, GUARD_MSG_BYTES(m->n_conts), MSG_NOSIGNAL | MSG_DONTWAIT) < 0
		       ? -errno
		       : 0;
}

int guard_add(struct enforce *s, const struct act *a)
{
	struct guard_msg m = { .op = GUARD_ADD, .undo = a->undo[0] };

	if (s->guard.fd < 0 && s->guard.pid)
		return -EAGAIN; /* the one before has not quite ended */
	if (s->guard.fd < 0) {
		int rc = start(s);

		if (rc < 0)
			return rc;
	}
	memcpy(m.undo.id, a->id, sizeof(m.undo.id));
	for (uint32_t i = 0; a->undo[0].kind == UNDO_CONT && i < a->n_undo; i++)
		m.conts[m.n_conts++] = (struct guard_cont){ .pid = a->undo[i].pid,
							    .start_ticks = a->undo[i].start_ticks };
	return tell(s, &m);
}

/* What it holds for longer than it should would let go on what somebody else has stopped: one that does not take its words
 * is ended, and its death takes back the rest. */
void guard_forget(struct enforce *s, const struct act *a)
{
	struct guard_msg m = { .op = GUARD_FORGET };

	if (s->guard.fd < 0)
		return;
	memcpy(m.undo.id, a->id, sizeof(m.undo.id));
	if (tell(s, &m) < 0)
		(void)undo_kill(s->guard.pidfd, SIGKILL); /* it has ended, then */
}

void guard_quit(struct enforce *s)
{
	static const struct guard_msg quit = { .op = GUARD_QUIT };
	struct guard *g = &s->guard;

	if (g->fd >= 0)
		(void)tell(s, &quit); /* else the end of the socket does it */
	drop_socket(s);
	if (!s->is_stopping || !g->pid)
		return;
	/* nobody looks at its end any more: it ends at once, and who adopts it collects it */
	if (g->death)
		s->host->fd_del(s->ctx, g->death);
	g->death = NULL;
	if (g->pidfd >= 0)
		(void)close(g->pidfd); /* not needed any more */
	g->pidfd = -1;
	(void)waitpid(g->pid, NULL, WNOHANG); /* perhaps it has */
	g->pid = 0;
}
