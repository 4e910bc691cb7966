/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The ring against a plain list: any order of adds and walks sees the same records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "ring.h"
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_BYTES 32768

struct walk {
	uint64_t next, last;
	unsigned n, stop_after;
};

static int check_next(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct walk *w = arg;

	if (w->next)
		assert_int_equal(meta->seq, w->next);
	assert_int_equal(ev->pid, (uint32_t)meta->seq);
	assert_int_equal(ev->size, sizeof(*ev) + meta->seq * 37 % 900);
	w->next = meta->seq + 1;
	w->last = meta->seq;
	return ++w->n == w->stop_after;
}

static void add(struct lnx_ring *r, uint64_t seq)
{
	char bytes[1024];
	struct lnx_event ev = { .size = (uint32_t)(sizeof(ev) + seq * 37 % 900),
				.pid = (uint32_t)seq,
				.ts_ns = seq };
	struct lnx_event_meta meta = { .seq = seq };

	memset(bytes, 0x5b, sizeof(bytes)); /* nothing that could pass for the mark of an end */
	memcpy(bytes, &ev, sizeof(ev));
	lnx_ring_add(r, (const struct lnx_event *)(const void *)bytes, &meta);
}

static void walks_see_all_that_is_kept_from_anywhere(void **state)
{
	struct lnx_ring r;
	uint64_t seq = 0, since, oldest, want;
	unsigned step, seed = 7;

	(void)state;
	assert_int_equal(lnx_ring_init(&r, RING_BYTES), 0);
	for (step = 0; step < 30000; step++) {
		struct walk w = { 0 };
		int n;

		if (rand_r(&seed) % 2) {
			add(&r, ++seq);
			continue;
		}
		since = rand_r(&seed) % 4 ? (uint64_t)rand_r(&seed) % (seq + 3)
					  : seq - (seq > 3 ? (uint64_t)rand_r(&seed) % 4 : 0);
		w.stop_after = rand_r(&seed) % 3 ? 0 : 1 + (unsigned)rand_r(&seed) % 20;
		oldest = lnx_ring_oldest(&r);
		n = lnx_ring_each(&r, since, check_next, &w);
		want = !seq || since >= seq ? 0 : since < oldest ? seq - oldest + 1 : seq - since;
		if (w.stop_after && want > w.stop_after)
			want = w.stop_after;
		assert_int_equal(n, want);
		assert_int_equal(w.n, want);
		if (want)
			assert_int_equal(w.next - want, since + 1 > oldest ? since + 1 : oldest);
	}
	assert_true(lnx_ring_oldest(&r) > 1);
	lnx_ring_done(&r);
}

/* More readers than marks, each a little at a time. */
static void many_readers_go_on_where_they_stopped(void **state)
{
	uint64_t at[3 * LNX_RING_MARKS] = { 0 };
	struct lnx_ring r;
	uint64_t seq = 0;
	unsigned i, step;

	(void)state;
	assert_int_equal(lnx_ring_init(&r, RING_BYTES), 0);
	for (step = 0; step < 500; step++) {
		add(&r, ++seq);
		add(&r, ++seq);
		for (i = 0; i < 3 * LNX_RING_MARKS; i++) {
			struct walk w = { .stop_after = 1 + i % 3 };

			if (lnx_ring_each(&r, at[i], check_next, &w)) {
				if (at[i] + 1 >= lnx_ring_oldest(&r))
					assert_int_equal(w.last, at[i] + w.n);
				at[i] = w.last;
			}
		}
	}
	lnx_ring_done(&r);
}

static size_t resident(const struct lnx_ring *r)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (r->cap + page - 1) / page, sum = 0;
	unsigned char *in = calloc(n, 1);

	assert_non_null(in);
	assert_int_equal(mincore(r->data, r->cap, in), 0);
	for (size_t i = 0; i < n; i++)
		sum += (in[i] & 1) * page;
	free(in);
	return sum;
}

/* Whatever was added and forgotten before: what is kept is what is young enough, and no more memory than that. */
static void what_is_old_is_forgotten_and_its_memory_given_back(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t seq = 0, before, oldest;
	unsigned step, seed = 11;
	struct lnx_ring r;

	(void)state;
	assert_int_equal(lnx_ring_init(&r, 16 * RING_BYTES), 0);
	assert_int_equal(lnx_ring_forget(&r, UINT64_MAX), 0);
	for (step = 0; step < 2000; step++) {
		struct walk w = { 0 };

		for (unsigned n = (unsigned)rand_r(&seed) % 1500; n; n--)
			add(&r, ++seq);
		oldest = lnx_ring_oldest(&r);
		before = seq - (uint64_t)rand_r(&seed) % (rand_r(&seed) % 2 ? 20 : 2000);
		if ((int64_t)before < (int64_t)oldest)
			before = oldest;
		assert_int_equal(lnx_ring_forget(&r, before), oldest ? before - oldest : 0);
		assert_int_equal(lnx_ring_oldest(&r), before);
		assert_int_equal(lnx_ring_each(&r, 0, check_next, &w), r.n);
		/* a page begun at each end of what is kept, and at each end of the block */
		if (before > oldest)
			assert_true(resident(&r) <= r.used_bytes + 4 * page);
	}
	oldest = lnx_ring_oldest(&r);
	assert_int_equal(lnx_ring_forget(&r, UINT64_MAX), seq - oldest);
	assert_int_equal(lnx_ring_oldest(&r), seq);
	assert_true(resident(&r) <= 2 * page);
	lnx_ring_done(&r);
}

static void an_empty_ring_has_nothing(void **state)
{
	struct walk w = { 0 };
	struct lnx_ring r;

	(void)state;
	assert_int_equal(lnx_ring_init(&r, 0), 0);
	assert_int_equal(lnx_ring_each(&r, 0, check_next, &w), 0);
	assert_int_equal(lnx_ring_oldest(&r), 0);
	lnx_ring_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_see_all_that_is_kept_from_anywhere),
		cmocka_unit_test(many_readers_go_on_where_they_stopped),
		cmocka_unit_test(what_is_old_is_forgotten_and_its_memory_given_back),
		cmocka_unit_test(an_empty_ring_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
