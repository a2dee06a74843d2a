#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: setup.sh DIR [meson options]: configure a build folder once; later calls do nothing.
set -eu
dir=$1
shift
[ -f "$dir/build.ninja" ] && exit 0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf "$dir"
if ! meson setup "$dir" "$@" >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
