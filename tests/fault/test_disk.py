#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The disk says no: at every call of every operation and of the start, and for good.  What is
refused is refused in a sentence, wholly, also after the next start; what was there stays; and when
there is room again, everything goes on."""
import errno, hashlib, os, random, sqlite3

from fault import *
from smi import Skip, check, run, test

SEED = int(os.environ.get("SMISCSI_SEED", "11"))
ON_DISK = WRITE | SYNC | NAMES | TRUNCATE


def driver(warm_up=25, **more):
    s = Server(portals=3, engine="fake", **more)
    s.start()
    d = Driver(s, SEED)
    for _ in range(warm_up):
        d.do()
    return d


def attempt(d, fn, what):
    """0, or a refusal that says why."""
    try:
        r = fn() or 0
        text = d.s.c.last_headers.get("WBEMMessage") or ""
    except CimError as e:
        r, text = e.code, e.text
    if r:
        check(len(text) > 10, True, f"{what}: refused with {r} without a sentence: {text!r}")
    return r


def wholly(d, kind, at, mode, kinds, error):
    k, fn, after = d.prepare(kind)
    before, s = d.m, d.s
    s.fault.arm(at, mode, kinds, error)
    what = f"{k}, call {at}, {errno.errorcode[error]}, seed {SEED}"
    r = attempt(d, fn, what)
    fired = s.fault.fired
    s.fault.off()
    what += f", return code {r}"
    d.settle(what, before if r else after)
    return fired, r, what


@test
def each_call_fails_once_and_the_change_is_whole():
    d = driver()
    s, n, refused = d.s, 0, 0
    for error, kinds in ((errno.ENOSPC, WRITE | TRUNCATE | NAMES), (errno.EIO, ON_DISK)):
        for kind in d.kinds():
            at = 1
            while True:
                fired, r, what = wholly(d, kind, at, FAIL, kinds, error)
                if not fired:
                    check(r, 0, what)
                    break
                n += 1
                at = d.next_call(at)
                refused += r != 0
                if d.rnd.random() < 0.5:
                    s.kill()
                    s.start()
                    d.settle(what + ", after a start", d.m)
                    d.check_files()
    print(f"# {n} failures, {refused} refusals")
    check(refused > 50 // STEP, True, "refusals")
    d.check_ends()


@test
def a_full_disk_refuses_changes_until_there_is_room():
    d = driver()
    s = d.s
    s.fault.arm(1, FAILS, WRITE | TRUNCATE, errno.ENOSPC)
    for _ in range(10):
        k, fn, _ = d.prepare()
        check(attempt(d, fn, k) != 0, True, f"{k} was refused")
        d.settle(k, d.m)
    check("disk is full" in s.errors(), True, "the log says so")
    s.fault.off()
    for _ in range(10):
        d.do()
    s.kill()
    s.start()
    d.settle("after a start", d.m)
    d.check_files()


@test
def a_disk_that_cannot_sync_promises_nothing():
    d = driver()
    s = d.s
    for error in (errno.EIO, errno.ENOSPC):
        for _ in range(8):
            s.fault.arm(1, FAILS, SYNC, error)
            k, fn, _ = d.prepare()
            s.fault.arm(1, FAILS, SYNC, error)
            check(attempt(d, fn, k) != 0, True, f"{k} was refused")
            s.fault.off()
            d.settle(k, d.m)
            s.kill()
            s.start()
            d.settle(f"{k}, after a start", d.m)
        d.do()


def sums(folder):
    out = {}
    for f in sorted(folder.rglob("*")):
        if f.is_file() and f.name != "lock":
            out[str(f.relative_to(folder))] = hashlib.sha256(f.read_bytes()).hexdigest()
    return out


def refuses_to_start(s, *words):
    """Exit 1 with one sentence that has these words; its state is untouched.  Returns it."""
    before = sums(s.state)
    mark = len(s.errors())
    s.start(expect_ready=False)
    check(s.proc.wait(30), 1, "exit code")
    s.proc.stdout.close()
    said = [l for l in s.errors()[mark:].splitlines() if l.startswith("smiscsid: ")]
    check(len(said), 1, f"sentences in {s.errors()[mark:]}")
    for w in words:
        check(w in said[0], True, f"'{w}' in: {said[0]}")
    check(sums(s.state), before, "what is below the state folder")
    return said[0]


@test
def each_call_of_a_start_fails_once_and_harms_nothing():
    d = driver()
    s = d.s
    n = 0
    for error, kinds in ((errno.ENOSPC, WRITE | TRUNCATE | NAMES), (errno.EIO, ON_DISK),
                         (errno.EROFS, WRITE | TRUNCATE | NAMES)):
        at = 0
        while True:
            at = d.next_call(at)
            s.kill()
            s.fault.arm(at, FAIL, kinds, error)
            mark = len(s.errors())
            try:
                s.start()
            except AssertionError:
                check(s.proc.wait(30), 1, f"start, call {at}, {errno.errorcode[error]}")
                said = [l for l in s.errors()[mark:].splitlines() if l.startswith("smiscsid: ")]
                check(len(said), 1, f"sentences in {s.errors()[mark:]}")
            fired = s.fault.fired
            s.fault.off()
            if not fired:
                break
            n += 1
            if s.proc.poll() is not None:
                s.start()
            d.settle(f"start, call {at}, {errno.errorcode[error]}", d.m)
            d.check_files()
    print(f"# {n} failures")
    check(n > 10 // STEP, True, "calls")


@test
def each_call_of_the_first_start_fails_once_and_the_next_start_is_clean():
    for error in (errno.ENOSPC, errno.EIO):
        for at in range(1, 9999, STEP):
            s = Server(portals=1, engine="fake")
            s.fault.arm(at, FAIL, ON_DISK, error)
            try:
                s.start()
            except AssertionError:
                check(s.proc.wait(30), 1, f"first start, call {at}")
                said = [l for l in s.errors().splitlines() if l.startswith("smiscsid: ")]
                check(len(said), 1, s.errors())
            fired = s.fault.fired
            s.fault.off()
            if s.proc.poll() is not None:
                s.start()
            d = Driver(s, SEED)
            # A portal that could not be kept is tried again by itself.
            smi.wait_for("the portal", lambda: s.c.names(PORTAL))
            d.settle(f"first start, call {at}", d.m)
            d.do("create_node")
            s.end()
            if not fired:
                break
        check(at > 10, True, "calls")


@test
def a_database_of_a_newer_version_is_left_alone():
    d = driver(5)
    s = d.s
    s.stop()
    db = sqlite3.connect(s.state / "smiscsi.db")
    db.execute("PRAGMA journal_mode=DELETE")
    version, = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version={version + 1}")
    db.commit()
    db.close()
    refuses_to_start(s, "smiscsi.db", f"version {version + 1}", "newer")
    db = sqlite3.connect(s.state / "smiscsi.db")
    db.execute(f"PRAGMA user_version={version}")
    db.commit()
    db.close()
    s.start()
    d.settle("the right program", d.m)


@test
def damage_anywhere_in_the_database_is_refused_or_harmless():
    d = driver(30)
    s = d.s
    s.stop()
    db = s.state / "smiscsi.db"
    good = db.read_bytes()
    rnd = random.Random(SEED)
    refused = 0
    for i in range(24):
        bad = bytearray(good)
        if i % 3 == 0:
            del bad[rnd.randrange(1, len(bad)):]
        else:
            at = rnd.randrange(len(bad) // 512) * 512
            bad[at:at + 512] = rnd.randbytes(512) if i % 3 == 1 else bytes(512)
        if bytes(bad) == good:
            continue
        for x in s.state.glob("smiscsi.db-*"):
            x.unlink()
        db.write_bytes(bad)
        s.start(expect_ready=False)
        try:
            s.ready = s._read_ready(10)
        except AssertionError:
            check(s.proc.wait(10), 1, "exit code")
            s.proc.stdout.close()
            check(db.read_bytes() == bytes(bad), True, "not a byte has changed")
            refused += 1
            continue
        check(i % 3 != 0, True, "a truncated database was taken")
        # The damage was in no page in use, or in text, which has no check sum.
        s.kill()
    check(refused >= 9, True, f"{refused} of 24 were refused")
    for x in s.state.glob("smiscsi.db-*"):
        x.unlink()
    db.write_bytes(good)
    s.start()
    d.settle("the good database again", d.m)


def tmpfs(size):
    folder = smi.temp_dir() / "disk"
    folder.mkdir()
    code, _, err = run("mount", "-t", "tmpfs", "-o", f"size={size}", "smiscsi-test", folder)
    if code:
        raise Skip(f"mounting is not permitted: {err.strip()}")
    smi.at_end(lambda: run("umount", "-l", folder))
    return folder


def fill(disk):
    fd = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError as e:
        check(e.errno, errno.ENOSPC)
    os.close(fd)


@test
def a_real_full_disk():
    disk = tmpfs("32m")
    d = driver(state=disk / "state")
    s = d.s
    fill(disk)
    refused = 0
    for _ in range(20):
        k, fn, after = d.prepare()
        r = attempt(d, fn, k)
        refused += r != 0
        d.settle(k, d.m if r else after)
    check(refused > 0, True, "something was refused")
    s.kill()
    (disk / "ballast").unlink()
    s.start()
    d.settle("after a start", d.m)
    for _ in range(10):
        d.do()
    d.check_files()
    s.end()


@test
def a_disk_that_is_full_or_read_only_at_the_start():
    disk = tmpfs("32m")
    d = driver(state=disk / "state")
    s = d.s
    s.kill()
    run("mount", "-o", "remount,ro", disk, ok=0)
    refuses_to_start(s, "state", str(s.state))
    run("mount", "-o", "remount,rw", disk, ok=0)
    s.start()
    d.settle("writable again", d.m)
    s.kill()
    fill(disk)
    mark = len(s.errors())
    s.start(expect_ready=False)
    try:
        s._read_ready(10)
    except AssertionError:
        check(s.proc.wait(10), 1)
        check("smiscsid: " in s.errors()[mark:], True, "a sentence")
        s.proc.stdout.close()
        (disk / "ballast").unlink()
        s.start()
    else:
        (disk / "ballast").unlink()
    d.settle("room again", d.m)
    s.end()


smi.main()
