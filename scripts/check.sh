#!/bin/bash
# Lint, and the tests that need no foreign program to talk to. What has not changed since it last
# passed is not done again.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

began=$SECONDS
scripts/lint.sh
mapfile -t packages < <(scripts/packages.sh check)
go tool gotestsum --format pkgname --format-hide-empty-pkg -- "${packages[@]}"
echo "check: all is well, after $((SECONDS - began)) s"
