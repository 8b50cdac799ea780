#!/bin/bash
# Lint and all tests, or those under the race detector alone:
#
#   scripts/test.sh [race]
#
# The tests come in three groups by what they can stand:
#
#   alone     meetings of real programs measured in real time, one package after the other:
#             two meetings at once on a small machine would measure each other
#   together  real programs that mostly wait for each other, two packages at once; and
#             arithmetic without goroutines, which the race detector would only slow
#   race      everything else, under the race detector
#
# Lint, and compiling for the later groups, take what the meetings leave of the processors.
set -euo pipefail
cd "$(dirname "$0")/.."

group=${1:-all}
began=$SECONDS
# Pictures of the meetings for people to look at.
export TEST_ARTEFACTS="$PWD/artifacts"

all=$(go list ./...)
alone=$(grep -E '^rendezvous/(internal/e2e|mixer|signalling/(web|jami))$' <<<"$all")
# The longest first: none of them is left to the end, to run by itself.
long=$(printf 'rendezvous/signalling/%s\n' sip jami/account jami/conversation)
together=$(grep -E '^rendezvous/(mixer/(av|video|audio/(echo|gate|howl|jitter|receive|stretch|talk))|internal/lab/.*|bench.*|cmd/.*|scripts/.*|dht/dhtbench|swarm.*)$' <<<"$all")
race=$(grep -vxFf <(printf '%s\n%s\n%s\n' "$alone" "$long" "$together") <<<"$all")

# compile fills the build cache with what the tests of packages need: compile [-race] PACKAGE...
compile() { go list -export -deps -test "$@" >/dev/null; }

# meanwhile is what is done beside the meetings.
# shellcheck disable=SC2086
meanwhile() {
  scripts/lint.sh && compile $long $together && compile -race $race
}

# What runs in the class "idle" is given a processor when nothing else wants it.
idle=(chrt --idle 0)
"${idle[@]}" true 2>/dev/null || idle=(nice -n 19)

go build -o bin/testreport ./scripts/testreport
# shellcheck disable=SC2086
{
  # A group runs also after another has failed: one run shows all that is wrong.
  failed=0
  if [ "$group" = all ]; then
    compile $alone || failed=1 # by all processors; the tests would use one
    log=$(mktemp)
    export -f meanwhile compile
    export long together race
    "${idle[@]}" bash -euc meanwhile >"$log" 2>&1 &
    go test -p 1 -count=1 -timeout 15m -json $alone || failed=1
    wait $! || failed=1
    cat "$log"
    rm "$log"
    go test -p 2 -count=1 -timeout 15m -json $long $together || failed=1
  fi
  go test -p 2 -race -count=1 -timeout 15m -json $race || failed=1
  exit $failed
} | bin/testreport
echo "everything passed in $((SECONDS - began)) s"
