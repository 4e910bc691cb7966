/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The part of the host vtable that stands on the loop and on bpf(2). See linnix/host.h for the contracts. */
#ifndef LNX_HOST_LOOP_H
#define LNX_HOST_LOOP_H

#include <linnix/host.h>

int lnx_host_timer_add(struct lnx_ctx *c, uint64_t first_ns, uint64_t period_ns,
		       void (*cb)(void *arg), void *arg, struct lnx_timer **ret_timer);
int lnx_host_timer_set(struct lnx_ctx *c, struct lnx_timer *t, uint64_t first_ns,
		       uint64_t period_ns);
void lnx_host_timer_stop(struct lnx_ctx *c, struct lnx_timer *t);
void lnx_host_timer_del(struct lnx_ctx *c, struct lnx_timer *t);
int lnx_host_fd_add(struct lnx_ctx *c, int fd, uint32_t bits,
		    void (*cb)(void *arg, int fd, uint32_t bits), void *arg,
		    struct lnx_fd **ret_fd);
int lnx_host_fd_set(struct lnx_ctx *c, struct lnx_fd *f, uint32_t bits);
void lnx_host_fd_del(struct lnx_ctx *c, struct lnx_fd *f);
int lnx_host_submit(struct lnx_ctx *c, int (*run)(void *arg), void (*done)(void *arg, int rc),
		    void *arg);
int lnx_host_map_lookup(struct lnx_ctx *c, int map_fd, const void *key, void *ret_value);
int lnx_host_map_update(struct lnx_ctx *c, int map_fd, const void *key, const void *value,
			uint64_t flags);
int lnx_host_map_delete(struct lnx_ctx *c, int map_fd, const void *key);
int lnx_host_map_next(struct lnx_ctx *c, int map_fd, const void *key, void *ret_key);
/* Timers and fds of <c> go. */
void lnx_ctx_release_loop(struct lnx_ctx *c);

#endif
