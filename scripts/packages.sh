#!/bin/bash
# Lists the packages of one kind of tests, by what these import:
#
#   scripts/packages.sh check|meetings
#
#   meetings  with programs that nobody here wrote, at the other end of a call, a link or a protocol: whatever
#             imports the laboratory (internal/lab), itself or through another package
#   check     all others
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
check) wanted=0 ;;
meetings) wanted=1 ;;
*)
  echo "usage: scripts/packages.sh check|meetings" >&2
  exit 2
  ;;
esac

# For each package with tests, go list has the program that runs them, PACKAGE.test, with all that is in it.
go list -test -f '{{if eq .Name "main"}}{{.ImportPath}} {{join .Deps " "}}{{end}}' ./... |
  awk -v wanted="$wanted" '$1 ~ /\.test$/ {
    meeting = / rendezvous\/internal\/lab\//
    sub(/\.test$/, "", $1)
    if (meeting == wanted) print $1
  }'
