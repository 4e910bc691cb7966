/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Hands out no table. */
#include <linnix/plugin.h>

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return NULL;
}
