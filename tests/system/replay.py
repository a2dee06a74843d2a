# SPDX-License-Identifier: Apache-2.0
"""A provider made of recorded answers (tests/data/recorded-array), and the ways in which
providers go wrong.

    p = replay.Provider()             # answers as recorded
    p.mode = "malformed"              # from now on broken XML, for every class
    p.only = "CIM_BindsTo"            # ... or for this class only
    p.url, p.requests                 # what was asked: (namespace, class)

Modes: fine, down, malformed, truncated, wrongtypes, dangling, twice, endless, drip, redirect,
denied, html, empty, hang, and those of HEAVY and LYING below.

    p.pull = 2                        # pull operations, two objects at a time

With a client's certificate wanted: Provider(tls=(cert, key), client_ca=ca).
"""
import base64, http.server, json, re, ssl, threading
import smi
from smi import check

DATA = smi.ROOT / "tests/data/recorded-array"
HEAD = ('<?xml version="1.0" encoding="utf-8"?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        '<MESSAGE ID="%s" PROTOCOLVERSION="1.0"><SIMPLERSP>'
        '<IMETHODRESPONSE NAME="EnumerateInstances">')
TAIL = "</IMETHODRESPONSE></SIMPLERSP></MESSAGE></CIM>"


# More than anybody can take: {mode: how the whole answer begins, what comes then for ever}.
HEAVY = {
    "one value": ('<IRETURNVALUE><VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="X"><KEYBINDING '
                  'NAME="Name"><KEYVALUE VALUETYPE="string">', "a" * 60000),
    "one object": ('<IRETURNVALUE><VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="X"/>'
                   '<INSTANCE CLASSNAME="X">',
                   '<PROPERTY NAME="p" TYPE="string"><VALUE>v</VALUE></PROPERTY>' * 1000),
    "keys": ('<IRETURNVALUE><VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="X">',
             '<KEYBINDING NAME="Name"><KEYVALUE>1</KEYVALUE></KEYBINDING>' * 1000),
    "depth": ("<IRETURNVALUE>", "<VALUE.REFERENCE>" * 4000),
    "blanks": ("<IRETURNVALUE>", " \n" * 30000),
    "comment": ("<!-- ", "x" * 60000),
    "name": ("<", "x" * 60000),
    "attribute": ('<IRETURNVALUE a="', "x" * 60000),
}
# Whole answers that are none, or not to this question.
LYING = {
    "entities": '<?xml version="1.0"?><!DOCTYPE CIM [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;'
                '&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]><CIM>&b;&c;</CIM>',
    "another question": HEAD.replace('NAME="EnumerateInstances"', 'NAME="GetClass"') +
                        "<IRETURNVALUE/>" + TAIL,
    "another message": HEAD.replace("%s", "4711") + "<IRETURNVALUE/>" + TAIL,
    "a request": '<?xml version="1.0"?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="%s" '
                 'PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="EnumerateInstances"/>'
                 "</SIMPLEREQ></MESSAGE></CIM>",
    "an error without a code": HEAD + "<ERROR/>" + TAIL,
    "an error that is no number": HEAD + '<ERROR CODE="many"/>' + TAIL,
    "two answers": (HEAD + "<IRETURNVALUE/>" + TAIL) * 2,
    "classes": HEAD + '<IRETURNVALUE><CLASS NAME="X"/></IRETURNVALUE>' + TAIL,
    "control characters": HEAD + "<IRETURNVALUE>\0\x01</IRETURNVALUE>" + TAIL,
    "no UTF-8": HEAD + '<IRETURNVALUE><VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="\udcff"/>'
                       "</VALUE.NAMEDINSTANCE></IRETURNVALUE>" + TAIL,
}


def recorded():
    out = {}
    for row in json.loads((DATA / "manifest.json").read_text()):
        out[(row["namespace"], row["class"])] = (DATA / row["file"]).read_text()
    return out


class Provider:
    def __init__(self, tls=None, user=None, password=None, answers=None, client_ca=None):
        self.answers = answers or recorded()
        self.mode, self.only, self.user, self.password = "fine", None, user, password
        self.requests, self.pull, self.contexts = [], 0, {}
        self.stop, self.wake = threading.Event(), threading.Event()
        self.addr = smi.loopback()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                try:
                    outer.answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_M_POST = do_POST

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """Clients that go away in the middle are the point of some tests."""

        self.httpd = Server((self.addr, 0), Handler)
        self.httpd.daemon_threads = True
        self.scheme = "https" if tls else "http"
        if tls:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(*tls)
            if client_ca:
                ctx.load_verify_locations(client_ca)
                ctx.verify_mode = ssl.CERT_REQUIRED
            self.httpd.socket = ctx.wrap_socket(self.httpd.socket, server_side=True)
        threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True).start()
        smi.at_end(self.end)

    @property
    def url(self):
        return f"{self.scheme}://{self.addr}:{self.httpd.server_address[1]}"

    def end(self):
        self.stop.set()
        self.wake.set()
        self.httpd.shutdown()
        self.httpd.server_close()

    # -- answers --

    def send(self, h, text, status=200, headers=()):
        data = text.encode(errors="surrogateescape")
        h.send_response(status)
        h.send_header("Content-Type", 'application/xml; charset="utf-8"')
        h.send_header("CIMOperation", "MethodResponse")
        h.send_header("Content-Length", str(len(data)))
        for k, v in headers:
            h.send_header(k, v)
        h.end_headers()
        h.wfile.write(data)

    def error(self, h, ident, code, text):
        self.send(h, HEAD % ident + f'<ERROR CODE="{code}" DESCRIPTION="{text}"/>' + TAIL)

    def answer(self, h, body):
        ident = re.search(r'<MESSAGE[^>]* ID="([^"]*)"', body).group(1)
        op = re.search(r'<IMETHODCALL NAME="([^"]*)"', body).group(1)
        ns = "/".join(re.findall(r'<NAMESPACE NAME="([^"]*)"', body.split("<IPARAMVALUE")[0]))
        cls = re.search(r'<CLASSNAME NAME="([^"]*)"', body)
        cls = cls.group(1) if cls else ""
        self.requests.append((ns, cls))
        if self.user is not None:
            want = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            if h.headers.get("Authorization") != want:
                return self.send(h, "", 401, [("WWW-Authenticate", 'Basic realm="array"')])
        if op.startswith(("Open", "Pull")) and not self.pull:
            return self.error(h, ident, 7, "no pull here")
        if op == "PullInstancesWithPath":
            return self.piece(h, ident, op, re.search(r'NAME="EnumerationContext"><VALUE>(\d+)',
                                                      body).group(1))
        mode = self.mode if self.only in (None, cls) else "fine"
        if mode == "down":
            h.close_connection = True
            h.connection.close()
            return None
        if mode == "redirect":
            return self.send(h, "", 302, [("Location", "http://127.0.0.1:1/cimom")])
        if mode == "denied":
            return self.send(h, "", 401, [("WWW-Authenticate", 'Basic realm="array"')])
        if mode == "html":
            return self.send(h, "<html><body>Welcome to the array</body></html>")
        if mode == "hang":
            self.wake.wait(60)  # then as if nothing had been
            mode = "fine"
        if not any(n == ns for n, _ in self.answers):
            return self.error(h, ident, 3, f"no namespace {ns}")
        text = self.answers.get((ns, cls))
        if text is None:
            return self.error(h, ident, 5, f"no class {cls}")
        if mode in LYING:
            return self.send(h, LYING[mode].replace("%s", ident))
        if mode in HEAVY:
            return self.heavy(h, HEAD % ident + HEAVY[mode][0], HEAVY[mode][1])
        text = re.sub(r'(<MESSAGE[^>]* ID=")[^"]*"', lambda m: m.group(1) + ident + '"', text)
        if op == "OpenEnumerateInstances" and mode == "fine":
            items = re.findall(r"<VALUE.NAMEDINSTANCE>.*?</VALUE.NAMEDINSTANCE>", text, re.S)
            context = str(len(self.contexts) + 1)
            self.contexts[context] = (ns, items)
            return self.piece(h, ident, op, context)
        return getattr(self, "mode_" + mode)(h, text, ident)

    def piece(self, h, ident, op, context):
        """The next of an open enumeration."""
        ns, items = self.contexts[context]
        now, later = items[:self.pull], items[self.pull:]
        self.contexts[context] = (ns, later)
        local = "<LOCALNAMESPACEPATH>" + "".join(f'<NAMESPACE NAME="{n}"/>' for n in ns.split("/")) \
            + "</LOCALNAMESPACEPATH>"
        path = f"<INSTANCEPATH><NAMESPACEPATH><HOST>array</HOST>{local}</NAMESPACEPATH>"
        now = [i.replace("VALUE.NAMEDINSTANCE", "VALUE.INSTANCEWITHPATH")
               .replace("<INSTANCENAME ", path + "<INSTANCENAME ", 1)
               .replace("<INSTANCE ", "</INSTANCEPATH><INSTANCE ", 1) for i in now]
        end = str(not later).upper()
        context = "" if not later else f"<VALUE>{context}</VALUE>"
        self.send(h, (HEAD % ident).replace("EnumerateInstances", op) + "<IRETURNVALUE>" +
                  "".join(now) + "</IRETURNVALUE>"
                  f'<PARAMVALUE NAME="EndOfSequence" PARAMTYPE="boolean"><VALUE>{end}</VALUE>'
                  '</PARAMVALUE><PARAMVALUE NAME="EnumerationContext" PARAMTYPE="string">'
                  f"{context}</PARAMVALUE>" + TAIL)

    def heavy(self, h, begin, more):
        """A gigabyte and more of one thing."""
        h.send_response(200)
        h.send_header("Content-Type", "application/xml")
        h.send_header("Content-Length", str(5 << 30))
        h.end_headers()
        h.wfile.write(begin.encode())
        data, sent = more.encode(), 0
        while sent < 5 << 30 and not self.stop.is_set():
            h.wfile.write(data)
            sent += len(data)

    def mode_fine(self, h, text, ident):
        self.send(h, text)

    def mode_malformed(self, h, text, ident):
        self.send(h, text.replace("</IRETURNVALUE>", "</IRETURNVALU>"))

    def mode_truncated(self, h, text, ident):
        self.send(h, text[:len(text) // 2])

    def mode_empty(self, h, text, ident):
        self.send(h, "")

    def mode_wrongtypes(self, h, text, ident):
        text = re.sub(r'VALUETYPE="string"', 'VALUETYPE="numeric"', text)
        text = re.sub(r'(TYPE="uint(?:16|32|64)"><VALUE>)[^<]*', r"\1not a number", text)
        self.send(h, text)

    def mode_dangling(self, h, text, ident):
        """Every reference leads to an object that isn't there."""
        self.send(h, re.sub(r'(<VALUE.REFERENCE>.*?<KEYBINDING NAME="(?:Name|DeviceID|InstanceID)">'
                            r'<KEYVALUE[^>]*>)', r"\1gone ", text))

    def mode_twice(self, h, text, ident):
        body = text[text.find("<IRETURNVALUE>") + 14:text.find("</IRETURNVALUE>")] \
            if "<IRETURNVALUE>" in text else ""
        self.send(h, text.replace("</IRETURNVALUE>", body + "</IRETURNVALUE>"))

    def mode_endless(self, h, text, ident):
        """One object over and over, each with a key of its own, for a gigabyte."""
        item = re.search(r"<VALUE.NAMEDINSTANCE>.*?</VALUE.NAMEDINSTANCE>", text)
        if not item:
            return self.send(h, text)
        h.send_response(200)
        h.send_header("Content-Type", "application/xml")
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()

        def chunk(s):
            data = s.encode()
            h.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        chunk(HEAD % ident + "<IRETURNVALUE>")
        sent = n = 0
        while sent < 1 << 30 and not self.stop.is_set():
            block = "".join(re.sub(r"(<KEYVALUE[^>]*>)", r"\g<1>%d " % (n + i), item.group(0))
                            for i in range(200))
            n += 200
            chunk(block)
            sent += len(block)
        chunk("</IRETURNVALUE>" + TAIL)
        h.wfile.write(b"0\r\n\r\n")
        return None

    def mode_drip(self, h, text, ident):
        """A byte now and then."""
        data = text.encode()
        h.send_response(200)
        h.send_header("Content-Type", "application/xml")
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        for b in data:
            h.wfile.write(bytes([b]))
            h.wfile.flush()
            if self.stop.wait(1):
                return None
        return None


# -- what a provider says, changed by hand --

def items(p, ns, cls):
    return re.findall(r"<VALUE.NAMEDINSTANCE>.*?</VALUE.NAMEDINSTANCE>", p.answers[(ns, cls)], re.S)


def say(p, ns, cls, instances):
    """Let a provider say these instances of a class."""
    p.answers[(ns, cls)] = HEAD + "<IRETURNVALUE>" + "".join(instances) + "</IRETURNVALUE>" + TAIL


def change(p, ns, cls, old, new, count=None):
    text = p.answers[(ns, cls)]
    check(len(re.findall(old, text)) > 0, True, f"{cls} has {old}")
    p.answers[(ns, cls)] = re.sub(old, new, text, count=count or 0)


def prop(name, value, t="string"):
    if isinstance(value, list):
        return f'<PROPERTY.ARRAY NAME="{name}" TYPE="{t}"><VALUE.ARRAY>' + "".join(
            f"<VALUE>{v}</VALUE>" for v in value) + "</VALUE.ARRAY></PROPERTY.ARRAY>"
    return f'<PROPERTY NAME="{name}" TYPE="{t}"><VALUE>{value}</VALUE></PROPERTY>'


def named(cls, keys, body=""):
    """(its name, the instance) of an object."""
    names = "".join(f'<KEYBINDING NAME="{k}"><KEYVALUE VALUETYPE="string">{v}</KEYVALUE>'
                    "</KEYBINDING>" for k, v in keys.items())
    name = f'<INSTANCENAME CLASSNAME="{cls}">{names}</INSTANCENAME>'
    return name, f'<VALUE.NAMEDINSTANCE>{name}<INSTANCE CLASSNAME="{cls}">' + "".join(
        prop(k, v) for k, v in keys.items()) + body + "</INSTANCE></VALUE.NAMEDINSTANCE>"


def tied(cls, a, a_name, b, b_name, body=""):
    """An association between two names."""
    refs = "".join(f'<KEYBINDING NAME="{k}"><VALUE.REFERENCE>{v}</VALUE.REFERENCE></KEYBINDING>'
                   for k, v in ((a, a_name), (b, b_name)))
    props = "".join(f'<PROPERTY.REFERENCE NAME="{k}"><VALUE.REFERENCE>{v}</VALUE.REFERENCE>'
                    "</PROPERTY.REFERENCE>" for k, v in ((a, a_name), (b, b_name)))
    return (f'<VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME="{cls}">{refs}</INSTANCENAME>'
            f'<INSTANCE CLASSNAME="{cls}">{props}{body}</INSTANCE></VALUE.NAMEDINSTANCE>')


def name_of(instance):
    """The name that an instance of an answer has."""
    return re.search(r"<INSTANCENAME.*?</INSTANCENAME>", instance, re.S)[0]
