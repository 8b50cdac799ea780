#!/bin/bash
# Lint and all tests, or those under the race detector alone:
#
#   scripts/test.sh [race]
#
# What the tests say goes to artifacts/tests.json, as go test -json has it; what they drew and recorded,
# beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

began=$SECONDS
export TEST_ARTEFACTS="$PWD/artifacts"
said=$TEST_ARTEFACTS/tests.json
mkdir -p "$TEST_ARTEFACTS"
failed=0
go tool gotestsum --format pkgname --format-hide-empty-pkg --jsonfile "$said" \
  --raw-command -- scripts/gotest.sh "${1:-all}" || failed=1

echo "slowest:"
go tool gotestsum tool slowest --jsonfile "$said" --threshold 10s --num 12
# Tests that began anew because a daemon had broken by itself (internal/lab/jamilab).
sed -n '/"Action":"attr"/s/.*"Test":"\([^"]*\)".*"Key":"broken-daemon","Value":"\(.*\)".*/begun anew: \1: \2/p' "$said"
if [ "${1:-all}" = all ]; then
  cat "$TEST_ARTEFACTS"/{lint,arm64,packed,trixie}.txt || failed=1
fi
echo "tests: $((SECONDS - began)) s"
exit "$failed"
