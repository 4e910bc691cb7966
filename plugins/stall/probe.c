/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The maps of probe "sched" in our memory, and whether it counts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stall.h"

#define QUIET_LOOKS   3	   /* looks without a scheduler event until the probe is held to be off */
#define TASKS_CPU_MAX 1024 /* entries of the map of waiting tasks, for a CPU: it has fewer */

__attribute__((format(printf, 2, 3))) static int not_live(struct stall *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(s->probe.why, sizeof(s->probe.why), fmt, ap); /* cut when too long */
	va_end(ap);
	s->probe.is_live = 0;
	return -ENODEV;
}

/* "0-3,8-11": the highest number and one. */
uint32_t stall_possible_cpus(void)
{
	char text[256];
	uint32_t n = 1;
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	const char *last;

	if (!f)
		return 1;
	if (fgets(text, sizeof(text), f)) {
		last = strpbrk(text, ",-") ? strrchr(text, '-') : NULL;
		if (!last || (strrchr(text, ',') && strrchr(text, ',') > last))
			last = strrchr(text, ',');
		n = (uint32_t)strtoul(last ? last + 1 : text, NULL, 10) + 1;
	}
	(void)fclose(f); /* read only */
	return n < LNX_LEDGER_CPU_MAX ? n : LNX_LEDGER_CPU_MAX;
}

void stall_no_map(char *ret_why, size_t bytes, const char *probe, int rc)
{
	if (rc == -ENODEV)
		(void)snprintf(ret_why, bytes, "probe %s is not loaded: GET /status tells why",
			       probe); /* fits */
	else
		(void)snprintf(ret_why, bytes, "probe %s lacks a map: %s", probe,
			       strerror(-rc)); /* fits */
}

static int no_map(struct stall *s, int rc)
{
	char why[sizeof(s->probe.why)];

	stall_no_map(why, sizeof(why), "sched", rc);
	return not_live(s, "%s", why);
}

static void *map_it(struct stall *s, const char *name, size_t bytes, size_t *ret_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = s->host->probe_map(s->ctx, "sched", name);
	void *p;

	if (fd < 0) {
		(void)no_map(s, fd);
		return NULL;
	}
	bytes = (bytes + page - 1) / page * page;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		(void)not_live(s, "the ledger cannot be mapped: %s", strerror(errno));
		return NULL;
	}
	*ret_bytes = bytes;
	return p;
}

/* What a map takes, as the kernel says it. */
static size_t map_bytes(struct stall *s, const char *name)
{
	int fd = s->host->probe_map(s->ctx, "sched", name);
	char text[64];
	size_t bytes = 0;
	FILE *f;

	if (fd < 0)
		return 0;
	(void)snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", fd); /* fits */
	f = fopen(text, "re");
	if (!f)
		return 0;
	while (fgets(text, sizeof(text), f))
		if (!strncmp(text, "memlock:", 8))
			bytes = strtoul(text + 8, NULL, 10);
	(void)fclose(f); /* read only */
	return bytes;
}

/* Tasks that waited when the ledger was paused have run since. */
static void forget_tasks(struct stall *s)
{
	int fd = s->host->probe_map(s->ctx, "sched", "tasks");
	uint32_t pid, n = 0;

	while (fd >= 0 && n++ < TASKS_CPU_MAX * s->probe.n_cpus &&
	       !s->host->map_next(s->ctx, fd, NULL, &pid))
		(void)s->host->map_delete(s->ctx, fd, &pid); /* gone is fine */
}

static int open_maps(struct stall *s)
{
	struct stall_probe *p = &s->probe;

	if (p->cpus && p->tab)
		return 0; /* a test's own memory */
	p->n_cpus = stall_possible_cpus();
	p->cpus = map_it(s, "cpus", p->n_cpus * STALL_CPU_STRIDE, &p->cpus_bytes);
	p->tab = p->cpus ? map_it(s, LNX_LEDGER_TABLE, sizeof(*p->tab), &p->tab_bytes) : NULL;
	if (!p->tab)
		return -ENODEV;
	/* Before the attach: what an earlier reader left is gone. */
	stall_cpus_reset(p->cpus, p->n_cpus);
	return 0;
}

int stall_probe_open(struct stall *s)
{
	struct stall_probe *p = &s->probe;
	int rc;

	p->slots_fd = s->host->probe_map(s->ctx, "sched", "slots");
	if (p->slots_fd < 0)
		return no_map(s, p->slots_fd);
	rc = open_maps(s);
	if (rc)
		return rc;
	stall_slots_init(p->tab);
	p->slot = calloc(LNX_LEDGER_SLOTS, sizeof(*p->slot));
	p->ledger = stall_ledger_new(p->cpus, p->n_cpus, p->tab);
	if (!p->slot || !p->ledger || stall_stat_init(&s->stat, p->n_cpus))
		return not_live(s, "no memory for the ledger's reader");
	rc = s->host->probe_want(s->ctx, "sched", 1);
	if (rc < 0)
		return not_live(s, "probe sched cannot be attached: %s", strerror(-rc));
	p->is_wanted = 1;
	(void)not_live(s, "probe sched is attached, and has seen nothing yet");
	return 0;
}

void stall_probe_check(struct stall *s)
{
	struct stall_probe *p = &s->probe;

	if (!p->is_wanted)
		return;
	if (s->look->runs[LNX_LEDGER_PROG_SWITCH])
		p->quiet_looks = 0;
	else if (p->quiet_looks < QUIET_LOOKS)
		p->quiet_looks++;
	if (p->is_live && p->quiet_looks == QUIET_LOOKS) {
		(void)not_live(s, "probe sched sees no event: GET /status tells its state");
		s->host->health(s->ctx, "ledger", LNX_HEALTH_DEGRADED, p->why);
	} else if (!p->is_live && !p->quiet_looks) {
		p->is_live = 1;
		p->why[0] = 0;
		s->host->health(s->ctx, "ledger", LNX_HEALTH_OK, "");
		s->host->log(s->ctx, LNX_INFO, "the CPU ledger counts: %u CPUs, %zu KiB", p->n_cpus,
			     (p->n_cpus * STALL_CPU_STRIDE + sizeof(*p->tab) +
			      map_bytes(s, "slots") + map_bytes(s, "tasks")) /
				     1024);
	}
}

void stall_probe_pause(struct stall *s, const char *why)
{
	if (s->probe.is_wanted)
		(void)s->host->probe_want(s->ctx, "sched", 0); /* nothing to do about it */
	s->probe.is_wanted = 0;
	(void)not_live(s, "%s", why);
}

int stall_probe_resume(struct stall *s)
{
	struct stall_probe *p = &s->probe;
	int rc;

	stall_cpus_reset(p->cpus, p->n_cpus);
	forget_tasks(s);
	rc = s->host->probe_want(s->ctx, "sched", 1);
	if (rc < 0)
		return not_live(s, "probe sched cannot be attached again: %s", strerror(-rc));
	p->is_wanted = 1;
	p->quiet_looks = QUIET_LOOKS; /* until it has seen something */
	(void)not_live(s, "probe sched is attached again, and has seen nothing yet");
	return 0;
}

void stall_probe_close(struct stall *s)
{
	struct stall_probe *p = &s->probe;

	if (p->is_wanted)
		(void)s->host->probe_want(s->ctx, "sched", 0); /* nothing to do about it */
	stall_ledger_free(p->ledger);
	free(p->slot);
	if (p->cpus_bytes)
		(void)munmap(p->cpus, p->cpus_bytes); /* ours */
	if (p->tab_bytes)
		(void)munmap(p->tab, p->tab_bytes); /* ours */
	memset(p, 0, sizeof(*p));
	stall_stat_done(&s->stat);
}
