/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See table.h. */
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64 /* of a cgroup tree that we follow upwards */

static uint32_t bucket_of(const struct workload_table *t, uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (t->n_buckets - 1);
}

int workload_table_init(struct workload_table *t, uint32_t max)
{
	memset(t, 0, sizeof(*t));
	t->max = max;
	for (t->n_buckets = 64; t->n_buckets < max && t->n_buckets < 1u << 20;)
		t->n_buckets *= 2;
	t->buckets = calloc(t->n_buckets, sizeof(struct workload_entry *));
	t->oldest.prev = t->oldest.next = &t->oldest;
	return t->buckets ? 0 : -ENOMEM;
}

static void list_del(struct workload_entry *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
}

static void list_add(struct workload_table *t, struct workload_entry *e)
{
	e->prev = t->oldest.prev;
	e->next = &t->oldest;
	e->prev->next = e;
	e->next->prev = e;
}

/* What Kubernetes may know <e> by: "" for nothing. */
static const char *key_of(const struct workload_entry *e)
{
	return e->ids.pod_uid[0] ? e->ids.pod_uid : e->ids.container_id;
}

static struct workload_entry **chain_of(struct workload_table *t, const char *key)
{
	uint32_t h = 2166136261u;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return &t->keys[h & (WORKLOAD_KEYS - 1)];
}

static void key_del(struct workload_table *t, struct workload_entry *e)
{
	struct workload_entry **p;

	if (!*key_of(e))
		return;
	for (p = chain_of(t, key_of(e)); *p && *p != e;)
		p = &(*p)->next_key;
	if (*p)
		*p = e->next_key;
}

static void key_add(struct workload_table *t, struct workload_entry *e)
{
	struct workload_entry **p = chain_of(t, key_of(e));

	if (!*key_of(e))
		return;
	e->next_key = *p;
	*p = e;
}

static struct workload_entry *same_key(struct workload_entry *e, const char *key)
{
	while (e && strcmp(key_of(e), key) != 0)
		e = e->next_key;
	return e;
}

struct workload_entry *workload_table_by_key(const struct workload_table *t, const char *key)
{
	/* the chain is only read */
	return *key ? same_key(*chain_of((void *)(uintptr_t)t, key), key) : NULL;
}

struct workload_entry *workload_table_next_by_key(const struct workload_entry *e, const char *key)
{
	return same_key(e->next_key, key);
}

struct workload_entry *workload_table_get(const struct workload_table *t, uint64_t id)
{
	struct workload_entry *e = t->buckets[bucket_of(t, id)];

	while (e && e->id != id)
		e = e->next_hash;
	return e;
}

/* <e> exists from now on: its parent has one child more, or will have when it is known. */
static void count_in(struct workload_table *t, struct workload_entry *e)
{
	struct workload_entry *p = workload_table_get(t, e->parent_id);

	e->is_counted = p && p != e;
	if (e->is_counted)
		p->n_children++;
	else if (e->parent_id)
		t->n_orphans++;
}

/* It exists no more. */
static void count_out(struct workload_table *t, struct workload_entry *e)
{
	struct workload_entry *p = workload_table_get(t, e->parent_id);

	if (e->is_counted && p)
		p->n_children--;
	else if (!e->is_counted && e->parent_id)
		t->n_orphans--;
	e->is_counted = false;
}

/* <p> has come after some of its children. */
static void adopt(struct workload_table *t, struct workload_entry *p)
{
	for (struct workload_entry *e = t->oldest.next; t->n_orphans && e != &t->oldest;
	     e = e->next) {
		if (e->parent_id != p->id || e == p || e->gone_ns || e->is_counted)
			continue;
		e->is_counted = true;
		p->n_children++;
		t->n_orphans--;
	}
}

/* <p> goes, and children of it exist, whose ends were not told. */
static void orphan(struct workload_table *t, const struct workload_entry *p)
{
	for (struct workload_entry *e = t->oldest.prev; p->n_children && e != &t->oldest;
	     e = e->prev) {
		if (e->parent_id != p->id || e == p || !e->is_counted)
			continue;
		e->is_counted = false;
		t->n_orphans++;
	}
}

static void entry_free(struct workload_entry *e)
{
	free(e->pod);
	free(e->path);
	free(e->name);
	free(e);
}

static void table_remove(struct workload_table *t, struct workload_entry *e)
{
	struct workload_entry **p = &t->buckets[bucket_of(t, e->id)];

	if (!e->gone_ns)
		count_out(t, e);
	orphan(t, e);
	while (*p != e)
		p = &(*p)->next_hash;
	*p = e->next_hash;
	key_del(t, e);
	list_del(e);
	t->n--;
	t->n_gone -= e->gone_ns != 0;
	entry_free(e);
}

void workload_table_done(struct workload_table *t)
{
	while (t->buckets && t->oldest.prev != &t->oldest)
		table_remove(t, t->oldest.prev); /* children first */
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

/* ---- names */

static bool tail_is(const char *s, size_t n, const char *tail)
{
	size_t k = strlen(tail);

	return n > k && !memcmp(s + n - k, tail, k);
}

/* The innermost segment that is a systemd unit; its end in *ret_end. */
static const char *unit_segment(const char *path, size_t *ret_n, size_t *ret_end)
{
	const char *p = path, *found = NULL;

	while (*p) {
		size_t n;

		p += *p == '/';
		n = strcspn(p, "/");
		if (tail_is(p, n, ".service") || tail_is(p, n, ".scope") ||
		    tail_is(p, n, ".socket")) {
			found = p;
			*ret_n = n;
			*ret_end = (size_t)(p + n - path);
		}
		p += n;
	}
	return found;
}

#define DIGITS "0123456789"
#define HEX    DIGITS "abcdef"

/* Letters at the start of <s> that are among <set>. */
static size_t span(const char *s, size_t n, const char *set)
{
	size_t k = 0;

	while (k < n && s[k] && strchr(set, s[k]))
		k++;
	return k;
}

static bool is_uuid(const char *s)
{
	static const unsigned char groups[] = { 8, 4, 4, 4, 12 };
	unsigned i;

	for (i = 0; i < sizeof(groups); s += groups[i++] + 1u)
		if (span(s, groups[i], HEX) != groups[i] ||
		    (i + 1 < sizeof(groups) && s[groups[i]] != '-'))
			return false;
	return true;
}

/* A number, or an id as programs make them: a word that only happens to have such letters ("fe", "db", "facade") is a
 * word. */
static bool is_id(const char *s, size_t n)
{
	size_t i, n_digits = 0;

	for (i = 0; i < n; i++)
		n_digits += span(s + i, 1, DIGITS);
	return n_digits && (n_digits == n || (n >= 8 && span(s, n, HEX) == n));
}

/* What systemd-run makes: "r<hex>", "u<number>", "p<number>-i<number>". */
static bool is_run(const char *s, size_t n)
{
	size_t k;

	if (!n)
		return false;
	if (*s == 'r')
		return n > 8 && span(s + 1, n - 1, HEX) == n - 1;
	k = 1 + span(s + 1, n - 1, DIGITS);
	if (*s == 'u')
		return n > 1 && k == n;
	return *s == 'p' && k > 1 && n > k + 2 && !memcmp(s + k, "-i", 2) &&
	       span(s + k + 2, n - k - 2, DIGITS) == n - k - 2;
}

static bool is_session(const char *unit, size_t n)
{
	return n > 8 && !memcmp(unit, "session-", 8) && tail_is(unit, n, ".scope");
}

/* Of the <n> letters before its ending, those that are no transient id. */
static size_t unit_keep(const char *unit, size_t n)
{
	size_t k = n;

	if (n > 4 && !memcmp(unit, "run-", 4) && is_run(unit + 4, n - 4))
		return 3;
	if (n > 37 && unit[n - 37] == '-' && is_uuid(unit + n - 36))
		return n - 37;
	while (k && unit[k - 1] != '-')
		k--;
	return k > 1 && is_id(unit + k, n - k) ? k - 1 : n;
}

/* Unit name without its instance ("a@b.service") and without a transient id ("run-r12ab….scope", "session-3.scope"). */
static char *unit_name(const char *unit, size_t n)
{
	const char *dot = unit + n, *at = memchr(unit, '@', n);
	size_t keep;
	char *out;

	while (dot > unit && *dot != '.')
		dot--;
	if (is_session(unit, n))
		keep = strlen("session");
	else if (at && at < dot)
		keep = (size_t)(at - unit);
	else
		keep = unit_keep(unit, (size_t)(dot - unit));
	out = malloc(keep + (size_t)(unit + n - dot) + 1);
	if (!out)
		return NULL;
	memcpy(out, unit, keep);
	memcpy(out + keep, dot, (size_t)(unit + n - dot));
	out[keep + (size_t)(unit + n - dot)] = 0;
	return out;
}

/* Who <e> is, from its path alone. */
static int entry_identify(struct workload_entry *e)
{
	size_t n = 0, end = 0;
	const char *unit = unit_segment(e->path, &n, &end);

	workload_parse(e->path, &e->ids);
	free(e->name);
	if (e->ids.form == WORKLOAD_CONTAINER) {
		e->kind = LNX_WL_CONTAINER;
		e->name = strndup(e->ids.container_id, 12);
	} else if (e->ids.form == WORKLOAD_POD) {
		e->kind = LNX_WL_OTHER;
		e->name = strdup(e->ids.pod_uid);
	} else if (unit) {
		e->kind = is_session(unit, n) ? LNX_WL_SESSION : LNX_WL_UNIT;
		e->ids.end = end;
		e->name = unit_name(unit, n);
	} else {
		e->kind = strcmp(e->path, "/") != 0 ? LNX_WL_OTHER : LNX_WL_ROOT;
		e->name = strdup(e->path[0] == '/' && e->path[1] ? e->path + 1 : e->path);
	}
	return e->name ? 0 : -ENOMEM;
}

/* ---- changes */

/* The removed cgroup that has been so for longest gives way. False: there is none. */
static bool forget_one(struct workload_table *t)
{
	struct workload_entry *e;

	for (e = t->oldest.next; t->n_gone && e != &t->oldest; e = e->next) {
		if (!e->gone_ns)
			continue;
		table_remove(t, e);
		return true;
	}
	return false;
}

static bool make_room(struct workload_table *t)
{
	if (t->n < t->max || forget_one(t))
		return true;
	t->refused++;
	return false;
}

struct workload_entry *workload_table_put(struct workload_table *t, uint64_t id, uint64_t parent_id,
					  const char *path, size_t n_path, uint64_t now_ns,
					  bool *ret_changed)
{
	struct workload_entry *e = workload_table_get(t, id);
	char *copy;

	*ret_changed = false;
	if (e && !e->gone_ns && strlen(e->path) == n_path && !memcmp(e->path, path, n_path)) {
		e->seen_ns = now_ns;
		return e;
	}
	/* not strndup: the path is inside an event, and need not end with a NUL */
	copy = malloc(n_path + 1);
	if (copy) {
		memcpy(copy, path, n_path);
		copy[n_path] = 0;
	}
	if (!e && copy && make_room(t)) {
		e = calloc(1, sizeof(*e));
		if (e) {
			e->id = id;
			e->psi_cpu_some = e->psi_memory_some = e->psi_io_some = NAN;
			e->first_ns = now_ns;
			e->next_hash = t->buckets[bucket_of(t, id)];
			t->buckets[bucket_of(t, id)] = e;
			list_add(t, e);
			t->n++;
			e->parent_id = parent_id;
			count_in(t, e);
			adopt(t, e);
		}
	} else if (e && e->gone_ns) {
		e->gone_ns = 0;
		t->n_gone--;
		count_in(t, e);
	}
	if (!e || !copy) {
		free(copy);
		return NULL;
	}
	key_del(t, e);
	free(e->path);
	e->path = copy;
	e->seen_ns = now_ns;
	free(e->pod); /* another path may be another pod */
	e->pod = NULL;
	if (entry_identify(e) < 0) {
		memset(&e->ids, 0, sizeof(e->ids)); /* it is in no chain */
		table_remove(t, e);
		return NULL;
	}
	key_add(t, e);
	*ret_changed = true;
	return e;
}

void workload_table_gone(struct workload_table *t, struct workload_entry *e, uint64_t now_ns)
{
	if (e->gone_ns)
		return;
	e->gone_ns = now_ns;
	t->n_gone++;
	count_out(t, e);
	list_del(e);
	list_add(t, e);
}

void workload_table_trim(struct workload_table *t)
{
	while (t->n_gone > WORKLOAD_GONE_MAX && forget_one(t))
		t->forgotten++;
}

void workload_table_expire(struct workload_table *t, uint64_t now_ns, uint64_t keep_ns)
{
	struct workload_entry *e = t->oldest.next, *next;

	for (; t->n_gone && e != &t->oldest; e = next) {
		next = e->next;
		if (e->gone_ns && now_ns - e->gone_ns > keep_ns)
			table_remove(t, e);
	}
}

struct workload_entry *workload_table_slot(const struct workload_table *t, struct workload_entry *e)
{
	struct workload_entry *up;
	unsigned depth;

	if (!e->ids.end)
		return e;
	for (depth = 0; depth < DEPTH_MAX && strlen(e->path) > e->ids.end; depth++) {
		up = workload_table_get(t, e->parent_id);
		if (!up || up == e || strlen(up->path) < e->ids.end)
			break;
		e = up;
	}
	return e;
}

bool workload_is_slot(const struct workload_table *t, struct workload_entry *e)
{
	if (workload_table_slot(t, e) != e)
		return false;
	return e->kind == LNX_WL_CONTAINER || e->kind == LNX_WL_UNIT || e->kind == LNX_WL_SESSION ||
	       !e->n_children || e->kind == LNX_WL_ROOT;
}

void workload_describe(const struct workload_table *t, struct workload_entry *e,
		       struct lnx_workload *ret_w)
{
	static const struct workload_pod nobody = { "", "", "", "", "", "", "", 0, 0, 0, 0, 0, 0 };
	const struct workload_pod *pod = e->pod ? e->pod : &nobody;
	uint32_t size = ret_w->size;
	struct lnx_workload w = {
		.size = sizeof(w),
		.kind = e->kind,
		.cgroup_id = e->id,
		.slot_cgroup_id = workload_table_slot(t, e)->id,
		.parent_cgroup_id = e->parent_id,
		.gone_ns = e->gone_ns,
		.path = e->path,
		.workload = e->pod ? pod->workload : e->name,
		.namespace_ = pod->namespace_,
		.pod_name = pod->pod_name,
		.pod_uid = e->ids.pod_uid,
		.container_name = pod->container_name,
		.container_id = e->ids.container_id,
		.runtime = e->ids.runtime,
		.qos = *e->ids.qos ? e->ids.qos : pod->qos,
		.owner_channel = pod->owner_channel,
		.slo_tier = pod->slo_tier,
		.is_ignored = pod->is_ignored,
		.cpu_request_millicores = pod->cpu_request_millicores,
		.cpu_limit_millicores = pod->cpu_limit_millicores,
		.memory_request_bytes = pod->memory_request_bytes,
		.memory_limit_bytes = pod->memory_limit_bytes,
	};

	/* a caller built against an older table has fewer members */
	memcpy(ret_w, &w, size && size < sizeof(w) ? size : sizeof(w));
}
