/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* lnx_suggest: near words are offered, far ones are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event.h"

static const char *const words[] = { "max_clients", "listen", "socket", "ops_listen", NULL };

static void a_near_word_is_offered(void **state)
{
	(void)state;
	assert_string_equal(lnx_suggest("max_client", words), "max_clients");
	assert_string_equal(lnx_suggest("lisetn", words), "listen");
	assert_string_equal(lnx_suggest("LISTEN", words), "listen");
	assert_string_equal(lnx_suggest("listen", words), "listen");
	assert_string_equal(lnx_suggest("opslisten", words), "ops_listen");
}

static void a_third_of_the_letters_is_the_limit(void **state)
{
	(void)state;
	assert_null(lnx_suggest("sokt", words));		     /* 2 of 4 */
	assert_string_equal(lnx_suggest("sockxy", words), "socket"); /* 2 of 6 */
	assert_null(lnx_suggest("xyz", words));
	assert_null(lnx_suggest("ab", words));
	assert_null(lnx_suggest("", words));
}

static void swapped_neighbours_are_one_mistake(void **state)
{
	static const char *const short_words[] = { "level", "ps", "when", NULL };

	(void)state;
	assert_string_equal(lnx_suggest("levle", short_words), "level");
	assert_string_equal(lnx_suggest("whne", short_words), "when");
	assert_null(lnx_suggest("sp", short_words)); /* a third of 2 letters is none */
	assert_null(lnx_suggest("elevl", short_words));
}

static void the_nearest_wins_and_the_first_of_equals(void **state)
{
	static const char *const equal[] = { "abcdee", "abcdef", "abcdeg", NULL };

	(void)state;
	assert_string_equal(lnx_suggest("abcdef", equal), "abcdef");
	assert_string_equal(lnx_suggest("abcdex", equal), "abcdee");
}

static void long_words_and_no_words_get_nothing(void **state)
{
	static const char *const none[] = { NULL };
	char word[200], other[200];
	const char *const one[] = { other, NULL };

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = 0;
	memcpy(other, word, sizeof(other));
	assert_null(lnx_suggest(word, one));
	word[64] = 0;
	assert_null(lnx_suggest(word, one));
	other[64] = 0;
	assert_string_equal(lnx_suggest(word, one), other);
	assert_null(lnx_suggest("listen", none));
	assert_null(lnx_suggest("listen", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_near_word_is_offered),
		cmocka_unit_test(a_third_of_the_letters_is_the_limit),
		cmocka_unit_test(swapped_neighbours_are_one_mistake),
		cmocka_unit_test(the_nearest_wins_and_the_first_of_equals),
		cmocka_unit_test(long_words_and_no_words_get_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
