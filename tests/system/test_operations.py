#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every CIM operation over the wire: what it gives, and the status code of each mistake."""
import time
import xml.etree.ElementTree as ET

import smi
from cimclient import CimError, Client, Path
from smi import NS, check, test

NODE = "MSISCSITARGET_SCSIProtocolController"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
SPACES = [NS, "interop"]

server = smi.Server(portals=2, engine="lio" if smi.KERNEL else "fake").start()
c = Client(server.addr, server.http, NS)
service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
nodes = []
for alias in ("alpha", "beta"):
    r, out = c.invoke(service, "CreateiSCSINode", Alias=alias)
    check(r, 0, "CreateiSCSINode")
    nodes.append(out["iSCSINode"])
r, _ = c.invoke(service, "CreateiSCSIProtocolEndpoint", iSCSINode=nodes[0], Role=3,
                NetworkPortals=[p for p in c.names(PORTAL)])
check(r, 0, "CreateiSCSIProtocolEndpoint")
node = c.names(NODE)[0]


def status(fn, *args, **kw):
    """0, or the code of the CIM error."""
    try:
        fn(*args, **kw)
        return 0
    except CimError as e:
        if not e.text:
            raise AssertionError(f"error {e.code} without a text")
        return e.code


def cls(name):
    return [("ClassName", c._class(name))]


def obj(path):
    return [("InstanceName", path.name_xml())]


def other(path, **keys):
    return Path(path.cls, {**path.keys, **keys}, path.ns)


@test
def reading_has_a_status_for_each_mistake():
    gone = other(node, DeviceID="gone")
    short = Path(NODE, {"DeviceID": node.keys["DeviceID"]}, NS)
    wrong = Path(NODE, {**node.keys, "Nonsense": "x"}, NS)
    check(status(c.get, node), 0)
    check(status(c.get, node, ns="root/nowhere"), 3)
    check(status(c.get, Path("CIM_Nonsense", {"a": "b"}, NS)), 5)
    check(status(c.get, gone), 6)
    check(status(c.get, short), 4, "a key is missing")
    check(status(c.get, wrong), 4, "a key too many")
    for op in (c.enum, c.names):
        check(status(op, "CIM_Nonsense"), 5)
        check(status(op, "CIM_System", ns="root/nowhere"), 3)
    for op in ("Associators", "AssociatorNames", "References", "ReferenceNames"):
        check(status(c.walk, op, node), 0)
        check(status(c.walk, op, gone), 6)
        check(status(c.walk, op, Path("CIM_Nonsense", {"a": "b"}, NS)), 4)
        check(status(c.walk, op, node, ResultClass="CIM_Nonsense"), 4)
        check(status(c.walk, op, "CIM_Nonsense"), 4)
    check(status(c.walk, "Associators", node, AssocClass="CIM_Nonsense"), 4)
    check(status(c.imethod, "GetClass", cls("CIM_Nonsense")), 6)
    check(status(c.imethod, "EnumerateClassNames", cls("CIM_Nonsense")), 5)
    for op in ("CreateClass", "DeleteClass"):
        if status(c.imethod, op, cls("CIM_System")) not in (4, 7):
            raise AssertionError(f"{op} must not be possible")


@test
def changing_has_a_status_for_each_mistake():
    gone = other(node, DeviceID="gone")
    check(status(c.create, "CIM_Nonsense", {"Name": "x"}), 5)
    check(status(c.create, "CIM_ComputerSystem", {"Name": "x"}), 7)
    check(status(c.create, "MSISCSITARGET_SystemSpecificCollection", {"Nonsense": "x"}), 4)
    check(status(c.modify, gone, {"ElementName": "x"}), 6)
    check(status(c.modify, node, {"Nonsense": "x"}), 4)
    check(status(c.delete, gone), 6)
    check(status(c.delete, Path("CIM_Nonsense", {"a": "b"}, NS)), 5)
    check(status(c.delete, c.names("CIM_ComputerSystem")[0]), 7)


@test
def calling_has_a_status_for_each_mistake():
    check(status(c.invoke, service, "Nonsense"), 17)
    check(status(c.invoke, service, "CreateiSCSINode", Nonsense="x"), 4)
    check(status(c.invoke, service, "CreateiSCSINode", Alias=node), 4, "a reference for a text")
    check(status(c.invoke, service, "CreateiSCSINode", Alias=["a"]), 4, "an array for one")
    check(status(c.invoke, service, "DeleteiSCSINode", iSCSINode="text"), 4)
    check(status(c.invoke, other(service, Name="gone"), "CreateiSCSINode", Alias="x"), 6)
    check(status(c.invoke, Path("CIM_Nonsense", {"a": "b"}, NS), "CreateiSCSINode"), 5)
    check(status(c.invoke, Path(service.cls, {}, NS), "CreateiSCSINode", Alias="x"), 4)


@test
def a_superclass_gives_what_its_subclasses_have_with_their_own_names():
    of_sub = set(c.names(PORTAL)) | set(c.names("MSFTSMNET_IPProtocolEndpoint")) | \
        set(c.names("MSISCSITARGET_iSCSIProtocolEndpoint"))
    check(set(c.names("CIM_ProtocolEndpoint")), of_sub)
    check(set(i.path for i in c.enum("CIM_ProtocolEndpoint")), of_sub)
    for i in c.enum("CIM_ProtocolEndpoint", DeepInheritance=False):
        check("PortNumber" in i, False, "a property of the subclass")


@test
def property_lists_choose_and_unknown_names_are_ignored():
    check(dict(c.get(node, PropertyList=["elementname", "Nonsense", "ElementName"])),
          {"ElementName": "alpha"})
    check(dict(c.get(node, PropertyList=[])), {})


@test
def an_enumerated_instance_equals_GetInstance_of_its_path():
    for ns in SPACES:
        for i in c.enum("CIM_ManagedElement", ns=ns):
            one = c.get(i.path, ns=ns)
            for k in ("TimeOfLastStateChange", "StatisticTime", "UpTime"):
                i.pop(k, None), one.pop(k, None)
            check(dict(i), dict(one), str(i.path))


@test
def whole_classes_joined_in_memory_agree_with_walks():
    """What Windows does (enumerate, join) and what others do (walk) is the same picture."""
    links = {}
    for top in ("CIM_Dependency", "CIM_Component", "CIM_SystemDevice", "CIM_MemberOfCollection",
                "CIM_ElementCapabilities"):
        for i in c.enum(top):
            a, b = [v for v in i.values() if isinstance(v, Path)]
            links.setdefault(a, set()).add(b)
            links.setdefault(b, set()).add(a)
    for start in c.names("CIM_LogicalElement"):
        near = set(c.walk("AssociatorNames", start))
        missing = links.get(start, set()) - near
        check(missing, set(), f"ends of {start} that walking doesn't find")
        check(set(i.path for i in c.walk("Associators", start)), near, str(start))
        refs = set(c.walk("ReferenceNames", start))
        check(set(i.path for i in c.walk("References", start)), refs, str(start))


@test
def every_open_gives_in_pieces_what_its_plain_sister_gives_at_once():
    for op, plain, first, pull in (
            ("OpenEnumerateInstances", lambda: [i.path for i in c.enum("CIM_ProtocolEndpoint")],
             cls("CIM_ProtocolEndpoint"), "PullInstancesWithPath"),
            ("OpenEnumerateInstancePaths", lambda: c.names("CIM_ProtocolEndpoint"),
             cls("CIM_ProtocolEndpoint"), "PullInstancePaths"),
            ("OpenReferenceInstances", lambda: [i.path for i in c.walk("References", node)],
             obj(node), "PullInstancesWithPath"),
            ("OpenReferenceInstancePaths", lambda: c.walk("ReferenceNames", node), obj(node),
             "PullInstancePaths"),
            ("OpenAssociatorInstances", lambda: [i.path for i in c.walk("Associators", node)],
             obj(node), "PullInstancesWithPath"),
            ("OpenAssociatorInstancePaths", lambda: c.walk("AssociatorNames", node), obj(node),
             "PullInstancePaths")):
        got, context = c.open(op, first, MaxObjectCount=1)
        check(len(got), 1, op)
        while context:
            more, context = c.pull(pull, context, 2)
            got += more
        check([g if isinstance(g, Path) else g.path for g in got], plain(), op)


@test
def pulling_has_a_status_for_each_mistake():
    def opened(**kw):
        return c.open("OpenEnumerateInstances", cls("CIM_ProtocolEndpoint"), MaxObjectCount=1,
                      **kw)[1]

    context = opened()
    check(status(c.pull, "PullInstancePaths", context, 1), 21)
    check(status(c.pull, "PullInstances", context, 1), 21)
    check(status(c.pull, "PullInstancesWithPath", context, 1, ns="interop"), 21)
    check(status(c.pull, "PullInstancesWithPath", "nonsense", 1), 21)
    check(status(c.imethod, "PullInstancesWithPath",
                 [("EnumerationContext", f"<VALUE>{context}</VALUE>")]), 4)
    check(status(c.pull, "PullInstancesWithPath", context, 0), 0)
    two = c.open("OpenEnumerateInstances", cls(NODE), MaxObjectCount=1)[1]
    check(c._list(c.imethod("EnumerationCount", [("EnumerationContext", f"<VALUE>{two}</VALUE>")])),
          ["1"], "what is left")
    c.close_enumeration(two)
    check(status(c.close_enumeration, context), 0)
    check(status(c.close_enumeration, context), 21)
    check(status(opened, OperationTimeout=0), 22)
    check(status(opened, OperationTimeout=100000), 22)
    check(status(opened, ContinueOnError=True), 26)
    check(status(opened, FilterQuery="Name = 'x'"), 4)
    check(status(opened, FilterQuery="Name = 'x'", FilterQueryLanguage="Klingon"), 14)
    check(status(opened, FilterQuery="Name =", FilterQueryLanguage="DMTF:FQL"), 15)
    late = opened(OperationTimeout=1)
    time.sleep(1.2)
    check(status(c.pull, "PullInstancesWithPath", late, 1), 21)


@test
def queries_select_and_filter():
    check([dict(i) for i in c.query(f"SELECT ElementName FROM {NODE} WHERE ElementName LIKE 'b%'")],
          [{"ElementName": "beta"}])
    check(len(c.query("SELECT * FROM CIM_ProtocolEndpoint p WHERE NOT p ISA CIM_IPProtocolEndpoint "
                      "AND p.Name IS NOT NULL", "DMTF:CQL")), 3)
    for where in ("__this ISA 'CIM_TCPProtocolEndpoint'", "CIM_ProtocolEndpoint ISA "
                  "CIM_TCPProtocolEndpoint", "PortNumber = 3260 AND Name IS NOT NULL"):
        check({i.path for i in c.query(f"SELECT * FROM CIM_ProtocolEndpoint WHERE {where}")},
              set(c.names(PORTAL)), where)
    check(status(c.query, "SELECT nonsense", "WQL"), 15)
    check(status(c.query, "SELECT Nonsense FROM CIM_System", "WQL"), 15)
    check(status(c.query, "SELECT * FROM CIM_Nonsense", "WQL"), 5)
    check(status(c.query, "SELECT * FROM CIM_System", "XPath"), 14)
    got, context = c.open("OpenQueryInstances", [], MaxObjectCount=1, FilterQueryLanguage="WQL",
                          FilterQuery="SELECT Name FROM CIM_ProtocolEndpoint")
    while context:
        more, context = c.pull("PullInstances", context, 100)
        got += more
    check(sorted(i["Name"] for i in got), sorted(i["Name"] for i in c.enum("CIM_ProtocolEndpoint")))
    got, context = c.open("OpenEnumerateInstances", cls("CIM_ProtocolEndpoint"), MaxObjectCount=100,
                          FilterQueryLanguage="DMTF:FQL", FilterQuery="ProtocolIFType = 4111")
    check([i.path.cls for i in got], [PORTAL] * len(c.names(PORTAL)))


@test
def classes_and_qualifiers_are_told():
    names = [e for e in c.imethod("EnumerateClassNames", [
        *cls("CIM_ProtocolEndpoint"), ("DeepInheritance", "<VALUE>TRUE</VALUE>")]).iter("CLASSNAME")]
    check(PORTAL in [e.get("NAME") for e in names])
    for op, first in (("GetClass", cls(PORTAL)), ("EnumerateClasses", cls("CIM_IPProtocolEndpoint")),
                      ("GetQualifier", [("QualifierName", "<VALUE>Key</VALUE>")]),
                      ("EnumerateQualifiers", [])):
        check(len(list(c.imethod(op, first).find("IRETURNVALUE"))) > 0, True, op)
    check(status(c.imethod, "GetQualifier", [("QualifierName", "<VALUE>Nonsense</VALUE>")]), 6)


def prop(path, name):
    return [*obj(path), ("PropertyName", f"<VALUE>{name}</VALUE>")]


@test
def a_property_is_read_and_written_by_itself():
    def read(path, name):
        return [ET.tostring(e).decode() for e in c.imethod("GetProperty", prop(path, name)).find(
            "IRETURNVALUE")]

    check(read(node, "elementNAME"), ["<VALUE>alpha</VALUE>"])
    check(read(node, "NameFormat"), ["<VALUE>3</VALUE>"])
    check(read(node, "Caption"), [], "NULL")
    check(read(node, "OperationalStatus"), ["<VALUE.ARRAY><VALUE>2</VALUE></VALUE.ARRAY>"])
    link = c.walk("ReferenceNames", node, ResultClass="CIM_SystemDevice")[0]
    check(read(link, "PartComponent")[0].startswith("<VALUE.REFERENCE><INSTANCEPATH>"), True)
    text = [("NewValue", "<VALUE>changed</VALUE>")]
    check(c.imethod("SetProperty", prop(node, "ElementName") + text).find("IRETURNVALUE"), None)
    check(c.get(node)["ElementName"], "changed")
    c.imethod("SetProperty", prop(node, "ElementName") + [("NewValue", "<VALUE>alpha</VALUE>")])
    for op, params, code in (
            ("GetProperty", prop(node, "Nonsense"), 12), ("GetProperty", obj(node), 12),
            ("GetProperty", prop(other(node, DeviceID="gone"), "Name"), 6),
            ("SetProperty", prop(node, "Nonsense") + text, 12),
            ("SetProperty", prop(node, "NameFormat") + text, 13),
            ("SetProperty", prop(node, "ElementName") + [
                ("NewValue", "<VALUE.ARRAY><VALUE>x</VALUE></VALUE.ARRAY>")], 13),
            ("SetProperty", prop(node, "DeviceID") + text, 4),
            ("SetProperty", prop(other(node, DeviceID="gone"), "ElementName") + text, 6)):
        check(status(c.imethod, op, params), code, f"{op} {params}")


@test
def a_property_list_of_a_change_is_all_that_changes():
    group = c.create("MSISCSITARGET_SystemSpecificCollection", {"ElementName": "one"})

    def named(want):
        check(c.get(group)["ElementName"], want)

    c.modify(group, {"ElementName": "two"}, PropertyList=["Caption"])
    named("one")
    check(status(c.modify, group, {"Caption": "x"}, PropertyList=["Caption"]), 4, "read-only")
    c.modify(group, {**c.get(group), "Caption": "x"})  # what was read may be sent back whole
    c.modify(group, {"ElementName": "two"}, PropertyList=[])
    named("one")
    c.modify(group, {"ElementName": "two"}, PropertyList=["elementname", "ELEMENTNAME"])
    named("two")
    c.modify(group, {"ElementName": "three"})
    named("three")
    check(status(c.modify, group, {"ElementName": "four"}, PropertyList=["Nonsense"]), 4)
    check(status(c.modify, group, {"ElementName": "four", "InstanceID": "other"}), 4, "a key")
    check(status(c.modify, group, {"InstanceID": group.keys["InstanceID"]}), 0, "the key it has")
    check(status(c.modify, group, {"ElementName": ["four"]}), 4, "an array for one value")
    check(status(c.modify, group, {"ElementName": 4}), 4, "a number for a text")
    check(status(c.modify, group, {}, PropertyList=["ElementName"]), 4, "named and not given")
    named("three")
    c.delete(group)
    check(status(c.get, group), 6)


@test
def a_text_stays_a_text_also_where_it_looks_like_an_object():
    for alias in ('<INSTANCE CLASSNAME="CIM_System"></INSTANCE>', "<VALUE/>", "]]>&amp;", "  a  b  "):
        r, out = c.invoke(service, "CreateiSCSINode", Alias=alias)
        check(r, 0, alias)
        check(c.get(out["iSCSINode"])["ElementName"], alias)
        check(c.invoke(service, "CreateiSCSINode", Alias=alias)[0], 4097)
        check(c.invoke(service, "DeleteiSCSINode", iSCSINode=out["iSCSINode"])[0], 0)


@test
def classes_that_could_be_met_are_told_by_the_class_tables():
    """Associators and References of a class: the same filters as for instances."""
    def of(op, what, **flags):
        return {e.cls if isinstance(e, Path) else e.get("NAME") for e in c.walk(op, what, **flags)}

    for names, full in (("ReferenceNames", "References"), ("AssociatorNames", "Associators")):
        for flags in ({}, {"Role": "Dependent"}, {"ResultClass": "CIM_ServiceAccessPoint"}):
            check(of(names, PORTAL, **flags), of(full, PORTAL, **flags), f"{full} {flags}")
    check("MSISCSITARGET_BindsTo" in of("ReferenceNames", PORTAL, Role="dependent"), True)
    check(of("ReferenceNames", PORTAL, ResultClass="CIM_BindsTo"),
          {"CIM_BindsTo", "MSISCSITARGET_BindsTo"})
    check(of("ReferenceNames", PORTAL, Role="Nonsense"), set())
    up = of("AssociatorNames", PORTAL, AssocClass="CIM_BindsTo", Role="Antecedent",
            ResultRole="Dependent")
    check(len(up) > 0 and up <= of("AssociatorNames", PORTAL, AssocClass="CIM_BindsTo"), True)
    check(of("AssociatorNames", PORTAL, AssocClass="CIM_SystemDevice"), set())
    e = c.walk("Associators", PORTAL, AssocClass="CIM_HostedAccessPoint", IncludeQualifiers=True,
               IncludeClassOrigin=True, PropertyList=["Name"])[0]
    check([p.get("NAME") for p in e.findall("PROPERTY")], ["Name"])
    check(e.find("PROPERTY").get("CLASSORIGIN"), "CIM_ManagedSystemElement")
    check(e.find("QUALIFIER") is not None, True)


@test
def profiles_lead_to_the_host_and_back_across_namespaces():
    host = c.names("CIM_ComputerSystem")[0]
    up = c.walk("AssociatorNames", host, AssocClass="CIM_ElementConformsToProfile")
    check(len(up), 1)
    check(up[0].ns, "interop")
    down = c.walk("AssociatorNames", up[0], ns="interop", AssocClass="CIM_ElementConformsToProfile",
                  ResultClass="CIM_ComputerSystem")
    check(down, [host])
    check(down[0].ns, NS)


@test
def every_operation_has_been_answered_and_its_answer_held_to_the_grammar():
    def opens(what):
        return [f"Open{what}Instances", f"Open{what}InstancePaths"]

    check(sorted(set("""GetClass EnumerateClasses EnumerateClassNames GetInstance EnumerateInstances
        EnumerateInstanceNames CreateInstance ModifyInstance DeleteInstance Associators References
        AssociatorNames ReferenceNames ExecQuery GetProperty SetProperty GetQualifier
        EnumerateQualifiers OpenQueryInstances PullInstancesWithPath PullInstancePaths PullInstances
        CloseEnumeration EnumerationCount""".split() + opens("Enumerate") + opens("Reference") +
                 opens("Associator")) - c.answered), [])
    for op in ("CreateClass", "ModifyClass", "DeleteClass", "SetQualifier", "DeleteQualifier"):
        check(status(c.imethod, op, cls("CIM_System") if op == "DeleteClass" else []), 7, op)


smi.main()
