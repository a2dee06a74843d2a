#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong at the start is said in one sentence, with exit code 1 or 2, and harms
nothing."""
import os, pathlib, shutil, socket

import smi
from smi import check, run, test


def fails(code, word, *args, env=None):
    got, out, err = run(smi.BUILD / "smiscsid", *args, timeout=30, env=env)
    lines = [l for l in err.splitlines() if l.startswith("smiscsid: ")]
    check((got, len(lines)), (code, 1), f"{args}: {out}{err}")
    check(word in lines[0], True, f"'{word}' in: {lines[0]}")
    return lines[0]


def args(state, port=None, addr=None):
    addr = addr or smi.loopback()
    return ["--state", str(state), "--http", f"{addr}:{port or smi.free_port(addr)}", "--no-auth",
            "--portal", smi.loopback()]


@test
def wrong_usage_exits_2():
    fails(2, "--nonsense", "--nonsense")
    fails(2, "--no-auth", "--http", "192.0.2.1:5988", "--no-auth")
    fails(2, "--plain-http", "--http", "192.0.2.1:5988")
    fails(2, "--engine", "--engine", "steam")


@test
def an_unwritable_state_folder_is_refused():
    d = smi.temp_dir()
    (d / "file").write_text("")
    fails(1, "state folder", *args(d / "file"))
    fails(1, "/proc/nope", *args("/proc/nope"))


@test
def a_port_in_use_is_refused_and_the_state_keeps_its_lock_for_nobody():
    d = smi.temp_dir()
    addr = smi.loopback()
    with socket.socket() as s:
        s.bind((addr, 0))
        s.listen()
        line = fails(1, "in use", *args(d / "s", s.getsockname()[1], addr))
        check(str(s.getsockname()[1]) in line, True, line)
    server = smi.Server(state=d / "s").start()
    fails(1, "another", *args(d / "s"))
    check(server.stop(), 0)


@test
def a_corrupt_or_truncated_database_is_refused_and_left_alone():
    for damage in ("corrupt", "truncated"):
        d = smi.temp_dir()
        server = smi.Server(state=d / "s").start()
        server.cli("node", "create", "x")
        server.stop()
        db = d / "s" / "smiscsi.db"
        data = bytearray(db.read_bytes())
        check(len(data) > 8192, True, "something to damage")
        if damage == "corrupt":
            data[4096:12288] = os.urandom(8192)
        else:
            del data[len(data) // 2 + 100:]
        db.write_bytes(data)
        fails(1, "smiscsi.db", *args(d / "s"))
        check(db.read_bytes(), bytes(data), "not a byte has changed")


@test
def a_missing_target_program_is_said():
    d = smi.temp_dir()
    fails(1, "smiscsi-target", *args(d / "s"), "--target", str(d / "smiscsi-target"))


@test
def a_portal_taken_by_another_process_is_no_reason_not_to_start():
    addr = smi.loopback()
    with socket.socket() as s:
        s.bind((addr, 3260))
        s.listen()
        server = smi.Server(portals=[addr]).start()
        import json
        portal = json.loads(server.cli("--json", "portal", "list"))[0]
        check(2 in portal["OperationalStatus"], False, str(portal))
    smi.wait_for("the portal to listen when it can", lambda: json.loads(
        server.cli("--json", "portal", "list"))[0]["OperationalStatus"] == [2], 10)
    server.stop()


smi.main()
