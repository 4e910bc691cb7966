/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `slack` share. */
#ifndef LNX_SLACK_H
#define LNX_SLACK_H

#include <linnix/notifier.h>
#include <linnix/plugin.h>
#include <linnix/svc_enforce.h>
#include <linnix/svc_http.h>
#include <linnix/svc_http_client.h>

/* Of Slack's Block Kit; here in bytes, which are never fewer than characters. */
#define SLACK_BLOCKS	   50
#define SLACK_HEADER_BYTES 150
#define SLACK_TEXT_BYTES   3000 /* of a section */
#define SLACK_FIELD_BYTES  2000

#define SLACK_ACTIONS	5   /* of one message that are shown */
#define SLACK_REPLAYS	256 /* callbacks within twice the window */
#define SLACK_WINDOW_S	300
#define SLACK_MAC_BYTES 32
#define SLACK_ANSWERS	4 /* on their way to a response_url */

struct slack_conf {
	const char *webhook_url_file, *signing_secret_file, *ca_file;
	uint32_t min_severity, rate, updates, pad;
	uint64_t group_ns, timeout_ns, give_up_ns;
};

/* An action of the incident that is told of. */
struct slack_action {
	char id[128], plan[400], text[400];
	uint32_t state; /* enum lnx_action_state */
	uint32_t has_buttons;
};

struct slack;

struct slack_answer {
	struct slack *s;
	struct lnx_http_call *call; /* NULL: free */
};

struct slack {
	struct lnx_notifier n;
	const struct slack_conf *conf;
	const struct lnx_svc_enforce *enforce; /* NULL: none */
	const struct lnx_svc_http *http;
	const struct lnx_svc_http_client *client;
	void *enforce_self, *http_self, *client_self;
	uint32_t has_buttons;
	struct {
		unsigned char mac[SLACK_MAC_BYTES];
		uint64_t at_s; /* Unix time; 0: empty */
	} seen[SLACK_REPLAYS];
	struct slack_answer answers[SLACK_ANSWERS];
};

/* ---- message.c */
/* The message for one incident with its actions, or a digest of several. <actions> holds the first SLACK_ACTIONS of
 * <n_actions>. Errors stick to <out>. */
void slack_message(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
		   const struct slack_action *actions, uint32_t n_actions, struct lnx_buf *out);
/* <text> with &, < and > escaped, which is all that Slack reads as markup of links and mentions; at most <max> bytes, cut at
 * a whole character. */
void slack_escape(struct lnx_buf *out, const char *text, size_t max);

/* ---- sign.c */
/* MAC of Slack's signatures, version 0. */
void slack_mac(const char *secret, const char *timestamp, const char *body, size_t n,
	       unsigned char ret_mac[SLACK_MAC_BYTES]);
/* 0; or -EACCES with <ret_why>: no_signature, stale, wrong_signature, replay; -ENOBUFS: too_many. */
int slack_verify(struct slack *s, const char *secret, const char *timestamp, const char *signature,
		 const char *body, size_t n, const char **ret_why);
/* The value of <key> in a form, decoded. 0 or -errno. */
int slack_form(const char *body, size_t n, const char *key, struct lnx_buf *out);

/* ---- callback.c */
/* The route for buttons, if there may be any. 0 or -errno, told in the log. */
int slack_callback_start(struct slack *s);
void slack_callback_stop(struct slack *s);

#endif
