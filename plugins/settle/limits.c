/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the payer may spend. Counted when a task is accepted: the whole of it while it is open, what was paid once it is over,
 * nothing if nothing was. */
#include <errno.h>
#include <string.h>

#include "task.h"

#define HOUR_MS 3600000ll
#define DAY_MS	86400000ll

/* Cents of the token, whose unit is a dollar. 0 or -ERANGE. */
static int cents(const struct settle *s, uint64_t n, struct u256 *ret)
{
	struct u256 v;
	uint64_t rest;

	u256_from_u64(n, &v);
	for (uint32_t i = 0; i < s->conf->token_decimals; i++)
		if (u256_mul_u64(&v, 10, &v))
			return -ERANGE;
	return u256_div_u64(&v, 100, ret, &rest);
}

static int is_paid_out(uint32_t status)
{
	return status == TASK_SETTLED || status == TASK_RESOLVED;
}

/* Spent or reserved since <since_ms>, and what a clock that was ahead put behind now; for <did32> or (NULL) anybody. 0 or -ERANGE. */
static int spent(const struct settle *s, int64_t since_ms, const uint8_t *did32, struct u256 *ret)
{
	u256_from_u64(0, ret);
	for (const struct task *t = s->tasks; t; t = t->next) {
		int is_over = task_is_final(t) || t->status >= TASK_SETTLED;
		const struct u256 *most;

		/* what is not on the chain yet will be paid now, whenever it was asked for */
		if (t->role != TASK_PAYER || t->is_dry ||
		    (t->created_ms < since_ms && (t->status != TASK_NONE || is_over)) ||
		    (did32 && memcmp(did32, t->payee_did32, 32) != 0))
			continue;
		if (t->status == TASK_DISPUTED)
			is_over = 0;
		if (is_over && !is_paid_out(t->status))
			continue;
		most = u256_cmp(&t->told_max, &t->max) > 0 ? &t->told_max : &t->max;
		if (u256_add(ret, is_over ? &t->actual : most, ret))
			return -ERANGE;
	}
	return 0;
}

int limit_check(const struct settle *s, const uint8_t payee_did32[32], const struct u256 *amount,
		char why[TASK_ERROR])
{
	const struct settle_conf *c = s->conf;
	const struct {
		const char *name;
		uint64_t cents;
		int64_t span_ms;
		int of_payee;
	} limits[] = {
		{ "limits.task_cents", c->task_cents, 0, 0 },
		{ "limits.hourly_cents", c->hourly_cents, HOUR_MS, 0 },
		{ "limits.daily_cents", c->daily_cents, DAY_MS, 0 },
		{ "limits.monthly_cents", c->monthly_cents, 30 * DAY_MS, 0 },
		{ "limits.counterparty_cents", c->counterparty_cents, 30 * DAY_MS, 1 },
	};
	int64_t now = settle_sure_ms(s);
	struct u256 limit, sum, left;
	char text[U256_UNITS];

	for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!limits[i].cents)
			continue;
		if (cents(s, limits[i].cents, &limit))
			continue; /* more than any amount */
		u256_from_u64(0, &sum);
		if (limits[i].span_ms && spent(s, now - limits[i].span_ms,
					       limits[i].of_payee ? payee_did32 : NULL, &sum))
			memset(&sum, 0xff, sizeof(sum));
		if (u256_sub(&limit, &sum, &left))
			u256_from_u64(0, &left);
		if (u256_cmp(amount, &left) <= 0)
			continue;
		u256_format_units(&left, s->conf->token_decimals, text);
		(void)snprintf(why, TASK_ERROR, "amount: over what chain.%s (%llu) leaves: %s",
			       limits[i].name, (unsigned long long)limits[i].cents,
			       text); /* fits */
		return -EDQUOT;
	}
	return 0;
}
