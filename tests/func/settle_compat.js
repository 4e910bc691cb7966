// SPDX-License-Identifier: AGPL-3.0-or-later
// Contracts with the compatible functions only: settle_compat.js RPC_URL OUT
"use strict";

const fs = require("fs");
const { createRequire } = require("module");
const chain = createRequire(process.cwd() + "/chain/package.json");
const { ethers } = chain("ethers");
const { artifact } = chain("./scripts/build.js");

async function main() {
  const provider = new ethers.JsonRpcProvider(process.argv[2], undefined, { cacheTimeout: -1, pollingInterval: 50, staticNetwork: true });
  const signer = new ethers.NonceManager(await provider.getSigner(0));
  const deploy = async (name, ...args) => {
    const { abi, bytecode } = artifact(name);
    const contract = await new ethers.ContractFactory(abi, bytecode, signer).deploy(...args);
    return (await contract.waitForDeployment()).target;
  };
  const token = await deploy("MockUSDC");
  const registry = await deploy("CompatibleRegistry");
  const settlement = await deploy("CompatibleSettlement", registry);
  fs.writeFileSync(process.argv[3], JSON.stringify({ registry_contract: registry, settlement_contract: settlement, token_address: token }));
  provider.destroy();
}

main().catch((e) => {
  console.error(e.shortMessage || e.message);
  process.exit(1);
});
