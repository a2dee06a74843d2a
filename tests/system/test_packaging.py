#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service files keep both daemons in a strict sandbox."""
import os, re, shutil, subprocess, sys

import smi
from smi import check, run, test


def exposure(unit):
    code, out, err = smi.run("systemd-analyze", "security", "--offline=true",
                             smi.ROOT / "packaging" / unit)
    m = re.search(r"Overall exposure level for \S+: ([\d.]+)", out)
    if not m:
        raise AssertionError(f"systemd-analyze said (exit {code}): {out}{err}")
    return float(m[1])


@test
def the_units_are_exposed_at_most_2_of_10():
    for unit in ("smiscsid.service", "smiscsi-target.service", "smiscsi-pam.service"):
        level = exposure(unit)
        check(level <= 2.0, True, f"{unit} has {level}")


@test
def with_the_kernels_target_it_is_a_little_more_and_says_how_much():
    unit = (smi.ROOT / "packaging/smiscsid.service").read_text()
    drop_in = (smi.ROOT / "packaging/smiscsid-lio.conf").read_text()
    both = smi.temp_dir() / "smiscsid.service"
    # a drop-in's settings come after the unit's; CapabilityBoundingSet= adds up
    both.write_text(unit + "\n" + drop_in)
    level = exposure(both)
    print(f"# smiscsid.service has {exposure('smiscsid.service')}, with smiscsid-lio.conf {level}")
    check(level <= 2.0, True, f"with the drop-in: {level}")
    check(set(re.findall(r"CAP_\w+", drop_in)), {"CAP_DAC_OVERRIDE", "CAP_NET_ADMIN"},
          "what test_reboot.py has shown to be enough")


@test
def with_block_devices_it_is_a_little_more():
    drop_in = (smi.ROOT / "packaging/smiscsi-devices.conf").read_text()
    for unit in ("smiscsid.service", "smiscsi-target.service"):
        both = smi.temp_dir() / unit
        both.write_text((smi.ROOT / "packaging" / unit).read_text() + "\n" + drop_in)
        level = exposure(both)
        print(f"# {unit} has {exposure(unit)}, with smiscsi-devices.conf {level}")
        check(level <= 2.0, True, f"with the drop-in: {level}")


@test
def the_installed_servers_engine_is_auto():
    server = smi.Server(portals=1, engine=None, args=[
        "--config", str(smi.ROOT / "packaging/smiscsid.conf")]).start()
    check("(engine " in server.ready, True, server.ready)
    check("engine " in server.errors(), True, "the log")
    check(server.stop(), 0)


@test
def a_unit_without_its_sandbox_would_be_noticed():
    d = smi.temp_dir()
    text = (smi.ROOT / "packaging/smiscsid.service").read_text()
    bare = d / "bare.service"
    bare.write_text("\n".join(l for l in text.splitlines()
                              if not l.startswith(("Protect", "Private", "Restrict", "System"))))
    check(exposure(bare) > 2.0, True)


@test
def the_targets_service_listens_where_smiscsid_looks():
    text = (smi.ROOT / "packaging/smiscsi-target.service").read_text()
    where = re.search(r"--control (\S+)", text)[1]
    server = smi.Server().start()
    check((server.state / os.path.basename(where)).is_socket(), True, where)
    check(os.path.dirname(where), re.search(
        r"--state (\S+)", (smi.ROOT / "packaging/smiscsid.service").read_text())[1])
    check(server.stop(), 0)


@test
def the_helper_for_pam_is_open_to_the_servers_user_only():
    units = {u: (smi.ROOT / "packaging" / u).read_text()
             for u in ("smiscsid.service", "smiscsi-pam.service", "smiscsi-pam.socket")}
    user = re.search(r"^User=(\S+)", units["smiscsid.service"], re.M)[1]
    socket = units["smiscsi-pam.socket"]
    check(re.findall(r"^Listen.*|^Socket.*", socket, re.M),
          ["ListenSequentialPacket=/run/smiscsi-pam.sock", f"SocketUser={user}",
           f"SocketGroup={user}", "SocketMode=0600"])
    check(f"--user {user}\n" in units["smiscsi-pam.service"], True)
    check("User=" in units["smiscsi-pam.service"], False, "root, as PAM needs it")


@test
def both_daemons_run_without_privileges():
    nobody = 65534
    if os.getuid() == 0:
        # no capability, none to be had, files of its own only
        wrapper = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups",
                   "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    else:
        wrapper = ["setpriv", "--no-new-privs"]
    d = smi.temp_dir()
    if os.getuid() == 0:
        os.chown(d, nobody, nobody)
    programs = smi.temp_dir()  # the build may lie where only its owner can go, such as /root
    programs.chmod(0o755)
    for name in ("smiscsid", "smiscsi-target"):
        shutil.copy(smi.BUILD / name, programs)
    server = smi.Server(state=d / "state", wrapper=wrapper)
    server.programs = programs
    server.start()
    for pid in (server.proc.pid, server.target_pid()):
        with open(f"/proc/{pid}/status") as f:
            status = f.read()
        check(re.search(r"CapEff:\s+(\w+)", status)[1], "0" * 16, f"capabilities of {pid}")
        check(re.search(r"NoNewPrivs:\s+(\d)", status)[1], "1")
    node = server.cli("node", "create", "unprivileged").strip()
    server.cli("port", "create", "unprivileged", "--portal", server.portal())
    volume = server.cli("volume", "create", "v", "1M").strip()
    server.cli("volume", "attach", volume, "unprivileged")
    check(set(smi.iscsi_ls(server.portal())), {node})
    run("iscsi-inq", f"iscsi://{server.portal()}/{node}/0", ok=0)
    for f in [server.state, *server.state.rglob("*")]:
        check(f.stat().st_mode & 0o077, 0, f"others may not touch {f.name}")
    check(server.stop(), 0)


def sandboxed(unit, folder):
    return [sys.executable, str(smi.ROOT / "tests/system/sandbox.py"),
            str(smi.ROOT / "packaging" / unit), str(folder), "65534"]


@test
def the_sandbox_of_the_service_file_lets_them_do_their_work():
    if os.getuid() != 0 or run("unshare", "-m", "true")[0]:
        raise smi.Skip("needs root and mount namespaces")
    d, programs = smi.temp_dir(), smi.temp_dir()
    os.chown(d, 65534, 65534)
    programs.chmod(0o755)
    for name in ("smiscsid", "smiscsi-target"):
        shutil.copy(smi.BUILD / name, programs)
    # it is there: what would be done outside of it is refused inside
    for script, word in (
            (f"open('{smi.ROOT}/x', 'w')", "OSError"), ("import os; os.setuid(65534)", "PermissionError"),
            ("import socket; socket.socket(socket.AF_PACKET)", "not supported"),
            ("import os; os.listdir('/proc/sys')", "FileNotFoundError"),
            ("import mmap; mmap.mmap(-1, 4096, prot=7)", "PermissionError"),
            (f"open('{d}/y', 'w'); raise SystemExit(print('Fine'))", "Fine")):
        _, out, err = run(*sandboxed("smiscsid.service", d), "/usr/bin/env", "python3", "-ISc",
                          script)
        check(word in out + err, True, f"{script}: {out}{err}")
    # each in its own, as the service manager starts them
    state = d / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 65534, 65534)
    log = open(d / "target.log", "wb")
    target = subprocess.Popen(
        [*sandboxed("smiscsi-target.service", d), programs / "smiscsi-target", "--control",
         state / "target.sock", "--foreground"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    smi.at_end(target.kill)
    smi.wait_for("the target", lambda: (state / "target.sock").exists() or target.poll(), 30)
    server = smi.Server(state=state, wrapper=sandboxed("smiscsid.service", d), auth=True)
    server.programs = programs
    https = smi.free_port(server.addr)
    server.args = ["--https", f"{server.addr}:{https}"]
    server.start()
    check(server.target_pid(), target.pid, "that target is used")
    for pid in (server.proc.pid, target.pid):
        with open(f"/proc/{pid}/status") as f:
            check(re.search(r"Seccomp:\s+(\d)", f.read())[1], "2", "filtered")
    run(smi.BUILD / "smiscsi", "user", "add", "boss", "--role", "admin", "--state", state, ok=0,
        input="boss-pass\n")
    os.environ["SMISCSI_PASSWORD"] = "boss-pass"

    def cli(*args):
        return run(smi.BUILD / "smiscsi", "--url", f"https://{server.addr}:{https}", "--cacert",
                   state / "tls/cert.pem", "--user", "boss", *args, ok=0)[1].strip()

    node = cli("node", "create", "boxed")
    cli("port", "create", "boxed", "--portal", server.portal())
    volume = cli("volume", "create", "v", "4M")
    cli("volume", "attach", volume, "boxed")
    check(set(smi.iscsi_ls(server.portal())), {node})
    url = f"iscsi://{server.portal()}/{node}/0"
    out = run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 0 1M", "-c", "flush", "-c",
              "read -P 0x5a 0 1M", "-c", "discard 0 1M", url, ok=0)[1]
    check("verification failed" in out, False, out)
    plain = smi.Server().start()
    uring = lambda pid: any("io_uring" in os.readlink(f"/proc/{pid}/fd/{f}")
                            for f in os.listdir(f"/proc/{pid}/fd"))
    check(uring(target.pid), uring(plain.target_pid()), "io_uring, where the kernel has it")
    check(plain.stop(), 0)
    check("boxed" in cli("show"), True)
    # and again, from what it kept
    check(server.stop(), 0)
    server.start()
    check("boxed" in cli("show"), True)
    check(server.stop(), 0)
    target.terminate()
    check(target.wait(20), 0)
    for text in (server.errors(), (d / "target.log").read_text(errors="replace")):
        check(re.search("not permitted|Permission denied|error:", text) is None, True, text)


@test
def the_service_manager_is_told_when_the_server_is_ready_and_the_target_outlives_a_restart():
    import os, socket
    d = smi.temp_dir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(d / "notify"))
        s.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = str(d / "notify")
        try:
            server = smi.Server().start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        check("READY=1" in s.recv(4096).decode(), True)
        target = server.target_pid()
        check(server.stop(), 0)
        check("STOPPING=1" in s.recv(4096).decode(), True)
        check(server.target_pid(), target, "the target goes on serving")
    server.start()
    check(server.target_pid(), target, "and is taken over")
    check(server.stop(), 0)


smi.main()
