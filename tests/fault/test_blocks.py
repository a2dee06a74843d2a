#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What smiscsi-target has acknowledged survives a power failure at any moment.

The target writes under record.c, which writes down in order all that it does to the unit's file and the
file of reservations; this test notes at which record each command was sent and answered.  From that
follows what a power failure before any record could have left: a block is what the last write to
it was that a finished sync covers, or any later one, each block for itself (so every torn write and
every subset of the unsynced ones is among them).  All of these must be what the initiator
may see: the last thing it was promised to find, or something it sent later.  So every cut is looked at
with every outcome, none is left to chance; a few are also made into files and served again."""
import mmap, os, pathlib, random, shutil, struct, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from initiator import *
from smi import BUILD, Skip, at_end, check, free_port, loopback, main, run, temp_dir, test
from target_ctl import Target, binding, lun, node, port, portal

END, WRITE, ZERO, TRUNCATE, SYNC, CREATE, RENAME, UNLINK = range(8)
DSYNC, RING, FOLDER = 1, 2, 4
NEVER = 1 << 60
BS, BLOCKS = 512, 4096
NODE, NAA = "iqn.2026-01.com.example:disk", 0x3123456789ABCDE0
SEED = int(os.environ.get("SMISCSI_SEED", "5"))
STEPS = int(os.environ.get("SMISCSI_POWER_STEPS", "600"))
ZEROES = bytes(BS)


def folder_on_disk():
    """In memory nothing is synced, as there is nothing to sync it to."""
    def in_memory(path):
        return run("stat", "-f", "-c", "%T", path, ok=0)[1].strip() == "tmpfs"

    if not in_memory(tempfile.gettempdir()):
        return temp_dir()
    if in_memory(BUILD):
        raise Skip("there is no disk here")
    d = pathlib.Path(tempfile.mkdtemp(prefix="smiscsi-test-", dir=BUILD))
    at_end(lambda: shutil.rmtree(d, ignore_errors=True))
    return d


class Recorded:
    """A target under the recorder, with one unit of a file."""

    def __init__(self, ring):
        self.dir = folder_on_disk()
        self.disk, self.log = self.dir / "disk", self.dir / "log"
        self.disk.mkdir()
        (self.disk / "unit").touch()
        (self.dir / "count").write_bytes(bytes(8))
        with open(self.dir / "count", "r+b") as f:
            self.count = mmap.mmap(f.fileno(), 8)
        env = {"LD_PRELOAD": os.environ["SMISCSI_RECORDER"], "SMISCSI_RECORD": str(self.log),
               "SMISCSI_RECORD_COUNT": str(self.dir / "count"), "SMISCSI_RECORD_DIR": str(self.disk),
               "SMISCSI_RECORD_PROGRAM": "smiscsi-target"}
        if not ring:
            env["SMISCSI_RECORD_NO_RING"] = "1"
        os.environ.update(env)
        try:
            self.target = Target("--log", "warning")
        finally:
            for k in env:
                del os.environ[k]
        self.address, self.port = serve(self.target, self.disk / "unit", self.disk / "pr")
        self.initiator = self.login()

    def login(self, **more):
        c = Connection(self.address, self.port, **more).login(NODE, keys=[
            ("InitialR2T", "No"), ("FirstBurstLength", "262144")])
        c.test_unit_ready()
        return c

    def now(self):
        return struct.unpack("=Q", self.count)[0]


def serve(t, unit, pr, blocks=BLOCKS):
    address, number = loopback(), free_port()
    t.apply(dict(op="add", kind="unit", naa="%016x" % NAA, backing="file", path=str(unit),
                 size=blocks * BS, block_size=BS, pr_path=str(pr)), node(NODE), port(NODE),
            portal(address, number), binding(NODE, 1, address, number), lun(NODE, 0, NAA),
            must_listen=True)
    return address, number


class Record:
    def __init__(self, number, fields, more):
        self.kind, self.flags, self.inode, self.offset, self.length, self.result, self.of, _ = fields
        self.number, self.more, self.end = number, more, NEVER


def read_log(path):
    """Records that begin something, with the number of the record that ended it."""
    data, at, out, n = path.read_bytes(), 0, {}, 0
    head = struct.Struct("=IIQQQqQQ")
    while at < len(data):
        f = head.unpack_from(data, at)
        at += head.size
        r = Record(n, f, data[at:at + f[7]])
        at += f[7]
        if r.kind == END:
            out[r.of].end, out[r.of].result = n, r.result
        else:
            out[n] = r
        n += 1
    return list(out.values())


class Version:
    """One content of one block: from which cut on it may be there, and from which on it must."""
    __slots__ = ("value", "begin", "end", "sure")

    def __init__(self, value, begin, end=NEVER, sure=NEVER):
        self.value, self.begin, self.end, self.sure = value, begin, end, sure


def possible(versions, cut):
    """What may be found after a power failure before that record."""
    base = max((i for i, v in enumerate(versions) if v.sure <= cut), default=0)
    return {v.value for v in versions[base:] if v.begin <= cut}


def blocks_of_log(records, inode, honest=True):
    """Per block what the kernel was told to write, in order.  Not honest: as if no sync had been."""
    syncs = sorted((r.number, r.end) for r in records
                   if r.kind == SYNC and r.inode == inode and r.result == 0)
    blocks = [[Version(ZEROES, -1, -1, -1)] for _ in range(BLOCKS)]
    for r in records:
        if r.inode != inode or r.kind not in (WRITE, ZERO):
            continue
        if r.end != NEVER and r.result < 0:
            continue  # not to be done so; another way follows
        check((r.offset % BS, r.length % BS), (0, 0), "a write of part of a block")
        if r.kind == WRITE and r.end != NEVER:
            check(r.result, r.length, "a short write")
        sure = NEVER
        if r.end != NEVER and honest:
            after = [e for b, e in syncs if b > r.end]
            sure = min(after, default=NEVER)
            if r.flags & DSYNC:
                sure = r.end
        for i in range(r.length // BS):
            value = r.more[i * BS:(i + 1) * BS] if r.kind == WRITE else ZEROES
            if r.offset // BS + i < BLOCKS:
                # the record's own number: a cut before it has nothing of it
                blocks[r.offset // BS + i].append(Version(value, r.number + 1, r.end, sure))
    return blocks


class Model:
    """What the initiator sent, and what it was promised."""

    def __init__(self):
        self.blocks = [[Version(ZEROES, -1, -1, -1)] for _ in range(BLOCKS)]
        self.acked = []  # versions answered and not sure yet
        self.cached = True

    def live(self, lba):
        return self.blocks[lba][-1].value

    def sent(self, lba, values, now):
        made = [Version(v, now) for v in values]
        for i, v in enumerate(made):
            self.blocks[lba + i].append(v)
        return made

    def answered(self, made, now, sure):
        for v in made:
            v.end = now
            if sure:
                v.sure = now
            else:
                self.acked.append(v)

    def flushed(self, before, now, blocks=None):
        """A flush that was sent at before has been answered."""
        chosen = None if blocks is None else {id(v) for b in blocks for v in self.blocks[b]}
        rest = []
        for v in self.acked:
            if v.end <= before and (chosen is None or id(v) in chosen):
                v.sure = now
            else:
                rest.append(v)
        self.acked = rest


def lost(model, log):
    """(block, cut) where something may be found that must not be; every cut at which it changes."""
    out = []
    for lba in range(BLOCKS):
        m, l = model[lba], log[lba]
        if len(m) == 1 and len(l) == 1:
            continue
        cuts = {x for v in m for x in (v.begin, v.sure)} | {x for v in l for x in (v.begin, v.sure)}
        for cut in sorted(c for c in cuts if 0 <= c < NEVER) + [NEVER - 1]:
            if not possible(l, cut) <= possible(m, cut):
                out.append((lba, cut))
    return out


class Load:
    """Commands of all kinds that write, several at a time, never two at once on the same block."""

    def __init__(self, rec, rnd):
        self.rec, self.c, self.rnd, self.model = rec, rec.initiator, rnd, Model()
        self.serial, self.flying = 0, {}

    def fresh(self, lba, n):
        self.serial += 1
        return [struct.pack("<QQ", self.serial, lba + i) * (BS // 16) for i in range(n)]

    def free_range(self, most):
        while True:
            n = min(int(self.rnd.expovariate(1 / 8)) + 1, most)
            lba = self.rnd.randrange(0, BLOCKS - n)
            if self.rnd.random() < 0.5:
                lba %= 64  # again and again the same ones
            if all(lba + n <= a or a + k <= lba for _, _, a, k in self.flying.values()):
                return lba, n

    def send(self, cdb, lba, n, values, data=b"", sure=False, flush=None):
        """values: what the blocks will be; flush: this range is on the medium once it is answered."""
        now = self.rec.now()
        made = self.model.sent(lba, values, now) if values else []
        itt = self.c.command(cdb, write=data)
        self.flying[itt] = (now, (made, sure or not self.model.cached, flush), lba, n)

    def collect(self, most=0):
        while len(self.flying) > most:
            p = self.c.recv()
            check((p.op, p.bhs[3]), (SCSI_RSP, 0), f"{p.data.hex()}")
            sent, (made, sure, flush), _, _ = self.flying.pop(p.itt)
            self.model.answered(made, self.rec.now(), sure)
            if flush is not None:
                self.model.flushed(sent, self.rec.now(), flush or None)

    def step(self):
        r, m = self.rnd, self.model
        what = r.choice(["write", "write", "write", "write16", "verify", "same", "zero", "unmap", "unmaps",
                         "caw", "or", "sync", "look", "fua read", "cache"])
        fua = 8 if r.random() < 0.3 else 0
        lba, n = self.free_range(128)
        if what == "write":
            v = self.fresh(lba, n)
            self.send(struct.pack(">BBIBHB", 0x2A, fua, lba, 0, n, 0), lba, n, v, b"".join(v), fua)
        elif what == "write16":
            v = self.fresh(lba, n)
            self.send(struct.pack(">BBQIBB", 0x8A, fua, lba, n, 0, 0), lba, n, v, b"".join(v), fua)
        elif what == "verify":
            v = self.fresh(lba, n)
            self.send(struct.pack(">BBIBHB", 0x2E, 0, lba, 0, n, 0), lba, n, v, b"".join(v), True)
        elif what == "same":
            v = self.fresh(lba, 1) * n
            self.send(struct.pack(">BBIBHB", 0x41, 0, lba, 0, n, 0), lba, n, v, v[0])
        elif what == "zero":
            self.send(struct.pack(">BBQIBB", 0x93, r.choice((0, 8)), lba, n, 0, 0), lba, n, [ZEROES] * n, ZEROES)
        elif what == "unmap":
            d = struct.pack(">HH4xQI4x", 22, 16, lba, n)
            self.send(struct.pack(">BB5xHB", 0x42, 0, len(d), 0), lba, n, [ZEROES] * n, d)
        elif what == "unmaps" and n > 2:  # two ranges in one command
            d = struct.pack(">HH4xQI4xQI4x", 38, 32, lba, n // 2, lba + n // 2, n - n // 2)
            self.send(struct.pack(">BB5xHB", 0x42, 0, len(d), 0), lba, n, [ZEROES] * n, d)
        elif what == "caw":
            v = self.fresh(lba, 1)
            self.send(struct.pack(">BBQ3xBBB", 0x89, fua, lba, 1, 0, 0), lba, 1, v, m.live(lba) + v[0], fua)
        elif what == "or":
            n = min(n, 16)
            v = self.fresh(lba, n)
            old = [int.from_bytes(m.live(lba + i), "big") for i in range(n)]
            new = [(o | int.from_bytes(x, "big")).to_bytes(BS, "big") for o, x in zip(old, v)]
            self.send(struct.pack(">BBQIBB", 0x8B, fua, lba, n, 0, 0), lba, n, new, b"".join(v), fua)
        elif what == "sync":
            self.send(struct.pack(">BBIBHB", 0x35, 0, 0, 0, 0, 0), 0, 0, [], flush=())
        elif what == "look":
            self.send(struct.pack(">BBIBHB", 0x2F, 0, lba, 0, n, 0), lba, n, [], flush=range(lba, lba + n))
        elif what == "fua read":
            self.collect()
            before = self.rec.now()
            status, data, _ = self.c.finish(self.c.command(struct.pack(">BBIBHB", 0x28, 8, lba, 0, n, 0),
                                                           read=n * BS))
            check((status, data), (0, b"".join(m.live(lba + i) for i in range(n))), "what is read")
            m.flushed(before, self.rec.now(), range(lba, lba + n))
        elif what == "cache" and r.random() < 0.3:
            self.collect()
            m.cached = not m.cached
            page = bytes([0, 0, 0, 0, 8, 18, 4 if m.cached else 0]) + bytes(17)
            before = self.rec.now()
            check(self.c.finish(self.c.command(bytes([0x15, 0x10, 0, 0, 24, 0]), write=page))[0], 0)
            if not m.cached:
                m.flushed(before, self.rec.now())
        self.collect(r.choice((0, 1, 3)))

    def run(self, steps):
        for _ in range(steps):
            self.step()
        self.collect()


def served_again(model, log, cut, rnd, how):
    """The cut made into a file with one of the outcomes, and read by an initiator."""
    d = temp_dir()
    image = bytearray(BLOCKS * BS)
    for lba in range(BLOCKS):
        base = max((i for i, v in enumerate(log[lba]) if v.sure <= cut), default=0)
        choice = [v.value for v in log[lba][base:] if v.begin <= cut]
        image[lba * BS:(lba + 1) * BS] = choice[{"least": 0, "most": -1}.get(how, rnd.randrange(len(choice)))]
    (d / "unit").write_bytes(image)
    t = Target("--log", "warning")
    a, n = serve(t, d / "unit", d / "pr")
    c = Connection(a, n).login(NODE)
    c.test_unit_ready()
    for at in range(0, BLOCKS, 256):
        got = c.read(at, 256)
        for i in range(256):
            check(got[i * BS:(i + 1) * BS] in possible(model[at + i], cut), True,
                  f"block {at + i} after a power failure before record {cut}")
    t.kill()


def survives(ring):
    rnd = random.Random(f"{SEED} {ring}")
    rec = Recorded(ring)
    load = Load(rec, rnd)
    load.run(STEPS)
    # grown is grown
    before = rec.now()
    rec.target.apply(dict(op="set", kind="unit", naa="%016x" % NAA, size=2 * BLOCKS * BS))
    grown = rec.now()
    inode = os.stat(rec.disk / "unit").st_ino
    rec.target.kill()
    records = read_log(rec.log)
    log = blocks_of_log(records, inode)
    by_ring = sum(1 for r in records if r.flags & RING)
    writes = sum(1 for r in records if r.kind in (WRITE, ZERO) and r.inode == inode)
    cuts = {x for b in log for v in b for x in (v.begin, v.sure) if 0 <= x < NEVER}
    print(f"# {writes} writes, {len([r for r in records if r.kind == SYNC])} syncs, {by_ring} through "
          f"the ring; {len(cuts)} moments that differ, seed {SEED}", flush=True)
    check(by_ring > 0, ring, "io_uring was used")
    check(writes > STEPS // 2, True, f"{writes} writes recorded")
    bad = lost(load.model.blocks, log)
    check(bad[:5], [], f"{len(bad)} (block, moment) where what was promised may be missing")
    # The test can fail: had the syncs not been there, much would be lost.
    check(len(lost(load.model.blocks, blocks_of_log(records, inode, honest=False))) > 50, True)
    [size] = [r for r in records if r.kind == TRUNCATE and r.length == 2 * BLOCKS * BS]
    check(any(r.kind == SYNC and r.inode == inode and size.end < r.number and r.end < grown
              for r in records), True, "the new size is synced before it is answered")
    for how in ("least", "most", "any", "any"):
        served_again(load.model.blocks, log, rnd.choice(sorted(cuts)), rnd, how)


@test
def acknowledged_blocks_survive_a_power_failure_at_any_moment():
    survives(ring=False)


@test
def the_same_through_io_uring():
    survives(ring=True)


# ---- reservations ----

def pr_out(c, action, key=0, new=0, kind=0, aptpl=True):
    data = struct.pack(">QQ4xBxxx", key, new, 1 if aptpl else 0)
    cdb = struct.pack(">BBB2xIB", 0x5F, action, kind, len(data), 0)
    status, _, p = c.finish(c.command(cdb, write=data))
    return status


def pr_in(c, action):
    status, data, p = c.finish(c.command(struct.pack(">BB5xHB", 0x5E, action, 512, 0), read=512))
    check(status, 0, p.data.hex())
    n = struct.unpack(">I", data[4:8])[0]
    return data[8:8 + n]


def pr_state(c):
    """Keys and reservation; the generation does not outlive a power failure (SPC-4, PRGENERATION)."""
    keys = pr_in(c, 0)
    return (tuple(sorted(struct.unpack(f">{len(keys) // 8}Q", keys))), pr_in(c, 1))


def names_after(records, path, folder, cut):
    """The contents of the file that a power failure before that record may leave under that name:
    a rename counts for certain once the folder is synced, a file's bytes once the file is."""
    syncs = [(r.number, r.end, r.inode) for r in records if r.kind == SYNC and r.result == 0 and r.end <= cut]
    names = [(None, -1)]
    for r in records:
        if r.number < cut and r.kind == RENAME and r.more.split(b"\0")[1] == path:
            if any(b > r.end and i == folder for b, _, i in syncs):
                names = []
            names.append((r.inode, r.number))
    out = set()
    for inode, at in names:
        if inode is None:
            out.add(None)
            continue
        # what belongs to this life of the inode, from its last creation before the rename on
        made = max((r.number for r in records if r.kind == CREATE and r.inode == inode and r.number < at))
        writes = [r for r in records if r.kind == WRITE and r.inode == inode and made < r.number < at]
        if not all(any(b > w.end and e < at for b, e, i in syncs if i == inode) for w in writes):
            out.add(b"torn")
        out.add(b"".join(w.more for w in writes))
    return out


@test
def reservations_that_were_kept_survive_wholly():
    rec = Recorded(ring=False)
    c, other = rec.initiator, rec.login(name="iqn.2026-01.org.example:other", isid=b"\x80other")
    rnd = random.Random(SEED)
    history = [((), b"", -1, -1)]  # keys, reservation, sent, answered
    steps = [(c, 6, 0, 0xA1), (other, 0, 0, 0xB1), (c, 1, 0xA1, 0, 5), (c, 2, 0xA1, 0, 5), (other, 1, 0xB1, 0, 3),
             (other, 0, 0xB1, 0xB2), (c, 4, 0xA1, 0xB2, 3), (c, 3, 0xA1), (c, 0, 0, 0xA2)]
    for _ in range(3):
        for who, action, key, *more in steps:
            sent = rec.now()
            new, kind = (more + [0, 0])[:2]
            status = pr_out(who, action, key, new, kind)
            if status == 2:  # a unit attention: somebody was told something
                status = pr_out(who, action, key, new, kind)
            answered = rec.now()
            other.test_unit_ready()
            c.test_unit_ready()
            if status == 0:
                history.append((*pr_state(c), sent, answered))
    sent = rec.now()
    check(pr_out(c, 6, 0, 0xA3, aptpl=False), 0, "not to be kept any more")
    history.append(((), b"", sent, rec.now()))
    check(len(history) > 15, True, f"{len(history)} states")
    folder = os.stat(rec.disk).st_ino
    rec.target.kill()
    records = read_log(rec.log)
    found = {}

    def served(content):
        """What a target says that starts with this file."""
        if content not in found:
            d = temp_dir()
            (d / "unit").touch()
            if content is not None:
                (d / "pr").write_bytes(content)
            t = Target("--log", "warning")
            a, n = serve(t, d / "unit", d / "pr")
            x = Connection(a, n).login(NODE)
            x.test_unit_ready()
            found[content] = pr_state(x)
            t.kill()
        return found[content]

    cuts = sorted({x for r in records for x in (r.number, r.number + 1)} | {h[3] for h in history if h[3] >= 0})
    for cut in cuts:
        last = max(i for i, h in enumerate(history) if h[3] <= cut)
        allowed = {(k, r) for k, r, s, _ in history[last:] if s <= cut}
        for content in names_after(records, str(rec.disk / "pr").encode(), folder, cut):
            check(content != b"torn", True, f"a file takes its place unsynced, before record {cut}")
            check(served(content) in allowed, True,
                  f"before record {cut}: {served(content)}, promised {allowed}")
    print(f"# {len(history)} states, {len(cuts)} cuts, {len(found)} files", flush=True)


main()
