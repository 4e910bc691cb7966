/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Events as leaves. The keys stand in the order of RFC 8785, so they are written as they are. */
#include "leaf.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "jcs.h"
#include "u256.h"

#define MEMBERS 16 /* that each leaf has */

const char *const leaf_args_names[] = { "", "off", "script", "full", NULL };

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

void usage_add(struct usage *u, const struct leaf *leaf)
{
	u->cpu_ns = sum(u->cpu_ns, leaf->cpu_ns);
	u->read_bytes = sum(u->read_bytes, leaf->read_bytes);
	u->write_bytes = sum(u->write_bytes, leaf->write_bytes);
	u->net_tx_bytes = sum(u->net_tx_bytes, leaf->net_tx_bytes);
	u->stall_ns = sum(u->stall_ns, leaf->stall_ns);
	u->execs += !strcmp(leaf->type, "proc.exec");
	if (leaf->rss_peak_kib > u->rss_peak_kib)
		u->rss_peak_kib = leaf->rss_peak_kib;
	u->has_net_tx |= leaf->has_net_tx;
	if (leaf->is_main && !strcmp(leaf->type, "proc.exit")) {
		u->exit_code = leaf->exit_code;
		u->has_exit = true;
	}
}

/* "key":"123", */
static void put_text(struct lnx_buf *out, const char *key, uint64_t v)
{
	lnx_buf_printf(out, "\"%s\":\"%" PRIu64 "\",", key, v);
}

/* "key":"hex", */
static void put_hash(struct lnx_buf *out, const char *key, const uint8_t hash[32])
{
	char hex[67];

	hex_format(hash, 32, hex);
	lnx_buf_printf(out, "\"%s\":\"%s\",", key, hex + 2);
}

void leaf_write(struct lnx_buf *out, const struct leaf *leaf)
{
	lnx_buf_char(out, '{');
	if (leaf->is_args_cut)
		lnx_buf_str(out, "\"args_cut\":true,");
	if (leaf->has_args)
		put_hash(out, "args_hash", leaf->args_hash);
	if (leaf->args_policy)
		lnx_buf_printf(out, "\"args_policy\":\"%s\",", leaf_args_names[leaf->args_policy]);
	put_text(out, "cgroup_id", leaf->cgroup_id);
	lnx_buf_str(out, "\"comm\":");
	jcs_string(out, leaf->comm, strnlen(leaf->comm, sizeof(leaf->comm)));
	lnx_buf_char(out, ',');
	put_text(out, "cpu_ns", leaf->cpu_ns);
	if (leaf->has_exe)
		put_hash(out, "exe_sha256", leaf->exe_sha256);
	lnx_buf_printf(out, "\"exit_code\":%" PRId32 ",\"main\":%s,", leaf->exit_code,
		       leaf->is_main ? "true" : "false");
	if (leaf->has_net_tx)
		put_text(out, "net_tx_bytes", leaf->net_tx_bytes);
	lnx_buf_printf(out, "\"pid\":%" PRIu32 ",\"ppid\":%" PRIu32 ",", leaf->pid, leaf->ppid);
	put_text(out, "read_bytes", leaf->read_bytes);
	put_text(out, "rss_peak_kib", leaf->rss_peak_kib);
	put_text(out, "seq", leaf->seq);
	put_text(out, "stall_ns", leaf->stall_ns);
	put_text(out, "start_ns", leaf->start_ns);
	put_text(out, "ts_boot_ns", leaf->ts_boot_ns);
	lnx_buf_str(out, "\"type\":");
	jcs_string(out, leaf->type, strnlen(leaf->type, sizeof(leaf->type)));
	lnx_buf_str(out, ",\"v\":1,");
	lnx_buf_printf(out, "\"write_bytes\":\"%" PRIu64 "\"}", leaf->write_bytes);
}

static int bad(char why[LEAF_WHY], const char *what)
{
	(void)snprintf(why, LEAF_WHY, "%s is missing or not what it should be", what); /* fits */
	return -EBADMSG;
}

static int get_text(const json_t *object, const char *key, uint64_t *ret)
{
	const char *text = json_string_value(json_object_get(object, key));
	struct u256 v;

	return text && !u256_parse(text, &v) && !u256_to_u64(&v, ret) ? 0 : -EBADMSG;
}

static int get_pid(const json_t *object, const char *key, uint32_t *ret)
{
	const json_t *v = json_object_get(object, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > UINT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)n;
	return 0;
}

static int get_chars(const json_t *object, const char *key, char *ret, size_t cap)
{
	const json_t *v = json_object_get(object, key);
	size_t n = json_string_length(v);

	if (!json_is_string(v) || n > cap)
		return -EBADMSG;
	memset(ret, 0, cap);
	memcpy(ret, json_string_value(v), n);
	return 0;
}

static int get_hash(const json_t *object, const char *key, uint8_t ret[32])
{
	const json_t *v = json_object_get(object, key);
	size_t n = 0;

	return json_string_length(v) != 64 ||
			       sodium_hex2bin(ret, 32, json_string_value(v), 64, NULL, &n, NULL) ||
			       strspn(json_string_value(v), "0123456789abcdef") != 64
		       ? -EBADMSG
		       : 0;
}

static uint32_t get_policy(const json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "args_policy"));
	uint32_t i = LEAF_ARGS_OFF;

	while (text && leaf_args_names[i] && strcmp(text, leaf_args_names[i]) != 0)
		i++;
	return text && leaf_args_names[i] ? i : LEAF_ARGS_NONE;
}

/* What need not be there; and nothing else may be. */
static int read_optional(const json_t *o, struct leaf *l, char why[LEAF_WHY])
{
	size_t n = MEMBERS;

	l->has_net_tx = json_object_get(o, "net_tx_bytes") != NULL;
	l->has_args = json_object_get(o, "args_hash") != NULL;
	l->has_exe = json_object_get(o, "exe_sha256") != NULL;
	l->is_args_cut = json_object_get(o, "args_cut") != NULL;
	l->args_policy = get_policy(o);
	if (l->has_net_tx && get_text(o, "net_tx_bytes", &l->net_tx_bytes))
		return bad(why, "net_tx_bytes");
	if (l->has_args && get_hash(o, "args_hash", l->args_hash))
		return bad(why, "args_hash");
	if (l->has_exe && get_hash(o, "exe_sha256", l->exe_sha256))
		return bad(why, "exe_sha256");
	if (l->is_args_cut && (!json_is_true(json_object_get(o, "args_cut")) || !l->has_args))
		return bad(why, "args_cut");
	/* under off nothing was seen, and what was seen has a policy */
	if (json_object_get(o, "args_policy")
		    ? l->args_policy == LEAF_ARGS_NONE ||
			      l->has_args != (l->args_policy != LEAF_ARGS_OFF)
		    : l->has_args)
		return bad(why, "args_policy");
	n += (size_t)l->has_net_tx + l->has_args + l->has_exe + l->is_args_cut +
	     (l->args_policy != LEAF_ARGS_NONE);
	if (json_object_size(o) == n)
		return 0;
	(void)snprintf(why, LEAF_WHY, "a member that is not known"); /* fits */
	return -EBADMSG;
}

static int read_members(const json_t *o, struct leaf *l, char why[LEAF_WHY])
{
	const struct {
		const char *key;
		uint64_t *to;
	} numbers[] = {
		{ "seq", &l->seq },
		{ "ts_boot_ns", &l->ts_boot_ns },
		{ "start_ns", &l->start_ns },
		{ "cgroup_id", &l->cgroup_id },
		{ "cpu_ns", &l->cpu_ns },
		{ "read_bytes", &l->read_bytes },
		{ "write_bytes", &l->write_bytes },
		{ "stall_ns", &l->stall_ns },
		{ "rss_peak_kib", &l->rss_peak_kib },
	};
	const json_t *code = json_object_get(o, "exit_code"), *is_main = json_object_get(o, "main");
	const json_t *comm = json_object_get(o, "comm");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (get_text(o, numbers[i].key, numbers[i].to))
			return bad(why, numbers[i].key);
	if (get_pid(o, "pid", &l->pid) || get_pid(o, "ppid", &l->ppid))
		return bad(why, "pid or ppid");
	/* a name of 16 bytes in the kernel can become longer by what stands for bytes that are not UTF-8 */
	if (get_chars(o, "type", l->type, sizeof(l->type) - 1) || !json_is_string(comm) ||
	    json_string_length(comm) > 48)
		return bad(why, "type or comm");
	if (!json_is_integer(code) || json_integer_value(code) < INT32_MIN ||
	    json_integer_value(code) > INT32_MAX)
		return bad(why, "exit_code");
	if (!json_is_boolean(is_main))
		return bad(why, "main");
	l->exit_code = (int32_t)json_integer_value(code);
	l->is_main = json_is_true(is_main);
	if (json_integer_value(json_object_get(o, "v")) != 1)
		return bad(why, "v");
	return read_optional(o, l, why);
}

int leaf_read(const char *json, size_t n, struct leaf *ret, char why[LEAF_WHY])
{
	struct leaf leaf = { .seq = 0 };
	json_t *o;
	int rc = jcs_read_canonical(json, n, LEAF_LINE, &o, why);

	if (rc)
		return rc;
	rc = read_members(o, &leaf, why);
	json_decref(o);
	if (!rc)
		*ret = leaf;
	return rc;
}

void leaf_set_args(struct leaf *leaf, uint32_t policy, const char *args, size_t n, bool is_cut)
{
	leaf->args_policy = policy;
	leaf->has_args = policy > LEAF_ARGS_OFF;
	if (!leaf->has_args)
		return;
	leaf->is_args_cut = is_cut;
	(void)crypto_hash_sha256(leaf->args_hash, (const uint8_t *)args, n); /* cannot fail */
}

void leaf_salt(const uint8_t secret[LEAF_SECRET], uint64_t index, uint8_t ret[LEAF_SALT])
{
	uint8_t text[12] = "leaf", mac[crypto_auth_hmacsha256_BYTES];

	for (unsigned i = 0; i < 8; i++)
		text[4 + i] = (uint8_t)(index >> (56 - 8 * i));
	(void)crypto_auth_hmacsha256(mac, text, sizeof(text), secret); /* cannot fail */
	memcpy(ret, mac, LEAF_SALT);
}

void leaf_hash(const uint8_t salt[LEAF_SALT], const char *json, size_t n, uint8_t ret[MERKLE_HASH])
{
	merkle_leaf(salt, LEAF_SALT, json, n, ret);
}

void leaf_put_line(struct lnx_buf *out, const uint8_t salt[LEAF_SALT], const char *json, size_t n)
{
	char hex[2 * LEAF_SALT + 3];

	hex_format(salt, LEAF_SALT, hex);
	lnx_buf_str(out, hex + 2);
	lnx_buf_char(out, ' ');
	lnx_buf_add(out, json, n);
	lnx_buf_char(out, '\n');
}

int leaf_split_line(const char *line, size_t n, uint8_t ret_salt[LEAF_SALT], const char **ret_json,
		    size_t *ret_n)
{
	size_t bin = 0;

	if (n < 2 * LEAF_SALT + 3 || line[2 * LEAF_SALT] != ' ' ||
	    sodium_hex2bin(ret_salt, LEAF_SALT, line, (size_t)2 * LEAF_SALT, NULL, &bin, NULL) ||
	    bin != LEAF_SALT)
		return -EBADMSG;
	*ret_json = line + 2 * LEAF_SALT + 1;
	*ret_n = n - 2 * LEAF_SALT - 1;
	return 0;
}
