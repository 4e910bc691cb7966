/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `triage` share. */
#ifndef LNX_TRIAGE_H
#define LNX_TRIAGE_H

#include <linnix/buf.h>
#include <linnix/svc_incident.h>
#include <stdint.h>

#define TRIAGE_FACTS 300

/* Copies: the service lends them for one call only. */
struct fact {
	char topic[16], name[32], unit[8], subject[200], text[160];
	uint32_t evidence, is_text;
	double value;
};

struct facts {
	struct fact *list;
	uint32_t n;
};

/* A copy of <from>. 0, or 1: full. */
int facts_add(struct facts *f, const struct lnx_fact *from);
/* First fact <name> of topic <topic>; <subject> NULL: of any. Of blame it is the whole name, else it may be the first word
 * ("culprit" of "culprit batch"). NULL: none. */
const struct fact *fact_find(const struct facts *f, const char *topic, const char *subject,
			     const char *name);
/* Its number, NaN if there is none. */
double fact_value(const struct facts *f, const char *topic, const char *subject, const char *name);
/* Its text, "" if there is none. */
const char *fact_text(const struct facts *f, const char *topic, const char *subject,
		      const char *name);

/* The explanation as a JSON object: {"source","summary","text","facts","ruled_out","would_change","next"}. Every number in it is
 * a fact. 0 or -ENOMEM. */
int triage_explain(const struct lnx_incident *inc, const struct facts *f, struct lnx_buf *out);

#endif
