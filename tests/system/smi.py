# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: a server of one's own, the real clients, TAP.

Every test runs its own smiscsid on its own loopback addresses with its own state folder, and
ends every process it started, also when it fails.  Python's standard library only.
"""
import atexit, json, os, pathlib, random, re, select, shutil, signal, socket, subprocess, sys, tempfile, time
import traceback

BUILD = pathlib.Path(os.environ.get("SMISCSI_BUILD", "build")).resolve()
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENGINE = os.environ.get("SMISCSI_ENGINE", "user")
KERNEL = ENGINE == "lio"
NS = "root/cimv2/storage/iscsitarget"
SM = "root/microsoft/windows/storage/sm"


def sanitized():
    """Is it a build with sanitizers?"""
    try:
        options = json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())
    except OSError:
        return False
    return any(o["name"] == "b_sanitize" and o["value"] not in ("none", []) for o in options)


# Under emulation everything takes its time, and before a sanitizer's eyes: what a test is willing
# to wait, not what it does.
PATIENCE = float(os.environ.get("SMISCSI_PATIENCE", "4" if sanitized() else "1"))

_cleanups = []
# What a sanitizer says in a server's log; some it says only when the server has ended.
SANITIZER = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|UndefinedBehavior)Sanitizer|"
                       r"runtime error:")
_complaints = []


def at_end(fn):
    _cleanups.append(fn)


@atexit.register
def _end():
    while _cleanups:
        try:
            _cleanups.pop()()
        except Exception:
            traceback.print_exc()


for _s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_s, lambda *_: sys.exit(1))


def temp_dir(where=None):
    d = pathlib.Path(tempfile.mkdtemp(prefix="smiscsi-test-", dir=where))
    at_end(lambda: shutil.rmtree(d, ignore_errors=True))
    return d


def loopback():
    """An address of 127.0.0.0/8 that no other test is likely to have."""
    return "127.%d.%d.%d" % (random.randint(1, 254), random.randint(0, 254), random.randint(1, 254))


def free_port(addr="127.0.0.1"):
    with socket.socket() as s:
        s.bind((addr, 0))
        return s.getsockname()[1]


def wait_for(what, cond, seconds=10.0):
    """Poll cond until it is true; a test fails when it never gets so.  No sleeping for luck."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        r = cond()
        if r:
            return r
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.02)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run(*cmd, timeout=60, input=None, env=None, ok=None):
    """Run a command; (exit code, stdout, stderr).  ok: the exit code that must come back."""
    p = subprocess.run([str(c) for c in cmd], input=input, timeout=timeout * PATIENCE, env=env,
                       stdin=None if input is not None else subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    if ok is not None and p.returncode != ok:
        raise AssertionError(f"{' '.join(map(str, cmd))}: exit {p.returncode}, wanted {ok}\n"
                             f"{p.stdout}{p.stderr}")
    return p.returncode, p.stdout, p.stderr


class Server:
    """One smiscsid (and the smiscsi-target it starts)."""

    def __init__(self, portals=1, args=(), state=None, engine=ENGINE, wrapper=(), auth=False):
        self.addr = loopback()
        self.state = state or temp_dir() / "state"
        self.http = free_port(self.addr)
        self.portals = [loopback() for _ in range(portals)] if isinstance(portals, int) else portals
        self.args = list(args)
        self.engine, self.auth = engine, auth
        # e.g. SMISCSI_WRAPPER="gdb -batch -ex run -ex bt --args" while looking for a bug
        self.wrapper = list(wrapper) or os.environ.get("SMISCSI_WRAPPER", "").split()
        self.log_path = pathlib.Path(f"{self.state}.log")
        self.programs = BUILD  # where smiscsid and smiscsi-target are
        self.proc = None
        at_end(self.end)

    @property
    def url(self):
        return f"http://{self.addr}:{self.http}"

    def portal(self, i=0):
        p = self.portals[i]
        return p if ":" in p else f"{p}:3260"

    def start(self, expect_ready=True, seconds=30):
        cmd = [*self.wrapper, str(self.programs / "smiscsid"), "--state", str(self.state), "--http",
               f"{self.addr}:{self.http}", "--foreground"]
        if self.engine:  # else what --config says
            cmd += ["--engine", self.engine]
        if not self.auth:
            cmd.append("--no-auth")
        for p in self.portals:
            cmd += ["--portal", p]
        cmd += self.args
        self.log = open(self.log_path, "ab") if self.log_path.parent.exists() else None
        self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=self.log, text=True)
        if self.log:
            self.log.close()
        if expect_ready:
            self.ready = self._read_ready(seconds)
        return self

    def _read_ready(self, seconds):
        end = time.monotonic() + seconds * PATIENCE
        line = ""
        while time.monotonic() < end:
            r, _, _ = select.select([self.proc.stdout], [], [], 0.2)
            if r:
                line = self.proc.stdout.readline()
                if line.startswith("ready:"):
                    return line
                if not line:
                    break
            if self.proc.poll() is not None:
                break
        raise AssertionError(f"smiscsid did not become ready (exit {self.proc.poll()}): "
                             f"{self.errors()[-2000:]}")

    def errors(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def target_pid(self):
        """The smiscsi-target that serves this state folder; None: none runs."""
        for p in pathlib.Path("/proc").iterdir():
            if not p.name.isdigit():
                continue
            try:
                cmd = (p / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if cmd and cmd[0].endswith(b"smiscsi-target") and \
                    any(c.startswith(str(self.state).encode() + b"/") for c in cmd) and \
                    alive(int(p.name)):
                return int(p.name)
        return None

    def stop(self, seconds=20):
        """SIGTERM, and wait; the target goes with it."""
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(seconds * PATIENCE)
        return self.proc.returncode if self.proc else None

    def kill(self):
        """kill -9 of smiscsid alone."""
        self.proc.kill()
        self.proc.wait()

    def end(self):
        try:
            self.stop(5)
        except subprocess.TimeoutExpired:
            self.kill()
        if self.proc:
            self.proc.stdout.close()
        pid = self.target_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
        try:
            text = self.errors() + (self.state / "target.log").read_text(errors="replace")
        except OSError:
            text = self.errors()
        found = SANITIZER.search(text)
        if found:
            _complaints.append(text[found.start():found.start() + 4000])

    def usage(self):
        """What both processes hold: {name: (resident kB, descriptors, threads)}."""
        out = {}
        for name, pid in (("smiscsid", self.proc.pid), ("smiscsi-target", self.target_pid())):
            if pid:
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
                out[name] = (int(re.search(r"VmRSS:\s+(\d+)", text)[1]),
                             len(os.listdir(f"/proc/{pid}/fd")),
                             int(re.search(r"Threads:\s+(\d+)", text)[1]))
        return out

    def cpu(self):
        """Seconds of processor time that smiscsid has taken."""
        text = pathlib.Path(f"/proc/{self.proc.pid}/stat").read_text()
        return sum(map(int, text.rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    # -- clients --

    def cli(self, *args, ok=0):
        return run(BUILD / "smiscsi", "--url", self.url, *args, ok=ok)[1]

    def cli_fails(self, *args, code=1):
        return run(BUILD / "smiscsi", "--url", self.url, *args, ok=code)[2]

    def wbem(self, op, path="", *args, ns=NS, ok=0, opts=()):
        """wbemcli OP on a path below a namespace; stdout lines."""
        code, out, err = run("wbemcli", *opts, op, f"{self.url}/{ns}{':' + path if path else ''}",
                             *args)
        # wbemcli writes its errors to stderr with stars; exit 16 is its 'failed'
        if code != ok:
            raise AssertionError(f"wbemcli {op} {path} {args}: exit {code}, wanted {ok}\n{out}{err}")
        return (out if ok == 0 else out + err).splitlines()


def iscsi_ls(portal, *args):
    """iscsi-ls on ADDRESS:PORT; {iqn: {(address:port, tag)}}."""
    code, out, err = run("iscsi-ls", *args, f"iscsi://{portal}", timeout=20)
    if code:
        raise AssertionError(f"iscsi-ls {portal}: exit {code}: {out}{err}")
    found = {}
    for m in re.finditer(r"Target:(\S+) Portal:(\S+),(\d+)", out):
        found.setdefault(m[1], set()).add((m[2], int(m[3])))
    if KERNEL:
        # The kernel tells all it has, whichever portal it is asked through; the addresses it
        # tells are right, so this leaves what can be reached there.
        found = {n: to for n, to in found.items() if portal in {a for a, _ in to}}
    return found


# -- TAP --

_tests = []


def test(fn):
    _tests.append(fn)
    return fn


class Skip(Exception):
    pass


CONFIGFS = pathlib.Path("/sys/kernel/config/target")


def kernel_sessions(iqn="*"):
    """How many the kernel counts, those included that have logged out a moment ago and that nobody has
    looked for yet."""
    return sum(int(p.read_text()) for p in CONFIGFS.glob(
        f"iscsi/{iqn}/fabric_statistics/iscsi_instance/sessions"))


def kernel_objects():
    """What the kernel's target has been given, by anybody."""
    return sorted(str(p.relative_to(CONFIGFS)) for pattern in ("iscsi/iqn.*", "core/*_*/*")
                  for p in CONFIGFS.glob(pattern) if p.is_dir() and p.name != "alua")


def the_kernel_is_as_empty_as_before():
    """Run after all the others, with every server ended."""
    _end()
    check(kernel_objects(), [], "left in the kernel")


def no_sanitizer_has_found_anything():
    """Likewise; leaks are told at the end."""
    _end()
    check(len(_complaints), 0, "\n".join(_complaints))


def check(got, want=True, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def main():
    only = sys.argv[1:]
    failed = n = 0
    for fn in _tests + ([the_kernel_is_as_empty_as_before] if KERNEL else []) + \
            ([no_sanitizer_has_found_anything] if sanitized() else []):
        if only and fn.__name__ not in only and fn is not no_sanitizer_has_found_anything:
            continue
        n += 1
        name = fn.__name__.replace("_", " ")
        try:
            fn()
            print(f"ok {n} - {name}", flush=True)
        except Skip as s:
            print(f"ok {n} - {name} # SKIP {s}", flush=True)
        except BaseException as e:
            failed += 1
            print(f"not ok {n} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
            if isinstance(e, (KeyboardInterrupt, SystemExit)):
                break
    print(f"1..{n}", flush=True)
    sys.exit(1 if failed or not n else 0)
