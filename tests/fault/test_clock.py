#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps, forth and back, by seconds and by decades: configuration, sessions,
enumerations and their time limits do not notice."""
from fault import *
from smi import check, test

YEAR = 365 * 86400


def jumps():
    for s in (5, -5, 3600, -86400, 20 * YEAR, -20 * YEAR, 0):
        yield s


@test
def operations_go_on_whatever_the_clock_says():
    s = Server(portals=2, engine="user").start()
    d = Driver(s, 4)
    for _ in range(10):
        d.do()
    for i, jump in enumerate(jumps()):
        s.fault.clock(jump)
        for _ in range(5):
            d.do()
        d.settle(f"{jump} s", d.m)
        d.check_discovery()
        if i % 2:
            s.kill()
            s.start()
            d.settle(f"{jump} s, after a start", d.m)
    d.check_ends()
    s.end()


@test
def sessions_and_enumerations_outlive_a_jump():
    s = Server(portals=1, engine="user").start()
    d = Driver(s, 5)
    for op in ("create_node", "create_port", "create_volume", "attach"):
        d.do(op)
    iqn = next(iter(d.iqns.values()))
    x = Connection(s.portals[0], 3260).login(iqn)
    x.test_unit_ready()
    smi.wait_for("the session to be shown", lambda: len(s.c.names("CIM_iSCSISession")) == 1)
    first = [("ClassName", s.c._class("CIM_ManagedElement"))]
    _, ctx = s.c.open("OpenEnumerateInstances", first, MaxObjectCount=1)
    for jump in jumps():
        s.fault.clock(jump)
        check(len(x.read(0, 8)), 4096)
        got, ctx = s.c.pull("PullInstancesWithPath", ctx, 1)
        check(len(got), 1, f"an enumeration, {jump} s later")
        check(len(s.c.names("CIM_iSCSISession")), 1, "the session is shown")
        smi.time.sleep(1.2)  # the second of the housekeeping
    s.c.close_enumeration(ctx)
    x.logout()
    s.end()


@test
def what_has_changed_is_dated_by_the_clock_of_its_time():
    s = Server(portals=1, engine="fake").start()
    d = Driver(s, 6)
    d.do("create_node")
    d.do("create_port")

    def year():
        return int(s.c.enum(PORT)[0]["TimeOfLastStateChange"][:4])

    now = year()
    s.fault.clock(20 * YEAR)
    path = d.full(d.port(*next(iter(d.m.ports))))
    check(s.c.invoke(path, "RequestStateChange", RequestedState=3)[0], 0)
    check(year() - now in (19, 20), True, f"{year()} after {now}")
    s.end()


smi.main()
