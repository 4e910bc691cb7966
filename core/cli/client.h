/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's API over its unix socket or TCP, by libcurl. */
#ifndef LNX_CLI_CLIENT_H
#define LNX_CLI_CLIENT_H

#include <jansson.h>
#include <linnix/buf.h>

struct lnx_cli;
struct lnx_client;

#define LNX_CLIENT_SOCKET    "/run/linnix/linnix.sock"
#define LNX_CLIENT_LISTEN    "127.0.0.1:3000"
#define LNX_CLIENT_MAX_BYTES (64u << 20) /* of one answer */

struct lnx_reply {
	long status;	     /* of HTTP */
	struct lnx_buf body; /* owned: lnx_buf_done */
	char degraded[512];  /* X-Linnix-Degraded, or "" */
};

/* Where to ask is decided from <cli>; nothing is connected yet. Returns 0, -ENOMEM, or -EINVAL (a bad URL), both said. */
int lnx_client_new(const struct lnx_cli *cli, struct lnx_client **ret_client);
void lnx_client_free(struct lnx_client *c);

/* GET <path>, query included. Any HTTP status is a success. Returns 0 or a negative errno: -ECONNREFUSED when nobody
 * answers, -ETIMEDOUT, -EFBIG, -EPROTO; lnx_client_error tells it in words. */
int lnx_client_get(struct lnx_client *c, const char *path, struct lnx_reply *ret_reply);
/* POST <body>, a JSON object: the agent wants its admin token, or root on the unix socket. Results as of lnx_client_get. */
int lnx_client_post(struct lnx_client *c, const char *path, const char *body,
		    struct lnx_reply *ret_reply);
/* GET as it comes: <each> gets the bytes and stops by returning non-zero (then 0 is returned). Ends with -EPIPE when
 * the agent hangs up, and -EACCES when the status is not 200: its body is then in *ret_reply. <last_event_id> may be
 * NULL. */
int lnx_client_stream(struct lnx_client *c, const char *path, const char *last_event_id,
		      int (*each)(void *arg, const char *bytes, size_t n), void *arg,
		      struct lnx_reply *ret_reply);
/* Why the last call failed. */
const char *lnx_client_error(const struct lnx_client *c);
/* Who was asked last: "unix:/run/linnix/linnix.sock" or a URL. */
const char *lnx_client_target(const struct lnx_client *c);

/* Append "&name=value" ("?" for the first), encoded. */
void lnx_client_query(struct lnx_buf *path, const char *name, const char *value);

/* Say a failed call on stderr, with what to do. Returns the exit code. */
int lnx_client_say(const struct lnx_client *c, int rc);
/* Say an answer that is not 200. Returns the exit code. */
int lnx_client_say_status(const struct lnx_client *c, const struct lnx_reply *reply);

/* One GET that must give JSON: everything that can go wrong is said. *ret_json is NULL with --json, when the answer has been
 * printed as it came. Returns an exit code. */
int lnx_client_json(const struct lnx_cli *cli, const char *path, json_t **ret_json);

/* The same, also with --json: the caller prints. */
int lnx_client_fetch(const struct lnx_cli *cli, const char *path, json_t **ret_json);
/* JSON for people and programs, names in it made safe. Returns an exit code. */
int lnx_client_print(const json_t *root);
/* POST <body>, what can go wrong is said. *ret_json is what came, NULL if nothing. Returns an exit code. */
int lnx_client_post_json(const struct lnx_cli *cli, const char *path, struct lnx_buf *body,
			 json_t **ret_json);
/* And print it, if it says anything. */
int lnx_client_post_say(const struct lnx_cli *cli, const char *path, struct lnx_buf *body);
/* The ULID that ends with <end>, of those that GET <list> gives; a whole one is taken as it is. Returns an exit code. */
#define LNX_CLI_ID 27
int lnx_client_find_id(const struct lnx_cli *cli, const char *verb, const char *list,
		       const char *end, char ret_id[LNX_CLI_ID]);
/* Who runs this, as far as the system knows. */
const char *lnx_cli_user(void);

/* Members of an answer that may be missing or of another type. Strings are "" then, numbers <def>. Borrowed. */
const char *lnx_json_get_str(const json_t *object, const char *key);
double lnx_json_get_f64(const json_t *object, const char *key, double def);

#endif
