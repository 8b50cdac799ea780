#!/bin/bash
# Lists the packages of one kind of tests, by what these and the packages import:
#
#   scripts/packages.sh check|browsers|daemons|peers|concurrent|unraced|unraced-tests|sequential
#
#   browsers    with browsers, each of which takes a processor: what imports internal/lab/browser
#   daemons     without these, with Jami daemons: what imports internal/lab/jamilab
#   peers       with others that nobody here wrote, at the other end of a call, a link or a protocol: what imports
#               anything else of the laboratory (internal/lab), itself or through another package
#   check       all others: those whose own code starts goroutines or synchronises with some
#     concurrent
#       unraced   of them, those with files of tests that the race detector leaves out (//go:build !race), as they compute for long
#                 in one goroutine; unraced-tests is the pattern for go test -run of just these tests
#     sequential  and those where the race detector has nothing to find
#
# The largest come first, so that none of them is left to the end, to run by itself; but of those with browsers the ones without
# Jami daemons: some of those with both want to have the only daemons (jamilab.Options.Alone), which the others are done with by then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

# For each package with tests, go list has the program that runs them, PACKAGE.test, with all that is in it.
tested() { # browsers, both, daemons, peers or check
  go list -test -f '{{if eq .Name "main"}}{{.ImportPath}} {{join .Deps " "}}{{end}}' ./... |
    awk -v wanted="$1" '$1 ~ /\.test$/ {
      kind = "check"
      if (/ rendezvous\/internal\/lab\//) kind = "peers"
      if (/ rendezvous\/internal\/lab\/browser( |$)/) kind = "browsers"
      if (/ rendezvous\/internal\/lab\/jamilab( |$)/) kind = kind == "browsers" ? "both" : "daemons"
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

# The files of tests that are left out under the race detector: PACKAGE FILE.
unraced() {
  xargs go list -race -f '{{$p := .ImportPath}}{{$d := .Dir}}{{range .IgnoredGoFiles}}{{$p}} {{$d}}/{{.}}{{"\n"}}{{end}}' |
    sed -n '/_test\.go$/p'
}

largest() {
  xargs go list -f '{{.ImportPath}} {{.Dir}}' |
    while read -r package dir; do echo "$(cat "$dir"/*.go | wc -l) $package"; done |
    sort -rn | cut -d' ' -f2
}

case "${1:-}" in
check) tested check ;;
browsers) tested browsers | largest && tested both | largest ;;
daemons | peers) tested "$1" | largest ;;
concurrent) tested check | concurrent | largest ;;
unraced) tested check | concurrent | unraced | cut -d' ' -f1 | sort -u | largest ;;
unraced-tests)
  tested check | concurrent | unraced | cut -d' ' -f2- | xargs -d '\n' sed -nE 's/^func ((Test|Fuzz|Example)\w+)\(.*/\1/p' |
    sort -u | paste -sd '|' | sed 's/.*/^(&)$/'
  ;;
sequential) all=$(tested check) && grep -vxFf <(concurrent <<<"$all") <<<"$all" ;;
*)
  echo "usage: scripts/packages.sh check|browsers|daemons|peers|concurrent|unraced|unraced-tests|sequential" >&2
  exit 2
  ;;
esac
