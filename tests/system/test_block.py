#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Volumes on block devices: loop devices here, so root is needed."""
import os, pathlib, re, sys

import smi
from cimclient import Client
from initiator import Connection
from smi import NS, check, test, wait_for

MIB = 1 << 20
POOL = "MSISCSITARGET_StoragePool"
VOLUME = "MSISCSITARGET_StorageVolume"
work = smi.temp_dir()
address = "192.0.2.1" if smi.KERNEL else smi.loopback()


def loop(name, mib):
    """A loop device on a new file: (device, file)."""
    file = work / name
    with open(file, "wb") as f:
        f.truncate(mib * MIB)
    code, out, err = smi.run("losetup", "-f", "--show", file)
    if code:
        print(f"1..0 # SKIP no loop devices here: {err.strip()}")
        sys.exit(0)
    device = out.strip()
    smi.at_end(lambda: smi.run("losetup", "-d", device))
    return device, file


disk, disk_file = loop("disk", 24)
other, _ = loop("other", 24)
name = work / "by-name"  # as udev's links are: what stands behind it may change
name.symlink_to(disk)
missing = "/dev/disk/by-id/nothing-of-this-name"
server = smi.Server(portals=[f"{address}:3260"],
                    args=["--device", str(name), "--device", other, "--device", missing])
server.start()
made = {}


def client():
    return Client(server.addr, server.http, NS)


def pool(of):
    return next(i for i in client().enum(POOL) if i["ElementName"] == str(of))


def volume():
    return next(i for i in client().enum(VOLUME) if i["ElementName"] == "whole")


def fares(i):
    """(OperationalStatus, what it says)."""
    return i["OperationalStatus"], " ".join(i["StatusDescriptions"] or [])


def login():
    x = Connection(address, 3260, timeout=60).login(made["iqn"])
    for _ in range(3):  # what a new nexus is told first
        status, _, _ = x.finish(x.command(bytes(6)))
        if status == 0:
            return x
    raise AssertionError("test unit ready")


def write(x, lba, data):
    status, _, p = x.finish(x.command(x.write10(lba, len(data) // 512), write=data))
    check(status, 0, f"write: {p.data.hex()}")


def flush(x):
    check(x.finish(x.command(b"\x35" + bytes(9)))[0], 0, "SYNCHRONIZE CACHE")


def inquiry(x, page):
    return x.finish(x.command(bytes([0x12, 1, page, 1, 0, 0]), read=256))[1]


def blocks(x):
    """READ CAPACITY(10)."""
    return int.from_bytes(x.finish(x.command(b"\x25" + bytes(9), read=8))[1][:4], "big") + 1


def on_disk(at, n):
    """What the device's own file has, past every cache of ours."""
    os.sync()
    with open(disk_file, "rb") as f:
        f.seek(at)
        return f.read(n)


class Held:
    """Somebody who has a device alone."""

    def __init__(self, device):
        self.fd = os.open(device, os.O_RDWR | os.O_EXCL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


@test
def devices_that_are_offered_are_pools():
    p = pool(name)
    check((p["TotalManagedSpace"], p["RemainingManagedSpace"], p["Primordial"]),
          (24 * MIB, 24 * MIB, False))
    check(fares(p)[0], [2])
    p = pool(missing)
    check((p["TotalManagedSpace"], fares(p)[0]), (0, [6]))
    check("the block device is not there" in fares(p)[1], True, fares(p)[1])
    root = pool("block devices")
    check((root["TotalManagedSpace"], root["RemainingManagedSpace"], root["Primordial"]),
          (48 * MIB, 48 * MIB, True))
    drawn = {a["Dependent"].keys["InstanceID"]: a["Antecedent"].keys["InstanceID"]
             for a in client().enum("MSISCSITARGET_AllocatedFromStoragePool")}
    for of in (name, other, missing):
        check(drawn[pool(of)["InstanceID"]], root["InstanceID"])
    check(drawn[pool("default")["InstanceID"]], pool("file system")["InstanceID"])
    listed = server.cli("pool", "list")
    check(str(name) in listed and other in listed, True, listed)


@test
def what_is_held_missing_or_too_small_is_refused_and_says_why():
    err = server.cli_fails("volume", "create", "no", "--pool", missing)
    check("the block device is not there" in err, True, err)
    err = server.cli_fails("volume", "create", "no", "25M", "--pool", str(name))
    check("(4097)" in err and str(24 * MIB) in err, True, err)
    err = server.cli_fails("volume", "create", "no", "1M", "--pool", "block devices")
    check("InPool must be the pool of one of them" in err, True, err)
    with Held(disk):
        err = server.cli_fails("volume", "create", "no", "--pool", str(name))
        check("held by another program" in err, True, err)
    check(server.cli("volume", "list", "--json").strip(), "[]", "nothing of it stays")
    check(pool(name)["RemainingManagedSpace"], 24 * MIB)


@test
def a_device_that_is_mounted_is_refused_with_where():
    smi.run("mke2fs", "-q", "-F", other, ok=0)
    at = work / "mnt"
    at.mkdir()
    code, _, err = smi.run("mount", "-t", "ext4", other, at)
    if code:
        raise smi.Skip(f"nothing can be mounted here: {err.strip()}")
    try:
        err = server.cli_fails("volume", "create", "no", "--pool", other)
        check(f"is mounted at {at}" in err, True, err)
    finally:
        smi.run("umount", at, ok=0)


@test
def the_whole_device_is_a_volume():
    made["naa"] = server.cli("volume", "create", "whole", "--pool", str(name)).strip()
    v = volume()
    check((v["DeviceID"], v["NumberOfBlocks"] * v["BlockSize"]), (made["naa"], 24 * MIB))
    check(pool(name)["RemainingManagedSpace"], 0)
    check(pool("block devices")["RemainingManagedSpace"], 24 * MIB)
    err = server.cli_fails("volume", "create", "two", "--pool", str(name))
    check("(6)" in err and made["naa"] in err, True, err)
    made["iqn"] = server.cli("node", "create", "n").strip()
    server.cli("port", "create", "n", "--portal", server.portal())
    server.cli("volume", "attach", made["naa"], "n", "--lun", "0")
    x = login()
    check(blocks(x), 24 * MIB // 512)
    serial = inquiry(x, 0x80)[4:].rstrip(b"\0 ").decode()
    check(serial, made["naa"].lower())
    made["named"] = inquiry(x, 0x83)
    data = made["data"] = os.urandom(64 << 10)
    write(x, 100, data)
    check(x.read(100, 128) == data, True)
    flush(x)
    check(on_disk(100 * 512, len(data)) == data, True, "on the device itself")
    made["x"] = x


@test
def nobody_else_gets_a_device_that_is_served():
    try:
        Held(disk)
    except OSError as e:
        check(e.strerror, "Device or resource busy")
    else:
        raise AssertionError("it was had")


@test
def the_write_cache_is_what_there_is():
    page = made["x"].finish(made["x"].command(bytes([0x1A, 8, 8, 0, 64, 0]), read=64))[1]
    cache = bool(page[4 + 2] & 4)
    says = pathlib.Path(f"/sys/class/block/{pathlib.Path(disk).name}/queue/write_cache")
    # smiscsi-target writes through the page cache, the kernel's target does not
    check(cache, True if server.engine == "user" else says.read_text().strip() == "write back")


@test
def a_device_that_has_grown_lets_its_volume_grow():
    with open(disk_file, "r+b") as f:
        f.truncate(40 * MIB)
    smi.run("losetup", "-c", disk, ok=0)
    wait_for("the device's pool to see it", lambda: pool(name)["TotalManagedSpace"] == 40 * MIB, 20)
    err = server.cli_fails("volume", "grow", "whole", "41M")
    check("(4097)" in err and str(40 * MIB) in err, True, err)
    server.cli("volume", "grow", "whole", "30M")
    check(volume()["NumberOfBlocks"] * 512, 40 * MIB, "all of it")
    x = made["x"]
    x.finish(x.command(bytes(6)))  # smiscsi-target: CAPACITY DATA HAS CHANGED
    check(blocks(x), 40 * MIB // 512)
    tail = os.urandom(512)
    write(x, 40 * MIB // 512 - 1, tail)
    flush(x)
    check(on_disk(40 * MIB - 512, 512) == tail, True)
    x.logout()


def is_well():
    return fares(volume())[0] == [2]


@test
def it_is_the_same_volume_after_kill_9_and_after_a_restart():
    server.kill()
    server.start()
    check(is_well(), True, fares(volume()))
    check(login().read(100, 128) == made["data"], True)
    check(server.stop(), 0)
    with Held(disk):
        pass  # it was let go
    server.start()
    check(volume()["DeviceID"], made["naa"])
    x = login()
    check(inquiry(x, 0x83) == made["named"], True, "the same names")
    check(x.read(100, 128) == made["data"], True)
    x.logout()


def not_served(why):
    """It says why; what else there is is served."""
    wait_for(f"'{why}'", lambda: fares(volume())[0] == [6] and why in fares(volume())[1], 20)
    small = server.cli("volume", "create", "small", "1M").strip()
    server.cli("volume", "attach", small, "n", "--lun", "7")
    check(smi.iscsi_ls(server.portal()).keys(), {made["iqn"]})
    server.cli("volume", "detach", small, "n")
    server.cli("volume", "delete", small)


def served_again():
    wait_for("the volume to be served", is_well, 30)
    x = login()
    check(x.read(100, 128) == made["data"], True)
    x.logout()


@test
def a_device_that_is_missing_at_the_start_is_waited_for():
    check(server.stop(), 0)
    name.unlink()
    server.start()
    not_served("the block device is not there")
    name.symlink_to(disk)
    served_again()


@test
def another_device_of_the_same_name_is_not_served():
    check(server.stop(), 0)
    name.unlink()
    name.symlink_to(other)
    before = pathlib.Path(other).stat().st_rdev
    server.start()
    not_served("another block device has this name now")
    with Held(other):
        check(os.stat(other).st_rdev, before)  # nobody has opened it
    name.unlink()
    name.symlink_to(disk)
    served_again()


@test
def a_device_that_somebody_has_at_the_start_is_waited_for():
    check(server.stop(), 0)
    with Held(disk):
        server.start()
        not_served("held by another program" if server.engine == "lio" else "busy")
    served_again()


@test
def a_volume_whose_device_is_missing_can_be_taken_away():
    check(server.stop(), 0)
    name.unlink()
    server.start()
    not_served("the block device is not there")
    server.cli("volume", "detach", "whole", "n")
    name.symlink_to(disk)
    wait_for("the volume to be well", is_well, 30)
    server.cli("volume", "attach", "whole", "n")
    served_again()


@test
def a_volume_that_is_removed_leaves_its_device_as_it_is():
    server.cli("volume", "detach", "whole", "n")
    server.cli("volume", "delete", "whole")
    with Held(disk):
        pass
    check(on_disk(100 * 512, len(made["data"])) == made["data"], True)
    wait_for("the pool to be free", lambda: pool(name)["RemainingManagedSpace"] == 40 * MIB)


@test
def a_pool_goes_with_its_option_unless_it_has_a_volume():
    naa = server.cli("volume", "create", "stays", "--pool", str(name)).strip()
    check(server.stop(), 0)
    server.args = []
    server.start()
    have = {i["ElementName"] for i in client().enum(POOL)}
    check(have, {"file system", "default", "block devices", str(name)})
    server.cli("volume", "delete", naa)
    wait_for("the pools to go", lambda: {i["ElementName"] for i in client().enum(POOL)} ==
             {"file system", "default"}, 20)
    check(server.stop(), 0)


smi.main()
