#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The deepest stack of each program of a BPF object, as kernels without private stacks add it up: bpf_stack.py OBJECT...

Prints "BYTES PROGRAM: CALLS" a line, deepest first. Each frame counts in steps of 32 bytes."""
import re
import subprocess
import sys

STEP = 32


def read(obj):
    """Functions by name: bytes of stack, callees; and which of them are programs."""
    out = subprocess.run(["llvm-objdump", "-dr", obj], check=True, capture_output=True, text=True).stdout
    funcs, text, programs, cur, section, call, frame = {}, {}, [], None, "", None, None
    for line in out.splitlines():
        if m := re.match(r"Disassembly of section (.*):$", line):
            section = m[1]
        elif m := re.match(r"([0-9a-f]+) <([^>]+)>:$", line):
            if m[2].startswith("LBB"):
                continue
            cur = funcs[m[2]] = {"stack": 0, "calls": set(), "at": set()}
            if section == ".text":
                text[int(m[1], 16)] = m[2]
            else:
                programs.append(m[2])
        elif cur is not None:
            at = [int(v, 0) for v in re.findall(r"r10 - (0x[0-9a-f]+|\d+)", line)]
            # An address: rX = r10, then rX += -N.
            if m := re.search(r"(r\d) = r10$", line):
                frame = m[1]
            elif (m := re.search(r"(r\d) \+= -(0x[0-9a-f]+|\d+)", line)) and m[1] == frame:
                at.append(int(m[2], 0))
                frame = None
            elif frame and f" {frame} = " in line.replace("\t", " "):
                frame = None
            cur["stack"] = max([cur["stack"], *at])
            if m := re.match(r"\s*(\d+):\s+85 10 00 00 .*\bcall (-?(?:0x[0-9a-f]+|\d+))", line):
                # Of a static function near by the distance is told, in instructions; of others below.
                call = int(m[2], 0)
                if section == ".text" and call != -1:
                    cur["at"].add((int(m[1]) + 1 + call) * 8)
            elif m := re.search(r"R_BPF_64_32\s+(\S+)", line):
                # Of a static function the place is told, in instructions less one.
                if m[1] == ".text":
                    cur["at"].add((call + 1) * 8)
                else:
                    cur["calls"].add(m[1])
    for f in funcs.values():
        f["calls"] |= {text[a] for a in f["at"]}
        f["calls"] &= funcs.keys()
    return funcs, programs


def deepest(funcs, name):
    f = funcs[name]
    below = max((deepest(funcs, c) for c in f["calls"]), default=(0, []))
    return max(STEP, -(-f["stack"] // STEP) * STEP) + below[0], [name] + below[1]


def main():
    rows = []
    for obj in sys.argv[1:]:
        funcs, programs = read(obj)
        rows += [deepest(funcs, p) for p in programs]
    for size, calls in sorted(rows, reverse=True):
        print(f"{size} {calls[0]}: {' '.join(calls[1:])}")


main()
