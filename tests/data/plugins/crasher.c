/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Crashes the agent at the first sample of the host. */
#include <signal.h>

#include <linnix/plugin.h>

static int crasher_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			void **ret_state)
{
	(void)host;
	(void)ctx;
	(void)conf;
	(void)ret_state;
	return 0;
}

static int crasher_on_event(void *state, const struct lnx_event *ev)
{
	(void)state;
	(void)ev;
	/* what a wild pointer ends in; the sanitizers would catch a real one first */
	(void)raise(SIGSEGV);
	return 0;
}

static const struct lnx_sub crasher_subs[] = { { "host.sample", LNX_STAGE_EXPORT, 0 } };

static const struct lnx_plugin crasher = {
	.size = sizeof(crasher),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "crasher",
	.version = "1.0",
	.summary = "takes everyone down",
	.n_subs = 1,
	.subs = crasher_subs,
	.init = crasher_init,
	.on_event = crasher_on_event,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &crasher;
}
