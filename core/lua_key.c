/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keys of a rule: a bounded hash table in order of use, and one heap of timers for all of them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_engine.h"

#define KEY_TABLE 1024 /* chains of one rule's table */

uint64_t lnx_key_hash(const void *bytes, size_t n, uint64_t seed)
{
	const unsigned char *p = bytes;
	uint64_t h = seed ^ 0xcbf29ce484222325ULL, word;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	for (; n; n--, p++)
		h = (h ^ *p) * 0x100000001b3ULL;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

struct lnx_value lnx_key_value(const struct lnx_key *key)
{
	return (struct lnx_value){ .kind = key->num_kind, .u64 = key->num };
}

void lnx_key_number(const struct lnx_value *num, char *buf, size_t cap)
{
	if (num->kind == LNX_VAL_F64)
		(void)snprintf(buf, cap, "%.9g", num->f64);
	else if (num->kind == LNX_VAL_I64)
		(void)snprintf(buf, cap, "%" PRId64, num->i64);
	else if (num->kind == LNX_VAL_BOOL)
		(void)snprintf(buf, cap, "%s", num->u64 ? "true" : "false");
	else
		(void)snprintf(buf, cap, "%" PRIu64, num->u64);
}

int lnx_keys_init(struct lnx_rule *rule)
{
	size_t n = LNX_RULE_KEYS_BYTES / rule->key_bytes;

	/* the table comes with the first key: a rule that never sees its event costs little */
	rule->max_keys = n > LNX_RULE_KEYS ? LNX_RULE_KEYS : (unsigned)n;
	rule->n_buckets = KEY_TABLE;
	return 0;
}

void *lnx_key_window(const struct lnx_key *key, const struct lnx_window *w)
{
	return (char *)(uintptr_t)key + w->offset;
}

void *lnx_key_series(const struct lnx_key *key, const struct lnx_series *s)
{
	return (char *)(uintptr_t)key + s->offset;
}

static void key_unlink(struct lnx_rule *rule, struct lnx_key *key)
{
	if (key->newer)
		key->newer->older = key->older;
	else
		rule->newest = key->older;
	if (key->older)
		key->older->newer = key->newer;
	else
		rule->oldest = key->newer;
	key->newer = key->older = NULL;
}

static void key_link(struct lnx_rule *rule, struct lnx_key *key)
{
	key->older = rule->newest;
	if (rule->newest)
		rule->newest->newer = key;
	rule->newest = key;
	if (!rule->oldest)
		rule->oldest = key;
}

/* Out of the table, timers off. The memory stays. */
static void key_remove(struct lnx_rules *r, struct lnx_rule *rule, struct lnx_key *key)
{
	struct lnx_key **p = &rule->table[key->h1 % rule->n_buckets];

	lnx_timer_set(r, key, UINT64_MAX);
	while (*p != key)
		p = &(*p)->hash_next;
	*p = key->hash_next;
	key_unlink(rule, key);
	free(key->last);
	key->last = NULL;
	if (key->full)
		rule->text_bytes -= strlen(key->full) + 1;
	free(key->full);
	key->full = NULL;
	rule->n_keys--;
}

void lnx_keys_done(struct lnx_rules *r, struct lnx_rule *rule)
{
	struct lnx_key *key;

	while ((key = rule->oldest)) {
		key_remove(r, rule, key);
		free(key);
	}
	free(rule->table);
	rule->table = NULL;
	free(rule->totals);
	rule->totals = NULL;
	rule->n_pending = rule->n_firing = 0;
}

static int keys_open(struct lnx_rule *rule)
{
	unsigned i;

	rule->table = calloc(rule->n_buckets, sizeof(struct lnx_key *));
	/* the totals of share windows lie as in a key */
	rule->totals = calloc(1, rule->key_bytes);
	if (!rule->table || !rule->totals) {
		free(rule->table);
		free(rule->totals);
		rule->table = NULL;
		rule->totals = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < rule->n_windows; i++)
		lnx_window_clear(&rule->windows[i], (char *)rule->totals + rule->windows[i].offset);
	return 0;
}

/* One more key, with or without a text, is more than a rule may have. */
static bool keys_are_full(const struct lnx_rule *rule)
{
	return rule->n_keys >= rule->max_keys ||
	       (rule->n_keys + 1) * rule->key_bytes + rule->text_bytes > LNX_RULE_KEYS_BYTES;
}

/* Memory for a key, zeroed; the least used ones give way when there are too many. */
static struct lnx_key *key_make(struct lnx_rules *r, struct lnx_rule *rule)
{
	struct lnx_key *key = rule->oldest, *newer;

	while (key && keys_are_full(rule)) {
		newer = key->newer;
		rule->evicted++;
		lnx_eval_drop(r, key);
		key_remove(r, rule, key);
		free(key);
		key = newer;
	}
	return calloc(1, rule->key_bytes);
}

struct lnx_key *lnx_key_get(struct lnx_rules *r, struct lnx_rule *rule, uint64_t h1, uint64_t h2)
{
	struct lnx_key *key;
	unsigned i;

	if (!rule->table && keys_open(rule) < 0)
		return NULL;
	for (key = rule->table[h1 % rule->n_buckets]; key; key = key->hash_next)
		if (key->h1 == h1 && key->h2 == h2) {
			if (key != rule->newest) {
				key_unlink(rule, key);
				key_link(rule, key);
			}
			return key;
		}
	key = key_make(r, rule);
	if (!key)
		return NULL;
	for (i = 0; i < rule->n_windows; i++)
		lnx_window_clear(&rule->windows[i], lnx_key_window(key, &rule->windows[i]));
	for (i = 0; i < rule->n_series; i++)
		lnx_series_clear(&rule->series[i], lnx_key_series(key, &rule->series[i]));
	key->rule = rule;
	key->h1 = h1;
	key->h2 = h2;
	key->hash_next = rule->table[h1 % rule->n_buckets];
	rule->table[h1 % rule->n_buckets] = key;
	key_link(rule, key);
	rule->n_keys++;
	return key;
}

void lnx_key_set_text(struct lnx_key *key, const char *text, size_t bytes)
{
	size_t cut = lnx_alert_cut(text, bytes, sizeof(key->text) - 1);

	if (key->is_text)
		return;
	key->is_text = true;
	memcpy(key->text, text, cut);
	key->text[cut] = 0;
	if (cut == bytes)
		return;
	key->full = strndup(text, bytes);
	if (key->full)
		key->rule->text_bytes += strlen(key->full) + 1;
}

const char *lnx_key_text(const struct lnx_key *key)
{
	return key->full ? key->full : key->text;
}

void lnx_key_keep(struct lnx_key *key, const struct lnx_event *ev)
{
	void *p;

	if (ev->size > key->last_cap || !key->last) {
		p = realloc(key->last, ev->size);
		if (!p)
			return; /* the one before still tells enough */
		key->last = p;
		key->last_cap = ev->size;
	}
	memcpy(key->last, ev, ev->size);
}

/* --- timers ------------------------------------------------------------------------------------- */

static void timer_put(struct lnx_rules *r, unsigned i, struct lnx_key *key)
{
	r->timers[i] = key;
	key->timer = i + 1;
}

static bool timer_before(const struct lnx_key *a, const struct lnx_key *b)
{
	/* equal times in an order that memory addresses do not decide */
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->h1 != b->h1 ? a->h1 < b->h1 : a->h2 < b->h2;
}

static void timer_sift(struct lnx_rules *r, unsigned i, struct lnx_key *key)
{
	unsigned child;

	for (; i && timer_before(key, r->timers[(i - 1) / 2]); i = (i - 1) / 2)
		timer_put(r, i, r->timers[(i - 1) / 2]);
	while ((child = 2 * i + 1) < r->n_timers) {
		if (child + 1 < r->n_timers && timer_before(r->timers[child + 1], r->timers[child]))
			child++;
		if (!timer_before(r->timers[child], key))
			break;
		timer_put(r, i, r->timers[child]);
		i = child;
	}
	timer_put(r, i, key);
}

void lnx_timer_set(struct lnx_rules *r, struct lnx_key *key, uint64_t due_ns)
{
	struct lnx_key *last;
	unsigned i, cap;
	void *p;

	if (key->timer && due_ns == UINT64_MAX) {
		i = key->timer - 1;
		key->timer = 0;
		last = r->timers[--r->n_timers];
		if (last != key)
			timer_sift(r, i, last);
		return;
	}
	if (due_ns == UINT64_MAX || (key->timer && key->due_ns == due_ns))
		return;
	key->due_ns = due_ns;
	if (key->timer) {
		timer_sift(r, key->timer - 1, key);
		return;
	}
	if (r->n_timers == r->cap_timers) {
		cap = r->cap_timers ? 2 * r->cap_timers : 64;
		p = realloc(r->timers, cap * sizeof(struct lnx_key *));
		if (!p) {
			r->is_timers_short =
				true; /* said in GET /rules: events still drive the key */
			return;
		}
		r->timers = p;
		r->cap_timers = cap;
	}
	timer_sift(r, r->n_timers++, key);
}
