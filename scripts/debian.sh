#!/bin/bash
# Builds the program on another Debian than this machine's, and runs the tests of what FFmpeg matters to there:
#
#   scripts/debian.sh SUITE [root|build]   no more than the root, or what can be built without a test being run
#
# That is in a root of the suite (scripts/root.sh), with its compiler, its FFmpeg and nothing else of its own: Go, its
# modules and its cache are this machine's, so that what has not changed since it passed costs a few seconds.
# The program is left in artifacts/SUITE.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! [[ $# -ge 1 && "${2:-}" =~ ^(|root|build)$ ]]; then
  echo "usage: scripts/debian.sh SUITE [root|build]" >&2
  exit 2
fi
suite=$1 what=${2:-}
began=$SECONDS
packages=(./mixer/av ./mixer/ladder ./recordings)

mapfile -t wanted < <(scripts/deps.sh names build)
root=$(scripts/root.sh "$suite" "${wanted[@]}" ffmpeg)
made=$((SECONDS - began))
[ "$what" != root ] || exit 0

goroot=$(go env GOROOT) modules=$(go env GOMODCACHE) cache=$(go env GOCACHE)
mkdir -p "artifacts/$suite" "$cache"

# there COMMAND... runs in the root, in the checkout, with what Go needs.
there() {
  # shellcheck disable=SC2016
  scripts/root.sh run "$root" --bind "$PWD" --bind "$goroot" --bind "$modules" --bind "$cache" -- \
    env -C "$PWD" PATH="$goroot/bin:/usr/sbin:/usr/bin:/sbin:/bin" GOFLAGS="-buildvcs=false" \
    GOMODCACHE="$modules" GOCACHE="$cache" GOPROXY=off GOTOOLCHAIN=local \
    sh -c '. scripts/goenv.sh && exec "$@"' - "$@"
}

# What its FFmpeg needs of modules is fetched out here, where it is known how.
# shellcheck disable=SC2016
flags=$(there sh -c 'echo "$GOFLAGS"')
GOFLAGS=$flags go list -deps -test ./... >/dev/null

there go build -o "artifacts/$suite/rendezvous" ./cmd/rendezvous
if [ "$what" = build ]; then
  there go list -export -deps -test "${packages[@]}" >/dev/null
  exit
fi
there "artifacts/$suite/rendezvous" version
there go test -timeout 10m "${packages[@]}"
echo "$suite: builds with FFmpeg $(there pkg-config --modversion libavcodec) (libavcodec), ${packages[*]} pass; $((SECONDS - began)) s, $made of them for the root"
