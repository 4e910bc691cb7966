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

/* Letters to put in, leave out, change or swap with their neighbour (optimal string alignment), without regard to case.
 * Both are at most SUGGEST_MAX letters. */
static unsigned suggest_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned rows[3][SUGGEST_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2], *t;
	size_t i, j;

	for (j = 0; j <= b_size; j++)
		row[j] = before[j] = (unsigned)j;
	for (i = 1; i <= a_size; i++) {
		t = before;
		before = above;
		above = row;
		row = t;
		row[0] = (unsigned)i;
		for (j = 1; j <= b_size; j++) {
			int c = tolower((unsigned char)a[i - 1]),
			    d = tolower((unsigned char)b[j - 1]);

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (c != d));
			if (i > 1 && j > 1 && c == tolower((unsigned char)b[j - 2]) &&
			    d == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
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
