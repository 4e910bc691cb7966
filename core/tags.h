/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who each cgroup is, as the events told: workload.update fills the table, cgroup.gone marks what ended. Nothing else writes
 * it, so a recording gives the same names again. Bounded. Loop thread only. */
#ifndef LNX_TAGS_H
#define LNX_TAGS_H

#include "bus.h"
#include <linnix/host.h>

#define LNX_TAGS_MAX	  16384			/* cgroups, ended ones included */
#define LNX_TAGS_GONE_MAX 4096			/* ended ones that are remembered */
#define LNX_TAGS_KEEP_NS  (300 * 1000000000ULL) /* and for how long */

struct lnx_tags;

/* NULL: -ENOMEM. */
struct lnx_tags *lnx_tags_new(void);
void lnx_tags_free(struct lnx_tags *t);
/* Follow <b>: before every other subscriber of the first stage, when called first. Returns 0 or -errno. */
int lnx_tags_follow(struct lnx_tags *t, struct lnx_bus *b);
/* Take one event in; types that say nothing of a cgroup are passed over. */
void lnx_tags_event(struct lnx_tags *t, const struct lnx_event *ev);
/* 0, or -ENOENT: never told of, or forgotten; *ret_tag then holds "" only. <t> may be NULL. Strings are borrowed until the
 * next event. */
int lnx_tags_get(const struct lnx_tags *t, uint64_t cgroup_id, struct lnx_tag *ret_tag);
/* Each known cgroup, ended ones too, in no order; <each> returning non-zero stops. <each> must not publish. */
void lnx_tags_each(const struct lnx_tags *t, int (*each)(void *arg, const struct lnx_tag *tag),
		   void *arg);

struct lnx_tags_stats {
	uint32_t n, n_gone;
	uint64_t refused;   /* no room, or no memory */
	uint64_t forgotten; /* ended ones that gave way before LNX_TAGS_KEEP_NS */
};
void lnx_tags_stats(const struct lnx_tags *t, struct lnx_tags_stats *ret_stats);

#endif
