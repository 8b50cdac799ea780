#!/bin/bash
# Comparisons with the bare codecs; bench/README.md says what is measured and how.
set -euo pipefail
cd "$(dirname "$0")/.."

lscpu | sed -n 's/^Model name: */on: /p'
echo "cores: $(nproc), load: $(cut -d' ' -f1-3 /proc/loadavg)"
go run ./bench -program bin/rendezvous "$@"
if [ $# -eq 0 ]; then
  printf '\nDHT node, against dhtnode\n'
  go run ./dht/dhtbench -idle 15s
  printf '\nRoom of Jami callers, against jamid as a rendezvous point\n'
  go run ./bench/jami -callers 2,4 -seconds 10
fi
