/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Text for people: nothing that comes from the host can move a cursor, forge a line or a colour; tables that fit. */
#ifndef LNX_CLI_TEXT_H
#define LNX_CLI_TEXT_H

#include <linnix/buf.h>
#include <stdbool.h>

struct lnx_cli;

/* Append <n> bytes, made safe: control characters (C0, DEL, C1) and bytes that are not UTF-8 as \xNN, newline and tab as
 * \n and \t, invisible and direction-changing characters as \u{NNNN}, a backslash doubled. */
void lnx_text_safe(struct lnx_buf *out, const char *s, size_t n);
/* Append JSON text, with what moves a terminal as \u00NN: the value stays the same. */
void lnx_text_json(struct lnx_buf *out, const char *s, size_t n);
/* Columns that safe text takes. */
unsigned lnx_text_width(const char *s, size_t n);
/* Bytes of safe text that fit into <columns>. */
size_t lnx_text_fit(const char *s, size_t n, unsigned columns);

/* Append "1.5 GiB", "12 KiB", "7 B". */
void lnx_text_bytes(struct lnx_buf *out, double bytes);
/* Append "2d3h", "4m05s", "1.2s", "35ms", "8us", "90ns". */
void lnx_text_duration(struct lnx_buf *out, double ns);

/* enum lnx_colour */
#define LNX_COLOUR_RED	  31
#define LNX_COLOUR_GREEN  32
#define LNX_COLOUR_YELLOW 33
/* Print <s> in <colour> if the terminal has colours. */
void lnx_text_colour(const struct lnx_cli *cli, int colour, const char *s);

#define LNX_TABLE_MAX_COLUMNS 16

struct lnx_column {
	const char *title;
	unsigned spare; /* 0: always shown; else left out on a narrow terminal, the highest first */
	bool is_right;	/* numbers */
};

/* Cells are collected, then printed: the widths are known only at the end. */
struct lnx_table {
	const struct lnx_column *columns;
	unsigned n_columns;
	unsigned n_cells;
	struct lnx_buf text;  /* NUL terminated cells */
	struct lnx_buf where; /* size_t offset of each cell */
};

void lnx_table_init(struct lnx_table *t, const struct lnx_column *columns, unsigned n_columns);
void lnx_table_done(struct lnx_table *t);
/* Next cell, from the left, row by row. Made safe. */
void lnx_table_cell(struct lnx_table *t, const char *s);
void lnx_table_cell_fmt(struct lnx_table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "2025-01-31 12:00:00" of an RFC 3339 time. */
void lnx_table_cell_time(struct lnx_table *t, const char *ts);
/* Print to stdout. The last column is cut at the edge of a terminal. Returns 0 or -ENOMEM. */
int lnx_table_print(struct lnx_table *t, const struct lnx_cli *cli);

/* A line on stdout; <text> came from outside and is made safe. */
void lnx_text_line(const char *before, const char *text, const char *after);

#endif
