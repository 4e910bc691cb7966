/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The reader of BPF ring buffers, over plain memory in the shape the kernel gives it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/bpf.h>

#include "../../core/ringbuf.h"

#define RING_BYTES 256

struct fake {
	uint64_t consumer, producer;
	_Alignas(8) unsigned char data[RING_BYTES];
	struct lnx_ringbuf *rb;
	char seen[64]; /* first byte of each record */
	size_t bytes[64];
	unsigned n;
	int is_sound; /* all bytes of every record were its first */
};

static void fake_open(struct fake *f, uint64_t at)
{
	memset(f, 0, sizeof(*f));
	f->consumer = f->producer = at;
	f->is_sound = 1;
	assert_int_equal(
		lnx_ringbuf_open_mem(&f->consumer, &f->producer, f->data, RING_BYTES, &f->rb), 0);
}

/* As the kernel reserves: <bytes> bytes of <letter>, with <flags> in the head. Returns its place. */
static uint64_t fake_put(struct fake *f, char letter, uint32_t bytes, uint32_t flags)
{
	uint32_t word = bytes | flags;
	uint64_t at = f->producer;
	unsigned i;

	memcpy(f->data + at % RING_BYTES, &word, sizeof(word));
	for (i = 0; i < bytes; i++)
		f->data[(at + 8 + i) % RING_BYTES] = (unsigned char)letter;
	f->producer = at + (bytes + 8 + 7) / 8 * 8;
	return at;
}

static void fake_see(void *arg, const void *record, size_t bytes)
{
	struct fake *f = arg;
	const char *c = record;
	size_t i;

	f->seen[f->n] = c[0];
	f->bytes[f->n++] = bytes;
	for (i = 0; i < bytes; i++)
		f->is_sound &= c[i] == c[0];
}

static unsigned fake_read(struct fake *f, unsigned max)
{
	f->n = 0;
	memset(f->seen, 0, sizeof(f->seen));
	return lnx_ringbuf_read(f->rb, max, fake_see, f);
}

static void an_empty_ring_gives_nothing(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, 0);
	assert_int_equal(fake_read(&f, 10), 0);
	assert_int_equal(f.consumer, 0);
	lnx_ringbuf_close(f.rb);
	lnx_ringbuf_close(NULL);
}

static void records_come_in_order_and_make_room(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, 0);
	fake_put(&f, 'a', 16, 0);
	fake_put(&f, 'b', 21, 0);
	fake_put(&f, 'c', 1, 0);
	assert_int_equal(fake_read(&f, 10), 3);
	assert_string_equal(f.seen, "abc");
	assert_int_equal(f.bytes[1], 21);
	assert_true(f.is_sound);
	assert_int_equal(f.consumer, f.producer);
	assert_int_equal(f.consumer, 24 + 32 + 16);
	lnx_ringbuf_close(f.rb);
}

static void it_stops_after_as_many_as_asked_and_goes_on_later(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, 0);
	for (char c = 'a'; c < 'f'; c++)
		fake_put(&f, c, 8, 0);
	assert_int_equal(fake_read(&f, 2), 2);
	assert_string_equal(f.seen, "ab");
	assert_int_equal(f.consumer, 32);
	assert_int_equal(fake_read(&f, 10), 3);
	assert_string_equal(f.seen, "cde");
	lnx_ringbuf_close(f.rb);
}

static void one_that_is_being_written_holds_back_what_follows(void **state)
{
	struct fake f;
	uint64_t busy;
	uint32_t word = 8;

	(void)state;
	fake_open(&f, 0);
	fake_put(&f, 'a', 8, 0);
	busy = fake_put(&f, 'b', 8, BPF_RINGBUF_BUSY_BIT);
	fake_put(&f, 'c', 8, 0);
	assert_int_equal(fake_read(&f, 10), 1);
	assert_int_equal(f.consumer, busy);
	memcpy(f.data + busy, &word, sizeof(word));
	assert_int_equal(fake_read(&f, 10), 2);
	assert_string_equal(f.seen, "bc");
	lnx_ringbuf_close(f.rb);
}

static void discarded_ones_are_passed_over(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, 0);
	fake_put(&f, 'a', 8, BPF_RINGBUF_DISCARD_BIT);
	fake_put(&f, 'b', 8, 0);
	fake_put(&f, 'c', 40, BPF_RINGBUF_DISCARD_BIT);
	assert_int_equal(fake_read(&f, 10), 1);
	assert_string_equal(f.seen, "b");
	assert_int_equal(f.consumer, f.producer);
	lnx_ringbuf_close(f.rb);
}

static void a_record_across_the_end_comes_in_one_piece(void **state)
{
	struct fake f;
	uint64_t at;

	(void)state;
	for (at = 0; at < RING_BYTES; at += 8) {
		fake_open(&f, at);
		fake_put(&f, 'x', 100, 0);
		fake_put(&f, 'y', 33, 0);
		assert_int_equal(fake_read(&f, 10), 2);
		assert_string_equal(f.seen, "xy");
		assert_int_equal(f.bytes[0], 100);
		assert_true(f.is_sound);
		lnx_ringbuf_close(f.rb);
	}
}

static void positions_may_be_past_32_bits(void **state)
{
	struct fake f;

	(void)state;
	fake_open(&f, 0xfffffff8u);
	for (unsigned i = 0; i < 50; i++) {
		fake_put(&f, 'z', 57, 0);
		assert_int_equal(fake_read(&f, 10), 1);
		assert_true(f.is_sound);
	}
	assert_int_equal(f.consumer, 0xfffffff8u + 50 * 72ull);
	lnx_ringbuf_close(f.rb);
}

static void one_too_long_to_straighten_is_skipped_and_counted(void **state)
{
	static _Alignas(8) unsigned char data[16384];
	uint64_t consumer = 8192, producer = 8192;
	struct lnx_ringbuf *rb;
	uint32_t word = 9000;
	struct fake f = { .n = 0 };

	(void)state;
	assert_int_equal(lnx_ringbuf_open_mem(&consumer, &producer, data, sizeof(data), &rb), 0);
	memcpy(data + 8192, &word, sizeof(word));
	producer += 9008;
	assert_int_equal(lnx_ringbuf_read(rb, 10, fake_see, &f), 1);
	assert_int_equal(f.n, 0);
	assert_int_equal(lnx_ringbuf_skipped(rb), 1);
	assert_int_equal(consumer, producer);
	lnx_ringbuf_close(rb);
}

static void a_size_that_is_no_power_of_two_is_refused(void **state)
{
	uint64_t pos = 0;
	struct lnx_ringbuf *rb = NULL;

	(void)state;
	assert_int_equal(lnx_ringbuf_open_mem(&pos, &pos, "", 0, &rb), -EINVAL);
	assert_int_equal(lnx_ringbuf_open_mem(&pos, &pos, "", 100, &rb), -EINVAL);
	assert_true(lnx_ringbuf_open(-1, 4096, &rb) < 0);
	assert_null(rb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_ring_gives_nothing),
		cmocka_unit_test(records_come_in_order_and_make_room),
		cmocka_unit_test(it_stops_after_as_many_as_asked_and_goes_on_later),
		cmocka_unit_test(one_that_is_being_written_holds_back_what_follows),
		cmocka_unit_test(discarded_ones_are_passed_over),
		cmocka_unit_test(a_record_across_the_end_comes_in_one_piece),
		cmocka_unit_test(positions_may_be_past_32_bits),
		cmocka_unit_test(one_too_long_to_straighten_is_skipped_and_counted),
		cmocka_unit_test(a_size_that_is_no_power_of_two_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
