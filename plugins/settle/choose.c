/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* About which operations a turn asks: there is room for some only. */
#include "op.h"

static int is_looked_at(const struct settle *s, const struct op *op)
{
	return !op->is_dry && op->n_attempts && op->nonce != OP_NO_NONCE &&
	       ((op->state >= OP_SIGNED && op->state <= OP_MINED) ||
		((op->state == OP_CONFIRMED || op->state == OP_FAILED) && op_is_live(s, op)));
}

static unsigned n_asks(const struct op *op)
{
	unsigned n = 0;

	for (uint32_t k = 0; k < op->n_attempts; k++)
		n += op->attempts[k].nonce == op->nonce;
	return n;
}

/* Of those whose outcome is open and which fit, the one that waits longest; of several such, one that protects money. */
static struct op *next_open(const struct settle *s, unsigned room)
{
	struct op *best = NULL;

	for (struct op *op = s->ops; op; op = op->next)
		if (!op->is_asked && is_looked_at(s, op) && op->state < OP_CONFIRMED &&
		    n_asks(op) <= room &&
		    (!best || op->asked_turn < best->asked_turn ||
		     (op->asked_turn == best->asked_turn && op_protects(op) > op_protects(best))))
			best = op;
	return best;
}

void op_choose(struct settle *s)
{
	unsigned room = SETTLE_LOOK_TXS, ended = 0;
	struct op *op;

	for (op = s->ops; op; op = op->next) {
		op->is_asked = 0;
		ended += is_looked_at(s, op) && op->state >= OP_CONFIRMED ? n_asks(op) : 0;
	}
	s->look_turn++;
	while ((op = next_open(s, room))) {
		op->is_asked = 1;
		op->asked_turn = s->look_turn;
		room -= n_asks(op);
	}
	for (op = s->ops; op; op = op->next) {
		if (!is_looked_at(s, op) || op->state < OP_CONFIRMED)
			continue;
		op->is_asked = ended <= room;
		ended -= n_asks(op);
	}
}
