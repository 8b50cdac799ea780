#!/bin/bash
# Runs lint and tests for scripts/test.sh, which says what of it; the tests' side of it, as JSON, goes to
# standard output. A part runs also after another has failed: one run shows all that is wrong.
#
# Meetings are measured in real time. A browser takes a processor: of packages with browsers one is tested at a time.
# Beside it run those whose programs wait for most of the time. Lint, compiling for the race detector, and tests that
# do nothing but compute take what is left over. Then it is shown that another Debian and another processor will do, and what is
# made for Debian is packed and tried, beside what is tested under the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

failed=0
# What runs in the class "idle" is given a processor when nothing else wants it.
idle=(chrt --idle 0)
"${idle[@]}" true 2>/dev/null || idle=(nice -n 19)

mapfile -t concurrent < <(scripts/packages.sh concurrent)
if [ "$1" = all ]; then
  mapfile -t browsers < <(scripts/packages.sh browsers)
  mapfile -t daemons < <(scripts/packages.sh daemons)
  mapfile -t peers < <(scripts/packages.sh peers)
  mapfile -t sequential < <(scripts/packages.sh sequential)
  go list -export -deps -test "${browsers[@]}" "${daemons[@]}" "${peers[@]}" >/dev/null || failed=1 # compiles, by all processors
  # A meeting's page is looked at with what npm brings.
  scripts/npm.sh >artifacts/npm.txt 2>&1 || { cat artifacts/npm.txt >&2 && failed=1; }
  groups=()
  trap 'for group in "${groups[@]}"; do kill -- "-$group" 2>/dev/null || true; done' EXIT
  # shellcheck disable=SC2016
  setsid "${idle[@]}" bash -c '
    scripts/lint.sh >artifacts/lint.txt 2>&1 || failed=1
    go test -p 2 -count=1 -timeout 20m -json "$@" >artifacts/sequential.json || failed=1
    go list -race -export -deps -test $(scripts/packages.sh concurrent) >/dev/null || failed=1
    # What computes for long in one goroutine, of packages whose other tests the race detector looks at.
    go test -p 2 -count=1 -timeout 20m -json -run "$(scripts/packages.sh unraced-tests)" $(scripts/packages.sh unraced) >>artifacts/sequential.json || failed=1
    exit ${failed:-0}' - "${sequential[@]}" &
  leftover=$!
  groups+=("$leftover")
  # Making a root takes the network more than a processor: it need not wait for the others.
  setsid "${idle[@]}" scripts/debian.sh trixie root >/dev/null 2>&1 &
  groups+=("$!")
  {
    failed=0
    go test -p 1 -parallel 1 -count=1 -timeout 20m -json "${daemons[@]}" || failed=1
    go test -p 1 -parallel 4 -count=1 -timeout 20m -json "${peers[@]}" || failed=1
    exit "$failed"
  } >artifacts/beside.json &
  beside=$!
  go test -p 1 -parallel 1 -count=1 -timeout 20m -json "${browsers[@]}" || failed=1
  wait "$beside" || failed=1
  cat artifacts/beside.json
  # From now on it is what is waited for: on a machine with something else to do, its class would get it nothing.
  for _ in 1 2; do # a process may start another meanwhile
    pgrep -g "$leftover" | xargs -r -n 1 chrt --all-tasks --other --pid 0 2>/dev/null || true
  done
  # shellcheck disable=SC2016
  setsid nice bash -c '
    scripts/arm64.sh >artifacts/arm64.txt 2>&1 || failed=1
    scripts/packed.sh >artifacts/packed.txt 2>&1 || failed=1
    scripts/debian.sh trixie >artifacts/trixie.txt 2>&1 || failed=1
    exit ${failed:-0}' &
  elsewhere=$!
  groups+=("$elsewhere")
  wait "$leftover" || failed=1
  cat artifacts/sequential.json
fi
go test -p 3 -race -count=1 -timeout 15m -json "${concurrent[@]}" || failed=1
if [ "$1" = all ]; then
  wait "$elsewhere" || failed=1
fi
exit $failed
