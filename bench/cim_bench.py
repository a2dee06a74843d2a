#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CIM server against nginx, which serves the very same answers as static files: the physical
limit of an HTTP server on this machine, measured in the same run.

usage: cim_bench.py [ports...]     default 100 1000 10000
"""
import contextlib, json, os, pathlib, re, socket, sqlite3, subprocess, sys, threading, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))
import smi
from cimclient import Client, Path
from smi import NS, SM

LOAD = pathlib.Path(os.environ.get("SMISCSI_BUILD", "build-release")).resolve() / "bench/bench_load"
FLOOR = LOAD.parent / "bench_floor"
PORT = "MSISCSITARGET_iSCSIProtocolEndpoint"


def load(addr, port, connections, seconds, request, least=1, first=0):
    p = subprocess.run([LOAD, addr, str(port), str(connections), str(seconds), str(least), str(first)],
                       input=request, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode:
        raise SystemExit(f"load failed: {p.stderr.decode()}")
    return json.loads(p.stdout)


def http_request(addr, port, headers, body):
    head = f"POST /cimom HTTP/1.1\r\nHost: {addr}:{port}\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return (head + f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def memory(pid):
    """(PSS, PSS of private and anonymous pages) in MiB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    get = lambda k: int(re.search(rf"^{k}:\s+(\d+)", text, re.M)[1]) / 1024
    return get("Pss"), get("Pss_Anon")


def resident(pid, key):
    """VmRSS or VmHWM in MiB."""
    return int(re.search(rf"^{key}:\s+(\d+)",
                         pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]) / 1024


def peak_above_idle(server, ask):
    """How much more is resident at the highest while ask() runs than before it: both RSS."""
    pathlib.Path(f"/proc/{server.proc.pid}/clear_refs").write_text("5")  # the peak begins anew
    before = resident(server.proc.pid, "VmRSS")
    ask()
    return resident(server.proc.pid, "VmHWM") - before


def read_slowly(server, request, seconds):
    """A client with a small window, which takes the answer over so many seconds."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        s.connect((server.addr, server.http))
        s.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        begun, got = time.monotonic(), 0
        while data := s.recv(256 << 10):
            got += len(data)
            # at an even pace, whatever the answer's length turns out to be
            time.sleep(max(0.0, begun + seconds * got / 28e6 - time.monotonic()))
    return got


def start_times(server):
    """Milliseconds from exec to the first answer over HTTP, and to the line 'ready:'."""
    body = Client.envelope("<IMETHODCALL NAME=\"EnumerateInstanceNames\"><LOCALNAMESPACEPATH>"
                           "<NAMESPACE NAME=\"interop\"/></LOCALNAMESPACEPATH><IPARAMVALUE "
                           "NAME=\"ClassName\"><CLASSNAME NAME=\"CIM_ObjectManager\"/></IPARAMVALUE>"
                           "</IMETHODCALL>")
    raw = http_request(server.addr, server.http, Client(server.addr, server.http, NS).headers(
        "EnumerateInstanceNames", "interop"), body)
    begun = time.monotonic()
    server.start(expect_ready=False)
    first = None
    while first is None:
        try:
            with socket.create_connection((server.addr, server.http), timeout=60) as s:
                s.sendall(raw)
                if not s.recv(20).startswith(b"HTTP/1.1 200"):
                    raise SystemExit("the first answer is none")
                first = time.monotonic() - begun
        except ConnectionRefusedError:
            time.sleep(0.0002)
    server.ready = server._read_ready(60)
    return first * 1000, (time.monotonic() - begun) * 1000


def until_exit(*cmd):
    """Milliseconds from before it is started to its end."""
    begun = time.monotonic()
    subprocess.run(cmd, check=True)
    return (time.monotonic() - begun) * 1000


def start_empty(times=9):
    """The medians of start_times on empty states, and of what no start can be faster than: an empty
    program, one with the same libraries, the syncs of a first start."""
    seen = []
    for _ in range(times):
        s = smi.Server(portals=1, engine="fake")
        syncs = subprocess.run([FLOOR, smi.temp_dir() / "state"], check=True, stdout=subprocess.PIPE)
        seen.append((*start_times(s), until_exit("/bin/true"), until_exit(FLOOR), float(syncs.stdout)))
        s.stop()
    return [sorted(x)[times // 2] for x in zip(*seen)]


def fill(state, n):
    """n nodes, ports and portals, each port bound to one portal, straight into the database."""
    db = sqlite3.connect(state / "smiscsi.db", isolation_level=None)
    db.execute("begin")
    at, now = db.execute("select next_id from meta").fetchone()[0], int(time.time() * 1e6)
    for i in range(n):
        node, port, portal, binding = range(at, at + 4)
        at += 4
        db.execute("insert into nodes values(?,?,?,1,12,?,?)",
                   (node, f"iqn.2026-11.net.smiscsi:bench:{i}", f"filled {i}", now, now))
        db.execute("insert into ports values(?,?,1,1,12,?)", (port, node, now))
        db.execute("insert into portals values(?,?,?,1,1,1,12,?)",
                   (portal, f"127.{200 + i // 62500}.{i // 250 % 250}.{1 + i % 250}", 3261, now))
        db.execute("insert into bindings values(?,?,?)", (binding, port, portal))
    db.execute("update meta set next_id=?, generation=generation+1", (at,))
    db.execute("commit")
    db.close()


def associators(server, c, seconds=2):
    """Microseconds of one Associators step from a port, median."""
    (path,), context = c.open("OpenEnumerateInstancePaths", [("ClassName", c._class(PORT))],
                              MaxObjectCount=1)  # reading all would take Python minutes
    c.close_enumeration(context)
    body = c.imethod_body("Associators", [("ObjectName", path.name_xml()), (
        "AssocClass", c._class("CIM_SAPAvailableForElement"))])
    a = load(server.addr, server.http, 1, seconds, http_request(
        server.addr, server.http, c.headers("Associators", NS), body))
    return a["last_us"]["median"]


def many_associations(n):
    """(us of one Associators step, seconds to ready) with n ports, each with its associations."""
    s = smi.Server(portals=1, engine="fake").start()
    s.stop()
    fill(s.state, n)
    begun = time.monotonic()
    s.start(seconds=300)
    started = time.monotonic() - begun
    c = Client(s.addr, s.http, NS, timeout=300)
    us = associators(s, c)
    s.stop()
    return us, started


class Nginx:
    def __init__(self):
        self.dir = smi.temp_dir()
        self.port = smi.free_port()
        (self.dir / "www").mkdir()
        conf = self.dir / "nginx.conf"
        conf.write_text(f"""
daemon off; worker_processes 2; pid {self.dir}/pid; error_log {self.dir}/error.log;
user root;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  default_type application/xml; client_body_temp_path {self.dir}/t1; proxy_temp_path {self.dir}/t2;
  fastcgi_temp_path {self.dir}/t3; uwsgi_temp_path {self.dir}/t4; scgi_temp_path {self.dir}/t5;
  server {{ listen 127.0.0.1:{self.port}; root {self.dir}/www; }} }}""")
        self.proc = subprocess.Popen(["nginx", "-c", conf], stderr=subprocess.DEVNULL)
        smi.at_end(self.end)
        smi.wait_for("nginx", lambda: (self.dir / "pid").exists())
        time.sleep(0.2)

    def end(self):
        self.proc.terminate()
        self.proc.wait()

    def request(self, name, content):
        (self.dir / "www" / name).write_bytes(content)
        return f"GET /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def sqlite_rate(seconds=2):
    """One-row transactions a second, WAL and FULL, on the disk that the state is on."""
    db = sqlite3.connect(smi.temp_dir() / "x.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table t(a integer primary key, b text)")
    n, end, start = 0, time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < end:
        db.execute("begin immediate")
        db.execute("insert into t(b) values('a row about as long as a port is in the store ....')")
        db.execute("commit")
        n += 1
    return n / (time.monotonic() - start)


def populate(server, have, want, threads=8):
    """Nodes, portals and ports have..want; (creates of ports per second)."""
    c0 = Client(server.addr, server.http, NS)
    service = c0.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    todo = list(range(have, want))
    lock = threading.Lock()
    bad = []

    def work():
        c = Client(server.addr, server.http, NS)
        while True:
            with lock:
                if not todo:
                    return
                i = todo.pop()
            addr = f"127.{100 + i // 65025}.{i // 255 % 255}.{1 + i % 254}"
            try:
                portal = c.create("MSISCSITARGET_TCPProtocolEndpoint",
                                  {"Name": f"{addr}:{20000 + i % 255}"})
                r, out = c.invoke(service, "CreateiSCSINode", Alias=f"bench node {i}")
                r2, _ = c.invoke(service, "CreateiSCSIProtocolEndpoint", iSCSINode=out["iSCSINode"],
                                 Role=3, NetworkPortals=[portal])
                if r or r2:
                    bad.append((i, r, r2))
            except Exception as e:
                bad.append((i, e))
                return

    start = time.monotonic()
    ts = [threading.Thread(target=work) for _ in range(threads)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    if bad:
        raise SystemExit(f"population failed: {bad[:3]}")
    return 3 * (want - have) / (time.monotonic() - start)


def durable(engine, seconds=2, nodes=40000):
    """Ports made one a request, each on the disk before its answer, by the C client: Python would be
    the slower side.  Every port is of another node; all share the portal."""
    s = smi.Server(portals=1, engine=engine).start()
    s.stop()
    with contextlib.closing(sqlite3.connect(s.state / "smiscsi.db")) as db:
        at, now = db.execute("select next_id from meta").fetchone()[0], int(time.time() * 1e6)
        db.executemany("insert into nodes values(?,?,?,1,12,?,?)",
                       [(at + i, f"iqn.2026-11.net.smiscsi:durable:{i:08}", f"durable {i}", now, now)
                        for i in range(nodes)])
        db.execute("update meta set next_id=?, generation=generation+1", (at + nodes,))
        db.commit()
    s.start(seconds=60)
    c = Client(s.addr, s.http, NS, timeout=60)
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    portal = c.names("MSISCSITARGET_TCPProtocolEndpoint")[0]
    (node,), context = c.open("OpenEnumerateInstancePaths", [
        ("ClassName", c._class("MSISCSITARGET_SCSIProtocolController"))], MaxObjectCount=1)
    c.close_enumeration(context)
    keys = {k: "iqn.2026-11.net.smiscsi:durable:@@@@@@@@" if k == "DeviceID" else v
            for k, v in node.keys.items()}
    body = c.method_body(service, "CreateiSCSIProtocolEndpoint",
                         {"iSCSINode": Path(node.cls, keys, NS), "Role": 3, "NetworkPortals": [portal]})
    req = http_request(s.addr, s.http,
                       c.headers("CreateiSCSIProtocolEndpoint", f"{NS}:{service.cls}"), body)
    sent = 0
    for writers in (1, 8):
        limit = sqlite_rate()
        a = load(s.addr, s.http, writers, seconds, req, first=sent)
        sent += a["requests"] + writers
        row(f"CreateiSCSIProtocolEndpoint, engine {engine}, {writers} writers | SQLite",
            a["requests"] / a["seconds"], limit, "1/s", "0.5" if writers == 1 else "1")
    s.stop()
    with contextlib.closing(sqlite3.connect(s.state / "smiscsi.db")) as db:
        made = db.execute("select count(*) from ports").fetchone()[0]
    if not sent - 9 <= made <= sent:  # what was under way when the time was over
        raise SystemExit(f"{made} ports were made with {sent} requests")


def row(name, ours, limit, unit, target):
    ratio = ours / limit if limit else 0
    print(f"  {name:<58} {ours:>12,.1f} {limit:>12,.1f} {unit:<8} {ratio:6.2f}  (aim {target})",
          flush=True)


def main():
    sizes = [int(a) for a in sys.argv[1:]] or [100, 1000, 10000]
    nginx = Nginx()
    print(f"CIM server, engine fake, {os.cpu_count()} processors; ours | nginx with the same bytes")
    first, ready, nothing, libraries, syncs = start_empty()
    print(f"  start with an empty state: first answer after {first:.1f} ms (aim 15), "
          f"ready after {ready:.1f} ms; medians of 9")
    print(f"    beside it: /bin/true {nothing:.1f} ms, an empty program with the same libraries "
          f"{libraries:.1f}, the syncs of a first start {syncs:.1f}; first answer is "
          f"{first / (libraries + syncs):.1f} x the latter two")
    server = smi.Server(portals=1, engine="fake").start()
    idle = memory(server.proc.pid)
    print(f"  idle: {idle[0]:.1f} MiB PSS (aim 12), of which {idle[1]:.1f} anonymous")
    c = Client(server.addr, server.http, NS)
    have = 0
    for n in sizes:
        rate = populate(server, have, n)
        have = n
        pss = memory(server.proc.pid)[0]
        print(f"{n} nodes, ports and portals ({rate:.0f} durable creates/s with 8 writers; "
              f"{pss:.1f} MiB PSS)")

        def request(op, params):
            return http_request(server.addr, server.http, c.headers(op, NS),
                                c.imethod_body(op, params))

        body = request("EnumerateInstances", [("ClassName", c._class(PORT))])
        status, _, content = c.post(c.imethod_body("EnumerateInstances",
                                                   [("ClassName", c._class(PORT))]),
                                    c.headers("EnumerateInstances", NS))
        seconds = 3
        a = load(server.addr, server.http, 1, seconds, body)
        b = load("127.0.0.1", nginx.port, 1, seconds, nginx.request(f"e{n}", content))
        row(f"EnumerateInstances iSCSIProtocolEndpoint, {len(content) / 1e6:.1f} MB",
            a["bytes"] / a["seconds"] / 1e6, b["bytes"] / b["seconds"] / 1e6, "MB/s", "0.3")
        print(f"    {a['last_us']['median'] / 1000:.1f} ms an answer, first byte after "
              f"{a['first_us']['median'] / 1000:.2f} ms (aim 5)")
        more = peak_above_idle(server, lambda: load(server.addr, server.http, 1, 1, body))
        slow = peak_above_idle(server, lambda: read_slowly(server, body, 5))
        print(f"    peak RSS while it is read: {more:.1f} MiB above that before, {slow:.1f} with a "
              "slow reader (aim 8)")
        sm = Client(server.addr, server.http, SM)
        smi.wait_for("the SM layer to have read it all",
                     lambda: len(sm.names("MSFT_SMiSCSIPortalEndpoint")) >= n, 60)
        cached = "MSFT_SMiSCSIPortalEndpoint"
        body = sm.imethod_body("EnumerateInstances", [("ClassName", sm._class(cached))])
        head = sm.headers("EnumerateInstances", SM)
        _, _, content = sm.post(body, head)
        a = load(server.addr, server.http, 1, seconds,
                 http_request(server.addr, server.http, head, body))
        b = load("127.0.0.1", nginx.port, 1, seconds, nginx.request(f"s{n}", content))
        row(f"EnumerateInstances SMiSCSIPortalEndpoint, {len(content) / 1e6:.1f} MB",
            a["bytes"] / a["seconds"] / 1e6, b["bytes"] / b["seconds"] / 1e6, "MB/s", "0.3")
        path = c.names(PORT)[n // 2]
        body = request("GetInstance", [("InstanceName", path.name_xml())])
        _, _, content = c.post(c.imethod_body("GetInstance", [("InstanceName", path.name_xml())]),
                               c.headers("GetInstance", NS))
        a = load(server.addr, server.http, 8, seconds, body)
        b = load("127.0.0.1", nginx.port, 8, seconds, nginx.request(f"g{n}", content))
        row(f"GetInstance, 8 connections, {len(content)} bytes", a["requests"] / a["seconds"],
            b["requests"] / b["seconds"], "req/s", "0.4")
        print(f"    median {a['last_us']['median']} us, 99 % {a['last_us']['p99']} us, "
              f"longest {a['last_us']['max']} us")
        service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
        mbody = c.method_body(service, "DeleteiSCSINode", {})
        mreq = http_request(server.addr, server.http,
                            c.headers("DeleteiSCSINode", f"{NS}:{service.cls}"), mbody)
        _, _, content = c.post(mbody, c.headers("DeleteiSCSINode", f"{NS}:{service.cls}"))
        a = load(server.addr, server.http, 8, seconds, mreq)
        b = load("127.0.0.1", nginx.port, 8, seconds, nginx.request(f"m{n}", content))
        row(f"InvokeMethod (refused), 8 connections, {len(content)} bytes",
            a["requests"] / a["seconds"], b["requests"] / b["seconds"], "req/s", "0.4")
    server.stop()
    for engine in ("fake", "user"):
        durable(engine)
    s = smi.Server(portals=1, engine="fake").start()
    s.stop()
    fill(s.state, sizes[-1])
    first, ready = start_times(s)
    print(f"start with {sizes[-1]} nodes, ports and portals: first answer after {first:.0f} ms "
          f"(aim 1000), ready after {ready:.0f} ms; {memory(s.proc.pid)[0]:.1f} MiB PSS (aim 120)")
    s.stop()
    few, many = (many_associations(n) for n in (100, 100000))
    print(f"one Associators step: {few[0]} us with 100 ports and as many associations of its class, "
          f"{many[0]} us with 100,000: ratio {many[0] / few[0]:.2f} (aim 1.5); start with the latter "
          f"{many[1]:.1f} s to ready")


main()
