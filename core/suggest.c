/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The nearest known word to one that was mistyped. */
#include "event.h"

#include <ctype.h>
#include <string.h>

#define SUGGEST_MAX 64 /* letters; longer words get no suggestion */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance, without regard to case. Both are at most SUGGEST_MAX letters. */
static unsigned suggest_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned row[SUGGEST_MAX + 1], diagonal, above;
	size_t i, j;

	for (j = 0; j <= b_size; j++)
		row[j] = (unsigned)j;
	for (i = 1; i <= a_size; i++) {
		diagonal = row[0];
		row[0] = (unsigned)i;
		for (j = 1; j <= b_size; j++) {
			unsigned differs = tolower((unsigned char)a[i - 1]) !=
					   tolower((unsigned char)b[j - 1]);

			above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + differs);
			diagonal = above;
		}
	}
	return row[b_size];
}

const char *lnx_suggest(const char *word, const char *const *words)
{
	size_t size = strnlen(word, SUGGEST_MAX + 1), n;
	unsigned best = (unsigned)(size / 3) + 1, d;
	const char *found = NULL;

	if (size > SUGGEST_MAX || !words)
		return NULL;
	for (; *words; words++) {
		n = strnlen(*words, SUGGEST_MAX + 1);
		if (n > SUGGEST_MAX || n + best <= size || size + best <= n)
			continue;
		d = suggest_distance(word, size, *words, n);
		if (d < best) { /* the first of equals wins */
			best = d;
			found = *words;
		}
	}
	return found;
}
