/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who an event is about: its process, or the root of that process's tree by the process table. */
#include <stdio.h>
#include <string.h>

#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>

#include "lua_engine.h"
#include "tags.h"

static uint64_t tree_u64(const struct lnx_event *ev, const struct lnx_field *f)
{
	struct lnx_value v;

	if (!f)
		return 0;
	v = lnx_event_value(ev, f);
	return v.kind == LNX_VAL_U64 ? v.u64 : 0;
}

static void tree_from_proc(const struct lnx_proc *p, struct lnx_subject *s)
{
	s->pid = p->pid;
	s->start_ns = p->start_ns;
	s->cgroup_id = p->cgroup_id;
	memcpy(s->comm, p->comm, sizeof(p->comm));
	s->comm[sizeof(p->comm)] = 0;
}

/* The process that <ev> tells of; *ret_ppid 0: unknown. */
static void tree_process(const struct lnx_rule_on *on, const struct lnx_event *ev,
			 struct lnx_subject *s, uint32_t *ret_ppid)
{
	struct lnx_value v;
	size_t n;

	s->kind = LNX_SUBJECT_PROCESS;
	s->pid = ev->pid;
	if (ev->type == LNX_EV_PROC_FORK)
		s->pid = LNX_EV_HAS(ev, struct lnx_ev_proc_fork, child_pid)
				 ? ((const struct lnx_ev_proc_fork *)ev)->child_pid
				 : 0; /* unknown */
	s->start_ns = tree_u64(ev, on->start);
	s->cgroup_id = tree_u64(ev, on->cgroup);
	if (on->comm) {
		v = lnx_event_value(ev, on->comm);
		n = v.size < sizeof(s->comm) ? v.size : sizeof(s->comm) - 1;
		if (v.kind == LNX_VAL_STR)
			memcpy(s->comm, v.str, n); /* the rest is zero */
	}
	*ret_ppid = (uint32_t)tree_u64(ev, on->ppid);
}

void lnx_tree_subject(struct lnx_rules *r, const struct lnx_rule_on *on, const struct lnx_event *ev,
		      bool is_root, struct lnx_subject *ret_subject)
{
	const struct lnx_svc_proc *svc = NULL;
	const struct lnx_proc *p = NULL;
	struct lnx_subject s = { 0 };
	uint32_t ppid, root;
	void *self = NULL;

	tree_process(on, ev, &s, &ppid);
	if (!is_root) {
		*ret_subject = s;
		return;
	}
	if (r->test_root) {
		root = r->test_root(r, s.pid, ppid);
		s.start_ns = 0;
		s.pid = root;
		*ret_subject = s;
		return;
	}
	svc = r->conf.proc ? r->conf.proc(r->conf.arg, &self) : NULL;
	if (svc)
		p = svc->get(self, s.pid, s.start_ns);
	if (svc && !p && ppid)
		p = svc->get(self, ppid, 0);
	if (p) {
		tree_from_proc(svc->tree_root(self, p), &s);
	} else if (ppid) {
		/* a process that the table never saw: its parent is as far up as is known. No start time, so that its
		 * fork and its exit meet in one key. */
		s.pid = ppid;
		s.start_ns = 0;
	}
	*ret_subject = s;
}

size_t lnx_tree_container(const struct lnx_rules *r, const struct lnx_rule_on *on,
			  const struct lnx_event *ev, char *buf, size_t cap)
{
	struct lnx_tag tag = { .size = sizeof(tag) };
	int n;

	if (lnx_tags_get(r->conf.tags, tree_u64(ev, on->cgroup), &tag) < 0)
		return 0;
	if (tag.pod_uid[0] && tag.container_name[0])
		n = snprintf(buf, cap, "%s/%s/%s", tag.namespace_,
			     tag.workload[0] ? tag.workload : tag.pod_uid, tag.container_name);
	else
		n = snprintf(buf, cap, "%s", tag.container_id[0] ? tag.container_id : tag.path);
	return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}
