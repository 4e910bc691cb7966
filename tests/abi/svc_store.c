/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_store.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_store.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_store_record, 64);
AT(lnx_store_record, size, 0);
AT(lnx_store_record, kind, 4);
AT(lnx_store_record, id, 8);
AT(lnx_store_record, parent, 16);
AT(lnx_store_record, doc, 24);
AT(lnx_store_record, doc_bytes, 32);
AT(lnx_store_record, ts_ns, 40);
AT(lnx_store_record, end_ns, 48);
AT(lnx_store_record, state, 56);
AT(lnx_store_record, severity, 60);

SIZE(lnx_store_query, 72);
AT(lnx_store_query, size, 0);
AT(lnx_store_query, kind, 4);
AT(lnx_store_query, id, 8);
AT(lnx_store_query, parent, 16);
AT(lnx_store_query, from_ns, 24);
AT(lnx_store_query, to_ns, 32);
AT(lnx_store_query, states, 40);
AT(lnx_store_query, min_severity, 44);
AT(lnx_store_query, offset, 48);
AT(lnx_store_query, limit, 56);
AT(lnx_store_query, is_ascending, 64);
AT(lnx_store_query, pad, 68);

SIZE(lnx_store_blame, 72);
AT(lnx_store_blame, size, 0);
AT(lnx_store_blame, resource, 4);
AT(lnx_store_blame, victim, 8);
AT(lnx_store_blame, culprit, 16);
AT(lnx_store_blame, kind, 24);
AT(lnx_store_blame, method, 28);
AT(lnx_store_blame, stall_us, 32);
AT(lnx_store_blame, raw_us, 40);
AT(lnx_store_blame, psi_us, 48);
AT(lnx_store_blame, full_us, 56);
AT(lnx_store_blame, confidence_permille, 64);

SIZE(lnx_store_who, 56);
AT(lnx_store_who, size, 0);
AT(lnx_store_who, pad, 4);
AT(lnx_store_who, number, 8);
AT(lnx_store_who, cgroup_id, 16);
AT(lnx_store_who, workload, 24);
AT(lnx_store_who, namespace_, 32);
AT(lnx_store_who, pod_name, 40);
AT(lnx_store_who, path, 48);

SIZE(lnx_svc_store, 64);
AT(lnx_svc_store, size, 0);
AT(lnx_svc_store, pad, 4);
AT(lnx_svc_store, put, 8);
AT(lnx_svc_store, del, 16);
AT(lnx_svc_store, each, 24);
AT(lnx_svc_store, log, 32);
AT(lnx_svc_store, blame, 40);
AT(lnx_svc_store, who, 48);
AT(lnx_svc_store, ulid, 56);
