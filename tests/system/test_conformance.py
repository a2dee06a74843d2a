# SPDX-License-Identifier: Apache-2.0
"""libiscsi's whole conformance suite against smiscsi-target, over two paths, as Debian ships it.

iscsi-test-cu exits 0 even when tests fail, so its report is read.  A test may fail only when it is
in EXCUSED, with the clause of the standard that it overlooks; one that passes nevertheless must be
taken from there.
"""
import os, pathlib, re, shutil

from initiator import *
from smi import Skip, check, free_port, loopback, main, run, sanitized, temp_dir, test
from target_ctl import *

IQN = "iqn.2026-01.com.example:disk"
NAA = 0x3123456789ABCDE0

# What of the 230 tests may fail: where (block size), and why it is the test that errs.
EXCUSED = {
    "GetLBAStatus.UnmapSingle": (
        {512}, "asks for block i + 1 and wants the answer to begin at i + 8 when a physical block has "
        "8 logical ones; the first descriptor begins where the command says (SBC-3, GET LBA STATUS)"),
    "WriteSame10.UnmapUntilEnd": (
        {512, 4096}, "unmaps with data that are not zero and wants to read zeroes; with LBPRZ such "
        "blocks are written, not unmapped (SBC-3 4.7, unmapping by WRITE SAME)"),
}
TESTS = 230


def results(report):
    """{"Suite.Test": passed?} of a report; failures print lines of their own in between."""
    suite = name = None
    found = {}
    for line in report.splitlines():
        m = re.match(r"Suite: (\S+)", line)
        if m:
            suite = m[1]
        m = re.match(r"  Test: (.+?) \.\.\.", line)
        if m:
            name = f"{suite}.{m[1]}"
        if name and re.search(r"(^|\.\.\.|\s)passed", line):
            found.setdefault(name, True)
        elif name and re.search(r"(^|\.\.\.)FAILED$", line):
            found[name] = False
    return found


def conformance(backing, block_size):
    if not shutil.which("iscsi-test-cu"):
        raise Skip("no iscsi-test-cu")
    t = Target()
    a, b = loopback(), loopback()
    number = free_port(a)
    change = dict(unit(NAA, 256 << 20), block_size=block_size, backing=backing)
    if backing == "file":
        # VERIFY and much else waits for the disk; that it does is seen without sanitizers
        memory = pathlib.Path("/dev/shm")
        path = temp_dir(memory if sanitized() and os.access(memory, os.W_OK) else None) / "unit"
        path.touch()
        change.update(path=str(path), pr_path=str(path) + ".reservations")
    t.apply(change, node(IQN), port(IQN, 1), port(IQN, 2), portal(a, number), portal(b, number),
            binding(IQN, 1, a, number), binding(IQN, 2, b, number), lun(IQN, 0, NAA),
            must_listen=True)
    urls = [f"iscsi://{x}:{number}/{IQN}/0" for x in (a, b)]
    out = run("iscsi-test-cu", "--dataloss", "--allow-sanitize", "-t", "ALL", *urls, timeout=280)[1]
    found = results(out)
    check(len(found), TESTS, out[-2000:])
    failed = {n for n, passed in found.items() if not passed}
    excused = {n for n, (sizes, _) in EXCUSED.items() if block_size in sizes}
    check(failed, excused, "what failed, and what may")
    check(t.process.poll(), None, t.text())


@test
def a_file_with_blocks_of_512_bytes_conforms():
    conformance("file", 512)


@test
def a_file_with_blocks_of_4096_bytes_conforms():
    conformance("file", 4096)


@test
def memory_conforms():
    conformance("memory", 512)


@test
def a_store_that_fails_is_an_error_to_the_initiator_and_an_event_to_the_controller():
    t = Target()
    a, path = loopback(), temp_dir() / "unit"
    number = free_port(a)
    path.touch()
    t.apply(dict(unit(NAA, 1 << 20), backing="file", path=str(path)), node(IQN), port(IQN),
            portal(a, number), binding(IQN, 1, a, number), lun(IQN, 0, NAA), must_listen=True)
    c = Connection(a, number).login(IQN)
    c.test_unit_ready()
    path.write_bytes(b"")  # somebody truncates it
    status, _, answer = c.finish(c.command(bytes.fromhex("28000000000000000100"), read=512))
    check(status, 2)
    sense = answer.data[2:]
    check((sense[2] & 15, sense[12]), (3, 0x11), "MEDIUM ERROR, UNRECOVERED READ ERROR")
    check(t.control.event("unit", naa="%016x" % NAA)["error"] != "")


main()
