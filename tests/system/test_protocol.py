# SPDX-License-Identifier: Apache-2.0
"""The rules of RFC 7143 that ordinary initiators never come to feel, one by one."""
import os, random, struct

from initiator import *
from smi import check, free_port, loopback, main, test
from target_ctl import *

NAA = 0x3123456789ABCDE0
READ, WRITE = 0x28, 0x2A


def cdb10(op, lba, blocks):
    return struct.pack(">BBIBHB", op, 0, lba, 0, blocks, 0)


def ready(t, **login):
    iqn, address, number = simple(t)
    c = Connection(address, number).login(iqn, **login)
    c.test_unit_ready()
    return c, iqn, address, number


def sense(p):
    """(key, code) of a SCSI response, in either format."""
    s = p.data[2:]
    return (s[1] & 15, s[2] << 8 | s[3]) if s[0] & 0x7E == 0x72 else (s[2] & 15, s[12] << 8 | s[13])


def send_tmf(c, function, lun=0, ref=NONE, ref_cmd_sn=0, cmd_sn=None):
    """Without waiting for the answer."""
    return c.send(c.bhs(TMF, 0x80 | function, lun, w20=ref, immediate=True, cmd_sn=cmd_sn,
                        rest=struct.pack(">I", ref_cmd_sn)))


# ---- the order of commands ----

@test
def data_of_a_command_that_came_before_its_turn_is_kept():
    t = Target()
    c, *_ = ready(t, keys=[("InitialR2T", "No"), ("FirstBurstLength", "65536")])
    data, sn = os.urandom(2048), c.cmd_sn
    early = c.command(cdb10(WRITE, 8, 4), write=data, immediate_data=data[:512], final=False, cmd_sn=sn + 1)
    c.data_out(early, NONE, data[512:1024], 512, 0, final=False)
    c.data_out(early, NONE, data[1024:], 1024, 1)
    partly = c.command(cdb10(WRITE, 16, 4), write=data, immediate_data=b"", final=False, cmd_sn=sn + 2)
    c.data_out(partly, NONE, data[:512], 0, 0, final=False)
    wrong = c.command(cdb10(WRITE, 8, 4), write=data[::-1], immediate_data=b"", final=False, cmd_sn=sn + 3)
    c.data_out(wrong, NONE, data[:512], 512, 0)  # out of order
    check(c.nop().exp_cmd_sn, sn)
    c.command(bytes(6), cmd_sn=sn)
    check(c.finish(early)[0], 0)
    status, _, p = c.finish(wrong)
    check((status, sense(p)), (2, (0xB, 0x4705)))
    c.data_out(partly, NONE, data[512:], 512, 1)
    check(c.finish(partly)[0], 0)
    c.cmd_sn = sn + 4
    check(c.read(8, 4), data)
    check(c.read(16, 4), data)


@test
def a_task_is_aborted_before_it_has_come():
    t = Target()
    c, *_ = ready(t)
    old, sn = c.read(0, 1), c.cmd_sn
    block = bytes([7]) * 512
    check(c.tmf(1, ref=999, ref_cmd_sn=sn), 1, "not a number that can have been used: CmdSN of the request")
    check(c.nop().exp_cmd_sn, sn)
    c.cmd_sn = sn + 2  # as if two commands were on their way over another connection
    check(c.tmf(1, ref=999, ref_cmd_sn=sn + 200), 1, "outside the window")
    check(c.tmf(1, ref=999, ref_cmd_sn=sn - 1), 1, "long gone")
    check(c.nop().exp_cmd_sn, sn)
    check(c.tmf(1, ref=999, ref_cmd_sn=sn + 1), 0, "the second")
    check(c.nop().exp_cmd_sn, sn, "the first is still missing")
    c.command(cdb10(WRITE, 0, 1), write=block, itt=999, cmd_sn=sn + 1)  # too late
    check(c.tmf(1, ref=998, ref_cmd_sn=sn), 0, "the first")
    check(c.nop().exp_cmd_sn, sn + 2, "both count as received")
    c.command(cdb10(WRITE, 0, 1), write=block, itt=998, cmd_sn=sn)
    check(c.read(0, 1), old, "none was carried out")
    # One that waits for its turn
    sn = c.cmd_sn
    held = c.command(cdb10(WRITE, 0, 1), write=block, cmd_sn=sn + 1)
    c.cmd_sn = sn + 2
    check(c.tmf(1, ref=held, lun=3, ref_cmd_sn=sn + 1), 1, "with another LUN")
    check(c.tmf(1, ref=held, ref_cmd_sn=sn + 1), 0)
    c.command(bytes(6), cmd_sn=sn)
    check(c.nop().exp_cmd_sn, sn + 2)
    check(c.read(0, 1), old)


@test
def an_immediate_reset_waits_for_the_commands_that_it_overtook():
    t = Target()
    c, iqn, *_ = ready(t)
    for function in (2, 4, 5, 6):
        sn = c.cmd_sn
        itt = send_tmf(c, function, cmd_sn=sn + 2)
        late = c.command(cdb10(WRITE, 0, 2), write=bytes(1024), immediate_data=b"", cmd_sn=sn + 1)
        p = c.nop()
        check(p.exp_cmd_sn, sn)
        first = c.command(cdb10(WRITE, 0, 2), write=bytes(1024), immediate_data=b"", cmd_sn=sn)
        check([c.recv().op, c.recv().op], [R2T, R2T], "both got as far as asking for data")
        p = c.recv()
        check((p.op, p.itt, p.bhs[2]), (TMF_RSP, itt, 0), function)
        for k in (first, late):
            c.data_out(k, 0, bytes(1024))
        c.cmd_sn = sn + 2
        check(c.nop().op, NOP_IN, "and neither is answered")
        c.test_unit_ready()
    check(len(c.read(0, 1)), 512)
    # a CmdSN from nowhere is not waited for
    itt = send_tmf(c, 2, cmd_sn=c.cmd_sn + 5000)
    check((c.recv().op, c.nop().op), (TMF_RSP, NOP_IN))
    # one that waits ends with its connection
    send_tmf(c, 5, cmd_sn=c.cmd_sn + 1)
    c.nop()
    c.close()
    again = Connection(*c.at).login(iqn)
    again.test_unit_ready()


@test
def a_unit_is_reset_for_all_who_have_it():
    """Also for those that see it under another node, with another number."""
    t = Target()
    iqn, a, n = simple(t)
    other = iqn + "2"
    t.apply(node(other), port(other), binding(other, 1, a, n), lun(other, 9, NAA))
    c = Connection(a, n).login(iqn)
    d = Connection(a, n, isid=b"\x80other").login(other)
    c.test_unit_ready()
    for function, code in ((5, 0x2903), (4, 0x2F00)):
        d.finish(d.command(bytes(6), lun=9))
        itt = d.command(cdb10(WRITE, 0, 2), write=bytes(1024), immediate_data=b"", lun=9)
        check(d.recv().op, R2T)
        check(c.tmf(function), 0)
        d.data_out(itt, 0, bytes(1024), lun=9)
        status, _, p = d.finish(d.command(bytes(6), lun=9))
        check((status, sense(p)), (2, (6, code)), "and the command is never answered")
        c.test_unit_ready()
    check(c.tmf(2, lun=77), 2, "ABORT TASK SET without a unit")
    check(c.tmf(4, lun=77), 2, "CLEAR TASK SET without a unit")


# ---- login ----

@test
def what_is_rejected_has_its_default():
    t = Target()
    iqn, a, n = simple(t)
    bad = {"MaxConnections": "0", "InitialR2T": "Maybe", "ImmediateData": "yes", "MaxBurstLength": "511",
           "FirstBurstLength": "16777216", "DefaultTime2Wait": "3601", "DefaultTime2Retain": "-1",
           "MaxOutstandingR2T": "0", "DataPDUInOrder": "1", "DataSequenceInOrder": "", "ErrorRecoveryLevel": "3",
           "HeaderDigest": "CRC32", "DataDigest": "MD5,SHA", "iSCSIProtocolLevel": "32", "TaskReporting": "Never"}
    default = {"MaxConnections": "1", "InitialR2T": "Yes", "ImmediateData": "Yes", "MaxBurstLength": "262144",
               "FirstBurstLength": "65536", "DefaultTime2Wait": "2", "DefaultTime2Retain": "20",
               "MaxOutstandingR2T": "1", "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes",
               "ErrorRecoveryLevel": "0"}
    c = Connection(a, n).login(iqn, keys=list(bad.items()))
    check({k: v for k, v in c.answers if k in bad}, {k: "Reject" for k in bad})
    [s] = t.control.call("state")["sessions"]
    check({k: s["params"].get(k) for k in default}, default)
    c.test_unit_ready()
    itt = c.command(cdb10(WRITE, 0, 2048), write=bytes(1 << 20), immediate_data=b"")
    p = c.recv()
    check((p.op, p.w44), (R2T, 262144))
    c.sock.settimeout(0.3)
    try:
        p = c.recv()
        raise AssertionError(f"a second R2T, or what: {p.bhs.hex()}")
    except TimeoutError:
        pass


@test
def each_key_is_answered_as_its_row_says():
    """Offer -> answer, and what then holds.  None: declared or not answered."""
    t = Target()
    iqn, a, n = simple(t)
    table = [
        ("MaxConnections", "65535", "8"), ("MaxConnections", "1", "1"),
        ("InitialR2T", "Yes", "Yes"), ("InitialR2T", "No", "No"),
        ("ImmediateData", "Yes", "Yes"), ("ImmediateData", "No", "No"),
        ("MaxBurstLength", "16777215", "1048576"), ("MaxBurstLength", "0x200", "512"),
        ("FirstBurstLength", "512", "512"), ("FirstBurstLength", "16777215", "262144"),
        ("DefaultTime2Wait", "3600", "3600"), ("DefaultTime2Wait", "0", "0"),
        ("DefaultTime2Retain", "3600", "0"), ("DefaultTime2Retain", "0", "0"),
        ("MaxOutstandingR2T", "65535", "8"), ("MaxOutstandingR2T", "3", "3"),
        ("DataPDUInOrder", "No", "Yes"), ("DataSequenceInOrder", "No", "Yes"),
        ("ErrorRecoveryLevel", "2", "0"), ("ErrorRecoveryLevel", "1", "0"),
        ("HeaderDigest", "CRC32C", "CRC32C"), ("DataDigest", "X-mine,None", "None"),
        ("iSCSIProtocolLevel", "2", "1"), ("iSCSIProtocolLevel", "0", "0"),
        ("TaskReporting", "ResponseFence,RFC3720", "RFC3720"),
        ("IFMarker", "Yes", "No"), ("OFMarker", "No", "No"), ("IFMarkInt", "2048~8192", "Reject"),
        ("OFMarkInt", "1", "Reject"), ("X-org.example.odd", "x", "NotUnderstood"),
        ("maxburstlength", "512", "NotUnderstood"), ("MaxRecvDataSegmentLength", "512", None),
        ("InitiatorAlias", "mine", None)]
    for i, (key, offer, answer) in enumerate(table):
        c = Connection(a, n, isid=b"\x80%05d" % i).login(iqn, keys=[(key, offer)])
        ours = [v for k, v in c.answers if k == key and key != "MaxRecvDataSegmentLength"]
        check((key, offer, ours), (key, offer, [] if answer is None else [answer]))
        check([v for k, v in c.answers if k == "TargetPortalGroupTag"], ["1"])
        c.test_unit_ready()
        c.logout()
        c.close()
    # what only the target says, and what has its time
    for keys in ([("TargetAlias", "x")], [("TargetAddress", "1.2.3.4")], [("TargetPortalGroupTag", "1")],
                 [("SendTargets", "All")]):
        try:
            Connection(a, n).login(iqn, keys=keys)
            raise AssertionError(f"{keys} was taken")
        except LoginFailed as e:
            check((keys, e.status), (keys, 0x0200))
    c = Connection(a, n).login(iqn)
    for key in ("HeaderDigest", "MaxConnections", "InitiatorName", "TargetName", "SessionType", "AuthMethod"):
        check((key, c.text([(key, "None")]).op), (key, REJECT), "not in the full feature phase")
    check(c.text([("MaxRecvDataSegmentLength", "1024")]).op, TEXT_RSP)
    check(c.text([("MaxRecvDataSegmentLength", "511")]).keys(), [("MaxRecvDataSegmentLength", "Reject")])
    c.test_unit_ready()
    c.command(cdb10(READ, 0, 4), read=2048)
    check([(len(p.data), p.flags & 1) for p in (c.recv(), c.recv())], [(1024, 0), (1024, 1)])


@test
def status_numbers_begin_where_the_initiator_says():
    t = Target()
    iqn, a, n = simple(t)
    for start in (0, 1, NONE, NONE - 1, 0x7FFFFFFF):
        c = Connection(a, n)
        c.exp_stat_sn = start
        seen = [c.login_pdu(c.names(iqn), 0x04), c.login_pdu([("MaxConnections", "1")], 0x04),
                c.login_pdu([], 0x87)]
        c.logged_in(seen[-1])
        seen += [c.nop(), c.nop()]
        check([p.stat_sn for p in seen], [start + i & NONE for i in range(5)])
        c.logout()


@test
def command_numbers_go_round():
    t = Target()
    iqn, a, n = simple(t)
    c = Connection(a, n)
    c.cmd_sn = NONE - 2
    c.login(iqn)
    c.test_unit_ready()
    for _ in range(6):
        check(len(c.read(0, 1)), 512)
    check(c.nop().exp_cmd_sn, c.cmd_sn)
    late = c.command(bytes(6), cmd_sn=c.cmd_sn + 1)
    check(c.finish(c.command(bytes(6)))[0], 0)
    check(c.finish(late)[0], 0)


@test
def tags_of_sessions_are_kept_apart():
    t = Target()
    iqn, a, n = simple(t)
    c = Connection(a, n).login(iqn)
    check(c.tsih != 0)
    d = Connection(a, n, isid=b"\x80other").login(iqn)
    check(d.tsih not in (0, c.tsih))
    e = Connection(a, n).login(iqn)  # session reinstatement
    check(c.closed())
    check(e.tsih not in (0, c.tsih, d.tsih), True, "a new session has a new TSIH")
    stale = Connection(a, n)
    stale.tsih = c.tsih
    try:
        stale.login(iqn)
        raise AssertionError("joined a session that is gone")
    except LoginFailed as x:
        check(x.status, 0x020A)
    # the same connection again: its tasks are gone, the session is not
    e.test_unit_ready()
    e.command(e.write10(0, 8), write=bytes(4096), immediate_data=b"")
    check(e.recv().op, R2T)
    f = Connection(a, n)
    f.tsih, f.cmd_sn = e.tsih, e.cmd_sn
    f.login(iqn)
    check(f.tsih, e.tsih)
    check(e.closed())
    check(len(f.read(0, 1)), 512)
    check(len(t.control.call("state")["sessions"]), 2)


# ---- data ----

@test
def data_goes_out_in_every_way_that_can_be_agreed_on():
    t = Target()
    iqn, a, n = simple(t)
    r = random.Random(4)
    i = 0
    for r2t in ("Yes", "No"):
        for immediate in ("Yes", "No"):
            for first, burst, limit, digest in ((512, 512, 1, "None"), (1536, 4096, 3, "CRC32C"), (8192, 65536, 8, "None")):
                i += 1
                c = Connection(a, n, isid=b"\x80%05d" % i).login(iqn, keys=[
                    ("InitialR2T", r2t), ("ImmediateData", immediate), ("MaxBurstLength", burst),
                    ("FirstBurstLength", first), ("MaxOutstandingR2T", limit), ("DataDigest", digest)])
                c.test_unit_ready()
                got = dict(c.answers)
                check((got["InitialR2T"], got["ImmediateData"]), (r2t, immediate))
                for blocks in (1, 3, 8, 40):
                    data = r.randbytes(blocks * 512)
                    now = min(len(data), first) if immediate == "Yes" else 0
                    now = r.choice((0, now))
                    later = 0 if r2t == "Yes" else min(len(data), first) - now
                    itt = c.command(cdb10(WRITE, 100, blocks), write=data, immediate_data=data[:now], final=not later)
                    pieces, at = [], now
                    while later:
                        k = min(later, r.choice((512, 1024)))
                        c.data_out(itt, NONE, data[at:at + k], at, len(pieces), k == later)
                        at, later = at + k, later - k
                        pieces.append(k)
                    open_, most = [], 0
                    while True:
                        p = c.recv()
                        if p.op == SCSI_RSP:
                            break
                        check((p.op, p.w44 <= burst, p.w40), (R2T, True, at), "asked for in order")
                        at += p.w44
                        open_.append(p)
                        most = max(most, len(open_))
                        if at < len(data) and len(open_) < limit:
                            continue  # more is to come before anything is sent
                        q = open_.pop(0)
                        c.data_out(itt, q.ttt, data[q.w40:q.w40 + q.w44], q.w40)
                        while at == len(data) and open_:
                            q = open_.pop(0)
                            c.data_out(itt, q.ttt, data[q.w40:q.w40 + q.w44], q.w40)
                    check((p.bhs[3], most <= limit, p.flags & 6), (0, True, 0))
                    check(c.read(100, blocks) == data, True, (r2t, immediate, first, blocks))
                c.logout()
                c.close()


@test
def immediate_data_beyond_what_was_agreed_ends_the_connection():
    t = Target()
    iqn, a, n = simple(t)
    for keys, size, flags in (([("ImmediateData", "No")], 512, 0xA1), ([("FirstBurstLength", "512")], 1024, 0xA1),
                              ([("InitialR2T", "Yes")], 512, 0x21)):
        c = Connection(a, n).login(iqn, keys=keys)
        c.test_unit_ready()
        c.send(c.bhs(SCSI_CMD, flags, w20=4096, rest=cdb10(WRITE, 0, 8)), bytes(size))
        p = c.recv()
        check((keys, p.op, p.bhs[2]), (keys, REJECT, 4))
        check(c.closed())


@test
def residuals_count_what_the_command_would_have_moved():
    t = Target()
    c, *_ = ready(t)

    def ends(itt, *want):
        while True:
            p = c.recv()
            if p.op == R2T:
                c.data_out(itt, p.ttt, bytes(p.w44), p.w40)
                continue
            if p.op == DATA_IN and not p.flags & 1:
                continue
            check((p.bhs[3], p.flags & 6, p.w44), want)
            return

    O, U = 4, 2
    ends(c.command(cdb10(READ, 0, 2), read=1024), 0, 0, 0)
    ends(c.command(cdb10(READ, 0, 2), read=4096), 0, U, 3072)
    ends(c.command(cdb10(READ, 0, 2), read=512), 0, O, 512)
    ends(c.command(cdb10(READ, 0, 2)), 0, O, 1024)
    ends(c.command(cdb10(READ, 0, 0), read=512), 0, U, 512)
    ends(c.command(cdb10(WRITE, 0, 2), write=bytes(1024)), 0, 0, 0)
    ends(c.command(cdb10(WRITE, 0, 2), write=bytes(4096), immediate_data=b""), 0, U, 3072)
    ends(c.command(cdb10(WRITE, 0, 2), write=bytes(512)), 0, O, 512)
    ends(c.command(cdb10(WRITE, 0, 0), write=bytes(512)), 0, U, 512)
    ends(c.command(bytes(6), write=bytes(512)), 0, U, 512)
    ends(c.command(bytes([0x12, 0, 0, 0, 255, 0]), read=255), 0, U, 255 - 96)
    ends(c.command(bytes([0x12, 0, 0, 0, 96, 0]), read=36), 0, O, 60)
    ends(c.command(cdb10(READ, 0xFFFFFFF0, 2), read=1024), 2, U, 1024)


@test
def no_command_goes_both_ways():
    t = Target()
    c, *_ = ready(t)
    bidi = struct.pack(">HBBI", 5, 2, 0, 1024)

    def both(cdb, ahs, data=b"", **more):
        c.send(c.bhs(SCSI_CMD, 0xE1, w20=512, rest=cdb, cmd_sn=c.cmd_sn), data, ahs=ahs)
        c.cmd_sn += 1
        return c.recv()

    old = c.read(0, 1)
    for cdb, want in ((cdb10(WRITE, 0, 1), (5, 0x0E03)), (cdb10(READ, 0, 1), (5, 0x0E03)),
                      (cdb10(0x53, 0, 1), (5, 0x2000)), (b"\x7f".ljust(16, b"\0"), (5, 0x2000))):
        p = both(cdb, bidi, bytes(512))
        check((p.op, p.bhs[3], sense(p)), (SCSI_RSP, 2, want), cdb.hex())
        check((p.flags & 0x1E, p.w40, p.w44), (0x0A, 1024, 512), "both residuals")
    p = both(cdb10(WRITE, 0, 1), b"", bytes([9]) * 512)
    check((p.bhs[3], p.flags & 0x1E, p.w40), (2, 2, 0))
    check(c.read(0, 1), old)
    # a CDB that is longer than ours are
    long = struct.pack(">HBB16x", 17, 1, 0)
    c.send(c.bhs(SCSI_CMD, 0x81, rest=b"\x7f\0\0\0\0\0\0\x18\0\x0b".ljust(16, b"\0")), ahs=long)
    c.cmd_sn += 1
    check(sense(c.recv()), (5, 0x2000))
    check(len(c.read(0, 1)), 512)


@test
def damaged_data_is_never_written():
    t = Target()
    iqn, a, n = simple(t)
    keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C"), ("InitialR2T", "No")]
    new = lambda: Connection(a, n).login(iqn, keys=keys)
    c = new()
    c.test_unit_ready()
    old = os.urandom(2048)
    check(c.finish(c.command(cdb10(WRITE, 0, 4), write=old))[0], 0)
    for how in ("immediate", "unsolicited", "solicited", "ping", "header"):
        c = new()
        c.test_unit_ready()
        if how == "ping":
            c.send(c.bhs(NOP_OUT, w20=NONE, immediate=True), b"x" * 8, break_data=True)
        elif how == "header":
            c.send(c.bhs(SCSI_CMD, 0xA1, w20=2048, rest=cdb10(WRITE, 0, 4)), bytes(2048), break_header=True)
            check(c.closed(), True, "nobody knows what it was")
            continue
        elif how == "immediate":
            c.send(c.bhs(SCSI_CMD, 0xA1, w20=2048, rest=cdb10(WRITE, 0, 4)), bytes(2048), break_data=True)
        else:
            itt = c.command(cdb10(WRITE, 0, 4), write=bytes(2048), immediate_data=b"", final=how == "solicited")
            ttt = c.recv().ttt if how == "solicited" else NONE
            bhs = c.bhs(DATA_OUT, 0x80, itt=itt, w20=ttt, cmd_sn=0, rest=struct.pack(">III", 0, 0, 0))
            c.send(bhs, bytes(2048), break_data=True)
        p = c.recv()
        check((how, p.op, p.bhs[2], len(p.data)), (how, REJECT, 2, 48))
        check(c.closed())
    c = new()
    c.test_unit_ready()
    check(c.read(0, 4), old)
    stats = t.control.call("stats")["nodes"][0]
    check(stats["session_failures"] >= 5, True, stats)


# ---- requests that are no commands ----

@test
def pings_logouts_and_questions():
    t = Target()
    c, iqn, a, n = ready(t, keys=[("MaxConnections", "2")])
    sn = c.cmd_sn
    for size in (0, 1, 3, 4096, 8192):
        data = os.urandom(size)
        check(c.nop(data).data, data[:8192], "what was sent comes back")
    itt = c.send(c.bhs(NOP_OUT, w20=NONE))  # in the order of commands
    c.cmd_sn += 1
    p = c.recv()
    check((p.op, p.itt, p.ttt, p.exp_cmd_sn), (NOP_IN, itt, NONE, sn + 1))
    c.send(c.bhs(NOP_OUT, itt=NONE, w20=5, immediate=True))  # an answer to no question
    check(c.nop().op, NOP_IN)
    for kind in range(4):  # data, status, acknowledgement, R2T: nothing is sent again at level 0
        c.send(c.bhs(SNACK, 0x80 | kind, w20=NONE))
        p = c.recv()
        check((p.op, p.bhs[2], p.itt, p.data[0] & 0x3F), (REJECT, 3, NONE, SNACK))
    check(c.logout(2), 2, "recovery is refused")
    check(c.logout(1, cid=5), 1, "no such connection")
    check(c.tmf(3), 5, "CLEAR ACA")
    check(c.tmf(0), 5)
    check(c.tmf(8, ref=1), 4, "TASK REASSIGN")
    d = Connection(a, n, cid=1)
    d.tsih, d.cmd_sn = c.tsih, c.cmd_sn
    d.login(iqn)
    check(c.logout(1, cid=1), 0)
    check(d.closed())
    check(len(c.read(0, 1)), 512)
    p = c.text([("X-org.example.q", "1"), ("SendTargets", "")])
    check((p.op, p.flags & 0xC0, p.ttt), (TEXT_RSP, 0x80, NONE))
    check(dict(p.keys())["X-org.example.q"], "NotUnderstood")
    check(c.text([("SendTargets", iqn)]).keys()[0], ("TargetName", iqn))
    check(c.text([("SendTargets", iqn + "x")]).keys(), [])
    check(c.logout(1, cid=0), 0, "its own connection, the last")
    check(c.closed())


# ---- the end ----

@test
def the_end_in_the_midst_of_everything_is_clean():
    for i in range(6):
        t = Target()
        iqn, a, n = simple(t)
        some = [Connection(a, n, isid=b"\x80%05d" % k).login(iqn) for k in range(12)]
        for c in some:
            c.test_unit_ready()
        t.process.terminate()
        for k in range(40):
            for c in some:
                try:
                    c.command(cdb10(READ, 0, 64), read=32768)
                except OSError:
                    pass
            if k == 3 + i:
                t.process.terminate()  # now, without waiting for anybody
        check(t.process.wait(20), 0, t.text()[-3000:])


main()
