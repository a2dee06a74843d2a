#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each limit on what a client can make the server keep: its setting works, its answer is the
documented one, and others go on."""
import socket, time

import smi
from cimclient import CimError, Client, HttpError
from smi import NS, check, test

server = smi.Server(portals=2, engine="fake", args=[
    "--max-body", "65536", "--max-contexts", "5", "--max-contexts-per-user", "3", "--max-pull", "2",
    "--pull-time", "1", "--max-pull-time", "5", "--max-query", "100", "--idle-time", "2",
    "--max-connections", "20", "--max-request-memory", "4194304"]).start()
c = Client(server.addr, server.http, NS)


def status(fn, *args, **kw):
    try:
        fn(*args, **kw)
        return 0
    except CimError as e:
        if not e.text:
            raise AssertionError(f"error {e.code} without a text")
        return e.code
    except HttpError as e:
        return -e.status


def cls(name):
    return [("ClassName", c._class(name))]


def opened(**flags):
    return c.open("OpenEnumerateInstances", cls("CIM_ManagedElement"), **flags)[1]


@test
def a_body_above_max_body_is_413():
    check(status(c.query, "x" * 70000), -413)
    check(status(c.query, "SELECT * FROM CIM_System"), 0)


@test
def a_query_above_max_query_is_an_invalid_query():
    check(status(c.query, "SELECT * FROM CIM_System WHERE Name = '" + "x" * 100 + "'"), 15)


@test
def more_than_max_contexts_of_one_user_are_refused_until_one_is_closed():
    mine = [opened(MaxObjectCount=1) for _ in range(3)]
    check(status(opened, MaxObjectCount=1), 27)
    c.close_enumeration(mine.pop())
    mine.append(opened(MaxObjectCount=1))
    for x in mine:
        c.close_enumeration(x)


@test
def a_pull_gives_at_most_max_pull_objects():
    got, context = c.open("OpenEnumerateInstances", cls("CIM_ManagedElement"), MaxObjectCount=1000)
    check(len(got), 2)
    got, context = c.pull("PullInstancesWithPath", context, 1000)
    check(len(got), 2)
    c.close_enumeration(context)


@test
def a_context_is_closed_after_pull_time_and_more_than_max_pull_time_is_refused():
    context = opened(MaxObjectCount=1)
    time.sleep(2.5)
    check(status(c.pull, "PullInstancesWithPath", context, 1), 21)
    check(status(opened, MaxObjectCount=1, OperationTimeout=6), 22)
    context = opened(MaxObjectCount=1, OperationTimeout=5)
    time.sleep(2.5)
    check(status(c.pull, "PullInstancesWithPath", context, 1), 0)
    c.close_enumeration(context)
    mechanism, = Client(server.addr, server.http, "interop").enum(
        "CIM_ObjectManagerCommunicationMechanism")
    check(mechanism["PulledEnumerationMaximumOperationTimeout"], 5)


@test
def a_connection_that_takes_longer_than_idle_time_for_its_request_is_closed():
    with socket.create_connection((server.addr, server.http), timeout=10) as s:
        s.sendall(b"POST /cimom HTTP/1.1\r\nHost: x\r\n")
        begun = time.monotonic()
        while s.recv(100):
            pass
        check(1 < time.monotonic() - begun < 6, True)


@test
def connections_above_max_connections_wait_for_one_to_end():
    held = [socket.create_connection((server.addr, server.http), timeout=10) for _ in range(20)]
    time.sleep(0.3)
    for s in held:
        s.close()
    check(status(c.query, "SELECT * FROM CIM_System"), 0)


@test
def what_a_setting_may_be_is_said():
    for option in ("--max-body", "--max-contexts", "--idle-time"):
        code, _, err = smi.run(smi.BUILD / "smiscsid", option, "0")
        check((code, option[2:] in err), (2, True), err)


smi.main()
