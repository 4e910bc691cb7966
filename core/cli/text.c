/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Safe text and tables. */
#include "cli/text.h"

#include <stdio.h>
#include <wchar.h>

#include "cli/cli.h"

static uint32_t text_decode(const unsigned char *p, size_t k)
{
	uint32_t c = p[0] & (0xffu >> (k + 1));

	for (size_t i = 1; i < k; i++)
		c = c << 6 | (p[i] & 0x3f);
	return k == 1 ? p[0] : c;
}

/* Characters that show nothing or turn the direction of what follows: a name could pose as another one. */
static bool text_is_deceptive(uint32_t c)
{
	return c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

void lnx_text_safe(struct lnx_buf *out, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;
	size_t k;

	for (size_t i = 0; i < n; i += k ? k : 1) {
		k = lnx_utf8_len(p + i, n - i);
		c = k ? text_decode(p + i, k) : 0;
		if (!k)
			lnx_buf_printf(out, "\\x%02x", p[i]);
		else if (c == '\n')
			lnx_buf_str(out, "\\n");
		else if (c == '\t')
			lnx_buf_str(out, "\\t");
		else if (c == '\\')
			lnx_buf_str(out, "\\\\");
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			lnx_buf_printf(out, "\\x%02x", (unsigned)c);
		else if (text_is_deceptive(c))
			lnx_buf_printf(out, "\\u{%04x}", (unsigned)c);
		else
			lnx_buf_add(out, p + i, k);
	}
}

void lnx_text_json(struct lnx_buf *out, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t k;

	for (size_t i = 0; i < n; i += k) {
		k = 1;
		if (p[i] == 0xc2 && i + 1 < n && p[i + 1] >= 0x80 && p[i + 1] < 0xa0) {
			lnx_buf_printf(out, "\\u%04x", p[i + 1]);
			k = 2;
		} else if ((p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f) {
			lnx_buf_printf(out, "\\u%04x", p[i]);
		} else if (p[i] >= 0x80 && !lnx_utf8_len(p + i, n - i)) {
			lnx_buf_str(out, "\\ufffd");
		} else {
			k = lnx_utf8_len(p + i, n - i);
			lnx_buf_add(out, p + i, k);
		}
	}
}

static unsigned text_char_width(uint32_t c)
{
	int w = c < 0x80 ? 1 : wcwidth((wchar_t)c);

	return w < 0 ? 1 : (unsigned)w;
}

size_t lnx_text_fit(const char *s, size_t n, unsigned columns)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned used = 0, w;
	size_t i = 0, k;

	while (i < n) {
		k = lnx_utf8_len(p + i, n - i);
		w = k ? text_char_width(text_decode(p + i, k)) : 1;
		if (used + w > columns)
			break;
		used += w;
		i += k ? k : 1;
	}
	return i;
}

unsigned lnx_text_width(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned used = 0;
	size_t k;

	for (size_t i = 0; i < n; i += k ? k : 1) {
		k = lnx_utf8_len(p + i, n - i);
		used += k ? text_char_width(text_decode(p + i, k)) : 1;
	}
	return used;
}

void lnx_text_bytes(struct lnx_buf *out, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned u = 0;

	while (bytes >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		u++;
	}
	lnx_buf_printf(out, u == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
}

void lnx_text_duration(struct lnx_buf *out, double ns)
{
	double s = ns / 1e9;
	unsigned long long whole = s < 1e15 ? (unsigned long long)s : 0;

	if (!isfinite(ns) || ns < 0)
		lnx_buf_str(out, "-");
	else if (ns < 1e3)
		lnx_buf_printf(out, "%.0fns", ns);
	else if (ns < 1e6)
		lnx_buf_printf(out, "%.3gus", ns / 1e3);
	else if (ns < 1e9)
		lnx_buf_printf(out, "%.3gms", ns / 1e6);
	else if (s < 60)
		lnx_buf_printf(out, "%.1fs", s);
	else if (s < 3600)
		lnx_buf_printf(out, "%llum%02llus", whole / 60, whole % 60);
	else if (s < 86400)
		lnx_buf_printf(out, "%lluh%02llum", whole / 3600, whole / 60 % 60);
	else
		lnx_buf_printf(out, "%llud%02lluh", whole / 86400, whole / 3600 % 24);
}

void lnx_text_colour(const struct lnx_cli *cli, int colour, const char *s)
{
	if (cli->has_colour)
		printf("\033[%dm%s\033[0m", colour, s);
	else
		fputs(s, stdout);
}

void lnx_table_init(struct lnx_table *t, const struct lnx_column *columns, unsigned n_columns)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns;
	t->n_columns = n_columns < LNX_TABLE_MAX_COLUMNS ? n_columns : LNX_TABLE_MAX_COLUMNS;
}

void lnx_table_done(struct lnx_table *t)
{
	lnx_buf_done(&t->text);
	lnx_buf_done(&t->where);
}

void lnx_table_cell(struct lnx_table *t, const char *s)
{
	size_t at = t->text.size;

	lnx_buf_add(&t->where, &at, sizeof(at));
	lnx_text_safe(&t->text, s, strlen(s));
	lnx_buf_char(&t->text, 0);
	t->n_cells++;
}

void lnx_table_cell_fmt(struct lnx_table *t, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* a longer figure is cut */
	va_end(ap);
	lnx_table_cell(t, text);
}

void lnx_table_cell_time(struct lnx_table *t, const char *ts)
{
	lnx_table_cell_fmt(t, "%.10s %.8s", ts, strlen(ts) > 19 ? ts + 11 : "");
}

static const char *table_at(const struct lnx_table *t, unsigned row, unsigned column)
{
	size_t at;

	memcpy(&at, t->where.data + ((size_t)row * t->n_columns + column) * sizeof(at), sizeof(at));
	return t->text.data + at;
}

/* Leave out columns until the rest fits, with <min_last> columns for the last one. */
static void table_narrow(const struct lnx_table *t, const unsigned *widths, bool *is_shown,
			 unsigned columns)
{
	const unsigned min_last = 24, last = t->n_columns - 1;
	unsigned sum, worst;

	for (;;) {
		sum = 0;
		worst = t->n_columns;
		for (unsigned i = 0; i < t->n_columns; i++) {
			if (!is_shown[i])
				continue;
			sum += i < last ? widths[i] + 2
					: (widths[i] < min_last ? widths[i] : min_last);
			if (t->columns[i].spare && (worst == t->n_columns ||
						    t->columns[i].spare > t->columns[worst].spare))
				worst = i;
		}
		if (sum <= columns || worst == t->n_columns)
			return;
		is_shown[worst] = false;
	}
}

static void table_row(const struct lnx_table *t, const char *const *cells, const unsigned *widths,
		      const bool *is_shown, unsigned columns)
{
	unsigned left = columns, last = t->n_columns - 1, w;
	size_t n;

	for (unsigned i = 0; i < t->n_columns; i++) {
		if (!is_shown[i])
			continue;
		n = strlen(cells[i]);
		w = lnx_text_width(cells[i], n);
		if (i == last && columns && w > left) {
			n = left ? lnx_text_fit(cells[i], n, left - 1) : 0;
			printf("%.*s%s\n", (int)n, cells[i], left ? "~" : "");
			return;
		}
		if (t->columns[i].is_right)
			printf("%*s", (int)(widths[i] - w), "");
		fwrite(cells[i], 1, n, stdout);
		if (i != last)
			printf("%*s", (int)(t->columns[i].is_right ? 0 : widths[i] - w) + 2, "");
		if (columns)
			left -= left > widths[i] + 2 ? widths[i] + 2 : left;
	}
	putchar('\n');
}

int lnx_table_print(struct lnx_table *t, const struct lnx_cli *cli)
{
	unsigned widths[LNX_TABLE_MAX_COLUMNS] = { 0 },
		 rows = t->n_columns ? t->n_cells / t->n_columns : 0;
	const char *cells[LNX_TABLE_MAX_COLUMNS] = { 0 };
	bool is_shown[LNX_TABLE_MAX_COLUMNS];

	if (lnx_buf_error(&t->text) || lnx_buf_error(&t->where))
		return -ENOMEM;
	for (unsigned i = 0; i < t->n_columns; i++) {
		is_shown[i] = true;
		widths[i] = cli->is_headless ? 0 : (unsigned)strlen(t->columns[i].title);
		for (unsigned r = 0; r < rows; r++) {
			const char *s = table_at(t, r, i);
			unsigned w = lnx_text_width(s, strlen(s));

			widths[i] = w > widths[i] ? w : widths[i];
		}
	}
	if (cli->columns)
		table_narrow(t, widths, is_shown, cli->columns);
	for (unsigned i = 0; i < t->n_columns; i++)
		cells[i] = t->columns[i].title;
	if (!cli->is_headless)
		table_row(t, cells, widths, is_shown, cli->columns);
	for (unsigned r = 0; r < rows; r++) {
		for (unsigned i = 0; i < t->n_columns; i++)
			cells[i] = table_at(t, r, i);
		table_row(t, cells, widths, is_shown, cli->columns);
	}
	return 0;
}

void lnx_text_line(const char *before, const char *text, const char *after)
{
	struct lnx_buf safe = { 0 };

	lnx_text_safe(&safe, text, strlen(text));
	printf("%s%s%s\n", before, safe.data ? safe.data : "", after);
	lnx_buf_done(&safe);
}
