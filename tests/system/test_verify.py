#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No acknowledged write is lost and no wrong byte is read, while everything changes.

Initiators write blocks that say whose they are, where they belong and which generation they are,
several commands in flight, with every kind of data phase; others read everything all the time.
Meanwhile portals are unbound and bound, ports disabled and enabled, volumes detached, attached and grown,
nodes made and deleted, and smiscsid and smiscsi-target are killed with SIGKILL.  Who loses a connection does
not know what became of the writes in flight: it logs in again, reads what is there, and from
then on that has to stay.

At the same time qemu-io writes and reads patterns, and qemu-img copies and compares a disk, through a
portal of their own: nobody reconfigures that one, but the processes behind it are killed.  libiscsi logs
in again by itself, so neither may see an error or a wrong byte.

SMISCSI_VERIFY_SECONDS says how long."""
import collections, os, random, re, signal, struct, subprocess, threading, time, traceback, zlib

import smi
from cimclient import CimError, Client, Path
from initiator import *
from smi import NS, check, test, wait_for

# with sanitizers only each of the changes once: they alone take their time
SECONDS = float(os.environ.get("SMISCSI_VERIFY_SECONDS", "1" if smi.sanitized() else "14"))
SEED = os.environ.get("SMISCSI_SEED", "7")
BS, STRIPE, STRIPES, LUNS, WRITERS = 512, 512, 32, 2, 4
BLOCKS = STRIPE * STRIPES
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
BINDS = "MSISCSITARGET_BindsTo"
ZERO = bytes(BS)
HEAD = struct.Struct(">4sIQQQ")

QEMU = 3  # the portal of qemu's node
CHUNK, CHUNKS = 65536, 128
server = smi.Server(portals=4).start(seconds=60)
stop, errors = threading.Event(), []
counts = collections.Counter()


def block(lun, lba, generation):
    h = HEAD.pack(b"SMIV", lun, lba, generation, 0)
    h = h[:24] + struct.pack(">Q", zlib.crc32(h))
    return h * (BS // len(h))


class Blocks:
    """What each block has to be.  Only its one writer changes it; the others look."""

    def __init__(self):
        self.sure = [[0] * BLOCKS for _ in range(LUNS)]     # generation that was acknowledged, or seen
        self.issued = [[0] * BLOCKS for _ in range(LUNS)]   # the highest that was sent
        self.zeroes = [[{0} for _ in range(BLOCKS)] for _ in range(LUNS)]  # generations without content

    def judge(self, lun, lba, data, least, most, what):
        """Which generation from least to most is this?"""
        if data == ZERO:
            fits = [g for g in self.zeroes[lun][lba] if least <= g <= most]
            if fits:
                return max(fits)
        else:
            magic, l, b, g, _ = HEAD.unpack_from(data)
            if (magic, l, b) == (b"SMIV", lun, lba) and least <= g <= most and data == block(lun, lba, g):
                return g
        raise AssertionError(f"{what}: LUN {lun} block {lba}: {data[:40].hex()}, wanted a generation "
                             f"from {least} to {most}")


truth = Blocks()


class Broken(Exception):
    """The connection is gone, or was never there."""


class Op:
    def __init__(self, kind, lun, lba, n, data=b"", generation=0):
        self.kind, self.lun, self.lba, self.n = kind, lun, lba, n
        self.data, self.generation, self.got = data, generation, bytearray()
        self.least = truth.sure[lun][lba:lba + n] if kind == "read" else None
        self.sense = None


class Session:
    """One login with keys of its own choice, several commands in flight."""

    def __init__(self, r, isid):
        keys = {"InitialR2T": r.choice(("Yes", "No")), "ImmediateData": r.choice(("Yes", "No")),
                "FirstBurstLength": r.choice((512, 8192, 65536)), "MaxBurstLength": r.choice((65536, 262144)),
                "MaxOutstandingR2T": r.choice((1, 4)), "HeaderDigest": "None",
                # crc32c in Python takes its time
                "DataDigest": "CRC32C" if r.random() < 0.1 else "None"}
        try:
            self.c = Connection(r.choice(server.portals), 3260, isid=isid, timeout=20)
            self.c.login(shared, keys=list(keys.items()))
        except LoginFailed as e:
            check(e.status in (0x0203, 0x0301, 0x0302), True, f"login status {e.status:#06x}")
            raise Broken() from e
        except (Closed, OSError) as e:
            raise Broken() from e
        got = dict(self.c.answers)
        self.r2t = got.get("InitialR2T") == "Yes"
        self.immediate = got.get("ImmediateData") == "Yes"
        self.first, self.burst = int(got["FirstBurstLength"]), int(got["MaxBurstLength"])
        self.pdu = min(self.c.max_send, 65536)
        self.flying = {}

    def data_out(self, itt, ttt, op, at, n):
        sn = 0
        while n:
            k = min(n, self.pdu)
            self.c.data_out(itt, ttt, op.data[at:at + k], at, sn, k == n, op.lun)
            at, n, sn = at + k, n - k, sn + 1

    def send(self, op):
        w = len(op.data)
        cdb = {"write": lambda: struct.pack(">BBIBHB", 0x2A, 0, op.lba, 0, op.n, 0),
               "fua": lambda: struct.pack(">BBQIBB", 0x8A, 8, op.lba, op.n, 0, 0),
               "read": lambda: struct.pack(">BBIBHB", 0x28, 0, op.lba, 0, op.n, 0),
               "zero": lambda: struct.pack(">BBQIBB", 0x93, 8, op.lba, op.n, 0, 0),
               "sync": lambda: struct.pack(">BBIBHB", 0x35, 0, 0, 0, 0, 0)}[op.kind]()
        now = min(w, self.first, self.pdu) if self.immediate else 0
        later = 0 if self.r2t else min(w, self.first) - now
        try:
            itt = self.c.command(cdb, read=op.n * BS if op.kind == "read" else 0, write=op.data, lun=op.lun,
                                 immediate_data=op.data[:now], final=not later)
            self.flying[itt] = op
            if later:
                self.data_out(itt, NONE, op, now, later)
        except (Closed, OSError) as e:
            raise Broken() from e

    def finished(self):
        """The next command that has its status."""
        while True:
            try:
                p = self.c.recv()
                if p.op == NOP_IN and p.itt == NONE and p.ttt != NONE:
                    self.c.send(self.c.bhs(NOP_OUT, itt=NONE, w20=p.ttt, immediate=True))
                if p.op == REJECT:
                    raise AssertionError(f"rejected: {p.bhs.hex()} {p.data.hex()}")
                op = self.flying.get(p.itt)
                if p.op == R2T and op:
                    self.data_out(p.itt, p.ttt, op, p.w40, p.w44)
                    continue
            except (Closed, OSError) as e:
                raise Broken() from e
            if not op:
                continue
            if p.op == DATA_IN:
                check(p.w40, len(op.got), "data-in out of order")
                op.got += p.data
            if p.op == SCSI_RSP or (p.op == DATA_IN and p.flags & 1):
                del self.flying[p.itt]
                if p.bhs[3]:
                    check(p.bhs[3], 2, "status")
                    op.sense = (p.data[4] & 15, p.data[14], p.data[15])
                    # unit attention; or no such unit, while the volume is detached
                    check(op.sense[0] == 6 or op.sense == (5, 0x25, 0), True, f"sense {op.sense}")
                return op

    def one(self, op):
        """A command alone, until it is carried out."""
        end = time.monotonic() + 30
        while True:
            again = Op(op.kind, op.lun, op.lba, op.n, op.data, op.generation)
            self.send(again)
            again = self.finished()
            if not again.sense:
                return again
            check(time.monotonic() < end, True, f"sense {again.sense} for 30 s")
            time.sleep(0.02)


def logged_in(r, isid):
    end = time.monotonic() + 40
    while not stop.is_set():
        try:
            return Session(r, isid)
        except Broken:
            counts["logins that failed"] += 1
            check(time.monotonic() < end, True, "no way to log in for 40 s")
            time.sleep(0.05)
    raise Broken()


def writes(me, r):
    """Its stripes are those whose number modulo the writers is its own."""
    mine = [s for s in range(STRIPES) if s % WRITERS == me]
    unknown = {}  # (lun, lba): most recent generation that was on its way
    isid = b"\x80w%04d" % me
    generation = 0
    while not stop.is_set():
        try:
            s = logged_in(r, isid)
            for (lun, lba) in sorted(unknown):
                op = s.one(Op("read", lun, lba, 1))
                g = truth.judge(lun, lba, bytes(op.got), truth.sure[lun][lba], unknown[lun, lba], "read back")
                truth.sure[lun][lba] = g
                counts["writes that were in flight, done" if g == unknown[lun, lba] else
                       "writes that were in flight, not done"] += 1
                del unknown[lun, lba]
            until = time.monotonic() + r.uniform(0.5, 4)
            while not stop.is_set() and time.monotonic() < until or s.flying:
                depth = r.choice((1, 2, 4)) if not stop.is_set() and time.monotonic() < until else 0
                while len(s.flying) < depth:
                    n = min(STRIPE, max(1, int(r.expovariate(1 / 24))))
                    lun, lba = r.randrange(LUNS), r.choice(mine) * STRIPE + r.randrange(STRIPE - n + 1)
                    if any(o.lun == lun and lba < o.lba + o.n and o.lba < lba + n for o in s.flying.values()):
                        continue
                    kind = r.choice(("write", "write", "write", "fua", "zero", "read", "read", "sync"))
                    data = b""
                    if kind in ("write", "fua", "zero"):
                        generation += 1
                        for b in range(lba, lba + n):
                            if kind == "zero":
                                truth.zeroes[lun][b].add(generation)
                            truth.issued[lun][b] = generation
                            unknown[lun, b] = generation
                        data = ZERO if kind == "zero" else b"".join(
                            block(lun, b, generation) for b in range(lba, lba + n))
                    s.send(Op(kind, lun, lba, n, data, generation))
                op = s.finished()
                counts[op.kind if not op.sense else "refused for a moment"] += 1
                if op.kind == "read" and not op.sense:
                    for i in range(op.n):
                        truth.judge(op.lun, op.lba + i, bytes(op.got[i * BS:(i + 1) * BS]),
                                    truth.sure[op.lun][op.lba + i], truth.sure[op.lun][op.lba + i], "own read")
                elif op.kind in ("write", "fua", "zero"):
                    for b in range(op.lba, op.lba + op.n):
                        if not op.sense:
                            truth.sure[op.lun][b] = op.generation
                        del unknown[op.lun, b]
            if r.random() < 0.5:
                s.c.logout()
            s.c.close()
        except (Broken, Closed, OSError):
            counts["connections that were lost"] += 1


def reads(me, r):
    """Anything of anybody: not older than what was acknowledged before, nor newer than what was sent."""
    while not stop.is_set():
        try:
            s = logged_in(r, b"\x80r%04d" % me)
            until = time.monotonic() + r.uniform(0.5, 4)
            while not stop.is_set() and time.monotonic() < until:
                n = r.choice((1, 8, 64, 512))
                lun, lba = r.randrange(LUNS), r.randrange(BLOCKS - n + 1)
                op = Op("read", lun, lba, n)
                s.send(op)
                op = s.finished()
                if op.sense:
                    continue
                counts["read of others"] += 1
                for i in range(n):
                    truth.judge(lun, lba + i, bytes(op.got[i * BS:(i + 1) * BS]), op.least[i],
                                truth.issued[lun][lba + i], "read of others")
            s.c.close()
        except (Broken, Closed, OSError):
            counts["connections that were lost"] += 1


# ---- what qemu does meanwhile ----

def qemu_url(lun):
    return f"iscsi://{server.portal(QEMU)}/{qemus.keys['DeviceID']}/{lun}"


class QemuIo:
    """A qemu-io that lives through everything."""

    def __init__(self):
        self.proc = subprocess.Popen(["qemu-io", "-f", "raw", "--cache", "none", qemu_url(0)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        smi.at_end(self.proc.kill)
        self.text = b""

    def prompt(self):
        """Everything up to it, in which no word of an error may be."""
        said = b""
        while not said.endswith(b"qemu-io> "):
            piece = os.read(self.proc.stdout.fileno(), 65536)
            said += piece
            self.text = (self.text + piece)[-4000:]
            if not piece or re.search(rb"[Ff]ail|[Ee]rror|[Ii]nvalid", said):
                raise AssertionError(f"qemu-io: {self.text.decode()}")

    def do(self, *commands):
        """One after the other: what comes in one piece it would leave in its buffer."""
        for c in commands:
            self.proc.stdin.write(c.encode() + b"\n")
            self.proc.stdin.flush()
            self.prompt()

    def end(self):
        out = self.proc.communicate(timeout=60 * smi.PATIENCE)[0]
        check(self.proc.returncode, 0, out)


def qemu_io(me, r):
    q, pattern = None, [0] * CHUNKS
    while q is None:
        q = QemuIo()
        try:
            q.prompt()
            q.do(f"read -P 0 0 {CHUNKS * CHUNK}")
        except AssertionError as e:
            if "Failed to connect" not in str(e) or stop.is_set():
                raise
            q = None  # it tries its first login once only
            time.sleep(0.2)
    while not stop.is_set():
        todo, flying = [], set()
        for _ in range(8):
            n = r.choice((1, 1, 2, 8))
            at = r.randrange(CHUNKS - n + 1)
            kind = r.choice(("write", "write -f", "aio_write", "aio_write", "write -z", "discard", "read", "read"))
            if kind == "read" or flying & set(range(at, at + n)):
                if flying:
                    todo.append("aio_flush")
                    flying = set()
                todo += [f"read -P {pattern[i]} {i * CHUNK} {CHUNK}" for i in range(at, at + n)]
                continue
            value = 0 if kind in ("write -z", "discard") else r.randrange(1, 256)
            pattern[at:at + n] = [value] * n
            with_pattern = f" -P {value}" if value else ""
            todo.append(f"{kind}{with_pattern} {at * CHUNK} {n * CHUNK}")
            if kind == "aio_write":
                flying |= set(range(at, at + n))
            elif flying and flying & set(range(at, at + n)):
                raise AssertionError("a test that races with itself")
        q.do(*todo, "aio_flush")
        counts["commands of qemu-io"] += len(todo)
    q.do(*(f"read -P {v} {i * CHUNK} {CHUNK}" for i, v in enumerate(pattern)))
    q.end()
    image = b"".join(bytes([v]) * CHUNK for v in pattern)
    unit = server.state / "units" / (qemu_volumes[0].keys["DeviceID"] + ".img")
    check(unit.read_bytes()[:len(image)] == image, True, "what qemu-io wrote is in the file")


def qemu_img(me, r):
    d = smi.temp_dir()
    while not stop.is_set():
        image = d / "image"
        image.write_bytes(b"".join(r.choice((bytes(CHUNK), r.randbytes(CHUNK))) for _ in range(CHUNKS)))
        for cmd in (("convert", "-n", "-f", "raw", "-O", "raw", image, qemu_url(1)),
                    ("compare", "-f", "raw", "-F", "raw", image, qemu_url(1))):
            while True:
                code, out, err = smi.run("qemu-img", *cmd, timeout=180)
                if code == 0:
                    counts[f"qemu-img {cmd[0]}"] += 1
                    break
                if "Failed to connect" not in err:
                    raise AssertionError(f"qemu-img {cmd[0]}: {code} {out} {err}")
                time.sleep(0.2)


def worker(fn, me):
    try:
        fn(me, random.Random(f"{SEED} {fn.__name__} {me}"))
    except BaseException:
        errors.append(f"{fn.__name__} {me}: {traceback.format_exc()}")
        stop.set()


# ---- what changes meanwhile ----

def service(c, name):
    return c.names(f"MSISCSITARGET_{name}Service")[0]


def call(c, which, method, want=0, **params):
    r, out = c.invoke(service(c, which), method, **params)
    check(r, want, f"{method}: {c.last_headers.get('WBEMMessage')}")
    return out


def portal(i):
    return Path(PORTAL, {"Name": server.portal(i)})


def unbind(c, r):
    """One of the first port's two portals goes and comes back."""
    i = r.randrange(2)
    for b in c.names(BINDS):
        if b.keys["Dependent"] == ports[0] and b.keys["Antecedent"].keys["Name"] == server.portal(i):
            c.delete(b)
    time.sleep(r.uniform(0, 1))
    call(c, "iSCSIConfiguration", "BindiSCSIProtocolEndPoint", iSCSIPort=ports[0], NetworkPortal=portal(i))


def disable(c, r):
    what = r.choice([*ports, portal(0), portal(2)])
    what = what if what in ports else next(p for p in c.names(PORTAL) if p.keys["Name"] == what.keys["Name"])
    check(c.invoke(what, "RequestStateChange", RequestedState=3)[0], 0)
    time.sleep(r.uniform(0, 0.5))
    check(c.invoke(what, "RequestStateChange", RequestedState=2)[0], 0)


def detach(c, r):
    call(c, "ControllerConfiguration", "DetachDevice", ProtocolController=node, Device=volumes[1])
    time.sleep(r.uniform(0, 0.3))
    call(c, "ControllerConfiguration", "AttachDevice", ProtocolController=node, Device=volumes[1], DeviceNumber="1")


def grow(c, r):
    v = r.choice(volumes)
    size = c.get(v)["NumberOfBlocks"] * BS + (1 << 20)
    call(c, "StorageConfiguration", "CreateOrModifyElementFromStoragePool", ElementType=2, TheElement=v, Size=size)


def others(c, r):
    """Somebody else's node on the same portals comes and goes."""
    n = call(c, "iSCSIConfiguration", "CreateiSCSINode", Alias=f"other {r.random()}")["iSCSINode"]
    call(c, "iSCSIConfiguration", "CreateiSCSIProtocolEndpoint", iSCSINode=n, Role=3,
         NetworkPortals=[portal(0), portal(1)])
    call(c, "iSCSIConfiguration", "DeleteiSCSINode", iSCSINode=n)


def kill_manager(c, r):
    server.kill()
    time.sleep(r.uniform(0, 0.5))
    server.start(seconds=60)


def kill_target(c, r):
    pid = server.target_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for("another target", lambda: server.target_pid() not in (None, pid), 20)

    def whole():
        try:
            return c.invoke(ports[0], "RequestStateChange", RequestedState=2)[0] == 0
        except CimError:
            return False

    wait_for("it is configured", whole, 20)


def attached(c, node, size):
    found = []
    for i in range(LUNS):
        v = call(c, "StorageConfiguration", "CreateOrModifyElementFromStoragePool", ElementType=2,
                 ElementName=f"verified {i}", Size=size)["TheElement"]
        call(c, "ControllerConfiguration", "AttachDevice", ProtocolController=node, Device=v, DeviceNumber=str(i))
        found.append(v)
    return found


def client():
    return Client(server.addr, server.http, NS, timeout=60)


@test
def nothing_acknowledged_is_lost_and_no_byte_is_wrong():
    global node, shared, ports, volumes, qemus, qemu_volumes
    r = random.Random(f"{SEED} chaos")
    c = client()
    node = call(c, "iSCSIConfiguration", "CreateiSCSINode", Alias="verified")["iSCSINode"]
    shared = node.keys["DeviceID"]
    ports = [call(c, "iSCSIConfiguration", "CreateiSCSIProtocolEndpoint", iSCSINode=node, Role=3,
                  NetworkPortals=[portal(i) for i in of])["iSCSIPort"] for of in ((0, 1), (2,))]
    qemus = call(c, "iSCSIConfiguration", "CreateiSCSINode", Alias="qemu")["iSCSINode"]
    call(c, "iSCSIConfiguration", "CreateiSCSIProtocolEndpoint", iSCSINode=qemus, Role=3,
         NetworkPortals=[portal(QEMU)])
    volumes, qemu_volumes = attached(c, node, BLOCKS * BS), attached(c, qemus, CHUNKS * CHUNK)
    threads = [threading.Thread(target=worker, args=(fn, i), daemon=True)
               for fn, n in ((writes, WRITERS), (reads, 2), (qemu_io, 1), (qemu_img, 1)) for i in range(n)]
    for t in threads:
        t.start()
    end = time.monotonic() + SECONDS
    # each of them once, then in any order
    todo = [unbind, disable, detach, grow, others, kill_target, kill_manager, kill_target]
    try:
        while (todo or time.monotonic() < end) and not stop.is_set():
            what = todo.pop(0) if todo else r.choice([unbind, disable, detach, grow, others, kill_manager, kill_target])
            what(c, r)
            counts[what.__name__.replace("_", " ")] += 1
            if what is kill_manager:
                c = client()
            stop.wait(r.uniform(0, 1))
    finally:
        stop.set()
        for t in threads:
            t.join(180)
    check(errors, [], "\n".join(errors))
    check([t.is_alive() for t in threads], [False] * len(threads), "somebody still waits for an answer")
    print("# " + ", ".join(f"{n} {k}" for k, n in sorted(counts.items())), flush=True)
    check(counts["write"] > 100 and counts["read of others"] > 50, True, "there was load")
    check(counts["commands of qemu-io"] > 20 and counts["qemu-img compare"] > 0, True, "qemu was busy")
    stop.clear()
    s = logged_in(r, b"\x80final")
    for lun in range(LUNS):
        for at in range(0, BLOCKS, STRIPE):
            got = bytes(s.one(Op("read", lun, at, STRIPE)).got)
            for i in range(STRIPE):
                truth.judge(lun, at + i, got[i * BS:(i + 1) * BS], truth.sure[lun][at + i],
                            truth.issued[lun][at + i], "at the end")
    # and another initiator agrees with what is in the file
    s.one(Op("sync", 0, 0, 0))
    s.c.logout()
    for lun, v in enumerate(volumes):
        image = smi.temp_dir() / "image"
        smi.run("qemu-img", "convert", "-O", "raw", f"iscsi://{server.portal(1)}/{shared}/{lun}", image, ok=0)
        unit = server.state / "units" / (v.keys["DeviceID"] + ".img")
        check(image.read_bytes() == unit.read_bytes(), True, f"LUN {lun} as qemu-img reads it")


smi.main()
