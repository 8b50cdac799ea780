#!/bin/bash
# Installs the Debian packages that the host, or its tests, need and that are
# not there yet; checks Go. Says nothing and is quick when nothing is missing.
#
#   scripts/deps.sh run     to build and run the host
#   scripts/deps.sh check   that, and the programs that make and check files in tests
#   scripts/deps.sh test    that, and the real clients that the tests start
#   scripts/deps.sh bench   that, and the programs that we are compared with
#   scripts/deps.sh pack    to build the host and make packages of it
#
#   scripts/deps.sh names build|run|check|test|bench|pack   prints the packages' names alone; build is what compiling needs
set -euo pipefail
cd "$(dirname "$0")/.."

# FFmpeg, libopus, libyuv and libvpx.
build_packages=(
  gcc libc6-dev pkg-config
  libavcodec-dev libavformat-dev libavutil-dev libavfilter-dev libavdevice-dev
  libswscale-dev libswresample-dev
  libopus-dev libopusfile-dev libyuv-dev libvpx-dev
)

# What makes a Debian package (scripts/deb.sh).
pack_packages=(
  git make dpkg-dev debhelper
)

# Fonts for the name labels in every script; espeak-ng speaks announcements.
run_packages=(
  fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji fonts-dejavu-core
  espeak-ng ca-certificates
)

# Programs nobody here wrote that tests have make files, or check those that we make.
check_packages=(
  ffmpeg                                  # decodes and probes what the host made
  sox libsox-fmt-all                      # sounds
  openssl gnutls-bin                      # certificates
  git strace                              # conversations; what the disk is asked for
  python3-icalendar                       # what a calendar makes of an invitation
  npm                                     # TypeScript and Redocly's linter, which check the page's modules and the API's description
  curl                                    # follows events
)

# Programs that the tests meet as clients, servers and networks.
test_packages=(
  chromium firefox-esr                    # browsers
  baresip-core baresip-ffmpeg sip-tester  # phones, and phones that misbehave
  jami-daemon dbus dbus-bin python3-dbus python3-gi pulseaudio pulseaudio-utils # Jami devices
  dhtnode python3-opendht                 # DHT nodes
  coturn miniupnpd miniupnpd-nftables nftables # relays and routers on the way
  pebble                                  # a certificate authority
  iproute2 tcpdump procps                 # networks of their own, captures, checks
  debootstrap debian-archive-keyring      # roots of other Debians (scripts/root.sh)
  lintian man-db                          # packages and manual pages
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross # another architecture (scripts/arm64.sh)
)

# Programs that measurements compare with the host, beside those.
bench_packages=(
  janus                                   # mixes sound, too (bench/load)
)

names=no
if [ "${1:-}" = names ]; then
  names=yes
  shift
fi
kind=${1:-run}
wanted=("${build_packages[@]}")
case "$kind" in
build) ;;
pack) wanted+=("${pack_packages[@]}") ;;
run) wanted+=("${run_packages[@]}") ;;
check) wanted+=("${run_packages[@]}" "${check_packages[@]}") ;;
test) wanted+=("${run_packages[@]}" "${check_packages[@]}" "${test_packages[@]}" "${pack_packages[@]}") ;;
bench) wanted+=("${run_packages[@]}" "${check_packages[@]}" "${test_packages[@]}" "${pack_packages[@]}" "${bench_packages[@]}") ;;
*)
  echo "usage: scripts/deps.sh [names] build|run|check|test|bench|pack" >&2
  exit 2
  ;;
esac
if [ "$names" = yes ]; then
  printf '%s\n' "${wanted[@]}"
  exit
fi

# go.mod names the Go it needs; a Go from 1.21 on fetches that by itself, unless it was told not to.
needed=$(awk '$1 == "go" { print $2 }' go.mod)
if ! command -v go >/dev/null; then
  echo "scripts/deps.sh: Go is not installed (or not in PATH); see https://go.dev/doc/install" >&2
  exit 1
fi
if ! version=$(go env GOVERSION 2>&1); then
  echo "scripts/deps.sh: Go $needed or later is needed, and this one cannot fetch it (https://go.dev/doc/install): ${version##*$'\n'}" >&2
  exit 1
fi
# One before 1.21 cannot even read which it should be.
if [[ "$version" =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt 21 ]; then
  echo "scripts/deps.sh: Go $needed or later is needed, and this is $version; see https://go.dev/doc/install" >&2
  exit 1
fi

if ! command -v dpkg-query >/dev/null; then
  echo "scripts/deps.sh: not a Debian system; have these installed yourself: ${wanted[*]}" >&2
  exit 0
fi
installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package} ${Version}\n' 2>/dev/null | sed -n 's/^ii //p')
missing=()
for package in "${wanted[@]}"; do
  # Some have it with a Node of their own, which Debian's would not go with.
  if [ "$package" = npm ] && command -v npm >/dev/null; then
    continue
  fi
  version=$(awk -v name="$package" '$1 == name { print $2 }' <<<"$installed")
  # What drives the browsers speaks to the newest only: one that was installed long ago is renewed.
  if [ -z "$version" ] || { [ "$package" = chromium ] && dpkg --compare-versions "$version" lt 156; }; then
    missing+=("$package")
  fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "scripts/deps.sh: run this as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
  apt-get -qq -y --no-install-recommends install "${missing[@]}")
# Package lists are missing on a fresh machine, and may be old: what they name can then be gone,
# or outdated.
"${as_root[@]}" apt-get -qq update || echo "scripts/deps.sh: package lists could not be renewed" >&2
"${install[@]}" >/dev/null
