/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rule files: found, read within limits, run once in the sandbox. A file that fails leaves nothing behind but its error. */
#include "lua_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua_bind.h"
#include "lua_parse.h"

void lnx_load_error(struct lnx_rules *r, struct lnx_buf *errors, const char *path,
		    const struct lnx_err *err)
{
	char shown[512];

	(void)lnx_lua_printable(path, shown, sizeof(shown));
	if (err->line)
		lnx_buf_printf(errors, "%s:%d: %s\n", shown, err->line, err->msg);
	else
		lnx_buf_printf(errors, "%s: %s\n", shown, err->msg);
	lnx_buf_str(&r->errors_json, r->errors_json.size ? ",{" : "{");
	lnx_json_kv_str(&r->errors_json, "file", path);
	lnx_json_kv_u64(&r->errors_json, "line", (uint64_t)err->line);
	lnx_json_kv_str(&r->errors_json, "message", err->msg);
	lnx_buf_char(&r->errors_json, '}');
}

/* All that was noted, by lines. */
static void load_noted(struct lnx_rules *r, struct lnx_buf *errors, const char *path,
		       struct lnx_parse *p)
{
	unsigned n = p->n_errs < LNX_PARSE_ERRORS ? p->n_errs : LNX_PARSE_ERRORS, i, k;
	struct lnx_err err;

	for (i = 1; i < n; i++) {
		err = p->errs[i];
		for (k = i; k && p->errs[k - 1].line > err.line; k--)
			p->errs[k] = p->errs[k - 1];
		p->errs[k] = err;
	}
	for (i = 0; i < n; i++)
		lnx_load_error(r, errors, path, &p->errs[i]);
	if (p->n_errs <= n)
		return;
	err.line = 0;
	(void)lnx_err_set(&err, 0, "%u more errors", p->n_errs - n);
	lnx_load_error(r, errors, path, &err);
}

/* Who may write what the agent runs: root, itself, the owner of its program; and nobody else. */
static int load_check_owner(const struct stat *st, struct lnx_err *err)
{
	struct stat self;

	if (st->st_mode & S_IWOTH)
		return lnx_err_set(err, -EPERM, "is writable by everybody: chmod o-w");
	if (st->st_uid == 0 || st->st_uid == geteuid())
		return 0;
	if (stat("/proc/self/exe", &self) == 0 && self.st_uid == st->st_uid)
		return 0;
	return lnx_err_set(err, -EPERM, "belongs to uid %u, which is neither root nor the agent's",
			   (unsigned)st->st_uid);
}

static int load_read(const struct lnx_rules *r, int fd, struct lnx_buf *text, struct lnx_err *err)
{
	struct stat st;
	ssize_t n;
	char *room;

	if (fstat(fd, &st) < 0)
		return lnx_err_set(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return lnx_err_set(err, -EINVAL,
				   S_ISDIR(st.st_mode) ? "is a directory: name its files"
						       : "is not a regular file");
	if (r->conf.bus && load_check_owner(&st, err) < 0)
		return -EPERM;
	if (st.st_size > (off_t)LNX_LUA_FILE_BYTES)
		return lnx_err_set(err, -E2BIG, "is larger than %u bytes", LNX_LUA_FILE_BYTES);
	for (;;) {
		room = lnx_buf_room(text, 4096);
		if (!room)
			return lnx_err_set(err, lnx_buf_error(text), "is larger than %u bytes",
					   LNX_LUA_FILE_BYTES);
		n = read(fd, room, 4096);
		if (n < 0)
			return lnx_err_set(err, -errno, "%s", strerror(errno));
		if (n == 0)
			break;
		text->size += (size_t)n;
	}
	*room = 0;
	return 0;
}

static int load_run(lua_State *L)
{
	struct lnx_parse *p = lua_touserdata(L, 1);

	lnx_lua_env(L);
	p->env = lua_gettop(L);
	lua_pushcfunction(L, lnx_rule_begin);
	lua_setfield(L, p->env, "rule");
	lua_pushcfunction(L, lnx_test_begin);
	lua_setfield(L, p->env, "test");
	lnx_lua_bind_env(L, p->env);
	lnx_lua_load(L, p->file, p->text, p->bytes, p->env);
	if (p->rules->conf.is_covering)
		lnx_cover_load(L, p);
	lua_call(L, 0, 0);
	if (p->is_open)
		lnx_parse_fail(L, p, NULL, "the name has no table { ... } after it");
	return 0;
}

/* Take back what a failed file had defined. */
static void load_undo(struct lnx_rules *r, unsigned n_rules, unsigned n_tests)
{
	int refs[6];
	unsigned i;

	while (r->n_rules > n_rules) {
		struct lnx_rule *rule = r->rules[--r->n_rules];

		refs[0] = rule->when;
		refs[1] = rule->where;
		refs[2] = rule->severity;
		refs[3] = rule->say;
		for (i = 0; i < 4; i++)
			luaL_unref(r->lua->L, LUA_REGISTRYINDEX, refs[i]);
		lnx_rule_free(r, rule);
		r->rules[r->n_rules] = NULL;
	}
	while (r->n_tests > n_tests) {
		r->n_tests--;
		luaL_unref(r->lua->L, LUA_REGISTRYINDEX, r->tests[r->n_tests].feed);
		luaL_unref(r->lua->L, LUA_REGISTRYINDEX, r->tests[r->n_tests].fires);
	}
	r->files[r->n_files - 1].n_rules = 0;
	r->files[r->n_files - 1].n_tests = 0;
	(void)lua_gc(r->lua->L, LUA_GCCOLLECT);
}

/* Errors are told by load_noted. */
static int load_text(struct lnx_rules *r, const struct lnx_buf *text, const char *path,
		     struct lnx_buf *errors)
{
	struct lnx_parse p = { .rules = r,
			       .file = r->n_files - 1,
			       .text = text->size ? text->data : "" };
	unsigned n_rules = r->n_rules, n_tests = r->n_tests;
	struct lnx_err err = { .line = 0 };

	p.bytes = text->size;
	r->loading = &p;
	if (lnx_lua_call(r->lua, load_run, &p, 0, &err) < 0) {
		if (p.n_errs < LNX_PARSE_ERRORS)
			p.errs[p.n_errs] = err;
		p.n_errs++;
	}
	r->loading = NULL;
	lnx_buf_done(&p.marked);
	if (!p.n_errs)
		return 0;
	load_undo(r, n_rules, n_tests);
	load_noted(r, errors, path, &p);
	return -EINVAL;
}

int lnx_load_file(struct lnx_rules *r, const char *path, struct lnx_buf *errors)
{
	struct lnx_buf text = { .max = LNX_LUA_FILE_BYTES + 8192 };
	struct lnx_err err = { .line = 0 };
	struct lnx_rule_file *f;
	int fd, rc;
	void *p;

	if (r->n_files == LNX_LOAD_FILES) {
		(void)lnx_err_set(&err, 0, "more than %d rule files", LNX_LOAD_FILES);
		r->n_errors++;
		lnx_load_error(r, errors, path, &err);
		return 0;
	}
	p = realloc(r->files, (r->n_files + 1) * sizeof(*r->files));
	if (!p)
		return -ENOMEM;
	r->files = p;
	f = &r->files[r->n_files];
	memset(f, 0, sizeof(*f));
	f->path = strdup(path);
	if (!f->path)
		return -ENOMEM;
	r->n_files++;
	/* NONBLOCK: a fifo with the name of a rule must not hold the agent */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		rc = lnx_err_set(&err, -errno, "%s", strerror(errno));
	else
		rc = load_read(r, fd, &text, &err);
	if (fd >= 0)
		(void)close(fd); /* only read */
	if (rc < 0)
		lnx_load_error(r, errors, path, &err);
	if (rc == 0) {
		f->hash = lnx_key_hash(text.data, text.size, 7);
		r->hash = lnx_key_hash(&f->hash, sizeof(f->hash), r->hash);
		rc = load_text(r, &text, path, errors);
	}
	r->n_errors += rc < 0;
	lnx_buf_done(&text);
	return 0;
}

static int load_is_rule(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 && strcmp(d->d_name + n - 4, ".lua") == 0;
}

/* By bytes: the order must not hang on a locale. */
static int load_compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int lnx_load_dir(struct lnx_rules *r, const char *dir, struct lnx_buf *errors)
{
	struct dirent **names = NULL;
	struct lnx_err err = { .line = 0 };
	char path[PATH_MAX];
	struct stat st;
	int i, n, rc = 0;

	if (stat(dir, &st) == 0 && S_ISREG(st.st_mode))
		return lnx_load_file(r, dir, errors);
	n = scandir(dir, &names, load_is_rule, load_compare);
	if (n < 0) {
		if (errno == ENOMEM)
			return -ENOMEM;
		(void)lnx_err_set(&err, 0, "%s", strerror(errno));
		r->n_errors++;
		lnx_load_error(r, errors, dir, &err);
		return 0;
	}
	for (i = 0; i < n; i++) {
		if (rc == 0 && !lnx_lua_is_over(r->lua) &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name) <
			    sizeof(path))
			rc = lnx_load_file(r, path, errors);
		free(names[i]);
	}
	free(names);
	return rc;
}
