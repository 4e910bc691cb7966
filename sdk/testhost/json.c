/* SPDX-License-Identifier: MIT */
/* Events as JSON, from the field tables, as the daemon writes them. */
#include <errno.h>
#include <string.h>

#include <linnix/buf.h>

#include "testhost_priv.h"

static void json_string(struct lnx_buf *b, const struct lnx_event *ev, const struct lnx_field *f,
			const char *at)
{
	struct lnx_str s;

	if (f->type == LNX_CHARS) {
		lnx_json_bytes(b, at, strnlen(at, f->size));
		return;
	}
	memcpy(&s, at, sizeof(s));
	if (f->type == LNX_STR)
		lnx_json_bytes(b, (const char *)ev + s.off, s.len);
	else if (s.len)
		lnx_buf_add(b, (const char *)ev + s.off, s.len);
	else
		lnx_buf_str(b, "null");
}

static uint64_t json_unsigned(const struct lnx_field *f, const char *at)
{
	uint64_t v = 0;
	uint32_t v32 = 0;
	uint16_t v16 = 0;

	switch (f->size) {
	case 1:
		return (unsigned char)*at;
	case 2:
		memcpy(&v16, at, 2);
		return v16;
	case 4:
		memcpy(&v32, at, 4);
		return v32;
	default:
		memcpy(&v, at, 8);
		return v;
	}
}

static void json_value(struct lnx_buf *b, const struct lnx_event *ev, const struct lnx_field *f)
{
	const char *at = (const char *)ev + f->offset;
	uint64_t u = 0, i;
	int32_t i32;
	int64_t i64;
	double d;

	switch (f->type) {
	case LNX_STR:
	case LNX_JSON:
	case LNX_CHARS:
		json_string(b, ev, f, at);
		break;
	case LNX_F64:
		memcpy(&d, at, sizeof(d));
		lnx_json_f64(b, d);
		break;
	case LNX_I32:
		memcpy(&i32, at, sizeof(i32));
		lnx_buf_printf(b, "%d", i32);
		break;
	case LNX_I64:
		memcpy(&i64, at, sizeof(i64));
		lnx_buf_printf(b, "%lld", (long long)i64);
		break;
	case LNX_BOOL:
		lnx_buf_str(b, json_unsigned(f, at) ? "true" : "false");
		break;
	case LNX_ENUM:
		u = json_unsigned(f, at);
		for (i = 0; i < u && f->names[i]; i++)
			continue;
		if (f->names[i])
			lnx_json_str(b, f->names[i]);
		else
			lnx_buf_u64(b, u);
		break;
	default:
		lnx_buf_u64(b, json_unsigned(f, at));
	}
}

/* "subject.kind" is member kind of object subject; the members of one object follow each other. */
static void json_fields(struct lnx_buf *b, const struct lnx_event *ev,
			const struct lnx_event_desc *d)
{
	const char *dot, *open = NULL;
	const struct lnx_field *f;
	char object[64];
	size_t n, open_n = 0;
	uint32_t i;

	for (i = 0; i < d->n_fields; i++) {
		f = &d->fields[i];
		if (f->offset + f->size > ev->fixed)
			continue; /* an older producer did not know it */
		dot = strchr(f->name, '.');
		n = dot ? (size_t)(dot - f->name) : 0;
		if (open && (n != open_n || memcmp(open, f->name, n) != 0)) {
			lnx_buf_char(b, '}');
			open = NULL;
		}
		if (n && n < sizeof(object) && !open) {
			memcpy(object, f->name, n);
			object[n] = 0;
			lnx_json_key(b, object);
			lnx_buf_char(b, '{');
			open = f->name;
			open_n = n;
		}
		lnx_json_key(b, dot ? dot + 1 : f->name);
		json_value(b, ev, f);
	}
	if (open)
		lnx_buf_char(b, '}');
}

int th_event_json(struct lnx_ctx *ctx, const struct lnx_event *ev,
		  const struct lnx_event_meta *meta, char *buf, uint32_t cap)
{
	const struct lnx_event_desc *d = ctx->t->host.event_desc(ctx, ev->type);
	struct lnx_buf b = { 0 };
	int r = th_fault(ctx->t, "event_json");

	if (r || !d)
		return r ? r : -EINVAL;
	lnx_buf_char(&b, '{');
	lnx_json_kv_u64(&b, "seq", meta ? meta->seq : 0);
	lnx_json_key(&b, "ts");
	lnx_json_ts(&b, ctx->t->host.wall_ns(ctx, ev->ts_ns));
	lnx_json_kv_str(&b, "type", d->name);
	lnx_json_kv_u64(&b, "pid", ev->pid);
	lnx_json_key(&b, "cpu");
	if (ev->cpu == LNX_CPU_NONE)
		lnx_buf_str(&b, "null");
	else
		lnx_buf_u64(&b, ev->cpu);
	lnx_json_kv_u64(&b, "cause_seq", meta ? meta->cause_seq : 0);
	json_fields(&b, ev, d);
	if (d->flags & LNX_EVF_PROCESS) {
		lnx_json_kv_str(&b, "pod_name", "");
		lnx_json_kv_str(&b, "namespace", "");
		lnx_json_kv_str(&b, "container_id", "");
	}
	if (d->flags & LNX_EVF_IDENT) {
		lnx_json_kv_str(&b, "node", ctx->t->ident.node);
		lnx_json_kv_str(&b, "cluster", ctx->t->ident.cluster);
		lnx_json_kv_str(&b, "boot_id", ctx->t->ident.boot_id);
		lnx_json_kv_u64(&b, "schema", ctx->t->ident.schema);
	}
	lnx_buf_char(&b, '}');
	r = lnx_buf_error(&b);
	if (!r && b.size >= cap)
		r = -ENOSPC;
	if (!r) {
		memcpy(buf, b.data, b.size + 1);
		r = (int)b.size;
	}
	lnx_buf_done(&b);
	return r;
}
