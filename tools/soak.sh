#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: soak.sh [SECONDS]: everything at once, and verified reading and writing while everything changes and is
# killed, for that long (default an hour) in the builds with the address and with the thread sanitizer.
set -eu
cd "$(dirname "$0")/.."
quarter=$((${1:-3600} / 4))
soak() {
	dir=$1
	shift
	tools/setup.sh "$dir" --buildtype=debugoptimized -Db_lundef=false "$@"
	ninja -C "$dir" --quiet smiscsid smiscsi-target smiscsi
	echo "== $dir: two times $quarter seconds =="
	SMISCSI_BUILD=$dir SMISCSI_SOAK_SECONDS=$quarter PYTHONDONTWRITEBYTECODE=1 \
		python3 tests/system/test_soak.py
	SMISCSI_BUILD=$dir SMISCSI_VERIFY_SECONDS=$quarter PYTHONDONTWRITEBYTECODE=1 \
		python3 tests/system/test_verify.py
}
soak build-asan -Db_sanitize=address,undefined -Dwerror=true
soak build-tsan -Db_sanitize=thread
