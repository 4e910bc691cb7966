/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Events from Lua tables by the field tables: what tests feed to rules. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_bind.h"

struct build {
	const struct lnx_rules *r;
	const struct lnx_event_desc *desc;
	char *bytes;
	size_t cap;
};

static void build_tail(lua_State *L, struct build *b, const struct lnx_field *f, const char *s,
		       size_t len)
{
	struct lnx_event *ev = (struct lnx_event *)b->bytes;
	struct lnx_str str;

	if (len > LNX_STR_MAX || ev->size + len > b->cap)
		(void)luaL_error(L, "field '%s' is longer than %d bytes", f->name, LNX_STR_MAX);
	str.off = (__u16)ev->size;
	str.len = (__u16)len;
	memcpy(b->bytes + ev->size, s, len);
	ev->size += (__u32)len;
	memcpy(b->bytes + f->offset, &str, sizeof(str));
}

static void build_uint(struct build *b, const struct lnx_field *f, uint64_t v)
{
	uint8_t u8 = (uint8_t)v;
	uint16_t u16 = (uint16_t)v;
	uint32_t u32 = (uint32_t)v;

	memcpy(b->bytes + f->offset,
	       f->size == 1   ? (void *)&u8
	       : f->size == 2 ? (void *)&u16
	       : f->size == 4 ? (void *)&u32
			      : (void *)&v,
	       f->size);
}

/* The value on top of the stack into its field. */
static void build_set(lua_State *L, struct build *b, const struct lnx_field *f)
{
	size_t len = 0;
	const char *s;
	double d;
	uint64_t n;

	switch (f->type) {
	case LNX_CHARS:
		s = luaL_checklstring(L, -1, &len);
		memcpy(b->bytes + f->offset, s, len < f->size ? len : f->size);
		return;
	case LNX_STR:
	case LNX_JSON:
		s = luaL_checklstring(L, -1, &len);
		build_tail(L, b, f, s, len);
		return;
	case LNX_ENUM:
		s = luaL_checkstring(L, -1);
		for (n = 0; f->names[n] && strcmp(f->names[n], s) != 0; n++)
			;
		if (!f->names[n])
			(void)luaL_error(L, "field '%s' has no value '%s'", f->name, s);
		build_uint(b, f, n);
		return;
	case LNX_F64:
		d = luaL_checknumber(L, -1);
		memcpy(b->bytes + f->offset, &d, sizeof(d));
		return;
	case LNX_BOOL:
		build_uint(b, f, (uint64_t)lua_toboolean(L, -1));
		return;
	case LNX_TAG_FIELD:
		(void)luaL_error(L, "field '%s' is of the cgroup: feed a workload.update before",
				 f->name);
		return;
	}
	d = luaL_checknumber(L, -1);
	if (d < -9.3e18 || d > 1.8e19 || isnan(d))
		(void)luaL_error(L, "field '%s' cannot hold that number", f->name);
	n = lua_isinteger(L, -1) ? (uint64_t)lua_tointeger(L, -1)
	    : d < 0		 ? (uint64_t)(int64_t)d
				 : (uint64_t)d;
	build_uint(b, f, n);
}

/* Fields of the table on top of the stack, their names after <prefix>. */
static void build_table(lua_State *L, struct build *b, const char *prefix, unsigned depth)
{
	char path[128], shown[64], what[96];
	const struct lnx_field *f;

	luaL_checkstack(L, 8, "an event");
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			(void)luaL_error(L, "fields of an event have names");
		(void)snprintf(path, sizeof(path), "%s%s", prefix, lua_tostring(L, -2));
		f = lnx_lua_bind_name(b->r, b->desc, path);
		if (f) {
			build_set(L, b, f);
		} else if (lua_istable(L, -1) && depth < 4) {
			size_t len = strlen(path);

			(void)snprintf(path + len, sizeof(path) - len, ".");
			build_table(L, b, path, depth + 1);
		} else {
			(void)snprintf(what, sizeof(what), "field of %s", b->desc->name);
			(void)lnx_lua_unknown(L, what,
					      lnx_lua_printable(path, shown, sizeof(shown)),
					      lnx_lua_bind_name_suggest(b->r, b->desc, path));
		}
		lua_pop(L, 1);
	}
}

size_t lnx_build_event(lua_State *L, const struct lnx_rules *r, const struct lnx_event_desc *desc,
		       int at, uint64_t ts_ns, void *buf, size_t cap)
{
	struct build b = { r, desc, buf, cap };
	struct lnx_event *ev = buf;
	const double nan_value = NAN;
	unsigned i;

	memset(buf, 0, desc->fixed);
	for (i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].type == LNX_F64)
			memcpy((char *)buf + desc->fields[i].offset, &nan_value, sizeof(nan_value));
	ev->size = ev->fixed = desc->fixed;
	ev->type = desc->type;
	ev->cpu = LNX_CPU_NONE;
	lua_pushvalue(L, at);
	build_table(L, &b, "", 0);
	lua_pop(L, 1);
	ev->ts_ns = ts_ns;
	return ev->size;
}
