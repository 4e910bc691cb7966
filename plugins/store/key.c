/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's signing key: 32 random bytes as one line of hex, in a file that only its owner may read. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"

#define HEX_BYTES 64

__attribute__((format(printf, 4, 5))) static int say(char *error, size_t cap, int rc,
						     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(error, cap, fmt, ap); /* cut is fine: for people */
	va_end(ap);
	return rc;
}

/* Whole or not at all: a key that was written in part would sign nothing later. */
static int key_make(const char *file, unsigned char *seed)
{
	char hex[HEX_BYTES + 2], tmp[544];
	int fd, rc = 0;

	randombytes_buf(seed, crypto_sign_SEEDBYTES);
	(void)sodium_bin2hex(hex, sizeof(hex), seed, crypto_sign_SEEDBYTES); /* fits */
	hex[HEX_BYTES] = '\n';
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", file) >= sizeof(tmp))
		return -ENAMETOOLONG;
	(void)unlink(tmp); /* of a start that was killed */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, hex, HEX_BYTES + 1) != HEX_BYTES + 1)
		rc = errno ? -errno : -ENOSPC;
	if (!rc && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	/* link, not rename: one that is there already stays */
	if (!rc && link(tmp, file) < 0)
		rc = -errno;
	(void)unlink(tmp);
	sodium_memzero(hex, sizeof(hex));
	return rc;
}

static int key_read(const char *file, unsigned char *seed, char *error, size_t cap)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;
	char hex[HEX_BYTES + 2];
	struct stat st;
	size_t bin = 0;
	ssize_t n;

	if (fd < 0)
		return say(error, cap, -errno, "%s: %s", file, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = say(error, cap, -EINVAL, "%s: not a plain file", file);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		rc = say(error, cap, -EPERM, "%s: belongs to another user", file);
	else if (st.st_mode & 077)
		rc = say(error, cap, -EPERM, "%s: others may use it: chmod 600", file);
	n = rc ? 0 : read(fd, hex, sizeof(hex));
	if (!rc && (n < HEX_BYTES || n > HEX_BYTES + 1 ||
		    sodium_hex2bin(seed, crypto_sign_SEEDBYTES, hex, HEX_BYTES, NULL, &bin, NULL) ||
		    bin != crypto_sign_SEEDBYTES))
		rc = say(error, cap, -EINVAL, "%s: not 64 hex digits", file);
	(void)close(fd);
	sodium_memzero(hex, sizeof(hex));
	return rc;
}

int chain_key(const char *file, int does_make, unsigned char ret_public[CHAIN_KEY],
	      unsigned char *ret_secret, char *error, size_t cap)
{
	unsigned char seed[crypto_sign_SEEDBYTES], secret[crypto_sign_SECRETKEYBYTES];
	int rc;

	if (sodium_init() < 0)
		return say(error, cap, -EIO, "no random numbers");
	rc = key_read(file, seed, error, cap);
	if (rc == -ENOENT && does_make) {
		rc = key_make(file, seed);
		if (rc)
			(void)say(error, cap, rc, "%s: %s", file, strerror(-rc));
	}
	if (!rc) {
		*error = 0;
		(void)crypto_sign_seed_keypair(ret_public, secret, seed); /* cannot fail */
		if (ret_secret)
			memcpy(ret_secret, secret, sizeof(secret));
	}
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	return rc;
}
