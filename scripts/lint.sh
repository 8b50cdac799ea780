#!/bin/bash
# gofmt, and all checks of scripts/lint, over the whole tree; the page's modules against their types, and their tests; the
# description of the control API.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'gofmt would change:\n%s\n' "$unformatted" >&2
  exit 1
fi

page=signalling/web/page
openapi=scripts/openapi
scripts/npm.sh
node "$openapi/lint.mjs" signalling/web/control/openapi.yaml

# Alarms: each goes off for what it is for, and not before.
if ! said=$(scripts/promtool.sh test rules deploy/alerts.test.yaml 2>&1); then
  echo "$said" >&2
  exit 1
fi

# TypeScript reads the page's JavaScript, which stays as it is written.
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
echo "lint: gofmt, go vet, staticcheck, errorlint, modernize, tsc, redocly, promtool clean"
