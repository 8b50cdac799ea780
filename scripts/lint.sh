#!/bin/bash
# gofmt, and all checks of scripts/lint, over the whole tree.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'gofmt would change:\n%s\n' "$unformatted" >&2
  exit 1
fi
# What was found clean is kept for this very program, which must not change with each
# commit. (-trimpath would keep it for other clones too, but compile all libraries twice.)
go build -buildvcs=false -o bin/lint ./scripts/lint
go vet -vettool="$PWD/bin/lint" ./...
echo "lint: gofmt, go vet, staticcheck, errorlint, modernize clean"
