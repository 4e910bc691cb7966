/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin's own state, shared by its files. */
#ifndef LNX_K8S_H
#define LNX_K8S_H

#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>
#include <linnix/svc_k8s.h>
#include <stdbool.h>

#include "items.h"
#include "pods.h"

#define K8S_AUTO 0 /* enum of option enabled */
#define K8S_ON	 1
#define K8S_NO	 2

struct k8s_conf {
	uint32_t enabled;
	uint32_t max_pods;
	const char *api_url, *token_file, *ca_file;
	uint64_t keep_gone_ns;
};

struct k8s {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct k8s_conf *conf;
	const struct lnx_svc_http_client *http;
	void *http_self;
	struct k8s_pods pods;
	struct k8s_items items;
	struct k8s_pod *scratch; /* a pod being read, with room for all containers */
	struct lnx_http_call *call;
	struct lnx_timer *timer; /* of the next list or watch */
	uint32_t state;		 /* enum lnx_k8s_state */
	int type_pod;
	bool is_watch;	    /* the running call; else it lists */
	bool is_relist;	    /* the next one lists */
	bool has_watched;   /* a watch went on until its time was over */
	bool has_bookmarks; /* the server sends them */
	bool is_from_etcd; /* the next list asks for the newest state: the cache's version was refused */
	bool has_bytes;	    /* of the running call */
	bool is_partial;    /* the running list: what it does not name may be there */
	uint32_t status;    /* of the running call */
	uint32_t failures;  /* in a row */
	uint64_t began_ns;  /* of the running call */
	uint64_t random;    /* state of the jitter */
	char version[32];   /* to watch from */
	char message[256];  /* of an answer that is an error */
	char base_url[512]; /* "https://10.0.0.1:443" */
	char node[256];	    /* "": not known */
	char url[1536], token[16384 + 32];
	struct lnx_metric *m_pods, *m_synced, *m_lists, *m_watches, *m_events, *m_failures,
		*m_refused, *m_containers_refused, *m_bad;
};

/* sync.c: list, then watch, for ever. */
int k8s_sync_start(struct k8s *k);
void k8s_sync_stop(struct k8s *k);
/* ask.c */
/* Begin a list or a watch. Returns 0 or -errno with the reason in k->message. */
int k8s_ask(struct k8s *k, const struct lnx_http_ask *callbacks);
/* Where the API is: the option, else what Kubernetes tells every pod. False: nowhere. */
bool k8s_find_api(struct k8s *k);
/* k8s.c */
void k8s_tell(struct k8s *k, const struct k8s_pod *p, uint32_t change);
void k8s_measure(struct k8s *k);

#endif
