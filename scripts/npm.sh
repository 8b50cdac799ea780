#!/bin/bash
# What looks at the page (TypeScript, axe-core) and at the control API's description (redocly), from npm. package-lock.json says
# which, node_modules what is here of it.
set -euo pipefail
cd "$(dirname "$0")/.."

for folder in signalling/web/page scripts/openapi; do
  if ! [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
  fi
done
