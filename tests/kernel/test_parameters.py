#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an initiator and the kernel's target agree on at login, against what CIM says of it: the
settings are what the kernel offers, a session and its connections are what was negotiated, and data
goes the way that was agreed."""
import os, pathlib, struct, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import Client
from initiator import KERNEL_KEYS, Connection
from smi import NS, check, test, wait_for

A = "192.0.2.1:3260"
server = smi.Server(portals=[A]).start()
c = Client(server.addr, server.http, NS)
iqn = server.cli("node", "create", "agreed").strip()
server.cli("port", "create", "agreed", "--portal", A, "--tag", "1")
server.cli("volume", "attach", server.cli("volume", "create", "v", "4M").strip(), "agreed")
tpg = smi.CONFIGFS / "iscsi" / iqn / "tpgt_1"

# The model's names of RFC 7143's keys: of a session, and of what is offered for one.
SESSION = [
    ("MaxConnections", "MaxConnectionsPerSession", "MaxConnectionsPerSession"),
    ("InitialR2T", "InitialR2T", "InitialR2TPreference"),
    ("ImmediateData", "ImmediateData", "ImmediateDataPreference"),
    ("MaxOutstandingR2T", "MaxOutstandingR2T", "MaxOutstandingR2T"),
    ("FirstBurstLength", "MaxUnsolicitedFirstDataBurstLength", "MaxUnsolicitedFirstDataBurstLength"),
    ("MaxBurstLength", "MaxDataBurstLength", "MaxDataBurstLength"),
    ("DataSequenceInOrder", "DataSequenceInOrder", "DataSequenceInOrderPreference"),
    ("DataPDUInOrder", "DataPDUInOrder", "DataPDUInOrderPreference"),
    ("ErrorRecoveryLevel", "ErrorRecoveryLevel", "ErrorRecoveryLevelPreference"),
    ("DefaultTime2Wait", "DefaultTimeToWait", "DefaultTimeToWaitPreference"),
    ("DefaultTime2Retain", "DefaultTimeToRetain", "DefaultTimeToRetainPreference")]
# Who asks for as much as there may be is told what the target itself wants.
MOST = {"MaxConnections": "65535", "InitialR2T": "No", "ImmediateData": "Yes",
        "MaxBurstLength": "16777215", "FirstBurstLength": "16777215", "DefaultTime2Wait": "0",
        "DefaultTime2Retain": "3600", "MaxOutstandingR2T": "65535", "DataPDUInOrder": "No",
        "DataSequenceInOrder": "No", "ErrorRecoveryLevel": "2",
        "MaxRecvDataSegmentLength": "16777215"}
WISHES = [
    {},  # the tests' initiator's own, see there
    MOST,
    {"InitialR2T": "Yes", "ImmediateData": "No", "MaxBurstLength": "65536",
     "FirstBurstLength": "8192", "MaxOutstandingR2T": "3", "MaxConnections": "2",
     "MaxRecvDataSegmentLength": "4096", "DefaultTime2Wait": "20", "HeaderDigest": "CRC32C",
     "DataDigest": "None"},
    {"InitialR2T": "No", "ImmediateData": "No", "MaxBurstLength": "131072",
     "FirstBurstLength": "131072", "MaxOutstandingR2T": "1", "MaxRecvDataSegmentLength": "65536",
     "HeaderDigest": "CRC32C,None", "DataDigest": "CRC32C"},
    {"InitialR2T": "Yes", "ImmediateData": "Yes", "FirstBurstLength": "512",
     "MaxBurstLength": "512", "HeaderDigest": "None", "DataDigest": "None,CRC32C"},
]


def value(text):
    return {"Yes": True, "No": False}[text] if text in ("Yes", "No") else int(text)


def login(i, wishes):
    x = Connection("192.0.2.1", 3260, isid=b"\x80%05d" % i, timeout=60,
                   name=f"iqn.2026-01.org.example:wish{i}").login(iqn, list(wishes.items()))
    # What needs no answer (an answer could only be the same) is as it was wished.
    x.agreed = {**dict(KERNEL_KEYS), **wishes, **dict(x.answers)}
    return x


def write(x, lba, data):
    """A write as the two have agreed: immediate data, what needs no asking, what is asked for."""
    agreed = x.agreed
    first = min(int(agreed["FirstBurstLength"]), len(data))
    now = min(first, x.max_send) if agreed["ImmediateData"] == "Yes" else 0
    unasked = agreed["InitialR2T"] == "No" and now < first
    itt = x.command(x.write10(lba, len(data) // 512), write=data, immediate_data=data[:now],
                    final=not unasked)

    def send(at, end, ttt):
        sn = 0
        while at < end:
            n = min(x.max_send, end - at)
            x.data_out(itt, ttt, data[at:at + n], at, sn, at + n == end)
            at, sn = at + n, sn + 1

    if unasked:
        send(now, first, 0xFFFFFFFF)
    asked = 0
    while True:
        status, _, p = x.finish(itt)
        if status is not None:
            check(status, 0, f"write: {p.data.hex()}")
            return asked
        asked += 1
        check(p.w44 <= int(agreed["MaxBurstLength"]), True, "an R2T of more than a burst")
        send(p.w40, p.w40 + p.w44, p.ttt)


@test
def the_settings_are_what_the_kernel_offers():
    x = login(0, MOST)
    got = x.agreed
    i, = c.enum("MSISCSITARGET_iSCSISessionSettings")
    for key, _, name in SESSION:
        want = i[name]
        if key.startswith("Data"):  # "or": one who does not care gets what the other wants
            want = True
        check(value(got[key]), want, key)
    i, = c.enum("MSISCSITARGET_iSCSIConnectionSettings")
    check(int(got["MaxRecvDataSegmentLength"]), i["MaxReceiveDataSegmentLength"])
    words = {2: "None", 3: "CRC32C"}
    for digest in ("HeaderDigest", "DataDigest"):
        offered = (tpg / "param" / digest).read_text().strip().split(",")
        check(offered, [words[i[f"{o}{digest}Method"]] for o in ("Primary", "Secondary")])
    x.logout()


@test
def a_session_says_what_was_negotiated_and_data_goes_that_way():
    for n, wishes in enumerate(WISHES, 1):
        x = login(n, wishes)
        got = x.agreed
        for d in ("HeaderDigest", "DataDigest"):
            if d in wishes:
                check(got[d], wishes[d].split(",")[0], d)
        x.test_unit_ready()
        data = os.urandom(160 << 10)
        asked = write(x, 64, data)
        mine = x.name + ","
        wait_for("the session in CIM", lambda: [
            s for s in c.enum("MSISCSITARGET_iSCSISession") if s["EndPointName"].startswith(mine)])
        s, = (s for s in c.enum("MSISCSITARGET_iSCSISession") if s["EndPointName"].startswith(mine))
        for key, name, _ in SESSION:
            check(s[name], value(got[key]), f"{key} of {wishes}")
        check((s["TSIH"], s["CurrentConnections"]), (x.tsih, 1))
        k, = (k for k in c.enum("MSISCSITARGET_iSCSIConnection")
              if k["InstanceID"].startswith(s["InstanceID"].replace("session", "connection") + ":"))
        check(k["ConnectionID"], 0)
        check(k["MaxReceiveDataSegmentLength"], int(got["MaxRecvDataSegmentLength"]))
        check(k["ElementName"], "%s:%d" % x.sock.getsockname())
        # the kernel keeps these to itself; it is said so, not made up
        for name in ("HeaderDigestMethod", "DataDigestMethod", "MaxTransmitDataSegmentLength"):
            check(k[name], None, name)
        check(b"".join(x.read(64 + i, 64) for i in range(0, 320, 64)) == data, True, str(wishes))
        print(f"# {wishes}: {asked} R2Ts for {len(data)} bytes")
        x.logout()


@test
def several_connections_of_one_session():
    x = login(20, {"MaxConnections": "2"})
    x.test_unit_ready()
    y = Connection("192.0.2.1", 3260, isid=x.isid, timeout=60, name=x.name, cid=7)
    y.tsih, y.cmd_sn = x.tsih, x.cmd_sn
    y.logged_in(y.login_pdu([*y.names(iqn), ("HeaderDigest", "None"), ("DataDigest", "None"),
                             ("MaxRecvDataSegmentLength", "8192"), ("IFMarker", "No"),
                             ("OFMarker", "No")], 0x87))
    check(y.tsih, x.tsih)
    wait_for("both in CIM", lambda: {k["ConnectionID"] for k in
                                     c.enum("MSISCSITARGET_iSCSIConnection")} == {0, 7})
    s, = (s for s in c.enum("MSISCSITARGET_iSCSISession") if s["TSIH"] == x.tsih)
    check((s["CurrentConnections"], s["MaxConnectionsPerSession"]), (2, 2))
    names = {k["ElementName"] for k in c.enum("MSISCSITARGET_iSCSIConnection")}
    check(names, {"%s:%d" % z.sock.getsockname() for z in (x, y)})
    # commands go over either, numbered for the session
    data = os.urandom(4096)
    status, _, p = y.finish(y.command(y.write10(8, 8), write=data))
    check(status, 0, f"write over the second: {p.data.hex()}")
    x.cmd_sn = y.cmd_sn
    check(x.read(8, 8) == data, True)
    y.cmd_sn = x.cmd_sn
    y.logout(reason=1, cid=7)
    wait_for("the second has gone", lambda: {k["ConnectionID"] for k in
                                             c.enum("MSISCSITARGET_iSCSIConnection")} == {0})
    x.test_unit_ready()
    x.logout()


@test
def what_another_tool_sets_is_set_right_and_said():
    for path, odd in (("param/InitialR2T", "Yes"), ("attrib/demo_mode_write_protect", "1")):
        was = (tpg / path).read_text()
        (tpg / path).write_text(odd + "\n")
        wait_for(f"{path} as it was", lambda: (tpg / path).read_text() == was, 20)
        wait_for("a line in the log", lambda: f"{path} of port {iqn},t,0x0001 was {odd}" in
                 server.errors(), 5)


smi.main()
