/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `linnix identity show|new|rotate`: needs no agent. Secrets are never printed. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linnix/buf.h>

#include "commands.h"
#include "identity.h"
#include "stamp.h"

#define EXIT_BAD   1
#define EXIT_USAGE 2
#define SECOND_NS  1000000000u

struct asked {
	const char *word, *file;
	int is_json, is_dry;
};

#define USAGE "usage: linnix identity show|new|rotate [--file FILE] [--json] [--dry-run]\n"

static int usage(const char *what, const char *which)
{
	fprintf(stderr, "linnix: identity: %s%s\n" USAGE, what, which);
	return EXIT_USAGE;
}

/* 0 or an exit code. */
static int parse(int argc, char **argv, struct asked *a)
{
	static const struct option longs[] = { { "file", required_argument, NULL, 'f' },
					       { "json", no_argument, NULL, 'j' },
					       { "dry-run", no_argument, NULL, 'n' },
					       { NULL, 0, NULL, 0 } };
	const char *env = getenv("LINNIX_CHAIN_IDENTITY_PATH");
	int c;

	*a = (struct asked){ .file = env && *env ? env : IDENTITY_PATH };
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'f')
			a->file = optarg;
		else if (c == 'j')
			a->is_json = 1;
		else if (c == 'n')
			a->is_dry = 1;
		else
			return usage("unknown option, or its value is missing: ", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return usage("expected one of show, new, rotate", "");
	a->word = argv[optind];
	return 0;
}

static void print(const struct asked *a, const struct identity *id)
{
	char address[ADDRESS_TEXT], created[STAMP_TEXT];
	struct lnx_buf out = { 0 };

	address_format(id->address, address);
	stamp_format(id->created_ns, created);
	if (!a->is_json) {
		printf("did      %s\naddress  %s\ncreated  %s by %s\n", id->did, address, created,
		       id->is_by_user ? "the user" : "the agent");
		if (*id->rotated_from)
			printf("before   %s\n", id->rotated_from);
		printf("file     %s%s\n", a->file,
		       id->is_lasting ? "" : " (on a file system that a restart empties)");
		return;
	}
	lnx_buf_char(&out, '{');
	lnx_json_kv_str(&out, "did", id->did);
	lnx_json_kv_str(&out, "address", address);
	lnx_json_kv_str(&out, "created_at", created);
	lnx_json_kv_str(&out, "made_by", id->is_by_user ? "user" : "agent");
	if (*id->rotated_from)
		lnx_json_kv_str(&out, "rotated_from", id->rotated_from);
	lnx_json_kv_str(&out, "file", a->file);
	lnx_json_kv_bool(&out, "is_lasting", id->is_lasting);
	lnx_buf_char(&out, '}');
	puts(lnx_buf_error(&out) ? "{}" : out.data);
	lnx_buf_done(&out);
}

static void print_dry(const struct asked *a)
{
	if (a->is_json)
		printf("{\"dry_run\":true,\"would\":\"%s\"}\n", a->word);
	else
		printf("would %s at %s\n",
		       !strcmp(a->word, "new") ? "make an identity" : "replace the identity",
		       a->file);
}

static uint64_t wall_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void advise(const struct asked *a)
{
	if (!strcmp(a->word, "new"))
		fputs("Keep a copy of the file: who has it has the money, and without it the money is lost.\n",
		      stderr);
	if (!strcmp(a->word, "rotate"))
		fprintf(stderr,
			"The old identity lies beside it as %s.did:key:…: move what is at its address before you remove it.\n",
			a->file);
}

static int run(const struct asked *a, const struct secp *s, struct identity **ret,
	       char why[IDENTITY_WHY])
{
	if (!strcmp(a->word, "show"))
		return identity_open(a->file, false, 0, s, ret, why);
	if (!strcmp(a->word, "new"))
		return identity_new(a->file, a->is_dry, wall_ns(), s, ret, why);
	return identity_rotate(a->file, a->is_dry, wall_ns(), s, ret, why);
}

int identity_command(int argc, char **argv)
{
	struct identity *id = NULL;
	char why[IDENTITY_WHY] = "";
	struct secp *s = NULL;
	struct asked a;
	int rc;

	if (command_wants_help(argc, argv)) {
		fputs(USAGE, stdout);
		return 0;
	}
	rc = parse(argc, argv, &a);
	if (rc)
		return rc;
	if (strcmp(a.word, "show") != 0 && strcmp(a.word, "new") != 0 &&
	    strcmp(a.word, "rotate") != 0)
		return usage("expected one of show, new, rotate, not ", a.word);
	rc = secp_open(&s, why, sizeof(why));
	rc = rc ? rc : run(&a, s, &id, why);
	if (rc)
		fprintf(stderr, "linnix: identity %s: %s%s\n", a.word, why,
			rc == -ENOENT ? "; make one: linnix identity new" : "");
	else if (id)
		print(&a, id);
	else
		print_dry(&a);
	if (!rc && id)
		advise(&a);
	identity_free(id);
	secp_close(s);
	return rc ? EXIT_BAD : 0;
}
