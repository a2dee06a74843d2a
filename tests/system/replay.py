# SPDX-License-Identifier: Apache-2.0
"""A provider made of recorded answers (tests/data/recorded-array), and the ways in which
providers go wrong.

    p = replay.Provider()             # answers as recorded
    p.mode = "malformed"              # from now on broken XML, for every class
    p.only = "CIM_BindsTo"            # ... or for this class only
    p.url, p.requests                 # what was asked: (namespace, class)

Modes: fine, down, malformed, truncated, wrongtypes, dangling, twice, endless, drip, redirect,
denied, html, empty, hang.
"""
import base64, http.server, json, re, ssl, threading
import smi

DATA = smi.ROOT / "tests/data/recorded-array"
HEAD = ('<?xml version="1.0" encoding="utf-8"?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        '<MESSAGE ID="%s" PROTOCOLVERSION="1.0"><SIMPLERSP>'
        '<IMETHODRESPONSE NAME="EnumerateInstances">')
TAIL = "</IMETHODRESPONSE></SIMPLERSP></MESSAGE></CIM>"


def recorded():
    out = {}
    for row in json.loads((DATA / "manifest.json").read_text()):
        out[(row["namespace"], row["class"])] = (DATA / row["file"]).read_text()
    return out


class Provider:
    def __init__(self, tls=None, user=None, password=None, answers=None):
        self.answers = answers or recorded()
        self.mode, self.only, self.user, self.password = "fine", None, user, password
        self.requests, self.pulls = [], 0
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
        data = text.encode()
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
        if op.startswith("Open"):
            return self.error(h, ident, 7, "no pull here")
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
        if not any(n == ns for n, _ in self.answers):
            return self.error(h, ident, 3, f"no namespace {ns}")
        text = self.answers.get((ns, cls))
        if text is None:
            return self.error(h, ident, 5, f"no class {cls}")
        text = re.sub(r'(<MESSAGE[^>]* ID=")[^"]*"', lambda m: m.group(1) + ident + '"', text)
        return getattr(self, "mode_" + mode)(h, text, ident)

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
