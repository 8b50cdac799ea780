#!/bin/bash
# Prints the licences of all modules that are in the program, and Go's own, each text once.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh

texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT

# note MODULE FOLDER
note() {
  local file sum found=
  for file in "$2"/{LICENSE,LICENCE,COPYING,NOTICE}*; do
    [ -f "$file" ] || continue
    found=yes
    sum=$(sha256sum <"$file" | cut -d' ' -f1)
    echo "$1" >>"$texts/$sum.of"
    cp "$file" "$texts/$sum.text"
  done
  if [ -z "$found" ]; then
    echo "scripts/licences.sh: $1 has no licence in $2" >&2
    exit 1
  fi
}

note "Go $(go env GOVERSION)" "$(go env GOROOT)"
modules=$(go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/rendezvous | sort -u)
while read -r path version dir; do
  note "$path $version" "$dir"
done <<<"$modules"

echo "The program rendezvous contains these modules, under the licences that follow them."
for of in $(for f in "$texts"/*.of; do echo "$(head -n 1 "$f" | cut -d' ' -f1) $f"; done | LC_ALL=C sort | cut -d' ' -f2); do
  printf '\n%s\n' "$(printf '=%.0s' {1..80})"
  cat "$of"
  echo
  cat "${of%.of}.text"
done
