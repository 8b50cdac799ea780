#!/bin/bash
# Lint, then all tests, or those under the race detector alone:
#
#   scripts/test.sh [race]
#
# They come in three groups by what they can stand:
#
#   alone     meetings of real programs measured in real time, one package after the other:
#             two meetings at once on a small machine would measure each other
#   together  real programs that mostly wait for each other, two packages at once; and
#             arithmetic without goroutines, which the race detector would only slow
#   race      everything else, under the race detector
set -euo pipefail
cd "$(dirname "$0")/.."

group=${1:-all}
began=$SECONDS
# Pictures of the meetings for people to look at.
export TEST_ARTEFACTS="$PWD/artifacts"
[ "$group" = all ] && scripts/lint.sh
go build -o bin/testreport ./scripts/testreport

all=$(go list ./...)
alone=$(grep -E '^rendezvous/(internal/e2e|mixer|signalling/(web|jami))$' <<<"$all")
together=$(grep -E '^rendezvous/(mixer/(av|video|audio/(echo|gate|howl|jitter|receive|stretch|talk))|internal/lab/.*|bench.*|cmd/.*|scripts/.*|dht/dhtbench|signalling/sip|signalling/jami/(account|conversation)|swarm.*)$' <<<"$all")
race=$(grep -vxFf <(printf '%s\n%s\n' "$alone" "$together") <<<"$all")

# shellcheck disable=SC2086
{
  # A group runs also after another has failed: one run shows all that is wrong.
  failed=0
  if [ "$group" = all ]; then
    go test -p 1 -count=1 -timeout 15m -json $alone || failed=1
    go test -p 2 -count=1 -timeout 15m -json $together || failed=1
  fi
  go test -p 2 -race -count=1 -timeout 15m -json $race || failed=1
  exit $failed
} | bin/testreport
echo "everything passed in $((SECONDS - began)) s"
