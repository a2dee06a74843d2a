#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who else is there: targets of other tools, several sessions of one initiator, portals on link-local
addresses."""
import json, os, pathlib, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import CimError, Client
from initiator import Connection
from smi import NS, check, test, wait_for

ISCSI, CORE = smi.CONFIGFS / "iscsi", smi.CONFIGFS / "core"
A, B, EVERY = "192.0.2.1:3260", "192.0.2.1:3261", "192.0.2.1:3299"
NODE = "MSISCSITARGET_SCSIProtocolController"
FOREIGN = "MSISCSITARGET_ForeignElement"
HAND = "iqn.2026-01.org.example:by-hand"
THEIRS = "iqn.2026-11.net.smiscsi:theirs"  # what CreateiSCSINode would make of an alias
made = {}


def link_local():
    for line in pathlib.Path("/proc/net/if_inet6").read_text().splitlines():
        text, _, _, scope, _, name = line.split()
        if scope == "20" and name == "eth0":
            import ipaddress
            return f"{ipaddress.IPv6Address(bytes.fromhex(text))}%eth0"
    raise AssertionError("eth0 has no link-local address")


def make_target(iqn, portal, store=None):
    tpg = ISCSI / iqn / "tpgt_1"
    tpg.mkdir(parents=True)
    (tpg / "np" / portal).mkdir()
    if store:
        (tpg / "lun/lun_0").mkdir()
        os.symlink(store, tpg / "lun/lun_0/x")
        (tpg / "enable").write_text("1\n")


def drop_target(iqn):
    tpg = ISCSI / iqn / "tpgt_1"
    (tpg / "enable").write_text("0\n")
    for lun in tpg.glob("lun/lun_*"):
        (lun / "x").unlink()
        lun.rmdir()
    for np in (tpg / "np").iterdir():
        np.rmdir()
    tpg.rmdir()
    (ISCSI / iqn).rmdir()


os.makedirs(ISCSI, exist_ok=True)
store = CORE / "fileio_99" / "theirs"
store.mkdir(parents=True)
(store / "control").write_text("fd_dev_name=/tmp/theirs,fd_dev_size=1048576\n")
(store / "enable").write_text("1\n")
make_target(HAND, A, store)  # they share a portal with us
make_target("iqn.2026-01.org.example:everywhere", "0.0.0.0:3299")
server = smi.Server(portals=[A, B, EVERY]).start()
c = Client(server.addr, server.http, NS)


def login(portal, target, i=0, **more):
    host, port = portal.rsplit(":", 1)
    return Connection(host.strip("[]"), int(port), isid=b"\x80%05d" % i, timeout=60,
                      **more).login(target)


def sessions():
    return c.enum("MSISCSITARGET_iSCSISession")


# ---- what others have made ----

@test
def what_others_have_made_is_shown():
    have = {i["Name"]: i for i in c.enum(FOREIGN)}
    check(set(have), {HAND, "iqn.2026-01.org.example:everywhere", "fileio_99/theirs"})
    i = have[HAND]
    check((i["ElementKind"], i["Serves"], i["NetworkPortals"], i["BackingStores"]),
          (2, True, [f"{A},1"], ["fileio_99/theirs"]))
    i = have["fileio_99/theirs"]
    check((i["ElementKind"], i["Serves"], i["Path"]), (3, True, "/tmp/theirs"))
    check(have["iqn.2026-01.org.example:everywhere"]["Serves"], False)
    check(c.get(have[HAND].path)["Name"], HAND)
    listed = server.cli("foreign", "list")
    check(HAND in listed and A in listed and "/tmp/theirs" in listed, True, listed)
    check({j["Name"] for j in json.loads(server.cli("foreign", "list", "--json"))}, set(have))


@test
def they_are_not_offered_for_configuration():
    check([i["Name"] for i in c.enum("CIM_SCSIProtocolController")], [])
    check(c.walk("References", next(i.path for i in c.enum(FOREIGN))), [], "no association")
    for change in (lambda p: c.delete(p), lambda p: c.modify(p, {"Serves": False}),
                   lambda p: c.create(FOREIGN, {"InstanceID": "smiscsi:foreign:x"})):
        try:
            change(next(i.path for i in c.enum(FOREIGN)))
        except CimError as e:
            check(e.code in (7, 2), True, f"{e.code} {e}")
        else:
            raise AssertionError("it was changed")


@test
def a_name_that_others_have_is_refused_and_not_made():
    try:
        c.create(NODE, {"Name": HAND})
    except CimError as e:
        check(e.code, 11, "CIM_ERR_ALREADY_EXISTS")
        check("another tool has made a target" in str(e), True, str(e))
    else:
        raise AssertionError("it was made")
    name = server.cli("node", "create", "theirs").strip()
    server.cli("node", "delete", "theirs")
    make_target(name, "192.0.2.1:3777")
    wait_for("it to be seen", lambda: name in {i["Name"] for i in c.enum(FOREIGN)})
    other = server.cli("node", "create", "theirs").strip()
    check(other != name and other.startswith(name), True, other)
    server.cli("node", "delete", "theirs")
    drop_target(name)
    wait_for("it to be gone", lambda: name not in {i["Name"] for i in c.enum(FOREIGN)})


@test
def a_portal_on_every_address_of_others_is_said_with_whose_it_is():
    p = next(i for i in c.enum("MSISCSITARGET_TCPProtocolEndpoint") if i["Name"] == EVERY)
    said = " ".join(p["StatusDescriptions"])
    check("iqn.2026-01.org.example:everywhere" in said and "0.0.0.0:3299" in said, True, said)
    made["iqn"] = server.cli("node", "create", "n").strip()
    err = server.cli_fails("port", "create", "n", "--portal", EVERY)
    check("(4)" in err and "iqn.2026-01.org.example:everywhere" in err, True, err)
    # an address and port of theirs can be shared
    server.cli("port", "create", "n", "--portal", A, "--tag", "1")
    check(set(smi.iscsi_ls(A)) >= {made["iqn"], HAND}, True)
    drop_target("iqn.2026-01.org.example:everywhere")
    wait_for("the portal to listen", lambda: next(
        i for i in c.enum("MSISCSITARGET_TCPProtocolEndpoint")
        if i["Name"] == EVERY)["OperationalStatus"] == [2], 20)


# ---- several sessions of one initiator ----

def awake():
    """The kernel ends sessions whose initiator does not answer its pings for a while."""
    for x in made["many"]:
        x.test_unit_ready()
    return True


def count_is(n):
    wait_for(f"{n} sessions", lambda: awake() and len(sessions()) == n, 30)


def told():
    return sorted((i["TSIH"] or 0) for i in sessions())


@test
def every_session_of_one_initiator_counts():
    server.cli("volume", "create", "v", "1M")
    server.cli("volume", "attach", "v", "n")
    made["many"] = [login(A, made["iqn"], i) for i in range(4)]
    count_is(4)
    check(len(c.enum("MSISCSITARGET_iSCSIConnection")), 4)
    check({i["ElementName"].split(",")[0] for i in sessions()}, {made["many"][0].name})


@test
def those_that_were_seen_before_the_next_came_are_shown_whole():
    for i in range(4, 6):
        made["many"].append(login(A, made["iqn"], i))
        wait_for("it to be told whole", lambda: awake() and made["many"][-1].tsih in told())
    check(made["many"][-2].tsih in told(), True, f"{made['many'][-2].tsih} in {told()}")
    check(len(sessions()), 6)


@test
def those_that_end_go_and_the_others_stay():
    many = made["many"]
    many.pop(1).logout()
    count_is(5)
    many.pop().close()  # the newest
    count_is(4)
    err = server.cli_fails("node", "delete", "n")
    check("(4097)" in err, True, err)


@test
def a_restart_finds_as_many():
    server.kill()
    server.start()
    count_is(4)


@test
def a_node_is_free_when_the_last_has_gone():
    while len(made["many"]) > 1:
        made["many"].pop().logout()
    count_is(1)
    err = server.cli_fails("node", "delete", "n")
    check("(4097)" in err, True, err)
    made["many"].pop().logout()
    server.cli("node", "delete", "n")
    check(sessions(), [])


# ---- link-local ----

@test
def a_link_local_portal_serves_and_lets_go():
    address = link_local()
    portal = f"[{address}]:3260"
    server.cli("portal", "create", portal)
    target = server.cli("node", "create", "link").strip()
    server.cli("port", "create", "link", "--portal", portal, "--portal", B, "--tag", "5")
    check((ISCSI / target / "tpgt_5/np" / portal).is_dir(), True)
    shown = server.cli("portal", "list")
    check(portal in shown, True, shown)
    server.cli("volume", "attach", "v", "link", "--lun", "0")
    x, stays = made["many"] = [login(portal, target), login(B, target, 1)]
    wait_for("both sessions", lambda: awake() and len(sessions()) == 2, 30)
    server.cli("portal", "unbind", "link,5", portal)
    check((ISCSI / target / "tpgt_5/np" / portal).exists(), False)
    check(x.closed(), True, "drained")
    made["many"].remove(x)
    count_is(1)
    server.cli("portal", "bind", "link,5", portal)
    again = login(portal, target, 2)
    again.test_unit_ready()
    again.logout()
    stays.logout()
    server.cli("portal", "unbind", "link,5", portal)
    server.cli("portal", "delete", portal)
    wait_for("it not to listen", lambda: not any(
        p.name == portal for p in ISCSI.glob("*/tpgt_*/np/*")))
    # One that has come and gone before anybody looked counts as long as the kernel counts it.
    wait_for("the kernel to have put it away", lambda: smi.kernel_sessions(target) == 0)
    server.cli("node", "delete", "link")


@test
def what_is_others_is_as_it_was():
    check((ISCSI / HAND / "tpgt_1/np" / A).is_dir(), True)
    check((ISCSI / HAND / "tpgt_1/enable").read_text(), "1\n")
    check((A, 1) in smi.iscsi_ls(A)[HAND], True)
    check(server.stop(), 0)
    check((ISCSI / HAND / "tpgt_1/np" / A).is_dir(), True)
    drop_target(HAND)
    store.rmdir()
    store.parent.rmdir()


smi.main()
