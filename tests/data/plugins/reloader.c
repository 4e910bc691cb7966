/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A plugin that asks for the rules to be loaded anew, and says what GET /rules told at that moment. */
#include <stdlib.h>

#include <linnix/plugin.h>
#include <linnix/svc_core.h>

struct reloader {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	struct lnx_timer *timer;
};

static void reloader_ask(void *arg)
{
	struct reloader *r = arg;
	const struct lnx_svc_core *core;
	struct lnx_buf out = { 0 };
	void *self;
	int rc;

	if (r->host->service(r->ctx, "core/1", (const void **)&core, &self) < 0)
		return;
	rc = core->rules_reload(self, &out);
	r->host->log(r->ctx, LNX_INFO, "asked: %d %.16s", rc, out.size ? out.data : "");
	lnx_buf_done(&out);
}

static int reloader_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			 void **ret_state)
{
	struct reloader *r = calloc(1, sizeof(*r));

	(void)conf;
	if (!r)
		return -12;
	r->host = host;
	r->ctx = ctx;
	*ret_state = r;
	return 0;
}

static int reloader_start(void *state)
{
	struct reloader *r = state;

	return r->host->timer_add(r->ctx, 500000000ULL, 0, reloader_ask, r, &r->timer);
}

static void reloader_fini(void *state)
{
	free(state);
}

static const char *const reloader_needs[] = { "core/1", NULL };

static const struct lnx_plugin reloader = {
	.size = sizeof(reloader),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "reloader",
	.version = "1.0",
	.summary = "asks for a reload of the rules",
	.needs = reloader_needs,
	.init = reloader_init,
	.start = reloader_start,
	.fini = reloader_fini,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &reloader;
}
