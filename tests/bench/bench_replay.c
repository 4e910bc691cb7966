/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Recordings: bench_replay PLUGINS RULES. A recording of processes that come and go (fork, exec, exit, and a sample a second) is
 * made in memory, then replayed with the rules of the folder RULES and without any. One JSON line a figure: millions of
 * events a second of CPU time, and bytes of an event in the file; the best of 5 rounds. */
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../core/replay.h"

#define ROUNDS	  5
#define PROCESSES 400000u
#define PARENTS	  50
#define PARENT_NS 1000	 /* when they began */
#define GAP_NS	  33333u /* between two events: 30,000 a second */

static const struct lnx_ident ident = { sizeof(ident), 1, "bench", "", "boot", "0", 1, 0 };

static void fail(const char *what)
{
	fprintf(stderr, "bench_replay: %s\n", what);
	exit(1);
}

/* CPU time: a busy machine must not change the figures. */
static double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct maker {
	struct lnx_rec_writer *w;
	uint64_t seq, ns;
};

static void put(struct maker *m, struct lnx_event *ev)
{
	struct lnx_event_meta meta = { .seq = ++m->seq };

	m->ns += GAP_NS;
	ev->ts_ns = m->ns;
	lnx_rec_write_event(m->w, ev, &meta);
}

/* The parents of all others: a recording knows who ran before it began. */
static void put_parents(struct maker *m)
{
	uint32_t i;

	for (i = 0; i < PARENTS; i++) {
		struct lnx_ev_proc_fork f = { .h = { sizeof(f), LNX_EV_PROC_FORK, sizeof(f), 0, 1,
						     0 },
					      .start_ns = PARENT_NS,
					      .parent_start_ns = 1,
					      .cgroup_id = 77,
					      .child_pid = 1000 + i,
					      .ppid = 1,
					      .comm = "make",
					      .parent_cgroup_id = 1 };

		put(m, &f.h);
	}
}

/* A process of one of the parents: it begins, runs a program, and ends when the one 20 later begins. */
static void put_process(struct maker *m, uint32_t i)
{
	uint32_t parent = 1000 + i % PARENTS, pid = 10000 + i % 20000,
		 old = 10000 + (i - 20) % 20000;
	struct lnx_ev_proc_fork f = { .h = { sizeof(f), LNX_EV_PROC_FORK, sizeof(f), 0, parent, 0 },
				      .start_ns = m->ns + GAP_NS,
				      .parent_start_ns = PARENT_NS,
				      .cgroup_id = 77,
				      .child_pid = pid,
				      .ppid = parent,
				      .comm = "sh",
				      .parent_cgroup_id = 77 };
	struct lnx_ev_proc_exit x = { .h = { sizeof(x), LNX_EV_PROC_EXIT, sizeof(x), 0, old, 0 },
				      .start_ns = m->ns - 60 * (uint64_t)GAP_NS + GAP_NS,
				      .cgroup_id = 77,
				      .lifetime_ns = 60 * (uint64_t)GAP_NS,
				      .ppid = 1000 + (i - 20) % PARENTS,
				      .did_exec = 1,
				      .comm = "cc1" };
	union {
		struct lnx_ev_proc_exec e;
		char bytes[256];
	} u = {
		.e = { .start_ns = m->ns + GAP_NS, .cgroup_id = 77, .ppid = parent, .comm = "cc1" }
	};

	u.e.h = (struct lnx_event){ sizeof(u.e) + 12, LNX_EV_PROC_EXEC, sizeof(u.e), 0, pid, 0 };
	u.e.filename = (struct lnx_str){ sizeof(u.e), 12 };
	memcpy(u.bytes + sizeof(u.e), "/usr/bin/cc1", 12);
	put(m, &f.h);
	put(m, &u.e.h);
	put(m, &x.h);
}

static void make(struct lnx_buf *file)
{
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_rec_about about = { .ident = &ident, .start_ns = 1000000000000u };
	struct maker m = { .ns = about.start_ns };
	struct lnx_ev_host_sample s = { .h = { sizeof(s), LNX_EV_HOST_SAMPLE, sizeof(s), 0, 0, 0 },
					.window_ns = 1000000000u,
					.cpu_pct = 50,
					.psi_cpu_some = 10 };
	uint32_t i;

	m.w = registry ? lnx_rec_writer_new(registry, file) : NULL;
	if (!m.w)
		fail("not enough memory");
	lnx_rec_write_head(m.w, &about);
	put_parents(&m);
	for (i = 20; i < PROCESSES + 20; i++) {
		put_process(&m, i);
		if (i % 10000 == 0)
			put(&m, &s.h);
	}
	lnx_rec_write_end(m.w, m.seq, m.seq);
	if (lnx_rec_flush(m.w) < 0)
		fail("not enough memory");
	lnx_rec_writer_free(m.w);
	lnx_registry_free(registry);
}

/* Events a second; the best of all rounds. */
static double run(struct lnx_replay_conf *conf, uint64_t *ret_events)
{
	struct lnx_buf errors = { 0 };
	struct lnx_err err = { { 0 }, 0, 0 };
	struct lnx_replay r;
	double best = 0, took;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		double begin = now_s();

		if (lnx_replay_run(conf, &errors, &r, &err) < 0)
			fail(errors.size ? errors.data : err.msg);
		took = now_s() - begin;
		*ret_events = r.report.events;
		if ((double)r.report.events / took > best)
			best = (double)r.report.events / took;
		lnx_replay_done(&r);
	}
	lnx_buf_done(&errors);
	return best;
}

int main(int argc, char **argv)
{
	const char *const none[] = { NULL };
	const char *rules[2] = { NULL, NULL };
	struct lnx_replay_conf conf = { 0 };
	struct lnx_buf file = { .max = 1u << 30 };
	uint64_t events = 0;
	double rate;

	if (argc != 3)
		fail("usage: bench_replay PLUGINS RULES");
	make(&file);
	rules[0] = argv[2];
	conf.data = file.data;
	conf.size = file.size;
	conf.plugins_dir = argv[1];
	conf.dirs = none;
	rate = run(&conf, &events);
	(void)printf(
		"{\"name\":\"replay_no_rules\",\"value\":%.2f,\"unit\":\"million events/s\"}\n",
		rate / 1e6);
	conf.dirs = rules;
	rate = run(&conf, &events);
	(void)printf(
		"{\"name\":\"replay_shipped_rules\",\"value\":%.2f,\"unit\":\"million events/s\"}\n",
		rate / 1e6);
	(void)printf("{\"name\":\"recording_event\",\"value\":%.1f,\"unit\":\"bytes\"}\n",
		     (double)file.size / (double)events);
	lnx_buf_done(&file);
	return 0;
}
