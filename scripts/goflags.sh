#!/bin/bash
# Prints GOFLAGS with the module file for this machine's FFmpeg, as pkg-config names it: a release of go-astiav is made for
# one FFmpeg. go.mod has that of Debian 12's; what is without FFmpeg yet, or its own -modfile, is left as it is.
#
#   export GOFLAGS=$(scripts/goflags.sh)
set -euo pipefail
cd "$(dirname "$0")/.."

flags=$(go env GOFLAGS)
codec=$(pkg-config --modversion libavcodec 2>/dev/null || true)
case "$codec" in
'' | 59.*) module= ;;
61.*) module=go.ffmpeg7.mod ;; # FFmpeg 7: Debian 13
62.*) module=go.ffmpeg8.mod ;; # FFmpeg 8
*)
  echo "scripts/goflags.sh: this machine's FFmpeg has libavcodec $codec; there is a go-astiav for FFmpeg 5.1 (59), 7 (61) and 8 (62)" >&2
  exit 1
  ;;
esac
if [ -n "$module" ] && [[ " $flags" != *" -modfile="* && " $flags" != *" '-modfile="* ]]; then
  # Quoted, as Go wants a path with spaces; whole, as tests run in folders of their own.
  flags="${flags:+$flags }'-modfile=$PWD/$module'"
fi
echo "$flags"
