#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The initiator that most people have, Linux' own (open-iscsi), with the disks that it makes of
volumes: file systems, fio's verified random I/O, sg3_utils; while smiscsid and what serves the data
are killed and the configuration changes.  Against the engine in SMISCSI_ENGINE, on Debian's kernel."""
import json, os, pathlib, re, subprocess, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import smi
from cimclient import Client
from smi import NS, check, run, test, wait_for

LIO = smi.ENGINE == "lio"
A, B = "192.0.2.1:3260", "192.0.2.1:3261"
STATE = pathlib.Path("/persist")  # a disk: tmpfs has no write cache to announce
NAME = pathlib.Path("/etc/iscsi/initiatorname.iscsi")


def iscsiadm(*args, ok=0):
    return run("iscsiadm", *args, ok=ok, timeout=120)[1]


def boot_initiator():
    run("modprobe", "-a", "iscsi_tcp", "sd_mod", "sg", ok=0)
    os.makedirs("/run/lock", exist_ok=True)
    NAME.write_text("InitiatorName=iqn.2026-01.org.example:linux\n")
    conf = pathlib.Path("/etc/iscsi/iscsid.conf")
    conf.write_text(re.sub(r"(?m)^(node.session.timeo.replacement_timeout) = .*", r"\1 = 600",
                           conf.read_text()))
    p = subprocess.Popen(["iscsid", "-f"], stdin=subprocess.DEVNULL,
                         stdout=open("/run/iscsid.log", "w"), stderr=subprocess.STDOUT)
    smi.at_end(p.kill)
    wait_for("iscsid", lambda: "ISCSIADM_ABSTRACT_NAMESPACE" in pathlib.Path("/proc/net/unix").read_text(), 20)


def disks():
    """{(portal, lun): device} of all sessions."""
    out, portal, lun = {}, None, None
    code, text, _ = run("iscsiadm", "-m", "session", "-P", "3", timeout=120)
    for line in text.splitlines() if code == 0 else ():
        if m := re.search(r"Persistent Portal: (\S+),", line):
            portal = m[1]
        elif m := re.search(r"Channel \d+ Id \d+ Lun: (\d+)", line):
            lun = int(m[1])
        elif m := re.search(r"Attached scsi disk (\S+)", line):
            out[portal, lun] = "/dev/" + m[1]
    return out


def login(portal, luns=1):
    """Log in through one portal; {lun: device}."""
    iscsiadm("-m", "discovery", "-t", "st", "-p", portal)
    iscsiadm("-m", "node", "-T", iqn, "-p", portal, "--login")
    wait_for("the disks", lambda: sum(p == portal for p, _ in disks()) == luns and
             all(os.path.exists(d) for d in disks().values()), 20)
    return {lun: d for (p, lun), d in disks().items() if p == portal}


def logout(portal):
    iscsiadm("-m", "node", "-T", iqn, "-p", portal, "--logout")


def blocks(device):
    return int(pathlib.Path(f"/sys/block/{device[5:]}/size").read_text())


boot_initiator()
server = smi.Server(portals=[A, B], state=STATE / smi.ENGINE).start()
c = Client(server.addr, server.http, NS)
iqn = server.cli("node", "create", "linux").strip()
server.cli("group", "create", "east")
server.cli("portal", "move", B, "east")
server.cli("port", "create", "linux", "--portal", A, "--tag", "1")
server.cli("port", "create", "linux", "--portal", B, "--tag", "2")
naa = server.cli("volume", "create", "data", "64M").strip()
server.cli("volume", "attach", "data", "linux", "--lun", "0")
made = {}


@test
def a_volume_is_a_disk_with_its_name_and_size():
    d = made["disk"] = login(A)[0]
    check(blocks(d) * 512, 64 << 20)
    page = run("sg_vpd", "-p", "di", d, ok=0)[1].lower()
    check(naa.lower() in page.replace("0x", ""), True, page)
    check("write cache: enabled" in run("dmesg", ok=0)[1].lower(), True)
    check(pathlib.Path(f"/sys/block/{d[5:]}/queue/write_cache").read_text().strip(), "write back")


@test
def what_was_negotiated_is_what_the_initiator_says():
    theirs = dict(re.findall(r"(?m)^\s*(\w+): (\S+)$", iscsiadm("-m", "session", "-P", "2")))
    session, connection = c.enum("MSISCSITARGET_iSCSISession")[0], c.enum("MSISCSITARGET_iSCSIConnection")[0]
    check(session["EndPointName"].split(",")[0], "iqn.2026-01.org.example:linux")
    yes = {"Yes": True, "No": False}
    for ours, name, of in ((session["InitialR2T"], "InitialR2T", yes), (session["ImmediateData"], "ImmediateData", yes),
                           (session["MaxOutstandingR2T"], "MaxOutstandingR2T", None),
                           (session["MaxUnsolicitedFirstDataBurstLength"], "FirstBurstLength", None),
                           (session["MaxDataBurstLength"], "MaxBurstLength", None),
                           (connection["MaxReceiveDataSegmentLength"], "MaxXmitDataSegmentLength", None)):
        check(ours, of[theirs[name]] if of else int(theirs[name]), name)
    # Linux 6.1's target keeps what its initiator can take to itself.
    check(connection["MaxTransmitDataSegmentLength"], None if LIO else int(theirs["MaxRecvDataSegmentLength"]))


@test
def a_file_system_keeps_its_files_and_gives_back_what_they_took():
    d = made["disk"]
    run("mke2fs", "-q", "-F", "-t", "ext4", d, ok=0, timeout=120)
    os.makedirs("/mnt/v", exist_ok=True)
    run("mount", "-t", "ext4", d, "/mnt/v", ok=0)
    data = os.urandom(1 << 20)
    for i in range(12):
        pathlib.Path(f"/mnt/v/{i}").write_bytes(data + bytes([i]))
    os.sync()
    used = server_file().stat().st_blocks * 512
    run("umount", "/mnt/v", ok=0)
    run("blockdev", "--flushbufs", d, ok=0)
    run("mount", "-t", "ext4", d, "/mnt/v", ok=0)
    for i in range(12):
        check(pathlib.Path(f"/mnt/v/{i}").read_bytes() == data + bytes([i]), True, f"file {i}")
        os.unlink(f"/mnt/v/{i}")
    os.sync()
    run("fstrim", "/mnt/v", ok=0)
    run("umount", "/mnt/v", ok=0)
    check(used > 12 << 20, True, f"{used} bytes of the disk were used")
    left = server_file().stat().st_blocks * 512
    check(left < used - (10 << 20), True, f"{left} of {used} bytes are still used after fstrim")
    check(run("e2fsck", "-f", "-n", d)[0], 0)


@test
def a_volume_grows_while_it_is_in_use():
    d = made["disk"]
    server.cli("volume", "grow", "data", "96M")
    iscsiadm("-m", "node", "-T", iqn, "-p", A, "-R")
    wait_for("the new size", lambda: blocks(d) * 512 == 96 << 20, 20)
    run("e2fsck", "-f", "-y", d, ok=0, timeout=120)
    run("resize2fs", d, ok=0, timeout=120)
    run("mount", "-t", "ext4", d, "/mnt/v", ok=0)
    check(os.statvfs("/mnt/v").f_blocks * os.statvfs("/mnt/v").f_frsize > 80 << 20, True)
    run("umount", "/mnt/v", ok=0)


@test
def another_volume_comes_and_goes():
    server.cli("volume", "create", "more", "8M")
    server.cli("volume", "attach", "more", "linux", "--lun", "3")
    iscsiadm("-m", "node", "-T", iqn, "-p", A, "-R")
    wait_for("its disk", lambda: (A, 3) in disks(), 20)
    more = disks()[A, 3]
    check(blocks(more) * 512, 8 << 20)
    run("dd", "if=/dev/urandom", f"of={more}", "bs=1M", "count=8", "oflag=direct", ok=0)
    server.cli("volume", "detach", "more", "linux")
    check(run("dd", f"if={more}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct")[0], 1, "it is gone")
    pathlib.Path(f"/sys/block/{more[5:]}/device/delete").write_text("1")
    server.cli("volume", "delete", "more")
    run("dd", f"if={made['disk']}", "of=/dev/null", "bs=1M", "count=1", "iflag=direct", ok=0)


@test
def a_reservation_through_one_group_holds_in_the_other():
    other = made["other"] = login(B)[0]
    d = made["disk"]
    for disk, key in ((d, "abc1"), (other, "abc2")):
        run("sg_persist", "--out", "--register", f"--param-sark={key}", disk, ok=0)
    run("sg_persist", "--out", "--reserve", "--param-rk=abc1", "--prout-type=5", d, ok=0)
    keys = run("sg_persist", "--in", "--read-keys", other, ok=0)[1]
    check(sorted(re.findall(r"0x(abc\d)", keys)), ["abc1", "abc2"], keys)
    check("Write Exclusive, registrants only" in run("sg_persist", "--in", "--read-reservation", other, ok=0)[1], True)
    # who has lost the registration may read, and not write
    run("sg_persist", "--out", "--register", "--param-rk=abc2", "--param-sark=0", other, ok=0)
    run("dd", f"if={other}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct", ok=0)
    code, _, err = run("dd", "if=/dev/zero", f"of={other}", "bs=4k", "count=1", "oflag=direct")
    check(code, 1, err)
    run("sg_persist", "--out", "--clear", "--param-rk=abc1", d, ok=0)
    run("dd", f"if={other}", f"of={other}", "bs=4k", "count=1", "iflag=direct", "oflag=direct", ok=0)


@test
def the_tools_find_what_they_look_for():
    d = made["disk"]
    run("sg_luns", d, ok=0)
    run("sg_sync", d, ok=0)
    run("sg_verify", "--count=64", "--lba=0", d, ok=0)
    asked = [("active/optimized", "sg_rtpg", "--decode", d), ("Block limits", "sg_vpd", "-p", "bl", d),
             ("LBPU", "sg_vpd", "-p", "lbpv", d)]
    if not LIO:  # Linux 6.1's target does not know REPORT SUPPORTED OPERATION CODES
        asked.append(("Write(10)", "sg_opcodes", d))
    for text, *cmd in asked:
        out = run(*cmd, ok=0)[1]
        check(text.lower() in out.lower(), True, out)
    pathlib.Path("/tmp/x").write_bytes(b"x" * 512)
    run("sg_write_same", "--lba=2048", "--num=8", "--in=/tmp/x", d, ok=0)
    pathlib.Path("/tmp/xy").write_bytes(b"x" * 512 + b"y" * 512)
    run("sg_compare_and_write", "--lba=2048", "--num=1", "--in=/tmp/xy", d, ok=0)
    check(run("sg_compare_and_write", "--lba=2048", "--num=1", "--in=/tmp/xy", d)[0], 14, "MISCOMPARE")
    with open(d, "rb") as f:
        f.seek(2048 * 512)
        check(f.read(1024), b"y" * 512 + b"x" * 512)
    run("sg_unmap", "--lba=2048", "--num=8", d, ok=0)


def fio(device):
    """One pass of random reads and writes; what is read back must be what was written there last."""
    out = run("fio", "--name=v", f"--filename={device}", "--rw=randrw", "--bs=4k", "--iodepth=16",
              "--ioengine=libaio", "--direct=1", "--verify=crc32c", "--verify_backlog=64",
              "--verify_fatal=1", "--size=4M", "--fsync=64", "--randrepeat=0",
              "--output-format=json", ok=0, timeout=600)[1]
    j = json.loads(out[out.index("{"):])["jobs"][0]
    check(j["error"], 0)
    return j["read"]["total_ios"] + j["write"]["total_ios"]


def portal_goes(i):
    server.cli("portal", "unbind", "linux,2", B)
    server.cli("portal", "bind", "linux,2", B)


def management_dies(i):
    server.kill()
    server.start(seconds=60)


def volume_comes_and_goes(i):
    server.cli("volume", "create", f"e{i}", "1M")
    server.cli("volume", "attach", f"e{i}", "linux", "--lun", str(10 + i % 100))
    server.cli("volume", "detach", f"e{i}", "linux")
    server.cli("volume", "delete", f"e{i}")


def target_dies(i):
    os.kill(server.target_pid(), 9)
    wait_for("the target again", server.target_pid, 30)


EVENTS = [portal_goes, management_dies, volume_comes_and_goes] + ([] if LIO else [target_dies])


@test
def verified_io_goes_on_while_everything_else_happens():
    """SMISCSI_SECONDS: for that long instead of once round."""
    end = time.monotonic() + int(os.environ.get("SMISCSI_SECONDS", "0"))
    done, ios, failed = threading.Event(), [], []

    def work():
        try:
            while not done.is_set():
                ios.append(fio(made["disk"]))
        except Exception as e:
            failed.append(e)

    t = threading.Thread(target=work)
    t.start()
    events = 0
    try:
        while not failed and (events < len(EVENTS) or time.monotonic() < end):
            EVENTS[events % len(EVENTS)](events)
            events += 1
    finally:
        done.set()
        t.join()
    print(f"# {events} events; {len(ios)} passes with {sum(ios)} reads and writes")
    check((failed, len(ios) > 0), ([], True))


@test
def a_port_that_goes_asks_its_initiator_to_log_out():
    server.cli("port", "disable", "linux,2")
    wait_for("one session", lambda: len(c.enum("MSISCSITARGET_iSCSISession")) == 1, 30)
    run("dd", f"if={made['disk']}", "of=/dev/null", "bs=1M", "count=4", "iflag=direct", ok=0)
    iscsiadm("-m", "node", "-T", iqn, "-p", B, "--logout", ok=None)
    check("(4097)" in server.cli_fails("node", "delete", "linux"), True)
    logout(A)
    wait_for("nobody", lambda: c.enum("MSISCSITARGET_iSCSISession") == [], 20)
    server.cli("node", "delete", "linux")
    check(iqn in iscsiadm("-m", "discovery", "-t", "st", "-p", A, ok=None), False)


def server_file():
    return next((STATE / smi.ENGINE / "units").glob("*.img"))


smi.main()
