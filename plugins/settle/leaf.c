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
	if (leaf->is_main && !strcmp(leaf->type, "proc.exit"))
		u->exit_code = leaf->exit_code;
}

/* "key":"123", */
static void put_text(struct lnx_buf *out, const char *key, uint64_t v)
{
	lnx_buf_printf(out, "\"%s\":\"%" PRIu64 "\",", key, v);
}

void leaf_write(struct lnx_buf *out, const struct leaf *leaf)
{
	lnx_buf_char(out, '{');
	put_text(out, "cgroup_id", leaf->cgroup_id);
	lnx_buf_str(out, "\"comm\":");
	jcs_string(out, leaf->comm, strnlen(leaf->comm, sizeof(leaf->comm)));
	lnx_buf_char(out, ',');
	put_text(out, "cpu_ns", leaf->cpu_ns);
	lnx_buf_printf(out, "\"exit_code\":%" PRId32 ",\"main\":%s,", leaf->exit_code,
		       leaf->is_main ? "true" : "false");
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
		{ "net_tx_bytes", &l->net_tx_bytes },
		{ "stall_ns", &l->stall_ns },
		{ "rss_peak_kib", &l->rss_peak_kib },
	};
	const json_t *code = json_object_get(o, "exit_code"), *is_main = json_object_get(o, "main");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (get_text(o, numbers[i].key, numbers[i].to))
			return bad(why, numbers[i].key);
	if (get_pid(o, "pid", &l->pid) || get_pid(o, "ppid", &l->ppid))
		return bad(why, "pid or ppid");
	/* a name of 16 bytes in the kernel can become longer by what stands for bytes that are not UTF-8 */
	if (get_chars(o, "type", l->type, sizeof(l->type) - 1) ||
	    json_string_length(json_object_get(o, "comm")) > 48)
		return bad(why, "type or comm");
	if (!json_is_integer(code) || json_integer_value(code) < INT32_MIN ||
	    json_integer_value(code) > INT32_MAX)
		return bad(why, "exit_code");
	if (!json_is_boolean(is_main))
		return bad(why, "main");
	l->exit_code = (int32_t)json_integer_value(code);
	l->is_main = json_is_true(is_main);
	return json_integer_value(json_object_get(o, "v")) == 1 ? 0 : bad(why, "v");
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
