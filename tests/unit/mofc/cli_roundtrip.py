#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `smiscsi schema` prints compiles to the very tables that it was printed from:
cli_roundtrip.py SMISCSI MOFC SCHEMA.C"""
import json, pathlib, subprocess, sys, tempfile

smiscsi, mofc, schema = sys.argv[1:]


def printed(*args):
    return subprocess.run([smiscsi, *args], check=True, stdout=subprocess.PIPE, text=True).stdout


classes = json.loads(printed("--json", "schema"))
everything = printed("schema", "all")
# The classes that live in the same namespaces go into one file, which each of those includes; the
# qualifiers stand in front of everything.
files, order = {}, []
for c in classes:
    files.setdefault(tuple(c["namespaces"]), []).append(c["name"])
    order += [n for n in c["namespaces"] if n not in order]
order.sort(key=lambda n: ("iscsitarget" not in n, n != "interop"))
first = tuple(classes[0]["namespaces"])

with tempfile.TemporaryDirectory() as d:
    d = pathlib.Path(d)
    names = {}
    for i, (spaces, members) in enumerate(files.items()):
        text = printed("schema", *members)
        if spaces == first:
            text = everything[:everything.index("\n[")] + "\n" + text
        names[spaces] = f"{i}.mof"
        (d / names[spaces]).write_text(text)
    top = ""
    for n in order:
        top += f'#pragma namespace ("{n}")\n'
        for spaces in files:
            if n in spaces:
                top += f'#pragma include ("{names[spaces]}")\n'
    (d / "top.mof").write_text(top)
    (d / "out").mkdir()
    subprocess.run([mofc, "-o", d / "out", "-d", d / "out.d", d / "top.mof"], check=True)
    got = (d / "out" / "schema.c").read_text()
want = pathlib.Path(schema).read_text()
if got != want:
    for a, b in zip(got.splitlines(), want.splitlines()):
        if a != b:
            sys.exit(f"tables differ: printed and compiled {a[:200]!r}, compiled first {b[:200]!r}")
    sys.exit("tables differ in length")
print(f"{len(classes)} classes")
