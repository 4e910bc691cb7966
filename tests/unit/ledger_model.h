/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A machine of tasks, queues and CPUs that keeps the truth by looking at every task at every step, and
 * below it the ledger as it is compiled for the kernel. For one test; longer than a header should be. */
#ifndef LNX_LEDGER_MODEL_H
#define LNX_LEDGER_MODEL_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LNX_FN		static inline __attribute__((unused))
#define LNX_SUB		static __attribute__((unused))
#define LNX_COLD	static inline __attribute__((unused))
#define LNX_RARE(x)	(x)
#define LNX_BOUND(i, n) bound((i), (n))
#define LNX_MASK(i, n)	((i) & ((n)-1))
#define LNX_NEAR(p)	(void)(p)

static uint64_t bound(uint64_t i, uint64_t n)
{
	assert(i < n);
	return i;
}

/* The kernel's task, as far as the ledger sees it. */
struct task_struct {
	uint32_t handle, tgid, pid, cpu, runs;
	int is_runnable, is_throttled;
	uint64_t arrival;
	uint64_t queue; /* number + 1 */
	struct lnx_ledger_task *store;
	uint64_t noted; /* its store was used then, 0 it has none */
};

#include "bpf/lnx_ledger_events.h"
#include "plugins/stall/ledger.c"
#include "plugins/stall/slots.c"
#include "plugins/stall/window.c"

#define CPUS	3
#define TASKS	400
#define HANDLES 200
#define KEYS	(HANDLES + 40) /* model's victims and culprits: handles, then pseudo slots */
#define STEP_NS 64	       /* mail keeps no finer times */

/* ---- the model: what is true */

struct model_task {
	struct task_struct k;
	struct lnx_ledger_task store;
	int cpu;
	int is_running, is_waiting;
	int joined; /* number of the handle it waits under */
};

static struct model_task tasks[TASKS];
static struct task_struct idle_task;
static uint32_t handles[HANDLES], ups[HANDLES]; /* ups: number of the handle above + 1 */
static int n_tasks, n_handles;
static int running[CPUS]; /* task, -1 idle */
static uint64_t now_ns;
static struct queue {
	int is_throttled;
	uint64_t since, total;
} queues[HANDLES][CPUS];
static uint64_t truth[HANDLES][KEYS], truth_node[KEYS], truth_proc[TASKS + 1],
	truth_caused[TASKS + 1];
static char cpus_memory[CPUS][STALL_CPU_STRIDE] __attribute__((aligned(8)));
static struct lnx_ledger_table table;
static uint64_t seed;

static uint32_t roll(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static struct lnx_ledger_cpu *cpu_of(int cpu)
{
	return (struct lnx_ledger_cpu *)cpus_memory[cpu];
}

static int number_of(uint32_t handle)
{
	if (handle < LNX_LEDGER_FIRST)
		return HANDLES + (int)handle;
	for (int i = 0; i < n_handles; i++)
		if (handles[i] == handle)
			return i;
	return HANDLES + 39;
}

/* Is handle <i> <v> or below it? */
static int is_within(int i, int v)
{
	while (i != v && ups[i])
		i = (int)ups[i] - 1;
	return i == v;
}

/* Does <v> or a slot below it wait on <cpu>; *thr: is one of its waiters throttled. */
static int waits(int v, int cpu, int *thr)
{
	int n = 0;

	for (int i = 0; i < n_tasks; i++) {
		const struct model_task *t = &tasks[i];

		if (!t->is_waiting || t->cpu != cpu)
			continue;
		if (!is_within(t->joined, v))
			continue;
		n++;
		*thr |= queues[t->joined][cpu].is_throttled;
	}
	return n;
}

static void advance(uint64_t ns)
{
	for (int c = 0; c < CPUS; c++) {
		int run = running[c] < 0 ? HANDLES + LNX_LEDGER_IDLE
					 : number_of(tasks[running[c]].k.handle);
		int any = 0, others = 0;

		for (int v = 0; v < n_handles; v++) {
			int thr = 0;

			if (!waits(v, c, &thr))
				continue;
			truth[v][thr ? HANDLES + LNX_LEDGER_THROTTLED + 1 : run] += ns;
			any = 1;
			others += v != run && !thr;
			for (int i = 0; i < n_handles; i++)
				if ((int)ups[i] == v + 1) {
					others -= v != run && !thr; /* a set above is nobody else */
					break;
				}
		}
		if (!any)
			continue;
		truth_node[run] += ns;
		if (running[c] >= 0) {
			truth_proc[tasks[running[c]].k.tgid] += ns;
			truth_caused[tasks[running[c]].k.tgid] += ns * (uint64_t)others;
		}
	}
	now_ns += ns;
}

/* ---- what the ledger asks of the kernel */

static int lnx_prim_queue(__u64 queue, struct lnx_ledger_queue *ret_q)
{
	const struct queue *q = &queues[(queue - 1) / CPUS][(queue - 1) % CPUS];

	ret_q->throttled = (uint32_t)q->is_throttled;
	ret_q->total_ns = q->total + (q->is_throttled ? now_ns - q->since : 0);
	ret_q->exact = 1;
	return 0;
}

static uint32_t
	stores_max; /* tasks that have a store at a time, 0 all; the one used longest ago gives way */
static uint32_t n_stores;
static uint64_t n_used, n_evicted;

static void evict(void)
{
	struct task_struct *old = NULL;

	for (int i = 0; i < n_tasks; i++)
		if (tasks[i].k.noted && (!old || tasks[i].k.noted < old->noted))
			old = &tasks[i].k;
	if (!old)
		return;
	old->noted = 0;
	n_stores--;
	n_evicted++;
}

static struct lnx_ledger_task *lnx_prim_task(struct task_struct *p)
{
	/* Another CPU may need the place at any time. */
	if (stores_max && !roll(8))
		evict();
	if (!p->noted)
		return NULL;
	p->noted = ++n_used;
	return p->store;
}

static struct lnx_ledger_task *lnx_prim_task_make(struct task_struct *p)
{
	if (!p->noted) {
		if (stores_max && n_stores >= stores_max)
			evict();
		memset(p->store, 0, sizeof(*p->store));
		p->noted = ++n_used;
		n_stores++;
	}
	return lnx_prim_task(p);
}

static void lnx_prim_task_drop(struct task_struct *p)
{
	n_stores -= p->noted != 0;
	p->noted = 0;
}

static void (*at_look)(void); /* what happens while a slot is looked up */

static __u32 lnx_prim_handle(struct lnx_ledger_table *tab, struct task_struct *p)
{
	__u32 handle = p->handle;

	(void)tab;
	if (at_look)
		at_look();
	return handle;
}

static __u32 lnx_prim_known(struct lnx_ledger_table *tab, struct task_struct *p)
{
	return lnx_prim_handle(tab, p);
}

static __u32 lnx_prim_tgid(struct task_struct *p)
{
	return p->tgid;
}

static __u32 lnx_prim_pid(struct task_struct *p)
{
	return p->pid;
}

static __u32 lnx_prim_cpu(struct task_struct *p)
{
	return p->cpu;
}

static __u32 lnx_prim_runs(struct task_struct *p)
{
	return p->runs;
}

static int lnx_prim_runnable(struct task_struct *p)
{
	return p->is_runnable;
}

static int lnx_prim_is_delayed(struct task_struct *p)
{
	(void)p;
	return 0;
}

static int lnx_prim_is_alone(struct task_struct *p)
{
	int n = 0;

	for (int i = 0; i < n_tasks; i++)
		n += tasks[i].cpu == (int)p->cpu &&
		     (tasks[i].is_running ||
		      (tasks[i].is_waiting && !queues[tasks[i].joined][p->cpu].is_throttled));
	return n <= 1;
}

static __u64 lnx_prim_arrival(struct task_struct *p, __u64 now)
{
	(void)now;
	return p->arrival;
}

static int lnx_prim_is_throttled(struct task_struct *p)
{
	return p->queue && queues[(p->queue - 1) / CPUS][(p->queue - 1) % CPUS].is_throttled;
}

static int lnx_prim_free_queue(struct task_struct *p, __u64 *ret_queue)
{
	*ret_queue = p->queue;
	return !lnx_prim_is_throttled(p);
}

static __u64 one_set; /* address of everybody's set of cgroups; 0: each slot has its own */

static __u64 lnx_prim_set(struct task_struct *p)
{
	return one_set ? one_set : p->handle;
}

static int lnx_prim_is_kernel(struct task_struct *p)
{
	return !p->tgid;
}

static void lnx_prim_join(struct lnx_ledger_table *tab, struct task_struct *p,
			  struct lnx_ledger_join *j)
{
	struct lnx_ledger_queue q = { 0 };

	(void)tab;
	j->queue = p->queue;
	(void)lnx_prim_queue(p->queue, &q);
	if (q.throttled) {
		j->thr = LNX_LEDGER_THROTTLED + 1;
		j->thr_base = q.total_ns;
	}
}

static void lnx_prim_describe(struct task_struct *p, struct lnx_ledger_proc *d)
{
	memset(d->comm, 0, sizeof(d->comm));
	d->start_ns = p ? p->tgid : 0;
}

/* ---- events: the truth moves first, the ledger is told unless the event is lost */

static int loss_pct, dup_pct;
static int with_throttle, with_moves;

static int told(void)
{
	return (int)roll(100) >= loss_pct;
}

static uint64_t queue_of(int number, int cpu)
{
	return (uint64_t)number * CPUS + (uint64_t)cpu + 1;
}

static void place(struct model_task *t, int cpu)
{
	t->cpu = cpu;
	t->k.cpu = (uint32_t)cpu;
	t->k.queue = queue_of(number_of(t->k.handle), cpu);
}

static void tell_wake(struct model_task *t)
{
	lnx_ledger_on_wake(cpu_of(t->cpu), &table, &t->k, now_ns);
}

static void do_wake(struct model_task *t)
{
	place(t, (int)roll(CPUS));
	t->is_waiting = 1;
	t->joined = number_of(t->k.handle);
	if (told())
		tell_wake(t);
	if ((int)roll(100) < dup_pct)
		tell_wake(t);
}

static void do_switch(int cpu, int next, int stays, int throttle)
{
	struct task_struct *p = running[cpu] < 0 ? &idle_task : &tasks[running[cpu]].k;
	struct task_struct *n = next < 0 ? &idle_task : &tasks[next].k;

	if (running[cpu] >= 0) {
		struct model_task *t = &tasks[running[cpu]];

		t->is_running = 0;
		t->k.is_runnable = stays;
		t->is_waiting = stays;
		t->joined = number_of(t->k.handle);
		place(t, cpu);
		if (throttle) {
			queues[t->joined][cpu].is_throttled = 1;
			queues[t->joined][cpu].since = now_ns;
		}
	}
	if (next >= 0) {
		tasks[next].is_waiting = 0;
		tasks[next].is_running = 1;
		tasks[next].k.runs++;
		tasks[next].k.arrival = now_ns;
	}
	running[cpu] = next;
	if (told())
		lnx_ledger_on_switch(cpu_of(cpu), &table, p, n, now_ns);
}

static int find_waiting(int cpu)
{
	int from = (int)roll((uint32_t)n_tasks);

	for (int i = 0; i < n_tasks; i++) {
		int t = (from + i) % n_tasks;

		if (tasks[t].is_waiting && tasks[t].cpu == cpu &&
		    !queues[tasks[t].joined][cpu].is_throttled)
			return t;
	}
	return -1;
}

static void random_switch(void)
{
	int cpu = (int)roll(CPUS), next = find_waiting(cpu), prev = running[cpu], stays, throttle;

	if (prev < 0 && next < 0)
		return;
	throttle = with_throttle && prev >= 0 && !roll(8) && !cpu_of(cpu)->mail_new &&
		   (next < 0 || tasks[next].k.handle != tasks[prev].k.handle) &&
		   !queues[number_of(tasks[prev].k.handle)][cpu].is_throttled;
	stays = prev >= 0 && (throttle || (next >= 0 && roll(2)));
	if (next < 0 && stays && !throttle)
		return;
	do_switch(cpu, next, stays, throttle);
}

static void random_migration(void)
{
	int cpu = (int)roll(CPUS), to = (int)roll(CPUS), t = find_waiting(cpu);
	struct model_task *m;

	if (t < 0 || to == cpu)
		return;
	m = &tasks[t];
	if (queues[m->joined][to].is_throttled)
		return;
	m->cpu = to;
	m->k.queue = queue_of(m->joined, to);
	if (told())
		lnx_ledger_on_migrate(cpu_of(cpu), cpu_of(to), &table, (uint32_t)to, &m->k,
				      m->k.queue, now_ns);
	m->k.cpu = (uint32_t)to;
}

static void random_move(void)
{
	struct model_task *t = &tasks[roll((uint32_t)n_tasks)];

	/* A running task's slot changes at its next switch only: the kernel reads it there. */
	if (!with_moves || t->is_running)
		return;
	t->k.handle = handles[roll((uint32_t)n_handles)];
	table.moved_ns = now_ns;
}

static void random_unthrottle(void)
{
	struct queue *q = &queues[roll((uint32_t)n_handles)][roll(CPUS)];

	if (!q->is_throttled)
		return;
	q->total += now_ns - q->since;
	q->is_throttled = 0;
}

static __attribute__((unused)) void step(void)
{
	struct model_task *t = &tasks[roll((uint32_t)n_tasks)];

	advance((1 + roll(1000)) * STEP_NS);
	switch (roll(10)) {
	case 0:
	case 1:
	case 2:
		if (!t->is_running && !t->is_waiting)
			do_wake(t);
		break;
	case 3:
		random_migration();
		break;
	case 4:
		random_move();
		break;
	case 5:
		random_unthrottle();
		break;
	case 6:
		if (t->is_running && dup_pct)
			break; /* the probe itself drops wake-ups of running tasks */
		if (t->is_waiting && dup_pct)
			tell_wake(t);
		break;
	default:
		random_switch();
	}
}

static void begin(uint64_t s, int tasks_n, int handles_n, int losses, int dups)
{
	seed = s * 2654435761u + 12345;
	n_tasks = tasks_n;
	n_handles = handles_n;
	loss_pct = losses;
	dup_pct = dups;
	with_throttle = 0;
	with_moves = 1;
	now_ns = 1000 * STEP_NS;
	n_stores = 0;
	memset(tasks, 0, sizeof(tasks));
	memset(queues, 0, sizeof(queues));
	memset(truth, 0, sizeof(truth));
	memset(truth_node, 0, sizeof(truth_node));
	memset(truth_proc, 0, sizeof(truth_proc));
	memset(truth_caused, 0, sizeof(truth_caused));
	memset(cpus_memory, 0, sizeof(cpus_memory));
	memset(ups, 0, sizeof(ups));
	stall_slots_init(&table);
	for (int i = 0; i < n_handles; i++)
		handles[i] = stall_slot_take(&table, 1000 + (uint64_t)i);
	for (int i = 0; i < n_tasks; i++) {
		tasks[i].k.handle = handles[roll((uint32_t)n_handles)];
		tasks[i].k.tgid = 1 + roll((uint32_t)n_tasks);
		tasks[i].k.pid = 1 + (uint32_t)i * LNX_LEDGER_WAITERS / 4; /* four places */
		tasks[i].k.store = &tasks[i].store;
		place(&tasks[i], 0);
	}
	for (int c = 0; c < CPUS; c++) {
		running[c] = -1;
		lnx_ledger_start(cpu_of(c), &table, &idle_task, now_ns);
		cpu_of(c)->cur_moves = table.moves;
	}
}

/* The first <n> handles become sets above, three slots below each, and the last of them a set above the others and above
 * the slots that are left; nobody belongs to them directly. */
static __attribute__((unused)) void make_ups(int n)
{
	for (int i = 0; i < n_handles; i++) {
		if (i < n - 1)
			ups[i] = (uint32_t)n;
		else if (i >= n)
			ups[i] = i < 4 * n - 3 ? (uint32_t)((i - n) / 3) + 1 : (uint32_t)n;
		if (ups[i])
			table.slot[LNX_LEDGER_SLOT(handles[i])].up = handles[ups[i] - 1];
	}
	for (int i = 0; i < n_tasks; i++)
		while (number_of(tasks[i].k.handle) < n)
			tasks[i].k.handle = handles[roll((uint32_t)n_handles)];
	with_moves = 0;
}

/* Task <i> of slot <number> begins to wait on CPU 0. */
static __attribute__((unused)) void put_to_wait(int i, int number)
{
	tasks[i].k.handle = handles[number];
	place(&tasks[i], 0);
	tasks[i].is_waiting = 1;
	tasks[i].joined = number;
	tell_wake(&tasks[i]);
}

#endif
