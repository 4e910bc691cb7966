/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inner structures of the http plugin. Everything hangs from struct http; loop thread only. */
#ifndef HTTP_H
#define HTTP_H

#include "http_parse.h"
#include <linnix/buf.h>
#include <linnix/ev_psi.h>
#include <linnix/plugin.h>
#include <linnix/svc_core.h>
#include <linnix/svc_http.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define HTTP_MAX_ROUTES	  96
#define HTTP_MAX_PEERS	  1024
#define HTTP_TOKEN_MAX	  512 /* bytes */
#define HTTP_CGROUP_CACHE 512 /* paths by id */
#define HTTP_SEC	  1000000000ULL

struct http;
struct http_listener;
struct http_conf {
	const char *listen, *socket, *socket_group, *ops_listen;
	const char *token_file, *admin_token_file, *tls_cert_file, *tls_key_file;
	const char *const *allowed_hosts;
	uint32_t allow_plaintext, max_connections, max_connections_per_client, max_streams,
		rate_limit, work_limit;
	uint64_t max_body, max_header, max_pending;
	uint64_t request_timeout, idle_timeout, answer_timeout;
};

struct http_token {
	char text[HTTP_TOKEN_MAX];
	size_t bytes; /* 0: none configured */
};

/* Who a connection comes from: an IPv4 address, an IPv6 /64, or a uid on the unix socket. */
struct http_peer {
	uint8_t key[20];
	uint32_t n_conns;
	bool is_used;
	double credit;	/* requests it may still make */
	double work_ns; /* CPU time its handlers may still take; below 0 while it has to wait */
	uint64_t credit_ns;
	uint64_t pending_bytes; /* of answers it has not taken */
};

struct http_conn {
	struct http_conn *prev, *next;
	struct http_listener *listener;
	struct MHD_Connection *mhd;
	struct http_peer *peer;
	uint64_t deadline_ns; /* what it is at must be over by then; 0: an open stream */
	uint64_t pending_bytes;
	int fd;		 /* MHD's */
	uint32_t uid;	 /* at the other end of the unix socket; UINT32_MAX: not known */
	bool is_trusted; /* unix socket, uid 0 or the agent's own */
	bool is_midway;	 /* in a request: more of it may be under way */
};

#define HTTP_KIND_TCP  0
#define HTTP_KIND_UNIX 1
#define HTTP_KIND_OPS  2
#define HTTP_KINDS     3

struct http_listener {
	struct http *http;
	struct MHD_Daemon *mhd;
	struct lnx_fd *watch;
	struct lnx_timer *timer;
	int fd;		       /* listening; -1: not in use, or MHD's once it runs */
	uint32_t kind;	       /* HTTP_KIND_* */
	bool is_tls, is_woken; /* woken: it runs in the next turn */
	uint16_t port;
	uint64_t socket_dev, socket_ino; /* of the unix socket's file */
	struct sockaddr_storage addr;
	socklen_t addr_bytes; /* 0: not wanted */
};

struct http_route {
	const struct lnx_http_route *desc;
	void *arg;
};

struct http_cgroup {
	uint64_t id;
	char *path;
};

struct http {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct http_conf *conf;
	struct http_token token, admin_token;
	char *tls_cert, *tls_key;
	struct http_listener listeners[HTTP_KINDS];
	struct http_route routes[HTTP_MAX_ROUTES];
	unsigned n_routes, n_conns, n_streams, max_conns;
	struct http_conn *conns;
	struct lnx_http_stream *streams;
	struct http_wait *waits;
	struct http_linger *lingers;
	unsigned n_lingers;
	struct lnx_timer *sweep;
	struct http_peer *peers; /* HTTP_MAX_PEERS, and one for all that do not fit */
	uint64_t pending_bytes;
	struct lnx_metric *m_conns, *m_streams, *m_refused_rate, *m_refused_work, *m_refused_conns,
		*m_refused_memory, *m_timeouts, *m_requests;
	bool is_exposed, is_stopping; /* exposed: listens off loopback */
	const struct lnx_svc_core *core;
	void *core_self;
	struct lnx_ev_host_sample host_sample; /* h.type 0: none yet */
	struct lnx_ev_psi_sample psi_sample;
	struct http_cgroup cgroups[HTTP_CGROUP_CACHE];
};

/* Where it listens. Nothing is opened. */
int http_listen_find(struct http *s);
/* As lnx_plugin.check. */
void http_conf_check(const void *conf, void (*fn)(void *arg, const char *key, const char *text),
		     void *arg);
int http_listen_start(struct http *s);
void http_listener_wake(struct http_listener *l);
void http_listen_stop(struct http *s);
void http_listen_close(struct http *s);
void http_listen_init(struct http *s);
void http_sweep(void *http); /* timer */
int http_token_load(struct http *s, const char *option, const char *path,
		    struct http_token *ret_token);
int http_tls_load(struct http *s);
void http_linger_add(struct http *s, int fd);
void http_linger_sweep(struct http *s, uint64_t now_ns);
struct http_peer *http_peer_of(struct http *s, const struct sockaddr *addr, uint32_t uid);
int http_peer_admit(struct http *s, struct http_peer *p, const struct sockaddr *addr);
int http_peer_spend(struct http *s, struct http_peer *p);
/* Its handlers took too much: seconds until it may ask again, or 0. */
uint32_t http_peer_wait_s(const struct http *s, const struct http_peer *p);
void http_peer_charge(const struct http *s, struct http_peer *p, uint64_t cpu_ns);
bool http_pending_fits(struct http *s, const struct http_peer *p, uint64_t bytes);
void http_pending_add(struct http_conn *c, int64_t bytes);
void http_unix_listen(struct http *s, struct http_listener *l);
void http_unix_forget(struct http *s, struct http_listener *l);
int http_routes_core(struct http *s);
int http_routes_host(struct http *s);
int http_routes_events(struct http *s);
int http_routes_proc(struct http *s);
/* Path of a cgroup, "" if unknown; <pid>: one that is in it. Borrowed until the next call. */
const char *http_cgroup_path(struct http *s, uint64_t id, uint32_t pid);
void http_cgroup_done(struct http *s);
void http_stream_close_all(struct http *s);
void http_wait_end_all(struct http *s); /* 503 */
int http_route(void *http, const struct lnx_http_route *desc, void *arg);
void *http_request_new(void *listener, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_request_step(void *listener, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *io_bytes, void **io_req);
void http_request_done(void *listener, struct MHD_Connection *mhd, void **io_req,
		       enum MHD_RequestTerminationCode code);

#endif
