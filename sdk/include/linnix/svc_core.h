/* SPDX-License-Identifier: MIT */
/* Service "core/1", provided by the host itself: what it knows of itself, as JSON or metrics text. Loop thread only.
 * The functions append to a growing buffer of linnix/buf.h and return 0 or -ENOMEM. */
#ifndef LINNIX_SVC_CORE_H
#define LINNIX_SVC_CORE_H

#include <linnix/buf.h>
#include <stdint.h>

struct lnx_svc_core {
	uint32_t size;
	uint32_t pad;
	int (*status_json)(void *self, struct lnx_buf *out);  /* the object of GET /status */
	int (*plugins_json)(void *self, struct lnx_buf *out); /* the array of GET /plugins */
	int (*rules_json)(void *self, struct lnx_buf *out);   /* the object of GET /rules */
	/* Object of GET /readyz; *ret_ready 0: an enabled function is lost. */
	int (*ready_json)(void *self, struct lnx_buf *out, uint32_t *ret_ready);
	/* Text of GET /metrics; openmetrics: with EOF line and its rules for counters. */
	int (*metrics_text)(void *self, uint32_t openmetrics, struct lnx_buf *out);
	/* Array of {name, doc, fields[]} of all event types. */
	int (*events_schema_json)(void *self, struct lnx_buf *out);
	/* Ask the rules to be loaded anew. Returns 0 or -errno; *ret the object of GET /rules. */
	int (*rules_reload)(void *self, struct lnx_buf *out);
};

#endif
