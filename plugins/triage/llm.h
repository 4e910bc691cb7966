/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The optional language model: asked for better words, believed in nothing that is not in the evidence. */
#ifndef LNX_TRIAGE_LLM_H
#define LNX_TRIAGE_LLM_H

#include <linnix/ev_incident.h>
#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>

#include "triage.h"

#define LLM_WAITING 16	  /* incidents that wait for an answer */
#define LLM_CACHE   16	  /* answers kept */
#define LLM_ANSWER  65536 /* bytes of an answer */
#define LLM_TEXT    400	  /* bytes of one sentence */
#define LLM_FACTS   8	  /* sentences besides the summary */
#define LLM_WHY	    160

struct triage_conf {
	const char *endpoint, *model, *api_key_file, *ca_file;
	uint32_t allow_remote, budget;
	uint64_t timeout_ns;
};

struct llm_cached {
	uint64_t key; /* of the question; 0: empty */
	char *doc;    /* accepted explanation; owned */
};

struct llm {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct triage_conf *conf;
	const struct lnx_svc_incident *incident;
	void *incident_self;
	const struct lnx_svc_http_client *http;
	void *http_self;
	char waiting[LLM_WAITING][LNX_ULID_MAX];
	uint32_t n_waiting;
	struct lnx_timer *timer;
	/* the question on its way */
	struct lnx_http_call *call;
	char asked[LNX_ULID_MAX];
	uint64_t key;
	struct facts facts;
	struct lnx_buf answer;
	uint64_t window_ns;
	uint32_t in_window, failures;
	struct llm_cached cache[LLM_CACHE];
	uint32_t next_cached;
};

/* ---- llm.c */
/* Without an endpoint in <conf> it does nothing. 0 or -errno, told in the log. */
int llm_start(struct llm *l, const struct lnx_host *host, struct lnx_ctx *ctx,
	      const struct triage_conf *conf);
/* As lnx_plugin.check. */
void llm_conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		    void *arg);
/* Can the key be read? 0 or -EINVAL, told in the log. */
int llm_check_key(const struct lnx_host *host, struct lnx_ctx *ctx, const struct triage_conf *conf);
void llm_done(struct llm *l);
/* Ask about incident <id> as soon as budget and the question before allow. */
void llm_want(struct llm *l, const char *id);

/* ---- llm_ask.c: the question. Errors stick to <out>. */
void llm_question(const struct triage_conf *conf, const struct lnx_incident *inc,
		  const struct facts *f, struct lnx_buf *out);

/* ---- llm_answer.c */
/* The explanation in <body> of the endpoint, with what <ours> (the deterministic one) has besides: a JSON object in <out>. 0,
 * or -EBADMSG: <ret_reason> is one of malformed, unknown_id, unknown_number, not_plain; <why> for people. */
int llm_answer(const char *body, const struct facts *f, const char *ours, const char *model,
	       struct lnx_buf *out, const char **ret_reason, char why[LLM_WHY]);

#endif
