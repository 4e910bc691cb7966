/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names of what our contracts and ERC-20 tokens offer: the only place where the signatures stand. */
#ifndef LNX_SETTLE_CONTRACT_H
#define LNX_SETTLE_CONTRACT_H

#include <stddef.h>
#include <stdint.h>

#define CONTRACT_NAME	 "Linnix-Claw" /* of the EIP-712 domains */
#define CONTRACT_VERSION "0.1.0"

/* ---- AgentRegistry */
#define REGISTRY_REGISTER      "register(bytes32,bytes32,address)"
#define REGISTRY_WITH_PROOF    "registerWithProof(bytes32,bytes32,address,bytes)"
#define REGISTRY_FOR	       "registerFor(bytes32,bytes32,address,bytes,uint256,bytes)"
#define REGISTRY_REVOKE	       "revoke(bytes32)"
#define REGISTRY_IS_REGISTERED "isRegistered(bytes32)"
#define REGISTRY_GET_ADDRESS   "getAddress(bytes32)"
#define REGISTRY_RESOLVE       "resolve(bytes32)"
#define REGISTRY_RESOLVED      "(bytes32,address,uint256,uint256,uint256,uint256,bool)"
#define REGISTRY_DID_OF	       "didOf(address)"
#define REGISTRY_NONCES	       "nonces(address)"
#define REGISTRY_REGISTERED    "AgentRegistered(bytes32 indexed,address indexed,bytes32,bytes)"
#define REGISTRY_ROTATED \
	"AgentRotated(bytes32 indexed,address indexed,address indexed,bytes32,bytes)"
#define REGISTRY_REVOKED "AgentRevoked(bytes32 indexed,address indexed)"

#define REGISTRY_IS_REGISTERED_AS "isRegisteredAs(bytes32,address)"
#define REGISTRY_RESOLVE_AS	  "resolveAs(bytes32,address)"

/* ---- TaskSettlement */
#define SETTLEMENT_CREATE "createTask(bytes32,bytes32,address,uint256,uint256)"
#define SETTLEMENT_CREATE_ESCROWED \
	"createTaskEscrowed(bytes32,bytes32,address,address,uint256,uint256)"
#define SETTLEMENT_SUBMIT    "submitReceipt(bytes32,uint256,bytes,bytes)"
#define SETTLEMENT_SETTLE    "settle(bytes32)"
#define SETTLEMENT_DISPUTE   "dispute(bytes32,bytes32)"
#define SETTLEMENT_RESOLVE   "resolveDispute(bytes32,uint256,uint256)"
#define SETTLEMENT_CLAIM     "claimAfterArbiterTimeout(bytes32)"
#define SETTLEMENT_CANCEL    "cancelTask(bytes32)"
#define SETTLEMENT_EXPIRE    "expireTask(bytes32)"
#define SETTLEMENT_WITHDRAW  "withdraw(address)"
#define SETTLEMENT_GET_TASK  "getTask(bytes32)"
#define SETTLEMENT_TASK	     "(bytes32,bytes32,address,uint48,uint48,uint8,address,uint128,uint128)"
#define SETTLEMENT_GET_EXT   "getTaskExt(bytes32)"
#define SETTLEMENT_EXT	     "(address,bool,bytes32)"
#define SETTLEMENT_TASK_ID   "computeTaskId(address,bytes32)"
#define SETTLEMENT_SEPARATOR "DOMAIN_SEPARATOR()"
#define SETTLEMENT_REGISTRY  "registry()"
#define SETTLEMENT_CREATED \
	"TaskCreated(bytes32 indexed,address indexed,bytes32 indexed,address,address,uint256,uint256,bool)"
#define SETTLEMENT_SUBMITTED \
	"ReceiptSubmitted(bytes32 indexed,address indexed,uint256,bytes32,uint256)"
#define SETTLEMENT_SETTLED \
	"TaskSettled(bytes32 indexed,address indexed,address indexed,address,uint256,uint256)"
#define SETTLEMENT_DISPUTED  "TaskDisputed(bytes32 indexed,address indexed,bytes32)"
#define SETTLEMENT_RESOLVED  "DisputeResolved(bytes32 indexed,uint256,uint256,uint256)"
#define SETTLEMENT_CANCELLED "TaskCancelled(bytes32 indexed,address indexed)"
#define SETTLEMENT_EXPIRED   "TaskExpired(bytes32 indexed,uint256)"

#define SETTLEMENT_WITHDRAWN   "PaymentWithdrawn(address indexed,address indexed,uint256)"
#define SETTLEMENT_GET_DISPUTE "getTaskDispute(bytes32)"
#define SETTLEMENT_DISPUTE_OF  "(address,uint48,bytes32)"
#define SETTLEMENT_WITH_ARBITER \
	"createTaskEscrowedWithArbiter(bytes32,bytes32,address,address,uint256,uint256,address)"

/* enum task_status of getTask */
#define TASK_NONE      0
#define TASK_CREATED   1
#define TASK_SUBMITTED 2
#define TASK_SETTLED   3
#define TASK_DISPUTED  4
#define TASK_RESOLVED  5
#define TASK_CANCELLED 6
#define TASK_EXPIRED   7

/* ---- StakeBond */
#define BOND_BOND     "bond(bytes32,uint256)"
#define BOND_UNBOND   "requestUnbond(bytes32,uint256)"
#define BOND_WITHDRAW "withdraw(bytes32)"
#define BOND_STAKE_OF "stakeOf(bytes32)"

/* ---- ERC-20 */
#define TOKEN_APPROVE	"approve(address,uint256)"
#define TOKEN_ALLOWANCE "allowance(address,address)"
#define TOKEN_BALANCE	"balanceOf(address)"
#define TOKEN_DECIMALS	"decimals()"
#define TOKEN_TRANSFER	"Transfer(address indexed,address indexed,uint256)"

#define TOKEN_APPROVAL "Approval(address indexed,address indexed,uint256)"

/* What a call reverted with, in words: "WrongStatus(0x12…, 3)", the text of require(), a panic, or "unknown error 0x…". Always
 * NUL terminated; cut to <cap>. Text of the contract is made safe for a terminal. */
void contract_error(const uint8_t *data, size_t n, char *ret, size_t cap);

#endif
