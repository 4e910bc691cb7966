/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is to be told of each incident: one entry, which says the latest. */
#include <stdlib.h>
#include <string.h>

#include "notify.h"

struct item *item_find(struct lnx_channel *ch, const char *id)
{
	struct item *it = ch->first;

	while (it && strcmp(it->id, id) != 0)
		it = it->next;
	return it;
}

struct item *item_new(struct lnx_channel *ch, const char *id)
{
	struct item *it, **end = &ch->first;

	if (ch->n_items == NOTIFY_ITEMS) {
		ch->n->host->metric_add(ch->n->ctx, ch->m_full, 1);
		return NULL;
	}
	it = calloc(1, sizeof(*it));
	if (!it)
		return NULL;
	memcpy(it->id, id, sizeof(it->id));
	it->keep.max = LNX_NOTIFY_KEPT_MAX;
	while (*end)
		end = &(*end)->next;
	*end = it;
	ch->n_items++;
	return it;
}

void item_del(struct lnx_channel *ch, struct item *it)
{
	struct item **p = &ch->first;

	while (*p != it)
		p = &(*p)->next;
	*p = it->next;
	ch->n_items--;
	free(it->kept);
	lnx_buf_done(&it->keep);
	free(it);
}

void item_stamp(struct lnx_channel *ch, struct item *it)
{
	it->queued_wall_ns = notify_wall(ch->n);
	it->queued_ns = ch->n->host->now_ns(ch->n->ctx);
	it->age_ns = 0;
}

uint64_t item_age_ns(const struct lnx_channel *ch, const struct item *it)
{
	uint64_t now = ch->n->host->now_ns(ch->n->ctx);

	return it->age_ns + (now > it->queued_ns ? now - it->queued_ns : 0);
}

void item_queue(struct lnx_channel *ch, struct item *it, uint32_t what)
{
	/* who was told nothing yet hears of an opening, not of a change; an end is told as one */
	if (what == LNX_NOTICE_UPDATE && it->what == LNX_NOTICE_CLOSE)
		what = LNX_NOTICE_CLOSE;
	else if (what == LNX_NOTICE_UPDATE && !it->is_told && !it->is_sent)
		what = LNX_NOTICE_OPEN;
	if (!it->waits || it->is_sent)
		item_stamp(ch, it);
	it->waits = 1;
	it->is_given_up = 0;
	it->what = what;
	it->rev++;
	keep_save(ch, it);
}

void item_give_up(struct lnx_channel *ch, struct item *it, uint32_t what)
{
	if (what == LNX_NOTICE_CLOSE) {
		keep_del(ch, it);
		item_del(ch, it);
		return;
	}
	it->waits = 0;
	it->is_given_up = !it->is_told;		       /* else its end is still to be told */
	it->told_ns = ch->n->host->now_ns(ch->n->ctx); /* or it would be due again at once */
	if (it->is_kept)
		keep_save(ch, it);
}

void item_on_event(struct lnx_channel *ch, const struct lnx_ev_incident *ev, const char *id)
{
	struct item *it = item_find(ch, id);
	int is_wanted = ev->severity >= ch->d.min_severity && !ev->is_silenced, is_weighty;
	/* what an action came to may be known after the end: nothing follows that would take the item away */
	int is_over = ev->h.type == LNX_EV_INCIDENT_UPDATE &&
		      LNX_EV_HAS(&ev->h, struct lnx_ev_incident, closed_wall_ns) &&
		      ev->closed_wall_ns;

	if (it)
		it->severity = ev->severity;
	if (ev->h.type == LNX_EV_INCIDENT_CLOSE) {
		if (it && it->is_given_up)
			item_give_up(ch, it, LNX_NOTICE_CLOSE);
		else if (it)
			item_queue(ch, it, LNX_NOTICE_CLOSE);
		return;
	}
	is_weighty = ev->reason == LNX_INCIDENT_SEVERITY || ev->reason == LNX_INCIDENT_OUTCOME ||
		     ev->reason == LNX_INCIDENT_SILENCE; /* it ended, or nothing is told at all */
	if (ev->h.type == LNX_EV_INCIDENT_UPDATE && it) {
		/* what waits says all of it anyway */
		if ((is_weighty || (ch->d.flags & LNX_CHANNEL_ALL && !it->is_given_up)) &&
		    (!it->waits || it->is_sent) && !ev->is_silenced)
			item_queue(ch, it, is_over ? LNX_NOTICE_CLOSE : LNX_NOTICE_UPDATE);
		return;
	}
	if (!is_wanted || (ev->h.type == LNX_EV_INCIDENT_UPDATE && !is_weighty))
		return;
	if (!it)
		it = item_new(ch, id);
	if (!it)
		return;
	it->severity = ev->severity;
	item_queue(ch, it, is_over ? LNX_NOTICE_CLOSE : LNX_NOTICE_OPEN);
}
