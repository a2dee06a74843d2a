#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: run.sh BUILD-DIR: every bench, each against its peer or limit in the same run.
set -eu
here=$(dirname "$0")
export SMISCSI_BUILD="$1" PYTHONDONTWRITEBYTECODE=1
for b in cim_bench.py target_bench.py sm_fleet.py; do
	echo "== $b"
	python3 "$here/$b"
done
