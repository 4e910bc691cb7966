/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* linnix-guardian: holds what takes the agent's actions back, and does so at the end of an action's lease or at the
 * agent's death, whichever is first. Started by plugin `enforce` while an action is in force, and by nobody else, with a
 * socket to the agent as descriptor GUARD_SOCKET and its journal as GUARD_JOURNAL. The socket's end is the agent's death. Signals that ask a whole group to end are left alone: the agent tells what is to
 * be done, or its death does. What was undone is written to the journal, so that the next start knows. */
#include "undo.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct undo held[UNDO_MAX]; /* touched only as far as it is used */
static unsigned n_held;

/* The line that ends action <id>. Lost when the disk is full: then the next start finds nothing to undo and says so. */
static void write_end(const char *id)
{
	char line[160];
	int n = snprintf(line, sizeof(line),
			 "{\"op\":\"end\",\"id\":\"%.26s\",\"by\":\"guardian\"}\n", id);

	if (write(GUARD_JOURNAL, line, (size_t)n) == n)
		(void)fsync(GUARD_JOURNAL); /* as good as it gets */
}

static void forget(const char *id)
{
	unsigned i, n = 0;

	for (i = 0; i < n_held; i++)
		if (strcmp(held[i].id, id) != 0 && n++ != i)
			held[n - 1] = held[i];
	n_held = n;
}

static void tell(const struct guard_msg *m)
{
	(void)send(GUARD_SOCKET, m, GUARD_MSG_BYTES(0),
		   MSG_NOSIGNAL); /* the agent's death is noticed by the next read */
}

/* Undo all of one action, last first. What cannot be undone is left to the next start, by the journal. */
static void undo_action(const char *id_of, int is_told)
{
	static struct guard_msg m;
	unsigned i;
	int rc;

	memset(&m, 0, GUARD_MSG_BYTES(0));
	m.op = GUARD_DONE;
	memcpy(m.undo.id, id_of, sizeof(m.undo.id));
	for (i = n_held; i-- > 0;)
		if (strcmp(held[i].id, m.undo.id) == 0)
			m.results[undo_run(&held[i], &rc)]++;
	forget(m.undo.id);
	if (!m.results[UNDO_FAILED])
		write_end(m.undo.id);
	if (is_told)
		tell(&m);
}

static void undo_all(void)
{
	while (n_held)
		undo_action(held[n_held - 1].id, 0);
}

/* Hold what an action is undone by, or, where there is no room for all of it, nothing: then it is not acknowledged, and not
 * done. */
static void hold(struct guard_msg *m)
{
	unsigned i, n = m->n_conts ? m->n_conts : 1;

	if (n > UNDO_MAX - n_held)
		return;
	for (i = 0; i < n; i++) {
		held[n_held] = m->undo;
		if (m->n_conts) {
			held[n_held].pid = m->conts[i].pid;
			held[n_held].start_ticks = m->conts[i].start_ticks;
		}
		n_held++;
	}
	m->op = GUARD_ACK;
	m->n_conts = 0;
	tell(m);
}

/* What the agent said. Returns 0 when there is nothing left to wait for. */
static int handle(void)
{
	static struct guard_msg m;
	ssize_t n = recv(GUARD_SOCKET, &m, sizeof(m), 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n < (ssize_t)GUARD_MSG_BYTES(0) || m.n_conts > GUARD_CONTS ||
	    n != (ssize_t)GUARD_MSG_BYTES(m.n_conts)) {
		undo_all();
		return 0;
	}
	m.undo.id[UNDO_ID - 1] = 0;
	switch (m.op) {
	case GUARD_ADD:
		hold(&m);
		return 1;
	case GUARD_FORGET:
		forget(m.undo.id);
		return 1;
	case GUARD_QUIT:
		return 0;
	}
	return 1;
}

/* Milliseconds to the end of the first lease, -1: none. */
static int next_ms(void)
{
	uint64_t first = UINT64_MAX, now = undo_now();

	for (unsigned i = 0; i < n_held; i++)
		if (held[i].deadline_ns < first)
			first = held[i].deadline_ns;
	if (first == UINT64_MAX)
		return -1;
	if (first <= now)
		return 0;
	first = (first - now) / 1000000 + 1;
	/* a machine that slept does not advance poll's clock, so it is asked again each second */
	return first > 1000 ? 1000 : (int)first;
}

static void undo_due(void)
{
	uint64_t now = undo_now();
	unsigned i;

	for (i = 0; i < n_held; i++) {
		if (held[i].deadline_ns > now)
			continue;
		undo_action(held[i].id, 1);
		i = (unsigned)-1; /* the list has changed */
	}
}

static void leave_the_group(void)
{
	static const int ignored[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2
	};
	struct sigaction sa = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)sigaction(ignored[i], &sa, NULL); /* these can be ignored */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid(); /* already a leader: as well */
	(void)close_range(GUARD_JOURNAL + 1, ~0U,
			  0); /* nothing is there unless somebody forgot CLOEXEC */
}

int main(void)
{
	struct pollfd p = { .fd = GUARD_SOCKET, .events = POLLIN };
	socklen_t bytes = sizeof(int);
	int type = 0, n;

	if (getsockopt(GUARD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 ||
	    type != SOCK_SEQPACKET) {
		(void)fprintf(stderr,
			      "linnix-guardian is started by linnixd, see its plugin enforce\n");
		return 2;
	}
	leave_the_group();
	do {
		n = poll(&p, 1, next_ms());
		undo_due();
	} while (n <= 0 || handle());
	return 0;
}
