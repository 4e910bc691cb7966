/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbered items of evidence: each is about one subject, has facts, a sentence, and the question that gives it again. */
#ifndef LNX_INCIDENT_EVIDENCE_H
#define LNX_INCIDENT_EVIDENCE_H

#include <linnix/buf.h>
#include <linnix/svc_incident.h>
#include <stdint.h>

#define EV_ITEMS  24
#define EV_FACTS  256
#define EV_TEXT	  (24u << 10) /* bytes of all texts of one incident */
#define EV_ALERTS 6	      /* items for alerts: a culprit may have any number of victims */

/* What is kept free of all this for what an action came to ("outcome") and for the end ("course"): they come last. */
#define EV_END_ITEMS 4
#define EV_END_FACTS 32
#define EV_END_TEXT  (2u << 10)

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
	uint32_t now;	   /* number of the item that facts belong to; 0: it was refused */
	uint32_t is_again; /* its facts are given anew */
	uint32_t is_end;   /* it may have what is kept free */
	uint64_t refused;  /* items and facts that did not fit */
};

void evidence_done(struct evidence *e);
/* Begin an item; facts that follow belong to it. Its number, 0 when there is no room (facts are then left out, too). */
uint32_t evidence_item(struct evidence *e, uint64_t wall_ns, const char *topic,
		       const char *subject);
/* Begin the item of <topic> anew: facts of the same names replace those it has. Its number, 0 when there is none. */
uint32_t evidence_again(struct evidence *e, uint64_t wall_ns, const char *topic);
/* How many items are of <topic>. */
uint32_t evidence_count(const struct evidence *e, const char *topic);
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
