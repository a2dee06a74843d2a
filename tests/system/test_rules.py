#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The iSCSI configuration service over CIM-XML, against a real target: every return code in its
documented order, what exists afterwards, and what initiators see at once."""
import smi
from cimclient import CimError, Client, Path
from initiator import Connection
from smi import NS, check, iscsi_ls, test

NODE = "MSISCSITARGET_SCSIProtocolController"
PORT = "MSISCSITARGET_iSCSIProtocolEndpoint"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
GROUP = "MSISCSITARGET_SystemSpecificCollection"
IP = "MSFTSMNET_IPProtocolEndpoint"
BINDS = "MSISCSITARGET_BindsTo"

server = smi.Server(portals=3).start()
c = Client(server.addr, server.http, NS)
service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]


def call(method, **p):
    return c.invoke(service, method, **p)


def code(method, **p):
    r, out = call(method, **p)
    if r:
        check(out, {}, f"{method} refused with {r}: output parameters")
        if not c.last_headers.get("WBEMMessage"):
            raise AssertionError(f"{method} refused with {r} without a sentence")
    return r


def node(alias):
    r, out = call("CreateiSCSINode", Alias=alias)
    check(r, 0, f"CreateiSCSINode {alias}")
    return out["iSCSINode"]


def port(n, *portals, **p):
    r, out = call("CreateiSCSIProtocolEndpoint", iSCSINode=n, Role=3, NetworkPortals=list(portals),
                  **p)
    check(r, 0, f"CreateiSCSIProtocolEndpoint on {n}: {c.last_headers.get('WBEMMessage')}")
    return out["iSCSIPort"]


def portal(i):
    return next(p for p in c.names(PORTAL) if p.keys["Name"] == server.portal(i))


def gone(p):
    return Path(p.cls, {**p.keys, "Name" if "Name" in p.keys else "DeviceID": "gone"}, p.ns)


@test
def nodes_are_made_with_an_alias_that_nobody_else_has():
    n = node("rules one")
    i = c.get(n)
    check(i["ElementName"], "rules one")
    check(i["NameFormat"], 3)
    check(i["Name"], n.keys["DeviceID"])
    check(code("CreateiSCSINode", Alias="rules one"), 4097)
    check(code("CreateiSCSINode"), 5)
    check(code("CreateiSCSINode", Alias=""), 5)
    check(code("CreateiSCSINode", Alias="x" * 129), 5)
    check(code("CreateiSCSINode", Alias="tab\there"), 5)
    # NFC: o + combining diaeresis is the same alias as o-umlaut
    node("k\u00f6nig")
    check(code("CreateiSCSINode", Alias="ko\u0308nig"), 4097)


@test
def a_client_may_bring_its_own_iqn():
    p = c.create(NODE, {"Name": "iqn.2026-11.org.example:Own.Node", "ElementName": "own"})
    check(p.keys["DeviceID"], "iqn.2026-11.org.example:own.node")
    for props, want in (({"Name": "iqn.2026-11.org.example:OWN.node"}, 11),
                        ({"Name": "foo"}, 4), ({"Name": "iqn.2026-11.org.example:b\u00df_x y"}, 4)):
        try:
            c.create(NODE, props)
            raise AssertionError(f"{props} was accepted")
        except CimError as e:
            check(e.code, want, str(props))


@test
def ports_are_checked_in_the_documented_order():
    n, other = node("order"), node("order other")
    p0, p1 = portal(0), portal(1)
    full = dict(iSCSINode=n, Role=3, NetworkPortals=[p0])
    m = "CreateiSCSIProtocolEndpoint"
    check(code(m, Role=3, NetworkPortals=[p0]), 5, "no node")
    check(code(m, **{**full, "iSCSINode": p0}), 5, "node of the wrong class")
    check(code(m, **{**full, "iSCSINode": gone(n)}), 4096, "node missing")
    check(code(m, **{**full, "iSCSINode": gone(n), "Role": 9}), 4096, "the node comes first")
    check(code(m, **{**full, "Role": 4}), 5, "role neither 2 nor 3")
    check(code(m, iSCSINode=n, NetworkPortals=[p0]), 5, "no role")
    check(code(m, **{**full, "Role": 2}), 4097, "initiator role on a target node")
    for bad in ("1", "00000000000G", "0000000000001", "000000010000"):
        check(code(m, **full, Identifier=bad), 5, f"identifier {bad}")
    first = port(n, p0, Identifier="00000000000a")
    check(c.get(first)["Identifier"], "00000000000A")
    check(code(m, iSCSINode=n, Role=3, Identifier="00000000000A", NetworkPortals=[p1]), 4098)
    check(code(m, iSCSINode=n, Role=3), 5, "no portals")
    check(code(m, iSCSINode=n, Role=3, NetworkPortals=[p1, p1]), 5, "a portal twice")
    check(code(m, iSCSINode=n, Role=3, NetworkPortals=[gone(p1)]), 4100)
    ip = next(i for i in c.names(IP) if i.keys["Name"] == server.portals[1])
    check(code(m, iSCSINode=n, Role=3, NetworkPortals=[ip]), 5, "an IP endpoint for a target port")
    check(code(m, iSCSINode=n, Role=3, NetworkPortals=[p0]), 4102)
    g = c.create(GROUP, {"ElementName": "order group"})
    c.create("MSISCSITARGET_MemberOfCollection", {"Collection": g, "Member": portal(2)})
    check(code(m, iSCSINode=other, Role=3, NetworkPortals=[p1, portal(2)]), 4103)
    # the lowest free tag from 1
    second = port(n, p1)
    check(c.get(second)["Identifier"], "000000000001")
    check(c.get(second)["Name"], f"{n.keys['DeviceID']},t,0x0001")
    default = next(x for x in c.enum(GROUP) if x["ElementName"] == "default").path
    c.create("MSISCSITARGET_MemberOfCollection", {"Collection": default, "Member": portal(2)})
    c.delete(g)


@test
def a_new_port_stands_in_all_its_associations():
    n = node("associations")
    p = port(n, portal(0), portal(1))
    i = c.get(p)
    check((i["Role"], i["ConnectionType"], i["ProtocolIFType"], i["OtherTypeDescription"]),
          (3, 7, 1, "iSCSI"))
    check({x.keys["Name"] for x in c.walk("AssociatorNames", p, AssocClass="CIM_BindsTo",
                                           Role="Dependent")},
          {server.portal(0), server.portal(1)})
    check([x.keys["DeviceID"] for x in c.walk("AssociatorNames", p,
                                              AssocClass="CIM_SAPAvailableForElement")],
          [n.keys["DeviceID"]])
    hosts = c.walk("AssociatorNames", p, AssocClass="CIM_HostedAccessPoint")
    check([h.cls for h in hosts], ["MSFTSM_ComputerSystem"])
    check(hosts[0].keys["Name"], i["SystemName"])
    seen = iscsi_ls(server.portal(0))[n.keys["DeviceID"]]
    check({t for _, t in seen}, {1})


@test
def binding_follows_its_rules_and_is_seen_at_once():
    n, n2 = node("bind"), node("bind two")
    p = port(n, portal(0))
    iqn = n.keys["DeviceID"]
    m = "BindiSCSIProtocolEndPoint"
    check(iqn in iscsi_ls(server.portal(0)), True, "seen where it is bound")
    check(iqn in iscsi_ls(server.portal(1)), False, "not seen where it is not")
    check(code(m, NetworkPortal=portal(1)), 5)
    check(code(m, iSCSIPort=p), 5)
    check(code(m, iSCSIPort=n, NetworkPortal=portal(1)), 5)
    check(code(m, iSCSIPort=gone(p), NetworkPortal=portal(1)), 4096)
    check(code(m, iSCSIPort=p, NetworkPortal=gone(portal(1))), 4096)
    ip = next(i for i in c.names(IP) if i.keys["Name"] == server.portals[1])
    check(code(m, iSCSIPort=p, NetworkPortal=ip), 5)
    check(code(m, iSCSIPort=p, NetworkPortal=portal(1)), 0)
    check(code(m, iSCSIPort=p, NetworkPortal=portal(1)), 0, "bound already: nothing changes")
    check(iqn in iscsi_ls(server.portal(1)), True, "seen as soon as bound")
    other = port(n, portal(2), Identifier="000000000007")
    check(code(m, iSCSIPort=other, NetworkPortal=portal(0)), 4098)
    q = port(n2, portal(0))
    check(code(m, iSCSIPort=q, NetworkPortal=portal(1)), 0, "a portal serves many nodes")
    g = c.create(GROUP, {"ElementName": "bind group"})
    extra = c.create(PORTAL, {"Name": f"{server.portals[0]}:4000"})
    c.create("MSISCSITARGET_MemberOfCollection", {"Collection": g, "Member": extra})
    check(code(m, iSCSIPort=q, NetworkPortal=extra), 4099)
    # the reverse
    b = next(x for x in c.names(BINDS) if x.keys["Dependent"].keys.get("Name") ==
             p.keys["Name"] and x.keys["Antecedent"].keys["Name"] == server.portal(1))
    c.delete(b)
    check(iqn in iscsi_ls(server.portal(1)), False, "gone as soon as unbound")
    check(n2.keys["DeviceID"] in iscsi_ls(server.portal(1)), True, "the other node stays")
    lower = next(x for x in c.names(BINDS) if x.keys["Antecedent"].cls == IP)
    try:
        c.delete(lower)
        raise AssertionError("the address's own BindsTo was deleted")
    except CimError as e:
        check(e.code, 7)
    try:
        c.delete(b)
        raise AssertionError("deleted twice")
    except CimError as e:
        check(e.code, 6)
    c.delete(extra)
    c.delete(g)


@test
def a_node_is_in_use_exactly_as_long_as_somebody_is_logged_in():
    """No waiting: what an initiator knows of its own login and logout holds at once."""
    for i in range(5 if smi.KERNEL else 25):
        n = node(f"in use {i}")
        port(n, portal(0))
        x = Connection(server.portals[0], 3260, isid=b"\x80%05d" % i).login(n.keys["DeviceID"])
        if i % 2:
            x.nop()
        check(code("DeleteiSCSINode", iSCSINode=n), 4097)
        try:
            c.delete(n)
            raise AssertionError("deleted")
        except CimError as e:
            check(e.code, 1, e.text)
        x.logout(*((1, 0) if i % 3 == 0 else ()))
        if smi.KERNEL:  # it answers the logout first and ends the session a moment later
            smi.wait_for("the node to be free", lambda: code("DeleteiSCSINode", iSCSINode=n) == 0)
        elif i % 5:
            check(code("DeleteiSCSINode", iSCSINode=n), 0, f"round {i}: {c.last_headers.get('WBEMMessage')}")
        else:
            c.delete(n)
        check(c.names("CIM_iSCSISession"), [])
        x.close()


@test
def deleting_a_node_takes_its_ports_and_associations_along():
    n = node("delete")
    p = port(n, portal(0))
    check(code("DeleteiSCSINode"), 5)
    check(code("DeleteiSCSINode", iSCSINode=p), 5)
    check(code("DeleteiSCSINode", iSCSINode=gone(n)), 4096)
    check(code("DeleteiSCSINode", iSCSINode=n), 0)
    check(n in c.names(NODE), False)
    check(p in c.names(PORT), False)
    check([b for b in c.names(BINDS) if b.keys["Dependent"] == p], [])
    check(n.keys["DeviceID"] in iscsi_ls(server.portal(0)), False)
    check(code("DeleteiSCSIProtocolEndpoint", iSCSIPort=p), 4096)
    check(code("DeleteiSCSIProtocolEndpoint"), 5)
    check(code("DeleteiSCSIProtocolEndpoint", iSCSIPort=n), 5)


@test
def a_reference_may_leave_out_keys_as_long_as_it_names_one_object():
    n = node("abbreviated")
    short_node = Path(NODE, {"DeviceID": n.keys["DeviceID"]})
    short_portal = Path(PORTAL, {"Name": server.portal(0)})
    r, out = call("CreateiSCSIProtocolEndpoint", iSCSINode=short_node, Role=3,
                  NetworkPortals=[short_portal])
    check(r, 0)
    check(out["iSCSIPort"].keys["Name"], f"{n.keys['DeviceID']},t,0x0001")
    check(code("DeleteiSCSIProtocolEndpoint",
               iSCSIPort=Path(PORT, {"Name": out["iSCSIPort"].keys["Name"]})), 0)


@test
def portals_and_groups_are_made_and_deleted_by_intrinsic_operations():
    def refused(want, fn, *a):
        try:
            fn(*a)
        except CimError as e:
            check(e.code, want, f"{a}: {e.text}")
            return e.text
        raise AssertionError(f"{a} was not refused")

    p = c.create(PORTAL, {"Name": f"{server.portals[0]}:3999"})
    i = c.get(p)
    check(i["PortNumber"], 3999)
    check(i["ProtocolIFType"], 4111)
    check([x.keys["Name"] for x in c.walk("AssociatorNames", p, AssocClass="CIM_BindsTo",
                                          Role="Dependent")], [server.portals[0]])
    groups = c.walk("Associators", p, AssocClass="CIM_MemberOfCollection")
    check([g["ElementName"] for g in groups], ["default"])
    refused(11, c.create, PORTAL, {"Name": f"{server.portals[0]}:3999"})
    refused(4, c.create, PORTAL, {"Name": f"{server.portals[0]}:0"})
    refused(4, c.create, PORTAL, {"Name": f"{server.portals[0]}:65536"})
    refused(1, c.create, PORTAL, {"Name": "192.0.2.77:3260"})
    n = node("portal user")
    q = port(n, p)
    text = refused(1, c.delete, p)
    check(q.keys["Name"] in text, True, f"the refusal names the port: {text}")
    refused(1, c.delete, groups[0].path)
    g = c.create(GROUP, {"ElementName": "storage east"})
    refused(1, c.create, "MSISCSITARGET_MemberOfCollection", {"Collection": g, "Member": p})
    check(code("DeleteiSCSIProtocolEndpoint", iSCSIPort=q), 0)
    c.create("MSISCSITARGET_MemberOfCollection", {"Collection": g, "Member": p})
    refused(1, c.delete, g)
    c.delete(p)
    c.delete(g)
    check(p in c.names(PORTAL), False)


@test
def a_disabled_port_or_portal_stops_serving_and_comes_back():
    n = node("switch")
    p = port(n, portal(0), portal(1))
    iqn = n.keys["DeviceID"]
    check(c.invoke(p, "RequestStateChange", RequestedState=3)[0], 0)
    check(c.get(p)["EnabledState"], 3)
    check(iqn in iscsi_ls(server.portal(0)), False)
    check(c.invoke(p, "RequestStateChange", RequestedState=2)[0], 0)
    check(iqn in iscsi_ls(server.portal(0)), True)
    check(c.invoke(portal(1), "RequestStateChange", RequestedState=3)[0], 0)
    check(smi.run("iscsi-ls", f"iscsi://{server.portal(1)}")[0] != 0, True, "a closed portal")
    check(iqn in iscsi_ls(server.portal(0)), True)
    check(c.invoke(portal(1), "RequestStateChange", RequestedState=2)[0], 0)
    check(iqn in iscsi_ls(server.portal(1)), True)
    check(c.invoke(p, "RequestStateChange", RequestedState=4)[0], 4097, "known, not supported")
    check(c.invoke(p, "RequestStateChange", RequestedState=99)[0], 5, "not known at all")
    check(c.invoke(p, "RequestStateChange")[0], 5)


@test
def volumes_are_made_grown_attached_and_returned():
    storage = c.names("MSISCSITARGET_StorageConfigurationService")[0]
    masking = c.names("MSISCSITARGET_ControllerConfigurationService")[0]
    m = "CreateOrModifyElementFromStoragePool"

    def vol(**p):
        return c.invoke(storage, m, **p)

    check(vol(ElementType=2, ElementName="none")[0], 5, "no size")
    check(vol(ElementType=2, ElementName="none", Size=0)[0], 5)
    check(vol(ElementType=3, ElementName="none", Size=1 << 20)[0], 5)
    r, out = vol(ElementType=2, ElementName="too big", Size=1 << 62)
    check(r, 4097)
    check(out["Size"] > 0, True, "the nearest size")
    r, out = vol(ElementType=2, ElementName="rules volume", Size=(1 << 20) + 1)
    check((r, out["Size"]), (0, 2 << 20))
    v = out["TheElement"]
    i = c.get(v)
    check((i["NameFormat"], i["NameNamespace"], i["BlockSize"], i["NumberOfBlocks"]),
          (9, 2, 512, 4096))
    check((len(i["Name"]), i["Name"][0], i["DeviceID"]), (16, "3", i["Name"]))
    n, n2 = node("volumes"), node("volumes two")
    p = port(n, portal(0))

    def att(**a):
        return c.invoke(masking, "AttachDevice", **a)

    check(att(Device=v)[0], 5)
    check(att(ProtocolController=gone(n), Device=v)[0], 5)
    check(att(ProtocolController=n, Device=gone(v))[0], 4096)
    check(att(ProtocolController=n, Device=v, DeviceNumber="FF")[0], 5)
    check(att(ProtocolController=n, Device=v, DeviceNumber="x")[0], 5)
    check(att(ProtocolController=n, Device=v, DeviceNumber="a"), (0, {"DeviceNumber": "A"}))
    check(att(ProtocolController=n, Device=v, DeviceNumber="3")[0], 0, "attached already")
    link = c.enum("MSISCSITARGET_ProtocolControllerForUnit")
    check([(x["DeviceNumber"], x["DeviceAccess"]) for x in link], [("A", 2)])
    _, out = vol(ElementType=2, ElementName="second", Size=1 << 20)
    second = out["TheElement"]
    check(att(ProtocolController=n, Device=second, DeviceNumber="A")[0], 4097)
    check(att(ProtocolController=n, Device=second), (0, {"DeviceNumber": "0"}))
    check(c.invoke(storage, "ReturnToStoragePool", TheElement=v)[0], 6)
    check(vol(ElementType=2, TheElement=v, Size=1 << 20)[0], 5, "shrinking")
    r, out = vol(ElementType=2, TheElement=v, Size=4 << 20)
    check((r, out["Size"]), (0, 4 << 20))
    check(c.get(v)["NumberOfBlocks"], 8192)
    code_, text, _ = smi.run("iscsi-readcapacity16",
                             f"iscsi://{server.portal(0)}/{n.keys['DeviceID']}/10")
    check((code_, "LBA:8191" in text.replace(" ", "") or "8191" in text), (0, True), text)
    check(c.invoke(masking, "DetachDevice", ProtocolController=n2, Device=v)[0], 4096)
    check(c.invoke(masking, "DetachDevice", ProtocolController=n, Device=v)[0], 0)
    check(c.invoke(storage, "ReturnToStoragePool", TheElement=v)[0], 0)
    check(v in c.names("MSISCSITARGET_StorageVolume"), False)
    # a node's units stay when it goes
    check(code("DeleteiSCSINode", iSCSINode=n), 0)
    check(second in c.names("MSISCSITARGET_StorageVolume"), True)
    check(c.invoke(storage, "ReturnToStoragePool", TheElement=second)[0], 0)
    del p


@test
def malformed_requests_are_cim_errors_that_name_the_parameter():
    for params, word in (({"Alias": "x", "Nonsense": "y"}, "Nonsense"),
                         ({"Alias": service}, "Alias")):
        try:
            call("CreateiSCSINode", **params)
            raise AssertionError(f"{params} was accepted")
        except CimError as e:
            check(e.code, 4)
            check(word in e.text, True, e.text)
    for fn, want in ((lambda: c.enum("CIM_Nonsense"), 5),
                     (lambda: c.enum("CIM_Service", ns="root/nowhere"), 3),
                     (lambda: c.invoke(gone(service), "CreateiSCSINode", Alias="x"), 6)):
        try:
            fn()
            raise AssertionError("was accepted")
        except CimError as e:
            check(e.code, want)


smi.main()
