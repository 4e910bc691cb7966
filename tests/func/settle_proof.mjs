// SPDX-License-Identifier: AGPL-3.0-or-later
// Records of a DID for the registry, made without the agent: Ed25519 of Node.js, everything else of ethers.
//
//   settle_proof.mjs register SEED INDEX CHAIN REGISTRY [SIGNER]   of the DID whose key is of SEED, for the node's account INDEX
//   settle_proof.mjs rotate SEED FROM CHAIN REGISTRY TO NONCE      its record moves from account FROM to account TO
//
// SIGNER: the proof is by the key of that seed; "none": there is none. Prints JSON: did, did_hash, address, data (of the call).
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { createRequire } from "node:module";

const { ethers } = createRequire(new URL("../../chain/package.json", import.meta.url))("ethers");
const [word, seed, index, chain, registry, fifth, sixth] = process.argv.slice(2);
const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

function keyOf(number) {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, Number(number))]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return { key, pub: createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32) };
}

function didOf(pub) {
  let text = "";
  for (let n = BigInt("0xed01" + pub.toString("hex")); n > 0n; n /= 58n) text = base58[Number(n % 58n)] + text;
  return "did:key:z" + text;
}

function account(number) {
  return ethers.HDNodeWallet.fromPhrase("test test test test test test test test test test test junk", "", `m/44'/60'/0'/0/${number}`);
}

const owner = keyOf(seed);
const did = didOf(owner.pub);
const didHash = ethers.id(did);
const ed25519 = "0x" + owner.pub.toString("hex");
const checked = ethers.getAddress(registry);

function proof(address, nonce, signer) {
  // canonical JSON: the members in order, no spaces
  const payload = JSON.stringify({ address, chainId: Number(chain), did, ed25519, nonce, registry: checked });
  const type = "application/vnd.linnix.binding+json";
  return "0x" + sign(null, Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} ${payload}`), signer.key).toString("hex");
}

const abi = new ethers.Interface([
  "function registerWithProof(bytes32,bytes32,address,bytes)",
  "function register(bytes32,bytes32,address)",
  "function rotate(bytes32,bytes32,address,bytes,uint256,bytes)",
]);
const to = account(word === "rotate" ? fifth : index);
let data;
if (word === "register" && fifth === "none") {
  data = abi.encodeFunctionData("register", [didHash, ed25519, to.address]);
} else if (word === "register") {
  data = abi.encodeFunctionData("registerWithProof", [didHash, ed25519, to.address, proof(to.address, 0, fifth ? keyOf(fifth) : owner)]);
} else {
  const deadline = 2n ** 40n;
  const types = {
    Rotate: [
      { name: "did", type: "bytes32" },
      { name: "ed25519Pubkey", type: "bytes32" },
      { name: "oldAddress", type: "address" },
      { name: "newAddress", type: "address" },
      { name: "nonce", type: "uint256" },
      { name: "deadline", type: "uint256" },
    ],
  };
  const domain = { name: "Linnix-Claw", version: "0.1.0", chainId: Number(chain), verifyingContract: checked };
  const agreed = await to.signTypedData(domain, types, {
    did: didHash, ed25519Pubkey: ed25519, oldAddress: account(index).address, newAddress: to.address, nonce: 0, deadline,
  });
  data = abi.encodeFunctionData("rotate", [didHash, ed25519, to.address, proof(to.address, Number(sixth), owner), deadline, agreed]);
}
console.log(JSON.stringify({ did, did_hash: didHash, address: to.address, data }));
