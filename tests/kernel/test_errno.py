#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the kernel's target says to each mistake, made by hand in configfs, and what our server says
to the same over CIM: the kernel's own answer never reaches a client, and a newer kernel that answers
otherwise is noticed here."""
import errno, os, pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import CimError, Client, Path
from smi import NS, check, test

ISCSI, CORE = smi.CONFIGFS / "iscsi", smi.CONFIGFS / "core"
NODE = "MSISCSITARGET_SCSIProtocolController"
PORTAL = "MSISCSITARGET_TCPProtocolEndpoint"
HAND = "iqn.2026-01.org.example:by-hand"
V4, V6 = "192.0.2.1", "2001:db8::1"


def errno_of(fn, *args):
    try:
        fn(*args)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]


def write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def mkdir(*parts):
    return errno_of(os.mkdir, "/".join(map(str, parts)))


def clear(root, depth=0):
    """Everything below, links first."""
    for p in sorted(root.iterdir()):
        if p.is_symlink():
            p.unlink()
    for p in sorted(root.iterdir()):
        if p.is_dir() and not p.is_symlink():
            clear(p, depth + 1)
            errno_of(os.rmdir, p)


@test
def the_kernel_refuses_what_the_table_says():
    os.makedirs(ISCSI, exist_ok=True)
    one, two = ISCSI / HAND, ISCSI / (HAND + "2")
    tpg = one / "tpgt_1"
    try:
        for want, args in [
                ("ok", (one,)), ("ok", (two,)), ("ok", (tpg,)), ("ok", (one, "tpgt_2")),
                ("ok", (two, "tpgt_1")),
                # portals
                ("ok", (tpg, "np", f"{V4}:3260")), ("EEXIST", (tpg, "np", f"{V4}:3260")),
                ("EINVAL", (one, "tpgt_2/np", f"{V4}:3260")),
                ("ok", (two, "tpgt_1/np", f"{V4}:3260")),
                ("EINVAL", (tpg, "np/0.0.0.0:3260")),
                ("EINVAL", (tpg, f"np/{V6}:3260")),
                ("ok", (tpg, f"np/[{V6}]:3260")),
                ("EINVAL", (tpg, "np/[fe80::1]:3260")),
                ("EINVAL", (tpg, "np/localhost:3260")), ("EINVAL", (tpg, f"np/{V4}")),
                ("EINVAL", (tpg, f"np/{V4}:70000")),
                # groups
                ("EEXIST", (tpg,)), ("EINVAL", (one, "tpgt_65536")), ("EINVAL", (one, "tpgt_x")),
                ("ok", (one, "tpgt_0")), ("ok", (one, "tpgt_65535")), ("ok", (one, "tpgt_01")),
                # names
                *(("ok", (ISCSI, n)) for n in ("foo", "iqn.", "IQN.Upper", "under_score", "a b")),
        ]:
            check(mkdir(*args), want, "mkdir " + "/".join(str(a) for a in args))
        # backstores
        hba = CORE / "fileio_77"
        os.makedirs(hba / "a")
        os.makedirs(hba / "b")
        check(errno_of(write, hba / "a/enable", "1"), "EINVAL", "enable before control")
        for n in "ab":
            write(hba / n / "control", f"fd_dev_name=/tmp/errno-{n},fd_dev_size=1048576")
            check(errno_of(write, hba / n / "enable", "1"), "ok")
        check(errno_of(write, hba / "a/enable", "1"), "EEXIST", "enable twice")
        check(errno_of(write, hba / "a/enable", "0"), "EINVAL", "enable 0")
        # logical units
        lun = tpg / "lun/lun_0"
        lun.mkdir()
        check(errno_of(os.symlink, hba / "a", lun / "x"), "ok")
        check(errno_of(os.symlink, hba / "b", lun / "y"), "EEXIST", "a second link in a LUN")
        acl = tpg / "acls/iqn.2026-01.org.example:i"
        acl.mkdir()
        (acl / "lun_0").mkdir()
        other = one / "tpgt_2/lun/lun_0"
        other.mkdir()
        os.symlink(hba / "b", other / "x")
        check(errno_of(os.symlink, other, acl / "lun_0/x"), "EINVAL", "a LUN of another group")
        check(errno_of(os.symlink, hba / "b", acl / "lun_0/x"), "EFAULT", "a backstore as a LUN")
        # removal
        check(errno_of(os.rmdir, hba / "a"), "EBUSY", "a backstore in use")
        for p in (tpg, one, lun):
            check(errno_of(os.rmdir, p), "ENOTEMPTY", str(p))
    finally:
        clear(ISCSI)
        clear(CORE)
        for p in CORE.glob("fileio_77"):
            os.rmdir(p)


server = None


def cim():
    """The server, with two portals of the machine's own addresses."""
    global server, c
    if not server:
        server = smi.Server(portals=[f"{V4}:3260", f"[{V6}]:3260", f"{V4}:3261"]).start()
        c = Client(server.addr, server.http, NS)
    return c


def call(method, **p):
    """(return value, sentence)."""
    service = c.names("MSISCSITARGET_iSCSIConfigurationService")[0]
    r, out = c.invoke(service, method, **p)
    made = next(iter(out.values()), None)
    return r, c.last_headers.get("WBEMMessage") or "", made


def refused(want, method, words, **p):
    r, says, _ = call(method, **p)
    check(r, want, f"{method}: {says}")
    for w in words:
        check(w in says, True, f"{method} says: {says}")


def not_made(want, cls, props):
    before = smi.kernel_objects()
    try:
        c.create(cls, props)
        raise AssertionError(f"{props} was accepted")
    except CimError as e:
        check(e.code, want, f"{props}: {e.text}")
        check(bool(e.text.strip()), True, f"{props}: a sentence")
    check(smi.kernel_objects(), before, "the kernel was not asked")


@test
def our_server_says_each_of_them_in_words_before_the_kernel_is_asked():
    cim()
    p = {x.keys["Name"]: x for x in c.names(PORTAL)}
    a, b, d = p[f"{V4}:3260"], p[f"[{V6}]:3260"], p[f"{V4}:3261"]
    _, _, one = call("CreateiSCSINode", Alias="errno one")
    _, _, two = call("CreateiSCSINode", Alias="errno two")
    make, bind = "CreateiSCSIProtocolEndpoint", "BindiSCSIProtocolEndPoint"
    r, says, port = call(make, iSCSINode=one, Role=3, NetworkPortals=[a], Identifier="000000000001")
    check(r, 0, says)
    # portals: again in the same group / in another of the same target / in another target
    check(call(bind, iSCSIPort=port, NetworkPortal=a)[0], 0, "again: nothing changes")
    refused(4102, make, [f"{V4}:3260"], iSCSINode=one, Role=3, NetworkPortals=[a])
    _, _, second = call(make, iSCSINode=one, Role=3, NetworkPortals=[d])
    refused(4098, bind, [f"{V4}:3260"], iSCSIPort=second, NetworkPortal=a)
    r, says, _ = call(make, iSCSINode=two, Role=3, NetworkPortals=[a])
    check(r, 0, says)
    for name in ("0.0.0.0:3260", "192.0.2.9:3260"):  # a wildcard, an address of another host
        not_made(1, PORTAL, {"Name": name})
    for name in (f"{V4}:0", f"{V4}:70000", "localhost:3260", "[fe80::1]:3260"):
        try:
            c.create(PORTAL, {"Name": name})
            raise AssertionError(f"{name} was accepted")
        except CimError as e:
            check(e.code in (1, 4) and bool(e.text.strip()), True, f"{name}: {e}")
    r, says, _ = call(bind, iSCSIPort=port, NetworkPortal=b)
    check(r, 0, f"IPv6: {says}")
    # groups
    refused(4098, make, ["1"], iSCSINode=one, Role=3, NetworkPortals=[b],
            Identifier="000000000001")
    for bad in ("000000010000", "00000000000X", "01"):
        refused(5, make, [], iSCSINode=one, Role=3, NetworkPortals=[b], Identifier=bad)
    # names
    for bad in ("foo", "iqn.", "iqn.2026-01.org.example:under_score", "iqn.2026-01.org.example:a b"):
        not_made(4, NODE, {"Name": bad})
    n = c.create(NODE, {"Name": "IQN.2026-01.org.example:Upper"})
    check(n.keys["DeviceID"], "iqn.2026-01.org.example:upper")
    check(f"iscsi/{n.keys['DeviceID']}" in smi.kernel_objects(), True, "as the kernel has it")
    # logical units and backstores
    storage = c.names("MSISCSITARGET_StorageConfigurationService")[0]
    masking = c.names("MSISCSITARGET_ControllerConfigurationService")[0]
    units = [c.invoke(storage, "CreateOrModifyElementFromStoragePool", ElementType=2, Size=1 << 20,
                      ElementName=x)[1]["TheElement"] for x in "xy"]
    check(c.invoke(masking, "AttachDevice", ProtocolController=one, Device=units[0],
                   DeviceNumber="0")[0], 0)
    check(c.invoke(masking, "AttachDevice", ProtocolController=one, Device=units[1],
                   DeviceNumber="0")[0], 4097, "a LUN number that is taken")
    check(c.invoke(storage, "ReturnToStoragePool", TheElement=units[0])[0], 6, "a volume in use")
    # what isn't empty: goes with all that is below
    check(call("DeleteiSCSIProtocolEndpoint", iSCSIPort=port)[0], 0)
    check(call("DeleteiSCSINode", iSCSINode=one)[0], 0)
    check(any(one.keys["DeviceID"] in o for o in smi.kernel_objects()), False)


@test
def a_port_in_use_is_code_4_with_a_sentence_and_nothing_is_left():
    import socket
    cim()
    before = smi.kernel_objects()
    with socket.socket() as s:
        s.bind((V4, 3333))
        s.listen()
        p = c.create(PORTAL, {"Name": f"{V4}:3333"})
        _, _, n = call("CreateiSCSINode", Alias="in use")
        r, says, _ = call("CreateiSCSIProtocolEndpoint", iSCSINode=n, Role=3, NetworkPortals=[p])
        print(f"# {says}")
        check(r, 4, says)
        check("3333" in says, True, says)
        check([x for x in c.names("MSISCSITARGET_iSCSIProtocolEndpoint")
               if "in-use" in x.keys["Name"]], [])
        check(list((ISCSI / n.keys["DeviceID"]).glob("tpgt_*")), [])
    r, says, _ = call("CreateiSCSIProtocolEndpoint", iSCSINode=n, Role=3, NetworkPortals=[p])
    check(r, 0, says)
    check(call("DeleteiSCSINode", iSCSINode=n)[0], 0)
    c.delete(p)
    check(smi.kernel_objects(), before)


smi.main()
