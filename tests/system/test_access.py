#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may: every operation as nobody, as who may read, as who may change; and what the log says of
it.  SMISCSI_TLS=1: these clients come over HTTPS."""
import base64, http.client, os, pathlib, re, socket, ssl, threading, time

import smi
from cimclient import CimError, Client, HttpError, Path
from smi import NS, SM, check, run, test, wait_for

READ, ADMIN = ("reader", "read-pass-Wq7"), ("boss", "boss-pass-Zx9")
GROUP = "MSISCSITARGET_SystemSpecificCollection"
NODE = "MSISCSITARGET_SCSIProtocolController"
SERVICE = "MSISCSITARGET_iSCSIConfigurationService"
ACCESS_DENIED = 2
SPACES = (NS, SM, "interop")
# The only methods that change nothing; every other is for admins.
READ_ONLY_METHODS = {"GetSupportedSizes", "GetSupportedSizeRange"}


def user(state, *args, password=None, ok=0):
    return run(smi.BUILD / "smiscsi", "user", *args, "--state", state, ok=ok,
               input=None if password is None else password + "\n")[2]


server = smi.Server(portals=2, engine="fake", auth=True)
https = smi.free_port(server.addr)
server.args = ["--https", f"{server.addr}:{https}"]
server.start()
TLS = ssl.create_default_context(cafile=str(server.state / "tls/cert.pem")) \
    if os.environ.get("SMISCSI_TLS") else None
user(server.state, "add", READ[0], "--role", "read", password=READ[1])
user(server.state, "add", ADMIN[0], "--role", "admin", password=ADMIN[1])


def client(who=None, source=None, s=None, ns=NS):
    over = TLS if s in (None, server) else None
    s = s or server
    return Client(s.addr, https if over else s.http, ns, *(who or (None,)), tls=over,
                  source=source or smi.loopback())


admin, reader = client(ADMIN), client(READ)
service = admin.names(SERVICE)[0]
code, out = admin.invoke(service, "CreateiSCSINode", Alias="alpha")
check(code, 0, "CreateiSCSINode")
node = out["iSCSINode"]


def outcome(fn, *args, **kw):
    """0, or the CIM error's code, or 'HTTP <status>'."""
    try:
        fn(*args, **kw)
        return 0
    except CimError as e:
        return e.code
    except HttpError as e:
        return f"HTTP {e.status}"


def audit(s=None):
    return [l for l in (s or server).errors().splitlines() if "audit: " in l]


# -- every operation of DSP0200, by the name that it has in src/cim/request.h --

CLASS = f'<CLASSNAME NAME="{NODE}"/>'
QUALIFIER = '<QUALIFIER.DECLARATION NAME="Q" TYPE="boolean"/>'


def value(text):
    return f"<VALUE>{text}</VALUE>"


def opened(c, op="OpenEnumerateInstances"):
    """An enumeration with something left."""
    return c.open(op, [("ClassName", c._class("CIM_ManagedElement"))], MaxObjectCount=1)[1]


READS = {
    "GetClass": lambda c: c.imethod("GetClass", [("ClassName", CLASS)]),
    "EnumerateClasses": lambda c: c.imethod("EnumerateClasses", [("ClassName", CLASS)]),
    "EnumerateClassNames": lambda c: c.imethod("EnumerateClassNames"),
    "GetInstance": lambda c: c.get(node),
    "EnumerateInstances": lambda c: c.enum(NODE),
    "EnumerateInstanceNames": lambda c: c.names(NODE),
    "Associators": lambda c: c.walk("Associators", node),
    "AssociatorNames": lambda c: c.walk("AssociatorNames", node),
    "References": lambda c: c.walk("References", node),
    "ReferenceNames": lambda c: c.walk("ReferenceNames", node),
    "ExecQuery": lambda c: c.query(f"SELECT * FROM {NODE}"),
    "GetProperty": lambda c: c.imethod("GetProperty", [
        ("InstanceName", node.name_xml()), ("PropertyName", value("ElementName"))]),
    "GetQualifier": lambda c: c.imethod("GetQualifier", [("QualifierName", value("Key"))]),
    "EnumerateQualifiers": lambda c: c.imethod("EnumerateQualifiers"),
    "OpenEnumerateInstances": lambda c: opened(c),
    "OpenEnumerateInstancePaths": lambda c: opened(c, "OpenEnumerateInstancePaths"),
    "OpenReferenceInstances": lambda c: c.open("OpenReferenceInstances", [
        ("InstanceName", node.name_xml())]),
    "OpenReferenceInstancePaths": lambda c: c.open("OpenReferenceInstancePaths", [
        ("InstanceName", node.name_xml())]),
    "OpenAssociatorInstances": lambda c: c.open("OpenAssociatorInstances", [
        ("InstanceName", node.name_xml())]),
    "OpenAssociatorInstancePaths": lambda c: c.open("OpenAssociatorInstancePaths", [
        ("InstanceName", node.name_xml())]),
    "OpenQueryInstances": lambda c: c.open("OpenQueryInstances", [
        ("FilterQuery", value(f"SELECT * FROM {NODE}")),
        ("FilterQueryLanguage", value("DMTF:CQL"))]),
    "PullInstancesWithPath": lambda c: c.pull("PullInstancesWithPath", opened(c), 1),
    "PullInstancePaths": lambda c: c.pull("PullInstancePaths",
                                          opened(c, "OpenEnumerateInstancePaths"), 1),
    "PullInstances": lambda c: c.pull("PullInstances", c.open("OpenQueryInstances", [
        ("FilterQuery", value("SELECT * FROM CIM_ManagedElement")),
        ("FilterQueryLanguage", value("DMTF:CQL"))], MaxObjectCount=1)[1], 1),
    "CloseEnumeration": lambda c: c.close_enumeration(opened(c)),
    "EnumerationCount": lambda c: c.imethod("EnumerationCount", [
        ("EnumerationContext", value(opened(c)))]),
}
WRITES = {
    "CreateInstance": lambda c: c.create(GROUP, {"ElementName": "made"}),
    "ModifyInstance": lambda c: c.modify(node, {"ElementName": "changed"}),
    "DeleteInstance": lambda c: c.delete(node),
    "SetProperty": lambda c: c.imethod("SetProperty", [
        ("InstanceName", node.name_xml()), ("PropertyName", value("ElementName")),
        ("NewValue", value("changed"))]),
    "CreateClass": lambda c: c.imethod("CreateClass", [("NewClass", '<CLASS NAME="X"/>')]),
    "ModifyClass": lambda c: c.imethod("ModifyClass", [("ModifiedClass", '<CLASS NAME="X"/>')]),
    "DeleteClass": lambda c: c.imethod("DeleteClass", [("ClassName", CLASS)]),
    "SetQualifier": lambda c: c.imethod("SetQualifier", [("QualifierDeclaration", QUALIFIER)]),
    "DeleteQualifier": lambda c: c.imethod("DeleteQualifier", [("QualifierName", value("Key"))]),
    "InvokeMethod": lambda c: c.invoke(service, "CreateiSCSINode", Alias="nobody's"),
}


def unchanged():
    """All that can be seen, but for what counts and what tells the time."""
    seen = {}
    for ns in SPACES:
        c = client(ADMIN, ns=ns)
        for top in c.imethod("EnumerateClassNames").iter("CLASSNAME"):
            for i in c.enum(top.get("NAME")):
                if "Statistic" not in i.cls:
                    seen[(ns, i.path)] = {k: v for k, v in i.items()
                                          if not re.search("Time|Date|Age|Percent", k)}
    return seen


def methods(c, ns):
    """(class, method name, is static) of every method of every class."""
    for cls in c._list(c.imethod("EnumerateClasses", c._flags({
            "DeepInheritance": True, "LocalOnly": False, "IncludeQualifiers": True}), ns)):
        for m in cls.findall("METHOD"):
            yield cls.get("NAME"), m.get("NAME")


def targets(c, ns):
    """Every method once for each class that has it, on an instance where there is one."""
    for cls, name in methods(c, ns):
        paths = c.names(cls, ns)
        yield (paths[0] if paths else Path(cls, {}, ns)), name


@test
def the_lists_here_have_every_operation():
    text = (smi.ROOT / "src/cim/request.h").read_text()
    body = text[text.index("enum cim_op {"):text.index("CIM_N_OPS")]
    ops = {"".join(w.capitalize() for w in m.lower().split("_"))
           for m in re.findall(r"CIM_OP_(\w+)", body)}
    check(ops, set(READS) | set(WRITES))


@test
def nobody_may_nothing():
    for op, call in {**READS, **WRITES}.items():
        nobody = client()
        # what needs a context needs somebody who has one
        if op.startswith(("Pull", "Close", "EnumerationC")):
            context = opened(admin)
            call = (lambda c: c.close_enumeration(context)) if op.startswith("Close") else \
                (lambda c: c.imethod("EnumerationCount", [("EnumerationContext", value(context))])) \
                if op.startswith("EnumerationC") else (lambda c: c.pull(op, context, 1))
        try:
            call(nobody)
            raise AssertionError(f"nobody may {op}")
        except HttpError as e:
            check((e.status, e.headers.get("WWW-Authenticate")), (401, 'Basic realm="smiscsi"'), op)
    n, stranger = 0, client()
    for ns in SPACES:
        for path, name in targets(admin, ns):
            check(outcome(stranger.invoke, path, name, ns), "HTTP 401", f"{path} {name}")
            n += 1
    check(n > 100, True, f"{n} methods")


@test
def who_may_read_reads_everything_and_changes_nothing():
    before = unchanged()
    lines = len(audit())
    for op, call in READS.items():
        check(outcome(call, reader), 0, op)
    for op, call in WRITES.items():
        check(outcome(call, reader), ACCESS_DENIED, op)
    check(len(audit()), lines + len(WRITES), "every attempt has a line, no reading has")
    for l in audit()[lines:]:
        check(f"user={READ[0]} " in l and "result=CIM_ERR_ACCESS_DENIED" in l, True, l)
    allowed = set()
    for ns in SPACES:
        for path, name in targets(reader, ns):
            r = outcome(reader.invoke, path, name, ns)
            if r != ACCESS_DENIED:
                allowed.add(name)
    check(allowed, READ_ONLY_METHODS, "methods that who may only read may call")
    check(unchanged(), before, "nothing has changed")


@test
def an_admin_may_everything():
    for op, call in READS.items():
        check(outcome(call, admin), 0, op)
    for op, call in WRITES.items():
        # what the model refuses it refuses for another reason; the node stays
        if op != "DeleteInstance":
            r = outcome(call, admin)
            check(r in (ACCESS_DENIED, "HTTP 401"), False, f"{op}: {r}")
    made = [g for g in admin.enum(GROUP) if g["ElementName"] == "made"]
    check(len(made), 1, "CreateInstance")
    check(outcome(admin.delete, made[0].path), 0, "DeleteInstance")
    check(len([g for g in admin.enum(GROUP) if g["ElementName"] == "made"]), 0)
    for ns in SPACES:
        for path, name in targets(admin, ns):
            r = outcome(admin.invoke, Path(path.cls, {}, ns), name, ns)
            check(r in (ACCESS_DENIED, "HTTP 401"), False, f"{path.cls} {name}: {r}")
    code, out = admin.invoke(service, "CreateiSCSINode", Alias="beta")
    check(code, 0)
    check(admin.invoke(service, "DeleteiSCSINode", iSCSINode=out["iSCSINode"])[0], 0)


@test
def an_enumeration_is_of_no_use_to_others():
    context = opened(admin)
    for who in (READ, ADMIN):
        check(outcome(client(who).pull, "PullInstancesWithPath", context, 1),
              21 if who == READ else 0, who[0])
    check(outcome(reader.close_enumeration, context), 21)
    check(outcome(reader.imethod, "EnumerationCount", [("EnumerationContext", value(context))]), 21)
    check(outcome(admin.close_enumeration, context), 0)


@test
def accounts_change_under_a_running_server():
    c = client(("temp", "first-pass"))
    check(outcome(c.names, NODE), "HTTP 401")
    user(server.state, "add", "temp", password="first-pass")
    check(outcome(c.names, NODE), 0)
    check(outcome(WRITES["InvokeMethod"], c), ACCESS_DENIED, "read is the role when none is named")
    user(server.state, "passwd", "temp", password="second-pass")
    check(outcome(c.names, NODE), "HTTP 401", "the old password")
    c = client(("temp", "second-pass"))
    check(outcome(c.names, NODE), 0)
    user(server.state, "add", "temp", "--role", "admin", password="third-pass")
    c = client(("temp", "third-pass"))
    check(c.invoke(service, "CreateiSCSINode", Alias="by temp")[0], 0)
    user(server.state, "remove", "temp")
    check(outcome(c.names, NODE), "HTTP 401")
    for words in ("added role=read", "has another password", "changed role=admin", "removed"):
        check(any(f"account temp {words}" in l for l in audit()), True, words)
    # noticed without anybody asking, too
    user(server.state, "add", "quiet", "--login", "certificate")
    wait_for("the server to notice", lambda: any("account quiet added" in l for l in audit()), 3)
    user(server.state, "remove", "quiet")


def raw(s, authorization):
    """The HTTP status of a plain EnumerateInstanceNames with these Authorization headers."""
    c = client(s=s)
    body = c.imethod_body("EnumerateInstanceNames", [("ClassName", c._class(NODE))])
    h = c.headers("EnumerateInstanceNames", NS)
    head = "POST /cimom HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + \
        "".join(f"{k}: {v}\r\n" for k, v in h.items()) + f"Content-Length: {len(body)}\r\n"
    with socket.create_connection((s.addr, s.http), timeout=30,
                                  source_address=(smi.loopback(), 0)) as k:
        k.sendall(head.encode() + b"".join(b"Authorization: " + a + b"\r\n" for a in authorization)
                  + b"\r\n" + body)
        return int(k.makefile("rb").readline().split()[1])


def basic(text):
    return b"Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode())


@test
def what_is_not_a_login_is_denied():
    good = basic(":".join(ADMIN))
    check(raw(server, [good]), 200)
    check(raw(server, [good.replace(b"Basic", b"bAsIc")]), 200, "the scheme has no case")
    for bad in ([], [b""], [b"Basic"], [b"Basic "], [b"Basic !!!!"], [basic("")], [basic(":")],
                [basic("boss")], [basic("boss:")], [basic(":" + ADMIN[1])],
                [basic(f"BOSS:{ADMIN[1]}")], [basic(f"boss:{ADMIN[1]}x")],
                [basic(f"boss\0:{ADMIN[1]}")], [basic(f"boss:{ADMIN[1]}\0")],
                [basic(b"\xff\xfe:x")], [basic("(local):x")], [basic("(anyone):x")],
                [basic("b" * 5000 + ":x")], [basic("boss:" + "p" * 5000)],
                [good.replace(b"Basic", b"Bearer")], [b"Digest username=boss"],
                [good + b"=x"], [good, good], [basic("eve:x"), good], [good, basic("eve:x")]):
        check(raw(server, bad), 401, str(bad)[:80])


@test
def no_file_and_an_unreadable_file_let_nobody_in():
    s = smi.Server(engine="fake", auth=True).start()
    check((s.state / "users").exists(), False)
    check(raw(s, [basic(":".join(ADMIN))]), 401)
    check(raw(s, [basic(":")]), 401)
    user(s.state, "add", "boss", password="x")
    check(raw(s, [basic("boss:x")]), 200)
    file = s.state / "users"
    good = file.read_text()
    hash = good.split(":", 2)[2]
    for bad in (f"boss:root:{hash}", f"boss::{hash}", f"boss:{hash}", "boss:admin:\n", "nonsense\n",
                good + "\n\x00\n"):
        file.write_text(bad)
        check(raw(s, [basic("boss:x")]), 401, bad)
    for bad in ("boss:admin:!\n", "boss:admin:*\n", "boss:admin:x\n", "boss:nobody:" + hash, ""):
        file.write_text(bad)
        for password in ("x", "", "!", "*"):
            check(raw(s, [basic(f"boss:{password}")]), 401, f"{bad} {password}")
    file.write_text(good)
    check(raw(s, [basic("boss:x")]), 200)
    file.chmod(0o644)
    check(raw(s, [basic("boss:x")]), 401, "a file that others can read")
    file.chmod(0o600)
    check(raw(s, [basic("boss:x")]), 200)
    check("nobody is let in: " in s.errors(), True)
    file.write_text("boss:root:x\n")
    s.stop()
    code, _, err = run(smi.BUILD / "smiscsid", "--state", s.state, "--http", f"{s.addr}:{s.http}",
                       "--engine", "fake", "--portal", smi.loopback())
    check(code, 1)
    check("users:1" in err, True, err)


@test
def the_file_is_only_for_the_server():
    file = server.state / "users"
    check(file.stat().st_mode & 0o777, 0o600)
    text = file.read_text()
    check(READ[1] in text or ADMIN[1] in text, False, "passwords are hashed")
    if os.geteuid() == 0:
        d = smi.temp_dir()
        os.chown(d, 65534, 65534)
        user(d, "add", "ann", password="x")
        check((d / "users").stat().st_uid, 65534, "the folder's owner can read what root writes")
    # many changes at once: none is lost
    d = smi.temp_dir()
    threads = [threading.Thread(target=user, args=(d, "add", f"u{i}"), kwargs={"password": "x"})
               for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(len((d / "users").read_text().splitlines()), 8)
    check(user(d, "add", "a:b", password="x", ok=1) != "", True)
    check(user(d, "add", "(local)", password="x", ok=1) != "", True)
    check(user(d, "add", "ann", password="", ok=1) != "", True)
    check(user(d, "add", "ann", "--role", "root", password="x", ok=1) != "", True)
    check(user(d, "passwd", "nobody", password="x", ok=1) != "", True)
    check(user(d, "remove", "nobody", ok=1) != "", True)


@test
def guessing_is_slowed_and_logged_and_the_others_are_served():
    s = smi.Server(engine="fake", auth=True).start()
    user(s.state, "add", *ADMIN[:1], "--role", "admin", password=ADMIN[1])
    other = client(ADMIN, s=s)
    check(outcome(other.names, NODE), 0)
    thief = smi.loopback()
    stop, answers = threading.Event(), []

    def guess():
        c = client(("boss", "guess"), source=thief, s=s)
        while not stop.is_set():
            answers.append(outcome(c.names, NODE))

    threads = [threading.Thread(target=guess) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        wait_for("the guesser to be put off", lambda: "HTTP 503" in answers)
        slowest = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            began = time.monotonic()
            check(outcome(other.names, NODE), 0, "somebody else, meanwhile")
            slowest = max(slowest, time.monotonic() - began)
        check(slowest < 1, True, f"served within {slowest:.3f} s")
        check(outcome(client(ADMIN, source=thief, s=s).names, NODE), "HTTP 503",
              "even the right password has to wait there")
    finally:
        stop.set()
        for t in threads:
            t.join()
    check(answers.count("HTTP 401") <= 12, True, f"{answers.count('HTTP 401')} guesses looked at")
    check(set(answers), {"HTTP 401", "HTTP 503"})
    lines = [l for l in s.errors().splitlines() if "login" in l and thief in l]
    check(any("login failed user=boss" in l for l in lines), True)
    check(any("put off" in l for l in lines), True)
    check(len(lines) < 40, True, f"{len(lines)} lines for {len(answers)} tries")
    check("guess" in s.errors(), False, "what was tried is not in the log")
    wait_for("the wait to end", lambda: outcome(client(ADMIN, source=thief, s=s).names, NODE) == 0,
             40)


@test
def a_flood_of_logins_keeps_nobody_waiting_who_is_in():
    s = smi.Server(engine="fake", auth=True).start()
    user(s.state, "add", *ADMIN[:1], "--role", "admin", password=ADMIN[1])
    other = client(ADMIN, s=s)
    check(outcome(other.names, NODE), 0)
    stop, answers = threading.Event(), []

    def guess():
        while not stop.is_set():  # each from an address that has not failed yet
            try:
                answers.append(outcome(client(("boss", "guess"), s=s).names, NODE))
            except (OSError, http.client.HTTPException):
                return  # the server has stopped

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for t in threads:
        t.start()
    try:
        wait_for("the flood", lambda: len(answers) > 20, 30)
        times = []
        for _ in range(50):
            began = time.monotonic()
            check(outcome(other.names, NODE), 0)
            times.append(time.monotonic() - began)
        times.sort()
        check(times[len(times) // 2] < 0.1, True, f"half within {times[len(times) // 2]:.3f} s")
        check(outcome(client(ADMIN, s=s).names, NODE), 0, "and somebody new gets in")
        check(s.stop(), 0, "and it stops while passwords wait to be checked")
    finally:
        stop.set()
        for t in threads:
            t.join()
    check(set(answers) <= {"HTTP 401", "HTTP 503"}, True, str(set(answers)))


@test
def every_change_has_one_line_with_who_what_and_result():
    s = server
    lines = len(audit())

    def new():
        nonlocal lines
        all = audit()
        wait_for("the line", lambda: len(audit()) > lines)
        got = audit()[lines:]
        check(len(got), 1, "\n".join(got))
        lines += 1
        return got[0]

    code, out = admin.invoke(service, "CreateiSCSINode", Alias="gamma")
    check(code, 0)
    made = out["iSCSINode"]
    l = new()
    for part in (f"user={ADMIN[0]} peer=127.", "result=0 CreateiSCSINode ", SERVICE, "Alias=...",
                 made.keys["DeviceID"]):
        check(part in l, True, f"{part} in {l}")
    check(admin.invoke(service, "CreateiSCSIProtocolEndpoint", iSCSINode=made, Role=2)[0] != 0, True)
    l = new()
    check("result=0 " not in l and " Role=2" in l and made.keys["DeviceID"] in l, True, l)
    check(outcome(admin.invoke, service, "CreateiSCSINode", Nonsense="x"), 4)
    check("result=CIM_ERR_INVALID_PARAMETER CreateiSCSINode" in new(), True)
    check(outcome(admin.invoke, service, "NoSuchMethod"), 17)
    check("result=CIM_ERR_METHOD_NOT_FOUND NoSuchMethod" in new(), True)
    group = admin.create(GROUP, {"ElementName": "another-text"})
    l = new()
    check("result=0 CreateInstance " + GROUP in l and "ElementName=..." in l, True, l)
    check("another-text" in l, False, "text is not logged: it could be a secret")
    check(group.keys["InstanceID"] in l, True, l)
    admin.delete(group, NS)
    l = new()
    check("result=0 DeleteInstance" in l and group.keys["InstanceID"] in l, True, l)
    check(outcome(admin.delete, group, NS), 6)
    check("result=CIM_ERR_NOT_FOUND DeleteInstance" in new(), True)
    check(outcome(admin.modify, made, {"ElementName": "another-text"}), 0)
    l = new()
    check("result=0 ModifyInstance" in l and "ElementName=..." in l, True, l)
    check(outcome(admin.modify, Path(NODE, {**made.keys, "DeviceID": "gone"}, NS),
                  {"ElementName": "x"}), 6)
    check("result=CIM_ERR_NOT_FOUND ModifyInstance" in new(), True)
    check(outcome(admin.create, NODE, {"ElementName": "x"}) != 0, True)
    check("CreateInstance " + NODE in new(), True)
    check(outcome(WRITES["DeleteClass"], admin), 7)
    check("result=CIM_ERR_NOT_SUPPORTED DeleteClass" in new(), True)
    check(outcome(admin.delete, Path(NODE, {"DeviceID": "a\nforged audit: line"}, NS)) != 0, True)
    l = new()
    check("\\x0aforged" in l, True, l)
    check(admin.invoke(service, "DeleteiSCSINode", iSCSINode=made)[0], 0)
    check("result=0 DeleteiSCSINode" in new(), True)


@test
def the_audit_does_not_depend_on_the_log_level():
    s = smi.Server(engine="fake", args=["--log-level", "error"]).start()
    c = client(s=s)
    check(c.invoke(c.names(SERVICE)[0], "CreateiSCSINode", Alias="x")[0], 0)
    check(["user=(anyone) peer=127." in l and "CreateiSCSINode" in l for l in audit(s)], [True])


@test
def passwords_are_neither_in_the_log_nor_in_arguments():
    secret = "provider-pass-Kq3"
    seen = set()
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            for p in pathlib.Path("/proc").iterdir():
                if p.name.isdigit():
                    try:
                        seen.add((p / "cmdline").read_bytes())
                    except OSError:
                        pass

    t = threading.Thread(target=watch)
    t.start()
    try:
        env = {**os.environ, "SMISCSI_PASSWORD": ADMIN[1], "SMISCSI_PROVIDER_PASSWORD": secret}
        port = smi.free_port(server.addr)
        cli = [smi.BUILD / "smiscsi", "--url", server.url, "--user", ADMIN[0]]
        run(*cli, "node", "list", env=env, ok=0)
        run(*cli, "sm", "discover", f"http://{server.addr}:{port}", "--provider-user", "them",
            env=env, ok=1)
        run(*cli, "node", "list", env={**env, "SMISCSI_PASSWORD": "wrong-pass-Jd1"}, ok=1)
        user(server.state, "add", "temp", password="first-pass")
    finally:
        stop.set()
        t.join()
    secrets = (READ[1], ADMIN[1], secret, "wrong-pass-Jd1", "first-pass")
    check(any(b"sm\0discover" in c for c in seen), True, "the watcher saw the command")
    for word in secrets:
        check(any(word.encode() in c for c in seen), False, f"{word} in a process's arguments")
        check(word in server.errors(), False, f"{word} in the log")
    check("StartDiscovery" in "".join(audit()), True)


@test
def the_server_says_how_it_wants_to_be_asked():
    def mechanisms(c):
        return [i["AuthenticationMechanismsSupported"]
                for i in c.enum("CIM_ObjectManagerCommunicationMechanism", "interop")]

    check(mechanisms(reader), [[3], [3]], "Basic, over HTTP and HTTPS")
    check(mechanisms(client(s=smi.Server(engine="fake").start())), [[2]], "None")


@test
def off_the_loopback_nothing_is_plain_or_open_unless_asked_for():
    """In a network namespace with an address of its own."""
    if run("unshare", "-n", "true")[0]:
        raise smi.Skip("no network namespaces here")
    d = smi.temp_dir()
    user(d, "add", "ann", password="x")
    script = f"""
        ip addr add 198.51.100.7/24 dev lo; ip link set lo up
        exec "$@" --state {d} --engine fake --default-portals no
    """
    start = ["unshare", "-n", "sh", "-ec", script, "sh", str(smi.BUILD / "smiscsid")]
    for bad, word in ((["--http", "198.51.100.7:5988"], "--plain-http"),
                      (["--http", "0.0.0.0:5988"], "--plain-http"),
                      (["--http", "[::]:5988"], "--plain-http"),
                      (["--http", "198.51.100.7:5988", "--plain-http", "--no-auth"], "--no-auth"),
                      (["--https", "198.51.100.7:5989", "--no-auth"], "--no-auth"),
                      (["--https", "0.0.0.0:5989", "--no-auth"], "--no-auth")):
        code, _, err = run(*start, *bad, timeout=30)
        check((code, word in err), (2, True), f"{bad}: {err}")
    s = smi.Server(wrapper=start[:-1], engine="fake", auth=True, portals=[])
    s.addr, s.http, s.state = "198.51.100.7", 5988, d / "s"
    s.args = ["--plain-http", "--https", "0.0.0.0:5989"]
    # the script's own options come last
    s.wrapper[4] = script.replace(f"--state {d} ", "")
    s.start()
    user(s.state, "add", "ann", password="x")

    def inside(*cmd, ok=0):
        return run("nsenter", "-n", "-t", s.proc.pid, *cmd, ok=ok)

    url = "https://198.51.100.7:5989/cimom"
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
            s.state / "tls/cert.pem", "-X", "POST", "-H", "Content-Type: application/xml"]
    check(inside(*curl, "-H", "CIMOperation: MethodCall", "-H", "CIMMethod: EnumerateClassNames",
                 "-H", "CIMObject: interop", url)[1], "401", "every address is in the certificate")
    check(run(smi.BUILD / "smiscsi", "--version", ok=0)[0], 0)
    env = ["env", "SMISCSI_PASSWORD=x", str(smi.BUILD / "smiscsi"), "--user", "ann"]
    inside(*env, "--url", "https://198.51.100.7:5989", "--cacert", s.state / "tls/cert.pem", "node",
           "list")
    inside(*env, "--url", "http://198.51.100.7:5988", "node", "list")
    s.stop()


smi.main()
