// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Compile the contracts with the solc of npm: no compiler is fetched. Kept in build/chain/ by the hash of everything that
// goes in. As a program: prints the path of the result. As a module: artifact("TaskSettlement") is {abi, bytecode}.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..");
const cache = path.join(root, "..", "build", "chain");
const modules = path.join(root, "node_modules");

// The same for Hardhat and, in foundry.toml, for forge.
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none" },
};

function sources(dir, found = {}) {
  for (const e of fs.readdirSync(path.join(root, dir), { withFileTypes: true })) {
    const name = `${dir}/${e.name}`;
    if (e.isDirectory()) sources(name, found);
    else if (e.name.endsWith(".sol")) found[name] = { content: fs.readFileSync(path.join(root, name), "utf8") };
  }
  return found;
}

function readImport(name) {
  try {
    return { contents: fs.readFileSync(path.join(modules, name), "utf8") };
  } catch (e) {
    return { error: e.message };
  }
}

function compile(input) {
  const solc = require("solc");
  const out = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  const errors = (out.errors || []).filter((e) => e.severity === "error" || !e.sourceLocation?.file.startsWith("@"));
  if (errors.length) throw new Error(errors.map((e) => e.formattedMessage).join("\n"));
  const all = {};
  for (const file of Object.values(out.contracts))
    for (const [name, c] of Object.entries(file))
      all[name] = { abi: c.abi, bytecode: "0x" + c.evm.bytecode.object, deployed: "0x" + c.evm.deployedBytecode.object };
  return all;
}

// The path of the compiled contracts, which are made when they are not there.
function build() {
  const input = {
    language: "Solidity",
    sources: { ...sources("contracts"), ...sources("test/mocks") },
    settings: {
      ...settings,
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const pinned = fs.readFileSync(path.join(root, "package-lock.json"));
  const key = crypto.createHash("sha256").update(JSON.stringify(input)).update(pinned).digest("hex").slice(0, 16);
  const file = path.join(cache, `contracts-${key}.json`);
  if (!fs.existsSync(file)) {
    fs.mkdirSync(cache, { recursive: true });
    const tmp = `${file}.${process.pid}`;
    fs.writeFileSync(tmp, JSON.stringify(compile(input), null, 1));
    fs.renameSync(tmp, file);
  }
  return file;
}

let loaded;
function artifact(name) {
  loaded = loaded || JSON.parse(fs.readFileSync(build(), "utf8"));
  if (!loaded[name]) throw new Error(`no contract ${name}`);
  return loaded[name];
}

module.exports = { artifact, build, settings };

if (require.main === module) console.log(build());
