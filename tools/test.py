#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole suite, in four builds; ends with the line "N passed, N failed[, N skipped]".

  build        gcc, warnings are errors: every test, the system tests with the real clients included
  build-asan   gcc with ASan and UBSan: unit tests, fuzz corpora, system tests marked "asan"
  build-tsan   gcc with TSan: unit tests, system tests marked "tsan"
  build-fuzz   clang with libFuzzer, warnings are errors: a short fuzzing run of every target

usage: test.py [--quick]     --quick: the plain build only
"""
import json, os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.chdir(ROOT)

BUILDS = [
    ("build", {}, ["--buildtype=debugoptimized"], []),
    ("build-asan", {}, ["--buildtype=debugoptimized", "-Db_sanitize=address,undefined",
                        "-Db_lundef=false", "-Dwerror=true"],
     ["--suite", "unit", "--suite", "fuzz", "--suite", "asan"]),
    ("build-tsan", {}, ["--buildtype=debugoptimized", "-Db_sanitize=thread", "-Db_lundef=false"],
     ["--suite", "unit", "--suite", "tsan"]),
    ("build-fuzz", {"CC": "clang"}, ["--buildtype=debugoptimized", "-Dfuzz=true", "-Dwerror=true",
                                     "-Db_sanitize=address,undefined", "-Db_lundef=false"],
     ["--suite", "fuzz"]),
]


def run(cmd, env, log):
    with open(log, "ab") as f:
        return subprocess.run(cmd, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=f,
                              stderr=subprocess.STDOUT).returncode


def build(name, env, options):
    log = ROOT / f"{name}.log"
    log.write_bytes(b"")
    if run(["tools/setup.sh", name, *options], env, log) or run(["ninja", "-C", name], env, log):
        sys.stdout.write(log.read_text(errors="replace")[-6000:])
        print(f"{name} does not build")
        return False
    log.unlink()
    return True


def main():
    builds = BUILDS[:1] if "--quick" in sys.argv else BUILDS
    passed, failed, skipped, broken = 0, [], [], False
    for name, env, options, suites in builds:
        if not build(name, env, options):
            broken = True
            failed.append(f"{name}: build")
            continue
        log = ROOT / name / "meson-logs" / "testlog.json"
        log.unlink(missing_ok=True)
        env = {**env,
               "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
               "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:"
                               f"suppressions={ROOT}/tests/tsan.supp"}
        subprocess.run(["meson", "test", "-C", name, "--no-rebuild", "--no-suite", "none",
                        "--print-errorlogs", *suites], env={**os.environ, **env},
                       stdin=subprocess.DEVNULL)
        if not log.exists():
            failed.append(f"{name}: no test ran")
            continue
        for line in log.read_text().splitlines():
            t = json.loads(line)
            what = f"{name}: {t['name']}"
            if t["result"] == "OK":
                passed += 1
            elif t["result"] == "SKIP":
                skipped.append(what)
            else:
                failed.append(f"{what} ({t['result']})")
                # Meson reads TAP and shows none of it: what failed, and why
                lines = t.get("stdout", "").splitlines()
                print("\n".join([what, *(l for l in lines if l.startswith(("not ok", "#")))][:80]))
    for what in skipped:
        print(f"skipped: {what}")
    for what in failed:
        print(f"FAILED: {what}")
    tail = f", {len(skipped)} skipped" if skipped else ""
    print(f"{passed} passed, {len(failed)} failed{tail}")
    return 1 if failed or broken or not passed else 0


sys.exit(main())
