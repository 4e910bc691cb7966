/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Fails on every event. */
#include <errno.h>

#include <linnix/plugin.h>

static int failing_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			void **ret_state)
{
	(void)host;
	(void)ctx;
	(void)conf;
	(void)ret_state;
	return 0;
}

static int failing_on_event(void *state, const struct lnx_event *ev)
{
	(void)state;
	(void)ev;
	return -EIO;
}

static const struct lnx_sub failing_subs[] = { { "proc.fork", LNX_STAGE_EXPORT, 0 } };

static const struct lnx_plugin failing = {
	.size = sizeof(failing),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "failing",
	.version = "1.0",
	.summary = "never succeeds",
	.n_subs = 1,
	.subs = failing_subs,
	.init = failing_init,
	.on_event = failing_on_event,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &failing;
}
