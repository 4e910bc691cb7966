/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* etc/linnix.yaml is inert as it is; with every setting uncommented it names each option of the core and of every built
 * plugin, with the default of its table. Run from the root of the tree, after the plugins are built.
 * LINK: -ldl */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/plugin.h>

#include "app.h"
#include "option.h"

#define FILE_NAME    "etc/linnix.yaml"
#define MAX_SECTIONS 64

struct all {
	struct lnx_section sections[MAX_SECTIONS];
	unsigned n;
	struct lnx_core_conf core;
	void *confs[MAX_SECTIONS];
	void *handles[MAX_SECTIONS];
	unsigned n_handles;
};

static void add(struct all *a, const char *name, const struct lnx_option *options, void *conf,
		size_t size)
{
	assert_true(a->n < MAX_SECTIONS);
	a->sections[a->n++] = (struct lnx_section){ name, options, conf, size, 0 };
}

static void add_core(struct all *a)
{
	void *c = &a->core;
	size_t n = sizeof(a->core);

	add(a, "node", lnx_core_options_node, c, n);
	add(a, "cluster", lnx_core_options_cluster, c, n);
	add(a, "log", lnx_core_options_log, c, n);
	add(a, "plugins", lnx_core_options_plugins, c, n);
	add(a, "probes", lnx_core_options_probes, c, n);
	add(a, "rules", lnx_core_options_rules, c, n);
	add(a, "bus", lnx_core_options_bus, c, n);
	add(a, "budget", lnx_core_options_budget, c, n);
}

static void add_plugin(struct all *a, const char *path)
{
	const struct lnx_plugin *(*entry)(void);
	const struct lnx_plugin *p;
	void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!h)
		print_error("%s\n", dlerror());
	assert_non_null(h);
	a->handles[a->n_handles++] = h;
	*(void **)&entry = dlsym(h, "linnix_plugin_v1"); /* the form that POSIX gives */
	assert_non_null(entry);
	p = entry();
	a->confs[a->n] = calloc(1, p->conf_size ? p->conf_size : 1);
	assert_non_null(a->confs[a->n]);
	add(a, p->section ? p->section : p->name, p->options, a->confs[a->n], p->conf_size);
}

static void add_plugins(struct all *a)
{
	const char *build = getenv("LNX_BUILD");
	char pattern[512];
	glob_t g = { 0 };
	size_t i;

	(void)snprintf(pattern, sizeof(pattern), "%s/plugins/*.so", build ? build : "build");
	if (glob(pattern, 0, NULL, &g) == 0)
		for (i = 0; i < g.gl_pathc; i++)
			add_plugin(a, g.gl_pathv[i]);
	globfree(&g);
}

static int setup(void **state)
{
	struct all *a = calloc(1, sizeof(*a));

	if (!a)
		return -1;
	add_core(a);
	add_plugins(a);
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	struct all *a = *state;
	unsigned i;

	for (i = 0; i < a->n; i++)
		free(a->confs[i]);
	for (i = 0; i < a->n_handles; i++)
		dlclose(a->handles[i]);
	free(a);
	return 0;
}

static void read_text(struct lnx_buf *b)
{
	FILE *f = fopen(FILE_NAME, "re");
	char line[1024];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		lnx_buf_str(b, line);
	fclose(f);
	assert_int_equal(lnx_buf_error(b), 0);
}

/* Take the # of every setting away: a # that no second one and no SPDX follows. */
static void uncomment(const char *text, struct lnx_buf *out)
{
	const char *line, *end;

	for (line = text; *line; line = end) {
		end = strchrnul(line, '\n');
		end += *end == '\n';
		if (line[0] == '#' && line[1] != '#' && strncmp(line, "# SPDX", 6) != 0)
			line++;
		lnx_buf_add(out, line, (size_t)(end - line));
	}
}

/* Sections of plugins that are not built are not looked at. One that is misspelt is found all the same: its options are
 * then missing. */
static struct lnx_optset *bind(struct all *a, const struct lnx_node *root)
{
	const char *known[MAX_SECTIONS + 1] = { NULL };
	struct lnx_bind_args args = { .file = FILE_NAME,
				      .root = root,
				      .sections = a->sections,
				      .n_sections = a->n,
				      .known = known };
	const struct lnx_node *n = root ? root->child : NULL;
	unsigned i;
	struct lnx_buf errors = { 0 }, warnings = { 0 };
	struct lnx_optset *set = NULL;
	int r;

	for (i = 0; n; n = n->next) {
		assert_true(i < MAX_SECTIONS);
		known[i++] = n->key;
	}
	r = lnx_option_bind(&args, &errors, &warnings, &set);
	if (r < 0)
		print_error("%s", errors.data);
	assert_int_equal(r, 0);
	assert_int_equal(warnings.size, 0);
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	return set;
}

static void as_it_is_it_sets_nothing(void **state)
{
	struct lnx_node *root = NULL;
	struct lnx_err err;

	assert_int_equal(lnx_conf_load(FILE_NAME, &root, &err), 0);
	assert_null(root->child);
	lnx_optset_free(bind(*state, root));
	lnx_conf_free(root);
}

static void uncommented_it_names_every_option_with_its_default(void **state)
{
	struct lnx_buf text = { 0 }, yaml = { 0 };
	struct lnx_optset *defaults, *given;
	struct lnx_node *root = NULL;
	struct lnx_err err = { .line = 0 };
	const struct lnx_option *o;
	struct all *a = *state;
	unsigned i, wrong = 0;

	read_text(&text);
	uncomment(text.data, &yaml);
	if (lnx_conf_parse(yaml.data, yaml.size, &root, &err) < 0)
		print_error("%s:%d:%d: %s\n", FILE_NAME, err.line, err.column, err.msg);
	assert_non_null(root);
	defaults = bind(a, NULL);
	given = bind(a, root);
	for (i = 0; i < a->n; i++)
		for (o = a->sections[i].options; o && o->key; o++) {
			const char *section = a->sections[i].name;
			const char *want = lnx_optset_get(defaults, section, o->key, NULL);
			int origin = -1;
			const char *got = lnx_optset_get(given, section, o->key, &origin);

			if (origin == LNX_FROM_FILE && strcmp(want, got) == 0)
				continue;
			wrong++;
			print_error("%s: %s.%s %s: the table says '%s'\n", FILE_NAME, section,
				    o->key, origin == LNX_FROM_FILE ? got : "is not there", want);
		}
	assert_int_equal(wrong, 0);
	lnx_optset_free(defaults);
	lnx_optset_free(given);
	lnx_conf_free(root);
	lnx_buf_done(&text);
	lnx_buf_done(&yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_it_is_it_sets_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(uncommented_it_names_every_option_with_its_default,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
