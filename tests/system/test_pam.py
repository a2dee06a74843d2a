#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host's accounts, through PAM itself: smiscsi-pam runs with the rights that its service file
leaves it, in a mount namespace with accounts and PAM rules of our own; smiscsid has none at all."""
import http.client, os, re, shutil, socket, stat, subprocess, sys, threading, time

import smi
from cimclient import CimError, Client, HttpError
from smi import NS, check, run, test, wait_for

NODE = "MSISCSITARGET_SCSIProtocolController"
SERVICE = "MSISCSITARGET_iSCSIConfigurationService"
NOBODY = 65534
GOOD = "good-pass-Vk3"
DAY = int(time.time() // 86400)
# name: (groups, second and seventh and eighth fields of its line in shadow)
ACCOUNTS = {
    "pam-admin": (["smiscsi-admin"], {}),
    "pam-reader": (["smiscsi-read"], {}),
    "pam-both": (["smiscsi-read", "smiscsi-admin"], {}),
    "pam-neither": ([], {}),
    "pam-expired": (["smiscsi-admin"], {"expires": DAY - 3}),
    "pam-stale": (["smiscsi-admin"], {"changed": 0}),
    "pam-locked": (["smiscsi-admin"], {"lock": "!"}),
    "pam-open": (["smiscsi-admin"], {"hash": ""}),
    "pam-file": (["smiscsi-admin"], {}),
}

if os.getuid() != 0 or not (smi.BUILD / "smiscsi-pam").exists() or \
        run("unshare", "-m", "true")[0]:
    print("1..0 # SKIP needs root, mount namespaces and a build with libpam")
    raise SystemExit(0)

programs = smi.temp_dir()  # the build may lie where only its owner can go
programs.chmod(0o755)
for program in ("smiscsid", "smiscsi-pam"):
    shutil.copy(smi.BUILD / program, programs)
etc = smi.temp_dir()
etc.chmod(0o755)
hashed = run("openssl", "passwd", "-6", GOOD, ok=0)[1].strip()


def host_accounts():
    passwd, shadow, group = [], [], []
    members = {"smiscsi-admin": [], "smiscsi-read": []}
    for i, (name, (groups, how)) in enumerate(ACCOUNTS.items()):
        passwd.append(f"{name}:x:{61000 + i}:61999::/nonexistent:/usr/sbin/nologin")
        shadow.append(f"{name}:{how.get('lock', '')}{how.get('hash', hashed)}:"
                      f"{how.get('changed', DAY)}:0:99999:7::{how.get('expires', '')}:")
        for g in groups:
            members[g].append(name)
    for i, (g, names) in enumerate(members.items()):
        group.append(f"{g}:x:{61900 + i}:{','.join(names)}")
    for what, lines, mode in (("passwd", passwd, 0o644), ("shadow", shadow, 0o600),
                              ("group", group, 0o644)):
        with open(f"/etc/{what}") as f:
            (etc / what).write_text(f.read().rstrip("\n") + "\n" + "\n".join(lines) + "\n")
        (etc / what).chmod(mode)
    shutil.copytree("/etc/pam.d", etc / "pam.d")


def pam_rules(text):
    (etc / "pam.d" / "smiscsi").write_text(text)


host_accounts()
shipped = (smi.ROOT / "packaging/smiscsi.pam").read_text()
pam_rules(shipped)


class Helper:
    """One smiscsi-pam; its log is in .log."""

    def __init__(self, *args, by_hand=False):
        self.dir = smi.temp_dir()
        self.dir.chmod(0o755)
        self.socket, self.log_path = self.dir / "pam.sock", self.dir / "log"
        mounts = "".join(f"mount --bind {etc}/{n} /etc/{n}; "
                         for n in ("passwd", "shadow", "group", "pam.d"))
        cmd = ["unshare", "-m", "sh", "-ec", mounts + 'exec "$@"', "sh"]
        if by_hand:  # giving the socket to its owner takes a right
            args = ("--listen", str(self.socket), *args)
        else:
            # looking for leaks takes ptrace, which the sandbox does not allow
            cmd = ["systemd-socket-activate", "--seqpacket", "-l", str(self.socket),
                   "-E", "ASAN_OPTIONS=detect_leaks=0", *cmd,
                   sys.executable, str(smi.ROOT / "tests/system/sandbox.py"),
                   str(smi.ROOT / "packaging/smiscsi-pam.service"), str(etc), "0"]
        cmd += [str(programs / "smiscsi-pam"), "--user", "nobody", *args]
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        smi.at_end(self.stop)
        wait_for("the helper's socket", lambda: self.socket.exists() or self.proc.poll())
        if by_hand:
            wait_for("the helper to listen", lambda: self.socket.stat().st_uid == NOBODY)
        else:
            os.chown(self.socket, NOBODY, NOBODY)
            self.socket.chmod(0o600)
            wait_for("it to be started by the first packet", self._answers)

    def _answers(self):
        try:
            return self.say(b"?") == b""
        except ConnectionRefusedError:
            return False  # the socket is there, and nobody listens yet

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        self.proc.terminate()
        return self.proc.wait(20)

    def children(self):
        return run("ps", "-o", "pid=", "--ppid", self.proc.pid)[1].split()

    def say(self, packet, seconds=20):
        """What it answers to a packet; b"": it closes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(seconds)
            s.connect(str(self.socket))
            s.send(packet)
            try:
                return s.recv(100)
            except ConnectionResetError:
                return b""


def packet(user, password, peer="192.0.2.9"):
    return b"\0".join(x.encode() for x in ("smiscsi-pam 1", user, password, peer)) + b"\0"


UNPRIVILEGED = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def server_with(helper, *args):
    d = smi.temp_dir()
    os.chown(d, NOBODY, NOBODY)
    s = smi.Server(state=d / "state", wrapper=UNPRIVILEGED, auth=True, engine="fake",
                   args=["--pam", str(helper.socket), *args])
    s.programs = programs
    return s.start()


def client(s, user=None, password=GOOD, source=None):
    return Client(s.addr, s.http, NS, *((user, password) if user else (None,)),
                  source=source or smi.loopback())


def outcome(fn, *args, **kw):
    try:
        fn(*args, **kw)
        return 0
    except CimError as e:
        return e.code
    except HttpError as e:
        return f"HTTP {e.status}"


def reads(s, *who, **kw):
    return outcome(client(s, *who, **kw).names, NODE)


def add(s, name, password, role="admin"):
    run(smi.BUILD / "smiscsi", "user", "add", name, "--role", role, "--state", s.state, ok=0,
        input=password + "\n")


helper = Helper("--seconds", "14")
server = server_with(helper)


@test
def the_server_has_no_rights_and_the_helper_only_one():
    for pid, want in ((server.proc.pid, "0" * 16), (helper.proc.pid, "0000000020000000")):
        with open(f"/proc/{pid}/status") as f:
            status = f.read()
        check(re.search(r"CapEff:\s+(\w+)", status)[1], want, f"capabilities of {pid}")
        check(re.search(r"CapBnd:\s+(\w+)", status)[1], want)
        check(re.search(r"NoNewPrivs:\s+(\d)", status)[1], "1")
        check(re.search(r"Seccomp:\s+(\d)", status)[1], "0" if pid == server.proc.pid else "2")


@test
def groups_of_the_host_are_roles_here():
    service = client(server, "pam-reader").names(SERVICE)[0]
    for name, may in (("pam-admin", 0), ("pam-both", 0), ("pam-reader", 2)):
        c = client(server, name)
        check(outcome(c.names, NODE), 0, f"{name} reads")
        check(outcome(c.invoke, service, "CreateiSCSINode", Alias=name), may, f"{name} changes")
    check("login user=pam-reader role=read" in server.errors(), True)
    check("by=PAM" in server.errors(), True)
    audit = [l for l in server.errors().splitlines() if "audit: " in l and "CreateiSCSINode" in l]
    check(any("user=pam-admin peer=127." in l for l in audit), True, "he is named in the audit")


@test
def nobody_else_is_let_in():
    for name, password in (("pam-neither", GOOD), ("pam-admin", "bad-pass-Yy1"),
                           ("pam-admin", GOOD + "x"), ("pam-locked", GOOD), ("pam-expired", GOOD),
                           ("pam-stale", GOOD), ("pam-open", "x"), ("root", GOOD), ("ghost", GOOD),
                           ("PAM-ADMIN", GOOD), ("-h", GOOD)):
        check(reads(server, name, password), "HTTP 401", f"{name} with {password}")
    log = helper.log
    for name in ("root", "ghost", "pam-neither"):
        check(f"user={name} peer=127." in log, True)
        check(re.search(rf"user={name} .*answer=no: in neither group", log) is not None, True,
              f"PAM is not even asked about {name}")
    check(re.search("user=pam-stale .*answer=expired", log) is not None, True)
    check("has expired user=pam-stale" in server.errors(), True)
    for secret in (GOOD, "bad-pass-Yy1"):
        check(secret in log or secret in server.errors(), False, "passwords in a log")


@test
def the_log_says_that_an_account_has_expired_where_the_rules_do():
    pam_rules("auth required pam_unix.so\naccount required pam_unix.so\n")
    try:
        check(helper.say(packet("pam-expired", GOOD)), b"expired")
        check(helper.say(packet("pam-expired", "wrong")), b"no", "to whom knows the password only")
    finally:
        pam_rules(shipped)


@test
def guessing_is_slowed_here_too():
    thief = smi.loopback()
    got = [reads(server, "pam-admin", f"guess-{i}", source=thief) for i in range(6)]
    check(got, ["HTTP 401"] * 4 + ["HTTP 503"] * 2)
    check(reads(server, "pam-admin", source=thief), "HTTP 503", "the right one has to wait, too")
    check(reads(server, "pam-admin"), 0, "but not elsewhere")


@test
def the_user_file_goes_first():
    add(server, "pam-file", "file-pass", role="read")
    wait_for("the file to be seen", lambda: "account pam-file added" in server.errors())
    check(reads(server, "pam-file"), "HTTP 401", "the host's password does not open it")
    c = client(server, "pam-file", "file-pass")
    check(outcome(c.names, NODE), 0)
    service = c.names(SERVICE)[0]
    check(outcome(c.invoke, service, "CreateiSCSINode", Alias="no"), 2, "nor the host's groups")
    check("user=pam-file" in helper.log, False, "PAM is not asked")


@test
def a_no_takes_as_long_whoever_he_is():
    add(server, "in-file", "file-pass")
    for name in ("in-file", "pam-admin", "pam-neither", "ghost"):
        c = client(server, name, "wrong")
        began = time.monotonic()
        check(outcome(c.names, NODE), "HTTP 401")
        took = time.monotonic() - began
        check(took >= 0.3, True, f"{name}: {took:.3f} s")


@test
def only_the_servers_user_may_ask():
    ask = ["python3", "-c", "import socket,sys\n"
           "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
           "s.connect(sys.argv[1]); s.send(eval(sys.argv[2])); print(s.recv(100))",
           str(helper.socket), repr(packet("pam-admin", GOOD))]

    def as_user(uid):
        return run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *ask)

    check(as_user(NOBODY)[:2], (0, "b'admin'\n"))
    code, _, err = as_user(1)
    check((code, "PermissionError" in err), (1, True), err)
    helper.socket.chmod(0o666)  # an administrator's slip
    try:
        code, out, err = as_user(1)
        check("admin" in out, False, out)
        check("uid 1 may not ask" in helper.log, True)
    finally:
        helper.socket.chmod(0o600)


@test
def what_is_no_request_is_closed_and_the_next_is_served():
    good = packet("pam-admin", GOOD)
    for bad in (b"\0", good[:-1], good + b"\0", good + b"x", good.replace(b"1", b"2", 1),
                packet("", GOOD), packet("pam-admin", ""), packet("a" * 65, GOOD),
                packet("pam-admin", "x" * 257), packet("pam-admin", GOOD, "p" * 65),
                packet("a:b", GOOD), packet("a\nb", GOOD), packet("-x", GOOD),
                packet("pam-admin", GOOD, "a\nb"), b"\xff" * 300, b"x" * 5000):
        check(helper.say(bad), b"", repr(bad[:40]))
    check(helper.say(good), b"admin")
    check(helper.say(packet("pam-admin", "x" * 256)), b"no")


@test
def the_modules_are_told_who_asks_from_where():
    told = etc / "told"
    told.write_text("")
    script = etc / "tell"
    script.write_text(f'#!/bin/sh\necho "$PAM_SERVICE $PAM_USER $PAM_RHOST $PAM_TYPE" >> {told}\n')
    script.chmod(0o755)
    pam_rules(f"auth required pam_exec.so {script}\n" + shipped)
    try:
        peer = smi.loopback()
        check(reads(server, "pam-both", source=peer), 0)
        check(told.read_text(), f"smiscsi pam-both {peer} auth\n")
    finally:
        pam_rules(shipped)


@test
def a_module_that_asks_for_more_than_a_password_gets_no_for_an_answer():
    pam_rules(f"auth required {smi.BUILD}/tests/system/ask-twice.so\naccount required pam_unix.so\n")
    try:
        check(helper.say(packet("pam-admin", GOOD)), b"no")
    finally:
        pam_rules(shipped)
    check(helper.say(packet("pam-admin", GOOD)), b"admin")


@test
def rules_that_cannot_be_followed_let_nobody_in_and_blame_nobody():
    pam_rules("auth required pam_no_such_module.so\naccount required pam_permit.so\n")
    thief = smi.loopback()
    try:
        got = {reads(server, "pam-both", source=smi.loopback()) for _ in range(3)}
        check(got, {"HTTP 503"})
        check([reads(server, "pam-admin", "x", source=thief) for _ in range(6)], ["HTTP 503"] * 6)
    finally:
        pam_rules(shipped)
    check(reads(server, "pam-reader", source=thief), 0, "and nobody has to wait for that")
    check("PAM does not answer" in server.errors(), True)


@test
def modules_that_hang_are_ended_and_keep_nobody_else_waiting():
    h = Helper("--seconds", "6")
    s = server_with(h)
    add(s, "filer", "file-pass")
    inside = client(s, "filer", "file-pass")
    check(outcome(inside.names, NODE), 0)
    pam_rules("auth required pam_exec.so /bin/sleep 61\naccount required pam_permit.so\n")
    answers, most = [], 0
    try:
        threads = [threading.Thread(target=lambda: answers.append(reads(s, "pam-admin")))
                   for _ in range(5)]
        for t in threads:
            t.start()
        wait_for("all of the server's threads for it to hang", lambda: len(h.children()) == 4)
        check(outcome(inside.names, NODE), 0)
        check(reads(s, "filer", "file-pass"), 0)
        check(answers, [], "accounts of the file don't wait for PAM")
        while any(t.is_alive() for t in threads):
            most = max(most, len(h.children()))
            time.sleep(0.05)
    finally:
        pam_rules(shipped)
    check((answers, most), (["HTTP 503"] * 5, 4))
    check("PAM has not answered within 6 s" in h.log, True)
    wait_for("the conversations to be gone, and what the modules started",
             lambda: not h.children() and "/bin/sleep 61" not in run("ps", "ax", "-o", "args")[1])
    check(reads(s, "pam-admin"), 0, "and PAM works again")
    check(s.stop(), 0)
    check(h.stop(), 0)


@test
def more_at_once_than_it_takes_have_to_wait():
    pam_rules("auth required pam_exec.so /bin/sleep 0.5\n" + shipped)
    got, most = [], 0
    try:
        threads = [threading.Thread(
            target=lambda: got.append(helper.say(packet("pam-admin", GOOD), 60)))
            for _ in range(24)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            most = max(most, len(helper.children()))
            time.sleep(0.05)
    finally:
        pam_rules(shipped)
    check(got, [b"admin"] * 24)
    check(8 < most <= 16, True, f"{most} at once")


@test
def a_helper_that_is_gone_or_comes_back_later():
    h = Helper(by_hand=True)
    s = server_with(h)
    add(s, "filer", "file-pass")
    st = h.socket.stat()
    check((stat.S_IMODE(st.st_mode), st.st_uid), (0o600, NOBODY))
    check(reads(s, "pam-admin"), 0)
    check(h.stop(), 0)
    check(h.socket.exists(), False, "it takes its socket with it")
    check(reads(s, "pam-admin"), "HTTP 503")
    check(reads(s, "filer", "file-pass"), 0)
    again = Helper()
    os.symlink(again.socket, h.socket)
    check(reads(s, "pam-both"), 0, "once it is there")
    check(again.stop(), 0)
    check(s.stop(), 0)


@test
def what_is_wrong_at_the_start_is_said():
    for args, code, words in (
            (["--user", "nobody"], 1, "--listen"),
            (["--user", "no-such-user", "--listen", helper.dir / "x"], 1, "no-such-user"),
            (["--user", "nobody", "--listen", helper.dir / "no" / "x"], 1, "cannot listen on"),
            (["--seconds", "15"], 2, "usage"), (["more"], 2, "usage")):
        got, _, err = run(programs / "smiscsi-pam", *args)
        check((got, words in err), (code, True), f"{args}: {err}")
    code, _, err = run("sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3</dev/null", "sh",
                       programs / "smiscsi-pam", "--user", "nobody")
    check((code, "ListenSequentialPacket" in err), (1, True), err)


@test
def a_long_request_of_somebody_who_has_just_come_is_put_off_once():
    s = server
    body = b"<!-- " + b"x" * 100000 + b" -->"

    def long_request(user):
        c = http.client.HTTPConnection(s.addr, s.http, timeout=30, source_address=(user[1], 0))
        c.putrequest("POST", "/cimom")
        for k, v in {**client(s, user[0]).headers("EnumerateClassNames", NS),
                     "Content-Length": str(len(body))}.items():
            c.putheader(k, v)
        c.endheaders()
        try:
            c.send(body)
        except OSError:
            pass  # answered already
        try:
            return c.getresponse().status
        finally:
            c.close()

    who = ("pam-both", smi.loopback())
    check(long_request(who), 503)
    wait_for("PAM to be asked meanwhile", lambda: long_request(who) != 503)
    check(long_request(who) != 401, True)
    check(long_request(("ghost", smi.loopback())), 503)


@test
def neither_leaks():
    check(server.stop(), 0)
    check(helper.stop(), 0)
    check("Sanitizer" in helper.log + server.errors(), False, helper.log[-3000:])


smi.main()
