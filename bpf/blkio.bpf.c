/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probe "blkio": how long the tasks of each cgroup waited for I/O, which is exact, and whose requests
 * were in flight meanwhile, from which a reader makes a model of who held them up (linnix/rec_res.h).
 * A request belongs to the cgroup of its bio: writeback is sent by kernel threads. */
#include "lnx_emit.h"
#include "lnx_gate.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* A mask alone is optimised away where the compiler knows the range and the verifier does not. */
#define LNX_BOUND(i, n)                         \
	({                                      \
		__u64 lnx_i = (i);              \
		asm volatile("" : "+r"(lnx_i)); \
		lnx_i &((n)-1);                 \
	})

#define LNX_REQUESTS	 8192	      /* in flight at a time, all devices */
#define LNX_SWEEP_NS	 100000000ULL /* between two looks for requests whose end was missed */
#define LNX_SWEEP_AGE_NS 5000000ULL
#define LNX_STEP_NS	 8000000000ULL /* longest step of virtual time: the shift must not overflow */
#define LNX_WEIGHT_MAX	 (1ULL << 32)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LNX_IO_DEVS);
	__type(key, __u32);
	__type(value, struct lnx_rec_io_dev);
} devs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LNX_IO_DEVS);
	__type(key, __u32);
	__type(value, struct lnx_rec_io_cost);
} costs SEC(".maps");

/* Device number -> place in devs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNX_IO_DEVS);
	__type(key, __u32);
	__type(value, __u32);
} dev_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LNX_REQUESTS);
	__type(key, __u64);
	__type(value, struct lnx_rec_io_request);
} requests SEC(".maps");

__u32 n_devs;	/* places given out */
__u64 swept_ns; /* last look for requests whose end was missed */

/* ---- what runs under a device's lock: no calls, no helpers */

static __always_inline void io_advance(struct lnx_rec_io_dev *d, __u64 now)
{
	__u64 dt = now > d->last_ns ? now - d->last_ns : 0, step;

	if (now > d->last_ns)
		d->last_ns = now;
	if (!d->w || !dt)
		return;
	if (dt > LNX_STEP_NS)
		dt = LNX_STEP_NS;
	d->busy_ns += dt;
	step = (dt << LNX_IO_TAU_SHIFT) + d->rem;
	d->tau += step / d->w;
	d->rem = step % d->w;
}

static __always_inline __u64 io_earned(const struct lnx_rec_io_dev *d,
				       const struct lnx_rec_io_culprit *c)
{
	return c->d_ns + (c->w * (d->tau - c->tau) >> LNX_IO_TAU_SHIFT);
}

static __always_inline void io_settle(struct lnx_rec_io_dev *d, struct lnx_rec_io_culprit *c)
{
	c->d_ns = io_earned(d, c);
	c->tau = d->tau;
}

static __always_inline __u32 io_hash(__u64 id)
{
	return (id * 0x9e3779b97f4a7c15ULL) >> 40;
}

/* The culprit's place; 0 if there is none. */
static __always_inline __u32 io_culprit(struct lnx_rec_io_dev *d, __u64 id, __u64 now)
{
	__u32 h = io_hash(id), found = 0, old = 0, i;

	for (i = 0; i < LNX_IO_PROBES; i++) {
		__u32 at = LNX_BOUND((h + i) & (LNX_IO_CULPRITS - 1), LNX_IO_CULPRITS);
		struct lnx_rec_io_culprit *c = &d->culprit[at];

		if (!at)
			continue;
		if (c->id == id) {
			found = at;
			break;
		}
		if (!old && !c->n && (!c->id || c->used_ns + LNX_IO_IDLE_NS < now))
			old = at;
	}
	if (found || !old)
		return found;
	old = LNX_BOUND(old, LNX_IO_CULPRITS);
	d->culprit[old].id = id;
	d->culprit[old].gen++;
	d->culprit[old].w = 0;
	d->culprit[old].tau = d->tau;
	d->culprit[old].d_ns = 0;
	d->culprit[old].hint = 0;
	for (i = 0; i < LNX_IO_VICTIMS; i++) {
		d->m[i][old] = 0;
		d->snap[i][old] = 0;
	}
	return old;
}

/* The victim's place; 0 if there is none. */
static __always_inline __u32 io_victim(struct lnx_rec_io_dev *d, __u64 id, __u64 now)
{
	__u32 h = io_hash(id), found = 0, old = 0, i;

	for (i = 0; i < LNX_IO_PROBES; i++) {
		__u32 at = LNX_BOUND((h + i) & (LNX_IO_VICTIMS - 1), LNX_IO_VICTIMS);
		struct lnx_rec_io_victim *v = &d->victim[at];

		if (!at)
			continue;
		if (v->id == id) {
			found = at;
			break;
		}
		if (!old && !v->n && (!v->id || v->used_ns + LNX_IO_IDLE_NS < now))
			old = at;
	}
	if (found || !old)
		return found;
	old = LNX_BOUND(old, LNX_IO_VICTIMS);
	d->victim[old].id = id;
	d->victim[old].gen++;
	d->victim[old].busy_ns = 0;
	d->victim[old].own_ns = 0;
	d->victim[old].life_ns = 0;
	for (i = 0; i < LNX_IO_CULPRITS; i++)
		d->m[old][i] = 0;
	return old;
}

static __always_inline void io_begin(struct lnx_rec_io_dev *d, struct lnx_rec_io_request *r,
				     __u64 hint)
{
	struct lnx_rec_io_culprit *c = &d->culprit[LNX_BOUND(r->culprit, LNX_IO_CULPRITS)];
	__u32 at = LNX_BOUND(r->victim, LNX_IO_VICTIMS), i;
	struct lnx_rec_io_victim *v = &d->victim[at];

	io_settle(d, c);
	d->is_lone = !d->n;
	d->n++;
	d->w += r->weight;
	c->n++;
	c->w += r->weight;
	c->used_ns = r->start_ns;
	if (hint)
		c->hint = hint;
	if (!at)
		return;
	r->victim_gen = v->gen;
	v->used_ns = r->start_ns;
	if (v->n++)
		return;
	v->since = r->start_ns;
	for (i = 0; i < LNX_IO_CULPRITS; i++)
		d->snap[at][i] = io_earned(d, &d->culprit[i]);
}

static __always_inline void io_end_victim(struct lnx_rec_io_dev *d,
					  const struct lnx_rec_io_request *r, __u64 now,
					  __u32 is_done)
{
	__u32 at = LNX_BOUND(r->victim, LNX_IO_VICTIMS), i;
	struct lnx_rec_io_victim *v = &d->victim[at];

	if (!at || v->gen != r->victim_gen || !v->n)
		return;
	v->used_ns = now;
	if (is_done) {
		v->own_ns += now - r->start_ns < r->weight ? now - r->start_ns : r->weight;
		v->life_ns += now - r->start_ns;
	}
	if (--v->n)
		return;
	if (now > v->since)
		v->busy_ns += now - v->since;
	for (i = 0; i < LNX_IO_CULPRITS; i++)
		d->m[at][i] += io_earned(d, &d->culprit[i]) - d->snap[at][i];
}

static __always_inline void io_end(struct lnx_rec_io_dev *d, const struct lnx_rec_io_request *r,
				   __u64 now, __u32 is_done)
{
	struct lnx_rec_io_culprit *c = &d->culprit[LNX_BOUND(r->culprit, LNX_IO_CULPRITS)];
	__u32 size, kib;

	io_settle(d, c);
	io_end_victim(d, r, now, is_done);
	if (d->n)
		d->n--;
	d->w -= r->weight < d->w ? r->weight : d->w;
	if (c->n)
		c->n--;
	c->w -= r->weight < c->w ? r->weight : c->w;
	c->used_ns = now;
	if (!is_done)
		return;
	d->done++;
	d->done_bytes += (__u64)r->kib << 10;
	if (!d->is_lone || d->n)
		return;
	for (size = 0, kib = r->kib; size < LNX_IO_CLASSES - 1 && kib > 1; size++)
		kib = (kib + 1) / 2;
	size = LNX_BOUND(size, 16);
	if (size >= LNX_IO_CLASSES)
		return;
	d->lone_n[size]++;
	d->lone_ns[size] += now - r->start_ns;
	d->lone_kib[size] += r->kib;
}

/* ---- requests */

static __always_inline struct lnx_rec_io_dev *io_dev_of(struct request *rq, __u32 *ret_place)
{
	struct gendisk *disk = BPF_CORE_READ(rq, q, disk);
	__u32 dev, *place, fresh;

	if (!disk)
		return 0;
	dev = (__u32)BPF_CORE_READ(disk, major) << 20 | (__u32)BPF_CORE_READ(disk, first_minor);
	place = bpf_map_lookup_elem(&dev_places, &dev);
	if (!place) {
		if (n_devs >= LNX_IO_DEVS)
			return 0;
		fresh = __sync_fetch_and_add(&n_devs, 1);
		if (fresh >= LNX_IO_DEVS)
			return 0;
		/* Lost against another CPU: the place stays empty. */
		(void)bpf_map_update_elem(&dev_places, &dev, &fresh, BPF_NOEXIST);
		place = bpf_map_lookup_elem(&dev_places, &dev);
		if (!place)
			return 0;
	}
	*ret_place = *place;
	struct lnx_rec_io_dev *d = bpf_map_lookup_elem(&devs, place);

	if (d && !d->dev)
		d->dev = dev;
	return d;
}

/* Whom the request belongs to: the cgroup of its bio, in a root cgroup that of the task that sends it. */
static __always_inline __u64 io_owner(struct request *rq, __u64 sender)
{
	struct bio *b = rq->bio;
	struct cgroup *cg;
	__u64 id;

	if (!b || !bpf_core_field_exists(b->bi_blkg))
		return sender;
	cg = BPF_CORE_READ(b, bi_blkg, blkcg, css.cgroup);
	if (!cg || BPF_CORE_READ(cg, level) == 0)
		return sender;
	id = BPF_CORE_READ(cg, kn, id);
	if (BPF_CORE_READ(cg, root, hierarchy_id))
		return id | LNX_IO_V1;
	return lnx_gate_alias(id);
}

static __always_inline __u64 io_weight(__u32 place, __u32 kib)
{
	struct lnx_rec_io_cost *cost = bpf_map_lookup_elem(&costs, &place);
	__u64 w;

	if (cost && cost->fixed_ns)
		w = cost->fixed_ns + kib * cost->kib_ns;
	else
		w = LNX_IO_FIXED_NS + kib * LNX_IO_KIB_NS;
	return w < LNX_WEIGHT_MAX ? w : LNX_WEIGHT_MAX;
}

/* Take a request out. Returns 0 if it was not there. */
static __always_inline int io_forget(__u64 key, __u64 now, __u32 is_done)
{
	struct lnx_rec_io_request *known = bpf_map_lookup_elem(&requests, &key), r;
	struct lnx_rec_io_dev *d;

	if (!known)
		return 0;
	r = *known;
	if (bpf_map_delete_elem(&requests, &key))
		return 0; /* another CPU was first */
	d = bpf_map_lookup_elem(&devs, &r.dev);
	if (!d)
		return 0;
	bpf_spin_lock(&d->lock);
	io_advance(d, now);
	io_end(d, &r, now, is_done);
	bpf_spin_unlock(&d->lock);
	return 1;
}

struct bpf_map;

/* A request that the kernel has freed and that is still in flight here: its end was missed. */
static long io_sweep_one(struct bpf_map *map, __u64 *key, struct lnx_rec_io_request *r, __u64 *now)
{
	struct request *rq = (struct request *)*key;

	if (r->start_ns + LNX_SWEEP_AGE_NS > *now || BPF_CORE_READ(rq, ref.counter))
		return 0;
	if (io_forget(*key, *now, 0))
		lnx_gate_count(LNX_RES_N_RQ_LOST);
	return 0;
}

static __always_inline void io_sweep(__u64 now)
{
	__u64 last = swept_ns;

	if (now < last + LNX_SWEEP_NS || __sync_val_compare_and_swap(&swept_ns, last, now) != last)
		return;
	bpf_for_each_map_elem(&requests, io_sweep_one, &now, 0);
}

static __always_inline int io_start(struct request *rq)
{
	struct task_struct *p = bpf_get_current_task_btf();
	__u64 key = (__u64)rq, sender, owner;
	struct lnx_rec_io_request r = { 0 };
	struct lnx_rec_io_dev *d;

	if ((rq->cmd_flags & LNX_REQ_OP_MASK) >= LNX_REQ_OP_DRV_IN)
		return 0;
	d = io_dev_of(rq, &r.dev);
	if (!d) {
		lnx_gate_count(LNX_RES_N_DEV_FULL);
		return 0;
	}
	r.start_ns = bpf_ktime_get_ns();
	io_sweep(r.start_ns);
	if (io_forget(key, r.start_ns, 0))
		lnx_gate_count(LNX_RES_N_RQ_REPLACED);
	sender = lnx_gate_cgroup(p);
	owner = io_owner(rq, sender);
	r.kib = (rq->__data_len + 1023) >> 10;
	r.weight = io_weight(r.dev, r.kib);
	bpf_spin_lock(&d->lock);
	io_advance(d, r.start_ns);
	r.culprit = owner ? io_culprit(d, owner, r.start_ns) : 0;
	r.victim = sender ? io_victim(d, sender, r.start_ns) : 0;
	io_begin(d, &r, sender);
	bpf_spin_unlock(&d->lock);
	if (owner && !r.culprit)
		lnx_gate_count(LNX_RES_N_CULPRIT_FULL);
	if (sender && !r.victim)
		lnx_gate_count(LNX_RES_N_VICTIM_FULL);
	if (owner)
		lnx_gate_did(p, owner, sender, r.weight);
	if (bpf_map_update_elem(&requests, &key, &r, BPF_ANY)) {
		bpf_spin_lock(&d->lock);
		io_advance(d, r.start_ns);
		io_end(d, &r, r.start_ns, 0);
		bpf_spin_unlock(&d->lock);
		lnx_gate_count(LNX_RES_N_RQ_FULL);
	}
	return 0;
}

SEC("tp_btf/block_io_start")
int BPF_PROG(on_io_start, struct request *rq)
{
	struct lnx_run run;

	if (lnx_run_begin(&run))
		return 0;
	io_start(rq);
	lnx_run_end(&run);
	return 0;
}

/* Where the kernel has no block_io_start: the time in the queue before is not seen. */
SEC("tp_btf/block_rq_issue")
int BPF_PROG(on_rq_issue, struct request *rq)
{
	struct lnx_run run;

	if (lnx_run_begin(&run))
		return 0;
	io_start(rq);
	lnx_run_end(&run);
	return 0;
}

/* Before the wake-up of who waits for it, unlike block_io_done. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_rq_complete, struct request *rq, int error, unsigned int bytes)
{
	struct lnx_run run;

	if (bytes < rq->__data_len && !error)
		return 0; /* a part of it */
	if (lnx_run_begin(&run))
		return 0;
	if (!io_forget((__u64)rq, bpf_ktime_get_ns(), 1))
		lnx_gate_count(LNX_RES_N_RQ_UNKNOWN);
	lnx_run_end(&run);
	return 0;
}

/* Merged into another: it will not be completed itself. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(on_rq_merge, struct request *rq)
{
	(void)io_forget((__u64)rq, bpf_ktime_get_ns(), 0);
	return 0;
}

/* ---- the gate. Most switches and wake-ups are none of ours and are not counted as runs. */

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	int is_in = BPF_CORE_READ_BITFIELD(next, in_iowait);
	int is_out = BPF_CORE_READ_BITFIELD(prev, in_iowait) && lnx_gate_sleeps(prev, preempt);
	struct lnx_run run;

	if (!is_in && !is_out)
		return 0;
	if (lnx_run_begin(&run))
		return 0;
	if (is_in)
		lnx_gate_leave(next->pid, lnx_gate_woken(next));
	if (is_out) {
		__u64 psi = lnx_gate_psi(prev, run.stats);

		lnx_gate_enter(prev, LNX_WAIT_IO, bpf_ktime_get_ns(), lnx_gate_clock(prev, psi),
			       psi);
	}
	lnx_run_end(&run);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	struct lnx_run run;

	if (!BPF_CORE_READ_BITFIELD(task, in_iowait) || lnx_run_begin(&run))
		return 0;
	lnx_gate_wake(task);
	lnx_run_end(&run);
	return 0;
}
