/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Registry of metric families and their bounded series. Loop thread only; names and kinds as in linnix/host.h. */
#ifndef LNX_METRICS_H
#define LNX_METRICS_H

#include <linnix/buf.h>
#include <linnix/host.h>

struct lnx_metrics;

struct lnx_metrics *lnx_metrics_new(void);
void lnx_metrics_free(struct lnx_metrics *m);
/* -EINVAL: not a metric or label name, or the family exists with another kind or labels; -ENOSPC: max_series reached,
 * counted; -ENOMEM. A series that exists is shared: it ends when its
 * last owner (at most 4) lets go, with lnx_metrics_del_owner at the latest. */
int lnx_metrics_series(struct lnx_metrics *m, const struct lnx_metric_desc *desc,
		       const char *const *values, const void *owner,
		       struct lnx_metric **ret_metric);
void lnx_metric_add(struct lnx_metric *s, double v);
void lnx_metric_set(struct lnx_metric *s, double v);
void lnx_metric_observe(struct lnx_metric *s, double v);
double lnx_metric_value(const struct lnx_metric *s);
/* <owner> lets go; the series ends with its last owner. NULL is fine. */
void lnx_metrics_del(struct lnx_metric *s, const void *owner);
void lnx_metrics_del_owner(struct lnx_metrics *m, const void *owner);
/* Called before each rendering, to bring figures up to date. At most 32. */
int lnx_metrics_on_collect(struct lnx_metrics *m, void (*fn)(void *arg), void *arg);
void lnx_metrics_text(struct lnx_metrics *m, int openmetrics, struct lnx_buf *out);

#endif
