#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One system test on Debian's kernel under emulation, with the kernel's own target as the engine.

usage: boot.py [--engine NAME] [--disk] [--lazy] [--systemd FILE] TEST.py [TEST...]

The test is a program as in tests/system that writes TAP; it runs inside as it runs outside.  Where
no machine can be emulated, the whole of it is skipped and the reason said.  --disk: it starts its
machine anew (exit code 75), see tools/vm.py.  --systemd: systemd is its first process.  --engine: lio when not given.
"""
import os, pathlib, signal, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VM = ROOT / "tools" / "vm.py"

args = sys.argv[1:]
options = ["--timeout", os.environ.get("SMISCSI_VM_TIMEOUT", "1500")]
engine = "lio"
while args and args[0].startswith("--"):
    if args[0] == "--engine":
        engine = args[1]
        del args[:2]
        continue
    options.append(args.pop(0))
    if options[-1] == "--systemd":
        options.append(args.pop(0))

ready = subprocess.run([VM, "prepare"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if ready.returncode == 77:
    print(f"1..0 # SKIP {ready.stderr.strip()}")
    sys.exit(0)
if ready.returncode:
    sys.exit(ready.stderr)

env = {**os.environ, "SMISCSI_ENGINE": engine, "SMISCSI_PATIENCE": "6",
       "SMISCSI_PASSWORD": "a long enough password"}
with tempfile.TemporaryDirectory(prefix="smiscsi-kernel-") as d:
    if "--disk" in options:
        options.insert(options.index("--disk") + 1, f"{d}/disk")
    machine = subprocess.Popen([VM, "run", *options, "--", sys.executable, *args], env=env,
                               stdin=subprocess.DEVNULL)
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, lambda *_: machine.terminate())
    sys.exit(machine.wait())
