#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: soak.sh [SECONDS]: the soak test for that long (default an hour, half of it each) in the builds
# with the address and with the thread sanitizer.
set -eu
cd "$(dirname "$0")/.."
half=$((${1:-3600} / 2))
soak() {
	dir=$1
	shift
	tools/setup.sh "$dir" --buildtype=debugoptimized -Db_lundef=false "$@"
	ninja -C "$dir" --quiet smiscsid smiscsi-target smiscsi
	echo "== $dir: $half seconds =="
	SMISCSI_BUILD=$dir SMISCSI_SOAK_SECONDS=$half PYTHONDONTWRITEBYTECODE=1 \
		python3 tests/system/test_soak.py
}
soak build-asan -Db_sanitize=address,undefined -Dwerror=true
soak build-tsan -Db_sanitize=thread
