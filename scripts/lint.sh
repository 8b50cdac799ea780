#!/bin/bash
# gofmt, and all checks of scripts/lint, over the whole tree; the page's modules against their types, and their tests.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'gofmt would change:\n%s\n' "$unformatted" >&2
  exit 1
fi

# TypeScript reads the page's JavaScript, which stays as it is written.
page=signalling/web/page
scripts/npm.sh
"$page/node_modules/.bin/tsc" --project "$page"
# What of the page needs no browser has tests that need none.
if ! said=$(node --test "$page"/*_test.mjs 2>&1); then
  printf '%s\n' "$said" >&2
  exit 1
fi

# What was found clean is kept for this very program, which must not change with each
# commit. (-trimpath would keep it for other clones too, but compile all libraries twice.)
go build -buildvcs=false -o bin/lint ./scripts/lint
go vet -vettool="$PWD/bin/lint" ./...
echo "lint: gofmt, go vet, staticcheck, errorlint, modernize, tsc clean"
