/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inner structures of the stream plugin. Loop thread only. */
#ifndef STREAM_H
#define STREAM_H

#include "stream_frames.h"
#include <linnix/fields.h>
#include <linnix/plugin.h>
#include <linnix/svc_http.h>
#include <stdbool.h>

#define STREAM_MAX_TYPES   32		      /* in ?type= */
#define STREAM_ALL_TYPES   64		      /* different ones, of all readers */
#define STREAM_NS_BYTES	   (2 * LNX_NS_BYTES) /* own and victim's namespace of an event */
#define STREAM_TEXT_BYTES  65536 /* one frame: an event of 4 KiB with every byte escaped fits */
#define STREAM_RENDER_TURN 512	 /* events rendered in one turn of the loop */
#define STREAM_SEC	   1000000000ULL

struct stream_conf {
	uint64_t buffer, heartbeat, stall_timeout;
};

struct stream_want {
	char name[64];
	uint16_t type;
	unsigned refs;
};

struct stream_client {
	struct stream_client *prev, *next;
	struct stream *stream;
	struct lnx_http_stream *http;
	uint16_t types[STREAM_MAX_TYPES];
	unsigned n_types;				/* 0: all */
	char ns[LNX_NS_BYTES], victim_ns[LNX_NS_BYTES]; /* "": all */
	bool is_live;	   /* reads the shared frames; else it still reads the core's ring */
	bool is_restarted; /* its Last-Event-ID is of an earlier run of the agent */
	bool is_blocked;   /* its buffer is full, it will tell when not */
	uint64_t pos;	   /* live: the next frame */
	uint64_t seq;	   /* not live: the last event it was given */
	uint64_t missed;   /* events it was not given and not yet told of */
	uint64_t moved_ns; /* when it last took something while blocked */
};

struct stream {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct stream_conf *conf;
	const struct lnx_svc_http *http;
	void *http_self;
	struct lnx_timer *pump, *beat;
	bool is_armed;
	struct stream_client *clients;
	char run[17];		  /* of this start: numbers of events begin anew with it */
	unsigned n_clients, n_ns; /* ns: clients with a namespace */
	struct stream_want wants[STREAM_ALL_TYPES];
	unsigned n_wants, n_all;
	struct stream_frames frames;
	char *text;	     /* STREAM_TEXT_BYTES, with the frames */
	uint64_t seq;	     /* of the last event that was looked at */
	uint64_t min_pos;    /* no live reader is before it */
	unsigned n_rendered; /* in this turn */
	struct lnx_metric *m_clients, *m_lagged, *m_events;
};

/* stream_pump.c */
/* One frame of <ev> into s->text. Returns its bytes or -ENOSPC. */
int stream_render(struct stream *s, const struct lnx_event *ev, const struct lnx_event_meta *meta);
/* Bring s->seq up to the last event: rendered if somebody reads. <is_all>: not only one turn's share. */
void stream_catch_up(struct stream *s, bool is_all);
void stream_pump(void *stream); /* timer */
void stream_pump_client(struct stream_client *c);
void stream_arm(struct stream *s);
/* stream_client.c */
extern const struct lnx_http_route stream_route;
void stream_client_close(struct stream_client *c);

#endif
