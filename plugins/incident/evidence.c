/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See evidence.h. Texts are kept once, by offset. */
#include "evidence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void evidence_done(struct evidence *e)
{
	lnx_buf_done(&e->texts);
	free(e->facts);
	memset(e, 0, sizeof(*e));
}

double evidence_round(double value)
{
	double scale = fabs(value) >= 100 ? 1 : fabs(value) >= 1 ? 10 : 1000;

	return isfinite(value) ? round(value * scale) / scale : value;
}

void evidence_print(struct lnx_buf *out, double value)
{
	value = evidence_round(value);
	if (!isfinite(value))
		lnx_buf_char(out, '?');
	else if (value >= 0)
		lnx_json_f64(out, value);
	else
		lnx_buf_printf(out, "%.9g", value);
}

/* Offset of a copy of <text>; 0 (the empty one) when it does not fit. */
static uint32_t keep(struct evidence *e, const char *text)
{
	uint32_t at;

	e->texts.max = e->is_end ? EV_TEXT : EV_TEXT - EV_END_TEXT;
	if (!e->texts.size)
		lnx_buf_add(&e->texts, "", 1);
	/* names and units come again and again */
	for (at = 1; at < e->texts.size; at += (uint32_t)strlen(e->texts.data + at) + 1)
		if (!strcmp(e->texts.data + at, text))
			return at;
	at = (uint32_t)e->texts.size;
	if (!*text)
		return 0;
	lnx_buf_add(&e->texts, text, strlen(text) + 1);
	if (!lnx_buf_error(&e->texts))
		return at;
	e->texts.error = 0; /* shorter ones may still fit */
	e->refused++;
	return 0;
}

static const char *at(const struct evidence *e, uint32_t offset)
{
	return e->texts.data ? e->texts.data + offset : "";
}

/* Items that there may be with one of <topic>. The end has one for itself. */
static uint32_t room(const struct evidence *e, const char *topic)
{
	if (!strcmp(topic, "course"))
		return EV_ITEMS;
	if (!strcmp(topic, "outcome"))
		return EV_ITEMS - !evidence_count(e, "course");
	return EV_ITEMS - EV_END_ITEMS;
}

uint32_t evidence_item(struct evidence *e, uint64_t wall_ns, const char *topic, const char *subject)
{
	struct ev_item *it;

	e->now = e->is_again = 0;
	e->is_end = !strcmp(topic, "course") || !strcmp(topic, "outcome");
	if (e->n_items >= room(e, topic)) {
		e->refused++;
		return 0;
	}
	it = &e->items[e->n_items++];
	it->wall_ns = wall_ns;
	it->topic = keep(e, topic);
	it->subject = keep(e, subject);
	it->text = it->query = 0;
	e->now = e->n_items;
	return e->now;
}

uint32_t evidence_again(struct evidence *e, uint64_t wall_ns, const char *topic)
{
	e->now = e->n_items;
	while (e->now && strcmp(at(e, e->items[e->now - 1].topic), topic) != 0)
		e->now--;
	e->is_end = e->is_again = e->now > 0;
	if (e->now)
		e->items[e->now - 1].wall_ns = wall_ns;
	return e->now;
}

uint32_t evidence_count(const struct evidence *e, const char *topic)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->n_items; i++)
		n += !strcmp(at(e, e->items[i].topic), topic);
	return n;
}

static struct ev_fact *fact_find(struct evidence *e, const char *name)
{
	for (uint32_t i = 0; i < e->n_facts; i++)
		if (e->facts[i].item + 1 == e->now && !strcmp(at(e, e->facts[i].name), name))
			return &e->facts[i];
	e->refused++; /* what is begun anew has no other facts than before */
	return NULL;
}

static struct ev_fact *fact_new(struct evidence *e, const char *name, const char *unit)
{
	struct ev_fact *f;

	if (e->is_again)
		return fact_find(e, name);
	if (!e->now || e->n_facts >= (e->is_end ? EV_FACTS : EV_FACTS - EV_END_FACTS)) {
		e->refused++;
		return NULL;
	}
	if (e->n_facts == e->cap_facts) {
		uint32_t cap = e->cap_facts ? 2 * e->cap_facts : 64;

		f = realloc(e->facts, cap * sizeof(*f));
		if (!f) {
			e->refused++;
			return NULL;
		}
		e->facts = f;
		e->cap_facts = cap;
	}
	f = &e->facts[e->n_facts++];
	f->name = keep(e, name);
	f->unit = keep(e, unit);
	f->text = 0;
	f->item = e->now - 1;
	f->value = NAN;
	return f;
}

void evidence_number(struct evidence *e, const char *name, double value, const char *unit)
{
	struct ev_fact *f = isfinite(value) ? fact_new(e, name, unit) : NULL;

	if (f)
		f->value = evidence_round(value);
}

void evidence_text(struct evidence *e, const char *name, const char *text)
{
	struct ev_fact *f = *text ? fact_new(e, name, "") : NULL;

	if (!f)
		return;
	f->text = keep(e, text);
	if (!f->text && !e->is_again)
		e->n_facts--;
}

void evidence_say(struct evidence *e, const char *text, const char *query)
{
	struct ev_item *it = e->now ? &e->items[e->now - 1] : NULL;

	if (!it)
		return;
	it->text = keep(e, text);
	it->query = keep(e, query);
}

void evidence_fact(const struct evidence *e, uint32_t i, struct lnx_fact *ret)
{
	const struct ev_fact *f = &e->facts[i];
	const struct ev_item *it = &e->items[f->item];

	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	ret->evidence = f->item + 1;
	ret->topic = at(e, it->topic);
	ret->subject = at(e, it->subject);
	ret->name = at(e, f->name);
	ret->unit = at(e, f->unit);
	ret->text = f->text ? at(e, f->text) : NULL;
	ret->value = f->value;
}

static void fact_json(const struct evidence *e, const struct ev_fact *f, struct lnx_buf *out)
{
	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "name", at(e, f->name));
	if (f->text) {
		lnx_json_kv_str(out, "text", at(e, f->text));
	} else {
		lnx_json_kv_f64(out, "value", f->value);
		lnx_json_kv_str(out, "unit", at(e, f->unit));
	}
	lnx_buf_char(out, '}');
}

void evidence_json(const struct evidence *e, struct lnx_buf *out)
{
	char id[16];

	lnx_buf_char(out, '[');
	for (uint32_t i = 0; i < e->n_items; i++) {
		const struct ev_item *it = &e->items[i];

		(void)snprintf(id, sizeof(id), "E%u", i + 1); /* fits */
		lnx_json_next(out);
		lnx_buf_char(out, '{');
		lnx_json_kv_str(out, "id", id);
		lnx_json_key(out, "ts");
		lnx_json_ts(out, it->wall_ns);
		lnx_json_kv_str(out, "topic", at(e, it->topic));
		lnx_json_kv_str(out, "subject", at(e, it->subject));
		lnx_json_kv_str(out, "text", at(e, it->text));
		lnx_json_kv_str(out, "query", at(e, it->query));
		lnx_json_key(out, "facts");
		lnx_buf_char(out, '[');
		for (uint32_t k = 0; k < e->n_facts; k++)
			if (e->facts[k].item == i)
				fact_json(e, &e->facts[k], out);
		lnx_buf_str(out, "]}");
	}
	lnx_buf_char(out, ']');
}
