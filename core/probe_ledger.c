/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What probe "sched" cost: it times itself, per CPU, in the map of its ledger. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linnix/ledger.h>

#include "probe_impl.h"

int lnx_probe_cost_ledger(const struct lnx_probe *p, struct lnx_probe_cost *ret_cpus)
{
	const struct lnx_probe_map *map = lnx_probe_find_map(p, "cpus");
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
	const struct lnx_ledger_cpu *cpus;

	if (!map || map->value_bytes != sizeof(*cpus))
		return -ENOENT;
	bytes = ((size_t)map->max_entries * sizeof(*cpus) + page - 1) / page * page;
	cpus = mmap(NULL, bytes, PROT_READ, MAP_SHARED, map->fd, 0);
	if (cpus == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; i < map->max_entries; i++)
		for (uint32_t k = 0; k < LNX_LEDGER_PROGS; k++) {
			ret_cpus[i].runs += cpus[i].runs[k];
			ret_cpus[i].timed_runs += cpus[i].prog[k].timed;
			ret_cpus[i].timed_ns += cpus[i].prog[k].timed_ns;
		}
	(void)munmap((void *)cpus, bytes); /* ours */
	return 0;
}
