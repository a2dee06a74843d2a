# SPDX-License-Identifier: Apache-2.0
"""An iSCSI initiator that does what it is told, also what no initiator should.

Written from RFC 7143 and independent of src/iscsi, so that the two can disagree.  Python's
standard library only; slow, and fine for tests.
"""
import hashlib, os, socket, struct

KERNEL_KEYS = [
    ("HeaderDigest", "None"), ("DataDigest", "None"), ("MaxConnections", "1"), ("InitialR2T", "Yes"),
    ("ImmediateData", "Yes"), ("MaxRecvDataSegmentLength", "262144"), ("MaxBurstLength", "262144"),
    ("FirstBurstLength", "65536"), ("DefaultTime2Wait", "2"), ("DefaultTime2Retain", "0"),
    ("MaxOutstandingR2T", "1"), ("DataPDUInOrder", "Yes"), ("DataSequenceInOrder", "Yes"),
    ("ErrorRecoveryLevel", "0"), ("IFMarker", "No"), ("OFMarker", "No")]
# Without the last it counts 0 bytes as what we can take, and says "to be continued" for ever.
DISCOVERY_KEYS = ("HeaderDigest", "DataDigest", "MaxRecvDataSegmentLength")
KERNEL = os.environ.get("SMISCSI_ENGINE") == "lio"
NONE = 0xFFFFFFFF
(NOP_OUT, SCSI_CMD, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT, SNACK) = (0, 1, 2, 3, 4, 5, 6, 0x10)
(NOP_IN, SCSI_RSP, TMF_RSP, LOGIN_RSP, TEXT_RSP, DATA_IN, LOGOUT_RSP) = range(0x20, 0x27)
(R2T, ASYNC, REJECT) = (0x31, 0x32, 0x3F)


def _table():
    t = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        t.append(i)
    return t


_crc_table = _table()


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = _crc_table[(c ^ b) & 255] ^ c >> 8
    return struct.pack("<I", c ^ 0xFFFFFFFF)


class Closed(Exception):
    pass


class Pdu:
    def __init__(self, bhs, data):
        self.bhs, self.data = bhs, data
        self.op, self.flags = bhs[0] & 0x3F, bhs[1]
        self.itt, self.ttt = struct.unpack(">II", bhs[16:24])
        self.stat_sn, self.exp_cmd_sn, self.max_cmd_sn = struct.unpack(">III", bhs[24:36])
        self.w36, self.w40, self.w44 = struct.unpack(">III", bhs[36:48])

    def keys(self):
        return text_keys(self.data)


def text_keys(data):
    return [tuple(p.decode().split("=", 1)) for p in data.split(b"\0") if p]


def text(pairs):
    return b"".join(f"{k}={v}".encode() + b"\0" for k, v in pairs)


class LoginFailed(Exception):
    def __init__(self, status, keys=()):
        super().__init__(f"login status {status:#06x}")
        self.status, self.keys = status, dict(keys)


class Connection:
    """One TCP connection.  Sequence numbers are the caller's to bend."""

    def __init__(self, address, port, name="iqn.2026-01.org.example:initiator", isid=b"\x80abcde",
                 cid=0, timeout=10):
        self.at = address, port
        self.sock = socket.create_connection((address, port), timeout)
        self.name, self.isid, self.cid, self.tsih = name, isid, cid, 0
        self.cmd_sn, self.exp_stat_sn, self.itt = 1, 1, 0
        self.header_digest = self.data_digest = False
        self.max_send = 8192
        self.answers = []

    def close(self):
        self.sock.close()

    # -- PDUs --

    def bhs(self, op, flags=0x80, lun=0, itt=None, w20=0, cmd_sn=None, rest=b"", immediate=False):
        if itt is None:
            self.itt += 1
            itt = self.itt
        return struct.pack(">BBHI8sIIII", op | (0x40 if immediate else 0), flags, 0, 0,
                           struct.pack(">BB6x", 0, lun) if isinstance(lun, int) else lun, itt, w20,
                           self.cmd_sn if cmd_sn is None else cmd_sn, self.exp_stat_sn) + \
            rest.ljust(16, b"\0")

    def send(self, bhs, data=b"", ahs=b"", break_header=False, break_data=False):
        bhs = bhs[:4] + bytes([len(ahs) // 4]) + struct.pack(">I", len(data))[1:] + bhs[8:] + ahs
        out = bhs
        if self.header_digest:
            out += b"\0\0\0\0" if break_header else crc32c(bhs)
        if data:
            padded = data + bytes(-len(data) % 4)
            out += padded
            if self.data_digest:
                out += b"\0\0\0\0" if break_data else crc32c(padded)
        self.sock.sendall(out)
        return struct.unpack(">I", bhs[16:20])[0]

    def _read(self, n):
        out = b""
        while len(out) < n:
            try:
                got = self.sock.recv(n - len(out))
            except ConnectionResetError:
                got = b""
            if not got:
                raise Closed()
            out += got
        return out

    def recv(self):
        bhs = self._read(48)
        ahs = self._read(bhs[4] * 4)
        if self.header_digest:
            assert self._read(4) == crc32c(bhs + ahs), "header digest of the target is wrong"
        n = int.from_bytes(bhs[5:8], "big")
        data = self._read(n + -n % 4)
        if n and self.data_digest:
            assert self._read(4) == crc32c(data), "data digest of the target is wrong"
        p = Pdu(bhs, data[:n])
        if p.op not in (R2T,) and not (p.op == DATA_IN and not p.flags & 1) and \
                not (p.op == NOP_IN and p.itt == NONE):
            self.exp_stat_sn = p.stat_sn + 1 & NONE
        return p

    def closed(self):
        """Is the target's end closed?  Eats what comes before."""
        try:
            while True:
                self.recv()
        except Closed:
            return True
        except TimeoutError:
            return False

    # -- login --

    def login_pdu(self, pairs, flags, version_min=0):
        bhs = bytearray(struct.pack(">BBBBI6sHIHHII", LOGIN | 0x40, flags, 0, version_min, 0,
                                    self.isid, self.tsih, 1, self.cid, 0, self.cmd_sn,
                                    self.exp_stat_sn).ljust(48, b"\0"))
        self.send(bytes(bhs), pairs if isinstance(pairs, bytes) else text(pairs))
        p = self.recv()
        status = int.from_bytes(p.bhs[36:38], "big")
        if p.op != LOGIN_RSP:
            raise Closed()
        if status:
            raise LoginFailed(status, p.keys())
        self.answers += p.keys()
        return p

    def names(self, target, discovery=False):
        pairs = [("InitiatorName", self.name)]
        if discovery:
            return pairs + [("SessionType", "Discovery")]
        return pairs + [("TargetName", target), ("SessionType", "Normal")]

    def login(self, target=None, keys=(), discovery=False):
        """Straight to the operational stage and through it."""
        # The kernel offers each key that we do not, and goes no further until it has an answer.
        given = {k for k, _ in keys}
        offer = [k for k in KERNEL_KEYS if KERNEL and k[0] not in given and
                 not (discovery and k[0] not in DISCOVERY_KEYS)]
        p = self.login_pdu(self.names(target, discovery) + [*keys, *offer], 0x87)
        assert p.flags & 0x83 == 0x83, f"flags {p.flags:#x}"
        return self.logged_in(p)

    def logged_in(self, p):
        self.tsih = int.from_bytes(p.bhs[14:16], "big")
        got = dict(self.answers)
        self.header_digest = got.get("HeaderDigest") == "CRC32C"
        self.data_digest = got.get("DataDigest") == "CRC32C"
        self.max_send = int(got.get("MaxRecvDataSegmentLength", 8192))
        return self

    def chap(self, target, user, secret, algorithm="5", mutual=None, tamper=None, discovery=False):
        """Security stage with CHAP, then the operational stage."""
        first = self.login_pdu(self.names(target, discovery) + [("AuthMethod", "CHAP,None")], 0x00)
        if dict(first.keys()).get("AuthMethod") != "CHAP":
            raise AssertionError(f"no CHAP: {first.keys()}")
        q = dict(self.login_pdu([("CHAP_A", algorithm)], 0x00).keys())
        make = {"5": hashlib.md5, "6": hashlib.sha1, "7": hashlib.sha256, "8": hashlib.sha3_256}[q["CHAP_A"]]
        challenge = bytes.fromhex(q["CHAP_C"][2:])
        r = make(bytes([int(q["CHAP_I"])]) + secret.encode() + challenge).hexdigest()
        pairs = [("CHAP_N", user), ("CHAP_R", "0x" + r)]
        ours = b"0123456789abcdef"
        if mutual:
            c = challenge if tamper == "reflect" else ours
            pairs += [("CHAP_I", "7"), ("CHAP_C", "0x" + c.hex())]
        p = self.login_pdu(pairs, 0x81)
        if mutual:
            got = dict(p.keys())
            want = make(bytes([7]) + mutual[1].encode() + ours).hexdigest()
            assert got["CHAP_N"] == mutual[0] and got["CHAP_R"].lower() == "0x" + want, got
        return self.logged_in(self.login_pdu([], 0x87))

    # -- full feature phase --

    def command(self, cdb, read=0, write=b"", lun=0, edtl=None, immediate_data=None, final=True,
                **more):
        """Send a SCSI command; returns its task tag.  The data goes as immediate data."""
        flags = (0x80 if final else 0) | (0x40 if read else 0) | (0x20 if write else 0) | 1
        n = edtl if edtl is not None else read or len(write)
        data = write if immediate_data is None else immediate_data
        itt = self.send(self.bhs(SCSI_CMD, flags, lun, w20=n, rest=cdb[:16], **more), data)
        if not more.get("immediate") and "cmd_sn" not in more:
            self.cmd_sn = self.cmd_sn + 1 & NONE
        return itt

    def finish(self, itt):
        """Collect answers until itt has its status: (status, data, last PDU)."""
        data = b""
        while True:
            p = self.recv()
            if p.op == NOP_IN and p.ttt != NONE:  # a ping; who does not answer is logged out
                self.send(self.bhs(NOP_OUT, lun=p.bhs[8:16], itt=NONE, w20=p.ttt, immediate=True))
            if p.itt != itt:
                continue
            if p.op == DATA_IN:
                assert p.w40 == len(data), "data-in out of order"
                data += p.data
                if p.flags & 1:
                    return p.bhs[3], data, p
            elif p.op == SCSI_RSP:
                return p.bhs[3], data, p
            elif p.op == REJECT:
                raise AssertionError("rejected")
            elif p.op == R2T:
                return None, data, p

    def data_out(self, itt, ttt, data, offset=0, data_sn=0, final=True, lun=0):
        bhs = bytearray(self.bhs(DATA_OUT, 0x80 if final else 0, lun, itt=itt, w20=ttt, cmd_sn=0,
                                 rest=struct.pack(">III", 0, data_sn, offset)))
        self.send(bytes(bhs), data)

    def read(self, lba, blocks):
        status, data, _ = self.finish(self.command(
            struct.pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0), read=blocks * 512))
        assert status == 0, f"read: status {status:#x}"
        return data

    def write10(self, lba, blocks):
        return struct.pack(">BBIBHB", 0x2A, 0, lba, 0, blocks, 0)

    def test_unit_ready(self):
        """Also eats the unit attention that every new nexus gets."""
        for _ in range(10):
            status, _, p = self.finish(self.command(bytes(6)))
            if status == 0:
                return True
        raise AssertionError(f"unit not ready: status {status:#x} {p.data.hex()}")

    def tmf(self, function, lun=0, ref=NONE, ref_cmd_sn=0):
        itt = self.send(self.bhs(TMF, 0x80 | function, lun, w20=ref, immediate=True,
                                 rest=struct.pack(">I", ref_cmd_sn)))
        while True:
            p = self.recv()
            if p.op == TMF_RSP and p.itt == itt:
                return p.bhs[2]

    def nop(self, data=b""):
        itt = self.send(self.bhs(NOP_OUT, w20=NONE, immediate=True), data)
        while True:
            p = self.recv()
            if p.op == NOP_IN and p.itt == itt:
                return p

    def text(self, pairs, flags=0x80, ttt=NONE, itt=None):
        self.send(self.bhs(TEXT, flags, w20=ttt, immediate=True, itt=itt), text(pairs))
        return self.recv()

    def send_targets(self, what="All"):
        """[(name, [address,...])] over as many PDUs as it takes."""
        p = self.text([("SendTargets", what)])
        data = p.data
        if p.op == REJECT:
            return None
        while p.flags & 0x40:
            p = self.text([], ttt=p.ttt, itt=p.itt)
            assert p.data, "more was promised and nothing came"
            data += p.data
        found = []
        for k, v in text_keys(data):
            if k == "TargetName":
                found.append((v, []))
            elif k == "TargetAddress":
                found[-1][1].append(v)
        return found

    def logout(self, reason=0, cid=0):
        itt = self.send(self.bhs(LOGOUT, 0x80 | reason, b"\0" * 8, w20=cid << 16, immediate=True))
        while True:
            p = self.recv()
            if p.op == LOGOUT_RSP and p.itt == itt:
                return p.bhs[2]
