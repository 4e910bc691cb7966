/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The two bodies. */
#include <string.h>

#include "webhook.h"

#define EVIDENCE ",\"evidence\":[" /* where the long part of a document begins */
#define AFTER	 ",\"evidence_left_out\":"

static const char *const words[] = { "open", "update", "close" };

static void put_incident(const struct lnx_notice *x, int has_evidence, struct lnx_buf *out)
{
	const char *from = strstr(x->doc, EVIDENCE), *to = from ? strstr(from, AFTER) : NULL;

	/* in a name or a text these words have escaped quotes */
	if (has_evidence || !from || !to) {
		lnx_buf_add(out, x->doc, x->doc_bytes);
		return;
	}
	lnx_buf_add(out, x->doc, (size_t)(from - x->doc));
	lnx_buf_str(out, to);
}

void webhook_linnix(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
		    int has_evidence, struct lnx_buf *out)
{
	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "schema", id->schema);
	lnx_json_kv_str(out, "node", id->node);
	lnx_json_kv_str(out, "cluster", id->cluster);
	lnx_json_kv_str(out, "boot_id", id->boot_id);
	lnx_json_kv_str(out, "version", id->version);
	lnx_json_key(out, "events");
	lnx_buf_char(out, '[');
	for (uint32_t i = 0; i < n; i++) {
		lnx_json_next(out);
		lnx_buf_char(out, '{');
		lnx_json_key(out, "type");
		lnx_buf_printf(out, "\"incident.%s\"", words[list[i].what % 3]);
		lnx_json_kv_str(out, "delivery", list[i].delivery);
		lnx_json_kv_str(out, "url", list[i].url);
		lnx_json_key(out, "incident");
		put_incident(&list[i], has_evidence, out);
		lnx_buf_char(out, '}');
	}
	lnx_buf_str(out, "]}");
}

/* A segment of a path: what a URI may not hold is percent-encoded. */
static void put_segment(struct lnx_buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			lnx_buf_char(out, (char)c);
		else
			lnx_buf_printf(out, "%%%02X", c);
	}
}

static void put_source(const struct lnx_ident *id, struct lnx_buf *out)
{
	lnx_json_key(out, "source");
	lnx_buf_str(out, "\"/linnix/");
	if (*id->cluster) {
		put_segment(out, id->cluster);
		lnx_buf_char(out, '/');
	}
	put_segment(out, id->node);
	lnx_buf_char(out, '"');
}

void webhook_cloudevents(const struct lnx_ident *id, const struct lnx_notice *list, uint32_t n,
			 int has_evidence, struct lnx_buf *out)
{
	if (n > 1)
		lnx_buf_char(out, '[');
	for (uint32_t i = 0; i < n; i++) {
		const struct lnx_notice *x = &list[i];

		if (i)
			lnx_buf_char(out, ',');
		lnx_buf_str(out, "{\"specversion\":\"1.0\"");
		lnx_json_kv_str(out, "id", x->delivery);
		put_source(id, out);
		lnx_json_key(out, "type");
		lnx_buf_printf(out, "\"dev.linnix.incident.%s\"", words[x->what % 3]);
		lnx_json_kv_str(out, "subject", x->incident);
		lnx_json_key(out, "time");
		lnx_json_ts(out, x->what == LNX_NOTICE_CLOSE && x->closed_wall_ns
					 ? x->closed_wall_ns
					 : x->queued_wall_ns);
		lnx_json_kv_str(out, "datacontenttype", "application/json");
		lnx_json_key(out, "data");
		put_incident(x, has_evidence, out);
		lnx_buf_char(out, '}');
	}
	if (n > 1)
		lnx_buf_char(out, ']');
}
