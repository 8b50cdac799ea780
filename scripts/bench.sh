#!/bin/bash
# Comparisons with the bare codecs and with other programs; each prints its table
# (what is measured and how: bench/README.md).
set -euo pipefail
cd "$(dirname "$0")/.."

go test -count=1 -timeout 30m -tags bench -run '^TestBench' -v ./bench/... | grep -vE '^(=== |--- |PASS)'
