/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a rule file: load it, run its tests, feed it events, tell its state. Whatever it does, it ends in time and
 * in memory, and what was refused names a file.
 * SEEDS: scripts/rules/fork_storm.lua scripts/rules/crash_loop.lua sdk/template/lua/crashes.lua */
#include <fcntl.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua_host.h"

#define FUZZ_BUDGET 20000
#define FUZZ_MEMORY (1u << 20)
#define FUZZ_EVENTS 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_events(struct lnx_bus *bus)
{
	struct lnx_ev_host_sample s = { .h = { sizeof(s), LNX_EV_HOST_SAMPLE, sizeof(s), 0, 0, 0 },
					.window_ns = 1000000000u,
					.cpu_pct = 95,
					.psi_cpu_some = 50 };
	struct lnx_ev_proc_fork f = { .h = { sizeof(f), LNX_EV_PROC_FORK, sizeof(f), 0, 7, 0 },
				      .comm = "fuzz" };
	struct lnx_ev_proc_exit x = { .h = { sizeof(x), LNX_EV_PROC_EXIT, sizeof(x), 0, 7, 0 },
				      .comm = "fuzz" };
	unsigned i;

	for (i = 0; i < FUZZ_EVENTS; i++) {
		s.h.ts_ns = f.h.ts_ns = x.h.ts_ns = 1000000000000u + i * 300000000u;
		f.child_pid = x.h.pid = 100 + i % 5;
		f.ppid = x.ppid = 7;
		(void)lnx_bus_deliver(bus, &f.h, sizeof(f));
		(void)lnx_bus_deliver(bus, &x.h, sizeof(x));
		if (i % 3 == 0)
			(void)lnx_bus_deliver(bus, &s.h, sizeof(s));
	}
}

static void fuzz_run(const char *path, size_t size)
{
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_bus_conf bus = { .registry = registry,
				    .ring_bytes = 65536,
				    .pool_bytes = 65536 };
	const char *const files[] = { path, NULL };
	struct lnx_rules_conf conf = { .files = files,
				       .registry = registry,
				       .budget = FUZZ_BUDGET,
				       .is_covering = size % 2,
				       .memory_max = FUZZ_MEMORY };
	struct lnx_buf errors = { 0 }, tap = { 0 }, json = { 0 };
	struct lnx_rules *r = NULL;
	unsigned tests = 0;

	conf.bus = lnx_bus_new(&bus);
	if (!registry || !conf.bus || lnx_rules_new(&conf, &errors, &r) < 0)
		abort();
	if (lnx_rules_errors(r) && !strstr(errors.data, "/proc/self/fd/"))
		abort();
	(void)lnx_rules_test(r, &tap, &tests);
	if (lnx_rules_start(r) == 0) {
		fuzz_events(conf.bus);
		lnx_rules_tick(r, 1000000000000u + 600000000000u);
	}
	lnx_rules_json(r, &json);
	if (lnx_buf_error(&json) || json.data[0] != '{' || json.data[json.size - 1] != '}')
		abort();
	lnx_rules_free(r);
	lnx_bus_free(conf.bus);
	lnx_registry_free(registry);
	lnx_buf_done(&errors);
	lnx_buf_done(&tap);
	lnx_buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfd_create("rule", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fchmod(fd, 0600) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	lnx_log_set_level(-1);
	fuzz_run(path, size);
	(void)close(fd);
	return 0;
}
