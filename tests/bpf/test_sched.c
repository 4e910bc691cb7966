/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The CPU ledger on the real kernel, against the kernel's own pressure figures and a replay of its trace.
 * Each scenario prints what it measured and the bar. Arguments: the object, then scenarios by name.
 * LINK: tests/bpf/lab.c tests/bpf/lab_probe.c tests/bpf/lab_ledger.c */
#include "tests/bpf/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One CPU for the pinned scenarios; not 0, which takes most interrupts. */
static int the_cpu(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
}

/* Run the workers that were spawned and look before and after. PSI is up to 2 s late. */
static void measure(struct lab *l)
{
	lab_window(l);
	lab_go(l);
	lab_join(l);
	lab_window(l);
}

static void print_victim(struct lab *l, int group)
{
	const struct stall_victim *v = lab_victim(l, lab_handle(l, group));

	printf("    %s stall %.1f raw %.1f check %.1f:", l->groups[group].name,
	       (double)v->stall_ns / 1e6, (double)v->raw_ns / 1e6, (double)v->check_ns / 1e6);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct stall_part *p = &l->w.parts[v->first + i];
		const char *name = p->culprit == v->handle	     ? "self"
				   : p->culprit == LNX_LEDGER_IDLE   ? "idle"
				   : p->culprit == LNX_LEDGER_KERNEL ? "kernel"
				   : p->culprit == LNX_LEDGER_OTHER  ? "other"
				   : p->culprit < LNX_LEDGER_FIRST   ? "throttled"
								     : "?";

		for (uint32_t g = 0; g < l->n_groups; g++)
			if (l->groups[g].handle == p->culprit && p->culprit != v->handle)
				name = l->groups[g].name;
		printf(" %s/%u %.1f", name, p->culprit, (double)p->stall_ns / 1e6);
	}
	printf("\n");
}

static void print_counts(struct lab *l)
{
	printf("    counters:");
	for (uint32_t i = 0; i < LNX_LEDGER_COUNTS; i++)
		if (l->w.count[i])
			printf(" %s=%llu", stall_count_name(i), (unsigned long long)l->w.count[i]);
	printf("\n");
}

static void against_psi(struct lab *l, int group, double bar)
{
	const struct stall_victim *v = lab_victim(l, lab_handle(l, group));

	lab_until(l->w.to_ns + 2200 * LAB_MS);
	print_victim(l, group);
	lab_near(l, "stall against cpu.pressure, ms", (double)v->stall_ns / 1e6,
		 lab_psi_ms(l, group), bar);
	lab_near(l, "parts against the wait itself, ms", (double)v->raw_ns / 1e6,
		 (double)v->check_ns / 1e6, 0.001);
}

static void spin_pair(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "bully");
	struct lab_work w = { LAB_SPIN, the_cpu(), 0, 0, 0, 4 * LAB_SEC };
	double s;

	lab_spawn(l, a, &w);
	lab_spawn(l, b, &w);
	measure(l);
	s = (double)(l->w.to_ns - l->w.from_ns) / 1e9;
	lab_near(l, "bully holds the victim, s/s",
		 lab_part_ms(l, lab_handle(l, a), lab_handle(l, b), 0) / 1e3 / s, 0.5, 0.03);
	against_psi(l, a, 0.03);
	print_counts(l);
}

static void own_quota(struct lab *l)
{
	int a = lab_group(l, "capped"), b = lab_group(l, "idler");
	struct lab_work w = { LAB_SPIN, the_cpu(), 0, 0, 0, 4 * LAB_SEC };
	struct lab_work idle = { LAB_WAKE, the_cpu(), 50, 20000, 0, 4 * LAB_SEC };
	const struct stall_victim *v;

	lab_set(l, a, "cpu.cfs_period_us", "100000");
	lab_set(l, a, "cpu.cfs_quota_us", "10000");
	lab_spawn(l, a, &w);
	lab_spawn(l, b, &idle);
	measure(l);
	v = lab_victim(l, lab_handle(l, a));
	lab_least(l, "throttled share of the stall",
		  lab_throttled_ms(l, v->handle) * 1e6 / (double)v->stall_ns, 0.95);
	lab_most(l, "idle neighbour's share",
		 lab_part_ms(l, v->handle, lab_handle(l, b), 0) * 1e6 / (double)v->stall_ns, 0.005);
	against_psi(l, a, 0.03);
	print_counts(l);
}

static const struct {
	const char *name;
	void (*run)(struct lab *l);
} scenarios[] = {
	{ "spin_pair", spin_pair },
	{ "own_quota", own_quota },
};

int main(int argc, char **argv)
{
	struct lab l;

	lab_open(&l, argc > 1 ? argv[1] : "build/bpf/sched.bpf.o");
	lab_attach(&l);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		int wanted = argc <= 2;

		for (int k = 2; k < argc; k++)
			wanted |= !strcmp(argv[k], scenarios[i].name);
		if (!wanted)
			continue;
		printf("%s\n", scenarios[i].name);
		scenarios[i].run(&l);
		lab_clean(&l);
	}
	lab_detach(&l);
	printf("%d checks, %d failed\n", l.checks, l.failed);
	return l.failed ? 1 : 0;
}
