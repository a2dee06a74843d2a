#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages of the named groups (packages/<group>.txt) that are not there yet.
# Touches the network only when something is missing.
set -eu
here=$(dirname "$0")
missing=
for group in "$@"; do
	while read -r name _; do
		case $name in '' | '#'*) continue ;; esac
		case $(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null) in
		ii*) ;;
		*) missing="$missing $name" ;;
		esac
	done <"$here/packages/$group.txt"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
if [ "$(id -u)" != 0 ]; then
	echo "packages are missing and installing them needs root: sudo apt-get install$missing" >&2
	exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# Test peers such as tgt and nginx come with services of their own that nobody asked to run.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f "$log" $policy' EXIT
fi
# shellcheck disable=SC2086
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "could not install:$missing; the lines above are apt-get's" >&2
	exit 1
fi
