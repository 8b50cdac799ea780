#!/bin/bash
# Prints the version of a Debian package of this commit, or of another version, as git describe names it:
#
#   scripts/version.sh [v1.2.3-5-g1234abc]
#
# Later commits have higher ones. Before the first tag it is the number of commits that tells.
set -euo pipefail
cd "$(dirname "$0")/.."

described=${1:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
dirty=
if [[ "$described" = *-dirty ]]; then
  described=${described%-dirty} dirty=+dirty
fi
since=
if [[ "$described" =~ ^(.*)-([0-9]+)-(g[0-9a-f]+)$ ]]; then
  described=${BASH_REMATCH[1]} since=+${BASH_REMATCH[2]}.${BASH_REMATCH[3]}
fi
if [[ "$described" =~ ^v?([0-9].*\..*)$ ]]; then
  # What is behind a dash comes before the release: 1.2.3~rc.1
  version=${BASH_REMATCH[1]/-/\~}
  version=${version//-/.}
else
  version=0+$(git rev-list --count HEAD 2>/dev/null || echo 0).$([[ "$described" =~ ^[0-9a-f]+$ ]] && echo g)$described
fi
echo "$version$since$dirty"
