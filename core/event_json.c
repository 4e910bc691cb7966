/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Values of fields, and an event as JSON: one writer for every type, driven by the field tables. */
#include "event.h"

#include <linnix/fields.h>
#include <string.h>

#include "tags.h"

static struct lnx_value lnx_value_str(const char *s, size_t n, uint32_t kind)
{
	struct lnx_value v = { .kind = kind, .size = (uint32_t)n, .str = s };

	return v;
}

static uint64_t lnx_load_uint(const char *p, unsigned size)
{
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (size) {
	case 1:
		return (uint8_t)*p;
	case 2:
		memcpy(&v16, p, 2);
		return v16;
	case 4:
		memcpy(&v32, p, 4);
		return v32;
	default:
		memcpy(&v64, p, 8);
		return v64;
	}
}

struct lnx_value lnx_event_value(const struct lnx_event *ev, const struct lnx_field *f)
{
	const char *p = (const char *)ev + f->offset;
	struct lnx_value v = { .kind = LNX_VAL_NONE };
	struct lnx_str s;
	uint64_t n, i;

	if ((uint32_t)f->offset + f->size > ev->fixed)
		return v;
	switch (f->type) {
	case LNX_I32:
		v.kind = LNX_VAL_I64;
		v.i64 = (int32_t)lnx_load_uint(p, 4);
		break;
	case LNX_I64:
		v.kind = LNX_VAL_I64;
		v.i64 = (int64_t)lnx_load_uint(p, 8);
		break;
	case LNX_F64:
		v.kind = LNX_VAL_F64;
		memcpy(&v.f64, p, sizeof(v.f64));
		break;
	case LNX_BOOL:
		v.kind = LNX_VAL_BOOL;
		v.u64 = lnx_load_uint(p, f->size) != 0;
		break;
	case LNX_CHARS:
		return lnx_value_str(p, strnlen(p, f->size), LNX_VAL_STR);
	case LNX_STR:
	case LNX_JSON:
		memcpy(&s, p, sizeof(s));
		if (f->type == LNX_JSON && !s.len)
			return v;
		return lnx_value_str((const char *)ev + (s.len ? s.off : 0), s.len,
				     f->type == LNX_JSON ? LNX_VAL_JSON : LNX_VAL_STR);
	case LNX_ENUM:
		n = lnx_load_uint(p, 4);
		for (i = 0; f->names[i]; i++)
			if (i == n)
				return lnx_value_str(f->names[i], strlen(f->names[i]), LNX_VAL_STR);
		return lnx_value_str("unknown", 7, LNX_VAL_STR);
	default:
		v.kind = LNX_VAL_U64;
		v.u64 = lnx_load_uint(p, f->size);
	}
	return v;
}

static void lnx_json_value(struct lnx_buf *out, const struct lnx_value *v)
{
	switch (v->kind) {
	case LNX_VAL_U64:
		lnx_buf_u64(out, v->u64);
		break;
	case LNX_VAL_I64:
		lnx_buf_printf(out, "%lld", (long long)v->i64);
		break;
	case LNX_VAL_F64:
		lnx_json_f64(out, v->f64);
		break;
	case LNX_VAL_BOOL:
		lnx_buf_str(out, v->u64 ? "true" : "false");
		break;
	case LNX_VAL_STR:
		lnx_json_bytes(out, v->str, v->size);
		break;
	case LNX_VAL_JSON:
		lnx_buf_add(out, v->str, v->size);
		break;
	default:
		lnx_buf_str(out, "null");
	}
}

/* Fields in table order; a run of "a.x", "a.y" becomes one object a. */
static void lnx_json_fields(struct lnx_buf *out, const struct lnx_event_desc *desc,
			    const struct lnx_event *ev)
{
	const char *dot, *open = NULL;
	size_t n_open = 0;
	unsigned i;

	for (i = 0; i < desc->n_fields; i++) {
		const struct lnx_field *f = &desc->fields[i];
		struct lnx_value v = lnx_event_value(ev, f);
		const char *key = f->name;

		dot = strchr(f->name, '.');
		if (open && (!dot || (size_t)(dot - f->name) != n_open ||
			     memcmp(open, f->name, n_open) != 0)) {
			lnx_buf_char(out, '}');
			open = NULL;
		}
		if (dot && !open) {
			open = f->name;
			n_open = (size_t)(dot - f->name);
			lnx_buf_char(out, ',');
			lnx_json_bytes(out, open, n_open);
			lnx_buf_str(out, ":{");
		}
		if (dot)
			key = dot + 1;
		lnx_json_key(out, key);
		lnx_json_value(out, &v);
	}
	if (open)
		lnx_buf_char(out, '}');
}

static void lnx_json_tags(struct lnx_buf *out, const struct lnx_json_env *env,
			  const struct lnx_event_desc *desc, const struct lnx_event *ev)
{
	struct lnx_tag tag = { .size = sizeof(tag) };

	(void)lnx_tags_get(env->tags, lnx_event_cgroup_id(desc, ev), &tag); /* unknown: "" */
	lnx_json_kv_str(out, "pod_name", tag.pod_name);
	lnx_json_kv_str(out, "namespace", tag.namespace_);
	lnx_json_kv_str(out, "container_id", tag.container_id);
	if (*tag.pod_uid) /* by it a pod is known before the API told its name */
		lnx_json_kv_str(out, "pod_uid", tag.pod_uid);
}

void lnx_event_json(struct lnx_buf *out, const struct lnx_json_env *env, const struct lnx_event *ev,
		    const struct lnx_event_meta *meta)
{
	const struct lnx_event_desc *desc = lnx_registry_get(env->registry, ev->type);

	lnx_buf_str(out, "{\"seq\":");
	lnx_buf_u64(out, meta ? meta->seq : 0);
	lnx_buf_str(out, ",\"ts\":");
	lnx_json_ts(out, env->wall_ns ? env->wall_ns(env->arg, ev->ts_ns) : ev->ts_ns);
	lnx_json_kv_str(out, "type", desc ? desc->name : "unknown");
	lnx_json_kv_u64(out, "pid", ev->pid);
	lnx_json_key(out, "cpu");
	if (ev->cpu == LNX_CPU_NONE)
		lnx_buf_str(out, "null");
	else
		lnx_buf_u64(out, ev->cpu);
	lnx_json_kv_u64(out, "cause_seq", meta ? meta->cause_seq : 0);
	if (desc) {
		lnx_json_fields(out, desc, ev);
		if (desc->flags & (LNX_EVF_PROCESS | LNX_EVF_TAGS))
			lnx_json_tags(out, env, desc, ev);
		if (desc->flags & LNX_EVF_IDENT && env->ident) {
			lnx_json_kv_str(out, "node", env->ident->node);
			lnx_json_kv_str(out, "cluster", env->ident->cluster);
			lnx_json_kv_str(out, "boot_id", env->ident->boot_id);
			lnx_json_kv_u64(out, "schema", env->ident->schema);
		}
	}
	lnx_buf_char(out, '}');
}
