#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything at once for a while: clients that read, clients that reconfigure, people who log in with
right and wrong passwords over TLS, initiators that log in, write and read back, the Storage
Management layer.  No error, no word of a sanitizer, and from round to round no growth of memory,
descriptors or threads.

SMISCSI_SOAK_SECONDS says how long (`make soak` takes its time)."""
import os, pathlib, random, re, ssl, statistics, threading, time, traceback

for name, value in (("ASAN_OPTIONS", "detect_leaks=1:quarantine_size_mb=4:halt_on_error=1"),
                    ("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1"),
                    ("TSAN_OPTIONS", "halt_on_error=0:exitcode=66:second_deadlock_stack=1:suppressions="
                     + str(pathlib.Path(__file__).resolve().parent.parent / "tsan.supp"))):
    os.environ[name] = os.environ.get(name, "") + ":" + value

import smi
from cimclient import CimError, Client, HttpError, Path
from initiator import Connection
from smi import NS, SM, check, test, wait_for

SECONDS = float(os.environ.get("SMISCSI_SOAK_SECONDS", "16"))
ROUNDS = max(4, min(60, int(SECONDS / 20)))
SEED = int(os.environ.get("SMISCSI_SEED", "3"))
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
SANITIZER = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|UndefinedBehavior)Sanitizer|"
                       r"runtime error:|Assertion .* failed")

ADMIN, READER = ("boss", "boss-pass-Zx9"), ("reader", "read-pass-Wq7")
server = smi.Server(portals=3, auth=True)
https = smi.free_port(server.addr)
server.args = ["--https", f"{server.addr}:{https}"]
server.start(seconds=60)
for name, role, password in ((*ADMIN[:1], "admin", ADMIN[1]), (*READER[:1], "read", READER[1])):
    smi.run(smi.BUILD / "smiscsi", "user", "add", name, "--role", role, "--state", server.state, ok=0,
            input=password + "\n")
TLS = ssl.create_default_context(cafile=str(server.state / "tls/cert.pem"))
errors, counts = [], {}
stop = threading.Event()


def client(ns=NS, who=ADMIN):
    return Client(server.addr, server.http, ns, *who, timeout=60)


def service(c, name):
    return c.names(f"MSISCSITARGET_{name}Service")[0]


def call(c, which, method, want=0, **params):
    r, out = c.invoke(service(c, which), method, **params)
    check(r, want, f"{method}: {c.last_headers.get('WBEMMessage')}")
    return out


def portal(i):
    return Path(PORTAL, {"Name": server.portal(i)})


def make_target(c, alias, *portals):
    node = call(c, "iSCSIConfiguration", "CreateiSCSINode", Alias=alias)["iSCSINode"]
    port = call(c, "iSCSIConfiguration", "CreateiSCSIProtocolEndpoint", iSCSINode=node, Role=3,
                NetworkPortals=[portal(i) for i in portals])["iSCSIPort"]
    volume = call(c, "StorageConfiguration", "CreateOrModifyElementFromStoragePool", ElementType=2,
                  ElementName=alias, Size=1 << 20)["TheElement"]
    call(c, "ControllerConfiguration", "AttachDevice", ProtocolController=node, Device=volume)
    return node, port, volume


# -- what each of them does, again and again: one step --

def reads(rnd):
    c = client(who=READER)
    while True:
        what = rnd.randrange(5)
        if what == 0:
            c.enum(rnd.choice(["CIM_ManagedElement", "CIM_Dependency", "CIM_EnabledLogicalElement"]))
        elif what == 1:
            for p in c.names("CIM_ProtocolEndpoint")[:5]:
                try:
                    c.walk("Associators", p)
                    c.get(p)
                except CimError as e:
                    check(e.code, 6, e.text)  # gone meanwhile
        elif what == 2:
            first = [("ClassName", c._class("CIM_ManagedElement"))]
            got, ctx = c.open("OpenEnumerateInstances", first, MaxObjectCount=3)
            while ctx:
                got, ctx = c.pull("PullInstancesWithPath", ctx, 7)
        elif what == 3:
            c.query("SELECT * FROM CIM_StorageVolume")
        else:
            client().names("CIM_Service")
        yield
    c.conn.close()


def manages(rnd):
    c = client(SM)
    while True:
        c.enum("MSFT_SMiSCSIPortalEndpoint")
        c.names("MSFT_SMEndpointToiSCSIPortal")
        yield


def reconfigures(rnd):
    c, n = client(), 0
    me = rnd.randrange(1 << 40)
    while True:
        n += 1
        node, port, volume = make_target(c, f"r{me}-{n}", 0)
        yield
        call(c, "iSCSIConfiguration", "BindiSCSIProtocolEndPoint", iSCSIPort=port,
             NetworkPortal=portal(1))
        call(c, "iSCSIConfiguration", "CreateiSCSINode", 4097, Alias=f"r{me}-{n}")
        name = port.keys["Name"]
        found = {t for t, _ in Connection(server.portals[1], 3260).login(
            discovery=True).send_targets()}
        check(node.keys["DeviceID"] in found, True, "seen as soon as bound")
        yield
        binds = next(b for b in c.names("MSISCSITARGET_BindsTo")
                     if b.keys["Dependent"].keys["Name"] == name and
                     b.keys["Antecedent"].keys["Name"] == server.portal(1))
        c.delete(binds)
        call(c, "StorageConfiguration", "CreateOrModifyElementFromStoragePool", ElementType=2,
             TheElement=volume, Size=2 << 20)
        for state in (3, 2):
            check(c.invoke(port, "RequestStateChange", RequestedState=state)[0], 0)
        yield
        call(c, "ControllerConfiguration", "DetachDevice", ProtocolController=node, Device=volume)
        call(c, "StorageConfiguration", "ReturnToStoragePool", TheElement=volume)
        if n % 2:
            call(c, "iSCSIConfiguration", "DeleteiSCSIProtocolEndpoint", iSCSIPort=port)
        call(c, "iSCSIConfiguration", "DeleteiSCSINode", iSCSINode=node)
        yield


def writes(rnd):
    """Each has blocks of its own on the shared unit, and reads back what it wrote."""
    mine = rnd.choice(range(0, 1024, 64))
    while mine in taken:
        mine = rnd.choice(range(0, 1024, 64))
    taken.add(mine)
    known = {}
    while True:
        keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")] if rnd.random() < 0.3 else []
        x = Connection(rnd.choice(server.portals[1:]), 3260, isid=b"\x80" + rnd.randbytes(5),
                       timeout=30).login(shared, keys=keys)
        x.test_unit_ready()
        for _ in range(30):
            n = rnd.randrange(1, 8)
            at = rnd.randrange(64 - n)
            if rnd.random() < 0.5:
                data = rnd.randbytes(512 * n)
                check(x.finish(x.command(x.write10(mine + at, n), write=data))[0], 0, "a write")
                for i in range(n):
                    known[at + i] = data[512 * i:512 * (i + 1)]
            else:
                got = x.read(mine + at, n)
                for i in range(n):
                    if at + i in known:
                        check(got[512 * i:512 * (i + 1)] == known[at + i], True, "what was written")
        if rnd.random() < 0.7:
            x.logout()
        x.close()
        yield


def logs_in(rnd):
    while True:
        x = Connection(server.portals[2], 3260, isid=b"\x80" + rnd.randbytes(5), timeout=30)
        if rnd.random() < 0.5:
            x.login(shared).nop(rnd.randbytes(100))
        else:
            check(shared in {t for t, _ in x.login(discovery=True).send_targets()}, True)
        x.close()
        yield


def comes_in(rnd):
    """A person with a password, over TLS, from an address that is not known yet."""
    while True:
        user, password = rnd.choice([ADMIN, READER])
        wrong = rnd.random() < 0.3
        c = Client(server.addr, https, NS, user, password + "?" * wrong, tls=TLS, timeout=60,
                   source=smi.loopback())
        try:
            c.names("CIM_Service")
            check(wrong, False, "a wrong password was taken")
        except HttpError as e:
            # 503: that address has been wrong before, or too many are waiting
            check((e.status in (401, 503), wrong or e.status == 503), (True, True), str(e))
        c.conn.close()
        yield


WORK = [(reads, 3), (manages, 1), (reconfigures, 2), (writes, 3), (logs_in, 1), (comes_in, 1)]
taken = set()


def worker(steps, name):
    try:
        while not stop.is_set():
            next(steps)
            counts[name] = counts.get(name, 0) + 1
    except BaseException:
        errors.append(f"{name}: {traceback.format_exc()}")
        stop.set()


def a_round(workers, seconds):
    stop.clear()
    threads = [threading.Thread(target=worker, args=w, daemon=True) for w in workers]
    for t in threads:
        t.start()
    stop.wait(seconds)
    stop.set()
    for t in threads:
        t.join(90)
        check(t.is_alive(), False, "somebody still waits for an answer")


def words():
    text = server.errors()
    log = server.state / "target.log"
    return text + (log.read_text(errors="replace") if log.exists() else "")


@test
def nothing_fails_and_nothing_grows():
    global shared
    c = client()
    shared = make_target(c, "shared", 1, 2)[0].keys["DeviceID"]
    c.conn.close()
    maps = pathlib.Path(f"/proc/{server.proc.pid}/maps").read_text()
    sanitized = "libasan" in maps or "libtsan" in maps
    workers = [(fn(random.Random(f"{SEED} {fn.__name__} {i}")), fn.__name__)
               for fn, n in WORK for i in range(n)]
    seen = []
    for i in range(ROUNDS):
        a_round(workers, SECONDS / ROUNDS)
        if errors:
            raise AssertionError("\n".join(errors))
        found = SANITIZER.search(words())
        check(found is None, True, found and words()[found.start():found.start() + 4000])

        def quiet():
            check_c = client()
            n = len(check_c.names("CIM_iSCSISession"))
            check_c.conn.close()
            return n == 0

        wait_for("sessions to end", quiet, 40)
        time.sleep(0.2)
        seen.append(server.usage())
        print(f"# round {i + 1}: " + ", ".join(
            f"{p} {kb} kB, {fds} descriptors, {threads} threads"
            for p, (kb, fds, threads) in seen[-1].items()), flush=True)
    print("# " + ", ".join(f"{n} times {k}" for k, n in sorted(counts.items())))
    check(set(counts), {fn.__name__ for fn, _ in WORK}, "everybody came to his turn")
    for p in seen[0]:
        # the first rounds fill pools and caches
        early, late = seen[1][p], seen[-1][p]
        check(late[1] <= min(s[p][1] for s in seen) + 8, True, f"descriptors of {p}: {early} {late}")
        check(late[2] <= early[2] + 2, True, f"threads of {p}: {early} {late}")
        # a sanitizer keeps what was freed for a while, and its allocator fragments
        room = early[0] // 3 + (64 << 10) if sanitized else early[0] // 5 + (16 << 10)
        check(late[0] <= early[0] + room, True, f"memory of {p}: {early} {late}")
        if ROUNDS >= 12 and not sanitized:
            third = ROUNDS // 3
            a, b = (statistics.median(s[p][0] for s in part)
                    for part in (seen[third:2 * third], seen[2 * third:]))
            print(f"# {p}: {b - a:+.0f} kB from the second to the last third")
            check(b - a <= 768, True, f"{p} grows: {[s[p][0] for s in seen]}")


@test
def both_processes_end_well():
    target = server.target_pid()
    check(server.stop(60), 0, "exit code of smiscsid (66: of the thread sanitizer)")
    wait_for("the target to end", lambda: not smi.alive(target), 30)
    found = SANITIZER.search(words())
    check(found is None, True, found and words()[found.start():found.start() + 4000])


smi.main()
