/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ns per event on the bus: delivered to nobody, to a subscriber in place, through a queue, and rendered as the JSON of a
 * stream frame with the names of its cgroup; and those names alone. One JSON line a figure; each is the median of 9 rounds. The floor is a memcpy of the same bytes. */
#include <linnix/ev_proc.h>
#include <linnix/ev_workload.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../core/tags.h"

#define ROUNDS 9
#define EVENTS 200000

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct bench {
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	struct lnx_buf out;
	struct lnx_json_env env;
	uint64_t seen;
	char copy[LNX_EVENT_MAX];
};

static struct lnx_tags *tags;

static int count(void *arg, const struct lnx_event *ev)
{
	struct bench *b = arg;

	b->seen += ev->pid;
	return 0;
}

static int render(void *arg, const struct lnx_event *ev)
{
	struct bench *b = arg;
	struct lnx_event_meta meta = { 0 };

	(void)lnx_bus_meta(b->bus, ev, &meta);
	lnx_buf_reset(&b->out);
	lnx_buf_printf(&b->out, "id: %llu\nevent: proc.fork\ndata: ", (unsigned long long)meta.seq);
	lnx_event_json(&b->out, &b->env, ev, &meta);
	lnx_buf_str(&b->out, "\n\n");
	b->seen += b->out.size;
	return 0;
}

static void report(const char *name, double *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	(void)printf(
		"{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"ns/event\",\"min\":%.1f,\"max\":%.1f}\n",
		name, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
}

static void run(const char *name, int (*fn)(void *, const struct lnx_event *), unsigned queue)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), 1, 7, 0 },
				      .cgroup_id = 7,
				      .comm = "bench" };
	struct lnx_bus_conf conf = { 0 };
	double ns[ROUNDS];
	unsigned r, i;

	if (!b)
		exit(1);
	b->registry = lnx_registry_new();
	conf.registry = b->registry;
	b->bus = lnx_bus_new(&conf);
	b->env.registry = b->registry;
	b->env.tags = tags;
	if (fn)
		(void)lnx_bus_subscribe(b->bus, name, LNX_EV_PROC_FORK, 40, queue, fn, b, NULL);
	for (r = 0; r < ROUNDS; r++) {
		uint64_t t0 = now_ns();

		for (i = 0; i < EVENTS; i++) {
			e.h.ts_ns = i + 1;
			(void)lnx_bus_deliver(b->bus, &e.h, sizeof(e));
			if (queue && i % 256 == 255)
				while (lnx_bus_drain(b->bus, 1024))
					;
		}
		ns[r] = (double)(now_ns() - t0) / EVENTS;
	}
	report(name, ns);
	lnx_buf_done(&b->out);
	lnx_bus_free(b->bus);
	lnx_registry_free(b->registry);
	free(b);
}

static void run_floor(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), 1, 7, 0 } };
	double ns[ROUNDS];
	unsigned r, i;

	if (!b)
		exit(1);
	for (r = 0; r < ROUNDS; r++) {
		uint64_t t0 = now_ns();

		for (i = 0; i < EVENTS; i++) {
			memcpy(b->copy + i % 8 * sizeof(e), &e, sizeof(e));
			__asm__ volatile("" ::: "memory");
		}
		ns[r] = (double)(now_ns() - t0) / EVENTS;
	}
	report("bus_floor_memcpy", ns);
	free(b);
}

/* As many cgroups as a full node has; the event's is one of them. */
static void fill_tags(struct lnx_tags *t)
{
	struct {
		struct lnx_ev_workload_update u;
		char text[128];
	} e = { .text = "prodpayment-api-7f9c-x2"
			"39f9534389615d7f7976d186f77546e7cacf4cbdf89c6461c394002afaa89559" };
	uint64_t id;

	e.u.h.type = LNX_EV_WORKLOAD_UPDATE;
	e.u.h.fixed = sizeof(e.u);
	e.u.h.size = sizeof(e);
	e.u.namespace_ = (struct lnx_str){ sizeof(e.u), 4 };
	e.u.pod_name = (struct lnx_str){ sizeof(e.u) + 4, 19 };
	e.u.container_id = (struct lnx_str){ sizeof(e.u) + 23, 64 };
	for (id = 1; id <= 1000; id++) {
		e.u.cgroup_id = id;
		lnx_tags_event(t, &e.u.h);
	}
}

/* Finding the names of an event's cgroup, without writing them. */
static void run_tag(const struct lnx_tags *t)
{
	struct lnx_tag tag = { .size = sizeof(tag) };
	uint64_t seen = 0;
	double ns[ROUNDS];
	unsigned r, i;

	for (r = 0; r < ROUNDS; r++) {
		uint64_t t0 = now_ns();

		for (i = 0; i < EVENTS; i++)
			seen += lnx_tags_get(t, i % 1000 + 1, &tag) == 0 &&
				tag.namespace_[0] == 'p';
		ns[r] = (double)(now_ns() - t0) / EVENTS;
	}
	if (seen != (uint64_t)ROUNDS * EVENTS)
		exit(1);
	report("tag_event", ns);
}

int main(void)
{
	tags = lnx_tags_new();
	if (!tags)
		return 1;
	fill_tags(tags);
	run_floor();
	run_tag(tags);
	run("bus_deliver_nobody", NULL, 0);
	run("bus_deliver_in_place", count, 0);
	run("bus_deliver_queued", count, 512);
	run("bus_deliver_sse_frame", render, 0);
	lnx_tags_free(tags);
	return 0;
}
