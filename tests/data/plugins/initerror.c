/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Fails in init, and says why. */
#include <errno.h>

#include <linnix/plugin.h>

static int initerror_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			  void **ret_state)
{
	(void)conf;
	(void)ret_state;
	host->log(ctx, LNX_ERROR, "the moon is in the wrong quarter");
	return -EHOSTDOWN;
}

static const struct lnx_plugin initerror = {
	.size = sizeof(initerror),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "initerror",
	.version = "1.0",
	.summary = "does not start",
	.init = initerror_init,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &initerror;
}
