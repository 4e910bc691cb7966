#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Write tests/abi/HEADER.c from an abidw file: one static assert for each size and offset.

Called by `make abi-accept`. The result is committed, so that a diff shows what moved.
"""
import os
import re
import sys
import xml.etree.ElementTree as ET

HEAD = """/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/{0}>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/{0}>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")
"""


def main(abi, headers, out):
    structs = {}
    for c in ET.parse(abi).getroot().iter("class-decl"):
        if c.get("size-in-bits") and c.get("is-declaration-only") != "yes":
            structs[c.get("name")] = c
    written = set()
    for header in sorted(os.listdir(headers)):
        with open(os.path.join(headers, header), encoding="utf-8") as f:
            names = re.findall(r"^struct (lnx_\w+) \{", f.read(), re.M)
        lines = []
        for name in names:
            c = structs.get(name)
            if c is None:
                sys.exit(f"abi_asserts: struct {name} of {header} is not in {abi}")
            lines.append(f"\nSIZE({name}, {int(c.get('size-in-bits')) // 8});")
            for m in c.findall("data-member"):
                member = m.find("var-decl").get("name")
                if member:
                    lines.append(f"AT({name}, {member}, {int(m.get('layout-offset-in-bits')) // 8});")
        if lines:
            path = os.path.join(out, header[:-2] + ".c")
            written.add(path)
            with open(path, "w", encoding="utf-8") as f:
                f.write(HEAD.format(header) + "\n".join(lines) + "\n")
    print(f"wrote {len(written)} files to {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
