#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare the compiled class tables with the documented surface, fact by fact.

usage: compare_surface.py DUMP-PROGRAM DIFFERENCES.json SURFACE.json...

A difference that DIFFERENCES.json gives no reason for fails, and so does a reason that no
difference needs any more.  A reason holds for the lines its pattern matches (* and ?).
"""
import fnmatch, json, re, subprocess, sys

dump, reasons_file, *surfaces = sys.argv[1:]
ours = {c["name"]: c for c in json.loads(subprocess.run([dump], check=True, capture_output=True).stdout)}
reasons = json.load(open(reasons_file))["reasons"]
found = []


def differ(where, what, got, want):
    found.append(f"{where}: {what}: ours {json.dumps(got)}, documented {json.dumps(want)}")


def normal(code, bounds):
    """One spelling for a code or range: an end at the type's limit is an open end."""
    m = re.fullmatch(r"(-?\d*)\.\.(-?\d*)", code)
    if not m:
        return code
    low, high = m.groups()
    return f"{low}..{'' if high in bounds else high}"


BOUNDS = {"uint8": ["255"], "uint16": ["65535"], "uint32": ["4294967295"]}


def values(where, what, mine, documented, names, lists, base):
    bounds = BOUNDS.get(base, [])
    want = {normal(k, bounds): v for k, v in (lists[documented] if documented is not None else {}).items()}
    got = {normal(k, bounds): v for k, v in zip(mine.get("map", []), mine.get("values", []))}
    if not want and names is None:
        return  # the page gives none; ours may
    for k in sorted(want.keys() | got.keys(), key=lambda k: [int(x) for x in re.findall(r"\d+", k)]):
        if k not in want and names is not None and got[k] in lists[names]:
            continue
        if got.get(k) != want.get(k):
            differ(where, f"{what} {k}", got.get(k), want.get(k))
    for n in lists[names] if names is not None else []:
        if n not in got.values():
            differ(where, f"{what} without a code", None, n)


def compare_property(where, mine, p, lists):
    if mine is None:
        return differ(where, "property", None, p["type"])
    if mine["name"] != p["name"]:
        differ(where, "name", mine["name"], p["name"])
    if mine["type"] != p["type"]:
        differ(where, "type", mine["type"], p["type"])
    for flag in "key", "write", "required":
        if mine[flag] != p.get(flag, False):
            differ(where, flag, mine[flag], p.get(flag, False))
    want = p.get("default")
    if want is not None and p["type"].endswith("[]") and not isinstance(want, list):
        want = [want]
    if mine["default"] != want:
        differ(where, "default", mine["default"], want)
    if mine["maxlen"] != p.get("maxlen", 0):
        differ(where, "MaxLen", mine["maxlen"], p.get("maxlen", 0))
    if "strings" in p and mine.get("map") != lists[p["strings"]]:
        differ(where, "strings", mine.get("map"), lists[p["strings"]])
    if not p["type"].startswith("string"):
        values(where, "value", mine, p.get("values"), p.get("names"), lists, p["type"].rstrip("[]"))


def compare_method(where, mine, m, lists):
    if mine is None:
        return differ(where, "method", None, m["type"])
    if mine["name"] != m["name"] or mine["type"] != m["type"]:
        differ(where, "signature", [mine["type"], mine["name"]], [m["type"], m["name"]])
    values(where, "return", mine, m.get("returns"), None, lists, "uint32")
    got, want = [a["name"] for a in mine["params"]], [a["name"] for a in m["params"]]
    if got != want:
        return differ(where, "parameters", got, want)
    for a, b in zip(mine["params"], m["params"]):
        there = f"{where}({a['name']})"
        direction = ",".join(d for d in ("in", "out") if a[d])
        if direction != b["dir"]:
            differ(there, "direction", direction, b["dir"])
        if a["type"] != b["type"]:
            differ(there, "type", a["type"], b["type"])
        if "strings" in b and a.get("map") != lists[b["strings"]]:
            differ(there, "strings", a.get("map"), lists[b["strings"]])
        if not b["type"].startswith("string"):
            values(there, "value", a, b.get("values"), b.get("names"), lists, b["type"].rstrip("[]"))


def compare_class(c, lists):
    mine = ours.get(c["name"])
    if mine is None:
        return differ(c["name"], "class", None, c["kind"])
    if mine["superclass"] != c["superclass"]:
        differ(c["name"], "superclass", mine["superclass"], c["superclass"])
    for word in "abstract", "association", "indication":
        if mine[word] != (word in c["kind"].split()):
            differ(c["name"], word, bool(mine[word]), word in c["kind"].split())
    if c["namespace"].replace("root/interop", "interop") not in mine["namespaces"]:
        differ(c["name"], "namespace", mine["namespaces"][:-1], c["namespace"])
    props = {p["name"].lower(): p for p in mine["properties"]}
    for p in c["properties"]:
        compare_property(f"{c['name']}.{p['name']}", props.pop(p["name"].lower(), None), p, lists)
    if c["properties"]:
        for p in props.values():
            differ(c["name"], "property not documented", p["name"], None)
    methods = {m["name"].lower(): m for m in mine["methods"]}
    for m in c["methods"]:
        compare_method(f"{c['name']}.{m['name']}", methods.pop(m["name"].lower(), None), m, lists)
    for m in methods.values():
        differ(c["name"], "method not documented", m["name"], None)


n = 0
for f in surfaces:
    s = json.load(open(f))
    for c in s["classes"]:
        compare_class(c, s["lists"])
        n += 1

used, bad = set(), 0
for line in found:
    hits = [r["where"] for r in reasons if fnmatch.fnmatchcase(line, r["where"].replace("[", "[[]"))]
    used.update(hits)
    if not hits:
        bad += 1
        print(line)
for r in reasons:
    if r["where"] not in used:
        bad += 1
        print(f"nothing differs any more: {r['where']}")
print(f"{n} classes, {len(found)} differences, {len(reasons)} reasons, {bad} failures")
sys.exit(bad > 0)
