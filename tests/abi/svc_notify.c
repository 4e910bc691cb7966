/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_notify.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_notify.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_notice, 240);
AT(lnx_notice, size, 0);
AT(lnx_notice, what, 4);
AT(lnx_notice, severity, 8);
AT(lnx_notice, is_open, 12);
AT(lnx_notice, is_told, 16);
AT(lnx_notice, n_victims, 20);
AT(lnx_notice, n_alerts, 24);
AT(lnx_notice, flaps, 28);
AT(lnx_notice, culprit_pid, 32);
AT(lnx_notice, pad, 36);
AT(lnx_notice, opened_wall_ns, 40);
AT(lnx_notice, closed_wall_ns, 48);
AT(lnx_notice, queued_wall_ns, 56);
AT(lnx_notice, incident, 64);
AT(lnx_notice, delivery, 72);
AT(lnx_notice, url, 80);
AT(lnx_notice, doc, 88);
AT(lnx_notice, doc_bytes, 96);
AT(lnx_notice, title, 104);
AT(lnx_notice, summary, 112);
AT(lnx_notice, text, 120);
AT(lnx_notice, cause, 128);
AT(lnx_notice, resource, 136);
AT(lnx_notice, rule, 144);
AT(lnx_notice, fingerprint, 152);
AT(lnx_notice, runbook, 160);
AT(lnx_notice, culprit, 168);
AT(lnx_notice, culprit_namespace, 176);
AT(lnx_notice, culprit_pod_name, 184);
AT(lnx_notice, culprit_comm, 192);
AT(lnx_notice, victim, 200);
AT(lnx_notice, victim_namespace, 208);
AT(lnx_notice, victim_pod_name, 216);
AT(lnx_notice, kept, 224);
AT(lnx_notice, keep, 232);

SIZE(lnx_notify_post, 136);
AT(lnx_notify_post, size, 0);
AT(lnx_notify_post, flags, 4);
AT(lnx_notify_post, url, 8);
AT(lnx_notify_post, headers, 48);
AT(lnx_notify_post, body, 88);
AT(lnx_notify_post, ca_file, 128);

SIZE(lnx_channel_desc, 80);
AT(lnx_channel_desc, size, 0);
AT(lnx_channel_desc, flags, 4);
AT(lnx_channel_desc, min_severity, 8);
AT(lnx_channel_desc, rate, 12);
AT(lnx_channel_desc, batch, 16);
AT(lnx_channel_desc, pad, 20);
AT(lnx_channel_desc, group_ns, 24);
AT(lnx_channel_desc, timeout_ns, 32);
AT(lnx_channel_desc, give_up_ns, 40);
AT(lnx_channel_desc, resend_ns, 48);
AT(lnx_channel_desc, render, 56);
AT(lnx_channel_desc, write, 64);
AT(lnx_channel_desc, arg, 72);

SIZE(lnx_svc_notify, 48);
AT(lnx_svc_notify, size, 0);
AT(lnx_svc_notify, pad, 4);
AT(lnx_svc_notify, open, 8);
AT(lnx_svc_notify, set, 16);
AT(lnx_svc_notify, close, 24);
AT(lnx_svc_notify, tell, 32);
AT(lnx_svc_notify, done, 40);
