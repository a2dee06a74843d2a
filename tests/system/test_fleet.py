#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet: 20 servers with 500 ports each (or SMISCSI_FLEET=4x50) are discovered by one more, which goes on answering."""
import os, subprocess, threading, time

import smi
from cimclient import Client
from smi import NS, SM, check, run, test

# how many servers with how many ports; a smaller fleet where a sanitizer looks on
SERVERS, PORTS = map(int, os.environ.get("SMISCSI_FLEET", "20x500").split("x"))
# what a port costs can be told where they are many, and no sanitizer keeps a book
MANY = SERVERS * PORTS >= 5000 and not smi.sanitized()
# what one port, with its endpoint and link, may cost in the server that discovered it
MOST_KB_A_PORT = 8


def fill(s):
    """500 nodes with a port each, on one portal."""
    c = Client(s.addr, s.http, NS)
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    portal = c.names("MSISCSITARGET_TCPProtocolEndpoint")[0]
    for i in range(PORTS):
        r, out = c.invoke(service, "CreateiSCSINode", Alias=f"n{i}")
        r2, _ = c.invoke(service, "CreateiSCSIProtocolEndpoint", iSCSINode=out["iSCSINode"], Role=3,
                         NetworkPortals=[portal])
        if r or r2:
            raise AssertionError(f"node {i}: {r} {r2}")


def each(fn, things):
    """Several at once; the first failure is raised."""
    bad = []

    def one(t):
        try:
            fn(t)
        except BaseException as e:
            bad.append(e)

    for at in range(0, len(things), 4):
        ts = [threading.Thread(target=one, args=(t,)) for t in things[at:at + 4]]
        [t.start() for t in ts]
        [t.join() for t in ts]
    if bad:
        raise bad[0]


fleet = [smi.Server(engine="fake") for _ in range(SERVERS)]
manager = smi.Server(engine="fake")


def memory():
    """Resident kB of the server that discovers."""
    return manager.usage()["smiscsid"][0]


@test
def a_fleet_is_discovered_while_reading_goes_on():
    each(lambda s: s.start(), fleet)
    each(fill, fleet)
    manager.start()
    sm = Client(manager.addr, manager.http, SM)
    empty = memory()
    start = time.monotonic()
    jobs = [subprocess.Popen([smi.BUILD / "smiscsi", "--url", manager.url, "sm", "discover", s.url],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for s in fleet]
    reads = []
    while any(j.poll() is None for j in jobs):
        t = time.monotonic()
        sm.enum("MSFT_SMProvider")
        reads.append(time.monotonic() - t)
    for s, j in zip(fleet, jobs):
        check(j.returncode, 0, f"{s.url}: {j.stderr.read()}")
    took = time.monotonic() - start
    print(f"# {SERVERS} servers x {PORTS} ports in {took:.1f} s; {len(reads)} reads meanwhile, "
          f"the slowest {1000 * max(reads):.0f} ms")
    grown = memory() - empty
    print(f"# {grown:.0f} kB more memory: {grown / SERVERS / PORTS:.1f} kB a port")
    check(not MANY or grown / SERVERS / PORTS < MOST_KB_A_PORT, True,
          "memory is in proportion to what is shown")
    check(len(reads) > 3, True, "reads were answered during the discovery")


@test
def all_of_it_is_shown_once():
    sm = Client(manager.addr, manager.http, SM)
    check(len(sm.enum("MSFT_SMProvider")), SERVERS + 1)
    check(len(sm.enum("MSFT_SMiSCSIPortalEndpoint")), SERVERS + 1)
    endpoints = sm.enum("MSFT_SMEndpoint")
    check(len(endpoints), SERVERS * PORTS)
    check(len({e["ObjectId"] for e in endpoints}), SERVERS * PORTS, "ObjectId is unique")
    check(len(sm.names("MSFT_SMEndpointToiSCSIPortal")), SERVERS * PORTS)


@test
def discovering_it_again_and_again_takes_no_more_memory():
    sm = Client(manager.addr, manager.http, SM)
    service = sm.names("MSFT_SMStorageDiscovery")[0]
    seen = []
    for _ in range(4):
        jobs = [sm.invoke(service, "StartDiscovery", host=s.url, forceRediscovery=True)[1]["Job"]
                for s in fleet]
        for j in jobs:
            smi.wait_for("a job", lambda j=j: sm.get(j)["JobState"] == 7, 60)
        seen.append(memory())
    print(f"# resident after each round: {seen} kB")
    check(not MANY or seen[-1] < 1.5 * seen[0], True, "what was replaced is given back")


@test
def one_that_goes_takes_nothing_of_the_others_along():
    gone = fleet[0]
    gone.stop()
    sm = Client(manager.addr, manager.http, SM)
    provider = next(p for p in sm.enum("MSFT_SMProvider") if p["URI"].startswith(gone.url))
    check(run(smi.BUILD / "smiscsi", "--url", manager.url, "sm", "discover", gone.url)[0], 1)
    check(len(sm.enum("MSFT_SMEndpoint")), SERVERS * PORTS, "what was known of it stays")
    check(sm.invoke(provider.path, "Remove")[0], 0)
    smi.wait_for("its objects to go", lambda: len(sm.enum("MSFT_SMEndpoint")) ==
                 (SERVERS - 1) * PORTS, 10)


smi.main()
