#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""smiscsi-target against Debian's tgt, both on a file in memory, in one run.

usage: target_bench.py [SECONDS]      default 2 for each measurement; CASES=REGEX picks some
Ratios count, not numbers: the machine's speed drifts.  Each pair is measured in turns.

The load generator shares the processors with the target.  So beside what was measured stands what
both took of a processor for each operation, and what that lets one expect: "alone" is what one
processor would give the target if the initiator cost nothing, "at most" is what all processors
together give both when none of them ever rests, as a part of what they give the echo server and
its client in the same way.
"""
import json, os, pathlib, re, resource, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))
os.environ.setdefault("SMISCSI_BUILD", "build")
import smi
from initiator import Connection
from smi import at_end, free_port, loopback, wait_for
from target_ctl import Target, binding, lun, node, port, portal, unit

LOAD = smi.BUILD / "bench/target_load"
SPAN = 28  # log2 of the unit's bytes
SECONDS = sys.argv[1] if len(sys.argv) > 1 else "2"
IQN = "iqn.2026-01.com.example:bench"

# mode, size, in flight, sessions, threads of the load; name
CASES = [
    ("randread", 4096, 1, 1, 1, "4 KiB random read, 1 in flight"),
    ("randread", 4096, 32, 1, 1, "4 KiB random read, 32 in flight"),
    ("randread", 4096, 32, 4, 1, "4 KiB random read, 32 in flight, 4 sessions"),
    ("randread", 4096, 32, 4, 2, "the same, load with 2 threads"),
    ("randwrite", 4096, 1, 1, 1, "4 KiB random write, 1 in flight"),
    ("randwrite", 4096, 32, 1, 1, "4 KiB random write, 32 in flight"),
    ("randwrite", 4096, 32, 4, 1, "4 KiB random write, 32 in flight, 4 sessions"),
    ("read", 262144, 8, 1, 1, "256 KiB read, 8 in flight"),
    ("write", 262144, 8, 1, 1, "256 KiB write, 8 in flight"),
    ("read", 1048576, 8, 4, 1, "1 MiB read, 8 in flight, 4 sessions"),
    ("write", 1048576, 8, 4, 1, "1 MiB write, 8 in flight, 4 sessions"),
    ("login", 0, 1, 1, 1, "login and logout"),
    ("login", 0, 1, 4, 4, "login and logout, 4 at once"),
]


class Tgt:
    """tgtd, unprivileged, with a file on tmpfs for its unit."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bench-tgt-", dir="/dev/shm"))
        self.address, self.port = loopback(), free_port()
        env = dict(os.environ, TGT_IPC_SOCKET=str(self.dir / "ipc"))
        self.process = subprocess.Popen(["/usr/sbin/tgtd", "-f", "--iscsi",
                                         f"portal={self.address}:{self.port}"],
                                        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at_end(self.end)
        disk = self.dir / "disk"
        with open(disk, "wb") as f:
            f.write(bytes(1 << SPAN))
        adm = lambda *a: subprocess.run(["/usr/sbin/tgtadm", "--lld", "iscsi", "--mode", *a], env=env,
                                        check=True, stdout=subprocess.DEVNULL)
        wait_for("tgtd", lambda: subprocess.run(["/usr/sbin/tgtadm", "--mode", "sys", "--op", "show"],
                                                env=env, capture_output=True).returncode == 0)
        adm("target", "--op", "new", "--tid", "1", "-T", IQN)
        adm("logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "-b", str(disk))
        adm("target", "--op", "bind", "--tid", "1", "-I", "ALL")

    def end(self):
        self.process.kill()
        self.process.wait()
        subprocess.run(["rm", "-rf", self.dir])


class Ours:
    """smiscsi-target with the same, or with its own memory (BACKING=memory)."""

    def __init__(self):
        self.target = Target("--log", "error")
        self.process = self.target.process
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bench-smiscsi-", dir="/dev/shm"))
        at_end(lambda: subprocess.run(["rm", "-rf", self.dir]))
        self.address, self.port = loopback(), free_port()
        naa = 0x3123456789abcde0
        (self.dir / "disk").write_bytes(bytes(1 << SPAN))
        self.target.apply(dict(unit(naa, 1 << SPAN), backing=os.environ.get("BACKING", "file"),
                               path=str(self.dir / "disk")),
                          node(IQN), port(IQN), portal(self.address, self.port),
                          binding(IQN, 1, self.address, self.port), lun(IQN, 1, naa), must_listen=True)


def cpu(pid):
    return sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) / 100


def children_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def load(t, mode, size, depth, sessions, threads):
    before, ours = cpu(t.process.pid), children_cpu()
    p = subprocess.run([LOAD, t.address, str(t.port), IQN, "1", mode, str(size), str(depth), str(sessions),
                        str(threads), SECONDS, str(SPAN)], capture_output=True, text=True)
    if p.returncode:
        print(p.stderr, end="")
        return None
    r = json.loads(p.stdout)
    r["cpu_us"] = (cpu(t.process.pid) - before) * 1e6 / max(r["ops"], 1)
    r["load_us"] = (children_cpu() - ours) * 1e6 / max(r["ops"], 1)
    return r


def limit(*args):
    r = subprocess.run([smi.BUILD / "bench/bench_limits", *map(str, args), SECONDS],
                       capture_output=True, text=True, check=True)
    return json.loads(r.stdout)


class Null:
    """A target that looks at nothing: what the load generator reaches with it is what it can."""

    def __init__(self):
        self.process = subprocess.Popen([smi.BUILD / "bench/bench_limits", "target"],
                                        stdout=subprocess.PIPE, text=True)
        at_end(self.process.kill)
        self.address, self.port = "127.0.0.1", int(self.process.stdout.readline())


def limits():
    """What loopback TCP can do with the same message sizes, answers of a batch in one write; and what
    the load generator can.  {(4 KiB or more, in flight, sessions): limit}"""
    found = {}
    null = Null()
    for depth, sessions in ((1, 1), (32, 1), (32, 4)):
        print(f"limit: 4 KiB answers, {depth} in flight, {sessions} sessions, per second (us CPU of server + client):")
        for mode, what in (("echo", "echo server, one buffer, never out of the cache"),
                           ("file", "the same, each from a random place of a file in memory, by pread"),
                           ("mapped", "the same, sent from the mapped file")):
            r = found[mode, depth, sessions] = limit(mode, depth, sessions)
            print(f"  {what:70}{r['answers_per_second']:9} ({r['server_us']} + {r['client_us']})", flush=True)
        r = load(null, "randread", 4096, depth, sessions, 1)
        print(f"  {'our load generator with a target that looks at nothing':70}{r['per_second']:9} "
              f"({r['cpu_us']:.2f} + {r['load_us']:.2f})", flush=True)
    null.process.kill()
    for sessions in (1, 4):
        r = found["stream", sessions] = limit("stream", sessions)
        print(f"limit: loopback streaming, {sessions} connections: {r['mb_per_second']} MB/s; us CPU for 256 KiB: "
              f"{r['server_us']} + {r['client_us']}", flush=True)
    return found


def of_limit(found, a, mode, size, depth, sessions, threads):
    """Ours as a part of the limit, and of the file's limit, and at most: only what it was measured for."""
    us = lambda r: r["server_us"] + r["client_us"]
    if size >= 65536:
        r = found["stream", 4 if sessions > 1 else 1]
        return (a["mb_per_second"] / r["mb_per_second"], None,
                us(r) * size / 262144 / (a["cpu_us"] + a["load_us"]))
    r, f = (found.get((m, depth, sessions)) for m in ("echo", "file"))
    if not r or mode != "randread":
        return None, None, None
    return (a["per_second"] / r["answers_per_second"], a["per_second"] / f["answers_per_second"],
            us(r) / (a["cpu_us"] + a["load_us"]))


def idle(t, n=1000, seconds=4):
    """What sessions cost that do nothing: (MiB in all, MiB more than before, ms of processor time a second)."""
    def rss():  # without RssShmem: a unit in memory is memory anyway, mapped or not
        status = open(f"/proc/{t.process.pid}/status").read()
        return sum(int(re.search(rf"Rss{kind}:\s+(\d+)", status)[1]) for kind in ("Anon", "File")) / 1024

    before = rss()
    keep = [Connection(t.address, t.port, isid=b"\x80%05d" % i).login(IQN) for i in range(n)]
    for c in keep:
        c.nop()
    time.sleep(3)  # what the logins left to do
    used = cpu(t.process.pid)
    time.sleep(seconds)
    used = cpu(t.process.pid) - used
    r = rss(), rss() - before, used * 1000 / seconds
    for c in keep:
        c.close()
    return r


def main():
    found = limits()
    ours, tgt = Ours(), Tgt()
    only = os.environ.get("CASES")
    for t in (ours, tgt):  # whatever is met for the first time is met now
        for mode in ("write", "read"):
            load(t, mode, 1048576, 8, 1, 1)
            load(t, mode, 1048576, 8, 4, 1)
    print(f"{'':48}{'smiscsi':>9}{'tgt':>9}{'ratio':>7}{'of limit':>9}{'of file':>8}{'at most':>8}"
          f"{'us CPU/op: ours':>16}{'tgt':>8}{'load':>8}{'alone':>10}{'p50/p99 us':>14}{'tgt':>14}")
    for *case, name in CASES:
        if only and not re.search(only, name):
            continue
        a, b = load(ours, *case), load(tgt, *case)
        if not a or not b:
            print(f"{name:48} failed: {'smiscsi' if not a else 'tgt'}")
            continue
        big = case[1] >= 65536
        unit = "mb_per_second" if big else "per_second"
        parts = "".join(f"{f'{p:.2f}' if p else '':>{w}}" for p, w in zip(of_limit(found, a, *case), (9, 8, 8)))
        alone = a[unit] and a[unit] / a["per_second"] * 1e6 / max(a["cpu_us"], 0.01)
        print(f"{name:48}{a[unit]:9.0f}{b[unit]:9.0f}{a[unit] / max(b[unit], 1):7.2f}{parts}"
              f"{a['cpu_us']:16.2f}{b['cpu_us']:8.1f}{a['load_us']:8.2f}{alone:10.0f}"
              f"{a['p50_us']:>8}/{a['p99_us']:<5}{b['p50_us']:>8}/{b['p99_us']:<5}", flush=True)
    if not only or re.search(only, "idle"):
        for name, t in (("smiscsi", ours), ("tgt", tgt)):
            whole, more, ms = idle(t)
            print(f"1,000 idle sessions, {name}: {whole:.0f} MiB resident, {more:.1f} more than before; "
                  f"{ms:.1f} ms of processor time a second", flush=True)


main()
