/* SPDX-License-Identifier: MIT */
/* Options of the test host: the defaults of the plugin's table and the overrides of the test, bound as
 * the daemon does. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testhost_priv.h"

void th_kv_free(void *p)
{
	struct th_kv *kv = p;

	if (!kv)
		return;
	free(kv->key);
	free(kv->value);
	free(kv);
}

void th_conf_free(struct th_conf *c)
{
	if (!c)
		return;
	th_list_done(&c->owned, free);
	free(c->data);
	free(c);
}

static void *conf_own(struct th_conf *c, void *p)
{
	if (p && th_list_add(&c->owned, p)) {
		free(p);
		return NULL;
	}
	return p;
}

/* "10s" is 10 with suffix "s". */
static int number(const char *text, double *ret_v, const char **ret_suffix)
{
	char *end;

	if (!text[0])
		return -EINVAL;
	errno = 0;
	*ret_v = strtod(text, &end);
	if (end == text || errno || !isfinite(*ret_v))
		return -EINVAL;
	*ret_suffix = end;
	return 0;
}

static int scaled(const struct lnx_option *o, const char *text, double *ret_v)
{
	static const struct {
		uint32_t type;
		const char *suffix;
		double scale;
	} units[] = {
		{ LNX_OPT_DURATION, "ns", 1 },	     { LNX_OPT_DURATION, "us", 1e3 },
		{ LNX_OPT_DURATION, "ms", 1e6 },     { LNX_OPT_DURATION, "s", 1e9 },
		{ LNX_OPT_DURATION, "m", 60e9 },     { LNX_OPT_DURATION, "h", 3600e9 },
		{ LNX_OPT_DURATION, "d", 86400e9 },  { LNX_OPT_SIZE, "B", 1 },
		{ LNX_OPT_SIZE, "KiB", 1024 },	     { LNX_OPT_SIZE, "MiB", 1048576 },
		{ LNX_OPT_SIZE, "GiB", 1073741824 },
	};
	const char *suffix = "";
	double v = 0;
	size_t i;
	int r = number(text, &v, &suffix);

	if (r)
		return r;
	if (!suffix[0] && o->type == LNX_OPT_DURATION && v != 0)
		return -EINVAL; /* a duration names its unit */
	if (suffix[0]) {
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (units[i].type == o->type && strcmp(units[i].suffix, suffix) == 0)
				break;
		if (i == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		v *= units[i].scale;
	}
	if ((o->min != 0 || o->max != 0) && (v < o->min || v > o->max))
		return -ERANGE;
	*ret_v = v;
	return 0;
}

static int bind_number(const struct lnx_option *o, const char *text, char *at)
{
	double v = 0;
	uint64_t u64;
	uint32_t u32;
	int r = scaled(o, text, &v);

	if (r)
		return r;
	if (o->type == LNX_OPT_F64) {
		memcpy(at, &v, sizeof(v));
		return 0;
	}
	if (v < 0 || v > (o->type == LNX_OPT_U32 ? (double)UINT32_MAX : 1.8e19))
		return -ERANGE;
	if (floor(v) != v)
		return -EINVAL;
	u64 = (uint64_t)v;
	u32 = (uint32_t)v;
	if (o->type == LNX_OPT_U32)
		memcpy(at, &u32, sizeof(u32));
	else
		memcpy(at, &u64, sizeof(u64));
	return 0;
}

static int bind_word(const struct lnx_option *o, const char *text, char *at)
{
	static const char *const no_yes[] = { "false", "true", NULL };
	const char *const *names = o->type == LNX_OPT_BOOL ? no_yes : o->names;
	uint32_t i;

	for (i = 0; names && names[i]; i++)
		if (strcmp(names[i], text) == 0) {
			memcpy(at, &i, sizeof(i));
			return 0;
		}
	return -EINVAL;
}

static int bind_list(struct th_conf *c, const char *text, char *at)
{
	char *copy = conf_own(c, strdup(text)), *save = NULL, *word;
	size_t n = 1, i;
	char **list;

	for (i = 0; text[i]; i++)
		n += text[i] == ',';
	list = conf_own(c, calloc(n + 1, sizeof(*list)));
	if (!copy || !list)
		return -ENOMEM;
	n = 0;
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		list[n++] = word;
	memcpy(at, &list, sizeof(list));
	return 0;
}

static int bind_one(struct th_conf *c, const struct lnx_option *o, const char *text, size_t size)
{
	char *at = (char *)c->data + o->offset, *copy;
	size_t need = o->type == LNX_OPT_U32 || o->type == LNX_OPT_BOOL || o->type == LNX_OPT_ENUM
			      ? 4
			      : 8;

	if (o->offset + need > size)
		return -EOVERFLOW;
	switch (o->type) {
	case LNX_OPT_BOOL:
	case LNX_OPT_ENUM:
		return bind_word(o, text, at);
	case LNX_OPT_U32:
	case LNX_OPT_U64:
	case LNX_OPT_F64:
	case LNX_OPT_DURATION:
	case LNX_OPT_SIZE:
		return bind_number(o, text, at);
	case LNX_OPT_LIST:
		return bind_list(c, text, at);
	case LNX_OPT_STR:
	case LNX_OPT_PATH:
		copy = conf_own(c, strdup(text));
		if (!copy)
			return -ENOMEM;
		memcpy(at, &copy, sizeof(copy));
		return 0;
	default:
		return -EINVAL;
	}
}

static const char * override(const struct testhost *t, const char *key)
{
	const struct th_kv *kv;
	size_t i = t->overrides.n;

	while (i-- > 0) {
		kv = t->overrides.item[i];
		if (strcmp(kv->key, key) == 0)
			return kv->value;
	}
	return NULL;
}

static int unknown_key(struct testhost *t)
{
	const struct lnx_option *o;
	const struct th_kv *kv;
	size_t i;

	for (i = 0; i < t->overrides.n; i++) {
		kv = t->overrides.item[i];
		for (o = t->plugin->options; o && o->key; o++)
			if (strcmp(o->key, kv->key) == 0)
				break;
		if (!o || !o->key) {
			snprintf(t->error, sizeof(t->error), "%s: unknown key '%s'", t->instance,
				 kv->key);
			return -EINVAL;
		}
	}
	return 0;
}

int th_conf_bind(struct testhost *t, struct th_conf **ret_conf)
{
	const struct lnx_option *o;
	const char *text;
	struct th_conf *c;
	int r = unknown_key(t);

	if (r)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	/* exactly conf_size bytes, so that ASan sees who reads past them */
	c->data = calloc(1, t->plugin->conf_size ? t->plugin->conf_size : 1);
	if (!c->data) {
		th_conf_free(c);
		return -ENOMEM;
	}
	for (o = t->plugin->options; o && o->key; o++) {
		text = override(t, o->key);
		if (!text && (o->flags & LNX_OPTF_REQUIRED))
			r = -ENOKEY;
		else if (!o->help || !o->help[0] || !o->def)
			r = -EBADMSG; /* every option has a default and a sentence */
		else
			r = bind_one(c, o, text ? text : o->def, t->plugin->conf_size);
		if (r) {
			snprintf(t->error, sizeof(t->error), "%s: %s: '%s': %s", t->instance,
				 o->key,
				 text	  ? text
				 : o->def ? o->def
					  : "",
				 strerror(-r));
			th_conf_free(c);
			return r == -ENOMEM ? r : -EINVAL;
		}
	}
	*ret_conf = c;
	return 0;
}
