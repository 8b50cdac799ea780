#!/bin/bash
# Lint, all tests, then the race detector where it is affordable. The tests start
# real programs (browsers, phones, daemons), so packages run one after the other:
# two meetings at once on a small machine would measure each other.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
# Pictures of the meetings for people to look at.
export TEST_ARTEFACTS="$PWD/artifacts"
scripts/lint.sh
go build -o bin/testreport ./scripts/testreport
go test -p 1 -count=1 -timeout 15m -json ./... | bin/testreport
scripts/race.sh
echo "everything passed in $((SECONDS - began)) s"
