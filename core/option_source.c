/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where options are given: finds the option of each key of the file, each variable and each flag, and reports what is
 * nobody's. Values are not looked at here. */
#include "option_impl.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

/* Variables that are no options. */
static const char *const other_variables[] = { "LINNIX_URL", "LINNIX_API_TOKEN",
					       "LINNIX_CHAIN_PRIVATE_KEY", NULL };

/* ---- file */

static const char *suggest_key(struct lnx_binder *b, const struct lnx_section *section,
			       const char *key)
{
	const char **words = calloc(b->n_slots + 1, sizeof(*words)), *found;
	unsigned i, n = 0;

	if (!words) {
		b->is_out_of_memory = true;
		return NULL;
	}
	for (i = 0; i < b->n_slots; i++)
		if (b->slots[i].section == section)
			words[n++] = b->slots[i].option->key;
	found = lnx_suggest(key, words);
	free(words);
	return found;
}

static const char *suggest_section(struct lnx_binder *b, const char *name)
{
	const struct lnx_bind_args *a = b->args;
	const char **words, *found;
	unsigned i, n_known = 0;

	while (a->known && a->known[n_known])
		n_known++;
	words = calloc((size_t)a->n_sections + n_known + 1, sizeof(*words));
	if (!words) {
		b->is_out_of_memory = true;
		return NULL;
	}
	for (i = 0; i < a->n_sections; i++)
		words[i] = a->sections[i].name;
	for (i = 0; i < n_known; i++)
		words[a->n_sections + i] = a->known[i];
	found = lnx_suggest(name, words);
	free(words);
	return found;
}

static struct lnx_section *section_find(struct lnx_binder *b, const char *name)
{
	unsigned i;

	for (i = 0; i < b->args->n_sections; i++)
		if (strcmp(b->args->sections[i].name, name) == 0)
			return &b->args->sections[i];
	return NULL;
}

static bool section_is_known(const struct lnx_binder *b, const char *name)
{
	const char *const *k = b->args->known;

	for (; k && *k; k++)
		if (strcmp(*k, name) == 0)
			return true;
	return false;
}

int lnx_section_is_name(const char *section)
{
	const char *instance = strchr(section, '.'), *p;

	if (!instance)
		return 1;
	for (p = ++instance; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return 0;
	return p > instance && (size_t)(p - section) < LNX_SECTION_MAX;
}

/* Is there an option below the map <path> ("llm" of "llm.endpoint")? */
static bool path_is_map(struct lnx_binder *b, const struct lnx_section *section, const char *path)
{
	size_t n = strlen(path);
	unsigned i;

	for (i = 0; i < b->n_slots; i++)
		if (b->slots[i].section == section &&
		    strncmp(b->slots[i].option->key, path, n) == 0 &&
		    b->slots[i].option->key[n] == '.')
			return true;
	return false;
}

static void file_unknown_key(struct lnx_binder *b, const struct lnx_section *section,
			     const char *path, const struct lnx_node *n)
{
	const char *hint = suggest_key(b, section, path);

	lnx_bind_error(b, n, "%s: unknown key '%.80s'%s%s%s", section->name, path,
		       hint ? " (did you mean '" : "", hint ? hint : "", hint ? "'?)" : "");
}

/* Find the options of <map>, whose keys all start with <prefix>. */
static void file_walk_map(struct lnx_binder *b, struct lnx_section *section, const char *prefix,
			  const struct lnx_node *map)
{
	const struct lnx_node *n;
	char path[LNX_OPT_KEY_MAX];
	struct lnx_slot *s;
	int size;

	for (n = map->child; n; n = n->next) {
		size = snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", n->key);
		s = size > 0 && (size_t)size < sizeof(path) ? lnx_bind_find(b, section, path)
							    : NULL;
		if (s && s->node)
			lnx_bind_error(b, n, "%s: '%s' was already given in line %d", section->name,
				       path, s->node->line);
		else if (s)
			s->node = n;
		else if (!path_is_map(b, section, path))
			file_unknown_key(b, section, path, n);
		else if (n->kind == LNX_NODE_MAP)
			file_walk_map(b, section, path, n); /* ends: no option has so many dots */
		else if (!lnx_conf_is_null(n))
			lnx_bind_error(b, n, "%s: '%s' holds keys: a map is expected, not a %s",
				       section->name, path,
				       n->kind == LNX_NODE_LIST ? "list" : "single value");
	}
}

void lnx_bind_file(struct lnx_binder *b)
{
	const struct lnx_node *n = b->args->root ? b->args->root->child : NULL;
	struct lnx_section *section;
	const char *hint;

	for (; n; n = n->next) {
		section = section_find(b, n->key);
		if (!section && !lnx_section_is_name(n->key)) {
			lnx_bind_error(
				b, n,
				"section '%.80s': an instance is named with letters, digits, '-' and "
				"'_', the section has at most %d characters",
				n->key, LNX_SECTION_MAX - 1);
		} else if (!section && !section_is_known(b, n->key)) {
			hint = suggest_section(b, n->key);
			lnx_bind_error(b, n, "unknown section '%.80s'%s%s%s", n->key,
				       hint ? " (did you mean '" : "", hint ? hint : "",
				       hint ? "'?)" : "");
		} else if (n->kind != LNX_NODE_MAP && !lnx_conf_is_null(n)) {
			lnx_bind_error(b, n, "%s: is a section: keys are expected, not a %s",
				       n->key, n->kind == LNX_NODE_LIST ? "list" : "single value");
		} else if (section && n->kind == LNX_NODE_MAP) {
			file_walk_map(b, section, "", n);
		}
	}
}

/* ---- environment and flags */

static void env_unknown(struct lnx_binder *b, const char *variable, size_t n)
{
	const char **words = calloc(b->n_slots + 1, sizeof(*words)), *hint;
	char name[LNX_ENV_NAME_MAX];
	unsigned i;

	(void)snprintf(name, sizeof(name), "%.*s",
		       (int)(n < LNX_ENV_NAME_MAX ? n : LNX_ENV_NAME_MAX - 1), variable);
	for (i = 0; words && i < b->n_slots; i++)
		words[i] = b->slots[i].env_name;
	hint = words ? lnx_suggest(name, words) : NULL;
	for (i = 0; name[i]; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			name[i] = '?';
	lnx_buf_printf(b->warnings, "%s: unknown variable%s%s%s\n", name,
		       hint ? " (did you mean " : "", hint ? hint : "", hint ? "?)" : "");
	b->is_out_of_memory |= !words;
	free(words);
}

/* Is this variable nobody's mistake? Kubernetes injects LINNIX_AGENT_PORT, LINNIX_SERVICE_HOST and the like; a section
 * that is not loaded now may have its own. */
static bool env_is_foreign(struct lnx_binder *b, const char *variable, size_t n)
{
	const char *const *k = b->args->known;
	const char *prefix;
	unsigned i;

	for (i = 0; other_variables[i]; i++)
		if (strlen(other_variables[i]) == n &&
		    strncmp(other_variables[i], variable, n) == 0)
			return true;
	if (memmem(variable, n, "_PORT", 5) || memmem(variable, n, "_SERVICE_", 9))
		return true;
	for (; k && *k; k++) {
		prefix = lnx_bind_env_name(b, *k, "");
		if (prefix && *prefix && strncmp(prefix, variable, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

void lnx_bind_env(struct lnx_binder *b)
{
	char *const *e = b->args->env;
	const char *eq, *node_name = NULL;
	struct lnx_slot *s;
	unsigned i;
	bool is_found;

	for (; e && *e; e++) {
		eq = strchr(*e, '=');
		if (!eq)
			continue;
		if (strncmp(*e, "NODE_NAME=", 10) == 0 && (*e)[10])
			node_name = eq + 1;
		if (strncmp(*e, "LINNIX_", 7) != 0)
			continue;
		for (is_found = false, i = 0; i < b->n_slots; i++) {
			s = &b->slots[i];
			if (strlen(s->env_name) != (size_t)(eq - *e) ||
			    strncmp(s->env_name, *e, (size_t)(eq - *e)) != 0)
				continue;
			s->env = eq + 1;
			is_found = true;
		}
		if (!is_found && !env_is_foreign(b, *e, (size_t)(eq - *e)))
			env_unknown(b, *e, (size_t)(eq - *e));
	}
	/* the name that Kubernetes' downward API is usually given */
	for (i = 0; node_name && i < b->n_slots; i++) {
		s = &b->slots[i];
		if (!s->env && strcmp(s->section->name, "node") == 0 &&
		    strcmp(s->option->key, "name") == 0) {
			s->env = node_name;
			s->env_name = "NODE_NAME";
		}
	}
}

/* Whose memory it is starts at the process's own first page: /proc/PID/environ shows it, and every child gets it. */
void lnx_bind_env_wipe(const struct lnx_binder *b)
{
	const struct lnx_slot *s;
	char *const *e;
	size_t n;

	for (s = b->slots; s < b->slots + b->n_slots; s++) {
		n = strlen(s->env_name);
		for (e = b->args->env; s->env && s->option->flags & LNX_OPTF_ONCE && e && *e; e++)
			if (strncmp(*e, s->env_name, n) == 0 && (*e)[n] == '=')
				explicit_bzero(*e + n + 1, strlen(*e + n + 1));
	}
}

void lnx_bind_flags(struct lnx_binder *b)
{
	const char *const *f = b->args->flags;
	const char *eq, *section;
	unsigned i;
	size_t n;
	bool is_found;

	for (; f && *f; f++) {
		eq = strchrnul(*f, '=');
		for (is_found = false, i = 0; *eq && i < b->n_slots; i++) {
			section = b->slots[i].section->name;
			n = strlen(section);
			if (strncmp(*f, section, n) != 0 || (*f)[n] != '.' ||
			    strlen(b->slots[i].option->key) != (size_t)(eq - *f) - n - 1 ||
			    strncmp(b->slots[i].option->key, *f + n + 1,
				    (size_t)(eq - *f) - n - 1) != 0)
				continue;
			b->slots[i].flag = eq + 1;
			is_found = true;
		}
		if (!is_found)
			lnx_bind_error(b, NULL, "flag %.*s: %s", (int)(eq - *f < 80 ? eq - *f : 80),
				       *f, *eq ? "no such option" : "'=' and a value are expected");
	}
}
