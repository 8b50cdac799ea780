#!/bin/bash
# Lays out the program and all that belongs to it but the unit, as they are to be below PREFIX on a machine:
#
#   scripts/stage.sh PROGRAM FOLDER PREFIX
#
# The manual pages and the completions are the program's own. The same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$1 folder=$2 prefix=$3
doc=$folder/share/doc/rendezvous
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

install -D -m 755 "$program" "$folder/bin/rendezvous"
"$program" man "$folder/share/man/man1"

completion() { # shell, file
  mkdir -p "$(dirname "$folder/share/$2")"
  "$program" completion "$1" >"$folder/share/$2"
}
completion bash bash-completion/completions/rendezvous
completion fish fish/vendor_completions.d/rendezvous.fish
case $prefix in # zsh of Debian
/usr) completion zsh zsh/vendor-completions/_rendezvous ;;
*) completion zsh zsh/site-functions/_rendezvous ;;
esac

mkdir -p "$doc"
git ls-files -z docs README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md | xargs -0 cp --parents -t "$doc"
git ls-files -z 'deploy/*.yaml' 'deploy/*.json' 'deploy/*.conf' ':!*.test.*' | xargs -0 --no-run-if-empty cp -t "$doc"
# Not among the documents: images leave those out.
mkdir -p "$folder/share/rendezvous"
scripts/licences.sh >"$folder/share/rendezvous/THIRD-PARTY"

# The shipped configuration, with the folder of the service, and documents by their whole names.
sed -e 's|^data: data$|data: /var/lib/rendezvous|' -e "s|docs/\([a-z-]*\.md\)|$prefix/share/doc/rendezvous/&|" config.yaml >"$doc/config.yaml"
grep -q '^data: /var/lib/rendezvous$' "$doc/config.yaml" || {
  echo "scripts/stage.sh: config.yaml has no line \"data: data\"" >&2
  exit 1
}
