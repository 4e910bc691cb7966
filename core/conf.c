/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* YAML to a tree of nodes that know their place in the file. A plain subset: one document, maps with text keys, lists and
 * scalars; no anchors, aliases or tags, so that a small file cannot become a big tree. */
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

#include <linnix/buf.h>

#define CONF_PIPE_WAIT_MS 1000 /* for the first bytes of a configuration that is a pipe */

/* A map or list that is being read. */
struct conf_level {
	struct lnx_node *node, *last;
	unsigned n_children;
};

struct conf_parser {
	yaml_parser_t yaml;
	struct lnx_err *err;
	struct lnx_node *root;
	char *key; /* read, waits for its value */
	int key_line, key_column;
	unsigned depth, n_nodes;
	bool has_document;
	struct conf_level levels[LNX_CONF_MAX_DEPTH];
};

__attribute__((format(printf, 5, 6))) static int conf_error(struct lnx_err *err, int rc,
							    size_t line, size_t column,
							    const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(msg, sizeof(msg), fmt, ap) < 0)
		msg[0] = 0;
	va_end(ap);
	lnx_err_set(err, rc, "%s", msg);
	if (err) {
		err->line = (int)line;
		err->column = (int)column;
	}
	return rc;
}

/* The same at a mark of libyaml, which counts from 0. */
#define CONF_FAIL(p, rc, mark, ...) \
	conf_error((p)->err, rc, (mark).line + 1, (mark).column + 1, __VA_ARGS__)

static int conf_no_memory(struct conf_parser *p)
{
	return lnx_err_set(p->err, -ENOMEM, "out of memory");
}

/* What YAML does not take although it is UTF-8: controls, a byte order mark that is not the first, non-characters. */
static bool conf_is_control(const unsigned char *p, size_t size, bool is_first)
{
	if (size == 1)
		return (*p < 0x20 && *p != '\t' && *p != '\r') || *p == 0x7f;
	if (size == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	return (memcmp(p, "\xef\xbb\xbf", 3) == 0 && !is_first) ||
	       memcmp(p, "\xef\xbf\xbe", 3) == 0 || memcmp(p, "\xef\xbf\xbf", 3) == 0;
}

/* Size, and bytes that are no text: said here, because libyaml's reader knows no lines. */
static int conf_check_bytes(const char *text, size_t bytes, struct lnx_err *err)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0, line = 1, column = 1, k;

	while (i < bytes) {
		if (i >= LNX_CONF_MAX_BYTES)
			return conf_error(
				err, -E2BIG, line, column,
				"the file is larger than %u KiB: this is no configuration",
				LNX_CONF_MAX_BYTES >> 10);
		k = lnx_utf8_len(p + i, bytes - i);
		if (p[i] == '\n' || (p[i] == '\r' && !(i + 1 < bytes && p[i + 1] == '\n'))) {
			line++;
			column = 1;
			i++;
			continue;
		}
		if (k == 0)
			return conf_error(err, -EINVAL, line, column,
					  "byte 0x%02x is not UTF-8: is this a text file?", p[i]);
		if (conf_is_control(p + i, k, i == 0))
			return conf_error(err, -EINVAL, line, column,
					  "control character 0x%02x: is this a text file?",
					  p[i + k - 1]);
		i += k;
		column++;
	}
	return 0;
}

static struct lnx_node *conf_node_new(struct conf_parser *p, int kind, const yaml_mark_t *mark)
{
	struct lnx_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->kind = kind;
	n->line = (int)mark->line + 1;
	n->column = (int)mark->column + 1;
	p->n_nodes++;
	return n;
}

/* Hang <n> into the innermost open level; it takes the waiting key in a map. Without a level it is the root. */
static void conf_attach(struct conf_parser *p, struct lnx_node *n)
{
	struct conf_level *l = p->depth ? &p->levels[p->depth - 1] : NULL;

	if (!l) {
		p->root = n;
		return;
	}
	n->key = p->key;
	if (n->key) {
		n->line = p->key_line;
		n->column = p->key_column;
	}
	p->key = NULL;
	if (l->last)
		l->last->next = n;
	else
		l->node->child = n;
	l->last = n;
	l->n_children++;
}

static bool conf_wants_key(const struct conf_parser *p)
{
	return p->depth && p->levels[p->depth - 1].node->kind == LNX_NODE_MAP && !p->key;
}

static int conf_on_key(struct conf_parser *p, const yaml_event_t *ev)
{
	const char *key = (const char *)ev->data.scalar.value;
	struct conf_level *l = &p->levels[p->depth - 1];
	const struct lnx_node *same = lnx_conf_get(l->node, key);

	if (!*key)
		return CONF_FAIL(p, -EINVAL, ev->start_mark, "a key is missing before the ':'");
	if (same)
		return CONF_FAIL(p, -EINVAL, ev->start_mark, "'%.64s' was already given in line %d",
				 key, same->line);
	if (l->n_children >= LNX_CONF_MAX_KEYS)
		return CONF_FAIL(p, -E2BIG, ev->start_mark, "more than %d keys in one map",
				 LNX_CONF_MAX_KEYS);
	p->key = strdup(key);
	p->key_line = (int)ev->start_mark.line + 1;
	p->key_column = (int)ev->start_mark.column + 1;
	return p->key ? 0 : conf_no_memory(p);
}

static int conf_on_scalar(struct conf_parser *p, const yaml_event_t *ev)
{
	const char *value = (const char *)ev->data.scalar.value;
	struct lnx_node *n;

	if (strlen(value) != ev->data.scalar.length)
		return CONF_FAIL(p, -EINVAL, ev->start_mark, "text with a NUL character");
	if (conf_wants_key(p))
		return conf_on_key(p, ev);
	n = conf_node_new(p, LNX_NODE_SCALAR, &ev->start_mark);
	if (!n)
		return conf_no_memory(p);
	n->is_quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	n->value = strdup(value);
	conf_attach(p, n);
	return n->value ? 0 : conf_no_memory(p);
}

static int conf_on_open(struct conf_parser *p, const yaml_event_t *ev, int kind)
{
	struct lnx_node *n;

	if (conf_wants_key(p))
		return CONF_FAIL(p, -EINVAL, ev->start_mark, "a key must be plain text, not a %s",
				 kind == LNX_NODE_MAP ? "map" : "list");
	if (p->depth >= LNX_CONF_MAX_DEPTH)
		return CONF_FAIL(p, -E2BIG, ev->start_mark, "nested deeper than %d levels",
				 LNX_CONF_MAX_DEPTH);
	n = conf_node_new(p, kind, &ev->start_mark);
	if (!n)
		return conf_no_memory(p);
	conf_attach(p, n);
	p->levels[p->depth++] = (struct conf_level){ .node = n };
	return 0;
}

static int conf_on_document(struct conf_parser *p, const yaml_event_t *ev)
{
	if (p->has_document)
		return CONF_FAIL(p, -EINVAL, ev->start_mark,
				 "a second document starts here: one file holds one configuration");
	if (ev->data.document_start.tag_directives.start !=
	    ev->data.document_start.tag_directives.end)
		return CONF_FAIL(p, -EINVAL, ev->start_mark, "tags are not supported");
	p->has_document = true;
	return 0;
}

/* Anchors and tags of the event, for the three kinds which can have them. */
static int conf_check_plain(struct conf_parser *p, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor)
		return CONF_FAIL(
			p, -EINVAL, ev->start_mark,
			"anchors (&%.64s) are not supported: write the value out, or quote it",
			anchor);
	if (tag)
		return CONF_FAIL(p, -EINVAL, ev->start_mark,
				 "tags (%.64s) are not supported: quote text that starts with '!'",
				 tag);
	if (p->n_nodes >= LNX_CONF_MAX_NODES)
		return CONF_FAIL(p, -E2BIG, ev->start_mark, "more than %d values",
				 LNX_CONF_MAX_NODES);
	return 0;
}

static int conf_on_event(struct conf_parser *p, const yaml_event_t *ev)
{
	int r = conf_check_plain(p, ev);

	if (r < 0)
		return r;
	switch (ev->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	case YAML_DOCUMENT_START_EVENT:
		return conf_on_document(p, ev);
	case YAML_ALIAS_EVENT:
		return CONF_FAIL(
			p, -EINVAL, ev->start_mark,
			"aliases (*%.64s) are not supported: write the value out, or quote it",
			ev->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		return conf_on_scalar(p, ev);
	case YAML_SEQUENCE_START_EVENT:
		return conf_on_open(p, ev, LNX_NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		return conf_on_open(p, ev, LNX_NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		p->depth--;
		break;
	}
	return 0;
}

static int conf_yaml_error(struct conf_parser *p)
{
	const yaml_parser_t *y = &p->yaml;

	if (y->error == YAML_MEMORY_ERROR)
		return conf_no_memory(p);
	if (y->error == YAML_READER_ERROR) /* conf_check_bytes() lets only few of them through */
		return CONF_FAIL(p, -EINVAL, y->mark, "%s",
				 y->problem ? y->problem : "cannot be read");
	if (y->context)
		return CONF_FAIL(p, -EINVAL, y->problem_mark, "%s (%s that starts in line %zu)",
				 y->problem ? y->problem : "wrong YAML", y->context,
				 y->context_mark.line + 1);
	return CONF_FAIL(p, -EINVAL, y->problem_mark, "%s", y->problem ? y->problem : "wrong YAML");
}

static int conf_read_events(struct conf_parser *p)
{
	bool is_end = false;
	yaml_event_t ev;
	int r = 0;

	while (!is_end && r == 0) {
		if (!yaml_parser_parse(&p->yaml, &ev))
			return conf_yaml_error(p);
		is_end = ev.type == YAML_STREAM_END_EVENT;
		r = conf_on_event(p, &ev);
		yaml_event_delete(&ev);
	}
	return r;
}

/* libyaml's own, which it calls through its table of symbols: what it let go of would lie about, and secrets are among it. */
void yaml_free(void *p);
void *yaml_realloc(void *p, size_t bytes);

void yaml_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *yaml_realloc(void *p, size_t bytes)
{
	void *to = malloc(bytes ? bytes : 1);
	size_t have = p ? malloc_usable_size(p) : 0;

	if (!to)
		return NULL;
	if (p)
		memcpy(to, p, have < bytes ? have : bytes);
	yaml_free(p);
	return to;
}

/* Nothing, or only "~", is an empty map; anything else but a map is an error. */
static int conf_check_root(struct conf_parser *p)
{
	static const yaml_mark_t start = { 0 };
	struct lnx_node *root = p->root;

	if (root && root->kind == LNX_NODE_SCALAR && lnx_conf_is_null(root)) {
		lnx_conf_free(root);
		root = p->root = NULL;
	}
	if (!root)
		root = p->root = conf_node_new(p, LNX_NODE_MAP, &start);
	if (!root)
		return conf_no_memory(p);
	if (root->kind != LNX_NODE_MAP)
		return conf_error(p->err, -EINVAL, (size_t)root->line, (size_t)root->column,
				  "expected sections such as 'http:', not a %s",
				  root->kind == LNX_NODE_LIST ? "list" : "text");
	return 0;
}

int lnx_conf_parse(const char *text, size_t bytes, struct lnx_node **ret_root, struct lnx_err *err)
{
	struct conf_parser p = { .err = err };
	int r = conf_check_bytes(text, bytes, err);

	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&p.yaml))
		return conf_no_memory(&p);
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, bytes);
	r = conf_read_events(&p);
	if (r == 0)
		r = conf_check_root(&p);
	if (r == 0)
		*ret_root = p.root;
	else
		lnx_conf_free(p.root);
	free(p.key);
	yaml_parser_delete(&p.yaml);
	return r;
}

/* Read at most one byte more than is allowed: the parser then says which line is too much. */
static int conf_read_fd(int fd, struct lnx_buf *b)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t n;
	char *room;

	while (b->size <= LNX_CONF_MAX_BYTES) {
		size_t want = LNX_CONF_MAX_BYTES + 1 - b->size;

		room = lnx_buf_room(b, want < 65536 ? want : 65536);
		if (!room)
			return lnx_buf_error(b);
		n = read(fd, room, want < 65536 ? want : 65536);
		if (n == 0)
			break;
		if (n > 0) {
			b->size += (size_t)n;
		} else if (errno == EAGAIN) {
			if (poll(&pfd, 1, CONF_PIPE_WAIT_MS) == 0)
				return -ETIMEDOUT;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int conf_read_file(const char *path, struct lnx_buf *b, struct lnx_err *err)
{
	/* O_NONBLOCK: a pipe that nobody writes to must not hold up the start */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	if (fd < 0) {
		r = -errno;
		return lnx_err_set(err, r, "cannot be opened: %s", strerror(-r));
	}
	r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (r == 0)
		r = conf_read_fd(fd, b);
	close(fd);
	if (r == -EISDIR)
		return lnx_err_set(err, r, "is a directory, not a configuration file");
	if (r < 0)
		return lnx_err_set(err, r, "cannot be read: %s", strerror(-r));
	return 0;
}

int lnx_conf_load(const char *path, struct lnx_node **ret_root, struct lnx_err *err)
{
	struct lnx_buf b = { 0 };
	int r = conf_read_file(path, &b, err);

	if (r == 0)
		r = lnx_conf_parse(b.data ? b.data : "", b.size, ret_root, err);
	if (b.data)
		explicit_bzero(b.data, b.size);
	lnx_buf_done(&b);
	return r;
}

static void conf_free_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text)); /* it may be a secret */
	free(text);
}

void lnx_conf_free(struct lnx_node *root)
{
	struct lnx_node *next;

	while (root) {
		next = root->next;
		lnx_conf_free(root->child); /* at most LNX_CONF_MAX_DEPTH deep */
		free(root->key);
		conf_free_text(root->value);
		free(root);
		root = next;
	}
}

const struct lnx_node *lnx_conf_get(const struct lnx_node *map, const char *key)
{
	const struct lnx_node *n;

	if (!map || map->kind != LNX_NODE_MAP)
		return NULL;
	for (n = map->child; n; n = n->next)
		if (n->key && strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

bool lnx_conf_is_null(const struct lnx_node *n)
{
	return n->kind == LNX_NODE_SCALAR && !n->is_quoted &&
	       (!*n->value || strcmp(n->value, "~") == 0 || strcmp(n->value, "null") == 0);
}
