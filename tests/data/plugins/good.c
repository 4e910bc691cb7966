/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A plugin that counts forks, and brings the verb `good`. */
#include <stdio.h>
#include <stdlib.h>

#include <linnix/plugin.h>

struct good {
	unsigned n;
};

static int good_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		     void **ret_state)
{
	(void)conf;
	*ret_state = calloc(1, sizeof(struct good));
	if (!*ret_state)
		return -12;
	host->log(ctx, LNX_INFO, "good is here");
	return 0;
}

static int good_on_event(void *state, const struct lnx_event *ev)
{
	struct good *g = state;

	(void)ev;
	g->n++;
	return 0;
}

static void good_fini(void *state)
{
	free(state);
}

static int good_run(int argc, char **argv)
{
	printf("good says:");
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	putchar('\n');
	return argc > 1 ? 7 : 0;
}

static const struct lnx_command good_commands[] = {
	{ "good", "[WORD...]", "say the words again", good_run },
	{ NULL, NULL, NULL, NULL },
};

static const struct lnx_sub good_subs[] = { { "proc.fork", LNX_STAGE_STATE, 0 } };

static const struct lnx_plugin good = {
	.size = sizeof(good),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "good",
	.version = "1.0",
	.summary = "counts forks",
	.n_subs = 1,
	.subs = good_subs,
	.commands = good_commands,
	.init = good_init,
	.on_event = good_on_event,
	.fini = good_fini,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &good;
}
