#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lists of options and commands in docs/man are what --help says.

usage: man-lists.py [--write] BUILD MANDIR

Between the lines '.\\" list: ...' and '.\\" end' of a page stands what this makes of the program's
--help.  Without --write: says what is different, and what mandoc finds, and exits with 1."""
import pathlib, re, shutil, subprocess, sys, textwrap

PAGES = {"smiscsid.8": "smiscsid", "smiscsi.1": "smiscsi", "smiscsi-target.8": "smiscsi-target",
         "smiscsi-pam.8": "smiscsi-pam"}


def entries(text):
    """(what is typed, what it does) of each indented line."""
    for line in text.splitlines():
        m = re.match(r"  (\S.*?)(?: {2,}(\S.*))?$", line)
        if m and m[1].startswith("--help, --version"):
            yield "--help", "print the options"
            yield "--version", "print the version"
        elif m and m[1].startswith("--") or m and re.match(r"[a-z]+\b", m[1]):
            yield m[1], m[2] or ""
        elif line.startswith(" " * 20) and line.strip():
            raise SystemExit(f"a line that belongs to none: {line!r}")


def escape(s):
    s = s.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + s if s[:1] in ".'" else s


def block(items):
    out = [".Bl -tag -width indent"]
    for left, text in items:
        if left.startswith("--"):
            name, _, value = left[2:].partition(" ")
            out.append(f".It Fl {escape('-' + name)}" + (f" Ar {escape(value)}" if value else ""))
        else:
            out.append(f".It {escape(left)}")
        text = text[:1].upper() + text[1:] + "."
        out += [escape(l) for l in textwrap.wrap(text, 72, break_on_hyphens=False,
                                                 break_long_words=False)]
    return out + [".El"]


def filled(page, items):
    kinds = {"options": [i for i in items if i[0].startswith("--")],
             "commands": [i for i in items if not i[0].startswith("--")]}
    out, skipping = [], False
    for line in page.splitlines():
        m = re.match(r'\.\\" list: (\w+)', line)
        if line.startswith('.\\" end'):
            skipping = False
        if not skipping:
            out.append(line)
        if m:
            out += block(kinds.pop(m[1]))
            skipping = True
    if any(kinds.values()):
        raise SystemExit(f"no list for {[k for k, v in kinds.items() if v]}")
    return "\n".join(out) + "\n"


def main():
    write = "--write" in sys.argv
    build, man = map(pathlib.Path, [a for a in sys.argv[1:] if a != "--write"])
    stale = 0
    for name, program in PAGES.items():
        if not (build / program).exists():
            continue  # smiscsi-pam, where there is no libpam
        text = subprocess.run([build / program, "--help"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        # a left side too long for its column has its text on the next line
        text = re.sub(r"\n {20,}(?=\S)", "  ", text)
        page = (man / name).read_text()
        new = filled(page, list(entries(text)))
        if new == page:
            continue
        if write:
            (man / name).write_text(new)
            continue
        stale = 1
        print(f"{name} does not say what {program} --help says; run {sys.argv[0]} --write BUILD docs/man")
        for line in sorted(set(new.splitlines()) ^ set(page.splitlines())):
            print(f"  {'missing' if line in new.splitlines() else 'too much'}: {line}")
    if shutil.which("mandoc"):
        said = subprocess.run(["mandoc", "-T", "lint", *(man / n for n in PAGES)], text=True,
                              stdout=subprocess.PIPE).stdout
        # whether the other pages are installed says nothing about these
        for line in said.splitlines():
            if "referenced manual not found" not in line:
                stale = 1
                print(line)
    sys.exit(stale)


main()
