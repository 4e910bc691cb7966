/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A shared object that is not a plugin. */
int something_else(void);

int something_else(void)
{
	return 1;
}
