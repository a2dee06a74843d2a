#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong inside the kernel's target: something that can't be removed, a change that can't be
undone, a call that does not come back; and sessions with two targets through one portal, of which one
loses it."""
import ctypes, os, pathlib, signal, socket, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import Client, Path
from initiator import Connection
from smi import NS, check, run, test, wait_for

ISCSI = smi.CONFIGFS / "iscsi"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
PORT = "MSISCSITARGET_iSCSIProtocolEndpoint"
A, B, TAKEN = "192.0.2.1:3260", "192.0.2.1:3261", "192.0.2.1:3262"
state = smi.temp_dir() / "state"
other = smi.temp_dir()  # a file system of its own for the volumes, which can be frozen
run("mke2fs", "-q", "-F", "-t", "ext4", f"{other}/disk", "32M", ok=0)
os.makedirs(state / "units", 0o700)
os.chmod(state, 0o700)
run("mount", "-o", "loop", f"{other}/disk", state / "units", ok=0)
smi.at_end(lambda: run("umount", "-l", state / "units"))
server = smi.Server(portals=[A, B], state=state).start()
c = Client(server.addr, server.http, NS)
libc = ctypes.CDLL(None, use_errno=True)
made = {}


def mount_over(path):
    """Whoever wants to remove it finds it busy."""
    assert libc.mount(b"none", str(path).encode(), b"tmpfs", 0, None) == 0


def call(method, **p):
    """(return value, sentence, what it made)."""
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    r, out = c.invoke(service, method, **p)
    return r, c.last_headers.get("WBEMMessage") or "", next(iter(out.values()), None)


def portal(name):
    return Path(PORTAL, {"Name": name})


def system():
    i, = c.enum("MSFTSM_ComputerSystem")
    return i["OperationalStatus"], i["StatusDescriptions"]


def node(alias, *portals):
    """(path of the node, paths of a port each on these portals, iqn)."""
    r, says, n = call("CreateiSCSINode", Alias=alias)
    check(r, 0, says)
    ports = []
    for p in portals:
        r, says, port = call("CreateiSCSIProtocolEndpoint", iSCSINode=n, Role=3,
                             NetworkPortals=[portal(p)])
        check(r, 0, says)
        ports.append(port)
    return n, ports, n.keys["DeviceID"]


def login(iqn, i, address=A, **more):
    host, port = address.rsplit(":", 1)
    return Connection(host, int(port), isid=b"\x80%05d" % i, timeout=60, **more).login(iqn)


@test
def what_something_holds_is_not_removed_and_nothing_of_the_change_is():
    n, (a, b), iqn = node("held", A, B)
    volume = server.cli("volume", "create", "held", "1M").strip()
    server.cli("volume", "attach", volume, "held")
    before = smi.kernel_objects()
    held = ISCSI / iqn / "tpgt_2/np" / B
    mount_over(held)
    for method, what in (("DeleteiSCSINode", {"iSCSINode": n}),
                         ("DeleteiSCSIProtocolEndpoint", {"iSCSIPort": b})):
        r, says, _ = call(method, **what)
        print(f"# {method}: {r} {says}")
        check(r, 4, says)
        check(B in says and "busy" in says.lower(), True, says)
        check(smi.kernel_objects(), before)
        check(sorted(p.name for p in (ISCSI / iqn).glob("tpgt_*/np/*")), [A, B])
        check({t: (ISCSI / iqn / t / "enable").read_text() for t in ("tpgt_1", "tpgt_2")},
              {"tpgt_1": "1\n", "tpgt_2": "1\n"})
        check(len(c.names(PORT)), 2)
    check(system(), ([2], ["OK"]), "nothing is left over")
    for p in (a, b):
        check(c.get(p)["OperationalStatus"], [2])
    x = login(iqn, 1)
    x.test_unit_ready()
    x.close()
    run("umount", held, ok=0)
    wait_for("the session's end", lambda: call("DeleteiSCSINode", iSCSINode=n)[0] == 0)
    server.cli("volume", "delete", volume)


# A process that comes before all others on the one processor: as soon as np/A is there it is held.
HOLD = """
import ctypes, os, select, struct, sys
libc = ctypes.CDLL(None)
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
target, name = sys.argv[1:]
fd = libc.inotify_init1(0)
libc.inotify_add_watch(fd, target.encode(), 0x100)  # IN_CREATE
print("ready", flush=True)
while not os.path.isdir(f"{target}/tpgt_1"):
    os.read(fd, 4096)
libc.inotify_add_watch(fd, f"{target}/tpgt_1/np".encode(), 0x100)
while not os.path.isdir(f"{target}/tpgt_1/np/{name}"):
    os.read(fd, 4096)
print(libc.mount(b"none", f"{target}/tpgt_1/np/{name}".encode(), b"tmpfs", 0, None), flush=True)
"""


@test
def what_can_not_be_undone_is_said_and_goes_when_it_can():
    n, _, iqn = node("undone")
    p = c.create(PORTAL, {"Name": TAKEN})
    c.delete(p)
    with socket.socket() as s:
        s.bind(("192.0.2.1", 3262))
        s.listen()
        p = c.create(PORTAL, {"Name": TAKEN})
        holder = subprocess.Popen([sys.executable, "-c", HOLD, ISCSI / iqn, A], text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        smi.at_end(holder.kill)
        check(holder.stdout.readline(), "ready\n")
        r, says, _ = call("CreateiSCSIProtocolEndpoint", iSCSINode=n, Role=3,
                          NetworkPortals=[portal(A), portal(TAKEN)])
        print(f"# {r} {says}")
        check(r, 4, says)
        check(TAKEN in says, True, says)
        check(holder.wait(10), 0)
        check(holder.stdout.readline(), "0\n", "held")
    # in the model there is nothing of it; in the kernel there is, nobody can log in there, it is said
    check([x for x in c.names(PORT) if iqn in x.keys["Name"]], [])
    left = ISCSI / iqn / "tpgt_1"
    check(left.is_dir(), True, "the port that could not be taken away")
    check((left / "enable").read_text(), "0\n")
    status, words = system()
    print(f"# {words}")
    check(status, [3])
    check(A in words[0] and iqn in words[0], True, str(words))
    check("a change that failed can't be taken back yet" in server.errors(), True, "the log")
    # what else is asked for is done
    m, (port,), other_iqn = node("meanwhile", B)
    check((ISCSI / other_iqn / "tpgt_1/enable").read_text(), "1\n")
    check(call("DeleteiSCSINode", iSCSINode=m)[0], 0)
    check(left.is_dir(), True)
    run("umount", left / "np" / A, ok=0)
    wait_for("the rest to go", lambda: not left.exists(), 20)
    wait_for("all to be well", lambda: system() == ([2], ["OK"]), 5)
    check(call("DeleteiSCSINode", iSCSINode=n)[0], 0)
    c.delete(p)


@test
def a_call_that_does_not_come_back_hangs_nobody():
    n, (port,), iqn = node("frozen", A)
    volume = server.cli("volume", "create", "frozen", "4M").strip()
    server.cli("volume", "attach", volume, "frozen")
    x = login(iqn, 7)
    x.test_unit_ready()
    units = state / "units"
    run("fsfreeze", "-f", units, ok=0)
    smi.at_end(lambda: run("fsfreeze", "-u", units))
    x.command(x.write10(0, 8), write=bytes(4096))  # which the disk does not end
    time.sleep(1)
    start = time.monotonic()
    r, says, _ = call("DeleteiSCSIProtocolEndpoint", iSCSIPort=port)
    took = time.monotonic() - start
    print(f"# {r} after {took:.1f} s: {says}")
    check(r, 3, "Timeout")
    check(took >= 9, True, "the deadline")
    check(len(c.names(PORT)) >= 1, True, "it is still there")
    check(system(), ([3], ["the kernel did not answer within 10 s"]), "degraded, and why")
    check(c.get(port)["OperationalStatus"] != [2], True)
    start = time.monotonic()
    for _ in range(5):
        c.enum(PORTAL)
        check(call("CreateiSCSINode", Alias="frozen")[0], 4097, "what rules refuse is refused")
    print(f"# 10 requests in {time.monotonic() - start:.1f} s meanwhile")
    start = time.monotonic()
    r, says, _ = call("CreateiSCSINode", Alias="later")
    print(f"# a change meanwhile: {r} after {time.monotonic() - start:.1f} s: {says}")
    check(r in (3, 4), True, says)
    check(time.monotonic() - start < 60, True)
    run("fsfreeze", "-u", units, ok=0)
    wait_for("all to be well", lambda: system() == ([2], ["OK"]) and
             c.get(port)["OperationalStatus"] == [2], 30)
    check((ISCSI / iqn / "tpgt_1/enable").read_text(), "1\n", "as the model says: nothing was deleted")
    y = login(iqn, 8)
    y.test_unit_ready()
    y.close()
    x.close()
    wait_for("the sessions' end", lambda: call("DeleteiSCSINode", iSCSINode=n)[0] == 0)
    server.cli("volume", "delete", volume)


def two_through_one_portal(first, second):
    """Both nodes are logged in to; the first loses the portal."""
    x, y = login(first, 1), login(second, 1)
    return x, y


def drained(alias, x, y):
    start = time.monotonic()
    server.cli("portal", "unbind", f"{alias},1", A)
    x.sock.settimeout(60)
    check(x.closed(), True, "the session whose target has lost the portal")
    print(f"# ended after {time.monotonic() - start:.1f} s")
    y.sock.settimeout(1)
    check(y.closed(), False, "the other target's session")
    y.sock.settimeout(60)
    y.test_unit_ready()
    server.cli("portal", "bind", f"{alias},1", A)
    y.close()


@test
def a_portal_that_two_targets_share_is_taken_from_one():
    for alias in ("left", "right"):
        made[alias] = node(alias, A)
        made[alias, "v"] = server.cli("volume", "create", alias, "1M").strip()
        server.cli("volume", "attach", made[alias, "v"], alias)
    left, right = made["left"][2], made["right"][2]
    # one after the other, seen one after the other
    x = login(left, 1)
    wait_for("the first", lambda: len(c.enum("CIM_iSCSISession")) == 1)
    y = login(right, 1)
    wait_for("both", lambda: len(c.enum("CIM_iSCSISession")) == 2)
    drained("left", x, y)
    wait_for("their end", lambda: not c.enum("CIM_iSCSISession"))


@test
def the_same_when_nobody_saw_who_came_first():
    left, right = made["left"][2], made["right"][2]
    for alias, order in (("left", (left, right)), ("left", (right, left)),
                         ("right", (left, right)), ("right", (right, left))):
        server.kill()
        came = {iqn: login(iqn, 2) for iqn in order}
        server.start()
        wait_for("both", lambda: len(c.enum("CIM_iSCSISession")) == 2)
        mine = left if alias == "left" else right
        drained(alias, came.pop(mine), came.popitem()[1])
        wait_for("their end", lambda: not c.enum("CIM_iSCSISession"))
    for alias in ("left", "right"):
        check(call("DeleteiSCSINode", iSCSINode=made[alias][0])[0], 0)


smi.main()
