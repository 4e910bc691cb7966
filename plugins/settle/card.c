/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent card of A2A 0.3.0: who this agent is, and how it is paid. Nothing in it is secret. */
#include <sodium.h>

#include "routes.h"

static void put_address(struct lnx_buf *out, const char *key, const uint8_t address[20])
{
	char text[ADDRESS_TEXT];

	address_format(address, text);
	lnx_json_kv_str(out, key, text);
}

static void put_settlement(struct settle *s, struct lnx_buf *out)
{
	char text[ADDRESS_TEXT];

	lnx_json_key(out, "settlement");
	lnx_buf_str(out, "{\"chains\":[{");
	lnx_json_kv_u64(out, "chainId", s->conf->chain_id);
	put_address(out, "settlementContract", s->settlement);
	put_address(out, "registryContract", s->registry);
	lnx_buf_str(out, "}],\"acceptedTokens\":[");
	address_format(s->token, text);
	lnx_json_str(out, text);
	lnx_buf_str(out, "],\"receiptAuth\":\"eip712\"}");
}

static void put_extension(struct settle *s, struct lnx_buf *out)
{
	char key[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];

	lnx_json_key(out, "x-linnix-claw");
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "did", s->did);
	(void)sodium_bin2base64(key, sizeof(key), s->ed25519, 32,
				sodium_base64_VARIANT_ORIGINAL); /* fits */
	lnx_json_key(out, "publicKey");
	lnx_buf_printf(out, "\"ed25519:%s\"", key);
	put_address(out, "ethereumAddress", s->address);
	put_settlement(s, out);
	lnx_buf_char(out, '}');
}

void card_get(void *arg, struct lnx_http_req *req)
{
	struct settle *s = arg;
	const struct lnx_ident *ident = s->host->ident(s->ctx);
	struct lnx_buf out = { 0 };

	if (!*s->did) { /* a card without an identity would be nobody's */
		(void)s->http->error(req, 503, chain_state_names[s->state], "%s", s->why);
		return;
	}
	lnx_buf_char(&out, '{');
	lnx_json_kv_str(&out, "protocolVersion", "0.3.0");
	lnx_json_kv_str(&out, "name", "linnix");
	lnx_json_kv_str(&out, "description",
			"Runs tasks, measures them with eBPF, and is paid for a signed receipt.");
	lnx_json_kv_str(&out, "url", s->conf->public_url);
	lnx_json_kv_str(&out, "version", ident->version);
	lnx_json_kv_str(&out, "preferredTransport", "HTTP+JSON");
	lnx_buf_str(
		&out,
		",\"capabilities\":{\"streaming\":false,\"pushNotifications\":false},"
		"\"defaultInputModes\":[\"application/json\"],"
		"\"defaultOutputModes\":[\"application/json\"],\"skills\":[{\"id\":\"task\","
		"\"name\":\"Settled task\",\"description\":\"A task created on the settlement contract, "
		"run under telemetry and paid for its receipt.\",\"tags\":[\"settlement\",\"telemetry\"]}]");
	put_extension(s, &out);
	lnx_buf_char(&out, '}');
	if (lnx_buf_error(&out))
		(void)s->http->error(req, 503, "no_memory", "out of memory");
	else
		(void)s->http->respond(req, 200, NULL, out.data, out.size);
	lnx_buf_done(&out);
}
