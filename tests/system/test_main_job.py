#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job with Debian's own clients: wbemcli configures, initiators find and use what was
configured, and nothing is lost when smiscsid is killed."""
import hashlib, os, re, signal, subprocess, time

import smi
from cimclient import Client
from smi import NS, SM, check, iscsi_ls, run, test

server = smi.Server(portals=2).start()
c = Client(server.addr, server.http, NS)
SERVICE = "MSISCSITARGET_iSCSIConfigurationService"
made = {}


def ref(cls, **keys):
    """A reference as wbemcli wants it: with the host in front, and with one key (it takes what
    stands behind a comma for the next parameter), which is enough as long as it is unique."""
    (k, v), = keys.items()
    return f'{server.addr}:{server.http}/{NS}:{cls}.{k}="{v}"'


def only_port():
    """wbemcli crashes on a comma in a reference's key, and a port's Name has two; but as long as
    there is one port, its class names it."""
    cls = "MSISCSITARGET_iSCSIProtocolEndpoint"
    return ref(cls, CreationClassName=cls)


def wbem_method(call):
    """wbemcli cm on the configuration service; (return value, the rest of the line)."""
    path = server.wbem("ein", SERVICE)[0]
    code, out, err = run("wbemcli", "cm", f"http://{path}", call)
    check(code, 0, f"wbemcli cm {call}: {out}{err}")
    m = re.search(call.split(".")[0] + r": (\d+)(.*)", out, re.S)
    return int(m[1]), m[2]


@test
def wbemcli_creates_a_node_and_iscsi_ls_shows_its_port():
    code, out = wbem_method('CreateiSCSINode.Alias="main job"')
    check(code, 0)
    iqn = re.search(r'DeviceID="(iqn[^"]+)"', out)[1]
    made["iqn"] = iqn
    check(wbem_method('CreateiSCSINode.Alias="main job"')[0], 4097)
    # wbemcli 1.6.3 cannot send an array of references (it appends what its memory holds, or
    # crashes); so what it can say of CreateiSCSIProtocolEndpoint is what is refused, with and
    # without Identifier, and smiscsi says the rest
    node = ref("MSISCSITARGET_SCSIProtocolController", DeviceID=iqn)
    missing = ref("MSISCSITARGET_SCSIProtocolController", DeviceID="gone")
    m = "CreateiSCSIProtocolEndpoint"
    check(wbem_method(f"{m}.iSCSINode={missing},Role=3")[0], 4096)
    check(wbem_method(f"{m}.iSCSINode={node},Role=2")[0], 4097)
    check(wbem_method(f'{m}.iSCSINode={node},Role=3,Identifier="xyz"')[0], 5)
    check(wbem_method(f"{m}.iSCSINode={node},Role=3")[0], 5, "no portals")
    check(server.cli("port", "create", "main job", "--portal", server.portal(0)).strip(),
          f"{iqn},t,0x0001")
    check(iscsi_ls(server.portal(0)), {iqn: {(server.portal(0), 1)}})
    check(iscsi_ls(server.portal(1)), {})


@test
def wbemcli_binds_and_unbinds():
    iqn = made["iqn"]
    port = only_port()
    portal = ref("MSISCSITARGET_TCPProtocolEndpoint", Name=server.portal(1))
    bind = f"BindiSCSIProtocolEndPoint.iSCSIPort={port},NetworkPortal={portal}"
    check(wbem_method(bind)[0], 0)
    check(iqn in iscsi_ls(server.portal(1)), True)
    mine = [n for n in server.wbem("ein", "MSISCSITARGET_BindsTo")
            if f"{iqn},t,0x0001" in n and server.portal(1) in n]
    check(len(mine), 1, str(mine))
    # DeleteInstance of that BindsTo is the reverse; wbemcli cannot name an instance whose keys
    # are references with several keys each, so a client of our own does
    b = next(x for x in c.names("MSISCSITARGET_BindsTo")
             if x.keys["Dependent"].keys.get("Name") == f"{iqn},t,0x0001"
             and x.keys["Antecedent"].keys["Name"] == server.portal(1))
    c.delete(b)
    check(iqn in iscsi_ls(server.portal(1)), False)
    check(wbem_method(bind)[0], 0)


@test
def wbemcli_deletes_ports_and_nodes():
    code, out = wbem_method('CreateiSCSINode.Alias="short lived"')
    iqn = re.search(r'DeviceID="(iqn[^"]+)"', out)[1]
    delete = f"DeleteiSCSIProtocolEndpoint.iSCSIPort={only_port()}"
    check(wbem_method(delete)[0], 0, "the only port")
    check(wbem_method(delete)[0], 4096, "no port is left")
    server.cli("port", "create", "main job", "--portal", server.portal(0), "--portal",
               server.portal(1))
    server.cli("port", "create", iqn, "--portal", server.portal(0))
    check(wbem_method(delete)[0] in (5, 4096), True, "names two ports")
    check(len(c.names("MSISCSITARGET_iSCSIProtocolEndpoint")), 2)
    node = ref("MSISCSITARGET_SCSIProtocolController", DeviceID=iqn)
    check(wbem_method(f"DeleteiSCSINode.iSCSINode={node}")[0], 0)
    check(wbem_method(f"DeleteiSCSINode.iSCSINode={node}")[0], 4096)


@test
def every_read_operation_of_wbemcli_works():
    port = server.wbem("ein", "MSISCSITARGET_iSCSIProtocolEndpoint")[0].split(f"{NS}:", 1)[1]
    one = server.wbem("gi", port)
    check(any("Identifier" in l for l in one), True, str(one))
    check(len(server.wbem("ei", "CIM_ManagedElement")) > 10, True)
    check(len(server.wbem("ecn", "")) > 100, True)
    check(any("Identifier" in l for l in server.wbem("gc", "CIM_iSCSIProtocolEndpoint")), True)
    nodes = server.wbem("ain", port, opts=["-ac", "CIM_SAPAvailableForElement"])
    check(len(nodes), 1, str(nodes))
    check(made["iqn"] in nodes[0], True)
    check(len(server.wbem("ai", port, opts=["-ac", "CIM_BindsTo"])), 2)
    check(len(server.wbem("rin", port)) >= 4, True)
    check(len(server.wbem("ri", port)) >= 4, True)


@test
def bytes_written_by_an_initiator_come_back():
    mib = 8 if smi.KERNEL else 64  # under emulation bytes are dear
    v = server.cli("volume", "create", "main job", f"{mib}M").strip()
    server.cli("volume", "attach", v, "main job", "--lun", "0")
    url = f"iscsi://{server.portal(0)}/{made['iqn']}/0"
    made["url"] = url
    out = run("iscsi-inq", url, ok=0)[1]
    check("Direct Access" in out or "DIRECT_ACCESS" in out, True, out)
    out = run("iscsi-readcapacity16", url, ok=0)[1]
    check(str(mib * 2048 - 1) in out or str(mib << 20) in out, True, out)
    d = smi.temp_dir()
    data = os.urandom(1 << 20) * mib
    (d / "in").write_bytes(data)
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", d / "in", url, ok=0, timeout=120)
    run("qemu-img", "convert", "-f", "raw", "-O", "raw", url, d / "out", ok=0, timeout=120)
    check(hashlib.sha256((d / "out").read_bytes()).hexdigest(), hashlib.sha256(data).hexdigest())


@test
def the_storage_management_layer_shows_one_instance_per_portal():
    sm = Client(server.addr, server.http, SM)
    portals = {f"{i['IPv4Address']}:{i['PortNumber']}": i
               for i in sm.enum("MSFT_SMiSCSIPortalEndpoint")}
    check(sorted(portals), sorted([server.portal(0), server.portal(1)]))
    one = portals[server.portal(0)]
    check(one["SubnetMask"], "255.0.0.0")
    check(one["IPEndpointOpStatus"], [2])
    check(one["TCPEndpointOpStatus"], [2])
    check(one["IPv6Address"], None)

    def tied():
        links = sm.names("MSFT_SMEndpointToiSCSIPortal")
        ends = {i["Name"]: i.path for i in sm.enum("MSFT_SMEndpoint")}
        e = ends.get(f"{made['iqn']},t,0x0001")
        got = {k.keys["Child"].keys["ObjectId"] for k in links if e and k.keys["Parent"] == e}
        return got == {p["ObjectId"] for p in portals.values()}

    smi.wait_for("a change of the model to show in the SM layer", tied, 5)
    out = server.wbem("ei", "MSFT_SMiSCSIPortalEndpoint", ns=SM)
    check(len(out), 2, str(out))


def everything():
    """All objects of the model with all their properties, but for what is measured anew."""
    out = {}
    for cls in ("CIM_ManagedElement", "CIM_Dependency", "CIM_Component", "CIM_SystemDevice",
                "CIM_SAPAvailableForElement", "CIM_MemberOfCollection", "CIM_ElementCapabilities"):
        for i in c.enum(cls):
            if i.cls.endswith(("iSCSISession", "iSCSIConnection", "EndpointOfNetworkPipe",
                               "NetworkPipeComposition", "Statistics", "StatisticalData",
                               "SessionSettings", "ElementSettingData")):
                continue
            if i.get("Role") == 2 or "iSCSISession" in repr(i.path) or ",i,0x" in repr(i.path):
                continue
            # free space and the time of the last change of a status are measured anew
            measured = ("RemainingManagedSpace", "TotalManagedSpace", "TimeOfLastStateChange")
            if i.cls.endswith("AllocatedFromStoragePool"):
                measured += ("SpaceConsumed",)  # by the pool: what its file system has used
            out[i.path] = {k: v for k, v in i.items() if k not in measured}
    return out


@test
def everything_survives_kill_9_and_a_reading_session_keeps_reading():
    reader = subprocess.Popen(
        ["qemu-io", "-f", "raw", "-r", made["url"]], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    smi.at_end(reader.kill)

    def read_once():
        reader.stdin.write("read 0 1M\n")
        reader.stdin.flush()
        while True:
            line = reader.stdout.readline()
            if not line:
                raise AssertionError("the reader ended")
            if "failed" in line or "error" in line.lower():
                raise AssertionError(f"reading failed: {line}")
            if "read 1048576/1048576" in line:
                return

    read_once()
    before = everything()
    target = server.target_pid()
    server.kill()
    read_once()
    server.start()
    read_once()
    after = everything()
    check(server.target_pid(), target, "the target went on")
    check(sorted(map(repr, after)), sorted(map(repr, before)), "same objects, same keys")
    for path, props in before.items():
        check(after[path], props, repr(path))
    reader.stdin.write("quit\n")
    reader.stdin.flush()
    reader.wait(10)


@test
def a_target_that_dies_is_started_again_with_its_configuration():
    if smi.KERNEL:
        raise smi.Skip("the kernel's target has no process that could die")
    old = server.target_pid()
    os.kill(old, signal.SIGKILL)
    smi.wait_for("a new target", lambda: server.target_pid() not in (None, old), 10)

    def served():
        try:
            return made["iqn"] in iscsi_ls(server.portal(0))
        except AssertionError:
            return False

    smi.wait_for("the configuration", served, 10)
    run("iscsi-inq", made["url"], ok=0)


@test
def the_command_line_does_all_of_it():
    out = server.cli("show")
    for part in (made["iqn"], '"main job"', "port 1", f"portal {server.portal(0)}", "LUN 0",
                 "[OK]"):
        check(part in out, True, f"{part} in\n{out}")
    iqn = server.cli("node", "create", "by cli").strip()
    check(server.cli("port", "create", "by cli", "--portal", server.portal(0), "--tag",
                     "4660").strip(), f"{iqn},t,0x1234")
    check(iscsi_ls(server.portal(0))[iqn], {(server.portal(0), 4660)})
    server.cli("portal", "bind", "by cli,4660", server.portal(1))
    server.cli("portal", "unbind", "by cli,4660", server.portal(0))
    check(iqn in iscsi_ls(server.portal(0)), False)
    check(iqn in iscsi_ls(server.portal(1)), True)
    err = server.cli_fails("node", "create", "by cli")
    check("Alias In Use By Other Node (4097)" in err, True, err)
    check("by cli" in err.split("4097", 1)[1], True, f"the sentence names the alias: {err}")
    server.cli_fails("portal", "bind", "by cli,4660", "192.0.2.9:3260")
    server.cli_fails("nonsense", code=2)
    server.cli("group", "create", "g1")
    p = server.cli("portal", "create", f"{server.portals[0]}:3333").strip()
    check(p, f"{server.portals[0]}:3333")
    server.cli("portal", "move", p, "g1")
    server.cli("portal", "delete", p)
    server.cli("group", "delete", "g1")
    server.cli("port", "delete", "by cli,4660")
    server.cli("node", "delete", "by cli")
    check("by cli" in server.cli("show"), False)


@test
def deleting_a_node_in_use_is_refused_until_its_initiator_is_gone():
    reader = subprocess.Popen(["qemu-io", "-f", "raw", "-r", made["url"]], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    smi.at_end(reader.kill)
    reader.stdin.write("read 0 512\n")
    reader.stdin.flush()
    reader.stdout.readline()
    err = server.cli_fails("node", "delete", "main job")
    check("(4097)" in err, True, err)
    check(made["iqn"] in iscsi_ls(server.portal(0)), True)
    reader.stdin.close()
    reader.wait(10)

    def deleted():
        return run(smi.BUILD / "smiscsi", "--url", server.url, "node", "delete", "main job")[0] == 0

    smi.wait_for("the node to be free", deleted, 5)
    check(iscsi_ls(server.portal(0)), {})


@test
def sigterm_stops_both_processes():
    target = server.target_pid()
    check(target is None, smi.KERNEL, "a smiscsi-target")
    check(server.stop(), 0)
    if target:
        smi.wait_for("the target to end", lambda: not smi.alive(target), 10)


smi.main()
