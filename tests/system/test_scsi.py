# SPDX-License-Identifier: Apache-2.0
"""What the unit says of itself, held against what it does, over the wire (SPC-4, SBC-3)."""
import os, struct, threading

from initiator import *
from smi import check, free_port, loopback, main, temp_dir, test
from target_ctl import *

IQN = "iqn.2026-01.com.example:disk"
NAA, OTHER = 0x3123456789ABCDE0, 0x3123456789ABCDE1
BLOCKS = (64 << 20) // 512


class Unit:
    """A session with one unit: commands in, (status, data or sense) out."""

    def __init__(self, address, number, i=0, lun=0, **more):
        self.c = Connection(address, number, isid=b"\x80%05d" % i, **more).login(
            IQN, keys=[("MaxRecvDataSegmentLength", "262144")])
        self.lun = lun
        while self.attention():
            pass

    def do(self, cdb, read=0, write=b""):
        if isinstance(cdb, str):
            cdb = bytes.fromhex(cdb)
        itt = self.c.command(cdb, read=read, write=write, lun=self.lun, immediate_data=write[:8192])
        data = b""
        while True:
            status, got, p = self.c.finish(itt)
            data += got
            if status is None:
                self.c.data_out(itt, p.ttt, write[p.w40:p.w40 + p.w44], p.w40, lun=self.lun)
                continue
            return status, p.data[2:] if p.op == SCSI_RSP and status == 2 else data

    def good(self, cdb, read=0, write=b"", what=""):
        status, data = self.do(cdb, read, write)
        check(status, 0, f"{what or cdb}: {data.hex()}")
        return data

    def refused(self, want, cdb, read=0, write=b""):
        status, s = self.do(cdb, read, write)
        check((status, code(s) if status == 2 else s.hex()[:64]), (2, want), cdb)
        return s

    def attention(self):
        """(ASC, ASCQ) as a number, or None."""
        status, s = self.do(bytes(6))
        return code(s)[1] if status else None

    def read(self, lba, blocks=1):
        return self.good(struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0), blocks * 512)

    def write(self, lba, data):
        self.good(struct.pack(">BBQIBB", 0x8A, 0, lba, len(data) // 512, 0, 0), write=data)


def code(s):
    return (s[1] & 15, s[2] << 8 | s[3]) if s[0] & 0x7E == 0x72 else (s[2] & 15, s[12] << 8 | s[13])


INVALID_CDB, INVALID_LIST, BEYOND, LENGTH = (5, 0x2400), (5, 0x2600), (5, 0x2100), (5, 0x1A00)


class Rig:
    """One unit behind two ports of one node, in a file whose target can be started again."""

    def __init__(self):
        d = temp_dir()
        (d / "unit").touch()
        self.a, self.b = loopback(), loopback()
        self.n = free_port(self.a)
        self.changes = [dict(unit(NAA, 64 << 20), backing="file", path=str(d / "unit"), pr_path=str(d / "pr")),
                        unit(OTHER, 1 << 20), node(IQN), port(IQN, 1), port(IQN, 2), portal(self.a, self.n),
                        portal(self.b, self.n), binding(IQN, 1, self.a, self.n), binding(IQN, 2, self.b, self.n),
                        lun(IQN, 0, NAA)]
        self.start()

    def start(self):
        self.t = Target()
        self.t.apply(*self.changes, must_listen=True)

    def kill(self):
        self.t.process.kill()
        self.t.process.wait()
        self.t.process.returncode = 0  # ours, not a sanitizer's

    def unit(self, i=0, which=1, **more):
        return Unit(self.a if which == 1 else self.b, self.n, i, **more)


def inquiry(u, page, size=0xFFFF):
    return u.good(struct.pack(">BBBHB", 0x12, 1, page, size, 0), size)


@test
def every_page_listed_is_there_and_no_other():
    u = Rig().unit()
    listed = inquiry(u, 0)
    check(listed[4:], bytes(sorted(listed[4:])))
    check({0, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2} <= set(listed[4:]))
    for page in range(256):
        cdb = struct.pack(">BBBHB", 0x12, 1, page, 1024, 0)
        if page not in listed[4:]:
            u.refused(INVALID_CDB, cdb, 1024)
            continue
        d = u.good(cdb, 1024)
        check((d[0], d[1], struct.unpack(">H", d[2:4])[0]), (0, page, len(d) - 4), hex(page))
        check(u.good(cdb[:3] + b"\0\x06\0", 6), d[:6], "cut, and its length still that of the whole")
    d, found = inquiry(u, 0x83)[4:], []
    while d:
        found.append((d[0] & 15, d[1] >> 4 & 3, d[1] & 15, d[4:4 + d[3]]))
        d = d[4 + d[3]:]
    check((1, 0, 3, struct.pack(">Q", NAA)) in found, True, "NAA of the unit")
    check((1, 1, 4, b"\0\0\0\1") in found and (1, 1, 5, b"\0\0\0\1") in found, True, "port and its group")
    check([x[3].rstrip(b"\0") for x in found if x[2] == 8], [f"{IQN},t,0x0001".encode(), IQN.encode()])
    check(inquiry(u, 0x80)[4:], b"%016x" % NAA)
    u.refused(INVALID_CDB, "12 00 80 00ff 00", 255)
    u.refused(INVALID_CDB, "12 02 00 00ff 00", 255)


@test
def the_limits_of_page_B0_are_kept():
    u = Rig().unit()
    b0 = inquiry(u, 0xB0)
    caw = b0[5]
    transfer, _, _, unmap_blocks, unmap_descriptors, granule = struct.unpack(">6I", b0[8:32])
    same = struct.unpack(">Q", b0[36:44])[0]
    data = bytes(512 * 2 * caw)
    compare = lambda n: struct.pack(">BBQ3xBBB", 0x89, 0, 0, n, 0, 0)
    u.good(compare(caw), write=data)
    u.refused(INVALID_CDB, compare(caw + 1), write=data + bytes(1024))
    read = lambda n: struct.pack(">BBQIBB", 0x88, 0, 0, n, 0, 0)
    check(len(u.good(read(transfer), transfer * 512)), transfer * 512)
    u.refused(INVALID_CDB, read(transfer + 1), (transfer + 1) * 512)
    ws = lambda n: struct.pack(">BBQIBB", 0x93, 8, 0, n, 0, 0)
    u.good(ws(same), write=bytes(512))
    u.refused(INVALID_CDB, ws(same + 1), write=bytes(512))

    def unmap(pairs):
        body = b"".join(struct.pack(">QI4x", *p) for p in pairs)
        return struct.pack(">BBIBHB", 0x42, 0, 0, 0, 8 + len(body), 0), struct.pack(
            ">HH4x", 6 + len(body), len(body)) + body

    cdb, body = unmap([(i * granule, granule) for i in range(unmap_descriptors)])
    u.good(cdb, write=body)
    cdb, body = unmap([(i, 1) for i in range(unmap_descriptors + 1)])
    u.refused(INVALID_LIST, cdb, write=body)
    half = min(unmap_blocks // 2, BLOCKS)
    cdb, body = unmap([(0, half)] * (unmap_blocks // half + 1))
    u.refused(INVALID_LIST, cdb, write=body)


@test
def unmapped_blocks_are_zero_and_their_neighbours_are_not():
    u = Rig().unit()
    u.write(0, b"x" * 512 * 64)
    granule = struct.unpack(">I", inquiry(u, 0xB0)[28:32])[0]
    body = b"".join(struct.pack(">QI4x", *p) for p in ((3, 2), (granule, granule), (4, 3), (40, 0), (63, 1)))
    u.good(struct.pack(">BBIBHB", 0x42, 0, 0, 0, 8 + len(body), 0), write=struct.pack(">HH4x", 6 + len(body), len(body)) + body)
    gone = {3, 4, 5, 6, 63} | set(range(granule, 2 * granule))
    got = u.read(0, 64)
    check({i for i in range(64) if got[i * 512:(i + 1) * 512] == bytes(512)}, gone)
    check(all(got[i * 512:(i + 1) * 512] == b"x" * 512 for i in range(64) if i not in gone))
    for body, want in ((struct.pack(">QI4x", BLOCKS, 1), BEYOND), (struct.pack(">QI4x", BLOCKS - 1, 2), BEYOND)):
        both = struct.pack(">QI4x", 20, 4) + body  # nothing is unmapped unless all can be
        u.refused(want, struct.pack(">BBIBHB", 0x42, 0, 0, 0, 40, 0), write=struct.pack(">HH4x", 38, 32) + both)
    check(u.read(20, 4), b"x" * 2048)
    u.refused(INVALID_CDB, struct.pack(">BBIBHB", 0x42, 1, 0, 0, 24, 0), write=bytes(24))
    u.refused(LENGTH, struct.pack(">BBIBHB", 0x42, 0, 0, 0, 7, 0), write=bytes(7))
    u.good("42 00 00000000 00 0000 00", what="no list, nothing to do")


@test
def write_same_in_each_of_its_forms():
    u = Rig().unit()
    ws10 = lambda flags, lba, n: struct.pack(">BBIBHB", 0x41, flags, lba, 0, n, 0)
    ws16 = lambda flags, lba, n: struct.pack(">BBQIBB", 0x93, flags, lba, n, 0, 0)
    for ws in (ws10, ws16):
        u.write(0, b"x" * 512 * 32)
        u.good(ws(0, 8, 4), write=b"y" * 512)
        check(u.read(7, 6), b"x" * 512 + b"y" * 2048 + b"x" * 512)
        u.good(ws(8, 16, 8), write=bytes(512), what="UNMAP of zeroes")
        check(u.read(15, 10), b"x" * 512 + bytes(4096) + b"x" * 512)
        u.good(ws(8, 0, 2), write=b"z" * 512, what="UNMAP of what is not zero: written (LBPRZ)")
        check(u.read(0, 2), b"z" * 1024)
        for flags in (0x02, 0x04, 0x10, 0x18, 0x20, 0xE0):  # LBDATA, PBDATA, ANCHOR, WRPROTECT
            u.refused(INVALID_CDB, ws(flags, 0, 1), write=bytes(512))
        u.refused(BEYOND, ws(0, BLOCKS - 1, 2), write=bytes(512))
        u.refused(INVALID_CDB, ws(0, 0, 1), write=bytes(1024))
        u.good(ws(0, BLOCKS - 3, 0), write=b"e" * 512, what="to the end")
        check(u.read(BLOCKS - 4, 4), bytes(512) + b"e" * 1536)
        u.good(ws(8, BLOCKS - 3, 0), write=bytes(512))
    u.good(ws16(0x01, 8, 4), what="NDOB")
    check(u.read(8, 4), bytes(2048))
    u.good(ws16(0x09, 24, 8), what="NDOB and UNMAP")
    check(u.read(24, 8), bytes(4096))
    u.refused(INVALID_CDB, ws16(0x01, 0, 1), write=bytes(512))
    u.refused(INVALID_CDB, ws10(0x01, 0, 1), write=bytes(512))


@test
def verify_compares_as_it_is_told():
    u = Rig().unit()
    data = os.urandom(512) * 4
    u.write(4, data)
    forms = (lambda f, l, n: struct.pack(">BBIBHB", 0x2F, f, l, 0, n, 0), lambda f, l, n: struct.pack(">BBIIBB", 0xAF, f, l, n, 0, 0),
             lambda f, l, n: struct.pack(">BBQIBB", 0x8F, f, l, n, 0, 0))
    wrong = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    for v in forms:
        u.good(v(0, 4, 4))
        u.good(v(2, 4, 4), write=data)
        u.good(v(6, 4, 4), write=data[:512], what="one block against all")
        s = u.refused((0xE, 0x1D00), v(2, 4, 4), write=wrong)
        check((s[0], struct.unpack(">I", s[3:7])[0]), (0xF0, 1000), "where")
        u.refused((0xE, 0x1D00), v(6, 3, 2), write=data[:512])
        u.refused(INVALID_CDB, v(4, 4, 4), write=data)
        u.refused(INVALID_CDB, v(0x20, 4, 4))
        u.refused(BEYOND, v(0, BLOCKS, 1))
        u.good(v(0, BLOCKS, 0))
        u.good(v(2, 4, 0))
    for op, n in ((0x2E, 10), (0xAE, 12), (0x8E, 16)):
        cdb = {10: struct.pack(">BBIBHB", op, 2, 4, 0, 4, 0), 12: struct.pack(">BBIIBB", op, 2, 4, 4, 0, 0),
               16: struct.pack(">BBQIBB", op, 2, 4, 4, 0, 0)}[n]
        u.good(cdb, write=wrong)
        check(u.read(4, 4), wrong)


@test
def counting_with_compare_and_write_loses_nothing():
    rig = Rig()
    tries, rounds = 4, 60
    failed = []

    def count(i):
        u = rig.unit(i, which=1 + i % 2)
        try:
            done = 0
            while done < rounds:
                old = u.read(9, 2)
                n = struct.unpack(">Q", old[:8])[0] + 1
                new = struct.pack(">Q", n) * 128
                status, s = u.do(struct.pack(">BBQ3xBBB", 0x89, 8 * (n & 1), 9, 2, 0, 0), write=old + new)
                if status == 0:
                    done += 1
                else:
                    check(code(s), (0xE, 0x1D00))
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=count, args=(i,)) for i in range(tries)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(failed, [])
    check(rig.unit(9).read(9, 2), struct.pack(">Q", tries * rounds) * 128, "each sector whole, each step counted once")


@test
def mode_pages_in_both_commands_and_both_page_formats():
    rig = Rig()
    u, other = rig.unit(0), rig.unit(1, which=2)

    def sense(page, subpage=0, pc=0, ten=False, dbd=True, llbaa=False, size=255):
        flags = (8 if dbd else 0) | (0x10 if llbaa else 0)
        cdb = struct.pack(">BBBB3xHB", 0x5A, flags, pc << 6 | page, subpage, size, 0) if ten else \
            struct.pack(">BBBBBB", 0x1A, flags, pc << 6 | page, subpage, size, 0)
        return cdb, size

    def pages(d, ten):
        head = 8 if ten else 4
        d = d[head + (struct.unpack(">H", d[6:8])[0] if ten else d[3]):]
        found = {}
        while d:
            found[d[0] & 0x3F] = d[:2 + d[1]]
            check(d[0] & 0x40, 0, "page_0 format")
            d = d[2 + d[1]:]
        return found

    for ten in (False, True):
        whole = pages(u.good(*sense(0x3F, ten=ten)), ten)
        check(sorted(whole), [8, 0x0A, 0x1C])
        check(pages(u.good(*sense(0x3F, 0xFF, ten=ten)), ten), whole)
        for page in whole:
            check(pages(u.good(*sense(page, ten=ten)), ten), {page: whole[page]})
            check(pages(u.good(*sense(page, 0xFF, ten=ten)), ten), {page: whole[page]})
            check(pages(u.good(*sense(page, pc=2, ten=ten)), ten), {page: whole[page]}, "the default is what is in force")
            may = pages(u.good(*sense(page, pc=1, ten=ten)), ten)[page]
            check((may[:2], len(may)), (whole[page][:2], len(whole[page])))
            u.refused(INVALID_CDB, *sense(page, 1, ten=ten))
            u.refused((5, 0x3900), *sense(page, pc=3, ten=ten))
        u.refused(INVALID_CDB, *sense(0x02, ten=ten))
        d = u.good(*sense(0x0A, ten=ten, dbd=False))
        at = 8 if ten else 4
        check((int.from_bytes(d[at:at + 4], "big"), int.from_bytes(d[at + 5:at + 8], "big")), (BLOCKS, 512))
    d = u.good(*sense(0x0A, ten=True, dbd=False, llbaa=True))
    check((d[4], d[6:8], struct.unpack(">Q", d[8:16])[0], struct.unpack(">I", d[20:24])[0]), (1, b"\0\x10", BLOCKS, 512))

    control = pages(u.good(*sense(0x0A)), False)[0x0A]

    def select(page, flags=0x10, ten=False):
        body = bytes(8 if ten else 4) + page
        cdb = struct.pack(">BB5xHB", 0x55, flags, len(body), 0) if ten else struct.pack(">BB2xBB", 0x15, flags, len(body), 0)
        return dict(cdb=cdb, write=body)

    for ten in (False, True):
        on = control[:2] + bytes([control[2] | 4]) + control[3:]
        u.good(**select(on, ten=ten))
        check(other.attention(), 0x2A01, "MODE PARAMETERS CHANGED, to others only")
        check(u.attention(), None)
        s = u.refused(BEYOND, struct.pack(">BBQIBB", 0x88, 0, 1 << 40, 1, 0, 0), 512)
        check((s[0], s[8] & 0x7F, struct.unpack(">Q", s[12:20])[0]), (0x72, 0, 1 << 40), "a descriptor has room for 64 bits")
        s = u.refused(INVALID_CDB, "12 02 00 00ff 00", 255)
        check((s[0], s[8], s[12] & 0xC8, s[13:15]), (0x72, 2, 0xC8, b"\0\1"), "field pointer")
        itt = u.c.command(struct.pack(">BBIBHB", 0x2A, 0, 0, 0, 2, 0), write=bytes(1024), immediate_data=b"")
        ask = u.c.recv()
        check(ask.op, R2T)
        u.c.data_out(itt, ask.ttt, bytes(512), 512)  # the transport's own sense follows D_SENSE
        p = u.c.recv()
        check((p.bhs[3], p.data[2], code(p.data[2:])), (2, 0x72, (0xB, 0x4705)))
        u.good(**select(control, ten=ten))
        check(other.attention(), 0x2A01)
        u.good(**select(control, ten=ten))
        check(other.attention(), None, "nothing changed")
        check(u.refused(BEYOND, struct.pack(">BBQIBB", 0x88, 0, 1 << 40, 1, 0, 0), 512)[0], 0x70, "which a fixed one has not")
        u.refused(INVALID_CDB, **select(control, flags=0x11, ten=ten))
        u.refused(INVALID_CDB, **select(control, flags=0, ten=ten))
        u.refused(INVALID_LIST, **select(bytes([0x4A, 1, 0, 8]) + control[4:], ten=ten))
        u.refused(INVALID_LIST, **select(control[:8] + b"\x12\x34" + control[10:], ten=ten))
        u.refused(LENGTH, **select(control[:-1], ten=ten))


@test
def commands_are_described_with_and_without_timeouts():
    u = Rig().unit()
    ask = lambda how, op=0, sa=0, size=0xFFFF: (struct.pack(">BBBBHIBB", 0xA3, 0x0C, how, op, sa, size, 0, 0), size)
    known = set()
    for rctd in (0, 0x80):
        d = u.good(*ask(rctd))
        check(struct.unpack(">I", d[:4])[0], len(d) - 4)
        d, found = d[4:], set()
        while d:
            op, sa, flags, n = d[0], struct.unpack(">H", d[2:4])[0], d[5], struct.unpack(">H", d[6:8])[0]
            check(bool(flags & 2), bool(rctd))
            if rctd:
                check(d[8:10], b"\0\x0a")
            found.add((op, sa if flags & 1 else None, n))
            d = d[20 if rctd else 8:]
        check(found == known if known else True)
        known = found
        for op, sa, n in sorted(known, key=str):
            d = u.good(*ask(rctd | 3, op, sa or 0))
            check((d[1] & 7, struct.unpack(">H", d[2:4])[0], d[4], d[1] >> 7), (3, n, op, rctd >> 7), hex(op))
            check(len(d), 4 + n + (12 if rctd else 0))
            if rctd:
                check(d[4 + n:4 + n + 2], b"\0\x0a")
            other = u.refused(INVALID_CDB, *ask(rctd | (1 if sa is not None else 2), op, sa or 0))
            d = u.good(*ask(rctd | (2 if sa is not None else 1), op, sa or 0))
            check(d[1] & 7, 3)
        check(u.good(*ask(rctd | 1, 0xC7))[1], 1, "not supported")
    for op in set(range(256)) - {k[0] for k in known}:
        if op not in (0x7E, 0x7F):  # the length of these is said elsewhere
            u.refused((5, 0x2000), bytes([op]) + bytes(15))
    d = u.good("a3 0d 80 000000 00000010 00 00", 16)
    check((d[0] & 0xDA, d[3]), (0xDA, 12))


@test
def attentions_queue_and_are_told_once_each_the_gravest_first():
    rig = Rig()
    u, v = rig.unit(0), rig.unit(1, which=2)
    control = u.good("1a 08 0a 00 ff 00", 255)[4:]
    u.good("15 10 00 00 10 00", write=bytes(4) + control[:2] + bytes([control[2] | 4]) + control[3:])
    rig.t.apply(dict(op="set", kind="unit", naa="%016x" % NAA, size=128 << 20))
    rig.t.apply(lun(IQN, 7, OTHER))
    u.c.tmf(4)
    u.c.tmf(5)
    check(v.good("12 00 00 0060 00", 96)[0], 0, "INQUIRY tells none and clears none")
    s = v.good("03 00 00 00 ff 00", 255)
    check((s[0], code(s)), (0x70, (6, 0x2903)), "REQUEST SENSE tells the first as data")
    s = v.good("03 01 00 00 ff 00", 255)
    check((s[0], code(s)), (0x72, (6, 0x2A09)), "and the next, as descriptors")
    check([v.attention() for _ in range(4)], [0x2A01, 0x2F00, 0x3F0E, None])
    check(code(v.good("03 00 00 00 ff 00", 255)), (0, 0))
    rig.t.apply(removal(lun(IQN, 7, OTHER)))
    check(len(v.good("a0 00 00 000000 00001000 00 00", 4096)), 16, "who asks for the list knows")
    check(v.attention(), None)
    check(u.attention(), 0x2903)


def pr_out(u, action, type_=0, key=0, sark=0, flags=0, extra=b"", expect=0):
    body = struct.pack(">QQ4xB3x", key, sark, flags) + extra
    status, s = u.do(struct.pack(">BBB2xIB", 0x5F, action, type_, len(body), 0), write=body)
    check(status, expect, f"PR OUT {action}: {s.hex()}")
    return s


def pr_in(u, action, size=4096):
    return u.good(struct.pack(">BB5xHB", 0x5E, action, size, 0), size)


def transport_id(name, i):
    s = f"{name},i,0x{(b'%s' % (b'%c%05d' % (0x80, i))).hex()}".encode()
    s += bytes(4 - len(s) % 4)
    return struct.pack(">BBH", 0x45, 0, len(s)) + s


@test
def reservations_outlive_a_killed_target_when_they_are_asked_to():
    rig = Rig()
    u, v = rig.unit(0), rig.unit(1, which=2)
    caps = pr_in(u, 2)
    check((caps[2] & 0x1D, caps[3] & 0x80, caps[4:6]), (0x1D, 0x80, b"\xea\x01"), "CRH, SIP_C, ATP_C, PTPL_C; all types")
    pr_out(u, 0, sark=0xAA, flags=1)
    pr_out(u, 1, type_=1, key=0xAA)
    check(v.do(struct.pack(">BBQIBB", 0x8A, 0, 0, 1, 0, 0), write=bytes(512))[0], 0x18)
    rig.kill()
    rig.start()
    v = rig.unit(1, which=2)
    check(v.do(struct.pack(">BBQIBB", 0x8A, 0, 0, 1, 0, 0), write=bytes(512))[0], 0x18, "before its holder is back")
    check(len(v.read(0)), 512, "write exclusive")
    u = rig.unit(0)
    u.write(0, bytes(512))
    check((pr_in(u, 0)[8:], pr_in(u, 1)[8:16], pr_in(u, 1)[21]), (b"\0" * 7 + b"\xaa", b"\0" * 7 + b"\xaa", 1))
    # without APTPL nothing is left of it
    pr_out(u, 0, key=0xAA, sark=0xBB)
    check(pr_in(u, 2)[3] & 1, 0)
    rig.kill()
    rig.start()
    v = rig.unit(1, which=2)
    v.write(0, bytes(512))
    check(pr_in(v, 0)[4:], bytes(4))


@test
def registrations_of_others_of_all_ports_and_moved():
    rig = Rig()
    name = "iqn.2026-01.org.example:initiator"
    u, v = rig.unit(0), rig.unit(1)
    # SPEC_I_PT: another initiator port is registered along, or nobody is
    ids = transport_id(name, 1)
    check(code(pr_out(u, 0, sark=0xAA, flags=8, extra=struct.pack(">I", len(ids)) + b"\x47" + ids[1:], expect=2)), INVALID_LIST)
    check(pr_in(u, 0)[8:], b"")
    pr_out(u, 0, sark=0xAA, flags=8, extra=struct.pack(">I", len(ids)) + ids)
    check(pr_in(u, 0)[8:], (b"\0" * 7 + b"\xaa") * 2)
    full = pr_in(u, 3)[8:]
    check((full[:8], full[12] & 3, struct.unpack(">H", full[18:20])[0], full[24] & 0x4F), (b"\0" * 7 + b"\xaa", 0, 1, 0x45))
    pr_out(v, 1, type_=3, key=0xAA)
    check(u.do(struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0), 512)[0], 0x18, "exclusive access keeps registrants out, too")
    # REGISTER AND MOVE: to the second port of the first initiator
    there = transport_id(name, 0)
    body = struct.pack(">QQxBHI", 0xAA, 0xCC, 2, 2, len(there)) + there
    status, s = v.do(struct.pack(">BBB2xIB", 0x5F, 7, 3, len(body), 0), write=body)
    check(status, 0, s.hex())
    u2 = rig.unit(0, which=2)
    u2.write(0, bytes(512))
    check(u.do(struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0), 512)[0], 0x18, "the same initiator through the other port")
    check(v.do(struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0), 512)[0], 0x18, "UNREG: who moved it is out")
    pr_out(u2, 3, key=0xCC)
    check(u.attention(), 0x2A03, "RESERVATIONS PREEMPTED")
    # ALL_TG_PT: one registration for both ports
    pr_out(u, 0, sark=0xDD, flags=4)
    pr_out(u, 1, type_=3, key=0xDD)
    u2.write(0, bytes(512))
    check(v.do(struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0), 512)[0], 0x18)
    check(pr_in(u, 3)[8 + 12] & 3, 3, "ALL_TG_PT and holder")
    # scope and type do not matter where only registrations are removed
    pr_out(v, 0, sark=0xEE)
    pr_out(u, 4, type_=0, key=0xDD, sark=0xEE)
    check(v.attention(), 0x2A05, "REGISTRATIONS PREEMPTED")
    pr_out(v, 1, type_=3, key=0xEE, expect=0x18)


main()
