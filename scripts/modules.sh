#!/bin/bash
# Writes the module files for other FFmpegs than Debian 12's, after go.mod or go.sum has changed. They are these, with the
# release of go-astiav that is made for that FFmpeg (a test of internal/architecture compares them); which one a
# machine wants, scripts/goenv.sh knows.
set -euo pipefail
cd "$(dirname "$0")/.."

astiav=github.com/asticode/go-astiav

# module NAME VERSION writes NAME.mod and NAME.sum, with go-astiav VERSION.
module() {
  local sums
  go mod edit -require="$astiav@$2" -print go.mod >"$1.mod"
  # In a folder without a module, where no sum need be known.
  sums=$(cd / && GOFLAGS='' go mod download -json "$astiav@$2" |
    sed -n "s|.*\"Sum\": \"\(.*\)\".*|$astiav $2 \1|p; s|.*\"GoModSum\": \"\(.*\)\".*|$astiav $2/go.mod \1|p")
  awk -v module="$astiav" -v sums="$sums" '$1 != module { print; next } !n++ { print sums }' go.sum >"$1.sum"
}

module go.ffmpeg7 v0.39.0
module go.ffmpeg8 v0.42.0
