// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Hold the signatures that the agent knows (plugins/settle/contract.h, contract.c) against the compiled contracts. Prints what
// is not there, and errors of ours that the agent could not tell in words; exit 1 then.
"use strict";

const fs = require("fs");
const path = require("path");
const { ethers } = require("ethers");
const { artifact } = require("./build.js");

const settle = path.join(__dirname, "../../plugins/settle");
const OURS = ["AgentRegistry", "TaskSettlement", "StakeBond"];

const known = { function: new Set(), event: new Set(), error: new Set() };
const results = new Set();
for (const name of [...OURS, "MockUSDC"])
  for (const f of ethers.Interface.from(artifact(name).abi).fragments) {
    if (!Object.hasOwn(known, f.type)) continue; // the constructor
    const types = f.inputs.map((p) => p.format("sighash") + (p.indexed ? " indexed" : ""));
    known[f.type].add(`${f.name}(${types.join(",")})`);
    if (f.type === "function") results.add(`(${f.outputs.map((p) => p.format("sighash")).join(",")})`);
  }

const problems = [];
const strings = (file) => [...fs.readFileSync(path.join(settle, file), "utf8").matchAll(/"((?:[A-Za-z]\w*)?\([\w, ]*\))"/g)].map((m) => m[1]);

const header = strings("contract.h");
for (const s of header) {
  const kind = s.includes(" indexed") ? "event" : "function";
  if (s.startsWith("(") ? !results.has(s) : !known[kind].has(s)) problems.push(`contract.h: no contract has the ${kind} ${s}`);
}
const told = new Set(strings("contract.c"));
for (const name of OURS)
  for (const f of ethers.Interface.from(artifact(name).abi).fragments)
    if (f.type === "error" && !told.has(f.format("sighash")) && !/^(ECDSA|StringToo|InvalidShort|OwnableInvalidOwner)/.test(f.name))
      problems.push(`contract.c: the error ${f.format("sighash")} of ${name} is not told in words`);

if (header.length < 40) problems.push(`contract.h: only ${header.length} signatures were found`);
console.log(problems.length ? problems.join("\n") : `${header.length} signatures, ${told.size} errors`);
process.exit(problems.length ? 1 : 0);
