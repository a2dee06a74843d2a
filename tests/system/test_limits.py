#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each limit on what a client can make the server keep: its setting works, its answer is the
documented one, and others go on."""
import re, socket, time
from xml.sax.saxutils import escape

import smi
from cimclient import CimError, Client, HttpError, Path
from smi import NS, check, test

server = smi.Server(portals=2, engine="fake", args=[
    "--max-body", "65536", "--max-contexts", "5", "--max-contexts-per-user", "3", "--max-pull", "2",
    "--pull-time", "1", "--max-pull-time", "5", "--max-query", "100", "--idle-time", "2",
    "--max-connections", "20", "--max-request-memory", "4194304"]).start()
c = Client(server.addr, server.http, NS)
plain = smi.Server(portals=1, engine="fake").start() # every limit as it is by default


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
    global c
    if c.conn:
        c.conn.close()
    c = Client(server.addr, server.http, NS)
    held = [socket.create_connection((server.addr, server.http), timeout=10) for _ in range(20)]
    time.sleep(0.5)
    late = Client(server.addr, server.http, NS, timeout=1)
    try:
        late.query("SELECT * FROM CIM_System")
        raise AssertionError("a connection more than max-connections was served")
    except TimeoutError:
        pass
    late.conn.close()
    for s in held:
        s.close()
    check(status(c.query, "SELECT * FROM CIM_System"), 0)


@test
def connections_of_one_address_above_their_maximum_are_closed():
    s = smi.Server(portals=1, engine="fake", args=["--max-connections-per-address", "3"]).start()
    held = [Client(s.addr, s.http, NS, timeout=5) for _ in range(3)]
    for h in held:
        h.query("SELECT * FROM CIM_System")
    fourth = Client(s.addr, s.http, NS, timeout=5)
    try:
        fourth.query("SELECT * FROM CIM_System")
        raise AssertionError("a fourth connection was served")
    except OSError:
        pass
    held.pop().conn.close()

    def served():
        try:
            return Client(s.addr, s.http, NS, timeout=5).query("SELECT * FROM CIM_System")
        except OSError: # its end has not been seen yet
            return None

    smi.wait_for("room for another", served)
    s.stop()


def asked_at_once(s, n):
    """The statuses of n requests with wrong passwords that come at once, over open connections."""
    body = c.imethod_body("EnumerateClassNames", [])
    socks = []
    for i in range(n):
        k = Client(s.addr, s.http, NS, "nobody", f"guess{i}")
        head = "POST /cimom HTTP/1.1\r\nHost: x\r\n" + "".join(
            f"{a}: {b}\r\n" for a, b in k.headers("EnumerateClassNames", NS).items())
        x = socket.create_connection((s.addr, s.http), timeout=30)
        socks.append((x, head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body))
    for x, request in socks:
        x.sendall(request)
    got = [x.recv(100).split()[1].decode() for x, _ in socks]
    for x, _ in socks:
        x.close()
    return got


@test
def passwords_above_max_logins_are_503():
    for option in ("--max-logins", "--max-logins-per-address"):
        s = smi.Server(portals=1, engine="fake", auth=True, args=[option, "2"]).start()
        # as many as are being checked and may wait are checked; of many more some are not
        check(set(asked_at_once(s, 2)), {"401"}, option)
        check(set(asked_at_once(s, 30)), {"401", "503"}, option)
        s.stop()


class Bound:
    """One bound of a request's document: how a request that reaches n of it is made, and what is
    answered to one more. """

    def __init__(self, option, usual, other, make, too_much):
        self.option, self.usual, self.other = option, usual, other
        self.make, self.too_much = make, too_much


def get(path_xml, client):
    return client.imethod("GetInstance", [("InstanceName", path_xml)])


def path_of(keys):
    return '<INSTANCENAME CLASSNAME="CIM_System">' + "".join(
        f'<KEYBINDING NAME="K{i}"><KEYVALUE>1</KEYVALUE></KEYBINDING>' for i in range(keys)) + \
        "</INSTANCENAME>"


def deep(n, client):
    # CIM MESSAGE SIMPLEREQ IMETHODCALL IPARAMVALUE are five
    inner = "<VALUE.ARRAY>" * (n - 6) + "<VALUE></VALUE>" + "</VALUE.ARRAY>" * (n - 6)
    return client.imethod("EnumerateInstances", [("ClassName", client._class("CIM_System")),
                                                 ("PropertyList", inner)])


def attributes(n, client):
    body = client.imethod_body("GetInstance", [("InstanceName", path_of(1))]).replace(
        b"<INSTANCENAME ", b"<INSTANCENAME " + b"".join(b'A%d="" ' % i for i in range(n - 1)))
    return client.call(body, client.headers("GetInstance", NS))


def references(n, client):
    p = "<INSTANCENAME CLASSNAME='CIM_System'/>"
    for _ in range(n - 1):
        p = f"<INSTANCENAME CLASSNAME='CIM_System'><KEYBINDING NAME='K'><VALUE.REFERENCE>{p}" \
            "</VALUE.REFERENCE></KEYBINDING></INSTANCENAME>"
    return get(p, client)


def embedded(n, client):
    inner = "<INSTANCE CLASSNAME='CIM_System'></INSTANCE>"
    for _ in range(n - 1):
        inner = "<INSTANCE CLASSNAME='CIM_System'><PROPERTY NAME='P' TYPE='string' " \
            f"EmbeddedObject='instance'><VALUE>{escape(inner)}</VALUE></PROPERTY></INSTANCE>"
    return client.imethod("CreateInstance", [
        ("NewInstance", "<INSTANCE CLASSNAME='CIM_System'><PROPERTY NAME='P' TYPE='string' "
         f"EmbeddedObject='instance'><VALUE>{escape(inner)}</VALUE></PROPERTY></INSTANCE>")])


def array(n, client):
    return client.enum("CIM_System", PropertyList=["Name"] * n)


def name(n, client):
    return client.imethod("GetClass", [("ClassName", client._class("C" * n))])


def namespace(n, client):
    ns = "n" * (n - 2) + "/m"
    return client.imethod("EnumerateClassNames", [], ns)


def head(n, client):
    headers = client.headers("EnumerateClassNames", NS)
    headers["X-Filler"] = "x" * (n - 100)
    return client.call(client.imethod_body("EnumerateClassNames", []), headers)


def method(n, client):
    return client.invoke(Path("CIM_System"), "Nothing", **{f"P{i}": "1" for i in range(n)})


def filtered(text, client, class_="CIM_System"):
    """OpenEnumerateInstances with a filter query, closed again."""
    _, context = client.open("OpenEnumerateInstances", cls(class_), MaxObjectCount=0,
                             FilterQueryLanguage="DMTF:FQL", FilterQuery=text)
    if context:
        client.close_enumeration(context)


def filter_of(n):
    """A filter query of n bytes with much in it."""
    text = "Name = 'x' OR " * ((n - 9) // 14)
    return text + "Name = '" + "x" * (n - len(text) - 9) + "'"


BAD = (-400, "request-not-valid")
PARAMETER = (4, None)
QUERY = (15, None)
BOUNDS = [
    Bound("max-depth", 64, 20, deep, BAD),
    Bound("max-attributes", 16, 10, attributes, BAD),
    Bound("max-name", 1024, 300, name, BAD),
    Bound("max-namespace", 1024, 100, namespace, BAD),
    Bound("max-array", 65536, 50, array, PARAMETER),
    Bound("max-keys", 64, 20, lambda n, k: get(path_of(n), k), PARAMETER),
    Bound("max-keys", 64, 20, method, PARAMETER),
    Bound("max-path-depth", 8, 3, references, PARAMETER),
    Bound("max-embedded-depth", 4, 2, embedded, PARAMETER),
    Bound("max-query", 65536, 400, lambda n, k: filtered(filter_of(n), k), QUERY),
    Bound("max-query", 65536, 400, lambda n, k: k.query(
        "SELECT * FROM CIM_System WHERE " + filter_of(n - 31)), QUERY),
    # the condition's own comparison is inside them all
    Bound("max-query-depth", 32, 5, lambda n, k: filtered(
        "(" * (n - 1) + "Name IS NULL" + ")" * (n - 1), k), QUERY),
    Bound("max-query-names", 256, 20, lambda n, k: k.query(
        "SELECT " + ",".join(["Name"] * n) + " FROM CIM_System"), QUERY),
    Bound("max-query-names", 256, 20, lambda n, k: filtered(
        " OR ".join(f"N{i} = 1" for i in range(n)), k), QUERY),
    Bound("max-query-chain", 8, 3, lambda n, k: filtered(".".join("N" * n) + " = 1", k), QUERY),
    Bound("max-pattern", 256, 30, lambda n, k: filtered("Name LIKE '" + "." * n + "'", k), QUERY),
]


def answer(fn, n, client):
    """(CIM status or -HTTP status, CIMError, text)"""
    try:
        fn(n, client)
        return 0, None, ""
    except CimError as e:
        return e.code, None, e.text
    except HttpError as e:
        return -e.status, e.cimerror, e.headers.get("WBEMMessage", "")


def at_the_bounds(client, which):
    for b in BOUNDS:
        n = getattr(b, which)
        code, _, text = answer(b.make, n, client)
        what = f"--{b.option} {n}, {n} of it: {code} {text}"
        check(code == -400 or "allowed" in text or "inside each other" in text or
              "more than" in text, False, what)
        code, error, text = answer(b.make, n + 1, client)
        what = f"--{b.option} {n}, one more: {text}"
        check((code, error), b.too_much, what)
        check(str(n) in text, True, what)


@test
def a_document_may_reach_each_bound_and_not_pass_it():
    at_the_bounds(c2 := Client(plain.addr, plain.http, NS), "usual")
    check(len(c2.enum("CIM_ObjectManager", ns="interop")), 1)


@test
def each_bound_of_a_document_is_a_setting():
    args = [a for b in BOUNDS for a in (f"--{b.option}", str(b.other))]
    s = smi.Server(portals=1, engine="fake", args=args).start() # the SM layer's requests fit, too
    at_the_bounds(Client(s.addr, s.http, NS), "other")
    s.stop()


@test
def headers_above_max_headers_are_431():
    s = smi.Server(portals=1, engine="fake", args=["--max-headers", "8192"]).start()
    for server_, most in ((plain, 65536), (s, 8192)):
        check(answer(head, most // 2, Client(server_.addr, server_.http, NS))[0], 0, most)
        for line, want in ((b"POST /cimom HTTP/1.1\r\nX: " + b"x" * most, b"431"),
                           (b"POST /" + b"x" * most, b"414")):
            # no further than the server reads, or its answer is lost with the connection
            with socket.create_connection((server_.addr, server_.http), timeout=10) as raw:
                raw.sendall(line[:most])
                check(raw.recv(100).split()[1:2], [want], most)
    s.stop()


@test
def bodies_above_max_bodies_together_are_503():
    s = smi.Server(portals=1, engine="fake", args=["--max-bodies", "200000"]).start()
    body = b"x" * 150000
    head = b"POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection((s.addr, s.http), timeout=10) as first, \
            socket.create_connection((s.addr, s.http), timeout=10) as second:
        first.sendall(head + body[:1000])
        time.sleep(0.3)
        second.sendall(head)
        check(second.recv(100).split()[1], b"503")
        first.sendall(body[1000:])
        check(first.recv(100).split()[1], b"400")
    check(status(Client(s.addr, s.http, NS).query, "SELECT * FROM CIM_System"), 0)
    s.stop()


@test
def a_request_above_max_request_memory_is_413():
    s = smi.Server(portals=1, engine="fake", args=["--max-request-memory", "1048576"]).start()
    k = Client(s.addr, s.http, NS)
    check(status(array, 1000, k), 0)
    check(status(array, 60000, k), -413)
    check(status(array, 1000, k), 0)
    s.stop()


@test
def an_open_enumeration_above_max_context_memory_exceeds_the_servers_limits():
    s = smi.Server(portals=1, engine="fake", args=["--max-context-memory", "1048576"]).start()
    k = Client(s.addr, s.http, NS)
    small = Client(plain.addr, plain.http, NS) # where it is 4 MiB: as long a query as may be fits
    much = "a.a.a.a.a.a.a.a=1 OR " * 3000 + "a=1"
    check(status(filtered, much, small), 0)
    check(status(filtered, much, k), 27)
    check(status(filtered, "a=1 OR " * 2000 + "a=1", k), 0)
    for client, want in ((small, 0), (k, 27)): # the list of names is remembered, too
        check(status(client.open, "OpenEnumerateInstances", cls("CIM_System"), MaxObjectCount=100,
                     PropertyList=["x" * 100] * 10000), want)
    check(len(k.open("OpenEnumerateInstances", cls("CIM_ManagedElement"), MaxObjectCount=9999)[0]) >
          10, True)
    s.stop()


def take(sock, pause):
    """What comes until the end, a little at a time."""
    out = b""
    while True:
        try:
            got = sock.recv(20000 if pause else 1 << 20)
        except ConnectionResetError:
            return out
        if not got:
            return out
        out += got
        time.sleep(pause)


@test
def clients_that_take_their_answer_too_slowly_are_left():
    s = smi.Server(portals=1, engine="fake", args=["--stall-time", "2", "--answer-time", "4"]).start()
    k = Client(s.addr, s.http, NS)
    flags = [("DeepInheritance", "<VALUE>TRUE</VALUE>"), ("LocalOnly", "<VALUE>FALSE</VALUE>"),
             ("IncludeQualifiers", "<VALUE>TRUE</VALUE>"), ("IncludeClassOrigin", "<VALUE>TRUE</VALUE>")]
    body = k.imethod_body("EnumerateClasses", flags)
    fields = k.headers("EnumerateClasses", NS)
    _, _, whole = k.post(body, fields)
    raw = (f"POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n" +
           "".join(f"{n}: {v}\r\n" for n, v in fields.items()) + "\r\n").encode() + body
    idle = s.usage()["smiscsid"][1]

    def connect(window=4096):
        x = socket.socket()
        x.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        x.settimeout(20)
        x.connect((s.addr, s.http))
        # more than the socket's buffers hold
        x.sendall(raw * 7 + raw.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        return x

    print(f"# 8 answers of {len(whole)} bytes")
    with connect(1 << 20) as prompt:
        check(len(take(prompt, 0)) > 8 * len(whole), True)
    with connect() as stalled, connect() as slow:
        got = take(slow, 0.05)
        check(len(got) < 8 * len(whole), True)
        # nothing was taken from this one meanwhile: its descriptor is long gone
        smi.wait_for("the server to have left both", lambda: s.usage()["smiscsid"][1] <= idle)
        check(len(take(stalled, 0)) < 8 * len(whole), True)
    check(status(k.query, "SELECT * FROM CIM_System"), 0)
    s.stop()


@test
def the_table_of_limits_has_every_one_with_its_default():
    text = (smi.ROOT / "docs/limits.md").read_text()
    said = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+)", text, re.M))
    code, out, _ = smi.run(smi.BUILD / "smiscsid", "--help")
    told = dict(re.findall(r"^  --((?:max-|idle-|stall-|answer-|pull-time)[a-z-]*) .*"
                               r"\(default (\d+)\)", out, re.M))
    check(said, told)
    for b in BOUNDS:
        check(told[b.option], str(b.usual), b.option)


@test
def what_a_setting_may_be_is_said():
    for option in ("--max-body", "--max-contexts", "--idle-time"):
        code, _, err = smi.run(smi.BUILD / "smiscsid", option, "0")
        check((code, option[2:] in err), (2, True), err)


smi.main()
