/* SPDX-License-Identifier: MIT */
/* Service "core/1", provided by the host itself: what it knows of itself, as JSON or metrics text. Loop thread only.
 * The functions append to a growing buffer of linnix/buf.h and return 0 or -ENOMEM. */
#ifndef LINNIX_SVC_CORE_H
#define LINNIX_SVC_CORE_H

#include <linnix/buf.h>
#include <stdint.h>

/* A piece of a recording (core/RECORDING.md): what is asked for, and what was given. */
struct lnx_recording {
	uint32_t size;
	uint32_t is_begin;  /* the first piece: with identity, event types and state */
	uint64_t since_seq; /* events after this one; then where the next piece goes on */
	uint64_t
		since_ns; /* of a first piece: from this CLOCK_BOOTTIME on, as far as is kept; 0: from now */
	uint64_t max_bytes;  /* of events, before compression; 0: 1 MiB */
	uint64_t newest_seq; /* given: on the bus */
	uint64_t events;     /* given: in this piece */
	uint64_t missed;     /* given: fell out of the ring before they were asked for */
};

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
	/* rules_reload_later for who does not wait. <out>: the object of GET /rules as it stands before. 0, -EAGAIN (the agent
	 * starts) or -ENOMEM. */
	int (*rules_reload)(void *self, struct lnx_buf *out);
	/* Append a piece of a recording. -ERANGE: since_seq was never given out by this agent. */
	int (*recording)(void *self, struct lnx_recording *io, struct lnx_buf *out);
	/* Load the rules anew beside the loop. <done> runs once, on the loop, perhaps before this returns: rc 0, -ECANCELED when
	 * the agent stops, or another -errno when those of before run on. Returns 0, or -EBUSY or -ENOMEM: it will not run. */
	int (*rules_reload_later)(void *self, void (*done)(void *arg, int rc), void *arg);
};

#endif
