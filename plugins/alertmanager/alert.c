/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One alert. Its labels are its identity at Alertmanager, so no figure is among them; when one of them changes (the severity
 * rose), the alert of before is ended in the same request. */
#include "alertmanager.h"

#include <string.h>

/* Alertmanager refuses empty values and what is not UTF-8; lnx_json_str sees to the latter. */
static void label(struct lnx_buf *out, const char *name, const char *value)
{
	if (*value)
		lnx_json_kv_str(out, name, value);
}

static void put_labels(const struct lnx_ident *id, const struct lnx_notice *x, struct lnx_buf *out)
{
	static const char *const severities[] = { "info", "warning", "critical" };

	lnx_buf_char(out, '{');
	label(out, "alertname", *x->rule ? x->rule : x->cause);
	label(out, "severity", severities[x->severity % 3]);
	label(out, "node", id->node);
	label(out, "cluster", id->cluster);
	label(out, "namespace", x->victim_namespace);
	label(out, "pod", x->victim_pod_name);
	label(out, "workload", x->victim);
	label(out, "culprit_namespace", x->culprit_namespace);
	label(out, "culprit_workload", x->culprit);
	lnx_buf_char(out, '}');
}

static void put_alert(const struct lnx_notice *x, const char *labels, uint64_t ends_ns,
		      struct lnx_buf *out)
{
	lnx_json_next(out);
	lnx_buf_str(out, "{\"labels\":");
	lnx_buf_str(out, labels);
	lnx_json_key(out, "annotations");
	lnx_buf_char(out, '{');
	label(out, "summary", x->title);
	label(out, "description", *x->text ? x->text : x->summary);
	label(out, "runbook_url", x->runbook);
	lnx_buf_char(out, '}');
	lnx_json_key(out, "startsAt");
	lnx_json_ts(out, x->opened_wall_ns);
	if (ends_ns) {
		lnx_json_key(out, "endsAt");
		lnx_json_ts(out, ends_ns);
	}
	lnx_json_kv_str(out, "generatorURL", x->url);
	lnx_buf_char(out, '}');
}

void am_alert(const struct lnx_ident *id, const struct lnx_notice *x, uint64_t now_wall_ns,
	      struct lnx_buf *out)
{
	struct lnx_buf labels = { 0 };

	put_labels(id, x, &labels);
	if (lnx_buf_error(&labels)) {
		out->error = -ENOMEM;
		return;
	}
	if (*x->kept && strcmp(x->kept, labels.data) != 0)
		put_alert(x, x->kept, now_wall_ns, out);
	put_alert(x, labels.data, x->is_open ? 0 : x->closed_wall_ns, out);
	lnx_buf_str(x->keep, labels.data);
	lnx_buf_done(&labels);
}
