/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* PSI triggers: the kernel wakes us when the machine stalls, so that a sample shows it at once and not up to an
 * interval later. Only the machine's: a cgroup cannot stall without it, and each trigger costs the kernel a
 * thread. An armed fd is always readable and signals with EPOLLPRI only; a loop that asks for EPOLLIN would
 * spin. So the fds are in an epoll set of their own, and the loop watches that. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "psi.h"

#define PSI_EARLY_NS 250000000ULL /* no sample sooner than this after the one before */

static int arm(int fd, uint32_t pct, uint32_t window_us)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "some %u %u", pct * (window_us / 100), window_us);

	return write(fd, text, (size_t)n + 1) < 0 ? -errno : 0;
}

/* Open and arm one file. Returns its fd or -errno. */
static int trigger_open(const struct psi_state *s, const char *name)
{
	char path[512];
	struct statfs fs;
	int fd, r;

	if (snprintf(path, sizeof(path), "%s/pressure/%s", s->conf->proc_root, name) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	/* never write into what is not the kernel's */
	r = fstatfs(fd, &fs) ? -errno : fs.f_type == PROC_SUPER_MAGIC ? 0 : -EMEDIUMTYPE;
	if (!r)
		r = arm(fd, s->conf->trigger_pct, 1000000);
	if (r == -EINVAL || r == -EPERM)
		r = arm(fd, s->conf->trigger_pct,
			2000000); /* all that is allowed without CAP_SYS_RESOURCE */
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

/* That we are called is the news: the loop's own look at our epoll set took the event out of the trigger. */
static void on_stall(void *arg, int epoll_fd, uint32_t bits)
{
	struct epoll_event ev[PSI_N];
	struct psi_state *s = arg;
	uint64_t now = s->host->now_ns(s->ctx);
	int i, n = epoll_wait(epoll_fd, ev, PSI_N, 0), res;

	(void)bits; /* always readable when called */
	for (i = 0; i < n; i++) {
		res = (int)ev[i].data.u32;
		if (!(ev[i].events & EPOLLERR))
			continue;
		/* the kernel took the trigger back: it would report this for ever */
		close(s->res[res].trigger_fd);
		s->res[res].trigger_fd = -1;
	}
	s->wakeups++;
	if (s->is_stalled || now < s->sample_ns + PSI_EARLY_NS)
		return; /* no news, or too soon after the sample before */
	psi_host_sample(s);
	(void)s->host->timer_set(s->ctx, s->timer, s->conf->interval_ns, s->conf->interval_ns);
}

void psi_triggers_open(struct psi_state *s)
{
	static const char *const names[PSI_N] = { "cpu", "memory", "io" };
	struct epoll_event ev = { .events = EPOLLPRI };
	int i, r = 0, n = 0;

	if (!s->conf->trigger_pct)
		return;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		r = -errno;
	for (i = 0; i < PSI_N && s->epoll_fd >= 0; i++) {
		s->res[i].trigger_fd = trigger_open(s, names[i]);
		if (s->res[i].trigger_fd < 0) {
			r = s->res[i].trigger_fd;
			continue;
		}
		ev.data.u32 = (uint32_t)i;
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->res[i].trigger_fd, &ev)) {
			r = -errno;
			close(s->res[i].trigger_fd);
			s->res[i].trigger_fd = -1;
			continue;
		}
		n++;
	}
	if (n)
		r = s->host->fd_add(s->ctx, s->epoll_fd, LNX_FD_READ, on_stall, s, &s->epoll_watch);
	if (!n || r)
		s->host->log(
			s->ctx, LNX_INFO,
			"%d of 3 pressure triggers (%s): other stalls show up to an interval late",
			n, r ? strerror(-r) : "no pressure");
}

void psi_triggers_close(struct psi_state *s)
{
	int i;

	s->host->fd_del(s->ctx, s->epoll_watch);
	s->epoll_watch = NULL;
	for (i = 0; i < PSI_N; i++) {
		if (s->res[i].trigger_fd >= 0)
			close(s->res[i].trigger_fd);
		s->res[i].trigger_fd = -1;
	}
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	s->epoll_fd = -1;
}
