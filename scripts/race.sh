#!/bin/bash
# The race detector over the packages where it is affordable: not those whose tests
# start browsers and daemons or encode video, which it slows beyond real time.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=$(go list ./... | grep -vE '^rendezvous/(mixer/av|mixer/video|bench|internal/lab|cmd|scripts)(/|$)')
go build -o bin/testreport ./scripts/testreport
# shellcheck disable=SC2086
go test -race -short -p 1 -count=1 -timeout 10m -json $packages | bin/testreport
