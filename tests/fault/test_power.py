#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""smiscsid, and apart from it smiscsi-target, end at every call that changes a file or sends
something, once each, in the middle of every kind of operation; and the machine loses power there,
with everything that was not synced.  After the next start what was acknowledged is there, the rest
is wholly there or wholly not, and initiators see what the model says."""
import os, random

from fault import *
from smi import check, test

SEED = int(os.environ.get("SMISCSI_SEED", "7"))


def interrupted(d, at, mode, kind, kinds=ALL):
    """One operation with the end at the at-th call.  Returns False when it had no so many."""
    k, fn, after = d.prepare(kind)
    s, before = d.s, d.m
    s.fault.arm(at, mode, kinds)
    what = f"{k}, call {at}, mode {mode}, seed {SEED}"
    try:
        r = fn() or 0
    except GONE:
        r = None
    if r is not None:
        check(r, 0, what)
    if not s.fault.fired:
        s.fault.off()
        check(r, 0, what)
        d.settle(what, after)
        return False
    s.ended()
    s.fault.off()
    if s.shadow:
        s.lose_power()
    s.start()
    # An answer that came is a promise.
    d.settle(what, *([after] if r == 0 else [after, before]))
    return True


def every_call(d, modes, kinds=None, each=lambda: None):
    n = 0
    for kind in kinds or d.kinds():
        at = 1
        while interrupted(d, at, d.rnd.choice(modes), kind):
            n += 1
            at = d.next_call(at)
            each()
            if n % 10 == 0:
                d.check_ends()
                d.check_files()
    return n


def driver(program="smiscsid", warm_up=25, **more):
    s = Server(program=program, portals=3, **more)
    s.start()
    d = Driver(s, SEED)
    for _ in range(warm_up):
        d.do()
    return d


@test
def killed_at_every_call_of_every_operation():
    d = driver(engine="fake")
    n = every_call(d, [KILL, TORN])
    print(f"# {n} kills")
    check(n > 100 // STEP, True, "calls")


@test
def without_power_at_every_call_of_every_operation():
    d = driver(engine="fake", power=True)
    n = every_call(d, [KILL, TORN])
    print(f"# {n} power failures")
    check(n > 100 // STEP, True, "calls")


@test
def killed_at_every_call_of_the_first_start_and_of_each_later_one():
    for power in (False, True):
        s = Server(portals=2, engine="fake", power=power)
        d = Driver(s, SEED)
        n = at = 0
        first = True
        while True:
            at = d.next_call(at)
            s.fault.arm(at, random.Random(at).choice([KILL, TORN]))
            try:
                s.start()
            except AssertionError:
                check(s.fault.fired, 1, f"start, call {at}: {s.errors()[-500:]}")
                s.ended()
                if s.shadow:
                    s.lose_power()
                n += 1
                if first:
                    continue
            s.fault.off()
            if s.proc.poll() is not None:
                s.start()
            d.settle(f"start, call {at}", d.m)
            if first:
                check(n > 10, True, "calls of the first start")
                first, at = False, 0
                for _ in range(10):
                    d.do()
            elif s.fault.count < at:
                break
            # the next start finds work half done
            interrupted(d, 3 + at % 9, KILL, None)
            s.kill()
            if s.shadow:
                s.lose_power()
        print(f"# {n} starts interrupted")
        d.check_ends()
        d.check_files()
        s.kill()


@test
def smiscsid_killed_while_it_talks_to_the_target():
    d = driver(engine="user")
    n = every_call(d, [KILL], ["create_node", "create_port", "bind", "unbind", "switch_port",
                               "switch_portal", "create_portal", "attach", "grow_volume",
                               "detach", "delete_volume", "delete_port", "delete_portal",
                               "delete_node"], each=lambda: (d.check_discovery(), d.check_units()))
    print(f"# {n} kills")
    check(n > 100 // STEP, True, "calls")


@test
def the_target_killed_at_every_call_of_every_operation():
    d = driver(program="smiscsi-target", engine="user")
    s, n = d.s, 0
    for kind in ("create_node", "create_port", "bind", "unbind", "switch_port", "switch_portal",
                 "attach", "detach", "delete_port", "delete_node", "grow_volume"):
        at = 1
        while True:
            k, fn, after = d.prepare(kind)
            before, pid = d.m, s.target_pid()
            s.fault.arm(at)
            try:
                r = fn() or 0
            except CimError as e:
                r = e.code
            fired = s.fault.fired
            s.fault.off()
            what = f"{k}, call {at} of the target, return code {r}"
            if not fired:
                check(r, 0, what)
                d.settle(what, after)
                break
            n += 1
            at = d.next_call(at)
            smi.wait_for("a new target", lambda: s.target_pid() not in (None, pid))
            d.settle(what, after if r == 0 else before)

            def agrees():
                try:
                    d.check_discovery()
                    d.check_units()
                    return True
                except (AssertionError, LoginFailed, *GONE):
                    return False

            smi.wait_for(f"{what}: the new target to have the model",
                         lambda: agrees() or (smi.time.sleep(0.05)), 15)
            ready = lambda: all(2 in i["OperationalStatus"] for i in s.c.enum(PORTAL)
                                if i["EnabledState"] == 2)
            smi.wait_for(f"{what}: the portals to be well", ready, 15)
    print(f"# {n} kills")
    check(n > 5, True, "calls")
    d.check_ends()


@test
def the_accounts_file_is_whole_whenever_its_writer_ends():
    s = Server(program="smiscsi", portals=1, engine="fake", power=True)
    s.state.mkdir(mode=0o700)
    s._forget()
    command = [*s.wrapper, smi.BUILD / "smiscsi", "user", "add"]
    names = lambda: {l.split(":")[0] for l in (s.state / "users").read_text().splitlines()} \
        if (s.state / "users").exists() else set()
    there, n = set(), 0
    for mode in (KILL, TORN):
        at = 0
        while True:
            at += 1
            name = f"u{n}"
            s.fault.arm(at, mode)
            code, _, err = smi.run(*command, name, "--role", "read", "--state", s.state,
                           input="a password that is long\n")
            fired = s.fault.fired
            s.fault.off()
            s.lose_power()
            n += 1
            got = names()
            check(got - {name}, there, f"the others, after call {at}")
            if code == 0:
                check(name in got, True, f"{name} was promised")
            there = got
            if not fired:
                check(code, 0, err)
                break
    check(n > 8, True, "calls")
    s.auth = True
    s.start()
    check(Client(s.addr, s.http, NS, name, "a password that is long").names("CIM_Service") != [],
          True, "the last one is let in")
    s.kill()


smi.main()
