/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Recordings: what was written is read, damage anywhere shortens and is told, other schemas are matched by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>
#include <stdlib.h>
#include <string.h>

#include "rec.h"
#include "rec_types.h"

#define EVENTS 3000 /* about six blocks */
#define STATE  700  /* about two */

struct fixture {
	struct lnx_registry *registry;
	struct lnx_buf file;
};

static const struct lnx_ident ident = { .size = sizeof(ident),
					.schema = 1,
					.node = "n1",
					.cluster = "c1",
					.boot_id = "b-o-o-t",
					.version = "9.9" };

/* An exec with a string, so that tails are part of it. */
static const struct lnx_event *exec_of(uint64_t seq)
{
	static union {
		struct lnx_ev_proc_exec e;
		char bytes[512];
	} u;

	memset(&u, 0, sizeof(u));
	u.e.h = (struct lnx_event){ .type = LNX_EV_PROC_EXEC,
				    .fixed = sizeof(u.e),
				    .ts_ns = 1000 * seq,
				    .pid = (uint32_t)seq,
				    .cpu = 1 };
	u.e.cgroup_id = seq * 7;
	u.e.filename.off = sizeof(u.e);
	u.e.filename.len = (__u16)snprintf(u.bytes + sizeof(u.e), 200, "/bin/program-%d",
					   (int)(seq * 7919 % 1000));
	u.e.h.size = (__u32)sizeof(u.e) + u.e.filename.len;
	return &u.e.h;
}

static void record(struct fixture *f, uint64_t skip_from, uint64_t skip_to)
{
	struct lnx_rec_about about = {
		.ident = &ident, .wall_offset_ns = 5, .start_ns = 77, .n_state = STATE
	};
	struct lnx_rec_writer *w = lnx_rec_writer_new(f->registry, &f->file);
	struct lnx_event_meta meta = { 0 };
	uint64_t seq;

	assert_non_null(w);
	about.since_seq = 100;
	lnx_rec_write_head(w, &about);
	lnx_rec_write_loss(w, "kernel", 10);
	for (seq = 1; seq <= STATE; seq++)
		lnx_rec_write_state(w, exec_of(seq));
	for (seq = 101; seq <= 100 + EVENTS; seq++) {
		meta.seq = seq;
		meta.cause_seq = seq % 3 ? 0 : seq - 2;
		meta.hops = seq % 3 ? 0 : 1;
		if (seq < skip_from || seq >= skip_to)
			lnx_rec_write_event(w, exec_of(seq), &meta);
	}
	lnx_rec_write_loss(w, "kernel", 13);
	lnx_rec_write_loss(w, LNX_REC_MISSED, skip_to - skip_from);
	lnx_rec_write_end(w, EVENTS, 100 + EVENTS);
	assert_int_equal(lnx_rec_flush(w), 0);
	lnx_rec_writer_free(w);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->registry = lnx_registry_new();
	record(f, 0, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lnx_buf_done(&f->file);
	lnx_registry_free(f->registry);
	free(f);
	return 0;
}

/* Read all of it; every event that comes out is one that went in, in order. Returns its report. */
static struct lnx_rec_report read_all(const struct fixture *f, const char *data, size_t n)
{
	struct lnx_rec_reader *r = NULL;
	struct lnx_rec_report report;
	struct lnx_err err = { 0 };
	struct lnx_rec_event e;
	uint64_t before = 0;

	assert_int_equal(lnx_rec_open(data, n, f->registry, &r, &err), 0);
	while (lnx_rec_next(r, &e)) {
		uint64_t seq = e.is_state ? e.ev->pid : e.meta.seq;
		const struct lnx_event *want = exec_of(seq);

		assert_int_equal(e.ev->size, want->size);
		assert_memory_equal(e.ev, want, want->size);
		if (!e.is_state) {
			assert_true(e.meta.seq > before);
			assert_int_equal(e.meta.cause_seq, seq % 3 ? 0 : seq - 2);
			assert_int_equal(e.meta.hops, seq % 3 ? 0 : 1);
			before = e.meta.seq;
		}
	}
	report = *lnx_rec_report(r);
	lnx_rec_close(r);
	return report;
}

static void what_was_written_is_read(void **state)
{
	const struct fixture *f = *state;
	struct lnx_rec_report p = read_all(f, f->file.data, f->file.size);
	struct lnx_buf said = { 0 };

	assert_int_equal(p.events, EVENTS);
	assert_int_equal(p.state, STATE);
	assert_string_equal(p.node, "n1");
	assert_string_equal(p.cluster, "c1");
	assert_string_equal(p.boot_id, "b-o-o-t");
	assert_string_equal(p.version, "9.9");
	assert_int_equal(p.wall_offset_ns, 5);
	assert_int_equal(p.start_ns, 77);
	assert_int_equal(p.first_ns, 101000);
	assert_int_equal(p.last_ns, 1000 * (100 + EVENTS));
	assert_true(p.has_end);
	assert_int_equal(p.lost_events + p.lost_state + p.bad_blocks + p.invalid, 0);
	lnx_rec_complain(&p, &said);
	assert_string_equal(said.data, "3 events were lost while it was made (kernel)\n");
	lnx_buf_done(&said);
	/* compressed, but no block larger than it may be */
	assert_true(f->file.size < (EVENTS + STATE) * 60);
}

static void crc_is_crc32c(void **state)
{
	struct lnx_rec_codec *c = lnx_rec_codec_new();

	(void)state;
	assert_int_equal(lnx_rec_crc(c, "123456789", 9), 0xe3069283);
	assert_int_equal(lnx_rec_crc(c, "", 0), 0);
	lnx_rec_codec_free(c);
}

/* Where the blocks begin, the end of the file last. */
static unsigned blocks_of(const struct lnx_buf *file, size_t *at, unsigned max)
{
	struct lnx_rec_block b;
	size_t p = LNX_REC_HEAD_BYTES;
	unsigned n = 0;

	while (p < file->size) {
		assert_true(n < max);
		memcpy(&b, file->data + p, sizeof(b));
		assert_true(b.raw_bytes <= LNX_REC_BLOCK_BYTES);
		at[n++] = p;
		p += sizeof(b) + b.stored_bytes;
	}
	at[n] = p;
	return n;
}

/* A flipped bit in each block costs that block alone, and what it costs is told exactly. */
static void a_flipped_bit_costs_one_block(void **state)
{
	struct fixture *f = *state;
	struct lnx_rec_block b;
	size_t at[64];
	unsigned n = blocks_of(&f->file, at, 63), i, place;

	assert_true(n > 8);
	for (i = 0; i < n; i++) {
		memcpy(&b, f->file.data + at[i], sizeof(b));
		for (place = 0; place < 2; place++) {
			size_t bit = place ? at[i] + sizeof(b) + b.stored_bytes / 2 : at[i] + 20;
			struct lnx_rec_report p;
			struct lnx_rec_reader *r = NULL;
			struct lnx_err err = { 0 };

			f->file.data[bit] ^= 0x10;
			if (b.kind == LNX_REC_TYPE) {
				assert_int_equal(lnx_rec_open(f->file.data, f->file.size,
							      f->registry, &r, &err),
						 -EINVAL);
				assert_non_null(strstr(err.msg, "description"));
			} else {
				p = read_all(f, f->file.data, f->file.size);
				assert_int_equal(p.bad_blocks, 1);
				assert_int_equal(p.events + (b.kind == LNX_REC_EVENTS ? b.n : 0),
						 EVENTS);
				assert_int_equal(p.lost_events, b.kind == LNX_REC_EVENTS ? b.n : 0);
				assert_int_equal(p.lost_state, b.kind == LNX_REC_STATE ? b.n : 0);
				assert_int_equal(p.has_end, b.kind != LNX_REC_END);
			}
			f->file.data[bit] ^= 0x10;
		}
	}
}

static void cut_anywhere_it_is_shorter_and_says_so(void **state)
{
	const struct fixture *f = *state;
	struct lnx_rec_report p, before = { 0 };
	struct lnx_buf said = { 0 };
	struct lnx_rec_reader *r;
	struct lnx_err err;
	size_t at[64], cut;
	unsigned n = blocks_of(&f->file, at, 63);

	for (cut = 0; cut < at[2]; cut += cut < 200 ? 1 : 97) {
		r = NULL;
		err = (struct lnx_err){ 0 };
		assert_int_equal(lnx_rec_open(f->file.data, cut, f->registry, &r, &err), -EINVAL);
		assert_true(err.msg[0]);
	}
	for (; cut < at[n]; cut += 511) {
		p = read_all(f, f->file.data, cut);
		assert_false(p.has_end);
		assert_true(p.events >= before.events && p.state >= before.state);
		before = p;
		lnx_buf_reset(&said);
		lnx_rec_complain(&p, &said);
		assert_non_null(strstr(said.data, "it was cut"));
	}
	p = read_all(f, f->file.data, at[n - 1]); /* all but its end */
	assert_int_equal(p.events, EVENTS);
	assert_false(p.has_end);
	lnx_buf_done(&said);
}

static void what_the_ring_lost_is_not_counted_as_damage(void **state)
{
	struct fixture *f = *state;
	struct lnx_rec_report p;

	lnx_buf_reset(&f->file);
	record(f, 500, 900);
	p = read_all(f, f->file.data, f->file.size);
	assert_int_equal(p.events, EVENTS - 400);
	assert_int_equal(p.lost_events, 0);
	assert_int_equal(p.n_loss, 2);
	assert_string_equal(p.loss[1].where, LNX_REC_MISSED);
	assert_int_equal(p.loss[1].n, 400);
}

static void other_files_are_refused_with_the_reason(void **state)
{
	static const struct {
		size_t at;
		char byte;
		const char *says;
	} cases[] = { { 0, 'x', "not a recording" }, { 8, 2, "version 2" }, { 12, 9, "damaged" } };
	struct fixture *f = *state;
	struct lnx_rec_reader *r = NULL;
	struct lnx_err err;
	size_t i;

	for (i = 0; i < 3; i++) {
		char was = f->file.data[cases[i].at];

		f->file.data[cases[i].at] = cases[i].byte;
		err = (struct lnx_err){ 0 };
		assert_int_equal(lnx_rec_open(f->file.data, f->file.size, f->registry, &r, &err),
				 -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].says));
		f->file.data[cases[i].at] = was;
	}
	for (i = 0; i < 2; i++) { /* the other byte order */
		char was = f->file.data[12 + i];

		f->file.data[12 + i] = f->file.data[15 - i];
		f->file.data[15 - i] = was;
	}
	assert_int_equal(lnx_rec_open(f->file.data, f->file.size, f->registry, &r, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "byte order"));
}

/* --- other schemas ------------------------------------------------------------------------------ */

/* An agent of another time: fields moved, widened, renamed, with one more value in front of an enum. */
struct other {
	struct lnx_event h;
	struct lnx_str rule;
	__u32 severity;
	__u64 subject_pid;
	double strange;
	double value;
	struct lnx_str say;
	__u32 pad;
};

static const char *const other_severities[] = { "debug", "info", "warning", "critical", NULL };
static const struct lnx_field other_fields[] = {
	LNX_FIELD(other, "rule", LNX_STR, rule, "", "", NULL),
	LNX_FIELD_E(other, "severity", severity, "", NULL, other_severities),
	LNX_FIELD(other, "subject.pid", LNX_U64, subject_pid, "", "", NULL),
	LNX_FIELD(other, "strange", LNX_F64, strange, "", "", NULL),
	LNX_FIELD(other, "value", LNX_F64, value, "", "", NULL),
	LNX_FIELD(other, "say", LNX_STR, say, "", "", NULL),
};

static struct lnx_rec_types *types_of(const struct lnx_registry *registry,
				      const struct lnx_event_desc *desc)
{
	struct lnx_rec_types *t = calloc(1, sizeof(*t));
	struct lnx_buf b = { 0 };

	t->registry = registry;
	lnx_rec_types_put(&b, desc);
	assert_int_equal(lnx_rec_types_read(t, b.data, b.size), 0);
	lnx_buf_done(&b);
	return t;
}

static void fields_are_matched_by_name(void **state)
{
	const struct fixture *f = *state;
	const struct lnx_event_desc desc = { .size = sizeof(desc),
					     .type = 40,
					     .fixed = sizeof(struct other),
					     .name = "alert",
					     .fields = other_fields,
					     .n_fields = 6 };
	struct lnx_rec_types *t = types_of(f->registry, &desc);
	const struct lnx_rec_type *type = lnx_rec_types_find(t, 40);
	union {
		struct other o;
		char bytes[200];
	} u = { .o = { .severity = 2, .subject_pid = 1ULL << 40, .strange = 3, .value = 7.5 } };
	union {
		struct lnx_ev_alert a;
		char bytes[LNX_EVENT_MAX];
	} out;

	u.o.h = (struct lnx_event){ sizeof(u.o) + 9, 40, sizeof(u.o), 9, 4, 0 };
	u.o.rule = (struct lnx_str){ sizeof(u.o), 4 };
	u.o.say = (struct lnx_str){ sizeof(u.o) + 4, 5 };
	memcpy(u.bytes + sizeof(u.o), "nameworse", 9);
	assert_int_equal(type->plan, LNX_REC_CONVERT);
	assert_int_equal(lnx_rec_convert(type, &u.o.h, sizeof(u), &out.a.h), 0);
	assert_int_equal(lnx_event_check(f->registry, &out.a.h, sizeof(out)), 0);
	assert_int_equal(out.a.h.type, LNX_EV_ALERT);
	assert_int_equal(out.a.h.ts_ns, 9);
	assert_int_equal(out.a.severity, LNX_SEV_WARNING);
	assert_int_equal(out.a.subject_pid, UINT32_MAX); /* as much as fits */
	assert_true(out.a.value == 7.5);
	assert_memory_equal(out.bytes + out.a.rule.off, "name", 4);
	assert_memory_equal(out.bytes + out.a.say.off, "worse", 5);
	assert_int_equal(out.a.labels.len, 0);
	/* a value that we have no name for is not mistaken for another */
	u.o.severity = 0;
	assert_int_equal(lnx_rec_convert(type, &u.o.h, sizeof(u), &out.a.h), 0);
	assert_int_equal(out.a.severity, UINT32_MAX);
	/* a string that points outside */
	u.o.say.len = 500;
	assert_int_equal(lnx_rec_convert(type, &u.o.h, u.o.h.size, &out.a.h), -EINVAL);
	lnx_rec_types_done(t);
	free(t);
}

static void an_older_and_a_newer_layout_are_used_in_place(void **state)
{
	const struct fixture *f = *state;
	struct lnx_event_desc desc = *lnx_registry_find(f->registry, "proc.exit");
	struct lnx_field more[32];
	struct lnx_rec_types *t;

	/* newer: one member behind ours */
	memcpy(more, desc.fields, desc.n_fields * sizeof(more[0]));
	more[desc.n_fields] = more[0];
	more[desc.n_fields].name = "later";
	more[desc.n_fields].offset = desc.fixed;
	desc.fields = more;
	desc.n_fields++;
	desc.fixed += 8;
	t = types_of(f->registry, &desc);
	assert_int_equal(lnx_rec_types_find(t, desc.type)->plan, LNX_REC_SAME);
	lnx_rec_types_done(t);
	free(t);
	/* older: without the last ones */
	desc.fixed = offsetof(struct lnx_ev_proc_exit, ppid);
	for (desc.n_fields = 0; more[desc.n_fields].offset >= desc.fixed; desc.n_fields++)
		;
	memmove(more, more + desc.n_fields, (32 - desc.n_fields) * sizeof(more[0]));
	for (desc.n_fields = 0; more[desc.n_fields].offset + more[desc.n_fields].size <= desc.fixed;
	     desc.n_fields++)
		;
	desc.fields = more;
	t = types_of(f->registry, &desc);
	assert_true(desc.n_fields > 2);
	assert_int_not_equal(lnx_rec_types_find(t, desc.type)->plan, LNX_REC_UNKNOWN);
	lnx_rec_types_done(t);
	free(t);
}

static void unknown_types_are_counted_and_named(void **state)
{
	struct fixture *f = *state;
	struct lnx_registry *more = lnx_registry_new();
	const struct lnx_event_desc desc = { .size = sizeof(desc),
					     .fixed = sizeof(struct other),
					     .name = "other.thing",
					     .fields = other_fields,
					     .n_fields = 6 };
	struct lnx_rec_about about = { .ident = &ident };
	struct other o = { .value = 1 };
	struct lnx_event_meta meta = { .seq = 1 };
	struct lnx_rec_report p;
	struct lnx_rec_writer *w;
	struct lnx_buf said = { 0 };

	lnx_buf_reset(&f->file);
	w = lnx_rec_writer_new(more, &f->file);
	lnx_rec_write_head(w, &about);
	lnx_rec_write_event(w, exec_of(1), &(struct lnx_event_meta){ .seq = 1, .cause_seq = 0 });
	/* a plugin's type that comes later is described before its first event */
	o.h = (struct lnx_event){ sizeof(o), (__u16)lnx_registry_add(more, &desc), sizeof(o), 1, 1,
				  0 };
	for (meta.seq = 2; meta.seq < 7; meta.seq++)
		lnx_rec_write_event(w, &o.h, &meta);
	lnx_rec_write_end(w, 6, 6);
	lnx_rec_writer_free(w);
	p = read_all(f, f->file.data, f->file.size);
	assert_int_equal(p.events, 1);
	assert_int_equal(p.unknown_events, 5);
	assert_string_equal(p.unknown_type, "other.thing");
	assert_int_equal(p.lost_events, 0);
	lnx_rec_complain(&p, &said);
	assert_non_null(strstr(said.data, "5 events are of types that this program does not know, "
					  "first other.thing"));
	lnx_buf_done(&said);
	lnx_registry_free(more);
}

/* A string that points behind its event, in a block whose sums are right. */
static void events_that_make_no_sense_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct lnx_rec_about about = { .ident = &ident };
	struct lnx_rec_report p;
	struct lnx_rec_writer *w;
	struct lnx_buf said = { 0 };
	union {
		struct lnx_ev_proc_exec e;
		char bytes[512];
	} bad;

	lnx_buf_reset(&f->file);
	w = lnx_rec_writer_new(f->registry, &f->file);
	lnx_rec_write_head(w, &about);
	lnx_rec_write_event(w, exec_of(1), &(struct lnx_event_meta){ .seq = 1 });
	memcpy(&bad, exec_of(2), exec_of(2)->size);
	bad.e.filename.len = 900;
	lnx_rec_write_event(w, &bad.e.h, &(struct lnx_event_meta){ .seq = 2 });
	lnx_rec_write_event(w, exec_of(3),
			    &(struct lnx_event_meta){ .seq = 3, .cause_seq = 1, .hops = 1 });
	lnx_rec_write_end(w, 3, 3);
	lnx_rec_writer_free(w);
	p = read_all(f, f->file.data, f->file.size);
	assert_int_equal(p.events, 2);
	assert_int_equal(p.invalid, 1);
	assert_int_equal(p.lost_events, 0);
	lnx_rec_complain(&p, &said);
	assert_non_null(strstr(said.data, "1 events made no sense and were left out\n"));
	lnx_buf_done(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
		cmocka_unit_test(crc_is_crc32c),
		cmocka_unit_test_setup_teardown(a_flipped_bit_costs_one_block, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_anywhere_it_is_shorter_and_says_so, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_the_ring_lost_is_not_counted_as_damage, setup,
						teardown),
		cmocka_unit_test_setup_teardown(other_files_are_refused_with_the_reason, setup,
						teardown),
		cmocka_unit_test_setup_teardown(fields_are_matched_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(an_older_and_a_newer_layout_are_used_in_place,
						setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_types_are_counted_and_named, setup,
						teardown),
		cmocka_unit_test_setup_teardown(events_that_make_no_sense_are_left_out, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
