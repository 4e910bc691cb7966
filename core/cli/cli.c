/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Words and options of the command line, and what the environment and the terminal say. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/text.h"
#include "event.h"
#include "option_impl.h"

#define CLI_TOKEN_MAX_BYTES 4096

static const struct lnx_cli_opt cli_globals[] = {
	{ "url", "URL",
	  "agent to ask: http://HOST:PORT, https://HOST:PORT or unix:/PATH (LINNIX_URL)", 0,
	  false },
	{ "token-file", "FILE", "file with the API token (the token itself: LINNIX_API_TOKEN)", 0,
	  false },
	{ "ca-file", "FILE", "certificate authority to trust for https", 0, false },
	{ "lib-dir", "DIR", "where plugins and BPF objects are, if not beside this program", 0,
	  false },
	{ "output", "table|json", "form of the output", 'o', false },
	{ "json", NULL, "the same as -o json", 0, false },
	{ "no-headers", NULL, "no line of column titles", 0, false },
	{ "help", NULL, "help for the verb", 'h', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct lnx_cli_opt *lnx_cli_globals(void)
{
	return cli_globals;
}

static void cli_say(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static void cli_say(const char *fmt, va_list ap)
{
	struct lnx_buf line = { 0 };
	char *text = NULL;
	int n = vasprintf(&text, fmt, ap);

	if (n < 0)
		return;
	for (const char *p = text, *end; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		lnx_buf_str(&line, p == text ? "linnix: " : "  ");
		lnx_text_safe(&line, p, (size_t)(end - p));
		lnx_buf_char(&line, '\n');
	}
	free(text);
	if (!lnx_buf_error(&line) && line.size) {
		(void)fflush(stdout); /* its failure is reported at the end */
		(void)fputs(line.data, stderr);
	}
	lnx_buf_done(&line);
}

uint64_t lnx_cli_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void lnx_cli_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_say(fmt, ap);
	va_end(ap);
}

int lnx_cli_usage(const char *verb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_say(fmt, ap);
	va_end(ap);
	fprintf(stderr, "try 'linnix%s%s --help'\n", verb ? " " : "", verb ? verb : "");
	return LNX_EXIT_USAGE;
}

/* Does <word> give option <o>? Then *ret_inline is the text after '=' or the letter, or NULL. */
static bool cli_match(const struct lnx_cli_opt *o, const char *word, const char **ret_inline)
{
	size_t n = strlen(o->name);

	*ret_inline = NULL;
	if (word[0] != '-' || word[1] == 0)
		return false;
	if (word[1] != '-') {
		if (!o->letter || word[1] != o->letter)
			return false;
		*ret_inline = word[2] ? word + 2 : NULL;
		return true;
	}
	if (strncmp(word + 2, o->name, n) != 0 || (word[2 + n] && word[2 + n] != '='))
		return false;
	*ret_inline = word[2 + n] ? word + 3 + n : NULL;
	return true;
}

/* Take the option at argv[*io_i] from <opts>. Returns its index, -ENOENT, or -EINVAL, said. */
static int cli_take(const struct lnx_cli_opt *opts, int argc, char **argv, int *io_i,
		    const char **ret_value)
{
	const char *word = argv[*io_i], *text;

	for (int i = 0; opts && opts[i].name; i++) {
		if (!cli_match(&opts[i], word, &text))
			continue;
		if (!opts[i].arg) {
			if (text) {
				lnx_cli_say("option '--%s' takes no value (in '%s')", opts[i].name,
					    word);
				return -EINVAL;
			}
			*ret_value = "";
			return i;
		}
		if (!text) {
			if (*io_i + 1 >= argc) {
				lnx_cli_say("option '--%s' needs a value: %s", opts[i].name,
					    opts[i].arg);
				return -EINVAL;
			}
			text = argv[++*io_i];
		}
		*ret_value = text;
		return i;
	}
	return -ENOENT;
}

static int cli_set_output(struct lnx_cli *cli, const char *form)
{
	if (strcmp(form, "json") == 0)
		cli->is_json = true;
	else if (strcmp(form, "table") == 0)
		cli->is_json = false;
	else {
		lnx_cli_say("unknown output '%s': table or json", form);
		return -EINVAL;
	}
	return 0;
}

int lnx_cli_global(struct lnx_cli *cli, int argc, char **argv, int *io_i)
{
	const char *value = NULL, *name;
	int i = cli_take(cli_globals, argc, argv, io_i, &value);

	if (i == -ENOENT)
		return 0;
	if (i < 0)
		return i;
	name = cli_globals[i].name;
	if (strcmp(name, "url") == 0)
		cli->url = value;
	else if (strcmp(name, "token-file") == 0)
		cli->token_file = value;
	else if (strcmp(name, "ca-file") == 0)
		cli->ca_file = value;
	else if (strcmp(name, "lib-dir") == 0)
		cli->lib_dir = value;
	else if (strcmp(name, "json") == 0)
		cli->is_json = true;
	else if (strcmp(name, "no-headers") == 0)
		cli->is_headless = true;
	else if (strcmp(name, "help") == 0)
		cli->is_help = true;
	else if (cli_set_output(cli, value) < 0)
		return -EINVAL;
	return 1;
}

static int cli_unknown(const struct lnx_verb *verb, const char *word)
{
	const char *known[LNX_CLI_MAX_OPTS + sizeof(cli_globals) / sizeof(cli_globals[0])] = {
		NULL
	};
	const char *near;
	unsigned n = 0;

	for (const struct lnx_cli_opt *o = verb->opts; o && o->name; o++)
		known[n++] = o->name;
	for (const struct lnx_cli_opt *o = cli_globals; o->name; o++)
		known[n++] = o->name;
	near = word[1] == '-' ? lnx_suggest(word + 2, known) : NULL;
	if (near)
		lnx_cli_say("%s: unknown option '%s' (did you mean '--%s'?)", verb->name, word,
			    near);
	else
		lnx_cli_say("%s: unknown option '%s'", verb->name, word);
	fprintf(stderr, "try 'linnix %s --help'\n", verb->name);
	return -EINVAL;
}

int lnx_cli_parse(struct lnx_cli *cli, const struct lnx_verb *verb, int argc, char **argv,
		  struct lnx_cli_args *ret_args)
{
	struct lnx_cli_args a = { .opts = verb->opts };
	bool is_end = false;
	const char *value;
	int k;

	for (int i = 0; i < argc; i++) {
		if (!is_end && strcmp(argv[i], "--") == 0) {
			is_end = true;
			continue;
		}
		if (is_end || argv[i][0] != '-' || argv[i][1] == 0) {
			if (a.n_words == LNX_CLI_MAX_WORDS) {
				lnx_cli_say("%s: more than %d words", verb->name,
					    LNX_CLI_MAX_WORDS);
				return -EINVAL;
			}
			a.words[a.n_words++] = argv[i];
			continue;
		}
		k = cli_take(verb->opts, argc, argv, &i, &value);
		if (k >= 0) {
			a.value[k] = value;
			continue;
		}
		if (k == -ENOENT)
			k = lnx_cli_global(cli, argc, argv, &i);
		if (k == 0)
			return cli_unknown(verb, argv[i]);
		if (k < 0)
			return k;
	}
	*ret_args = a;
	return 0;
}

const char *lnx_cli_arg(const struct lnx_cli_args *args, const char *name)
{
	for (int i = 0; args->opts && args->opts[i].name; i++)
		if (strcmp(args->opts[i].name, name) == 0)
			return args->value[i];
	return NULL;
}

int lnx_cli_arg_u64(const struct lnx_cli_args *args, const char *name, unsigned long long def,
		    unsigned long long min, unsigned long long max, unsigned long long *ret_v)
{
	const char *text = lnx_cli_arg(args, name);
	unsigned long long v;
	char *end;

	if (!text) {
		*ret_v = def;
		return 0;
	}
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] < '0' || text[0] > '9' || v < min || v > max) {
		lnx_cli_say("--%s: '%s' is not a whole number from %llu to %llu", name, text, min,
			    max);
		return -EINVAL;
	}
	*ret_v = v;
	return 0;
}

int lnx_cli_arg_duration(const struct lnx_cli_args *args, const char *name,
			 unsigned long long min_ns, unsigned long long max_ns, uint64_t *ret_ns)
{
	const struct lnx_option o = {
		.key = name, .type = LNX_OPT_DURATION, .min = (double)min_ns, .max = (double)max_ns
	};
	const char *text = lnx_cli_arg(args, name);
	struct lnx_err err = { { 0 }, 0, 0 };
	struct lnx_optset *set;
	struct lnx_optval v;
	int rc;

	if (!text)
		return 0;
	set = calloc(1, sizeof(*set));
	rc = set ? lnx_optval_text(set, &o, text, &v, &err) : -ENOMEM;
	lnx_optset_free(set);
	if (rc < 0) {
		lnx_cli_say("--%s: %s", name, err.msg[0] ? err.msg : strerror(-rc));
		return -EINVAL;
	}
	*ret_ns = v.num;
	return 0;
}

/* A token goes into a header line: one line of printable bytes. */
static int cli_read_token(const char *path, char **ret_token)
{
	char text[CLI_TOKEN_MAX_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	n = n < 0 ? -errno : n;
	(void)close(fd); /* read only */
	if (n < 0)
		return (int)n;
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		n--;
	if (n == 0 || n == (ssize_t)sizeof(text))
		return -EINVAL;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] <= 0x20 || text[i] == 0x7f)
			return -EINVAL;
	*ret_token = strndup(text, (size_t)n);
	return *ret_token ? 0 : -ENOMEM;
}

static void cli_terminal(struct lnx_cli *cli)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM"),
		   *columns = getenv("COLUMNS");
	struct winsize size;
	long wide;

	if (!isatty(STDOUT_FILENO))
		return;
	cli->has_colour = !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
	wide = columns ? strtol(columns, NULL, 10) : 0;
	if (wide >= 20 && wide <= 10000)
		cli->columns = (unsigned)wide;
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		cli->columns = size.ws_col;
}

int lnx_cli_setup(struct lnx_cli *cli)
{
	const char *url = getenv("LINNIX_URL"), *token = getenv("LINNIX_API_TOKEN");
	int rc = 0;

	/* Widths of characters, whatever the user's locale; messages and numbers stay as they are. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		(void)setlocale(LC_CTYPE, ""); /* only widths suffer */
	cli_terminal(cli);
	if (!cli->url && url && *url)
		cli->url = url;
	if (cli->token_file) {
		rc = cli_read_token(cli->token_file, &cli->token);
		if (rc == -EINVAL)
			lnx_cli_say("%s: not a token: one line of printable characters",
				    cli->token_file);
		else if (rc < 0)
			lnx_cli_say("cannot read %s: %s", cli->token_file, strerror(-rc));
	} else if (token && *token) {
		cli->token = strdup(token);
		rc = cli->token ? 0 : -ENOMEM;
		for (const char *p = cli->token; p && *p && rc == 0; p++)
			if (*p <= 0x20 || *p == 0x7f)
				rc = -EINVAL;
		if (rc == -EINVAL)
			lnx_cli_say(
				"LINNIX_API_TOKEN: not a token: one line of printable characters");
	}
	return rc;
}

void lnx_cli_done(struct lnx_cli *cli)
{
	if (cli->token)
		explicit_bzero(cli->token, strlen(cli->token));
	free(cli->token);
	cli->token = NULL;
}
