/* SPDX-License-Identifier: MIT */
/* Service "incident/1": incidents with their evidence (plugin `incident`). Loop thread only. Open ones and those closed
 * lately are in memory; older ones are in store/1, as the JSON that json() gives. */
#ifndef LINNIX_SVC_INCIDENT_H
#define LINNIX_SVC_INCIDENT_H

#include <linnix/buf.h>
#include <stdint.h>

/* A named figure or name of one item of evidence. Every number is rounded as it is shown. */
struct lnx_fact {
	uint32_t size;
	uint32_t evidence; /* n of En */
	const char *
		topic; /* of the item: alert, blame, pressure, host, process, tree, limits, losses, outcome */
	const char *subject; /* of the item: whom it is about; may be "" */
	const char *name;    /* "neighbour_ms" */
	const char *unit;    /* "ms", "pct", "" */
	const char *text;    /* NULL: a number */
	double value;	     /* NaN: not known */
};

/* Never NULL strings. Borrowed until the next call of the service or the next event. */
struct lnx_incident {
	uint32_t size;
	uint32_t severity; /* enum lnx_severity */
	uint32_t is_open;
	uint32_t n_victims, n_alerts, n_evidence, flaps;
	uint32_t culprit_pid;
	uint64_t opened_wall_ns, closed_wall_ns, culprit_start_ns, culprit_cgroup_id;
	const char *id, *fingerprint, *cause, *resource, *rule, *title;
	const char *culprit, *culprit_namespace, *culprit_comm;
	const char *victim, *victim_namespace; /* the one that lost most */
	const char *labels;		       /* JSON object */
	const char *explanation;	       /* JSON object of explain(), or "" */
	uint32_t is_silenced;
	uint32_t pad;
	uint64_t victim_cgroup_id; /* of the one that lost most; 0: none or the node */
};

struct lnx_svc_incident {
	uint32_t size;
	uint32_t pad;
	/* -ENOENT: not in memory. */
	int (*get)(void *self, const char *id, struct lnx_incident *ret_inc);
	/* The object of GET /incidents/{id}, older ones too. 0, -ENOENT, -ENOMEM, -EIO. */
	int (*json)(void *self, const char *id, struct lnx_buf *out);
	/* Those in memory, newest first. <each> returning non-zero stops. Returns how many were visited. */
	int (*each)(void *self, int (*each)(void *arg, const struct lnx_incident *inc), void *arg);
	/* Facts of one in memory, by evidence. Returns how many were visited, or -ENOENT. */
	int (*facts)(void *self, const char *id, int (*each)(void *arg, const struct lnx_fact *f),
		     void *arg);
	/* Give it an explanation: <doc> a JSON object with at least {"summary","text"}. Publishes incident.update. 0, -ENOENT,
	 * -EINVAL, -ENOMEM. */
	int (*explain)(void *self, const char *id, const char *doc);
	/* Add an item of evidence: n facts of one topic. Returns its number, -ENOENT, -ENOSPC (it has all it may have),
	 * -ENOMEM. */
	int (*add_evidence)(void *self, const char *id, const struct lnx_fact *facts, uint32_t n,
			    const char *text, const char *query);
};

#endif
