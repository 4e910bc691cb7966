// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Give an account of a local node what it needs to begin: fund.js URL DEPLOYED.json ADDRESS COINS TOKENS
// COINS of gas money from the node's first account, TOKENS of the MockUSDC that deploy.js made.
"use strict";

const fs = require("fs");
const { ethers } = require("ethers");
const { artifact } = require("./build.js");

async function main() {
  const [url, file, to, coins, tokens] = process.argv.slice(2);
  if (!tokens) throw new Error("usage: fund.js URL DEPLOYED.json ADDRESS COINS TOKENS");
  const deployed = JSON.parse(fs.readFileSync(file, "utf8"));
  if (!deployed.token_is_mock) throw new Error("only where deploy.js made its own token");
  const provider = new ethers.JsonRpcProvider(url, undefined, { cacheTimeout: -1, pollingInterval: 50, staticNetwork: true });
  const signer = await provider.getSigner(0);
  const token = new ethers.Contract(deployed.token_address, artifact("MockUSDC").abi, signer);
  await (await signer.sendTransaction({ to, value: ethers.parseEther(coins) })).wait();
  if (Number(tokens)) await (await token.mint(to, ethers.parseUnits(tokens, deployed.token_decimals))).wait();
  provider.destroy();
}

main().catch((e) => {
  console.error(`fund: ${e.shortMessage || e.message}`);
  process.exit(1);
});
