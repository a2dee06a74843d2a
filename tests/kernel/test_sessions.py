#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is done under live sessions of the kernel's target, and what others do to the kernel behind
our back."""
import os, pathlib, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import Client
from initiator import Connection
from smi import NS, check, test, wait_for

ISCSI, CORE = smi.CONFIGFS / "iscsi", smi.CONFIGFS / "core"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
A, B, C = "192.0.2.1:3260", "192.0.2.1:3261", "[2001:db8::1]:3260"
HAND = "iqn.2026-01.org.example:by-hand"
made = {}


def by_hand():
    """A target and a backstore of somebody else's."""
    (ISCSI / HAND / "tpgt_1").mkdir(parents=True)
    (ISCSI / HAND / "tpgt_1/np" / "127.0.0.1:3999").mkdir()
    hba = CORE / "fileio_99" / "theirs"
    hba.mkdir(parents=True)
    (hba / "control").write_text("fd_dev_name=/tmp/theirs,fd_dev_size=1048576\n")
    (hba / "enable").write_text("1\n")
    (ISCSI / HAND / "tpgt_1/lun/lun_0").mkdir()
    os.symlink(hba, ISCSI / HAND / "tpgt_1/lun/lun_0/x")
    (ISCSI / HAND / "tpgt_1/enable").write_text("1\n")


def theirs():
    """All of it, with what the attributes say."""
    out = {}
    for root in (ISCSI / HAND, CORE / "fileio_99"):
        for p in sorted(root.rglob("*")):
            if p.is_symlink() or p.is_dir():
                out[str(p)] = os.readlink(p) if p.is_symlink() else "folder"
    for p in ("tpgt_1/enable", "tpgt_1/attrib/authentication", "tpgt_1/attrib/generate_node_acls"):
        out[p] = (ISCSI / HAND / p).read_text()
    return out


os.makedirs(ISCSI, exist_ok=True)
by_hand()
made["theirs"] = theirs()
server = smi.Server(portals=[A, B, C]).start()
c = Client(server.addr, server.http, NS)
iqn = server.cli("node", "create", "live").strip()
tree = ISCSI / iqn


def split(portal):
    host, port = portal.rsplit(":", 1)
    return host.strip("[]"), int(port)


def login(portal, i=0, **more):
    return Connection(*split(portal), isid=b"\x80%05d" % i, timeout=60, **more).login(iqn)


def sense(x, cdb):
    """(status, key, asc, ascq)."""
    status, _, p = x.finish(x.command(cdb))
    d = p.data[2:]
    return (status, d[2] & 15, d[12], d[13]) if status == 2 else (status, 0, 0, 0)


def write(x, lba, data):
    status, _, p = x.finish(x.command(x.write10(lba, len(data) // 512), write=data))
    check(status, 0, f"write: {p.data.hex()}")


def log_says(words):
    return words in server.errors()


@test
def two_groups_of_one_target_reach_the_same_data():
    server.cli("group", "create", "east")
    server.cli("portal", "move", B, "east")
    server.cli("port", "create", "live", "--portal", A, "--tag", "1")
    server.cli("port", "create", "live", "--portal", B, "--tag", "2")
    server.cli("portal", "bind", "live,1", C)
    volume = made["volume"] = server.cli("volume", "create", "v", "16M").strip()
    server.cli("volume", "attach", volume, "live", "--lun", "0")
    found = smi.iscsi_ls(A)[iqn]
    check(found, {(A, 1), (C, 1), (B, 2)})
    one, two = login(A, 1), login(B, 2)
    check((one.tsih > 0, dict(one.answers)["TargetPortalGroupTag"],
           dict(two.answers)["TargetPortalGroupTag"]), (True, "1", "2"))
    for x in (one, two):
        x.test_unit_ready()
    data = os.urandom(32 << 10)
    for lba in range(0, 1024, 64):
        write(one, lba, data)
    for lba in range(0, 1024, 64):
        check(two.read(lba, 64) == data, True, f"block {lba} through the other group")
    wait_for("both sessions in CIM", lambda: len(c.enum("CIM_iSCSISession")) == 2)
    check({i["TSIH"] for i in c.enum("CIM_iSCSISession")}, {one.tsih, two.tsih})
    made["one"], made["two"] = one, two


@test
def a_node_that_is_logged_in_to_is_not_deleted():
    err = server.cli_fails("node", "delete", "live")
    check("(4097)" in err, True, err)
    check(tree.is_dir(), True)
    check(made["one"].read(0, 1) is not None, True)


@test
def mapping_and_unmapping_is_a_unit_attention_and_nobody_is_logged_out():
    one = made["one"]
    check(sense(one, bytes(6)), (0, 0, 0, 0))
    extra = server.cli("volume", "create", "extra", "1M").strip()
    server.cli("volume", "attach", extra, "live", "--lun", "5")
    check(sense(one, bytes(6)), (2, 6, 0x3F, 0x0E), "REPORTED LUNS DATA HAS CHANGED")
    check(sense(one, bytes(6)), (0, 0, 0, 0))
    server.cli("volume", "detach", extra, "live")
    check(sense(one, bytes(6)), (2, 6, 0x3F, 0x0E), "and again")
    check(sense(one, bytes(6)), (0, 0, 0, 0))
    server.cli("volume", "delete", extra)


@test
def the_kernels_counters_are_shown():
    def counters(kind):
        return {i["ElementName"]: i for i in c.enum(f"MSISCSITARGET_iSCSI{kind}Statistics")}

    def logins():
        i = counters("Login")["live"]
        return int(i["SuccessfulLogins"]), int(i["NormalLogouts"])

    was = logins()
    check(was[0] >= 2, True, f"two are logged in, {was} counted")
    other = "iqn.2026-01.org.example:counted"  # the kernel counts by initiator
    x = login(A, 9, name=other)
    x.test_unit_ready()
    for _ in range(4):
        x.read(0, 64)
    wait_for("the third session in CIM", lambda: len(c.enum("CIM_iSCSISession")) == 3)

    def moved():
        i, = (i for name, i in counters("Session").items() if name.startswith(other + ","))
        return i["BytesTransmitted"], i["CommandPDUsTransferred"]

    wait_for("its counters", lambda: moved() == (4 * 64 * 512, x.cmd_sn - 1))
    x.logout()
    wait_for("one login and one logout more", lambda: logins() == (was[0] + 1, was[1] + 1))


@test
def a_portal_that_is_removed_drains_its_sessions_and_no_others():
    one, two = made["one"], made["two"]
    two.test_unit_ready()  # which also hears of the mapping that came and went
    start = time.monotonic()
    server.cli("portal", "unbind", "live,1", A)
    took = time.monotonic() - start
    check(A in {a for a, _ in smi.iscsi_ls(B).get(iqn, ())}, False, "told no more")
    check(one.closed(), True, "the connection through it")
    print(f"# asked for in {took:.1f} s, closed after {time.monotonic() - start:.1f} s")
    two.read(0, 1)
    wait_for("one session in CIM", lambda: len(c.enum("CIM_iSCSISession")) == 1)
    server.cli("portal", "bind", "live,1", A)
    again = login(A, 3)
    again.test_unit_ready()
    made["one"] = again


@test
def what_others_do_to_our_objects_is_put_right_and_said():
    tpg = tree / "tpgt_1"
    (tpg / "np" / A).rmdir()
    wait_for("the portal to be back", lambda: (tpg / "np" / A).is_dir(), 20)
    (tree / "tpgt_2/enable").write_text("0\n")
    wait_for("the group to be on", lambda: (tree / "tpgt_2/enable").read_text() == "1\n", 20)
    check(log_says("the kernel differed from the configuration"), True, "the log")
    made["one"].close()
    made["one"] = login(A, 4)
    made["one"].test_unit_ready()


@test
def kill_9_and_a_change_meanwhile():
    two = made["two"] = login(B, 5)
    two.test_unit_ready()
    server.kill()
    two.read(0, 8)
    (tree / "tpgt_1/np" / C).rmdir()
    server.start()
    check((tree / "tpgt_1/np" / C).is_dir(), True, "put right before the first client is answered")
    two.read(0, 8)
    check("[OK]" in server.cli("show"), True)
    wait_for("its sessions in CIM", lambda: two.tsih in {
        i["TSIH"] for i in c.enum("CIM_iSCSISession")})


@test
def objects_of_others_are_untouched():
    check(theirs(), made["theirs"])
    check(log_says(f"target {HAND} in the kernel is another tool's"), True, "the log")
    for x in (made["one"], made["two"]):
        x.close()

    def gone():
        return smi.run(smi.BUILD / "smiscsi", "--url", server.url, "node", "delete", "live")[0] == 0

    wait_for("the node to be free", gone, 20)
    check(tree.exists(), False)
    check(server.stop(), 0)
    check(theirs(), made["theirs"], "after the end, too")
    t = ISCSI / HAND / "tpgt_1"
    (t / "enable").write_text("0\n")
    (t / "lun/lun_0/x").unlink()
    for p in (t / "lun/lun_0", t / "np/127.0.0.1:3999", t, ISCSI / HAND, CORE / "fileio_99/theirs",
              CORE / "fileio_99"):
        p.rmdir()


smi.main()
