#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Providers in the wild: those that answer in odd ways and have to be understood all the same,
and those that lie, flood or sit there and must cost nobody but themselves."""
import json, os, pathlib, pty, re, select, signal, socket, subprocess, threading, time

import replay, smi
from cimclient import Client
from replay import change, items, name_of, named, prop, say, tied
from smi import NS, SM, check, run, test, wait_for

PATIENCE = 4  # --provider-timeout of the server that has to do with those who don't answer


class Layer:
    """A server that discovers others, and what it shows of them."""

    def __init__(self, *args):
        self.server = smi.Server(portals=1, engine="fake", args=args).start()
        self.c = Client(self.server.addr, self.server.http, SM)
        self.service = self.c.names("MSFT_SMStorageDiscovery")[0]

    def start(self, **p):
        return self.c.invoke(self.service, "StartDiscovery", forceRediscovery=True, **p)

    def ended(self, out, seconds=60):
        return wait_for("the job to end", lambda: (lambda j: j["JobState"] >= 7 and j)(
            self.c.get(out["Job"])), seconds)

    def discover(self, url, ok=True, **p):
        r, out = self.start(host=url, **p)
        check(r, 4096, url)
        j = self.ended(out)
        if ok:
            check((j["JobState"], j["ErrorDescription"]), (7, None), url)
        return j

    def provider(self, url):
        return next((p for p in self.c.enum("MSFT_SMProvider") if p["URI"] == url), None)

    def of(self, url, cls):
        pre = self.provider(url)["ObjectId"].split(":")[0] + ":"
        return [i for i in self.c.enum(cls) if i["ObjectId"].startswith(pre)]

    def status(self, url):
        pre = self.provider(url)["ObjectId"].split(":")[0]
        return next(d["Status"] for d in self.c.enum("MSFT_SMDiscovery")
                    if d["DiscoveryId"] == pre)

    def remove(self, url):
        check(self.c.invoke(self.provider(url).path, "Remove", ns=SM)[0], 0)

    def quick(self):
        at = time.monotonic()
        self.c.enum("MSFT_SMiSCSIPortalEndpoint")
        took = time.monotonic() - at
        check(took < 5 * smi.PATIENCE, True,
              f"a read took {took:.1f} s beside a provider that goes wrong")

    def idle(self):
        """Threads of removed providers have ended, and it is as it was."""
        wait_for("threads of removed providers to end",
                 lambda: self.server.usage()["smiscsid"][2] < 25, 30)
        print(f"# {self.server.usage()}")
        check(self.server.proc.poll(), None)
        check(len(self.c.enum("MSFT_SMiSCSIPortalEndpoint")), 1)
        check(len(self.c.enum("MSFT_SMProvider")), 1)


calm, hasty = Layer(), Layer("--provider-timeout", str(PATIENCE))
c, service = calm.c, calm.service
ended, discover, provider, of = calm.ended, calm.discover, calm.provider, calm.of
status, remove = calm.status, calm.remove
SANITIZED = smi.sanitized()


SHOWN = ("MSFT_SMProvider", "MSFT_SMWbemService", "MSFT_SMSystem", "MSFT_SMSystemCapabilities",
         "MSFT_SMEndpoint", "MSFT_SMiSCSIPortalEndpoint", "MSFT_SMStorageGroup",
         "MSFT_SMStorageHardwareID", "MSFT_SMPool", "MSFT_SMPoolSetting", "MSFT_SMStorageVolume",
         "MSFT_SMProviderToSystem", "MSFT_SMSystemToCapabilities", "MSFT_SMSystemToEndpoint",
         "MSFT_SMSystemToPool", "MSFT_SMSystemToStorageGroup", "MSFT_SMSystemToStorageHardwareID",
         "MSFT_SMEndpointToiSCSIPortal", "MSFT_SMStorageGroupToEndpoint",
         "MSFT_SMStorageGroupToStorageVolume", "MSFT_SMStorageGroupToStorageHardwareID",
         "MSFT_SMPoolToVolume", "MSFT_SMPoolToSetting", "MSFT_SMPrimordialPoolToConcretePool",
         "MSFT_SMStorageSynchronized")


# -- odd, but to be understood: each row is what one make of array does --

@test
def the_interop_namespace_is_found_by_whichever_usual_name_it_has():
    for name in ("root/interop", "root/PG_InterOp", "pg_interop", "root/cimv2", "root"):
        answers = {(name if ns == "interop" else ns, cls): text.replace(
            'NAMESPACE NAME="interop"', '"'.join(['NAMESPACE NAME=', name, '']))
            for (ns, cls), text in replay.recorded().items()}
        p = replay.Provider(answers=answers)
        discover(p.url)
        check(provider(p.url)["InteropNamespace"].lower(), name.lower())
        check(len(of(p.url, "MSFT_SMEndpoint")), 1, name)
        remove(p.url)
    # one that nobody would guess is there for who names it
    answers = {("vendor/x" if ns == "interop" else ns, cls): text
               for (ns, cls), text in replay.recorded().items()}
    p = replay.Provider(answers=answers)
    check(discover(p.url, ok=False)["JobState"], 10)
    discover(p.url, interopNamespace="vendor/x")
    check(provider(p.url)["InteropNamespace"], "vendor/x")
    discover(p.url)  # remembered
    remove(p.url)


@test
def a_provider_with_pull_operations_is_read_in_pieces():
    p, plain = replay.Provider(), replay.Provider()
    p.pull = 1
    discover(p.url)
    discover(plain.url)
    check(len(p.contexts) > 20, True, "enumerations were opened")
    check(any(len(l) == 0 for _, l in p.contexts.values()), True, "and read to their end")
    for cls in ("MSFT_SMEndpoint", "MSFT_SMiSCSIPortalEndpoint", "MSFT_SMStorageVolume",
                "MSFT_SMPool", "MSFT_SMStorageGroup", "MSFT_SMStorageHardwareID"):
        hidden = ("ObjectId", "ManagementServer")
        a, b = (sorted(repr({k: v for k, v in i.items() if k not in hidden}) for i in of(u, cls))
                for u in (p.url, plain.url))
        check(a, b, cls)
        check(len(a) > 0, True, cls)
    remove(p.url)
    remove(plain.url)


@test
def an_object_manager_that_is_missing_and_a_namespace_that_is_not_listed_do_no_harm():
    p = replay.Provider()
    say(p, "interop", "CIM_ObjectManager", [])
    say(p, "interop", "CIM_Namespace", [])
    say(p, "interop", "CIM_ObjectManagerCommunicationMechanism", [])
    discover(p.url)
    check(provider(p.url)["ElementName"], None)
    check(len(of(p.url, "MSFT_SMSystem")), 1)
    check(len(of(p.url, "MSFT_SMEndpoint")), 1)
    # nor do conformances that are missing: systems say themselves that they are storage
    say(p, "interop", "CIM_ElementConformsToProfile", [])
    discover(p.url)
    check(len(of(p.url, "MSFT_SMSystem")), 1)
    check(len(of(p.url, "MSFT_SMEndpoint")), 1)
    remove(p.url)


@test
def keys_with_the_wrong_valuetype_and_references_to_superclasses_still_meet():
    p = replay.Provider()
    for cls in ("CIM_BindsTo", "CIM_DeviceSAPImplementation", "CIM_SAPAvailableForElement"):
        change(p, NS, cls, 'VALUETYPE="string"', 'VALUETYPE="numeric"')
        change(p, NS, cls, r'CLASSNAME="[A-Z]+_TCPProtocolEndpoint"' if cls == "CIM_BindsTo" else
               r'CLASSNAME="([A-Z]+)_(i?SCSIProtocolEndpoint|EthernetPort)"',
               'CLASSNAME="CIM_ServiceAccessPoint"' if cls == "CIM_BindsTo" else
               'CLASSNAME="CIM_ManagedElement"')
    discover(p.url)
    e = of(p.url, "MSFT_SMEndpoint")[0]
    check(e["Address"], "127.0.0.1")
    check(e["NetworkAddresses"], ["020000000001"])
    check(len(c.walk("AssociatorNames", e.path, ns=SM,
                     AssocClass="MSFT_SMEndpointToiSCSIPortal")), 1)
    remove(p.url)


@test
def zero_addresses_of_the_other_family_are_no_addresses():
    p = replay.Provider()
    change(p, NS, "CIM_IPProtocolEndpoint", r'(<PROPERTY[^>]*NAME="IPv4Address")',
           prop("IPv6Address", "0:0:0:0:0:0:0:0") + r"\1", 1)
    discover(p.url)
    portal = of(p.url, "MSFT_SMiSCSIPortalEndpoint")[0]
    check((portal["IPv4Address"], portal["IPv6Address"]), ("127.0.0.1", None))
    remove(p.url)


@test
def several_nics_below_one_address_are_one_portal_and_one_endpoint():
    p = replay.Provider()
    port = items(p, NS, "CIM_EthernetPort")[0]
    link = items(p, NS, "CIM_DeviceSAPImplementation")[0]
    device = re.search(r'NAME="DeviceID"><KEYVALUE[^>]*>([^<]*)', port)[1]
    say(p, NS, "CIM_EthernetPort", [port, port.replace(device, device + "b")])
    say(p, NS, "CIM_DeviceSAPImplementation", [link, link.replace(device, device + "b")])
    discover(p.url)
    check(len(of(p.url, "MSFT_SMiSCSIPortalEndpoint")), 1)
    e = of(p.url, "MSFT_SMEndpoint")
    check(len(e), 1)
    check(e[0]["NetworkAddresses"], ["020000000001"])
    remove(p.url)


@test
def a_profile_of_another_name_and_private_controllers_make_groups_all_the_same():
    p = replay.Provider()
    change(p, "interop", "CIM_RegisteredProfile", "iSCSI Target Ports", "FC Target Port")
    view = next(i for i in items(p, NS, "CIM_SCSIProtocolController") if "view4" in i)
    # a vendor's own class, its own key format, no NameFormat
    own = re.sub(r'CLASSNAME="[^"]*SCSIProtocolController"', 'CLASSNAME="Symm_LunMaskingSCSIPC"', view)
    own = re.sub(r'<PROPERTY NAME="NameFormat".*?</PROPERTY>', "", own)
    say(p, NS, "CIM_SCSIProtocolController",
        [i for i in items(p, NS, "CIM_SCSIProtocolController") if "view4" not in i] + [own])
    discover(p.url)
    g = of(p.url, "MSFT_SMStorageGroup")
    check([x["Identifier"] for x in g], ["view4"])
    check(len(c.walk("AssociatorNames", g[0].path, ns=SM,
                     AssocClass="MSFT_SMStorageGroupToStorageVolume")), 2)
    remove(p.url)


@test
def pools_without_capabilities_of_their_own_have_those_of_the_service():
    p = replay.Provider()
    caps = ('<VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="IBM_StorageCapabilities"><KEYBINDING '
            'NAME="InstanceID"><KEYVALUE VALUETYPE="string">IBM:caps</KEYVALUE></KEYBINDING>'
            '</INSTANCENAME><INSTANCE CLASSNAME="IBM_StorageCapabilities">' +
            prop("InstanceID", "IBM:caps") + prop("ElementName", "all pools") +
            prop("PackageRedundancyMax", 2, "uint16") + prop("DataRedundancyMax", 1, "uint16") +
            "</INSTANCE></VALUE.NAMEDINSTANCE>")
    say(p, NS, "CIM_StorageCapabilities", [caps])
    discover(p.url)
    check([x["PackageRedundancyMax"] for x in of(p.url, "MSFT_SMPool")], [2, 2])
    remove(p.url)


@test
def what_a_system_is_made_of_comes_from_its_package_and_its_software():
    p = replay.Provider()
    system = name_of(items(p, NS, "CIM_ComputerSystem")[0])
    name, package = named("CIM_Chassis", {"CreationClassName": "CIM_Chassis", "Tag": "ch 1"},
                          prop("Manufacturer", "Example Storage") + prop("Model", "X 100") +
                          prop("SerialNumber", "0815"))
    soft_name, soft = named("CIM_SoftwareIdentity", {"InstanceID": "fw"},
                            prop("VersionString", "7.2.1"))
    say(p, NS, "CIM_PhysicalPackage", [package])
    say(p, NS, "CIM_SystemPackaging",
        [tied("CIM_ComputerSystemPackage", "Antecedent", name, "Dependent", system)])
    say(p, NS, "CIM_SoftwareIdentity", [soft])
    say(p, NS, "CIM_InstalledSoftwareIdentity",
        [tied("CIM_InstalledSoftwareIdentity", "System", system, "InstalledSoftware", soft_name)])
    discover(p.url)
    s = of(p.url, "MSFT_SMSystem")[0]
    check([s[k] for k in ("Manufacturer", "Model", "SerialNumber", "Tag", "FirmwareVersion")],
          ["Example Storage", "X 100", "0815", "ch 1", "7.2.1"])
    remove(p.url)


def copies(p, *rows):
    """Let a provider say these copies: (source, target, class, {property: (value, type)})."""
    say(p, NS, "CIM_StorageSynchronized",
        [tied(cls, "SystemElement", a, "SyncedElement", b,
              "".join(prop(k, v, t) for k, (v, t) in said.items())) for a, b, cls, said in rows])


@test
def copies_of_volumes_are_shown_from_both_ends_with_all_that_is_said_of_them():
    p = replay.Provider()
    v = [name_of(i) for i in items(p, NS, "CIM_StorageVolume")]
    snapshot = {"SyncType": (7, "uint16"), "Mode": (2, "uint16"), "CopyState": (4, "uint16"),
                "ProgressStatus": (2, "uint16"), "PercentSynced": (100, "uint16"),
                "CopyType": (4, "uint16"), "ReplicaType": (3, "uint16"), "SyncState": (11, "uint16"),
                "CopyPriority": (0, "uint16"), "CopyMethodology": (6, "uint16"),
                "SyncMaintained": ("FALSE", "boolean"),
                "WhenSynced": ("20261121074000.000000+000", "datetime")}
    mirror = {"SyncType": (6, "uint16"), "Mode": (3, "uint16"), "CopyState": (3, "uint16"),
              "RequestedCopyState": (4, "uint16"), "PercentSynced": (40, "uint16")}
    copies(p, (v[0], v[1], "TST_StorageSynchronized", snapshot),
           (v[0], v[2], "CIM_StorageSynchronized", mirror))
    say(p, NS, "CIM_StorageReplicationCapabilities",
        [named("TST_ReplicationCaps", {"InstanceID": f"c{n}"}, prop(
            "SupportedSynchronizationType", n, "uint16") + prop("MaximumReplicasPerSource", most,
                                                                "uint16"))[1]
         for n, most in ((3, 2), (5, 256), (6, 8))])
    discover(p.url)
    cls = "MSFT_SMStorageSynchronized"
    by_name = {x["Identifier"]: x for x in of(p.url, "MSFT_SMStorageVolume")}
    source = next(x for k, x in by_name.items() if f">{k}<" in v[0])
    target, other = (next(x for k, x in by_name.items() if f">{k}<" in n) for n in v[1:])
    links = c.enum(cls)
    check({(l["SourceStorageVolume"], l["TargetStorageVolume"]) for l in links},
          {(source.path, target.path), (source.path, other.path)})
    shot = next(l for l in links if l["TargetStorageVolume"] == target.path)
    check({k: shot[k] for k in snapshot},
          {k: {"FALSE": False}.get(x, x) for k, (x, _) in snapshot.items()})
    check([shot[k + "Description"] for k in ("SyncType", "Mode", "CopyState", "ProgressStatus",
                                             "CopyType", "ReplicaType", "SyncState",
                                             "CopyPriority", "CopyMethodology")],
          ["Snapshot", "Synchronous", "Synchronized", "Completed", "UnSyncAssoc", "Before Delta",
           "Idle", "Not Managed", "Copy-On-Write"])
    check((shot["RequestedCopyState"], shot["WhenSuspended"], shot["RecoveryPointObjective"]),
          (15, None, None))
    mirrored = next(l for l in links if l["TargetStorageVolume"] == other.path)
    check([mirrored[k] for k in ("SyncTypeDescription", "CopyStateDescription", "PercentSynced",
                                 "RequestedCopyState", "CopyTypeDescription", "SyncMaintained")],
          ["Mirror", "Unsynchronized", 40, 4, None, None], "nothing is left of the one before")
    # one of them, by its name and by parts
    for l in links:
        check(dict(c.get(l.path)), dict(l))
    check(dict(c.get(shot.path, PropertyList=["SyncType", "Mode"])), {"SyncType": 7, "Mode": 2})
    check(set(c.names(cls)), {l.path for l in links})
    for language in ("WQL", "DMTF:CQL"):
        check([x["PercentSynced"] for x in c.query(
            f"SELECT * FROM {cls} WHERE SyncType = 7 AND PercentSynced > 40", language)], [100])
    got, context = c.open("OpenEnumerateInstances", [("ClassName", c._class(cls))], MaxObjectCount=1)
    more, context = c.pull("PullInstancesWithPath", context, 5)
    check(sorted(repr(sorted(x.items())) for x in got + more),
          sorted(repr(sorted(x.items())) for x in links))
    # along it, from either end and in either role
    for start_, role, far, want in (
            (source, "SourceStorageVolume", "TargetStorageVolume", [target.path, other.path]),
            (source, "TargetStorageVolume", None, []), (source, None, "SourceStorageVolume", []),
            (target, "TargetStorageVolume", "SourceStorageVolume", [source.path]),
            (target, None, None, [source.path]), (target, "SourceStorageVolume", None, []),
            (other, "targetstoragevolume", "sourcestoragevolume", [source.path])):
        found = c.walk("AssociatorNames", start_.path, ns=SM, AssocClass=cls, Role=role,
                       ResultRole=far)
        check((set(found), len(found)), (set(want), len(want)), f"{start_.path} {role} {far}")
        full = c.walk("Associators", start_.path, ns=SM, AssocClass=cls, Role=role, ResultRole=far)
        check([dict(x) for x in full], [dict(c.get(x)) for x in found])
    for start_, role, want in ((source, None, links), (source, "SourceStorageVolume", links),
                               (source, "TargetStorageVolume", []),
                               (target, "TargetStorageVolume", [shot])):
        refs = c.walk("References", start_.path, ns=SM, ResultClass=cls, Role=role)
        check(sorted(repr(sorted(x.items())) for x in refs),
              sorted(repr(sorted(x.items())) for x in want), f"{start_.path} {role}")
    # by a superclass of the association, and what is no end of it
    check(len(c.walk("References", source.path, ns=SM, ResultClass="MSFT_SMSynchronizedBase")), 2)
    pool = of(p.url, "MSFT_SMPool")[0]
    check(c.walk("References", pool.path, ns=SM, ResultClass=cls), [])
    caps = of(p.url, "MSFT_SMSystemCapabilities")[0]
    check([caps["MaximumReplicasPerSource" + k] for k in ("Mirror", "Snapshot", "Clone")], [2, 256, 8])
    # a partial discovery of volumes brings the newest state of copies along
    copies(p, (v[0], v[1], "CIM_StorageSynchronized", {"CopyState": (5, "uint16")}))
    r, out = c.invoke(service, "PartialDiscovery", host=p.url, partialDiscoveryType=4)
    check((r, ended(out)["JobState"]), (4096, 7))
    check([(l["TargetStorageVolume"], l["CopyStateDescription"], l["SyncType"])
           for l in c.enum(cls)], [(target.path, "Broken", None)])
    remove(p.url)
    check(c.enum(cls), [])


@test
def copies_that_are_nonsense_cost_nothing_but_themselves():
    p = replay.Provider()
    v = [name_of(i) for i in items(p, NS, "CIM_StorageVolume")]
    gone = v[0].replace(">0001<", ">4711<")
    check(gone != v[0], True)
    pool = name_of(items(p, NS, "CIM_StoragePool")[0])
    copies(p, (v[0], v[1], "X_Sync", {"SyncType": (8, "uint16"), "CopyState": ("blue", "uint16"),
                                      "WhenSynced": ("yesterday", "datetime"),
                                      "PercentSynced": (-1, "uint16")}),
           (v[0], v[1], "Y_Sync", {"SyncType": (6, "uint16")}), (v[0], gone, "X_Sync", {}),
           (gone, v[0], "X_Sync", {}), (v[2], v[2], "X_Sync", {}), (pool, v[0], "X_Sync", {}))
    p.answers[(NS, "CIM_StorageSynchronized")] = p.answers[
        (NS, "CIM_StorageSynchronized")].replace("</IRETURNVALUE>", (
            '<VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="X_Sync"/><INSTANCE CLASSNAME="X_Sync">' +
            prop("SystemElement", "not a reference") + "</INSTANCE></VALUE.NAMEDINSTANCE>"
            "</IRETURNVALUE>"))
    discover(p.url)
    links = c.enum("MSFT_SMStorageSynchronized")
    check([(l["SyncType"], l["CopyState"], l["CopyStateDescription"], l["WhenSynced"],
            l["PercentSynced"]) for l in links], [(8, None, None, None, None)])
    check("oddities" in status(p.url), True, status(p.url))
    check("CIM_StorageSynchronized" in status(p.url), True, status(p.url))
    check(len(of(p.url, "MSFT_SMStorageVolume")), 3)
    # a class that fails is named, and what was known of it stays
    p.mode, p.only = "malformed", "CIM_StorageSynchronized"
    j = discover(p.url, ok=False)
    check(j["JobState"], 10)
    check("CIM_StorageSynchronized" in j["ErrorDescription"], True, j["ErrorDescription"])
    check(len(c.enum("MSFT_SMStorageSynchronized")), 1)
    remove(p.url)


@test
def disk_drives_are_shown_with_the_pools_that_they_are_in():
    p = replay.Provider()
    pool = name_of(next(i for i in items(p, NS, "CIM_StoragePool") if "Primordial<" in i))
    disks, extents, packs, media, parts, real, soft, placed = [], [], [], [], [], [], [], []
    fw, firmware = named("TST_Software", {"InstanceID": "fw"}, prop("VersionString", "4.2"))
    bay, place = named("TST_Location", {"Name": "bay 1", "PhysicalPosition": "shelf 1, bay 1"})
    for n in "12":
        d, disk = named("TST_Disk", {"DeviceID": "disk" + n, "SystemName": "array1"},
                        prop("ElementName", "Disk " + n) + prop("DiskType", 3, "uint16") +
                        '<PROPERTY.ARRAY NAME="OperationalStatus" TYPE="uint16"><VALUE.ARRAY>'
                        "<VALUE>2</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>")
        e, extent = named("TST_Extent", {"DeviceID": "extent" + n}, prop("BlockSize", 4096, "uint64") +
                          prop("NumberOfBlocks", 1000, "uint64"))
        k, pack = named("TST_Package", {"Tag": "package" + n}, prop("Manufacturer", "Example") +
                        prop("Model", "D" + n) + prop("SerialNumber", "000" + n))
        disks.append(disk), extents.append(extent), packs.append(pack)
        media.append(tied("TST_Media", "Antecedent", d, "Dependent", e))
        parts.append(tied("TST_Component", "GroupComponent", pool, "PartComponent", e))
        real.append(tied("TST_Realizes", "Antecedent", k, "Dependent", d))
        soft.append(tied("TST_Runs", "Antecedent", fw, "Dependent", d))
        placed.append(tied("TST_At", "Element", k, "PhysicalLocation", bay))
    media.append(media[0].replace("disk1", "disk7"))
    for cls, what in (("CIM_DiskDrive", disks), ("CIM_MediaPresent", media), ("CIM_Realizes", real),
                      ("CIM_StorageExtent", extents), ("CIM_AssociatedComponentExtent", parts),
                      ("CIM_PhysicalPackage", packs), ("CIM_SoftwareIdentity", [firmware]),
                      ("CIM_ElementSoftwareIdentity", soft), ("CIM_Location", [place]),
                      ("CIM_PhysicalElementLocation", placed)):
        say(p, NS, cls, what)
    discover(p.url, discoveryLevel=2)
    check(c.enum("MSFT_SMDiskDrive"), [], "level 2 is all but disk drives")
    discover(p.url, discoveryLevel=3)
    drives = sorted(c.enum("MSFT_SMDiskDrive"), key=lambda d: d["DeviceId"])
    check([[d[k] for k in ("Identifier", "DisplayName", "Manufacturer", "Model", "SerialNumber",
                           "FirmwareVersion", "PhysicalLocation", "TotalSize", "DiskType",
                           "BytesPerLogicalSector", "HealthStatusDescription", "OperationalStatus",
                           "BusType", "IsSpare")]
           for d in drives],
          [["disk" + n, "Disk " + n, "Example", "D" + n, "000" + n, "4.2", "shelf 1, bay 1", 4096000,
            3, 4096, "Healthy", [2], None, None] for n in "12"])
    primordial = next(x for x in of(p.url, "MSFT_SMPool") if x["Primordial"])
    cls = "MSFT_SMDiskDriveToPool"
    check({(l["Parent"], l["Child"]) for l in c.enum(cls)},
          {(d.path, primordial.path) for d in drives})
    for d in drives:
        check(dict(c.get(d.path)), dict(d))
        check(c.walk("AssociatorNames", d.path, ns=SM, AssocClass=cls, Role="Parent",
                     ResultRole="Child"), [primordial.path])
    check(set(c.walk("AssociatorNames", primordial.path, ns=SM, AssocClass=cls, Role="Child")),
          {d.path for d in drives})
    check("CIM_MediaPresent leads" in status(p.url), True, status(p.url))
    # a part of it again, and by the name of one
    change(p, NS, "CIM_DiskDrive", "Disk 1", "Disk one")
    r, out = c.invoke(service, "PartialDiscovery", targetObjectId=drives[0]["ObjectId"])
    check((r, ended(out)["JobState"]), (4096, 7))
    check(sorted(d["DisplayName"] for d in c.enum("MSFT_SMDiskDrive")), ["Disk 2", "Disk one"])
    # gone, and marked
    p.mode = "down"
    check(discover(p.url, ok=False)["JobState"], 10)
    d = c.enum("MSFT_SMDiskDrive")[0]
    check((d["HealthStatus"], "last seen" in d["StatusDescription"]), (1, True))
    remove(p.url)


def at_address(addr, **kw):
    real, smi.loopback = smi.loopback, lambda: addr
    try:
        return replay.Provider(**kw)
    finally:
        smi.loopback = real


@test
def a_provider_discovered_by_name_shows_its_address_too():
    p = at_address("127.0.0.1")
    named = p.url.replace("127.0.0.1", "localhost")
    discover(named)
    check([w["ServiceURI_ip"] for w in c.enum("MSFT_SMWbemService")
           if w["ServiceURI"] == "service:wbem:" + named], ["service:wbem:" + p.url])
    remove(named)


# -- lies and floods --

@test
def an_answer_that_is_none_is_an_error_of_that_provider():
    for mode in replay.LYING:
        p = replay.Provider()
        p.mode = mode
        j = discover(p.url, ok=False)
        check(j["JobState"], 10, mode)
        check(bool(j["ErrorDescription"]), True, mode)
        print(f"# {mode}: {j['ErrorDescription']}")
        # one class only: the others are shown, and the job says which it was
        p.mode, p.only = mode, "CIM_StorageVolume"
        j = discover(p.url, ok=False)
        if j["JobState"] == 10:
            check("CIM_StorageVolume" in j["ErrorDescription"], True, j["ErrorDescription"])
        check(len(of(p.url, "MSFT_SMEndpoint")), 1, mode)
        calm.quick()
        remove(p.url)


@test
def a_flood_of_one_thing_is_cut_off():
    for mode in replay.HEAVY:
        p = replay.Provider()
        p.mode, p.only = mode, "CIM_StorageVolume"
        r, out = hasty.start(host=p.url)
        hasty.quick()
        at, spent = time.monotonic(), hasty.server.cpu()
        j = hasty.ended(out, PATIENCE + 20)
        print(f"# {mode}: {time.monotonic() - at:.1f} s, {hasty.server.cpu() - spent:.1f} s of a "
              f"processor: {j['ErrorDescription']}")
        check(j["JobState"], 10, mode)
        hasty.remove(p.url)
    peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(
        f"/proc/{hasty.server.proc.pid}/status").read_text())[1])
    print(f"# peak memory {peak // 1024} MiB")
    check(peak < (2 << 20 if SANITIZED else 600 << 10), True, "the floods were not kept")


@test
def who_sits_there_is_left_after_the_time_he_has():
    """Accepts and says nothing; a byte a minute; headers without end; a TLS handshake that
    doesn't come."""
    def serve(what):
        s = socket.socket()
        s.bind((smi.loopback(), 0))
        s.listen(8)
        kept = []

        def run_():
            try:
                while True:
                    conn, _ = s.accept()
                    kept.append(conn)
                    threading.Thread(target=what, args=(conn,), daemon=True).start()
            except OSError:
                pass
        threading.Thread(target=run_, daemon=True).start()
        smi.at_end(s.close)
        return "%s:%d" % s.getsockname()

    def silent(conn):
        pass

    def byte_a_minute(conn):
        try:
            for b in b"HTTP/1.1 200 OK\r\n":
                conn.send(bytes([b]))
                time.sleep(60)
        except OSError:
            pass

    def headers(conn):
        try:
            conn.recv(65536)
            conn.send(b"HTTP/1.1 200 OK\r\n")
            while True:
                conn.send(b"X-More: " + b"x" * 1000 + b"\r\n")
        except OSError:
            pass

    jobs = [(name, hasty.start(host=f"{scheme}://{serve(what)}")[1])
            for name, scheme, what in (("silent", "http", silent), ("no TLS", "https", silent),
                                       ("a byte a minute", "http", byte_a_minute),
                                       ("headers", "http", headers))]
    fine = replay.Provider()
    if not SANITIZED:  # which may take longer than this server is willing to wait
        hasty.discover(fine.url)
    for name, out in jobs:
        at = time.monotonic()
        j = hasty.ended(out, PATIENCE + 15)
        check(j["JobState"], 10, name)
        print(f"# {name}: {j['ErrorDescription']}")
    hasty.quick()
    for p in hasty.c.enum("MSFT_SMProvider"):
        if not p["ObjectId"].startswith("local:"):
            hasty.remove(p["URI"])


@test
def values_of_every_size_are_shown_as_they_are_or_not_at_all():
    long = "n" * 300000
    p = replay.Provider()
    change(p, NS, "CIM_ComputerSystem", '(NAME="ElementName"[^>]*><VALUE>)[^<]*', r"\g<1>" + long)
    change(p, NS, "CIM_TCPProtocolEndpoint", '(NAME="PortNumber"[^>]*><VALUE>)[^<]*',
           r"\g<1>99999999999999999999")
    discover(p.url)
    s = of(p.url, "MSFT_SMSystem")[0]
    check(s["DisplayName"] in (long, s["Name"]), True)
    check(of(p.url, "MSFT_SMiSCSIPortalEndpoint")[0]["PortNumber"], None)
    check("oddities" in status(p.url), True, status(p.url))
    remove(p.url)


@test
def a_discovery_ends_however_many_read():
    """Its threads have a lower priority; a share is left to them all the same."""
    body = c.imethod_body("EnumerateInstances", [("ClassName", c._class("MSFT_SMProvider"))])
    request = "POST /cimom HTTP/1.1\r\n" + f"Host: {calm.server.addr}:{calm.server.http}\r\n" + "".join(
        f"{k}: {v}\r\n" for k, v in c.headers("EnumerateInstances", SM).items()) + \
        f"Content-Length: {len(body)}\r\n\r\n"
    readers = [subprocess.Popen([str(smi.BUILD / "bench/bench_load"), calm.server.addr, str(calm.server.http), "8",
                                 "60"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
               for _ in range(2)]
    for r in readers:
        smi.at_end(r.kill)
        r.stdin.write(request.encode() + body)
        r.stdin.close()
    p = replay.Provider()
    spent, at = calm.server.cpu(), time.monotonic()
    calm.server.cli("sm", "discover", p.url)
    print(f"# discovered in {time.monotonic() - at:.1f} s beside 16 readers that took "
          f"{calm.server.cpu() - spent:.1f} s of a processor")
    check([r.poll() for r in readers], [None, None], "they were still reading")
    for r in readers:
        r.kill()
        r.wait()
    calm.server.cli("sm", "remove", p.url)


# -- jobs, cache, certificates, the command line --

@test
def a_job_tells_how_far_it_is():
    p = replay.Provider()
    p.mode, p.only = "hang", "CIM_StorageVolume"
    me = Client(calm.server.addr, calm.server.http, SM)
    _, out = me.invoke(me.names("MSFT_SMStorageDiscovery")[0], "StartDiscovery", host=p.url)
    j = wait_for("the job to get on", lambda: (lambda j: j["PercentComplete"] > 20 and j)(
        me.get(out["Job"])), 30)
    check(j["JobState"], 4)
    check(20 < j["PercentComplete"] < 100, True)
    check(any("discovering; never read" in d["Status"] for d in me.enum("MSFT_SMDiscovery")), True)
    p.wake.set()
    j = wait_for("the job", lambda: (lambda j: j["JobState"] >= 7 and j)(me.get(out["Job"])), 30)
    check((j["JobState"], j["PercentComplete"]), (7, 100))
    calm.server.cli("sm", "remove", p.url)


@test
def a_damaged_cache_costs_what_was_in_it_and_nothing_else():
    p, q = replay.Provider(), replay.Provider()
    mine = smi.Server(portals=1, engine="fake").start()

    def ask():
        return Client(mine.addr, mine.http, SM)
    for x in (p, q):
        me = ask()
        _, out = me.invoke(me.names("MSFT_SMStorageDiscovery")[0], "StartDiscovery", host=x.url)
        wait_for("it to be read", lambda: ask().get(out["Job"])["JobState"] == 7)
    files = wait_for("both caches", lambda: (lambda l: len(l) == 2 and l)(
        sorted((mine.state / "sm").glob("*.cache"))))
    mine.stop()
    whole = files[0].read_bytes()
    p.mode = q.mode = "down"

    def newer(d):  # a version that isn't known yet
        return d.replace(b"SMIMAGE2", b"SMIMAGE9")
    damages = {"truncated": lambda d: d[:len(d) // 2], "empty": lambda d: b"",
               "a flipped bit": lambda d: d[:700] + bytes([d[700] ^ 4]) + d[701:],
               "noise": lambda d: os.urandom(len(d)), "a newer format": newer,
               "something behind": lambda d: d + b"more"}
    for name, damage in damages.items():
        files[0].write_bytes(damage(whole))
        mine.start()
        check(len(ask().enum("MSFT_SMProvider")), 3, name)
        check(len(ask().enum("MSFT_SMStorageVolume")), 3, f"{name}: the other one's are there")
        mine.stop()
        check("cache" in mine.errors(), True, f"{name}: {mine.errors()[-500:]}")
    for name in ("providers", "credentials"):
        (mine.state / "sm" / name).write_bytes(os.urandom(3000))
        mine.start()
        check(len([x for x in ask().enum("MSFT_SMProvider")
                   if x["ObjectId"].startswith("local:")]), 1, name)
        mine.stop()


@test
def what_the_cache_has_is_the_same_after_a_restart_and_an_older_cache_is_read():
    p = replay.Provider()
    v = [name_of(i) for i in items(p, NS, "CIM_StorageVolume")]
    copies(p, (v[0], v[1], "X_Sync", {"SyncType": (7, "uint16"),
                                      "WhenSynced": ("20261121074000.000000+000", "datetime")}))
    mine = smi.Server(portals=1, engine="fake").start()
    mine.cli("sm", "discover", p.url)
    wait_for("the cache", lambda: list((mine.state / "sm").glob("*.cache")))
    hidden = {"OperationalStatus", "StatusDescription", "StatusDescriptions", "HealthStatus",
              "HealthStatusDescription", "IPEndpointOpStatus", "TCPEndpointOpStatus"}

    def shown():
        """All that a client can see of providers, but the marks of what is stale."""
        me = Client(mine.addr, mine.http, SM)
        return {cls: sorted(repr(sorted((k, repr(x)) for k, x in i.items() if k not in hidden))
                            for i in me.enum(cls) if "local:" not in repr(dict(i)))
                for cls in SHOWN}
    before = shown()
    check(len(before["MSFT_SMStorageSynchronized"]), 1)
    p.mode = "down"
    mine.stop()
    mine.start()
    check(shown(), before)
    mine.stop()
    # written by the version before this one: links said nothing then
    old = smi.ROOT / "tests/data/sm-state-1"
    then = smi.Server(portals=1, engine="fake")
    (then.state / "sm").mkdir(parents=True)
    for f in old.iterdir():
        (then.state / "sm" / f.name).write_bytes(f.read_bytes())
    then.start()
    me = Client(then.addr, then.http, SM)
    check([x["IPv4Address"] for x in me.enum("MSFT_SMiSCSIPortalEndpoint")
           if x["ObjectId"].startswith("e8f549e15a7ab589:")], ["127.0.0.1"])
    check(len(me.enum("MSFT_SMStorageVolume")), 3)
    check(len(me.enum("MSFT_SMStorageGroupToStorageVolume")), 2)
    check(me.enum("MSFT_SMStorageSynchronized"), [])
    check(any(d["Status"].replace("discovering; ", "").startswith("stale: last read ")
              for d in me.enum("MSFT_SMDiscovery")), True)
    check("e8f549e15a7ab589.cache" in then.errors(), False, then.errors()[-500:])
    then.stop()


def certificate(d, name):
    """A self-signed one for an address."""
    key, cert = d / f"{name}.key", d / f"{name}.pem"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        f"/CN={name}", "-addext", f"subjectAltName=IP:{name}", "-keyout", key, "-out", cert, ok=0)
    return cert, key


@test
def a_client_certificate_opens_a_provider_that_wants_one():
    d = smi.temp_dir()
    ours = certificate(d, "127.0.0.1")
    addr = smi.loopback()
    theirs = certificate(d, addr)
    p = at_address(addr, tls=theirs, client_ca=ours[0])
    for args, state in ((["--provider-certificate", str(ours[0]), "--provider-key", str(ours[1])], 7),
                        ([], 10)):
        mine = smi.Server(portals=1, engine="fake",
                          args=["--provider-authorities", str(theirs[0]), *args]).start()
        me = Client(mine.addr, mine.http, SM)
        _, out = me.invoke(me.names("MSFT_SMStorageDiscovery")[0], "StartDiscovery", host=p.url)
        j = wait_for("the job", lambda: (lambda j: j["JobState"] >= 7 and j)(me.get(out["Job"])), 20)
        check(j["JobState"], state, j["ErrorDescription"])
        mine.stop()


def on_a_terminal(*cmd, seen=lambda text: None):
    """(exit code, what was written) of a command with a terminal; seen: of what there is so far."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(cmd[0], [str(x) for x in cmd])
    out, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                more = os.read(fd, 4096)
            except OSError:
                break
            if not more:
                break
            out += more
            seen(out.decode())
    else:
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


@test
def the_command_line_shows_how_far_it_is_on_a_terminal_and_only_there():
    p = replay.Provider()
    p.mode, p.only = "hang", "CIM_StorageVolume"
    smiscsi = str(smi.BUILD / "smiscsi")

    def bars_of(text):
        return re.findall(r"\r\[([#.]{40})\] +(\d+) %", text)

    def go_on(text):
        if int((bars_of(text) or [("", 0)])[-1][1]) > 20:
            p.wake.set()
    code, out = on_a_terminal(smiscsi, "--url", calm.server.url, "sm", "discover", p.url, seen=go_on)
    check(code, 0, out)
    bars = bars_of(out)
    percents = [int(b[1]) for b in bars]
    check(percents == sorted(percents), True, out)
    check(any(20 < x < 100 for x in percents), True, out)
    check(percents[-1], 100, out)
    check(bars[-1][0], "#" * 40)
    code, out, err = run(smiscsi, "--url", calm.server.url, "sm", "discover", p.url)
    check((code, out, err), (0, "", ""))
    row = next(l for l in calm.server.cli("sm", "providers").splitlines() if p.url in l)
    check("current: last read 2" in row, True, row)
    check("127.0.0.1" in calm.server.cli("sm", "portals"), True)
    check("iqn.2026-01.example:array1,t,0x0001" in calm.server.cli("sm", "endpoints"), True)
    # as data, too
    for verb, key, want in (("providers", "URI", p.url), ("endpoints", "Name",
                            "iqn.2026-01.example:array1,t,0x0001"), ("portals", "IPv4Address",
                                                                     "127.0.0.1")):
        check(want in [x.get(key) for x in json.loads(calm.server.cli("--json", "sm", verb))], True, verb)
    # help of one noun or verb; a verb that is missing, or isn't there
    for args in (("sm", "--help"), ("sm", "discover", "--help")):
        out = run(smiscsi, *args, ok=0)[1]
        check("sm discover URL" in out and "node create" not in out, True, out)
    check("sm remove PROVIDER" in run(smiscsi, "sm", ok=2)[2], True)
    check("see smiscsi sm --help" in run(smiscsi, "sm", "fly", ok=2)[2], True)
    # what fails says why, also on a terminal
    p.mode, p.only = "down", None
    code, out = on_a_terminal(smiscsi, "--url", calm.server.url, "sm", "discover", p.url)
    check(code, 1)
    check("discovery failed" in out, True, out)
    row = next(l for l in calm.server.cli("sm", "providers").splitlines() if p.url in l)
    check("stale: last read 2" in row, True, row)
    p.mode = "fine"
    calm.server.cli("sm", "remove", p.url)
    p.requests.clear()
    calm.server.cli("sm", "discover", p.url, "--level", "0", "--interop", "interop")
    check((NS, "CIM_StorageVolume") in p.requests, False)
    check((NS, "CIM_ComputerSystem") in p.requests, True)
    check("the level is a number" in calm.server.cli_fails("sm", "discover", p.url, "--level", "x"), True)
    check("discoveryLevel must be" in calm.server.cli_fails("sm", "discover", p.url, "--level", "7"), True)
    calm.server.cli("sm", "remove", p.url)
    check(p.url in calm.server.cli("sm", "providers"), False)
    check("no provider" in calm.server.cli_fails("sm", "remove", p.url), True)


@test
def both_servers_are_as_they_were():
    calm.idle()
    hasty.idle()


smi.main()
