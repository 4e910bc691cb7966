/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/host.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/host.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_event_meta, 24);
AT(lnx_event_meta, seq, 0);
AT(lnx_event_meta, cause_seq, 8);
AT(lnx_event_meta, hops, 16);
AT(lnx_event_meta, pad, 20);

SIZE(lnx_ident, 48);
AT(lnx_ident, size, 0);
AT(lnx_ident, schema, 4);
AT(lnx_ident, node, 8);
AT(lnx_ident, cluster, 16);
AT(lnx_ident, boot_id, 24);
AT(lnx_ident, version, 32);
AT(lnx_ident, agent_pid, 40);
AT(lnx_ident, pad, 44);

SIZE(lnx_metric_desc, 48);
AT(lnx_metric_desc, name, 0);
AT(lnx_metric_desc, help, 8);
AT(lnx_metric_desc, kind, 16);
AT(lnx_metric_desc, n_buckets, 20);
AT(lnx_metric_desc, labels, 24);
AT(lnx_metric_desc, buckets, 32);
AT(lnx_metric_desc, max_series, 40);
AT(lnx_metric_desc, pad, 44);

SIZE(lnx_tag, 96);
AT(lnx_tag, size, 0);
AT(lnx_tag, pad, 4);
AT(lnx_tag, cgroup_id, 8);
AT(lnx_tag, gone_ns, 16);
AT(lnx_tag, namespace_, 24);
AT(lnx_tag, pod_name, 32);
AT(lnx_tag, pod_uid, 40);
AT(lnx_tag, container_name, 48);
AT(lnx_tag, container_id, 56);
AT(lnx_tag, workload, 64);
AT(lnx_tag, runtime, 72);
AT(lnx_tag, path, 80);
AT(lnx_tag, is_ignored, 88);
AT(lnx_tag, pad2, 92);

SIZE(lnx_host, 352);
AT(lnx_host, size, 0);
AT(lnx_host, abi_major, 4);
AT(lnx_host, abi_minor, 6);
AT(lnx_host, log, 8);
AT(lnx_host, now_ns, 16);
AT(lnx_host, wall_ns, 24);
AT(lnx_host, publish, 32);
AT(lnx_host, event_type, 40);
AT(lnx_host, event_register, 48);
AT(lnx_host, event_desc, 56);
AT(lnx_host, event_ref, 64);
AT(lnx_host, event_unref, 72);
AT(lnx_host, event_meta, 80);
AT(lnx_host, event_json, 88);
AT(lnx_host, ring_each, 96);
AT(lnx_host, subscribe, 104);
AT(lnx_host, unsubscribe, 112);
AT(lnx_host, timer_add, 120);
AT(lnx_host, timer_set, 128);
AT(lnx_host, timer_stop, 136);
AT(lnx_host, timer_del, 144);
AT(lnx_host, fd_add, 152);
AT(lnx_host, fd_set, 160);
AT(lnx_host, fd_del, 168);
AT(lnx_host, submit, 176);
AT(lnx_host, provide, 184);
AT(lnx_host, service, 192);
AT(lnx_host, metric, 200);
AT(lnx_host, metric_add, 208);
AT(lnx_host, metric_set, 216);
AT(lnx_host, metric_observe, 224);
AT(lnx_host, metric_del, 232);
AT(lnx_host, probe_map, 240);
AT(lnx_host, probe_want, 248);
AT(lnx_host, probe_iter, 256);
AT(lnx_host, map_lookup, 264);
AT(lnx_host, map_update, 272);
AT(lnx_host, map_delete, 280);
AT(lnx_host, map_next, 288);
AT(lnx_host, health, 296);
AT(lnx_host, ident, 304);
AT(lnx_host, instance, 312);
AT(lnx_host, conf_get, 320);
AT(lnx_host, wanted, 328);
AT(lnx_host, tag, 336);
AT(lnx_host, probe_object, 344);
