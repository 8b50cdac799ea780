#!/bin/bash
# Runs every fuzz test of the tree for the given time (default 10s each).
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-10s}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$dir"/*_test.go | sort -u | while read -r fuzz; do
    echo "== $dir $fuzz"
    go test -run '^$' -fuzz "^$fuzz\$" -fuzztime "$time" "$dir"
  done
done
