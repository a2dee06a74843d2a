#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel under emulation, with this machine's own root inside: what a test needs that asks
the kernel's own target.  No /dev/kvm, no root, no image of a distribution.

usage: vm.py check               is all there?  exit 0, or 77 and a sentence on stderr
       vm.py prepare             get the kernel package and unpack it (run does it, too)
       vm.py run [options] -- COMMAND...

  --timeout S      the machine ends after S seconds, exit 124 (300)
  --disk FILE      a disk that outlives the machine, mounted at /persist; made when it isn't there.
                   A COMMAND that exits with 75 has its machine cut off from power, as it stands, and
                   is started again on a new one; SMISCSI_VM_BOOT counts them from 1
  --without NAME   leave out a kernel module (several times)
  --lazy           have the target's modules to be loaded, but not loaded
  --systemd FILE   systemd is the first process and COMMAND a service of it, started beside those of
                   multi-user.target.  FILE, a shell script, runs before: it may install units
  --memory MIB     (1024)
  --cpus N         (1: under emulation a second one costs more than it brings on a busy machine)
  --console        the kernel's console on stderr while it runs; else only when the machine broke

COMMAND runs as root in the current folder, with this environment's SMISCSI_*, PYTHON* and LANG, on
this machine's root, read-only below an overlay: what it writes goes to memory and is gone at the
end, but for /persist.  It sees lo, and an Ethernet device `eth0` with 192.0.2.1/24 and
2001:db8::1/64 that leads nowhere.  Its output comes as it is, its exit code is this program's.

The kernel is, the first of these there is: the package file that SMISCSI_VM_KERNEL names, one in
the folder for images, the newest that apt-get can download.  Images are kept below build-vm, or the
folder in SMISCSI_VM.
"""
import argparse, fcntl, lzma, os, pathlib, re, shlex, shutil, signal, socket, struct, subprocess, sys
import tempfile, threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("SMISCSI_VM") or ROOT / "build-vm")
META = "linux-image-amd64"  # the cloud kernel has the target, but no 9p
AGAIN = 75

# What the way in needs, in the order of loading; dependencies come by themselves.
BOOT = ["virtio_pci", "virtio_console", "virtio_blk", "9pnet_virtio", "9p", "overlay", "crc32c_generic",
        "ext4", "dummy", "veth", "loop", "tcp_diag"]
TARGET = ["configfs", "target_core_mod", "target_core_file", "target_core_iblock",
          "iscsi_target_mod"]
# The kernel's own initiator, and what makes disks of its sessions; loaded by who wants them.
INITIATOR = ["iscsi_tcp", "sd_mod", "sg"]
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static",
         "dpkg-deb": "dpkg", "mke2fs": "e2fsprogs"}

INIT = r"""#!/bin/busybox sh
# The first process of the machine; started on an initramfs that has nothing but busybox.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin /proc /sys /dev /lower /upper /root
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
fail() { echo "vm: $*" >/dev/console; poweroff -f; }
for m in $(cat /modules.boot); do
	modprobe "$m" || fail "no module $m"
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower || fail "no root"
mount -t tmpfs -o mode=755,size=75% tmpfs /upper
mkdir /upper/up /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/up,workdir=/upper/work overlay /root ||
	fail "no overlay"
r=/root
mkdir -p $r/proc $r/sys $r/dev $r/run $r/tmp $r/persist "$r/lib/modules/$(uname -r)"
mount --bind /proc $r/proc
mount --bind /sys $r/sys
mount --bind /dev $r/dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs $r/run
mount -t tmpfs tmpfs $r/tmp
ln -sf /proc/self/fd /dev/fd
mount --bind "/lib/modules/$(uname -r)" "$r/lib/modules/$(uname -r)"
[ -e $r/sbin/modprobe ] || cp /bin/busybox $r/sbin/modprobe
if [ -b /dev/vda ]; then
	mount -t ext4 /dev/vda $r/persist || fail "no disk"
	# The kernel itself opens files by their names here, outside of what COMMAND sees as its root.
	mkdir -p /persist
	mount --bind $r/persist /persist
fi
if [ -d /sys/module/configfs ]; then
	mount -t configfs configfs /sys/kernel/config
	mount --bind /sys/kernel/config $r/sys/kernel/config
fi
. /net.sh
# What the target says belongs into the console's log, which is shown when something broke.
out=/dev/vport0p1
exitcode=/dev/vport0p2
n=0
while [ ! -c $exitcode ] && [ $n -lt 100 ]; do n=$((n + 1)); usleep 20000; done
cp /run.sh $r/run/command.sh
if [ -f /systemd.sh ]; then
	# switch_root empties this file system, and systemd mounts for itself what it wants
	umount "$r/lib/modules/$(uname -r)" $r/sys/kernel/config 2>/dev/null
	umount /sys/kernel/config 2>/dev/null
	cp -r "/lib/modules/$(uname -r)" $r/lib/modules/
	# nothing of this machine's own services
	rm -rf $r/etc/systemd/system/*.wants $r/.dockerenv
	: >$r/etc/fstab
	echo 0123456789abcdef0123456789abcdef >$r/etc/machine-id # else it is a first boot, with presets
	for unit in getty.target systemd-logind.service systemd-udevd.service systemd-udev-trigger.service \
		systemd-udevd-control.socket systemd-udevd-kernel.socket dbus.service dbus.socket \
		systemd-firstboot.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount; do
		ln -sf /dev/null $r/etc/systemd/system/$unit
	done
	cat >$r/etc/systemd/system/smiscsi-vm.service <<-END
	[Unit]
	Description=the command that this machine was started for
	[Service]
	ExecStart=/bin/sh /run/whole.sh
	TimeoutStartSec=infinity
	END
	mkdir -p $r/etc/systemd/system/multi-user.target.wants
	ln -s ../smiscsi-vm.service $r/etc/systemd/system/multi-user.target.wants/
	cat >$r/run/whole.sh <<-END
	/bin/sh /run/command.sh </dev/null >$out 2>&1
	code=\$?
	[ \$code = 75 ] || { umount /persist 2>/dev/null; sync; }
	echo "exit \$code" >$exitcode
	echo o >/proc/sysrq-trigger
	END
	cp /systemd.sh $r/run/systemd.sh
	if chroot $r /bin/sh /run/systemd.sh </dev/null >$out 2>&1; then
		exec switch_root $r /lib/systemd/systemd --log-target=console --show-status=0 --unit=multi-user.target
	fi
	echo "exit 126" >$exitcode
	echo o >/proc/sysrq-trigger
	sleep 60
fi
chroot $r /bin/sh /run/command.sh </dev/null >$out 2>&1
code=$?
[ $code = 75 ] || { umount /persist $r/persist 2>/dev/null; sync; }
echo "exit $code" >$exitcode
echo o >/proc/sysrq-trigger
sleep 60
"""

NET = r"""
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add eth0 type dummy
ip link set eth0 up
ip addr add 192.0.2.1/24 dev eth0
ip addr add 2001:db8::1/64 dev eth0
"""


class Cannot(Exception):
    pass


def which(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def check():
    """Everything but the kernel; Cannot says what is missing and what brings it."""
    if os.uname().machine != "x86_64":
        raise Cannot(f"the emulated machine is for x86-64, this is {os.uname().machine}")
    for program, package in TOOLS.items():
        if not which(program):
            raise Cannot(f"no {program} here; the package {package} has it")


# -- the image --

def kernel_package(cache):
    """The kernel's package file; downloads the newest one when there is none."""
    given = os.environ.get("SMISCSI_VM_KERNEL")
    if given:
        if not os.path.isfile(given):
            raise Cannot(f"SMISCSI_VM_KERNEL names {given}, which is no file")
        return pathlib.Path(given)
    have = sorted(cache.glob("linux-image-*.deb"))
    if have:
        return have[-1]
    why = download(cache)
    if why and os.geteuid() == 0:  # lists that are missing or old
        subprocess.run(["apt-get", "-q", "update"], capture_output=True)
        why = download(cache)
    if why:
        raise Cannot(why)
    return sorted(cache.glob("linux-image-*.deb"))[-1]


def download(cache):
    """None, or why there is no package now."""
    said = subprocess.run(["apt-cache", "depends", META], capture_output=True, text=True)
    m = re.search(r"Depends: (linux-image-\S+)", said.stdout)
    if not m:
        return f"apt-cache knows no {META}; apt-get update may be all that is missing"
    got = subprocess.run(["apt-get", "download", "-q", m[1]], cwd=cache, capture_output=True,
                         text=True)
    if got.returncode or not any(cache.glob("linux-image-*.deb")):
        last = (got.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"apt-get could not download {m[1]}: {last}"
    return None


def unpack_kernel(bzimage, out):
    """The ELF file inside, which boots without a BIOS; a kernel packed in a way that nothing here
    unpacks stays as it is and takes some seconds longer."""
    data = bzimage.read_bytes()
    start = (data[0x1f1] + 1) * 512 + struct.unpack_from("<I", data, 0x248)[0]
    packed = data[start:start + struct.unpack_from("<I", data, 0x24c)[0] - 4]
    for magic, tool in ((b"\x02\x21\x4c\x18", "lz4"), (b"\xfd7zXZ\0", "xz"),
                        (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b\x08", "gzip")):
        if packed.startswith(magic) and which(tool):
            p = subprocess.run([tool, "-dc"], input=packed, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
            if p.stdout.startswith(b"\x7fELF"):
                out.write_bytes(p.stdout)
                return
    out.write_bytes(data)


def module_name(path):
    return re.sub(r"\.ko(\.xz)?$", "", path.name).replace("-", "_")


def module_bytes(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def cpio(files):
    """An archive as the kernel takes it: [(name, mode, bytes)]."""
    out = bytearray()
    for i, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")]):
        head = (i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % n for n in head) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def folders(names):
    seen = []
    for n in names:
        for p in reversed(pathlib.PurePath(n).parents):
            if str(p) != "." and str(p) not in seen:
                seen.append(str(p))
    return [(p, 0o040755, b"") for p in seen]


def prepare():
    """{vmlinux, initrd, version}, made when they aren't there or this program has changed."""
    check()
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        package = kernel_package(CACHE)
        stamp = f"{package.name} {os.stat(__file__).st_mtime_ns}"
        mark = CACHE / "made"
        if not (mark.exists() and mark.read_text() == stamp):
            make_image(package)
            mark.write_text(stamp)
    return CACHE / "vmlinux", CACHE / "initrd"


def make_image(package):
    with tempfile.TemporaryDirectory(dir=CACHE) as tmp:
        tmp = pathlib.Path(tmp)
        tree = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", tmp, "--wildcards", "./boot/vmlinuz-*", "./*/fs/*",
                        "./*/drivers/target/*", "./*/drivers/virtio/*", "./*/drivers/block/*",
                        "./*/drivers/net/*.ko*", "./*/drivers/char/*.ko*", "./*/net/9p/*",
                        "./*/net/core/*", "./*/net/ipv4/*", "./*/lib/*.ko*", "./*/crypto/*", "./*/drivers/scsi/*.ko*",
                        "./*/block/*"], stdin=tree.stdout, check=True, stderr=subprocess.DEVNULL)
        if tree.wait():
            raise Cannot(f"{package} is no whole package; delete it and it is fetched anew")
        unpack_kernel(next((tmp / "boot").iterdir()), CACHE / "vmlinux")
        modules = next((tmp / p for p in ("lib/modules", "usr/lib/modules")
                        if (tmp / p).exists()))
        version = next(modules.iterdir()).name
        files = {module_name(p): p for p in modules.rglob("*.ko*")}
        take, depends = {}, {}

        def add(name):
            if name in take:
                return
            if name not in files:
                raise Cannot(f"{package.name} has no module {name}")
            data = take[name] = module_bytes(files[name])
            m = re.search(rb"\0depends=([^\0]*)", data)
            depends[name] = [d.replace("-", "_") for d in m[1].decode().split(",") if d] if m else []
            for d in depends[name]:
                add(d)

        for name in BOOT + TARGET + INITIATOR:
            add(name)

        def deep(name):
            """What must be there before it, in the order of loading."""
            out = []
            for d in depends[name]:
                out += [*deep(d), d]
            return list(dict.fromkeys(out))

        base = f"lib/modules/{version}"
        listing = "".join(f"{n}.ko: {' '.join(f'{d}.ko' for d in reversed(deep(n)))}\n" for n in take)
        alias = "".join(f"alias {a.decode()} {n}\n" for n, data in take.items()
                        for a in re.findall(rb"\0alias=([^\0]+)", data))
        out = [(f"{base}/{n}.ko", 0o100644, d) for n, d in take.items()]
        out += [("init", 0o100755, INIT.encode()), ("net.sh", 0o100644, NET.encode()),
                ("bin/busybox", 0o100755, pathlib.Path(which("busybox")).read_bytes()),
                (f"{base}/modules.dep", 0o100644, listing.encode()),
                (f"{base}/modules.alias", 0o100644, alias.encode()),
                (f"{base}/modules.symbols", 0o100644, b""),
                (f"{base}/modules.builtin", 0o100644, b""),
                (f"{base}/modules.order", 0o100644, b"")]
        depmod = which("depmod")
        if depmod:  # what kmod's modprobe wants; busybox's has enough with the text
            d = tmp / "dep" / base
            d.mkdir(parents=True)
            for n, data in take.items():
                (d / f"{n}.ko").write_bytes(data)
            for n in ("modules.order", "modules.builtin"):
                (d / n).touch()
            subprocess.run([depmod, "-b", tmp / "dep", version], stderr=subprocess.DEVNULL)
            out += [(f"{base}/{p.name}", 0o100644, p.read_bytes()) for p in d.glob("*.bin")]
        (CACHE / "initrd").write_bytes(cpio(folders([n for n, _, _ in out]) + out))


# -- the machine --

def script(command, boot):
    keep = {k: v for k, v in os.environ.items()
            if k.startswith(("SMISCSI_", "PYTHON")) or k == "LANG"}
    keep |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp",
             "TMPDIR": "/tmp", "SMISCSI_VM_BOOT": str(boot), "SMISCSI_IN_VM": "1"}
    lines = ["env -i " + " ".join(f"{k}={shlex.quote(v)}" for k, v in keep.items()) + " \\",
             "\t" + " ".join(shlex.quote(c) for c in command)]
    return "\n".join([f"cd {shlex.quote(os.getcwd())} || exit 126", *lines, ""])


def copy_out(sock):
    """What the command says, as it says it."""
    with sock:
        while data := sock.recv(65536):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()


def boot(args, command, number, work):
    kernel, initrd = prepare()
    out = [m for m in BOOT + ([] if args.lazy else TARGET) if m not in args.without]
    extra = [("modules.boot", 0o100644, " ".join(out).encode())]
    if args.systemd:
        before = script(["/bin/sh", os.path.abspath(args.systemd)], number)
        extra.append(("systemd.sh", 0o100644, before.encode()))
    with open(work / "initrd", "wb") as f:
        f.write(initrd.read_bytes())
        f.write(b"\0" * (-f.tell() % 512))
        f.write(cpio([*extra, ("run.sh", 0o100644, script(command, number).encode())]))
    ours, theirs = socket.socketpair()
    code, console = work / "exit", work / "console"
    code.write_bytes(b"")
    # no_timer_check: on a busy machine ticks come too late for the kernel's own look at its timer
    cmd = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max",
           "-m", str(args.memory), "-smp", str(args.cpus), "-nodefaults", "-no-user-config",
           "-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", work / "initrd",
           "-append", "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off tsc=reliable "
                      "random.trust_cpu=on rcupdate.rcu_expedited=1",
           "-chardev", f"file,id=con,path={console}", "-serial", "chardev:con",
           "-device", "virtio-serial-pci",
           "-chardev", f"socket,id=out,fd={theirs.fileno()}", "-device", "virtserialport,chardev=out,nr=1",
           "-chardev", f"file,id=code,path={code}", "-device", "virtserialport,chardev=code,nr=2",
           "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
           "-device", "virtio-9p-pci,fsdev=root,mount_tag=root"]
    if args.disk:
        cmd += ["-drive", f"file={args.disk},format=raw,if=none,id=disk,cache=writeback",
                "-device", "virtio-blk-pci,drive=disk"]
    p = subprocess.Popen([str(c) for c in cmd], stdin=subprocess.DEVNULL,
                         pass_fds=[theirs.fileno()])
    theirs.close()
    copy = threading.Thread(target=copy_out, args=[ours], daemon=True)
    copy.start()
    end = threading.Timer(args.timeout, p.kill)
    end.start()
    try:
        p.wait()
    finally:
        late = not end.is_alive()
        end.cancel()
        if p.poll() is None:
            p.kill()
            p.wait()
    copy.join()
    said = code.read_text().split()
    if said[:1] == ["exit"]:
        if args.console:
            sys.stderr.write(console.read_text(errors="replace"))
        return int(said[1])
    sys.stderr.write(console.read_text(errors="replace")[-20000:])
    sys.stderr.write(f"vm: the machine was not done after {args.timeout} s\n" if late else
                     f"vm: the machine ended by itself (qemu: {p.returncode})\n")
    return 124 if late else 125


def run(args, command):
    if not command:
        raise Cannot("no command; vm.py run -- COMMAND")
    if args.disk and not os.path.exists(args.disk):
        subprocess.run([which("mke2fs"), "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1",
                        args.disk, "256M"], check=True, stdout=subprocess.DEVNULL)
    number = 1
    with tempfile.TemporaryDirectory(prefix="smiscsi-vm-") as work:
        while True:
            code = boot(args, command, number, pathlib.Path(work))
            if code != AGAIN:
                return code
            if not args.disk:
                raise Cannot("the command asks for a new start, which makes sense with --disk only")
            number += 1


def main():
    argv = sys.argv[1:]
    command = []
    if "--" in argv:
        argv, command = argv[:argv.index("--")], argv[argv.index("--") + 1:]
    ap = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    ap.add_argument("what", choices=["check", "prepare", "run"])
    ap.add_argument("--timeout", type=float, default=300)
    ap.add_argument("--disk")
    ap.add_argument("--without", action="append", default=[])
    ap.add_argument("--lazy", action="store_true")
    ap.add_argument("--systemd")
    ap.add_argument("--memory", type=int, default=1024)
    ap.add_argument("--cpus", type=int, default=1)
    ap.add_argument("--console", action="store_true")
    args = ap.parse_args(argv)
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda *_: sys.exit(1))
    try:
        if args.what == "run":
            return run(args, command)
        check() if args.what == "check" else prepare()
        return 0
    except Cannot as e:
        print(f"vm: {e}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main())
