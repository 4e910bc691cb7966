/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stall.tree and stall.node: the process trees that hold the node's CPU stall, made from what the ledger says of each
 * process. The processes of a cgroup share its measured part by the time each of them held others up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

#define TREES_MAX    16		   /* events of one window */
#define TREE_FROM_MS 1.0	   /* less makes no event */
#define LOAD_OLD_NS  2500000000ULL /* host.sample stopped */

/* What a cgroup held up, and what its processes say of it. */
struct held {
	double node_ns, node_raw, others_ns, others_raw;
	double tasks_node, tasks_caused;
};

struct tree {
	uint32_t pid, who, n;
	uint64_t start_ns;
	double node_ns, caused_ns;
	char comm[17];
};

static const struct stall_row *node_row(const struct stall_win *w)
{
	for (uint32_t i = 0; i < w->n_rows; i++)
		if (w->rows[i].who == STALL_WHO_NODE && w->rows[i].resource == LNX_RES_CPU)
			return &w->rows[i];
	return NULL;
}

static int is_workload(uint32_t who)
{
	return who >= STALL_WHO_FIRST && who < STALL_WHO_MAX;
}

/* <held> is by index of whos. */
static void sum_cells(const struct stall *s, const struct stall_win *w, struct held *held)
{
	for (uint32_t i = 0; i < w->n_rows; i++) {
		const struct stall_row *r = &w->rows[i];

		if (r->resource != LNX_RES_CPU || s->whos.who[r->who].level)
			continue; /* a set repeats its members */
		for (uint32_t k = r->first; k < r->first + r->n; k++) {
			const struct stall_cell *c = &w->cells[k];
			struct held *h;

			if (!is_workload(c->culprit) || c->culprit == r->who)
				continue;
			h = &held[c->culprit];
			if (r->who == STALL_WHO_NODE) {
				h->node_ns += (double)c->stall_ns;
				h->node_raw += (double)c->raw_ns;
				continue;
			}
			h->others_raw += (double)c->raw_ns;
			if (!stall_who_is_same_workload(&s->whos.who[r->who],
							&s->whos.who[c->culprit]))
				h->others_ns += (double)c->stall_ns;
		}
	}
}

/* The tree of a process: its root as far as the process table knows it. */
static void find_root(const struct stall *s, const struct stall_proc *p, struct tree *t)
{
	const struct lnx_proc *known =
		s->proc ? s->proc->get(s->proc_self, p->tgid, p->start_ns) : NULL;

	t->pid = p->tgid;
	t->start_ns = p->start_ns;
	memcpy(t->comm, p->comm, sizeof(p->comm));
	if (!known)
		return;
	known = s->proc->tree_root(s->proc_self, known);
	t->pid = known->pid;
	t->start_ns = known->start_ns;
	memcpy(t->comm, known->comm, sizeof(known->comm));
}

static int by_root(const void *a, const void *b)
{
	const struct tree *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return x->who < y->who ? -1 : x->who > y->who;
}

static int by_node(const void *a, const void *b)
{
	const struct tree *x = a, *y = b;

	if (x->node_ns != y->node_ns)
		return x->node_ns > y->node_ns ? -1 : 1;
	return by_root(a, b);
}

static double part(double ns, double own, double tasks, double raw)
{
	double whole = fmax(tasks, raw);

	return whole > 0 ? ns * own / whole : 0;
}

/* One entry a process of the look, with its parts; then one a tree. Returns how many. */
static uint32_t make_trees(const struct stall *s, struct held *held, struct tree *trees)
{
	const struct stall_window *look = s->look;
	uint32_t n = 0, out = 0;

	for (uint32_t i = 0; i < look->n_procs; i++) {
		uint32_t who = stall_slot_who(s, look->procs[i].handle);

		if (is_workload(who)) {
			held[who].tasks_node += (double)look->procs[i].node_ns;
			held[who].tasks_caused += (double)look->procs[i].caused_ns;
		}
	}
	for (uint32_t i = 0; i < look->n_procs; i++) {
		const struct stall_proc *p = &look->procs[i];
		uint32_t who = stall_slot_who(s, p->handle);
		struct tree *t = &trees[n];
		const struct held *h;

		if (!is_workload(who) || (!p->node_ns && !p->caused_ns))
			continue;
		h = &held[who];
		*t = (struct tree){ .who = who, .n = 1 };
		find_root(s, p, t);
		t->node_ns = part(h->node_ns, (double)p->node_ns, h->tasks_node, h->node_raw);
		t->caused_ns =
			part(h->others_ns, (double)p->caused_ns, h->tasks_caused, h->others_raw);
		n++;
	}
	if (n)
		qsort(trees, n, sizeof(*trees), by_root);
	for (uint32_t i = 1; i < n; i++) {
		if (by_root(&trees[out], &trees[i]) != 0) {
			trees[++out] = trees[i];
			continue;
		}
		trees[out].n += trees[i].n;
		trees[out].node_ns += trees[i].node_ns;
		trees[out].caused_ns += trees[i].caused_ns;
	}
	n = n ? out + 1 : 0;
	if (n)
		qsort(trees, n, sizeof(*trees), by_node);
	return n;
}

static double per_second(double ns, const struct stall_win *w)
{
	return w->to_ns > w->from_ns ? ns * 1e3 / (double)(w->to_ns - w->from_ns) : 0;
}

static double share(double ns, const struct stall_row *node)
{
	double r = node && node->stalled_ns ? ns / (double)node->stalled_ns : 0;

	return r > 1 ? 1 : r;
}

static void publish_tree(struct stall *s, const struct stall_win *w, const struct stall_row *node,
			 const struct tree *t, uint32_t rank, double confidence)
{
	const struct stall_who *who = &s->whos.who[t->who];
	union stall_event e;

	stall_emit_begin(&e, LNX_EV_STALL_TREE, sizeof(e.tree), w);
	e.h.pid = t->pid;
	e.tree.window_ns = w->to_ns - w->from_ns;
	e.tree.start_ns = t->start_ns;
	e.tree.cgroup_id = who->cgroup_id;
	e.tree.rank = rank;
	e.tree.n_processes = t->n;
	e.tree.node_ms = t->node_ns / 1e6;
	e.tree.node_share_ratio = share(t->node_ns, node);
	e.tree.caused_ms = t->caused_ns / 1e6;
	e.tree.caused_ms_per_s = per_second(t->caused_ns, w);
	e.tree.confidence = confidence;
	stall_emit_str(&e, &e.tree.comm, t->comm);
	stall_emit_str(&e, &e.tree.workload, who->workload);
	stall_emit_str(&e, &e.tree.namespace_, who->namespace_);
	stall_emit_str(&e, &e.tree.pod_name, who->pod_name);
	(void)s->host->publish(s->ctx, &e.h); /* a full queue is counted by the host */
}

/* Means since the last window; without a sample in it the last ones, for a while. */
static void close_load(struct stall_load *l, uint64_t now_ns)
{
	if (l->cpu_ns > 0)
		l->cpu_pct = l->cpu / l->cpu_ns;
	if (l->psi_ns > 0)
		l->psi_pct = l->psi / l->psi_ns;
	if (l->seen_ns + LOAD_OLD_NS < now_ns)
		l->cpu_pct = l->psi_pct = NAN;
	l->cpu = l->psi = l->cpu_ns = l->psi_ns = 0;
}

static void publish_node(struct stall *s, const struct stall_win *w, const struct stall_row *node,
			 const struct tree *t, double confidence)
{
	union stall_event e;
	struct lnx_ev_stall_node *v = &e.node;

	stall_emit_begin(&e, LNX_EV_STALL_NODE, sizeof(e.node), w);
	v->window_ns = w->to_ns - w->from_ns;
	v->method = stall_method(s, LNX_RES_CPU);
	v->cpu_pct = s->load.cpu_pct;
	v->psi_cpu_some = s->load.psi_pct;
	v->stalled_ms = node ? (double)node->stalled_ns / 1e6 : 0;
	v->confidence = confidence;
	v->tree_ms = v->tree_share_ratio = v->tree_caused_ms_per_s = NAN;
	if (t) {
		const struct stall_who *who = &s->whos.who[t->who];

		e.h.pid = t->pid;
		v->tree_start_ns = t->start_ns;
		v->tree_cgroup_id = who->cgroup_id;
		v->tree_ms = t->node_ns / 1e6;
		v->tree_share_ratio = share(t->node_ns, node);
		v->tree_caused_ms_per_s = per_second(t->caused_ns, w);
		stall_emit_str(&e, &v->tree_comm, t->comm);
		stall_emit_str(&e, &v->tree_workload, who->workload);
		stall_emit_str(&e, &v->tree_namespace, who->namespace_);
		stall_emit_str(&e, &v->tree_pod_name, who->pod_name);
	}
	(void)s->host->publish(s->ctx, &e.h); /* a full queue is counted by the host */
}

void stall_trees_publish(struct stall *s, const struct stall_win *w)
{
	uint32_t wants_trees = s->host->wanted(s->ctx, "stall.tree") > 0,
		 wants_node = s->host->wanted(s->ctx, "stall.node") > 0, n = 0;
	const struct stall_row *node = node_row(w);
	double lost = stall_lost_ratio(w->lost, w->events), confidence = NAN;
	struct tree *trees = NULL;
	struct held *held = NULL;

	close_load(&s->load, w->to_ns);
	if (!wants_trees && !wants_node)
		return;
	if (node && node->method == LNX_METHOD_EXACT) {
		confidence = stall_confidence(stall_coverage(node, lost), lost);
		held = calloc(STALL_WHO_MAX, sizeof(*held));
		trees = calloc(s->look->n_procs + 1, sizeof(*trees));
		if (held && trees) { /* else the node alone is told */
			sum_cells(s, w, held);
			n = make_trees(s, held, trees);
		}
	}
	for (uint32_t i = 0; wants_trees && i < n && i < TREES_MAX; i++)
		if (trees[i].node_ns >= TREE_FROM_MS * 1e6)
			publish_tree(s, w, node, &trees[i], i + 1, confidence);
	if (wants_node)
		publish_node(s, w, node, n ? &trees[0] : NULL, confidence);
	free(held);
	free(trees);
}
