#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line for people: what it prints can be read, on any terminal and whoever named the
things, and what went wrong is said with the way out."""
import http.server, json, os, re, threading

import smi
from smi import check, run, test


@test
def columns_stand_below_each_other_whatever_the_letters():
    s = smi.Server(engine="fake").start()
    for alias in ("plain", "ünïcode", "数据库"):
        s.cli("node", "create", alias)
    lines = s.cli("node", "list").splitlines()
    at = lines[0].index("NAME")
    for line in lines[1:]:
        # what a terminal makes of it: CJK letters take two columns
        columns = "".join(c + "\0" if ord(c) > 0x2E80 else c for c in line)
        check(columns[at:at + 4], "iqn.", line)


def answers(text):
    """A CIM server of nobody's that gives one group named text whatever it is asked; its URL."""
    body = f"""<?xml version="1.0" encoding="utf-8"?>
<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLERSP>
<IMETHODRESPONSE NAME="EnumerateInstances"><IRETURNVALUE><VALUE.NAMEDINSTANCE>
<INSTANCENAME CLASSNAME="X"><KEYBINDING NAME="InstanceID"><KEYVALUE>1</KEYVALUE></KEYBINDING></INSTANCENAME>
<INSTANCE CLASSNAME="X"><PROPERTY NAME="ElementName" TYPE="string"><VALUE>{text}</VALUE></PROPERTY></INSTANCE>
</VALUE.NAMEDINSTANCE></IRETURNVALUE></IMETHODRESPONSE></SIMPLERSP></MESSAGE></CIM>""".encode()

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            for header in ("Content-Type: application/xml", "CIMOperation: MethodResponse",
                           f"Content-Length: {len(body)}"):
                self.send_header(*header.split(": "))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((smi.loopback(), 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    smi.at_end(server.shutdown)
    return "http://%s:%d" % server.server_address


@test
def a_server_can_not_speak_to_the_terminal():
    url = answers("a\u009b2Jb\u007fc")  # CSI as one character: clear the screen
    for args, lang in ((("group", "list"), "C.UTF-8"), (("get", "X"), "C.UTF-8"), (("group", "list"), "C")):
        out = run(smi.BUILD / "smiscsi", "--url", url, *args, env={**os.environ, "LC_ALL": lang})[1]
        check("a\ufffd2Jb\ufffdc" in out, True, repr(out))
        check(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", out), None, repr(out))
    # JSON is for programs: there it is, whole
    check(json.loads(run(smi.BUILD / "smiscsi", "--url", url, "--json", "group", "list")[1])[0]["ElementName"],
          "a\u009b2Jb\u007fc")


@test
def show_puts_every_port_portal_and_volume_below_its_own_node():
    portals = [f"{smi.loopback()}:{port}" for port in (3260, 3261)]
    s = smi.Server(engine="fake", portals=portals).start()
    want = {}
    # names of which one begins with the other, made in no order
    for alias in ("n10", "n1", "b", "n", "n100", "a"):
        iqn = s.cli("node", "create", alias).strip()
        for tag in (2, 1):
            s.cli("port", "create", alias, "--tag", str(tag), "--portal", portals[tag - 1])
        for v in range(len(alias)):
            s.cli("volume", "create", f"{alias}-{v}", "1M")
            s.cli("volume", "attach", f"{alias}-{v}", alias)
        want[iqn] = (alias, {1: [portals[0]], 2: [portals[1]]},
                     [(v, f"{alias}-{v}", 1 << 20) for v in range(len(alias))])
    tree = json.loads(s.cli("--json", "show"))
    check({n["node"]: (n["alias"],
                       {p["tag"]: [x["portal"] for x in p["portals"]] for p in n["ports"]},
                       [(l["lun"], l["volume"], l["bytes"]) for l in n["luns"]]) for n in tree}, want)
    text = s.cli("show")
    check((text.count("├─ port ") + text.count("└─ port "), text.count(" LUN "), text.count(" portal ")),
          (12, sum(map(len, ("n10", "n1", "b", "n", "n100", "a"))), 12))


@test
def who_is_not_there_is_said_with_the_way_out():
    addr = smi.loopback()
    url = f"http://{addr}:{smi.free_port(addr)}"
    code, out, err = run(smi.BUILD / "smiscsi", "--url", url, "show", ok=1)
    check((out, url in err, "is smiscsid running there" in err, "--url" in err), ("", True, True, True), err)


@test
def two_of_one_name_are_told_apart():
    s = smi.Server(engine="fake").start()
    for _ in range(2):
        s.cli("volume", "create", "twin", "1M")
    check("smiscsi volume list" in s.cli_fails("volume", "delete", "twin"), True)
    for v in json.loads(s.cli("--json", "volume", "list")):
        s.cli("volume", "delete", v["Name"])
    check(json.loads(s.cli("--json", "volume", "list")), [])


smi.main()
