/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/bpf/score.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 0))) static void tell(const char *word, const char *fmt,
						       va_list ap)
{
	printf("  %-6s ", word);
	vprintf(fmt, ap);
	printf("\n");
}

void score_check(struct score *s, int ok, const char *fmt, ...)
{
	va_list ap;

	s->passed += !!ok;
	s->failed += !ok;
	va_start(ap, fmt);
	tell(ok ? "ok" : "NOT OK", fmt, ap);
	va_end(ap);
}

void score_sure(struct score *s, int ok, const char *what)
{
	score_check(s, ok, "%s", what);
	s->broken += !ok;
}

void score_skip(struct score *s, const char *fmt, ...)
{
	va_list ap;

	s->skipped++;
	va_start(ap, fmt);
	tell("SKIP", fmt, ap);
	va_end(ap);
}

int score_stands(struct score *s, const struct score *before, int try)
{
	if (s->failed == before->failed || s->broken != before->broken || try == SCORE_TRIES)
		return 1;
	printf("  again, after try %d of %d\n", try, SCORE_TRIES);
	*s = *before;
	return 0;
}

int score_end(const struct score *s)
{
	printf("%d passed, %d failed, %d skipped\n", s->passed, s->failed, s->skipped);
	return s->failed || !(s->passed + s->skipped);
}
