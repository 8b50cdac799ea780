#!/bin/bash
# Packs the program for this release of Debian, has lintian and man look at what comes out, and tries it (scripts/installed.sh):
#
#   scripts/packed.sh [pack|try]   no more than packing it, and the root; or trying what was packed before
#
# make deb and make dist make the program anew, with other flags; here it is the one of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

what=${1:-}
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
began=$SECONDS
folder=$PWD/artifacts/packed

fail() {
  echo "scripts/packed.sh: $*" >&2
  exit 1
}

try() {
  scripts/installed.sh "$suite" "$folder"/*.deb "$folder"/dist/*.tar.gz
}
if [ "$what" = try ]; then
  try
  exit
fi

# Versions are in order: of commits before the first tag, of what comes before a release, and after it.
last=
for described in 1234abc v0.9.0 v0.9.0-3-g1234abc v0.9.0-12-g1234abc v1.0.0-rc.1 v1.0.0-rc.1-2-g1234abc v1.0.0; do
  version=$(scripts/version.sh "$described")
  [ -z "$last" ] || dpkg --compare-versions "$last" lt "$version" || fail "version $version ($described) is not above $last"
  last=$version
done

go build -ldflags "-X main.version=$(git describe --tags --always --dirty)" -o bin/packed ./cmd/rendezvous
deb=$(COMPRESSION="-Zgzip -z1" scripts/deb.sh bin/packed "$folder")

# What is shipped is position-independent (Makefile); compiling all for that takes minutes, and shows nothing more.
as_root=()
[ "$(id -u)" -ne 0 ] || as_root=(--allow-root)
lintian "${as_root[@]}" --fail-on error,warning --suppress-tags hardening-no-pie "$deb"

dpkg-deb -x "$deb" "$folder/root"
for page in "$folder"/root/usr/share/man/man*/*; do
  said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)
  [ -z "$said" ] || fail "$page: $said"
done
bash -n "$folder/root/usr/share/bash-completion/completions/rendezvous"

archive=$(scripts/dist.sh bin/packed "$folder/dist")
scripts/installed.sh --root "$suite" "$deb" >/dev/null
echo "packed: $(basename "$deb"), $(basename "$archive"); lintian and man have nothing to say, after $((SECONDS - began)) s"
[ "$what" = pack ] || try
