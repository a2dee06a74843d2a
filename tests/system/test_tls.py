#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTPS: the certificate made at first start, one's own, protocol versions, client certificates."""
import os, pathlib, socket, ssl

import smi
from cimclient import CimError, Client, HttpError
from smi import NS, check, run, test, wait_for

SERVICE = "MSISCSITARGET_iSCSIConfigurationService"


def openssl(*args, ok=0, input=None):
    return run("openssl", *args, ok=ok, input=input)


def start(*args, state=None, auth=True, address=None):
    s = smi.Server(engine="fake", auth=auth, state=state)
    s.https = smi.free_port(s.addr)
    s.args = ["--https", f"{address or s.addr}:{s.https}", *map(str, args)]
    return s.start()


def user(s, *args, password=None):
    run(smi.BUILD / "smiscsi", "user", *args, "--state", s.state, ok=0,
        input=None if password is None else password + "\n")


def trusting(s, *cert, lowest=None, highest=None):
    c = ssl.create_default_context(cafile=str(s.state / "tls/cert.pem"))
    if cert:
        c.load_cert_chain(*map(str, cert))
    if highest:
        c.set_ciphers("ALL:@SECLEVEL=0")  # so that it is not we who refuse
        c.minimum_version = lowest
        c.maximum_version = highest
    return c


def shake(s, context, name=None):
    """The protocol version that was agreed on."""
    with socket.create_connection((s.addr, s.https), timeout=20) as k:
        with context.wrap_socket(k, server_hostname=name or s.addr) as t:
            return t.version()


def refused(fn, *args, words):
    try:
        fn(*args)
    except OSError as e:
        if not any(w in str(e).lower() for w in words):
            raise AssertionError(f"none of {words} in: {e}")
        return
    raise AssertionError("it was not refused")


server = start()
user(server, "add", "boss", "--role", "admin", password="boss-pass")


@test
def gnutls_is_there_only_where_tls_is():
    plain = smi.Server(engine="fake").start()
    maps = lambda s: pathlib.Path(f"/proc/{s.proc.pid}/maps").read_text()
    check("libgnutls" in maps(server), True)
    # in a build without a static libmicrohttpd it is linked as usual
    linked = "libgnutls" in run("ldd", smi.BUILD / "smiscsid", ok=0)[1]
    check("libgnutls" in maps(plain), linked)
    plain.stop()


@test
def the_certificate_of_the_first_start_names_the_host():
    for name in (server.addr, "localhost", socket.gethostname()):
        check(shake(server, trusting(server), name) in ("TLSv1.2", "TLSv1.3"), True, name)
    refused(shake, server, trusting(server), "other.example", words=["mismatch"])
    refused(shake, server, ssl.create_default_context(), words=["self-signed"])
    pem = server.state / "tls/cert.pem"
    text = openssl("x509", "-in", pem, "-noout", "-text")[1]
    for part in ("Signature Algorithm: ecdsa-with-SHA256", "TLS Web Server Authentication",
                 f"IP Address:{server.addr}", "DNS:localhost", "CA:FALSE"):
        check(part in text, True, f"{part} in {text}")
    check((server.state / "tls/key.pem").stat().st_mode & 0o777, 0o600)
    check((server.state / "tls").stat().st_mode & 0o777, 0o700)


@test
def tls_1_2_and_1_3_work_and_nothing_older():
    v = ssl.TLSVersion
    check(shake(server, trusting(server, lowest=v.TLSv1_2, highest=v.TLSv1_2)), "TLSv1.2")
    check(shake(server, trusting(server, lowest=v.TLSv1_3, highest=v.TLSv1_3)), "TLSv1.3")
    for old in (v.TLSv1_1, v.TLSv1):
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            c = trusting(server, lowest=old, highest=old)
        # the server's doing, not ours ("no protocols available")
        refused(shake, server, c, words=["alert protocol version", "eof occurred", "reset by peer"])
    # weak ciphers that we would offer
    for weak in ("NULL", "RC4", "3DES", "aNULL", "EXPORT"):
        code, out, err = run("openssl", "s_client", "-connect", f"{server.addr}:{server.https}",
                             "-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0", input="")
        check("Cipher is (NONE)" in out or "no cipher match" in err.lower(), True, f"{weak}: {out}")


@test
def plain_http_on_the_tls_port_gets_no_answer():
    with socket.create_connection((server.addr, server.https), timeout=20) as k:
        k.sendall(b"POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        try:
            check(k.recv(100)[:5] == b"HTTP/", False)
        except ConnectionResetError:
            pass
    check(shake(server, trusting(server)) != "", True, "and others are served")


@test
def who_never_ends_his_handshake_is_closed_and_the_others_are_served():
    s = start("--idle-time", 3)
    user(s, "add", "boss", "--role", "admin", password="boss-pass")
    context = trusting(s)

    def served():
        c = Client(s.addr, s.https, NS, "boss", "boss-pass", tls=context)
        check(len(c.names(SERVICE)), 1)
        c.conn.close()

    served()
    before = s.usage()["smiscsid"]
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=s.addr).do_handshake()
    except ssl.SSLWantReadError:
        hello = out.read()
    shapes = [b"", hello[:1], hello[:len(hello) // 2], hello[:-1], hello,  # and then silence
              b"\x16\x03\x01\xff\xff" + bytes(70000),  # a record that is too long
              b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x00" * 50, b"\x17\x03\x03\x00\x10" + bytes(16),
              b"\x15\x03\x03\x00\x02\x02\x00", hello * 20, os.urandom(5000)]
    socks = []
    for i in range(440):
        k = socket.create_connection((s.addr, s.https), timeout=20)
        try:
            k.sendall(shapes[i % len(shapes)])
        except OSError:
            pass  # closed already
        socks.append(k)
        if i % 40 == 0:
            served()
    # and drop by drop: each is given the idle time in all, not from drop to drop
    drop, at = socket.create_connection((s.addr, s.https), timeout=20), 0

    def open_still(k):
        k.setblocking(False)
        try:
            while k.recv(65536):
                pass
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def all_closed():
        nonlocal at
        try:
            drop.sendall(hello[at:at + 1])
            at += 1
        except OSError:
            pass
        return not any(map(open_still, [*socks, drop]))

    wait_for("all of them to be closed", all_closed, 60)
    check(at < len(hello), True, "the slow one was closed before he had said it all")
    served()
    for k in [*socks, drop]:
        k.close()
    wait_for("their descriptors", lambda: s.usage()["smiscsid"][1] <= before[1] + 8, 20)
    check(s.stop(), 0)


@test
def curl_and_our_own_command_verify_it():
    url, pem = f"https://{server.addr}:{server.https}", server.state / "tls/cert.pem"
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-H",
            "CIMOperation: MethodCall", "-H", "CIMMethod: EnumerateClassNames", "-H",
            "CIMObject: interop", "-H", "Content-Type: application/xml"]
    check(run(*curl, "--cacert", pem, f"{url}/cimom", ok=0)[1], "401")
    check(run(*curl, f"{url}/cimom")[0], 60, "curl's code for a certificate that it can't verify")
    env = {**os.environ, "SMISCSI_PASSWORD": "boss-pass"}
    cli = [smi.BUILD / "smiscsi", "--url", url, "--user", "boss"]
    run(*cli, "--cacert", pem, "node", "create", "x", env=env, ok=0)
    check("x" in run(*cli, "--cacert", pem, "node", "list", env=env, ok=0)[1], True)
    err = run(*cli, "node", "list", env=env, ok=1)[2]
    check("certificate" in err, True, err)
    run(*cli, "--insecure", "node", "list", env=env, ok=0)
    err = run(*cli, "--cacert", pem, "node", "list", env={**env, "SMISCSI_PASSWORD": "no"}, ok=1)[2]
    check("boss-pass" in err, False)


@test
def it_is_made_once_and_ones_own_is_respected():
    s = start()
    made = (s.state / "tls/cert.pem").read_bytes()
    s.stop()
    s.start()
    check((s.state / "tls/cert.pem").read_bytes(), made)
    s.stop()
    tls = s.state / "tls"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own",
            "-addext", f"subjectAltName=IP:{s.addr},DNS:own.example", "-keyout", tls / "key.pem",
            "-out", tls / "cert.pem")
    own = (tls / "cert.pem").read_bytes()
    s.start()
    shake(s, trusting(s), "own.example")
    check((tls / "cert.pem").read_bytes(), own)
    s.stop()
    # a key that is another's
    openssl("genrsa", "-out", tls / "key.pem", "2048")
    for damage in (lambda: None, lambda: (tls / "cert.pem").write_text("nonsense"),
                   lambda: (tls / "key.pem").unlink()):
        damage()
        code, _, err = run(smi.BUILD / "smiscsid", "--state", s.state, "--https",
                           f"{s.addr}:{s.https}", "--engine", "fake", "--portal", smi.loopback())
        check(code, 1, err)
        check("certificate" in err or "key.pem" in err, True, err)
    check((tls / "cert.pem").read_text(), "nonsense", "what is wrong is not overwritten")


@test
def deleting_the_certificate_makes_another():
    s = start()
    made = (s.state / "tls/cert.pem").read_bytes()
    s.stop()
    (s.state / "tls/cert.pem").unlink()
    s.start()
    check((s.state / "tls/cert.pem").read_bytes() == made, False)
    shake(s, trusting(s))


# -- client certificates --


class Authority:
    def __init__(self, name):
        self.dir = smi.temp_dir()
        self.pem = self.dir / "ca.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", self.dir / "ca.key", "-out", self.pem)

    def client(self, name, use="clientAuth", dates=("-days", "2"), subject=None):
        """(certificate, key) with that common name."""
        at = self.dir / f"{len(list(self.dir.iterdir()))}"
        ext = f"{at}.ext"
        pathlib.Path(ext).write_text(f"extendedKeyUsage={use}\nbasicConstraints=CA:FALSE\n")
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject or f"/CN={name}",
                "-keyout", f"{at}.key", "-out", f"{at}.csr")
        openssl("x509", "-req", "-in", f"{at}.csr", "-CA", self.pem, "-CAkey", self.dir / "ca.key",
                "-CAcreateserial", "-extfile", ext, *dates, "-out", f"{at}.pem")
        return f"{at}.pem", f"{at}.key"


@test
def a_client_certificate_opens_the_account_it_names():
    ours, theirs = Authority("ours"), Authority("theirs")
    s = start("--client-ca", ours.pem)
    user(s, "add", "robot", "--role", "admin", "--login", "certificate")
    user(s, "add", "watcher", "--role", "read", "--login", "certificate")
    user(s, "add", "ann", "--role", "read", password="ann-pass")

    def client(*cert, login=(None, "")):
        return Client(s.addr, s.https, NS, *login, tls=trusting(s, *cert))

    def outcome(c):
        """What it may: 'admin', 'read', or the HTTP status, or that there is no connection."""
        try:
            service = c.names(SERVICE)[0]
            c.invoke(service, "CreateiSCSINode", Alias="x")
            return "admin"
        except CimError as e:
            check(e.code, 2)
            return "read"
        except HttpError as e:
            return e.status
        except (ssl.SSLError, ConnectionError):
            return "no connection"

    robot = ours.client("robot")
    check(outcome(client(*robot)), "admin")
    check(outcome(client(*ours.client("watcher"))), "read")
    check(outcome(client(*ours.client("ann"))), "read", "an account with a password, too")
    check(outcome(client()), 401, "none, and no password")
    check(outcome(client(login=("ann", "ann-pass"))), "read", "none, but a password")
    check(outcome(client(login=("robot", "!"))), 401, "no password opens that account")
    check(outcome(client(login=("robot", ""))), 401)
    check(outcome(client(*ours.client("stranger"))), 401, "no such account")
    check(outcome(client(*ours.client("", subject="/O=robot"))), 401, "no name")
    check(outcome(client(*ours.client("robot", use="serverAuth"))), 401, "a server's certificate")
    check(outcome(client(*ours.client("robot", dates=("-days", "-1")))) in (401, "no connection"),
          True, "expired")
    for who in ("robot", "stranger"):
        check(outcome(client(*theirs.client(who))) in (401, "no connection"), True, "another's")
    # a password that is given decides, also when it is wrong
    check(outcome(client(*robot, login=("ann", "ann-pass"))), "read")
    check(outcome(client(*robot, login=("ann", "wrong"))), 401)
    # and the account's end is the certificate's end, on an open connection too
    c = client(*robot)
    check(outcome(c), "admin")
    user(s, "remove", "robot")
    check(outcome(c), 401)
    log = s.errors()
    check("audit: user=robot peer=" in log and "login failed user=stranger" in log, True)
    # without TLS nobody has a certificate
    plain = Client(s.addr, s.http, NS)
    check(outcome(plain), 401)
    said = {i["Name"].split(":")[0]: (i["AuthenticationMechanismsSupported"],
                                      i["AuthenticationMechanismDescriptions"])
            for i in client(*ours.client("watcher")).enum(
                "CIM_ObjectManagerCommunicationMechanism", "interop")}
    check(said, {"https": ([3, 1], ["Basic", "TLS client certificate"]), "http": ([3], None)})


@test
def the_storage_management_layer_shows_its_certificate_to_a_provider():
    ours = Authority("array certificates")
    array = start("--client-ca", ours.pem)
    (array.state / "users").write_text("manager:read:!\n")
    (array.state / "users").chmod(0o600)
    cert, key = ours.client("manager")
    url = f"https://{array.addr}:{array.https}"
    trust = ["--provider-authorities", str(array.state / "tls/cert.pem")]
    for args, done in ((trust, False),
                       (trust + ["--provider-certificate", cert, "--provider-key", key], True)):
        m = smi.Server(engine="fake", args=args).start()
        code = run(smi.BUILD / "smiscsi", "--url", m.url, "sm", "discover", url)[0]
        check(code == 0, done, f"discovered with {args}")
        sm = Client(m.addr, m.http, "root/microsoft/windows/storage/sm")
        check(len(sm.enum("MSFT_SMiSCSIPortalEndpoint")), 2 if done else 1)
        m.stop()
    run(smi.BUILD / "smiscsid", "--provider-key", key, ok=2)


@test
def without_client_ca_no_certificate_opens_anything():
    ours = Authority("ours")
    user(server, "add", "robot", "--role", "admin", "--login", "certificate")
    c = Client(server.addr, server.https, NS, tls=trusting(server, *ours.client("robot")))
    try:
        c.names(SERVICE)
        raise AssertionError("somebody was let in")
    except HttpError as e:
        check(e.status, 401)


@test
def a_useless_client_ca_is_refused():
    d = smi.temp_dir()
    (d / "ca.pem").write_text("nonsense")
    base = ["--state", d / "s", "--engine", "fake", "--portal", smi.loopback()]
    a = smi.loopback()
    for file, code, word in ((d / "ca.pem", 1, "no certificate"), (d / "none", 1, "cannot read")):
        got, _, err = run(smi.BUILD / "smiscsid", *base, "--https", f"{a}:{smi.free_port(a)}",
                          "--client-ca", file)
        check((got, word in err), (code, True), err)
    got, _, err = run(smi.BUILD / "smiscsid", *base, "--client-ca", d / "ca.pem")
    check((got, "--https" in err), (2, True), err)


smi.main()
