/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `doctor`: run the checks, print a line each. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/text.h"

#define DOCTOR_CONFIG "/etc/linnix/linnix.yaml"

const struct lnx_cli_opt lnx_doctor_opts[] = {
	{ "config", "FILE",
	  "configuration file to check (default " DOCTOR_CONFIG ", if it is there)", 'c', false },
	{ "proc-root", "DIR", "instead of /proc", 0, true },
	{ "sys-root", "DIR", "instead of /sys", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

static const char *const doctor_levels[] = { "ok", "warn", "FAIL" };

void lnx_doctor_add(struct lnx_doctor *d, int level, const char *name, const char *fix,
		    const char *what_fmt, ...)
{
	struct lnx_finding *f;
	va_list ap;

	if (d->n_findings == LNX_DOCTOR_MAX_FINDINGS) {
		d->n_left_out++;
		return;
	}
	f = &d->findings[d->n_findings];
	va_start(ap, what_fmt);
	if (vasprintf(&f->what, what_fmt, ap) < 0)
		f->what = NULL;
	va_end(ap);
	f->fix = strdup(fix);
	f->level = level;
	f->name = name;
	if (f->what && f->fix) {
		d->n_findings++;
		return;
	}
	free(f->what);
	free(f->fix);
	d->n_left_out++;
}

int lnx_doctor_read(const char *root, const char *path, char *ret_text, size_t cap)
{
	char full[1024];
	ssize_t n;
	int fd;

	if (snprintf(full, sizeof(full), "%s/%s", root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret_text, cap - 1);
	n = n < 0 ? -errno : n;
	(void)close(fd); /* read only */
	ret_text[n < 0 ? 0 : n] = 0;
	return (int)n;
}

static void doctor_print_json(const struct lnx_doctor *d)
{
	struct lnx_buf out = { 0 };

	lnx_buf_char(&out, '[');
	for (unsigned i = 0; i < d->n_findings; i++) {
		const struct lnx_finding *f = &d->findings[i];

		lnx_json_next(&out);
		lnx_buf_char(&out, '{');
		lnx_json_kv_str(&out, "name", f->name);
		lnx_json_kv_str(&out, "status",
				f->level == LNX_FINDING_FAIL ? "fail" : doctor_levels[f->level]);
		lnx_json_kv_str(&out, "what", f->what);
		lnx_json_kv_str(&out, "fix", f->fix);
		lnx_buf_char(&out, '}');
	}
	lnx_buf_str(&out, "]\n");
	if (!lnx_buf_error(&out))
		fwrite(out.data, 1, out.size, stdout);
	lnx_buf_done(&out);
}

static void doctor_print(const struct lnx_doctor *d)
{
	static const int colours[] = { LNX_COLOUR_GREEN, LNX_COLOUR_YELLOW, LNX_COLOUR_RED };
	struct lnx_buf out = { 0 };

	for (unsigned i = 0; i < d->n_findings; i++) {
		const struct lnx_finding *f = &d->findings[i];

		lnx_buf_reset(&out);
		lnx_text_safe(&out, f->what, strlen(f->what));
		if (*f->fix) {
			lnx_buf_str(&out, " — fix: ");
			lnx_text_safe(&out, f->fix, strlen(f->fix));
		}
		lnx_text_colour(d->cli, colours[f->level], doctor_levels[f->level]);
		printf(" %s: %s\n", f->name, lnx_buf_error(&out) || !out.data ? "" : out.data);
	}
	lnx_buf_done(&out);
}

static int doctor_finish(struct lnx_doctor *d)
{
	unsigned n_fail = 0, n_warn = 0;

	for (unsigned i = 0; i < d->n_findings; i++) {
		n_fail += d->findings[i].level == LNX_FINDING_FAIL;
		n_warn += d->findings[i].level == LNX_FINDING_WARN;
	}
	if (d->cli->is_json)
		doctor_print_json(d);
	else
		doctor_print(d);
	if (d->n_left_out)
		lnx_cli_say("%u findings were left out", d->n_left_out);
	if (n_fail || n_warn)
		lnx_cli_say("%u wrong, %u to look at, of %u checks", n_fail, n_warn, d->n_findings);
	for (unsigned i = 0; i < d->n_findings; i++) {
		free(d->findings[i].what);
		free(d->findings[i].fix);
	}
	json_decref(d->status);
	return n_fail || d->n_left_out ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
}

int lnx_cli_doctor(struct lnx_cli *cli, const struct lnx_cli_args *args)
{
	struct lnx_doctor *d;
	const char *config = lnx_cli_arg(args, "config"), *root;
	int code;

	if (args->n_words)
		return lnx_cli_usage("doctor", "doctor: unexpected word '%s'", args->words[0]);
	d = calloc(1, sizeof(*d));
	if (!d) {
		lnx_cli_say("%s", strerror(ENOMEM));
		return LNX_EXIT_FAILURE;
	}
	d->cli = cli;
	root = lnx_cli_arg(args, "proc-root");
	d->proc_root = root ? root : "/proc";
	root = lnx_cli_arg(args, "sys-root");
	d->sys_root = root ? root : "/sys";
	d->config = config ? config : DOCTOR_CONFIG;
	d->is_config_given = config != NULL;
	lnx_doctor_ask(d);
	lnx_doctor_host(d);
	lnx_doctor_privs(d);
	lnx_doctor_bpf(d);
	lnx_doctor_config(d);
	lnx_doctor_node(d);
	lnx_doctor_agent(d);
	code = doctor_finish(d);
	free(d);
	return code;
}
