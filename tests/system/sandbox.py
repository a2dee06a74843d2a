#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a program in what its service file leaves it, where no service manager is to be had.

usage: sandbox.py UNIT WRITABLE UID PROGRAM [ARGUMENT]...      (as root)

From the unit come the system calls that are allowed, the address families, the capabilities, memory
that may not be both written and run, namespaces, the network, and what of /proc is seen; the file
system is read-only but for the folder WRITABLE.  Left out: user namespaces, devices, limits."""
import ctypes, os, pathlib, re, socket, struct, subprocess, sys

LIBC = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SECCOMP, CAPBSET_DROP = 38, 22, 24
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
W, X = 2, 4
CAPS = {"CAP_AUDIT_WRITE": 29}


def settings(unit):
    """{name: [value, ...]} of a unit file."""
    out = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", pathlib.Path(unit).read_text(), re.M):
        out.setdefault(name, []).append(value)
    return out


def members(group):
    """The calls of @group, those of the groups in it included."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    out = set()
    for line in text.splitlines():
        word = line.strip()
        if not line.startswith(" ") or word.startswith("#"):
            continue
        out |= members(word) if word.startswith("@") else {word}
    return out


def allowed_calls(lists):
    """As systemd.exec(5) has it for a first list without '~'."""
    out = members("@default")
    for line in lists:
        taken = line.startswith("~")
        for word in line.lstrip("~").split():
            some = members(word) if word.startswith("@") else {word}
            out = out - some if taken else out | some
    return out


def numbers():
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-xc", "/dev/null"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    return {n: int(v) for n, v in re.findall(r"#define __NR_(\w+) (\d+)$", text, re.M)}


def bpf(unit):
    """The seccomp filter, as bytes."""
    nr = numbers()
    code = []

    def op(what, k, yes=0, no=0):
        code.append(struct.pack("=HBBI", what, yes, no, k))

    load, equal, both, ret = 0x20, 0x15, 0x54, 0x06
    argument = lambda i: 16 + 8 * i

    def case(name, *body):
        """The calls of that name end in body, which is no longer than a jump."""
        op(equal, nr[name], 0, len(body))
        for b in body:
            op(*b)

    op(load, 0)
    families = [getattr(socket, f) for f in unit["RestrictAddressFamilies"][0].split()]
    case("socket", (load, argument(0)),
         *[x for f in families for x in ((equal, f, 0, 1), (ret, ALLOW))],
         (ret, ERRNO | EAFNOSUPPORT))
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        case("mmap", (load, argument(2)), (both, W | X), (equal, W | X, 0, 1), (ret, ERRNO | EPERM),
             (ret, ALLOW))
        case("mprotect", (load, argument(2)), (both, X), (equal, X, 0, 1), (ret, ERRNO | EPERM),
             (ret, ALLOW))
    if unit.get("RestrictNamespaces") == ["yes"]:
        case("clone3", (ret, ERRNO | ENOSYS))
        case("unshare", (ret, ERRNO | EPERM))
    for name in sorted(allowed_calls(unit["SystemCallFilter"])):
        if name in nr:
            case(name, (ret, ALLOW))
    op(ret, ERRNO | EPERM)
    return b"".join(code)


def prctl(*args):
    if LIBC.prctl(*(ctypes.c_ulong(a) for a in args), *[ctypes.c_ulong(0)] * (5 - len(args))) < 0:
        raise OSError(ctypes.get_errno(), f"prctl{args}")


def main():
    unit, writable, uid = settings(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    program = bpf(unit)
    CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
    if LIBC.unshare(CLONE_NEWNS | (CLONE_NEWNET if unit.get("PrivateNetwork") == ["yes"] else 0)):
        raise OSError(ctypes.get_errno(), "unshare")
    proc = {"ProtectProc": "hidepid=invisible", "ProcSubset": "subset=pid"}
    subset = ",".join(v for k, v in proc.items() if k in unit)
    subprocess.run(["sh", "-ec", 'mount --make-rprivate /; mount --bind "$1" "$1"; '
                    "mount -o remount,bind,ro /; "
                    f"mount -t proc -o {subset} proc /proc", "sh", writable], check=True)
    keep = {CAPS[c] for c in unit["CapabilityBoundingSet"][0].split()}
    for cap in range(64):
        if cap not in keep:
            try:
                prctl(CAPBSET_DROP, cap)
            except OSError:
                break  # no more of them
    os.umask(int(unit["UMask"][0], 8))
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    prctl(NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog, with the padding of the machine
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    fprog = ctypes.create_string_buffer(fprog, len(fprog))
    prctl(SECCOMP, 2, ctypes.addressof(fprog))
    os.execvp(sys.argv[4], sys.argv[4:])


if __name__ == "__main__":
    main()
