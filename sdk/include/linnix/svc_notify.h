/* SPDX-License-Identifier: MIT */
/* Service "notify/1": incidents brought to somebody elsewhere (plugin `notify`). Loop thread only.
 *
 * A channel is one receiver. It says how a message looks; the service keeps what is still to be told over restarts, in
 * bounds, and does the waiting, grouping, rate, time-outs and tries. A message tells the state of now: an incident that
 * changed while it waited is told once. Each is told at least once; who gets it again sees the same <delivery>. */
#ifndef LINNIX_SVC_NOTIFY_H
#define LINNIX_SVC_NOTIFY_H

#include <linnix/buf.h>
#include <stdint.h>

struct lnx_channel; /* owned by the service */

/* enum lnx_notice_what */
#define LNX_NOTICE_OPEN	  0
#define LNX_NOTICE_UPDATE 1
#define LNX_NOTICE_CLOSE  2

#define LNX_NOTIFY_NAME_MAX 32	 /* bytes of a channel's name, NUL included */
#define LNX_NOTIFY_KEPT_MAX 1024 /* bytes of what a channel keeps for an incident */

/* One incident of a message, as it is now. Strings are never NULL, and borrowed until the callback returns. They may hold
 * names from the host: escape them. */
struct lnx_notice {
	uint32_t size;
	uint32_t what;	   /* enum lnx_notice_what */
	uint32_t severity; /* enum lnx_severity */
	uint32_t is_open;
	uint32_t is_told; /* an earlier message told of it */
	uint32_t n_victims, n_alerts, flaps, culprit_pid;
	uint32_t pad;
	uint64_t opened_wall_ns, closed_wall_ns; /* Unix time; 0: open */
	uint64_t queued_wall_ns;		 /* since when it waits */
	const char *incident;			 /* its id */
	const char *delivery;			 /* of this message: the same at each try */
	const char *url;			 /* of the incident, at the agent */
	const char *doc;			 /* the object of GET /incidents/{id} */
	uint64_t doc_bytes;
	const char *title, *summary, *text; /* summary, text: of the explanation, or "" */
	const char *cause, *resource, *rule, *fingerprint, *runbook;
	const char *culprit, *culprit_namespace, *culprit_pod_name, *culprit_comm;
	const char *victim, *victim_namespace, *victim_pod_name; /* the one that lost most */
	const char *kept;     /* what was written to <keep> of the last message that arrived, "" */
	struct lnx_buf *keep; /* may be written: kept when the message has arrived */
};

/* A request, as render() makes it. */
struct lnx_notify_post {
	uint32_t size;
	uint32_t flags; /* LNX_HTTPC_* */
	struct lnx_buf url;
	struct lnx_buf headers; /* "Name: value", each ended by a newline */
	struct lnx_buf body;
	const char *ca_file; /* borrowed; NULL or "": the system's authorities */
};

/* Either render or write is needed. */
struct lnx_channel_desc {
	uint32_t size;
	uint32_t flags;	       /* LNX_CHANNEL_* */
	uint32_t min_severity; /* enum lnx_severity; what is silenced is not told */
	uint32_t rate;	/* messages an hour, then one with all that came meanwhile; 0: no limit */
	uint32_t batch; /* incidents of one message, 1..64 */
	uint32_t pad;
	uint64_t group_ns;   /* after a message, what comes within this time goes together */
	uint64_t timeout_ns; /* of a request as a whole */
	uint64_t give_up_ns; /* older than this it is dropped and counted */
	uint64_t resend_ns;  /* open ones are told again after this time; 0: never */
	/* Make the POST for <n> notices. Negative: it cannot be made now, <why> says so; tried again. */
	int (*render)(void *arg, const struct lnx_notice *list, uint32_t n,
		      struct lnx_notify_post *out, char *why, uint64_t why_cap);
	/* Bring them elsewhere than to a URL. 0: done; -EINPROGRESS: done() will be called; other: tried again. */
	int (*write)(void *arg, const struct lnx_notice *list, uint32_t n);
	void *arg;
};
#define LNX_CHANNEL_ALL 1 /* also tell of more victims, evidence and explanations */

struct lnx_svc_notify {
	uint32_t size;
	uint32_t pad;
	/* A channel <name> (the instance), in start(). -EINVAL, -EEXIST, -ENOSPC, -ENOMEM; the reason is in the log. */
	int (*open)(void *self, const char *name, const struct lnx_channel_desc *desc,
		    struct lnx_channel **ret_channel);
	/* Other figures, on reload. */
	int (*set)(void *self, struct lnx_channel *ch, const struct lnx_channel_desc *desc);
	/* No callback of it runs any more; what waits stays in the store. NULL is fine. */
	void (*close)(void *self, struct lnx_channel *ch);
	/* There is news of an incident that it told of, or has to. 0, -ENOENT. */
	int (*tell)(void *self, struct lnx_channel *ch, const char *incident);
	/* What write() began has ended. */
	void (*done)(void *self, struct lnx_channel *ch, int rc, const char *why);
};

#endif
