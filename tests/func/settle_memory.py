#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# settle_memory.py PID KEY...: look through all memory of a process, as only root may, for keys (64 hex digits): as bytes in both
# orders, as hex and as base64. They must be in locked memory that no core has ("lo" and "dd" of its VmFlags) at least once, and
# nowhere else. Exit 1 and says where otherwise.
import base64
import binascii
import os
import re
import sys


def forms(key):
    raw = binascii.unhexlify(key)
    # base64 of what stands at any place of a longer text: without the digits that depend on the neighbours
    b64 = {base64.b64encode(b"\0" * i + raw)[4 if i else 0:].rstrip(b"=")[:-1] for i in range(3)}
    return {"bytes": {raw}, "bytes in the other order": {raw[::-1]}, "hex": {key.encode(), key.upper().encode()}, "base64": b64}


PAGE = os.sysconf("SC_PAGESIZE")
STEP = 2 << 20
OVERLAP = 128  # longer than any form of a key


def areas(pid):
    """Those of which there is something, with their flags."""
    area, kib = None, 0
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line)
            if m:
                area, kib = (int(m[1], 16), int(m[2], 16), m[3].strip()), 0
            elif line.startswith(("Rss:", "Swap:")):
                kib += int(line.split()[1])
            elif line.startswith("VmFlags:") and kib:
                yield area, line.split()[1:]


def pieces(mem, pagemap, begin, end):
    """An area a piece at a time, each with the end of the one before it. Most of what a sanitizer reserves is not there."""
    before = b""
    for at in range(begin, end, STEP):
        size = min(STEP, end - at)
        pagemap.seek(at // PAGE * 8)
        if not pagemap.read(size // PAGE * 8).strip(b"\0"):
            before = b""
            continue
        mem.seek(at)
        data = mem.read(size)
        yield at - len(before), before + data
        before = data[-OVERLAP:]


def main():
    pid, keys = sys.argv[1], sys.argv[2:]
    wanted = [(i, form, text) for i, key in enumerate(keys) for form, texts in forms(key).items() for text in texts]
    kept, bad, read = set(), [], 0
    with open(f"/proc/{pid}/mem", "rb", 0) as mem, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for (begin, end, name), flags in areas(pid):
            # larger than any machine's memory: the shadow that a sanitizer keeps beside the program's own
            if name in ("[vvar]", "[vsyscall]") or "io" in flags or end - begin > 1 << 36:
                continue
            is_shut = "lo" in flags and "dd" in flags
            try:
                for start, data in pieces(mem, pagemap, begin, end):
                    read += len(data)
                    for i, form, text in wanted:
                        at = data.find(text)
                        if at < 0:
                            continue
                        if is_shut:
                            kept.add(i)
                        else:
                            bad.append(f"key {i} as {form} at {start + at:x} in {name or 'memory without a name'}")
            except OSError:
                continue  # a device's
    for i in set(range(len(keys))) - kept:
        bad.append(f"key {i} is not in locked memory: this looked at the wrong process, or at too little ({read} bytes)")
    print("\n".join(bad) or f"{read} bytes")
    sys.exit(1 if bad else 0)


main()
