# SPDX-License-Identifier: Apache-2.0
"""A smiscsi-target of one's own, driven over its control socket.  Python's standard library only."""
import json, os, socket, subprocess, time

from smi import BUILD, at_end, free_port, loopback, temp_dir, wait_for

PROGRAM = BUILD / "smiscsi-target"


class Target:
    def __init__(self, *options):
        self.dir = temp_dir()
        self.path = self.dir / "control"
        self.log = open(self.dir / "log", "wb")
        env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=1")
        self.process = subprocess.Popen([PROGRAM, "--control", self.path, *options],
                                        stdout=subprocess.PIPE, stderr=self.log, env=env)
        at_end(self.kill)
        assert self.process.stdout.readline().startswith(b"ready: "), self.text()
        self.control = Control(self.path)
        self.generation = 0

    def text(self):
        return (self.dir / "log").read_text(errors="replace")

    def kill(self):
        """End it now.  What a sanitizer has to say then counts as a failure."""
        if self.process.poll() is None:
            self.process.terminate()
            time.sleep(0.05)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.returncode not in (0, 1):
            print(f"Bail out! smiscsi-target ended with {self.process.returncode}: "
                  f"{self.text()[-3000:]}", flush=True)
            os._exit(1)

    def stop(self, seconds=15):
        """End it as the service manager does; returns the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def apply(self, *changes, **more):
        self.generation += 1
        return self.control.call("apply", generation=self.generation, changes=list(changes), **more)

    def replace(self, **config):
        self.generation += 1
        return self.control.call("replace", generation=self.generation, config=config)


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]


class Control:
    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rwb")
        self.events = []
        self.id = 0
        if hello:
            self.greeting = self.call("hello", version=1, client="test")

    def line(self, seconds=20):
        self.sock.settimeout(seconds)
        line = self.file.readline()
        if not line:
            raise EOFError("control connection closed")
        return json.loads(line)

    def call(self, method, **params):
        self.id += 1
        rq = {"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}
        self.file.write(json.dumps(rq).encode() + b"\n")
        self.file.flush()
        while True:
            m = self.line()
            if "method" in m:
                self.events.append(m)
                continue
            assert m["id"] == self.id, m
            if "error" in m:
                raise Refused(m["error"])
            return m["result"]

    def event(self, method, seconds=10, **want):
        """The first notification whose params have these members; earlier ones are dropped."""
        while True:
            m = self.events.pop(0) if self.events else self.line(seconds)
            if m.get("method") == method and all(m["params"].get(k) == v for k, v in want.items()):
                return m["params"]


def unit(naa, size, **more):
    return dict(op="add", kind="unit", naa="%016x" % naa, backing="memory", size=size,
                block_size=512, **more)


def node(iqn, **more):
    return dict(op="add", kind="node", iqn=iqn, **more)


def port(iqn, tpgt=1, **more):
    return dict(op="add", kind="port", iqn=iqn, tpgt=tpgt, **more)


def portal(address, number, **more):
    return dict(op="add", kind="portal", address=address, port=number, **more)


def binding(iqn, tpgt, address, number):
    return dict(op="add", kind="binding", iqn=iqn, tpgt=tpgt, address=address, port=number)


def lun(iqn, number, naa):
    return dict(op="add", kind="lun", iqn=iqn, lun=number, naa="%016x" % naa)


def removal(change):
    return dict(change, op="remove")


def simple(t, iqn="iqn.2026-01.com.example:disk", size=64 << 20, **options):
    """One node with one unit behind one portal; returns (iqn, address, port)."""
    address = loopback()
    number = free_port(address)
    t.apply(unit(0x3123456789abcde0, size), node(iqn, **options), port(iqn),
            portal(address, number), binding(iqn, 1, address, number),
            lun(iqn, 0, 0x3123456789abcde0), must_listen=True)
    return iqn, address, number
