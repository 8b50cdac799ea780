#!/bin/bash
# What looks at the page, from npm: TypeScript and axe-core. package-lock.json says which, node_modules what is here of it.
set -euo pipefail
cd "$(dirname "$0")/../signalling/web/page"

if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
fi
