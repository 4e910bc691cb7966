/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The CPU ledger on the real kernel, against the kernel's own pressure figures and a replay of its trace.
 * Each scenario prints what it measured and the bar. Arguments: the object, then scenarios by name.
 * LINK: tests/bpf/lab.c tests/bpf/lab_probe.c tests/bpf/lab_ledger.c
 * LINK: tests/bpf/replay.c tests/bpf/scenes.c tests/bpf/score.c */
#include "tests/bpf/scenes.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void spin_pair(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "bully");
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 4 * LAB_SEC };
	const struct stall_victim *v;
	double s, node_ms = 0, others_ms = 0;
	pid_t bully;

	lab_spawn(l, a, &w);
	bully = lab_spawn(l, b, &w);
	scene_measure(l);
	/* Half of the time that the rest of the machine left to the two. */
	v = lab_victim(l, lab_handle(l, a));
	s = (double)(l->w.to_ns - l->w.from_ns - v->stall_ns) / 1e9 + scene_lab_ms(l, v) / 1e3;
	lab_near(l, "bully holds the victim, s/s of what both had",
		 lab_part_ms(l, v->handle, lab_handle(l, b), 0) / 1e3 / s, 0.5, 0.03);
	for (uint32_t i = 0; i < l->w.n_procs; i++)
		if (l->w.procs[i].tgid == (uint32_t)bully &&
		    l->w.procs[i].handle == lab_handle(l, b))
			node_ms = (double)l->w.procs[i].caused_ns / 1e6;
	for (uint32_t i = 0; i < l->w.n_victims; i++) {
		uint32_t h = l->w.victims[i].handle;

		if (h != lab_handle(l, b) && h != LNX_LEDGER_NODE && h != LNX_LEDGER_KERNEL)
			others_ms += lab_part_ms(l, h, lab_handle(l, b), 1);
	}
	lab_near(l, "the bully's process caused all of it, ms", node_ms, others_ms, 0.01);
	scene_against_psi(l, a, 0.03);
	scene_counts(l);
}

static void replay_check(struct lab *l, struct replay *r, int victim, double bar, double bar_sum)
{
	static double ms[LAB_GROUPS * (LAB_GROUPS + 1)];
	uint32_t n = l->n_groups;
	double sum = 0, seen = 0;
	char what[96];
	int rc = replay_stop(r, l->pids, l->pid_group, l->n_pids, n, ms);

	if (rc) {
		score_skip(&l->score, "the trace is not complete: %s", strerror(-rc));
		return;
	}
	for (uint32_t g = 0; g <= n; g++)
		sum += ms[(uint32_t)victim * (n + 1) + g];
	for (uint32_t g = 0; g < n; g++) {
		double got = lab_part_ms(l, lab_handle(l, victim), lab_handle(l, (int)g), 1);

		snprintf(what, sizeof(what), "%s against the replay, ms", l->groups[g].name);
		if ((int)g != victim)
			lab_near(l, what, got, ms[(uint32_t)victim * (n + 1) + g], bar);
	}
	seen = (double)lab_victim(l, lab_handle(l, victim))->raw_ns / 1e6;
	lab_near(l, "run-queue wait against the replay, ms", seen, sum, bar_sum);
	scene_print(l, victim);
	scene_counts(l);
}

static void weights(struct lab *l)
{
	int a = lab_group(l, "victim"),
	    b[3] = { lab_group(l, "one"), lab_group(l, "two"), lab_group(l, "three") };
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 4 * LAB_SEC };
	struct replay *r = replay_start();

	if (!r) {
		score_skip(&l->score, "no tracefs");
		return;
	}
	for (uint32_t i = 0; i < 3; i++)
		lab_weight(l, b[i], 100 * (i + 1));
	lab_spawn(l, a, &w);
	for (int i = 0; i < 3; i++)
		lab_spawn(l, b[i], &w);
	scene_measure(l);
	replay_check(l, r, a, 0.02, 0.02);
}

static void waker(struct lab *l)
{
	int a = lab_group(l, "waker"),
	    b[3] = { lab_group(l, "hog1"), lab_group(l, "hog4"), lab_group(l, "hog12") };
	struct lab_work w = { LAB_WAKE, scene_cpu(), 150, 1500, 0, 4 * LAB_SEC };
	struct lab_work h[3] = { { LAB_WAKE, scene_cpu(), 1000, 500, 0, 4 * LAB_SEC },
				 { LAB_WAKE, scene_cpu(), 4000, 3000, 0, 4 * LAB_SEC },
				 { LAB_WAKE, scene_cpu(), 12000, 9000, 0, 4 * LAB_SEC } };
	struct replay *r = replay_start();

	if (!r) {
		score_skip(&l->score, "no tracefs");
		return;
	}
	lab_spawn(l, a, &w);
	for (int i = 0; i < 3; i++)
		lab_spawn(l, b[i], &h[i]);
	scene_measure(l);
	replay_check(l, r, a, 0.05, 0.05);
	scene_against_psi(l, a, 0.05);
}

static void quota(struct lab *l, int capped, int victim, int idler)
{
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 4 * LAB_SEC };
	struct lab_work idle = { LAB_WAKE, scene_cpu(), 50, 20000, 0, 4 * LAB_SEC };
	const struct stall_victim *v;

	lab_quota(l, capped, 10000, 100000);
	lab_spawn(l, victim, &w);
	lab_spawn(l, idler, &idle);
	scene_measure(l);
	v = lab_victim(l, lab_handle(l, victim));
	lab_least(l, "throttled share of the stall",
		  lab_throttled_ms(l, v->handle) / scene_lab_ms(l, v), 0.95);
	lab_most(l, "idle neighbour's share",
		 lab_part_ms(l, v->handle, lab_handle(l, idler), 0) * 1e6 / (double)v->stall_ns,
		 0.005);
	lab_same(l, "all of it by the quota at depth 1, ms",
		 lab_part_ms(l, v->handle, LNX_LEDGER_THROTTLED + 1, 0),
		 lab_throttled_ms(l, v->handle));
	score_sure(&l->score,
		   l->tab->slot[LNX_LEDGER_SLOT(v->handle)].owner == lab_cpu_id(l, capped),
		   "the owner is named");
	scene_against_psi(l, victim, 0.03);
	scene_counts(l);
}

static void own_quota(struct lab *l)
{
	int a = lab_group(l, "capped"), b = lab_group(l, "idler");

	quota(l, a, a, b);
}

static void parent_quota(struct lab *l)
{
	int a = lab_group(l, "capped"), b = lab_group(l, "capped/victim"),
	    c = lab_group(l, "idler");

	quota(l, a, b, c);
}

static void own_threads(struct lab *l)
{
	int a = lab_group(l, "threads"), b = lab_group(l, "idler");
	struct lab_work w = { LAB_THREADS, scene_cpu(), 64, 0, 0, 4 * LAB_SEC };
	struct lab_work idle = { LAB_WAKE, scene_cpu(), 50, 50000, 0, 4 * LAB_SEC };
	const struct stall_victim *v;

	lab_spawn(l, a, &w);
	lab_spawn(l, b, &idle);
	scene_measure(l);
	v = lab_victim(l, lab_handle(l, a));
	lab_least(l, "self share of the stall",
		  lab_part_ms(l, v->handle, v->handle, 0) / scene_lab_ms(l, v), 0.99);
	lab_most(l, "neighbour's share",
		 lab_part_ms(l, v->handle, lab_handle(l, b), 0) * 1e6 / (double)v->stall_ns, 0.005);
	scene_against_psi(l, a, 0.03);
	scene_counts(l);
}

static void two_cpus(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "bully");
	struct lab_work v = { LAB_SPIN, -1, 0, 0, 0, 6 * LAB_SEC };
	struct lab_work w = { LAB_WAKE, -1, 7000, 2000, 0, 6 * LAB_SEC };
	struct lab_work s = { LAB_SPIN, -1, 0, 0, 0, 6 * LAB_SEC };
	double stall = 0, raw = 0, seen = 0, psi;
	uint64_t end;

	lab_spawn(l, a, &v);
	lab_spawn(l, a, &w);
	lab_spawn(l, b, &w);
	lab_spawn(l, b, &w);
	lab_spawn(l, b, &s);
	lab_window(l);
	lab_go(l);
	/* The kernel weighs CPUs over windows of 2 s: look when it closes one. */
	for (end = lab_now() + 8500 * LAB_MS; lab_now() < end;) {
		lab_until(lab_now() + 10 * LAB_MS);
		psi = lab_psi_ms(l, a);
		if (psi == seen)
			continue;
		seen = psi;
		lab_window(l);
		stall += scene_stall_ms(l, a);
		raw += (double)lab_victim(l, lab_handle(l, a))->raw_ns / 1e6;
	}
	lab_window(l);
	stall += scene_stall_ms(l, a);
	lab_join(l);
	lab_near(l, "stall against cpu.pressure, ms", stall, lab_psi_ms(l, a), 0.02);
	printf("         raw %.1f\n", raw);
	scene_counts(l);
}

static void fork_storm(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "storm");
	struct lab_work v = { LAB_SPIN, scene_cpu(), 0, 0, 0, 4 * LAB_SEC };
	struct lab_work w = { LAB_FORK, scene_cpu(), 300, 0, 0, 4 * LAB_SEC };

	lab_spawn(l, a, &v);
	for (int i = 0; i < 3; i++)
		lab_spawn(l, b, &w);
	scene_measure(l);
	scene_against_psi(l, a, 0.035);
	scene_against_psi(l, b, 0.035);
	scene_counts(l);
}

/* Nothing contends: what else the machine does may hold it up, a neighbour on another CPU never. */
static void alone(struct lab *l)
{
	int a = lab_group(l, "busy"), c = lab_group(l, "away");
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 3 * LAB_SEC };
	struct lab_work away = { LAB_WAKE, 0, 2000, 5000, 0, 3 * LAB_SEC };

	if (!scene_cpu()) {
		score_skip(&l->score, "one CPU");
		return;
	}
	lab_spawn(l, a, &w);
	lab_spawn(l, c, &away);
	scene_measure(l);
	lab_least(l, "the neighbour ran, ms",
		  (double)l->w.run_ns[LNX_LEDGER_SLOT(lab_handle(l, c))] / 1e6, 100);
	lab_most(l, "the neighbour is blamed, ms",
		 lab_part_ms(l, lab_handle(l, a), lab_handle(l, c), 0), 0);
	lab_most(l, "waits for itself, ms", lab_part_ms(l, lab_handle(l, a), lab_handle(l, a), 0),
		 0);
	scene_against_psi(l, a, 0.05);
}

static double node_psi_ms(void)
{
	char text[256] = "", *p;
	FILE *f = fopen("/proc/pressure/cpu", "r");

	if (!f)
		return 0;
	(void)!fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	p = strstr(text, "total=");
	return p ? strtod(p + 6, NULL) / 1000 : 0;
}

static void node(struct lab *l)
{
	int a = lab_group(l, "one"), b = lab_group(l, "two");
	struct lab_work w = { LAB_SPIN, -1, 0, 0, 0, 8 * LAB_SEC };
	double before, after;

	for (int i = 0; i < 3; i++) {
		lab_spawn(l, a, &w);
		lab_spawn(l, b, &w);
	}
	lab_until(lab_now() + 2200 * LAB_MS);
	before = node_psi_ms();
	lab_window(l);
	lab_go(l);
	lab_join(l);
	lab_until(lab_now() + 2200 * LAB_MS);
	after = node_psi_ms();
	lab_window(l);
	lab_near(l, "the node against /proc/pressure/cpu, ms",
		 (double)lab_victim(l, LNX_LEDGER_NODE)->stall_ns / 1e6, after - before, 0.05);
}

/* A set above <groups>, as the reader makes it. */
static uint32_t set_above(struct lab *l, int of, const uint32_t *below, int n)
{
	uint32_t set = stall_slot_take(l->tab, l->groups[of].id);

	for (int i = 0; i < n; i++)
		l->tab->slot[LNX_LEDGER_SLOT(below[i])].up = set;
	l->tab->moves++;
	l->groups[of].handle = set;
	return set;
}

/* Two containers in a pod, a third in another, all of one workload, and a neighbour. The kernel accounts the unions itself:
 * they are nested. */
static void unions(struct lab *l)
{
	int w = lab_group(l, "wl"), pod = lab_group(l, "wl/pod1"), other = lab_group(l, "wl/pod2"),
	    a = lab_group(l, "wl/pod1/a"), b = lab_group(l, "wl/pod1/b"),
	    c = lab_group(l, "wl/pod2/c"), n = lab_group(l, "bully");
	int of[] = { a, b, c, n };
	struct lab_work on[] = { { LAB_WAKE, scene_cpu(), 4000, 9000, 200 * LAB_MS, 4 * LAB_SEC },
				 { LAB_WAKE, scene_cpu(), 3000, 5000, 200 * LAB_MS, 4 * LAB_SEC },
				 { LAB_WAKE, scene_cpu(), 2000, 11000, 200 * LAB_MS, 4 * LAB_SEC },
				 { LAB_SPIN, scene_cpu(), 0, 0, 200 * LAB_MS, 4 * LAB_SEC } };
	double sum;
	uint32_t h[3];

	(void)other;
	/* Slots before anybody runs there, so that no wait begins without its set. */
	for (int i = 0; i < 3; i++) {
		h[i] = stall_slot_take(l->tab, l->groups[of[i]].id);
		(void)bpf_map_update_elem(l->slots_fd, &l->groups[of[i]].id, &h[i], 0);
	}
	h[1] = set_above(l, pod, h, 2);
	(void)set_above(l, w, h + 1, 2);
	for (int i = 0; i < 4; i++)
		lab_spawn(l, of[i], &on[i]);
	lab_window(l);
	lab_go(l);
	lab_join(l);
	lab_window(l);
	sum = scene_stall_ms(l, a) + scene_stall_ms(l, b);
	lab_until(l->w.to_ns + 2200 * LAB_MS);
	lab_near(l, "the pod against its cpu.pressure, ms", scene_stall_ms(l, pod),
		 lab_psi_ms(l, pod), 0.04);
	lab_near(l, "the workload against its cpu.pressure, ms", scene_stall_ms(l, w),
		 lab_psi_ms(l, w), 0.04);
	lab_most(l, "the pod, against the sum of its containers, ms", scene_stall_ms(l, pod),
		 0.95 * sum);
	for (int i = 0; i < 2; i++) {
		const struct stall_victim *v = lab_victim(l, lab_handle(l, i ? w : pod));

		lab_same(l, "parts against the wait itself, ms", (double)v->raw_ns / 1e6,
			 (double)v->check_ns / 1e6);
	}
	scene_print(l, pod);
	scene_print(l, w);
	scene_counts(l);
}

static const struct {
	const char *name;
	void (*run)(struct lab *l);
} scenarios[] = {
	{ "spin_pair", spin_pair },
	{ "weights", weights },
	{ "waker", waker },
	{ "own_quota", own_quota },
	{ "parent_quota", parent_quota },
	{ "own_threads", own_threads },
	{ "two_cpus", two_cpus },
	{ "alone", alone },
	{ "unions", unions },
	{ "node", node },
	{ "fork_storm", fork_storm },
	{ "bully_gone", scene_bully_gone },
	{ "slot_recycled", scene_slot_recycled },
	{ "moved_while_waiting", scene_moved_while_waiting },
	{ "attach_under_load", scene_attach_under_load },
	{ "many_groups", scene_many_groups },
	{ "crowd", scene_crowd },
};

int main(int argc, char **argv)
{
	const char *build = getenv("LNX_BUILD");
	char object[256];
	static struct lab l; /* cleaned at exit, after main */

	snprintf(object, sizeof(object), "%s/bpf/sched.bpf.o", build ? build : "build");
	lab_open(&l, argc > 1 ? argv[1] : object);
	lab_attach(&l);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		int wanted = argc <= 2;

		for (int k = 2; k < argc; k++)
			wanted |= !strcmp(argv[k], scenarios[i].name);
		if (!wanted)
			continue;
		printf("%s\n", scenarios[i].name);
		lab_scenario(&l, scenarios[i].run);
	}
	lab_detach(&l);
	return score_end(&l.score);
}
