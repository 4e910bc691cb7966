/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a model wrote is believed as far as it can be checked: the form is the asked one, ids are of this incident and each
 * once, every number and every word with a digit is in a fact that the sentence cites, and there is no link. Else all of it
 * is dropped. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm.h"

#define SEPARATORS " \n,;()[]{}\"'"
#define WORD_BYTES 200

struct check {
	const struct facts *f;
	const char *reason; /* NULL: good so far */
	char *why;
};

__attribute__((format(printf, 3, 4))) static void bad(struct check *c, const char *reason,
						      const char *fmt, ...)
{
	va_list ap;

	if (c->reason)
		return;
	c->reason = reason;
	va_start(ap, fmt);
	(void)vsnprintf(c->why, LLM_WHY, fmt, ap); /* cut is fine: for people */
	va_end(ap);
}

/* ---- ids */

static uint32_t id_number(const char *id)
{
	char *end;
	unsigned long v;

	if (id[0] != 'E' || id[1] < '1' || id[1] > '9')
		return 0;
	v = strtoul(id + 1, &end, 10);
	return *end || v > UINT16_MAX ? 0 : (uint32_t)v;
}

static int has_evidence(const struct facts *f, uint32_t number)
{
	for (uint32_t i = 0; number && i < f->n; i++)
		if (f->list[i].evidence == number)
			return 1;
	return 0;
}

static int is_cited(const json_t *ids, uint32_t number)
{
	const json_t *v;
	size_t i;

	json_array_foreach(ids, i, v) if (id_number(json_string_value(v)) == number) return 1;
	return 0;
}

static void check_ids(struct check *c, const json_t *ids)
{
	const json_t *v;
	size_t i, k;

	if (!json_array_size(ids)) {
		bad(c, "malformed", "a sentence cites nothing");
		return;
	}
	json_array_foreach(ids, i, v)
	{
		const char *id = json_string_value(v);

		if (!id || !has_evidence(c->f, id_number(id))) {
			bad(c, "unknown_id", "no evidence '%.20s'", id ? id : "");
			return;
		}
		for (k = 0; k < i; k++)
			if (!strcmp(id, json_string_value(json_array_get(ids, k))))
				bad(c, "unknown_id", "'%.20s' twice", id);
	}
}

/* ---- numbers, and words with digits */

/* Units by what they measure, with the words that people have for them; some no fact has. Others are not compared. */
static const char *const units[][2] = {
	{ "ns", " ns nanoseconds " },
	{ "us", " us microseconds " },
	{ "ms", " ms msec millisecond milliseconds ms/s " },
	{ "s", " s sec second seconds " },
	{ "min", " min mins minute minutes m " },
	{ "h", " h hour hours " },
	{ "d", " d day days " },
	{ "w", " week weeks " },
	{ "pct", " pct percent % " },
	{ "bytes", " bytes byte b " },
	{ "kb", " k kb kib kilobytes " },
	{ "mb", " mb mib megabytes " },
	{ "gb", " gb gib gigabytes " },
	{ "tb", " tb tib terabytes " },
	{ "cores", " cores core " },
	{ "x", " x times " },
};

static const char *unit_of(const char *word)
{
	char key[20];

	if (!word || snprintf(key, sizeof(key), " %s ", word) >= (int)sizeof(key))
		return NULL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcasestr(units[i][1], key))
			return units[i][0];
	return NULL;
}

/* A fact of the cited evidence has the number, and no other unit than <unit>, NULL: not said. */
static int has_number(const struct check *c, const json_t *ids, double v, const char *unit)
{
	for (uint32_t i = 0; i < c->f->n; i++) {
		const struct fact *x = &c->f->list[i];
		const char *own = unit_of(x->unit);

		if (!x->is_text && is_cited(ids, x->evidence) &&
		    fabs(x->value - v) <= 1e-9 * fabs(v) && (!unit || !own || !strcmp(unit, own)))
			return 1;
	}
	return 0;
}

/* <word> stands in <text> with nothing of a word around it; a number also with nothing of a name: "5" is not in "web-5". */
static int stands_in(const char *text, const char *word, int is_number)
{
	static const char joins[] = "-._:/@#+%";
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++) {
		char before = at == text ? ' ' : at[-1], after = at[n];

		if (isalnum((unsigned char)before) || isalnum((unsigned char)after))
			continue;
		if (!is_number || (!strchr(joins, before) && (!after || !strchr(joins, after))))
			return 1;
	}
	return 0;
}

static int has_word(const struct check *c, const json_t *ids, const char *word, int is_number)
{
	for (uint32_t i = 0; i < c->f->n; i++) {
		const struct fact *x = &c->f->list[i];

		if (is_cited(ids, x->evidence) &&
		    (stands_in(x->subject, word, is_number) ||
		     (x->is_text && stands_in(x->text, word, is_number))))
			return 1;
	}
	return 0;
}

/* "512", "-3.5", "73.6%", "512ms", "2GiB/s": a number with at most a unit. */
static int number_of(const char *word, double *ret, const char **ret_unit)
{
	const char *at = word + (*word == '-' || *word == '+');
	char *end;

	/* no "0x…", "inf", "1e5" */
	if (!isdigit((unsigned char)*at) || (at[0] == '0' && isalpha((unsigned char)at[1])))
		return 0;
	for (end = (char *)(uintptr_t)at; isdigit((unsigned char)*end); end++)
		;
	if (*end == '.' && isdigit((unsigned char)end[1]))
		for (end++; isdigit((unsigned char)*end); end++)
			;
	*ret = strtod(word, NULL);
	*ret_unit = *end ? end : NULL;
	while (isalpha((unsigned char)*end) || *end == '%' || *end == '/')
		end++;
	return !*end && !strpbrk(word, "eE");
}

/* Numbers in letters; NaN: none of ours is so vague. "one" is a pronoun, too. */
static int spelled(const char *word, double *ret)
{
	static const struct {
		const char *word;
		double value;
	} list[] = {
		{ "zero", 0 },	     { "two", 2 },	  { "three", 3 },	{ "four", 4 },
		{ "five", 5 },	     { "six", 6 },	  { "seven", 7 },	{ "eight", 8 },
		{ "nine", 9 },	     { "ten", 10 },	  { "eleven", 11 },	{ "twelve", 12 },
		{ "twenty", 20 },    { "thirty", 30 },	  { "forty", 40 },	{ "thirteen", 13 },
		{ "fourteen", 14 },  { "fifteen", 15 },	  { "sixteen", 16 },	{ "seventeen", 17 },
		{ "eighteen", 18 },  { "nineteen", 19 },  { "fifty", 50 },	{ "sixty", 60 },
		{ "seventy", 70 },   { "eighty", 80 },	  { "ninety", 90 },	{ "half", NAN },
		{ "quarter", NAN },  { "twice", NAN },	  { "double", NAN },	{ "doubled", NAN },
		{ "triple", NAN },   { "tripled", NAN },  { "minus", NAN },	{ "hundred", NAN },
		{ "hundreds", NAN }, { "thousand", NAN }, { "thousands", NAN }, { "million", NAN },
		{ "millions", NAN }, { "billion", NAN },  { "dozen", NAN },	{ "dozens", NAN }
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (!strcasecmp(list[i].word, word)) {
			*ret = list[i].value;
			return 1;
		}
	return 0;
}

static void trim_word(char *word)
{
	size_t n = strlen(word);

	while (n && strchr(".:!?", word[n - 1]))
		word[--n] = 0;
}

static int is_among(const char *list, const char *word, size_t n)
{
	char key[24];

	return snprintf(key, sizeof(key), " %.*s ", (int)n, word) < (int)sizeof(key) &&
	       strcasestr(list, key);
}

/* "evil.com", which a program that shows the text may make a link of. Files of a cgroup and names of units are none. */
static int is_host(const char *part, size_t n)
{
	static const char files[] = " cpu cpuset memory io pids cgroup hugetlb misc ",
			  unit_kinds[] =
				  " service slice scope socket timer mount target device swap ";
	const char *dot = memchr(part, '.', n), *last = dot;

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)part[i]) && !strchr("-.", part[i]))
			return 0;
		if (part[i] == '.')
			last = part + i;
	}
	if (!dot || dot == part || part + n - last < 3 ||
	    is_among(files, part, (size_t)(dot - part)))
		return 0;
	return !is_among(unit_kinds, last + 1, (size_t)(part + n - last) - 1);
}

/* A link without "://", or an address of mail. */
static int is_link(const char *word)
{
	for (size_t n; *word; word += n + (word[n] != 0)) {
		n = strcspn(word, "/:?#");
		if (is_host(word, n))
			return 1;
		if (memchr(word, '@', n))
			return 1;
	}
	return 0;
}

/* A word without digits: each of its parts may be a number, "twenty" and "five" of "twenty-five". */
static void check_letters(struct check *c, const json_t *ids, char *word, const char *next)
{
	char *save = NULL;
	double v;

	if (word[strcspn(word, "-/._:+@")] && has_word(c, ids, word, 0))
		return; /* a name that is in a fact */
	if (is_link(word)) {
		bad(c, "not_plain", "'%.40s' may be taken for a link", word);
		return;
	}
	for (char *part = strtok_r(word, "-/._:+", &save); part;
	     part = strtok_r(NULL, "-/._:+", &save))
		if (spelled(part, &v) && !has_number(c, ids, v, *save ? NULL : unit_of(next)))
			bad(c, "unknown_number", "'%.40s' is in no fact that is cited", part);
}

/* <next>: the word after it, which may be its unit; NULL none. */
static void check_word(struct check *c, const json_t *ids, char *word, const char *next)
{
	const char *unit = NULL;
	int is_number;
	uint32_t id;
	double v;

	if (!strpbrk(word, "0123456789")) {
		check_letters(c, ids, word, next);
		return;
	}
	id = id_number(word);
	if (id) {
		if (!is_cited(ids, id))
			bad(c, "unknown_id", "'%.20s' is not among the ids of its sentence", word);
		return;
	}
	is_number = number_of(word, &v, &unit);
	if (is_number && (!unit || unit_of(unit)) &&
	    has_number(c, ids, v, unit_of(unit ? unit : next)))
		return;
	if (!has_word(c, ids, word, is_number))
		bad(c, "unknown_number", "'%.40s' is in no fact that is cited", word);
}

/* Plain text of ASCII with the dashes, quotes and dots of typesetting; no other digits, no controls. */
static int is_plain(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p; p++) {
		if (*p >= 0x20 && *p < 0x7f)
			continue;
		if (p[0] != 0xe2 || p[1] != 0x80 || p[2] < 0x90 || p[2] > 0xa6)
			return 0;
		p += 2;
	}
	return !strstr(text, "://") && !strcasestr(text, "www.") && !strpbrk(text, "`<>");
}

static void check_words(struct check *c, const json_t *ids, char *text)
{
	char *save = NULL, *word = strtok_r(text, SEPARATORS, &save), *next;

	if (word)
		trim_word(word);
	for (; word && !c->reason; word = next) {
		next = strtok_r(NULL, SEPARATORS, &save);
		if (next)
			trim_word(next);
		check_word(c, ids, word, next);
	}
}

/* "1,512", "1'512": two numbers, or one that no fact has. */
static const char *parted(const char *text)
{
	for (const char *p = text; *p; p++)
		if (isdigit((unsigned char)*p) && p[1] && !strchr(" \n", p[1]) &&
		    strchr(SEPARATORS, p[1]) && isdigit((unsigned char)p[2]))
			return p;
	return NULL;
}

static void check_text(struct check *c, const json_t *ids, const char *text)
{
	char copy[LLM_TEXT + 1];
	size_t n = strlen(text);

	if (!n || n > LLM_TEXT) {
		bad(c, "malformed", "a sentence of %zu bytes", n);
		return;
	}
	if (!is_plain(text)) {
		bad(c, "not_plain", "a sentence is not plain text");
		return;
	}
	if (parted(text)) {
		bad(c, "unknown_number", "'%.10s' is two numbers, or none", parted(text));
		return;
	}
	memcpy(copy, text, n + 1);
	for (unsigned char *p = (unsigned char *)copy; *p; p++)
		if (*p == 0xe2) { /* a dash parts words */
			memset(p, ' ', 3);
			p += 2;
		}
	check_words(c, ids, copy);
}

static void check_sentence(struct check *c, const json_t *o)
{
	const char *text = json_string_value(json_object_get(o, "text"));
	const json_t *ids = json_object_get(o, "evidence");

	if (!text || !json_is_array(ids) || json_object_size(o) != 2) {
		bad(c, "malformed", "a sentence has other members than text and evidence");
		return;
	}
	check_ids(c, ids);
	if (!c->reason)
		check_text(c, ids, text);
}

/* ---- the explanation */

/* "<text> [E1][E2]" without the dot at its end. */
static void put_sentence(const json_t *o, struct lnx_buf *out)
{
	const char *text = json_string_value(json_object_get(o, "text"));
	const json_t *ids = json_object_get(o, "evidence"), *v;
	size_t n = strlen(text), i;

	while (n && strchr(". ", text[n - 1]))
		n--;
	lnx_buf_add(out, text, n);
	lnx_buf_char(out, ' ');
	json_array_foreach(ids, i, v) lnx_buf_printf(out, "[%s]", json_string_value(v));
}

static int write_doc(const json_t *root, const char *ours, const char *model, struct lnx_buf *out)
{
	json_t *doc = json_loads(ours, 0, NULL), *list = json_array();
	struct lnx_buf summary = { 0 }, text = { 0 }, one = { 0 };
	const json_t *o;
	char *dump = NULL;
	size_t i;
	int rc = doc && list ? 0 : -ENOMEM;

	put_sentence(json_object_get(root, "summary"), &summary);
	lnx_buf_char(&summary, '.');
	if (!lnx_buf_error(&summary))
		lnx_buf_str(&text, summary.data);
	json_array_foreach(json_object_get(root, "facts"), i, o)
	{
		put_sentence(o, &one);
		if (!lnx_buf_error(&one)) {
			lnx_buf_printf(&text, " %s.", one.data);
			rc |= json_array_append_new(list, json_string(one.data));
		}
		rc |= lnx_buf_error(&one);
		lnx_buf_reset(&one);
	}
	rc |= lnx_buf_error(&summary) | lnx_buf_error(&text);
	if (!rc) {
		rc |= json_object_set_new(doc, "source", json_string("llm"));
		rc |= json_object_set_new(doc, "model", json_string(model));
		rc |= json_object_set_new(doc, "summary", json_string(summary.data));
		rc |= json_object_set_new(doc, "text", json_string(text.data));
		rc |= json_object_set(doc, "facts", list);
		dump = rc ? NULL : json_dumps(doc, JSON_COMPACT);
	}
	if (dump)
		lnx_buf_str(out, dump);
	free(dump);
	lnx_buf_done(&summary);
	lnx_buf_done(&text);
	lnx_buf_done(&one);
	json_decref(doc);
	json_decref(list);
	return dump && !lnx_buf_error(out) ? 0 : -ENOMEM;
}

int llm_answer(const char *body, const struct facts *f, const char *ours, const char *model,
	       struct lnx_buf *out, const char **ret_reason, char why[LLM_WHY])
{
	struct check c = { .f = f, .why = why };
	json_t *envelope = json_loads(body, JSON_REJECT_DUPLICATES, NULL), *root = NULL;
	const json_t *choice = json_array_get(json_object_get(envelope, "choices"), 0), *facts, *o;
	const char *content =
		json_string_value(json_object_get(json_object_get(choice, "message"), "content"));
	size_t i;
	int rc = -EBADMSG;

	if (content)
		root = json_loads(content, JSON_REJECT_DUPLICATES, NULL);
	facts = json_object_get(root, "facts");
	if (!content)
		bad(&c, "malformed", "it is no answer of chat/completions");
	else if (!json_is_object(root) || json_object_size(root) != 2 || !json_is_array(facts) ||
		 json_array_size(facts) > LLM_FACTS)
		bad(&c, "malformed", "it is not in the schema");
	if (!c.reason)
		check_sentence(&c, json_object_get(root, "summary"));
	json_array_foreach(facts, i, o) if (!c.reason) check_sentence(&c, o);
	if (!c.reason)
		rc = write_doc(root, ours, model, out);
	else
		*ret_reason = c.reason;
	json_decref(root);
	json_decref(envelope);
	return rc;
}
