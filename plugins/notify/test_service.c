/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Channels, secrets and links: bounds and bad input. */
#include <linnix/secret.h>

#include "test_fixture.h"

static void a_full_queue_drops_the_newest_and_counts(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);
	char id[32];

	(void)state;
	agent_start(&e, &d);
	for (int i = 0; i < NOTIFY_ITEMS + 5; i++) {
		struct item *it;

		(void)snprintf(id, sizeof(id), "01HZZZZZZZZZZZZZZZZZZZ%04u", (unsigned)i % 10000);
		it = item_new(e.ch, id);
		assert_true((it != NULL) == (i < NOTIFY_ITEMS));
	}
	assert_true(dropped(&e, "full") == 5);
	end(&e);
}

static int write_rc;
static int write_later(void *arg, const struct lnx_notice *list, uint32_t n)
{
	(void)arg;
	assert_int_equal(n, 1);
	assert_int_equal(list[0].what, LNX_NOTICE_OPEN);
	return write_rc;
}

static void a_channel_may_write_itself(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.render = NULL;
	d.write = write_later;
	agent_start(&e, &d);
	write_rc = 0;
	opens(&e, 1);
	assert_true(testhost_metric(e.t, "linnix_notify_delivered_total", "channel=hook") == 1);
	write_rc = -EINPROGRESS;
	opens(&e, 2);
	assert_true(testhost_metric(e.t, "linnix_notify_waiting", "channel=hook") == 1);
	e.svc->done(e.self, e.ch, 0, "");
	assert_true(testhost_metric(e.t, "linnix_notify_delivered_total", "channel=hook") == 2);
	write_rc = -EAGAIN;
	opens(&e, 3);
	write_rc = 0;
	(void)testhost_advance(e.t, 2 * SECOND);
	assert_true(testhost_metric(e.t, "linnix_notify_delivered_total", "channel=hook") == 3);
	end(&e);
}

static void channels_are_checked_and_bounded(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e), bad;
	struct lnx_channel *ch, *more[NOTIFY_CHANNELS];
	char name[16];

	(void)state;
	agent_start(&e, &d);
	assert_int_equal(e.svc->open(e.self, "hook", &d, &ch), -EEXIST);
	bad = d;
	bad.batch = 65;
	assert_int_equal(e.svc->open(e.self, "x", &bad, &ch), -EINVAL);
	bad = d;
	bad.render = NULL;
	assert_int_equal(e.svc->open(e.self, "x", &bad, &ch), -EINVAL);
	assert_int_equal(e.svc->set(e.self, e.ch, &bad), -EINVAL);
	assert_int_equal(e.svc->open(e.self, "", &d, &ch), -EINVAL);
	for (int i = 1; i < NOTIFY_CHANNELS; i++) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(e.svc->open(e.self, name, &d, &more[i]), 0);
	}
	assert_int_equal(e.svc->open(e.self, "x", &d, &ch), -ENOSPC);
	e.svc->close(e.self, more[1]);
	e.svc->close(e.self, NULL);
	assert_int_equal(e.svc->open(e.self, "x", &d, &ch), 0);
	assert_int_equal(e.svc->tell(e.self, e.ch, "01HZZZZZZZZZZZZZZZZZZZZZ01"), -ENOENT);
	end(&e);
	/* without http_client only those that write themselves */
	e = (struct env){ .t = testhost_new() };
	assert_int_equal(testhost_provide(e.t, "incident/1", &incident, &e), 0);
	assert_int_equal(testhost_load(e.t, linnix_plugin_v1()), 0);
	e.svc = testhost_service(e.t, "notify/1", &e.self);
	assert_int_equal(e.svc->open(e.self, "hook", &d, &ch), -ENOENT);
	testhost_free(e.t);
}

static void secrets_are_read_with_care(void **state)
{
	char dir[] = "/tmp/lnx-notify-XXXXXX", path[64], text[LNX_SECRET_MAX], why[256];
	static const struct {
		const char *content;
		unsigned mode;
		int rc;
	} rows[] = {
		{ "abc\n", 0600, 0 },	     { "abc", 0440, 0 },
		{ "abc\r\n\n", 0600, 0 },    { "abc\n", 0604, -EPERM },
		{ "abc\n", 0602, -EPERM },   { "", 0600, -EINVAL },
		{ "\n", 0600, -EINVAL },     { "a b\n", 0600, -EINVAL },
		{ "a\nb\n", 0600, -EINVAL }, { "a\x01z\n", 0600, -EINVAL },
	};
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/secret", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f = fopen(path, "w");
		assert_non_null(f);
		(void)fputs(rows[i].content, f);
		(void)fclose(f);
		assert_int_equal(chmod(path, rows[i].mode), 0);
		if (lnx_secret_read(path, text, why, sizeof(why)) != rows[i].rc)
			fail_msg("row %zu: %s", i, why);
		if (!rows[i].rc)
			assert_string_equal(text, "abc");
	}
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 3000; i++)
		(void)fputc('x', f);
	(void)fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(lnx_secret_read(path, text, why, sizeof(why)), -EINVAL);
	assert_int_equal(lnx_secret_read(dir, text, why, sizeof(why)), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(lnx_secret_read(path, text, why, sizeof(why)), -ENOENT);
	assert_int_equal(rmdir(dir), 0);
}

static void links_are_checked(void **state)
{
	static const char *const bad[] = { "link_url=agent", "link_url=https://a/",
					   "link_url=https://a b", "link_url=https://a|<x>" };
	struct env e = { 0 };
	struct testhost *t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = testhost_new();
		assert_int_equal(testhost_provide(t, "incident/1", &incident, &e), 0);
		assert_int_equal(testhost_conf(t, bad[i]), 0);
		assert_int_equal(testhost_load(t, linnix_plugin_v1()), -EINVAL);
		testhost_free(t);
	}
	agent_start(&e, NULL);
	/* all addresses: by the node's name */
	assert_null(strstr(((struct notify *)testhost_state(e.t))->base, "0.0.0.0"));
	assert_int_equal(testhost_conf(e.t, "link_url=https://agent.example"), 0);
	assert_int_equal(testhost_reload(e.t), 0);
	assert_string_equal(((struct notify *)testhost_state(e.t))->base, "https://agent.example");
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_queue_drops_the_newest_and_counts),
		cmocka_unit_test(a_channel_may_write_itself),
		cmocka_unit_test(channels_are_checked_and_bounded),
		cmocka_unit_test(secrets_are_read_with_care),
		cmocka_unit_test(links_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
