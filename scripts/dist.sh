#!/bin/bash
# Makes an archive of a program that has been made for this system, with all that belongs to it, and prints its path:
#
#   scripts/dist.sh PROGRAM FOLDER
#
# In it, and beside it, are checksums. The same program and commit give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

program=$1 folder=$2
version=$(git describe --tags --always --dirty)
name=rendezvous-${version#v}-$(. /etc/os-release && echo "$ID${VERSION_ID:-}")-$(go env GOARCH)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

tree=$folder/$name
rm -rf "$folder"
mkdir -p "$tree"
scripts/stage.sh "$program" "$tree" /usr/local
mv "$tree/share/doc/rendezvous/config.yaml" "$tree/"
sed 's#/usr/\(bin\|share\)/#/usr/local/\1/#' deploy/rendezvous.service >"$tree/rendezvous.service"
cp deploy/rendezvous.sysusers deploy/install.sh LICENSE "$tree/"
ln -s share/doc/rendezvous/README.md "$tree/README.md"
# What is to be installed before, with the names of this release.
{
  objdump -p "$program" | awk '$1 == "NEEDED" { print "*/" $2 }' | xargs dpkg-query -S | cut -d: -f1
  sed -n 's/^Recommends: //p' deploy/debian/control | tr -s ', ' '\n'
  echo ca-certificates
} | LC_ALL=C sort -u >"$tree/PACKAGES"
(cd "$tree" && find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)

tar --create --directory "$folder" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
  --mode=go=rX,u+rw,a-s --format=gnu "$name" | gzip --no-name >"$folder/$name.tar.gz"
rm -rf "$tree"
(cd "$folder" && sha256sum "$name.tar.gz" >SHA256SUMS)
echo "$folder/$name.tar.gz"
