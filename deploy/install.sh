#!/bin/sh
# Installs the archive that this file is in: into /usr/local, with the unit and the configuration where systemd and the
# program look for them. To upgrade, do the same again; a configuration that is there stays as it is.
set -eu
umask 022 # others read manual pages, too
cd "$(dirname "$0")"

if [ "$(id -u)" -ne 0 ]; then
	echo "install.sh: needs to be run as root" >&2
	exit 1
fi
sha256sum --quiet --check SHA256SUMS
if missing=$(ldd bin/rendezvous | grep 'not found'); then
	printf '%s\ninstall.sh: libraries are missing; as root: apt-get install $(cat PACKAGES)\n' "$missing" >&2
	exit 1
fi

cp -R --no-preserve=ownership share /usr/local/
install -m 755 bin/rendezvous /usr/local/bin/rendezvous.new
mv /usr/local/bin/rendezvous.new /usr/local/bin/rendezvous # a running one does not mind
install -D -m 644 rendezvous.service /etc/systemd/system/rendezvous.service
install -D -m 644 rendezvous.sysusers /etc/sysusers.d/rendezvous.conf
systemd-sysusers rendezvous.conf
if [ ! -e /etc/rendezvous/config.yaml ]; then
	install -D -m 640 -g rendezvous config.yaml /etc/rendezvous/config.yaml
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
echo "Look at /etc/rendezvous/config.yaml, then: systemctl enable rendezvous && systemctl restart rendezvous"
