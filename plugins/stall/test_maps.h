/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of the readers of probes "blkio" and "mem": their maps, made of memory. */
#ifndef PLUGINS_STALL_TEST_MAPS_H
#define PLUGINS_STALL_TEST_MAPS_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io.h"
#include "mem.h"

#define MS    1000000ULL
#define SEC   1000000000ULL
#define GATES 1000

/* The maps; a gate without an id is not there. */
struct maps {
	struct {
		uint64_t id;
		struct lnx_rec_gate r;
	} gate[GATES];
	uint32_t tid; /* of the one that waits, 0 none */
	struct lnx_rec_waiting waiting;
	struct lnx_rec_counts counts;
	struct lnx_rec_io_dev dev;
	struct lnx_rec_io_cost cost;
	struct {
		uint64_t id, pages[2];
	} alloc[3];
	int is_asleep;
	uint32_t n_deleted;
};

static struct maps m;
static uint64_t now_ns;

static inline int map_lookup(void *arg, uint32_t map, const void *key, void *ret)
{
	uint64_t id;

	(void)arg;
	if (map == STALL_MAP_COUNTS) {
		memcpy(ret, &m.counts, sizeof(m.counts));
		return 0;
	}
	if (map == STALL_MAP_WAITING) {
		memcpy(ret, &m.waiting, sizeof(m.waiting));
		return m.tid && *(const uint32_t *)key == m.tid ? 0 : -ENOENT;
	}
	if (map == STALL_MAP_DEVS) {
		memcpy(ret, &m.dev, sizeof(m.dev));
		return *(const uint32_t *)key ? -ENOENT : 0;
	}
	memcpy(&id, key, sizeof(id));
	for (int i = 0; map == STALL_MAP_ALLOCS && i < 3; i++)
		if (m.alloc[i].id == id) {
			memcpy(ret, m.alloc[i].pages, sizeof(m.alloc[i].pages));
			return 0;
		}
	for (int i = 0; map == STALL_MAP_GATES && i < GATES; i++)
		if (m.gate[i].id == id) {
			memcpy(ret, &m.gate[i].r, sizeof(m.gate[i].r));
			return 0;
		}
	return -ENOENT;
}

/* The first id from <i> on, of gates or of who allocates. */
static inline int first_from(uint32_t map, int i, void *ret_key)
{
	for (; i < (map == STALL_MAP_GATES ? GATES : 3); i++) {
		uint64_t id = map == STALL_MAP_GATES ? m.gate[i].id : m.alloc[i].id;

		if (!id)
			continue;
		memcpy(ret_key, &id, sizeof(id));
		return 0;
	}
	return -ENOENT;
}

static inline int map_next(void *arg, uint32_t map, const void *key, void *ret_key)
{
	uint64_t id = 0;
	int i = 0;

	(void)arg;
	if (map == STALL_MAP_WAITING) {
		if (key || !m.tid)
			return -ENOENT;
		memcpy(ret_key, &m.tid, sizeof(m.tid));
		return 0;
	}
	if (map != STALL_MAP_GATES && map != STALL_MAP_ALLOCS)
		return -ENOENT;
	if (key) {
		memcpy(&id, key, sizeof(id));
		while (i < (map == STALL_MAP_GATES ? GATES : 3) &&
		       (map == STALL_MAP_GATES ? m.gate[i].id : m.alloc[i].id) != id)
			i++;
		i++;
	}
	return first_from(map, i, ret_key);
}

static inline int map_update(void *arg, uint32_t map, const void *key, const void *value)
{
	(void)arg;
	if (map == STALL_MAP_COSTS)
		memcpy(&m.cost, value, sizeof(m.cost));
	if (map == STALL_MAP_DEVS && !*(const uint32_t *)key)
		memcpy(&m.dev, value, sizeof(m.dev));
	return 0;
}

static inline int map_del(void *arg, uint32_t map, const void *key)
{
	uint64_t id = 0;

	(void)arg;
	memcpy(&id, key, map == STALL_MAP_WAITING ? 4 : 8);
	m.n_deleted++;
	if (map == STALL_MAP_WAITING)
		m.tid = 0;
	for (int i = 0; map == STALL_MAP_GATES && i < GATES; i++)
		if (m.gate[i].id == id)
			m.gate[i].id = 0;
	for (int i = 0; map == STALL_MAP_ALLOCS && i < 3; i++)
		if (m.alloc[i].id == id)
			m.alloc[i].id = 0;
	return 0;
}

static inline int sleeps(void *arg, uint32_t tid)
{
	(void)arg;
	(void)tid;
	return m.is_asleep;
}

static const struct stall_res_maps maps = { .lookup = map_lookup,
					    .next = map_next,
					    .update = map_update,
					    .del = map_del,
					    .sleeps = sleeps };

static inline int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	now_ns = 100 * SEC;
	return 0;
}

/* Of <id> in the window; 0 it is no victim. */
static inline uint64_t raw_of(const struct stall_res_window *w, uint64_t id)
{
	for (uint32_t i = 0; i < w->n_victims; i++)
		if (w->victims[i].cgroup_id == id)
			return w->victims[i].raw_ns;
	return 0;
}

static inline uint64_t part_of(const struct stall_res_window *w, uint64_t id, uint64_t culprit)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < w->n_victims; i++)
		for (uint32_t k = 0; w->victims[i].cgroup_id == id && k < w->victims[i].n; k++)
			if (w->parts[w->victims[i].first + k].culprit == culprit)
				ns += w->parts[w->victims[i].first + k].ns;
	return ns;
}

static inline uint64_t to_v2(void *arg, uint64_t v1_id, uint64_t hint)
{
	(void)arg;
	return v1_id == 55 ? 8 : hint;
}

/* Victim 7 at place 1, its own requests at 1, of 8 at 2. */
static inline void io_open(struct stall_io *io)
{
	assert_int_equal(stall_io_init(io), 0);
	io->translate = to_v2;
	m.gate[0].id = 7;
	m.gate[0].r.born = 1;
	m.dev.dev = 1;
	m.dev.victim[1] = (struct lnx_rec_io_victim){ .id = 7, .gen = 1 };
	m.dev.culprit[1] = (struct lnx_rec_io_culprit){ .id = 7, .gen = 1 };
	m.dev.culprit[2] = (struct lnx_rec_io_culprit){ .id = 8, .gen = 1 };
}

static inline struct stall_res_window io_look(struct stall_io *io, uint64_t stall_ms)
{
	struct stall_res_window w;

	m.gate[0].r.stall_ns += stall_ms * MS;
	now_ns += SEC;
	assert_int_equal(stall_io_read(io, &maps, now_ns, &w), 0);
	return w;
}

#endif
