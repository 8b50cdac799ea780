#!/bin/bash
# The race detector over the packages where it is affordable: not those whose tests
# start browsers and daemons, encode video or make many keys, which it slows beyond use.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=$(go list ./... | grep -vE '^rendezvous/(mixer/av|mixer/video|internal/(lab|e2e)|bench|cmd|scripts|dht/dhtbench)(/|$)' |
  grep -vE '^rendezvous/(mixer|signalling/(web|sip|jami|jami/account))$')
go build -o bin/testreport ./scripts/testreport
# shellcheck disable=SC2086
go test -race -p 1 -count=1 -timeout 10m -json $packages | bin/testreport
