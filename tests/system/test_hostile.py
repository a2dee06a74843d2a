#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Strangers who mean no good: each gets its documented answer, the others are served meanwhile, and
afterwards nothing of it is left in memory, descriptors or threads.  Latencies are printed, not
judged: a machine that runs tests is no measuring instrument."""
import os, random, re, resource, socket, statistics, struct, threading, time

# what is freed is to be seen as free in the build with ASan, too
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"

import smi
from cimclient import CimError, Client, HttpError, Path
from initiator import *
from smi import NS, Skip, check, run, test, wait_for

rnd = random.Random(5)
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

server = smi.Server(portals=1).start()
ADDRESS, PORTAL = server.portals[0], f"{server.portals[0]}:3260"
c = Client(server.addr, server.http, NS)


def service(name):
    return c.names(f"MSISCSITARGET_{name}Service")[0]


def setup():
    r, out = c.invoke(service("iSCSIConfiguration"), "CreateiSCSINode", Alias="hostile")
    node = out["iSCSINode"]
    c.invoke(service("iSCSIConfiguration"), "CreateiSCSIProtocolEndpoint", iSCSINode=node, Role=3,
             NetworkPortals=[Path("MSISCSITARGET_TCPProtocolEndpoint", {"Name": PORTAL})])
    r, out = c.invoke(service("StorageConfiguration"), "CreateOrModifyElementFromStoragePool",
                      ElementType=2, ElementName="v", Size=4 << 20)
    r, _ = c.invoke(service("ControllerConfiguration"), "AttachDevice", ProtocolController=node,
                    Device=out["TheElement"])
    check(r, 0)
    return node.keys["DeviceID"]


IQN = setup()
# ASan's allocator gives nothing back before it needs it elsewhere
SPARE_KB = 160 << 10 if "libasan" in open(f"/proc/{server.proc.pid}/maps").read() else 40 << 10
witness = Connection(ADDRESS, 3260, isid=b"\x80witnes").login(IQN)
witness.test_unit_ready()


def served():
    """A new client and a new initiator get what they ask for, and the old ones too."""
    n = Client(server.addr, server.http, NS, timeout=30)
    check(len(n.enum("CIM_SCSIProtocolController")) >= 1, True, "a new client is served")
    n.conn.close()
    check(len(c.names("MSISCSITARGET_TCPProtocolEndpoint")), 1, "an old client is served")
    i = Connection(ADDRESS, 3260, isid=b"\x80new%03d" % rnd.randrange(999)).login(IQN)
    i.test_unit_ready()
    check(len(i.read(0, 8)), 4096)
    i.logout()
    i.close()
    check(len(witness.read(8, 8)), 4096, "an old initiator is served")


def latency(n=40):
    out = []
    for _ in range(n):
        start = time.perf_counter()
        c.names("CIM_SCSIProtocolController")
        out.append(time.perf_counter() - start)
    return statistics.median(out) * 1e3


def afterwards(before):
    """All that was opened is closed again, and memory is of the order it was."""
    def closed():
        now = server.usage()
        return all(now[p][1] <= before[p][1] + 4 and now[p][2] <= before[p][2] + 2 and
                   now[p][0] < 3 * before[p][0] + SPARE_KB for p in before)

    # keep-alive threads and parsers of a pool may stay
    try:
        wait_for("descriptors, threads and memory as before", closed, 30)
    finally:
        for p, (kb, *_) in server.usage().items():
            print(f"# {p}: {before[p][0]} kB before, {kb} kB after")
    check(server.proc.poll(), None, "smiscsid lives")


def raw(data, timeout=20, half=False):
    """Send bytes to the CIM server; everything it says until it closes or stays silent."""
    out = b""
    with socket.create_connection((server.addr, server.http), timeout) as s:
        try:
            s.sendall(data)
            if half:
                s.shutdown(socket.SHUT_WR)
            while True:
                got = s.recv(65536)
                if not got:
                    break
                out += got
                if b"\r\n\r\n" in out and b"Content-Length: 0" in out.split(b"\r\n\r\n")[0]:
                    break
        except OSError:
            pass
    return out


def status_of(answer):
    m = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(m[1]) if m else None


HEAD = ("POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml; charset=\"utf-8\"\r\n"
        "CIMOperation: MethodCall\r\nCIMMethod: EnumerateInstances\r\n"
        f"CIMObject: {NS}\r\n")


def post(body):
    if isinstance(body, str):
        body = body.encode()
    s = Client(server.addr, server.http, NS, timeout=60)
    status, h, data = s.post(body, s.headers("EnumerateInstances", NS))
    s.conn.close()
    return status, h.get("CIMError"), data


def request(inner=""):
    return Client.envelope('<IMETHODCALL NAME="EnumerateInstances">' + c.namespace_xml() +
                           f"{inner}</IMETHODCALL>").decode()


def refused(body, *cim_errors):
    """HTTP 400 with one of these CIMErrors, or a CIM error."""
    status, error, data = post(body)
    if status == 200:
        check(b"<ERROR CODE=" in data, True, f"an error in {data[:300]!r}")
    else:
        check((status, error in cim_errors), (400, True), f"CIMError {error}")


@test
def xml_bombs_are_not_lit():
    before = server.usage()
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bad = ("request-not-well-formed", "request-not-valid", "request-not-loosely-valid")
    for prolog in (f'<!DOCTYPE CIM [<!ENTITY l0 "lol">{laughs}]>',
                   '<!DOCTYPE CIM [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
                   '<!DOCTYPE CIM [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]>',
                   '<!DOCTYPE CIM SYSTEM "file:///dev/zero">'):
        for entity in ("&l9;", "&x;", ""):
            body = request(f'<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="CIM_Error"/>'
                           f"</IPARAMVALUE>{entity}").replace("?>", f"?>{prolog}", 1)
            refused(body, *bad)
    refused(request("&lol;"), *bad)
    refused(request("&#0;"), *bad)
    served()
    afterwards(before)


@test
def deep_nesting_huge_names_and_invalid_text_are_refused():
    before = server.usage()
    bad = ("request-not-well-formed", "request-not-valid", "request-not-loosely-valid")
    refused(request("<IPARAMVALUE NAME='x'>" * 100000), *bad)
    refused("<CIM>" * 1000000, *bad)
    deep = "<VALUE.REFERENCE><INSTANCENAME CLASSNAME='x'><KEYBINDING NAME='k'>" * 2000
    refused(request(f"<IPARAMVALUE NAME='InstanceName'>{deep}"), *bad)
    name = "x" * (1 << 20)
    refused(request(f'<IPARAMVALUE NAME="{name}"><VALUE>1</VALUE></IPARAMVALUE>'), *bad)
    refused(request(f'<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="{name}"/></IPARAMVALUE>'),
            *bad)
    refused(f"<{name}/>", *bad)
    many = " ".join(f'a{i}="1"' for i in range(100000))
    refused(f"<CIM {many}/>", *bad)
    refused(request('<IPARAMVALUE NAME="PropertyList"><VALUE.ARRAY>' + "<VALUE>x</VALUE>" * 200000 +
                    "</VALUE.ARRAY></IPARAMVALUE>"), *bad)
    for junk in (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\0",
                 b"\x0b"):
        body = request("<IPARAMVALUE NAME='ClassName'><CLASSNAME NAME='QQ'/></IPARAMVALUE>")
        refused(body.encode().replace(b"QQ", b"C" + junk), *bad)
    refused(b"", *bad)
    refused(rnd.randbytes(100000), *bad)
    served()
    afterwards(before)


@test
def huge_bodies_are_413():
    before = server.usage()
    got = raw((HEAD + f"Content-Length: {9 << 20}\r\n\r\n").encode())
    check(status_of(got), 413, "a length announced")
    for size in ("18446744073709551615", "99999999999999999999999999", "-1", "0x10", "1e3", " "):
        got = raw((HEAD + f"Content-Length: {size}\r\n\r\n").encode(), timeout=3)
        check(status_of(got) in (400, 413, None), True, f"Content-Length: {size}: {got[:80]!r}")
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    got = raw((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk * 9 + b"0\r\n\r\n")
    check(status_of(got) in (413, None), True, f"in chunks: {got[:80]!r}")
    served()
    afterwards(before)


@test
def malformed_http_is_refused_or_closed():
    before = server.usage()
    for text in (b"\r\n\r\n", b"GET\r\n\r\n", b"POST /cimom\r\n\r\n", b"POST /cimom HTTP/9.9\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"\0" * 5000,
                 b"A" * 200000, b"POST " + b"/x" * 50000 + b" HTTP/1.1\r\n\r\n",
                 HEAD.encode() + b"X: " + b"y" * 200000 + b"\r\n\r\n",
                 HEAD.encode() + b"X: y\r\n" * 20000 + b"\r\n",
                 HEAD.encode() + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
                 HEAD.encode() + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
                 HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
                 HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
                 HEAD.encode() + b" folded: x\r\n\r\n", b"DELETE /cimom HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
                 rnd.randbytes(3000)):
        got = raw(text, timeout=5, half=True)
        status = status_of(got)
        check(status is None or status == 200 and text.startswith(b"OPTIONS") or
              400 <= status <= 505, True, f"{text[:60]!r}: {got[:100]!r}")
        check(b"passwd:" in got or b"root:" in got, False)
    served()
    afterwards(before)


@test
def pull_contexts_belong_to_their_user():
    s = smi.Server(portals=1, engine="fake", auth=True).start()
    for user, role in (("alice", "admin"), ("bob", "read")):
        run(smi.BUILD / "smiscsi", "user", "add", user, "--role", role, "--state", s.state,
            input=f"{user}-secret\n{user}-secret\n", ok=0)
    a, b = (Client(s.addr, s.http, NS, u, f"{u}-secret") for u in ("alice", "bob"))

    def let_in(x):
        try:
            x.names("CIM_Service")
            return True
        except HttpError as e:
            check(e.status in (401, 503), True, str(e))
            time.sleep(0.2)
            return False

    wait_for("the accounts", lambda: let_in(a) and let_in(b))
    try:
        Client(s.addr, s.http, NS).names("CIM_Service")
        raise AssertionError("nobody was let in")
    except HttpError as e:
        check(e.status, 401)
    first = [("ClassName", a._class("CIM_ManagedElement"))]
    _, context = a.open("OpenEnumerateInstances", first, MaxObjectCount=1)
    check(context is not None, True)

    def foreign(x, ctx):
        try:
            x.pull("PullInstancesWithPath", ctx, 1)
            raise AssertionError(f"{ctx} was pulled")
        except CimError as e:
            return e.code

    check(foreign(b, context), 21, "the context of another user")
    try:
        b.close_enumeration(context)
        raise AssertionError("bob closed it")
    except CimError as e:
        check(e.code, 21)
    for guess in ("", "0", "1", "x" * 10000, context[:-1], context + "0", context.swapcase() + "x"):
        check(foreign(b, guess) in (4, 21), True, f"a guess: {guess[:20]}")
    objects, _ = a.pull("PullInstancesWithPath", context, 1)
    check(len(objects), 1, "its owner still has it")
    # no more than a user may have, and the others keep theirs
    mine = []
    try:
        for _ in range(500):
            mine.append(b.open("OpenEnumerateInstances", first, MaxObjectCount=1)[1])
        raise AssertionError("500 contexts for one user")
    except CimError as e:
        print(f"# {len(mine)} contexts for one user, then error {e.code}")
        check(len(mine) < 200, True)
    check(len(a.pull("PullInstancesWithPath", context, 1)[0]), 1)
    check(a.open("OpenEnumerateInstances", first, MaxObjectCount=1)[1] is not None, True)
    for x in mine:
        b.close_enumeration(x)
    check(s.stop(), 0)


def is_open(sock):
    """Has the server neither closed it nor said anything?"""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@test
def slow_and_idle_clients_do_not_hinder_others():
    if DESCRIPTORS < 2000:
        raise Skip(f"only {DESCRIPTORS} descriptors")
    before = server.usage()
    quiet = latency()
    socks = []
    for i in range(1000):
        s = socket.create_connection((server.addr, server.http))
        if i % 2:
            s.sendall(HEAD.encode()[:rnd.randrange(1, len(HEAD))])
        socks.append(s)
    # slow readers of a long answer, and requests that come drop by drop
    body = c.imethod_body("EnumerateClasses", [("DeepInheritance", "<VALUE>TRUE</VALUE>")])
    whole = (HEAD.replace("EnumerateInstances", "EnumerateClasses") +
             f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    slow = []
    for i in range(100):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect((server.addr, server.http))
        if i % 2:
            s.sendall(whole)
        slow.append(s)
    for at in range(60):
        for s in slow[::2]:
            s.sendall(whole[at:at + 1])
        for s in slow[1::2]:
            check(len(s.recv(1)), 1)
    used = server.cpu()
    time.sleep(1)
    print(f"# idle, smiscsid takes {server.cpu() - used:.2f} of a processor for them")
    busy = latency()
    check([sum(map(is_open, socks)), sum(map(is_open, slow))], [1000, 100], "held")
    wait_for("the server to have taken them all", lambda: server.usage()["smiscsid"][1] >= 1100)
    print(f"# a request takes {busy:.2f} ms beside them, {quiet:.2f} ms alone: {busy / quiet:.1f} "
          "times as long")
    served()
    for s in slow[::2]:
        s.sendall(whole[60:])
    for s in slow[::2][:10]:
        check(status_of(s.recv(65536)), 200, "a slow request is served in the end")
    for s in socks + slow:
        s.close()
    served()
    afterwards(before)


@test
def costly_queries_do_not_keep_others_waiting():
    """What takes long is done in turns: others are answered before half of them are."""
    before = server.usage()
    s = smi.Server(portals=1, engine="fake").start()
    mine = Client(s.addr, s.http, NS)
    config = mine.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    for i in range(160):
        check(mine.invoke(config, "CreateiSCSINode", Alias=f"n{i}")[0], 0)
    costly = " OR ".join(["Name LIKE '" + ".*" * 120 + "x'"] * 250)
    served, ended = [], []

    def ask():
        k = Client(s.addr, s.http, NS, timeout=250)
        got = k.open("OpenEnumerateInstances", [("ClassName", k._class(
            "CIM_SCSIProtocolController"))], MaxObjectCount=1000, FilterQueryLanguage="DMTF:FQL",
            FilterQuery=costly)
        ended.append((len(served), got))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for t in askers:
        t.start()
    while not ended:
        k = Client(s.addr, s.http, NS, timeout=250)
        check(len(k.names("CIM_ComputerSystem")), 1)
        served.append(k)
    for t in askers:
        t.join()
    # The first may be done before the others are there.
    print(f"# {ended[3][0]} requests were answered before the first four of 8 costly ones")
    check(ended[3][0] > 2, True)
    check([got for _, got in ended], [([], None)] * 8)
    check(s.stop(), 0)
    afterwards(before)


@test
def ten_thousand_connections():
    if DESCRIPTORS < 16000:
        raise Skip(f"only {DESCRIPTORS} descriptors")
    before = server.usage()
    socks = []
    for _ in range(3000):
        socks.append(socket.create_connection((server.addr, server.http)))
    served()
    for _ in range(6000):
        socks.append(socket.create_connection((ADDRESS, 3260)))
    served()
    # more than smiscsid takes at once: they wait, and so do new ones until there is room
    for _ in range(1500):
        socks.append(socket.create_connection((server.addr, server.http)))
    check(len(witness.read(0, 8)), 4096, "initiators notice nothing")
    for s in socks[:3000]:
        s.close()
    served()
    for s in socks[3000:]:
        s.close()
    served()
    afterwards(before)


@test
def initiators_that_replay_and_reorder():
    before = server.usage()

    def sessions():
        for i in range(20):
            x = Connection(ADDRESS, 3260, isid=b"\x80%05d" % i).login(IQN)
            x.test_unit_ready()
            yield x
            x.close()

    each = sessions()
    # a command again, with the same number: carried out once, or ignored
    x = next(each)
    sn = x.cmd_sn
    data = rnd.randbytes(512)
    itt = x.command(x.write10(100, 1), write=data, cmd_sn=sn)
    x.command(x.write10(100, 1), write=bytes(512), cmd_sn=sn)
    check(x.finish(itt)[0], 0)
    x.cmd_sn = sn + 1
    check(x.read(100, 1), data, "the repetition was carried out")
    # numbers in any order: carried out in theirs
    x = next(each)
    sn = x.cmd_sn
    order = list(range(16))
    rnd.shuffle(order)
    for i in order:
        x.command(x.write10(200, 1), write=bytes([i]) * 512, cmd_sn=sn + i)
    done = 0
    while done < 16:
        p = x.recv()
        if p.op == SCSI_RSP:
            check(p.bhs[3], 0)
            done += 1
    x.cmd_sn = sn + 16
    check(x.read(200, 1), bytes([15]) * 512, "the last number wrote last")
    # the login's PDU once more; data that nobody asked for; answers; every opcode
    for opcode in range(64):
        x = next(each, None) or Connection(ADDRESS, 3260, isid=b"\x80x%04d" % opcode).login(IQN)
        for immediate in (0, 1):
            try:
                x.send(x.bhs(opcode, 0x80, w20=rnd.randrange(1 << 32), immediate=immediate,
                             rest=rnd.randbytes(16)), rnd.randbytes(rnd.randrange(64)))
            except OSError:
                break
        x.close()
    served()
    # PDUs of a good session, shuffled, doubled and with bits flipped
    for i in range(60):
        x = Connection(ADDRESS, 3260, isid=b"\x80s%04d" % i, timeout=1).login(IQN)
        pdus = []
        for k in range(12):
            cdb = x.write10(rnd.randrange(64), 1) if k % 3 else bytes(6)
            n = 512 if k % 3 else 0
            b = bytearray(x.bhs(SCSI_CMD, 0xA1 if n else 0x81, w20=n, rest=cdb,
                                cmd_sn=x.cmd_sn + k))
            b[5:8] = n.to_bytes(3, "big")
            pdus.append(bytes(b) + bytes(n))
        pdus += rnd.sample(pdus, 4)
        rnd.shuffle(pdus)
        stream = bytearray(b"".join(pdus))
        for _ in range(i % 8):
            stream[rnd.randrange(len(stream))] ^= 1 << rnd.randrange(8)
        try:
            x.sock.sendall(stream)
            x.sock.recv(65536)
        except OSError:
            pass
        x.close()
    served()
    # logins of every shape
    for i in range(300):
        x = Connection(ADDRESS, 3260, isid=rnd.randbytes(6), timeout=1)
        b = bytearray(struct.pack(">BBBBI6sHIHHII", LOGIN | 0x40, rnd.choice([0, 1, 4, 0x81, 0x87,
                                  0x8F, 0xFF]), rnd.choice([0, 0, 1]), 0, 0, x.isid,
                                  rnd.choice([0, 0, 1, 65535]), 1, rnd.randrange(65536), 0, 1,
                                  1).ljust(48, b"\0"))
        keys = text(x.names(IQN))
        keys = rnd.choice([keys, keys[:-1], keys.replace(b"=", b"", 1), b"\0" * 100, b"=" * 100,
                           rnd.randbytes(200), b"A" * 8000, keys * 20, b""])
        try:
            x.send(bytes(b), keys)
            x.sock.recv(65536)
        except OSError:
            pass
        x.close()
    served()
    afterwards(before)


@test
def logins_by_the_thousand():
    before = server.usage()
    start = time.monotonic()
    n = int(os.environ.get("SMISCSI_LOGINS", "2000"))
    for i in range(n):
        x = Connection(ADDRESS, 3260, isid=b"\x80L%04d" % (i % 50))
        if i % 4 == 0:
            x.login(IQN)
            x.logout()
        elif i % 4 == 1:
            x.login(IQN)  # and away without a word
        elif i % 4 == 2:
            check([t for t, _ in x.login(discovery=True).send_targets()], [IQN])
        else:
            try:
                x.login("iqn.2026-01.org.example:nobody")
                raise AssertionError("logged in to nothing")
            except LoginFailed as e:
                check(e.status, 0x0203)
        x.close()
    print(f"# {n / (time.monotonic() - start):.0f} logins a second")
    served()
    wait_for("the sessions to be over", lambda: len(c.names("CIM_iSCSISession")) <= 1, 15)
    afterwards(before)
    check(server.stop(), 0)


smi.main()
