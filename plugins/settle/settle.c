/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paid work between agents, settled on a chain with a signed receipt. Off unless the section `chain` says enabled: true. */
#include "settle.h"
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect.h"
#include "keys.h"
#include "op.h"
#include "options.h"
#include "routes.h"

static const double seconds_buckets[] = { 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600 };

static const struct {
	struct lnx_metric_desc desc;
	size_t offset;
} metrics[] = {
	{ { .name = "linnix_chain_outbox_depth",
	    .help = "Operations on the chain that are not over.",
	    .kind = LNX_GAUGE },
	  offsetof(struct settle, m_depth) },
	{ { .name = "linnix_chain_settlement_seconds",
	    .help = "Time from the wish to the confirmed transaction.",
	    .kind = LNX_HISTOGRAM,
	    .buckets = seconds_buckets,
	    .n_buckets = sizeof(seconds_buckets) / sizeof(seconds_buckets[0]) },
	  offsetof(struct settle, m_seconds) },
	{ { .name = "linnix_chain_reorgs_total",
	    .help = "Transactions whose block left the chain.",
	    .kind = LNX_COUNTER },
	  offsetof(struct settle, m_reorgs) },
	{ { .name = "linnix_chain_fee_spent_wei_total",
	    .help = "Fees of confirmed and of reverted transactions.",
	    .kind = LNX_COUNTER },
	  offsetof(struct settle, m_fees) },
	{ { .name = "linnix_chain_last_confirmed_block",
	    .help = "Newest block of the chain that is as deep as chain.confirmations.",
	    .kind = LNX_GAUGE },
	  offsetof(struct settle, m_block) },
	{ { .name = "linnix_chain_astray_total",
	    .help = "Tasks of this agent that the contract pays to another than was asked for, or has with other terms.",
	    .kind = LNX_COUNTER },
	  offsetof(struct settle, m_astray) },
	{ { .name = "linnix_chain_allowances_left",
	    .help = "Tasks of which an allowance is left that nothing needs any more: it is being taken back.",
	    .kind = LNX_GAUGE },
	  offsetof(struct settle, m_left) },
	{ { .name = "linnix_chain_allowances_taken_back_total",
	    .help = "Allowances that were taken back, as their task came to nothing or asked for less.",
	    .kind = LNX_COUNTER },
	  offsetof(struct settle, m_back) },
	{ { .name = "linnix_chain_offers_missed_total",
	    .help = "Tasks offered to this agent that it did not take notice of, as there are too many: linnix task run takes one by its id.",
	    .kind = LNX_COUNTER },
	  offsetof(struct settle, m_missed) },
	{ { .name = "linnix_chain_offers_forgotten_total",
	    .help = "Offers that came to nothing, and of which nothing is kept.",
	    .kind = LNX_COUNTER },
	  offsetof(struct settle, m_forgotten) },
	{ { .name = "linnix_chain_waiting",
	    .help = "Operations that protect money and wait, as too many transactions are out and not mined.",
	    .kind = LNX_GAUGE },
	  offsetof(struct settle, m_waiting) },
	{ { .name = "linnix_chain_refused",
	    .help = "1 while nothing is signed because a check said no.",
	    .kind = LNX_GAUGE },
	  offsetof(struct settle, m_refused) },
};

static void on_timer(void *arg)
{
	settle_turn(arg);
}

static void settle_free(struct settle *s)
{
	collect_done(s);
	rpc_reset(&s->batch);
	rpc_reset(&s->second);
	free(s->brought.data);
	rpc_done(&s->rpc);
	for (struct op *op; (op = s->ops);) {
		s->ops = op->next;
		op_free(op);
	}
	for (struct task *t; (t = s->tasks);) {
		s->tasks = t->next;
		task_free(t);
	}
	db_close(&s->db);
	keys_done(s);
	free(s->state_path);
	free(s);
}

static int settle_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		       void **ret_state)
{
	struct settle *s = calloc(1, sizeof(*s));
	char why[SETTLE_WHY] = "";
	const char *key = NULL;
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	s->at = -1;
	s->last = -1;
	s->lock_fd = -1;
	s->rpc.host = host;
	s->rpc.ctx = ctx;
	rc = options_check(s, &key, why);
	if (!rc) {
		s->state_path = strdup(s->conf->state_path);
		rc = s->state_path ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !rc && i < sizeof(metrics) / sizeof(metrics[0]); i++)
		rc = host->metric(ctx, &metrics[i].desc, NULL,
				  (struct lnx_metric **)(void *)((char *)s + metrics[i].offset));
	if (rc) {
		if (*why)
			host->log(ctx, LNX_ERROR, "chain.%s: %s", key, why);
		settle_free(s);
		return rc;
	}
	*ret_state = s;
	return 0;
}

/* What is wrong with key, lock or state file is shown, and the rest of the agent goes on: only nothing is signed. */
static int settle_start(void *state)
{
	struct settle *s = state;
	const void *vtable;
	char why[SETTLE_WHY] = "";
	int rc = s->host->service(s->ctx, "http_client/1", &vtable, &s->rpc.http_self);

	if (rc < 0)
		return rc;
	s->rpc.http = vtable;
	rc = s->host->timer_add(s->ctx, SETTLE_SEC, 0, on_timer, s, &s->timer);
	if (rc == 0)
		rc = routes_add(s);
	if (rc < 0)
		return rc;
	rc = keys_load(s, why);
	if (rc == 0)
		rc = keys_lock(s, why);
	if (rc < 0) {
		settle_set_state(s, CHAIN_FAILED, "%s", *why ? why : strerror(-rc));
		return 0;
	}
	settle_set_state(s, CHAIN_OPENING, "the state file is being opened");
	return settle_open(s);
}

/* Nothing here changes while it runs; the key alone is one of which the core cannot tell that it did. */
static int settle_reload(void *state, const void *conf)
{
	const struct settle_conf *c = conf;
	struct settle *s = state;

	if (s->key && keys_differ(s, c->private_key))
		s->host->log(s->ctx, LNX_WARN,
			     "reload: takes effect only after a restart: chain.private_key");
	return 0;
}

static int settle_on_event(void *state, const struct lnx_event *ev)
{
	return collect_event(state, ev);
}

static void settle_stop(void *state)
{
	struct settle *s = state;

	s->is_stopping = 1;
}

static void settle_fini(void *state)
{
	struct settle *s = state;

	settle_flush_now(s);
	settle_free(s);
}

static const char *const needs[] = { "http_client/1", "http/1?",  "proc/1?",
				     "core/1?",	      "stall/1?", NULL };

static const struct lnx_plugin settle_plugin = {
	.size = sizeof(settle_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "settle",
	.version = "1",
	.summary = "paid work between agents, settled on a chain with a signed receipt",
	.options = settle_options,
	.conf_size = sizeof(struct settle_conf),
	.needs = needs,
	.commands = settle_commands,
	.init = settle_init,
	.start = settle_start,
	.on_event = settle_on_event,
	.reload = settle_reload,
	.stop = settle_stop,
	.fini = settle_fini,
	.section = "chain",
	.flags = LNX_PLUGINF_OFF | LNX_PLUGINF_VITAL,
	.check = options_conf_check,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &settle_plugin;
}
