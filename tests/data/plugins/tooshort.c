/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A table shorter than any version of the contract had. */
#include <linnix/plugin.h>

static const struct lnx_plugin tooshort = {
	.size = 16,
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "tooshort",
	.version = "1.0",
	.summary = "cut off",
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &tooshort;
}
