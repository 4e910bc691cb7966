/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Scenarios in which cgroups, slots or the probe itself come and go. */
#include "tests/bpf/scenes.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 10000

/* Not 0, which takes most interrupts. */
int scene_cpu(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
}

void scene_measure(struct lab *l)
{
	lab_window(l);
	lab_go(l);
	lab_join(l);
	lab_window(l);
}

double scene_stall_ms(struct lab *l, int group)
{
	return (double)lab_victim(l, lab_handle(l, group))->stall_ns / 1e6;
}

double scene_lab_ms(struct lab *l, const struct stall_victim *v)
{
	double ms = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		const struct stall_part *p = &l->w.parts[v->first + i];
		int is_ours = p->culprit < LNX_LEDGER_FIRST && p->culprit != LNX_LEDGER_KERNEL;

		for (uint32_t g = 0; g < l->n_groups; g++)
			is_ours |= l->groups[g].handle == p->culprit;
		if (is_ours)
			ms += (double)p->stall_ns / 1e6;
	}
	return ms;
}

static const char *name_of(struct lab *l, const struct stall_part *p)
{
	for (uint32_t g = 0; g < l->n_groups; g++)
		if (l->groups[g].handle == p->culprit)
			return p->culprit == p->victim ? "self" : l->groups[g].name;
	switch (p->culprit) {
	case LNX_LEDGER_IDLE:
		return "idle";
	case LNX_LEDGER_KERNEL:
		return "kernel";
	case LNX_LEDGER_OTHER:
		return "other";
	}
	return p->culprit < LNX_LEDGER_FIRST ? "throttled" : "?";
}

void scene_print(struct lab *l, int group)
{
	const struct stall_victim *v = lab_victim(l, lab_handle(l, group));

	printf("         %s stall %.1f raw %.1f:", l->groups[group].name, (double)v->stall_ns / 1e6,
	       (double)v->raw_ns / 1e6);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct stall_part *p = &l->w.parts[v->first + i];

		if (p->stall_ns > 50000)
			printf(" %s/%u %.1f", name_of(l, p), p->culprit, (double)p->stall_ns / 1e6);
	}
	printf("\n");
}

void scene_counts(struct lab *l)
{
	printf("         counters:");
	for (uint32_t i = 0; i < LNX_LEDGER_COUNTS; i++)
		if (l->w.count[i])
			printf(" %s=%llu", stall_count_name(i), (unsigned long long)l->w.count[i]);
	printf("\n");
}

/* PSI is up to 2 s late. */
void scene_against_psi(struct lab *l, int group, double bar)
{
	const struct stall_victim *v = lab_victim(l, lab_handle(l, group));
	double stall_ms = (double)v->stall_ns / 1e6, psi_ms;

	lab_until(l->w.to_ns + 2200 * LAB_MS);
	scene_print(l, group);
	psi_ms = lab_psi_ms(l, group);
	/* Of less than 1 ms no agreement is told: where the bar is less, that is the bar. */
	if (psi_ms * bar < 1)
		lab_most(l, "off cpu.pressure where there is hardly any, ms",
			 fabs(stall_ms - psi_ms), 1);
	else
		lab_near(l, "stall against cpu.pressure, ms", stall_ms, psi_ms, bar);
	lab_same(l, "parts against the wait itself, ms", (double)v->raw_ns / 1e6,
		 (double)v->check_ns / 1e6);
}

void scene_bully_gone(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "bully");
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 3 * LAB_SEC };
	struct lab_work part = { LAB_SPIN, scene_cpu(), 0, 0, 0, 1500 * LAB_MS };
	struct rusage used = { 0 };
	uint32_t bully = 0;
	pid_t pid;

	lab_spawn(l, a, &w);
	pid = lab_spawn(l, b, &part);
	lab_window(l);
	lab_go(l);
	lab_until(lab_now() + 500 * LAB_MS);
	(void)bpf_map_lookup_elem(l->slots_fd, &l->groups[b].id, &bully);
	(void)wait4(pid, NULL, 0, &used);
	lab_group_remove(l, b);
	lab_join(l);
	lab_window(l);
	/* The victim always waits while the bully runs: the time that the kernel says it ran. */
	lab_near(l, "still blamed after it is gone, ms", lab_part_ms(l, lab_handle(l, a), bully, 0),
		 (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
			 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3,
		 0.05);
	lab_most(l, "moved to other, ms", lab_part_ms(l, lab_handle(l, a), LNX_LEDGER_OTHER, 0), 0);
	scene_against_psi(l, a, 0.03);
}

/* Take slots until <handle>'s own comes by, give it to <id>, and put the rest back. */
static uint32_t retake(struct lab *l, uint32_t handle, uint64_t id)
{
	static uint32_t taken[LNX_LEDGER_SLOTS];
	uint32_t n = 0, got = 0, h;

	while (!got && n < LNX_LEDGER_SLOTS && (h = stall_slot_take(l->tab, id))) {
		if (LNX_LEDGER_SLOT(h) == LNX_LEDGER_SLOT(handle))
			got = h;
		else
			taken[n++] = h;
	}
	while (n > 0)
		(void)stall_slot_release(l->tab, taken[--n]);
	return got;
}

void scene_slot_recycled(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "bully"), x = lab_group(l, "heir");
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 3 * LAB_SEC };
	struct lab_work rare = { LAB_WAKE, scene_cpu(), 100, 100000, 0, 3 * LAB_SEC };
	uint32_t old, heir, now_a = 0;
	double stall;

	lab_weight(l, a, 1); /* waits nearly always, its own start included */
	lab_window(l);
	lab_spawn(l, a, &w);
	lab_spawn(l, b, &w);
	lab_spawn(l, x, &rare);
	lab_go(l);
	lab_until(lab_now() + 1000 * LAB_MS);
	lab_window(l);
	old = lab_handle(l, a);
	stall = scene_stall_ms(l, a);
	(void)bpf_map_delete_elem(l->slots_fd, &l->groups[a].id);
	stall_slots_forget(l->tab, old);
	(void)stall_slot_release(l->tab, old);
	(void)bpf_map_lookup_elem(l->slots_fd, &l->groups[x].id, &heir);
	(void)bpf_map_delete_elem(l->slots_fd, &l->groups[x].id);
	stall_slots_forget(l->tab, heir);
	heir = retake(l, old, l->groups[x].id);
	(void)bpf_map_update_elem(l->slots_fd, &l->groups[x].id, &heir, 0);
	lab_join(l);
	lab_window(l);
	now_a = lab_handle(l, a);
	score_sure(&l->score, LNX_LEDGER_SLOT(heir) == LNX_LEDGER_SLOT(old) && heir != old,
		   "the heir has the slot");
	stall += (double)lab_victim(l, old)->stall_ns / 1e6 +
		 (double)lab_victim(l, now_a)->stall_ns / 1e6;
	lab_until(l->w.to_ns + 2200 * LAB_MS);
	lab_near(l, "old and new handle against cpu.pressure, ms", stall, lab_psi_ms(l, a), 0.03);
	/* 1 ms, as both are read at different instants; what could be inherited is 200 ms and more */
	lab_most(l, "the heir's own wait, ms", (double)lab_victim(l, heir)->stall_ns / 1e6,
		 lab_psi_ms(l, x) + 1);
	printf("         old %.1f new %.1f other %.1f\n",
	       (double)lab_victim(l, old)->stall_ns / 1e6,
	       (double)lab_victim(l, now_a)->stall_ns / 1e6,
	       (double)lab_victim(l, LNX_LEDGER_OTHER)->stall_ns / 1e6);
	scene_counts(l);
}

void scene_moved_while_waiting(struct lab *l)
{
	int a = lab_group(l, "from"), b = lab_group(l, "to"), c = lab_group(l, "hog");
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 3 * LAB_SEC };
	double raw = 0, check = 0, stall = 0;
	uint32_t before = l->tab->moves, moves = 0;
	uint64_t end;
	pid_t pid;

	pid = lab_spawn(l, a, &w);
	lab_spawn(l, c, &w);
	lab_spawn(l, c, &w);
	lab_window(l);
	lab_go(l);
	end = lab_now() + 2900 * LAB_MS;
	for (int i = 0; lab_now() < end; i++) {
		lab_until(lab_now() + 7 * LAB_MS);
		lab_move(l, pid, i % 2 ? a : b);
		moves++;
	}
	lab_join(l);
	lab_window(l);
	lab_least(l, "moves that the table counts, for each",
		  (double)(l->tab->moves - before) / moves, 1);
	for (uint32_t i = 0; i < l->w.n_victims; i++) {
		uint32_t h = l->w.victims[i].handle;

		if (h != lab_handle(l, a) && h != lab_handle(l, b))
			continue;
		raw += (double)l->w.victims[i].raw_ns / 1e6;
		check += (double)l->w.victims[i].check_ns / 1e6;
		stall += (double)l->w.victims[i].stall_ns / 1e6;
	}
	lab_same(l, "parts against the wait itself, ms", raw, check);
	lab_until(l->w.to_ns + 2200 * LAB_MS);
	lab_near(l, "both against both cpu.pressure, ms", stall,
		 lab_psi_ms(l, a) + lab_psi_ms(l, b), 0.05);
	scene_print(l, a);
	scene_print(l, b);
	scene_counts(l);
}

void scene_attach_under_load(struct lab *l)
{
	int a = lab_group(l, "victim"), b = lab_group(l, "bully");
	struct lab_work w = { LAB_SPIN, scene_cpu(), 0, 0, 0, 4 * LAB_SEC };
	const struct stall_victim *v;
	double s;

	lab_detach(l);
	for (int i = 0; i < 4; i++)
		lab_spawn(l, i % 2 ? a : b, &w);
	lab_go(l);
	lab_until(lab_now() + 800 * LAB_MS);
	lab_attach(l);
	lab_window(l);
	lab_until(lab_now() + 2 * LAB_SEC);
	lab_window(l);
	s = (double)(l->w.to_ns - l->w.from_ns) / 1e9;
	v = lab_victim(l, lab_handle(l, a));
	lab_near(l, "the victim always waits, s/s", (double)v->stall_ns / 1e9 / s, 1, 0.03);
	lab_near(l, "bully holds the victim, ms", lab_part_ms(l, v->handle, lab_handle(l, b), 0),
		 scene_lab_ms(l, v) / 2, 0.05);
	lab_same(l, "parts against the wait itself, ms", (double)v->raw_ns / 1e6,
		 (double)v->check_ns / 1e6);
	scene_print(l, a);
	scene_counts(l);
}

/* Hop through all groups, burning a little in each. */
static void hop(const char *root, int from, int step, uint64_t end)
{
	char path[160], pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (int i = from; lab_now() < end; i = (i + step) % MANY) {
		uint64_t until;
		int fd;

		snprintf(path, sizeof(path), "%s/g%d/cgroup.procs", root, i);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		(void)!write(fd, pid, strlen(pid));
		close(fd);
		until = lab_now() + 100000;
		while (lab_now() < until)
			;
	}
}

void scene_many_groups(struct lab *l)
{
	int a = lab_group(l, "many");
	char root[128], path[192];
	double raw = 0, check = 0;
	pid_t pids[4];

	snprintf(root, sizeof(root), "/sys/fs/cgroup/unified/%s", l->groups[a].name);
	if (access(root, F_OK))
		snprintf(root, sizeof(root), "/sys/fs/cgroup/%s", l->groups[a].name);

	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "%s/g%d", root, i);
		(void)mkdir(path, 0755);
	}
	lab_window(l);
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			hop(root, i * MANY / 4, 1, lab_now() + 6 * LAB_SEC);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		(void)waitpid(pids[i], NULL, 0);
	lab_window(l);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "%s/g%d", root, i);
		(void)rmdir(path);
	}
	for (uint32_t i = 0; i < l->w.n_victims; i++) {
		if (l->w.victims[i].handle == LNX_LEDGER_NODE)
			continue;
		raw += (double)l->w.victims[i].raw_ns / 1e6;
		check += (double)l->w.victims[i].check_ns / 1e6;
	}
	lab_least(l, "tasks beyond the last slot, counted",
		  (double)l->w.count[LNX_LEDGER_N_SLOT_FULL], 1);
	lab_least(l, "victims seen", l->w.n_victims, 1000);
	lab_same(l, "all parts against all waits, ms", raw, check);
	scene_counts(l);
	lab_restart(l);
}

/* Tasks of <group> that wait, as the ledger has it. */
static double still_waiting(struct lab *l, int group)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_cpus; i++) {
		const struct lnx_ledger_cpu *c =
			(const void *)((const char *)l->cpus + i * STALL_CPU_STRIDE);

		n += stall_is_lone(c) && c->lone_handle == lab_handle(l, group);
		for (uint32_t k = 0; k < LNX_LEDGER_WAITS && k < c->n_wait; k++)
			n += c->wait[k].handle == lab_handle(l, group) ? c->wait[k].n : 0;
	}
	return n;
}

/* More tasks wait than the probe can note. A wait that has no end makes the crowd wait on when it is gone: the hogs leave no
 * idle moment in which that would heal. */
void scene_crowd(struct lab *l)
{
	int a = lab_group(l, "crowd"), b = lab_group(l, "hog");
	struct lab_work many = { LAB_CROWD, -1, 100, 250, 0, 2500 * LAB_MS };
	struct lab_work hog = { LAB_SPIN, 0, 0, 0, 0, 60 * LAB_SEC };
	const struct stall_window *w = &l->w;
	double lost, not_told;

	for (int i = 0; i < 20; i++)
		lab_spawn(l, a, &many);
	for (hog.cpu = 0; hog.cpu < 2 && hog.cpu <= scene_cpu(); hog.cpu++)
		lab_spawn(l, b, &hog);
	lab_window(l);
	lab_go(l);
	for (uint32_t i = 0; i < 20; i++)
		(void)waitpid(l->pids[i], NULL, 0);
	lab_window(l);
	lab_least(l, "ends of waits whose note was pushed out",
		  (double)w->count[LNX_LEDGER_N_EVICTED], 1000);
	not_told = (double)w->count[LNX_LEDGER_N_LOST];
	lost = (double)(w->count[LNX_LEDGER_N_UNTRACKED] + w->count[LNX_LEDGER_N_STALE_LEAVE] +
			w->count[LNX_LEDGER_N_MAIL_FULL]);
	/* The balancer may move them faster than a CPU reads its mail: that is counted, too. */
	lab_most(l, "lost of the switches, %", 100 * lost / (double)w->runs[LNX_LEDGER_PROG_SWITCH],
		 2);
	scene_counts(l);
	scene_against_psi(l, a, 0.03);
	/* The balancer moves 32 at a time. */
	lab_most(l, "tasks that wait when it is gone", still_waiting(l, a), not_told > 0 ? 64 : 0);
	/* As for a cgroup that was removed. */
	l->tab->gone = lab_handle(l, a);
	for (uint64_t end = lab_now() + 5 * LAB_SEC; lab_now() < end && still_waiting(l, a) > 0;)
		lab_until(lab_now() + 10 * LAB_MS);
	lab_window(l);
	lab_until(lab_now() + LAB_SEC);
	lab_window(l);
	l->tab->gone = 0;
	lab_most(l, "waits when it is gone, ms", scene_stall_ms(l, a), 1);
	score_sure(&l->score, stall_slot_is_quiet(l->cpus, l->n_cpus, lab_handle(l, a)),
		   "its slot is quiet");
	scene_counts(l);
}
