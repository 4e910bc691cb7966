/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading a configuration: the tree and its places, what is refused and how it is said, files, no memory.
 * LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "fail_alloc.h"

/* ---- helpers */

static struct lnx_node *parse(const char *text)
{
	struct lnx_node *root = NULL;
	struct lnx_err err = { .line = 0 };
	int r = lnx_conf_parse(text, strlen(text), &root, &err);

	if (r < 0)
		print_error("%d:%d: %s\n", err.line, err.column, err.msg);
	assert_int_equal(r, 0);
	assert_non_null(root);
	return root;
}

/* <text> is refused with <rc> at line:column, and the message holds <part>. */
static void refused(const char *text, size_t bytes, int rc, int line, int column, const char *part)
{
	struct lnx_node *root = NULL;
	struct lnx_err err = { .line = 0 };

	assert_int_equal(lnx_conf_parse(text, bytes, &root, &err), rc);
	assert_null(root);
	if (!strstr(err.msg, part) || err.line != line || err.column != column)
		print_error("%d:%d: %s\n", err.line, err.column, err.msg);
	assert_non_null(strstr(err.msg, part));
	assert_int_equal(err.line, line);
	assert_int_equal(err.column, column);
	/* and nobody has to want the text */
	assert_int_equal(lnx_conf_parse(text, bytes, &root, NULL), rc);
}

static void refused_text(const char *text, int line, int column, const char *part)
{
	refused(text, strlen(text), -EINVAL, line, column, part);
}

static char *repeat(const char *what, size_t bytes)
{
	size_t n = strlen(what), i;
	char *s = malloc(bytes + 1);

	assert_non_null(s);
	for (i = 0; i < bytes; i++)
		s[i] = what[i % n];
	s[bytes] = 0;
	return s;
}

/* CPU time so far: what is quadratic takes minutes, and the machine may be slow or busy. */
#define CPU_S 10

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the tree */

static void the_tree_keeps_order_kinds_and_places(void **state)
{
	struct lnx_node *root = parse("# comment\n"
				      "http:\n"
				      "  listen: 127.0.0.1:3000\n"
				      "  hosts: [a, 'b c',\n"
				      "    \"d\\te\"]\n"
				      "log: {level: \"info\"}\n"
				      "empty:\n");
	const struct lnx_node *http = lnx_conf_get(root, "http"), *n;

	(void)state;
	assert_int_equal(root->kind, LNX_NODE_MAP);
	assert_int_equal(http->kind, LNX_NODE_MAP);
	assert_int_equal(http->line, 2);
	assert_int_equal(http->column, 1);
	n = lnx_conf_get(http, "listen");
	assert_int_equal(n->kind, LNX_NODE_SCALAR);
	assert_string_equal(n->value, "127.0.0.1:3000");
	assert_int_equal(n->is_quoted, 0);
	assert_int_equal(n->line, 3);
	assert_int_equal(n->column, 3);
	n = lnx_conf_get(http, "hosts");
	assert_int_equal(n->kind, LNX_NODE_LIST);
	assert_string_equal(n->child->value, "a");
	assert_int_equal(n->child->line, 4);
	assert_int_equal(n->child->column, 11);
	assert_string_equal(n->child->next->value, "b c");
	assert_int_equal(n->child->next->is_quoted, 1);
	assert_string_equal(n->child->next->next->value, "d\te");
	assert_int_equal(n->child->next->next->line, 5);
	assert_null(n->child->next->next->next);
	n = lnx_conf_get(lnx_conf_get(root, "log"), "level");
	assert_int_equal(n->is_quoted, 1);
	n = lnx_conf_get(root, "empty");
	assert_int_equal(n->kind, LNX_NODE_SCALAR);
	assert_string_equal(n->value, "");
	assert_null(n->next);
	assert_null(lnx_conf_get(root, "nope"));
	assert_null(lnx_conf_get(n, "nope"));
	assert_null(lnx_conf_get(NULL, "nope"));
	lnx_conf_free(root);
	lnx_conf_free(NULL);
}

static void empty_documents_are_empty_maps(void **state)
{
	static const char *const texts[] = {
		"",  "\n\n",   "# only a comment\n",   "---\n",		  "---\n...\n", "{}",
		"~", "null\n", "\xef\xbb\xbf# mark\n", "%YAML 1.1\n---\n"
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct lnx_node *root = parse(texts[i]);

		assert_int_equal(root->kind, LNX_NODE_MAP);
		assert_null(root->child);
		lnx_conf_free(root);
	}
}

static void null_is_told_from_text(void **state)
{
	struct lnx_node *root = parse("a: ~\nb: null\nc:\nd: ''\ne: 'null'\nf: nil\ng: []\n");
	static const char nulls[] = "abc", others[] = "defg";
	char key[2] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; nulls[i]; i++) {
		key[0] = nulls[i];
		assert_true(lnx_conf_is_null(lnx_conf_get(root, key)));
	}
	for (i = 0; others[i]; i++) {
		key[0] = others[i];
		assert_false(lnx_conf_is_null(lnx_conf_get(root, key)));
	}
	lnx_conf_free(root);
}

static void windows_line_ends_and_utf8_are_read(void **state)
{
	struct lnx_node *root = parse("a: b\r\nc: d\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\r\n");

	(void)state;
	assert_string_equal(lnx_conf_get(root, "a")->value, "b");
	assert_string_equal(lnx_conf_get(root, "c")->value,
			    "d\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_int_equal(lnx_conf_get(root, "c")->line, 2);
	lnx_conf_free(root);
}

/* ---- refusals */

static void broken_yaml_is_said_with_its_place(void **state)
{
	(void)state;
	refused_text("a: [1, 2\nb: 3\n", 2, 2,
		     "while parsing a flow sequence that starts in line 1");
	refused_text("a: 1\n  b: 2\n", 2, 4, "mapping values are not allowed");
	refused_text("a: 'open\n", 2, 1, "unexpected end of stream");
	refused_text("a:\n\t- b\n", 2, 1, "cannot start any token");
	refused_text("a: b: c\n", 1, 5, "mapping values are not allowed");
	refused_text("a: }\n", 1, 4, "did not find");
	refused_text("- a\n- b\n", 1, 1, "expected sections such as 'http:', not a list");
	refused_text("just text\n", 1, 1, "not a text");
	refused_text("'null'\n", 1, 1, "not a text");
	refused_text("%YAML 9.9\n---\na: b\n", 1, 1, "incompatible YAML document");
}

static void what_is_no_plain_configuration_is_refused(void **state)
{
	(void)state;
	refused_text("a: 1\nb: 2\na: 3\n", 3, 1, "'a' was already given in line 1");
	refused_text("a: {b: 1,\n c: 2, b: 3}\n", 2, 8, "'b' was already given in line 1");
	refused_text("a: &x 1\n", 1, 4, "anchors (&x) are not supported");
	refused_text("a: &x [1]\n", 1, 4, "anchors (&x) are not supported");
	refused_text("a: &x {b: 1}\n", 1, 4, "anchors (&x) are not supported");
	refused_text("a: 1\nb: *x\n", 2, 4, "aliases (*x) are not supported");
	refused_text("a: !!int 1\n", 1, 4, "tags (tag:yaml.org,2002:int) are not supported");
	refused_text("a: !x [1]\n", 1, 4, "tags (!x) are not supported");
	refused_text("a: !x {b: 1}\n", 1, 4, "tags (!x) are not supported");
	refused_text("%TAG !e! tag:e,2000:\n---\na: 1\n", 1, 1, "tags are not supported");
	refused_text("a: 1\n---\nb: 2\n", 2, 1, "a second document starts here");
	refused_text("[a]: 1\n", 1, 1, "a key must be plain text, not a list");
	refused_text("? {a: b}\n: 1\n", 1, 3, "a key must be plain text, not a map");
	refused_text("'': 1\n", 1, 1, "a key is missing");
	refused_text(": 1\n", 1, 1, "did not find expected key");
	refused_text("a: \"x\\0y\"\n", 1, 4, "NUL");
}

static void binary_is_refused_with_its_place(void **state)
{
	(void)state;
	refused("a: b\0c\n", 7, -EINVAL, 1, 5, "control character 0x00");
	refused("\x7f"
		"ELF\x02\x01",
		6, -EINVAL, 1, 1, "control character 0x7f");
	refused("\0", 1, -EINVAL, 1, 1, "control character 0x00");
	refused("a: b\nc: \xff\xfe\n", 12, -EINVAL, 2, 4, "byte 0xff is not UTF-8");
	refused("\xff\xfe"
		"a\0:\0",
		6, -EINVAL, 1, 1, "is this a text file?");
	refused("a: \xc3\xa9 \xe2\x82", 8, -EINVAL, 1, 6, "byte 0xe2 is not UTF-8");
	refused("a: \xed\xa0\x80", 6, -EINVAL, 1, 4, "byte 0xed is not UTF-8");
	refused("a: \x1b[31m", 8, -EINVAL, 1, 4, "control character 0x1b");
	refused("a: \xc2\x9b", 5, -EINVAL, 1, 4, "control character 0x9b");
	refused("a: b\xef\xbf\xbf", 7, -EINVAL, 1, 5, "control character 0xbf");
	refused("a: \xef\xbb\xbf", 6, -EINVAL, 1, 4, "control character 0xbf");
}

static void huge_files_are_refused_with_a_line(void **state)
{
	char *s = repeat("a: bcd\n", LNX_CONF_MAX_BYTES + 1);

	(void)state;
	refused(s, LNX_CONF_MAX_BYTES + 1, -E2BIG, 149797, 5, "larger than 1024 KiB");
	free(s);
	s = repeat("#", LNX_CONF_MAX_BYTES);
	lnx_conf_free(parse(s)); /* the limit itself is fine */
	free(s);
}

static void nested_brackets_are_refused_at_once(void **state)
{
	static const struct {
		const char *what;
		int line, column;
	} cases[] = {
		{ "[", 1, 33 },	 { "[\n", 33, 1 },   { "{", 1, 2 },    { "- ", 1, 65 },
		{ "[ ", 1, 65 }, { "{a: ", 1, 129 }, { "[a,", 1, 97 }, { "[{", 1, 3 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *s = repeat(cases[i].what, LNX_CONF_MAX_BYTES);
		struct lnx_node *root = NULL;
		struct lnx_err err = { .line = 0 };
		double from = cpu_s();
		int r = lnx_conf_parse(s, LNX_CONF_MAX_BYTES, &root, &err);

		assert_true(cpu_s() - from < CPU_S);
		assert_true(r == -E2BIG || r == -EINVAL);
		if (err.line != cases[i].line || err.column != cases[i].column)
			print_error("%s: %d:%d: %s\n", cases[i].what, err.line, err.column,
				    err.msg);
		assert_int_equal(err.line, cases[i].line);
		assert_int_equal(err.column, cases[i].column);
		free(s);
	}
}

static void the_deepest_allowed_nesting_is_read(void **state)
{
	char text[256] = "a: ";
	int i;

	(void)state;
	for (i = 0; i < LNX_CONF_MAX_DEPTH - 1; i++) {
		text[3 + i] = '[';
		text[3 + 2 * (LNX_CONF_MAX_DEPTH - 1) - 1 - i] = ']';
	}
	lnx_conf_free(parse(text));
	/* brackets in quotes and comments are not nesting */
	lnx_conf_free(parse(
		"a: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[' # [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["));
}

static void wide_files_are_bounded_and_quick(void **state)
{
	struct lnx_buf b = { 0 };
	double from;
	char *s;
	unsigned i;

	(void)state;
	for (i = 0; i <= LNX_CONF_MAX_KEYS; i++)
		lnx_buf_printf(&b, "key%u: 1\n", i);
	refused(b.data, b.size, -E2BIG, LNX_CONF_MAX_KEYS + 1, 1, "more than 1024 keys in one map");
	lnx_buf_reset(&b);
	lnx_buf_str(&b, "a:\n");
	for (i = 0; i < LNX_CONF_MAX_NODES; i++)
		lnx_buf_str(&b, "- 1\n");
	from = cpu_s();
	refused(b.data, b.size, -E2BIG, LNX_CONF_MAX_NODES, 3, "more than 65536 values");
	assert_true(cpu_s() - from < CPU_S);
	lnx_buf_done(&b);
	s = repeat("x", LNX_CONF_MAX_BYTES);
	memcpy(s, "a: '", 4);
	s[LNX_CONF_MAX_BYTES - 1] = '\'';
	lnx_conf_free(parse(s));
	free(s);
}

/* ---- files */

struct files {
	char dir[64], path[128];
};

static int files_setup(void **state)
{
	static struct files f;

	(void)snprintf(f.dir, sizeof(f.dir), "/tmp/lnx-conf-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	(void)snprintf(f.path, sizeof(f.path), "%s/linnix.yaml", f.dir);
	*state = &f;
	return 0;
}

static int files_teardown(void **state)
{
	struct files *f = *state;

	(void)unlink(f->path); /* not every test made it */
	return rmdir(f->dir);
}

static void file_write(const char *path, const char *text, size_t bytes)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

static void load_refused(const char *path, int rc, int line, const char *part)
{
	struct lnx_node *root = NULL;
	struct lnx_err err = { .line = 9 };

	assert_int_equal(lnx_conf_load(path, &root, &err), rc);
	assert_null(root);
	assert_int_equal(err.line, line);
	if (!strstr(err.msg, part))
		print_error("%s\n", err.msg);
	assert_non_null(strstr(err.msg, part));
}

static void files_are_read(void **state)
{
	struct files *f = *state;
	struct lnx_node *root = NULL;
	struct lnx_err err;

	file_write(f->path, "a: b\n", 5);
	assert_int_equal(lnx_conf_load(f->path, &root, &err), 0);
	assert_string_equal(lnx_conf_get(root, "a")->value, "b");
	lnx_conf_free(root);
	assert_int_equal(lnx_conf_load("/dev/null", &root, &err), 0);
	assert_null(root->child);
	lnx_conf_free(root);
}

static void files_that_cannot_be_read_say_why(void **state)
{
	struct files *f = *state;

	load_refused(f->path, -ENOENT, 0, "No such file");
	load_refused(f->dir, -EISDIR, 0, "is a directory");
	load_refused("/proc/self/mem", -EIO, 0, "cannot be read");
	load_refused("/dev/zero", -EINVAL, 1, "control character 0x00");
	file_write(f->path, "a: b\n", 5);
	assert_int_equal(chmod(f->path, 0), 0);
	if (geteuid() == 0) {
		/* root reads anything: look as nobody */
		assert_int_equal(seteuid(65534), 0);
		load_refused(f->path, -EACCES, 0, "Permission denied");
		assert_int_equal(seteuid(0), 0);
	} else {
		load_refused(f->path, -EACCES, 0, "Permission denied");
	}
}

static void a_huge_file_is_not_read_to_its_end(void **state)
{
	struct files *f = *state;
	char *s = repeat("#", 3u << 20);

	file_write(f->path, s, 3u << 20);
	load_refused(f->path, -E2BIG, 1, "larger than 1024 KiB");
	free(s);
}

static void a_silent_pipe_does_not_hold_up_the_start(void **state)
{
	struct files *f = *state;
	struct lnx_node *root = NULL;
	char path[32];
	int p[2];

	assert_int_equal(pipe(p), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", p[0]);
	load_refused(path, -ETIMEDOUT, 0, "timed out");
	assert_int_equal(write(p[1], "a: b\n", 5), 5);
	close(p[1]);
	assert_int_equal(lnx_conf_load(path, &root, NULL), 0);
	assert_string_equal(lnx_conf_get(root, "a")->value, "b");
	lnx_conf_free(root);
	close(p[0]);
	(void)f;
}

/* ---- memory */

static void without_memory_there_is_an_error_and_no_leak(void **state)
{
	struct files *f = *state;
	struct lnx_node *root = NULL;
	struct lnx_err err;
	long n;
	int r;

	file_write(f->path, "a: {b: [1, 2], c: d}\ne: f\n", 26);
	for (n = 1; n < 1000; n++) {
		allocations = 0;
		fail_at = n;
		r = lnx_conf_load(f->path, &root, &err);
		fail_at = 0;
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(root);
		assert_true(strcasestr(err.msg, "memory") != NULL);
	}
	assert_in_range(n, 15, 999);
	lnx_conf_free(root);
	/* the same for a file that holds nothing */
	root = NULL;
	allocations = 0;
	fail_at = 1;
	r = lnx_conf_parse("", 0, &root, &err);
	fail_at = 0;
	assert_int_equal(r, -ENOMEM);
	assert_null(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tree_keeps_order_kinds_and_places),
		cmocka_unit_test(empty_documents_are_empty_maps),
		cmocka_unit_test(null_is_told_from_text),
		cmocka_unit_test(windows_line_ends_and_utf8_are_read),
		cmocka_unit_test(broken_yaml_is_said_with_its_place),
		cmocka_unit_test(what_is_no_plain_configuration_is_refused),
		cmocka_unit_test(binary_is_refused_with_its_place),
		cmocka_unit_test(huge_files_are_refused_with_a_line),
		cmocka_unit_test(nested_brackets_are_refused_at_once),
		cmocka_unit_test(the_deepest_allowed_nesting_is_read),
		cmocka_unit_test(wide_files_are_bounded_and_quick),
		cmocka_unit_test_setup_teardown(files_are_read, files_setup, files_teardown),
		cmocka_unit_test_setup_teardown(files_that_cannot_be_read_say_why, files_setup,
						files_teardown),
		cmocka_unit_test_setup_teardown(a_huge_file_is_not_read_to_its_end, files_setup,
						files_teardown),
		cmocka_unit_test_setup_teardown(a_silent_pipe_does_not_hold_up_the_start,
						files_setup, files_teardown),
		cmocka_unit_test_setup_teardown(without_memory_there_is_an_error_and_no_leak,
						files_setup, files_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
