#!/bin/bash
# Makes a Debian package of a program that has been made for this system, and prints its path:
#
#   scripts/deb.sh PROGRAM FOLDER
#
# FOLDER is for the package and what it is made of; what was there before is deleted. COMPRESSION has options of
# dpkg-deb. What the program needs is found out by debhelper, so that the package is one for this release of Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$1 folder=$2
work=$folder/rendezvous
rm -rf "$folder"
mkdir -p "$work"
cp -r deploy/debian "$work/debian"
cp deploy/rendezvous.service "$work/debian/"

scripts/stage.sh "$program" "$work/staged/usr" /usr
mkdir -p "$work/staged/etc/rendezvous"
mv "$work/staged/usr/share/doc/rendezvous/config.yaml" "$work/staged/etc/rendezvous/"
install -D -m 644 deploy/rendezvous.sysusers "$work/staged/usr/lib/sysusers.d/rendezvous.conf"

release=$(. /etc/os-release && echo "$ID${VERSION_ID:-}")
cat >"$work/debian/changelog" <<END
rendezvous ($(scripts/version.sh)-1~${release//-/}) unstable; urgency=medium

  * What has changed is in CHANGELOG.md beside this file.

 -- The rendezvous maintainers <maintainers@rendezvous.invalid>  $(git log -1 --format=%cD)
END

# What building wants, scripts/deps.sh has seen to.
said=$folder/dpkg-buildpackage.txt
if ! (cd "$work" && dpkg-buildpackage --build=binary --no-sign --no-check-builddeps) >"$said" 2>&1; then
  tail -n 20 "$said" >&2
  exit 1
fi
rm -rf "$work"
ls "$folder"/rendezvous_*.deb
