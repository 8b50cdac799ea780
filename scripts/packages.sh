#!/bin/bash
# Lists the packages of one kind of tests, by what these and the packages import:
#
#   scripts/packages.sh check|meetings|peers|concurrent|sequential
#
#   meetings    with browsers or Jami daemons, each of which wants a processor: what imports the laboratory's
#               (internal/lab/browser, internal/lab/jamilab), itself or through another package
#   peers       with others that nobody here wrote, at the other end of a call, a link or a protocol, which wait for
#               most of the time: what imports anything else of internal/lab
#   check       all others: those whose own code starts goroutines or synchronises with some
#     concurrent
#     sequential  and those where the race detector has nothing to find
#
# Of meetings, peers and concurrent the largest come first, so that none of them is left to the end, to run by itself.
# Meetings with daemons and without take turns: some of those with daemons want to be the only ones of their kind
# (jamilab.Options.Alone), for which those beside them would wait.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

# For each package with tests, go list has the program that runs them, PACKAGE.test, with all that is in it.
tested() { # meetings, peers or check
  go list -test -f '{{if eq .Name "main"}}{{.ImportPath}} {{join .Deps " "}}{{end}}' ./... |
    awk -v wanted="$1" '$1 ~ /\.test$/ {
      kind = "check"
      if (/ rendezvous\/internal\/lab\//) kind = "peers"
      if (/ rendezvous\/internal\/lab\/(browser|jamilab)( |$)/) kind = "meetings"
      sub(/\.test$/, "", $1)
      if (kind == wanted) print $1
    }'
}

# Packages with a go statement, or that import sync, sync/atomic or golang.org/x/sync.
concurrent() {
  xargs go list -f '{{$p := .ImportPath}}{{$d := .Dir}}{{range .GoFiles}}{{$p}} {{$d}}/{{.}}{{"\n"}}{{end}}' |
    while read -r package file; do
      if grep -qE '^\s*go [a-z(]|^\s*(import )?"(sync|sync/atomic|golang.org/x/sync/.*)"' "$file"; then
        echo "$package"
      fi
    done | sort -u
}

# Those of meetings that have Jami daemons.
daemons() {
  xargs go list -test -f '{{if eq .Name "main"}}{{.ImportPath}} {{join .Deps " "}}{{end}}' |
    sed -n '/ rendezvous\/internal\/lab\/jamilab\( \|$\)/s/\.test .*//p'
}

largest() {
  xargs go list -f '{{.ImportPath}} {{.Dir}}' |
    while read -r package dir; do echo "$(cat "$dir"/*.go | wc -l) $package"; done |
    sort -rn | cut -d' ' -f2
}

case "${1:-}" in
check) tested check ;;
peers) tested peers | largest ;;
meetings) all=$(tested meetings | largest) && paste -d '\n' <(daemons <<<"$all") <(grep -vxFf <(daemons <<<"$all") <<<"$all") | grep . ;;
concurrent) tested check | concurrent | largest ;;
sequential) all=$(tested check) && grep -vxFf <(concurrent <<<"$all") <<<"$all" ;;
*)
  echo "usage: scripts/packages.sh check|meetings|peers|concurrent|sequential" >&2
  exit 2
  ;;
esac
