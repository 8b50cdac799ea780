#!/bin/bash
# Compiles the C for arm64 and type-checks all Go for it, that of cgo included, with Debian's cross compiler. FFmpeg's headers
# and the other libraries' are this machine's: they are the same for all architectures that Debian has. Nothing is linked.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

go build -buildvcs=false -o bin/typecheck ./scripts/typecheck
here=$(gcc -print-multiarch)
if [ "$here" != aarch64-linux-gnu ]; then
  export GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc
  command -v "$CC" >/dev/null || { echo "scripts/arm64.sh: $CC is missing (scripts/deps.sh test installs it)" >&2 && exit 1; }
  # After those of the cross compiler, whose C library has its own.
  headers="-idirafter /usr/include/$here -idirafter /usr/include"
  export CGO_CFLAGS="$CGO_CFLAGS -O0 $headers" PKG_CONFIG_SYSTEM_INCLUDE_PATH="/usr/include:/usr/include/$here"
fi
for file in mixer/av/*.c; do
  # shellcheck disable=SC2086
  "${CC:-gcc}" -fsyntax-only -Wall -Werror ${headers:-} "$file"
done
bin/typecheck ./...
echo "arm64: C compiles, and Go is in order"
