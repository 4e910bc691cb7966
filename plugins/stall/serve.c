/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Service stall/1: shares of processes and workloads. Sums are made once a window and length, and searched. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stall.h"

#define DEFAULT_NS   (10 * STALL_SEC)
#define NO_PROCESSES (STALL_F_NO_DETAIL | STALL_F_SHED)

static int add(void *sum, const struct stall_win *w)
{
	return stall_sum_add(sum, w);
}

/* The sum of the last <window_ns>, <by> container or pod. NULL: no memory. */
static const struct stall_sum *sum_by(struct stall *s, uint64_t window_ns, uint32_t by)
{
	struct stall_share *share = &s->share[by];

	if (!window_ns)
		window_ns = DEFAULT_NS;
	if (share->sum.hash && share->window_ns == window_ns && share->ticks == s->ticks)
		return &share->sum;
	stall_sum_done(&share->sum);
	stall_level_make(&s->whos, by, &s->levels);
	share->sum.levels = &s->levels;
	if (stall_store_each(&s->store, s->boot_ns > window_ns ? s->boot_ns - window_ns : 0,
			     s->boot_ns, add, &share->sum)) {
		stall_sum_done(&share->sum);
		return NULL;
	}
	share->sum.levels = NULL; /* others use them, too */
	if (by == STALL_BY_POD)
		memcpy(s->pod_of, s->levels.of, sizeof(s->pod_of));
	share->window_ns = window_ns;
	share->ticks = s->ticks;
	return &share->sum;
}

static const struct stall_sum *share_sum(struct stall *s, uint64_t window_ns)
{
	return sum_by(s, window_ns, STALL_BY_CONTAINER);
}

static const struct stall_sum_row *row_of(const struct stall_sum *sum, uint32_t who,
					  uint32_t resource)
{
	for (uint32_t i = 0; i < sum->n_rows; i++)
		if (sum->rows[i].r.who == who && sum->rows[i].r.resource == resource)
			return &sum->rows[i];
	return NULL;
}

/* What <who> caused: to the node (its own waits included), and to others. */
static void caused_by(const struct stall *s, const struct stall_sum *sum, uint32_t who,
		      uint32_t resource, double *ret_node_ns, double *ret_others_ns,
		      double *ret_others_raw_ns)
{
	*ret_node_ns = *ret_others_ns = *ret_others_raw_ns = 0;
	for (uint32_t i = 0; i < sum->n_cells; i++) {
		const struct stall_sum_cell *c = &sum->cells[i];
		const struct stall_row *r = &sum->rows[c->row].r;

		if (c->c.culprit != who || r->resource != resource || r->who == who)
			continue;
		if (r->who == STALL_WHO_NODE) {
			*ret_node_ns += (double)c->c.stall_ns;
			continue;
		}
		*ret_others_raw_ns += (double)c->c.raw_ns;
		if (!stall_who_is_same_workload(&s->whos.who[r->who], &s->whos.who[who]))
			*ret_others_ns += (double)c->c.stall_ns;
	}
}

/* Raw time of the node's waits that <who> held, and what its processes say of it. */
static double node_raw(const struct stall_sum *sum, uint32_t who)
{
	for (uint32_t i = 0; i < sum->n_cells; i++) {
		const struct stall_row *r = &sum->rows[sum->cells[i].row].r;

		if (sum->cells[i].c.culprit == who && r->who == STALL_WHO_NODE &&
		    r->resource == LNX_RES_CPU)
			return (double)sum->cells[i].c.raw_ns;
	}
	return 0;
}

static void nothing(struct lnx_stall_share *ret, uint64_t window_ns)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	ret->window_ns = window_ns;
	ret->psi_contribution = ret->psi_contribution_ms = ret->caused_ms = NAN;
	ret->stalled_ms = ret->throttled_ms = NAN;
}

static double ratio(double part, double whole)
{
	double r = whole > 0 ? part / whole : 0;

	return r > 1 ? 1 : r;
}

/* Processes are told apart by what they ran, of the CPU. */
static int knows_processes(const struct stall *s, uint32_t resource)
{
	return resource == LNX_RES_CPU && s->probe.is_live;
}

static int serve_process(void *self, uint32_t resource, uint32_t pid, uint64_t start_ns,
			 uint64_t window_ns, struct lnx_stall_share *ret)
{
	struct stall *s = self;
	const struct stall_sum *sum = share_sum(s, window_ns);
	const struct stall_sum_row *node;
	double share = 0, caused = 0, found = 0;

	nothing(ret, window_ns ? window_ns : DEFAULT_NS);
	if (!sum || !knows_processes(s, resource) || (sum->flags & NO_PROCESSES))
		return 0;
	node = row_of(sum, STALL_WHO_NODE, resource);
	for (uint32_t i = 0; i < sum->n_tasks; i++) {
		const struct stall_task *t = &sum->tasks[i];
		double node_ns, others_ns, raw_ns, tasks_node = 0, tasks_caused = 0;

		if (t->pid != pid || (start_ns && t->start_ns && t->start_ns != start_ns) ||
		    t->who == STALL_WHO_OTHER)
			continue;
		found = 1;
		caused_by(s, sum, t->who, resource, &node_ns, &others_ns, &raw_ns);
		for (uint32_t k = 0; k < sum->n_tasks; k++)
			if (sum->tasks[k].who == t->who) {
				tasks_node += (double)sum->tasks[k].node_ns;
				tasks_caused += (double)sum->tasks[k].caused_ns;
			}
		share += node_ns *
			 ratio((double)t->node_ns, fmax(tasks_node, node_raw(sum, t->who)));
		caused += others_ns * ratio((double)t->caused_ns, fmax(tasks_caused, raw_ns));
	}
	ret->psi_contribution_ms = share / 1e6;
	ret->psi_contribution = node ? ratio(share, (double)node->r.stalled_ns) : 0;
	ret->caused_ms = caused / 1e6;
	return found > 0 ? 0 : -ENOENT;
}

static int serve_workload(void *self, uint32_t resource, uint64_t cgroup_id, uint64_t window_ns,
			  struct lnx_stall_share *ret)
{
	struct stall *s = self;
	uint32_t who = stall_who_find(&s->whos, cgroup_id), is_pod;
	const struct stall_sum_row *row, *node;
	double node_ns, others_ns, raw_ns;
	const struct stall_sum *sum;

	stall_who_count(s);
	/* A pod's own cgroup has no row of a container. */
	is_pod = who != STALL_WHO_NONE && stall_is_pod(&s->whos.who[who]);
	sum = sum_by(s, window_ns, is_pod ? STALL_BY_POD : STALL_BY_CONTAINER);
	if (sum && is_pod)
		who = s->pod_of[who];
	nothing(ret, window_ns ? window_ns : DEFAULT_NS);
	if (!sum || !s->store.fine.n)
		return 0;
	row = who != STALL_WHO_NONE ? row_of(sum, who, resource) : NULL;
	if (row || stall_can_measure(s, resource))
		ret->stalled_ms = row ? (double)row->r.stalled_ns / 1e6 : 0;
	if (!stall_can_measure(s, resource))
		return who != STALL_WHO_NONE ? 0 : -ENOENT;
	ret->throttled_ms = ret->psi_contribution = ret->psi_contribution_ms = ret->caused_ms = 0;
	if (who == STALL_WHO_NONE)
		return -ENOENT;
	for (uint32_t c = row ? row->head : 0; c; c = sum->cells[c - 1].next)
		if (sum->cells[c - 1].c.kind == LNX_STALL_THROTTLED)
			ret->throttled_ms += (double)sum->cells[c - 1].c.stall_ns / 1e6;
	node = row_of(sum, STALL_WHO_NODE, resource);
	caused_by(s, sum, who, resource, &node_ns, &others_ns, &raw_ns);
	ret->psi_contribution_ms = node_ns / 1e6;
	ret->psi_contribution = node ? ratio(node_ns, (double)node->r.stalled_ns) : 0;
	ret->caused_ms = others_ns / 1e6;
	return 0;
}

/* What <who> caused to victims of a namespace. */
static double caused_in(const struct stall *s, const struct stall_sum *sum, uint32_t who,
			uint32_t resource, const char *namespace_, double *ret_raw_ns)
{
	double ns = 0;

	*ret_raw_ns = 0;
	for (uint32_t i = 0; i < sum->n_cells; i++) {
		const struct stall_sum_cell *c = &sum->cells[i];
		const struct stall_row *r = &sum->rows[c->row].r;

		if (c->c.culprit != who || r->resource != resource || r->who == who ||
		    r->who == STALL_WHO_NODE)
			continue;
		*ret_raw_ns += (double)c->c.raw_ns;
		if (!namespace_ || !strcmp(s->whos.who[r->who].namespace_, namespace_))
			ns += (double)c->c.stall_ns;
	}
	return ns;
}

static int serve_culprits(void *self, uint32_t resource, const char *namespace_, uint64_t window_ns,
			  int (*each)(void *arg, uint32_t pid, uint64_t start_ns, double caused_ms),
			  void *arg)
{
	struct stall *s = self;
	const struct stall_sum *sum = share_sum(s, window_ns);
	int n = 0;

	if (!knows_processes(s, resource))
		return -ENODEV;
	if (!sum)
		return -ENOMEM;
	for (uint32_t i = 0; i < sum->n_tasks; i++) {
		const struct stall_task *t = &sum->tasks[i];
		double raw_ns, ns, tasks = 0;

		if (t->who == STALL_WHO_OTHER || !t->caused_ns)
			continue;
		ns = caused_in(s, sum, t->who, resource, namespace_, &raw_ns);
		for (uint32_t k = 0; ns > 0 && k < sum->n_tasks; k++)
			if (sum->tasks[k].who == t->who)
				tasks += (double)sum->tasks[k].caused_ns;
		ns *= ratio((double)t->caused_ns, fmax(tasks, raw_ns));
		if (ns <= 0)
			continue;
		n++;
		if (each(arg, t->pid, t->start_ns, ns / 1e6))
			break;
	}
	return n;
}

static int serve_culprit_cgroups(void *self, uint32_t resource, const char *namespace_,
				 uint64_t window_ns,
				 int (*each)(void *arg, uint64_t cgroup_id, double caused_ms),
				 void *arg)
{
	struct stall *s = self;
	const struct stall_sum *sum = share_sum(s, window_ns);
	int n = 0;

	if (!stall_can_measure(s, resource))
		return -ENODEV;
	if (!sum)
		return -ENOMEM;
	for (uint32_t who = STALL_WHO_FIRST; who < s->whos.n; who++) {
		double raw_ns, ns;

		if (!s->whos.who[who].cgroup_id)
			continue;
		ns = caused_in(s, sum, who, resource, namespace_, &raw_ns);
		if (ns <= 0)
			continue;
		n++;
		if (each(arg, s->whos.who[who].cgroup_id, ns / 1e6))
			break;
	}
	return n;
}

uint32_t stall_method(void *self, uint32_t resource)
{
	static const uint32_t methods[LNX_RES_N] = { LNX_METHOD_EXACT, LNX_METHOD_HEURISTIC,
						     LNX_METHOD_MODEL };
	const struct stall *s = self;

	if (resource >= LNX_RES_N)
		return LNX_METHOD_NONE;
	if (stall_can_measure(s, resource) && (s->has_psi || resource == LNX_RES_CPU))
		return methods[resource];
	return s->has_psi ? LNX_METHOD_PSI_ONLY : LNX_METHOD_NONE;
}

static const char *serve_degraded(void *self, uint32_t resource, uint32_t of_process)
{
	struct stall *s = self;
	const struct stall_sum *sum = share_sum(s, 0);

	if (resource != LNX_RES_CPU && of_process)
		return "processes are told apart for the CPU only";
	if (resource != LNX_RES_CPU)
		return stall_can_measure(s, resource) ? "" : stall_why(s, resource);
	if (!s->probe.is_live)
		return s->probe.why[0] ? s->probe.why : "no stall ledger";
	if (!of_process)
		return "";
	if (s->shed.why[0])
		return s->shed.why;
	return sum && sum->flags & NO_PROCESSES
		       ? "no process was measured in part of the window: the agent was over its CPU budget"
		       : "";
}

const struct lnx_svc_stall stall_service = { .size = sizeof(stall_service),
					     .process = serve_process,
					     .workload = serve_workload,
					     .culprits = serve_culprits,
					     .method = stall_method,
					     .degraded = serve_degraded,
					     .culprit_cgroups = serve_culprit_cgroups };
