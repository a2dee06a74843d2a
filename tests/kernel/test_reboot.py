#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The machine loses power and starts again: the whole configuration is in the kernel before the first
client is answered, and what was written and flushed is there.  Then --engine auto: the kernel's target
where there is one, smiscsi-target where it is taken away, and back."""
import os, pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import Client
from initiator import Connection
from smi import NS, check, test

BOOT = int(os.environ["SMISCSI_VM_BOOT"])
STATE = pathlib.Path("/persist/state")
A, B = "192.0.2.1:3260", "[2001:db8::1]:3260"
DATA = bytes(range(256)) * 16
server = smi.Server(portals=[A, B], state=STATE)


def iqn():
    return next(iter(smi.iscsi_ls(A)))


def login():
    name = iqn()  # first: the kernel does one login at a time on a portal
    return Connection("192.0.2.1", 3260, timeout=60).login(name)


KEY = b"reserved"


def reserve_out(x, action, key=bytes(8), service_key=bytes(8), aptpl=0, kind=0):
    """PERSISTENT RESERVE OUT; its status, or what the check condition says."""
    data = key + service_key + bytes(4) + bytes([aptpl]) + bytes(3)
    cdb = bytes([0x5F, action, kind, 0, 0, 0, 0, 0, len(data), 0])
    status, _, p = x.finish(x.command(cdb, write=data, lun=3))
    return p.data.hex() if status == 2 else status


def reserve_in(x, action):
    status, data, p = x.finish(x.command(bytes([0x5E, action, 0, 0, 0, 0, 0, 0, 64, 0]), read=64,
                                         lun=3))
    check(status, 0, f"PERSISTENT RESERVE IN: {p.data.hex()}")
    return data


def serves():
    c = Client(server.addr, server.http, "interop")
    return c.enum("MSFTSM_SoftwareIdentity")[0]["Description"]


if BOOT == 1:
    server.start()
    server.cli("node", "create", "stays")
    server.cli("port", "create", "stays", "--portal", A, "--portal", B, "--tag", "7")
    volume = server.cli("volume", "create", "stays", "8M").strip()
    server.cli("volume", "attach", volume, "stays", "--lun", "3")
    x = login()
    for _ in range(3):  # what a new nexus is told first
        status, _, p = x.finish(x.command(bytes(6), lun=3))
    check(status, 0, "test unit ready")
    status, _, p = x.finish(x.command(x.write10(8, len(DATA) // 512), write=DATA, lun=3))
    check(status, 0, "write")
    status, _, p = x.finish(x.command(b"\x35" + bytes(9), lun=3))
    check(status, 0, "SYNCHRONIZE CACHE")
    check(reserve_out(x, 0, service_key=KEY, aptpl=1), 0, "REGISTER, to outlive a loss of power")
    check(reserve_out(x, 1, key=KEY, kind=3), 0, "RESERVE, exclusive access")
    sys.stdout.flush()
    os._exit(75)  # no power: nobody says goodbye, nothing is synced


@test
def the_configuration_is_in_the_kernel_before_the_first_client_is_answered():
    check(smi.kernel_objects(), [], "an empty kernel")
    server.start()
    target = [p for p in (smi.CONFIGFS / "iscsi").glob("iqn.*") if not p.name.endswith(":portals")]
    check(len(target), 1)
    tpg = target[0] / "tpgt_7"
    check(sorted(p.name for p in (tpg / "np").iterdir()), sorted([A, B]))
    check((tpg / "enable").read_text(), "1\n")
    check([p.name for p in (tpg / "lun").glob("lun_*")], ["lun_3"])
    check(smi.iscsi_ls(A), {target[0].name: {(A, 7), (B, 7)}})
    check("the kernel differed" in server.errors(), False, "nobody has changed anything")
    check("[OK]" in server.cli("show"), True)


@test
def a_reservation_that_was_to_outlive_the_loss_of_power_is_there():
    # the initiators come back in any order
    target = iqn()
    other = Connection("192.0.2.1", 3260, name="iqn.2026-01.org.example:stranger",
                       timeout=60).login(target)
    for _ in range(3):
        other.finish(other.command(bytes(6), lun=3))
    keys = reserve_in(other, 0)
    check((int.from_bytes(keys[4:8], "big"), keys[8:16]), (8, KEY), "READ KEYS")
    held = reserve_in(other, 1)
    check((int.from_bytes(held[4:8], "big"), held[8:16], held[21]), (16, KEY, 3), "READ RESERVATION")
    status, _, _ = other.finish(other.command(other.write10(8, 1), write=bytes(512), lun=3))
    check(status, 0x18, "RESERVATION CONFLICT")
    other.close()


@test
def what_was_written_and_flushed_is_there():
    x = login()
    for _ in range(3):
        x.finish(x.command(bytes(6), lun=3))
    status, data, _ = x.finish(x.command(bytes([0x28, 0, 0, 0, 0, 8, 0, 0, len(DATA) // 512, 0]),
                                         read=len(DATA), lun=3))
    check((status, data == DATA), (0, True), "who holds the reservation reads on")
    check(reserve_out(x, 3, key=KEY), 0, "CLEAR")
    check(reserve_in(x, 0)[4:8], bytes(4))
    x.close()
    check("LIO" in serves(), True, serves())
    smi.wait_for("the session's end", lambda: not Client(server.addr, server.http, NS).names(
        "CIM_iSCSISession"))
    check(server.stop(), 0)


@test
def auto_takes_the_kernels_target_where_there_is_one():
    server.engine = "auto"
    server.start()
    check("(engine lio)" in server.ready, True, server.ready)
    check("engine lio: the Linux kernel's own target" in server.errors(), True, "the log")
    check("LIO" in serves(), True, serves())
    check(server.target_pid(), None)
    check(len(smi.iscsi_ls(A)), 1)
    server.kill()  # what is in the kernel goes on


@test
def the_other_engine_takes_the_place_of_what_was_left_in_the_kernel():
    check(len(smi.kernel_objects()) > 0, True, "left by the one that was killed")
    server.engine = "user"
    server.start()
    check(smi.kernel_objects(), [])
    check(list(smi.iscsi_ls(A).values()), [{(A, 7), (B, 7)}], "served by smiscsi-target")
    check("smiscsi-target" in serves(), True, serves())
    server.kill()


@test
def the_kernel_takes_the_place_of_a_smiscsi_target_that_still_runs():
    old = server.target_pid()
    check(old is not None, True, "smiscsi-target outlived smiscsid")
    server.engine = "auto"
    server.start()
    smi.wait_for("its end", lambda: not smi.alive(old))
    check(list(smi.iscsi_ls(A).values()), [{(A, 7), (B, 7)}])
    check(len(smi.kernel_objects()) > 0, True)
    check(server.stop(), 0)
    check(smi.kernel_objects(), [])


@test
def auto_without_the_right_to_write_is_user_and_says_why():
    d = smi.temp_dir()
    os.chown(d, 65534, 65534)
    other = smi.Server(portals=["192.0.2.1:3270"], state=d / "state", engine="auto", wrapper=[
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
        "--inh-caps=-all", "--bounding-set=-all"])
    other.start()
    check("(engine user)" in other.ready, True, other.ready)
    check("the kernel's target is not used: " in other.errors(), True, other.errors())
    check(other.target_pid() is not None, True)
    check(other.stop(), 0)


@test
def two_capabilities_are_enough_for_the_kernels_target():
    d = smi.temp_dir()
    os.chown(d, 65534, 65534)
    caps = "+dac_override,+net_admin"
    other = smi.Server(portals=[A], state=d / "state", engine="auto", wrapper=[
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
        f"--inh-caps=-all,{caps}", f"--ambient-caps=-all,{caps}", f"--bounding-set=-all,{caps}"])
    other.start()
    check("(engine lio)" in other.ready, True, other.ready + other.errors())
    other.cli("node", "create", "few")
    other.cli("port", "create", "few", "--portal", A)
    v = other.cli("volume", "create", "few", "1M").strip()
    other.cli("volume", "attach", v, "few")
    smi.run("iscsi-inq", f"iscsi://{A}/{iqn()}/0", ok=0)
    x = login()
    other.cli("portal", "unbind", "few,1", A)
    check(x.closed(), True, "drained")
    check(other.stop(), 0)


smi.main()
