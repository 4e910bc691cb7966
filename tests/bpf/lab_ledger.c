/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The reader of plugin stall, compiled into the laboratory, so that tests need no object of the plugin. */
#include "plugins/stall/ledger.c"
#include "plugins/stall/slots.c"
#include "plugins/stall/window.c"
