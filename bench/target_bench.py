#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""smiscsi-target against Debian's tgt, both on a file in memory, in one run.

usage: target_bench.py [SECONDS]      default 2 for each measurement; CASES=REGEX picks some
Ratios count, not numbers: the machine's speed drifts.  Each pair is measured in turns.
"""
import json, os, pathlib, re, subprocess, sys, tempfile, time

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
        (self.dir / "disk").touch()
        self.target.apply(dict(unit(naa, 1 << SPAN), backing=os.environ.get("BACKING", "file"),
                               path=str(self.dir / "disk")),
                          node(IQN), port(IQN), portal(self.address, self.port),
                          binding(IQN, 1, self.address, self.port), lun(IQN, 1, naa), must_listen=True)
        subprocess.run([LOAD, self.address, str(self.port), IQN, "1", "write", "1048576", "8", "1",
                        "1", "1", str(SPAN)], capture_output=True, check=True)


def cpu(pid):
    return sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) / 100


def load(t, mode, size, depth, sessions, threads):
    before = cpu(t.process.pid)
    p = subprocess.run([LOAD, t.address, str(t.port), IQN, "1", mode, str(size), str(depth), str(sessions),
                        str(threads), SECONDS, str(SPAN)], capture_output=True, text=True)
    if p.returncode:
        print(p.stderr, end="")
        return None
    r = json.loads(p.stdout)
    r["cpu_us"] = (cpu(t.process.pid) - before) * 1e6 / max(r["ops"], 1)
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
        r = limit("echo", depth, sessions)["answers_per_second"]
        found[4096, depth, sessions] = r
        most = load(null, "randread", 4096, depth, sessions, 1)["per_second"]
        print(f"limit: 4 KiB answers, {depth} in flight, {sessions} sessions: echo {r} per second; "
              f"our load generator with a target that does nothing {most:.0f}", flush=True)
    null.process.kill()
    for sessions in (1, 4):
        r = limit("stream", sessions)["mb_per_second"]
        found["stream", sessions] = r
        print(f"limit: loopback streaming, {sessions} connections: {r} MB/s", flush=True)
    return found


def of_limit(found, a, mode, size, depth, sessions, threads):
    """Ours as a part of what loopback can; only what it was measured for."""
    if size >= 65536:
        return a["mb_per_second"] / found["stream", 4 if sessions > 1 else 1]
    r = found.get((size, depth, sessions))
    return a["per_second"] / r if r and mode == "randread" else None


def idle(t, n=1000, seconds=4):
    """What sessions cost that do nothing: (MiB in all, MiB more than before, ms of processor time a second)."""
    def rss():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{t.process.pid}/status").read())[1]) / 1024

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
    print(f"{'':48}{'smiscsi':>10}{'tgt':>10}{'ratio':>7}{'of limit':>9}{'us CPU/op':>18}{'p50/p99 us':>22}")
    for *case, name in CASES:
        if only and not re.search(only, name):
            continue
        a, b = load(ours, *case), load(tgt, *case)
        if not a or not b:
            print(f"{name:48} failed: {'smiscsi' if not a else 'tgt'}")
            continue
        big = case[1] >= 65536
        unit = "mb_per_second" if big else "per_second"
        part = of_limit(found, a, *case)
        print(f"{name:48}{a[unit]:10.0f}{b[unit]:10.0f}{a[unit] / max(b[unit], 1):7.2f}"
              f"{f'{part:.2f}' if part else '':>9}"
              f"{a['cpu_us']:9.1f}{b['cpu_us']:9.1f}"
              f"{a['p50_us']:7}/{a['p99_us']}{b['p50_us']:8}/{b['p99_us']}", flush=True)
    if not only or re.search(only, "idle"):
        for name, t in (("smiscsi", ours), ("tgt", tgt)):
            whole, more, ms = idle(t)
            print(f"1,000 idle sessions, {name}: {whole:.0f} MiB resident, {more:.1f} more than before; "
                  f"{ms:.1f} ms of processor time a second", flush=True)


main()
