#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service files keep both daemons in a strict sandbox."""
import re

import smi
from smi import check, test


def exposure(unit):
    code, out, err = smi.run("systemd-analyze", "security", "--offline=true",
                             smi.ROOT / "packaging" / unit)
    m = re.search(r"Overall exposure level for \S+: ([\d.]+)", out)
    if not m:
        raise AssertionError(f"systemd-analyze said (exit {code}): {out}{err}")
    return float(m[1])


@test
def both_units_are_exposed_at_most_2_of_10():
    for unit in ("smiscsid.service", "smiscsi-target.service"):
        level = exposure(unit)
        check(level <= 2.0, True, f"{unit} has {level}")


@test
def a_unit_without_its_sandbox_would_be_noticed():
    d = smi.temp_dir()
    text = (smi.ROOT / "packaging/smiscsid.service").read_text()
    bare = d / "bare.service"
    bare.write_text("\n".join(l for l in text.splitlines()
                              if not l.startswith(("Protect", "Private", "Restrict", "System"))))
    check(exposure(bare) > 2.0, True)


smi.main()
