/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The words. Every number comes out of a fact, rounded as the fact is; whatever is not in the evidence is not said. */
#include <errno.h>
#include <linnix/svc_incident.h>
#include <math.h>
#include <string.h>

#include "triage.h"

#define STEAL_LEADS_PCT 10 /* above it steal leads the explanation */
#define SURE_PCT	90

struct words {
	const struct lnx_incident *inc;
	const struct facts *f;
	const char *victim; /* subject of its blame item; "_node" without victims */
	struct lnx_buf summary, text, facts, ruled, change, next;
};

/* A number as its fact shows it. */
static void number(struct lnx_buf *out, double v)
{
	if (!isfinite(v))
		lnx_buf_char(out, '?');
	else if (v >= 0)
		lnx_json_f64(out, v);
	else
		lnx_buf_printf(out, "%.9g", v);
}

static void put_id(struct lnx_buf *out, const struct fact *x)
{
	if (x)
		lnx_buf_printf(out, " [E%u]", x->evidence);
}

/* One element of a list of texts; <text> is spent. <paragraph> gets it as a sentence, unless NULL. */
static void element(struct lnx_buf *list, struct lnx_buf *text, struct lnx_buf *paragraph)
{
	if (paragraph && text->data)
		lnx_buf_printf(paragraph, " %s.", text->data);
	lnx_json_next(list);
	if (lnx_buf_error(text) || !text->data)
		list->error = -ENOMEM;
	else
		lnx_json_str(list, text->data);
	lnx_buf_done(text);
}

static void culprit_name(const struct words *w, struct lnx_buf *out)
{
	const struct lnx_incident *inc = w->inc;

	if (*inc->culprit_namespace)
		lnx_buf_printf(out, "%s/", inc->culprit_namespace);
	lnx_buf_str(out, *inc->culprit ? inc->culprit : "the machine's own load");
	/* the process only if it is not the name itself */
	if (*inc->culprit_comm && inc->culprit_pid)
		lnx_buf_printf(out, " (%s, pid %u)", inc->culprit_comm, inc->culprit_pid);
}

/* ---- the cause in a sentence */

static void say_contention(struct words *w)
{
	const struct fact *own = fact_find(w->f, "blame", w->victim, "culprit_ms"),
			  *all = fact_find(w->f, "blame", w->victim, "stalled_ms"),
			  *pct = fact_find(w->f, "blame", w->victim, "culprit_pct"),
			  *forks = fact_find(w->f, "alert", "fork-storm", "forks_10s");
	struct lnx_buf *s = &w->summary;

	culprit_name(w, s);
	if (own && all && *w->inc->victim) {
		lnx_buf_printf(s, " made %s wait: ", w->victim);
		number(s, own->value);
		lnx_buf_str(s, " of the ");
		number(s, all->value);
		lnx_buf_str(s, " ms that it lost");
		if (pct) {
			lnx_buf_str(s, " (");
			number(s, pct->value);
			lnx_buf_str(s, " %)");
		}
		put_id(s, own);
		if (forks) {
			lnx_buf_str(s, ", with ");
			number(s, forks->value);
			lnx_buf_str(s, " new processes in its last window");
			put_id(s, forks);
		}
	} else if (forks) {
		lnx_buf_str(s, " starts processes without end: ");
		number(s, forks->value);
		lnx_buf_str(s, " in the last window");
		put_id(s, forks);
	} else {
		lnx_buf_printf(s, ": %s", w->inc->title);
		put_id(s, fact_find(w->f, "alert", NULL, "rule"));
	}
	lnx_buf_char(s, '.');
}

static void say_memory(struct words *w)
{
	static const char *const names[] = { "eta", "eta_s", "time_to_limit_s" };
	struct lnx_buf *s = &w->summary;
	const struct fact *eta = NULL;

	for (unsigned i = 0; !eta && i < 3; i++)
		eta = fact_find(w->f, "alert", NULL, names[i]);
	culprit_name(w, s);
	lnx_buf_str(s, " keeps growing");
	if (eta) {
		lnx_buf_str(s, ", and reaches its limit in ");
		number(s, eta->value);
		lnx_buf_printf(s, " %s", *eta->unit ? eta->unit : "s");
		put_id(s, eta);
	} else {
		lnx_buf_printf(s, ": %s", w->inc->title);
		put_id(s, fact_find(w->f, "alert", NULL, "rule"));
	}
	lnx_buf_char(s, '.');
}

static void say_churn(struct words *w)
{
	const struct fact *n = fact_find(w->f, "spawns", NULL, "short_lived"),
			  *pid = fact_find(w->f, "spawns", NULL, "spawner_pid");
	struct lnx_buf *s = &w->summary;

	culprit_name(w, s);
	lnx_buf_str(s, " starts jobs that do not last");
	if (n) {
		lnx_buf_str(s, ": ");
		number(s, n->value);
		lnx_buf_str(s, " ended within a second");
		put_id(s, n);
	}
	if (pid) {
		lnx_buf_printf(s, "; their parent is %s, pid ",
			       fact_text(w->f, "spawns", NULL, "spawner_comm"));
		number(s, pid->value);
		put_id(s, pid);
	}
	lnx_buf_char(s, '.');
}

static void say_saturation(struct words *w)
{
	const struct fact *psi = fact_find(w->f, "pressure", NULL, "cpu_some_last_pct"),
			  *cpu = fact_find(w->f, "host", NULL, "cpu_last_pct"),
			  *root = fact_find(w->f, "tree", NULL, "root_pid");
	struct lnx_buf *s = &w->summary;

	lnx_buf_str(s, "The machine is saturated");
	if (psi && cpu) {
		lnx_buf_str(s, ": some task waited for a CPU in ");
		number(s, psi->value);
		lnx_buf_str(s, " % of the time");
		put_id(s, psi);
		lnx_buf_str(s, " at ");
		number(s, cpu->value);
		lnx_buf_str(s, " % CPU");
		put_id(s, cpu);
	}
	if (root) {
		lnx_buf_printf(s, "; the process tree of %s, pid ",
			       fact_text(w->f, "tree", NULL, "root_comm"));
		number(s, root->value);
		lnx_buf_str(s, ", caused it");
		put_id(s, root);
	} else {
		lnx_buf_str(s, "; no single process tree is known to have caused it");
	}
	lnx_buf_char(s, '.');
}

static void say_cause(struct words *w)
{
	double steal = fact_value(w->f, "host", NULL, "steal_mean_pct");

	if (steal > STEAL_LEADS_PCT) {
		lnx_buf_str(&w->summary, "The hypervisor took ");
		number(&w->summary, steal);
		lnx_buf_str(&w->summary, " % of the CPU");
		put_id(&w->summary, fact_find(w->f, "host", NULL, "steal_mean_pct"));
		lnx_buf_str(&w->summary, ", which explains part of what follows. ");
	}
	if (!strcmp(w->inc->cause, "contention"))
		say_contention(w);
	else if (!strcmp(w->inc->cause, "memory"))
		say_memory(w);
	else if (!strcmp(w->inc->cause, "churn"))
		say_churn(w);
	else if (!strcmp(w->inc->cause, "saturation"))
		say_saturation(w);
	else {
		lnx_buf_str(&w->summary, w->inc->title);
		put_id(&w->summary, fact_find(w->f, "alert", NULL, "rule"));
		lnx_buf_char(&w->summary, '.');
	}
}

/* ---- the facts, with their ids */

/* "<before><number><after> [En]" if the fact is there. */
static void say_fact(struct words *w, const char *topic, const char *subject, const char *name,
		     const char *before, const char *after)
{
	const struct fact *x = fact_find(w->f, topic, subject, name);
	struct lnx_buf t = { 0 };

	if (!x)
		return;
	lnx_buf_str(&t, before);
	if (x->is_text)
		lnx_buf_str(&t, x->text);
	else
		number(&t, x->value);
	lnx_buf_str(&t, after);
	put_id(&t, x);
	element(&w->facts, &t, &w->text);
}

/* True if the parts of the victim's stall were measured: of pressure alone all of it is kind other. */
static int has_parts(const struct words *w)
{
	const char *method = fact_text(w->f, "blame", w->victim, "method");

	return *method && strcmp(method, "none") != 0 && strcmp(method, "psi-only") != 0;
}

static void say_facts(struct words *w)
{
	say_fact(w, "alert", NULL, "rule", "The rule that opened it: ", "");
	say_fact(w, "blame", w->victim, "stalled_ms", "The victim lost ",
		 " ms of wall time to waits");
	if (has_parts(w)) {
		say_fact(w, "blame", w->victim, "neighbour_ms", "Of that to neighbours: ", " ms");
		say_fact(w, "blame", w->victim, "self_ms", "To its own tasks: ", " ms");
	}
	say_fact(w, "blame", w->victim, "next_culprit", "The next largest culprit: ", "");
	say_fact(w, "pressure", NULL, "cpu_some_mean_pct",
		 "CPU pressure of the node, on average: ", " %");
	say_fact(w, "pressure", NULL, "memory_some_mean_pct",
		 "Memory pressure of the node, on average: ", " %");
	say_fact(w, "host", NULL, "cpu_mean_pct", "CPU in use, on average: ", " %");
	say_fact(w, "tree", NULL, "root_comm", "The culprit's process tree begins with ", "");
	say_fact(w, "tree", NULL, "root_pid", "Its pid: ", "");
	say_fact(w, "spawns", NULL, "forks", "Processes that the culprit started meanwhile: ", "");
	say_fact(w, "spawns", NULL, "spawner_comm", "Most were started by ", "");
	say_fact(w, "spawns", NULL, "spawner_pid", "Whose pid is ", "");
	say_fact(w, "limits", "culprit", "cpu_limit_cores", "CPU limit of the culprit: ", " cores");
	say_fact(w, "limits", "culprit", "cpu_limit", "CPU limit of the culprit: ", "");
}

/* Of the item of <x>. */
static const struct fact *beside(const struct words *w, const struct fact *x, const char *name)
{
	for (uint32_t i = 0; i < w->f->n; i++)
		if (w->f->list[i].evidence == x->evidence && !strcmp(w->f->list[i].name, name))
			return &w->f->list[i];
	return NULL;
}

static void say_outcome(struct words *w, const struct fact *x)
{
	const struct fact *verb = beside(w, x, "verb"), *target = beside(w, x, "target"),
			  *before = beside(w, x, "before_ms_per_s"),
			  *after = beside(w, x, "after_ms_per_s"), *undone = beside(w, x, "undone");
	struct lnx_buf t = { 0 };

	if (!before || !after)
		return;
	lnx_buf_printf(&t, "An action was carried out (%s%s%s) and %s: ",
		       verb ? verb->text : "of a kind not told", target ? " of " : "",
		       target ? target->text : "",
		       !strcmp(x->text, "helped")  ? "helped"
		       : !strcmp(x->text, "worse") ? "made it worse"
						   : "changed nothing");
	lnx_buf_printf(&t, "%s lost ", *x->subject ? x->subject : "the victim");
	number(&t, before->value);
	lnx_buf_str(&t, " ms a second before and ");
	number(&t, after->value);
	lnx_buf_str(&t, " after");
	if (undone)
		lnx_buf_printf(&t, "; then it was taken back: %s", undone->text);
	put_id(&t, x);
	element(&w->facts, &t, &w->text);
}

/* What was done about it, each time. */
static void say_outcomes(struct words *w)
{
	for (uint32_t i = 0; i < w->f->n; i++)
		if (!strcmp(w->f->list[i].topic, "outcome") &&
		    !strcmp(w->f->list[i].name, "outcome"))
			say_outcome(w, &w->f->list[i]);
}

/* ---- what was ruled out */

/* A part of the victim's stall that is not the reason, or is one. */
static void rule_out(struct words *w, const char *name, const char *what)
{
	const struct fact *x = fact_find(w->f, "blame", w->victim, name),
			  *all = fact_find(w->f, "blame", w->victim, "stalled_ms");
	struct lnx_buf t = { 0 };

	if (!x || !all || all->value <= 0)
		return;
	lnx_buf_printf(&t, "%s is not %s: ", what,
		       x->value <= 0.05 * all->value ? "the reason" : "ruled out");
	number(&t, x->value);
	lnx_buf_str(&t, " of ");
	number(&t, all->value);
	lnx_buf_str(&t, " ms");
	put_id(&t, x);
	element(&w->ruled, &t, &w->text);
}

/* Nothing that nobody measured is ruled out. */
static void rule_out_parts(struct words *w)
{
	if (!has_parts(w))
		return;
	if (!*w->inc->resource || !strcmp(w->inc->resource, "cpu"))
		rule_out(w, "throttled_ms", "Its own CPU limit");
	rule_out(w, "kernel_ms", "Work of the kernel");
	/* 0 is also what a kernel says that does not count them */
	if (fact_value(w->f, "blame", w->victim, "irq_ms") > 0)
		rule_out(w, "irq_ms", "Time of interrupts");
	rule_out(w, "self_ms", "Its own load");
}

static void rule_out_losses(struct words *w)
{
	const struct fact *sure = fact_find(w->f, "losses", NULL, "confidence_pct"),
			  *covers = fact_find(w->f, "losses", NULL, "covers_s"),
			  *asked = fact_find(w->f, "losses", NULL, "asked_s");
	struct lnx_buf t = { 0 };

	if (sure) {
		lnx_buf_str(
			&t,
			sure->value >= SURE_PCT
				? "Lost events are not the reason: ledger and kernel agree to "
				: "Lost events are not ruled out: ledger and kernel agree only to ");
		number(&t, sure->value);
		lnx_buf_str(&t, " %");
		put_id(&t, sure);
		element(&w->ruled, &t, &w->text);
	}
	if (covers && asked && covers->value < 0.9 * asked->value) {
		lnx_buf_str(&t, "What was before is not known: the events kept cover ");
		number(&t, covers->value);
		lnx_buf_str(&t, " of ");
		number(&t, asked->value);
		lnx_buf_str(&t, " s");
		put_id(&t, covers);
		element(&w->ruled, &t, &w->text);
	}
}

static void rule_out_steal(struct words *w)
{
	const struct fact *x = fact_find(w->f, "host", NULL, "steal_mean_pct");
	struct lnx_buf t = { 0 };

	if (!x)
		return;
	if (x->value > STEAL_LEADS_PCT)
		lnx_buf_str(&t, "The hypervisor is not ruled out: it took ");
	else
		lnx_buf_str(&t, "The hypervisor is not the reason, as far as it tells: it took ");
	number(&t, x->value);
	lnx_buf_str(&t, " % of the CPU");
	put_id(&t, x);
	element(&w->ruled, &t, &w->text);
}

/* ---- what would change the verdict, what to do next */

static void say_change(struct words *w)
{
	static const char *const by_cause[][2] = {
		{ "contention",
		  "The victim's stall staying as it is while the culprit is stopped or throttled" },
		{ "contention",
		  "A quota of the victim's own holding it up instead (kind throttled)" },
		{ "memory", "Its anonymous memory falling again without a restart" },
		{ "churn", "The jobs ending well and being meant to be short" },
		{ "saturation", "One process tree holding most of the node's stall" },
	};
	struct lnx_buf t = { 0 };

	for (size_t i = 0; i < sizeof(by_cause) / sizeof(by_cause[0]); i++)
		if (!strcmp(by_cause[i][0], w->inc->cause)) {
			lnx_buf_str(&t, by_cause[i][1]);
			element(&w->change, &t, NULL);
		}
	if (fact_find(w->f, "losses", NULL, "confidence_pct")) {
		lnx_buf_str(&t, "Ledger and kernel no longer agreeing on the victim's stall");
		element(&w->change, &t, NULL);
	}
}

/* A name as a word of a shell. */
static void quote(struct lnx_buf *out, const char *s)
{
	lnx_buf_char(out, '\'');
	for (; *s; s++)
		if (*s == '\'')
			lnx_buf_str(out, "'\\''");
		else
			lnx_buf_char(out, *s);
	lnx_buf_char(out, '\'');
}

static void say_next(struct words *w)
{
	struct lnx_buf t = { 0 };

	if (*w->inc->victim) {
		lnx_buf_str(&t, "linnix blame --watch --victim ");
		quote(&t, w->victim);
		element(&w->next, &t, NULL);
	}
	if (w->inc->culprit_pid) {
		lnx_buf_printf(&t, "linnix ps %u", w->inc->culprit_pid);
		element(&w->next, &t, NULL);
	}
	lnx_buf_printf(&t, "linnix incidents show %s", w->inc->id);
	element(&w->next, &t, NULL);
}

/* ---- all of it */

static void member(struct lnx_buf *out, const char *key, struct lnx_buf *list)
{
	lnx_buf_char(list, ']');
	lnx_json_key(out, key);
	if (lnx_buf_error(list))
		out->error = -ENOMEM;
	else
		lnx_buf_add(out, list->data, list->size);
}

static void begin(struct words *w)
{
	lnx_buf_char(&w->facts, '[');
	lnx_buf_char(&w->ruled, '[');
	lnx_buf_char(&w->change, '[');
	lnx_buf_char(&w->next, '[');
}

int triage_explain(const struct lnx_incident *inc, const struct facts *f, struct lnx_buf *out)
{
	struct words w = { .inc = inc, .f = f };
	char victim[200];
	int rc;

	(void)snprintf(victim, sizeof(victim), "%s%s%s", inc->victim_namespace,
		       *inc->victim_namespace ? "/" : "", inc->victim); /* cut is fine */
	w.victim = *inc->victim ? victim : "_node";
	begin(&w);
	say_cause(&w);
	lnx_buf_str(&w.text, w.summary.data ? w.summary.data : "");
	say_facts(&w);
	say_outcomes(&w);
	rule_out_parts(&w);
	rule_out_steal(&w);
	rule_out_losses(&w);
	say_change(&w);
	say_next(&w);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "source", "deterministic");
	lnx_json_kv_str(out, "summary", w.summary.data ? w.summary.data : "");
	lnx_json_kv_str(out, "text", w.text.data ? w.text.data : "");
	member(out, "facts", &w.facts);
	member(out, "ruled_out", &w.ruled);
	member(out, "would_change", &w.change);
	member(out, "next", &w.next);
	lnx_buf_char(out, '}');
	rc = lnx_buf_error(&w.summary) || lnx_buf_error(&w.text) ? -ENOMEM : lnx_buf_error(out);
	lnx_buf_done(&w.summary);
	lnx_buf_done(&w.text);
	lnx_buf_done(&w.facts);
	lnx_buf_done(&w.ruled);
	lnx_buf_done(&w.change);
	lnx_buf_done(&w.next);
	return rc;
}
