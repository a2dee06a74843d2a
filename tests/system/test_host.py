#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host changes under us: addresses, links, ports taken, IPv6's duplicate address detection, the
host's name.  States follow, the configuration stays.  All of it in a network of this test's own,
which ends with it."""
import os, shutil, socket, subprocess, sys, time

MARK = "SMISCSI_OWN_NETWORK"
REASON = None
OWN_MACHINE = bool(os.environ.get("SMISCSI_IN_VM"))  # whose network is the kernel target's
if not os.environ.get(MARK) and not OWN_MACHINE:
    for how in (["--net", "--uts"], ["--user", "--map-root-user", "--net", "--uts"]):
        cmd = ["unshare", *how, "sh", "-c", "ip link set lo up && ip link add nic0 type veth peer name nic1"]
        if shutil.which("unshare") and shutil.which("ip") and \
                subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL).returncode == 0:
            os.execvpe("unshare", ["unshare", *how, "--kill-child", "--fork", sys.executable,
                                   *sys.argv], {**os.environ, MARK: "1"})
    REASON = "making a network namespace with a veth pair is not permitted here"

import smi
from cimclient import Client, Path
from initiator import Connection
from smi import NS, Skip, check, run, test, wait_for

NIC = "MSFTSMNET_EthernetPort"
IP = "MSFTSMNET_IPProtocolEndpoint"
NODE = "MSISCSITARGET_SCSIProtocolController"
PORT = "MSISCSITARGET_iSCSIProtocolEndpoint"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
BINDS = "MSISCSITARGET_BindsTo"
V4, V4B, V6 = "192.0.2.1", "198.51.100.2", "2001:db8::1"
OK, ERROR, STARTING, LOST, NO_CONTACT, DEPENDS, STOPPED = 2, 6, 8, 13, 12, 16, 10
server = c = peer = None
made = {}


def ip(*args):
    run("ip", *args, ok=0)


def there(*args):
    """ip, in the network at the other end of the cable."""
    run("nsenter", "-t", peer.pid, "-n", "ip", *args, ok=0)


def plug_in():
    ip("link", "add", "nic0", "type", "veth", "peer", "name", "nic1")
    ip("link", "set", "nic1", "netns", peer.pid)
    ip("link", "set", "nic0", "up")
    there("link", "set", "nic1", "up")
    ip("addr", "add", f"{V4}/24", "dev", "nic0")
    ip("addr", "add", f"{V4B}/24", "dev", "nic0")
    ip("addr", "add", f"{V6}/64", "dev", "nic0", "nodad")


def setup():
    global server, c, peer
    if REASON:
        raise Skip(REASON)
    if server:
        return
    ip("link", "set", "lo", "up")
    if OWN_MACHINE:
        run("ip", "link", "del", "eth0")
    peer = subprocess.Popen(["unshare", "--net", "sleep", "600"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
    smi.at_end(peer.kill)
    wait_for("the other end", lambda: os.readlink(f"/proc/{peer.pid}/ns/net") !=
             os.readlink("/proc/self/ns/net"))
    plug_in()
    socket.sethostname("first-name")
    server = smi.Server(portals=[]).start()
    c = Client(server.addr, server.http, NS)


def one(cls, key, value, ns=NS):
    return next((i for i in c.enum(cls) if i.get(key) == value), None)


def status(cls, key, value):
    i = one(cls, key, value)
    return i and i["OperationalStatus"]


def portal(address):
    return f"[{address}]:3260" if ":" in address else f"{address}:3260"


def bound(address):
    """Is the portal tied to its IP endpoint?"""
    return any(b.keys["Dependent"].keys["Name"] == portal(address) and
               b.keys["Antecedent"].keys["Name"] == address for b in c.names(BINDS))


def follows(what, cond):
    start = time.monotonic()
    wait_for(what, cond)
    print(f"# {what}: after {time.monotonic() - start:.2f} s")


def configuration():
    """All that a client has said, measurements left out."""
    out = set()
    for i in c.enum(NODE):
        out.add(("node", i["Name"], i["ElementName"], i["SystemName"]))
    for i in c.enum(PORT):
        if i["Role"] == 3:
            out.add(("port", i["Name"], i["Identifier"], i["RequestedState"]))
    for i in c.enum(PORTAL):
        if "[fe80:" not in i["Name"]:  # that is the interface's, and new with it
            out.add(("portal", i["Name"], i["PortNumber"], i["RequestedState"]))
    for b in c.names(BINDS):
        if b.keys["Antecedent"].cls == PORTAL:
            out.add(("binds", b.keys["Antecedent"].keys["Name"], b.keys["Dependent"].keys["Name"]))
    return out


def call(method, **p):
    return c.invoke(c.names("MSISCSITARGET_iSCSIConfigurationService")[0], method, **p)


def found(address):
    try:
        d = Connection(address, 3260).login(discovery=True)
    except OSError:
        return None
    # The kernel tells all it has, whichever portal it is asked through; the addresses are right.
    names = {n for n, to in d.send_targets()
             if not smi.KERNEL or portal(address) in {a.rsplit(",", 1)[0] for a in to}}
    d.close()
    return names


@test
def every_address_gets_a_portal_and_all_is_well():
    setup()
    for a in (V4, V4B, V6):
        follows(f"a portal at {a}", lambda: status(PORTAL, "Name", portal(a)) == [OK])
        check(status(IP, "Name", a), [OK], a)
        check(bound(a), True, f"{a} in BindsTo")
    check(status(NIC, "DeviceID", "nic0"), [OK])
    check(one(PORTAL, "Name", "127.0.0.1:3260"), None)
    r, out = call("CreateiSCSINode", Alias="host")
    check(r, 0)
    made["node"] = out["iSCSINode"]
    r, out = call("CreateiSCSIProtocolEndpoint", iSCSINode=made["node"], Role=3,
                  NetworkPortals=[Path(PORTAL, {"Name": portal(a)}) for a in (V4, V6)])
    check(r, 0, str(c.last_headers.get("WBEMMessage")))
    made["port"], made["iqn"] = out["iSCSIPort"], made["node"].keys["DeviceID"]
    for a in (V4, V6):
        check(found(a), {made["iqn"]})
    check(found(V4B), set())
    made["configuration"] = configuration()


def check_goes_and_comes(address, mask, more=()):
    before = made["configuration"]
    ip("addr", "del", f"{address}/{mask}", "dev", "nic0")
    follows(f"{address} gone", lambda: one(IP, "Name", address) is None)
    follows("its portal says so", lambda: status(PORTAL, "Name", portal(address)) == [LOST])
    check(bound(address), False, "BindsTo to an address that is gone")
    check(c.get(made["port"])["OperationalStatus"], [3], "degraded: the other portal serves")
    check(configuration(), before)
    ip("addr", "add", f"{address}/{mask}", "dev", "nic0", *more)
    follows(f"{address} back", lambda: status(PORTAL, "Name", portal(address)) == [OK])
    check(bound(address), True)
    follows("initiators find it again", lambda: found(address) == {made["iqn"]})
    check(c.get(made["port"])["OperationalStatus"], [OK])
    check(configuration(), before)


@test
def an_ipv4_address_vanishes_and_comes_back():
    setup()
    check_goes_and_comes(V4, 24)


@test
def an_ipv6_address_vanishes_and_comes_back():
    setup()
    check_goes_and_comes(V6, 64, ["nodad"])


@test
def a_portal_that_nobody_uses_goes_with_its_address():
    setup()
    ip("addr", "del", f"{V4B}/24", "dev", "nic0")
    follows("the portal gone", lambda: one(PORTAL, "Name", portal(V4B)) is None)
    ip("addr", "add", f"{V4B}/24", "dev", "nic0")
    follows("the portal back", lambda: status(PORTAL, "Name", portal(V4B)) == [OK])
    check(configuration(), made["configuration"])


@test
def no_port_on_a_portal_whose_address_has_left():
    setup()
    ip("addr", "del", f"{V4}/24", "dev", "nic0")
    follows("the portal without address",
            lambda: status(PORTAL, "Name", portal(V4)) == [LOST] and not bound(V4))
    r, out = call("CreateiSCSINode", Alias="late")
    late = out["iSCSINode"]
    check(call("CreateiSCSIProtocolEndpoint", iSCSINode=late, Role=3,
               NetworkPortals=[Path(PORTAL, {"Name": portal(V4)})]), (4101, {}))
    check("192.0.2.1" in c.last_headers.get("WBEMMessage", ""), True, "the sentence names it")
    r, out = call("CreateiSCSIProtocolEndpoint", iSCSINode=late, Role=3,
                  NetworkPortals=[Path(PORTAL, {"Name": portal(V6)})])
    check(r, 0)
    check(call("BindiSCSIProtocolEndPoint", iSCSIPort=out["iSCSIPort"],
               NetworkPortal=Path(PORTAL, {"Name": portal(V4)}))[0], 4097)
    check(call("DeleteiSCSINode", iSCSINode=late)[0], 0)
    ip("addr", "add", f"{V4}/24", "dev", "nic0")
    follows("the address back", lambda: status(PORTAL, "Name", portal(V4)) == [OK])
    check(configuration(), made["configuration"])


@test
def the_link_goes_down_and_up():
    setup()
    there("link", "set", "nic1", "down")
    follows("no carrier: the NIC", lambda: status(NIC, "DeviceID", "nic0") == [ERROR])
    follows("the IP endpoint", lambda: status(IP, "Name", V4) == [DEPENDS])
    follows("the portal", lambda: status(PORTAL, "Name", portal(V4)) == [DEPENDS])
    follows("the port", lambda: c.get(made["port"])["OperationalStatus"] != [OK])
    check(configuration(), made["configuration"])
    there("link", "set", "nic1", "up")
    for what, cond in (
            ("the NIC is well", lambda: status(NIC, "DeviceID", "nic0") == [OK]),
            ("the IP endpoint too", lambda: status(IP, "Name", V4) == [OK]),
            ("the portal too", lambda: status(PORTAL, "Name", portal(V4)) == [OK]),
            ("the port too", lambda: c.get(made["port"])["OperationalStatus"] == [OK])):
        follows(what, cond)
    # switched off on this side: IPv4 addresses stay, IPv6 ones leave
    ip("link", "set", "nic0", "down")
    follows("the NIC is off", lambda: status(NIC, "DeviceID", "nic0") != [OK] and
            one(NIC, "DeviceID", "nic0")["EnabledState"] == 3)
    follows("IPv6 left", lambda: status(PORTAL, "Name", portal(V6)) == [LOST])
    ip("link", "set", "nic0", "up")
    ip("addr", "add", f"{V6}/64", "dev", "nic0", "nodad")
    for a in (V4, V6):
        follows(f"{a} is well", lambda: status(PORTAL, "Name", portal(a)) == [OK])
    follows("the port is well", lambda: c.get(made["port"])["OperationalStatus"] == [OK])
    check(configuration(), made["configuration"])


@test
def an_interface_vanishes_and_comes_back():
    setup()
    ip("link", "del", "nic0")
    follows("the NIC gone", lambda: one(NIC, "DeviceID", "nic0") is None)
    for a in (V4, V6):
        follows(f"{a} gone", lambda: status(PORTAL, "Name", portal(a)) == [LOST] and not bound(a))
    check(one(PORTAL, "Name", portal(V4B)), None)
    check(6 in c.get(made["port"])["OperationalStatus"], True, "nobody can reach the port")
    there = {p._id() for p in c.names("CIM_ManagedElement")}
    for link in c.names("CIM_Dependency") + c.names("CIM_Component"):
        for end in link.keys.values():
            if end.ns in (None, NS):
                check(end._id() in there, True, f"an end of {link}")
    plug_in()
    for a in (V4, V4B, V6):
        follows(f"{a} is well", lambda: status(PORTAL, "Name", portal(a)) == [OK])
    check(found(V4), {made["iqn"]})
    check(configuration(), made["configuration"])


@test
def an_address_of_another_host_is_found_out():
    setup()
    twice = "2001:db8::77"
    if OWN_MACHINE:
        run("sysctl", "-w", "net.ipv6.conf.nic0.accept_dad=1", ok=0)
    if run("sysctl", "-n", "net.ipv6.conf.nic0.accept_dad")[1].strip() == "0":
        raise Skip("duplicate address detection is off here")
    there("addr", "add", f"{twice}/64", "dev", "nic1", "nodad")
    ip("addr", "add", f"{twice}/64", "dev", "nic0")
    follows("the duplicate", lambda: any(
        i["Name"] == twice and i["OperationalStatus"] == [ERROR] for i in c.enum(IP)))
    check(status(PORTAL, "Name", portal(twice)) != [OK], True, "its portal is not well")
    ip("addr", "del", f"{twice}/64", "dev", "nic0")
    there("addr", "del", f"{twice}/64", "dev", "nic1")
    follows("it is gone", lambda: one(IP, "Name", twice) is None)
    follows("its portal too", lambda: one(PORTAL, "Name", portal(twice)) is None)
    ip("addr", "add", f"{twice}/64", "dev", "nic0")
    follows("detection is over", lambda: status(PORTAL, "Name", portal(twice)) == [OK])
    ip("addr", "del", f"{twice}/64", "dev", "nic0")
    follows("it is gone again", lambda: one(PORTAL, "Name", portal(twice)) is None)
    check(configuration(), made["configuration"])


@test
def a_port_that_another_process_has_is_said_and_taken_when_free():
    setup()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND: there before the address is
        s.bind(("203.0.113.9", 3260))
        s.listen()
        ip("addr", "add", "203.0.113.9/24", "dev", "nic0")
        follows("the portal says so", lambda: status(PORTAL, "Name", "203.0.113.9:3260") == [ERROR])
        words = one(PORTAL, "Name", "203.0.113.9:3260")["StatusDescriptions"]
        check("another process" in words[0], True, str(words))
        r, _ = call("CreateiSCSIProtocolEndpoint", iSCSINode=made["node"], Role=3,
                    NetworkPortals=[Path(PORTAL, {"Name": "203.0.113.9:3260"})])
        check(r, 4, "nobody can listen there")
        check({x for x in configuration() - made["configuration"] if x[0] != "portal"}, set())
    follows("it listens when it can", lambda: status(PORTAL, "Name", "203.0.113.9:3260") == [OK])
    ip("addr", "del", "203.0.113.9/24", "dev", "nic0")
    follows("gone", lambda: one(PORTAL, "Name", "203.0.113.9:3260") is None)
    check(configuration(), made["configuration"])


@test
def the_hosts_name_is_not_its_identity():
    setup()
    before = {i["SystemName"] for i in c.enum(NODE)}
    socket.sethostname("second-name")
    server.kill()
    server.start()
    check(configuration(), made["configuration"])
    check({i["SystemName"] for i in c.enum(NODE)}, before)
    system = c.enum("MSFTSM_ComputerSystem")[0]
    check({system["Name"]}, before)


@test
def killed_while_the_network_changes():
    setup()
    target = server.target_pid()
    for i in range(2 if smi.KERNEL else 5):
        server.kill()
        ip("addr", "del", f"{V4}/24", "dev", "nic0")
        if i % 2:
            there("link", "set", "nic1", "down")
        check(found(V6), {made["iqn"]}) if not i % 2 else None
        server.start()
        follows("what went while nobody looked",
                lambda: status(PORTAL, "Name", portal(V4)) == [LOST] and not bound(V4))
        check(configuration() >= {x for x in made["configuration"] if V4B not in str(x)}, True)
        server.kill()
        ip("addr", "add", f"{V4}/24", "dev", "nic0")
        there("link", "set", "nic1", "up")
        server.start()
        follows("what came", lambda: status(PORTAL, "Name", portal(V4)) == [OK] and bound(V4))
        check(configuration(), made["configuration"])
        follows("initiators find it", lambda: found(V4) == {made["iqn"]})
    check(server.target_pid(), target, "the target went on")
    check(server.stop(), 0)


smi.main()
