#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every class of the three namespaces on a server that has something of everything: what is
enumerated can be got, is as its class says, and hangs together, walked from either end."""
import json, re, subprocess

import smi
from cimclient import CimError, Client, Path, parse_instance, parse_path
from smi import NS, SM, check, test

SPACES = (NS, "interop", SM)
NODE = "MSISCSITARGET_SCSIProtocolController"
MEASURED = {"TimeOfLastStateChange", "StatisticTime", "RemainingManagedSpace", "TotalManagedSpace",
            "SpaceConsumed", "LastDiscoveryTime", "ElapsedTime", "TimeOfLastChange"}

server = smi.Server(portals=2).start()
c = Client(server.addr, server.http, NS)
coverage = {x["name"]: x for x in json.loads(server.cli("--json", "schema", "--coverage"))}
supers = {n: x["superclass"] for n, x in coverage.items()}


def is_a(cls, of):
    while cls and cls != of:
        cls = supers[cls]
    return cls == of


def furnish():
    """A node that serves a volume to an initiator, another port, a second group."""
    server.cli("node", "create", "surface")
    server.cli("node", "create", "second")
    server.cli("port", "create", "surface", "--portal", server.portal(0), "--portal",
               server.portal(1))
    server.cli("port", "create", "second", "--portal", server.portal(0))
    server.cli("group", "create", "empty group")
    v = server.cli("volume", "create", "a volume", "8M").strip()
    server.cli("volume", "create", "spare", "1M")
    server.cli("volume", "attach", v, "surface", "--lun", "0")
    iqn = next(i["Name"] for i in c.enum(NODE) if i["ElementName"] == "surface")
    user = subprocess.Popen(["qemu-io", "-f", "raw", "-r", f"iscsi://{server.portal(0)}/{iqn}/0"],
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    smi.at_end(user.kill)
    user.stdin.write(b"read 0 512\n")
    user.stdin.flush()
    smi.wait_for("the session to show", lambda: c.names("CIM_iSCSISession"))
    smi.wait_for("the SM layer to show it all", lambda: len(
        Client(server.addr, server.http, SM).names("MSFT_SMEndpoint")) >= 2)


furnish()


def classes_of(ns):
    return [n for n, x in coverage.items() if ns in x["namespaces"]]


_classes = {}


def get_class(name, ns):
    if (name, ns) not in _classes:
        _classes[name, ns] = c.imethod("GetClass", [
            ("ClassName", c._class(name)), ("LocalOnly", "<VALUE>FALSE</VALUE>"),
            ("IncludeQualifiers", "<VALUE>TRUE</VALUE>")], ns).find("IRETURNVALUE/CLASS")
    return _classes[name, ns]


def is_association(cls):
    return "association" in coverage[cls]["kind"]


_all = {}


def everything(ns):
    """{class: [(path, INSTANCE element)]} of just the class itself."""
    if ns not in _all:
        _all[ns] = {}
        for name in classes_of(ns):
            if "abstract" in coverage[name]["kind"]:
                continue
            r = c.imethod("EnumerateInstances", [("ClassName", c._class(name))], ns)
            mine = [(parse_path(e[0]), e[1]) for e in r.iter("VALUE.NAMEDINSTANCE")]
            _all[ns][name] = [x for x in mine if x[0].cls == name]
    return _all[ns]


@test
def what_coverage_says_has_instances_is_all_that_has():
    shown = {name for ns in SPACES for name, l in everything(ns).items() if l}
    says = {n for n, x in coverage.items() if x["instances"] == "yes"}
    check(sorted(shown - says), [])
    # some have their objects only after something has happened that hasn't here
    later = says - shown
    print(f"# of {len(says)} classes {len(shown)} have instances here; not: {sorted(later)}")
    check([x for x in later if not x.startswith("MSFT_SM")],
          ["MSISCSITARGET_ForeignElement"])  # with the kernel's target: tests/kernel


@test
def a_class_without_a_provider_enumerates_empty():
    n = 0
    for ns in SPACES:
        for name in classes_of(ns):
            if coverage[name]["instances"] != "none":
                continue
            check(c.enum(name, ns=ns), [], name)
            check(c.names(name, ns=ns), [], name)
            n += 1
    check(n > 50, True, str(n))


@test
def an_enumerated_instance_equals_GetInstance_of_its_path_in_every_class():
    n = 0
    for ns in SPACES:
        for name, found in everything(ns).items():
            for path, e in found:
                got, one = dict(parse_instance(e)), dict(c.get(path, ns=ns))
                for k in MEASURED:
                    got.pop(k, None), one.pop(k, None)
                if name == "MSFT_SMDiscovery":  # says when; another may have been since
                    got["Status"], one["Status"] = (re.sub(r"\d{4}-\S+Z", "", x["Status"])
                                                    for x in (got, one))
                if name.endswith(("Statistics", "Failures")):
                    got, one = set(got), set(one)  # they count on
                check(got, one, repr(path))
                n += 1
    check(n > 100, True, str(n))


@test
def every_superclass_gives_what_its_subclasses_have():
    for ns in SPACES:
        own = {n: {p for p, _ in l} for n, l in everything(ns).items()}
        for name in classes_of(ns):
            want = set().union(*(p for n, p in own.items() if is_a(n, name)))
            check(set(c.names(name, ns=ns)), want, name)


def ranges(cls_prop):
    """ValueMap as a list of (low, high), None when there is none."""
    for q in cls_prop.findall("QUALIFIER"):
        if q.get("NAME") == "ValueMap":
            out = []
            for v in q.iter("VALUE"):
                low, dots, high = v.text.partition("..")
                out.append((int(low or 0), int(high or 1 << 64) if dots else int(low)))
            return out
    return None


SIZES = {"uint8": (0, 255), "uint16": (0, 65535), "uint32": (0, 2**32 - 1), "uint64": (0, 2**64 - 1),
         "sint8": (-128, 127), "sint16": (-32768, 32767), "sint32": (-2**31, 2**31 - 1),
         "sint64": (-2**63, 2**63 - 1)}
DATETIME = re.compile(r"\d{14}\.\d{6}[+-]\d{3}|\d{8}\d{6}\.\d{6}:000")


def complaints(ns, name, e):
    """What of an instance is not as its class says."""
    out = []
    declared = {p.get("NAME"): p for p in get_class(name, ns) if p.tag.startswith("PROPERTY")}
    if [p.get("NAME") for p in e if p.tag.startswith("PROPERTY")] != list(declared):
        out.append("its properties are not the class's")
    for p in e:
        d = declared.get(p.get("NAME"))
        if d is None:
            continue
        if (p.tag, p.get("TYPE")) != (d.tag, d.get("TYPE")):
            out.append(f"{p.get('NAME')} is {p.tag} {p.get('TYPE')}")
        quals = {q.get("NAME"): "".join(q.itertext()).strip() for q in d.findall("QUALIFIER")}
        if quals.get("Key", "").lower() == "true" and not list(p):
            out.append(f"key {p.get('NAME')} is NULL")
        if p.tag == "PROPERTY.REFERENCE":
            want = d.get("REFERENCECLASS")
            for ref in p.iter("VALUE.REFERENCE"):
                if not is_a(parse_path(ref[0]).cls, want):
                    out.append(f"{p.get('NAME')} is no {want}")
            continue
        values = [v.text or "" for v in p.iter("VALUE")]
        t, allowed = p.get("TYPE"), ranges(d) if p.get("TYPE") in SIZES else None
        for v in values:
            if t in SIZES and not SIZES[t][0] <= int(v) <= SIZES[t][1]:
                out.append(f"{p.get('NAME')}={v} is no {t}")
            if t == "boolean" and v not in ("TRUE", "FALSE"):
                out.append(f"{p.get('NAME')}={v} is no boolean")
            if t == "datetime" and not DATETIME.fullmatch(v):
                out.append(f"{p.get('NAME')}={v} is no datetime")
            if allowed is not None and not any(a <= int(v) <= b for a, b in allowed):
                out.append(f"{p.get('NAME')}={v} is not in its ValueMap")
            if t == "string" and "MaxLen" in quals and len(v) > int(quals["MaxLen"]):
                out.append(f"{p.get('NAME')}={v} is longer than {quals['MaxLen']}")
    return out


@test
def every_instance_is_as_its_class_says():
    bad, n = {}, 0
    for ns in SPACES:
        for name, found in everything(ns).items():
            for path, e in found:
                n += 1
                for x in complaints(ns, name, e):
                    bad[name, x] = path
    check([f"{name}: {x}" for name, x in bad], [])
    check(n > 100, True, str(n))


@test
def associations_are_complete_and_the_same_from_both_ends():
    """For every instance of every association class: each end finds it by References and
    ReferenceNames in its role and not in the other, and the other end by Associators and
    AssociatorNames; and what all objects find by walking is what enumerating gives.  An end in
    another namespace finds the other one by the association's twin there."""
    n, seen = 0, set()
    for ns in SPACES:
        for name, found in everything(ns).items():
            if not is_association(name):
                continue
            refs = [p.get("NAME") for p in get_class(name, ns) if p.tag == "PROPERTY.REFERENCE"]
            check(len(refs), 2, name)
            ends = {r: {} for r in refs}
            for path, e in found:
                i = parse_instance(e)
                for r in refs:
                    ends[r].setdefault((i[r].ns or ns, i[r]), []).append((path, i))
            for r, other in (refs, refs[::-1]):
                for (at, end), links in ends[r].items():
                    seen.add((name, r))
                    if at.lower() != ns.lower():
                        there = set(c.walk("AssociatorNames", end, ns=at, Role=r, ResultRole=other,
                                           AssocClass=supers[name]))
                        check({i[other] for _, i in links} - there, set(),
                              f"{name}.{r} from {end} in {at}")
                        continue
                    want = {p for p, _ in links}
                    check(set(c.walk("ReferenceNames", end, ns=ns, ResultClass=name, Role=r)), want,
                          f"{name}.{r} from {end}")
                    check({i.path for i in c.walk("References", end, ns=ns, ResultClass=name,
                                                  Role=r)}, want, f"{name}.{r} from {end}")
                    there = {i[other] for _, i in links}
                    check(set(c.walk("AssociatorNames", end, ns=ns, AssocClass=name, Role=r,
                                     ResultRole=other)), there, f"{name}.{r} from {end}")
                    check({i.path for i in c.walk("Associators", end, ns=ns, AssocClass=name,
                                                  Role=r, ResultRole=other)}, there,
                          f"{name}.{r} from {end}")
                    n += 1
    check(n > 100, True, str(n))
    # none of them was passed over for want of objects: what can have links here has them
    has = [x for x in coverage if is_association(x) and coverage[x]["instances"] == "yes"]
    check([x for x in has if sum(x == a for a, _ in seen) != 2 and not x.startswith("MSFT_SM")], [])
    print(f"# {len(seen) // 2} association classes of {len(has)}")


@test
def walking_from_every_object_finds_no_more_than_enumerating():
    for ns in SPACES:
        links = {p for name, l in everything(ns).items() if is_association(name) for p, _ in l}
        walked = set()
        for name, found in everything(ns).items():
            if is_association(name):
                continue
            for path, _ in found:
                walked |= set(c.walk("ReferenceNames", path, ns=ns))
        check(sorted(map(repr, walked - links)), [])
        far = [l for l in links - walked
               if not any(v.ns and v.ns.lower() != ns.lower() for v in l.keys.values())]
        check(sorted(map(repr, far)), [], "enumerated but found from no object")


@test
def methods_that_nobody_implements_return_1():
    n = 0
    for ns in SPACES:
        for name, found in everything(ns).items():
            if not found:
                continue
            types = {m.get("NAME"): m.get("TYPE") for m in get_class(name, ns) if m.tag == "METHOD"}
            for m, done in coverage[name]["methods"].items():
                if done or types[m] not in ("uint32", "uint16"):
                    continue
                try:
                    check(c.invoke(Path(name, found[0][0].keys, ns), m)[0], 1, f"{name}.{m}")
                except CimError as e:
                    raise AssertionError(f"{name}.{m}: {e}")
                n += 1
    check(n > 30, True, str(n))


@test
def classes_are_told_as_the_command_line_prints_them():
    """GetClass over the wire and smiscsi schema, which a test compiles back into the same tables,
    say the same; so do EnumerateClasses and EnumerateClassNames."""
    for ns in SPACES:
        names = {e.get("NAME") for e in c.imethod("EnumerateClassNames", [
            ("DeepInheritance", "<VALUE>TRUE</VALUE>")], ns).iter("CLASSNAME")}
        check(names, set(classes_of(ns)))
        whole = {e.get("NAME"): e for e in c.imethod("EnumerateClasses", [
            ("DeepInheritance", "<VALUE>TRUE</VALUE>"), ("LocalOnly", "<VALUE>FALSE</VALUE>")],
            ns).iter("CLASS")}
        check(set(whole), names)
        top = [e.get("NAME") for e in c.imethod("EnumerateClassNames", [], ns).iter("CLASSNAME")]
        check(sorted(top), sorted(n for n in names if supers[n] is None))
    for name in (NODE, "MSISCSITARGET_iSCSIConfigurationService", "CIM_BindsTo", "MSFT_SMSystem"):
        ns = coverage[name]["namespaces"][0]
        j = json.loads(server.cli("--json", "schema", name))
        e = get_class(name, ns)
        check([p.get("NAME") for p in e if p.tag.startswith("PROPERTY")],
              [p["name"] for p in j["properties"]])
        check([(m.get("NAME"), [p.get("NAME") for p in m if p.tag.startswith("PARAMETER")])
               for m in e if m.tag == "METHOD"],
              [(m["name"], [p["name"] for p in m["parameters"]]) for m in j["methods"]])


@test
def GetClass_gives_what_is_asked_for():
    def members(**flags):
        e = c.imethod("GetClass", [("ClassName", c._class(NODE)), *c._flags(flags)]).find(
            "IRETURNVALUE/CLASS")
        return e, [p.get("NAME") for p in e if p.tag.startswith("PROPERTY")]

    own = [p["name"] for p in json.loads(server.cli("--json", "schema", NODE))["properties"]
           if p["declared_in"] == NODE]
    e, props = members()
    check(props, own, "LocalOnly is the default")
    check(e.find("QUALIFIER") is not None, True, "qualifiers are the default")
    check(any(x.get("CLASSORIGIN") for x in e.iter()), False)
    e, props = members(LocalOnly=False, IncludeQualifiers=False, IncludeClassOrigin=True)
    check(len(props) > 20, True)
    check(list(e.iter("QUALIFIER")), [])
    check({p.get("NAME"): p.get("CLASSORIGIN") for p in e if p.tag.startswith("PROPERTY")}["DeviceID"],
          "CIM_LogicalDevice")
    check([m.get("CLASSORIGIN") for m in e if m.get("NAME") == "RequestStateChange"],
          ["CIM_EnabledLogicalElement"])
    check(members(LocalOnly=False, PropertyList=["deviceid", "Nonsense"])[1], ["DeviceID"])
    check(members(LocalOnly=False, PropertyList=[])[1], [])


@test
def the_walk_of_libstoragemgmt_gives_ports_portals_addresses_and_MACs():
    """As its SMI-S plugin goes: from the profiles in interop to the system, and from there to each
    target port, its portals, their addresses and the interface."""
    found = {}
    for p in c.enum("CIM_RegisteredProfile", ns="interop", PropertyList=[
            "RegisteredName", "RegisteredVersion", "RegisteredOrganization"]):
        check(p["RegisteredOrganization"], 11)
        found[p["RegisteredName"]] = (tuple(map(int, p["RegisteredVersion"].split("."))), p.path)
    for name, least in (("SMI-S", (1, 4)), ("Server", (1, 4)), ("Array", (1, 4)),
                        ("iSCSI Target Ports", (1, 1)), ("Profile Registration", (1, 0))):
        check(found[name][0] >= least, True, name)
    system, = c.walk("Associators", found["Array"][1], ns="interop",
                     AssocClass="CIM_ElementConformsToProfile", ResultClass="CIM_ComputerSystem")
    check(system.path.ns, NS, "the namespace of the vendor stands in the path")
    got = {}
    for port in c.walk("Associators", system.path, AssocClass="CIM_HostedAccessPoint",
                       ResultClass="CIM_iSCSIProtocolEndpoint"):
        check((port["Role"], port["SystemName"]), (3, system["Name"]))
        node, = c.walk("Associators", port.path, AssocClass="CIM_SAPAvailableForElement",
                       ResultClass="CIM_SCSIProtocolController")
        check((node["NameFormat"], node["Name"]), (3, port["Name"].split(",")[0]))
        check(port["Name"].split(",")[1:], ["t", f"0x{int(port['Identifier'], 16):04X}".lower()
                                            .replace("0X", "0x")])
        for tcp in c.walk("Associators", port.path, AssocClass="CIM_BindsTo",
                          ResultClass="CIM_TCPProtocolEndpoint"):
            ip, = c.walk("Associators", tcp.path, AssocClass="CIM_BindsTo",
                         ResultClass="CIM_IPProtocolEndpoint")
            nic, = c.walk("Associators", ip.path, AssocClass="CIM_DeviceSAPImplementation",
                          ResultClass="CIM_EthernetPort")
            got.setdefault(node["ElementName"], set()).add(
                (ip["IPv4Address"], tcp["PortNumber"], nic["PermanentAddress"], nic["DeviceID"]))
    mac = open("/sys/class/net/lo/address").read().strip().replace(":", "").upper()
    both = {(a, 3260, mac, "lo") for a in server.portals}
    check(got["surface"], both)
    check(got["second"], {x for x in both if x[0] == server.portals[0]})


@test
def interop_tells_what_server_this_is():
    def one(cls):
        i, = c.enum(cls, ns="interop")
        return i

    manager = one("CIM_ObjectManager")
    check(bool(manager["ElementName"]), True)
    system, = c.walk("Associators", manager.path, ns="interop", AssocClass="CIM_HostedService")
    check(is_a(system.cls, "CIM_System") and bool(system["NameFormat"]), True)
    check(system["Name"], manager["SystemName"])
    spaces = c.walk("Associators", manager.path, ns="interop", AssocClass="CIM_NamespaceInManager")
    check(sorted(i["Name"] for i in spaces), sorted(SPACES))
    check(sorted(i["Name"] for i in c.enum("CIM_Namespace", ns="interop")), sorted(SPACES))
    speaks = c.walk("Associators", manager.path, ns="interop",
                    AssocClass="CIM_CommMechanismForManager")
    check([i["CommunicationMechanism"] for i in speaks], [2])
    check([i.cls for i in c.walk("Associators", speaks[0].path, ns="interop",
                                 AssocClass="CIM_HostedAccessPoint")], [system.cls])
    check([i["InstanceID"] for i in c.walk("Associators", manager.path, ns="interop",
                                           AssocClass="CIM_ElementSoftwareIdentity")],
          [one("CIM_SoftwareIdentity")["InstanceID"]])
    # the same under its other name, and the same host in all paths
    check(set(c.names("CIM_Namespace", ns="root/interop")), {i.path for i in spaces})
    hosts = {i.path.host for i in spaces + speaks} | {p.host for p in c.walk(
        "AssociatorNames", manager.path, ns="interop")}
    check(len(hosts), 1, str(hosts))


@test
def profiles_hang_together_without_a_cycle():
    below = {}
    for r in c.enum("CIM_ReferencedProfile", ns="interop"):
        below.setdefault(r["Antecedent"], set()).add(r["Dependent"])
    for r in c.enum("CIM_ElementConformsToProfile", ns="interop"):
        below.setdefault(r["ConformantStandard"], set()).add(r["ManagedElement"])
    top = {p for p in below if not any(p in d for d in below.values())}
    names = {i.path: i["RegisteredName"] for i in c.enum("CIM_RegisteredProfile", ns="interop")}
    check({names[p] for p in top}, {"SMI-S"})
    reached = set()

    def down(p, path):
        check(p in path, False, f"a cycle through {p}")
        reached.add(p)
        for q in below.get(p, ()):
            down(q, path | {p})

    for p in top:
        down(p, frozenset())
    check(set(names) - reached, set(), "every profile is reached from SMI-S")
    autonomous = {names[r["Antecedent"]] for r in c.enum("CIM_ReferencedProfile", ns="interop")}
    check(autonomous, {"Server", "Array"}, "the Antecedent is the autonomous profile")
    check({r.cls for r in c.enum("CIM_ReferencedProfile", ns="interop")},
          {"MSFTSM_ReferencedProfile", "MSFTSM_SubProfileRequiresProfile"})


@test
def every_profile_but_those_of_the_registry_leads_to_its_central_instances():
    """As pywbem looks for them: by ElementConformsToProfile, in whichever namespace they are; each
    leads back, from its own."""
    want = {"SMI-S": "CIM_RegisteredProfile", "Server": "CIM_ObjectManager",
            "Array": "CIM_ComputerSystem", "Block Services": "CIM_StoragePool",
            "iSCSI Target Ports": "CIM_iSCSICapabilities", "Profile Registration": None}
    for i in c.enum("CIM_RegisteredProfile", ns="interop"):
        central = c.walk("AssociatorNames", i.path, ns="interop", ResultRole="ManagedElement",
                         AssocClass="CIM_ElementConformsToProfile")
        is_what = want.pop(i["RegisteredName"])
        check(len(central) > 0, is_what is not None, i["RegisteredName"])
        for p in central:
            check(is_a(p.cls, is_what), True, repr(p))
            c.get(p, ns=p.ns)
            back = c.walk("AssociatorNames", p, ns=p.ns, ResultRole="ConformantStandard",
                          AssocClass="CIM_ElementConformsToProfile")
            check(i.path in back, True, f"{p} to {i.path}")
    check(want, {}, "profiles that there aren't")


@test
def the_objects_of_the_Server_profile_have_what_SNIA_wants_of_them():
    must = {"CIM_ObjectManager": "Name ElementName Description OperationalStatus Started",
            "CIM_Namespace": "Name ObjectManagerName ClassType",
            "CIM_ObjectManagerCommunicationMechanism":
            "Name ElementName CommunicationMechanism FunctionalProfilesSupported "
            "MultipleOperationsSupported AuthenticationMechanismsSupported",
            "CIM_System": "Name NameFormat Description ElementName OperationalStatus"}
    for name, props in must.items():
        found = c.enum(name, ns="interop")
        check(len(found) > 0, True, name)
        for i in found:
            check([p for p in props.split() if i[p] in (None, "")], [], name)
    does = set(c.enum("CIM_CIMXMLCommunicationMechanism", ns="interop")[0]
               ["FunctionalProfilesSupported"])
    check(does, {2, 3, 5, 6, 7}, "basic read and write, instances, associations, queries")


@test
def one_name_of_the_system_is_everywhere():
    """And one host in the paths of every operation."""
    host, = c.enum("CIM_ComputerSystem")
    n, hosts = 0, set()
    for ns in SPACES[:2]:
        for i in c.enum("CIM_ManagedElement", ns=ns):
            if "SystemName" in i:
                check(i["SystemName"], host["Name"], repr(i.path))
                n += 1
            for p in [v for v in i.values() if isinstance(v, Path)]:
                hosts.add(p.host)
    check(n > 20, True, str(n))
    for op in ("Associators", "References", "AssociatorNames", "ReferenceNames"):
        hosts |= {getattr(x, "path", x).host for x in c.walk(op, host.path)}
    check(len(hosts - {None}), 1, str(hosts))


@test
def names_can_be_changed_and_stay_changed():
    node = next(i.path for i in c.enum(NODE) if i["ElementName"] == "second")
    group = next(i.path for i in c.enum("MSISCSITARGET_SystemSpecificCollection")
                 if i["ElementName"] == "empty group")
    for props, code in (({"ElementName": "surface"}, 11), ({"ElementName": ""}, 4),
                        ({"ElementName": "x" * 129}, 4), ({"DeviceID": "other"}, 4)):
        try:
            c.modify(node, props, PropertyList=list(props))
            raise AssertionError(f"{props} was taken")
        except CimError as e:
            check(e.code, code, f"{props}: {e.text}")
    c.modify(node, {"ElementName": "renamed"})
    c.modify(group, {"ElementName": "east"})
    server.kill()
    server.start()
    check(c.get(node)["ElementName"], "renamed")
    check(c.get(group)["ElementName"], "east")
    server.cli("node", "rename", "renamed", "once more")
    check(c.get(node)["ElementName"], "once more")
    err = server.cli_fails("node", "rename", "once more", "surface")
    check("surface" in err and "choose another" in err, True, err)
    server.cli("node", "rename", "once more", "renamed")
    server.cli("group", "rename", "east", "west")
    check(c.get(group)["ElementName"], "west")
    c.modify(group, dict(c.get(group)))  # all that was read is taken back


@test
def nodes_and_ports_are_deleted_by_DeleteInstance_too():
    busy = next(i.path for i in c.enum(NODE) if i["ElementName"] == "surface")
    try:
        smi.wait_for("the session to show again", lambda: c.names("CIM_iSCSISession"))
        c.delete(busy)
        raise AssertionError("a node with a session was deleted")
    except CimError as e:
        check((e.code, "session" in e.text, busy.keys["DeviceID"] in e.text), (1, True, True), e.text)
    node = next(i.path for i in c.enum(NODE) if i["ElementName"] == "renamed")
    port = c.walk("AssociatorNames", node, AssocClass="CIM_SAPAvailableForElement")[0]
    check(node.keys["DeviceID"] in smi.iscsi_ls(server.portal(0)), True)
    c.delete(port)
    check(node.keys["DeviceID"] in smi.iscsi_ls(server.portal(0)), False)
    c.delete(node)
    check(node in c.names(NODE), False)
    theirs = next(i.path for i in c.enum("CIM_iSCSIProtocolEndpoint") if i["Role"] == 2)
    try:
        c.delete(theirs)
        raise AssertionError("an initiator's port was deleted")
    except CimError as e:
        check(e.code, 7, e.text)


@test
def methods_that_coverage_calls_implemented_do_something():
    """Without parameters most refuse, and some delete what they are called on; none says that it
    isn't supported.  Nothing is of use here afterwards, so this comes last."""
    n, tried = 0, set()
    for ns in SPACES:
        for name, found in everything(ns).items():
            for m, done in coverage[name]["methods"].items():
                for path, _ in found if done else ():
                    try:
                        r, _ = c.invoke(Path(name, path.keys, ns), m)
                    except CimError as e:
                        if e.code == 6:
                            continue  # gone with another one
                        check(e.code, 4, f"{name}.{m}: {e}")
                        r = None
                    # 1 may be a rule's, with the rule's own sentence
                    why = c.last_headers.get("WBEMMessage", "is not supported here")
                    check(r == 1 and "is not supported here" in why, False, f"{name}.{m}: {why}")
                    tried.add((name, m))
                    break
    all_of = {(n, m) for n, x in coverage.items() for m, done in x["methods"].items() if done}
    check(sorted(all_of - tried), [])
    check(len(tried) > 10, True, str(len(tried)))


smi.main()
