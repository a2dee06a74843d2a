#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The services as they are shipped, under a systemd that is the machine's first process.  First with
the drop-in for the kernel's target, on a machine that has been set up before and starts now; then without,
which is smiscsi-target.  service.sh has installed everything; this program is one service of the boot."""
import json, os, pathlib, re, socket, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import Client, HttpError
from initiator import Connection
from smi import NS, check, run, test, wait_for

A, B = "192.0.2.1:3260", "[2001:db8::1]:3260"
DROP_IN = pathlib.Path("/etc/systemd/system/smiscsid.service.d/lio.conf")
CONF = pathlib.Path("/etc/smiscsi/smiscsid.conf")
DATA = os.urandom(4096)
PAM = os.path.exists("/usr/libexec/smiscsi-pam")
made = {}


def systemctl(*args, ok=0):
    return run("systemctl", "--no-pager", *args, ok=ok)[1]


def show(unit, name):
    return systemctl("show", "-P", name, unit).strip()


def log(unit="smiscsid"):
    return run("journalctl", "-b", "-u", unit, "-o", "cat", "--no-pager", ok=0)[1]


def active(unit):
    try:
        wait_for(f"{unit} to be active", lambda: show(unit, "ActiveState") == "active", 40)
    except AssertionError:
        print(f"# {systemctl('status', unit, ok=3)}")
        raise


def cli(*args):
    return run("smiscsi", "--user", "ann", *args, ok=0)[1]


def client():
    return Client("127.0.0.1", 5988, NS, user="ann", password=os.environ["SMISCSI_PASSWORD"])


def description():
    c = Client("127.0.0.1", 5988, "interop", user="ann", password=os.environ["SMISCSI_PASSWORD"])
    return c.enum("MSFTSM_SoftwareIdentity")[0]["Description"]


def in_kernel():
    """The tree of a node: ports with their portals and logical units, as far as it is switched on."""
    return {f"{p.parent.name.rsplit(':', 1)[1]},{p.name}":
            sorted([q.name for q in (p / "np").iterdir()] + [q.name for q in (p / "lun").glob("lun_*")])
            for p in (smi.CONFIGFS / "iscsi").glob("iqn.2026-11.net.*/tpgt_*")
            if (p / "enable").read_text() == "1\n"}


ALL = {"stays,tpgt_7": sorted([A, B, "lun_3"])}


def first_answer():
    """The first bytes that anybody gets from the server, and the kernel's tree at that time."""
    end = time.monotonic() + 60 * smi.PATIENCE
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", 5988), 10) as s:
                s.sendall(b"OPTIONS /cimom HTTP/1.1\r\nHost: x\r\n\r\n")
                if s.recv(1):
                    return in_kernel()
        except OSError:
            time.sleep(0.02)
    print(f"# {systemctl('status', 'smiscsid', ok=3)}\n# {log()}")
    raise AssertionError("nobody answers")


made["first"] = first_answer()


def iqn():
    return next(iter(smi.iscsi_ls(A)), "none")


def login():
    name = iqn()  # first: the kernel does one login at a time on a portal
    x = Connection("192.0.2.1", 3260, timeout=60).login(name)
    for _ in range(3):  # what a new nexus is told first
        x.finish(x.command(bytes(6), lun=3))
    return x


def reads(x):
    status, data, _ = x.finish(x.command(bytes([0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0]), read=4096, lun=3))
    check(status, 0)
    return data == DATA


@test
def after_a_boot_everything_is_in_the_kernel_before_the_first_client_is_answered():
    check(made["first"], ALL)
    active("smiscsid")
    check(show("smiscsid", "NRestarts"), "0")
    at = {u: int(show(u, "ActiveEnterTimestampMonotonic")) for u in
          ("sys-kernel-config.mount", "smiscsid")}
    check(at["sys-kernel-config.mount"] < at["smiscsid"], True, str(at))
    begun = int(show("smiscsid", "ExecMainStartTimestampMonotonic"))
    print(f"# ready {(at['smiscsid'] - begun) / 1e6:.2f} s after its start")
    check("engine lio: the Linux kernel's own target" in log(), True, log())
    check("the kernel differed" in log(), False, "nobody has changed anything")
    check(re.search(r"serving .*engine lio", show("smiscsid", "StatusText")) is not None, True)


@test
def it_runs_in_its_sandbox():
    pid = show("smiscsid", "MainPID")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    check(re.search(r"^Uid:\s+(\d+)\s+(\d+)", status, re.M).groups(), ("870", "870"))
    # CAP_DAC_OVERRIDE is 1, CAP_NET_ADMIN 12
    for name in ("Eff", "Bnd", "Prm"):
        check(int(re.search(rf"Cap{name}:\s+(\w+)", status)[1], 16), 1 << 1 | 1 << 12, name)
    check(re.search(r"NoNewPrivs:\s+(\d)", status)[1], "1")
    check(re.search(r"Seccomp:\s+(\d)", status)[1], "2", "a filter")
    mounts = pathlib.Path(f"/proc/{pid}/mounts").read_text()
    check(re.search(r"^\S+ / \S+ ro[,\s]", mounts, re.M) is not None, True, "/ is read-only")


@test
def who_is_in_the_group_manages_and_others_do_not():
    if not PAM:
        raise smi.Skip("built without PAM")
    check("LIO" in description(), True)
    check(json.loads(cli("--json", "node", "list"))[0]["ElementName"], "stays")
    try:
        Client("127.0.0.1", 5988, NS).enum("CIM_iSCSISession")
        raise AssertionError("somebody without an account was let in")
    except HttpError as e:
        check(e.status, 401)
    active("smiscsi-pam")
    for what in (("node", "create", "new"), ("port", "create", "new", "--portal", A),
                 ("volume", "create", "new", "1M"), ("volume", "attach", "new", "new")):
        cli(*what)
    check("new,tpgt_1" in in_kernel(), True)
    cli("node", "delete", "new")
    check(in_kernel(), ALL)


@test
def an_initiator_is_served_also_while_smiscsid_is_killed():
    x = made["x"] = login()
    status, _, p = x.finish(x.command(x.write10(8, 8), write=DATA, lun=3))
    check(status, 0, f"write: {p.data.hex()}")
    wait_for("its session", lambda: client().enum("CIM_iSCSISession"))
    # this initiator answers no NOP-In while it waits for slow things
    for acl in (smi.CONFIGFS / "iscsi" / iqn() / "tpgt_7/acls").iterdir():
        (acl / "attrib/nopin_timeout").write_text("0\n")
    pid = show("smiscsid", "MainPID")
    systemctl("kill", "-s", "KILL", "smiscsid")
    check(reads(x), True)
    wait_for("another process", lambda: show("smiscsid", "MainPID") not in ("0", pid), 30)
    active("smiscsid")
    check(show("smiscsid", "NRestarts"), "1")
    check(in_kernel(), ALL)
    check(reads(x), True)
    wait_for("its session", lambda: [i["TSIH"] for i in client().enum("CIM_iSCSISession")] == [x.tsih])


@test
def it_stops_and_starts_again_and_sessions_do_not_notice():
    x = made["x"]
    systemctl("stop", "smiscsid")
    check((show("smiscsid", "ActiveState"), show("smiscsid", "Result")), ("inactive", "success"))
    check(show("smiscsid", "ExecMainStatus"), "0")
    check(reads(x), True)
    systemctl("start", "smiscsid")  # which returns when it is ready
    check(reads(x), True)
    wait_for("its session", lambda: [i["TSIH"] for i in client().enum("CIM_iSCSISession")] == [x.tsih])
    check(log().count("the kernel differed"), 0)


@test
def the_other_engine_takes_over_and_the_drop_in_is_taken_away():
    CONF.write_text(CONF.read_text().replace("engine = auto", "engine = user"))
    systemctl("restart", "smiscsid")
    check(smi.kernel_objects(), [], "with the right to, the kernel is emptied")
    check(made["x"].closed(), True)
    made["x"].close()
    DROP_IN.unlink()
    CONF.write_text(CONF.read_text().replace("engine = user", "engine = auto"))
    systemctl("daemon-reload")
    systemctl("restart", "smiscsid")
    check("the kernel's target is not used: " in log(), True, log()[-2000:])
    check("smiscsi-target" in description(), True)
    active("smiscsi-target")
    for unit in ("smiscsid", "smiscsi-target"):
        status = pathlib.Path(f"/proc/{show(unit, 'MainPID')}/status").read_text()
        check(int(re.search(r"CapBnd:\s+(\w+)", status)[1], 16), 0, f"{unit} may nothing")
    x = made["x"] = login()
    check(reads(x), True, "the same data")


@test
def each_of_the_two_is_killed_and_comes_back():
    x = made["x"]
    target = show("smiscsi-target", "MainPID")
    systemctl("kill", "-s", "KILL", "smiscsid")
    check(reads(x), True)
    wait_for("smiscsid", lambda: show("smiscsid", "NRestarts") == "1" and
             show("smiscsid", "ActiveState") == "active", 40)
    check(reads(x), True)
    check(show("smiscsi-target", "MainPID"), target, "the same target")
    name = iqn()
    start = time.monotonic()
    systemctl("kill", "-s", "KILL", "smiscsi-target")
    check(x.closed(), True)
    wait_for("the target with its configuration", lambda: run("iscsi-inq", f"iscsi://{A}/{name}/3")[0] == 0, 40)
    took = time.monotonic() - start
    print(f"# the target is back after {took:.1f} s")
    y = login()
    check(reads(y), True)
    y.close()
    if took < 8:  # else smiscsid has helped, as it should
        check(show("smiscsi-target", "NRestarts"), "1",
              "started by systemd, not by smiscsid:\n" + log("smiscsi-target") + log()[-2000:])
        inside = pathlib.Path("/sys/fs/cgroup/system.slice/smiscsid.service/cgroup.procs").read_text()
        check(inside.split(), [show("smiscsid", "MainPID")], "in smiscsid's service")
    check(json.loads(cli("--json", "node", "list"))[0]["OperationalStatus"], [2])


@test
def nothing_has_failed():
    check(systemctl("list-units", "--failed", "--plain", "--no-legend").strip(), "")
    systemctl("stop", "smiscsid", "smiscsi-target", "smiscsi-pam.socket", "smiscsi-pam")
    for unit in ("smiscsid", "smiscsi-target", "smiscsi-pam"):
        check(show(unit, "Result"), "success", unit)


smi.main()
