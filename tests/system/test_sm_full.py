#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every class and association of the Storage Management layer, every property of it: from a
provider that says all there is to say, each value different, so that none can come from elsewhere."""
import json, re

import replay, smi
from cimclient import Client
from replay import named, prop, say, tied
from smi import NS, SM, check, test

server = smi.Server(portals=1, engine="fake").start()
c = Client(server.addr, server.http, SM)

# what has no source in what providers say, and so no value (docs/sm.md)
NO_SOURCE = {
    "MSFT_SMDiskDrive": {"BusType", "BytesPerPhysicalSector", "IsIndicationEnabled", "IsAvailable",
                         "IsSpare"},
    "MSFT_SMSystemCapabilities": {"SupportedFileServerProtocols"},
    "MSFT_SMStorageSynchronized": {"RecoveryPointObjective"},
}
WHEN = "20261121074%03d.000000+000"
SPAN = "00000000000%03d.000000:000"


def typed(said):
    """{name: value or (value, type)} as properties."""
    out = ""
    for name, v in said.items():
        v, t = v if isinstance(v, tuple) else (v, "string")
        out += prop(name, v, t)
    return out


def obj(cls, keys, **said):
    return named("TST_" + cls, keys, typed(said))


def u16(v):
    return (v, "uint16")


def u64(v):
    return (v, "uint64")


TRUE, FALSE = ("TRUE", "boolean"), ("FALSE", "boolean")


def provider():
    p = replay.Provider()
    for (ns, cls) in list(p.answers):
        del p.answers[(ns, cls)]
    links, said = {}, {}

    def add(cls, *objects, ns=NS):
        said.setdefault((ns, cls), []).extend(o[1] for o in objects)
        return objects[0][0]

    def tie(cls, a, a_name, b, b_name, ns=NS, **more):
        links.setdefault((ns, cls), []).append(
            tied("TST_" + cls[4:], a, a_name, b, b_name, typed(more)))

    def system_name(cls, name, **more):
        return obj(cls, {"CreationClassName": cls, "Name": name}, **more)

    # interop
    smis = add("CIM_RegisteredProfile", obj("RegisteredProfile", {"InstanceID": "smis"},
               RegisteredOrganization=u16(11), RegisteredName="SMI-S", RegisteredVersion="1.8.0"),
               ns="interop")
    array = add("CIM_RegisteredProfile", obj("RegisteredProfile", {"InstanceID": "array"},
                RegisteredOrganization=u16(11), RegisteredName="Array", RegisteredVersion="1.7.0"),
                ns="interop")
    add("CIM_RegisteredProfile", named("CIM_RegisteredSubProfile", {"InstanceID": "fc"}, typed(dict(
        RegisteredOrganization=u16(11), RegisteredName="FC Target Ports",
        RegisteredVersion="1.6.0"))), ns="interop")
    om = add("CIM_ObjectManager", obj("OM", {"CreationClassName": "OM", "SystemName": "managing host",
             "SystemCreationClassName": "S", "Name": "om name"}, ElementName="om shown",
             Description="om described"), ns="interop")
    add("CIM_ObjectManagerCommunicationMechanism", obj("Comm", {"Name": "comm"},
        CommunicationMechanism=u16(2), Version="1.2", MultipleOperationsSupported=TRUE,
        AuthenticationMechanismsSupported=u16([3, 4])), ns="interop")
    for name in ("interop", NS):
        add("CIM_Namespace", obj("Namespace", {"Name": name}), ns="interop")
    isw = add("CIM_SoftwareIdentity", obj("Software", {"InstanceID": "isw"}, VersionString="9.1",
              Manufacturer="Maker of the provider"), ns="interop")
    tie("CIM_ElementSoftwareIdentity", "Antecedent", isw, "Dependent", om, ns="interop")

    # the system
    s = add("CIM_ComputerSystem", system_name("System", "array1", ElementName="array shown",
            NameFormat="IP", OperationalStatus=u16([3]), Dedicated=u16([3, 15]),
            OtherIdentifyingInfo=["10.9.8.7"], IdentifyingDescriptions=["Ipv4 Address"]))
    local = s.replace("<INSTANCENAME", "<LOCALINSTANCEPATH><LOCALNAMESPACEPATH>" + "".join(
        f'<NAMESPACE NAME="{n}"/>' for n in NS.split("/")) + "</LOCALNAMESPACEPATH><INSTANCENAME") + \
        "</LOCALINSTANCEPATH>"
    tie("CIM_ElementConformsToProfile", "ConformantStandard", array, "ManagedElement", local,
        ns="interop")
    check(bool(smis), True)
    box = add("CIM_PhysicalPackage", obj("Package", {"CreationClassName": "P", "Tag": "box tag"},
              Manufacturer="maker of the box", Model="model of the box", SerialNumber="box 0815"))
    tie("CIM_SystemPackaging", "Antecedent", box, "Dependent", s)
    fw = add("CIM_SoftwareIdentity", obj("Software", {"InstanceID": "fw"}, VersionString="fw 7.2"))
    tie("CIM_InstalledSoftwareIdentity", "System", s, "InstalledSoftware", fw)

    # what it can do
    add("CIM_ProtocolControllerMaskingCapabilities", obj("Masking", {"InstanceID": "m"},
        ValidHardwareIdTypes=u16([2, 5, 1]), OtherValidHardwareIDTypes=["a", "b", "card"],
        PortsPerView=u16(2), ClientSelectableDeviceNumbers=TRUE, OneHardwareIDPerView=TRUE,
        ExposePathsSupported=TRUE, MaximumMapCount=u16(7)))
    add("CIM_StorageConfigurationCapabilities", obj("Config", {"InstanceID": "c"},
        SupportedSynchronousActions=u16([2, 3, 5]), SupportedAsynchronousActions=u16([4, 6, 7]),
        SupportedStorageElementFeatures=u16([3, 5, 12, 13]),
        SupportedStoragePoolFeatures=u16([6]), SupportedStorageElementTypes=u16([2, 5])))
    add("CIM_ReplicationServiceCapabilities", obj("Repl", {"InstanceID": "r"},
        SupportedReplicationTypes=u16([2, 5, 6, 9, 10, 13])))
    for kind, most in ((3, 2), (5, 256), (6, 8)):
        add("CIM_StorageReplicationCapabilities", obj("Copies", {"InstanceID": f"cc{kind}"},
            SupportedSynchronizationType=u16(kind), MaximumReplicasPerSource=u16(most)))
    add("CIM_iSCSIConfigurationCapabilities", obj("iSCSI", {"InstanceID": "i"},
        iSCSIProtocolEndpointCreationSupported=FALSE))
    client = add("CIM_StorageClientSettingData", obj("Client", {"InstanceID": "cl"},
                 ClientTypes=u16([14, 1]), OtherClientTypeDescriptions=["Linux", "Plan 9"]))

    # endpoints: iSCSI over TCP over IP over Ethernet; one that says nothing of how it is; FC
    sap = {"SystemCreationClassName": "System", "SystemName": "array1", "CreationClassName": "E"}
    ep = add("CIM_SCSIProtocolEndpoint", obj("EP", {**sap, "Name": "iqn.x,t,0x0001"},
             ElementName="port shown", Role=u16(4), ConnectionType=u16(7),
             OperationalStatus=u16([2])))
    mute = add("CIM_SCSIProtocolEndpoint", obj("EP", {**sap, "Name": "iqn.y,t,0x0001"}, Role=u16(3)))
    tcp = add("CIM_TCPProtocolEndpoint", obj("TCP", {**sap, "Name": "10.0.0.1:3261"},
              PortNumber=(3261, "uint32"), OperationalStatus=u16([11, 18])))
    tcp6 = add("CIM_TCPProtocolEndpoint", obj("TCP", {**sap, "Name": "six"},
               PortNumber=(3262, "uint32"), OperationalStatus=u16([0])))
    ip = add("CIM_IPProtocolEndpoint", obj("IP", {**sap, "Name": "10.0.0.1"},
             IPv4Address="10.0.0.1", SubnetMask="255.255.254.0", OperationalStatus=u16([10])))
    ip6 = add("CIM_IPProtocolEndpoint", obj("IP", {**sap, "Name": "2001:db8::1"},
              IPv6Address="2001:db8::1", OperationalStatus=u16([15, 17])))
    nic = add("CIM_NetworkPort", obj("NIC", {"SystemName": "controller A", "CreationClassName": "N",
              "SystemCreationClassName": "System", "DeviceID": "eth0"},
              PermanentAddress="020000000001", NetworkAddresses=["020000000002"],
              LinkTechnology=u16(1), OtherLinkTechnology="string", Speed=u64(10**9),
              MaxSpeed=u64(10**10), PortNumber=u16(3), PortType=u16(53), UsageRestriction=u16(2)))
    for low, high in ((ip, tcp), (ip6, tcp6), (tcp, ep), (tcp6, ep), (tcp, mute)):
        tie("CIM_BindsTo", "Antecedent", low, "Dependent", high)
    tie("CIM_DeviceSAPImplementation", "Antecedent", nic, "Dependent", ip)
    fc = add("CIM_ProtocolEndpoint", obj("FC", {**sap, "Name": "5001"}, NameFormat="WWPN",
             ProtocolIFType=u16(56)))
    far = add("CIM_ProtocolEndpoint", obj("FC", {**sap, "SystemName": "switch", "Name": "5002"},
              NameFormat="WWPN of the switch", ProtocolIFType=u16(56)))
    tie("CIM_ActiveConnection", "Antecedent", fc, "Dependent", far)

    # pools, their settings, volumes, copies, drives
    raw = add("CIM_StoragePool", obj("Pool", {"InstanceID": "raw"}, Primordial=TRUE,
              ElementName="all there is", OperationalStatus=u16([2])))
    pool = add("CIM_StoragePool", obj("Pool", {"InstanceID": "pool 1"}, PoolID="pool id",
               Name="pool name", ElementName="pool shown", Primordial=FALSE,
               TotalManagedSpace=u64(4000), RemainingManagedSpace=u64(3000),
               ThinProvisionMetaDataSpace=u64(50), Usage=u16(1), OtherUsageDescription="for tests",
               LowSpaceWarningThreshold=u16(80), SpaceLimit=u64(2000),
               SpaceLimitDetermination=u16(3), OperationalStatus=u16([6]),
               StatusDescriptions=["burning"]))
    for x in (raw, pool):
        tie("CIM_HostedStoragePool", "GroupComponent", s, "PartComponent", x)
    caps = add("CIM_StorageCapabilities", obj("PoolCaps", {"InstanceID": "pc"}, ElementType=u16(6),
               NoSinglePointOfFailure=TRUE, NoSinglePointOfFailureDefault=TRUE,
               DataRedundancyMax=u16(5), DataRedundancyMin=u16(1), DataRedundancyDefault=u16(2),
               PackageRedundancyMax=u16(4), PackageRedundancyMin=u16(3),
               PackageRedundancyDefault=u16(6), ExtentStripeLengthDefault=u16(7),
               ParityLayoutDefault=u16(2), UserDataStripeDepthDefault=u64(65536),
               SupportedStorageElementTypes=u16([2, 5])))
    offered = add("CIM_StorageSetting", obj("Setting", {"InstanceID": "setting 1"},
                  ElementName="setting shown", NoSinglePointOfFailure=TRUE,
                  DataRedundancyMin=u16(1), DataRedundancyMax=u16(2), DataRedundancyGoal=u16(3),
                  PackageRedundancyMin=u16(4), PackageRedundancyMax=u16(5),
                  PackageRedundancyGoal=u16(6), ChangeableType=u16(1), ExtentStripeLength=u16(8),
                  ExtentStripeLengthMin=u16(7), ExtentStripeLengthMax=u16(9), ParityLayout=u16(2),
                  UserDataStripeDepth=u64(11), UserDataStripeDepthMin=u64(10),
                  UserDataStripeDepthMax=u64(12), ThinProvisionedPoolType=u16(8)))
    of_volume = add("CIM_StorageSetting", obj("Setting", {"InstanceID": "of a volume"},
                    ExtentStripeLength=u16(21), ParityLayout=u16(1), UserDataStripeDepth=u64(22)))
    tie("CIM_ElementCapabilities", "ManagedElement", pool, "Capabilities", caps)
    tie("CIM_StorageSettingsAssociatedToCapabilities", "Antecedent", caps, "Dependent", offered)
    dev = {"SystemCreationClassName": "System", "SystemName": "array1", "CreationClassName": "D"}
    v = add("CIM_StorageVolume", obj("Volume", {**dev, "DeviceID": "vol 1"}, ElementName="volume shown",
            Name="name 1", NameFormat=u16(1), NameNamespace=u16(1), OtherNameFormat="own format",
            OtherNameNamespace="own namespace", OperationalStatus=u16([8]),
            StatusDescriptions=["waking up"], BlockSize=u64(520), NumberOfBlocks=u64(100),
            ConsumableBlocks=u64(90), Primordial=FALSE, OtherIdentifyingInfo=["600a0b", "x"],
            IdentifyingDescriptions=["NAA;VPD83Type3", "y"], NoSinglePointOfFailure=TRUE,
            DataRedundancy=u16(2), PackageRedundancy=u16(1), Access=u16(3), ThinlyProvisioned=TRUE,
            Usage=u16(12)))
    w = add("CIM_StorageVolume", obj("Volume", {**dev, "DeviceID": "vol 2"}, Usage=u16(2)))
    tie("CIM_ElementSettingData", "ManagedElement", v, "SettingData", of_volume)
    for a, b in ((raw, pool), (pool, v), (pool, w)):
        tie("CIM_AllocatedFromStoragePool", "Antecedent", a, "Dependent", b)
    tie("CIM_StorageSynchronized", "SystemElement", w, "SyncedElement", v, CopyMethodology=u16(6),
        CopyPriority=u16(1), CopyState=u16(4), CopyType=u16(5), Mode=u16(2), PercentSynced=u16(99),
        ProgressStatus=u16(2), ReplicaType=u16(3), RequestedCopyState=u16(9), SyncState=u16(6),
        SyncType=u16(7), SyncMaintained=TRUE, WhenActivated=(WHEN % 1, "datetime"),
        WhenDeactivated=(WHEN % 2, "datetime"), WhenEstablished=(WHEN % 3, "datetime"),
        WhenSuspended=(WHEN % 4, "datetime"), WhenSynchronized=(WHEN % 5, "datetime"),
        WhenSynced=(WHEN % 6, "datetime"))
    disk = add("CIM_DiskDrive", obj("Disk", {**dev, "DeviceID": "disk 1"}, Name="disk name",
               ElementName="disk shown", Description="disk described",
               OperationalStatus=u16([5]), StatusDescriptions=["clicking"], RPM=(7200, "uint32"),
               DiskType=u16(2), Encryption=u16(3), CompressionMethod="none"))
    extent = add("CIM_StorageExtent", obj("Extent", {**dev, "DeviceID": "extent 1"},
                 BlockSize=u64(512), NumberOfBlocks=u64(1000), ConsumableBlocks=u64(400)))
    pack = add("CIM_PhysicalPackage", obj("Package", {"CreationClassName": "P", "Tag": "disk tag"},
               Manufacturer="maker of the disk", Model="model of the disk",
               SerialNumber="disk 0815", PartNumber="disk part"))
    disk_fw = add("CIM_SoftwareIdentity", obj("Software", {"InstanceID": "d"}, VersionString="dfw 1"))
    bay = add("CIM_Location", obj("Location", {"Name": "l", "PhysicalPosition": "bay 3"}))
    tie("CIM_MediaPresent", "Antecedent", disk, "Dependent", extent)
    tie("CIM_ConcreteComponent", "GroupComponent", raw, "PartComponent", extent)
    tie("CIM_Realizes", "Antecedent", pack, "Dependent", disk)
    tie("CIM_ElementSoftwareIdentity", "Antecedent", disk_fw, "Dependent", disk)
    tie("CIM_PhysicalElementLocation", "Element", pack, "PhysicalLocation", bay)

    # a masking view
    view = add("CIM_SCSIProtocolController", obj("View", {**dev, "DeviceID": "view 1"},
               Name="view name", NameFormat=u16(1), ElementName="view shown"))
    hw = add("CIM_StorageHardwareID", obj("HW", {"InstanceID": "hw 1"}, StorageID="iqn.host",
             IDType=u16(5)))
    priv = add("CIM_AuthorizedPrivilege", obj("Privilege", {"InstanceID": "p"}))
    tie("CIM_ProtocolControllerForUnit", "Antecedent", view, "Dependent", v)
    tie("CIM_SAPAvailableForElement", "AvailableSAP", ep, "ManagedElement", view)
    tie("CIM_AuthorizedTarget", "Privilege", priv, "TargetElement", view)
    tie("CIM_AuthorizedSubject", "Privilege", priv, "PrivilegedElement", hw)
    tie("CIM_ElementSettingData", "ManagedElement", hw, "SettingData", client)

    # a job
    job = add("CIM_ConcreteJob", obj("Job", {"InstanceID": "job 1"}, Description="making a volume",
              ElapsedTime=(SPAN % 130, "datetime"), ErrorCode=u16(6), ErrorDescription="no room",
              JobState=u16(10), JobStatus="over", LocalOrUtcTime=u16(1),
              OperationalStatus=u16([6, 17]), PercentComplete=u16(42),
              StartTime=(WHEN % 11, "datetime"), StatusDescriptions=["bad", "over"],
              TimeBeforeRemoval=(SPAN % 20, "datetime"),
              TimeOfLastStateChange=(WHEN % 12, "datetime"),
              TimeSubmitted=(WHEN % 13, "datetime")))
    for x in (pool, view, v):
        tie("CIM_AffectedJobElement", "AffectedElement", x, "AffectingElement", job)
    for (ns, cls), what in [*said.items(), *links.items()]:
        say(p, ns, cls, what)
    return p


p = provider()
server.cli("sm", "discover", p.url)
pre = next(x["ObjectId"] for x in c.enum("MSFT_SMProvider") if x["URI"] == p.url).split(":")[0]


def of(cls):
    """What the provider shows of a class (not what our own server does)."""
    return [i for i in c.enum(cls) if pre in repr(dict(i)) or i.get("ServiceURI", "").endswith(p.url)]


def status(n):
    return {"OperationalStatus": [n]}


NICS = dict(LinkTechnology=1, OtherLinkTechnology="string", Speed=10**9, MaxSpeed=10**10,
            PortNumber=3, PortType=53, UsageRestriction=2, NetworkAddresses=["020000000002"],
            SystemName="controller A")
# {class: {the value of one property that tells the objects apart: all the others}}
WANTED = {
    "MSFT_SMProvider": ("URI", {p.url: dict(
        Identifier=p.url, SystemName="managing host", ProviderSystemID="om name",
        ElementName="om shown", VersionString="9.1", Manufacturer="Maker of the provider",
        InteropNamespace="interop", MultipleOperationsSupported=True,
        Namespaces=["interop", NS], SMISProfileVersion="1.8.0", AutonomousProfiles=["Array"],
        AutonomousProfileVersions=["1.7.0"], CommunicationMechanisms=["cim-xml"])}),
    "MSFT_SMWbemService": ("ServiceURI", {"service:wbem:" + p.url: dict(
        ServiceURI_ip="service:wbem:" + p.url, InteropNamespace="interop",
        Namespaces=["interop", NS], CommunicationMechanisms=["cim-xml"], ProtocolVersion="1.2",
        ProviderDescription="om described", MultipleOperationsSupported=True,
        RegisteredProfilesSupported=["SNIA:SMI-S", "SNIA:Array", "SNIA:FC Target Ports"],
        AuthenticationMechanisms=["Basic", "Digest"])}),
    "MSFT_SMSystem": ("Identifier", {"array1": dict(
        DisplayName="array shown", Name="array1", NameFormat="IP",
        OtherIdentifyingInfo=["10.9.8.7"], IdentifyingDescriptions=["Ipv4 Address"],
        ManagementServer=p.addr, HealthStatus=1, HealthStatusDescription="Warning",
        StatusDescription="Degraded", Manufacturer="maker of the box", Model="model of the box",
        SerialNumber="box 0815", Tag="box tag", FirmwareVersion="fw 7.2", CacheLevel=3,
        **status(3))}),
    "MSFT_SMSystemCapabilities": ("Identifier", {"array1": dict(
        {f"ReplicationSupportedType{k}": True for k in (
            "MirrorLocal", "MirrorRemote", "SnapshotLocal", "SnapshotRemote", "CloneLocal",
            "CloneRemote")},
        MaximumReplicasPerSourceMirror=2, MaximumReplicasPerSourceSnapshot=256,
        MaximumReplicasPerSourceClone=8,
        **{f"StorageConfigSupports{k}": True for k in (
            "PoolCreation", "PoolDeletion", "PoolModification", "PoolCapacityExpansion",
            "StorageVolumeCreation", "StorageVolumeDeletion", "StorageVolumeModification",
            "StorageVolumeCapacityExpansion", "StorageVolumeCapacityReduction",
            "ThinProvisionedPools")},
        MaskingValidHardwareIdTypes=[2, 5, 1],
        MaskingValidHardwareIdTypeDescriptions=["PortWWN", "iSCSI Name", "Other"],
        MaskingOtherValidHardwareIDTypes=["a", "b", "card"], MaskingPortsPerView=2,
        MaskingPortsPerViewDescription="One Port per View",
        MaskingClientSelectableDeviceNumbers=True, MaskingOneHardwareIDPerView=True,
        MaskingExposeStorageVolumesToHostsSupported=True,
        MaskingHideStorageVolumesFromHostsSupported=True, MaskingMaximumMapCount=7,
        iSCSITargetEndpointCreation=1,
        iSCSITargetEndpointCreationDescription="Preexisting and statically defined",
        SupportedHostTypes=[14, 1], OtherHostTypeDescriptions=["Linux", "Plan 9"],
        SupportedHostTypeDescriptions=["Linux", "Other"], SupportsFileSystemCreation=False,
        SupportsFileServer=False, SupportsFileServerCreation=False,
        SupportsContinuouslyAvailableFileServer=False)}),
    "MSFT_SMEndpoint": ("Identifier", {"iqn.x,t,0x0001": dict(
        Address="10.0.0.1", Name="iqn.x,t,0x0001", ElementName="port shown", ConnectionType=7,
        ConnectionTypeDescription="iSCSI", Role=4, RoleDescription="Both Initiator and Target",
        HealthStatus=0, HealthStatusDescription="Healthy", StatusDescription="OK", **status(2),
        **NICS), "iqn.y,t,0x0001": dict(  # its status is its system's
            Address="10.0.0.1", Name="iqn.y,t,0x0001", ElementName=None, ConnectionType=None,
            ConnectionTypeDescription=None, Role=3, RoleDescription="Target", HealthStatus=1,
            HealthStatusDescription="Warning", StatusDescription="Degraded", **status(3), **NICS)}),
    "MSFT_SMiSCSIPortalEndpoint": ("Identifier", {"10.0.0.1:3261": dict(
        IPv4Address="10.0.0.1", IPv6Address=None, SubnetMask="255.255.254.0",
        IPEndpointOpStatus=[10], PortNumber=3261, TCPEndpointOpStatus=[11, 18]), "six": dict(
            IPv4Address=None, IPv6Address="2001:db8::1", SubnetMask=None,
            IPEndpointOpStatus=[15, 17], PortNumber=3262, TCPEndpointOpStatus=[0])}),
    "MSFT_SMProtocolEndpoint": ("Name", {"5001": dict(
        NameFormat="WWPN", SystemName="array1", ConnectedName="5002",
        ConnectedNameFormat="WWPN of the switch", ConnectedSystemName="switch"), "5002": dict(
            NameFormat="WWPN of the switch", SystemName="switch", ConnectedName="5001",
            ConnectedNameFormat="WWPN", ConnectedSystemName="array1")}),
    "MSFT_SMStorageGroup": ("Identifier", {"view 1": dict(
        Name="view name", DisplayName="view shown")}),
    "MSFT_SMStorageHardwareID": ("Identifier", {"hw 1": dict(
        StorageID="iqn.host", IDType=5, HostTypes=[14, 1], HostTypeDescriptions=["Linux", "Other"],
        OtherHostTypeDescriptions=["Linux", "Plan 9"])}),
    "MSFT_SMPool": ("Identifier", {"pool 1": dict(
        DisplayName="pool shown", Name="pool name", PoolID="pool id", Primordial=False,
        RemainingManagedSpace=3000, TotalManagedSpace=4000, DefaultSettingName="setting shown",
        NoSinglePointOfFailure=True, NoSinglePointOfFailureDefault=True, DataRedundancyMax=5,
        DataRedundancyMin=1, DataRedundancyDefault=2, PackageRedundancyMax=4,
        PackageRedundancyMin=3, PackageRedundancyDefault=6, ExtentStripeLengthDefault=7,
        ParityLayoutDefault=2, UserDataStripeDepthDefault=65536, Usage=1,
        UsageDescription="for tests", SupportsStorageVolumeCreation=True,
        SupportsThinlyProvisionedStorageVolume=True, SpaceLimit=2000, SpaceLimitDetermination=3,
        LowSpaceWarningThreshold=80, ThinProvisionMetaDataSpace=50, StatusDescriptions=["burning"],
        HealthStatus=2, HealthStatusDescription="Unhealthy", **status(6))}),
    "MSFT_SMPoolSetting": ("Identifier", {"setting 1": dict(
        DisplayName="setting shown", NoSinglePointOfFailure=True, DataRedundancyMin=1,
        DataRedundancyMax=2, DataRedundancyGoal=3, PackageRedundancyMin=4, PackageRedundancyMax=5,
        PackageRedundancyGoal=6, ChangeableType=1, ExtentStripeLength=8, ExtentStripeLengthMin=7,
        ExtentStripeLengthMax=9, ParityLayout=2, UserDataStripeDepth=11, UserDataStripeDepthMin=10,
        UserDataStripeDepthMax=12, ThinProvisionedPoolType=8,
        ThinProvisionedPoolTypeDescription="ThinlyProvisionedQuotaStoragePool")}),
    "MSFT_SMStorageVolume": ("Identifier", {"vol 1": dict(
        DisplayName="volume shown", Name="name 1", NameFormat=1, NameNamespace=1,
        OtherNameFormat="own format", OtherNameNamespace="own namespace", SMLunId="600a0b",
        SMLunIdFormat=9, SMLunIdFormatDescription="NAA", SMLunIdNamespace=2,
        SMLunIdNamespaceDescription="VPD83Type3", HealthStatus=1,
        HealthStatusDescription="Warning", StatusDescription="waking up", BlockSize=520,
        NumberOfBlocks=100, ConsumableBlocks=90, Primordial=False,
        OtherIdentifyingInfo=["600a0b", "x"], IdentifyingDescriptions=["NAA;VPD83Type3", "y"],
        NoSinglePointOfFailure=True, ExtentStripeLength=21, UserDataStripeDepth=22,
        DataRedundancy=2, PackageRedundancy=1, ParityLayout=1, Access=3,
        AccessDescription="Read/Write Supported", ThinlyProvisioned=True, Usage=12, IsSnapshot=True,
        **status(8))}),
    "MSFT_SMDiskDrive": ("Identifier", {"disk 1": dict(
        Name="disk name", DeviceId="disk 1", SystemName="array1", DisplayName="disk shown",
        Description="disk described", Manufacturer="maker of the disk", Model="model of the disk",
        SerialNumber="disk 0815", PartNumber="disk part", FirmwareVersion="dfw 1",
        SoftwareVersion="dfw 1", PhysicalLocation="bay 3", StatusDescription="clicking",
        HealthStatus=1, HealthStatusDescription="Warning", TotalSize=512000, AllocatedSize=204800,
        BytesPerLogicalSector=512, SpindleSpeed=7200, DiskType=2, Encryption=3,
        CompressionMethod="none", **status(5))}),
    "MSFT_SMJob": ("Description", {"making a volume": dict(
        ElapsedTime=SPAN % 130, ErrorCode=6, ErrorDescription="no room", JobState=10,
        JobStatus="over", LocalOrUtcTime=1, OperationalStatus=[6, 17], PercentComplete=42,
        StartTime=WHEN % 11, StatusDescriptions=["bad", "over"], TimeBeforeRemoval=SPAN % 20,
        TimeOfLastStateChange=WHEN % 12, TimeSubmitted=WHEN % 13)}),
    "MSFT_SMStorageSynchronized": ("SyncType", {7: dict(
        CopyMethodology=6, CopyMethodologyDescription="Copy-On-Write", CopyPriority=1,
        CopyPriorityDescription="Low", CopyState=4, CopyStateDescription="Synchronized", CopyType=5,
        CopyTypeDescription="UnSyncUnAssoc", Mode=2, ModeDescription="Synchronous",
        PercentSynced=99, ProgressStatus=2, ProgressStatusDescription="Completed", ReplicaType=3,
        ReplicaTypeDescription="Before Delta", RequestedCopyState=9, SyncState=6,
        SyncStateDescription="Synchronized", SyncTypeDescription="Snapshot", SyncMaintained=True,
        WhenActivated=WHEN % 1, WhenDeactivated=WHEN % 2, WhenEstablished=WHEN % 3,
        WhenSuspended=WHEN % 4, WhenSynchronized=WHEN % 5, WhenSynced=WHEN % 6)}),
}
KEYS = {"ObjectId", "SourceStorageVolume", "TargetStorageVolume"}
# of each association: (parent, child) by what tells them apart
LINKS = {
    "MSFT_SMProviderToSystem": {(p.url, "array1")},
    "MSFT_SMDiscoveryToSystem": {(pre, "array1")},
    "MSFT_SMSystemToCapabilities": {("array1", "array1")},
    "MSFT_SMSystemToEndpoint": {("array1", "iqn.x,t,0x0001"), ("array1", "iqn.y,t,0x0001")},
    "MSFT_SMSystemToPool": {("array1", "raw"), ("array1", "pool 1")},
    "MSFT_SMSystemToStorageGroup": {("array1", "view 1")},
    "MSFT_SMSystemToStorageHardwareID": {("array1", "hw 1")},
    "MSFT_SMEndpointToiSCSIPortal": {("iqn.x,t,0x0001", "10.0.0.1:3261"), ("iqn.x,t,0x0001", "six"),
                                     ("iqn.y,t,0x0001", "10.0.0.1:3261")},
    "MSFT_SMStorageGroupToEndpoint": {("view 1", "iqn.x,t,0x0001")},
    "MSFT_SMStorageGroupToStorageVolume": {("view 1", "vol 1")},
    "MSFT_SMStorageGroupToStorageHardwareID": {("view 1", "hw 1")},
    "MSFT_SMPoolToVolume": {("pool 1", "vol 1"), ("pool 1", "vol 2")},
    "MSFT_SMPoolToSetting": {("pool 1", "setting 1")},
    "MSFT_SMPrimordialPoolToConcretePool": {("raw", "pool 1")},
    "MSFT_SMDiskDriveToPool": {("disk 1", "raw")},
    "MSFT_SMStorageSynchronized": {("vol 2", "vol 1")},
    "MSFT_SMJobToPool": {("making a volume", "pool 1")},
    "MSFT_SMJobToStorageGroup": {("making a volume", "view 1")},
    "MSFT_SMJobToStorageVolume": {("making a volume", "vol 1")},
}


@test
def every_property_of_every_class_has_the_value_of_its_source():
    for cls, (by, objects) in WANTED.items():
        found = {i[by]: i for i in of(cls)}
        for name, want in objects.items():
            got = {k: v for k, v in found[name].items() if k not in KEYS and k != by}
            for k in NO_SOURCE.get(cls, ()):
                check(got.pop(k), None, f"{cls}.{k}")
            check(got, want, f"{cls} {name}")
        # each property has been seen with a value, and there are no other objects
        for k in found[name]:
            if k not in NO_SOURCE.get(cls, ()):
                check(any(found[n][k] is not None for n in objects), True, f"{cls}.{k}")
        check(set(found) - set(objects), {"MSFT_SMPool": {"raw"},
                                          "MSFT_SMStorageVolume": {"vol 2"}}.get(cls, set()), cls)
    check("oddities" in next(d["Status"] for d in c.enum("MSFT_SMDiscovery")
                             if d["DiscoveryId"] == pre), False)


@test
def every_association_has_its_links_and_both_its_ends_lead_to_the_other():
    def tells(path):
        i = c.get(path)
        return i.get("DiscoveryId") or i.get("Identifier") or i["Description"]
    for cls, want in LINKS.items():
        links = of(cls)
        a, b = [k for k, v in links[0].items() if hasattr(v, "keys") and hasattr(v, "cls")]
        check({(tells(l[a]), tells(l[b])) for l in links}, want, cls)
        check(len(links), len(want), cls)
        for l in links:
            check(dict(c.get(l.path)), dict(l), cls)
        for role, other in ((a, b), (b, a)):
            for end in {l[role] for l in links}:
                there = {l[other] for l in links if l[role] == end}
                check(set(c.walk("AssociatorNames", end, ns=SM, AssocClass=cls, Role=role,
                                 ResultRole=other)), there, f"{cls} from {role}")
                refs = c.walk("References", end, ns=SM, ResultClass=cls, Role=role)
                check(sorted(repr(dict(r)) for r in refs), sorted(
                    repr(dict(l)) for l in links if l[role] == end), f"{cls} from {role}")


@test
def no_association_between_classes_that_are_shown_is_left_out():
    """What the command line says of the implementation is what clients find."""
    rows = json.loads(server.cli("--json", "schema", "--coverage", "--namespace", SM))
    shown = {r["name"] for r in rows if r["instances"] == "yes"}
    check(shown, {*WANTED, *LINKS, "MSFT_SMDiscovery", "MSFT_SMStorageDiscovery"})
    for r in rows:
        if r["instances"] == "none":
            check(c.enum(r["name"]), [], r["name"])
    # by the model: both ends are shown, so it is
    mof = dict(re.findall(r"^class (\w+)(.*?)^};", server.cli("schema", "all", "--namespace", SM),
                          re.S | re.M))
    for r in rows:
        if r["kind"] != "association" or r["instances"] == "of subclasses":
            continue
        ends = re.findall(r"(\w+) REF \w+;", mof[r["name"]])
        check(len(ends), 2, mof[r["name"]])
        check(r["instances"], "yes" if set(ends) <= shown else "none", r["name"])


@test
def ids_are_the_same_whoever_reads_them_and_unique():
    seen = [i["ObjectId"] for cls in WANTED if cls != "MSFT_SMWbemService" and cls not in LINKS
            for i in c.enum(cls)]
    check(len(seen), len(set(seen)), "ObjectId is unique on the management server")
    other = smi.Server(portals=1, engine="fake").start()
    other.cli("sm", "discover", p.url)
    o = Client(other.addr, other.http, SM)
    for cls in WANTED:
        if cls == "MSFT_SMWbemService" or cls in LINKS:
            continue
        mine, theirs = ({i["ObjectId"] for i in x.enum(cls) if i["ObjectId"].startswith(pre)}
                        for x in (c, o))
        check(mine, theirs, cls)
    other.stop()


smi.main()
