/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers of the agent: what went wrong in words, JSON, and its members. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

void lnx_client_query(struct lnx_buf *path, const char *name, const char *value)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,:/";
	bool has_query = path->size && memchr(path->data, '?', path->size);

	lnx_buf_char(path, has_query ? '&' : '?');
	lnx_buf_str(path, name);
	lnx_buf_char(path, '=');
	for (const char *p = value; *p; p++) {
		if (strchr(plain, *p))
			lnx_buf_char(path, *p);
		else
			lnx_buf_printf(path, "%%%02X", (unsigned char)*p);
	}
}

int lnx_client_say(const struct lnx_client *c, int rc)
{
	if (rc == -ECONNREFUSED || rc == -ETIMEDOUT) {
		lnx_cli_say("the agent cannot be reached: %s", lnx_client_error(c));
		fputs("is linnixd running? 'linnix doctor' tells more; --url or LINNIX_URL asks another place\n",
		      stderr);
		return LNX_EXIT_UNREACHABLE;
	}
	if (rc == -ENOMEM)
		lnx_cli_say("%s", strerror(ENOMEM));
	else if (rc == -EFBIG)
		lnx_cli_say("%s: the answer is larger than %u MiB; ask for less with --limit",
			    lnx_client_target(c), LNX_CLIENT_MAX_BYTES >> 20);
	else
		lnx_cli_say("%s", lnx_client_error(c));
	return LNX_EXIT_FAILURE;
}

int lnx_client_say_status(const struct lnx_client *c, const struct lnx_reply *reply)
{
	json_t *root =
		reply->body.size ? json_loadb(reply->body.data, reply->body.size, 0, NULL) : NULL;
	const json_t *error = json_object_get(root, "error");
	const char *message = lnx_json_get_str(error, "message");

	if (*message)
		lnx_cli_say("the agent says: %s (%ld %s)", message, reply->status,
			    lnx_json_get_str(error, "code"));
	else
		lnx_cli_say("%s answers with status %ld: is it a linnix agent?",
			    lnx_client_target(c), reply->status);
	if (reply->status == 401)
		fputs("give the token with --token-file or LINNIX_API_TOKEN\n", stderr);
	if (reply->status == 404 && !strcmp(message, "no such path"))
		fputs("the plugin that answers this does not run there: see 'linnix plugins'\n",
		      stderr);
	json_decref(root);
	return LNX_EXIT_FAILURE;
}

static int reply_parse(const struct lnx_client *c, const struct lnx_reply *reply, json_t **ret_json)
{
	json_error_t error;

	*ret_json =
		json_loadb(reply->body.size ? reply->body.data : "", reply->body.size, 0, &error);
	if (*ret_json)
		return LNX_EXIT_OK;
	lnx_cli_say("%s does not answer with JSON (%s): is it a linnix agent?",
		    lnx_client_target(c), error.text);
	return LNX_EXIT_FAILURE;
}

static void reply_print(const struct lnx_reply *reply)
{
	struct lnx_buf out = { .max = 2 * LNX_CLIENT_MAX_BYTES };

	lnx_text_json(&out, reply->body.data, reply->body.size);
	if (!lnx_buf_error(&out) && out.size) {
		fwrite(out.data, 1, out.size, stdout);
		if (out.data[out.size - 1] != '\n')
			putchar('\n');
	}
	lnx_buf_done(&out);
}

int lnx_client_json(const struct lnx_cli *cli, const char *path, json_t **ret_json)
{
	struct lnx_client *c = NULL;
	struct lnx_reply reply;
	json_t *root = NULL;
	int rc = lnx_client_new(cli, &c), code;

	*ret_json = NULL;
	if (rc < 0)
		return rc == -EINVAL ? LNX_EXIT_USAGE : LNX_EXIT_FAILURE;
	rc = lnx_client_get(c, path, &reply);
	if (rc < 0) {
		code = lnx_client_say(c, rc);
		lnx_client_free(c);
		return code;
	}
	if (reply.status != 200)
		code = lnx_client_say_status(c, &reply);
	else
		code = reply_parse(c, &reply, &root);
	if (code == LNX_EXIT_OK && reply.degraded[0])
		lnx_cli_say("degraded: %s", reply.degraded);
	if (code == LNX_EXIT_OK && cli->is_json)
		reply_print(&reply);
	else if (code == LNX_EXIT_OK) {
		*ret_json = root;
		root = NULL;
	}
	json_decref(root);
	lnx_buf_done(&reply.body);
	lnx_client_free(c);
	return code;
}

const char *lnx_json_get_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

double lnx_json_get_f64(const json_t *object, const char *key, double def)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : def;
}

int lnx_client_fetch(const struct lnx_cli *cli, const char *path, json_t **ret_json)
{
	struct lnx_cli quiet = *cli;

	quiet.is_json = false;
	return lnx_client_json(&quiet, path, ret_json);
}

int lnx_client_print(const json_t *root)
{
	struct lnx_buf out = { 0 };
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_ENCODE_ANY);
	int rc = LNX_EXIT_FAILURE;

	if (text) {
		lnx_text_json(&out, text, strlen(text));
		rc = lnx_buf_error(&out) || puts(out.data) < 0 ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
	}
	lnx_buf_done(&out);
	free(text);
	return rc;
}

int lnx_client_find_id(const struct lnx_cli *cli, const char *verb, const char *list,
		       const char *end, char ret_id[LNX_CLI_ID])
{
	size_t i, n = strlen(end), k;
	json_t *root = NULL;
	const json_t *one;
	int code, n_found = 0;

	if (n >= LNX_CLI_ID || strspn(end, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != n || n < 3)
		return lnx_cli_usage(verb, "%s: '%s' is no id", verb, end);
	if (n == LNX_CLI_ID - 1) {
		memcpy(ret_id, end, n + 1);
		return LNX_EXIT_OK;
	}
	code = lnx_client_fetch(cli, list, &root);
	if (code != LNX_EXIT_OK)
		return code;
	json_array_foreach(root, i, one)
	{
		const char *id = lnx_json_get_str(one, "id"), *slash = strrchr(id, '/');

		id = slash ? slash + 1 : id; /* "<node>/<ulid>" of an action */
		k = strlen(id);
		if (k != LNX_CLI_ID - 1 || strcmp(id + k - n, end) != 0)
			continue;
		memcpy(ret_id, id, k + 1);
		n_found++;
	}
	json_decref(root);
	if (n_found == 1)
		return LNX_EXIT_OK;
	lnx_cli_say(n_found ? "%s: more than one ends with '%s'" : "%s: none ends with '%s'", verb,
		    end);
	return LNX_EXIT_FAILURE;
}

const char *lnx_cli_user(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw ? pw->pw_name : "";
}

int lnx_client_post_json(const struct lnx_cli *cli, const char *path, struct lnx_buf *body,
			 json_t **ret_json)
{
	struct lnx_client *c = NULL;
	struct lnx_reply reply = { 0 };
	int rc = lnx_client_new(cli, &c), code = LNX_EXIT_FAILURE;

	if (rc == 0 && !lnx_buf_error(body)) {
		rc = lnx_client_post(c, path, body->data, &reply);
		if (rc < 0)
			code = lnx_client_say(c, rc);
		else if (reply.status / 100 != 2)
			code = lnx_client_say_status(c, &reply);
		else
			code = LNX_EXIT_OK;
	}
	if (code == LNX_EXIT_OK && reply.body.size)
		*ret_json = json_loadb(reply.body.data, reply.body.size, 0, NULL);
	lnx_buf_done(&reply.body);
	lnx_client_free(c);
	return code;
}

int lnx_client_post_say(const struct lnx_cli *cli, const char *path, struct lnx_buf *body)
{
	json_t *root = NULL;
	int code = lnx_client_post_json(cli, path, body, &root);

	if (code == LNX_EXIT_OK && json_object_size(root))
		code = lnx_client_print(root);
	json_decref(root);
	return code;
}
