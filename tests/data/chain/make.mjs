// SPDX-License-Identifier: AGPL-3.0-or-later
// Writes vectors.json, which the unit tests of plugins/settle compare with: made by ethers and node's own crypto, with nothing
// of ours. Needs the packages of chain/ (scripts/dev/chain_tools.sh node_modules). The same file comes out each time:
// node make.mjs [FILE].
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";

const require = createRequire(new URL("../../../chain/package.json", import.meta.url));
const { ethers } = require("ethers");

let counter = 0;
const random = (n) => {
  let out = new Uint8Array(0);
  while (out.length < n) out = ethers.getBytes(ethers.concat([out, ethers.keccak256(ethers.toUtf8Bytes(`vector ${counter++}`))]));
  return ethers.hexlify(out.slice(0, n));
};
const number = (bytes) => BigInt(random(bytes));
const pick = (list) => list[Number(number(2)) % list.length];
const filled = (n) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) & 255);

const keccak = Array.from({ length: 301 }, (_, n) => ethers.keccak256(filled(n)));

const keys = Array.from({ length: 32 }, () => {
  const key = random(32);
  return { key, address: ethers.computeAddress(key) };
});

const sizes = [0, 0, 1, 4, 31, 36, 55, 56, 68, 255, 256, 300];
const tx = Array.from({ length: 128 }, (_, i) => {
  const fields = {
    type: 2,
    chainId: pick([1n, 31337n, 84532n, 8453n, number(6)]),
    nonce: Number(pick([0n, 1n, 127n, 128n, 255n, 256n, number(4)])),
    maxPriorityFeePerGas: pick([0n, 1n, 1500000000n, number(8)]),
    maxFeePerGas: 0n,
    gasLimit: pick([21000n, 146000n, number(4)]),
    to: ethers.getAddress(random(20)),
    value: pick([0n, 1n, 10n ** 18n, number(31)]),
    data: sizes[i % sizes.length] ? random(sizes[i % sizes.length]) : "0x",
  };
  fields.maxFeePerGas = fields.maxPriorityFeePerGas + number(6);
  const key = random(32);
  const t = ethers.Transaction.from(fields);
  t.signature = new ethers.SigningKey(key).sign(t.unsignedHash);
  return {
    key, chain_id: String(fields.chainId), nonce: String(fields.nonce), tip: String(fields.maxPriorityFeePerGas),
    max_fee: String(fields.maxFeePerGas), gas: String(fields.gasLimit), to: fields.to, value: String(fields.value),
    data: fields.data, raw: t.serialized, hash: t.hash, signer: ethers.computeAddress(key),
  };
});

const domain = (chainId, verifyingContract) => ({ name: "Linnix-Claw", version: "0.1.0", chainId, verifyingContract });
const receiptType = { Receipt: [{ name: "taskId", type: "bytes32" }, { name: "actualAmount", type: "uint256" }, { name: "receiptHash", type: "bytes32" }] };
const receipt = Array.from({ length: 32 }, (_, i) => {
  const key = random(32), receiptBytes = random(1 + 13 * i);
  const d = domain(pick([1n, 31337n, 84532n]), ethers.getAddress(random(20)));
  const value = { taskId: random(32), actualAmount: pick([0n, 1n, 1500000n, number(32)]), receiptHash: ethers.keccak256(receiptBytes) };
  const digest = ethers.TypedDataEncoder.hash(d, receiptType, value);
  return {
    key, chain_id: String(d.chainId), contract: d.verifyingContract, task_id: value.taskId, amount: String(value.actualAmount),
    receipt: receiptBytes, receipt_hash: value.receiptHash, separator: ethers.TypedDataEncoder.hashDomain(d), digest,
    signature: new ethers.SigningKey(key).sign(digest).serialized, signer: ethers.computeAddress(key),
  };
});

const registerType = {
  Register: [{ name: "did", type: "bytes32" }, { name: "ed25519Pubkey", type: "bytes32" }, { name: "secp256k1Address", type: "address" },
    { name: "nonce", type: "uint256" }, { name: "deadline", type: "uint256" }],
};
const register = Array.from({ length: 8 }, () => {
  const d = domain(31337n, ethers.getAddress(random(20)));
  const value = { did: random(32), ed25519Pubkey: random(32), secp256k1Address: ethers.getAddress(random(20)), nonce: number(2), deadline: number(5) };
  return {
    separator: ethers.TypedDataEncoder.hashDomain(d), did: value.did, ed25519: value.ed25519Pubkey, address: value.secp256k1Address,
    nonce: String(value.nonce), deadline: String(value.deadline), digest: ethers.TypedDataEncoder.hash(d, registerType, value),
  };
});

const signatures = [
  "register(bytes32,bytes32,address)", "registerWithProof(bytes32,bytes32,address,bytes)", "registerFor(bytes32,bytes32,address,bytes,uint256,bytes)",
  "createTask(bytes32,bytes32,address,uint256,uint256)", "createTaskEscrowed(bytes32,bytes32,address,address,uint256,uint256)",
  "submitReceipt(bytes32,uint256,bytes,bytes)", "settle(bytes32)", "dispute(bytes32,bytes32)", "resolveDispute(bytes32,uint256,uint256)",
  "isRegistered(bytes32)", "getAddress(bytes32)", "resolve(bytes32)", "getTask(bytes32)", "DOMAIN_SEPARATOR()", "approve(address,uint256)",
  "allowance(address,address)", "balanceOf(address)", "bond(bytes32,uint256)", "note(string,bool,uint8,bytes4,bytes)",
  "createTaskEscrowedWithArbiter(bytes32,bytes32,address,address,uint256,uint256,address)", "cancelTask(bytes32)", "expireTask(bytes32)",
  "claimAfterArbiterTimeout(bytes32)", "withdraw(address)", "revoke(bytes32)", "isRegisteredAs(bytes32,address)", "resolveAs(bytes32,address)",
  "getTaskExt(bytes32)", "getTaskDispute(bytes32)", "computeTaskId(address,bytes32)", "didOf(address)", "decimals()", "requestUnbond(bytes32,uint256)",
  "withdraw(bytes32)", "stakeOf(bytes32)",
];
const valueOf = (type) => {
  if (type === "address") return ethers.getAddress(random(20));
  if (type === "bool") return pick([true, false]);
  if (type === "string") return "Größe " + "x".repeat(Number(number(1)));
  if (type === "bytes") return pick(["0x", random(1), random(32), random(33), random(200)]);
  if (type.startsWith("bytes")) return random(Number(type.slice(5)));
  return number(Number(type.slice(4)) / 8);
};
const text = (type, v) => (type === "string" ? ethers.hexlify(ethers.toUtf8Bytes(v)) : String(v));
const abi = signatures.flatMap((signature) => [0, 1, 2].map(() => {
  const f = ethers.FunctionFragment.from(`function ${signature}`), types = f.inputs.map((p) => p.type), values = types.map(valueOf);
  return { signature, types, values: values.map((v, i) => text(types[i], v)), call: new ethers.Interface([f]).encodeFunctionData(f, values) };
}));

const events = [
  "AgentRegistered(bytes32 indexed,address indexed,bytes32,bytes)", "TaskSettled(bytes32 indexed,address indexed,address indexed,address,uint256,uint256)",
  "ReceiptSubmitted(bytes32 indexed,address indexed,uint256,bytes32,uint256)", "Transfer(address indexed,address indexed,uint256)",
  "TaskCreated(bytes32 indexed,address indexed,bytes32 indexed,address,address,uint256,uint256,bool)",
  "TaskDisputed(bytes32 indexed,address indexed,bytes32)", "DisputeResolved(bytes32 indexed,uint256,uint256,uint256)",
  "TaskCancelled(bytes32 indexed,address indexed)", "TaskExpired(bytes32 indexed,uint256)",
].flatMap((signature) => [0, 1].map(() => {
  const f = ethers.EventFragment.from(`event ${signature}`), types = f.inputs.map((p) => p.type), values = types.map(valueOf);
  const log = new ethers.Interface([f]).encodeEventLog(f, values);
  return { signature, types, values: values.map((v, i) => text(types[i], v)), topics: log.topics, data: log.data };
}));

const units = [["1.5", 6], ["0", 6], ["0.000001", 6], ["123456789.123456", 6], ["1", 18], ["0.1", 18], ["340282366920938463463.374607431768211455", 18],
  ["7", 0],
  ["115792089237316195423570985008687907853269984665640564039457584007913129639935", 0]]
  .map(([t, decimals]) => ({ text: t, decimals, value: String(ethers.parseUnits(t, decimals)), hex: ethers.toQuantity(ethers.parseUnits(t, decimals)) }));

// Long ones by their hash, so that this file stays small.
const rlp = [0, 1, 2, 27, 28, 54, 55, 56, 255, 256, 65535, 65536, 70000].map((n) => {
  const item = ethers.hexlify(filled(n));
  return { n, item: ethers.keccak256(ethers.encodeRlp(item)), list: ethers.keccak256(ethers.encodeRlp([item, item])) };
});

const seed = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
const derive = (info) => Buffer.from(hkdfSync("sha256", seed, "", info, 32));
const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), derive("linnix-claw-ed25519")]);
const pub = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })).export({ format: "der", type: "spki" }).subarray(-32);
const did = "did:key:z" + base58(Buffer.concat([Buffer.from("ed01", "hex"), pub]));
function base58(bytes) {
  const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  let v = BigInt("0x" + bytes.toString("hex")), out = "";
  for (; v; v /= 58n) out = alphabet[Number(v % 58n)] + out;
  return out;
}
const secret = "0x" + derive("linnix-claw-secp256k1").toString("hex");
const identity = {
  seed: "0x" + seed.toString("hex"), ed25519_seed: "0x" + derive("linnix-claw-ed25519").toString("hex"), ed25519: "0x" + pub.toString("hex"),
  secp256k1: secret, address: ethers.computeAddress(secret), did, did32: ethers.id(did),
};

// Which events a block chooses: the three words packed as Solidity does, repetitions left out.
const challenge = [1n, 2n, 21n, 64n, 1000n, 1000000n, 2n ** 32n + 1n, 2n ** 53n - 1n].map((size) => {
  const blockHash = random(32), taskId = random(32);
  const all = Array.from({ length: 64 }, (_, j) =>
    String(BigInt(ethers.solidityPackedKeccak256(["bytes32", "bytes32", "uint256"], [blockHash, taskId, j])) % size));
  return { block_hash: blockHash, task_id: taskId, size: String(size), indexes: [...new Set(all)] };
});

const out = { keccak, keys, tx, receipt, register, abi, events, units, rlp, identity, challenge };
const lines = Object.entries(out).map(([name, list]) => Array.isArray(list)
  ? `${JSON.stringify(name)}:[\n${list.map((v) => JSON.stringify(v)).join(",\n")}\n]` : `${JSON.stringify(name)}:${JSON.stringify(list)}`);
writeFileSync(process.argv[2] ?? new URL("vectors.json", import.meta.url), `{\n${lines.join(",\n")}\n}\n`);
