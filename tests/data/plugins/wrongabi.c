/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Built for a version of the contract that does not exist. */
#include <linnix/plugin.h>

static const struct lnx_plugin wrongabi = {
	.size = sizeof(wrongabi),
	.abi_major = 99,
	.abi_minor = 0,
	.name = "wrongabi",
	.version = "1.0",
	.summary = "from the future",
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &wrongabi;
}
