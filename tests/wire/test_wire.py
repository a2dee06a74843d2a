#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests as files, sent byte by byte to a server of our own; what must come back stands below
each.  The files (*.req beside this one) are read like this:

    ## a sentence, the test's name
    POST /cimom HTTP/1.1            the request line; without one: that of the plain request
    Header: value                   in place of the plain request's header of that name
    -Header                         leave the plain request's header out
    @raw                            none of the plain request's headers, only these
    @segments                       headers and body in segments of their own, some time apart
    @chunked                        the body in chunks, without Content-Length
    @continue                       the body only after the server's 100 Continue
    @bytes                          one byte at a time (the first 200), then the rest
    <...>                           the body, up to the line that begins with =>
    => 400                          the HTTP status
    Header: text                    that header holds the text
    -Header                         that header is not there
    error 5                         the CIM error of the answer (and it has a text); none: no error
    has text / not text             what the answer's body holds and doesn't
    count TAG n                     how many elements of that name it has; + for at least one

CIMMethod, CIMObject and Content-Length fit the body unless they are given.  $NAMES are filled in
(see names() below; $LEN is the body's length), and \\xHH is a byte.  Every answer with a body is checked by grammar.py."""
import pathlib, re, socket, sys, time
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
import grammar, smi
from cimclient import Client, Path
from smi import NS


def start():
    server = smi.Server(portals=2, engine="fake").start()
    c = Client(server.addr, server.http, NS)
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    r, out = c.invoke(service, "CreateiSCSINode", Alias="wire")
    assert r == 0
    r, _ = c.invoke(service, "CreateiSCSIProtocolEndpoint", iSCSINode=out["iSCSINode"], Role=3,
                    NetworkPortals=c.names("MSISCSITARGET_TCPProtocolEndpoint"))
    assert r == 0
    return server, c


server, c = start()


def local(ns):
    return "<LOCALNAMESPACEPATH>" + "".join(f'<NAMESPACE NAME="{n}"/>' for n in ns.split("/")) + \
        "</LOCALNAMESPACEPATH>"


def names():
    head = '<?xml version="1.0" encoding="utf-8"?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0">' \
        '<MESSAGE ID="7" PROTOCOLVERSION="1.0"><SIMPLEREQ>'
    node = c.names("MSISCSITARGET_SCSIProtocolController")[0]
    port = c.names("MSISCSITARGET_iSCSIProtocolEndpoint")[0]
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    system = c.names("CIM_ComputerSystem")[0]
    out = {"HEAD": head, "TAIL": "</SIMPLEREQ></MESSAGE></CIM>", "NS": local(NS),
           "INTEROP": local("interop"), "HOST": f"{server.addr}:{server.http}",
           "LONG": "x" * 20000, "IQN": node.keys["DeviceID"], "SYSTEMNAME": system.keys["Name"]}
    portal = c.names("MSISCSITARGET_TCPProtocolEndpoint")[0]
    nest = Path("MSISCSITARGET_BindsTo", {"Antecedent": port, "Dependent": port})
    for _ in range(30):
        nest = Path("MSISCSITARGET_BindsTo", {"Antecedent": nest, "Dependent": port})
    out["NEST"] = nest.name_xml()
    for k, p in (("NODE", node), ("PORTAL", portal),
                 ("STORAGE", c.names("MSISCSITARGET_StorageConfigurationService")[0]), ("PORT", port), ("SERVICE", service), ("SYSTEM", system)):
        out[k] = p.name_xml()
    ev = ",".join(f'{k}="{v}"' for k, v in service.keys.items())
    out["SERVICEPATH"] = f"{NS}:{service.cls}.{ev}"
    return out


class Case:
    def __init__(self, where, title):
        self.where, self.title = where, title
        self.line, self.set, self.drop, self.how, self.body = None, [], [], set(), ""
        self.status, self.facts = None, []


def parse(path):
    case, cases, part = None, [], None
    for n, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("## "):
            case, part = Case(f"{path.name}:{n}", line[3:].strip()), "head"
            cases.append(case)
        elif case is None or not line and part != "body":
            continue
        elif line.startswith("=> "):
            case.status, part = int(line[3:]), "facts"
        elif part == "facts":
            case.facts.append(line)
        elif part == "head" and not line.startswith(("<", "$", "\\x")):
            if re.match(r"[A-Z-]+ \S+ HTTP/", line):
                case.line = line
            elif line.startswith("@"):
                case.how.add(line[1:])
            elif line.startswith("-"):
                case.drop.append(line[1:])
            else:
                case.set.append(line)
        else:
            part = "body"
            case.body += ("\n" if case.body else "") + line
    return cases


def fill(text, known):
    text = re.sub(r"\$([A-Z]+)", lambda m: known[m[1]], text)
    return re.sub(rb"\\x([0-9a-fA-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())


def request(case, known):
    body = fill(case.body, known)
    # what the plain request's headers are: they fit the body
    call = re.search(rb'<I?METHODCALL[^>]* NAME="([^"]*)"', body)
    ns = "/".join(re.findall(r'<NAMESPACE NAME="([^"]*)"', (re.search(
        rb"<LOCALNAMESPACEPATH>.*?</LOCALNAMESPACEPATH>", body, re.S) or [b""])[0].decode(
            errors="replace")))
    obj = known["SERVICEPATH"] if b"<METHODCALL" in body else ns
    head = [] if "raw" in case.how else [
        ("Host", known["HOST"]), ("Content-Type", 'application/xml; charset="utf-8"'),
        ("CIMOperation", "MethodCall"), ("CIMProtocolVersion", "1.0"),
        ("CIMMethod", call[1].decode() if call else "GetClass"), ("CIMObject", obj or NS)]
    if "chunked" in case.how:
        head.append(("Transfer-Encoding", "chunked"))
        half = len(body) // 2
        body = b"".join(b"%x\r\n%s\r\n" % (len(x), x) for x in (body[:half], body[half:], b""))
    elif not any(s.lower().startswith("content-length") for s in case.set):
        head.append(("Content-Length", str(len(body))))
    known = {**known, "LEN": str(len(body))}
    given = [tuple(s.split(":", 1)) for s in case.set]
    out = fill(case.line or "POST /cimom HTTP/1.1", known) + b"\r\n"
    for k, v in head:
        if k.lower() not in [x.lower() for x in case.drop] + [g[0].lower() for g in given]:
            out += f"{k}: {v}\r\n".encode()
    for k, v in given:
        out += k.encode() + b":" + fill(v, known) + b"\r\n"
    return out + b"\r\n", body


def exchange(case, known):
    """(status, [(header, value)], body)."""
    head, body = request(case, known)
    s = socket.create_connection((server.addr, server.http), timeout=10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with s:
        if "segments" in case.how:
            s.sendall(head)
            time.sleep(0.05)
            s.sendall(body[:len(body) // 2])
            time.sleep(0.05)
            s.sendall(body[len(body) // 2:])
        elif "continue" in case.how:
            s.sendall(head)
            smi.check(s.recv(100).split()[1:2], [b"100"])
            s.sendall(body)
        elif "bytes" in case.how:
            whole = head + body
            for i in range(200):
                s.sendall(whole[i:i + 1])
            s.sendall(whole[200:])
        else:
            s.sendall(head + body)
        f = s.makefile("rb")
        status = f.readline().split()
        if len(status) < 2:
            raise AssertionError("no answer")
        headers = []
        while (line := f.readline().strip()):
            k, _, v = line.decode().partition(":")
            headers.append((k, v.strip()))
        h = {k.lower(): v for k, v in headers}
        verb = head.split(b" ", 1)[0]
        if verb == b"HEAD":
            data = b""
        elif "content-length" in h:
            data = f.read(int(h["content-length"]))
        else:
            data = b""
            while (size := int(f.readline(), 16)):
                data += f.read(size)
                f.readline()
    return int(status[1]), h, data


def errors(case, status, h, data):
    out = []
    if status != case.status:
        out.append(f"status {status}, want {case.status}; CIMError: {h.get('cimerror')}, "
                   f"{h.get('wbemmessage')}")
    error, text = None, ""
    if data:
        out += [f"grammar: {x}" for x in grammar.check(data)]
        e = ET.fromstring(data).find(".//ERROR")
        if e is not None:
            error, text = int(e.get("CODE")), e.get("DESCRIPTION", "")
    wanted = next((int(f[6:]) for f in case.facts if f.startswith("error ")), None)
    if error != wanted:
        out.append(f"CIM error {error} ({text}), want {wanted}")
    if error is not None and not text:
        out.append("an error without a text")
    body = data.decode("utf-8", "replace")
    for fact in case.facts:
        if fact.startswith("error "):
            continue
        if fact.startswith("has "):
            good = fill(fact[4:], KNOWN).decode() in body
        elif fact.startswith("not "):
            good = fill(fact[4:], KNOWN).decode() not in body
        elif fact.startswith("count "):
            _, tag, n = fact.split()
            found = len(re.findall(rf"<{re.escape(tag)}[ >/]", body))
            good = found > 0 if n == "+" else found == int(n)
        elif fact.startswith("-"):
            good = fact[1:].lower() not in h
        else:
            k, _, v = fact.partition(":")
            good = k.lower() in h and v.strip().lower() in h[k.lower()].lower()
        if not good:
            out.append(f"not so: {fact}; headers {h}; body {body[:600]!r}")
    return out


KNOWN = names()


def make(case):
    def fn():
        for i in range(2):  # the second time shows that the first has harmed nothing
            status, h, data = exchange(case, KNOWN)
            bad = errors(case, status, h, data)
            if bad:
                raise AssertionError(f"{case.where}: " + "; ".join(bad))
    fn.__name__ = case.title
    return fn


for f in sorted(HERE.glob("*.req")):
    for case in parse(f):
        smi.test(make(case))


@smi.test
def the_server_has_outlived_all_of_it():
    smi.check(server.proc.poll(), None)
    smi.check(len(c.names("MSISCSITARGET_SCSIProtocolController")) >= 1)
    for bad in ("ERROR", "Sanitizer", "assert"):
        smi.check(bad in server.errors(), False, server.errors()[-1000:])
    smi.check(server.stop(), 0)


smi.main()
