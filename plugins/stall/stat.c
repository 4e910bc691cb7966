/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shares of each CPU's busy time that went to the hypervisor and to interrupts, from /proc/stat. Its unit is a
 * hundredth of a second: a share of a 1 s window is good to about one percent. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stall.h"

#define COLUMNS 8 /* user nice system idle iowait irq softirq steal */
#define IDLE	3
#define IOWAIT	4
#define IRQ	5
#define SOFTIRQ 6
#define STEAL	7

int stall_stat_init(struct stall_stat *st, uint32_t n_cpus)
{
	st->n_cpus = n_cpus;
	st->last = calloc((size_t)n_cpus * COLUMNS, sizeof(*st->last));
	st->steal = calloc(n_cpus, sizeof(*st->steal));
	st->irq = calloc(n_cpus, sizeof(*st->irq));
	st->has_irq = access("/proc/pressure/irq", F_OK) == 0;
	return st->last && st->steal && st->irq ? 0 : -ENOMEM;
}

void stall_stat_done(struct stall_stat *st)
{
	free(st->last);
	free(st->steal);
	free(st->irq);
	memset(st, 0, sizeof(*st));
}

static void one_cpu(struct stall_stat *st, uint32_t cpu, const uint64_t *v)
{
	uint64_t *last = st->last + (size_t)cpu * COLUMNS, d[COLUMNS], busy = 0;
	int is_first = !last[IDLE] && !last[0];

	for (int i = 0; i < COLUMNS; i++) {
		d[i] = v[i] > last[i] ? v[i] - last[i] : 0; /* idle and iowait may fall */
		last[i] = v[i];
		if (i != IDLE && i != IOWAIT)
			busy += d[i];
	}
	st->steal[cpu] = busy && !is_first ? (double)d[STEAL] / (double)busy : 0;
	st->irq[cpu] =
		busy && !is_first && st->has_irq ? (double)(d[IRQ] + d[SOFTIRQ]) / (double)busy : 0;
}

static char *read_all(void)
{
	size_t cap = 65536, n = 0;
	char *text = malloc(cap), *bigger;
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	while (text && fd >= 0 && (got = read(fd, text + n, cap - 1 - n)) > 0) {
		n += (size_t)got;
		if (n + 1 < cap)
			continue;
		bigger = cap < 4u << 20 ? realloc(text, 2 * cap) : NULL;
		if (!bigger)
			break;
		text = bigger;
		cap *= 2;
	}
	if (fd >= 0)
		(void)close(fd); /* read only */
	if (text)
		text[n] = 0;
	return text;
}

void stall_stat_read(struct stall_stat *st, const char *given)
{
	char *owned = given ? NULL : read_all();
	const char *line = given ? given : owned;

	memset(st->steal, 0, st->n_cpus * sizeof(*st->steal));
	memset(st->irq, 0, st->n_cpus * sizeof(*st->irq));
	for (; line && !strncmp(line, "cpu", 3); line += strcspn(line, "\n") + 1) {
		uint64_t v[COLUMNS] = { 0 };
		char *at;
		unsigned long cpu = strtoul(line + 3, &at, 10);

		if (at != line + 3 && cpu < st->n_cpus) {
			for (int i = 0; i < COLUMNS; i++)
				v[i] = strtoull(at, &at, 10);
			one_cpu(st, (uint32_t)cpu, v);
		}
		if (!line[strcspn(line, "\n")])
			break;
	}
	free(owned);
}
