#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: setup.sh DIR [meson options]: configure a build folder; nothing to do when it is there and
# no room has come or gone since (Meson itself notices every other change).
set -eu
dir=$1
shift
rooms=$(cd "$(dirname "$0")/.." && find src tests bench -name meson.build | sort)
[ -f "$dir/build.ninja" ] && [ "$rooms" = "$(cat "$dir/rooms" 2>/dev/null)" ] && exit 0
again=
if [ -f "$dir/build.ninja" ]; then
	again=--reconfigure
else
	rm -rf "$dir"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! meson setup $again "$dir" "$@" >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
printf '%s\n' "$rooms" >"$dir/rooms"
