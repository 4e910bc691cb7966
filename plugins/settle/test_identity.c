/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files of secrets, the keys that follow from them, and which one signs. */
#include "test_vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"
#include "identity_file.h"
#include "signer.h"

#define NOW 1767323045123456789ull

static struct secp *curve;
static char dir[64], path[128], why[IDENTITY_WHY];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/lnx-identity-XXXXXX"); /* fits */
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/id.json", dir); /* fits */
	return 0;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir); /* fits */
	return system(command);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

/* An identity file of the known seed. */
static void write_known(const json_t *v, mode_t mode)
{
	uint8_t seed[32];
	char b64[45], text[600];

	bytes_of(v, "seed", seed, 32);
	assert_non_null(
		sodium_bin2base64(b64, sizeof(b64), seed, 32, sodium_base64_VARIANT_ORIGINAL));
	(void)snprintf(
		text, sizeof(text),
		"{\n \"version\": 1, \"did\": \"%s\",\n \"seed\" : \"%s\", \"secp256k1_address\": \"%s\","
		" \"created_at\": \"2026-01-02T03:04:05.000000000Z\", \"rotated_from\": null }\n",
		text_of(v, "did"), b64, text_of(v, "address")); /* fits */
	write_file(path, text, mode);
}

static void keys_follow_from_the_seed(void **state)
{
	json_t *all = vectors(), *v = json_object_get(all, "identity");
	struct identity *id = NULL;
	uint8_t want[32];

	(void)state;
	write_known(v, 0600);
	assert_int_equal(identity_open(path, false, NOW, curve, &id, why), 0);
	assert_string_equal(id->did, text_of(v, "did"));
	bytes_of(v, "ed25519", want, 32);
	assert_memory_equal(id->ed25519, want, 32);
	bytes_of(v, "ed25519_seed", want, 32);
	assert_memory_equal(id->secret->ed25519_seed, want, 32);
	assert_memory_equal(id->secret->ed25519, want, 32);
	bytes_of(v, "secp256k1", want, 32);
	assert_memory_equal(id->secret->secp256k1, want, 32);
	bytes_of(v, "address", want, 20);
	assert_memory_equal(id->address, want, 20);
	assert_false(id->is_fresh);
	assert_false(id->is_by_user);
	identity_free(id);
	json_decref(all);
}

static void a_new_one_is_whole_private_and_comes_back(void **state)
{
	struct identity *id = NULL, *again = NULL;
	struct stat st;

	(void)state;
	(void)umask(0);
	assert_int_equal(identity_open(path, false, NOW, curve, &id, why), -ENOENT);
	assert_int_equal(identity_new(path, true, NOW, curve, &id, why), 0);
	assert_null(id);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(identity_new(path, false, NOW, curve, &id, why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(identity_open(path, false, 0, curve, &again, why), 0);
	assert_string_equal(id->did, again->did);
	assert_memory_equal(id->secret->secp256k1, again->secret->secp256k1, 32);
	assert_true(again->created_ns == NOW);
	assert_true(again->is_by_user);
	identity_free(again);
	identity_free(id);
	assert_int_equal(identity_new(path, false, NOW, curve, &id, why), -EEXIST);
	assert_non_null(strstr(why, "linnix identity rotate"));
}

static void rotation_keeps_the_old_one(void **state)
{
	struct identity *first = NULL, *second = NULL, *kept = NULL;
	char old[256];

	(void)state;
	assert_int_equal(identity_rotate(path, false, NOW, curve, &first, why), -ENOENT);
	assert_int_equal(identity_new(path, false, NOW, curve, &first, why), 0);
	assert_int_equal(identity_rotate(path, true, NOW, curve, &second, why), 0);
	assert_null(second);
	assert_int_equal(identity_rotate(path, false, NOW + 1, curve, &second, why), 0);
	assert_string_equal(second->rotated_from, first->did);
	assert_string_not_equal(second->did, first->did);
	(void)snprintf(old, sizeof(old), "%s.%s", path, first->did); /* fits */
	assert_int_equal(identity_open(old, false, NOW, curve, &kept, why), 0);
	assert_memory_equal(kept->secret->seed, first->secret->seed, 32);
	identity_free(kept);
	assert_int_equal(identity_open(path, false, NOW, curve, &kept, why), 0);
	assert_string_equal(kept->did, second->did);
	assert_string_equal(kept->rotated_from, first->did);
	identity_free(kept);
	identity_free(first);
	identity_free(second);
}

static void files_that_others_may_touch_are_refused(void **state)
{
	json_t *all = vectors(), *v = json_object_get(all, "identity");
	struct identity *id = NULL;
	char target[160];

	(void)state;
	write_known(v, 0640);
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), -EPERM);
	assert_non_null(strstr(why, "chmod 600"));
	if (geteuid() == 0) {
		write_known(v, 0600);
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_int_equal(identity_open(path, true, NOW, curve, &id, why), -EPERM);
		assert_non_null(strstr(why, "belongs to user 12345"));
		assert_int_equal(chown(path, 0, 0), 0);
	}
	write_known(v, 0600);
	(void)snprintf(target, sizeof(target), "%s/real", dir); /* fits */
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), -EPERM);
	assert_non_null(strstr(why, "symbolic link"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), -EPERM);
	assert_non_null(strstr(why, "not a plain file"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(identity_new(path, false, NOW, curve, &id, why), -EPERM);
	assert_non_null(strstr(why, "others may replace files in it"));
	assert_int_equal(chmod(dir, 0700), 0);
	json_decref(all);
}

static void what_is_no_identity_is_refused_without_its_text(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"{\"seed\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\"",
		"{\"seed\":\"c2VjcmV0\"}",
		"{\"seed\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\"}",
		"{\"version\":1,\"did\":\"did:key:z6Mk\",\"seed\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\"}",
		"{\"seed\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\",\"seed\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\"}",
	};
	struct identity *id = NULL;
	char big[IDENTITY_FILE_BYTES + 10];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(path, bad[i], 0600);
		assert_int_equal(identity_open(path, true, NOW, curve, &id, why), -EBADMSG);
		assert_null(strstr(why, "c2VjcmV0"));
		assert_null(id);
	}
	memset(big, ' ', sizeof(big));
	big[sizeof(big) - 1] = 0;
	write_file(path, big, 0600);
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), -EFBIG);
}

static void money_needs_an_identity_that_lasts(void **state)
{
	struct identity *id = NULL;

	(void)state;
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), 0);
	assert_true(id->is_fresh);
	assert_int_equal(identity_may_hold_money(id, why), -EPERM);
	assert_non_null(strstr(why, "linnix identity new"));
	identity_free(id);
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), 0);
	assert_false(id->is_fresh);
	assert_int_equal(identity_may_hold_money(id, why), id->is_lasting ? 0 : -EPERM);
	id->is_lasting = false;
	assert_int_equal(identity_may_hold_money(id, why), -EPERM);
	id->is_by_user = true;
	assert_int_equal(identity_may_hold_money(id, why), 0);
	identity_free(id);
}

static void memory_file_systems_do_not_last(void **state)
{
	struct identity *id = NULL;
	char shm[64];

	(void)state;
	(void)snprintf(shm, sizeof(shm), "/dev/shm/lnx-identity-%d", (int)getpid()); /* fits */
	if (access("/dev/shm", W_OK) < 0)
		skip();
	assert_int_equal(identity_open(shm, true, NOW, curve, &id, why), 0);
	assert_false(id->is_lasting);
	identity_free(id);
	assert_int_equal(unlink(shm), 0);
}

#define KEY_A "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_B "2222222222222222222222222222222222222222222222222222222222222222"
#define KEY_C "3333333333333333333333333333333333333333333333333333333333333333"

static void the_key_comes_from_the_first_place_that_has_one(void **state)
{
	struct identity *id = NULL;
	struct signer s;
	char file[160];

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/key", dir); /* fits */
	write_file(file, "0x" KEY_B "\n", 0600);
	assert_int_equal(identity_new(path, false, NOW, curve, &id, why), 0);
	assert_int_equal(setenv(SIGNER_ENV, KEY_C, 1), 0);
	assert_int_equal(signer_open(KEY_A, file, id, curve, &s, why), 0);
	assert_string_equal(s.source, "chain.private_key");
	assert_int_equal(s.key[0], 0x11);
	assert_null(getenv(SIGNER_ENV));
	signer_done(&s);
	assert_int_equal(setenv(SIGNER_ENV, KEY_C, 1), 0);
	assert_int_equal(signer_open("", file, id, curve, &s, why), 0);
	assert_int_equal(s.key[0], 0x22);
	signer_done(&s);
	assert_int_equal(setenv(SIGNER_ENV, KEY_C, 1), 0);
	assert_int_equal(signer_open("", "", id, curve, &s, why), 0);
	assert_int_equal(s.key[0], 0x33);
	assert_null(getenv(SIGNER_ENV));
	signer_done(&s);
	assert_int_equal(signer_open(NULL, NULL, id, curve, &s, why), 0);
	assert_memory_equal(s.address, id->address, 20);
	signer_done(&s);
	identity_free(id);
	assert_int_equal(signer_open("", "", NULL, curve, &s, why), -ENOENT);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

static void a_bad_key_is_refused_without_telling_it(void **state)
{
	static const char *const bad[] = {
		"1111",
		"0x",
		KEY_A "1",
		"g111111111111111111111111111111111111111111111111111111111111111",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	};
	struct identity *id = NULL;
	struct signer s;
	char file[160];

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/key", dir); /* fits */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(signer_open(bad[i], "", NULL, curve, &s, why), -EINVAL);
		assert_non_null(strstr(why, "chain.private_key is n"));
		assert_null(strstr(why, bad[i]));
		write_file(file, bad[i], 0600);
		assert_int_equal(signer_open("", file, NULL, curve, &s, why), -EINVAL);
		assert_null(strstr(why, bad[i]));
		/* a bad one is not passed over for the next place */
		assert_int_equal(setenv(SIGNER_ENV, bad[i], 1), 0);
		assert_int_equal(signer_open("", "", NULL, curve, &s, why), -EINVAL);
		assert_null(getenv(SIGNER_ENV));
	}
	write_file(file, KEY_A, 0644);
	assert_int_equal(signer_open("", file, NULL, curve, &s, why), -EPERM);
	assert_int_equal(signer_open("", "/nonexistent/key", NULL, curve, &s, why), -ENOENT);
	assert_int_equal(identity_open(path, true, NOW, curve, &id, why), 0);
	assert_int_equal(signer_open("", "", id, curve, &s, why), -EPERM);
	identity_free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_follow_from_the_seed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_new_one_is_whole_private_and_comes_back, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(rotation_keeps_the_old_one, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(files_that_others_may_touch_are_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(what_is_no_identity_is_refused_without_its_text,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(money_needs_an_identity_that_lasts, make_dir,
						remove_dir),
		cmocka_unit_test(memory_file_systems_do_not_last),
		cmocka_unit_test_setup_teardown(the_key_comes_from_the_first_place_that_has_one,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_bad_key_is_refused_without_telling_it, make_dir,
						remove_dir),
	};

	if (secp_open(&curve, why, sizeof(why)))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
