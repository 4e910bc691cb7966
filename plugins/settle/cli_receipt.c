/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `linnix receipt show|verify|open|challenge`: needs no agent, only the file, and for --rpc a node of the chain. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli_receipt.h"
#include "commands.h"
#include "stamp.h"

#define BAD CHECK_INVALID

#define USAGE                                                                                                                                                                                     \
	"usage: linnix receipt show FILE [--json] [--dry-run]\n"                                                                                                                                  \
	"       linnix receipt verify FILE [--events FILE] [--event OPENED|INDEX,...] [-k N] [--rpc URL] [--registry ADDRESS] [--settlement ADDRESS] [--from-block BLOCK] [--json] [--dry-run]\n" \
	"       linnix receipt open FILE --events FILE --event INDEX,... [--json] [--dry-run]\n"                                                                                                  \
	"       linnix receipt challenge FILE --rpc URL [-k N] [--registry ADDRESS] [--from-block BLOCK] [--json] [--dry-run]\n"                                                                  \
	"challenge prints which N events (16) the payee has to open; verify -k N holds those that were opened (--event) against it\n"                                                             \
	"exit codes of verify: 0 valid, 1 invalid, 2 usage, 3 something could not be checked, as without --rpc what the chain says\n"

int receipt_usage(const char *what, const char *which)
{
	fprintf(stderr, "linnix: receipt: %s%s\n" USAGE, what, which);
	return CHECK_USAGE;
}

static int take_address(const char *text, const char *option, uint8_t ret[20], bool *ret_has)
{
	*ret_has = true;
	return address_parse(text, ret)
		       ? receipt_usage(option, " is an address of 0x and 40 hex digits")
		       : 0;
}

static int take(struct receipt_asked *a, int c, const char *word)
{
	struct u256 block;
	uint64_t k = 0;

	switch (c) {
	case 'e':
		a->events = optarg;
		return 0;
	case 'i':
		a->event = optarg;
		return 0;
	case 'r':
		a->rpc = optarg;
		return 0;
	case 'g':
		return take_address(optarg, "--registry", a->registry, &a->has_registry);
	case 's':
		return take_address(optarg, "--settlement", a->settlement, &a->has_settlement);
	case 'b':
		return u256_parse(optarg, &block) || u256_to_u64(&block, &a->from_block)
			       ? receipt_usage("--from-block", " is the number of a block")
			       : 0;
	case 'k':
		if (u256_parse(optarg, &block) || u256_to_u64(&block, &k) || !k || k > OPENED_MAX)
			return receipt_usage("-k", " is a number of events from 1 to 64");
		a->k = (unsigned)k;
		return 0;
	case 'j':
		a->is_json = true;
		return 0;
	case 'n':
		a->is_dry = true;
		return 0;
	default:
		return receipt_usage("unknown option, or its value is missing: ", word);
	}
}

/* 0 or an exit code. */
static int parse(int argc, char **argv, struct receipt_asked *a)
{
	static const struct option longs[] = {
		{ "events", required_argument, NULL, 'e' },
		{ "event", required_argument, NULL, 'i' },
		{ "rpc", required_argument, NULL, 'r' },
		{ "registry", required_argument, NULL, 'g' },
		{ "settlement", required_argument, NULL, 's' },
		{ "from-block", required_argument, NULL, 'b' },
		{ "json", no_argument, NULL, 'j' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc = 0;

	optind = 1;
	opterr = 0;
	while (!rc && (c = getopt_long(argc, argv, "k:", longs, NULL)) != -1)
		rc = take(a, c, argv[optind - 1]);
	if (rc)
		return rc;
	if (optind + 2 != argc)
		return receipt_usage("expected show, verify, open or challenge, and one file", "");
	a->word = argv[optind];
	a->file = argv[optind + 1];
	return 0;
}

FILE *receipt_open_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;

	if (f && (fstat(fileno(f), &st) < 0 || S_ISDIR(st.st_mode))) {
		(void)fclose(f);
		errno = EISDIR;
		f = NULL;
	}
	if (!f)
		fprintf(stderr, "linnix: receipt: %s: %s\n", path, strerror(errno));
	return f;
}

int receipt_read_file(const char *path, char *ret, size_t cap, size_t *ret_n)
{
	FILE *f = receipt_open_file(path);
	size_t n;
	int rc = 0;

	if (!f)
		return -ENOENT;
	n = fread(ret, 1, cap, f);
	if (ferror(f) || n == cap) {
		rc = ferror(f) ? -EIO : -EFBIG;
		fprintf(stderr, "linnix: receipt: %s: %s\n", path, strerror(-rc));
	}
	(void)fclose(f);
	*ret_n = n;
	return rc;
}

static const char *amount_text(const struct u256 *v, char text[U256_DECIMAL])
{
	u256_format(v, text);
	return text;
}

/* A figure that may be unknown. */
static const char *known_text(bool is_known, uint64_t v, const char *unit, char text[32])
{
	if (!is_known)
		return "unknown";
	(void)snprintf(text, 32, "%" PRIu64 "%s", v, unit); /* fits */
	return text;
}

static void show_usage(const struct usage *u)
{
	char stall[32], sent[32];

	printf("usage    cpu %" PRIu64 " ns, peak %" PRIu64 " KiB, read %" PRIu64
	       " bytes, written %" PRIu64 " bytes, sent %s, stalled %s, %" PRIu64 " execs, ",
	       u->cpu_ns, u->rss_peak_kib, u->read_bytes, u->write_bytes,
	       known_text(u->has_net_tx, u->net_tx_bytes, " bytes", sent),
	       known_text(u->has_stall, u->stall_ns, " ns", stall), u->execs);
	if (u->has_exit)
		printf("exit code %d\n", u->exit_code);
	else
		puts("exit code unknown");
}

static void show_text(const struct signed_receipt *s)
{
	char a[ADDRESS_TEXT], b[ADDRESS_TEXT], hash[67], id[67], start[STAMP_TEXT], end[STAMP_TEXT];
	char amount[U256_DECIMAL], max[U256_DECIMAL], price[U256_DECIMAL];
	const struct receipt *r = &s->r;

	hex_format(s->hash, 32, hash);
	hex_format(r->task_id, 32, id);
	address_format(r->settlement, a);
	printf("receipt  %s\ntask     %s of %s on chain %" PRIu64 "\n", hash, id, a, r->chain_id);
	address_format(r->payer, a);
	address_format(r->payee, b);
	printf("payer    %s\npayee    %s %s\n", a, b, r->payee_did);
	address_format(r->token, a);
	printf("amount   %s of at most %s, token %s\n", amount_text(&r->actual_amount, amount),
	       amount_text(&r->max_amount, max), a);
	printf("price    %s %s\n", price_model_names[r->price_model],
	       amount_text(&r->unit_price, price));
	stamp_format(r->start_ns, start);
	stamp_format(r->end_ns, end);
	printf("window   %s to %s\n", start, end);
	show_usage(&r->usage);
	printf("events   %" PRIu64 ", %" PRIu64 " dropped, %u gaps\n", r->size, r->dropped,
	       r->n_gaps);
	printf("measured %s%s by linnix %s\n", attestation_names[r->attestation],
	       r->is_degraded ? " (degraded)" : "", r->agent);
}

/* What a stranger wrote into kernel, agent or DID must not move the terminal. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

static int show(const struct receipt_asked *a, struct signed_receipt *s)
{
	if (a->is_json) {
		printf("%.*s\n", (int)s->n_payload, (const char *)s->payload);
		return 0;
	}
	make_printable(s->r.agent);
	make_printable(s->r.payee_did);
	show_text(s);
	return 0;
}

static void put_list(struct lnx_buf *out, const char *key, char list[][CHECK_TEXT], unsigned n)
{
	lnx_json_key(out, key);
	lnx_buf_char(out, '[');
	for (unsigned i = 0; i < n && i < CHECK_REASONS; i++) {
		lnx_json_next(out);
		lnx_json_str(out, list[i]);
	}
	lnx_buf_char(out, ']');
}

static int report(const struct receipt_asked *a, struct check *c, const struct signed_receipt *s)
{
	static const char *const verdicts[] = { "valid", "invalid", "", "unknown" };
	int code = check_code(c);
	struct lnx_buf out = { 0 };
	char hash[67];

	hex_format(s->hash, 32, hash);
	if (a->is_json) {
		lnx_buf_char(&out, '{');
		lnx_json_kv_str(&out, "verdict", verdicts[code]);
		if (s->payload)
			lnx_json_kv_str(&out, "receipt_hash", hash);
		put_list(&out, "reasons", c->bad, c->n_bad);
		put_list(&out, "not_checked", c->open, c->n_open);
		put_list(&out, "checked", c->done, c->n_done);
		put_list(&out, "notes", c->notes, c->n_notes);
		lnx_json_kv_bool(&out, "chain_asked", a->rpc != NULL);
		lnx_buf_char(&out, '}');
		puts(lnx_buf_error(&out) ? "{}" : out.data);
		lnx_buf_done(&out);
		return code;
	}
	printf("%s%s%s\n", verdicts[code], s->payload ? " " : "", s->payload ? hash : "");
	for (unsigned i = 0; i < c->n_bad && i < CHECK_REASONS; i++) {
		make_printable(c->bad[i]);
		printf("  %s\n", c->bad[i]);
	}
	for (unsigned i = 0; i < c->n_done && i < CHECK_REASONS; i++)
		printf("  checked: %s\n", c->done[i]);
	for (unsigned i = 0; i < c->n_open && i < CHECK_REASONS; i++)
		printf("  not checked: %s\n", c->open[i]);
	for (unsigned i = 0; i < c->n_notes && i < CHECK_REASONS; i++)
		printf("  note: %s\n", c->notes[i]);
	return code;
}

static int verify_more(const struct receipt_asked *a, struct check *c,
		       const struct signed_receipt *s)
{
	FILE *events;

	if (a->events) {
		events = receipt_open_file(a->events);
		if (!events)
			return CHECK_USAGE;
		check_events(c, s, events);
		(void)fclose(events);
	} else {
		check_note(c,
			   "events: not given (--events): their root and sums were not recomputed");
	}
	if (a->has_settlement && memcmp(a->settlement, s->r.settlement, 20) != 0)
		check_bad(c, "the receipt is for another contract than --settlement");
	return 0;
}

static int verify(const struct receipt_asked *a, struct check *c, const struct signed_receipt *s,
		  const struct secp *curve)
{
	struct challenge chosen = { .n = 0 };
	int rc;

	if (a->k && !a->event)
		return receipt_usage("-k needs --event OPENED: what the payee opened", "");
	check_receipt(c, s, curve);
	rc = verify_more(a, c, s);
	if (rc)
		return rc;
	if (a->rpc)
		receipt_ask_chain(a, c, s, &chosen);
	else
		check_open(c, "chain: it was not asked what it has of this task (--rpc URL)");
	if (a->k && !a->rpc)
		check_open(c, "challenge: a block chooses the events (--rpc URL)");
	if (a->event)
		rc = receipt_verify_event(a, c, s, &chosen);
	return rc ? rc : report(a, c, s);
}

static int run(const struct receipt_asked *a, const struct secp *curve)
{
	struct signed_receipt s = { .payload = NULL };
	struct check c = { .n_bad = 0 };
	char text[RECEIPT_FILE_BYTES + 1], why[RECEIPT_WHY];
	size_t n;
	int rc = receipt_read_file(a->file, text, sizeof(text), &n);

	if (rc)
		return !strcmp(a->word, "verify") ? CHECK_USAGE : BAD;
	rc = signed_receipt_read(text, n, &s, why);
	if (rc && !strcmp(a->word, "verify")) {
		check_bad(&c, "%s", rc == -EBADMSG ? why : strerror(-rc));
		return report(a, &c, &s);
	}
	if (rc) {
		fprintf(stderr, "linnix: receipt: %s: %s\n", a->file,
			rc == -EBADMSG ? why : strerror(-rc));
		return BAD;
	}
	rc = !strcmp(a->word, "show")	     ? show(a, &s)
	     : !strcmp(a->word, "open")	     ? receipt_open(a, &s)
	     : !strcmp(a->word, "challenge") ? receipt_challenge(a, &s, curve)
					     : verify(a, &c, &s, curve);
	signed_receipt_done(&s);
	return rc;
}

int receipt_command(int argc, char **argv)
{
	struct receipt_asked a = { .word = NULL };
	char why[RECEIPT_WHY];
	struct secp *curve;
	int rc;

	if (command_wants_help(argc, argv)) {
		fputs(USAGE, stdout);
		return 0;
	}
	rc = parse(argc, argv, &a);
	if (rc)
		return rc;
	if (strcmp(a.word, "show") != 0 && strcmp(a.word, "verify") != 0 &&
	    strcmp(a.word, "open") != 0 && strcmp(a.word, "challenge") != 0)
		return receipt_usage("expected show, verify, open or challenge, not ", a.word);
	if (!strcmp(a.word, "challenge") && !a.k)
		a.k = CHALLENGE_DEFAULT;
	if (secp_open(&curve, why, sizeof(why))) {
		fprintf(stderr, "linnix: receipt: %s\n", why);
		return CHECK_UNKNOWN;
	}
	rc = run(&a, curve);
	secp_close(curve);
	return rc;
}
