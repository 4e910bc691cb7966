/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Quantities as Kubernetes writes them: a decimal number with a suffix of ten or of two. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pod.h"

static double quantity_factor(const char *suffix)
{
	static const struct {
		const char *suffix;
		double factor;
	} factors[] = {
		{ "", 1 },
		{ "n", 1e-9 },
		{ "u", 1e-6 },
		{ "m", 1e-3 },
		{ "k", 1e3 },
		{ "M", 1e6 },
		{ "G", 1e9 },
		{ "T", 1e12 },
		{ "P", 1e15 },
		{ "E", 1e18 },
		{ "Ki", 1024. },
		{ "Mi", 1048576. },
		{ "Gi", 1073741824. },
		{ "Ti", 1099511627776. },
		{ "Pi", 1125899906842624. },
		{ "Ei", 1152921504606846976. },
	};
	size_t i;

	for (i = 0; i < sizeof(factors) / sizeof(factors[0]); i++)
		if (!strcmp(factors[i].suffix, suffix))
			return factors[i].factor;
	return NAN;
}

uint64_t k8s_quantity(const char *text, uint64_t scale)
{
	size_t digits = strspn(text, "0123456789.");
	char number[40], *end;
	double v, rounded;

	/* strtod alone would take hexadecimal numbers, names and a locale's comma */
	if (!digits || digits >= sizeof(number))
		return 0;
	memcpy(number, text, digits);
	number[digits] = 0;
	v = strtod(number, &end);
	if (*end)
		return 0;
	text += digits;
	if ((*text == 'e' || *text == 'E') && text[1] &&
	    text[strspn(text + 1, "+-0123456789") + 1] == 0) {
		long power = strtol(text + 1, &end, 10);

		v = *end || power > 20 || power < -20 ? NAN : v * pow(10, (double)power);
	} else {
		v *= quantity_factor(text);
	}
	v *= (double)scale;
	if (!isfinite(v) || v <= 0)
		return 0;
	rounded = nearbyint(v);
	if (fabs(v - rounded) > 1e-6 * v)
		rounded = ceil(v);
	return rounded >= 18446744073709549568. ? UINT64_MAX : (uint64_t)rounded;
}
