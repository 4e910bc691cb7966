// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Deploy the contracts and write their addresses to a file:
//
//   npx hardhat run scripts/deploy.js --network localhost
//   CHAIN_RPC_URL=http://127.0.0.1:8545 node scripts/deploy.js
//
// By environment (hardhat run passes no arguments on):
//   CHAIN_RPC_URL         the node; under Hardhat that of its network
//   CHAIN_DEPLOY_OUT      where the addresses go (../build/chain/deployed-CHAINID.json)
//   CHAIN_DEPLOYER_KEY    who pays and owns the registry; on chain 31337 the first account of the node
//   CHAIN_TOKEN           the ERC-20 of the bond; on chain 31337 a MockUSDC is deployed without it
//   CHAIN_ARBITER         default arbiter; the deployer on chain 31337, nobody (no disputes) elsewhere
//   CHAIN_DISPUTE_BLOCKS, CHAIN_ARBITER_BLOCKS, CHAIN_MAX_DEADLINE_BLOCKS, CHAIN_UNBOND_BLOCKS
"use strict";

const fs = require("fs");
const path = require("path");
const { ethers } = require("ethers");
const { artifact, build } = require("./build.js");

const LOCAL_CHAIN = 31337n;
const env = process.env;

function blocks(name, fallback) {
  const text = env[name] || String(fallback);
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new Error(`${name}: not a number of blocks: ${text}`);
  return Number(text);
}

function rpcUrl() {
  if (env.CHAIN_RPC_URL) {
    if (!/^https?:[/][/]/.test(env.CHAIN_RPC_URL) || !URL.canParse(env.CHAIN_RPC_URL))
      throw new Error("CHAIN_RPC_URL: not an http:// or https:// URL");
    return env.CHAIN_RPC_URL;
  }
  if (env.HARDHAT_NETWORK) {
    const { url } = require("hardhat").network.config;
    if (url) return url;
    throw new Error(`network ${env.HARDHAT_NETWORK} has no URL: what is deployed there ends with this command`);
  }
  throw new Error("CHAIN_RPC_URL is not set");
}

// Before anything takes long. By one question: the node may be gone when it is asked in earnest, which is told then.
async function isThere(url) {
  const request = new ethers.FetchRequest(url);
  request.body = { jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] };
  request.timeout = 10000;
  try {
    await request.send();
  } catch (e) {
    // nothing else of the URL, or of what is said about it: path and user may be secrets
    throw new Error(`no node answers at ${new URL(url).origin} (${e.code}); on this machine: npx hardhat node --hostname 127.0.0.1`);
  }
}

async function deploy(signer, name, ...args) {
  const { abi, bytecode } = artifact(name);
  const contract = await new ethers.ContractFactory(abi, bytecode, signer).deploy(...args);
  await contract.waitForDeployment();
  return contract;
}

async function main() {
  const url = rpcUrl();
  await isThere(url);
  // Compiling takes longer than a node keeps a connection that says nothing, and nothing is heard of its end meanwhile.
  build();
  // Two blocks may have one time on a node that mines at once: no answer is taken from memory, nothing waits long.
  const provider = new ethers.JsonRpcProvider(url, undefined, { cacheTimeout: -1, pollingInterval: 50, staticNetwork: true });
  const { chainId } = await provider.getNetwork();
  const local = chainId === LOCAL_CHAIN;
  if (!local && !env.CHAIN_DEPLOYER_KEY) throw new Error(`CHAIN_DEPLOYER_KEY is not set (chain ${chainId})`);
  if (!local && !env.CHAIN_TOKEN) throw new Error(`CHAIN_TOKEN is not set (chain ${chainId})`);
  const base = env.CHAIN_DEPLOYER_KEY ? new ethers.Wallet(env.CHAIN_DEPLOYER_KEY, provider) : await provider.getSigner(0);
  const deployer = await base.getAddress();
  const signer = new ethers.NonceManager(base);

  const dispute = blocks("CHAIN_DISPUTE_BLOCKS", 43200); // a day of 2 s
  const arbiterTime = blocks("CHAIN_ARBITER_BLOCKS", 129600); // three days
  const maxDeadline = blocks("CHAIN_MAX_DEADLINE_BLOCKS", 302400); // a week
  const unbond = blocks("CHAIN_UNBOND_BLOCKS", dispute + arbiterTime + maxDeadline);
  const arbiter = ethers.getAddress(env.CHAIN_ARBITER || (local ? deployer : ethers.ZeroAddress));

  const firstBlock = await provider.getBlockNumber();
  const token = env.CHAIN_TOKEN
    ? new ethers.Contract(ethers.getAddress(env.CHAIN_TOKEN), artifact("MockUSDC").abi, signer)
    : await deploy(signer, "MockUSDC");
  const registry = await deploy(signer, "AgentRegistry", deployer);
  const bond = await deploy(signer, "StakeBond", deployer, registry.target, token.target, unbond);
  const settlement = await deploy(
    signer,
    "TaskSettlement",
    registry.target,
    bond.target,
    arbiter,
    dispute,
    arbiterTime,
    maxDeadline,
  );
  for (const tx of [
    await registry.setReporter(settlement.target, true),
    await bond.setSlasher(settlement.target),
  ])
    await tx.wait();

  const deployed = {
    chain_id: Number(chainId),
    block: await provider.getBlockNumber(),
    deployer,
    registry_contract: registry.target,
    settlement_contract: settlement.target,
    bond_contract: bond.target,
    token_address: token.target,
    token_decimals: Number(await token.decimals()),
    token_is_mock: !env.CHAIN_TOKEN,
    arbiter,
    from_block: firstBlock + 1, // nothing of them is in blocks before
    dispute_blocks: dispute,
    arbiter_blocks: arbiterTime,
    max_deadline_blocks: maxDeadline,
    unbond_blocks: unbond,
    domain_separator: await settlement.DOMAIN_SEPARATOR(),
  };
  const out = path.resolve(env.CHAIN_DEPLOY_OUT || path.join(__dirname, `../../build/chain/deployed-${chainId}.json`));
  fs.mkdirSync(path.dirname(out), { recursive: true });
  fs.writeFileSync(out, JSON.stringify(deployed, null, 2) + "\n");
  console.log(`${out}: registry ${registry.target} settlement ${settlement.target} bond ${bond.target} token ${token.target}`);
  provider.destroy();
}

main().catch((e) => {
  console.error(`deploy: ${e.shortMessage || e.message}`);
  process.exit(1);
});
