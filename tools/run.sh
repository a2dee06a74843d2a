#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: run.sh BUILD-DIR: start the server on its embedded default, make a small demonstration once,
# print how to talk to it, stay until Ctrl-C or SIGTERM.
set -eu
# Another place for it: SMISCSI_STATE, SMISCSI_HTTP, SMISCSI_PORTAL; SMISCSI_ENGINE as --engine.
build=$(cd "$1" && pwd)
state=${SMISCSI_STATE:-$build/state}
http=${SMISCSI_HTTP:-127.0.0.1:5988}
portal=${SMISCSI_PORTAL:-127.0.0.1:3260}
engine=${SMISCSI_ENGINE:-user}
iscsi=MSISCSITARGET

fifo=$(mktemp -u)
mkfifo -m 600 "$fifo"
exec 3<>"$fifo"
rm -f "$fifo"

"$build/smiscsid" --state "$state" --http $http --no-auth --portal $portal --engine "$engine" --foreground >&3 2>"$state.log" &
pid=$!
stop() {
	trap - INT TERM EXIT
	kill "$pid" 2>/dev/null || true
	wait "$pid" || true
}
trap 'stop; exit 0' INT TERM
trap stop EXIT

# The first line on stdout is the ready line; when smiscsid ends before, its stderr says why.
ready= whole=
while [ -z "$whole" ] && kill -0 "$pid" 2>/dev/null; do
	# a line that comes slowly is given in parts
	if read -r -t 1 part <&3 2>/dev/null; then whole=1; fi
	ready=$ready$part
done
if [ -z "$whole" ]; then
	trap - INT TERM EXIT
	wait "$pid" && code=0 || code=$?
	cat "$state.log" >&2
	exit $code
fi
echo "$ready"

smiscsi() { "$build/smiscsi" --url http://$http "$@"; }
marker=$state/demonstration
if [ ! -e "$marker" ] && [ "$(smiscsi --json node list)" = "[]" ]; then
	node=$(smiscsi node create demo)
	port=$(smiscsi port create demo --portal $portal)
	volume=$(smiscsi volume create "demo volume" 64M)
	lun=$(smiscsi volume attach "$volume" demo)
	echo "$node" >"$marker"
	cat <<TXT

A small demonstration was made:
  node   $node (alias demo)
  port   $port on portal $portal
  volume $volume, 64 MiB, LUN $lun
TXT
fi
iqn=$(cut -d' ' -f1 "$marker" 2>/dev/null || echo IQN)
cat <<TXT

Look at it (wbemcli: package sblim-wbemcli, iscsi-ls and iscsi-inq: libiscsi-bin):
  wbemcli ein 'http://$http/root/cimv2/storage/iscsitarget:${iscsi}_iSCSIProtocolEndpoint'
  wbemcli ei 'http://$http/root/microsoft/windows/storage/sm:MSFT_SMiSCSIPortalEndpoint'
  $build/smiscsi show
  iscsi-ls -s iscsi://$portal
  iscsi-inq iscsi://$portal/$iqn/0
The state is in $state; deleting it is a factory reset.  The log is in $state.log.  Ctrl-C stops everything.
TXT

# wait returns early when a signal comes; the traps above then do the rest
wait "$pid" && code=0 || code=$?
trap - INT TERM EXIT
exit $code
