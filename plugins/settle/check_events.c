/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Leaves against the receipt: all of them, one line at a time, or one that was opened. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "jcs.h"

struct walk {
	const struct receipt *r;
	struct check *c;
	struct merkle tree;
	struct usage usage;
	uint64_t next, last_ts; /* sequence number that must come */
	unsigned gap;
	bool has_bad_line, has_bad_seq, has_bad_time;
};

static void walk_seq(struct walk *w, const struct leaf *leaf)
{
	while (w->gap < w->r->n_gaps && w->r->gaps[w->gap].first == w->next)
		w->next = w->r->gaps[w->gap++].last + 1;
	if (leaf->seq != w->next && !w->has_bad_seq) {
		check_bad(w->c, "events: number %" PRIu64 " where %" PRIu64 " must come", leaf->seq,
			  w->next);
		w->has_bad_seq = true;
	}
	w->next = leaf->seq + 1;
}

static void walk_line(struct walk *w, const char *line, size_t n)
{
	uint8_t salt[LEAF_SALT], hash[MERKLE_HASH];
	char why[LEAF_WHY] = "no salt in front";
	struct leaf leaf;
	const char *json;
	size_t n_json;

	if (leaf_split_line(line, n, salt, &json, &n_json) || leaf_read(json, n_json, &leaf, why)) {
		if (!w->has_bad_line)
			check_bad(w->c, "events: line %" PRIu64 ": %s", w->tree.n + 1, why);
		w->has_bad_line = true;
		memset(hash, 0, sizeof(hash));
		merkle_add(&w->tree, hash); /* counted, so that the next line has its number */
		return;
	}
	leaf_hash(salt, json, n_json, hash);
	walk_seq(w, &leaf);
	if ((leaf.ts_boot_ns < w->r->start_boot_ns || leaf.ts_boot_ns > w->r->end_boot_ns) &&
	    !w->has_bad_time) {
		check_bad(w->c, "events: number %" PRIu64 " lies outside of the window", leaf.seq);
		w->has_bad_time = true;
	}
	usage_add(&w->usage, &leaf);
	merkle_add(&w->tree, hash);
}

/* A figure that may be null: then the events do not tell it either. */
static void compare_known(struct check *c, const char *what, bool is_claimed, uint64_t claimed,
			  bool is_known, uint64_t sum)
{
	if (is_claimed && !is_known)
		check_bad(c, "usage: %s is %" PRIu64 ", and the events do not tell it", what,
			  claimed);
	else if (!is_claimed && (is_known || sum))
		check_bad(c, "usage: %s is null, the events sum to %" PRIu64, what, sum);
	else if (is_claimed && claimed != sum)
		check_bad(c, "usage: %s is %" PRIu64 ", the events sum to %" PRIu64, what, claimed,
			  sum);
}

static void compare(struct check *c, const char *what, uint64_t claimed, uint64_t sum)
{
	if (claimed != sum)
		check_bad(c, "usage: %s is %" PRIu64 ", the events sum to %" PRIu64, what, claimed,
			  sum);
}

static void walk_end(struct walk *w)
{
	const struct usage *u = &w->r->usage, *sum = &w->usage;
	uint8_t root[MERKLE_HASH];

	merkle_root(&w->tree, root);
	if (w->tree.n != w->r->size)
		check_bad(w->c, "events: there are %" PRIu64 ", the receipt has %" PRIu64,
			  w->tree.n, w->r->size);
	if (memcmp(root, w->r->root, sizeof(root)) != 0)
		check_bad(w->c, "events: they have another root");
	compare(w->c, "cpu_ns", u->cpu_ns, sum->cpu_ns);
	compare(w->c, "rss_peak_kib", u->rss_peak_kib, sum->rss_peak_kib);
	compare(w->c, "io_read_bytes", u->read_bytes, sum->read_bytes);
	compare(w->c, "io_write_bytes", u->write_bytes, sum->write_bytes);
	compare_known(w->c, "net_tx_bytes", u->has_net_tx, u->net_tx_bytes, sum->has_net_tx,
		      sum->net_tx_bytes);
	compare(w->c, "execs", u->execs, sum->execs);
	/* a window without a stall has no event: 0 may well be known */
	compare_known(w->c, "stall_ns", u->has_stall, u->stall_ns, u->has_stall, sum->stall_ns);
	if (u->has_exit != sum->has_exit)
		check_bad(w->c, "usage: exit_code is %s, and %s", u->has_exit ? "told" : "null",
			  sum->has_exit ? "an event says it" : "no event says it");
	else if (u->exit_code != sum->exit_code)
		check_bad(w->c, "usage: exit_code is %d, the events say %d", u->exit_code,
			  sum->exit_code);
}

/* The next line without its newline; longer ones come cut, which no leaf can be. Its bytes, or -1 at the end. */
static ssize_t next_line(FILE *f, char line[LEAF_LINE + 64])
{
	size_t n = 0;
	int ch = getc(f);

	if (ch == EOF)
		return -1;
	for (; ch != EOF && ch != '\n'; ch = getc(f))
		if (n < LEAF_LINE + 64)
			line[n++] = (char)ch;
	return (ssize_t)n;
}

void check_events(struct check *c, const struct signed_receipt *r, FILE *f)
{
	struct walk w = { .r = &r->r, .c = c, .next = r->r.seq_first };
	char line[LEAF_LINE + 64];
	ssize_t n;

	merkle_init(&w.tree, NULL, 0);
	while ((n = next_line(f, line)) >= 0)
		walk_line(&w, line, (size_t)n);
	if (ferror(f))
		check_open(c, "events: the file cannot be read to its end");
	walk_end(&w);
	check_done(c, "events: root, number, sequence, window and sums of %" PRIu64, w.tree.n);
}

/* A line of the file, which is leaf number <at>: is it one of those that are looked for? */
static void keep_leaf(struct opened_leaf *leaves, unsigned n, uint64_t at, const uint8_t *salt,
		      const char *json, size_t n_json)
{
	for (unsigned i = 0; i < n; i++) {
		if (leaves[i].path.index != at)
			continue;
		memcpy(leaves[i].salt, salt, LEAF_SALT);
		memcpy(leaves[i].json, json, n_json);
		leaves[i].n_json = n_json;
	}
}

int opened_leaves_find(FILE *f, struct opened_leaf *leaves, unsigned n)
{
	struct merkle_path *paths[OPENED_MAX];
	uint8_t salt[LEAF_SALT], hash[MERKLE_HASH];
	char line[LEAF_LINE + 64];
	const char *json;
	struct merkle tree;
	size_t n_json;
	ssize_t n_line;

	for (unsigned i = 0; i < n; i++)
		paths[i] = &leaves[i].path;
	merkle_init(&tree, paths, n);
	while ((n_line = next_line(f, line)) >= 0) {
		if (leaf_split_line(line, (size_t)n_line, salt, &json, &n_json) ||
		    n_json > LEAF_LINE)
			return -EBADMSG;
		keep_leaf(leaves, n, tree.n, salt, json, n_json);
		leaf_hash(salt, json, n_json, hash);
		merkle_add(&tree, hash);
	}
	if (ferror(f))
		return -EIO;
	merkle_root(&tree, hash);
	for (unsigned i = 0; i < n; i++)
		if (leaves[i].path.index >= tree.n)
			return -ENOENT;
	return 0;
}

void opened_leaf_write(struct lnx_buf *out, const struct opened_leaf *leaf)
{
	char hex[2 * MERKLE_HASH + 3];

	hex_format(leaf->salt, LEAF_SALT, hex);
	lnx_buf_printf(out, "{\"event\":");
	jcs_string(out, leaf->json, leaf->n_json);
	lnx_buf_printf(out, ",\"index\":\"%" PRIu64 "\",\"path\":[", leaf->path.index);
	for (unsigned i = 0; i < leaf->path.n; i++) {
		char node[2 * MERKLE_HASH + 3];

		hex_format(leaf->path.siblings[i], MERKLE_HASH, node);
		lnx_buf_printf(out, "%s\"%s\"", i ? "," : "", node);
	}
	lnx_buf_printf(out, "],\"salt\":\"%s\"}\n", hex);
}

static int read_path(const json_t *list, struct merkle_path *ret)
{
	const json_t *one;
	const char *text;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > MERKLE_LEVELS)
		return -EBADMSG;
	json_array_foreach(list, i, one)
	{
		text = json_string_value(one);
		if (!text || hex_parse(text, ret->siblings[i], MERKLE_HASH))
			return -EBADMSG;
	}
	ret->n = (unsigned)json_array_size(list);
	return 0;
}

int opened_leaf_read(const char *text, size_t n, struct opened_leaf *ret, char why[RECEIPT_WHY])
{
	const char *event, *index, *salt;
	char text_why[JCS_WHY];
	struct u256 number;
	json_t *o;
	int rc;

	*ret = (struct opened_leaf){ .n_json = 0 };
	rc = jcs_read(text, n, RECEIPT_FILE_BYTES, &o, text_why);
	if (rc) {
		(void)snprintf(why, RECEIPT_WHY, "%s", text_why); /* fits */
		return rc;
	}
	event = json_string_value(json_object_get(o, "event"));
	index = json_string_value(json_object_get(o, "index"));
	salt = json_string_value(json_object_get(o, "salt"));
	ret->n_json = json_string_length(json_object_get(o, "event"));
	if (!event || ret->n_json > sizeof(ret->json) || !index || !salt ||
	    hex_parse(salt, ret->salt, LEAF_SALT) || u256_parse(index, &number) ||
	    u256_to_u64(&number, &ret->path.index) ||
	    read_path(json_object_get(o, "path"), &ret->path)) {
		(void)snprintf(why, RECEIPT_WHY,
			       "not an opened event: event, index, path, salt"); /* fits */
		rc = -EBADMSG;
	} else {
		memcpy(ret->json, event, ret->n_json);
	}
	json_decref(o);
	return rc;
}

/* The sequence number of leaf <index>: what is before it, and the gaps. */
static uint64_t seq_at(const struct receipt *r, uint64_t index)
{
	uint64_t seq = r->seq_first + index;

	for (unsigned i = 0; i < r->n_gaps && r->gaps[i].first <= seq; i++)
		seq += r->gaps[i].last - r->gaps[i].first + 1;
	return seq;
}

/* What one event shows of the receipt: an event of another place or time, or one that says more than all of them, was made up. */
static void check_place(struct check *c, const struct receipt *r, uint64_t index,
			const struct leaf *leaf)
{
	const struct usage *u = &r->usage;
	const struct {
		const char *what;
		uint64_t has, all;
	} figures[] = {
		{ "cpu_ns", leaf->cpu_ns, u->cpu_ns },
		{ "rss_peak_kib", leaf->rss_peak_kib, u->rss_peak_kib },
		{ "read_bytes", leaf->read_bytes, u->read_bytes },
		{ "write_bytes", leaf->write_bytes, u->write_bytes },
		{ "net_tx_bytes", leaf->net_tx_bytes, u->net_tx_bytes },
		{ "stall_ns", leaf->stall_ns, u->stall_ns },
	};

	if (leaf->seq != seq_at(r, index))
		check_bad(c,
			  "event: number %" PRIu64 " has the sequence number %" PRIu64
			  " where %" PRIu64 " must be",
			  index, leaf->seq, seq_at(r, index));
	if (leaf->ts_boot_ns < r->start_boot_ns || leaf->ts_boot_ns > r->end_boot_ns)
		check_bad(c, "event: number %" PRIu64 " lies outside of the window", index);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (figures[i].has > figures[i].all)
			check_bad(c,
				  "event: number %" PRIu64 " has %s %" PRIu64
				  ", the whole usage %" PRIu64,
				  index, figures[i].what, figures[i].has, figures[i].all);
}

void check_leaf(struct check *c, const struct signed_receipt *r, const struct opened_leaf *leaf)
{
	uint8_t hash[MERKLE_HASH];
	char why[LEAF_WHY];
	struct leaf read;
	int rc = leaf_read(leaf->json, leaf->n_json, &read, why);

	if (rc)
		check_bad(c, "event: %s", why);
	leaf_hash(leaf->salt, leaf->json, leaf->n_json, hash);
	if (merkle_check(&leaf->path, r->r.size, hash, r->r.root))
		check_bad(c, "event: number %" PRIu64 " is not in the tree of this receipt",
			  leaf->path.index);
	else if (!rc)
		check_place(c, &r->r, leaf->path.index, &read);
}
