/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/plugin.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/plugin.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_option, 64);
AT(lnx_option, key, 0);
AT(lnx_option, type, 8);
AT(lnx_option, offset, 12);
AT(lnx_option, def, 16);
AT(lnx_option, min, 24);
AT(lnx_option, max, 32);
AT(lnx_option, names, 40);
AT(lnx_option, flags, 48);
AT(lnx_option, pad, 52);
AT(lnx_option, help, 56);

SIZE(lnx_sub, 16);
AT(lnx_sub, event, 0);
AT(lnx_sub, stage, 8);
AT(lnx_sub, queue, 12);

SIZE(lnx_command, 32);
AT(lnx_command, name, 0);
AT(lnx_command, usage, 8);
AT(lnx_command, help, 16);
AT(lnx_command, run, 24);

SIZE(lnx_plugin, 160);
AT(lnx_plugin, size, 0);
AT(lnx_plugin, abi_major, 4);
AT(lnx_plugin, abi_minor, 6);
AT(lnx_plugin, name, 8);
AT(lnx_plugin, version, 16);
AT(lnx_plugin, summary, 24);
AT(lnx_plugin, options, 32);
AT(lnx_plugin, conf_size, 40);
AT(lnx_plugin, n_subs, 44);
AT(lnx_plugin, subs, 48);
AT(lnx_plugin, needs, 56);
AT(lnx_plugin, commands, 64);
AT(lnx_plugin, init, 72);
AT(lnx_plugin, start, 80);
AT(lnx_plugin, on_event, 88);
AT(lnx_plugin, reload, 96);
AT(lnx_plugin, stop, 104);
AT(lnx_plugin, fini, 112);
AT(lnx_plugin, section, 120);
AT(lnx_plugin, flags, 128);
AT(lnx_plugin, pad, 132);
AT(lnx_plugin, provides, 136);
AT(lnx_plugin, keep_caps, 144);
AT(lnx_plugin, check, 152);
