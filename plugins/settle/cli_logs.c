/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* First all in one question; where that is refused, in pieces that get smaller until they are taken. */
#include "cli_logs.h"

#include <errno.h>
#include <stdlib.h>

#define AT_ONCE 8 /* questions in one request */

static const uint64_t spans[] = { 10000, 2000, 500, 100, 10, 1 };

/* The next smaller span, 0: none. */
static uint64_t smaller(uint64_t span)
{
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		if (spans[i] < span)
			return spans[i];
	return 0;
}

static int add_piece(struct logs_scan *l, json_t *params, uint64_t from, uint64_t to)
{
	json_t *filter = json_array_get(params, 0);
	char *text = NULL;
	char hex[2][24];

	(void)snprintf(hex[0], sizeof(hex[0]), "0x%llx", (unsigned long long)from); /* fits */
	(void)snprintf(hex[1], sizeof(hex[1]), "0x%llx", (unsigned long long)to);   /* fits */
	if (!json_object_set_new(filter, "fromBlock", json_string(hex[0])) &&
	    !json_object_set_new(filter, "toBlock", json_string(hex[1])))
		text = json_dumps(params, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	(void)rpc_add(l->batch, "eth_getLogs", "%s", text); /* the error sticks */
	free(text);
	return 0;
}

/* Ask for up to AT_ONCE pieces of which the newest ends with <last>. Returns how many, or -errno. */
static int ask_pieces(struct logs_scan *l, json_t *params, uint64_t last)
{
	int n = 0, rc = 0;

	rpc_reset(l->batch);
	while (!rc && n < AT_ONCE) {
		uint64_t from = last - l->first < l->span ? l->first : last - l->span + 1;

		rc = add_piece(l, params, from, last);
		n++;
		if (from == l->first)
			break;
		last = from - 1;
	}
	l->questions += (unsigned)n;
	if (!rc)
		rc = l->questions > LOGS_QUESTIONS ? -E2BIG : l->ask(l->arg, l->batch);
	return rc ? rc : n;
}

/* Put the logs of the pieces that were answered before those that are there. Returns how many pieces that were. */
static int take_pieces(const struct logs_scan *l, int n, json_t *all)
{
	int i = 0;

	while (i < n && json_is_array(l->batch->calls[i].result)) {
		const json_t *piece = l->batch->calls[i++].result;

		for (size_t k = json_array_size(piece); k; k--)
			if (json_array_insert(all, 0, json_array_get(piece, k - 1)))
				return -ENOMEM;
	}
	return i;
}

static int scan(struct logs_scan *l, json_t *params, json_t *all)
{
	uint64_t last = l->last;

	if (!l->span)
		l->span = l->last - l->first + 1;
	while (!l->enough || json_array_size(all) < l->enough) {
		int n = ask_pieces(l, params, last), done;
		uint64_t left = last - l->first + 1;

		if (n < 0)
			return n;
		done = take_pieces(l, n, all);
		if (done < 0)
			return done;
		if ((uint64_t)done * l->span >= left)
			return 0;
		last -= (uint64_t)done * l->span;
		if (done < n)
			l->span = smaller(l->span);
		if (!l->span)
			return -EDOM;
	}
	return 0;
}

int logs_scan(struct logs_scan *l, const char *params, json_t **ret)
{
	json_t *asked = json_loads(params, 0, NULL), *all = json_array();
	int rc = !all ? -ENOMEM : !json_is_object(json_array_get(asked, 0)) ? -EINVAL : 0;

	if (!rc && l->first <= l->last)
		rc = scan(l, asked, all);
	rpc_reset(l->batch);
	json_decref(asked);
	if (rc) {
		json_decref(all);
		return rc;
	}
	*ret = all;
	return 0;
}
