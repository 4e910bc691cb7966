/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reads probe "blkio". How long a cgroup waited is exact; whose requests held it up is a model.
 *
 * While a victim has requests in flight on a device, its time is split by all requests in flight there, each weighted by the
 * device time that it would need alone (fixed + per KiB, learned of lone requests). What the victim's own requests would
 * need alone is always its own. Tried on a virtio disk, one 4 KiB reader against readers of 4 KiB, 64 KiB and
 * 1 MiB and two of them at once, split against what the reader lost when each of them was added, mean error of a share: requests 31 %,
 * bytes 24 %, oldest request 23 %, span up to each completion 22 %, this one 4 % (17 % without the victim's own). */
#ifndef LNX_STALL_IO_H
#define LNX_STALL_IO_H

#include "res.h"

/* State of one device at the last look. */
struct stall_io_dev {
	uint64_t m[LNX_IO_VICTIMS][LNX_IO_CULPRITS];
	uint64_t own_ns[LNX_IO_VICTIMS], life_ns[LNX_IO_VICTIMS];
	uint32_t victim_gen[LNX_IO_VICTIMS], culprit_gen[LNX_IO_CULPRITS];
	uint64_t lone_n[LNX_IO_CLASSES], lone_ns[LNX_IO_CLASSES], lone_kib[LNX_IO_CLASSES];
	double n[LNX_IO_CLASSES], ns[LNX_IO_CLASSES], kib[LNX_IO_CLASSES]; /* they fade */
	struct lnx_rec_io_cost cost;
};

struct stall_io_pair {
	uint64_t victim, culprit, ns;
};

#define STALL_IO_PAIRS 32768

/* Of a victim in this window, all devices. */
struct stall_io_own {
	uint64_t victim, own_ns, life_ns;
};

struct stall_io {
	struct stall_gates gates;
	struct stall_io_dev *dev[LNX_IO_DEVS]; /* NULL: not seen yet */
	struct lnx_rec_io_dev *look;
	struct stall_io_pair *pairs;
	struct stall_io_own *own; /* LNX_IO_DEVS * LNX_IO_VICTIMS */
	uint32_t n_pairs, n_own;
	/* v2 id of a culprit of a v1 hierarchy, STALL_RES_OTHER if it has none; <hint>: v2 cgroup of a task that sent
	 * its requests, or 0. */
	uint64_t (*translate)(void *arg, uint64_t v1_id, uint64_t hint);
	void *translate_arg;
};

int stall_io_init(struct stall_io *io); /* 0 or -ENOMEM */
void stall_io_done(struct stall_io *io);
/* Before the probe is attached. */
void stall_io_reset(struct stall_io *io, const struct stall_res_maps *maps);
/* The window since the last look. 0 or -ENOMEM. */
int stall_io_read(struct stall_io *io, const struct stall_res_maps *maps, uint64_t now_ns,
		  struct stall_res_window *ret_w);
/* What a request costs, from lone ones: a line through the means of the classes, held by the guess. */
void stall_io_fit(const double *n, const double *ns, const double *kib,
		  struct lnx_rec_io_cost *ret_cost);

#endif
