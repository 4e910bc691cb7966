// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Only for the local node of the demo. The compiler is that of npm: Hardhat would fetch one.
"use strict";

const { subtask } = require("hardhat/config");
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require("hardhat/builtin-tasks/task-names");
const solc = require("solc");
const { settings } = require("./scripts/build.js");

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async ({ solcVersion }) => {
  const longVersion = solc.version();
  if (!longVersion.startsWith(`${solcVersion}+`)) throw new Error(`solc ${solcVersion} is wanted, npm brought ${longVersion}`);
  return { compilerPath: require.resolve("solc/soljson.js"), isSolcJs: true, version: solcVersion, longVersion };
});

module.exports = {
  solidity: { version: "0.8.28", settings },
  networks: {
    hardhat: { chainId: 31337 },
    localhost: { url: process.env.CHAIN_RPC_URL || "http://127.0.0.1:8545", chainId: 31337 },
  },
  paths: {
    sources: "./contracts",
    cache: "../build/chain/hardhat-cache",
    artifacts: "../build/chain/hardhat-artifacts",
  },
};
