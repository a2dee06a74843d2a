#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What mofc writes for golden/shop.mof, against golden/expected, line by line.

usage: golden.py MOFC GOLDEN-FOLDER   (to accept new output: mofc -o GOLDEN-FOLDER/expected ...)
"""
import difflib, pathlib, subprocess, sys, tempfile

mofc, folder = sys.argv[1], pathlib.Path(sys.argv[2])
bad = 0
with tempfile.TemporaryDirectory() as out:
    depfile = pathlib.Path(out, "schema.d")
    subprocess.run([mofc, "-o", out, "-d", depfile, folder / "shop.mof"], check=True)
    want_deps = f"{out}/schema.c: {folder / 'shop.mof'} {folder / 'more.mof'}\n"
    if depfile.read_text() != want_deps:
        bad = print(f"depfile is {depfile.read_text()!r}, want {want_deps!r}") or 1
    depfile.unlink()
    names = {p.name for p in pathlib.Path(out).iterdir()} | {p.name for p in (folder / "expected").iterdir()}
    for name in sorted(names):
        got, want = (p.read_text().splitlines() if p.exists() else ["(no such file)"]
                     for p in (pathlib.Path(out, name), folder / "expected" / name))
        for line in difflib.unified_diff(want, got, f"expected/{name}", name, lineterm=""):
            bad = print(line) or 1
sys.exit(bad)
