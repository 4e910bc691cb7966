/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One key out of four places; every other copy that can be reached is overwritten. */
#include "signer.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity_file.h"

/* 64 hex digits with or without 0x. libsodium's reader takes the same time for all digits. */
static int take_hex(const char *text, size_t n, const char *source, const struct secp *s,
		    struct signer *sg, char why[IDENTITY_WHY])
{
	size_t bin = 0;

	if (n >= 2 && text[0] == '0' && text[1] == 'x') {
		text += 2;
		n -= 2;
	}
	if (n != (size_t)2 * SECP_KEY ||
	    sodium_hex2bin(sg->key, SECP_KEY, text, n, NULL, &bin, NULL) || bin != SECP_KEY)
		return identity_say(why, -EINVAL, "%s is not 64 hex digits", source);
	if (!secp_is_key(s, sg->key))
		return identity_say(why, -EINVAL, "%s is no key of secp256k1: 0, or over its order",
				    source);
	sg->source = source;
	return 0;
}

static int take_file(const char *path, const struct secp *s, struct signer *sg,
		     char why[IDENTITY_WHY])
{
	char *text = sodium_malloc(IDENTITY_FILE_BYTES);
	size_t n = 0;
	int rc;

	if (!text)
		return identity_say(why, -ENOMEM, "out of memory that can be locked");
	rc = identity_file_read(path, text, &n, why);
	if (!rc) {
		while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
			n--;
		rc = take_hex(text, n, "chain.private_key_file", s, sg, why);
	}
	sodium_free(text);
	return rc;
}

/* What stands in the process's own first page goes too: /proc/PID/environ shows that. */
static void wipe_env(char *value)
{
	if (!value)
		return;
	sodium_memzero(value, strlen(value));
	(void)unsetenv(SIGNER_ENV); /* a valid name */
}

int signer_open(const char *text, const char *file, const struct identity *id, const struct secp *s,
		struct signer *ret, char why[IDENTITY_WHY])
{
	char *env = getenv(SIGNER_ENV);
	struct signer sg = { .source = "" };
	int rc;

	identity_shut_process();
	sg.key = sodium_init() < 0 ? NULL : sodium_malloc(SECP_KEY);
	if (!sg.key) {
		rc = identity_say(why, -ENOMEM, "out of memory that can be locked");
	} else if (text && *text) {
		rc = take_hex(text, strlen(text), "chain.private_key", s, &sg, why);
	} else if (file && *file) {
		rc = take_file(file, s, &sg, why);
	} else if (env && *env) {
		rc = take_hex(env, strlen(env), SIGNER_ENV, s, &sg, why);
	} else if (id) {
		rc = identity_may_hold_money(id, why);
		memcpy(sg.key, id->secret->secp256k1, SECP_KEY);
		sg.source = "identity";
	} else {
		rc = identity_say(why, -ENOENT, "no key: neither configured nor an identity");
	}
	wipe_env(env);
	rc = rc ? rc : secp_address(s, sg.key, sg.address);
	if (rc)
		signer_done(&sg);
	else
		*ret = sg;
	return rc;
}

void signer_done(struct signer *s)
{
	sodium_free(s->key);
	memset(s, 0, sizeof(*s));
}
