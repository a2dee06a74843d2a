# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share: a smiscsid under the shim, and a model of what it must know.

The model is written from the rules and independent of src/san, so that the two can disagree.
Nodes go by their alias and volumes by their name, because IQNs and NAA names are the server's
to choose; that these do not change from start to start is checked beside.
"""
import copy, mmap, os, pathlib, random, re, shutil, signal, struct, subprocess, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import CimError, Client, HttpError, Path
from initiator import Connection, LoginFailed
from smi import NS, check

# Real syncs are slow and prove nothing here: the shim knows what has been synced.
if os.access("/dev/shm", os.W_OK):
    tempfile.tempdir = "/dev/shm"

WRITE, SYNC, NAMES, TRUNCATE, SEND = 1, 2, 4, 8, 16
ALL = 31
KILL, TORN, FAIL, FAILS = 1, 2, 3, 4

NODE = "MSISCSITARGET_SCSIProtocolController"
PORT = "MSISCSITARGET_iSCSIProtocolEndpoint"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
GROUP = "MSISCSITARGET_SystemSpecificCollection"
MEMBER = "MSISCSITARGET_MemberOfCollection"
BINDS = "MSISCSITARGET_BindsTo"
VOLUME = "MSISCSITARGET_StorageVolume"
UNIT = "MSISCSITARGET_ProtocolControllerForUnit"

# 1: every call; n: every n-th or so, where every call has been tried in another build.
STEP = int(os.environ.get("SMISCSI_FAULT_STEP", "1"))

# What a client sees when the server ends before its answer.
GONE = (OSError, EOFError, smi.socket.timeout, __import__("http.client").client.HTTPException)


class Fault:
    """The driver's end of shim.c's struct fault."""

    def __init__(self, path):
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def _get(self, i):
        return struct.unpack_from("<Q", self.map, i * 8)[0]

    def _set(self, i, v):
        struct.pack_into("<Q", self.map, i * 8, v)

    def off(self):
        self._set(1, 0)

    def arm(self, at, mode=KILL, kinds=ALL, error=0):
        """From now on: the at-th call."""
        self.off()
        for i, v in ((0, 0), (2, mode), (3, error), (4, kinds), (5, 0), (1, at)):
            self._set(i, v)

    def clock(self, seconds):
        """The wall clock is that far ahead."""
        struct.pack_into("<q", self.map, 7 * 8, int(seconds))

    @property
    def count(self):
        return self._get(0)

    @property
    def fired(self):
        return self._get(5)

    @property
    def fired_kind(self):
        return self._get(6)


def preload():
    """The shim; a sanitizer's library wants to come before it."""
    libraries = smi.run("ldd", smi.BUILD / "smiscsid", ok=0)[1]
    first = re.search(r"(/\S*/lib[at]san\.so\S*)", libraries)
    return (first[1] + ":" if first else "") + os.environ["SMISCSI_SHIM"]


class Server(smi.Server):
    """smiscsid, or the smiscsi-target it starts, under the shim."""

    def __init__(self, program="smiscsid", power=False, **more):
        super().__init__(**more)
        self.dir = smi.temp_dir()
        self.log_path = self.dir / "log" # not where the disk may be full
        self.fault = Fault(self.dir / "fault")
        self.shadow = self.dir / "shadow" if power else None
        self.wrapper = ["env", f"LD_PRELOAD={preload()}",
                        f"SMISCSI_FAULT={self.dir / 'fault'}", f"SMISCSI_FAULT_DIR={self.state}",
                        f"SMISCSI_FAULT_PROGRAM={program}"]
        if power:
            self.shadow.mkdir()
            self.wrapper.append(f"SMISCSI_FAULT_SHADOW={self.shadow}")
        self.client = None

    def start(self, **more):
        self.client = None
        return super().start(**more)

    @property
    def c(self):
        if not self.client:
            self.client = Client(self.addr, self.http, NS, timeout=30)
        return self.client

    def end(self):
        super().end()
        self.fault.map.close()
        if self.client and self.client.conn:
            self.client.conn.close()

    def ended(self):
        """Wait for the end of what was killed."""
        self.proc.wait(30)
        self.proc.stdout.close()
        if self.client and self.client.conn:
            self.client.conn.close()

    def lose_power(self):
        """Both processes are gone; only what was synced is there afterwards."""
        pid = self.target_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
            smi.wait_for("the target to end", lambda: not smi.alive(pid))
        self._rebuild(self.state)
        self._forget()

    def _rebuild(self, folder):
        if not folder.exists():
            return
        names = self.shadow / f"names-{folder.stat().st_ino}"
        survived = dict(reversed(l.split(" ", 1)) for l in names.read_text().splitlines()) \
            if names.exists() else {}
        # From the shadow's bytes first, as an inode may have a new name now.
        put = {name: self.shadow / f"data-{ino}" for name, ino in survived.items()
               if (self.shadow / f"data-{ino}").exists()}
        bytes_of = {name: f.read_bytes() for name, f in put.items()}
        folders = {x.name for x in folder.iterdir() if x.is_dir()}
        for x in folder.iterdir():
            if x.is_dir():
                self._rebuild(x)
                if x.name not in survived:
                    shutil.rmtree(x)
            else:
                x.unlink()
        for name in survived:
            if name not in folders:
                write_sparse(folder / name, bytes_of.get(name, b""))

    def _forget(self):
        """What is there now is on the disk."""
        shutil.rmtree(self.shadow)
        self.shadow.mkdir()
        if not self.state.exists():
            return
        for folder, folders, files in os.walk(self.state):
            folder = pathlib.Path(folder)
            with open(self.shadow / f"names-{folder.stat().st_ino}", "w") as f:
                for name in folders + files:
                    f.write(f"{(folder / name).stat().st_ino} {name}\n")
            for name in files:
                shutil.copy(folder / name, self.shadow / f"data-{(folder / name).stat().st_ino}")


def write_sparse(path, data):
    with open(path, "wb") as f:
        for at in range(0, len(data), 4096):
            block = data[at:at + 4096]
            if any(block):
                f.seek(at)
                f.write(block)
        f.truncate(len(data))
    path.chmod(0o600)


class Model:
    def __init__(self, portals):
        self.nodes, self.ports, self.binds, self.vols, self.luns = {}, {}, set(), {}, {}
        self.groups = {"default"}
        self.portals = {p: ("default", True) for p in portals}

    def copy(self):
        return copy.deepcopy(self)

    def facts(self):
        out = {("node", n) for n in self.nodes}
        out |= {("port", *p, on) for p, on in self.ports.items()}
        out |= {("portal", p, *x) for p, x in self.portals.items()}
        out |= {("group", g) for g in self.groups}
        out |= {("bind", *b) for b in self.binds}
        out |= {("volume", v, size) for v, size in self.vols.items()}
        out |= {("lun", *l, v) for l, v in self.luns.items()}
        return out

    def discovered(self, portal):
        """{(alias, tpgt)} that an initiator must find there; None: nobody listens."""
        if not self.portals[portal][1]:
            return None
        return {(a, t) for a, t, p in self.binds if p == portal and self.ports[a, t]}


class Driver:
    """Performs random valid operations on a server and keeps the model beside."""

    def __init__(self, server, seed):
        self.s, self.rnd, self.n = server, random.Random(seed), 0
        self.m = Model([server.portal(i) for i in range(len(server.portals))])
        self.iqns, self.naas, self.host = {}, {}, None

    # -- paths --

    def node(self, alias):
        return Path(NODE, {"DeviceID": self.iqns[alias]})

    def port(self, alias, tpgt):
        return Path(PORT, {"Name": f"{self.iqns[alias]},t,0x{tpgt:04x}"})

    def portal(self, name):
        return Path(PORTAL, {"Name": name})

    def vol(self, name):
        return Path(VOLUME, {"DeviceID": self.naas[name]})

    def full(self, p):
        """All keys of an object, where an intrinsic operation needs them."""
        k, v = next(iter(p.keys.items()))
        return next(x for x in self.s.c.names(p.cls) if x.keys[k] == v)

    def service(self, which):
        return self.s.c.names(f"MSISCSITARGET_{which}Service")[0]

    def call(self, which, method, **params):
        return self.s.c.invoke(self.service(which), method, **params)[0]

    # -- operations: each returns (what it does, the model afterwards), or None when the
    # state has no room for it --

    def op_create_node(self):
        m, alias = self.m.copy(), f"n{self.n}"
        m.nodes[alias] = True
        return lambda: self.call("iSCSIConfiguration", "CreateiSCSINode", Alias=alias), m

    def op_delete_node(self):
        if len(self.m.nodes) < 3:
            return None
        m, alias = self.m.copy(), self.rnd.choice(sorted(self.m.nodes))
        del m.nodes[alias]
        m.ports = {p: x for p, x in m.ports.items() if p[0] != alias}
        m.binds = {b for b in m.binds if b[0] != alias}
        m.luns = {l: v for l, v in m.luns.items() if l[0] != alias}
        path = self.node(alias)
        return lambda: self.call("iSCSIConfiguration", "DeleteiSCSINode", iSCSINode=path), m

    def free(self, alias):
        """Portals that a port of this node may have, of one group."""
        taken = {b[2] for b in self.m.binds if b[0] == alias}
        free = [p for p in sorted(self.m.portals) if p not in taken]
        group = self.m.portals[free[0]][0] if free else None
        return [p for p in free if self.m.portals[p][0] == group]

    def op_create_port(self):
        some = [n for n in sorted(self.m.nodes) if self.free(n)]
        if not some:
            return None
        alias = self.rnd.choice(some)
        portals = self.free(alias)
        portals = self.rnd.sample(portals, self.rnd.randint(1, min(2, len(portals))))
        m = self.m.copy()
        tpgt = next(t for t in range(1, 999) if (alias, t) not in m.ports)
        m.ports[alias, tpgt] = True
        m.binds |= {(alias, tpgt, p) for p in portals}
        path = self.node(alias)
        return lambda: self.call("iSCSIConfiguration", "CreateiSCSIProtocolEndpoint",
                                 iSCSINode=path, Role=3,
                                 NetworkPortals=[self.portal(p) for p in portals]), m

    def op_delete_port(self):
        if len(self.m.ports) < 2:
            return None
        m, p = self.m.copy(), self.rnd.choice(sorted(self.m.ports))
        del m.ports[p]
        m.binds = {b for b in m.binds if b[:2] != p}
        path = self.port(*p)
        return lambda: self.call("iSCSIConfiguration", "DeleteiSCSIProtocolEndpoint",
                                 iSCSIPort=path), m

    def op_bind(self):
        for p in self.rnd.sample(sorted(self.m.ports), len(self.m.ports)):
            groups = {self.m.portals[b[2]][0] for b in self.m.binds if b[:2] == p}
            for q in self.free(p[0]):
                if not groups or self.m.portals[q][0] in groups:
                    m, path = self.m.copy(), self.port(*p)
                    m.binds.add((*p, q))
                    return lambda: self.call("iSCSIConfiguration", "BindiSCSIProtocolEndPoint",
                                             iSCSIPort=path, NetworkPortal=self.portal(q)), m
        return None

    def op_unbind(self):
        if not self.m.binds:
            return None
        m, b = self.m.copy(), self.rnd.choice(sorted(self.m.binds))
        m.binds.remove(b)
        name = self.port(*b[:2]).keys["Name"]
        path = next(x for x in self.s.c.names(BINDS) if x.keys["Dependent"].keys["Name"] == name
                    and x.keys["Antecedent"].keys["Name"] == b[2])
        return lambda: self.s.c.delete(path), m

    def op_switch_port(self):
        if not self.m.ports:
            return None
        m, p = self.m.copy(), self.rnd.choice(sorted(self.m.ports))
        m.ports[p] = not m.ports[p]
        path = self.full(self.port(*p))
        return lambda: self.s.c.invoke(path, "RequestStateChange",
                                       RequestedState=2 if m.ports[p] else 3)[0], m

    def op_switch_portal(self):
        m, p = self.m.copy(), self.rnd.choice(sorted(self.m.portals))
        group, on = m.portals[p]
        m.portals[p] = group, not on
        path = self.full(self.portal(p))
        return lambda: self.s.c.invoke(path, "RequestStateChange",
                                       RequestedState=3 if on else 2)[0], m

    def op_create_group(self):
        m, g = self.m.copy(), f"g{self.n}"
        m.groups.add(g)
        return lambda: self.s.c.create(GROUP, {"ElementName": g}) and 0, m

    def op_move_portal(self):
        bound = {b[2] for b in self.m.binds}
        free = [p for p in sorted(self.m.portals) if p not in bound]
        if not free:
            return None
        m, p = self.m.copy(), self.rnd.choice(free)
        others = sorted(m.groups - {m.portals[p][0]})
        if not others:
            return None
        g = self.rnd.choice(others)
        m.portals[p] = g, m.portals[p][1]
        group = next(x for x in self.s.c.enum(GROUP) if x["ElementName"] == g).path
        path = self.full(self.portal(p))
        return lambda: self.s.c.create(MEMBER, {"Collection": group, "Member": path}) and 0, m

    def op_delete_group(self):
        empty = sorted(self.m.groups - {"default"} - {x[0] for x in self.m.portals.values()})
        if not empty:
            return None
        m, g = self.m.copy(), self.rnd.choice(empty)
        m.groups.remove(g)
        path = next(x for x in self.s.c.enum(GROUP) if x["ElementName"] == g).path
        return lambda: self.s.c.delete(path), m

    def op_create_portal(self):
        m = self.m.copy()
        p = f"{self.rnd.choice(self.s.portals)}:{4000 + self.n}"
        m.portals[p] = "default", True
        return lambda: self.s.c.create(PORTAL, {"Name": p}) and 0, m

    def op_delete_portal(self):
        bound = {b[2] for b in self.m.binds}
        free = [p for p in sorted(self.m.portals) if p not in bound and not p.endswith(":3260")]
        if not free:
            return None
        m, p = self.m.copy(), self.rnd.choice(free)
        del m.portals[p]
        path = self.full(self.portal(p))
        return lambda: self.s.c.delete(path), m

    def op_create_volume(self):
        m, v = self.m.copy(), f"v{self.n}"
        m.vols[v] = 1 << 20
        return lambda: self.call("StorageConfiguration", "CreateOrModifyElementFromStoragePool",
                                 ElementType=2, ElementName=v, Size=1 << 20), m

    def op_grow_volume(self):
        if not self.m.vols:
            return None
        m, v = self.m.copy(), self.rnd.choice(sorted(self.m.vols))
        m.vols[v] += 1 << 20
        path = self.vol(v)
        return lambda: self.call("StorageConfiguration", "CreateOrModifyElementFromStoragePool",
                                 ElementType=2, TheElement=path, Size=m.vols[v]), m

    def op_delete_volume(self):
        free = sorted(set(self.m.vols) - set(self.m.luns.values()))
        if not free:
            return None
        m, v = self.m.copy(), self.rnd.choice(free)
        del m.vols[v]
        path = self.vol(v)
        return lambda: self.call("StorageConfiguration", "ReturnToStoragePool",
                                 TheElement=path), m

    def op_attach(self):
        pairs = [(n, v) for n in sorted(self.m.nodes) for v in sorted(self.m.vols)
                 if (n, v) not in {(l[0], x) for l, x in self.m.luns.items()}]
        if not pairs:
            return None
        m, (n, v) = self.m.copy(), self.rnd.choice(pairs)
        lun = next(i for i in range(255) if (n, i) not in m.luns)
        m.luns[n, lun] = v
        a, b = self.node(n), self.vol(v)
        return lambda: self.call("ControllerConfiguration", "AttachDevice", ProtocolController=a,
                                 Device=b), m

    def op_detach(self):
        if not self.m.luns:
            return None
        m, l = self.m.copy(), self.rnd.choice(sorted(self.m.luns))
        a, b = self.node(l[0]), self.vol(m.luns.pop(l))
        return lambda: self.call("ControllerConfiguration", "DetachDevice", ProtocolController=a,
                                 Device=b), m

    def next_call(self, at):
        return at + self.rnd.randint(1, 2 * STEP - 1)

    def kinds(self):
        return [k[3:] for k in sorted(dir(self)) if k.startswith("op_")]

    def prepare(self, kind=None):
        """A random operation: (kind, do, the model afterwards)."""
        while True:
            self.n += 1
            k = kind or self.rnd.choice(self.kinds())
            op = getattr(self, "op_" + k)()
            if op:
                return k, *op
            if kind:
                # make room for it
                self.do(self.rnd.choice(["create_node", "create_port", "create_volume",
                                         "create_group", "create_portal", "attach", "bind",
                                         "unbind", "detach", "delete_port"]))

    def do(self, kind=None):
        """One operation that nothing disturbs."""
        k, fn, after = self.prepare(kind) if kind is None else \
            (kind, *(getattr(self, "op_" + kind)() or (None, None)))
        if fn is None:
            return
        self.n += 1
        check(fn() or 0, 0, f"{k}: {self.s.c.last_headers.get('WBEMMessage')}")
        self.m = after
        self.learn()

    # -- what is there --

    def learn(self):
        """The names that the server chose; those known stay."""
        nodes = {i["ElementName"]: i["Name"]
                 for i in self.s.c.enum(NODE, PropertyList=["ElementName", "Name"])}
        vols = {i["ElementName"]: i["DeviceID"]
                for i in self.s.c.enum(VOLUME, PropertyList=["ElementName", "DeviceID"])}
        for known, now in ((self.iqns, nodes), (self.naas, vols)):
            for k, v in now.items():
                check(v, known.get(k, v), f"the name of {k}")
        self.iqns, self.naas = nodes, vols

    def dump(self):
        """The facts that the server shows, in the model's words."""
        c = self.s.c
        self.learn()
        alias = {v: k for k, v in self.iqns.items()}
        vol = {v: k for k, v in self.naas.items()}
        out = {("node", a) for a in self.iqns}

        def port_of(name):
            iqn, tag = name.split(",t,")
            return alias[iqn], int(tag, 16)

        ports = {}
        for i in c.enum(PORT, PropertyList=["Name", "RequestedState", "SystemName", "Role"]):
            if i["Role"] != 3:
                continue
            ports[i["Name"]] = True
            out.add(("port", *port_of(i["Name"]), i["RequestedState"] != 3))
            self.host = self.host or i["SystemName"]
            check(i["SystemName"], self.host, "the host's identity")
        groups = {i["InstanceID"]: i["ElementName"]
                  for i in c.enum(GROUP, PropertyList=["InstanceID", "ElementName"])}
        out |= {("group", g) for g in groups.values()}
        group = {i.keys["Member"].keys["Name"]: groups[i.keys["Collection"].keys["InstanceID"]]
                 for i in c.names(MEMBER) if "Name" in i.keys["Member"].keys}
        for i in c.enum(PORTAL, PropertyList=["Name", "RequestedState"]):
            out.add(("portal", i["Name"], group[i["Name"]], i["RequestedState"] != 3))
        for i in c.names(BINDS):
            name = i.keys["Dependent"].keys["Name"]
            if name in ports:
                out.add(("bind", *port_of(name), i.keys["Antecedent"].keys["Name"]))
        for i in c.enum(VOLUME, PropertyList=["ElementName", "NumberOfBlocks", "BlockSize"]):
            out.add(("volume", i["ElementName"], i["NumberOfBlocks"] * i["BlockSize"]))
        for i in c.enum(UNIT):
            p = i.path.keys
            out.add(("lun", alias[p["Antecedent"].keys["DeviceID"]], int(i["DeviceNumber"], 16),
                     vol[p["Dependent"].keys["DeviceID"]]))
        return out

    def check_ends(self):
        """No association has a missing end."""
        c = self.s.c
        there = set()
        for cls in ("CIM_ManagedElement",):
            there |= {p._id() for p in c.names(cls)}
        for cls in ("CIM_Dependency", "CIM_Component", "CIM_MemberOfCollection",
                    "CIM_SAPAvailableForElement", "CIM_ElementCapabilities",
                    "CIM_ProtocolControllerForUnit"):
            for a in c.names(cls):
                for end in a.keys.values():
                    if end.ns in (None, NS):
                        check(end._id() in there, True, f"an end of {a}")

    def check_files(self):
        """Each volume has its file, and there are no others."""
        there = {}
        for f in (self.s.state / "units").iterdir():
            if f.suffix != ".pr":
                there[f.name] = f.stat().st_size
        for v, size in self.m.vols.items():
            got = there.pop(f"{self.naas[v]}.img", None)
            check(got is not None and got >= size, True, f"the file of {v}: {got} bytes")
        check(there, {}, "files of no volume")

    def check_discovery(self):
        """What initiators see is what the model says."""
        for p in sorted(self.m.portals):
            want = self.m.discovered(p)
            address, number = p.rsplit(":", 1)
            try:
                d = Connection(address, int(number)).login(discovery=True)
            except ConnectionRefusedError:
                check(want, None, f"nobody listens at {p}, and it")
                continue
            alias = {v: k for k, v in self.iqns.items()}
            got = {(alias.get(iqn, iqn), int(a.rsplit(",", 1)[1]))
                   for iqn, addresses in d.send_targets() for a in addresses
                   if a.rsplit(",", 1)[0] == p}
            d.close()
            check(got, want, f"targets at {p}")

    def check_units(self):
        """Who logs in finds the volumes that the model says, with their sizes."""
        for alias, iqn in sorted(self.iqns.items()):
            served = [p for a, t, p in sorted(self.m.binds) if a == alias and self.m.ports[a, t] and
                      self.m.portals[p][1]]
            if not served:
                continue
            address, number = served[0].rsplit(":", 1)
            x = Connection(address, int(number)).login(iqn)
            status, data, _ = x.finish(x.command(struct.pack(">BBBBBBIBB", 0xA0, 0, 0, 0, 0, 0, 4096,
                                                             0, 0), read=4096))
            check(status, 0, "REPORT LUNS")
            got = {}
            for at in range(8, 8 + struct.unpack(">I", data[:4])[0], 8):
                for _ in range(10):  # the first answer of each is a unit attention
                    status, capacity, _ = x.finish(x.command(b"\x25" + bytes(9), read=8,
                                                             lun=data[at + 1]))
                    if status == 0:
                        break
                last, block = struct.unpack(">II", capacity)
                got[data[at + 1]] = (last + 1) * block
            x.logout()
            x.close()
            check(got, {n: self.m.vols[v] for (a, n), v in self.m.luns.items() if a == alias},
                  f"units of {alias}")

    def settle(self, what, *outcomes):
        """One of these models holds; that one goes on.  Returns which."""
        got = self.dump()
        for i, m in enumerate(outcomes):
            if got == m.facts():
                self.m = m
                return i
        raise AssertionError(f"{what}: wrong by " + "; or by ".join(
            f"{sorted(got - m.facts())} too many, {sorted(m.facts() - got)} too few"
            for m in outcomes))
