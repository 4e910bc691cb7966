/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Events into the one ring buffer that all objects share, and an object's counters about itself.
 *
 * Every object that includes this declares `events` and `wake`; the loader makes each once and hands
 * it to all. A wake costs as much as twenty events, so user space, once woken, looks every 8 or
 * 64 ms by itself while events flow, and is woken only by the first event after a silence, or when
 * batch_bytes are queued. */
#ifndef LNX_EMIT_H
#define LNX_EMIT_H

#include "lnx_kernel.h"

#include <linnix/event.h>
#include <linnix/rec_stats.h>

#define LNX_WAKE_NS	  2000000ULL /* between two wakes; user space looks less often */
#define LNX_WAKE_BATCH_NS 250000ULL  /* between two wakes for a batch */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lnx_rec_wake);
} wake SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lnx_rec_stats);
} stats SEC(".maps");

/* Set before the load. */
const volatile __u32 batch_bytes = 65536;

/* One run of a program: lnx_run_begin() first, lnx_run_end() last. */
struct lnx_run {
	struct lnx_rec_stats *stats;
	__u64 start_ns; /* 0: not timed */
};

static __always_inline int lnx_run_begin(struct lnx_run *run)
{
	__u32 zero = 0;

	run->start_ns = 0;
	run->stats = bpf_map_lookup_elem(&stats, &zero);
	if (!run->stats)
		return -1;
	run->stats->runs++;
	if (run->stats->until) {
		run->stats->until--;
	} else {
		run->stats->until = LNX_TIMED_EVERY - 1;
		run->start_ns = bpf_ktime_get_ns();
	}
	return 0;
}

static __always_inline void lnx_run_end(struct lnx_run *run)
{
	if (!run->start_ns)
		return;
	run->stats->timed_ns += bpf_ktime_get_ns() - run->start_ns;
	run->stats->timed_runs++;
}

static __always_inline void lnx_emit_head(struct lnx_event *h, __u16 type, __u16 fixed, __u32 pid)
{
	h->size = fixed;
	h->type = type;
	h->fixed = fixed;
	h->ts_ns = bpf_ktime_get_boot_ns();
	h->pid = pid;
	h->cpu = bpf_get_smp_processor_id();
}

/* Whether to wake user space for an event made at <now_ns>. */
static __always_inline int lnx_emit_is_due(const struct lnx_rec_wake *w, __u64 now_ns)
{
	__u64 since = now_ns - w->last_ns;

	if (since >= LNX_WAKE_NS && now_ns >= *(volatile __u64 *)&w->watched_ns)
		return 1;
	return since >= LNX_WAKE_BATCH_NS &&
	       bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= batch_bytes;
}

/* Flags of the submit of an event made at <now_ns>. */
static __always_inline __u64 lnx_emit_flags(struct lnx_run *run, __u64 now_ns)
{
	struct lnx_rec_wake *w;
	__u32 zero = 0;

	run->stats->events++;
	w = bpf_map_lookup_elem(&wake, &zero);
	if (w && !lnx_emit_is_due(w, now_ns))
		return BPF_RB_NO_WAKEUP;
	if (w)
		w->last_ns = now_ns;
	run->stats->wakes++;
	return BPF_RB_FORCE_WAKEUP;
}

/* Room for an event of a constant size, to be filled whole; NULL: full, counted. */
#define lnx_emit_reserve(run, bytes)                                       \
	({                                                                 \
		void *lnx_room = bpf_ringbuf_reserve(&events, (bytes), 0); \
		if (!lnx_room)                                             \
			__sync_fetch_and_add(&(run)->stats->lost, 1);      \
		lnx_room;                                                  \
	})

static __always_inline void lnx_emit_submit(struct lnx_run *run, void *ev, __u64 now_ns)
{
	bpf_ringbuf_submit(ev, lnx_emit_flags(run, now_ns));
}

/* Copy an event of <bytes> bytes, a bounded variable. */
static __always_inline void lnx_emit_copy(struct lnx_run *run, void *ev, __u32 bytes, __u64 now_ns)
{
	if (bpf_ringbuf_output(&events, ev, bytes, lnx_emit_flags(run, now_ns))) {
		__sync_fetch_and_add(&run->stats->lost, 1);
		run->stats->events--;
	}
}

#endif
