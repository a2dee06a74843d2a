#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Before systemd starts (tools/vm.py --systemd): programs, units, configuration and users are put where an
# administrator puts them, and the state folder is as it was when the machine was switched off.
set -e
packaging=$(dirname "$0")/../../packaging
units=/etc/systemd/system
install -m 755 "$SMISCSI_BUILD/smiscsid" "$SMISCSI_BUILD/smiscsi-target" /usr/sbin
install -m 755 "$SMISCSI_BUILD/smiscsi" /usr/bin
install -D -m 644 "$packaging/smiscsid.conf" /etc/smiscsi/smiscsid.conf
install -m 644 "$packaging"/*.service "$packaging"/*.socket $units
install -D -m 644 "$packaging/smiscsid-lio.conf" $units/smiscsid.service.d/lio.conf
mkdir -p $units/sockets.target.wants
ln -s ../smiscsid.service ../smiscsi-target.service $units/multi-user.target.wants
if [ -e "$SMISCSI_BUILD/smiscsi-pam" ]; then
	install -D -m 755 "$SMISCSI_BUILD/smiscsi-pam" /usr/libexec/smiscsi-pam
	install -m 644 "$packaging/smiscsi.pam" /etc/pam.d/smiscsi
	ln -s ../smiscsi-pam.socket $units/sockets.target.wants
	echo 'pam = /run/smiscsi-pam.sock' >>/etc/smiscsi/smiscsid.conf
fi
echo 'smiscsi:x:870:870::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
echo 'smiscsi:x:870:' >>/etc/group
echo 'ann:x:61000:61000::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
echo "ann:$(openssl passwd -6 "$SMISCSI_PASSWORD"):19000:0:99999:7:::" >>/etc/shadow
echo 'smiscsi-admin:x:871:ann' >>/etc/group

install -d -o smiscsi -g smiscsi -m 700 /var/lib/smiscsi
cd /
setpriv --reuid=smiscsi --regid=smiscsi --clear-groups smiscsid --engine fake --no-auth \
	--state /var/lib/smiscsi --http 127.0.0.1:5988 --foreground >/run/ready 2>/run/fake.log &
while ! grep -q ready: /run/ready; do
	kill -0 $! 2>/dev/null || { cat /run/fake.log; exit 1; }
	sleep 0.1
done
{
	smiscsi node create stays
	smiscsi port create stays --portal 192.0.2.1 --portal 2001:db8::1 --tag 7
	smiscsi volume create stays 8M
	smiscsi volume attach stays stays --lun 3
} >/dev/null
kill $!
wait
