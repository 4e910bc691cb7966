/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Single events of a receipt: opened by the payee, chosen by a block of the chain, checked by the payer. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli_receipt.h"

#define OPENED_BYTES (512u << 10) /* of a file with OPENED_MAX of them */

/* Events that are looked for or were opened. */
struct opened {
	unsigned n;
	struct opened_leaf leaves[OPENED_MAX];
};

/* "3,17,20". 0 or -EINVAL. */
static int parse_indexes(const char *text, struct opened *ret)
{
	char one[24];
	struct u256 v;

	for (ret->n = 0; ret->n < OPENED_MAX;) {
		size_t n = strcspn(text, ",");

		(void)snprintf(one, sizeof(one), "%.*s", (int)(n < 23 ? n : 23), text); /* fits */
		if (n >= sizeof(one) || u256_parse(one, &v) ||
		    u256_to_u64(&v, &ret->leaves[ret->n].path.index))
			return -EINVAL;
		ret->n++;
		if (!text[n])
			return 0;
		text += n + 1;
	}
	return -EINVAL;
}

static int find(const struct receipt_asked *a, struct opened *o, const char **ret_why)
{
	FILE *f = receipt_open_file(a->events);
	int rc;

	if (!f)
		return -EACCES;
	rc = opened_leaves_find(f, o->leaves, o->n);
	(void)fclose(f); /* read only */
	*ret_why = rc == -ENOENT    ? "there is no such event in it"
		   : rc == -EBADMSG ? "not an events file"
				    : strerror(-rc);
	return rc;
}

static int print_opened(const struct receipt_asked *a, const struct signed_receipt *s,
			const struct opened *o)
{
	struct check c = { .n_bad = 0 };
	struct lnx_buf out = { 0 };
	int rc;

	for (unsigned i = 0; i < o->n; i++) {
		check_leaf(&c, s, &o->leaves[i]);
		opened_leaf_write(&out, &o->leaves[i]);
	}
	rc = c.n_bad || lnx_buf_error(&out) ? CHECK_INVALID : 0;
	if (rc)
		fprintf(stderr, "linnix: receipt: %s is not of this receipt: %s\n", a->events,
			c.n_bad ? c.bad[0] : "out of memory");
	else
		fputs(out.data, stdout);
	lnx_buf_done(&out);
	return rc;
}

int receipt_open(const struct receipt_asked *a, const struct signed_receipt *s)
{
	struct opened *o = calloc(1, sizeof(*o));
	const char *why = "out of memory";
	int rc = -ENOMEM;

	if (o && (!a->events || !a->event || parse_indexes(a->event, o))) {
		free(o);
		return receipt_usage(
			"open needs --events FILE and --event INDEX, a number from 0, or up to 64 with commas",
			"");
	}
	if (o)
		rc = find(a, o, &why);
	if (rc && rc != -EACCES)
		fprintf(stderr, "linnix: receipt: %s: %s\n", a->events ? a->events : "", why);
	rc = rc ? CHECK_INVALID : print_opened(a, s, o);
	free(o);
	return rc;
}

/* Lines that receipt_open printed. 0, or -EBADMSG and it is noted. */
static int parse_opened(const char *file, const char *text, struct opened *ret, struct check *c)
{
	char why[RECEIPT_WHY];

	for (ret->n = 0; *text; ret->n++) {
		size_t n = strcspn(text, "\n");

		if (ret->n == OPENED_MAX) {
			check_bad(c, "event: %s: more than %d events", file, OPENED_MAX);
			return -EBADMSG;
		}
		if (opened_leaf_read(text, n, &ret->leaves[ret->n], why)) {
			check_bad(c, "event: %s: line %u: %s", file, ret->n + 1, why);
			return -EBADMSG;
		}
		text += n + (text[n] == '\n');
	}
	if (!ret->n)
		check_bad(c, "event: %s: there is none in it", file);
	return ret->n ? 0 : -EBADMSG;
}

/* What --event names: numbers of events that are here, or a file of what was opened elsewhere. 0, an exit code, or -EBADMSG and it is
 * noted. */
static int take_opened(const struct receipt_asked *a, struct opened *o, struct check *c)
{
	const char *why;
	char *text;
	size_t n;
	int rc;

	if (a->events && !parse_indexes(a->event, o)) {
		rc = find(a, o, &why);
		if (rc && rc != -EACCES)
			check_bad(c, "event: %s: %s", a->event, why);
		return rc == -EACCES ? CHECK_USAGE : rc ? -EBADMSG : 0;
	}
	text = malloc(OPENED_BYTES);
	if (!text || receipt_read_file(a->event, text, OPENED_BYTES - 1, &n)) {
		free(text);
		return CHECK_USAGE;
	}
	text[n] = 0;
	if (strlen(text) != n) {
		check_bad(c, "event: %s: a NUL byte in it", a->event);
		rc = -EBADMSG;
	} else {
		rc = parse_opened(a->event, text, o, c);
	}
	free(text);
	return rc;
}

int receipt_verify_event(const struct receipt_asked *a, struct check *c,
			 const struct signed_receipt *s, const struct challenge *asked)
{
	struct opened *o = calloc(1, sizeof(*o));
	int rc;

	if (!o) {
		check_open(c, "event: out of memory");
		return 0;
	}
	rc = take_opened(a, o, c);
	for (unsigned i = 0; !rc && i < o->n; i++)
		check_leaf(c, s, &o->leaves[i]);
	if (!rc)
		check_done(
			c,
			"%u events: that they are in the tree, in their place and time, and within the usage",
			o->n);
	if (!rc && asked->n)
		check_challenge(c, asked, o->leaves, o->n);
	free(o);
	return rc == -EBADMSG ? 0 : rc;
}

static void print_challenge(const struct receipt_asked *a, const struct signed_receipt *s,
			    const struct challenge *ch)
{
	char block[67], hash[67], id[67];
	struct lnx_buf out = { 0 };

	hex_format(ch->block_hash, 32, block);
	hex_format(s->hash, 32, hash);
	hex_format(s->r.task_id, 32, id);
	if (a->is_json) {
		lnx_buf_char(&out, '{');
		lnx_json_kv_str(&out, "task_id", id);
		lnx_json_kv_str(&out, "receipt_hash", hash);
		lnx_json_kv_u64(&out, "size", s->r.size);
		lnx_json_kv_u64(&out, "block", ch->block);
		lnx_json_kv_str(&out, "block_hash", block);
		lnx_json_kv_u64(&out, "dispute_deadline", ch->until);
		lnx_json_key(&out, "indexes");
		lnx_buf_char(&out, '[');
	} else {
		fprintf(stderr,
			"linnix: receipt: %u of %" PRIu64 " events, chosen by block %" PRIu64
			" %s; a dispute may follow up to block %" PRIu64 "\n",
			ch->n, s->r.size, ch->block, block, ch->until);
	}
	for (unsigned i = 0; i < ch->n; i++)
		lnx_buf_printf(&out, "%s%" PRIu64, i ? "," : "", ch->indexes[i]);
	if (a->is_json)
		lnx_buf_str(&out, "]}");
	puts(lnx_buf_error(&out) ? "" : out.data);
	lnx_buf_done(&out);
}

static void say(char list[][CHECK_TEXT], unsigned n, const char *before)
{
	for (unsigned i = 0; i < n && i < CHECK_REASONS; i++)
		fprintf(stderr, "linnix: receipt: %s%s\n", before, list[i]);
}

int receipt_challenge(const struct receipt_asked *a, const struct signed_receipt *s,
		      const struct secp *curve)
{
	struct challenge ch = { .n = 0 };
	struct check c = { .n_bad = 0 };

	if (!a->rpc)
		return receipt_usage("challenge needs --rpc URL: a block chooses the events", "");
	check_receipt(&c, s, curve);
	receipt_ask_chain(a, &c, s, &ch);
	say(c.bad, c.n_bad, "invalid: ");
	say(c.open, c.n_open, "not checked: ");
	if (c.n_bad)
		return CHECK_INVALID;
	if (!ch.n)
		return CHECK_UNKNOWN;
	print_challenge(a, s, &ch);
	return 0;
}
