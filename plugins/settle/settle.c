/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paid work between agents, settled on a chain with a signed receipt. Off unless the section `chain` says enabled: true. */
#include <errno.h>
#include <linnix/plugin.h>
#include <stddef.h>
#include <stdlib.h>

struct settle_conf {
	uint64_t chain_id;
};

struct settle {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct settle_conf *conf;
};

static int settle_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		       void **ret_state)
{
	struct settle *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	*ret_state = s;
	return 0;
}

static int settle_start(void *state)
{
	struct settle *s = state;

	s->host->health(s->ctx, "settlement", LNX_HEALTH_LOST,
			"nothing is settled: this build has no settlement engine");
	return 0;
}

static void settle_fini(void *state)
{
	free(state);
}

static const struct lnx_option settle_options[] = {
	{ "chain_id", LNX_OPT_U64, offsetof(struct settle_conf, chain_id), "84532", 1,
	  9007199254740991, NULL, 0, 0,
	  "Number of the chain; an endpoint that answers with another one is refused." },
	{ .key = NULL },
};

static const struct lnx_plugin settle_plugin = {
	.size = sizeof(settle_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "settle",
	.version = "1",
	.summary = "paid work between agents, settled on a chain with a signed receipt",
	.options = settle_options,
	.conf_size = sizeof(struct settle_conf),
	.init = settle_init,
	.start = settle_start,
	.fini = settle_fini,
	.section = "chain",
	.flags = LNX_PLUGINF_OFF,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &settle_plugin;
}
