/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The key that signs, and the lane that it signs in: one agent a key and chain. */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"

/* A message about a file is longer than what a state says. */
static int say(char why[SETTLE_WHY], const char *text, int rc)
{
	(void)snprintf(why, SETTLE_WHY, "%.*s", SETTLE_WHY - 1, text); /* cut is fine: for people */
	return rc;
}

int keys_load(struct settle *s, char why[SETTLE_WHY])
{
	const struct settle_conf *c = s->conf;
	char text[IDENTITY_WHY] = "";
	uint64_t now = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
	int rc;

	if (sodium_init() < 0)
		return say(why, "no random numbers", -EIO);
	identity_shut_process();
	rc = secp_open(&s->secp, text, sizeof(text));
	if (!rc)
		rc = identity_open(c->identity_path, true, now, s->secp, &s->identity, text);
	if (!rc)
		rc = signer_open(c->private_key, c->private_key_file, s->identity, s->secp,
				 &s->signer, text);
	if (rc)
		return say(why, text, rc);
	s->key = s->signer.key;
	memcpy(s->address, s->signer.address, 20);
	memcpy(s->did, s->identity->did, sizeof(s->identity->did));
	memcpy(s->ed25519, s->identity->ed25519, 32);
	did_hash(s->did, s->did32);
	return 0;
}

int keys_lock(struct settle *s, char why[SETTLE_WHY])
{
	char path[512], address[43];
	int rc = 0;

	hex_format(s->address, 20, address);
	if ((size_t)snprintf(path, sizeof(path), "%s/settle-%llu-%s.lock", s->conf->lock_dir,
			     (unsigned long long)s->conf->chain_id, address) >= sizeof(path))
		return say(why, "chain.lock_dir is too long", -ENAMETOOLONG);
	(void)mkdir(s->conf->lock_dir, 0755); /* opening tells */
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (rc == -EBUSY)
		(void)snprintf(why, SETTLE_WHY,
			       "another agent signs with the key of %s: two would pay twice",
			       address); /* fits */
	else if (rc)
		(void)snprintf(why, SETTLE_WHY, "%.120s: %s: see chain.lock_dir", path,
			       strerror(-rc)); /* fits */
	return rc;
}

int keys_differ(const struct settle *s, const char *text)
{
	struct signer other = { .source = "" };
	char why[IDENTITY_WHY];
	int is_other;

	if (!text || !*text)
		return 0; /* that of an environment is gone by now */
	is_other = signer_open(text, NULL, NULL, s->secp, &other, why) < 0 ||
		   memcmp(other.address, s->address, 20) != 0;
	signer_done(&other);
	return is_other;
}

void keys_done(struct settle *s)
{
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd); /* lets go of the lock */
	signer_done(&s->signer);
	identity_free(s->identity);
	secp_close(s->secp);
}
