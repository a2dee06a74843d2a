#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the Storage Management layer takes to discover a fleet: N servers with M ports each
(--engine fake), on this machine, together with the one that discovers them.

    SMISCSI_BUILD=build bench/sm_fleet.py [N] [M]      20 servers, 500 ports when not given
"""
import concurrent.futures, pathlib, statistics, sys, time
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))
import smi
from cimclient import Client
from smi import NS, SM, wait_for

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


fleet = [smi.Server(portals=1, engine="fake").start() for _ in range(N)]
at = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(fill, fleet))
print(f"filled: {N} servers, {M} ports each, in {time.monotonic() - at:.1f} s", flush=True)
time.sleep(3)  # their own layers settle

me = smi.Server(portals=1, engine="fake").start()
c = Client(me.addr, me.http, SM)
service = c.names("MSFT_SMStorageDiscovery")[0]


def read():
    """Seconds that one read of the layer takes."""
    t = time.monotonic()
    c.enum("MSFT_SMiSCSIPortalEndpoint")
    return time.monotonic() - t


alone = statistics.median(read() for _ in range(100))
before, spent = rss(me.proc.pid), cpu(me.proc.pid)
theirs = sum(cpu(s.proc.pid) for s in fleet)
at = time.monotonic()
jobs = []
for s in fleet:
    r, out = c.invoke(service, "StartDiscovery", host=s.url, discoveryLevel=3)
    assert r == 4096, r
    jobs.append(out["Job"])
reads = []
while True:
    reads += [read() for _ in range(5)]
    states = [j["JobState"] for j in c.enum("MSFT_SMJob")]
    if all(s >= 7 for s in states):
        break
took = time.monotonic() - at
assert states.count(7) == N, states
n = len(c.names("MSFT_SMEndpoint"))
t = time.monotonic()
links = len(c.names("MSFT_SMEndpointToiSCSIPortal"))
print(f"discovered: {n} endpoints, {links} links in {took:.2f} s "
      f"(CPU: {cpu(me.proc.pid) - spent:.1f} s here, "
      f"{sum(cpu(s.proc.pid) for s in fleet) - theirs:.1f} s there); "
      f"memory {before // 1024} -> {rss(me.proc.pid) // 1024} MiB; "
      f"a read takes {alone * 1000:.2f} ms alone, {statistics.median(reads) * 1000:.2f} ms meanwhile "
      f"(ratio {statistics.median(reads) / alone:.2f}; slowest {max(reads) * 1000:.0f} ms); "
      f"naming all links {1000 * (time.monotonic() - t):.0f} ms")
