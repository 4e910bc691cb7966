/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What rules ask for by a call: a process, a cgroup, a pattern. */
#include <string.h>

#include "lua_bind.h"
#include "tags.h"

#define BIND_GLOB_BYTES 65536	      /* of a text that glob() looks at */
#define BIND_LEFT_NS	1000000000ULL /* is_main: who ended well so long before is no part of it */

static int bind_glob(lua_State *L)
{
	size_t plen, len;
	const char *p = luaL_checklstring(L, 1, &plen), *s = luaL_checklstring(L, 2, &len);

	if (plen > BIND_GLOB_BYTES || len > BIND_GLOB_BYTES)
		return luaL_error(L, "glob: a text is longer than %d bytes", BIND_GLOB_BYTES);
	lnx_lua_charge(L, (plen + 1) * (len + 1) / 64);
	lua_pushboolean(L, lnx_glob(p, plen, s, len));
	return 1;
}

/* What proc(pid) shows, as a field table. */
#define BIND_PROC(nm, ty, un)                                                                      \
	{                                                                                          \
#nm, ty, offsetof(struct lnx_proc, nm), sizeof(((struct lnx_proc *)0)->nm), 0, un, \
			"", NULL, NULL                                                             \
	}

static const struct lnx_field bind_proc_fields[] = {
	BIND_PROC(pid, LNX_U32, ""),
	BIND_PROC(ppid, LNX_U32, ""),
	BIND_PROC(uid, LNX_U32, ""),
	BIND_PROC(start_ns, LNX_U64, "ns"),
	BIND_PROC(exit_ns, LNX_U64, "ns"),
	BIND_PROC(cgroup_id, LNX_ID, ""),
	BIND_PROC(n_threads, LNX_U32, ""),
	BIND_PROC(is_kthread, LNX_BOOL, ""),
	BIND_PROC(comm, LNX_CHARS, ""),
	BIND_PROC(cpu_pct, LNX_F64, "pct"),
	BIND_PROC(cpu_ns, LNX_U64, "ns"),
	BIND_PROC(rss_bytes, LNX_U64, "bytes"),
	BIND_PROC(rss_anon_bytes, LNX_U64, "bytes"),
	BIND_PROC(read_bytes, LNX_U64, "bytes"),
	BIND_PROC(write_bytes, LNX_U64, "bytes"),
	BIND_PROC(minflt, LNX_U64, ""),
	BIND_PROC(majflt, LNX_U64, ""),
	BIND_PROC(run_delay_ns, LNX_U64, "ns"),
	BIND_PROC(forks, LNX_U32, ""),
	BIND_PROC(forks_total, LNX_U32, ""),
};

#define BIND_PROC_N (sizeof(bind_proc_fields) / sizeof(bind_proc_fields[0]))

static int bind_proc_unknown(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2), *names[BIND_PROC_N + 3] = { NULL };
	char shown[64];
	unsigned i;

	for (i = 0; i < BIND_PROC_N; i++)
		names[i] = bind_proc_fields[i].name;
	names[i++] = "filename";
	names[i] = "args";
	return lnx_lua_unknown(L, "field of a process",
			       lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, names));
}

/* A file may be read on a thread of its own: what it asks for then belongs to the loop. */
static void bind_loaded(lua_State *L, const struct lnx_rules *r, const char *what)
{
	if (r->loading)
		(void)luaL_error(
			L, "%s: can be asked in a rule's functions, not while its file is read",
			what);
}

static int bind_proc(lua_State *L)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	lua_Integer pid = luaL_checkinteger(L, 1);
	const struct lnx_svc_proc *svc;
	const struct lnx_proc *p = NULL;
	struct lnx_value v;
	void *self = NULL;
	unsigned i;

	bind_loaded(L, r, "proc");
	svc = r->conf.proc ? r->conf.proc(r->conf.arg, &self) : NULL;
	if (svc && pid > 0 && pid <= UINT32_MAX)
		p = svc->get(self, (uint32_t)pid, 0);
	if (!p) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, BIND_PROC_N + 2);
	for (i = 0; i < BIND_PROC_N; i++) {
		const struct lnx_field *f = &bind_proc_fields[i];
		const char *at = (const char *)p + f->offset;

		memset(&v, 0, sizeof(v));
		if (f->type == LNX_CHARS) {
			v.kind = LNX_VAL_STR;
			v.str = at;
			v.size = (uint32_t)strnlen(at, f->size);
		} else if (f->type == LNX_F64) {
			v.kind = LNX_VAL_F64;
			memcpy(&v.f64, at, sizeof(v.f64));
		} else {
			uint32_t small;

			v.kind = f->type == LNX_BOOL ? LNX_VAL_BOOL : LNX_VAL_U64;
			if (f->size == sizeof(small)) {
				memcpy(&small, at, sizeof(small));
				v.u64 = small;
			} else {
				memcpy(&v.u64, at, sizeof(v.u64));
			}
		}
		lnx_bind_push(L, &v);
		lua_setfield(L, -2, f->name);
	}
	lua_pushstring(L, p->filename ? p->filename : "");
	lua_setfield(L, -2, "filename");
	lua_pushstring(L, p->args ? p->args : "");
	lua_setfield(L, -2, "args");
	luaL_setmetatable(L, "lnx.proc");
	return 1;
}

struct bind_older {
	const struct lnx_proc *p;
	uint64_t end_ns; /* of <p>; UINT64_MAX: it lives */
	bool is_found;
};

/* A process that was in the cgroup before <p> and lived beside it. Not one that ended well some time before: as what starts a
 * daemon does. */
static int bind_is_older(void *arg, const struct lnx_proc *q)
{
	struct bind_older *o = arg;
	bool has_left =
		q->exit_ns && !q->exit_code && !q->signal && q->exit_ns + BIND_LEFT_NS <= o->end_ns;

	o->is_found = q != o->p && q->cgroup_id == o->p->cgroup_id &&
		      q->start_ns < o->p->start_ns && !q->is_kthread && !has_left &&
		      (!q->exit_ns || q->exit_ns > o->p->start_ns);
	return o->is_found;
}

/* Is it, or was it to its end, the process that its cgroup is for? A probe in a container, a worker, what goes down with the
 * main process are none. */
static int bind_is_main(lua_State *L)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	lua_Integer pid = luaL_checkinteger(L, 1), start_ns = luaL_checkinteger(L, 2);
	struct bind_older o = { NULL, UINT64_MAX, true };
	const struct lnx_svc_proc *svc;
	const struct lnx_proc *parent;
	void *self = NULL;

	bind_loaded(L, r, "is_main");
	svc = r->conf.proc ? r->conf.proc(r->conf.arg, &self) : NULL;
	if (svc && pid > 0 && pid <= UINT32_MAX)
		o.p = svc->get(self, (uint32_t)pid, (uint64_t)start_ns);
	if (o.p) {
		o.end_ns = o.p->exit_ns ? o.p->exit_ns : UINT64_MAX;
		parent = svc->parent(self, o.p); /* most are found at once */
		if (!parent || !bind_is_older(&o, parent))
			lnx_lua_charge(L, (uint64_t)svc->each(self, 1, bind_is_older, &o) / 8);
	}
	lua_pushboolean(L, !o.is_found);
	return 1;
}

/* What cgroup(id) shows. */
static const char *const bind_cgroup_names[] = {
	"cgroup_id",	  "path",	  "workload", "namespace", "pod_name", "pod_uid",
	"container_name", "container_id", "runtime",  "ignored",   NULL
};

static int bind_cgroup_unknown(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);
	char shown[64];

	return lnx_lua_unknown(L, "field of a cgroup",
			       lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, bind_cgroup_names));
}

/* Who a cgroup is, as events told; nil when none did. */
static int bind_cgroup(lua_State *L)
{
	const struct lnx_rules *r = lnx_bind_rules(L);
	lua_Integer id = luaL_checkinteger(L, 1);
	const char *texts[8];
	struct lnx_tag tag = { .size = sizeof(tag) };
	unsigned i;

	bind_loaded(L, r, "cgroup");
	if (lnx_tags_get(r->conf.tags, (uint64_t)id, &tag) < 0) {
		lua_pushnil(L);
		return 1;
	}
	texts[0] = tag.path;
	texts[1] = tag.workload;
	texts[2] = tag.namespace_;
	texts[3] = tag.pod_name;
	texts[4] = tag.pod_uid;
	texts[5] = tag.container_name;
	texts[6] = tag.container_id;
	texts[7] = tag.runtime;
	lua_createtable(L, 0, 10);
	lua_pushinteger(L, id);
	lua_setfield(L, -2, bind_cgroup_names[0]);
	for (i = 0; i < 8; i++) {
		lua_pushstring(L, texts[i]);
		lua_setfield(L, -2, bind_cgroup_names[i + 1]);
	}
	lua_pushboolean(L, tag.is_ignored != 0);
	lua_setfield(L, -2, "ignored");
	luaL_setmetatable(L, "lnx.cgroup");
	return 1;
}

void lnx_bind_proc_open(lua_State *L)
{
	lnx_bind_meta(L, "lnx.cgroup", bind_cgroup_unknown);
	lnx_bind_meta(L, "lnx.proc", bind_proc_unknown);
}

void lnx_bind_proc_env(lua_State *L, int env)
{
	lua_pushcfunction(L, bind_glob);
	lua_setfield(L, env, "glob");
	lua_pushcfunction(L, bind_proc);
	lua_setfield(L, env, "proc");
	lua_pushcfunction(L, bind_is_main);
	lua_setfield(L, env, "is_main");
	lua_pushcfunction(L, bind_cgroup);
	lua_setfield(L, env, "cgroup");
}
