// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Ask the contract what it would have made of a receipt that was changed on its way: tamper.js URL DEPLOYED.json TASKID
// The transaction that brought the receipt is called again on the state before it: as it was it has to go through, with one
// bit of the receipt flipped it has to be refused as BadSignature. Nothing is sent.
"use strict";

const fs = require("fs");
const { ethers } = require("ethers");
const { artifact } = require("./build.js");

async function main() {
  const [url, file, taskId] = process.argv.slice(2);
  if (!taskId) throw new Error("usage: tamper.js URL DEPLOYED.json TASKID");
  const deployed = JSON.parse(fs.readFileSync(file, "utf8"));
  const provider = new ethers.JsonRpcProvider(url, undefined, { cacheTimeout: -1, staticNetwork: true });
  const settlement = new ethers.Contract(deployed.settlement_contract, artifact("TaskSettlement").abi, provider);
  const [log] = await settlement.queryFilter(settlement.filters.ReceiptSubmitted(taskId));
  if (!log) throw new Error(`no receipt of task ${taskId} is on the chain`);
  const tx = await provider.getTransaction(log.transactionHash);
  const [id, amount, receipt, signature] = settlement.interface.decodeFunctionData("submitReceipt", tx.data);
  const replay = (bytes, sum) =>
    settlement.submitReceipt.staticCall(id, sum, bytes, signature, { from: tx.from, blockTag: tx.blockNumber - 1 });
  await replay(receipt, amount);
  const flipped = ethers.getBytes(receipt);
  flipped[flipped.length >> 1] ^= 1;
  for (const [what, call] of [
    ["one bit of the receipt", replay(ethers.hexlify(flipped), amount)],
    ["one unit more", replay(receipt, amount + 1n)],
  ]) {
    const why = await call.then(() => "accepted", (e) => e.revert?.name ?? e.shortMessage);
    console.log(`${what}: ${why}`);
    if (why !== "BadSignature") throw new Error(`the contract should have refused it as BadSignature`);
  }
  provider.destroy();
}

main().catch((e) => {
  console.error(`tamper: ${e.shortMessage || e.message}`);
  process.exit(1);
});
