/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Made-up events for `linnix rules check`: rules run on them once, so that a wrong name in a function is found before the
 * event that it waits for. First an event that holds nothing, then some whose numbers are large and whose texts are there. */
#include <errno.h>
#include <string.h>

#include "lua_engine.h"
#include "lua_load.h"

#define REHEARSE_T0_NS	 1000000000000ULL
#define REHEARSE_STEP_NS 50000000ULL
#define REHEARSE_EVENTS	 100 /* of each type: 5 s, beyond most of `lasting` and many thresholds */
#define REHEARSE_NUMBER	 1000
#define REHEARSE_TEXT	 "x"

union rehearse_space {
	struct lnx_event h;
	char bytes[LNX_EVENT_MAX];
};

void lnx_rehearse_note(struct lnx_rules *r, struct lnx_rule *rule)
{
	struct lnx_err err;

	if (rule->failed > 1)
		return; /* once is enough */
	(void)lnx_err_set(&err, 0, "%s", rule->error);
	err.line = rule->error_line;
	r->n_errors++;
	lnx_load_error(r, r->rehearsal, r->files[rule->file].path, &err);
}

static void rehearse_field(union rehearse_space *u, const struct lnx_field *f)
{
	const double d = REHEARSE_NUMBER;
	const uint64_t n = f->type == LNX_ENUM ? 0 : f->type == LNX_BOOL ? 1 : REHEARSE_NUMBER;
	struct lnx_str s;

	switch (f->type) {
	case LNX_F64:
		memcpy(u->bytes + f->offset, &d, sizeof(d));
		return;
	case LNX_CHARS:
		memcpy(u->bytes + f->offset, REHEARSE_TEXT, sizeof(REHEARSE_TEXT));
		return;
	case LNX_STR:
	case LNX_JSON:
		s.off = (__u16)u->h.size;
		s.len = f->type == LNX_STR ? sizeof(REHEARSE_TEXT) - 1 : 2;
		memcpy(u->bytes + s.off, f->type == LNX_STR ? REHEARSE_TEXT : "{}", s.len);
		u->h.size += s.len;
		memcpy(u->bytes + f->offset, &s, sizeof(s));
		return;
	}
	/* numbers lie in the order of this machine, which has its low bytes first */
	memcpy(u->bytes + f->offset, &n, f->size <= sizeof(n) ? f->size : sizeof(n));
}

static void rehearse_event(const struct lnx_event_desc *desc, bool is_full, uint64_t ts_ns,
			   union rehearse_space *u)
{
	unsigned i;

	memset(u->bytes, 0, desc->fixed);
	u->h.size = u->h.fixed = desc->fixed;
	u->h.type = desc->type;
	u->h.ts_ns = ts_ns;
	u->h.cpu = LNX_CPU_NONE;
	for (i = 0; is_full && i < desc->n_fields; i++)
		rehearse_field(u, &desc->fields[i]);
}

/* All events, for as long as the work that tests may take. */
static void rehearse_play(struct lnx_rules *r)
{
	union rehearse_space u;
	unsigned i, k;

	for (k = 0; k < REHEARSE_EVENTS; k++)
		for (i = 0; i < lnx_registry_count(r->conf.registry); i++) {
			if (!r->routes[i].rules || lnx_lua_is_over(r->lua))
				continue;
			rehearse_event(lnx_registry_at(r->conf.registry, i), k > 0,
				       REHEARSE_T0_NS + k * REHEARSE_STEP_NS, &u);
			(void)lnx_eval_event(&r->routes[i], &u.h);
		}
}

int lnx_rules_rehearse(struct lnx_rules *r, struct lnx_buf *errors)
{
	int (*emit)(struct lnx_rules * rules, const struct lnx_event *ev) = r->emit;

	if (r->is_started)
		return -EBUSY;
	lnx_test_bound(r);
	r->rehearsal = errors;
	r->emit = NULL;
	rehearse_play(r);
	r->lua->total_max = 0;
	lnx_eval_reset(r);
	r->emit = emit;
	r->rehearsal = NULL;
	return lnx_buf_error(&r->errors_json);
}
