/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Needs a service that nobody provides. */
#include <linnix/plugin.h>

static int needsmissing_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			     void **ret_state)
{
	(void)host;
	(void)ctx;
	(void)conf;
	(void)ret_state;
	return 0;
}

static const char *const needsmissing_needs[] = { "unobtainium/1", NULL };

static const struct lnx_plugin needsmissing = {
	.size = sizeof(needsmissing),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "needsmissing",
	.version = "1.0",
	.summary = "waits for a service",
	.needs = needsmissing_needs,
	.init = needsmissing_init,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &needsmissing;
}
