#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Are the tests there that docs/clients.md names?   usage: check-clients.py ROOT"""
import pathlib, re, sys

root = pathlib.Path(sys.argv[1])
bad = n = 0
for line in (root / "docs/clients.md").read_text().splitlines():
    cells = [c.strip() for c in line.split("|")]
    if len(cells) != 5 or "/" not in cells[2]:
        continue
    text = (root / cells[2]).read_text()
    for name in re.findall(r"`([^`]+)`", cells[3]):
        n += 1
        there = f"\n## {name}" in text if cells[2].endswith(".req") else \
            re.search(rf"^(def )?{re.escape(name)}\b", text, re.M)
        if not there:
            print(f"docs/clients.md: {cells[2]} has no {name}")
            bad += 1
sys.exit(1 if bad or not n else 0)
