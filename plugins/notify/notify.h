/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `notify` share. Loop thread only. */
#ifndef LNX_NOTIFY_H
#define LNX_NOTIFY_H

#include <jansson.h>
#include <linnix/ev_incident.h>
#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>
#include <linnix/svc_incident.h>
#include <linnix/svc_notify.h>
#include <linnix/svc_store.h>

#define NOTIFY_SEC	 1000000000ULL
#define NOTIFY_CHANNELS	 8
#define NOTIFY_ITEMS	 256 /* incidents of one channel */
#define NOTIFY_BATCH	 64
#define NOTIFY_WHY	 160
#define NOTIFY_RETRY_MAX (300 * NOTIFY_SEC)
#define NOTIFY_AFTER_MAX (3600 * NOTIFY_SEC) /* of Retry-After */

/* An incident that a channel told of, or has to. */
struct item {
	struct item *next; /* oldest first */
	char id[LNX_ULID_MAX];
	uint32_t waits;	      /* something is to be told */
	uint32_t what;	      /* enum lnx_notice_what of that */
	uint32_t is_told;     /* a message arrived */
	uint32_t is_given_up; /* nobody was told, nor will be unless it changes */
	uint32_t is_sent;     /* in the message on its way, */
	uint32_t sent_rev;    /* which tells this */
	uint32_t sent_what;
	uint32_t rev;	  /* grows with everything that is to be told */
	uint32_t is_kept; /* the record says that something is to be told */
	uint32_t severity;
	uint64_t queued_wall_ns; /* for people, and the order of records */
	uint64_t queued_ns,
		age_ns;	     /* boot time, and how long it had waited by then in earlier runs */
	uint64_t told_ns;    /* boot time of the last message that arrived */
	char *kept;	     /* the channel's own; owned, NULL none */
	struct lnx_buf keep; /* what it will be */
};

struct lnx_channel {
	struct notify *n;
	char name[LNX_NOTIFY_NAME_MAX], key[17]; /* key: hash of the name */
	struct lnx_channel_desc d;
	struct item *first;
	uint32_t n_items;
	uint32_t is_loaded; /* what the store had */
	uint32_t is_busy;   /* a message is on its way */
	uint32_t n_sent;    /* incidents of it */
	uint32_t solo;	    /* so many go one by one: one of them was refused */
	uint32_t failures;  /* in a row */
	uint32_t in_window; /* messages since window_ns */
	uint64_t window_ns, sent_ns, retry_ns, after_ns;
	struct lnx_timer *timer;
	struct lnx_http_call *call;
	struct lnx_metric *m_waiting, *m_delivered, *m_failures, *m_full, *m_refused, *m_expired,
		*m_gone, *m_silenced;
};

struct notify_conf {
	const char *link_url;
};

struct notify {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct notify_conf *conf;
	const struct lnx_svc_incident *incident;
	const struct lnx_svc_store *store;
	const struct lnx_svc_http_client *http;
	void *incident_self, *store_self, *http_self;
	struct lnx_channel *channels[NOTIFY_CHANNELS];
	uint32_t n;
	struct lnx_timer *load_timer;
	uint64_t random;
	char base[256]; /* of links */
};

uint64_t notify_wall(const struct notify *n);

/* ---- channel.c: when a message goes */
int channel_new(struct notify *n, const char *name, const struct lnx_channel_desc *d,
		struct lnx_channel **ret_ch);
void channel_free(struct lnx_channel *ch);
int channel_check(struct notify *n, const char *name, const struct lnx_channel_desc *d);
/* Set the timer to when the next message may go. */
void channel_arm(struct lnx_channel *ch);
/* The message on its way has arrived (rc 0), was refused for good (-EBADMSG), or is to be tried again. */
void channel_done(struct lnx_channel *ch, int rc, const char *why);

/* ---- item.c: what is to be told */
struct item *item_find(struct lnx_channel *ch, const char *id);
/* NULL: full, counted; or no memory. */
struct item *item_new(struct lnx_channel *ch, const char *id);
void item_del(struct lnx_channel *ch, struct item *it);
void item_queue(struct lnx_channel *ch, struct item *it, uint32_t what);
/* It waits from now on. */
void item_stamp(struct lnx_channel *ch, struct item *it);
/* How long it has waited, whatever became of the wall clock. */
uint64_t item_age_ns(const struct lnx_channel *ch, const struct item *it);
/* <what> of it will not be told. One that is open stays known, or the next start would tell it. */
void item_give_up(struct lnx_channel *ch, struct item *it, uint32_t what);
void item_on_event(struct lnx_channel *ch, const struct lnx_ev_incident *ev, const char *id);

/* ---- keep.c: over restarts */
void keep_save(struct lnx_channel *ch, struct item *it);
void keep_del(struct lnx_channel *ch, const struct item *it);
/* 0, or -EAGAIN: the store is not there yet. */
int keep_load(struct lnx_channel *ch);
/* Records of channels that are no more. */
void keep_sweep(struct notify *n);

/* ---- message.c: incidents for a message */
struct message {
	struct lnx_notice list[NOTIFY_BATCH];
	struct lnx_buf docs[NOTIFY_BATCH];
	json_t *roots[NOTIFY_BATCH];
	char delivery[NOTIFY_BATCH][48], urls[NOTIFY_BATCH][320];
	struct item *items[NOTIFY_BATCH];
	uint32_t n;
};

/* One more incident. 0; -ENOENT: there is none; -ECANCELED: a silence is about it; else it cannot be read now. */
int message_add(struct lnx_channel *ch, struct message *m, struct item *it);
void message_free(struct message *m);

/* ---- send.c: one message */
/* What waits, up to a batch. Ends with channel_done, or at once when nothing is left to tell. */
void send_message(struct lnx_channel *ch);

#endif
