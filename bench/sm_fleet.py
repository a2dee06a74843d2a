#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the Storage Management layer takes to discover a fleet: N servers with M ports each
(--engine fake), on this machine, together with the one that discovers them.

    SMISCSI_BUILD=build bench/sm_fleet.py [N] [M]      20 servers, 500 ports when not given
"""
import concurrent.futures, os, pathlib, statistics, sys, time
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))
import smi
from cimclient import Client
from smi import NS, SM

N = int(sys.argv[1]) if len(sys.argv) > 1 else 20
M = int(sys.argv[2]) if len(sys.argv) > 2 else 500


def rss(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status")
                if line.startswith("VmRSS"))


def cpu(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / 100


def fill(server):
    c = Client(server.addr, server.http, NS)
    cfg = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    portal = c.names("CIM_TCPProtocolEndpoint")[0]
    for i in range(M):
        _, out = c.invoke(cfg, "CreateiSCSINode", Alias=f"node {i}")
        r, _ = c.invoke(cfg, "CreateiSCSIProtocolEndpoint", iSCSINode=out["iSCSINode"], Role=3,
                        NetworkPortals=[portal])
        assert r == 0, r


def lower(server):
    """The lowest priority for every thread of a server: it stands for another machine."""
    for pid in (server.proc.pid, server.target_pid()):
        for task in os.listdir(f"/proc/{pid}/task") if pid else ():
            os.setpriority(os.PRIO_PROCESS, int(task), 19)


fleet = [smi.Server(portals=1, engine="fake").start() for _ in range(N)]
at = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(fill, fleet))
print(f"filled: {N} servers, {M} ports each, in {time.monotonic() - at:.1f} s", flush=True)
time.sleep(3)  # their own layers settle

me = smi.Server(portals=1, engine="fake").start()
c = Client(me.addr, me.http, SM)
service = c.names("MSFT_SMStorageDiscovery")[0]


PORTALS = "MSFT_SMiSCSIPortalEndpoint"
body = c.imethod_body("EnumerateInstances", [("ClassName", c._class(PORTALS))])
head = c.headers("EnumerateInstances", SM)


def read():
    """Seconds that one read of all portals takes, from the first byte sent to the last read."""
    t = time.monotonic()
    status, _, _ = c.post(body, head)
    assert status == 200
    return time.monotonic() - t


def discover():
    """All of the fleet at once; the seconds it took, and those of each read meanwhile."""
    at = time.monotonic()
    jobs = set()
    for s in fleet:
        r, out = c.invoke(service, "StartDiscovery", host=s.url, discoveryLevel=3,
                          forceRediscovery=True)
        assert r == 4096, r
        jobs.add(out["Job"].keys["ObjectId"])
    reads = []
    while True:
        reads += [read() for _ in range(10)]
        states = [j["JobState"] for j in c.enum("MSFT_SMJob") if j["ObjectId"] in jobs]
        if all(s >= 7 for s in states):
            assert states == [7] * N, states
            return time.monotonic() - at, reads


def ms(seconds):
    return f"{seconds * 1000:.2f} ms"


def report(what, rounds):
    alone = [read() for _ in range(500)]
    reads, took = [], []
    for _ in range(rounds):
        t, some = discover()
        took.append(t)
        reads += some
    a, m = statistics.median(alone), statistics.median(reads)
    print(f"{what}: discovered in {statistics.median(took):.2f} s; a read takes {ms(a)} alone, "
          f"{ms(m)} meanwhile (ratio {m / a:.2f}; of the means "
          f"{statistics.mean(reads) / statistics.mean(alone):.2f}; slowest {ms(max(alone))} and "
          f"{ms(max(reads))}; {len(reads)} reads)", flush=True)


def part(servers):
    for s in servers:
        r, out = c.invoke(service, "StartDiscovery", host=s.url, discoveryLevel=3)
        assert r == 4096, r
        smi.wait_for("the job", lambda: c.get(out["Job"])["JobState"] == 7, 60)
    return rss(me.proc.pid) / 1024


print("memory after " + ", ".join(f"{len(fleet[:n])} servers {part(fleet[max(0, n - N // 4):n]):.1f}"
                                  for n in range(0, N + 1, max(1, N // 4))) + " MiB", flush=True)
before, spent = rss(me.proc.pid), cpu(me.proc.pid)
theirs = sum(cpu(s.proc.pid) for s in fleet)
took, _ = discover()
n = len(c.names("MSFT_SMEndpoint"))
print(f"discovered: {n} endpoints in {took:.2f} s (CPU: {cpu(me.proc.pid) - spent:.1f} s here, "
      f"{sum(cpu(s.proc.pid) for s in fleet) - theirs:.1f} s there); "
      f"memory {before // 1024} -> {rss(me.proc.pid) // 1024} MiB", flush=True)
assert n == N * M, n
report("with the fleet at the priority of the server that discovers it", 3)
for s in fleet:
    lower(s)
report("with the fleet at the lowest priority, as if it ran on other machines", 10)
