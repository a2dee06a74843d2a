#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Storage Management layer: the server's own objects through it, a recorded array of another
make, other servers like this one, and providers that go wrong in every way we know."""
import base64, os, pathlib, time
import xml.etree.ElementTree as ET
import replay, smi
from cimclient import CimError, Client, parse_instance
from smi import NS, SM, check, run, test, wait_for

server = smi.Server(portals=2).start()
c = Client(server.addr, server.http, SM)
own = Client(server.addr, server.http, NS)
service = c.names("MSFT_SMStorageDiscovery")[0]


def start(method="StartDiscovery", **p):
    return c.invoke(service, method, **p)


def job_done(job, seconds=60):
    def state():
        j = c.get(job)
        return j if j["JobState"] >= 7 else None
    return wait_for(f"job {job}", state, seconds)


def discover(url, ok=True, seconds=60, **p):
    r, out = start(host=url, hostType="smis-cimxml", forceRediscovery=True, discoveryLevel=3, **p)
    check(r, 4096, f"StartDiscovery of {url}")
    j = job_done(out["Job"], seconds)
    if ok:
        check((j["JobState"], j["ErrorDescription"]), (7, None), f"discovery of {url}")
        check(j["PercentComplete"], 100)
    return j


def provider(url):
    return next((p for p in c.enum("MSFT_SMProvider") if p["URI"] == url), None)


def prefix(url):
    return provider(url)["ObjectId"].split(":")[0] + ":"


def of(url, cls):
    pre = prefix(url)
    return [i for i in c.enum(cls) if i["ObjectId"].startswith(pre)]


def status(url):
    pre = prefix(url)[:-1]
    return next(d["Status"] for d in c.enum("MSFT_SMDiscovery") if d["DiscoveryId"] == pre)


def remove(url):
    r, _ = c.invoke(provider(url).path, "Remove", ns=SM)
    check(r, 0)
    check(provider(url), None)


def make_port(alias, portal):
    cfg = own.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    r, out = own.invoke(cfg, "CreateiSCSINode", Alias=alias)
    check(r, 0)
    r, out = own.invoke(cfg, "CreateiSCSIProtocolEndpoint", iSCSINode=out["iSCSINode"], Role=3,
                        NetworkPortals=[portal])
    check(r, 0)
    return out["iSCSIPort"]


@test
def the_local_server_is_there_when_the_server_is_ready():
    local = [p for p in c.enum("MSFT_SMProvider") if p["ObjectId"].startswith("local:")]
    check(len(local), 1)
    check(local[0]["InteropNamespace"].lower(), "interop")
    systems = c.enum("MSFT_SMSystem")
    check(len(systems), 1)
    check(systems[0]["CacheLevel"], 3)
    portals = c.enum("MSFT_SMiSCSIPortalEndpoint")
    check(sorted(p["IPv4Address"] for p in portals), sorted(server.portals))
    for p in portals:
        check(p["PortNumber"], 3260)
        check(p["IPv6Address"], None)
        ip = next(i for i in own.enum("CIM_IPProtocolEndpoint")
                  if i["IPv4Address"] == p["IPv4Address"])
        check(p["SubnetMask"], ip["SubnetMask"])
        check(p["IPEndpointOpStatus"], ip["OperationalStatus"])
        tcp = next(t for t in own.enum("CIM_TCPProtocolEndpoint")
                   if t["Name"] == f"{p['IPv4Address']}:3260")
        check(p["TCPEndpointOpStatus"], tcp["OperationalStatus"])


@test
def maker_and_model_of_our_own_system_come_from_the_firmware():
    """In a mount namespace whose firmware says what the test wants."""
    if run("unshare", "-m", "true")[0]:
        raise smi.Skip("no mount namespaces without root")
    d = smi.temp_dir()
    for name, text in (("sys_vendor", "Example Machines"), ("product_name", "Box 9"),
                       ("product_serial", "Default string")):
        (d / name).write_text(text + "\n")
    script = f"mount -t tmpfs none /sys/class && mkdir -p /sys/class/dmi && " \
             f"ln -s {d} /sys/class/dmi/id && exec \"$@\""
    mine = smi.Server(engine="fake", wrapper=["unshare", "-m", "sh", "-ec", script, "sh"]).start()
    package = Client(mine.addr, mine.http, NS).enum("CIM_PhysicalPackage")
    check([(p["Manufacturer"], p["Model"], p["SerialNumber"]) for p in package],
          [("Example Machines", "Box 9", None)])
    s = Client(mine.addr, mine.http, SM).enum("MSFT_SMSystem")[0]
    check([s[k] for k in ("Manufacturer", "Model", "SerialNumber", "Tag")],
          ["Example Machines", "Box 9", None, package[0]["Tag"]])
    links = Client(mine.addr, mine.http, NS).enum("CIM_SystemPackaging")
    check(len(links), 1)
    # where the firmware says nothing, nothing is made up
    check(c.enum("MSFT_SMSystem")[0]["Tag"], own_tag())


def own_tag():
    p = own.enum("CIM_PhysicalPackage")[0]
    s = c.enum("MSFT_SMSystem")[0]
    check((s["Manufacturer"], s["Model"]), (p["Manufacturer"], p["Model"]))
    return p["Tag"]


def busy():
    """Is the machine, or the build, too slow for a second to be a second?"""
    return smi.sanitized() or os.getloadavg()[0] > 2 * os.cpu_count()


@test
def a_change_shows_within_a_second():
    portal = own.names("CIM_TCPProtocolEndpoint")[0]
    port = make_port("sm one", portal)
    at = time.monotonic()
    ep = wait_for("the endpoint", lambda: [e for e in c.enum("MSFT_SMEndpoint")
                                           if e["Name"] == port.keys["Name"]], 20)[0]
    took = time.monotonic() - at
    print(f"# the new port took {1000 * took:.0f} ms to show")
    if not busy():
        check(took < 1, True, f"{took:.2f} s")
    check(ep["Role"], 3)
    check(ep["ConnectionType"], 7)
    links = c.walk("AssociatorNames", ep.path, ns=SM,
                   AssocClass="MSFT_SMEndpointToiSCSIPortal")
    check(len(links), 1)
    check(c.get(links[0])["Identifier"], portal.keys["Name"])


@test
def every_association_agrees_with_its_walk_from_both_ends():
    for cls in ("MSFT_SMProviderToSystem", "MSFT_SMSystemToEndpoint", "MSFT_SMSystemToCapabilities",
                "MSFT_SMEndpointToiSCSIPortal", "MSFT_SMDiscoveryToSystem", "MSFT_SMSystemToPool"):
        links = c.enum(cls)
        if not links:
            raise AssertionError(f"no {cls}")
        for role, other in (("Parent", "Child"), ("Child", "Parent")):
            for end in {l[role] for l in links}:
                got = c.walk("AssociatorNames", end, ns=SM, AssocClass=cls, Role=role)
                check(set(got), {l[other] for l in links if l[role] == end}, f"{cls} from {role}")


@test
def a_recorded_array_of_another_make_is_shown_in_full():
    p = replay.Provider()
    discover(p.url)
    u = p.url
    s = of(u, "MSFT_SMSystem")
    check([x["DisplayName"] for x in s], ["Mock iSCSI array"])
    check(s[0]["HealthStatus"], 0)
    check(provider(u)["SMISProfileVersion"], "1.6.1")
    w = next(x for x in c.enum("MSFT_SMWbemService") if x["ServiceURI"] == "service:wbem:" + u)
    check(w["ServiceURI_ip"], w["ServiceURI"], "its URL has an address")
    check("Array" in provider(u)["AutonomousProfiles"])
    portal = of(u, "MSFT_SMiSCSIPortalEndpoint")
    check([(x["IPv4Address"], x["PortNumber"], x["Identifier"]) for x in portal],
          [("127.0.0.1", 3260, "127.0.0.1:3260")])
    ep = of(u, "MSFT_SMEndpoint")
    check([x["Name"] for x in ep], ["iqn.2026-01.example:array1,t,0x0001"])
    check(ep[0]["NetworkAddresses"], ["020000000001"])
    check(ep[0]["Address"], "127.0.0.1")
    check(len([l for l in c.enum("MSFT_SMEndpointToiSCSIPortal") if l["Parent"] == ep[0].path]), 1)
    check(sorted(x["Identifier"] for x in of(u, "MSFT_SMStorageGroup")), ["view4"])
    check(sorted(x["Identifier"] for x in of(u, "MSFT_SMPool")), ["mock:Primordial", "mock:pool1"])
    check(len(of(u, "MSFT_SMStorageVolume")), len(replay.recorded()[
        (NS, "CIM_StorageVolume")].split("<VALUE.NAMEDINSTANCE>")) - 1)
    hw = of(u, "MSFT_SMStorageHardwareID")
    check([(x["StorageID"], x["IDType"]) for x in hw], [("iqn.1994-05.com.example:host1", 5)])
    group = of(u, "MSFT_SMStorageGroup")[0]
    for cls, n in (("MSFT_SMStorageGroupToStorageVolume", 2), ("MSFT_SMStorageGroupToEndpoint", 1),
                   ("MSFT_SMStorageGroupToStorageHardwareID", 1)):
        check(len(c.walk("ReferenceNames", group.path, ns=SM, ResultClass=cls)), n, cls)
    before = {(i.cls, i["ObjectId"]) for k in ("MSFT_SMEndpoint", "MSFT_SMStorageVolume",
                                               "MSFT_SMPool", "MSFT_SMSystem") for i in of(u, k)}
    discover(u)
    after = {(i.cls, i["ObjectId"]) for k in ("MSFT_SMEndpoint", "MSFT_SMStorageVolume",
                                              "MSFT_SMPool", "MSFT_SMSystem") for i in of(u, k)}
    check(after, before, "ObjectIds after rediscovery")
    remove(u)
    check(c.enum("MSFT_SMStorageHardwareID"), [])


# what is read on the way to the systems, whatever is asked for
WAY = {"CIM_RegisteredProfile", "CIM_ElementConformsToProfile", "CIM_ComputerSystem"}
LEVEL_0 = WAY | {"CIM_ObjectManager", "CIM_ObjectManagerCommunicationMechanism", "CIM_Namespace",
                 "CIM_SoftwareIdentity", "CIM_ElementSoftwareIdentity", "CIM_PhysicalPackage",
                 "CIM_SystemPackaging", "CIM_InstalledSoftwareIdentity",
                 "CIM_ProtocolControllerMaskingCapabilities", "CIM_StorageConfigurationCapabilities",
                 "CIM_ReplicationServiceCapabilities", "CIM_iSCSIConfigurationCapabilities",
                 "CIM_StorageReplicationCapabilities", "CIM_StorageClientSettingData",
                 "CIM_ElementCapabilities"}
ENDPOINTS = {"CIM_SCSIProtocolEndpoint", "CIM_TCPProtocolEndpoint", "CIM_IPProtocolEndpoint",
             "CIM_BindsTo"}
POOLS = {"CIM_StoragePool", "CIM_HostedStoragePool", "CIM_StorageCapabilities",
         "CIM_ElementCapabilities", "CIM_StorageSetting",
         "CIM_StorageSettingsAssociatedToCapabilities", "CIM_AllocatedFromStoragePool"}
LEVEL_1 = LEVEL_0 | ENDPOINTS | POOLS | {"CIM_NetworkPort", "CIM_DeviceSAPImplementation",
                                         "CIM_ElementSettingData", "CIM_StorageHardwareID"}
VIEWS = {"CIM_SCSIProtocolController", "CIM_ProtocolControllerForUnit", "CIM_SAPAvailableForElement",
         "CIM_AuthorizedPrivilege", "CIM_AuthorizedTarget", "CIM_AuthorizedSubject"}
LEVEL_2 = LEVEL_1 | VIEWS | {"CIM_StorageVolume", "CIM_StorageSynchronized", "CIM_ConcreteJob",
                             "CIM_AffectedJobElement"}
# what there is to know of disk drives is asked only where there are some
LEVEL_3 = LEVEL_2 | {"CIM_DiskDrive"}
# classes that are tried where the first answer had nothing
ALTERNATIVES = {"CIM_iSCSIProtocolEndpoint", "CIM_EthernetPort"}
PARTS = {
    1: WAY | {"CIM_PhysicalPackage", "CIM_SystemPackaging", "CIM_SoftwareIdentity",
              "CIM_InstalledSoftwareIdentity"},
    2: WAY | {"CIM_StorageHardwareID", "CIM_StorageClientSettingData", "CIM_ElementSettingData"},
    3: WAY | POOLS,
    4: WAY | {"CIM_StorageVolume", "CIM_StorageSetting", "CIM_ElementSettingData",
              "CIM_StoragePool", "CIM_AllocatedFromStoragePool", "CIM_StorageSynchronized"},
    5: WAY | ENDPOINTS | {"CIM_NetworkPort", "CIM_DeviceSAPImplementation"},
    6: WAY | ENDPOINTS,
    7: WAY | VIEWS | {"CIM_SCSIProtocolEndpoint", "CIM_StorageVolume", "CIM_StorageHardwareID"},
    14: WAY | {"CIM_DiskDrive", "CIM_PhysicalPackage", "CIM_SoftwareIdentity", "CIM_StoragePool"},
    15: {"CIM_RegisteredProfile", "CIM_ObjectManager", "CIM_Namespace", "CIM_SoftwareIdentity",
         "CIM_ObjectManagerCommunicationMechanism", "CIM_ElementSoftwareIdentity"},
    16: WAY | {"CIM_StorageSetting", "CIM_StorageSettingsAssociatedToCapabilities",
               "CIM_StorageCapabilities", "CIM_ElementCapabilities", "CIM_StoragePool"},
}
SHOWN = ("MSFT_SMProvider", "MSFT_SMWbemService", "MSFT_SMSystem", "MSFT_SMSystemCapabilities",
         "MSFT_SMEndpoint", "MSFT_SMiSCSIPortalEndpoint", "MSFT_SMStorageGroup",
         "MSFT_SMStorageHardwareID", "MSFT_SMPool", "MSFT_SMPoolSetting", "MSFT_SMStorageVolume")
LINKS = ("MSFT_SMProviderToSystem", "MSFT_SMSystemToCapabilities", "MSFT_SMSystemToEndpoint",
         "MSFT_SMSystemToPool", "MSFT_SMSystemToStorageGroup", "MSFT_SMSystemToStorageHardwareID",
         "MSFT_SMEndpointToiSCSIPortal", "MSFT_SMStorageGroupToEndpoint",
         "MSFT_SMStorageGroupToStorageVolume", "MSFT_SMStorageGroupToStorageHardwareID",
         "MSFT_SMPoolToVolume", "MSFT_SMPoolToSetting", "MSFT_SMPrimordialPoolToConcretePool")


def all_of(url):
    """Everything a provider shows, to be compared; {class: [what it says]}."""
    pre = prefix(url)
    out = {cls: sorted(repr(sorted(i.items(), key=lambda kv: kv[0])) for i in of(url, cls))
           for cls in SHOWN if cls != "MSFT_SMWbemService"}
    for cls in LINKS:
        out[cls] = sorted(repr((l["Parent"], l["Child"])) for l in c.enum(cls)
                          if pre in repr(l["Child"]))
    return out


def part(url, kind, ok=True, **more):
    r, out = start("PartialDiscovery", host=url, partialDiscoveryType=kind, **more)
    check(r, 4096, f"PartialDiscovery {kind}")
    j = job_done(out["Job"])
    if ok:
        check((j["JobState"], j["ErrorDescription"]), (7, None), f"PartialDiscovery {kind}")
    return j


@test
def each_level_reads_what_it_says_and_no_more():
    for level, classes in ((0, LEVEL_0), (1, LEVEL_1), (2, LEVEL_2), (3, LEVEL_3)):
        p = replay.Provider()
        for forced in (False, True):
            p.requests.clear()
            r, out = start(host=p.url, discoveryLevel=level, forceRediscovery=forced)
            check(r, 4096)
            check(job_done(out["Job"])["JobState"], 7)
            check({cls for _, cls in p.requests} - ALTERNATIVES, classes, f"level {level}")
        check(of(p.url, "MSFT_SMSystem")[0]["CacheLevel"], level)
        check(len(of(p.url, "MSFT_SMEndpoint")), 1 if level else 0)
        check(len(of(p.url, "MSFT_SMStorageGroup")), 1 if level > 1 else 0)
        remove(p.url)
    # asked for less than is known already: reads that much again, and takes nothing away
    p = replay.Provider()
    discover(p.url)
    before = all_of(p.url)
    for level, classes in ((0, LEVEL_0), (1, LEVEL_1)):
        p.requests.clear()
        r, out = start(host=p.url, discoveryLevel=level, forceRediscovery=True)
        check(job_done(out["Job"])["JobState"], 7)
        check({cls for _, cls in p.requests} - ALTERNATIVES, classes, f"level {level} again")
        check(all_of(p.url), before)
    remove(p.url)


@test
def a_partial_discovery_reads_what_it_names_and_no_more():
    p = replay.Provider()
    discover(p.url)
    before = all_of(p.url)
    for kind, classes in PARTS.items():
        p.requests.clear()
        part(p.url, kind)
        check({cls for _, cls in p.requests} - ALTERNATIVES, classes, f"type {kind}")
        check(all_of(p.url), before, f"type {kind}")
    # the object that is named says which
    system = of(p.url, "MSFT_SMSystem")[0]["ObjectId"]
    p.requests.clear()
    part(None, 0, targetObjectId=system, targetObjectClassType=1)
    check({cls for _, cls in p.requests}, PARTS[1])
    for bad in (dict(targetObjectClassType=3), dict(targetObjectId=system[:-1] + "x"),
                dict(targetObjectClassType=17), dict(partialDiscoveryType=8),
                dict(partialDiscoveryType=13), dict(partialDiscoveryType=17)):
        r, out = start("PartialDiscovery", **{"targetObjectId": system, "partialDiscoveryType": 1,
                                              **bad})
        check(r, 1, repr(bad))
        check("SMMessage" in str(out["ExtendedStatus"]), True)
    remove(p.url)


@test
def a_partial_discovery_changes_what_it_names_and_no_more():
    p = replay.Provider()
    discover(p.url)
    for cls in ("CIM_TCPProtocolEndpoint", "CIM_StorageVolume", "CIM_StorageHardwareID"):
        text = p.answers[(NS, cls)]
        p.answers[(NS, cls)] = text[:text.index("<IRETURNVALUE>") + 14] + \
            text[text.index("</IRETURNVALUE>"):]
    for kind, classes in ((2, {"MSFT_SMStorageHardwareID", "MSFT_SMSystemToStorageHardwareID",
                               "MSFT_SMStorageGroupToStorageHardwareID"}),
                          (4, {"MSFT_SMStorageVolume", "MSFT_SMPoolToVolume",
                               "MSFT_SMStorageGroupToStorageVolume"}),
                          (6, {"MSFT_SMiSCSIPortalEndpoint", "MSFT_SMEndpointToiSCSIPortal"})):
        before = all_of(p.url)
        for cls in classes:
            check(len(before[cls]) > 0, True, cls)
        part(p.url, kind)
        after = all_of(p.url)
        check({cls for cls in before if after[cls] != before[cls]}, classes, f"type {kind}")
        check([after[cls] for cls in classes], [[]] * 3 if kind != 6 else [[]] * 2)
        check("(MSFT_SM" in status(p.url), True, status(p.url))
    # one class fails: nothing is lost, the job says so; nobody there: marked as ever
    p.mode, p.only = "malformed", "CIM_StoragePool"
    before = all_of(p.url)
    j = part(p.url, 3, ok=False)
    check(j["JobState"], 10)
    check("CIM_StoragePool" in j["ErrorDescription"], True, j["ErrorDescription"])
    check(all_of(p.url), before)
    check(status(p.url).startswith("current"), True, status(p.url))
    p.mode, p.only = "down", None
    check(part(p.url, 3, ok=False)["JobState"], 10)
    check(status(p.url).startswith("stale"), True, status(p.url))
    # what is stale is read as a whole
    p.mode = "fine"
    p.requests.clear()
    part(p.url, 6)
    check({cls for _, cls in p.requests} - ALTERNATIVES, LEVEL_3)
    remove(p.url)


@test
def a_discovery_of_more_does_not_wait_for_one_of_less_and_both_end():
    p = replay.Provider()
    discover(p.url)
    p.mode, p.only = "hang", "CIM_BindsTo"
    r, less = start("PartialDiscovery", host=p.url, partialDiscoveryType=6)
    check(r, 4096)
    wait_for("it to be asked", lambda: (NS, "CIM_BindsTo") in p.requests[-1:], 10)
    r, more = start(host=p.url, discoveryLevel=3, forceRediscovery=True)
    check(r, 4096)
    check(more["Job"] != less["Job"], True)
    r, same = start(host=p.url, discoveryLevel=2, forceRediscovery=True)
    check(same["Job"], more["Job"], "that is being done")
    p.mode = "fine"
    p.wake.set()
    check(job_done(less["Job"])["JobState"], 7)
    check(job_done(more["Job"])["JobState"], 7)
    remove(p.url)


@test
def bad_providers_cost_only_themselves():
    for mode in ("malformed", "truncated", "redirect", "denied", "html", "empty", "down"):
        p = replay.Provider()
        p.mode = mode
        j = discover(p.url, ok=False)
        check(j["JobState"], 10, f"{mode}: {j['ErrorDescription']}")
        if not j["ErrorDescription"]:
            raise AssertionError(f"{mode}: no reason given")
        check(len(of(p.url, "MSFT_SMProvider")), 1)
        remove(p.url)
    check(len(c.enum("MSFT_SMiSCSIPortalEndpoint")), 2)


@test
def odd_answers_are_read_and_noted():
    for mode, portals in (("wrongtypes", 1), ("dangling", 0), ("twice", 1)):
        p = replay.Provider()
        p.mode = mode
        discover(p.url)
        check(len(of(p.url, "MSFT_SMiSCSIPortalEndpoint")), portals, mode)
        if "oddities" not in status(p.url):
            raise AssertionError(f"{mode}: {status(p.url)}")
        for cls in ("MSFT_SMEndpointToiSCSIPortal", "MSFT_SMPoolToVolume"):
            for link in c.enum(cls):
                c.get(link["Parent"])
                c.get(link["Child"])
        remove(p.url)


@test
def a_provider_that_goes_down_keeps_its_objects_marked():
    p = replay.Provider()
    discover(p.url)
    for mode in ("malformed", "down"):
        p.mode = mode
        p.only = None if mode == "down" else "CIM_BindsTo"
        check(discover(p.url, ok=False)["JobState"], 10)
        check(len(of(p.url, "MSFT_SMiSCSIPortalEndpoint")), 1, mode)
        if not status(p.url).startswith("stale: last read "):
            raise AssertionError(status(p.url))
        s = of(p.url, "MSFT_SMSystem")[0]
        check(s["OperationalStatus"][0], 13)
        check("last seen" in s["StatusDescription"])
        check(of(p.url, "MSFT_SMiSCSIPortalEndpoint")[0]["IPEndpointOpStatus"][0], 13)
    p.mode = "fine"
    discover(p.url)
    check(of(p.url, "MSFT_SMSystem")[0]["OperationalStatus"], [2])
    remove(p.url)


@test
def an_endless_answer_and_a_dripping_one_hold_nobody_up():
    mine = smi.Server(engine="fake", args=["--provider-timeout", "15"]).start()
    me = Client(mine.addr, mine.http, SM)

    def begin(p, **more):
        r, out = me.invoke(me.names("MSFT_SMStorageDiscovery")[0], "StartDiscovery", host=p.url, **more)
        check(r, 4096)
        return out["Job"]

    def ended(job):
        return wait_for("the job", lambda: (lambda j: j["JobState"] >= 7 and j)(me.get(job)), 60)
    endless, drip = replay.Provider(), replay.Provider()
    endless.mode, endless.only = "endless", "CIM_TCPProtocolEndpoint"
    drip.mode = "drip"
    dripping, slow = begin(drip), begin(endless)
    slowest = 0
    for _ in range(20):
        at = time.monotonic()
        me.enum("MSFT_SMiSCSIPortalEndpoint")
        slowest = max(slowest, time.monotonic() - at)
    print(f"# the slowest of 20 reads beside slow providers took {1000 * slowest:.0f} ms")
    check(slowest < 5, True, "no read waits for a provider")
    # in progress: 2; removing it ends the job
    r, out = me.invoke(me.names("MSFT_SMStorageDiscovery")[0], "PartialDiscovery", host=drip.url,
                       partialDiscoveryType=6)
    check(r, 2)
    check(me.get(dripping)["JobState"], 4)
    mine.cli("sm", "remove", drip.url)
    check(ended(dripping)["JobState"], 8)
    check(ended(slow)["JobState"], 10)
    # it cost nobody anything: another one is read, and this one as soon as it has an end
    endless.mode = "fine"
    check(ended(begin(endless))["JobState"], 7)
    mine.stop()


def priorities(pid):
    """(nice, scheduling policy) of every thread."""
    out = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        f = (task / "stat").read_text().rsplit(")", 1)[1].split()
        out.append((int(f[16]), int(f[38])))
    return out


@test
def threads_that_read_providers_give_way_to_those_that_answer_clients():
    batch, before = 3, priorities(server.proc.pid)
    normal = os.getpriority(os.PRIO_PROCESS, server.proc.pid)  # of the first thread
    low = min(19, normal + 10)
    p = replay.Provider()
    discover(p.url)
    now = priorities(server.proc.pid)
    check(now.count((low, batch)) - before.count((low, batch)), 1, f"{before} -> {now}")
    check(now.count((normal, 0)), before.count((normal, 0)), "all others are as before")
    remove(p.url)


@test
def credentials_are_sent_and_never_shown():
    p = replay.Provider(user="admin", password="s3cret-word")
    mine = smi.Server(engine="fake", args=["--log-level", "debug"]).start()
    me = Client(mine.addr, mine.http, SM)
    service = me.names("MSFT_SMStorageDiscovery")[0]

    def told(**how):
        r, out = me.invoke(service, "StartDiscovery", host=p.url, forceRediscovery=True, **how)
        check(r, 4096)
        return wait_for("the job", lambda: (lambda j: j["JobState"] >= 7 and j)(
            me.get(out["Job"])), 60)["JobState"]
    check(told(), 10)
    check(told(username="admin", password="s3cret-word"), 7)
    check(told(), 7, "they live as long as the server")
    os.environ["SMISCSI_PROVIDER_PASSWORD"] = "s3cret-word"
    mine.cli("sm", "discover", p.url, "--provider-user", "admin")
    del os.environ["SMISCSI_PROVIDER_PASSWORD"]
    for f in pathlib.Path(mine.state).rglob("*"):
        if f.is_file() and b"s3cret-word" in f.read_bytes():
            raise AssertionError(f"the password is in {f}")
    for form in ("s3cret-word", base64.b64encode(b"admin:s3cret-word").decode()):
        check(form in mine.errors(), False, "in the log")
        for cls in SHOWN + ("MSFT_SMJob", "MSFT_SMDiscovery"):
            check(form in repr([dict(i) for i in me.enum(cls)]), False, cls)
    check("audit:" in mine.errors() and "password=..." in mine.errors(), True)
    mine.stop()
    mine.start()
    check(told(), 10, "not longer than asked for")
    mine.stop()


def explained(out):
    """ExtendedStatus, which is an instance in a string; every property of it that applies."""
    x = parse_instance(ET.fromstring(out["ExtendedStatus"]))
    check(x.cls, "MSFT_SMExtendedStatus")
    check((x["StatusCode"], x["ProviderName"], x["SMErrorSource"]), (x["SMErrorCode"], "smiscsi", 1))
    check(bool(x["SMMessage"]), True)
    check(x["Description"], x["SMMessage"])
    return x


@test
def what_is_no_provider_is_refused_with_1_and_a_reason():
    good = dict(host="http://array1")
    system = c.enum("MSFT_SMSystem")[0]["ObjectId"]
    for method, p, at_fault in (
            ("StartDiscovery", dict(hostType="smis-wmi", host="array1"), "hostType"),
            ("StartDiscovery", dict(hostType="host-resource", host="array1"), "hostType"),
            ("StartDiscovery", dict(hostType="SMIS-WMI", host="array1"), "hostType"),
            ("StartDiscovery", dict(hostType="pigeon", host="array1"), "hostType"),
            ("StartDiscovery", dict(host="ftp://array1"), "host"),
            ("StartDiscovery", dict(host="http://u:p@array1"), "host"),
            ("StartDiscovery", dict(host=""), "host"), ("StartDiscovery", {}, "host"),
            ("StartDiscovery", dict(good, discoveryLevel=9), "discoveryLevel"),
            ("StartDiscovery", dict(good, password="x"), "username"),
            ("PartialDiscovery", dict(hostType="smis-wmi", host="array1"), "hostType"),
            ("PartialDiscovery", dict(host="ftp://array1"), "host"), ("PartialDiscovery", {}, "host"),
            ("PartialDiscovery", dict(good, discoveryLevel=4), "discoveryLevel"),
            ("PartialDiscovery", dict(good, partialDiscoveryType=17), "partialDiscoveryType"),
            ("PartialDiscovery", dict(good, partialDiscoveryType=9), "partialDiscoveryType"),
            ("PartialDiscovery", dict(good, targetObjectClassType=17), "targetObjectClassType"),
            ("PartialDiscovery", dict(good, targetObjectId="nobody"), "targetObjectId"),
            ("PartialDiscovery", dict(good, targetObjectId=system), "targetObjectId"),
            ("PartialDiscovery", dict(targetObjectId=system, targetObjectClassType=3),
             "targetObjectClassType")):
        r, out = start(method, **p)
        check(r, 1, repr(p))
        x = explained(out)
        check((x["Operation"], x["ParameterInfo"], x["SMErrorCode"]), (method, at_fault, 1), repr(p))
        check(out.get("Job"), None)
        if "smis-wmi" in str(p).lower():
            check("not supported" in x["SMDetails"], True, x["SMDetails"])
    check(len(c.enum("MSFT_SMProvider")), 1, "nothing was registered")
    # values that are none of their type are no matter of the rules
    for p in (dict(good, discoveryLevel="many"), dict(good, forceRediscovery="perhaps"),
              dict(good, flavour="mint")):
        try:
            start(**p)
        except CimError as e:
            check(e.code, 4, repr(p))
        else:
            raise AssertionError(repr(p))


@test
def every_parameter_of_a_discovery_does_what_its_page_says():
    p = replay.Provider(user="admin", password="s3cret-word")
    asked = dict(host=p.url, hostType="smis-cimxml", interopNamespace="interop", username="admin",
                 password="s3cret-word")
    r, out = start(**asked, forceRediscovery=False, discoveryLevel=1)
    check(r, 4096)
    check(out.get("ExtendedStatus"), None)
    j = job_done(out["Job"])
    check((j["JobState"], j["ErrorCode"], j["PercentComplete"]), (7, 0, 100))
    check(of(p.url, "MSFT_SMSystem")[0]["CacheLevel"], 1)
    # what is known and current is not read again: 0 and no job, at that level or less
    p.requests.clear()
    for level in (0, 1):
        r, out = start(host=p.url, discoveryLevel=level)
        check((r, out.get("Job"), out.get("ExtendedStatus")), (0, None, None))
    check(start(host=p.url, discoveryLevel=1, forceRediscovery=False)[0], 0)
    check(p.requests, [])
    # more, or again: a job
    for more in (dict(discoveryLevel=2), dict(discoveryLevel=0, forceRediscovery=True), asked):
        r, out = start(**{"host": p.url, **more})
        check(r, 4096, repr(more))
        check(job_done(out["Job"])["JobState"], 7, repr(more))
    check(len(p.requests) > 30, True)
    check(of(p.url, "MSFT_SMSystem")[0]["CacheLevel"], 3, "without a level: all")
    # one that runs: StartDiscovery joins it, PartialDiscovery says 2
    p.mode, p.only = "hang", "CIM_BindsTo"
    r, first = start(host=p.url, forceRediscovery=True)
    wait_for("it to be asked", lambda: (NS, "CIM_BindsTo") in p.requests[-1:], 10)
    r, second = start(host=p.url, forceRediscovery=True)
    check((r, second["Job"]), (4096, first["Job"]))
    r, out = start("PartialDiscovery", **asked, partialDiscoveryType=6)
    check((r, out.get("Job")), (2, None))
    check(explained(out)["SMErrorCode"], 2)
    j = wait_for("the job to get on", lambda: (lambda j: j["PercentComplete"] and j)(
        c.get(first["Job"])))
    check((j["JobState"], j["OperationalStatus"], j["ErrorDescription"]), (4, [2], None))
    check(j["PercentComplete"] < 100, True, j["PercentComplete"])
    p.mode = "fine"
    p.wake.set()
    check(job_done(first["Job"])["JobState"], 7)
    # what a wrong interop namespace and wrong credentials come to is in the job
    r, out = start("PartialDiscovery", **asked, partialDiscoveryType=0)
    check(job_done(out["Job"])["JobState"], 7)
    r, out = start(**{**asked, "password": "wrong"})
    j = job_done(out["Job"])
    check((j["JobState"], j["JobStatus"], j["OperationalStatus"], j["ErrorCode"]),
          (10, "failed", [6, 17], 1))
    check(bool(j["ErrorDescription"]), True)
    check(len(of(p.url, "MSFT_SMEndpoint")), 1, "what was known stays")
    discover(p.url)  # and so do the credentials that were right
    remove(p.url)


@test
def our_own_provider_cannot_be_removed():
    mine = next(x for x in c.enum("MSFT_SMProvider") if x["ObjectId"].startswith("local:"))
    for force in (False, True):
        r, out = c.invoke(mine.path, "Remove", ns=SM, force=force)
        check(r, 1)
        check(explained(out)["Operation"], "Remove")
    check("can't be removed" in server.cli_fails("sm", "remove", mine["URI"]), True)
    check(len(c.enum("MSFT_SMiSCSIPortalEndpoint")), 2)


@test
def a_provider_whose_certificate_nobody_vouches_for_is_not_read():
    other = smi.Server()
    port = smi.free_port(other.addr)
    other.args = ["--https", f"{other.addr}:{port}"]
    other.start()
    url = f"https://{other.addr}:{port}"
    for _ in range(5):
        j = discover(url, ok=False)
        if "timeout" not in j["ErrorDescription"]:
            break
    check(j["JobState"], 10)
    if "certificate" not in j["ErrorDescription"].lower():
        raise AssertionError(j["ErrorDescription"])
    remove(url)
    trusting = smi.Server(args=["--provider-authorities", str(other.state / "tls/cert.pem"),
                                "--keep-credentials", "yes"]).start()
    t = Client(trusting.addr, trusting.http, SM)
    for _ in range(5):  # a handshake may have to wait for its turn on a busy machine
        r, out = t.invoke(t.names("MSFT_SMStorageDiscovery")[0], "StartDiscovery", host=url,
                          username="admin", password="s3cret-word")
        check(r, 4096)
        j = wait_for("the job", lambda: (lambda i: i["JobState"] >= 7 and i)(t.get(out["Job"])), 20)
        if "timeout" not in str(j["ErrorDescription"]):
            break
    check((j["JobState"], j["ErrorDescription"]), (7, None))
    check(len(t.enum("MSFT_SMiSCSIPortalEndpoint")), 2)
    f = trusting.state / "sm/credentials"
    check(f.stat().st_mode & 0o777, 0o600)
    check("s3cret-word" in f.read_text(), True)
    # a name that the certificate doesn't have
    r, out = t.invoke(t.names("MSFT_SMStorageDiscovery")[0], "StartDiscovery",
                      host=f"https://127.255.255.254:{port}")
    j = wait_for("the job", lambda: (lambda i: i["JobState"] >= 7 and i)(t.get(out["Job"])), 20)
    check(j["JobState"], 10)


@test
def another_server_like_this_one_is_discovered_and_survives_a_restart_of_ours():
    other = smi.Server(portals=3).start()
    discover(other.url)
    check(sorted(x["IPv4Address"] for x in of(other.url, "MSFT_SMiSCSIPortalEndpoint")),
          sorted(other.portals))
    before = sorted(x["ObjectId"] for x in of(other.url, "MSFT_SMiSCSIPortalEndpoint"))
    other.stop()
    server.stop()
    server.start()
    check(sorted(x["ObjectId"] for x in of(other.url, "MSFT_SMiSCSIPortalEndpoint")), before)
    check(status(other.url).split(":")[0].replace("discovering; ", ""), "stale")


@test
def a_provider_is_noticed_going_and_coming_by_itself_and_a_killed_server_keeps_its_cache():
    p = replay.Provider()
    mine = smi.Server(args=["--refresh", "1"]).start()

    def ask():
        return Client(mine.addr, mine.http, SM)

    def says(word):
        return lambda: any(word in d["Status"] for d in ask().enum("MSFT_SMDiscovery")
                           if d["DiscoveryId"] != "local")
    r, _ = ask().invoke(ask().names("MSFT_SMStorageDiscovery")[0], "StartDiscovery", host=p.url)
    check(r, 4096)
    wait_for("the first reading", says("current"), 60)
    p.mode = "down"
    wait_for("stale", says("stale"), 60)
    check(len(ask().enum("MSFT_SMiSCSIPortalEndpoint")), 2)
    p.mode = "fine"
    wait_for("current again", says("current"), 60)
    for _ in range(3):
        time.sleep(0.4)
        mine.kill()
        mine.start()
        check(len(ask().enum("MSFT_SMiSCSIPortalEndpoint")), 2)


smi.main()
