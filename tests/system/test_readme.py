#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make run's script does what it says, and the README's transcript is true: its commands are run,
one after the other, and what they print is compared with the page."""
import os, re, signal, socket, subprocess

import smi
from smi import check, test

PAGE = (smi.ROOT / "README.md").read_text()
addr = smi.loopback()
http, portal = f"{addr}:{smi.free_port(addr)}", f"{addr}:3260"
state = smi.temp_dir() / "state"
if smi.KERNEL:  # the page's volume of 1 GiB is larger than the emulated machine
    smi.run("mke2fs", "-q", "-F", "-t", "ext4", f"{state}.disk", "3G", ok=0)
    smi.run("mount", "-o", "loop", f"{state}.disk", state.parent, ok=0)
    smi.at_end(lambda: smi.run("umount", "-l", state.parent))
env = {**os.environ, "SMISCSI_STATE": str(state), "SMISCSI_HTTP": http, "SMISCSI_PORTAL": portal,
       "SMISCSI_URL": f"http://{http}", "PATH": f"{smi.BUILD}:{os.environ['PATH']}"}
running = None


def start():
    """tools/run.sh until it has said all it has to say; (process, text)."""
    global running
    running = subprocess.Popen([smi.ROOT / "tools/run.sh", smi.BUILD], env=env, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    smi.at_end(end)
    text = ""
    for line in running.stdout:
        text += line
        if line.startswith("The state is in"):
            return text
    raise AssertionError(f"tools/run.sh ended (exit {running.wait()}): {text}")


def end():
    if running.poll() is None:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)


def transcript():
    """(command, expected lines) of every console block of the page."""
    out = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                out.append((line[2:], []))
            else:
                out[-1][1].append(line)
    return out


def plain(line):
    """What differs from machine to machine by the page's own names."""
    line = line.replace(http, "127.0.0.1:5988").replace(portal, "127.0.0.1:3260")
    line = line.replace(addr, "127.0.0.1")
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", line)
    line = re.sub(r"\b3[0-9A-F]{15}\b", "NAA-NAME", line)
    line = re.sub(r"(iqn\.2026-11\.net\.smiscsi):[A-Za-z0-9.-]+:", r"\1:HOST:", line)
    return re.sub(r"  +", "  ", line).rstrip()  # columns are as wide as what stands in them


def fits(got, want):
    """want may have '...' for any number of lines."""
    if not want:
        return not got
    if want[0] == "...":
        return any(fits(got[i:], want[1:]) for i in range(len(got) + 1))
    return bool(got) and got[0] == plain(want[0]) and fits(got[1:], want[1:])


@test
def make_run_makes_a_demonstration_once_and_says_how_to_look_at_it():
    text = start()
    check(text.startswith("ready: http://"), True, text)
    for part in ("demonstration was made", "wbemcli", "smiscsi show", "iscsi-ls"):
        check(part in text, True, f"{part} in {text}")


@test
def the_transcript_of_the_readme_is_true():
    commands = transcript()
    check(len(commands) >= 10, True, "commands on the page")
    iqn_host = re.search(r"iqn\.2026-11\.net\.smiscsi:([a-z0-9.-]+):demo", subprocess.run(
        ["smiscsi", "show"], env=env, stdout=subprocess.PIPE, text=True).stdout)[1]
    for command, want in commands:
        if smi.KERNEL:  # whose sessions are looked for once a second
            smi.wait_for("who has logged out to be gone", lambda: smi.kernel_sessions() == 0 and smi.run(
                "smiscsi", "--json", "session", "list", env=env)[1].strip() == "[]")
        real = command.replace("127.0.0.1:5988", http).replace("127.0.0.1:3260", portal)
        real = real.replace(":HOST:", f":{iqn_host}:")
        p = subprocess.run(real, shell=True, env=env, stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * smi.PATIENCE)
        got = [plain(l) for l in p.stdout.splitlines()]
        if not fits(got, want):
            raise AssertionError(f"$ {command}\nprinted:\n" + "\n".join(got) +
                                 "\nthe page says:\n" + "\n".join(want))


def command_of(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
    except OSError:  # it has just ended
        return ""


@test
def the_demonstration_is_not_made_again_and_sigterm_stops_everything():
    target = [p for p in os.listdir("/proc") if p.isdigit() and str(state) in command_of(p)]
    check(len(target) >= (1 if smi.KERNEL else 2), True, f"processes of this state: {target}")
    end()
    check(running.returncode, 0, "exit code after SIGTERM")
    smi.wait_for("every process to end", lambda: not any(smi.alive(p) for p in target), 10)
    text = start()
    check("demonstration was made" in text, False)
    out = subprocess.run(["smiscsi", "show"], env=env, stdout=subprocess.PIPE, text=True).stdout
    check((out.count('"demo"'), out.count('"data base"')), (1, 1), out)
    end()


@test
def nothing_listens_afterwards():
    for a in (http, portal):
        host, port = a.rsplit(":", 1)
        with socket.socket() as s:
            check(s.connect_ex((host, int(port))) != 0, True, a)


smi.main()
