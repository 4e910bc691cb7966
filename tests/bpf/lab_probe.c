/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The laboratory's side of the probe: load, attach, look, compare. */
#include "tests/bpf/lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void lab_probe_open(struct lab *l, const char *object);

__attribute__((format(printf, 2, 0))) static int quiet(enum libbpf_print_level level,
						       const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN && getenv("LNX_LAB_VERBOSE") ? vfprintf(stderr, fmt, ap) : 0;
}

static void skip(const char *why)
{
	printf("SKIP: %s (needs root, BTF and tp_btf)\n", why);
	exit(LAB_SKIP);
}

static void *map_it(struct lab *l, const char *name, size_t *ret_bytes)
{
	struct bpf_map *m = bpf_object__find_map_by_name(l->obj, name);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
	void *p;

	if (!m)
		skip("the object has other maps");
	bytes = ((bpf_map__value_size(m) + 7) & ~7U) * (size_t)bpf_map__max_entries(m);
	bytes = (bytes + page - 1) / page * page;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);
	if (p == MAP_FAILED)
		skip("cannot map the ledger");
	*ret_bytes = bytes;
	return p;
}

void lab_probe_open(struct lab *l, const char *object)
{
	struct bpf_map *tasks;
	size_t bytes;

	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	l->n_cpus = (uint32_t)libbpf_num_possible_cpus();
	l->obj = bpf_object__open(object);
	if (!l->obj)
		skip("cannot open the probe");
	bpf_map__set_max_entries(bpf_object__find_map_by_name(l->obj, "cpus"), l->n_cpus);
	tasks = bpf_object__find_map_by_name(l->obj, "tasks");
	if (tasks) /* for one CPU, as <cpus> */
		bpf_map__set_max_entries(tasks, bpf_map__max_entries(tasks) * l->n_cpus);
	if (bpf_object__load(l->obj))
		skip("cannot load the probe");
	l->cpus = map_it(l, "cpus", &l->cpus_bytes);
	l->tab = map_it(l, LNX_LEDGER_TABLE, &bytes);
	l->slots_fd = bpf_object__find_map_fd_by_name(l->obj, "slots");
	stall_slots_init(l->tab);
	l->ledger = stall_ledger_new(l->cpus, l->n_cpus, l->tab);
	if (!l->ledger)
		exit(1);
}

static struct bpf_link *links[16];
static int n_links;

void lab_attach(struct lab *l)
{
	struct bpf_program *p;

	stall_cpus_reset(l->cpus, l->n_cpus);
	bpf_object__for_each_program(p, l->obj)
	{
		struct bpf_link *link = bpf_program__attach(p);

		if (!link)
			skip("cannot attach");
		links[n_links++] = link;
	}
}

void lab_detach(struct lab *l)
{
	(void)l;
	while (n_links > 0)
		bpf_link__destroy(links[--n_links]);
}

void lab_restart(struct lab *l)
{
	uint64_t id;

	lab_detach(l);
	while (!bpf_map_get_next_key(l->slots_fd, NULL, &id))
		(void)bpf_map_delete_elem(l->slots_fd, &id);
	stall_slots_init(l->tab);
	memset(l->cpus, 0, l->cpus_bytes);
	stall_ledger_free(l->ledger);
	l->ledger = stall_ledger_new(l->cpus, l->n_cpus, l->tab);
	if (!l->ledger)
		exit(1);
	lab_attach(l);
}

void lab_window(struct lab *l)
{
	if (stall_ledger_read(l->ledger, lab_now(), &l->w))
		exit(1);
	for (uint32_t i = 0; i < l->n_groups; i++)
		(void)bpf_map_lookup_elem(l->slots_fd, &l->groups[i].id, &l->groups[i].handle);
}

uint32_t lab_handle(const struct lab *l, int group)
{
	return l->groups[group].handle;
}

const struct stall_victim *lab_victim(const struct lab *l, uint32_t handle)
{
	static const struct stall_victim none;

	for (uint32_t i = 0; i < l->w.n_victims; i++)
		if (l->w.victims[i].handle == handle)
			return &l->w.victims[i];
	return &none;
}

double lab_part_ms(const struct lab *l, uint32_t victim, uint32_t culprit, int raw)
{
	const struct stall_victim *v = lab_victim(l, victim);

	for (uint32_t i = 0; i < v->n; i++) {
		const struct stall_part *p = &l->w.parts[v->first + i];

		if (p->culprit == culprit)
			return (double)(raw ? p->raw_ns : p->stall_ns) / 1e6;
	}
	return 0;
}

double lab_throttled_ms(const struct lab *l, uint32_t victim)
{
	double ms = 0;

	for (uint32_t c = LNX_LEDGER_THROTTLED; c < LNX_LEDGER_FIRST; c++)
		ms += lab_part_ms(l, victim, c, 0);
	return ms;
}

/* On an emulated CPU the way from one stamp of the kernel's to the next, or to ours, is long: LNX_SLOW. */
static double slow(void)
{
	const char *times = getenv("LNX_SLOW");
	double v = times ? strtod(times, NULL) : 1;

	return v > 1 ? v : 1;
}

void lab_near(struct lab *l, const char *what, double got, double want, double bar)
{
	double off = want > 0 ? got / want - 1 : (got > 0 ? 1 : 0);
	char text[128];

	bar *= slow();
	snprintf(text, sizeof(text), "%.2f against %.2f: %+.2f %% (bar %.1f %%)", got, want,
		 100 * off, 100 * bar);
	score_check(&l->score, fabs(off) <= bar, "%-52s %s", what, text);
}

void lab_most(struct lab *l, const char *what, double got, double most)
{
	char text[128];

	most *= slow();
	snprintf(text, sizeof(text), "%.3f (at most %.3f)", got, most);
	score_check(&l->score, got <= most, "%-52s %s", what, text);
}

void lab_least(struct lab *l, const char *what, double got, double least)
{
	char text[128];

	snprintf(text, sizeof(text), "%.3f (at least %.3f)", got, least);
	score_check(&l->score, got >= least, "%-52s %s", what, text);
}

void lab_same(struct lab *l, const char *what, double got, double want)
{
	int failed = l->score.failed;

	lab_near(l, what, got, want, 0.001);
	l->score.broken += l->score.failed - failed;
}

void lab_scenario(struct lab *l, void (*run)(struct lab *l))
{
	const struct score before = l->score;
	int try = 0;

	do {
		run(l);
		lab_clean(l);
	} while (!score_stands(&l->score, &before, ++try));
}
