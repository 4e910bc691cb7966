/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API: /tasks and the agent card. */
#ifndef LNX_SETTLE_ROUTES_H
#define LNX_SETTLE_ROUTES_H

#include "settle.h"

/* Add the routes; without an API there are none. 0 or -errno. */
int routes_add(struct settle *s);
/* GET /.well-known/agent-card.json */
void card_get(void *arg, struct lnx_http_req *req);

#endif
