/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* linnixd: arguments only; everything else is in app.c. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "std.h"
#include "trim.h"

static const char lnx_usage[] =
	"usage: linnixd [OPTION]...\n"
	"The linnix agent: measures which process stalls which, and by how much.\n"
	"\n"
	"  --config FILE       configuration (default /etc/linnix/linnix.yaml; missing there: built-in defaults)\n"
	"  --check-config      report everything that is wrong with it; exit 0 or 2\n"
	"  --dump-config       print the effective values and where each came from\n"
	"  --explain           print who reads which event and which probes attach\n"
	"  --lib-dir DIR       where plugins/ and bpf/ are (default: relative to this program)\n"
	"  --log-level LEVEL   error, warn, info or debug\n"
	"  --log-format FORMAT text or json\n"
	"  --version           print the version\n"
	"  --help              print this\n"
	"\n"
	"SIGHUP reloads the configuration and the rules; SIGTERM stops.\n";

enum {
	OPT_CONFIG = 256,
	OPT_CHECK,
	OPT_DUMP,
	OPT_EXPLAIN,
	OPT_LIB,
	OPT_LEVEL,
	OPT_FORMAT,
	OPT_VERSION,
	OPT_HELP
};

static const struct option lnx_long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "check-config", no_argument, NULL, OPT_CHECK },
	{ "dump-config", no_argument, NULL, OPT_DUMP },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "lib-dir", required_argument, NULL, OPT_LIB },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "log-format", required_argument, NULL, OPT_FORMAT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	struct lnx_args args = { 0 };
	char level[64], format[64];
	unsigned n_flags = 0;
	int opt;

	if (lnx_std_open() < 0)
		return 1; /* there is nowhere to say it */
	lnx_trim_init();
	lnx_log_init(LNX_INFO, LNX_LOG_TEXT);
	while ((opt = getopt_long(argc, argv, "h", lnx_long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_CONFIG:
			args.config = optarg;
			break;
		case OPT_CHECK:
			args.check_config = true;
			break;
		case OPT_DUMP:
			args.dump_config = true;
			break;
		case OPT_EXPLAIN:
			args.explain = true;
			break;
		case OPT_LIB:
			args.lib_dir = optarg;
			break;
		case OPT_LEVEL:
			(void)snprintf(level, sizeof(level), "log.level=%s",
				       optarg); /* a cut word is unknown too */
			args.flags[n_flags++] = level;
			break;
		case OPT_FORMAT:
			(void)snprintf(format, sizeof(format), "log.format=%s",
				       optarg); /* likewise */
			args.flags[n_flags++] = format;
			break;
		case OPT_VERSION:
			(void)printf("linnixd %s\n", LNX_VERSION_TEXT);
			return 0;
		case OPT_HELP:
		case 'h':
			(void)fputs(lnx_usage, stdout);
			return 0;
		default:
			(void)fputs("try: linnixd --help\n", stderr);
			return 2;
		}
		if (n_flags > 2)
			n_flags = 2; /* a repeated flag overwrites its text */
	}
	if (optind < argc) {
		(void)fprintf(stderr, "linnixd: unexpected argument '%s'\ntry: linnixd --help\n",
			      argv[optind]);
		return 2;
	}
	return lnx_app_run(&args);
}
