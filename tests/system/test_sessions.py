# SPDX-License-Identifier: Apache-2.0
"""Sessions, connections, what was negotiated and what is counted, as CIM shows them for the target in user space.

What the initiator knows of its session is held against what a client reads, property by property."""
import smi
from cimclient import Client, Path
from initiator import *
from smi import NS, check, test, wait_for

server = smi.Server(portals=3).start()
c = Client(server.addr, server.http, NS)
A, B, C = (server.portal(i) for i in range(3))
INITIATOR = "iqn.2026-01.org.example:seen"


def furnish():
    global iqn, node
    server.cli("node", "create", "seen")
    server.cli("port", "create", "seen", "--portal", A, "--portal", B)
    volume = server.cli("volume", "create", "v", "16M").strip()
    server.cli("volume", "attach", volume, "seen", "--lun", "0")
    node = next(i.path for i in c.enum("MSISCSITARGET_SCSIProtocolController") if i["ElementName"] == "seen")
    iqn = node.keys["DeviceID"]


furnish()


def connect(at, **more):
    host, port = at.rsplit(":", 1)
    return Connection(host, int(port), name=INITIATOR, **more)


def sessions():
    return c.enum("MSISCSITARGET_iSCSISession")


def one(things, what):
    check(len(things), 1, what)
    return things[0]


KEYS = [("MaxConnections", "3"), ("InitialR2T", "No"), ("ImmediateData", "No"), ("MaxBurstLength", "131072"),
        ("FirstBurstLength", "8192"), ("MaxOutstandingR2T", "5"), ("DefaultTime2Wait", "7"),
        ("DefaultTime2Retain", "9"), ("ErrorRecoveryLevel", "2"), ("HeaderDigest", "CRC32C"), ("DataDigest", "None"),
        ("MaxRecvDataSegmentLength", "16384"), ("InitiatorAlias", "a client")]


@test
def what_was_negotiated_is_what_is_shown():
    global first, second, session
    first = connect(A, cid=7).login(iqn, keys=KEYS)
    first.test_unit_ready()
    second = connect(B, cid=8)
    second.tsih, second.cmd_sn = first.tsih, first.cmd_sn
    second.login(iqn, keys=[("DataDigest", "CRC32C")])
    wait_for("both connections", lambda: [i["CurrentConnections"] for i in sessions()] == [2])
    session = one(sessions(), "one session")
    got = dict(first.answers)
    yes = lambda k: got[k] == "Yes"
    want = {"TSIH": first.tsih, "InitialR2T": yes("InitialR2T"), "ImmediateData": yes("ImmediateData"),
            "MaxOutstandingR2T": int(got["MaxOutstandingR2T"]),
            "MaxUnsolicitedFirstDataBurstLength": int(got["FirstBurstLength"]),
            "MaxDataBurstLength": int(got["MaxBurstLength"]), "DataSequenceInOrder": True, "DataPDUInOrder": True,
            "ErrorRecoveryLevel": int(got["ErrorRecoveryLevel"]), "MaxConnectionsPerSession": int(got["MaxConnections"]),
            "DefaultTimeToWait": int(got["DefaultTime2Wait"]), "DefaultTimeToRetain": int(got["DefaultTime2Retain"]),
            "EndPointName": INITIATOR + ",i,0x" + first.isid.hex()}
    check({k: session[k] for k in want}, want)
    ours = {i["ConnectionID"]: i for i in c.enum("MSISCSITARGET_iSCSIConnection")}
    none, crc, no_auth = 2, 3, 2
    for x, header, data, send in ((first, crc, none, 16384), (second, none, crc, 8192)):
        i = ours[x.cid]
        check((i["HeaderDigestMethod"], i["DataDigestMethod"], i["MaxTransmitDataSegmentLength"],
               i["MaxReceiveDataSegmentLength"], i["AuthenticationMethodUsed"]),
              (header, data, send, x.max_send, no_auth), x.cid)
    check(sorted(ours), [7, 8])


@test
def a_session_leads_to_both_of_its_ends_and_to_its_connections():
    ends = c.walk("Associators", session.path, AssocClass="CIM_EndpointOfNetworkPipe")
    check(sorted(i["Role"] for i in ends), [2, 3], "the initiator's end and ours")
    for i in ends:
        check(session.path in c.walk("AssociatorNames", i.path, AssocClass="CIM_EndpointOfNetworkPipe"), True, i.path)
    theirs, = (i for i in ends if i["Role"] == 2)
    check((theirs["Name"], theirs["ElementName"]), (INITIATOR + ",i,0x" + first.isid.hex(), "a client"))
    pipes = c.walk("Associators", session.path, AssocClass="CIM_NetworkPipeComposition")
    check(sorted(i["ConnectionID"] for i in pipes), [7, 8])
    portals = set()
    for i in pipes:
        check(c.walk("AssociatorNames", i.path, AssocClass="CIM_NetworkPipeComposition"), [session.path])
        portals |= {p["Name"] for p in c.walk("Associators", i.path, AssocClass="CIM_EndpointOfNetworkPipe")
                    if p.path.cls.endswith("TCPProtocolEndpoint")}
    check(A in portals and B in portals, True, portals)


@test
def what_goes_over_a_session_is_counted():
    def counters():
        i = one([i for i in c.enum("MSISCSITARGET_iSCSISessionStatistics")], "one session")
        return i["CommandPDUsTransferred"], i["BytesTransmitted"], i["BytesReceived"]

    base = counters()
    for _ in range(3):
        first.read(0, 8)
    itt = first.command(first.write10(0, 4), write=bytes(2048), immediate_data=b"", final=False)
    first.data_out(itt, NONE, bytes(2048))
    check(first.finish(itt)[0], 0)
    wait_for("the counters", lambda: counters() == (base[0] + 4, base[1] + 3 * 4096, base[2] + 2048))


@test
def what_fails_is_counted_by_its_kind():
    def counters():
        i = one([i for i in c.enum("MSISCSITARGET_iSCSILoginStatistics") if i["ElementName"] == "seen"], "the node")
        return [i[k] for k in ("SuccessfulLogins", "LoginFailures", "NegotiationLoginFailures", "OtherLoginFailures",
                               "NormalLogouts", "OtherLogouts", "LastLoginFailureRemoteNodeName")]

    base = counters()
    for keys in ([("TargetAlias", "x")], [("MaxBurstLength", "512"), ("MaxBurstLength", "512")]):
        try:
            connect(A, isid=b"\x80failed").login(iqn, keys=keys)
            raise AssertionError("logged in")
        except LoginFailed:
            pass
    x = connect(A, isid=b"\x80stays")
    x.tsih = 4711
    try:
        x.login(iqn)
        raise AssertionError("logged in")
    except LoginFailed:
        pass
    x = connect(B, isid=b"\x80short").login(iqn)
    check(x.logout(), 0)
    check(first.logout(1, cid=8), 0)
    wait_for("the counters", lambda: counters() == [
        base[0] + 1, base[1] + 3, base[2] + 2, base[3] + 1, base[4] + 1, base[5] + 1, INITIATOR])

    def failures():
        i = one([i for i in c.enum("CIM_iSCSISessionFailures") if i["ElementName"] == "seen"], "the node")
        return i["SessionFailures"]

    was = failures()
    connect(A, isid=b"\x80lost!!").login(iqn).close()
    wait_for("the failure", lambda: failures() == was + 1)


@test
def a_node_is_deleted_when_its_last_session_has_ended_and_not_before():
    wait_for("one connection", lambda: [i["CurrentConnections"] for i in sessions()] == [1])
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    check(c.invoke(service, "DeleteiSCSINode", iSCSINode=node)[0], 4097)
    check(first.logout(), 0)
    check(c.invoke(service, "DeleteiSCSINode", iSCSINode=node)[0], 0, "at once")
    check((sessions(), c.enum("MSISCSITARGET_iSCSIConnection")), ([], []))
    check([i for i in c.enum("CIM_iSCSIProtocolEndpoint") if i["Role"] == 2], [])


smi.main()
