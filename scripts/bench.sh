#!/bin/bash
# Comparisons with the bare codecs; bench/README.md says what is measured and how.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

lscpu | sed -n 's/^Model name: */on: /p'
echo "cores: $(nproc), load: $(cut -d' ' -f1-3 /proc/loadavg)"
go run ./bench -program bin/rendezvous "$@"
if [ $# -eq 0 ]; then
  printf '\nDHT node, against dhtnode\n'
  # A dhtnode that is too busy to answer one put of a burst would be waited for without end.
  timeout 4m go run ./dht/dhtbench -idle 15s || { echo "failed, or not done after 4 minutes" >&2; failed=1; }
  printf '\nRoom of Jami callers, against jamid as a rendezvous point\n'
  go run ./bench/jami -callers 2,4 -seconds 10
fi
exit "$failed"
