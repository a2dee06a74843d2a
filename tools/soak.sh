#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: soak.sh [SECONDS]: everything at once, and verified reading and writing while everything changes and is
# killed, for that long (default an hour) in the builds with the address and with the thread sanitizer.  Before
# that, for a quarter of it, everything at once in the plain build, where memory is measured more finely, and for
# another quarter the fault tests with seeds that nobody has tried.
set -eu
cd "$(dirname "$0")/.."
quarter=$((${1:-3600} / 4))
export PYTHONDONTWRITEBYTECODE=1
build() {
	tools/setup.sh "$@"
	ninja -C "$1" --quiet
}
everything() {
	echo "== $1: everything at once, $quarter seconds =="
	SMISCSI_BUILD=$1 SMISCSI_SOAK_SECONDS=$quarter python3 tests/system/test_soak.py
}
verified() {
	echo "== $1: verified reading and writing, $quarter seconds =="
	SMISCSI_BUILD=$1 SMISCSI_VERIFY_SECONDS=$quarter python3 tests/system/test_verify.py
}
faults() {
	end=$(($(date +%s) + quarter))
	while [ "$(date +%s)" -lt "$end" ]; do
		seed=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')
		for t in power disk; do
			echo "== $1: faults, $t, seed $seed =="
			SMISCSI_BUILD=$1 SMISCSI_SHIM=$PWD/$1/tests/fault/fault-shim.so SMISCSI_SEED=$seed \
				python3 tests/fault/test_$t.py
		done
	done
}
build build --buildtype=debugoptimized
everything build
faults build
build build-asan --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=true
everything build-asan
verified build-asan
build build-tsan --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
everything build-tsan
verified build-tsan
