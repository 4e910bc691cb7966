/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Cuts an answer of the API server into objects as its bytes arrive: the items of a list, or the lines of a watch. Only
 * one object is held at a time. */
#ifndef LNX_K8S_ITEMS_H
#define LNX_K8S_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define K8S_ITEM_MAX (2u << 20) /* bytes of an object: etcd takes 1.5 MiB by default */

/* enum k8s_piece */
#define K8S_PIECE_ITEM	1 /* an element of "items", or a whole object of a watch */
#define K8S_PIECE_META	2 /* "metadata" of a list */
#define K8S_PIECE_LARGE 3 /* an item that was larger than K8S_ITEM_MAX: no bytes */

struct k8s_items {
	bool is_list;
	bool is_string, is_escape, is_key, is_items;
	bool is_over; /* the list is complete */
	bool is_large;
	uint32_t depth;
	uint32_t from; /* depth at which the object being held began; 0: none */
	char key[16];  /* of the list's own member */
	size_t n_key;
	char *data; /* owned */
	size_t n, cap;
};

/* A new answer; memory of the last one is kept. */
void k8s_items_begin(struct k8s_items *s, bool is_list);
/* Free all. */
void k8s_items_done(struct k8s_items *s);
/* Give memory back that only a large object needed. */
void k8s_items_trim(struct k8s_items *s);
/* More bytes. <each> gets every object that is complete; a negative return ends it with that error. -EPROTO: not JSON of the
 * expected shape; -ENOMEM. */
int k8s_items_feed(struct k8s_items *s, const char *bytes, size_t n,
		   int (*each)(void *arg, uint32_t piece, const char *data, size_t n), void *arg);

#endif
