/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Process events of the bus that belong to a task, as leaves. */
#include "collect.h"

#include <errno.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_stall.h>
#include <linnix/ev_workload.h>
#include <linnix/svc_core.h>
#include <linnix/svc_proc.h>
#include <linnix/svc_workload.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "exe.h"
#include "task.h"

/* The end of a process is told at once: more is a loss. Nobody says that it is finished: forgotten after its end. */
#define TICK_NS	  (500 * SETTLE_MS)
#define FINISH_NS (5 * SETTLE_SEC)
#define FORGET_NS (300 * SETTLE_SEC)

static const char *const wanted[] = { "proc.fork",  "proc.exec",  "proc.exit",
				      "proc.usage", "cgroup.new", "stall.window" };
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* ---- members */

static struct member *slot(const struct collector *c, uint32_t pid)
{
	uint32_t i = pid * 2654435761u % COLLECT_PIDS;

	while (c->members[i].pid && c->members[i].pid != pid)
		i = (i + 1) % COLLECT_PIDS;
	return &c->members[i];
}

static struct member *member_of(const struct collector *c, uint32_t pid)
{
	struct member *m = pid ? slot(c, pid) : NULL;

	return m && m->pid ? m : NULL;
}

/* NULL: full. A quarter stays free, so that looking ends soon. */
static struct member *member_add(struct collector *c, uint32_t pid, uint64_t start_ns)
{
	struct member *m = slot(c, pid);

	if (!m->pid) {
		if (c->n_members >= COLLECT_PIDS * 3 / 4)
			return NULL;
		c->n_members++;
	}
	memset(m, 0, sizeof(*m));
	m->pid = pid;
	m->start_ns = start_ns;
	return m;
}

/* Take it out and close the gap: what lies behind it moves up. */
static void member_del(struct collector *c, struct member *gone)
{
	uint32_t i = (uint32_t)(gone - c->members), k = i;

	c->n_members--;
	for (;;) {
		uint32_t home;

		k = (k + 1) % COLLECT_PIDS;
		if (!c->members[k].pid)
			break;
		home = c->members[k].pid * 2654435761u % COLLECT_PIDS;
		if ((i < k && home > i && home <= k) || (i > k && (home > i || home <= k)))
			continue;
		c->members[i] = c->members[k];
		i = k;
	}
	memset(&c->members[i], 0, sizeof(c->members[i]));
}

static int in_cgroups(const struct collector *c, uint64_t id)
{
	for (uint32_t i = 0; id && i < c->n_cgroups; i++)
		if (c->cgroups[i] == id)
			return 1;
	return 0;
}

/* ---- leaves */

/* An event that gets no leaf leaves its number, and the receipt says which. When there are too many gaps it gets none: it is
 * counted as dropped. */
static void lost(struct collector *c)
{
	c->n_lost++;
	if (receipt_gap_add(c->gaps, &c->n_gaps, c->seq + 1) == 0)
		c->seq++;
}

void collect_leaf(struct collector *c, struct leaf *leaf)
{
	struct lnx_buf json = { .max = LEAF_LINE };
	uint8_t salt[LEAF_SALT], hash[MERKLE_HASH];

	if (leaf->ts_boot_ns > c->last_ns)
		c->last_ns = leaf->ts_boot_ns;
	leaf->seq = c->seq + 1;
	leaf_write(&json, leaf);
	if (lnx_buf_error(&json)) {
		lost(c);
		lnx_buf_done(&json);
		return;
	}
	c->seq++;
	leaf_salt(c->secret, c->tree.n, salt);
	leaf_hash(salt, json.data, json.size, hash);
	merkle_add(&c->tree, hash);
	usage_add(&c->usage, leaf);
	spool_line(c, salt, &json);
	lnx_buf_done(&json);
	spool_flush(c, 0);
}

static void begin_leaf(struct leaf *leaf, const char *type, const struct lnx_event *ev,
		       uint32_t pid, uint32_t ppid, uint64_t start_ns, uint64_t cgroup_id,
		       const char comm[16])
{
	memset(leaf, 0, sizeof(*leaf));
	(void)snprintf(leaf->type, sizeof(leaf->type), "%s", type); /* fits */
	leaf->ts_boot_ns = ev->ts_ns;
	leaf->pid = pid;
	leaf->ppid = ppid;
	leaf->start_ns = start_ns;
	leaf->cgroup_id = cgroup_id;
	if (comm)
		memcpy(leaf->comm, comm, sizeof(leaf->comm));
}

/* What is more than was counted; figures never fall, but for a process that took another's number. */
static uint64_t more(uint64_t now, uint64_t *io_counted)
{
	uint64_t d = now > *io_counted ? now - *io_counted : 0;

	*io_counted += d;
	return d;
}

static void on_fork(struct collector *c, const struct lnx_ev_proc_fork *e)
{
	struct leaf leaf;

	if (e->is_kthread || (!member_of(c, e->h.pid) && !in_cgroups(c, e->cgroup_id)))
		return;
	if (!member_add(c, e->child_pid, e->start_ns)) {
		lost(c);
		return;
	}
	begin_leaf(&leaf, "proc.fork", &e->h, e->child_pid, e->ppid, e->start_ns, e->cgroup_id,
		   e->comm);
	collect_leaf(c, &leaf);
}

/* A member by its tree, or one that came into the cgroup. */
static struct member *member_here(struct collector *c, uint32_t pid, uint64_t start_ns,
				  uint64_t cgroup_id)
{
	struct member *m = member_of(c, pid);

	if (m && !m->start_ns) { /* the first one, whose fork had not been told when it was named */
		m->start_ns = start_ns;
		c->root_start_ns = start_ns;
	}
	if (m && m->start_ns == start_ns)
		return m;
	if (!m && in_cgroups(c, cgroup_id))
		return member_add(c, pid, start_ns);
	return NULL;
}

static void on_exec(struct collector *c, const struct lnx_ev_proc_exec *e)
{
	struct leaf leaf;

	if (!member_here(c, e->h.pid, e->start_ns, e->cgroup_id))
		return;
	begin_leaf(&leaf, "proc.exec", &e->h, e->h.pid, e->ppid, e->start_ns, e->cgroup_id,
		   e->comm);
	if (LNX_EV_HAS(&e->h, struct lnx_ev_proc_exec, args_truncated))
		leaf_set_args(&leaf, c->args_policy, (const char *)e + e->args.off, e->args.len,
			      e->args_truncated != 0);
	collect_leaf(c, &leaf);
	if (e->h.pid == c->root_pid && e->start_ns == c->root_start_ns)
		exe_begin(c, &leaf);
}

static void on_usage(struct collector *c, const struct lnx_ev_proc_usage *e)
{
	struct member *m = member_here(c, e->h.pid, e->start_ns, e->cgroup_id);
	struct leaf leaf;

	if (!m)
		return;
	begin_leaf(&leaf, "proc.usage", &e->h, e->h.pid, e->ppid, e->start_ns, e->cgroup_id,
		   e->comm);
	leaf.cpu_ns = more(e->cpu_ns, &m->cpu_ns);
	leaf.read_bytes = more(e->read_bytes, &m->read_bytes);
	leaf.write_bytes = more(e->write_bytes, &m->write_bytes);
	leaf.rss_peak_kib = e->rss_bytes / 1024;
	collect_leaf(c, &leaf);
}

/* The table may have newer figures of its I/O than the last usage told. */
static void last_io(const struct settle *s, const struct lnx_ev_proc_exit *e, struct member *m,
		    struct leaf *leaf)
{
	const struct lnx_svc_proc *proc;
	const struct lnx_proc *p;
	const void *vtable;
	void *self;

	if (s->host->service(s->ctx, "proc/1", &vtable, &self) < 0)
		return;
	proc = vtable;
	p = proc->get(self, e->h.pid, e->start_ns);
	if (!p || !p->has_usage)
		return;
	leaf->read_bytes = more(p->read_bytes, &m->read_bytes);
	leaf->write_bytes = more(p->write_bytes, &m->write_bytes);
}

static void on_exit_of(struct collector *c, const struct lnx_ev_proc_exit *e)
{
	struct member *m = member_here(c, e->h.pid, e->start_ns, e->cgroup_id);
	struct leaf leaf;

	if (!m)
		return;
	begin_leaf(&leaf, "proc.exit", &e->h, e->h.pid, e->ppid, e->start_ns, e->cgroup_id,
		   e->comm);
	leaf.cpu_ns = more(e->cpu_ns, &m->cpu_ns);
	leaf.rss_peak_kib = e->peak_rss_bytes / 1024;
	leaf.exit_code = e->signal ? 128 + (int32_t)e->signal : (int32_t)e->exit_code;
	last_io(c->s, e, m, &leaf);
	if (e->h.pid == c->root_pid && e->start_ns == c->root_start_ns) {
		leaf.is_main = 1;
		c->has_exit = 1;
		c->end_ns = e->h.ts_ns;
	}
	collect_leaf(c, &leaf);
	member_del(c, m);
}

static void on_stall(struct collector *c, const struct lnx_ev_stall_window *e)
{
	struct leaf leaf;

	if (e->resource != LNX_RES_CPU || !c->n_cgroups || e->cgroup_id != c->cgroups[0] ||
	    !(e->stalled_ms > 0))
		return;
	begin_leaf(&leaf, "stall.window", &e->h, 0, 0, 0, e->cgroup_id, NULL);
	leaf.stall_ns = (uint64_t)(e->stalled_ms * 1e6);
	collect_leaf(c, &leaf);
}

/* One too many: who is moved there and came from elsewhere is not seen, and the receipt says that something is missing. */
static void add_cgroup(struct collector *c, uint64_t id)
{
	if (c->n_cgroups < sizeof(c->cgroups) / sizeof(c->cgroups[0]))
		c->cgroups[c->n_cgroups++] = id;
	else
		c->is_degraded = 1;
}

int collect_event(struct settle *s, const struct lnx_event *ev)
{
	for (struct collector *c = s->collectors; c; c = c->next) {
		const void *e = ev;

		if (ev->type == LNX_EV_PROC_FORK && LNX_EV_HAS(ev, struct lnx_ev_proc_fork, comm))
			on_fork(c, e);
		else if (ev->type == LNX_EV_PROC_EXEC &&
			 LNX_EV_HAS(ev, struct lnx_ev_proc_exec, comm))
			on_exec(c, e);
		else if (ev->type == LNX_EV_PROC_EXIT &&
			 LNX_EV_HAS(ev, struct lnx_ev_proc_exit, comm))
			on_exit_of(c, e);
		else if (ev->type == LNX_EV_PROC_USAGE &&
			 LNX_EV_HAS(ev, struct lnx_ev_proc_usage, comm))
			on_usage(c, e);
		else if (ev->type == LNX_EV_STALL_WINDOW &&
			 LNX_EV_HAS(ev, struct lnx_ev_stall_window, full_ms))
			on_stall(c, e);
		else if (ev->type == LNX_EV_CGROUP_NEW &&
			 LNX_EV_HAS(ev, struct lnx_ev_cgroup, parent_id)) {
			const struct lnx_ev_cgroup *g = e;

			if (in_cgroups(c, g->parent_id) && !in_cgroups(c, g->cgroup_id))
				add_cgroup(c, g->cgroup_id);
		}
	}
	return 0;
}

/* ---- life */

static struct collector *find(const struct settle *s, const struct task *t)
{
	struct collector *c = s->collectors;

	while (c && memcmp(c->task, t->id, 32) != 0)
		c = c->next;
	return c;
}

static void subscribe(struct settle *s, int on)
{
	for (size_t i = 0; i < N_WANTED; i++) {
		if (on && s->host->subscribe(s->ctx, wanted[i], LNX_STAGE_EXPORT, 0) < 0)
			s->host->log(s->ctx, LNX_DEBUG, "no event %s in this agent", wanted[i]);
		if (!on)
			(void)s->host->unsubscribe(s->ctx, wanted[i]); /* was not there */
	}
}

static void collector_free(struct collector *c)
{
	struct collector **p = &c->s->collectors;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p) {
		*p = c->next;
		if (--c->s->n_collectors == 0)
			subscribe(c->s, 0);
	}
	c->s->host->timer_del(c->s->ctx, c->timer);
	sodium_memzero(c->secret, sizeof(c->secret));
	lnx_buf_done(&c->spool);
	free(c->members);
	free(c);
}

static void end(struct collector *c, struct task *t)
{
	struct settle *s = c->s;
	char why[TASK_ERROR] = "";
	int rc = 0;

	if (!c->end_ns)
		c->end_ns = s->host->now_ns(s->ctx);
	if (t && !c->is_finishing)
		task_set(s, t, PHASE_OFFERED,
			 "its command ended and nobody said that it is finished");
	else if (t && c->has_exit && c->usage.exit_code)
		task_set(s, t, PHASE_OFFERED,
			 "its command ended with %d: there is no receipt for that",
			 (int)c->usage.exit_code);
	else if (t && !c->tree.n)
		task_set(s, t, PHASE_OFFERED,
			 "nothing was measured: without a single event there is no receipt");
	else if (t)
		rc = prove(s, c, t, why);
	/* what was measured is kept as long as there is no room for it */
	if (rc == -ENOBUFS && t->status == TASK_CREATED) {
		c->retry_ns = s->host->now_ns(s->ctx) + SETTLE_SEC;
		task_set(s, t, PHASE_RUNNING, "no receipt could be made yet: %s", why);
		return;
	}
	if (rc < 0)
		task_set(s, t, PHASE_FAILED, "no receipt could be made: %s", why);
	collector_free(c);
}

/* Usage is asked for, lines are written, and an end is waited for. */
static void tick(void *arg)
{
	struct collector *c = arg;
	struct settle *s = c->s;
	const void *vtable;
	void *self;

	if (s->host->service(s->ctx, "proc/1", &vtable, &self) == 0)
		((const struct lnx_svc_proc *)vtable)->want_usage(self, 2 * SETTLE_SEC);
	spool_flush(c, c->is_finishing != 0);
	if (!c->is_finishing && c->has_exit && s->host->now_ns(s->ctx) > c->end_ns + FORGET_NS) {
		end(c, task_find(s, c->task));
		return;
	}
	if (!c->is_finishing || !spool_is_idle(c) || s->host->now_ns(s->ctx) < c->retry_ns ||
	    (c->exe && s->host->now_ns(s->ctx) < c->finish_ns))
		return;
	if ((c->root_pid && !c->has_exit) || (!c->root_pid && c->n_members)) {
		if (s->host->now_ns(s->ctx) < c->finish_ns)
			return;
		c->is_degraded = 1; /* it is said in the receipt */
	}
	end(c, task_find(s, c->task));
}

static int begin_what(struct collector *c, const struct collect_ask *ask, char why[TASK_ERROR])
{
	struct settle *s = c->s;
	const struct lnx_proc *p = NULL;
	const void *vtable;
	char path[512];
	struct stat st;
	void *self;

	if (ask->pid && ask->pid <= UINT32_MAX &&
	    s->host->service(s->ctx, "proc/1", &vtable, &self) == 0)
		p = ((const struct lnx_svc_proc *)vtable)->get(self, (uint32_t)ask->pid, 0);
	if (ask->pid &&
	    (ask->pid > INT32_MAX || (!p && kill((pid_t)ask->pid, 0) < 0 && errno == ESRCH))) {
		(void)snprintf(why, TASK_ERROR, "there is no process %llu",
			       (unsigned long long)ask->pid);
		return -EBUSY;
	}
	if (ask->pid) {
		c->root_pid = (uint32_t)ask->pid;
		c->root_start_ns = p ? p->start_ns : 0;		    /* 0: its next event tells */
		(void)member_add(c, c->root_pid, c->root_start_ns); /* the first */
	}
	if (*ask->cgroup) {
		if (strstr(ask->cgroup, "..") || *ask->cgroup != '/' ||
		    (size_t)snprintf(path, sizeof(path), "/sys/fs/cgroup%s", ask->cgroup) >=
			    sizeof(path) ||
		    stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
			(void)snprintf(why, TASK_ERROR,
				       "there is no such cgroup below /sys/fs/cgroup");
			return -EINVAL;
		}
		c->cgroups[c->n_cgroups++] = st.st_ino;
	} else if (ask->cgroup_id) {
		c->cgroups[c->n_cgroups++] = ask->cgroup_id;
	}
	if (!c->root_pid && !c->n_cgroups) {
		(void)snprintf(why, TASK_ERROR, "pid, cgroup or cgroup_id must be given");
		return -EINVAL;
	}
	return 0;
}

/* What the probe was told to send of arguments; it takes another word only at a restart. */
static uint32_t args_policy(const struct settle *s)
{
	const char *mode = s->host->conf_get(s->ctx, "probes.args");
	uint32_t i = LEAF_ARGS_OFF;

	while (mode && leaf_args_names[i] && strcmp(mode, leaf_args_names[i]) != 0)
		i++;
	return mode && leaf_args_names[i] ? i : LEAF_ARGS_OFF;
}

int collect_may_begin(struct settle *s, const struct task *t, char why[TASK_ERROR])
{
	struct core_look look;

	if (t->role != TASK_PAYEE)
		(void)snprintf(why, TASK_ERROR, "this agent is not its payee");
	else if (t->status == TASK_NONE)
		(void)snprintf(why, TASK_ERROR, "the chain does not have it");
	else if (t->status != TASK_CREATED)
		(void)snprintf(why, TASK_ERROR, "it is %s on the chain",
			       task_status_name(t->status));
	else if (memcmp(t->payee, s->address, 20) != 0)
		(void)snprintf(why, TASK_ERROR, "it pays another address than ours");
	else if (memcmp(t->token, s->token, 20) != 0)
		(void)snprintf(why, TASK_ERROR,
			       "it pays in another token than chain.token_address");
	else if (strcmp(t->phase, PHASE_OFFERED) != 0 && strcmp(t->phase, PHASE_FAILED) != 0)
		(void)snprintf(why, TASK_ERROR, "it is %s", t->phase);
	else if (s->head_max + s->conf->deadline_margin >= t->deadline)
		(void)snprintf(why, TASK_ERROR, "its deadline, block %llu, is too near",
			       (unsigned long long)t->deadline);
	else if (!t->is_escrow && !t->is_covered)
		(void)snprintf(
			why, TASK_ERROR,
			"it has no escrow, and the payer's allowance or balance does not cover it");
	else if (s->n_collectors >= COLLECT_MAX)
		(void)snprintf(why, TASK_ERROR, "%d tasks run already", COLLECT_MAX);
	else if (collect_core(s, &look) < 0 || !look.has_probe)
		(void)snprintf(why, TASK_ERROR,
			       "this agent sees no process events: the probe proc is not attached");
	else
		return 0;
	return -EBUSY;
}

int collect_begin(struct settle *s, struct task *t, const struct collect_ask *ask,
		  char why[TASK_ERROR])
{
	struct collector *c;
	struct core_look look = { .dropped = 0 };
	int rc = collect_may_begin(s, t, why);

	if (rc)
		return rc;
	c = calloc(1, sizeof(*c));
	if (c)
		c->members = calloc(COLLECT_PIDS, sizeof(*c->members));
	if (!c || !c->members) {
		free(c);
		(void)snprintf(why, TASK_ERROR, "out of memory");
		return -ENOBUFS;
	}
	c->s = s;
	c->spool.max = 2 * COLLECT_SPOOL_MAX;
	memcpy(c->task, t->id, 32);
	randombytes_buf(c->secret, sizeof(c->secret));
	merkle_init(&c->tree, NULL, 0);
	c->args_policy = args_policy(s);
	(void)collect_core(s, &look); /* asked a moment ago */
	c->dropped = look.dropped;
	c->begin_ns = s->host->now_ns(s->ctx);
	c->begin_wall_ns = s->host->wall_ns(s->ctx, c->begin_ns);
	rc = begin_what(c, ask, why);
	if (!rc)
		rc = spool_begin(c, why);
	if (!rc)
		rc = s->host->timer_add(s->ctx, TICK_NS, TICK_NS, tick, c, &c->timer);
	if (rc) {
		collector_free(c);
		return rc;
	}
	c->next = s->collectors;
	s->collectors = c;
	if (s->n_collectors++ == 0)
		subscribe(s, 1);
	task_set(s, t, PHASE_RUNNING, "%s", "");
	for (struct task *o = s->tasks; o; o = o->next)
		if (o != t && !memcmp(o->payer, t->payer, 20))
			o->is_covered = 0; /* until the next look: this one is owed now */
	return 0;
}

int collect_finish(struct settle *s, struct task *t, const struct collect_ask *ask,
		   char why[TASK_ERROR])
{
	struct collector *c = find(s, t);
	size_t n = strlen(ask->output_sha256);

	if (!c) {
		(void)snprintf(why, TASK_ERROR, "it is not being measured");
		return -EBUSY;
	}
	if (n && (n != 64 || ask->output_sha256[strspn(ask->output_sha256, "0123456789abcdef")])) {
		(void)snprintf(why, TASK_ERROR,
			       "output_sha256 must be 64 hex digits in lower case");
		return -EINVAL;
	}
	memcpy(c->output_sha256, ask->output_sha256, n + 1);
	if (!c->is_finishing)
		c->finish_ns = s->host->now_ns(s->ctx) + FINISH_NS;
	c->is_finishing = 1;
	(void)s->host->timer_set(s->ctx, c->timer, SETTLE_MS, 50 * SETTLE_MS); /* it is there */
	return 0;
}

void collect_json(const struct settle *s, const struct task *t, struct lnx_buf *out)
{
	const struct collector *c = find(s, t);

	if (!c)
		return;
	lnx_json_key(out, "measured");
	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "pid", c->root_pid);
	lnx_json_kv_u64(out, "cgroup_id", c->n_cgroups ? c->cgroups[0] : 0);
	lnx_json_kv_u64(out, "events", c->tree.n);
	lnx_json_kv_u64(out, "lost", c->n_lost);
	lnx_json_kv_u64(out, "not_in_file", c->spool_lost);
	lnx_json_kv_u64(out, "processes", c->n_members);
	lnx_json_kv_u64(out, "cpu_ns", c->usage.cpu_ns);
	lnx_json_kv_u64(out, "rss_peak_kib", c->usage.rss_peak_kib);
	lnx_json_kv_u64(out, "programs_hashed", c->n_exe);
	lnx_json_kv_u64(out, "programs_not_hashed", c->n_exe_lost);
	lnx_buf_char(out, '}');
}

void collect_done(struct settle *s)
{
	struct collector *c;

	if (s->collectors)
		subscribe(s, 0);
	while ((c = s->collectors)) {
		s->collectors = c->next;
		collector_free(c);
	}
	s->n_collectors = 0;
}
