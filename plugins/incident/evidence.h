/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbered items of evidence: each is about one subject, has facts, a sentence, and the question that gives it again. */
#ifndef LNX_INCIDENT_EVIDENCE_H
#define LNX_INCIDENT_EVIDENCE_H

#include <linnix/buf.h>
#include <linnix/svc_incident.h>
#include <stdint.h>

#define EV_ITEMS 24
#define EV_FACTS 256
#define EV_TEXT	 (24u << 10) /* bytes of all texts of one incident */

struct ev_fact {
	uint32_t name, unit, text; /* offsets into the texts; text 0: a number */
	uint32_t item;
	double value;
};

struct ev_item {
	uint32_t topic, subject, text, query; /* offsets */
	uint64_t wall_ns;
};

struct evidence {
	struct lnx_buf texts; /* NUL terminated, the first is "" */
	struct ev_fact *facts;
	struct ev_item items[EV_ITEMS];
	uint32_t n_facts, cap_facts, n_items;
	uint32_t is_full; /* the item begun last was refused */
	uint64_t refused; /* items and facts that did not fit */
};

void evidence_done(struct evidence *e);
/* Begin an item; facts that follow belong to it. Its number, 0 when there is no room (facts are then left out, too). */
uint32_t evidence_item(struct evidence *e, uint64_t wall_ns, const char *topic,
		       const char *subject);
void evidence_number(struct evidence *e, const char *name, double value, const char *unit);
void evidence_text(struct evidence *e, const char *name, const char *text);
/* Sentence and question of the item begun last. */
void evidence_say(struct evidence *e, const char *text, const char *query);
/* A number as it is shown: whole from 100 on, else one decimal, below one three. */
double evidence_round(double value);
/* The same as text, for sentences: "?" when not known. */
void evidence_print(struct lnx_buf *out, double value);
/* [{"id":"E1",…},…] */
void evidence_json(const struct evidence *e, struct lnx_buf *out);
/* Fact <i> as the service gives it. */
void evidence_fact(const struct evidence *e, uint32_t i, struct lnx_fact *ret);

#endif
