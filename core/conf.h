/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Configuration: YAML to a tree of nodes that know their place in the file. */
#ifndef LNX_CONF_H
#define LNX_CONF_H

#include "log.h"
#include <linnix/buf.h>
#include <stdbool.h>
#include <stddef.h>

/* enum lnx_node_kind */
#define LNX_NODE_SCALAR 1
#define LNX_NODE_LIST	2
#define LNX_NODE_MAP	3

#define LNX_CONF_MAX_BYTES (1u << 20) /* of a file */
#define LNX_CONF_MAX_KEYS  1024	      /* of one map */
#define LNX_CONF_MAX_NODES 65536      /* of a file */
/* Of nesting, checked at each event: libyaml is quadratic when it is left alone with "[[[". */
#define LNX_CONF_MAX_DEPTH 32

struct lnx_node {
	int kind; /* enum lnx_node_kind */
	int line, column;
	char *key;		       /* in a map; else NULL */
	char *value;		       /* of a scalar; "" when empty */
	struct lnx_node *child, *next; /* of lists and maps, in file order */
	unsigned is_quoted;	       /* a quoted scalar is never a number or null */
};

/* Parse <text>. Duplicate keys, anchors, tags, several documents and binary bytes are errors with line and column.
 * Returns 0, -EINVAL, -E2BIG, -ENOMEM. An empty document is an empty map. */
int lnx_conf_parse(const char *text, size_t bytes, struct lnx_node **ret_root, struct lnx_err *err);
/* Read and parse a file. -ENOENT, -EACCES, -EISDIR …, or as above. The text of <err> does not name the file. */
int lnx_conf_load(const char *path, struct lnx_node **ret_root, struct lnx_err *err);
void lnx_conf_free(struct lnx_node *root);
/* Child of a map, or NULL. */
const struct lnx_node *lnx_conf_get(const struct lnx_node *map, const char *key);
/* Is <n> an empty value, ~ or null, not in quotes? */
bool lnx_conf_is_null(const struct lnx_node *n);

#endif
