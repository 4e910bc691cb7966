/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The judgement of `selftest`. */
#include "cli/judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

#define JUDGE_BAR      0.05 /* of the kernel's own figure */
#define JUDGE_SLACK_MS 20
#define JUDGE_COVERAGE 0.9
#define JUDGE_SUM_BAR  1e-6

void lnx_judge_result(struct lnx_judge *j, bool is_ok, const char *name, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when too long */
	va_end(ap);
	j->n_failed += !is_ok;
	(void)json_array_append_new(j->results,
				    json_pack("{s:s, s:b, s:s}", "check", name, "ok", is_ok,
					      "found", text)); /* no memory: left out */
	if (j->cli->is_json)
		return;
	lnx_text_colour(j->cli, is_ok ? LNX_COLOUR_GREEN : LNX_COLOUR_RED, is_ok ? "ok  " : "FAIL");
	printf(" %-10s %s\n", name, text);
}

bool lnx_judge_is_near(double got, double want)
{
	return fabs(got - want) <= fmax(JUDGE_BAR * want, JUDGE_SLACK_MS);
}

/* What the parts of an answer say, ms. */
struct parts {
	double sum, bully, others;
	double taken;	  /* by the hypervisor and by interrupts */
	bool is_negative; /* one of them */
};

static struct parts parts_of(const json_t *victim, uint64_t bully_id)
{
	struct parts p = { 0 };
	const json_t *part;
	size_t i;

	json_array_foreach(json_object_get(victim, "parts"), i, part)
	{
		double ms = lnx_json_get_f64(part, "stall_ms", 0);
		double id = lnx_json_get_f64(json_object_get(part, "culprit"), "cgroup_id", 0);
		const char *kind = json_string_value(json_object_get(part, "kind"));

		p.sum += ms;
		p.is_negative |= ms < 0;
		if (id > 0 && id == (double)bully_id)
			p.bully += ms;
		else if (id > 0)
			p.others += ms;
		else if (kind && (!strcmp(kind, "steal") || !strcmp(kind, "irq")))
			p.taken += ms;
	}
	return p;
}

/* The kernel counts to who ran what was taken meanwhile; how much of it fell to the bully nobody knows. Not most. */
static bool is_blamed(const struct parts *p, double ran_ms)
{
	double slack = fmax(JUDGE_BAR * ran_ms, JUDGE_SLACK_MS);

	return p->bully <= ran_ms + slack && p->bully + fmin(p->taken, p->bully) >= ran_ms - slack;
}

static void judge_stall(struct lnx_judge *j, double stalled, double psi_ms, bool is_exact)
{
	if (isnan(psi_ms))
		lnx_judge_result(
			j, !is_exact || stalled > 0, "stall",
			"the victim lost %.0f ms; the kernel offers no PSI to compare with",
			stalled);
	else
		lnx_judge_result(j, lnx_judge_is_near(stalled, psi_ms), "stall",
				 "the victim lost %.0f ms, the kernel's own figure is %.0f ms",
				 stalled, psi_ms);
}

void lnx_judge_blame(struct lnx_judge *j, const struct lnx_judge_truth *truth, const json_t *victim)
{
	double stalled = lnx_json_get_f64(victim, "stalled_ms", 0),
	       coverage = lnx_json_get_f64(victim, "coverage_ratio", NAN),
	       id = lnx_json_get_f64(json_object_get(victim, "victim"), "cgroup_id", 0);
	struct parts p = parts_of(victim, truth->bully_id);
	bool is_exact = strcmp(j->tier, "exact") == 0;

	if (id != (double)truth->victim_id) {
		lnx_judge_result(j, false, "victim",
				 victim ? "the answer is of another cgroup, %.0f"
					: "the agent tells of no stall of the victim",
				 id);
		return;
	}
	judge_stall(j, stalled, truth->psi_ms, is_exact);
	lnx_judge_result(
		j, !p.is_negative && fabs(p.sum - stalled) <= JUDGE_SUM_BAR * fmax(stalled, 1),
		"parts", "%.3f ms in parts, %.3f ms in all", p.sum, stalled);
	if (!is_exact) {
		bool is_nobody = p.bully == 0 && p.others == 0;

		lnx_judge_result(
			j, is_nobody, "culprit",
			is_nobody ? "nobody is blamed in this tier, as it should be"
				  : "somebody is blamed, though this tier measures no culprit");
		return;
	}
	lnx_judge_result(j, is_blamed(&p, truth->bully_ms), "culprit",
			 "the bully is blamed for %.0f ms; it used the CPU for %.0f ms meanwhile",
			 p.bully, truth->bully_ms);
	if (!isnan(truth->psi_ms))
		lnx_judge_result(j, coverage >= JUDGE_COVERAGE, "coverage",
				 "ledger and PSI agree to %.1f %% (at least %.0f %%)",
				 100 * coverage, 100 * JUDGE_COVERAGE);
	if (p.others > 0 && !j->cli->is_json)
		printf("     %-10s others on this CPU held the victim up for %.0f ms\n", "",
		       p.others);
	if (p.taken > JUDGE_SLACK_MS && !j->cli->is_json)
		printf("     %-10s hypervisor and interrupts took %.0f ms\n", "", p.taken);
}
