/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Registration: the address that signs, never another one, with the proof that the DID's key agreed to it. */
#include "register.h"

#include <errno.h>
#include <string.h>

#include "binding.h"
#include "op.h"

static const uint8_t no_task[32];

void register_queue(struct settle *s)
{
	struct binding binding = { .did = s->did, .chain_id = s->conf->chain_id };
	uint8_t proof[DSSE_SIGNATURE];
	struct abi_value a[4];

	abi_set_word(&a[0], s->did32);
	abi_set_word(&a[1], s->ed25519);
	abi_set_address(&a[2], s->address);
	if (s->is_compat) {
		(void)op_queue(s, OP_REGISTER, no_task, "", s->registry, REGISTRY_REGISTER, a,
			       3); /* no room: the next guard tries again */
		return;
	}
	memcpy(binding.registry, s->registry, 20);
	memcpy(binding.address, s->address, 20);
	if (binding_sign(&binding, s->identity->secret->ed25519, proof) < 0) {
		s->host->log(s->ctx, LNX_ERROR, "the proof of the registration cannot be made");
		return;
	}
	abi_set_bytes(&a[3], proof, sizeof(proof));
	(void)op_queue(s, OP_REGISTER, no_task, "", s->registry, REGISTRY_WITH_PROOF, a,
		       4); /* likewise */
}

int register_reverted(struct settle *s, const char *why)
{
	if (!strncmp(why, "AlreadyRegistered", 17)) { /* by a transaction that we did not see */
		s->is_registered = 1;
		return -EALREADY;
	}
	s->host->health(s->ctx, "chain-identity", LNX_HEALTH_DEGRADED,
			"the registry refuses this agent's record: it cannot be paid");
	return !strncmp(why, "AddressInUse", 12) || !strncmp(why, "AgentIsRevoked", 14) ? -EPERM
											: -EAGAIN;
}
