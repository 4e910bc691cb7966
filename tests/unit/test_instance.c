/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which plugins run: those whose file has their name, and whose needs are met. The others have not run a line of their own, and the
 * reason stands in /plugins and in the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "offline.h"

static unsigned n_init, n_start; /* of all plugins below */

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	(void)host;
	(void)ctx;
	(void)conf;
	(void)ret_state;
	n_init++;
	return 0;
}

static int start(void *state)
{
	(void)state;
	n_start++;
	return 0;
}

static int init_fails(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		      void **ret_state)
{
	(void)init(host, ctx, conf, ret_state);
	return -EIO;
}

static int init_provides(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			 void **ret_state)
{
	(void)init(host, ctx, conf, ret_state);
	return host->provide(ctx, "given/1", &n_init, NULL);
}

static int start_fails(void *state)
{
	(void)start(state);
	return -EIO;
}

struct fixture {
	struct lnx_app *app;
	FILE *log;
	char text[8192]; /* of the log */
	char dir[32];	 /* of plugins */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	lnx_log_set_level(-1);
	assert_int_equal(lnx_offline_new(NULL, &f->app), 0);
	f->app->loop = ev_loop_new(EVFLAG_AUTO);
	f->log = tmpfile();
	assert_non_null(f->log);
	n_init = n_start = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct ev_loop *loop = f->app->loop;

	lnx_plugins_stop(f->app);
	lnx_offline_free(f->app);
	ev_loop_destroy(loop);
	(void)fclose(f->log);
	free(f);
	return 0;
}

/* What is logged while <fn> runs is kept. */
static void logging(struct fixture *f, void (*fn)(struct fixture *f))
{
	int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	assert_true(old >= 0 && dup2(fileno(f->log), STDERR_FILENO) >= 0);
	lnx_log_set_level(LNX_INFO);
	fn(f);
	lnx_log_set_level(-1);
	(void)dup2(old, STDERR_FILENO);
	(void)close(old);
}

static const char *logged(struct fixture *f)
{
	ssize_t n = pread(fileno(f->log), f->text, sizeof(f->text) - 1, 0);

	f->text[n > 0 ? n : 0] = 0;
	return f->text;
}

static struct lnx_ctx *add(struct fixture *f, const struct lnx_plugin *p)
{
	struct lnx_ctx *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->app = f->app;
	c->plugin = p;
	(void)snprintf(c->name, sizeof(c->name), "%s", p->name);
	(void)snprintf(c->path, sizeof(c->path), "/plugins/%s.so", p->name);
	c->crash_index = -1;
	f->app->plugins->list[f->app->plugins->n++] = c;
	return c;
}

static void order_and_start(struct fixture *f)
{
	lnx_plugins_order(f->app);
	lnx_plugins_init(f->app);
	lnx_plugins_start(f->app);
}

static void run(struct fixture *f)
{
	logging(f, order_and_start);
}

/* It did not run, and people are told why: in /plugins, in the log, by /readyz. */
static void is_refused(struct fixture *f, const struct lnx_ctx *c, const char *why)
{
	struct lnx_buf json = { 0 };
	char text[2048];

	assert_int_equal(c->status, LNX_INST_REFUSED);
	assert_int_equal(c->is_started, 0);
	lnx_plugins_json(f->app, &json);
	(void)snprintf(text, sizeof(text), "\"state\":\"refused\",\"error\":\"%s\"", why);
	assert_non_null(strstr(json.data, text));
	lnx_buf_done(&json);
	(void)snprintf(text, sizeof(text), "plugin %s: %s\n", c->path, why);
	assert_non_null(strstr(logged(f), text));
	assert_int_equal(c->n_health, 1);
	assert_int_equal(c->health[0].state, LNX_HEALTH_LOST);
	assert_string_equal(c->health[0].why, why);
}

static const char *const needs_nothing_known[] = { "unobtainium/1", NULL };
static const char *const needs_if_there[] = { "unobtainium/1?", NULL };
static const char *const needs_given[] = { "given/1", NULL }, *const gives[] = { "given/1", NULL };

#define TABLE                                                                                      \
	.size = sizeof(struct lnx_plugin), .abi_major = LNX_ABI_MAJOR, .abi_minor = LNX_ABI_MINOR, \
	.version = "1.0"

static void a_plugin_whose_need_nobody_provides_does_not_start(void **state)
{
	static const char *const needs_lonely[] = { "lonely/1", NULL }, *const gives_lonely[] = {
		"lonely/1", NULL
	};
	static const struct lnx_plugin lonely = { TABLE,
						  .name = "lonely",
						  .init = init,
						  .start = start,
						  .needs = needs_nothing_known,
						  .provides = gives_lonely },
				       behind = { TABLE, .name = "behind", .init = init,
						  .start = start, .needs = needs_lonely },
				       modest = { TABLE, .name = "modest", .init = init,
						  .start = start, .needs = needs_if_there },
				       other = { TABLE, .name = "other", .init = init,
						 .start = start };
	struct fixture *f = *state;
	struct lnx_ctx *a = add(f, &behind), *b = add(f, &lonely), *c = add(f, &modest),
		       *d = add(f, &other);

	run(f);
	is_refused(f, b, "needs the service unobtainium/1, which no loaded plugin provides");
	/* who was to have it from that one has it from nobody */
	is_refused(f, a, "needs the service lonely/1, which no loaded plugin provides");
	assert_int_equal(n_init, 2);
	assert_int_equal(n_start, 2);
	assert_int_equal(c->status, LNX_INST_RUNNING);
	assert_int_equal(d->status, LNX_INST_RUNNING);
}

static void a_plugin_whose_provider_fails_does_not_start(void **state)
{
	static const struct lnx_plugin user = { TABLE, .name = "user", .init = init, .start = start,
						.needs = needs_given },
				       broken = { TABLE, .name = "broken", .init = init_fails,
						  .start = start, .provides = gives };
	struct fixture *f = *state;
	struct lnx_ctx *a = add(f, &user), *b = add(f, &broken);

	run(f);
	assert_int_equal(b->status, LNX_INST_REFUSED);
	is_refused(f, a, "needs the service given/1, whose plugin did not start");
	assert_int_equal(n_init, 1); /* that of the provider */
	assert_int_equal(n_start, 0);
}

/* It was there at init; the user has been set up, and is taken back. */
static void a_plugin_whose_provider_fails_late_does_not_start(void **state)
{
	static const struct lnx_plugin user = { TABLE, .name = "user", .init = init, .start = start,
						.needs = needs_given },
				       broken = { TABLE, .name = "broken", .init = init_provides,
						  .start = start_fails, .provides = gives };
	struct fixture *f = *state;
	struct lnx_ctx *a = add(f, &user), *b = add(f, &broken);

	run(f);
	assert_int_equal(b->status, LNX_INST_REFUSED);
	is_refused(f, a, "needs the service given/1, whose plugin did not start");
	assert_int_equal(n_init, 2);
	assert_int_equal(n_start, 1); /* that of the provider */
}

static void a_provider_comes_before_who_needs_it(void **state)
{
	static const struct lnx_plugin user = { TABLE, .name = "user", .init = init, .start = start,
						.needs = needs_given },
				       giver = { TABLE, .name = "giver", .init = init_provides,
						 .start = start, .provides = gives };
	struct fixture *f = *state;
	struct lnx_ctx *a = add(f, &user), *b = add(f, &giver);

	run(f);
	assert_int_equal(a->status, LNX_INST_RUNNING);
	assert_int_equal(b->status, LNX_INST_RUNNING);
	assert_ptr_equal(f->app->plugins->list[0], b);
	assert_ptr_equal(f->app->plugins->list[1], a);
}

static void a_circle_of_needs_does_not_start(void **state)
{
	static const char *const needs_other[] = { "other/1", NULL }, *const gives_other[] = {
		"other/1", NULL
	};
	static const struct lnx_plugin
		one = { TABLE,		.name = "one",	      .init = init,
			.start = start, .needs = needs_given, .provides = gives_other },
		two = { TABLE,		.name = "two",	      .init = init,
			.start = start, .needs = needs_other, .provides = gives };
	struct fixture *f = *state;
	struct lnx_ctx *a = add(f, &one), *b = add(f, &two);

	run(f);
	is_refused(f, a, "its needs form a circle with another plugin's");
	is_refused(f, b, "its needs form a circle with another plugin's");
	assert_int_equal(n_init + n_start, 0);
}

/* ---- a file and the name that its plugin gives itself */

static void names_are_compared_whole(void **state)
{
	static const struct {
		const char *base, *suffix;
		int is_good;
	} rows[] = {
		{ "good.so", ".so", 1 },     { "good.lua", ".lua", 1 }, { "goo.so", ".so", 0 },
		{ "goods.so", ".so", 0 },    { "good2.so", ".so", 0 },	{ "ood.so", ".so", 0 },
		{ "Good.so", ".so", 0 },     { "gold.so", ".so", 0 },	{ ".so", ".so", 0 },
		{ "good.so.so", ".so", 0 },  { "good", ".so", 0 },	{ "goods.lua", ".lua", 0 },
		{ "good.new.so", ".so", 0 },
	};
	static const struct lnx_plugin good = { TABLE, .name = "good" },
				       nameless = { TABLE, .name = NULL },
				       bad = { TABLE, .name = "No-Name" };
	struct lnx_err err;
	char why[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err.msg[0] = 0;
		assert_int_equal(lnx_plugin_check_table(&good, rows[i].base, rows[i].suffix, &err),
				 rows[i].is_good ? 0 : -EINVAL);
		(void)snprintf(why, sizeof(why),
			       "calls itself 'good'; the file must be named NAME%s",
			       rows[i].suffix);
		assert_string_equal(err.msg, rows[i].is_good ? "" : why);
	}
	assert_int_equal(lnx_plugin_check_table(&nameless, "good.so", ".so", &err), -EINVAL);
	assert_int_equal(lnx_plugin_check_table(&bad, "No-Name.so", ".so", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "bad name"));
}

static void copy(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	(void)close(in);
	(void)close(out);
}

static void scan(struct fixture *f)
{
	const char *const dirs[] = { f->dir, NULL };

	(void)lnx_plugins_scan(f->app, dirs); /* what it finds tells */
}

/* A real one, under its name and under others. */
static void a_file_under_another_name_is_refused(void **state)
{
	static const char *const names[] = { "ps.so", "psi.so", "psi2.so", "zz.so" };
	const char *build = getenv("LNX_BUILD");
	char from[256], path[4][64];
	struct fixture *f = *state;

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/lnx-inst-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(from, sizeof(from), "%s/plugins/psi.so", build ? build : "build");
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(path[i], sizeof(path[i]), "%s/%s", f->dir, names[i]);
		copy(from, path[i]);
	}
	logging(f, scan);
	for (unsigned i = 0; i < 4; i++)
		(void)unlink(path[i]);
	(void)rmdir(f->dir);
	assert_int_equal(f->app->plugins->n, 4);
	for (unsigned i = 0; i < 4; i++) {
		struct lnx_ctx *c = f->app->plugins->list[i];

		assert_int_equal(c->status, i == 1 ? LNX_INST_NEW : LNX_INST_REFUSED);
		assert_string_equal(c->error,
				    i == 1 ? ""
					   : "calls itself 'psi'; the file must be named NAME.so");
		assert_true(i == 1 ? c->plugin != NULL : c->plugin == NULL);
	}
	assert_non_null(strstr(logged(f), "/psi2.so: calls itself 'psi'"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_plugin_whose_need_nobody_provides_does_not_start),
		TEST(a_plugin_whose_provider_fails_does_not_start),
		TEST(a_plugin_whose_provider_fails_late_does_not_start),
		TEST(a_provider_comes_before_who_needs_it),
		TEST(a_circle_of_needs_does_not_start),
		cmocka_unit_test(names_are_compared_whole),
		TEST(a_file_under_another_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
